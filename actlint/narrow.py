"""What a condition says of the values that it compares, and of those they are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isinf, sqrt
from typing import Final

from actlint.interval import (
    BOOL,
    EPS,
    MAX,
    ONE,
    TINY,
    TOP,
    ZERO,
    Interval,
    between,
    next_down,
    next_up,
    round_down,
    round_up,
)
from actlint.values import Values

# Alternatives that one condition may split into, and steps back from a compared value.
_SPLIT: Final = 4
_STEPS: Final = 6

_NEGATED: Final = {
    "greater": "less_equal",
    "greater_equal": "less",
    "less": "greater_equal",
    "less_equal": "greater",
}
_IS_NAN: Final = frozenset({"is_nan", "isnan"})
_IS_INF: Final = frozenset({"is_inf", "isinf"})
_IS_FINITE: Final = frozenset({"is_finite", "isfinite"})


@dataclass(slots=True)
class Fact:
    """One alternative: intervals by value number, and pairs (a, b) with a < b."""

    intervals: dict[int, Interval] = field(default_factory=dict)
    orders: frozenset[tuple[int, int]] = frozenset()

    def both(self, other: Fact) -> Fact | None:
        """Return what holds if both hold; None if they contradict each other."""
        merged = dict(self.intervals)
        for number, interval in other.intervals.items():
            known = merged.get(number)
            common = interval if known is None else meet(known, interval)
            if common is None:
                return None
            merged[number] = common
        return Fact(merged, self.orders | other.orders)


def meet(outer: Interval, inner: Interval) -> Interval | None:
    """Return what two bounds of one value have in common; None if no number and no nan fits.

    A value that can only be nan has no interval of its own: `outer` then stands for it.
    """
    common = outer.meet(inner)
    if common is None and outer.nan and inner.nan:
        return outer
    return common


def _numbers(lo: float, hi: float, *, nan: bool = False) -> Interval | None:
    return between(lo, hi, nan=nan)


class Narrowing:
    """Reads conditions of one graph."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def alternatives(
        self, condition: int, lookup: Mapping[int, Interval], *, truth: bool
    ) -> tuple[Fact, ...]:
        """Return what holds where the value `condition` is `truth`, as alternatives.

        No alternative at all means that the condition is never `truth` there.
        """
        return tuple(self._read(condition, lookup, truth, _STEPS))

    def _read(
        self, condition: int, lookup: Mapping[int, Interval], truth: bool, steps: int
    ) -> list[Fact]:
        known = lookup[condition]
        if known.is_point and (known.lo != 0.0) != truth:
            return []
        itself = Fact({condition: ONE if truth else ZERO} if known.within(0.0, 1.0) else {})
        if steps == 0:
            return [itself]
        found = self._meaning(condition, lookup, truth, steps - 1)
        if found is None:
            return [itself]
        merged = [itself.both(fact) for fact in found]
        return [fact for fact in merged if fact is not None]

    def _meaning(
        self, condition: int, lookup: Mapping[int, Interval], truth: bool, steps: int
    ) -> list[Fact] | None:
        """Return the alternatives, or None if the condition says nothing that we can use."""
        key = self._values.key(condition)
        first = self._values.first(condition)
        pair = self._values.pair(condition)
        if first is None:
            return None
        if key == "logical_not":
            return self._read(first, lookup, not truth, steps)
        if pair is not None and key in ("logical_and", "logical_or"):
            sides = [self._read(side, lookup, truth, steps) for side in pair]
            if (key == "logical_and") == truth:
                return _conjunction(sides[0], sides[1])
            return _limited([*sides[0], *sides[1]])
        if (key == "reduce_all" and truth) or (key == "reduce_any" and not truth):
            return self._read(first, lookup, truth, steps)
        if pair is not None and key in _NEGATED:
            return self._compare(key if truth else _NEGATED[key], pair, lookup, nan=not truth)
        if pair is not None and key in ("equal", "not_equal"):
            return self._equate(pair, lookup, same=(key == "equal") == truth)
        if key == "cast":  # to bool: true where the number is not 0
            return self._apart(first, 0.0, lookup) if truth else self._place(first, ZERO, lookup)
        return self._classify(key, first, lookup, truth)

    def _classify(
        self, key: str, first: int, lookup: Mapping[int, Interval], truth: bool
    ) -> list[Fact] | None:
        outer = lookup[first]
        if key in _IS_NAN:
            numbers = outer.without_nan()
            return [Fact({first: outer})] if truth else [Fact({first: numbers})]
        if key in _IS_FINITE and truth:
            return self._place(first, Interval(-MAX, MAX), lookup)
        if key in _IS_INF and not truth:
            return self._place(first, Interval(-MAX, MAX, nan=True), lookup)
        return None

    def _compare(
        self, key: str, pair: tuple[int, int], lookup: Mapping[int, Interval], *, nan: bool
    ) -> list[Fact]:
        """Read `x key y`; with `nan`, the comparison failed and nan is possible too."""
        x, y = pair
        if key in ("greater", "greater_equal"):
            x, y = y, x  # now x < y, or x <= y
        strict = key in ("greater", "less")
        low, high = lookup[x], lookup[y]
        top = next_down(high.hi) if strict else high.hi
        bottom = next_up(low.lo) if strict else low.lo
        if high.nan and nan:
            top = inf
        if low.nan and nan:
            bottom = -inf
        below = _numbers(-inf, top, nan=nan and low.nan)
        above = _numbers(bottom, inf, nan=nan and high.nan)
        if below is None or above is None:
            return []
        found = _conjunction(self._place(x, below, lookup), self._place(y, above, lookup))
        if strict and not nan:
            for fact in found:
                fact.orders |= {(x, y)}
        return found

    def _equate(
        self, pair: tuple[int, int], lookup: Mapping[int, Interval], *, same: bool
    ) -> list[Fact]:
        x, y = pair
        left, right = lookup[x], lookup[y]
        if same:
            return _conjunction(
                self._place(x, right.without_nan(), lookup),
                self._place(y, left.without_nan(), lookup),
            )
        if right.is_point:
            return self._apart(x, right.lo, lookup)
        if left.is_point:
            return self._apart(y, left.lo, lookup)
        if left.nan or right.nan:
            return [Fact()]
        return [Fact(orders=frozenset({(x, y)})), Fact(orders=frozenset({(y, x)}))]

    def _apart(self, number: int, hole: float, lookup: Mapping[int, Interval]) -> list[Fact]:
        """Read `number != hole`: two sides, each without the hole; nan is apart from it too."""
        nan = lookup[number].nan
        sides = (
            Interval(-inf, next_down(hole), nan),
            Interval(next_up(hole), inf, nan),
        )
        return _limited([fact for side in sides for fact in self._place(number, side, lookup)])

    # ---- from a result back to its operands ------------------------------------------------

    def _place(
        self, number: int, interval: Interval, lookup: Mapping[int, Interval], steps: int = _STEPS
    ) -> list[Fact]:
        """Return what `number` lying in `interval` says of it and of its operands."""
        outer = lookup[number]
        inner = meet(outer, interval)
        if inner is None:
            return []
        if number < 0 or inner == outer:
            return [Fact()]
        if inner.is_point and outer == BOOL and steps > 0:
            return self._read(number, lookup, truth=inner.lo == 1.0, steps=steps - 1)
        itself = Fact({number: inner})
        if steps == 0 or inner.nan:
            return [itself]
        back = self._back(number, inner, lookup)
        if back is None:
            return [itself]
        found = [
            fact
            for operand, side in back
            for deeper in self._place(operand, side, lookup, steps - 1)
            if (fact := itself.both(deeper)) is not None
        ]
        return found if len(found) <= _SPLIT else [itself]

    def _back(
        self, number: int, inner: Interval, lookup: Mapping[int, Interval]
    ) -> tuple[tuple[int, Interval], ...] | None:
        """Return alternatives (operand, interval) that `number` in `inner` leaves, or None."""
        key = self._values.key(number)
        first = self._values.first(number)
        pair = self._values.pair(number)
        if first is None:
            return None
        if key == "negative":
            return ((first, inner.neg()),)
        if key == "abs":
            return _sides(first, max(inner.lo, 0.0), inner.hi)
        if key == "square":
            least = 0.0 if inner.lo <= 0.0 else max(_down(sqrt(inner.lo)), TINY)
            return _sides(first, least, _up(sqrt(inner.hi)) if inner.hi < inf else inf)
        if key in ("relu", "sqrt") and inner.lo > 0.0:
            return ((first, Interval(inner.lo if key == "relu" else TINY, inf)),)
        if pair is None:
            return None
        x, y = pair
        left, right = lookup[x], lookup[y]
        if key in ("add", "subtract") and right.is_point and right.is_finite:
            shift = right.lo if key == "subtract" else -right.lo
            return ((x, _shifted(inner, shift)),)
        if key in ("add", "subtract") and left.is_point and left.is_finite:
            if key == "add":
                return ((y, _shifted(inner, -left.lo)),)
            return ((y, _shifted(inner.neg(), left.lo)),)
        if key in ("multiply", "divide") and right.is_point and _is_factor(right.lo):
            return ((x, _scaled(inner, 1.0 / right.lo if key == "multiply" else right.lo)),)
        if key == "multiply" and left.is_point and _is_factor(left.lo):
            return ((y, _scaled(inner, 1.0 / left.lo)),)
        return None


def _is_factor(value: float) -> bool:
    return 1e-18 < abs(value) < 1e18


def _down(value: float) -> float:
    return value if isinf(value) else round_down(value - abs(value) * 4 * EPS)


def _up(value: float) -> float:
    return value if isinf(value) else round_up(value + abs(value) * 4 * EPS)


def _sides(operand: int, lo: float, hi: float) -> tuple[tuple[int, Interval], ...]:
    if lo <= 0.0:
        return ((operand, Interval(-hi, hi)),)
    return ((operand, Interval(lo, hi)), (operand, Interval(-hi, -lo)))


def _shifted(inner: Interval, shift: float) -> Interval:
    """Return the x with fl(x - shift) in `inner`: an end at 0 is exact, others get their error.

    fl(x - c) > 0 holds just where x > c, because float32 subtraction of unequal numbers is 0
    only if the difference is denormal.
    """
    error = 2 * EPS * abs(shift)
    lo, hi = inner.lo, inner.hi
    low = shift if lo == 0.0 else _down(lo + shift - error)
    high = shift if hi == 0.0 else _up(hi + shift + error)
    if lo == TINY:
        low = next_up(shift)
    if hi == -TINY:
        high = next_down(shift)
    return Interval(low, max(low, high)) if low <= high else TOP


def _scaled(inner: Interval, factor: float) -> Interval:
    ends = sorted((inner.lo * factor, inner.hi * factor))
    lo, hi = _down(ends[0]), _up(ends[1])
    positive = inner.lo > 0.0 or inner.hi < 0.0  # 0 is left out, before and after scaling
    if positive and lo <= 0.0 < hi:
        lo = TINY
    if positive and lo < 0.0 <= hi:
        hi = -TINY
    return Interval(lo, hi)


def _conjunction(left: Iterable[Fact], right: Iterable[Fact]) -> list[Fact]:
    first, second = list(left), list(right)
    if len(first) * len(second) > _SPLIT:
        if len(second) <= len(first):
            return second
        return first
    found = [a.both(b) for a in first for b in second]
    return [fact for fact in found if fact is not None]


def _limited(facts: list[Fact]) -> list[Fact]:
    return facts if len(facts) <= _SPLIT else [Fact()]
