"""Does a node break in the reduced dtype that training computes in, where float32 is fine?

The program runs as it stands, fed with inputs of that dtype: what the source casts to float32 by
name stays float32, as in TensorFlow. Arrays that checks look at are float32 all the same, since
NumPy lacks bfloat16; every number of either dtype is one of float32, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Outcome, Reach, Suspect, Verdict
from actlint.graph import Arg, DType
from actlint.worker import nonfinite, witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Lab, Trace, floating
from actlint.worker.protocol import Instruction, Job
from actlint.worker.samples import Array, Feeds, Sample

if TYPE_CHECKING:
    from actlint.worker.program import Program

# Constants up to this size are taken for a guard, and these are tried in their place, ascending.
_LARGEST_GUARD = 4e-3
_LADDER = (1e-7, 1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2)
_MAX_GUARDS = 4
# Instruction, parameter or "" for its value, whole number, and what is added to that.
_Guard = tuple[int, str, float, float]


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the node starts a nan or infinity in the job's dtype that float32 does not have."""
    if bench.job.dtype == "float32":
        return Outcome(Verdict.UNCONFIRMED, "no reduced precision is asked for")
    if bench.reduced is None:
        bench.reduced = _reduced(bench)
    reduced = bench.reduced
    if not reduced.templates:
        reason = f"the expression does not run in {bench.job.dtype}: {reduced.reason}"
        return Outcome(Verdict.UNCONFIRMED, reason)
    outcome = nonfinite.check(reduced, suspect)
    evidence = outcome.evidence
    if outcome.verdict is not Verdict.CONFIRMED or evidence is None:
        return outcome
    sample = _at(reduced, evidence)
    wide = None if sample is None else _traced(bench.lab, sample)
    if sample is None or wide is None:
        return Outcome(Verdict.UNCONFIRMED, "the witness does not run in float32")
    if wide.broken:
        return Outcome(Verdict.REFUTED, "float32 is not finite at the same point, either")
    found = _compared(reduced, suspect.node, evidence, sample, wide)
    if suspect.threshold and "least_epsilon" not in found.detail:
        return Outcome(Verdict.REFUTED, "a larger epsilon does not help at the witness")
    if suspect.threshold and found.reach is Reach.EXTENDED:
        return Outcome(Verdict.REFUTED, "the epsilon is too small for inputs of hundreds alone")
    return replace(outcome, evidence=found)


def _compared(
    reduced: Bench, node: int, evidence: Evidence, sample: Sample, wide: Trace
) -> Evidence:
    """Return the evidence with what float32 gives, and the least epsilon that helps."""
    value = witness.worst([wide.values[wide.output]])
    gradient = witness.worst(wide.gradients.values())
    dtype = reduced.job.dtype
    own = evidence.detail.get("value_of") == "expression"
    broken: list[str] = []
    fine: list[str] = []
    if evidence.value is not None and not np.isfinite(evidence.value):
        broken.append(f"the {'expression' if own else 'value'} is {evidence.value}")
        number = witness.worst([wide.values.get(node)]) if own else value
        fine += [] if number is None else [f"{number:.3g}"]
    if evidence.gradient is not None and not np.isfinite(evidence.gradient):
        broken.append(f"the gradient is {evidence.gradient}")
        fine += [] if gradient is None else [f"{gradient:.3g}"]
    observed = f"in {dtype} {' and '.join(broken)}, in float32 {' and '.join(fine)}"
    advice = _least(reduced, node, sample)
    if advice is not None:
        observed += f"; with {_short(advice[1])} in place of {advice[0]} it is finite there"
    detail = {
        **evidence.detail,
        "dtype": dtype,
        **({} if value is None else {"float32_value": value}),
        **({} if gradient is None else {"float32_gradient": gradient}),
        **({} if advice is None else {"least_epsilon": advice[1]}),
    }
    if broken:
        detail["observed"] = observed
    return replace(evidence, detail=detail)


def _at(bench: Bench, evidence: Evidence) -> Sample | None:
    """Return the batch of the witness; hyperparameters that it leaves out have their number."""
    feeds: Feeds = {}
    for slot in bench.templates[0].slots:
        if slot.spec.name not in evidence.witness:
            return None
        feeds[slot.id] = np.asarray(evidence.witness[slot.spec.name], slot.dtype)
    return Sample(feeds, evidence.reach, "witness")


def _traced(lab: Lab, sample: Sample) -> Trace | None:
    try:
        return lab.trace(sample)
    # Any op may raise anything on operands that do not suit it.
    except Exception:
        return None


# ---- larger epsilons -------------------------------------------------------------------------


def _least(bench: Bench, node: int, sample: Sample) -> tuple[str, float] | None:
    """Return which guard helps at the witness once it is larger, and the least size that does.

    First each guard of the node alone is tried, then all of the program together.
    """
    steps = bench.job.instructions
    ancestors = bench.lab.ancestors(node)
    everywhere = [guard for step in steps for guard in _small(step)]
    own = [guard for guard in everywhere if guard[0] in ancestors][:_MAX_GUARDS]
    if not own:
        return None
    for chosen in (*([guard] for guard in own), everywhere):
        for size in _LADDER:
            if size <= min(abs(epsilon) for *_, epsilon in chosen):
                continue
            if _finite_with(bench, chosen, size, sample):
                sizes = sorted({_short(abs(epsilon)) for *_, epsilon in chosen})
                return " and ".join(sizes), size
    return None


def _short(size: float) -> str:
    """Return a small number as people write it: ``1e-4``."""
    mantissa, _, exponent = f"{size:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _finite_with(bench: Bench, guards: list[_Guard], size: float, sample: Sample) -> bool:
    """Tell whether the program is finite once guards that are smaller have this size."""
    larger = {
        (ident, name): anchor + (size if epsilon > 0.0 else -size)
        for ident, name, anchor, epsilon in guards
        if abs(epsilon) < size
    }
    steps = tuple(
        replace(
            step,
            value=larger.get((step.id, ""), step.value),
            args=tuple((name, larger.get((step.id, name), arg)) for name, arg in step.args),
        )
        for step in bench.job.instructions
    )
    changed = replace(bench.job, instructions=steps)
    trace = _traced(Reduced(changed, type(bench.lab.program)(changed)), sample)
    return trace is not None and not trace.broken


def _small(step: Instruction) -> Iterator[_Guard]:
    """Yield the constants next to whole numbers."""
    for name, value in (("", step.value), *step.args):
        if isinstance(value, float) and abs(value) < 1e6:
            anchor = float(round(value))
            if 0.0 < abs(value - anchor) <= _LARGEST_GUARD:
                yield step.id, name, anchor, value - anchor


# ---- the program in the reduced dtype --------------------------------------------------------


def _reduced(bench: Bench) -> Bench:
    """Return the bench of the same job whose program is fed with inputs of the job's dtype."""
    job = bench.job
    follows = frozenset(job.follows)
    steps = tuple(
        replace(step, args=tuple((name, _retyped(arg, job.dtype)) for name, arg in step.args))
        if step.id in follows
        else step
        for step in job.instructions
    )
    narrow = replace(job, instructions=steps)
    program = type(bench.lab.program)(narrow)
    return Bench(narrow, program, Reduced(narrow, program, bench.lab))


def _retyped(arg: Arg, dtype: str) -> Arg:
    return DType(dtype) if isinstance(arg, DType) and arg.name == "float32" else arg


class Reduced(Lab):
    """A program whose floating inputs have the job's dtype.

    Args:
        job: the excerpt.
        program: the excerpt, ready to run.
        wide: the same in float32; what is not finite there, either, is no hazard of the dtype and
            shows as 0 in traces of the whole program.
    """

    def __init__(self, job: Job, program: Program, wide: Lab | None = None) -> None:
        super().__init__(job, program)
        self._wide = wide
        self._dtype = tf.as_dtype(job.dtype)
        # Of computed values; what is cast to float32 by name is float32 here, too.
        self._made: dict[int, tf.DType] = {}

    def fed(self, feeds: Mapping[int, Any]) -> dict[int, Any]:
        """Return feeds as TensorFlow takes them, in the dtype that their values have."""
        found = super().fed(feeds)
        for key, value in found.items():
            if tf.is_tensor(value) and value.dtype == tf.float32:
                found[key] = tf.cast(value, self._made.get(key, self._dtype))
        return found

    def values(self, feeds: Feeds, program: Program | None = None) -> dict[int, Array]:
        """Run forward and return every node's value, as float32.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        return self._noted(super().values(feeds, program))

    def trace(
        self,
        sample: Sample,
        weights: Array | None = None,
        *,
        program: Program | None = None,
        watch: Sequence[int] | None = None,
        output: int | None = None,
        plain: Mapping[int, Any] | None = None,
    ) -> Trace:
        """Run forward and backward; see `Lab.trace`. Arrays are float32.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        whole = program is None and output is None
        if whole:
            sample = replace(sample, feeds=self._rounded(sample.feeds))
        trace = super().trace(
            sample, weights, program=program, watch=watch, output=output, plain=plain
        )
        values = self._noted(trace.values) if whole else _widened(trace.values)
        cotangents = {
            key: None if found is None else _wide(found) for key, found in trace.cotangents.items()
        }
        trace = replace(trace, values=values, cotangents=cotangents)
        return self._excused(trace, weights) if whole and trace.broken else trace

    def modes_differ(self, node: int) -> bool:  # noqa: ARG002  # the signature of Lab
        """Return False: what compiled modes alone do is not compared with float32."""
        return False

    def _rounded(self, feeds: Feeds) -> Feeds:
        return {
            key: np.asarray(tf.cast(tf.cast(value, self._dtype), tf.float32).numpy())
            if value.dtype == np.float32
            else value
            for key, value in feeds.items()
        }

    def _noted(self, values: dict[int, Array]) -> dict[int, Array]:
        """Return values as float32, and keep the dtypes that they had."""
        for key, value in values.items():
            if key not in self._made and not self.steps[key].input and self.steps[key].op:
                self._made[key] = tf.as_dtype(value.dtype)
        return _widened(values)

    def _excused(self, trace: Trace, weights: Array | None) -> Trace:
        """Return the trace with 0 for what float32 has no finite number for, either."""
        if self._wide is None:
            return trace
        wide = self._wide.trace(trace.sample, weights)
        return replace(
            trace,
            values={key: _calm(found, wide.values.get(key)) for key, found in trace.values.items()},
            cotangents={
                key: None if found is None else _calm(found, wide.cotangents.get(key))
                for key, found in trace.cotangents.items()
            },
        )


def _calm(value: Array, wide: Array | None) -> Array:
    if wide is None or wide.shape != value.shape or not floating(wide):
        return value
    return np.where(np.isfinite(wide), value, np.zeros((), value.dtype))


def _wide(value: Array) -> Array:
    """Return an array of a reduced dtype as float32; others stay."""
    reduced = value.dtype.itemsize == 2 and value.dtype.kind not in "iub"
    return value.astype(np.float32) if reduced else value


def _widened(values: dict[int, Array]) -> dict[int, Array]:
    return {key: _wide(value) for key, value in values.items()}
