"""Python's own functions, called with values that are partly known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import libcst as cst

from actlint.graph import InputRole
from actlint.lower import folding
from actlint.lower.dense import is_dense, is_other_tensor
from actlint.lower.folding import MAX_ITEMS
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Function,
    Mapping,
    Opaque,
    Partial,
    Sequence,
    Static,
    StaticShape,
    TensorValue,
    Value,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a builtin: where, and with what."""

    machine: Machine
    args: list[Value]
    keywords: dict[str, Value]
    at: cst.CSTNode


Handler = Callable[[Call], Value | None]


def _len(call: Call) -> Value | None:
    match call.args:
        case [Sequence(items=items)]:
            return Static(len(items))
        case [Mapping(items=pairs)]:
            return Static(len(pairs))
        case [StaticShape(node=node)]:
            return call.machine.rank(node, call.at)
        case [TensorValue(node=node)] if call.machine.nodes[node].op == "shape":
            return call.machine.rank(call.machine.nodes[node].operands[0], call.at)
    return None


def _range(call: Call) -> Value | None:
    if len(call.args) == 1 and isinstance(call.args[0], (TensorValue, Opaque)):
        # Of an unknown number of rounds the first two are looked at.
        return Sequence([Static(0), Static(1)])
    ends = [v.value for v in call.args if isinstance(v, Static) and isinstance(v.value, int)]
    if len(ends) != len(call.args) or not 1 <= len(ends) <= 3 or (len(ends) == 3 and ends[2] == 0):
        return None
    return Sequence([Static(n) for n in range(*ends)[:MAX_ITEMS]])


def _enumerate(call: Call) -> Value | None:
    match call.args:
        case [Sequence(items=items)]:
            pairs = enumerate(items)
            return Sequence([Sequence([Static(i), v], is_tuple=True) for i, v in pairs])
    return None


def _zip(call: Call) -> Value | None:
    columns = [a.items for a in call.args if isinstance(a, Sequence)]
    if not columns or len(columns) != len(call.args):
        return None
    return Sequence([Sequence(list(t), is_tuple=True) for t in zip(*columns, strict=False)])


def _sequence(call: Call) -> Value | None:
    match call.args:
        case []:
            return Sequence([])
        case [Sequence(items=items)]:
            return Sequence(list(items))
        case [StaticShape()]:
            return call.args[0]
        case [TensorValue(node=node)] if call.machine.is_plain(node):
            return call.args[0]  # a slice of a static shape
    return None


def _reversed(call: Call) -> Value | None:
    match call.args:
        case [Sequence(items=items)]:
            return Sequence(items[::-1])
    return None


def _number(key: str, convert: Callable[[float | str], float]) -> Handler:
    def handle(call: Call) -> Value | None:
        if not call.args:
            return None
        value = call.args[0]
        # `float("-inf")` is how a mask is written.
        kinds = (int, float, str) if key == "py_float" else (int, float)
        if isinstance(value, Static) and isinstance(value.value, kinds):
            try:
                return folding.number(convert(value.value))
            except (OverflowError, ValueError):
                return None
        if isinstance(value, TensorValue):
            source = call.machine.nodes[value.node]
            if source.input is not None and source.input.role is InputRole.PARAMETER:
                return value
            if source.op in {"static_shape", "static_rank", "getitem"} and key == "py_float":
                return value
            return call.machine.emit_key(key, (value,), call.at)
        return None

    return handle


def _fold(fold: Callable[[list[float]], float], key: str = "", traced: str = "") -> Handler:
    def handle(call: Call) -> Value | None:
        items = call.args
        if len(items) == 1 and isinstance(items[0], Sequence):
            items = items[0].items
        numbers = [
            v.value for v in items if isinstance(v, Static) and isinstance(v.value, (int, float))
        ]
        if numbers and len(numbers) == len(items):
            try:
                return folding.number(fold(numbers))
            except (ArithmeticError, TypeError, ValueError):
                return None
        tracing = call.machine.tracing
        if traced and tracing is not None and len(items) == 2 and tracing.rests(items):
            return call.machine.emit_key(traced, tuple(items), call.at)
        if key and 1 <= len(call.args) <= 2 and isinstance(call.args[0], TensorValue):
            return call.machine.emit_key(key, tuple(call.args), call.at)
        return None

    return handle


def _pow(call: Call) -> Value | None:
    match call.args:
        case [Static(value=base), Static(value=exponent)]:
            return folding.binary("pow", base, exponent)
        case [TensorValue(), _]:
            return call.machine.emit_key("pow", tuple(call.args), call.at)
    return None


def _sum(call: Call) -> Value | None:
    match call.args:
        case [Sequence(items=items)] if items:
            total = items[0]
            for item in items[1:]:
                if isinstance(total, Static) and isinstance(item, Static):
                    folded = folding.binary("add", total.value, item.value)
                    if folded is None:
                        return None
                    total = folded
                else:
                    total = call.machine.emit_key("add", (total, item), call.at)
            return total
    return None


def _isinstance(call: Call) -> Value | None:
    match call.args:
        case [value, Api(names=(name, *_))]:
            kinds = {
                "builtins.str": str,
                "builtins.float": float,
                "builtins.int": int,
                "builtins.bool": bool,
            }
            if isinstance(value, Static) and name in kinds:
                return Static(isinstance(value.value, kinds[name]))
            if isinstance(value, (Sequence, Mapping)) and name in kinds:
                return Static(False)
            if is_other_tensor(call.args[1]) and is_dense(call.machine.nodes, value):
                return Static(False)
            containers = {"builtins.list", "builtins.tuple", "builtins.dict"}
            if name in containers and isinstance(value, (TensorValue, Static)):
                return Static(False)
    return None


def _callable(call: Call) -> Value | None:
    match call.args:
        case [Function() | Partial() | Built()]:
            return Static(True)
        case [Static() | TensorValue()]:
            return Static(False)
    return None


def _dict(call: Call) -> Value | None:
    return None if call.args else Mapping(dict[object, Value](call.keywords.items()))


def _nothing(_: Call) -> Value | None:
    return Static(None)


BUILTINS: dict[str, Handler] = {
    "len": _len,
    "range": _range,
    "enumerate": _enumerate,
    "zip": _zip,
    "list": _sequence,
    "tuple": _sequence,
    "reversed": _reversed,
    "float": _number("py_float", float),
    "int": _number("py_int", int),
    "bool": _number("py_bool", bool),
    "abs": _fold(lambda n: abs(n[0]), "abs"),
    "max": _fold(max, traced="maximum"),
    "min": _fold(min, traced="minimum"),
    "sum": _sum,
    "pow": _pow,
    "round": _fold(lambda n: round(n[0]), "round"),
    "isinstance": _isinstance,
    "callable": _callable,
    "dict": _dict,
    "print": _nothing,
}
