"""Solve for a singular point: inputs at which a node takes a value in a target interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from actlint.findings import Reach, Target
from actlint.worker import samples
from actlint.worker.bench import Bench, Line
from actlint.worker.inputs import BATCH, Encoding, Slot
from actlint.worker.samples import Array, Feeds, Sample

# Parts into which a bracket is cut per call; float32 has 2**32 numbers, so seven calls suffice.
_PARTS = 64
_ROUNDS = 7
# Neighbouring floats on either side of a root that are tried through TensorFlow itself.
_NEIGHBOURS = 64
_MAX_BRACKETS = 8
_MAX_SOLUTIONS = 8
_NEWTON_STEPS = 10
# A step that leaves more than this share of the distance does not converge.
_PROGRESS = 0.9


def inside(value: Array, target: Target) -> Array:
    """Return where a value lies in the target; nan never does."""
    return np.asarray((value >= target.lo) & (value <= target.hi))


def reached(value: Array | None, target: Target) -> bool:
    """Return True if a node's value meets the target.

    A vector target is met if all elements along the last axis do so in some row.
    """
    if value is None or value.size == 0:
        return False
    if target.vector == "zero-vector":
        return bool(inside(np.atleast_1d(value), target).all(-1).any())
    if target.vector == "constant-vector":
        rows = np.atleast_1d(value)
        return bool((rows == rows[..., :1]).all(-1).any())
    return bool(inside(value, target).any())


# ---- elementwise nodes -----------------------------------------------------------------------


def solve(bench: Bench, line: Line, target: Target) -> Feeds:
    """Return flat points at which an elementwise node comes into the target, or next to it."""
    program = bench.lab.upto(target.node)

    def value_at(points: Feeds) -> Array:
        count = next(iter(points.values())).size
        made = bench.lab.values(line.sample(points).feeds, program)[target.node]
        found = made.reshape(-1)[:count] if made.size != 1 else np.broadcast_to(made, (count,))
        return np.asarray(found, np.float64)

    rng = samples.generator(bench.job, 5)
    solutions: list[Feeds] = []
    scans = [slot for slot in line.slots if slot.spec.differentiated] or list(line.slots)
    for slot in scans:
        grid = samples.line(slot, bench.constants, 301)
        if not grid.size:
            continue
        for setting in bench.settings(line, slot, rng):
            scan = partial(_held, line, slot, setting)
            roots = _roots(grid, partial(_composed, value_at, scan), target, slot)
            if roots.size:
                solutions.append(scan(roots))
    if not solutions:
        return {slot.id: np.zeros(0, np.float32) for slot in line.slots}
    return {slot.id: np.concatenate([found[slot.id] for found in solutions]) for slot in line.slots}


def _held(line: Line, slot: Slot, setting: dict[int, float], values: Array) -> Feeds:
    """Return points at which one input takes `values` and the others stay."""
    return {
        other.id: values if other is slot else np.full(values.size, setting[other.id], np.float32)
        for other in line.slots
    }


def _composed(
    outer: Callable[[Feeds], Array], inner: Callable[[Array], Feeds], values: Array
) -> Array:
    return outer(inner(values))


def _roots(grid: Array, function: Callable[[Array], Array], target: Target, slot: Slot) -> Array:
    """Return inputs in or next to the target, found from the grid by repeated division."""
    values = function(grid)
    hits = grid[inside(values, target)]
    if hits.size:
        # The simplest ones stand for the rest.
        picked = hits[np.argsort(np.abs(hits), kind="stable")][:_MAX_SOLUTIONS]
        # Adding 0 turns -0 into 0.
        return np.asarray(np.unique(np.concatenate([picked, hits[:1], hits[-1:]])) + np.float32(0))
    goal = target.lo if np.isfinite(target.lo) else target.hi
    if not np.isfinite(goal):
        return grid[:0]
    off = values - goal
    ranks = samples.ordered(grid)
    crossing = np.flatnonzero(off[:-1] * off[1:] < 0.0)
    size = np.abs(off)
    dip = 1 + np.flatnonzero((size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:]))
    starts = [(ranks[at], ranks[at + 1]) for at in crossing[:_MAX_BRACKETS]]
    if not starts:
        dip = dip[np.argsort(size[dip], kind="stable")][:2]
        starts = [(ranks[at - 1], ranks[at + 1]) for at in dip]
    if not starts:
        return grid[:0]
    low, high = (np.array(side, np.int64) for side in zip(*starts, strict=True))
    for _ in range(_ROUNDS):
        if int((high - low).max()) <= 1:
            break
        low, high = _narrow(low, high, function, goal, crosses=bool(crossing.size))
    near = low[:, None] + np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    around = samples.unordered(np.unique(near))
    around = around[samples.allowed(around, slot)]
    met = around[inside(function(around), target)] if around.size else around
    ends = samples.clip(samples.unordered(np.concatenate([low, high])), slot)
    return np.unique(np.concatenate([met[: _MAX_SOLUTIONS * 4], ends]))


def _narrow(
    low: Array, high: Array, function: Callable[[Array], Array], goal: float, *, crosses: bool
) -> tuple[Array, Array]:
    """Return each bracket cut down to the part that holds the root or the least distance."""
    steps = np.arange(_PARTS + 1)
    cuts = low[:, None] + (high - low)[:, None] * steps // _PARTS
    off = function(samples.unordered(cuts.reshape(-1))).reshape(cuts.shape) - goal
    off = np.where(np.isnan(off), np.inf, off)
    if crosses:
        signs = off[:, :-1] * off[:, 1:] <= 0.0
        part = np.where(signs.any(1), signs.argmax(1), np.abs(off).argmin(1).clip(0, _PARTS - 1))
        first, last = part, part + 1
    else:
        part = np.abs(off).argmin(1)
        first, last = np.maximum(part - 1, 0), np.minimum(part + 1, _PARTS)
    take = np.arange(low.size)
    return cuts[take, first], cuts[take, last]


# ---- nodes that mix elements -----------------------------------------------------------------


def placed(bench: Bench, index: int, line: Line, target: Target) -> Iterator[Sample]:
    """Yield batches in which one element of the inputs solves an elementwise target."""
    template = bench.templates[index]
    rng = samples.generator(bench.job, 6)
    base = {slot.id: samples.typical(slot, rng, 1) for slot in template.slots}
    found = solve(bench, line, target)
    count = next(iter(found.values())).size
    moved = [slot for slot in line.slots if slot.spec.differentiated]
    order = sorted(
        range(count), key=lambda at: sum(simplicity(float(found[s.id][at])) for s in moved)
    )
    for at in order[: 2 * _MAX_SOLUTIONS]:
        match = np.ones(base[line.slots[0].id].size, bool)
        for slot in line.slots:
            if slot not in moved and slot.encoding is not Encoding.REAL:
                match &= base[slot.id].reshape(-1) == found[slot.id][at]
        if not match.any():
            continue
        feeds = {key: value.copy() for key, value in base.items()}
        place = int(match.argmax())
        for slot in line.slots:
            if slot in moved or slot.encoding is Encoding.REAL:
                feeds[slot.id].reshape(-1)[place] = found[slot.id][at]
        reaches = [samples.reach_of(slot, found[slot.id][at : at + 1]) for slot in moved]
        yield Sample(feeds, worst_reach(reaches), "aimed")


def simplicity(value: float) -> float:
    """Return a key that is smaller for numbers that are easier to read."""
    if value == 0.0:
        return 0.1 if np.signbit(value) else 0.0
    digits = len(f"{abs(value):.9g}".replace(".", "").strip("0").partition("e")[0])
    return digits + (0.5 if value < 0 else 0.0) + abs(math.log10(abs(value))) / 4.0


def worst_reach(reaches: list[Reach]) -> Reach:
    """Return the reach that is hardest to get to."""
    order = (Reach.EXTENDED, Reach.TYPICAL, Reach.STRUCTURAL)
    return next((reach for reach in order if reach in reaches), Reach.TYPICAL)


def searched(
    bench: Bench,
    index: int,
    target: Target,
    starts: tuple[Sample, ...],
    neighbours: int = _NEIGHBOURS,
) -> Iterator[Sample]:
    """Yield batches that bring a node which mixes elements into the target, by Newton steps.

    Args:
        bench: the job.
        index: which template.
        target: what to reach.
        starts: batches to start from.
        neighbours: floats tried on either side of a solution.
    """
    program = bench.lab.upto(target.node)
    needed = bench.lab.ancestors(target.node)
    template = bench.templates[index]
    slots = [
        slot for slot in template.differentiated if slot.id in needed and not slot.spec.integer
    ]
    watch = [slot.id for slot in slots]
    for begin in starts:
        feeds = dict(begin.feeds)
        search = _Search(target)
        for _ in range(_NEWTON_STEPS):
            start = Sample({key: v for key, v in feeds.items() if key in needed}, Reach.TYPICAL, "")
            found = bench.lab.pull(program, target.node, start, watch, search.weigh)
            moved = None if found is None else _step(feeds, found, slots, search.last)
            if moved is None:
                break
            feeds = moved
        wide = [samples.reach_of(slot, feeds[slot.id]) for slot in slots]
        yield Sample(feeds, worst_reach(wide), "aimed")
        yield from _nudged(feeds, slots, neighbours)


@dataclass(slots=True)
class _Search:
    """How far a search for a target has come."""

    target: Target
    last: float = math.inf  # distance after the last step

    def weigh(self, value: Array) -> Array | None:
        """Return the cotangent for the next step; None at the goal, or without progress."""
        if reached(value, self.target):
            return None
        distance, weights = _residual(value.astype(np.float64), self.target)
        if not abs(distance) <= _PROGRESS * abs(self.last):
            return None
        self.last = distance
        return weights.astype(np.float32)


def _residual(value: Array, target: Target) -> tuple[float, Array]:
    """Return how far the value is off, and the cotangent that points there."""
    if target.vector:
        centre = value.mean(-1, keepdims=True) if target.vector == "constant-vector" else 0.0
        # The first row is enough.
        off = value - centre
        if off.ndim >= 2:
            off[1:] = 0.0
        return float((off**2).sum() / 2.0), off
    goal = target.lo if np.isfinite(target.lo) else target.hi
    if not np.isfinite(goal):
        goal = 0.0
    off = np.where(np.isfinite(value), value - goal, np.inf)
    weights = np.zeros_like(value)
    place = np.unravel_index(int(np.abs(off).argmin()), off.shape) if off.ndim else ()
    weights[place] = 1.0
    return float(off[place]), weights


def _step(
    feeds: Feeds, gradients: dict[int, Array], slots: list[Slot], residual: float
) -> Feeds | None:
    """Return the inputs after one Newton step along the gradient, or None if there is none."""
    norm = sum(float((gradient.astype(np.float64) ** 2).sum()) for gradient in gradients.values())
    if not np.isfinite(norm) or norm == 0.0 or not np.isfinite(residual):
        return None
    moved = dict(feeds)
    for slot in slots:
        gradient = gradients.get(slot.id)
        if gradient is not None:
            moved[slot.id] = samples.clip(feeds[slot.id] - residual / norm * gradient, slot)
    return moved


def _nudged(feeds: Feeds, slots: list[Slot], neighbours: int) -> Iterator[Sample]:
    """Yield the batch with one element moved to neighbouring floats, one row per neighbour."""
    for slot in slots[:1]:
        value = feeds[slot.id]
        if value.ndim < 1 or slot.shape[:1] != (None,) or value.size == 0:
            continue
        rows = 2 * neighbours + 1
        nudged = {
            key: np.repeat(item[:1], rows, axis=0) if item.shape[:1] == (BATCH,) else item
            for key, item in feeds.items()
        }
        first = nudged[slot.id].reshape(rows, -1)
        ranks = samples.ordered(first[:, 0]) + np.arange(-neighbours, neighbours + 1)
        first[:, 0] = samples.clip(samples.unordered(ranks), slot)
        yield Sample(nudged, samples.reach_of(slot, first), "aimed")
