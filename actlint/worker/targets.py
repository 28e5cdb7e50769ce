"""Label and prediction of a loss side by side: where the target is, and where descent leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from actlint.findings import Reach
from actlint.ops.model import Kind
from actlint.ops.table import row
from actlint.worker import samples
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Sample

# Probabilities nearer to 0 and 1 than this are not tried, so that log stays finite.
MARGIN = 1e-3
# Logit of a prediction that agrees with a label of 1; its probability is 0.982.
CONFIDENT = 4.0
# Quantities of which a loss takes the relative error are at least this large.
_LEAST = 0.1

# Mean distance from the target at which a prediction is another one. Decisions of logits flip;
# label smoothing and the like only move them.
_FAR = 0.15
_FLIPPED = 0.4
# Share of the right class's loss by which those of all others must be larger.
_CLEARLY = 0.1

_DECIDED = frozenset({Encoding.ONE_HOT, Encoding.BINARY, Encoding.CLASS})
_LOGIT_OPS = frozenset(
    {
        "log_sigmoid", "log_softmax", "reduce_logsumexp", "sigmoid", "softmax", "softplus",
        "sigmoid_cross_entropy_with_logits", "softmax_cross_entropy_with_logits",
        "sparse_softmax_cross_entropy_with_logits", "weighted_cross_entropy_with_logits",
    }
)  # fmt: skip
_QUOTIENTS = frozenset({"div", "divide", "divide_no_nan", "reciprocal", "xdivy"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A label, and the prediction that agrees with it."""

    bench: Bench
    template: Template
    prediction: Slot
    label: Slot
    base: Sample
    target: Array  # of the prediction's shape, float64
    logits: bool  # the prediction is a logit of the label
    positive: bool  # labels and predictions are positive quantities
    softmax: bool = False  # predictions are rows that sum to 1

    def run(self, prediction: Array) -> Trace | None:
        """Trace the loss of one prediction."""
        return self.bench.run(self._sample(prediction))

    def loss(self, prediction: Array) -> float:
        """Return the mean loss of one prediction; nan if it cannot be computed."""
        values = self.bench.lab.values(self._sample(prediction).feeds)
        held = bool(self.bench.lab.holds(values).all())
        return float(values[self.bench.job.output].mean()) if held else float("nan")

    def slope(self, prediction: Array) -> tuple[float, Array] | None:
        """Return the mean loss and its gradient; None if there is none or it is not finite.

        Of rows that sum to 1 it is the part along the simplex, which a softmax in front sees.
        """
        lab, seen = self.bench.lab, []

        def weigh(value: Array) -> Array:
            seen.append(float(value.mean()))
            return np.full(value.shape, 1.0 / value.size, value.dtype)

        sample = self._sample(prediction)
        found = lab.pull(lab.program, self.bench.job.output, sample, [self.prediction.id], weigh)
        gradient = (found or {}).get(self.prediction.id)
        if gradient is None or not seen or not np.isfinite(seen[0]):
            return None
        if not np.isfinite(gradient).all():
            return None
        if self.softmax:
            gradient = gradient - gradient.mean(-1, keepdims=True)
        return seen[0], gradient

    def bounded(self, prediction: Array) -> Array:
        """Return the prediction moved into the input's limits, and onto the simplex of rows."""
        limited = self.limited(prediction)
        return limited / limited.sum(-1, keepdims=True) if self.softmax else limited

    def limited(self, prediction: Array) -> Array:
        """Return the prediction with each element moved into the input's limits."""
        low, high = self.prediction.spec.lo, self.prediction.spec.hi
        if self.prediction.encoding is Encoding.UNIT:
            low, high = low + MARGIN, high - MARGIN
        return np.clip(prediction, _LEAST if self.positive else low, high)

    def distance(self, prediction: Array) -> float:
        """Return the mean distance from the target; of logits, that of their probabilities."""
        one, other = prediction, self.target
        if self.logits:
            one, other = 1.0 / (1.0 + np.exp(-one)), 1.0 / (1.0 + np.exp(-other))
        return float(np.abs(one - other).mean())

    @property
    def far(self) -> float:
        """Return the distance from the target at which a prediction is another one."""
        return _FLIPPED if self.logits else _FAR

    def _sample(self, prediction: Array) -> Sample:
        feeds = {**self.base.feeds, self.prediction.id: prediction.astype(np.float32)}
        return Sample(feeds, Reach.TYPICAL, "")


def problems(bench: Bench, rows: int, stream: int, *, positive: bool = False) -> Iterator[Problem]:
    """Yield ever new labels with their target; none if no label and prediction fit.

    Args:
        bench: the job.
        rows: of the batch.
        stream: keeps independent uses of the job's random numbers apart.
        positive: whether real labels and predictions are taken to be positive quantities, even if
            the loss does not show that they are.
    """
    fitting = _fitting(bench)
    if fitting is None:
        return
    template, prediction, label = fitting
    real = prediction.encoding is Encoding.REAL
    decided = real and label.encoding in _DECIDED
    logits = decided and (label.encoding is Encoding.CLASS or _takes_logits(bench))
    measured = real and label.encoding is Encoding.REAL
    positive = measured and (positive or _relative(bench, prediction, label))
    rng = samples.generator(bench.job, stream)
    while True:
        # One decimal keeps the witness readable.
        feeds = {
            slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, rows), 1), slot.dtype)
            for slot in template.slots
        }
        if positive:
            feeds[label.id] = np.abs(feeds[label.id]) + np.asarray(_LEAST, label.dtype)
        base = Sample(feeds, Reach.STRUCTURAL, "")
        value = feeds[label.id].astype(np.float64)
        if label.encoding is Encoding.CLASS:
            width = prediction.size(rows)[-1]
            ids = feeds[label.id].reshape(prediction.size(rows)[:-1])
            value = np.eye(width)[np.minimum(ids, width - 1)]
        if logits:
            value = CONFIDENT * (2.0 * value - 1.0)
        found = Problem(bench, template, prediction, label, base, value, logits, positive)
        if decided and not logits and not _directions(found):
            return
        found = replace(found, softmax=_tells_classes(found, value))
        yield replace(found, target=found.bounded(value))


def _fitting(bench: Bench) -> tuple[Template, Slot, Slot] | None:
    """Return the template in which a label says what the prediction should be."""
    for template in bench.templates:
        if bench.spreads(template):
            continue
        for prediction in template.differentiated:
            for label in template.labels[:1]:
                if label.encoding is Encoding.CLASS:
                    ids = label.shape[: len(prediction.shape) - 1], label.shape[-1:]
                    same = ids[0] == prediction.shape[:-1] and len(prediction.shape) >= 2
                    same = same and len(label.shape) < len(prediction.shape) + (ids[1] == (1,))
                else:
                    same = prediction.shape == label.shape and bool(prediction.shape)
                if same:
                    return template, prediction, label
    return None


def _takes_logits(bench: Bench) -> bool:
    return any(
        step.op in _LOGIT_OPS or ("from_logits", True) in step.args
        for step in bench.job.instructions
    )


def _directions(problem: Problem) -> bool:
    """Tell whether the loss compares directions: the length of the prediction is the same to it.

    Real predictions may then be as good as a label of zeros and ones; a margin may not.
    """
    rng = samples.generator(problem.bench.job, 43)
    rows = problem.target.shape[0] if problem.target.ndim else 1
    drawn = samples.typical(problem.prediction, rng, 0, rows).astype(np.float64)
    # Of a drawn prediction alone the loss may be near its limit whatever the length.
    return all(
        np.isclose(problem.loss(one), problem.loss(2.0 * one), rtol=1e-3, atol=1e-5)
        for one in (drawn, problem.target)
    )


def _tells_classes(problem: Problem, label: Array) -> bool:
    """Return whether the loss prefers the label's class to each other one.

    Such a loss is one of a softmax: what becomes of it when all classes are certain at once, as
    with smoothed labels, says nothing.
    """
    encodings = problem.prediction.encoding, problem.label.encoding
    if encodings != (Encoding.UNIT, Encoding.ONE_HOT) or label.ndim < 2:
        return False
    right = problem.loss(problem.bounded(label))
    turns = range(1, label.shape[-1])
    wrong = [problem.loss(problem.bounded(np.roll(label, turn, -1))) for turn in turns]
    return bool(wrong) and right < min(wrong) - _CLEARLY * abs(right)


def divides(bench: Bench) -> bool:
    """Tell whether the loss is a quotient, which may be made for positive quantities."""
    return any(step.op in _QUOTIENTS for step in bench.job.instructions)


def _relative(bench: Bench, prediction: Slot, label: Slot) -> bool:
    """Tell whether the loss divides by the label or the prediction, element by element.

    A relative error is made for positive quantities.
    """
    lab = bench.lab
    stack = [
        lab.operands[step.id][-1]
        for step in bench.job.instructions
        if step.op in _QUOTIENTS and lab.operands[step.id]
    ]
    seen = set(stack)
    while stack:
        current = stack.pop()
        if current in (prediction.id, label.id):
            return True
        op = lab.steps[current].op
        if op and row(op).kind in (Kind.ELEMENTWISE, Kind.STRUCTURAL):
            fresh = [ref for ref in lab.operands[current] if ref not in seen]
            seen.update(fresh)
            stack += fresh
    return False
