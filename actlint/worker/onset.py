"""From where on: the least magnitude of its inputs at which a far witness still shows a hazard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from actlint.findings import Reach
from actlint.graph import TYPICAL_LIMIT
from actlint.worker import batches, witness
from actlint.worker.bench import Bench
from actlint.worker.blame import Case, shows
from actlint.worker.inputs import Encoding, Slot
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Feeds, Sample, allowed, clip

# Magnitudes are told to a tenth up to the first, in whole numbers beyond; bisecting a thousand
# takes ten runs, and a whole number's tenths four.
_TENTHS = 100.0
# By how much later than in eager mode a compiled one may break: their kernels round differently.
_LATER = 2


def nearest(bench: Bench, node: int, case: Case, modes: tuple[str, ...]) -> Case:
    """Return a far case with its largest inputs brought down to where the hazard sets in.

    Of several such inputs, all but the largest go to 0 if that one is enough. All elements beyond a
    limit are moved to it, and the limit is bisected. The hazard at the new point is of the same
    kind, and in the same modes; any other case is returned as it is. The modes, whose runs cost
    most, are asked at the end alone, there and at the numbers next to it.

    Args:
        bench: the job.
        node: where the hazard starts.
        case: a batch that shows it.
        modes: the compiled modes that show it as well.
    """
    sample = case.trace.sample
    far = [slot for slot in case.template.differentiated if _is_far(slot, sample)]
    if sample.reach is not Reach.EXTENDED or not far:
        return case
    hazard = witness.hazard_of(witness.ends(case.trace))
    kept = case.trace

    def still(feeds: Feeds) -> bool:
        nonlocal kept
        if not all(allowed(feeds[slot.id], slot).all() for slot in far):
            return False
        nearer = Sample({**sample.feeds, **feeds}, sample.reach, sample.label)
        trace = bench.run(nearer)
        if trace is None or witness.hazard_of(witness.ends(trace)) is not hazard:
            return False
        # Elements that were moved to the limit are equal there, which may break more than a size.
        if not shows(bench.lab, node, trace) or batches.broken_anyway(bench, case.template, trace):
            return False
        kept = trace
        return True

    largest = max(far, key=lambda slot: float(np.abs(sample.feeds[slot.id]).max()))
    if len(far) > 1:
        # What one input can do alone is told of it.
        quiet = {
            slot.id: sample.feeds[slot.id]
            if slot is largest
            else clip(np.zeros_like(sample.feeds[slot.id]), slot)
            for slot in far
        }
        if still(quiet):
            sample, far = kept.sample, [largest]

    def within(limit: float) -> bool:
        return still({slot.id: _limited(sample.feeds[slot.id], limit) for slot in far})

    high = int(np.ceil(np.abs(sample.feeds[largest.id]).max()))
    whole = _bisected(int(TYPICAL_LIMIT), high, 1, within)
    scale = 10 if whole <= _TENTHS else 1
    low = scale * whole
    if scale > 1:
        low = _bisected(scale * (whole - 1), scale * whole, scale, within)
    if _shown_in(bench, modes, kept.sample):
        return Case(case.template, kept)
    best: list[Trace] = []

    def shown(limit: float) -> bool:
        if not within(limit) or not _shown_in(bench, modes, kept.sample):
            return False
        best[:] = [kept]
        return True

    # Compiled kernels round differently, and break a little later.
    for limit in range(whole, min(whole + _LATER, high) + 1):
        if shown(limit):
            _bisected(low, scale * limit, scale, shown)
            return Case(case.template, best[0])
    return case


def _bisected(low: int, high: int, scale: int, still: Callable[[float], bool]) -> int:
    """Return the least number above `low`, in parts of `scale`, at which `still` was seen to hold.

    It is taken to hold at `high`.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if still(middle / scale):
            high = middle
        else:
            low = middle
    return high


def _is_far(slot: Slot, sample: Sample) -> bool:
    value = sample.feeds[slot.id]
    return slot.encoding is Encoding.REAL and bool(np.abs(value).max(initial=0.0) > TYPICAL_LIMIT)


def _limited(value: Array, limit: float) -> Array:
    return np.clip(value, value.dtype.type(-limit), value.dtype.type(limit))


def _shown_in(bench: Bench, modes: tuple[str, ...], sample: Sample) -> bool:
    runs = (bench.lab.compiled(mode, sample) for mode in modes)
    return all(run and witness.hazard_of([run[0], *run[1]]) is not None for run in runs)
