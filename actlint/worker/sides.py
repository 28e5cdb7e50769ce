"""Is a loss the same for errors of both signs near 0, and another one beyond a threshold?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from actlint.findings import Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.samples import Feeds, Sample

_ROWS = 2
# Errors, in terms of the threshold: within it, on both sides of it, beyond it.
_WITHIN = (0.25, 0.5, 0.9)
_NEXT = (0.97, 0.99, 1.01, 1.03)
_BEYOND = 4.0
# Relative differences: that rounding explains, of slopes that meet, and of two losses.
_SAME = 1e-3
_MEETS = 0.1
_DIFFERS = 0.1


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a loss is even within a threshold, bends there on one side, and not on the other.

    `suspect.threshold` is the threshold, in units of the prediction. Pieces that do not meet at it
    are weights of one side, which are given on purpose.
    """
    size = suspect.threshold
    for template in bench.templates:
        pair = _pair(template)
        if pair is None:
            continue
        label, prediction = pair
        rng = samples.generator(bench.job, 81)
        feeds = {
            slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, _ROWS), 1), slot.dtype)
            for slot in template.slots
        }
        goal = feeds[label.id].astype(np.float64)

        at = partial(_loss, bench, feeds, label, prediction)

        near = [(at(size * share), at(-size * share)) for share in _WITHIN]
        far = at(size * _BEYOND), at(-size * _BEYOND)
        if None in far or any(None in each for each in near):
            continue
        if not all(_close(*each, _SAME) for each in near):
            return Outcome(Verdict.REFUTED, "the two signs differ within the threshold, too")
        if _close(*far, _DIFFERS):
            return Outcome(Verdict.REFUTED, "the two signs are alike beyond the threshold, too")
        if not all(_goes_on(size * sign, at) for sign in (1.0, -1.0)):
            return Outcome(Verdict.REFUTED, "its pieces do not meet: one side weighs more")
        one, other = (goal + sign * size * _BEYOND for sign in (1.0, -1.0))
        evidence = witness.seen(
            template,
            Sample({**feeds, prediction.id: one.astype(np.float32)}, Reach.TYPICAL, ""),
            f"with errors of {size * _BEYOND:.3g} the loss is {far[0]:.4g}, and {far[1]:.4g} with "
            f"errors of -{size * _BEYOND:.3g}; up to {size:.3g} it is the same for both signs",
            value=far[0],
            samples=len(_WITHIN) + 1,
            moved=prediction.spec.name,
            other=[witness.plain(value) for value in other.astype(np.float32).reshape(-1)],
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no label and prediction of one shape were found")


def _loss(bench: Bench, feeds: Feeds, label: Slot, prediction: Slot, error: float) -> float | None:
    """Return the mean of the loss where all predictions are off by the same error."""
    moved = {**feeds, prediction.id: (feeds[label.id] + error).astype(np.float32)}
    run = bench.run(Sample(moved, Reach.TYPICAL, ""))
    return None if run is None else float(np.mean(run.values[run.output]))


def _pair(template: Template) -> tuple[Slot, Slot] | None:
    """Return label and prediction, if there is one of each, of one shape and any value."""
    labels, predictions = template.labels, template.differentiated
    if len(labels) != 1 or len(predictions) != 1 or labels[0].shape != predictions[0].shape:
        return None
    real = all(slot.encoding is Encoding.REAL for slot in (labels[0], predictions[0]))
    return (labels[0], predictions[0]) if real else None


def _goes_on(threshold: float, at: Callable[[float], float | None]) -> bool:
    """Return whether value and slope are the same on both sides of a threshold."""
    places = (threshold * share for share in _NEXT)
    found = [value for place in places if (value := at(place)) is not None]
    if len(found) < len(_NEXT):
        return False
    slopes = [after - before for before, after in pairwise(found)]
    size = max(abs(slope) for slope in slopes)
    return size > 0.0 and max(slopes) - min(slopes) <= _MEETS * size


def _close(first: float | None, second: float | None, share: float) -> bool:
    if first is None or second is None:
        return False
    return abs(first - second) <= share * max(abs(first), abs(second), 1e-6)
