"""Has a straight-through estimator the value of its step and the gradient of what stands in?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import cut, witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Sample

# Relative difference of two values, or of a slope from 1, that is no matter of rounding.
_APART = 1e-3


@dataclass(frozen=True, slots=True)
class _Parts:
    """The sum, the step in it, and the term whose gradient it is to have."""

    node: int
    step: int
    soft: int


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a sum differs from the step in its value, or that its slope is not 1.

    The suspect's targets name the step and the term that stands in for it.
    """
    parts = _Parts(suspect.node, suspect.targets[0].node, suspect.targets[1].node)
    traces = list(bench.traces(0, "typical"))
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    bad = [trace for trace in traces if _hazard(bench, parts, trace) is not None]
    if not bad:
        reason = "its value is that of the step, and its slope is 1"
        return Outcome(Verdict.REFUTED, reason)

    def shows(trace: Trace) -> bool:
        return _hazard(bench, parts, trace) is not None

    template, trace = cut.smallest(bench, bad, shows)
    hazard = _hazard(bench, parts, trace)
    assert hazard is not None
    gradient = None if hazard is Hazard.NO_GRADIENT else _slope(bench, parts, trace)
    evidence = Evidence(
        hazard=hazard,
        witness=witness.numbers(template, trace.sample),
        value=witness.worst([trace.values[parts.node]]),
        gradient=None if gradient is None else witness.worst([gradient]),
        mode="eager",
        samples=len(traces),
        hits=len(bad),
        rate=None,
        reach=Reach.TYPICAL,
        detail={"step": witness.worst([trace.values[parts.step]]) or 0.0},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _hazard(bench: Bench, parts: _Parts, trace: Trace) -> Hazard | None:
    """Return what is wrong at one batch."""
    slope = _slope(bench, parts, trace)
    if slope is None:
        return Hazard.NO_GRADIENT
    if not slope.any():
        return Hazard.ZERO_GRADIENT
    value, step = trace.values[parts.node], trace.values[parts.step]
    right = -1.0 if _falls(step, trace.values[parts.soft]) else 1.0
    if _apart(slope, np.full_like(slope, right)):
        return Hazard.WRONG_GRADIENT
    return Hazard.WRONG_GRADIENT if _apart(value, step) else None


def _falls(step: Array, soft: Array) -> bool:
    """Tell whether the step goes down where the other term goes up, as ``x < 0`` does."""
    if step.shape != soft.shape or not np.ptp(step) or not np.ptp(soft):
        return False
    return float(np.corrcoef(step.reshape(-1), soft.reshape(-1))[0, 1]) < 0.0


def _slope(bench: Bench, parts: _Parts, trace: Trace) -> Array | None:
    """Return the gradient of the sum with respect to the term that stands in."""
    feeds = {**trace.sample.feeds, parts.soft: trace.values[parts.soft]}
    sample = Sample(feeds, trace.sample.reach, "")
    run = bench.lab.trace(sample, watch=[parts.soft], output=parts.node)
    return run.cotangents.get(parts.soft)


def _apart(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return True
    scale = np.maximum(np.abs(one), np.abs(other))
    return bool((np.abs(one.astype(np.float64) - other) > _APART * np.maximum(scale, 1.0)).any())
