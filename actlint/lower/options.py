"""Options: settings that code compares with literals, each of which is tried on a path."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import libcst as cst
from libcst import matchers

from actlint.graph import InputRole
from actlint.lower.machine import Machine
from actlint.lower.values import Opaque, Static, TensorValue, Value

_GIVEN = frozenset(
    {InputRole.PARAMETER, InputRole.ACTIVATION, InputRole.PREDICTION, InputRole.LABEL}
)
# Methods that change how a string is written, not which option it is.
_SPELLED = frozenset({"lower", "upper", "strip"})


class Raised(Exception):
    """This path ends in an exception: it computes nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one path has decided of an option."""

    among: frozenset[object] | None = None  # it is one of these; None: nothing is known
    without: frozenset[object] = frozenset()  # it is none of these


def with_default(machine: Machine, value: Value) -> Value:
    """Return the default of a setting that callers may set, as an option if it is a string."""
    if isinstance(value, Static) and isinstance(value.value, str) and value.option is None:
        machine.options.append(Known())
        return replace(value, option=len(machine.options) - 1)
    return value


def defaults(machine: Machine, node: cst.FunctionDef | cst.Lambda) -> dict[str, Value]:
    """Return the options among the defaults of a function's parameters, by name."""
    everything = (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params)
    return {
        item.name.value: with_default(machine, Static(item.default.evaluated_value))
        for item in everything
        if isinstance(item.default, cst.SimpleString)
    }


def is_public(name: str) -> bool:
    """Tell whether others may call what has this name; constructors are what their class is."""
    return not name.startswith("_") or name == "__init__"


def member(machine: Machine, value: Value, literals: Collection[object]) -> bool | None:
    """Tell whether an option is one of some literals on this path; None if it is no option.

    The path decides that when it is first asked, and holds on to it. The way of a default comes
    first, and without a default that of the literals.
    """
    option = _option(machine, value, literals)
    if option is None:
        return None
    known, wanted = machine.options[option], frozenset(literals)
    left = wanted - known.without
    if known.among is not None:
        left &= known.among
    if not left:
        return False
    if known.among is not None and known.among <= wanted:
        return True
    first = not isinstance(value, Static) or value.value in left
    found = machine.decide(Opaque("")) is first
    machine.options[option] = (
        replace(known, among=left)
        if found
        else Known(None if known.among is None else known.among - wanted, known.without | wanted)
    )
    return found


def entry(
    machine: Machine, value: Value, keys: Collection[object], *, required: bool = False
) -> str | None:
    """Return the key of a table that an option is on this path, or None if it is none of them.

    Args:
        machine: the lowering.
        value: what is looked up; None is returned if it is no option.
        keys: of the table.
        required: Python raises if the option is none of them.

    Raises:
        Raised: the option is none of them, and has to be.
    """
    names = [key for key in keys if isinstance(key, str)]
    if not names or _option(machine, value, names) is None:
        return None
    found = next((key for key in names if member(machine, value, (key,))), None)
    if found is None and required:
        raise Raised
    return found


def respelled(machine: Machine, value: Value, method: str) -> Value | None:
    """Return an option after ``kind.lower()`` and the like, or None for anything else."""
    if method not in _SPELLED:
        return None
    if isinstance(value, Static) and isinstance(value.value, str):
        return replace(value, value=getattr(value.value, method)())
    return value if _option(machine, value, ("",)) is not None else None


def check_bound(machine: Machine, name: str) -> None:
    """End a path on which an option was none of the literals, and that left a name unbound.

    Raises:
        Raised: Python would raise here, too.
    """
    if not machine.running or not any(o.without and o.among is None for o in machine.options):
        return
    _, function = machine.running[-1]
    bound = matchers.AssignTarget(target=matchers.Name(name))
    if matchers.findall(function.body, bound):
        raise Raised


def _option(machine: Machine, value: Value, literals: Collection[object]) -> int | None:
    """Return the number of the option that a value is, or None if it is none."""
    if isinstance(value, Static):
        return value.option if all(isinstance(item, str) for item in literals) else None
    if not isinstance(value, TensorValue):
        return None
    if machine.tracing is not None and machine.tracing.rests((value,)):
        return None
    node = machine.nodes[value.node]
    if node.input is None or node.input.role not in _GIVEN:
        return None
    # What is compared with a string is no tensor; with a number, a setting may be one.
    textual = all(isinstance(item, str) for item in literals)
    if not textual and node.input.role is not InputRole.PARAMETER:
        return None
    if value.node not in machine.option_nodes:
        machine.options.append(Known())
        machine.option_nodes[value.node] = len(machine.options) - 1
    return machine.option_nodes[value.node]
