"""The shape of one row of the ops table: everything actlint knows about one numeric op.

Intervals, gradient flow, probe points, rules and the worker's allow-list all read these rows, so a
numeric fact is written once. The rows themselves stand in the sibling modules, by family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from actlint.graph import Arg
from actlint.interval import Interval


class Gradient(StrEnum):
    """What TensorFlow's registered gradient does with the cotangent."""

    FLOWS = "flows"  # an ordinary derivative
    NONE = "none"  # no gradient is registered, or the output is not floating: tape gives None
    ZERO = "zero"  # a gradient is registered and it is 0 everywhere (sign)
    STRAIGHT_THROUGH = "straight-through"  # identity by design (fake_quant)


class Trend(StrEnum):
    """Monotonicity in the first operand, the others being constant."""

    INCREASING = "increasing"
    DECREASING = "decreasing"
    NONE = "none"


class Effect(StrEnum):
    """What happens to an op inside a singular region of an operand."""

    POLE = "pole"  # the value is nan or infinite
    CUSP = "cusp"  # the value is finite, the gradient is nan or infinite


class Cause(StrEnum):
    """Why a region is singular, in the field's words."""

    ZERO = "zero"
    NEGATIVE = "negative"  # outside the domain on the negative side
    OUTSIDE = "outside"  # outside a bounded domain such as [-1, 1]
    EDGE = "edge"  # at the end of a bounded domain
    OVERFLOW = "overflow"  # the dtype's largest number is exceeded
    ZERO_VECTOR = "zero-vector"  # all elements that are reduced are 0
    CONSTANT_VECTOR = "constant-vector"  # all elements that are reduced are equal
    EMPTY = "empty"  # nothing is left to reduce


class Kind(StrEnum):
    """How the op relates elements of operand and result."""

    ELEMENTWISE = "elementwise"
    REDUCTION = "reduction"
    STRUCTURAL = "structural"  # moves elements, computes nothing
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Region:
    """A closed interval [lo, hi] of one operand in which the op is singular (float32).

    With Cause.EMPTY no value is to blame, and both ends are nan: no interval reaches it.
    """

    operand: str  # parameter name
    lo: float
    hi: float
    effect: Effect
    cause: Cause


@dataclass(frozen=True, slots=True)
class Bound:
    """The operands of one node as a transfer function or region rule sees them."""

    intervals: Mapping[str, Interval]  # tensor operands, by parameter name
    statics: Mapping[str, Arg]  # static operands, by parameter name; absent if not given
    items: Mapping[str, tuple[Interval, ...]]  # list operands such as those of concat

    def __getitem__(self, name: str) -> Interval:
        """Return the interval of tensor operand `name`; KeyError names what is missing."""
        return self.intervals[name]

    def get(self, name: str) -> Interval | None:
        """Return the interval of tensor operand `name`, or None."""
        return self.intervals.get(name)


Transfer = Callable[[Bound], Interval]
Regions = Callable[[Bound], tuple[Region, ...]]


@dataclass(frozen=True, slots=True)
class Op:
    """One row.

    Attributes:
        key: canonical name, unique in the table, such as ``log`` or ``reduce_sum``.
        call: dotted path of the callable that the worker runs, ``tf.…``, ``np.…`` or
            ``operator.…``.
        params: parameter names of `call` in order; a trailing ``=`` would be noise, all but the
            operands are optional.
        operands: those of `params` that are tensors, or lists of tensors.
        names: every public API name that means this op, with the short prefixes ``tf``, ``K``
            (Keras backend), ``ops`` (keras.ops), ``np``, ``activations``, ``losses``,
            ``regularizers``, and ``method.NAME`` for methods of tensors.
        renamed: older or other APIs' parameter names to those of `params`.
        symbol: Python operator that spells it, or "".
        transfer: interval of the result from those of the operands.
        regions: singular regions, given what is known of the other operands.
        gradient: what happens to the cotangent of each differentiable operand.
        passive: operands that get no gradient although `gradient` flows (indices, conditions).
        trend: monotonicity in the first operand.
        kinks: values of the first operand where the gradient jumps.
        flats: closed intervals of the first operand on which the gradient is exactly 0.
        jumps: True if the value jumps somewhere (round, ``%``).
        kind: how elements relate.
        modes_differ: eager, graph and XLA are known to be able to disagree.
        examples: static arguments with which the numeric test calls the op.
        gradients: overrides `gradient` where it depends on an operand, such as cast's dtype.
        results: keys of the rows that describe the components, if `call` returns a tuple.
        fields: attribute names of the components, in the order of `results`.
        component: index of the component of `call`'s tuple that this row describes.
        variadic: parameter that collects positional arguments, as einsum's ``inputs`` does.
        ignored: parameters that have no numeric meaning and are not handed to `call`.
        ranks: least ranks of operands that the worker checks before it calls: TensorFlow 2.21's
            eager conv2d ends the process on an input of a lower rank instead of raising.
        runs: False if the worker cannot call it, because it takes a function of the user's.
        draws: the value is drawn at random; the operands are parameters of its distribution, and
            all optional.
    """

    key: str
    call: str
    params: tuple[str, ...]
    names: tuple[str, ...]
    operands: tuple[str, ...] = ("x",)
    renamed: Mapping[str, str] | None = None
    symbol: str = ""
    transfer: Transfer | None = None
    regions: tuple[Region, ...] | Regions = ()
    gradient: Gradient = Gradient.FLOWS
    passive: tuple[str, ...] = ()
    trend: Trend = Trend.NONE
    kinks: tuple[float, ...] = ()
    flats: tuple[tuple[float, float], ...] = ()
    jumps: bool = False
    kind: Kind = Kind.ELEMENTWISE
    modes_differ: bool = False
    examples: tuple[tuple[str, Arg], ...] = ()
    gradients: Callable[[Bound], Gradient] | None = None
    results: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    component: int | None = None
    variadic: str = ""
    ignored: tuple[str, ...] = ("name",)
    ranks: tuple[tuple[str, int], ...] = ()
    runs: bool = True
    draws: bool = False

    def gradient_of(self, bound: Bound) -> Gradient:
        """Return what happens to the cotangent, given what is known of the operands."""
        return self.gradient if self.gradients is None else self.gradients(bound)

    def arrange(self, values: Mapping[str, object]) -> tuple[list[object], dict[str, object]]:
        """Return the positional and keyword arguments with which `call` takes `values`.

        Operands that lead `params` go by position, and so does everything for ``operator``
        functions, which take no keywords; the rest goes by name.

        Raises:
            KeyError: `values` has a name that `params` lacks.
            TypeError: the variadic parameter is no sequence.
        """
        for name in values:
            if name not in self.params:
                raise KeyError(f"{self.key} has no parameter {name!r}")
        rest = {name: value for name, value in values.items() if name not in self.ignored}
        positional: list[object] = []
        for name in self.params:
            if name not in rest:
                break
            if name == self.variadic:
                collected = rest.pop(name)
                if not isinstance(collected, list | tuple):
                    raise TypeError(f"{self.key}: {name} takes a sequence of operands")
                positional.extend(collected)
            elif self.variadic or name in self.operands or self.call.startswith("operator."):
                positional.append(rest.pop(name))
            else:
                break
        return positional, rest

    def regions_of(self, bound: Bound) -> tuple[Region, ...]:
        """Return the singular regions, given what is known of the operands."""
        return self.regions(bound) if callable(self.regions) else self.regions
