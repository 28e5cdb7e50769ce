"""Value numbering: which nodes of a graph surely carry the same value, and with which operands.

Two nodes share a number if they apply the same op to the same numbers (in any order where the op
commutes), or if one hands the other on unchanged. Relations between operands, such as x - x = 0,
then hold for expressions that the source repeats textually.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from actlint.graph import Arg, DType, Graph, Items, Node, Ref, Slice
from actlint.interval import TOP, Interval, hull, point, round_down, round_up
from actlint.ops.model import Bound, Kind, Op
from actlint.ops.table import TABLE

# Ops that hand their first operand on unchanged, element by element.
SAME: Final = frozenset(
    {
        "cast_to_floatx",
        "check_numerics",
        "constant",
        "convert_to_tensor",
        "ensure_shape",
        "identity",
        "numpy_value",
        "print_identity",
        "py_float",
        "set_shape",
        "stop_gradient",
        "to_float",
    }
)
COMMUTATIVE: Final = frozenset(
    {
        "add",
        "multiply",
        "maximum",
        "minimum",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
        "squared_difference",
    }
)
# Ops whose result differs from call to call.
_UNREPEATABLE: Final = ("random", "dropout", "truncated_normal", "shuffle")
# Ops that look at the shape of the first operand and at nothing of its value.
SHAPE_ONLY: Final = frozenset(
    {
        "np_ones_like",
        "np_size",
        "np_zeros_like",
        "ones_like",
        "rank",
        "shape",
        "size",
        "static_rank",
        "static_shape",
        "zeros_like",
    }
)
_FLOATS: Final = frozenset({"float32", "float64", "float", "double"})


@lru_cache(maxsize=1024)
def is_repeatable(key: str) -> bool:
    """Say whether two calls of the op with equal operands give equal results."""
    return not any(word in key for word in _UNREPEATABLE)


def is_elementwise(op: Op | None) -> bool:
    """Say whether each element of the result depends on the matching elements alone."""
    return op is not None and op.kind is Kind.ELEMENTWISE


def constant(value: Arg) -> Interval:
    """Return the interval of a literal: a point, or the hull of a nested list."""
    if isinstance(value, bool | int | float):
        return point(_real(value))
    if isinstance(value, Items) and value.items:
        return hull(tuple(constant(item) for item in value.items))
    return TOP


def _real(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a Python int beyond float64
        return float("inf") if value > 0 else float("-inf")


def free(node: Node) -> Interval:
    """Return the interval of a free input, from the range that it is assumed to take."""
    assert node.input is not None
    return Interval(round_down(node.input.lo), round_up(node.input.hi), integer=node.input.integer)


class Values:
    """The nodes of one graph with their rows, operands and value numbers.

    Attributes:
        rows: row of each node, None for inputs, constants and ops without a row.
        keys: op key of each node, x * x and x ** 2 being ``square``.
        number: value number of each node: the least node id that carries the value; negative
            numbers stand for literals and index `literals` from the end.
        operands: of each node, tensor operands by parameter name, as value numbers.
        lists: of each node, list operands by parameter name, as value numbers.
        statics: of each node, operands known without running anything, by parameter name.
        users: of each node, ids of the nodes that read it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        count = len(graph.nodes)
        self.rows: list[Op | None] = [TABLE.get(node.op) for node in graph.nodes]
        self.keys: list[str] = [node.op for node in graph.nodes]
        self.number: list[int] = [0] * count
        self.operands: list[Mapping[str, int]] = [{}] * count
        self.lists: list[Mapping[str, tuple[int, ...]]] = [{}] * count
        self.statics: list[Mapping[str, Arg]] = [{}] * count
        self.users: list[tuple[int, ...]] = [()] * count
        self.literals: list[Interval] = []
        self._known: dict[object, int] = {}
        self._number_all()
        users: list[list[int]] = [[] for _ in range(count)]
        for node in graph.nodes:
            for ref in dict.fromkeys(node.operands):
                users[ref].append(node.id)
        self.users = [tuple(found) for found in users]

    def first(self, number: int) -> int | None:
        """Return the first tensor operand of value `number`, or None."""
        return next(iter(self.operands[number].values()), None) if number >= 0 else None

    def pair(self, number: int) -> tuple[int, int] | None:
        """Return both operands of a binary op, or None if there are not two."""
        if number < 0:
            return None
        found = tuple(self.operands[number].values())
        return (found[0], found[1]) if len(found) == 2 else None

    def key(self, number: int) -> str:
        """Return the op key of value `number`; "" for inputs and constants."""
        return self.keys[number] if number >= 0 else ""

    def literal(self, value: Arg) -> int:
        """Return the (negative) number of a literal."""
        key = ("literal", repr(float(value)) if isinstance(value, bool | int | float) else value)
        try:
            return self._known[key]
        except KeyError:
            pass
        except OverflowError:
            return self._new_literal(value)
        number = self._new_literal(value)
        self._known[key] = number
        return number

    def resolve(self, value: Arg) -> Arg:
        """Return `value` with references to constants replaced by what they hold."""
        if isinstance(value, Ref):
            node = self.graph.nodes[value.node]
            return value if node.op or node.input is not None else node.value
        if isinstance(value, Items):
            return Items(tuple(self.resolve(item) for item in value.items))
        if isinstance(value, Slice):
            return Slice(*(self.resolve(part) for part in (value.start, value.stop, value.step)))
        return value

    def bound(self, index: int, lookup: Mapping[int, Interval]) -> Bound:
        """Return what a transfer function sees of node `index`; `lookup` gives the intervals."""
        return Bound(
            {name: lookup[number] for name, number in self.operands[index].items()},
            self.statics[index],
            {
                name: tuple(lookup[number] for number in numbers)
                for name, numbers in self.lists[index].items()
            },
        )

    def _new_literal(self, value: Arg) -> int:
        self.literals.append(constant(value))
        return -len(self.literals)

    def literal_interval(self, number: int) -> Interval:
        """Return the interval of a literal."""
        return self.literals[-number - 1]

    def _term(self, value: Arg) -> int | None:
        if isinstance(value, Ref):
            return self.number[value.node]
        if isinstance(value, bool | int | float):
            return self.literal(value)
        return None

    def _number_all(self) -> None:
        for node in self.graph.nodes:
            op = self.rows[node.id]
            if not node.op and node.input is None:
                self.number[node.id] = self._number_constant(node)
                continue
            if op is not None:
                self._bind(node, op)
            self.number[node.id] = self._number_of(node, op)

    def _number_constant(self, node: Node) -> int:
        if isinstance(node.value, bool | int | float | Items):
            return self.literal(node.value)
        return node.id

    def _bind(self, node: Node, op: Op) -> None:
        operands: dict[str, int] = {}
        lists: dict[str, tuple[int, ...]] = {}
        statics: dict[str, Arg] = {}
        for name, value in node.args:
            resolved = self.resolve(value)
            if not isinstance(resolved, Ref) and resolved is not None:
                statics[name] = resolved
            if name not in op.operands:
                if isinstance(resolved, Ref):
                    statics[name] = resolved
                continue
            if isinstance(value, Items):
                terms = [self._term(item) for item in value.items]
                numbers = [self.literal(None) if term is None else term for term in terms]
                lists[name] = tuple(numbers)
                continue
            term = self._term(value)
            if term is not None:
                operands[name] = term
        self.operands[node.id] = {name: operands[name] for name in op.operands if name in operands}
        self.lists[node.id] = lists
        self.statics[node.id] = statics

    def _number_of(self, node: Node, op: Op | None) -> int:
        if op is None or not is_repeatable(op.key):
            return node.id
        numbers = list(self.operands[node.id].values())
        if (op.key in SAME or op.key == "cast") and self._keeps_value(node):
            return numbers[0]
        key: object
        if self._is_square(op.key, numbers):
            self.keys[node.id] = "square"
            key = ("square", (numbers[0],), ())
        else:
            if op.key in COMMUTATIVE:
                numbers.sort()
            rest = tuple(
                (name, self._shape_of(value))
                for name, value in node.args
                if name != "name" and name not in self.operands[node.id]
            )
            key = (op.key, tuple(numbers), tuple(sorted(rest, key=lambda item: item[0])))
        return self._known.setdefault(key, node.id)

    def _keeps_value(self, node: Node) -> bool:
        # A dtype that is not written out is another tensor's, which is a float in a loss.
        dtype = self.statics[node.id].get("dtype")
        return len(self.operands[node.id]) == 1 and (
            not isinstance(dtype, DType) or dtype.name in _FLOATS
        )

    def _is_square(self, key: str, numbers: list[int]) -> bool:
        if len(numbers) != 2:
            return False
        if key == "multiply":
            return numbers[0] == numbers[1]
        return key == "pow" and numbers[1] < 0 and self.literal_interval(numbers[1]) == point(2.0)

    def _shape_of(self, value: Arg) -> object:
        """Return a hashable form of an operand, with references as value numbers."""
        if isinstance(value, Ref):
            return ("ref", self.number[value.node])
        if isinstance(value, Items):
            return ("items", tuple(self._shape_of(item) for item in value.items))
        if isinstance(value, Slice):
            return ("slice", *(self._shape_of(x) for x in (value.start, value.stop, value.step)))
        return (type(value).__name__, value)
