"""What has to coincide: which numbers of a witness must be exact, and how many at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actlint.findings import Reach, Relation, Suspect, Target
from actlint.graph import InputRole
from actlint.worker import aim, samples
from actlint.worker.bench import Bench
from actlint.worker.blame import Case, shows
from actlint.worker.inputs import Encoding, Slot
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array, Feeds, Sample

# Encodings whose numbers training moves by little steps; those of others stand for classes.
_MOVING = frozenset({Encoding.REAL, Encoding.UNIT, Encoding.PARAMETER})
# Parts into which exact numbers are divided at last, to see which of them matter.
_MAX_PARTS = 4
# Displacements in terms of the larger of 1 and the input's magnitude. One is far below what a
# ReLU or a margin needs to switch, the other far above rounding. No two elements move alike, so
# that sums and differences change, too.
_LEAST, _MOST = 2.0**-7, 2.0**-6
_UP_AND_DOWN = 0
# Draws of numbers that several inputs are given alike.
_DRAWS = 4


def measured(bench: Bench, suspect: Suspect, case: Case) -> dict[str, str | float]:
    """Return what has to coincide for a hazard at exact points, as entries of evidence.detail.

    Nothing where numbers near the witness do as well, and of far points, which training drives
    to. Else ``exact`` names the inputs that must be exact, separated by blanks; ``at_once`` says
    how many numbers, or parts of many, must be; ``relation`` how they stand to each other; ``at``
    is the number that all of them are, if there is one; ``saturated`` is 1 where all that training
    moves is at limits, ``whole`` where all samples of a batch must be so, and ``part`` where some
    elements of each sample need not.

    Args:
        bench: the job.
        suspect: where the hazard starts.
        case: a batch that shows it.
    """
    sample = case.trace.sample
    if sample.reach is Reach.EXTENDED or sample.label == "typical":
        return {}
    needed = bench.lab.ancestors(bench.job.output)
    slots = [
        slot for slot in case.template.slots
        if slot.id in needed and sample.feeds[slot.id].size and _is_compared(slot)
    ]  # fmt: skip
    point = _Point(
        bench, suspect.node, case, samples.generator(bench.job, 11), dict(sample.feeds), {}
    )
    counts = {slot.id: point.loosen(slot) for slot in slots}
    exact = [slot for slot in slots if counts[slot.id]]
    if not exact:
        return {}
    given = [slot for slot in case.template.slots if slot.id in needed and point.decides(slot)]
    relation = _relation(point, suspect.targets, [*exact, *given])
    if relation is Relation.EQUAL:
        exact += given
    elif given:
        relation = _relation(point, suspect.targets, exact)
    moving = [slot for slot in exact if slot.encoding in _MOVING]
    kept = {slot.id: sample.feeds[slot.id][point.exact[slot.id]] for slot in exact}
    saturated = bool(moving) and all(_saturated(slot, kept[slot.id]) for slot in moving)
    numbers = {float(number) for value in kept.values() for number in value.reshape(-1)}
    at_once = 1 if relation is Relation.CROSSING else max(counts.values())
    return {
        "exact": " ".join(slot.spec.name for slot in exact),
        "at_once": float(at_once),
        "relation": relation.value,
        **({"at": numbers.pop()} if len(numbers) == 1 else {}),
        **({"saturated": 1.0} if saturated else {}),
        **({"whole": 1.0} if _whole(point, exact) else {}),
        **({"part": 1.0} if not all(point.exact[slot.id].all() for slot in exact) else {}),
    }


@dataclass(slots=True)
class _Point:
    """A batch that shows a hazard, and which of its numbers have to stay for that."""

    bench: Bench
    node: int
    case: Case
    rng: np.random.Generator
    feeds: Feeds  # the batch, of which more and more is moved
    exact: dict[int, Array]  # for each input that was loosened, which elements have to stay

    def run(self, feeds: Mapping[int, Array]) -> Trace | None:
        sample = self.case.trace.sample
        return self.bench.run(Sample({**self.feeds, **feeds}, sample.reach, ""))

    def still(self, feeds: Mapping[int, Array]) -> bool:
        return shows(self.bench.lab, self.node, self.run(feeds))

    def displaced(self, slot: Slot, sign: int, where: Array) -> Array:
        """Return an input with some elements moved: up, down, or some up and some down."""
        value = self.feeds[slot.id]
        if not floating(value):
            amount = np.full(value.shape, sign or 1)
        else:
            amount = self.rng.uniform(_LEAST, _MOST, value.shape) * np.maximum(1.0, np.abs(value))
            amount *= self.rng.choice([-1.0, 1.0], value.shape) if sign == _UP_AND_DOWN else sign
        moved = samples.clip(value + amount, slot)
        # At a limit there is one way only.
        moved = np.where(moved == value, value - amount, moved)
        return np.asarray(np.where(where, moved, value), slot.dtype)

    def loosen(self, slot: Slot) -> int:
        """Move what can be moved of an input, and return how many parts of it must stay exact."""
        left = np.ones(self.feeds[slot.id].shape, bool)
        parts = 1
        while left.any():
            pieces = np.array_split(np.flatnonzero(left), parts)
            held = sum(not self._moved(slot, left, piece) for piece in pieces)
            limit = min(int(left.sum()), _MAX_PARTS)
            if held == len(pieces):
                if parts >= limit:
                    break
                parts *= 2
            parts = min(parts, limit)
        self.exact[slot.id] = left
        return min(parts, int(left.sum()))

    def decides(self, slot: Slot) -> bool:
        """Tell whether a hyperparameter ends the hazard when it is another number."""
        if slot.spec.role is not InputRole.PARAMETER or not floating(self.feeds[slot.id]):
            return False
        self.exact[slot.id] = np.ones((), bool)
        run = self.run({slot.id: self.displaced(slot, 1, self.exact[slot.id])})
        return run is not None and not shows(self.bench.lab, self.node, run)

    def _moved(self, slot: Slot, left: Array, piece: Array) -> bool:
        """Move some elements for good, if that can be; they are not among those left, then."""
        where = np.zeros(left.size, bool)
        where[piece] = True
        whole = piece.size == left.size
        for sign in (1, -1, _UP_AND_DOWN) if whole else (1, -1):
            moved = self.displaced(slot, sign, where.reshape(left.shape))
            if self.still({slot.id: moved}):
                self.feeds[slot.id] = moved
                left.reshape(-1)[piece] = False
                return True
        return False


def _is_compared(slot: Slot) -> bool:
    """Tell whether an input is a number that others are compared with.

    Class ids select, hyperparameters are chosen; a single number may also be an unknown result.
    """
    return slot.encoding is not Encoding.CLASS and slot.spec.role is not InputRole.PARAMETER


def _saturated(slot: Slot, value: Array) -> bool:
    """Tell whether all numbers lie at limits, where activations that saturate bring them."""
    return bool(((value == slot.spec.lo) | (value == slot.spec.hi)).all())


def _relation(point: _Point, targets: Sequence[Target], exact: Sequence[Slot]) -> Relation:
    """Return how the exact numbers stand to each other."""
    if sum(int(point.exact[slot.id].sum()) for slot in exact) == 1:
        return Relation.ALONE
    if _crosses(point, targets, exact):
        return Relation.CROSSING
    if any(point.still(feeds) for feeds in _alike(point, exact)):
        return Relation.EQUAL
    return Relation.ALONE


def _alike(point: _Point, exact: Sequence[Slot]) -> Iterator[Feeds]:
    """Yield other values that keep equal what is equal.

    First all exact elements move by one number; then inputs of one shape are replaced by the same
    numbers, several times, since functions of equal numbers may round differently.
    """
    floats = all(floating(point.feeds[slot.id]) for slot in exact)
    step = _MOST if floats else 1.0
    yield {slot.id: _shifted(point, slot, point.exact[slot.id], step) for slot in exact}
    first = point.feeds[exact[0].id]
    if len(exact) > 1 and floats and all(point.feeds[s.id].shape == first.shape for s in exact):
        for _ in range(_DRAWS):
            drawn = point.displaced(exact[0], _UP_AND_DOWN, np.ones(first.shape, bool))
            yield {slot.id: samples.clip(drawn, slot) for slot in exact}


def _shifted(point: _Point, slot: Slot, where: Array, step: float) -> Array:
    """Return an input with elements moved by one number, downwards at an upper limit."""
    value = point.feeds[slot.id]
    moved = value + np.where(value == slot.spec.hi, -step, step)
    return np.asarray(np.where(where, moved, value), slot.dtype)


def _crosses(point: _Point, targets: Sequence[Target], exact: Sequence[Slot]) -> bool:
    """Tell whether a target lies between the values on both sides of the point."""
    at = point.run({})
    for target in targets:
        if at is None or target.vector or target.node not in at.values or target.lo != target.hi:
            continue
        here = at.values[target.node]
        met = aim.inside(here, target)
        if not met.any():
            continue
        below = above = False
        for slot in exact:
            for sign in (1, -1):
                run = point.run({slot.id: point.displaced(slot, sign, point.exact[slot.id])})
                found = None if run is None else run.values.get(target.node)
                if found is not None and found.shape == here.shape:
                    below |= bool((found[met] < target.lo).any())
                    above |= bool((found[met] > target.hi).any())
        return below and above
    return False


def _whole(point: _Point, exact: Sequence[Slot]) -> bool:
    """Tell whether samples that are not exact, beside others that are, end the hazard."""
    free = {
        slot.id for slot in point.case.template.slots
        if slot.shape[:1] == (None,) and point.feeds[slot.id].ndim
    }  # fmt: skip
    if not all(slot.id in free for slot in exact):
        return False
    feeds = {key: np.concatenate([point.feeds[key]] * 2, axis=0) for key in free}
    for slot in exact:
        other = point.displaced(slot, 1, point.exact[slot.id])
        feeds[slot.id] = np.concatenate([point.feeds[slot.id], other], axis=0)
    run = point.run(feeds)
    return run is not None and not shows(point.bench.lab, point.node, run)
