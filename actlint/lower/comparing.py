"""Comparisons of values that are partly known."""

from __future__ import annotations

import operator
from collections.abc import Callable

import libcst as cst

from actlint.lower import options, ranks
from actlint.lower.limits import Unlowerable
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Mapping,
    Opaque,
    Sequence,
    Static,
    TensorValue,
    Value,
    dependencies,
    is_number,
)

_COMPARE: dict[type[cst.BaseCompOp], str] = {
    cst.LessThan: "less",
    cst.LessThanEqual: "less_equal",
    cst.GreaterThan: "greater",
    cst.GreaterThanEqual: "greater_equal",
    cst.Equal: "equal",
    cst.NotEqual: "not_equal",
}

_COMPARE_STATIC: dict[str, Callable[[object, object], bool]] = {
    "less": lambda a, b: bool(a < b),  # type: ignore[operator]
    "less_equal": lambda a, b: bool(a <= b),  # type: ignore[operator]
    "greater": lambda a, b: bool(a > b),  # type: ignore[operator]
    "greater_equal": lambda a, b: bool(a >= b),  # type: ignore[operator]
    "equal": operator.eq,
    "not_equal": operator.ne,
}


_ORDERINGS = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)


def _tensor(machine: Machine, value: Value, at: cst.CSTNode) -> Value:
    """Return the free input that stands for the output of a layer; other values as they are."""
    if isinstance(value, Opaque) and value.real and value.dependencies:
        return machine.cut(value, at)
    return value


def compare(
    machine: Machine, left: Value, operation: cst.BaseCompOp, right: Value, at: cst.CSTNode
) -> Value:
    """Return one comparison: known if Python can tell now, else a node or something unknown."""
    unknown = Opaque(machine.site(at).text, dependencies(left) | dependencies(right))
    if isinstance(operation, (cst.Is, cst.IsNot)):
        same = _identical(left, right)
        if same is None:
            return unknown
        return Static(same if isinstance(operation, cst.Is) else not same)
    if isinstance(operation, (cst.In, cst.NotIn)):
        found = _one_of(machine, right, left)
        if found is None:
            found = _contains(right, left)
        if found is None:
            return unknown
        return Static(found if isinstance(operation, cst.In) else not found)
    if isinstance(operation, _ORDERINGS):
        left, right = _tensor(machine, left, at), _tensor(machine, right, at)
    key = _COMPARE.get(type(operation))
    if key is None:
        return unknown
    if key in {"equal", "not_equal"}:
        found = _same_option(machine, left, right)
        if found is None:
            found = ranks.equal(machine.nodes, machine.assumptions, left, right)
        if found is not None:
            return Static(found if key == "equal" else not found)
    if isinstance(left, Static) and isinstance(right, Static):
        try:
            return Static(_COMPARE_STATIC[key](left.value, right.value))
        except TypeError:
            return unknown
    if isinstance(left, TensorValue) or isinstance(right, TensorValue):
        other = right if isinstance(left, TensorValue) else left
        if isinstance(other, Static) and not is_number(other.value):
            return Static(key == "not_equal")
        parameter = left if isinstance(left, TensorValue) else right
        traced = machine.tracing is not None and machine.tracing.rests((left, right))
        if isinstance(parameter, TensorValue) and machine.is_setting(parameter.node) and not traced:
            return Opaque(machine.site(at).text)
        try:
            return machine.emit_key(key, (left, right), at)
        except Unlowerable:
            return unknown
    return unknown


def _same_option(machine: Machine, left: Value, right: Value) -> bool | None:
    """Tell whether an option is the literal it is compared with; None if neither is an option."""
    for value, literal in ((left, right), (right, left)):
        if not isinstance(literal, Static) or literal.option is not None:
            continue
        if isinstance(literal.value, (str, int, float)):
            found = options.member(machine, value, (literal.value,))
            if found is not None:
                return found
    return None


def _one_of(machine: Machine, container: Value, item: Value) -> bool | None:
    """Tell whether an option is among literals; None if it is no option, or they are unknown."""
    if isinstance(container, Mapping):
        return options.member(machine, item, tuple(container.items))
    if not isinstance(container, Sequence):
        return None
    literals = [v.value for v in container.items if isinstance(v, Static)]
    plain = [v for v in literals if isinstance(v, (str, int, float))]
    if not plain or len(plain) < len(container.items):
        return None
    return options.member(machine, item, plain)


def _identical(left: Value, right: Value) -> bool | None:
    if isinstance(left, Static) and isinstance(right, Static):
        if left.value is None or right.value is None or isinstance(left.value, bool):
            return left.value is right.value
        return None
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Static) and one.value is None and not isinstance(other, Opaque):
            return False
    return None


def _contains(container: Value, item: Value) -> bool | None:
    if not isinstance(item, Static):
        return None
    if isinstance(container, Mapping):
        return item.value in container.items
    if isinstance(container, Sequence) and all(isinstance(v, Static) for v in container.items):
        return any(isinstance(v, Static) and v.value == item.value for v in container.items)
    if isinstance(container, Static) and isinstance(container.value, str):
        return isinstance(item.value, str) and item.value in container.value
    return None
