"""Constants that are meant to keep an argument away from a pole or cusp."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from actlint.query import Arg, Hit, Node, Remedy, Rewrite, Safety, Target, View

from ._common import ROOT, ancestors, shown

# The largest constant that is taken for a guard and not for a part of the formula.
LARGEST_GUARD = 1e-3
# IEEE 754 binary32: half the spacing at 1 is what lies between 1 and the number below it.
BELOW_ONE = 2.0**-24
ABOVE_ONE = 2.0**-23
TINY = 2.0**-126  # least normal number; TensorFlow flushes what is smaller to zero
# Epsilons that are tried in place of a lost one, ascending.
_BESIDE_ONE = (BELOW_ONE, 6e-8, 1e-7, ABOVE_ONE, 1e-6, 1e-5, 1e-4, 1e-3)
_BESIDE_ZERO = (TINY, 1e-30, 1e-20, 1e-15, 1e-12, 1e-10, 1e-7)
_SQUARED = 1e-12  # written under a root
# Constants that are looked at for one expression.
_MAX_TRIED = 8
_ADDITIVE = frozenset({"add", "subtract"})


@dataclass(frozen=True, slots=True)
class Guard:
    """A constant that is a whole number but for an epsilon, such as ``1 - 1e-10`` or ``1e-40``."""

    node: Node  # reads the constant, or is it
    name: str  # parameter of the node; "" if the node is the constant
    anchor: float  # the whole number
    epsilon: float  # signed

    @property
    def text(self) -> str:
        """The constant as people write it."""
        size = short(abs(self.epsilon))
        if self.anchor == 0.0:
            return size if self.epsilon > 0.0 else f"-{size}"
        return f"{self.anchor:.0f} {'-' if self.epsilon < 0.0 else '+'} {size}"


@dataclass(frozen=True, slots=True)
class Lost:
    """A guard without effect, and the least epsilon in its place that has one."""

    guard: Guard
    reason: str  # a main clause
    least: float


def single(value: float) -> float:
    """Return `value` as TensorFlow's float32 kernels see it; overflow as infinity."""
    try:
        (found,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return float("inf") if value > 0.0 else float("-inf")
    return 0.0 if abs(found) < TINY else float(found)


def short(value: float) -> str:
    """Return a small positive number in as few digits as tell it: ``1e-10``, ``6e-8``."""
    few = next(
        (text for digits in range(1, 4) if _close(float(text := f"{value:.{digits - 1}e}"), value)),
        f"{value:.2e}",
    )
    mantissa, _, exponent = few.partition("e")
    return f"{mantissa}e{int(exponent)}" if abs(int(exponent)) > 2 else f"{float(few):g}"


def _close(first: float, second: float) -> bool:
    # 1 - 1e-15 keeps three digits of its epsilon, because float64 ends there.
    return abs(first - second) <= 0.01 * second


def guards(view: View, node: Node) -> Iterator[Guard]:
    """Yield the small constants, and those next to whole numbers, that `node` is made with."""
    for source in ancestors(view, node.id):
        for name, value in (("", source.value), *source.args):
            if not isinstance(value, float):
                continue
            anchor = float(round(value)) if abs(value) < 1e6 else value
            epsilon = value - anchor
            if 0.0 < abs(epsilon) <= LARGEST_GUARD:
                yield Guard(source, name, anchor, epsilon)


def lost_guard(view: View, node: Node, hit: Hit) -> Lost | None:
    """Return the guard that float32 loses and that would keep `node` from `hit`, or None.

    Such a guard could be 0 as well, and with a larger epsilon the hit would be out of reach: both
    are tried on the graph itself.
    """
    tried = 0
    for guard in guards(view, hit.operand):
        rounded = single(guard.anchor + guard.epsilon) == guard.anchor
        additive = guard.anchor == 0.0 and guard.node.op in _ADDITIVE
        if not rounded and not additive:
            continue
        tried += 1
        if tried > _MAX_TRIED:
            break
        if not rounded and _reached(_with(view, guard, 0.0), node, hit) != hit.target:
            continue  # it has an effect
        ladder = _BESIDE_ZERO if rounded and guard.anchor == 0.0 else _BESIDE_ONE
        for epsilon in ladder:
            larger = _with(view, guard, epsilon if guard.epsilon > 0.0 else -epsilon)
            if epsilon > abs(guard.epsilon) and _reached(larger, node, hit) is None:
                return Lost(guard, _reason(guard, rounded=rounded), epsilon)
    return None


def _reason(guard: Guard, *, rounded: bool) -> str:
    if rounded:
        return f"{guard.text} is {guard.anchor:.0f} in float32"
    return f"{guard.text} is lost in {shown(guard.node)} beside values near 1"


def _reached(view: View, node: Node, hit: Hit) -> Target | None:
    """Return what `node` still meets of the region of `hit`, or None."""
    for other in view.hits(node):
        same = (other.region.lo, other.region.hi) == (hit.region.lo, hit.region.hi)
        if same and other.operand.id == hit.operand.id and not other.masked:
            return other.target
    return None


def _with(view: View, guard: Guard, epsilon: float) -> View:
    """Return the view of the graph in which the guard has another epsilon."""
    value: Arg = guard.anchor + epsilon
    source = guard.node
    if guard.name:
        args = tuple((name, value if name == guard.name else arg) for name, arg in source.args)
        changed = replace(source, args=args)
    else:
        changed = replace(source, value=value)
    return view.changed(changed)


# Epsilons that are written in place of a lost one; beside 0 those under roots are squared.
_WRITTEN = ("1e-7", "1e-6", "1e-5", "1e-4", "1e-3")


def larger_guards(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that gives every lost guard of `node` an epsilon that has an effect."""
    found: dict[tuple[int, str], Lost] = {}
    for hit in view.hits(node):
        lost = None if hit.masked else lost_guard(view, node, hit)
        if lost is not None:
            found.setdefault((lost.guard.node.id, lost.guard.name), lost)
    changes: list[Rewrite] = []
    for lost in found.values():
        guard = lost.guard
        value = guard.anchor + guard.epsilon
        epsilon = _written(node, lost)
        if epsilon is None or not guard.name:
            return
        if guard.anchor == 0.0:
            text = epsilon if guard.epsilon > 0.0 else f"-{epsilon}"
        else:
            text = f"{guard.anchor:.0f} {'-' if guard.epsilon < 0.0 else '+'} {epsilon}"
        changes.append(Rewrite(value, text, (), guard.node.id))
    if changes:
        yield Remedy(
            "Write an epsilon that float32 can hold",
            "values nearer to the bound than the new epsilon change",
            Safety.UNSAFE,
            tuple(changes),
        )


def _written(node: Node, lost: Lost) -> str | None:
    """Return the epsilon to write: the usual one, if it is large enough."""
    squared = lost.guard.anchor == 0.0 and node.op in ROOT and lost.least <= _SQUARED
    if squared:
        return f"{_SQUARED:g}".replace("e-0", "e-")
    return next((text for text in _WRITTEN if float(text) >= lost.least), None)
