"""Values that are kept in a variable and read back: the gradient tape ends there."""

from __future__ import annotations

from typing import Final

import libcst as cst

from actlint.graph import InputRole, Role
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


# ---- where a weight starts -------------------------------------------------------------------

# A step of training ends nearer to 0 than this by chance alone, about once in a million times.
_LEAST: Final = 1e-6
_ZEROS = frozenset({"zero", "zeros", "zeros_initializer"})
_CONSTANTS = frozenset({"constant", "constant_initializer"})
_AWAY = frozenset({"ones", "ones_like", "eye"})


def least(
    machine: Machine, initial: Value | None, initializer: Value | None, *, weight: bool
) -> float:
    """Return the least magnitude that the elements of a trained variable take.

    Args:
        machine: the lowering.
        initial: its initial value, if that is given.
        initializer: what makes its initial value, if that is given.
        weight: it has an initializer; Keras and TensorFlow draw it at random if none is given.
    """
    if weight:
        return 0.0 if _makes_zero(initializer) else _LEAST
    return _LEAST if _is_away(machine, initial) else 0.0


def _makes_zero(initializer: Value | None) -> bool:
    match initializer:
        case Static(value=str(name)):
            return name.lower() in _ZEROS
        case Api(names=names):
            return any(last(name).lower() in _ZEROS for name in names)
        case Built(names=names, args=args, keywords=keywords):
            kinds = {last(name).lower() for name in names}
            value = args[0] if args else dict(keywords).get("value", Static(0.0))
            return bool(kinds & _ZEROS or (kinds & _CONSTANTS and value == Static(0.0)))
        case _:
            return False


def _is_away(machine: Machine, initial: Value | None) -> bool:
    """Tell whether an initial value is known to have no zero."""
    match initial:
        case Static(value=bool() | int() | float() as number):
            return bool(number)
        case Sequence(items=items):
            return all(_is_away(machine, item) for item in items)
        case TensorValue(node=number):
            node = machine.nodes[number]
            if node.input is not None:
                return bool(node.input.default)
            if node.op in _AWAY or "random" in node.op or "truncated_normal" in node.op:
                return True
            return bool(node.value) if isinstance(node.value, (int, float)) else False
        case _:
            return False
