"""What a Python expression of the user's evaluates to while a function is lowered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from actlint.graph import Arg, DType, Site

if TYPE_CHECKING:
    from actlint.lower.module import Module


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A node of the graph under construction."""

    node: int


@dataclass(frozen=True, slots=True)
class Static:
    """A Python constant that is known: None, bool, number, string, dtype, ``...``."""

    value: Arg | complex | bytes
    # Where an integer division stands that gave 0 for a fraction, and the fraction.
    lost: tuple[Site, float] | None = None
    # Of a default that callers may replace by another literal: its number, see options.py.
    option: int | None = field(default=None, compare=False)


@dataclass(slots=True)
class Sequence:
    """A list or tuple whose items are known one by one (lists are mutable, as in Python)."""

    items: list[Value]
    is_tuple: bool = False


@dataclass(slots=True)
class Mapping:
    """A dictionary with constant keys."""

    items: dict[object, Value]
    keywords: bool = False  # it is a function's ``**kwargs``, and callers may give more


@dataclass(slots=True)
class Scope:
    """Local variables; lookups go outwards to the enclosing function, then to the module."""

    module: Module
    parent: Scope | None = None
    variables: dict[str, Value] = field(default_factory=dict)
    owner_class: Class | None = None  # class of the running method, for super()
    yields: list[Value] | None = None  # of a generator, what it has yielded so far

    def find(self, name: str) -> Value | None:
        """Return the value of a local name here or in an enclosing function, or None."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the user's, with what it closes over."""

    node: cst.FunctionDef | cst.Lambda
    scope: Scope
    qualname: str
    instance: Instance | None = None  # bound self
    owner_class: Class | None = None  # the class whose body defines it
    own_gradient: bool = False  # what `tf.custom_gradient` makes of it


@dataclass(frozen=True, slots=True)
class Api:
    """A name from outside the file, as the set of its meanings (``tensorflow.math.log``)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Partial:
    """``functools.partial`` of a callable."""

    function: Value
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the user's."""

    qualname: str
    module: Module


@dataclass(slots=True, eq=False)
class Instance:
    """An object of a user's class; attributes fill up as ``__init__`` runs."""

    cls: Class
    attributes: dict[str, Value] = field(default_factory=dict)
    initialised: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Super:
    """``super()``: the methods of the classes above `owner`."""

    instance: Instance
    owner: Class


@dataclass(frozen=True, slots=True)
class Built:
    """An object made by calling a class from outside, such as a Keras layer or loss."""

    names: tuple[str, ...]
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]
    site: Site | None = None  # where it is made, if models are read


@dataclass(frozen=True, slots=True)
class StaticShape:
    """``x.shape``: Python integers in eager mode."""

    node: int


@dataclass(frozen=True, slots=True)
class Method:
    """An attribute of a value that may be called: ``x.numpy``, ``items.append``."""

    base: Value
    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that nothing is known of, and the nodes that it was computed from."""

    text: str
    dependencies: frozenset[int] = frozenset()
    # A layer or a linear op computed it: it can be any real number.
    real: bool = False
    origin: Site | None = None  # the call that computed it
    part: str = ""  # which of several results of that call it is
    linear: bool = False  # it is a product with weights, without an activation
    gradient: bool = False  # it is a gradient that the code takes
    ending: Value | None = None  # last item of a list of which nothing else is known
    network: int | None = None  # number of the call that computed it, if a tape records that


Value = (
    TensorValue
    | Static
    | Sequence
    | Mapping
    | Function
    | Api
    | Partial
    | Class
    | Instance
    | Super
    | Built
    | StaticShape
    | Method
    | Opaque
)


def leaves(value: Value) -> Iterator[Value]:
    """Yield what a value is put together from, in order; what it holds twice is looked at once."""
    pending: list[Value] = [value]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        match current:
            case Sequence(items=parts):
                inner = parts
            case Mapping(items=table):
                inner = list(table.values())
            case Method(base=base):
                inner = [base]
            case Partial(args=args, keywords=keywords):
                inner = [*args, *(item for _, item in keywords)]
            case _:
                yield current
                continue
        if id(current) not in seen:
            seen.add(id(current))
            pending += reversed(inner)


def dependencies(value: Value) -> frozenset[int]:
    """Return the nodes that a value was computed from."""
    if isinstance(value, Static):
        return frozenset()
    found: set[int] = set()
    for leaf in leaves(value):
        if isinstance(leaf, (TensorValue, StaticShape)):
            found.add(leaf.node)
        elif isinstance(leaf, Opaque):
            found |= leaf.dependencies
    return frozenset(found)


def truth(value: Value) -> bool | None:
    """Return the truth of a value as Python sees it, or None if it is not known."""
    if isinstance(value, Static):
        return True if isinstance(value.value, DType) else bool(value.value)
    if isinstance(value, (Sequence, Mapping)):
        return bool(value.items)
    if isinstance(value, (Function, Partial, Class, Instance, Built)):
        return True
    return None


def is_number(value: object) -> bool:
    """Tell whether a constant can be an operand."""
    return isinstance(value, (int, float))
