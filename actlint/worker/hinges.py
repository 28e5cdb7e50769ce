"""Is a hinge turned round: does it hand on no gradient where predictions are wrong?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Template
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Sample

# Single samples that are drawn, and the share of them that must be closed, and open, at least.
_DRAWN = 48
_SHARE = 0.15
# Rounds of a descent, steps of each, and their size. A loss without end falls in the last round as
# it does in the first, or half as much.
_ROUNDS, _STEPS, _STEP = 3, 30, 1.0
_ON = 0.5
# Predictions, in units of labels of -1 and 1, that are wrong or undecided, and one that is right.
_WRONG = (0.0, -1.0, -3.0)
_RIGHT = 3.0
_ROWS = 2
_LEAST = 1e-4


def check(bench: Bench, _: Suspect) -> Outcome:
    """Show that samples get no gradient where the loss is largest, while it has no smallest."""
    if not bench.templates:
        return Outcome(Verdict.UNCONFIRMED, "no input shape was found for it")
    template = bench.templates[0]
    traces = [trace for trace in map(bench.run, _singles(bench, template)) if trace is not None]
    closed = [trace for trace in traces if _still(trace)]
    opened = [trace for trace in traces if not _still(trace)]
    if closed and not opened:
        told = f"none of {len(closed)} typical samples gets a gradient"
        return _confirmed(template, closed[0], len(traces), len(closed), told)
    if min(len(closed), len(opened)) < _SHARE * max(len(traces), 1):
        return Outcome(
            Verdict.REFUTED, f"{len(closed)} of {len(traces)} typical samples have no gradient"
        )
    if min(map(_loss, closed)) < max(map(_loss, opened)) - _LEAST:
        return Outcome(Verdict.REFUTED, "the loss is not largest where it has no gradient")
    falling = [_loss(opened[0]), *_along(bench, template, opened[0])]
    first, last = falling[0] - falling[1], falling[-2] - falling[-1]
    if not last > max(_ON * first, _LEAST):
        return Outcome(Verdict.REFUTED, "the loss does not fall without end")
    share = len(closed) / len(traces)
    told = (
        f"the loss of this sample is the largest there is, and it gets no gradient, as "
        f"{share:.0%} of the typical ones; that of others falls to {falling[-1]:.3g} and on"
    )
    return _confirmed(template, closed[0], len(traces), len(closed), told)


def check_margin(bench: Bench, _: Suspect) -> Outcome:
    """Show that predictions against labels of -1 and 1 cost nothing, and too right ones do."""
    for template in bench.templates:
        pair = template.differentiated, template.labels
        if len(pair[0]) != 1 or len(pair[1]) != 1 or pair[0][0].shape != pair[1][0].shape:
            continue
        prediction, label = pair[0][0], pair[1][0]
        signs = np.ones(label.size(_ROWS), np.float32)
        signs.reshape(-1)[::2] = -1.0
        rng = samples.generator(bench.job, 61)
        feeds = {slot.id: samples.typical(slot, rng, 0, _ROWS) for slot in template.slots}
        feeds[label.id] = signs.astype(label.dtype)

        def run(
            scale: float, feeds: samples.Feeds = feeds, at: int = prediction.id, to: Array = signs
        ) -> Trace | None:
            given = {**feeds, at: (scale * to).astype(np.float32)}
            return bench.run(Sample(given, Reach.STRUCTURAL, ""))

        wrong, right = [run(scale) for scale in _WRONG], run(_RIGHT)
        known = [trace for trace in wrong if trace is not None]
        if right is None or len(known) < len(wrong):
            continue
        if not all(map(_still, known)) or _still(right):
            return Outcome(Verdict.REFUTED, "predictions against the label get a gradient")
        if max(map(_loss, known)) > _loss(right) - _LEAST:
            return Outcome(Verdict.REFUTED, "predictions against the label cost more")
        told = (
            f"the loss of predictions against the labels is {_loss(known[1]):.3g}, without a "
            f"gradient; that of {_RIGHT:g} times the labels is {_loss(right):.3g}"
        )
        return _confirmed(template, known[1], len(known), len(known), told)
    return Outcome(Verdict.UNCONFIRMED, "no label and prediction of one shape were found")


def _singles(bench: Bench, template: Template) -> Iterator[Sample]:
    rng = samples.generator(bench.job, 60)
    for _ in range(_DRAWN):
        # Two decimals keep the witness readable.
        feeds = {
            slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, 1), 2), slot.dtype)
            for slot in template.slots
        }
        yield Sample(feeds, Reach.TYPICAL, "")


def _along(bench: Bench, template: Template, trace: Trace) -> Iterator[float]:
    """Yield the loss after ever more steps along the negative gradient; nan if it cannot be run."""
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            found = [g for g in trace.gradients.values() if g is not None and g.size]
            size = max((float(np.abs(g).max()) for g in found), default=0.0)
            feeds = dict(trace.sample.feeds)
            for slot in template.differentiated:
                gradient = trace.gradients.get(slot.id)
                if gradient is not None and size > 0.0:
                    feeds[slot.id] = np.asarray(
                        feeds[slot.id] - _STEP * gradient / size, slot.dtype
                    )
            moved = bench.run(Sample(feeds, Reach.EXTENDED, ""))
            if moved is None:
                yield float("nan")
                return
            trace = moved
        yield _loss(trace)


def _still(trace: Trace) -> bool:
    """Return whether no gradient comes back at all."""
    return not any(g is not None and g.any() for g in trace.gradients.values())


def _loss(trace: Trace) -> float:
    return float(np.mean(trace.values[trace.output].astype(np.float64)))


def _confirmed(template: Template, trace: Trace, count: int, hits: int, told: str) -> Outcome:
    evidence = Evidence(
        hazard=Hazard.ZERO_GRADIENT,
        witness=witness.numbers(template, trace.sample),
        value=witness.plain(_loss(trace)),
        gradient=0.0,
        mode="eager",
        samples=count,
        hits=hits,
        rate=None,
        reach=trace.sample.reach,
        detail={"observed": told},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)
