"""Which expression of the source a value comes from, for those who edit the source."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from actlint.graph import Arg, Items, Ref
from actlint.lower.module import Module
from actlint.lower.values import Sequence, Static, TensorValue, Value
from actlint.ops.model import Op


@dataclass(frozen=True, slots=True)
class Mark:
    """An expression of the source and the value that it had, each time it was evaluated."""

    module: Module
    node: cst.BaseExpression | cst.AugAssign
    value: Arg  # a Ref, or a plain value of Python's


def marked(value: Value) -> tuple[Arg] | None:
    """Return the value as an operand, if it is a tensor or a plain value of Python's."""
    if isinstance(value, TensorValue):
        return (Ref(value.node),)
    if isinstance(value, Static):
        plain = value.value
        return (plain,) if plain is None or isinstance(plain, (int, float, str)) else None
    if isinstance(value, Sequence):
        items = [marked(item) for item in value.items]
        return (Items(tuple(item[0] for item in items if item)),) if all(items) else None
    return None


def written(op: Op, name: str, at: cst.CSTNode) -> cst.CSTNode:
    """Return where an operand of an op is written, or where the op is if that is not plain."""
    if isinstance(at, cst.BinaryOperation):
        return at.right
    if isinstance(at, cst.AugAssign):
        return at.value
    if isinstance(at, cst.Call):
        named = [a.value for a in at.args if a.keyword is not None and a.keyword.value == name]
        plain = [a.value for a in at.args if a.keyword is None]
        found = named or plain[op.params.index(name) :][:1]
        return found[0] if found else at
    return at
