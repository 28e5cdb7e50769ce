"""Is a loss smallest at its target?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Sample

# Plain gradient descent from the target and from a typical prediction.
_STEPS = 200
_RATE = 0.05
# Steps after which a descent that has not improved is given up.
_PATIENCE = 20
# Rows of the batch, enough to see where the loss pulls a prediction.
_ROWS = 2
# Probabilities nearer to 0 and 1 than this are not tried, so that log stays finite.
_MARGIN = 1e-3
# Share of the loss's spread by which a better point than the target must be better.
_CLEARLY = 0.1
# Mean distance of the better point from the target.
_FAR = 0.15


@dataclass(frozen=True, slots=True)
class _Problem:
    """A label and a prediction of one shape."""

    bench: Bench
    template: Template
    prediction: Slot
    label: Slot
    base: Sample
    softmax: bool = False  # predictions are rows that sum to 1

    def run(self, prediction: Array) -> Trace | None:
        """Trace the loss of one prediction."""
        feeds = {**self.base.feeds, self.prediction.id: prediction.astype(np.float32)}
        return self.bench.run(Sample(feeds, Reach.TYPICAL, ""))

    def loss(self, prediction: Array) -> float:
        """Return the mean loss of one prediction; nan if it cannot be computed."""
        feeds = {**self.base.feeds, self.prediction.id: prediction.astype(np.float32)}
        values = self.bench.lab.values(feeds)
        held = bool(self.bench.lab.holds(values).all())
        return float(values[self.bench.job.output].mean()) if held else float("nan")

    def bounded(self, prediction: Array) -> Array:
        """Return the prediction moved into the input's limits."""
        low, high = self.prediction.spec.lo, self.prediction.spec.hi
        if self.prediction.encoding is Encoding.UNIT:
            low, high = low + _MARGIN, high - _MARGIN
        if self.softmax:
            prediction = np.clip(prediction, low, high)
            prediction = prediction / prediction.sum(-1, keepdims=True)
        return np.clip(prediction, low, high)


def check(bench: Bench, _: Suspect) -> Outcome:
    """Show that a loss prefers predictions away from the label."""
    problem = _problem(bench)
    if problem is None:
        return Outcome(
            Verdict.UNCONFIRMED, "no label and prediction of one shape and meaning were found"
        )
    label = problem.base.feeds[problem.label.id].astype(np.float64)
    problem = replace(problem, softmax=_tells_classes(problem, label))
    target = problem.bounded(label)
    rng = samples.generator(bench.job, 8)
    others = [
        problem.bounded(samples.typical(problem.prediction, rng, 1, _ROWS).astype(np.float64))
        for _ in range(8)
    ]
    at_target = problem.loss(target)
    losses = np.array([problem.loss(other) for other in others])
    finite = losses[np.isfinite(losses)]
    if not np.isfinite(at_target) or not finite.size:
        return Outcome(Verdict.UNCONFIRMED, "the loss is not finite at the target")
    spread = float(np.ptp(np.append(finite, at_target)))
    margin = max(_CLEARLY * spread, 1e-4)
    best, best_loss = target, at_target
    # A typical prediction is a start only if it, or the descent, is better than the target.
    for start in (target, others[int(np.nanargmin(losses))]):
        if start is not target and best_loss == at_target and float(finite.min()) >= at_target:
            break
        reached = _descend(problem, start, target, at_target - 2.0 * margin)
        loss = problem.loss(reached)
        if np.isfinite(loss) and loss < best_loss:
            best, best_loss = reached, loss
        if at_target - best_loss > margin and float(np.abs(best - target).mean()) >= _FAR:
            break
    away = float(np.abs(best - target).mean())
    if at_target - best_loss <= margin or away < _FAR:
        return Outcome(
            Verdict.REFUTED,
            f"the loss at the target, {at_target:.3g}, is as small as descent can make it",
        )
    trace = problem.run(target)
    assert trace is not None
    evidence = Evidence(
        hazard=Hazard.WRONG_LOSS,
        witness=witness.numbers(problem.template, trace.sample),
        value=witness.plain(np.float32(at_target)),
        gradient=witness.worst(trace.gradients.values()),
        mode="eager",
        samples=len(others) + 1,
        hits=int((finite < at_target).sum()),
        rate=None,
        reach=Reach.STRUCTURAL,
        detail={
            "loss_at_target": witness.plain(np.float32(at_target)),
            "better_loss": witness.plain(np.float32(best_loss)),
            "distance": round(away, 4),
            "better_prediction": [round(float(v), 4) for v in best.reshape(-1)[:8]],
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _tells_classes(problem: _Problem, label: Array) -> bool:
    """Return whether the loss prefers the label's class to each other one.

    Such a loss is one of a softmax: what becomes of it when all classes are certain at once, as
    with smoothed labels, says nothing.
    """
    if problem.label.encoding is not Encoding.ONE_HOT or label.ndim < 2:
        return False
    right = problem.loss(problem.bounded(label))
    turns = range(1, label.shape[-1])
    wrong = [problem.loss(problem.bounded(np.roll(label, turn, -1))) for turn in turns]
    return bool(wrong) and right < min(wrong) - _CLEARLY * abs(right)


def _problem(bench: Bench) -> _Problem | None:
    for template in bench.templates:
        labels = [slot for slot in template.labels if slot.encoding is not Encoding.CLASS]
        for prediction in template.differentiated:
            for label in labels[:1]:
                same = prediction.shape == label.shape and prediction.shape
                meant = prediction.encoding is Encoding.UNIT or label.encoding is Encoding.REAL
                if not same or not meant:
                    continue
                rng = samples.generator(bench.job, 9)
                # One decimal keeps the witness readable.
                feeds = {
                    s.id: np.asarray(np.round(samples.typical(s, rng, 0, _ROWS), 1), s.dtype)
                    for s in template.slots
                }
                return _Problem(
                    bench, template, prediction, label, Sample(feeds, Reach.STRUCTURAL, "")
                )
    return None


def _descend(problem: _Problem, start: Array, target: Array, goal: float) -> Array:
    """Return where plain gradient descent on the prediction ends.

    It ends early once the loss is below `goal` far from the target, and when it does not get
    anywhere.
    """
    current, first = start, float("nan")
    for step in range(_STEPS):
        trace = problem.run(current)
        if trace is None:
            break
        loss = float(trace.values[trace.output].mean())
        first = loss if step == 0 else first
        if loss < goal and float(np.abs(current - target).mean()) > 2.0 * _FAR:
            break
        if step == _PATIENCE and not loss < first:
            break
        gradient = trace.cotangents.get(problem.prediction.id)
        if gradient is None or not np.isfinite(gradient).all() or not gradient.any():
            break
        # The loss is a mean or a sum; scaled steps make the pace independent of which.
        size = float(np.abs(gradient).max())
        moved = problem.bounded(current - _RATE * gradient / max(size, 1e-2))
        if float(np.abs(moved - current).max()) < 1e-5:
            break
        current = moved
    return current
