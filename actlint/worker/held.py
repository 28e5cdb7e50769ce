"""Does a gradient come through the labels of a loss, and move them?"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import cut, witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array

# Share of the gradient's length that no rounding explains.
_SHARE = 1e-3
# Residual, in terms of how much labels vary, of labels that are a line in the prediction.
_LINEAR = 1e-3


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the gradient is another one if the label is held fixed.

    The suspect's node is the label, its target the operand in the prediction's place. A label that
    is the prediction itself, up to a factor and an offset, makes the loss an entropy on purpose.
    """
    traces = list(bench.traces(0, "typical"))
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    prediction = suspect.targets[0].node
    if all(_is_entropy(trace, suspect.node, prediction) for trace in traces):
        return Outcome(Verdict.REFUTED, "the label is the prediction: the loss is its entropy")
    bad = [trace for trace in traces if _share(bench, suspect.node, trace) > _SHARE]
    if not bad:
        return Outcome(Verdict.REFUTED, "the gradient is the same if the label is held fixed")

    def shows(trace: Trace) -> bool:
        return _share(bench, suspect.node, trace) > _SHARE and not _is_entropy(
            trace, suspect.node, prediction
        )

    template, trace = cut.smallest(bench, bad, shows)
    share = _share(bench, suspect.node, trace)
    evidence = Evidence(
        hazard=Hazard.WRONG_GRADIENT,
        witness=witness.numbers(template, trace.sample),
        value=witness.worst([trace.values[trace.output]]),
        gradient=witness.worst(trace.gradients.values()),
        mode="eager",
        samples=len(traces),
        hits=len(bad),
        rate=None,
        reach=Reach.TYPICAL,
        detail={
            "observed": f"{share:.0%} of the gradient comes through the label, and moves it",
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _share(bench: Bench, label: int, trace: Trace) -> float:
    """Return how much of the gradient's length comes through the label; 0 if it is not finite."""
    cotangent = trace.cotangents.get(label)
    if cotangent is None or not cotangent.any():
        return 0.0
    whole = bench.lab.trace(trace.sample)
    held = bench.lab.trace(trace.sample, plain={label: tf.constant(trace.values[label])})
    slopes = [(_slope(whole, key), _slope(held, key)) for key in whole.gradients]
    through = np.sqrt(sum(float(np.square(one - other).sum()) for one, other in slopes))
    past = np.sqrt(sum(float(np.square(other).sum()) for _, other in slopes))
    share = through / (through + past) if through > 0.0 else 0.0
    return float(share) if np.isfinite(share) else 0.0


def _slope(run: Trace, key: int) -> Array:
    found = run.cotangents.get(key)
    return np.zeros(1) if found is None else np.asarray(found, np.float64)


def _is_entropy(trace: Trace, label: int, prediction: int) -> bool:
    """Tell whether the label is a line in the prediction, or in its softmax or sigmoid."""
    one, other = trace.values.get(label), trace.values.get(prediction)
    if one is None or other is None or one.shape != other.shape or not floating(other):
        return False
    value = other.astype(np.float64)
    candidates: list[Any] = [value, 1.0 / (1.0 + np.exp(-value))]
    if value.ndim:
        powers = np.exp(value - value.max(-1, keepdims=True))
        candidates.append(powers / powers.sum(-1, keepdims=True))
    return any(_on_a_line(one.astype(np.float64).reshape(-1), c.reshape(-1)) for c in candidates)


def _on_a_line(values: Array, inputs: Array) -> bool:
    """Tell whether values are a factor times the inputs plus an offset."""
    if values.size < 3 or not (np.isfinite(values).all() and np.isfinite(inputs).all()):
        return False
    columns = np.stack([inputs, np.ones_like(inputs)], -1)
    fitted = columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
    return bool(np.abs(fitted - values).max() <= _LINEAR * max(float(np.ptp(values)), 1e-12))
