"""Programs that compute in float64: what is broken in float32 need not be broken there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Verdict
from actlint.worker import witness
from actlint.worker.blame import shows
from actlint.worker.double import Double
from actlint.worker.inputs import Encoding
from actlint.worker.samples import Sample, clip, reach_of

if TYPE_CHECKING:
    from actlint.worker.bench import Bench

DTYPE: Final = "float64"
# Exponentials overflow at 709.8 instead of at 88.7, and are 0 below -745.2 instead of -87.4.
_FURTHER: Final = 8.6


def settled(bench: Bench, outcome: Outcome, node: int) -> Outcome:
    """Return an outcome that holds in the dtype in which the program computes.

    A nan or infinity has to come in float64 as well, at the witness or as much further out as
    float64 goes; digits that float32 loses are there. Where the node of the suspect starts it in
    float32, it has to start it in float64, too: something beside it may break as well.
    """
    evidence = outcome.evidence
    if bench.job.dtype != DTYPE or outcome.verdict is not Verdict.CONFIRMED or evidence is None:
        return outcome
    if evidence.hazard is Hazard.INACCURATE:
        return Outcome(Verdict.REFUTED, "the program computes in float64, which has the digits")
    if evidence.hazard not in {Hazard.NAN, Hazard.INF}:
        return outcome
    double = Double(bench)
    blamed = False
    for factor in (1.0, _FURTHER):
        sample = _sample(bench, evidence, factor)
        traces = None if sample is None else double.traces(sample)
        if sample is None or traces is None:
            return outcome
        blamed = blamed or (factor == 1.0 and shows(bench.lab, node, traces[0]))
        if double.shows(node, traces[1]) if blamed else traces[1].broken:
            return (
                outcome
                if factor == 1.0
                else replace(outcome, evidence=_moved(bench, evidence, sample))
            )
    return Outcome(Verdict.REFUTED, "it is finite in float64, in which the program computes")


def _sample(bench: Bench, evidence: Evidence, factor: float) -> Sample | None:
    """Return the batch of a witness with what is trained moved further out, if it is whole."""
    feeds = {}
    for slot in bench.templates[0].slots:
        if slot.spec.name not in evidence.witness:
            return None
        value = np.asarray(evidence.witness[slot.spec.name], slot.dtype)
        if slot.spec.differentiated and slot.encoding is Encoding.REAL:
            value = clip(value * factor, slot)
        feeds[slot.id] = value
    return Sample(feeds, evidence.reach, "witness")


def _moved(bench: Bench, evidence: Evidence, sample: Sample) -> Evidence:
    template = bench.templates[0]
    far = any(
        reach_of(slot, sample.feeds[slot.id]) is Reach.EXTENDED for slot in template.differentiated
    )
    return replace(
        evidence,
        witness=witness.numbers(template, sample),
        reach=Reach.EXTENDED if far else evidence.reach,
    )
