"""Does a loss lose the fractions of a value by computing it in integers?"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Ref
from actlint.worker import cut, witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Trace
from actlint.worker.samples import Array

# Change of a fraction, and of the output in terms of its value, that no rounding explains.
_APART = 1e-2


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a fraction is cut off, and that the output is another one with it.

    The node is a cast, an integer division, or the constant that one gave; `threshold` is the
    quotient of that. What a division gives has to be the same throughout: then nothing is left.
    """
    traces = list(bench.traces(0, "typical"))
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    node = suspect.node
    if bench.lab.steps[node].op != "cast":
        values = np.concatenate([trace.values[node].reshape(-1) for trace in traces])
        if np.ptp(values):
            return Outcome(Verdict.REFUTED, "its value changes with its operands")
    bad = [trace for trace in traces if _lost(bench, suspect, trace) is not None]
    if not bad:
        return Outcome(Verdict.REFUTED, "the loss is the same with fractions")

    def shows(trace: Trace) -> bool:
        return _lost(bench, suspect, trace) is not None

    template, trace = cut.smallest(bench, bad, shows)
    lost = _lost(bench, suspect, trace)
    assert lost is not None
    exact, output = lost
    at = int(np.abs(exact - trace.values[node]).argmax())
    integer = witness.plain(np.broadcast_to(trace.values[node], exact.shape).reshape(-1)[at])
    losses = [witness.plain(np.mean(value)) for value in (trace.values[trace.output], output)]
    evidence = Evidence(
        hazard=Hazard.WRONG_LOSS,
        witness=witness.numbers(template, trace.sample),
        value=losses[0],
        gradient=witness.worst(trace.gradients.values()),
        mode="eager",
        samples=len(traces),
        hits=len(bad),
        rate=None,
        reach=Reach.TYPICAL,
        detail={
            "observed": f"it is {integer + 0.0:.3g} instead of {exact.reshape(-1)[at]:.3g}; the "
            f"loss is {losses[0]:.3g}, and {losses[1]:.3g} with fractions",
            "loss_of_fractions": losses[1],
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _lost(bench: Bench, suspect: Suspect, trace: Trace) -> tuple[Array, Array] | None:
    """Return the value with fractions and the output that it gives, if both are others."""
    exact = _exact(bench, suspect, trace)
    if exact is None or np.abs(exact - trace.values[suspect.node]).max(initial=0.0) < _APART:
        return None
    # A constant is a plain number, which takes on the dtype of what it meets.
    fed = tf.constant(exact) if bench.lab.steps[suspect.node].op else float(exact)
    try:
        run = bench.lab.trace(trace.sample, plain={suspect.node: fed})
    # What follows may take integers only; each op then raises its own error.
    except Exception:
        return None
    output, before = run.values[run.output], trace.values[trace.output]
    gap = np.abs(output - before).max(initial=0.0)
    if not gap > _APART * max(float(np.abs(before).max(initial=0.0)), _APART):
        return None
    return exact, output


def _exact(bench: Bench, suspect: Suspect, trace: Trace) -> Array | None:
    """Return the value that the node would have if it kept fractions."""
    step = bench.lab.steps[suspect.node]
    if not step.op:
        return np.asarray(suspect.threshold, np.float32)
    found = [
        trace.values.get(arg.node) if isinstance(arg, Ref) else np.asarray(arg)
        for name, arg in step.args
        if name in {"x", "y"}
    ]
    values = [np.asarray(value, np.float64) for value in found if value is not None]
    if len(values) < len(found):
        return None
    if step.op == "cast":
        return np.asarray(values[0], np.float32)
    if len(values) != 2 or not values[1].all():
        return None
    return np.asarray(values[0] / values[1], np.float32)
