"""Numbers of axes that follow from what a path has decided of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actlint.attained import axes_of
from actlint.graph import Arg, Node, Ref
from actlint.lower.values import Static, TensorValue, Value
from actlint.ops.model import Kind
from actlint.ops.table import TABLE

# Ops whose result has as many axes as their first operand.
_KEEPING = frozenset(
    {"log_softmax", "matmul", "set_diag", "softmax", "stop_gradient", "transpose", "variable_read"}
)

# A number of axes: that of a node, or 0, and what is added to it.
_Rank = tuple[int | None, int]


def equal(
    nodes: Sequence[Node], assumptions: Sequence[tuple[int, bool]], left: Value, right: Value
) -> bool | None:
    """Tell whether two numbers of axes are the same on a path; None if that is still open.

    Args:
        nodes: the values so far.
        assumptions: conditions that were decided, and how.
        left: one of the numbers.
        right: the other.
    """
    sides = _of_value(nodes, left), _of_value(nodes, right)
    if sides[0] is None or sides[1] is None:
        return None
    known = _Known()
    for one, other, same in _decided(nodes, assumptions):
        if same:
            known.join(one, other)
    first, second = known.find(sides[0]), known.find(sides[1])
    if first[0] == second[0]:
        return first[1] == second[1]
    differing = {
        (known.find(a), known.find(b)) for a, b, same in _decided(nodes, assumptions) if not same
    }
    return False if {(first, second), (second, first)} & differing else None


class _Known:
    """Which numbers of axes are the same but for a known difference."""

    def __init__(self) -> None:
        self._above: dict[int, _Rank] = {}

    def find(self, rank: _Rank) -> _Rank:
        node, more = rank
        while node is not None and node in self._above:
            above = self._above[node]
            node, more = above[0], more + above[1]
        return node, more

    def join(self, one: _Rank, other: _Rank) -> None:
        first, second = self.find(one), self.find(other)
        if first[0] is None:
            first, second = second, first
        if first[0] is not None and first[0] != second[0]:
            self._above[first[0]] = (second[0], second[1] - first[1])


def _decided(
    nodes: Sequence[Node], assumptions: Sequence[tuple[int, bool]]
) -> Iterator[tuple[_Rank, _Rank, bool]]:
    for at, taken in assumptions:
        node = nodes[at]
        if node.op in {"equal", "not_equal"}:
            sides = [_of_operand(nodes, node.arg(name)) for name in ("x", "y")]
            if sides[0] is not None and sides[1] is not None:
                yield sides[0], sides[1], taken is (node.op == "equal")


def _of_value(nodes: Sequence[Node], value: Value) -> _Rank | None:
    if isinstance(value, TensorValue):
        return _of_operand(nodes, Ref(value.node))
    return (
        _of_operand(nodes, value.value)
        if isinstance(value, Static) and isinstance(value.value, int)
        else None
    )


def _of_operand(nodes: Sequence[Node], value: Arg) -> _Rank | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return None, value
    if isinstance(value, Ref) and nodes[value.node].op in {"static_rank", "rank"}:
        operands = nodes[value.node].operands
        return _of_tensor(nodes, operands[0]) if operands else None
    return None


def _of_tensor(nodes: Sequence[Node], at: int) -> _Rank:
    """Return the number of axes of a node in terms of that of what it is computed from."""
    more = 0
    while True:
        node = nodes[at]
        op = TABLE.get(node.op)
        if node.input is not None and node.input.shape is not None:
            return None, more + len(node.input.shape)
        if op is None or not node.operands:
            return at, more
        if op.kind is Kind.REDUCTION and node.arg("keepdims") is not True:
            axes = axes_of(node.arg("axis"))
            if axes is None or not all(isinstance(axis, int) for axis in axes):
                return at, more
            more -= len(axes)
        elif node.op in {"expand_dims", "keras_expand_dims"}:
            more += 1
        elif node.op == "getitem" and isinstance(node.arg("index"), int):
            more -= 1  # of a list of inputs, too, which is fed as one tensor
        elif not (
            node.op in _KEEPING
            or op.kind is Kind.REDUCTION
            or (op.kind is Kind.ELEMENTWISE and len(node.operands) == 1)
        ):
            return at, more
        at = node.operands[0]
