"""What nodes say of each other: order, magnitude, attained extremes, equal operands.

Every relation here holds for float32 results, not only for real numbers: rounding is monotone, so
`a <= a + b` for b >= 0, a sum of non-negative terms is no less than each of them, and a quotient
a / b with 0 <= a <= b is at most 1. In radix 2, sqrt(fl(x * x)) is |x| unless x * x underflows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from actlint.attained import (
    BROADCAST,
    LARGEST,
    LEAST,
    MEAN,
    SOFTMAX,
    SUM,
    UNKNOWN,
    Attained,
    Axes,
    axes_of,
    reduced,
)
from actlint.cosines import MOST, UNIT, are_cosines, factors, normalised
from actlint.interval import (
    INF,
    MAX_ELEMENTS,
    ONE,
    TINY,
    Interval,
    between,
    round_down,
    widen_down,
    widen_up,
)
from actlint.values import Values

# Steps in one proof of an order, and proofs tried for one node.
_STEPS: Final = 5
_TRIES: Final = 80

_REDUCTIONS: Final = (SUM, MEAN, LARGEST, LEAST)
_NORMS: Final = frozenset({"norm", "keras_norm", "reduce_euclidean_norm"})

Range = tuple[float, float]


class Relations:
    """Relations between the values of one graph."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._attained = Attained(values)
        self._tries = 0
        self._lookup: Mapping[int, Interval] = {}
        self._orders: frozenset[tuple[int, int]] = frozenset()

    # ---- entry points ----------------------------------------------------------------------

    def sharpen(
        self,
        index: int,
        interval: Interval,
        lookup: Mapping[int, Interval],
        orders: frozenset[tuple[int, int]],
    ) -> Interval:
        """Return the part of `interval` that the relations of node `index` leave.

        Args:
            index: node whose op gave `interval`.
            interval: what the op's transfer function says of it.
            lookup: intervals of any value in the same context.
            orders: pairs (a, b) with a < b in this context.
        """
        key = self._values.key(index)
        rule = _RULES.get(key)
        if rule is None:
            return interval
        self._tries = _TRIES
        self._lookup = lookup
        self._orders = orders
        known = rule(self, index)
        if known is None:
            return interval
        lo, hi = known
        found = between(max(interval.lo, lo), min(interval.hi, hi), nan=interval.nan)
        if found is None:
            return interval
        return Interval(found.lo, found.hi, found.nan, interval.integer)

    def attain(self, index: int, base: Mapping[int, Interval]) -> None:
        """Note what node `index` surely attains along some axes; operands were noted before."""
        self._attained.note(index, base)

    # ---- rules, by op ----------------------------------------------------------------------

    def _subtract(self, index: int) -> Range | None:
        pair = self._values.pair(index)
        if pair is None:
            return None
        return self._difference(pair[0], pair[1])

    def _difference(self, x: int, y: int) -> Range | None:
        if x == y:
            return 0.0, 0.0
        if (x, y) in self._orders:
            return -INF, -TINY
        if (y, x) in self._orders:
            return TINY, INF
        if self._leq(x, y, _STEPS):
            return -INF, 0.0
        if self._leq(y, x, _STEPS):
            return 0.0, INF
        return None

    def _add(self, index: int) -> Range | None:
        pair = self._values.pair(index)
        if pair is None:
            return None
        for x, y in (pair, pair[::-1]):
            if self._values.key(y) == "negative":
                inner = self._values.first(y)
                if inner is not None:
                    return self._difference(x, inner)
        return self._mixture(pair[0], pair[1])

    def _mixture(self, x: int, y: int) -> Range | None:
        """Bound w * a + (1 - w) * b with w in [0, 1] by the ends of a and b.

        fl(1 - w) errs by at most 2**-25, so that fl(w + fl(1 - w)) <= 1: products by a and b of
        [-1, 1] stay there exactly; other ends are widened by the error of two products and a sum.
        """
        values, lookup = self._values, self._lookup
        left, right = values.pair(x), values.pair(y)
        if left is None or right is None or {values.key(x), values.key(y)} != {"multiply"}:
            return None
        for w, a in (left, left[::-1]):
            for rest, b in (right, right[::-1]):
                if not (self._is_complement(rest, w) or self._is_complement(w, rest)):
                    continue
                if not lookup[w].within(0.0, 1.0) or not lookup[rest].within(0.0, 1.0):
                    continue
                lo = min(lookup[a].lo, lookup[b].lo)
                hi = max(lookup[a].hi, lookup[b].hi)
                exact = (-1.0, 0.0, 1.0)
                return (
                    lo if lo in exact else widen_down(lo, 4),
                    hi if hi in exact else widen_up(hi, 4),
                )
        return None

    def _is_complement(self, rest: int, w: int) -> bool:
        pair = self._values.pair(rest)
        return (
            self._values.key(rest) == "subtract"
            and pair is not None
            and pair[1] == w
            and self._lookup[pair[0]] == ONE
        )

    def _divide(self, index: int) -> Range | None:
        pair = self._values.pair(index)
        if pair is None:
            return None
        x, y = pair
        if x == y and self._values.key(index) != "divide_no_nan":
            return 1.0, 1.0
        above, below = self._lookup[x], self._lookup[y]
        if below.lo < 0.0:
            return None
        if above.lo >= 0.0 and self._leq(x, y, _STEPS):
            return 0.0, 1.0
        if self._magnitude(x, y, below.lo > 0.0, _STEPS):
            return -1.0, 1.0
        if below.lo > 0.0 and self._leq(y, x, _STEPS):
            return 1.0, INF
        return None

    def _multiply(self, index: int) -> Range | None:
        pair = self._values.pair(index)
        if pair is None:
            return None
        for x, y in (pair, pair[::-1]):
            inner = self._values.first(y)
            if self._values.key(y) != "rsqrt" or inner is None:
                continue
            if self._lookup[inner].lo > 0.0 and self._square_leq(x, inner, _STEPS):
                most = widen_up(1.0, 4)
                return -most, most
        return None

    def _square(self, index: int) -> Range | None:  # noqa: ARG002
        return 0.0, INF

    def _sum(self, index: int) -> Range | None:
        operand = self._values.first(index)
        if operand is None:
            return None
        axes = axes_of(self._values.statics[index].get("axis"))
        key = self._values.key(operand)
        if key in SOFTMAX and axes == axes_of(self._values.statics[operand].get("axis", -1)):
            return 0.99, 1.01  # float32 sums of up to MAX_ELEMENTS terms, generously
        if key == "multiply" and axes not in (None, UNKNOWN) and self._is_cosine(operand, axes):
            return -MOST, MOST
        attained = self._attained.along(operand, axes)
        if attained is not None and self._lookup[operand].lo >= 0.0:
            return attained.lo, INF
        return None

    def _norm(self, index: int) -> Range | None:
        """Bound the length of a vector or matrix of which some element is surely not 0."""
        operand = self._values.first(index)
        if operand is None or self._values.statics[index].get("ord", "euclidean") != "euclidean":
            return None
        attained = self._attained.along(operand, axes_of(self._values.statics[index].get("axis")))
        return (attained.lo, INF) if attained is not None and attained.lo > 0.0 else None

    def _trace(self, index: int) -> Range | None:
        """Bound the trace of a matrix times its transpose, the sum of the squares of all of it."""
        values = self._values
        product = values.first(index)
        if product is None or values.key(product) != "matmul":
            return None
        left, right = self._turned(product, "a"), self._turned(product, "b")
        if left[0] is None or left[0] != right[0] or left[1] == right[1]:
            return None
        attained = self._attained.along(left[0], None)
        least = 0.0 if attained is None or attained.lo <= 0.0 else round_down(attained.lo**2)
        return least, INF

    def _turned(self, product: int, name: str) -> tuple[int | None, bool]:
        """Return what a factor of a matrix product is made of, and whether it is transposed."""
        side = self._values.operands[product].get(name)
        turned = self._values.statics[product].get(f"transpose_{name}") is True
        if side is not None and self._values.key(side) == "transpose":
            return self._values.first(side), not turned
        return side, turned

    def _product(self, index: int) -> Range | None:
        """Bound cosines."""
        values, key = self._values, self._values.key(index)
        names = factors(key)
        sides = [values.operands[index].get(name) for name in names]
        if not all(side is not None and values.key(side) == UNIT for side in sides):
            return None
        left, right = (normalised(values.statics[side]) for side in sides if side is not None)
        return (-MOST, MOST) if are_cosines(key, values.statics[index], left, right) else None

    def _mean(self, index: int) -> Range | None:
        operand = self._values.first(index)
        if operand is None or self._lookup[operand].lo < 0.0:
            return None
        attained = self._attained.along(operand, axes_of(self._values.statics[index].get("axis")))
        return None if attained is None else (round_down(attained.lo / MAX_ELEMENTS), INF)

    def _greatest(self, index: int) -> Range | None:
        operand = self._values.first(index)
        if operand is None:
            return None
        attained = self._attained.along(operand, axes_of(self._values.statics[index].get("axis")))
        return None if attained is None else (attained.lo, INF)

    def _least(self, index: int) -> Range | None:
        operand = self._values.first(index)
        if operand is None:
            return None
        attained = self._attained.along(operand, axes_of(self._values.statics[index].get("axis")))
        return None if attained is None else (-INF, attained.hi)

    def _is_cosine(self, product: int, axes: Axes) -> bool:
        values = self._values
        pair = values.pair(product)
        return pair is not None and all(
            values.key(side) == UNIT and axes_of(values.statics[side].get("axis")) == axes
            for side in pair
        )

    # ---- orders ----------------------------------------------------------------------------

    def _leq(self, a: int, b: int, steps: int) -> bool:
        """Say whether a <= b surely holds, element by element, wherever neither is nan."""
        if a == b or (a, b) in self._orders:
            return True
        low, high = self._lookup[a], self._lookup[b]
        if low.hi <= high.lo:
            return True
        self._tries -= 1
        if steps == 0 or self._tries < 0 or low.lo > high.hi:
            return False
        return self._leq_above(a, b, steps - 1) or self._leq_below(a, b, steps - 1)

    def _leq_above(self, a: int, b: int, steps: int) -> bool:
        """Prove a <= b from what b is."""
        values, lookup = self._values, self._lookup
        key = values.key(b)
        pair = values.pair(b)
        first = values.first(b)
        if first is None:
            return False
        if key in ("abs", "relu"):
            return self._leq(a, first, steps)
        found = reduced(self._values, b, (LARGEST, SUM))
        if found is not None and self._is_bound(b, found[0]):
            return self._leq(a, found[0], steps) or self._leq_reduced(a, b, steps)
        if key in _REDUCTIONS:
            return self._leq_reduced(a, b, steps)
        if pair is None:
            return False
        p, q = pair
        if key == "maximum":
            return self._leq(a, p, steps) or self._leq(a, q, steps)
        if key == "add":
            return (
                (lookup[q].lo >= 0.0 and self._leq(a, p, steps))
                or (lookup[p].lo >= 0.0 and self._leq(a, q, steps))
                or self._leq_termwise(a, pair, steps)
            )
        if key == "subtract":
            return lookup[q].hi <= 0.0 and self._leq(a, p, steps)
        if key == "multiply":
            return any(
                lookup[x].lo >= 0.0 and lookup[y].lo >= 1.0 and self._leq(a, x, steps)
                for x, y in (pair, pair[::-1])
            )
        if key == "divide":
            over = lookup[q]
            return lookup[p].lo >= 0.0 and over.within(TINY, 1.0) and self._leq(a, p, steps)
        return False

    def _leq_below(self, a: int, b: int, steps: int) -> bool:
        """Prove a <= b from what a is."""
        values, lookup = self._values, self._lookup
        key = values.key(a)
        pair = values.pair(a)
        first = values.first(a)
        if first is None:
            return False
        if key == "square":
            return lookup[first].within(0.0, 1.0) and self._leq(first, b, steps)
        if key == "abs":
            return lookup[first].lo >= 0.0 and self._leq(first, b, steps)
        found = reduced(self._values, a, (LEAST,))
        if found is not None:
            return self._leq(found[0], b, steps)
        if pair is None:
            return False
        p, q = pair
        if key == "minimum":
            return self._leq(p, b, steps) or self._leq(q, b, steps)
        if key == "subtract":
            return lookup[q].lo >= 0.0 and self._leq(p, b, steps)
        if key == "add":
            return (lookup[q].hi <= 0.0 and self._leq(p, b, steps)) or (
                lookup[p].hi <= 0.0 and self._leq(q, b, steps)
            )
        if key == "multiply":
            return any(
                lookup[x].lo >= 0.0 and lookup[y].within(0.0, 1.0) and self._leq(x, b, steps)
                for x, y in (pair, pair[::-1])
            )
        if key == "divide":
            return lookup[p].lo >= 0.0 and lookup[q].lo >= 1.0 and self._leq(p, b, steps)
        return False

    def _leq_termwise(self, a: int, right: tuple[int, int], steps: int) -> bool:
        left = self._values.pair(a) if self._values.key(a) == "add" else None
        return left is not None and any(
            self._leq(left[0], p, steps) and self._leq(left[1], q, steps)
            for p, q in (right, right[::-1])
        )

    def _leq_reduced(self, a: int, b: int, steps: int) -> bool:
        """Prove reduce(p) <= reduce(q) from p <= q: equal reductions add up in equal order."""
        values = self._values
        keys = values.key(a), values.key(b)
        if keys[0] not in _REDUCTIONS:
            return False
        if keys[0] != keys[1] and keys != (LEAST, LARGEST):
            return False
        p, q = values.first(a), values.first(b)
        axes = axes_of(values.statics[a].get("axis"))
        if p is None or q is None or axes == UNKNOWN:
            return False
        if axes != axes_of(values.statics[b].get("axis")):
            return False
        return self._leq(p, q, steps)

    def _is_bound(self, reduction: int, operand: int) -> bool:
        """Say whether the reduction is no less than each element that it reduces."""
        number = reduction
        while self._values.key(number) in BROADCAST:
            inner = self._values.first(number)
            assert inner is not None
            number = inner
        return self._values.key(number) == LARGEST or self._lookup[operand].lo >= 0.0

    def _magnitude(self, a: int, b: int, positive: bool, steps: int) -> bool:
        """Say whether |a| <= b surely holds; `positive` says that b is never 0."""
        values, lookup = self._values, self._lookup
        low, high = lookup[a], lookup[b]
        if low.lo >= 0.0 and self._leq(a, b, steps):
            return True
        if max(abs(low.lo), abs(low.hi)) <= high.lo:
            return True
        self._tries -= 1
        if steps == 0 or self._tries < 0:
            return False
        key = values.key(b)
        for inner in self._dominated(b):
            if self._magnitude(a, inner, positive, steps - 1):
                return True
        first = values.first(b)
        if first is None:
            return False
        if key == "abs" and first == a:
            return True
        if positive and key == "sqrt" and self._square_leq(a, first, steps - 1):
            return True
        if positive and (length := reduced(values, b, _NORMS)) is not None and length[0] == a:
            return True
        return self._magnitude_below(a, b, positive, steps - 1)

    def _magnitude_below(self, a: int, b: int, positive: bool, steps: int) -> bool:
        values, lookup = self._values, self._lookup
        key = values.key(a)
        first = values.first(a)
        if key in ("negative", "abs") and first is not None:
            return self._magnitude(first, b, positive, steps)
        pair = values.pair(a)
        if key == "multiply" and pair is not None:
            return any(
                lookup[y].within(-1.0, 1.0) and self._magnitude(x, b, positive, steps)
                for x, y in (pair, pair[::-1])
            )
        return False

    def _square_leq(self, a: int, b: int, steps: int) -> bool:
        """Say whether fl(a * a) <= b surely holds."""
        values = self._values
        self._tries -= 1
        if steps == 0 or self._tries < 0:
            return False
        if values.key(b) == "square" and values.first(b) == a:
            return True
        return any(self._square_leq(a, inner, steps - 1) for inner in self._dominated(b))

    def _dominated(self, number: int) -> Iterator[int]:
        """Yield values that are surely no greater than `number`, one step away from it."""
        values, lookup = self._values, self._lookup
        key = values.key(number)
        found = reduced(self._values, number, (SUM, LARGEST))
        if found is not None and self._is_bound(number, found[0]):
            yield found[0]
        pair = values.pair(number)
        if pair is None:
            return
        for x, y in (pair, pair[::-1]):
            grows = key == "multiply" and lookup[y].lo >= 1.0 and lookup[x].lo >= 0.0
            if grows or key == "maximum" or (key == "add" and lookup[y].lo >= 0.0):
                yield x


_RULES: Final = {
    "subtract": Relations._subtract,
    "add": Relations._add,
    "divide": Relations._divide,
    "div": Relations._divide,
    "divide_no_nan": Relations._divide,
    "multiply": Relations._multiply,
    "square": Relations._square,
    SUM: Relations._sum,
    "matmul": Relations._product,
    "trace": Relations._trace,
    **dict.fromkeys(sorted(_NORMS), Relations._norm),
    "dot": Relations._product,
    MEAN: Relations._mean,
    LARGEST: Relations._greatest,
    LEAST: Relations._least,
}
