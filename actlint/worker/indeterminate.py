"""Does a node make nan out of infinities: 0 * inf, inf - inf, a softmax of -inf alone?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import InputRole
from actlint.worker import aim, batches, samples, witness
from actlint.worker.bench import Bench
from actlint.worker.blame import reaches
from actlint.worker.inputs import Slot, Template
from actlint.worker.probes import Lab, Trace, floating
from actlint.worker.samples import Array, Sample

# The first row alone is masked, so that the witness shows what the others give.
_ROWS: Final = 1


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the node gives nan although none of its operands is, and that training feels it."""
    template = bench.templates[0]
    found: Trace | None = None
    count = hits = 0
    for trace in _runs(bench, suspect, template):
        count += 1
        if _met(suspect, trace) and shows(bench.lab, suspect.node, trace):
            hits += 1
            found = found or trace
    if found is None:
        return Outcome(Verdict.REFUTED, f"no nan starts there in {count} batches")

    def still(sample: Sample) -> bool:
        nonlocal found
        trace = bench.run(sample)
        if trace is None or not _met(suspect, trace):
            return False
        if not shows(bench.lab, suspect.node, trace):
            return False
        found = trace
        return True

    witness.shrink(template, found.sample, still)
    evidence = Evidence(
        hazard=Hazard.NAN,
        witness=witness.numbers(template, found.sample),
        value=witness.worst([found.values[found.output]]),
        gradient=witness.worst(found.gradients.values()),
        mode="eager",
        samples=count,
        hits=hits,
        rate=None,
        reach=found.sample.reach,
        detail={"modes": "eager", "value_of": "output"},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _met(suspect: Suspect, trace: Trace) -> bool:
    """Return True if the run is at all the points that the suspect is about."""
    return all(aim.reached(trace.values.get(each.node), each) for each in suspect.targets)


def shows(lab: Lab, node: int, trace: Trace) -> bool:
    """Return True if nan starts at the node and training feels it."""
    value = trace.values.get(node)
    clean = all(not _nan(trace.values.get(ref)) for ref in lab.operands[node])
    return _nan(value) and clean and trace.broken and reaches(lab, node, trace)


def _nan(value: Array | None) -> bool:
    return value is not None and floating(value) and bool(np.isnan(value).any())


def _runs(bench: Bench, suspect: Suspect, template: Template) -> Iterator[Trace]:
    seen: list[Trace] = []
    for kind in ("structural", "typical"):
        seen += bench.traces(0, kind)
    yield from seen
    starts = bench.drawn(0, "typical")[:2]
    for sample in (
        *_masked(template, starts[0]),
        *batches.aimed(bench, suspect, 0, seen, starts),
    ):
        trace = bench.run(sample)
        if trace is not None:
            yield trace


def _masked(template: Template, base: Sample) -> Iterator[Sample]:
    """Yield the batch with the first row of one mask all 0, then all 1: what masks mean varies.

    Of inputs whose own sign may be the mask, the first row is all negative, then all positive.
    """
    for slot in template.elements:
        value = base.feeds[slot.id]
        if value.ndim == 0:
            continue
        if _is_mask(slot):
            rows, reach = [np.zeros_like(value), np.ones_like(value)], Reach.STRUCTURAL
        elif slot.spec.differentiated:
            rows, reach = (
                [samples.clip(sign * np.abs(value), slot) for sign in (-1.0, 1.0)],
                (Reach.TYPICAL),
            )
        else:
            continue
        for row in rows:
            changed = value.copy()
            changed[:_ROWS] = row[:_ROWS]
            yield Sample({**base.feeds, slot.id: changed}, reach, "a row all masked")


def _is_mask(slot: Slot) -> bool:
    inside = slot.spec.lo >= 0.0 and slot.spec.hi <= 1.0
    other = slot.spec.role is not InputRole.VARIABLE and not slot.spec.differentiated
    return slot.dtype == "bool" or inside or other
