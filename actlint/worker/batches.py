"""Search a program that mixes elements for nan and infinity, batch by batch or row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from actlint.findings import Hazard, Reach, Suspect
from actlint.worker import aim, witness
from actlint.worker.bench import Bench
from actlint.worker.blame import Case, Tally, preference, shows
from actlint.worker.inputs import Encoding, Template
from actlint.worker.probes import Trace, floating
from actlint.worker.rows import Rows, stacked
from actlint.worker.samples import Array, Sample

# Rows that are run on their own, per kind of sample and in all.
_PER_LABEL = 2
_MAX_CANDIDATES = 12
# Aimed batches that are run on their own.
_MAX_POINTS = 4


def search(bench: Bench, suspect: Suspect, tally: Tally) -> Case | None:
    """Return the smallest convincing case, or None.

    Only the most usual shapes count: on others that happen to run, broadcasting makes nonsense.
    """
    for index in range(len(bench.templates)):
        if tally.samples:
            break
        rows = bench.rows(index)
        find = _by_row if rows is not None else _by_batch
        best = find(bench, suspect, index, tally)
        if best is not None:
            return _shrunk(bench, suspect.node, index, best)
    return None


def _by_row(bench: Bench, suspect: Suspect, index: int, tally: Tally) -> Case | None:
    """Run all samples as one batch, since its rows do not touch; then the suspicious rows."""
    rows = bench.rows(index)
    assert rows is not None
    template = bench.templates[index]
    best: Case | None = None
    runs: list[Trace] = []
    points: list[Sample] = []
    for kind in ("drawn", "aimed"):
        if kind == "drawn":
            block = bench.block(index)
        else:
            starts = bench.drawn(index, "typical")[:2]
            only_placed = best is not None
            points = list(aimed(bench, suspect, index, runs, starts, only_placed=only_placed))
            block = stacked(rows, points)
        if block is None:
            continue
        trace = bench.block_trace(index, block.sample)
        if trace is None:
            continue
        runs.append(trace)
        tally.samples += len(block.origins)
        tally.saw(template.elements, trace.sample.feeds)
        broken, own, nan = _suspicious(bench, rows, suspect.node, trace, len(block.origins))
        hits = 0
        for at in _ordered(block.origins, own, nan):
            case_trace = bench.run(block.row(rows, at))
            if case_trace is None or not _shows(bench, suspect.node, index, case_trace):
                continue
            case = Case(template, case_trace)
            hits = int(own.sum())
            if best is None or case.key < best.key:
                best = case
            break
        tally.hits += hits
        tally.elsewhere |= bool((broken & ~own).any()) or (bool(own.any()) and not hits)
        if best is not None and not best.key[0]:
            return best
    # Kernels round otherwise in large batches, so that exact points are also run on their own.
    solved = (bench.run(sample) for sample in points[:_MAX_POINTS])
    for single in (*bench.traces(index, "structural"), *solved):
        if single is not None and shows(bench.lab, suspect.node, single):
            tally.hits += 1
            case = Case(template, single)
            if best is None or case.key < best.key:
                best = case
    return best


def _ordered(origins: list[Sample], own: Array, nan: Array) -> list[int]:
    """Return the suspicious rows, the most convincing first, a few of each kind of sample."""
    places = [int(at) for at in np.flatnonzero(own)]
    places.sort(
        key=lambda at: (
            preference(origins[at].reach, Hazard.NAN if nan[at] else Hazard.INF), at
        )
    )  # fmt: skip
    taken: dict[str, int] = {}
    kept: list[int] = []
    for at in places:
        label = origins[at].label
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= _PER_LABEL:
            kept.append(at)
    return kept[:_MAX_CANDIDATES]


def _bad_rows(value: Array | None, count: int) -> Array:
    """Return which rows of a value are not finite; none if it has no rows."""
    if value is None or not floating(value) or value.shape[:1] != (count,):
        return np.zeros(count, bool)
    return np.asarray(~np.isfinite(value.reshape(count, -1)).all(1))


def _suspicious(
    bench: Bench, rows: Rows, node: int, trace: Trace, count: int
) -> tuple[Array, Array, Array]:
    """Return for each row whether it is broken, seems broken by the node, and ends in nan."""
    ends = [*trace.gradients.values(), *(trace.values[ident] for ident in rows.last)]
    broken, nan = np.zeros(count, bool), np.zeros(count, bool)
    for value in ends:
        broken |= _bad_rows(value, count)
        if value is not None and floating(value) and value.shape[:1] == (count,):
            nan |= np.isnan(value.reshape(count, -1)).any(1)
    lab = bench.lab
    spoilt = _bad_rows(trace.values.get(node), count)
    handed = np.zeros(count, bool)
    clean = np.ones(count, bool)
    for ref in lab.operands[node]:
        # An element that is spoilt already may stand beside one that the node spoils.
        if lab.operands[ref] or lab.steps[ref].input is not None:
            clean &= ~_all_bad(trace.values.get(ref), count)
        handed |= _bad_rows(trace.cotangents.get(ref), count)
    return broken, broken & clean & (spoilt | handed), nan


def _all_bad(value: Array | None, count: int) -> Array:
    if value is None or not floating(value) or value.shape[:1] != (count,):
        return np.zeros(count, bool)
    return np.asarray(~np.isfinite(value.reshape(count, -1)).any(1))


def _by_batch(bench: Bench, suspect: Suspect, index: int, tally: Tally) -> Case | None:
    """Run the samples one by one."""
    best: Case | None = None
    template = bench.templates[index]
    seen: list[Trace] = []
    for kind in ("structural", "typical", "extended", "aimed"):
        if kind == "aimed":
            starts = bench.drawn(index, "typical")[:2]
            solved = aimed(bench, suspect, index, seen, starts, only_placed=best is not None)
            runs = (bench.run(sample) for sample in solved)
            traces = [trace for trace in runs if trace is not None]
        elif kind == "extended" and index:
            continue
        else:
            traces = list(bench.traces(index, kind))
        seen += traces
        for trace in traces:
            tally.samples += 1
            tally.saw(template.elements, trace.sample.feeds)
            if not trace.broken:
                continue
            if not _shows(bench, suspect.node, index, trace):
                tally.elsewhere = True
                continue
            tally.hits += 1
            case = Case(template, trace)
            if best is None or case.key < best.key:
                best = case
        # Further points are asked only where nearer ones are fine.
        if best is not None and kind != "structural" and not best.key[0]:
            break
    return best


def aimed(
    bench: Bench,
    suspect: Suspect,
    index: int,
    traces: list[Trace],
    starts: tuple[Sample, ...],
    *,
    only_placed: bool = False,
) -> Iterator[Sample]:
    """Yield batches that solve the suspect's targets.

    Args:
        bench: the job.
        suspect: whose targets are meant.
        index: which template.
        traces: runs so far; a target that one of them meets needs no search.
        starts: batches to start from.
        only_placed: leave out nodes that mix elements, which take many steps.
    """
    for target in suspect.targets:
        if target.node not in bench.lab.steps or not bench.lab.varies(target.node):
            continue
        focus = None if target.vector else bench.line(index, target.node)
        if focus is not None:
            yield from aim.placed(bench, index, focus, target)
        elif (
            not only_placed
            and index == 0
            and not any(aim.reached(trace.values.get(target.node), target) for trace in traces)
        ):
            yield from aim.searched(bench, index, target, starts)


def nearer(bench: Bench, suspect: Suspect, case: Case, near: Callable[[Case], bool]) -> Case | None:
    """Return a case like one of far inputs in which all elements go a part of the way, or None.

    Args:
        bench: the job.
        suspect: whose targets are meant.
        case: what was found.
        near: tells whether a case is near enough.
    """
    index = bench.templates.index(case.template)
    starts = bench.drawn(index, "typical")[:2]
    for sample in islice(aimed(bench, suspect, index, [], starts), _MAX_POINTS):
        trace = bench.run(sample)
        if trace is not None and _shows(bench, suspect.node, index, trace):
            found = Case(case.template, trace)
            if near(found):
                return _shrunk(bench, suspect.node, index, found, near)
    return None


def _shows(bench: Bench, node: int, index: int, trace: Trace) -> bool:
    """Return True if the node shows a hazard that is not another one's at any magnitude."""
    return shows(bench.lab, node, trace) and not broken_anyway(bench, bench.templates[index], trace)


def broken_anyway(bench: Bench, template: Template, trace: Trace) -> bool:
    """Return True if the batch breaks the program with ordinary numbers for large ones, too."""
    sample = trace.sample
    if sample.reach is not Reach.EXTENDED:
        return False
    small = {
        slot.id: (value / max(float(np.abs(value).max(initial=0.0)), 1.0)).astype(value.dtype)
        for slot in template.differentiated
        if slot.encoding is Encoding.REAL
        for value in [sample.feeds[slot.id]]
    }
    run = bench.run(Sample({**sample.feeds, **small}, Reach.TYPICAL, ""))
    return run is not None and run.broken


def _shrunk(
    bench: Bench, node: int, index: int, case: Case, near: Callable[[Case], bool] | None = None
) -> Case:
    """Return the smallest case that shows a hazard at least as bad."""
    worst = witness.hazard_of(witness.ends(case.trace))
    kept = case.trace

    def still(sample: Sample) -> bool:
        nonlocal kept
        trace = bench.run(sample)
        if trace is None or not _shows(bench, node, index, trace):
            return False
        if worst is Hazard.NAN and witness.hazard_of(witness.ends(trace)) is not Hazard.NAN:
            return False
        if near is not None and not near(Case(case.template, trace)):
            return False
        kept = trace
        return True

    if still(case.trace.sample):
        witness.shrink(case.template, case.trace.sample, still)
    if kept.sample.reach is Reach.STRUCTURAL and witness.empty_rows(case.template, kept.sample):
        # A softmax may saturate, but no row of it is all zeros.
        filled = witness.saturated(case.template, kept.sample)
        if not any(still(sample) for sample in filled):
            far = replace(kept.sample, reach=Reach.EXTENDED)
            kept = replace(kept, sample=far)
    return Case(case.template, kept)
