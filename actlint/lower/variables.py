"""Values that are kept in a variable and read back: the gradient tape ends there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import libcst as cst

from actlint.graph import EXTENDED_LIMIT, WEIGHT_GROWTH, InputRole, Role
from actlint.lower.machine import Machine
from actlint.lower.values import Api, Built, Sequence, Static, TensorValue, Value
from actlint.names import last
from actlint.ops.table import row
from actlint.values import SHAPE_ONLY

# A training step updates its variables between the tapes, and a graph is not run in order.
_ONE_PASS = frozenset({Role.ACTIVATION, Role.LAYER, Role.LOSS, Role.REGULARIZER})
_FLOWING = frozenset({InputRole.ACTIVATION, InputRole.PREDICTION})
# Methods of variables, and the op that makes the new value of the old one.
UPDATES = {"assign": "", "assign_add": "add", "assign_sub": "subtract"}


def read_back(machine: Machine, value: Value | None, at: cst.CSTNode) -> TensorValue | None:
    """Return what a variable gives that holds a value of this pass; None if it holds no such."""
    if machine.role not in _ONE_PASS or not isinstance(value, TensorValue):
        return None
    if not _flows(machine, value.node):
        return None
    return machine.emit(row("variable_read"), [("initial_value", machine.arg(value, at))], at)


def update(
    machine: Machine, variable: TensorValue, name: str, args: list[Value], at: cst.CSTNode
) -> Value | None:
    """Assign to a variable; what reads it from now on reads the new value.

    Args:
        machine: the lowering.
        variable: the node that stands for it.
        name: a key of `UPDATES`.
        args: arguments of the method.
        at: the call.

    Returns:
        What the variable holds, or None if it is no variable or holds nothing of this pass.
    """
    record = machine.nodes[variable.node].input
    held = record is not None and record.role in {InputRole.VARIABLE, InputRole.DATA}
    if not held or not args or not isinstance(args[0], TensorValue):
        return None
    if machine.role not in _ONE_PASS or not _flows(machine, args[0].node):
        return None
    value: Value = args[0]
    if UPDATES[name]:
        value = machine.emit_key(UPDATES[name], (variable, value), at)
    found = read_back(machine, value, at)
    if found is not None:
        machine.held[variable.node] = found.node
    return found


def _flows(machine: Machine, start: int) -> bool:
    """Tell whether a value, and not just its shape, comes from what flows through the network."""
    pending, seen = [start], {start}
    while pending:
        node = machine.nodes[pending.pop()]
        if node.input is not None:
            if node.input.differentiated and node.input.role in _FLOWING:
                return True
        elif node.op not in SHAPE_ONLY and node.op != "stop_gradient":
            fresh = [operand for operand in node.operands if operand not in seen]
            seen.update(fresh)
            pending += fresh
    return False


# ---- what a weight can be --------------------------------------------------------------------

# A step of training ends nearer to 0 than this by chance alone, about once in a million times.
_LEAST: Final = 1e-6
_ZEROS = frozenset({"zero", "zeros", "zeros_initializer"})
_CONSTANTS = frozenset({"constant", "constant_initializer"})
_ONES = frozenset({"ones", "ones_like", "eye"})


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of the initial value of a variable."""

    zero: bool  # some element of it can be 0
    size: float | None  # its usual magnitude, if that is known


def start(
    machine: Machine, initial: Value | None, initializer: Value | None, *, weight: bool
) -> Start:
    """Return where a trained variable starts.

    Args:
        machine: the lowering.
        initial: its initial value, if that is given.
        initializer: what makes its initial value, if that is given.
        weight: it has an initializer; Keras and TensorFlow draw it at random if none is given.
    """
    return _made(initializer) if weight else _given(machine, initial)


def least(begin: Start) -> float:
    """Return the least magnitude of a weight: steps that start elsewhere do not end at 0."""
    return 0.0 if begin.zero else _LEAST


def domain(begin: Start) -> tuple[float, float]:
    """Return the range of a weight; an image, say, that is trained may be of any size."""
    limit = EXTENDED_LIMIT if begin.size is None else WEIGHT_GROWTH * max(begin.size, 1.0)
    return -limit, limit


def _made(initializer: Value | None) -> Start:
    """Return what an initializer makes; the usual ones draw small numbers at random."""
    match initializer:
        case Static(value=str(name)):
            return Start(name.lower() in _ZEROS, 1.0)
        case Api(names=names):
            return Start(any(last(name).lower() in _ZEROS for name in names), 1.0)
        case Built(names=names, args=args, keywords=keywords):
            kinds = {last(name).lower() for name in names}
            if not kinds & _CONSTANTS:
                return Start(bool(kinds & _ZEROS), 1.0)
            value = args[0] if args else dict(keywords).get("value", Static(0.0))
            number = value.value if isinstance(value, Static) else None
            known = isinstance(number, (int, float))
            return Start(number == 0.0, abs(number) if known else None)  # type: ignore[arg-type]
        case _:
            return Start(zero=False, size=1.0)


def _given(machine: Machine, initial: Value | None) -> Start:
    """Return what is known of an initial value."""
    match initial:
        case Static(value=bool() | int() | float() as number):
            return Start(not number, abs(float(number)))
        case Sequence(items=items) if items:
            parts = [_given(machine, item) for item in items]
            sizes = [part.size for part in parts]
            size = None if None in sizes else max(size or 0.0 for size in sizes)
            return Start(any(part.zero for part in parts), size)
        case TensorValue(node=index):
            node = machine.nodes[index]
            if node.input is not None:
                default = node.input.default
                return Start(not default, None if default is None else abs(default))
            if node.op in _ONES or "random" in node.op or "truncated_normal" in node.op:
                return Start(zero=False, size=1.0)
            if node.op in _ZEROS or node.op == "zeros_like":
                return Start(zero=True, size=1.0)
            if not node.op:
                return _given(machine, Static(node.value))
            return Start(zero=True, size=None)
        case _:
            return Start(zero=True, size=None)
