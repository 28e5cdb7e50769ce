"""Reductions that line up with what they reduce, and the elements that they surely leave.

Subtracting the largest element of a row leaves an exact 0 there, whose exponential is an exact 1,
so that the sum over the row is at least 1: the fact that makes a shifted softmax safe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import INF, MAX_ELEMENTS, ONE, ZERO, Interval, round_down
from actlint.ops.model import Bound
from actlint.values import Values, is_elementwise

# Ops that rearrange or repeat their operand so that broadcasting meets it with the original.
BROADCAST: Final = frozenset(
    {"expand_dims", "keras_expand_dims", "reshape", "broadcast_to", "tile", "repeat"}
)
SUM: Final = "reduce_sum"
MEAN: Final = "reduce_mean"
LARGEST: Final = "reduce_max"
LEAST: Final = "reduce_min"
SOFTMAX: Final = frozenset({"softmax"})
UNKNOWN: Final = ("unknown",)
# Ops of x and its extreme that give an exact 0, or an exact 1, where the extreme is.
_MEETING: Final = frozenset({"subtract", "equal", "greater_equal", "less_equal"})

# The axes of a reduction: None for all of them.
Axes = tuple[int | str, ...] | None


def axes_of(value: Arg) -> Axes:
    """Return the axes that a static operand names, sorted; unknown ones equal nothing."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, Items):
        found = [item for item in value.items if isinstance(item, int)]
        if len(found) == len(value.items):
            return tuple(sorted(found))
    return UNKNOWN


def _same_axis(first: Axes, second: Axes) -> bool:
    """Compare axes; 1 and -1 name the same axis of the matrices that losses reduce."""
    if first == second:
        return True
    return {first, second} == {(1,), (-1,)}


def reduced(values: Values, number: int, keys: Collection[str]) -> tuple[int, Axes] | None:
    """Return (x, axes) if `number` is a reduction of x that lines up with x again."""
    spread: Axes = ()
    while values.key(number) in BROADCAST:
        spread = axes_of(values.statics[number].get("axis"))
        inner = values.first(number)
        if inner is None:
            return None
        number = inner
    if values.key(number) not in keys:
        return None
    operand = values.first(number)
    statics = values.statics[number]
    axes = axes_of(statics.get("axis"))
    if operand is None or axes == UNKNOWN:
        return None
    kept = statics.get("keepdims") is True
    if axes is None or kept or (spread != () and _same_axis(axes, spread)):
        return operand, axes
    return None


def _left(known: Axes, axes: Axes, *, kept: bool) -> Axes:
    """Return where axes are, counted from the end, once others are reduced; None if they meet."""
    if known is None or axes is None or not all(isinstance(a, int) and a < 0 for a in known):
        return None
    if axes == (0,):
        # Of rows there are several: the first axis is another one than the last.
        return known if known == (-1,) else None
    numbers = [axis for axis in axes if isinstance(axis, int)]
    if set(numbers) & set(known) or any(axis >= 0 for axis in numbers):
        return None
    gone = 0 if kept else 1
    return tuple(
        each + gone * sum(axis > each for axis in numbers)
        for each in known
        if isinstance(each, int)
    )


class Attained:
    """What each value of one graph surely attains along some axes, by value number."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._known: dict[int, tuple[Axes, Interval]] = {}

    def note(self, index: int, base: Mapping[int, Interval]) -> None:
        """Note what node `index` attains; its operands were noted before it."""
        fact = self._find(index, base)
        if fact is not None:
            self._known[index] = fact

    def along(self, number: int, axes: Axes) -> Interval | None:
        """Return an interval in which some element of each slice along `axes` surely lies."""
        fact = self._known.get(number)
        if fact is None or axes == UNKNOWN:
            return None
        # Each larger slice holds several of those that are known.
        held = axes is None or (fact[0] is not None and set(fact[0]) <= set(axes))
        return fact[1] if held else None

    def _find(self, index: int, base: Mapping[int, Interval]) -> tuple[Axes, Interval] | None:
        values = self._values
        key = values.key(index)
        if key in SOFTMAX:
            axes = axes_of(values.statics[index].get("axis", -1))
            return axes, Interval(round_down(1.0 / MAX_ELEMENTS), 1.0)
        pair = values.pair(index)
        if key in _MEETING and pair is not None:
            for whole, part in (pair, pair[::-1]):
                found = reduced(values, part, (LARGEST, LEAST))
                if found is None or found[0] != whole or base[whole].nan:
                    continue
                return found[1], ZERO if key == "subtract" else ONE
        if not self._known:
            return None
        if key in (SUM, MEAN):
            return self._summed(index, base)
        if key == "transpose":
            return self._transposed(index)
        if key == "matmul":
            return self._multiplied(index, base)
        return self._carried(index, base)

    def _summed(self, index: int, base: Mapping[int, Interval]) -> tuple[Axes, Interval] | None:
        """Carry the fact of what is not negative through a sum or mean over other axes."""
        values = self._values
        operand = values.first(index)
        fact = None if operand is None else self._known.get(operand)
        axes = axes_of(values.statics[index].get("axis"))
        if fact is None or operand is None or axes in (None, UNKNOWN) or base[operand].lo < 0.0:
            return None
        kept = values.statics[index].get("keepdims") is True
        rest = _left(fact[0], axes, kept=kept)
        if rest is None or fact[1].lo <= 0.0:
            return None
        least = fact[1].lo if values.key(index) == SUM else fact[1].lo / MAX_ELEMENTS
        return rest, Interval(round_down(least), INF)

    def _transposed(self, index: int) -> tuple[Axes, Interval] | None:
        """Carry a fact along the last axis of a matrix, or of several."""
        operand = self._values.first(index)
        fact = None if operand is None else self._known.get(operand)
        if fact is None or fact[0] not in ((-1,), (-2,)):
            return None
        perm = self._values.statics[index].get("perm")
        axis = -1 if fact[0] == (-1,) else -2
        if perm is None:
            return (-3 - axis,), fact[1]
        order = [n for n in perm.items if isinstance(n, int)] if isinstance(perm, Items) else []
        rank = len(order)
        if rank < 2 or sorted(order) != list(range(rank)):
            return None
        return (order.index(rank + axis) - rank,), fact[1]

    def _multiplied(self, index: int, base: Mapping[int, Interval]) -> tuple[Axes, Interval] | None:
        """Tell that a product of matrices is not all zeros: no term of it is negative.

        Of what a column of the left one and the row of the right one for it attain, some element
        holds the product.
        """
        values = self._values
        statics, operands = values.statics[index], values.operands[index]
        attained: list[float] = []
        for name, flag, axis in (("a", "transpose_a", -2), ("b", "transpose_b", -1)):
            operand = operands.get(name)
            fact = None if operand is None else self._known.get(operand)
            turned = statics.get(flag) is True
            if fact is None or operand is None or base[operand].lo < 0.0:
                return None
            if fact[0] != ((-3 - axis,) if turned else (axis,)) or fact[1].lo <= 0.0:
                return None
            attained.append(fact[1].lo)
        return (-2, -1), Interval(round_down(attained[0] * attained[1]), INF)

    def _carried(self, index: int, base: Mapping[int, Interval]) -> tuple[Axes, Interval] | None:
        """Carry an operand's fact through an elementwise op."""
        values = self._values
        op = values.rows[index]
        if op is None or op.transfer is None or not is_elementwise(op):
            return None
        for name, operand in values.operands[index].items():
            fact = self._known.get(operand)
            if fact is None:
                continue
            bound = values.bound(index, base)
            intervals = {**bound.intervals, name: fact[1]}
            try:
                result = op.transfer(Bound(intervals, bound.statics, bound.items))
            except KeyError:  # an operand that the call does not give
                return None
            return fact[0], result.without_nan()
        return None
