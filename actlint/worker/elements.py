"""Search an elementwise program for nan and infinity: every element is a sample."""

from __future__ import annotations

import numpy as np

from actlint.findings import Hazard, Reach, Suspect
from actlint.graph import TYPICAL_LIMIT
from actlint.worker import aim, samples, witness
from actlint.worker.bench import Bench, Line, flat
from actlint.worker.blame import COMMON, Case, Tally, preference, shows
from actlint.worker.inputs import Encoding
from actlint.worker.probes import Lab, Trace, floating
from actlint.worker.samples import Array, Feeds, Sample

# Candidates for a witness that are run one by one.
_MAX_CANDIDATES = 6
# Neighbouring floats that an isolated point may span on either side.
_MAX_RUN = 4096


def search(
    bench: Bench, suspect: Suspect, line: Line, tally: Tally
) -> tuple[Case, float | None] | None:
    """Return the best case and the rate of an isolated point, or None."""
    points, normal = bench.points(line, bench.job.samples)
    runs = [(points, bench.line_trace(line, points))]
    for target in suspect.targets:
        focus = bench.line(0, target.node)
        aimed = aim.solve(bench, focus, target) if focus is not None else {}
        aimed = _new(completed(bench, line, aimed), [feeds for feeds, _ in runs])
        if aimed:
            runs.append((aimed, bench.line_trace(line, aimed)))
    found: list[tuple[tuple[object, ...], Feeds]] = []
    for number, (feeds, trace) in enumerate(runs):
        if trace is None:
            continue
        count = next(iter(feeds.values())).size
        mask, valid, broken, nan = _mask(bench.lab, suspect.node, trace, count)
        tally.samples += int(valid.sum())
        tally.hits += int(mask.sum())
        if number == 0:
            tally.common = round(float(mask[:normal].mean()), 4) if normal else 0.0
            tally.typical_hits += int(mask[:normal].sum())
            tally.flowing = _flowing(trace, normal)
        tally.elsewhere |= bool((broken & valid & ~mask).any())
        tally.saw(line.slots, feeds)
        for at in np.flatnonzero(mask):
            single = {key: value[at : at + 1] for key, value in feeds.items()}
            reach = reach_at(line, single)
            hazard = Hazard.NAN if nan[at] else Hazard.INF
            ease = sum(aim.simplicity(float(value[0])) for value in single.values())
            unusual = tally.common >= COMMON and reach is not Reach.TYPICAL
            key = (unusual, *preference(reach, hazard), ease, number, int(at))
            found.append((key, single))
    for _, single in sorted(found, key=lambda item: item[0])[:_MAX_CANDIDATES]:
        case = _single(bench, suspect.node, line, single)
        if case is not None:
            rate = _rate(bench, suspect.node, line, single, tally)
            return case, rate
    tally.hits = 0
    return None


def _flowing(trace: Trace, normal: int) -> float | None:
    """Return the share of the first `normal` points whose gradient is finite and not 0."""
    found = [gradient for gradient in trace.gradients.values() if gradient is not None]
    alive = [gradient.reshape(-1)[:normal] for gradient in found]
    if not normal or not alive or any(gradient.size != normal for gradient in alive):
        return None
    good = [np.isfinite(gradient) & (gradient != 0) for gradient in alive]
    return float(np.logical_or.reduce(good).mean())


def completed(bench: Bench, line: Line, aimed: Feeds) -> Feeds:
    """Return aimed points with inputs that the aimed node does not read filled in."""
    count = next((value.size for value in aimed.values()), 0)
    if not count:
        return {}
    rng = samples.generator(bench.job, 7)
    setting = bench.settings(line, line.slots[0], rng)[-1]
    return {
        slot.id: aimed.get(slot.id, np.full(count, setting.get(slot.id, 0.0), np.float32))
        for slot in line.slots
    }


def _new(aimed: Feeds, earlier: list[Feeds]) -> Feeds:
    """Return the points that were not looked at before; nothing if none is left."""
    if not aimed:
        return {}
    keys = sorted(aimed)
    seen = {
        row for feeds in earlier for row in zip(*(feeds[key].tolist() for key in keys), strict=True)
    }
    rows = list(zip(*(aimed[key].tolist() for key in keys), strict=True))
    keep = np.array([row not in seen and rows.index(row) == at for at, row in enumerate(rows)])
    return {key: value[keep] for key, value in aimed.items()} if keep.any() else {}


def _mask(lab: Lab, node: int, trace: Trace, count: int) -> tuple[Array, Array, Array, Array]:
    """Return for each point whether it shows the hazard, is on the path, breaks, ends in nan."""
    total = trace.values[trace.output].size
    held = flat(lab.holds(trace.values), total)
    valid = np.ones(count, bool) if held is None else np.array(held[:count], bool)
    bad, nan = np.zeros(total, bool), np.zeros(total, bool)
    for value in witness.ends(trace):
        spread = flat(value, total)
        if spread is not None and floating(spread):
            bad |= ~np.isfinite(spread)
            nan |= np.isnan(spread)
    if not bad.any():
        return np.zeros(count, bool), valid, bad[:count], nan[:count]
    clean = np.ones(total, bool)
    for ref in lab.operands[node]:
        operand = flat(trace.values.get(ref), total)
        if operand is not None and floating(operand):
            clean &= np.isfinite(operand)
    value, upstream = flat(trace.values.get(node), total), trace.cotangents.get(node)
    own = np.zeros(total, bool)
    if value is not None and floating(value):
        own |= ~np.isfinite(value)
    if upstream is not None:
        _, handed = lab.local(node, trace, upstream)
        calm = flat(upstream, total)
        for cotangent in handed.values():
            spread = flat(cotangent, total)
            if spread is not None and calm is not None and spread.size == total:
                own |= ~np.isfinite(spread) & np.isfinite(calm)
    return (own & clean & bad)[:count] & valid, valid, bad[:count], nan[:count]


def reach_at(line: Line, single: Feeds) -> Reach:
    """Return how training gets to one point."""
    inputs = [slot for slot in line.slots if slot.spec.differentiated]
    values = {float(single[slot.id][0]) for slot in line.slots}
    reach = aim.worst_reach([samples.reach_of(slot, single[slot.id]) for slot in inputs])
    equal = len(line.slots) > 1 and len(values) == 1 and reach is Reach.TYPICAL
    return Reach.STRUCTURAL if equal else reach


def _single(bench: Bench, node: int, line: Line, single: Feeds) -> Case | None:
    """Return the case of one element, as a plain number if the program takes one."""
    reach = reach_at(line, single)
    smallest = line.sample(single, reach)
    scalars = {
        key: value.reshape(-1)[0].reshape(()) if value.size else value
        for key, value in smallest.feeds.items()
    }
    fixed = any(slot.spec.shape is not None for slot in line.slots)
    for sample in (Sample(scalars, reach, ""), smallest) if not fixed else (smallest,):
        trace = bench.run(sample)
        if trace is not None and shows(bench.lab, node, trace):
            return Case(line.template, trace)
    return None


def _rate(bench: Bench, node: int, line: Line, single: Feeds, tally: Tally) -> float | None:
    """Return the chance per element under a standard normal of an isolated bad point.

    None if it is not isolated, if it is the number 0, which has chances of its own, or if the
    input is not a pre-activation.
    """
    if len(line.slots) != 1 or tally.typical_hits:
        return None
    slot = line.slots[0]
    value = float(single[slot.id][0])
    ordinary = slot.encoding is Encoding.REAL and slot.spec.lo < -1.0 and slot.spec.hi > 1.0
    if not ordinary or value == 0.0 or abs(value) > TYPICAL_LIMIT:
        return None
    rank = int(samples.ordered(np.float32(value)))
    around = samples.unordered(np.arange(rank - _MAX_RUN, rank + _MAX_RUN + 1))
    points = {slot.id: around}
    trace = bench.line_trace(line, points)
    if trace is None:
        return None
    mask, *_ = _mask(bench.lab, node, trace, around.size)
    if not mask[_MAX_RUN] or mask[0] or mask[-1]:
        return None
    left = right = _MAX_RUN
    while mask[left - 1]:
        left -= 1
    while mask[right + 1]:
        right += 1
    run = around[left : right + 1].astype(np.float64)
    density = np.exp(-(run**2) / 2.0) / np.sqrt(2.0 * np.pi)
    return float(f"{float((density * np.spacing(np.abs(around[left : right + 1]))).sum()):.3g}")
