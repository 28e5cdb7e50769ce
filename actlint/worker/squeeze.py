"""Values and slopes of a squashing function: where they live on the inputs that training sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Ref
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Sample

# Share of a squashing function's largest slope under which it passes next to nothing back.
_FLAT = 1e-3
# Arguments among which every squashing function has its largest slope, 0 included.
_ARGUMENTS = np.linspace(-4.0, 4.0, 801, dtype=np.float32)
# Distance of a witness from the largest value that any sample reached.
_NEAR = 0.02
# Functions that give the logarithm of a probability.
_LOGARITHMS = frozenset({"log_softmax", "log_sigmoid"})
# Cross-entropies, with the operand whose softmax they take.
_ENTROPIES = {
    "softmax_cross_entropy_with_logits": "logits",
    "sparse_softmax_cross_entropy_with_logits": "logits",
    "v1_softmax_cross_entropy": "logits",
    "v1_sparse_softmax_cross_entropy": "logits",
    "categorical_crossentropy": "y_pred",
    "sparse_categorical_crossentropy": "y_pred",
    "backend_categorical_crossentropy": "output",
    "backend_sparse_categorical_crossentropy": "output",
}
# Last ops of functions with the slope p (1 - p): softmax, and 1 / (1 + exp(-x)) written out.
_PROBABILITIES = frozenset({"softmax", "log_softmax", "divide", "div", "reciprocal", *_ENTROPIES})
# Logits below the first are masked, and their probabilities are below the second.
_MASK, _MASKED = -1e8, 1e-300
# Rows of the batches that a share is measured on.
_ROWS = 256
_ALL = ("typical", "structural", "extended")


def steep(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a switch has slopes below a thousandth of its largest on most typical elements.

    The first target names the operand whose scale makes it steep.
    """
    node, operand = suspect.node, suspect.targets[0].node
    traces = _many(bench)
    slopes = [slope for trace in traces if (slope := _slopes(bench, node, operand, trace)).size]
    if not slopes:
        return Outcome(Verdict.UNCONFIRMED, "the expression cannot be run on its own")
    largest = _largest_slope(bench, node, operand, traces[0])
    joined = np.concatenate(slopes)
    flat = joined < _FLAT * largest
    share = float(flat.mean())
    if share < suspect.threshold:
        return Outcome(
            Verdict.REFUTED, f"its slope is next to nothing on {share:.0%} of the typical elements"
        )

    def shows(sample: Sample) -> bool:
        run = bench.run(sample)
        slope = np.zeros(0) if run is None else _slopes(bench, node, operand, run)
        return bool(slope.size and np.mean(slope < _FLAT * largest) >= suspect.threshold)

    few = [trace.sample for trace in (*bench.traces(0, "typical"), *traces)]
    first = next((sample for sample in few if shows(sample)), few[0])
    found = witness.shrink(bench.templates[0], first, shows)
    run = bench.run(found)
    value = None if run is None else witness.worst([run.values[run.output]])
    rate = max(_steepest(bench, operand, trace.sample) for trace in traces)
    return _confirmed(
        bench,
        found,
        count=int(joined.size),
        hits=int(flat.sum()),
        ends=(value, None if run is None else _least(run.gradients.values())),
        detail={"share": round(share, 4), "steepest": witness.plain(largest * rate)},
    )


def squeezed(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that values stay in a band narrower than `threshold` whatever the input."""
    runs = [trace for kind in _ALL for trace in bench.traces(0, kind)]
    band = _band(bench, suspect.node, runs)
    if band is None:
        return Outcome(Verdict.UNCONFIRMED, "it has no finite values on the samples")
    low, high = band
    if high - low >= suspect.threshold:
        return Outcome(Verdict.REFUTED, f"its values go from {low:.3g} to {high:.3g}")
    return _banded(bench, suspect.node, runs, band, "any input")


def uniform(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the values of typical inputs differ by less than the factor `threshold`."""
    runs = list(bench.traces(0, "typical"))
    band = _band(bench, suspect.node, runs)
    if band is None or band[0] <= 0.0:
        return Outcome(Verdict.UNCONFIRMED, "it has no finite, positive values on the samples")
    low, high = band
    if high >= suspect.threshold * low:
        return Outcome(Verdict.REFUTED, f"its typical values go from {low:.3g} to {high:.3g}")
    return _banded(bench, suspect.node, runs, band, "typical inputs")


def _many(bench: Bench) -> list[Trace]:
    """Return typical runs of many rows, so that a share of them means something."""
    template = bench.templates[0]
    rng = samples.generator(bench.job, 41)
    made: list[Trace] = []
    for turn in (0, 1):
        feeds = {slot.id: samples.typical(slot, rng, turn, _ROWS) for slot in template.slots}
        trace = bench.run(Sample(feeds, Reach.TYPICAL, "typical"))
        made += [trace] if trace is not None else []
    return made or list(bench.traces(0, "typical"))


def _values(bench: Bench, node: int, trace: Trace) -> Array:
    """Return a node's values as probabilities; of a cross-entropy those of its softmax."""
    step = bench.lab.steps[node]
    if step.op in _ENTROPIES:
        logits = dict(step.args)[_ENTROPIES[step.op]]
        found = trace.values.get(logits.node) if isinstance(logits, Ref) else None
        if found is None or not found.ndim:
            return np.zeros(0)
        powers = np.exp(found.astype(np.float64) - found.max(-1, keepdims=True))
        shares: Array = powers / powers.sum(-1, keepdims=True)
        # Those that a mask takes out are no result of the temperature.
        return shares[shares > _MASKED] if (found < _MASK).any() else shares
    value = trace.values.get(node, np.zeros(0)).astype(np.float64)
    return np.exp(value) if step.op in _LOGARITHMS else value


def _band(bench: Bench, node: int, runs: Iterable[Trace]) -> tuple[float, float] | None:
    found = [_values(bench, node, trace).reshape(-1) for trace in runs]
    joined = np.concatenate(found) if found else np.zeros(0)
    joined = joined[np.isfinite(joined)]
    return (float(joined.min()), float(joined.max())) if joined.size else None


def _banded(
    bench: Bench, node: int, runs: list[Trace], band: tuple[float, float], inputs: str
) -> Outcome:
    low, high = band

    def top(trace: Trace) -> float:
        value = _values(bench, node, trace)
        return float(value.max()) if value.size else -np.inf

    def shows(sample: Sample) -> bool:
        run = bench.run(sample)
        return run is not None and abs(top(run) - high) <= _NEAR * (high - low)

    largest = max(_steepest(bench, node, trace.sample) for trace in runs)
    best = max(runs, key=top)
    return _confirmed(
        bench,
        witness.shrink(bench.templates[0], best.sample, shows),
        count=len(runs),
        hits=len(runs),
        ends=(high, largest),
        detail={
            "smallest_value": float(f"{low:.3g}"),
            "largest_value": float(f"{high:.3g}"),
            "largest_gradient": float(f"{largest:.3g}"),
            "inputs": inputs,
        },
    )


def _slopes(bench: Bench, node: int, operand: int, trace: Trace) -> Array:
    """Return the slope of each element of the node with respect to its own argument."""
    if bench.lab.steps[node].op in _PROBABILITIES:
        value = _values(bench, node, trace).reshape(-1)
        found: Array = value * (1.0 - value)
        return found
    _, handed = bench.lab.local(node, trace, None)
    slope = handed.get(operand)
    return np.zeros(0) if slope is None else np.abs(slope).reshape(-1)


def _largest_slope(bench: Bench, node: int, operand: int, trace: Trace) -> float:
    """Return the largest slope that the function itself has."""
    if bench.lab.steps[node].op in _PROBABILITIES:
        return 0.25  # of p (1 - p)
    given = replace(trace, values={**trace.values, operand: _ARGUMENTS})
    slope = _slopes(bench, node, operand, given)
    return float(slope.max()) if slope.size else 0.0


def _steepest(bench: Bench, node: int, sample: Sample) -> float:
    """Return the largest slope of the first element of each row of a node."""
    lab = bench.lab
    try:
        part = lab.upto(node)
        value = lab.values(sample.feeds, part)[node]
        weights = np.zeros_like(value)
        weights[..., :1] = 1.0
        run = lab.trace(sample, weights, program=part, output=node)
    # The part may not run on its own, or its value may have no axis; any op raises anything.
    except Exception:
        return 0.0
    found = [np.abs(g).max() for g in run.gradients.values() if g is not None and g.size]
    finite = [float(value) for value in found if np.isfinite(value)]
    return max(finite, default=0.0)


def _least(gradients: Iterable[Array | None]) -> float | None:
    """Return the element of least magnitude; None if there is none."""
    parts = [found.reshape(-1) for found in gradients if found is not None and found.size]
    if not parts:
        return None
    joined = np.concatenate(parts)
    return witness.plain(joined[np.abs(joined).argmin()] + 0.0)


def _confirmed(
    bench: Bench,
    sample: Sample,
    *,
    count: int,
    hits: int,
    ends: tuple[float | None, float | None],
    detail: dict[str, float | str | list[float]],
) -> Outcome:
    evidence = Evidence(
        hazard=Hazard.VANISHING,
        witness=witness.numbers(bench.templates[0], sample),
        value=None if ends[0] is None else witness.plain(ends[0]),
        gradient=ends[1],
        mode="eager",
        samples=count,
        hits=hits,
        rate=None,
        reach=sample.reach,
        detail=detail,
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)
