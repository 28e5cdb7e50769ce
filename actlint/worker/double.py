"""The same program in float64, the yardstick of what float32 loses."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from actlint.worker.blame import shows
from actlint.worker.probes import Lab, Trace
from actlint.worker.samples import Array, Sample
from actlint.worker.widening import double_precision, wide, widened

if TYPE_CHECKING:
    from actlint.worker.bench import Bench
    from actlint.worker.program import Program

# Bytes of values that are kept for the other suspects of a job.
_KEPT: Final = 1 << 26

Values = dict[int, Array]


class Double:
    """A bench's program beside itself in float64, each sample run once for all suspects."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        steps = tuple(widened(step) for step in bench.job.instructions)
        job = replace(bench.job, instructions=steps)
        self._program: Program = type(bench.lab.program)(job)
        self._lab = Lab(job, self._program)
        # The sample is kept with its values, so that its id stays taken.
        self._values: dict[int, tuple[Sample, tuple[Values, Values] | None]] = {}
        self._room = _KEPT

    @cached_property
    def usual(self) -> dict[int, float]:
        """Usual size of the output and of each input's gradient, by node.

        Raises:
            Exception: whatever TensorFlow raises where it does not take float64.
        """
        sizes: dict[int, list[float]] = {}
        for sample in self._bench.drawn(0, "typical"):
            trace = self._double_trace(sample)
            for key, value in (
                (trace.output, trace.values.get(trace.output)),
                *trace.gradients.items(),
            ):
                if value is not None and value.size and np.isfinite(value).all():
                    sizes.setdefault(key, []).append(float(np.sqrt(np.mean(value**2))))
        return {key: float(np.median(found)) for key, found in sizes.items()}

    def values(self, sample: Sample) -> tuple[Values, Values] | None:
        """Return every node's value in float32 and in float64, run forward only.

        None if TensorFlow refuses the sample or the path's conditions do not hold.
        """
        known = self._values.get(id(sample))
        if known is not None:
            return known[1]
        found = self._run(sample)
        size = sum(array.nbytes for part in found or () for array in part.values())
        if size <= self._room:
            self._room -= size
            self._values[id(sample)] = (sample, found)
        return found

    def traces(self, sample: Sample) -> tuple[Trace, Trace] | None:
        """Return the runs in float32 and in float64 with their gradients; None as in `values`."""
        lab = self._bench.lab
        try:
            single = lab.trace(sample, self._bench.weights(0))
            if not bool(lab.holds(single.values).all()):
                return None
            return single, self._double_trace(sample)
        # A sample may leave the range that an op accepts; it is skipped.
        except Exception:
            return None

    def shows(self, node: int, trace: Trace) -> bool:
        """Return True if the node starts a hazard in a run in float64 and training feels it."""
        with double_precision():
            return shows(self._lab, node, trace)

    def _run(self, sample: Sample) -> tuple[Values, Values] | None:
        lab = self._bench.lab
        given = {key: np.asarray(value) for key, value in sample.feeds.items()}
        try:
            single = {**lab.values(sample.feeds), **given}
            if not bool(lab.holds(single).all()):
                return None
            feeds = wide(sample).feeds
            with double_precision():
                double = {**lab.values(feeds, self._program), **feeds}
        # As above.
        except Exception:
            return None
        return single, double

    def _double_trace(self, sample: Sample) -> Trace:
        with double_precision():
            return self._bench.lab.trace(
                wide(sample), self._bench.weights(0), program=self._program
            )
