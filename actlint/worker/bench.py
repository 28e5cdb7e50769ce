"""The workbench of one job: its templates, its samples run once for all suspects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from actlint.findings import Reach
from actlint.graph import Items
from actlint.worker import columns, inputs, joint, rows, samples
from actlint.worker.inputs import BATCH, Encoding, Slot, Template
from actlint.worker.probes import Lab, Trace, floating
from actlint.worker.protocol import Instruction, Job
from actlint.worker.rows import Block, Rows
from actlint.worker.samples import Array, Feeds, Sample

if TYPE_CHECKING:
    from actlint.worker.double import Double
    from actlint.worker.program import Program

# Typical batches of a program that is not elementwise; one batch counts as one sample.
TYPICAL_BATCHES = 6
# Further values that other inputs take while one input is scanned.
_SETTINGS = 4
# Points of the even grid over the typical range of an elementwise program.
_DENSE = 301
# Further typical rows, of each of two encodings, where many rows run as one batch.
_MORE_ROWS = 64
# Elements above which only a few batches of each class are run.
_LARGE = 50_000
_FEW = 3
_FILTERS = frozenset({"boolean_mask", "where_indices", "dynamic_partition", "unique_values"})
# Rounding differs between a vectorised kernel and its scalar remainder.
_SAME = 1e-5


def first_line(error: BaseException) -> str:
    """Return TensorFlow's message without its frame, shortened to one line."""
    text = str(error).strip().split("\n", 1)[0]
    text = text.partition("}} ")[2] or text if text.startswith("{{") else text
    return (text.split(" [Op:")[0] or type(error).__name__)[:160]


@dataclass(frozen=True, slots=True)
class Line:
    """An elementwise program on flat arrays: every element is a sample."""

    template: Template

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The inputs that have elements."""
        return self.template.elements

    def sample(self, points: Feeds, reach: Reach = Reach.TYPICAL, label: str = "") -> Sample:
        """Return the batch whose flattened elements begin with `points`, the last repeated."""
        length = max((value.size for value in points.values()), default=1)
        size = self.slots[0].size(1)
        rows = -(-length // max(int(np.prod(size)), 1))
        feeds: Feeds = {}
        for slot in self.template.slots:
            if slot.encoding is Encoding.PARAMETER:
                feeds[slot.id] = np.asarray(slot.number, slot.dtype)
                continue
            shape = slot.size(rows)
            total = int(np.prod(shape))
            value = np.asarray(points[slot.id], slot.dtype)
            padded = np.concatenate([value, np.repeat(value[-1:], max(total - value.size, 0))])
            feeds[slot.id] = padded.reshape(shape)
        return Sample(feeds, reach, label)


def flat(value: Array | None, length: int) -> Array | None:
    """Return a node's value with one entry per point, or None if it has another number."""
    if value is None:
        return None
    if value.size == 1:
        return np.broadcast_to(value.reshape(()), (length,))
    return value.reshape(-1) if value.size == length else None


def _picks(step: Instruction) -> bool:
    """Return True if values decide how many elements the result has."""
    alone = step.op == "where" and {name for name, _ in step.args} <= {"condition", "name"}
    return alone or step.op in _FILTERS


class Bench:
    """What all checks of one job share.

    Args:
        job: the excerpt.
        program: the excerpt, ready to run.
        lab: what runs it, if not in float32 as it stands.
    """

    def __init__(self, job: Job, program: Program, lab: Lab | None = None) -> None:
        self.job = job
        self.lab = lab or Lab(job, program)
        # The same job in its reduced dtype, once a check has asked for it.
        self.reduced: Bench | None = None
        # The same job in float64, once a check has asked for it.
        self.double: Double | None = None
        self._trimmed = columns.trims(job.instructions)
        found, self.reason = inputs.templates(job, self._holds if job.assumptions else self._fits)
        if not found and (job.assumptions or self._trimmed):
            found, self.reason = inputs.templates(job, self._runs)
        self.templates = found or joint.solve(job, program, self._runs, self._feed)
        self._traces: dict[tuple[int, str], tuple[Trace, ...]] = {}
        self._drawn: dict[tuple[int, str], tuple[Sample, ...]] = {}
        self._weights: dict[int, Array | None] = {}
        self._rows: dict[int, Rows | None] = {}
        self._blocks: dict[int, Block | None] = {}
        self._block_traces: dict[tuple[int, int], tuple[Sample, Trace | None]] = {}
        self._line_traces: dict[bytes, Trace | None] = {}
        self._lines: dict[tuple[int, int], Line | None] = {}

    @cached_property
    def constants(self) -> tuple[float, ...]:
        """Numbers in the program, in order."""
        found: dict[float, None] = {}
        for step in self.job.instructions:
            args = [step.value, *(arg for _, arg in step.args)]
            for arg in args:
                for item in arg.items if isinstance(arg, Items) else (arg,):
                    if isinstance(item, (int, float)) and not isinstance(item, bool):
                        found[float(item)] = None
        return tuple(value for value in found if np.isfinite(value))[:64]

    def _holds(self, template: Template) -> str | None:
        """Return None if the program runs and the path's conditions hold, as those on ranks do."""
        reason = self._fits(template)
        if reason is not None:
            return reason
        rng = samples.generator(self.job, 1)
        feeds = {slot.id: samples.typical(slot, rng, 0) for slot in template.slots}
        held = self.lab.holds(self.lab.values(feeds))
        return None if held.any() else "the path's conditions do not hold for it"

    def _feed(self, slot: Slot) -> Any:
        """Return a typical value of one input, as the program takes it."""
        rng = samples.generator(self.job, 1)
        return self.lab.fed({slot.id: samples.typical(slot, rng, 0)})[slot.id]

    def _fits(self, template: Template) -> str | None:
        """Return None if the program runs and no column is spread by accident, else why not."""
        reason = self._runs(template)
        if reason is None and self.spreads(template):
            return "a single column that remains is spread over the others"
        return reason

    def spreads(self, template: Template) -> bool:
        """Say whether a column that remains by accident is spread over a wider value."""
        if not self._trimmed:
            return False
        rng = samples.generator(self.job, 1)
        feeds = {slot.id: samples.typical(slot, rng, 0) for slot in template.slots}
        return columns.spread(self.job.instructions, self.lab.values(feeds))

    def _runs(self, template: Template) -> str | None:
        """Return None if the program runs on the template, else why not."""
        rng = samples.generator(self.job, 1)
        feeds = {slot.id: samples.typical(slot, rng, 0) for slot in template.slots}
        try:
            output = self.lab.values(feeds).get(self.job.output)
        # Any op may raise anything on a shape that does not fit: that is what trying means.
        except Exception as error:
            return first_line(error)
        if output is None or not floating(output):
            return "its result is not a floating tensor"
        return None if output.size else "its result is empty"

    # ---- batches ---------------------------------------------------------------------------

    def weights(self, index: int) -> Array | None:
        """Return a cotangent for the output under which no two rows cancel.

        Ones for scalars and elementwise programs, whose gradient then is the derivative.
        """
        if index not in self._weights:
            self._weights[index] = self._drawn_weights(index)
        return self._weights[index]

    def _drawn_weights(self, index: int) -> Array | None:
        template = self.templates[index]
        if self.line(index) is not None:
            return None
        rng = samples.generator(self.job, 2)
        feeds = {slot.id: samples.typical(slot, rng, 0) for slot in template.slots}
        shape = self.lab.values(feeds)[self.job.output].shape
        return rng.uniform(0.5, 1.5, shape).astype(np.float32) if shape else None

    def run(self, sample: Sample) -> Trace | None:
        """Trace one batch; None if TensorFlow refuses it or the path's conditions do not hold."""
        return self._weighed(sample, None)

    def traces(self, index: int, kind: str) -> tuple[Trace, ...]:
        """Return the runs of template `index` over one class of its batches.

        Args:
            index: which template.
            kind: "typical", "structural" or "extended".
        """
        key = (index, kind)
        if key not in self._traces:
            weights = self.weights(index)
            runs = (
                self._weighed(sample, weights if self._is_whole(index, sample) else None)
                for sample in self.drawn(index, kind)
            )
            self._traces[key] = tuple(trace for trace in runs if trace is not None)
        return self._traces[key]

    def _is_whole(self, index: int, sample: Sample) -> bool:
        """Return True if the batch has as many rows as most have."""
        batched = (slot for slot in self.templates[index].slots if slot.shape[:1] == (None,))
        return all(sample.feeds[slot.id].shape[:1] == (BATCH,) for slot in batched)

    def drawn(self, index: int, kind: str) -> tuple[Sample, ...]:
        """Return the batches of one class; see `traces`."""
        key = (index, kind)
        if key not in self._drawn:
            template = self.templates[index]
            rng = samples.generator(self.job, 10 + 10 * index + len(kind))
            line = self.line(index) if self.job.assumptions else None
            if line is not None:
                found = self._singles(line) if kind == "typical" else iter(())
            elif kind == "typical":
                found = samples.typicals(template, rng, TYPICAL_BATCHES)
            elif kind == "structural":
                found = samples.structural(template, rng)
            else:
                found = samples.extended(template, rng)
            large = sum(math.prod(slot.size(BATCH)) for slot in template.slots) > _LARGE
            self._drawn[key] = tuple(islice(found, _FEW if large else None))
        return self._drawn[key]

    # ---- rows ------------------------------------------------------------------------------

    def rows(self, index: int) -> Rows | None:
        """Return the row-wise view of template `index`, or None if rows touch."""
        if index not in self._rows:
            self._rows[index] = rows.find(self.lab, self.templates[index])
        return self._rows[index]

    def block(self, index: int) -> Block | None:
        """Return all batches of template `index` as one, with many more typical rows."""
        if index not in self._blocks:
            view = self.rows(index)
            template = self.templates[index]
            parts = [
                sample
                for kind in ("structural", "typical", "extended")
                for sample in self.drawn(index, kind)
            ]
            rng = samples.generator(self.job, 31 + index)
            for turn in (0, 1):
                feeds = {
                    slot.id: samples.typical(slot, rng, turn, _MORE_ROWS) for slot in template.slots
                }
                parts.append(Sample(feeds, Reach.TYPICAL, "typical"))
            self._blocks[index] = rows.stacked(view, parts) if view is not None else None
        return self._blocks[index]

    def block_trace(self, index: int, sample: Sample) -> Trace | None:
        """Trace stacked samples, each set once; None if TensorFlow refuses them."""
        key = (index, id(sample))
        if key not in self._block_traces:
            # The sample is kept with its run, so that its id stays taken.
            self._block_traces[key] = (sample, self._weighed(sample, None))
        return self._block_traces[key][1]

    def _weighed(self, sample: Sample, weights: Array | None) -> Trace | None:
        try:
            trace = self.lab.trace(sample, weights)
        # A sample may leave the range that an op accepts, such as class ids; it is skipped.
        except Exception:
            return None
        return trace if bool(self.lab.holds(trace.values).all()) else None

    def _singles(self, line: Line) -> Iterator[Sample]:
        """Yield single typical elements on the path, for programs that branch on one number."""
        points, normal = self.points(line, self.job.samples)
        trace = self.line_trace(line, points)
        if trace is None:
            return
        total = trace.values[trace.output].size
        held = flat(self.lab.holds(trace.values), total)
        on_path = range(normal) if held is None else np.flatnonzero(held[:normal])
        for at in on_path[:TYPICAL_BATCHES]:
            one = line.sample({key: value[at : at + 1] for key, value in points.items()})
            feeds = {key: value.reshape(-1)[0] for key, value in one.feeds.items()}
            yield Sample({k: np.asarray(v) for k, v in feeds.items()}, Reach.TYPICAL, "typical")

    # ---- elements --------------------------------------------------------------------------

    def line_trace(self, line: Line, points: Feeds) -> Trace | None:
        """Trace flat points; None if TensorFlow refuses them."""
        key = b"".join(value.tobytes() for value in points.values())
        if key not in self._line_traces:
            try:
                self._line_traces[key] = self.lab.trace(line.sample(points))
            # As in `run`.
            except Exception:
                self._line_traces[key] = None
        return self._line_traces[key]

    def line(self, index: int = 0, node: int | None = None) -> Line | None:
        """Return the elementwise view of template `index`, or None if elements mix.

        Args:
            index: which template.
            node: ask about this node instead of the output.
        """
        end = self.job.output if node is None else node
        if (index, end) not in self._lines:
            self._lines[index, end] = self._find_line(self.templates[index], end)
        return self._lines[index, end]

    def _find_line(self, template: Template, end: int) -> Line | None:
        needed = self.lab.ancestors(end)
        slots = [slot for slot in template.elements if slot.id in needed]
        if not slots or not any(slot.spec.differentiated for slot in slots):
            return None
        if len({slot.shape for slot in slots}) != 1 or any(
            slot.encoding is Encoding.CLASS for slot in slots
        ):
            return None
        if any(_picks(self.lab.steps[ident]) for ident in needed):
            return None
        only = Template(tuple(slot for slot in template.slots if slot.id in needed))
        line = Line(only)
        rng = samples.generator(self.job, 3)
        length = 8 if None in slots[0].shape or not slots[0].shape else 0
        length = length * int(np.prod(slots[0].size(1))) or int(np.prod(slots[0].size(1)))
        if not slots[0].shape:
            return None
        first = {slot.id: samples.typical(slot, rng, 1, 8).reshape(-1)[:length] for slot in slots}
        other = {slot.id: samples.typical(slot, rng, 1, 8).reshape(-1)[:length] for slot in slots}
        keep = rng.random(length) < 0.5
        mixed = {key: np.where(keep, first[key], other[key]) for key in first}
        program = None if end == self.job.output else self.lab.upto(end)
        try:
            values = self.lab.values(line.sample(first).feeds, program)
            one = values.get(end)
            two = self.lab.values(line.sample(mixed).feeds, program).get(end)
        # As in `run`.
        except Exception:
            return None
        size = line.sample(first).feeds[slots[0].id].shape
        if one is None or two is None or one.shape != size or two.shape != size:
            return None
        # A condition on the whole batch does not hold or fail for single elements.
        if any(values[node].shape != size for node, _ in self.job.assumptions if node in values):
            return None
        same = np.isclose(
            one.reshape(-1).astype(np.float64), two.reshape(-1).astype(np.float64),
            rtol=_SAME, atol=_SAME, equal_nan=True,
        )  # fmt: skip
        return line if bool(same[keep].all()) else None

    def points(self, line: Line, count: int) -> tuple[Feeds, int]:
        """Return the flat points of an elementwise program, and how many of them are typical.

        Typical points come first; then each differentiated input is scanned while the other
        inputs take a few typical values.
        """
        rng = samples.generator(self.job, 4)
        scanned: list[Feeds] = []
        alone = len(line.slots) == 1
        for slot in line.slots:
            if not slot.spec.differentiated:
                continue
            values = samples.line(slot, self.constants, _DENSE if alone else 41)
            scanned.extend(
                {
                    other.id: values
                    if other is slot
                    else np.full(values.size, setting[other.id], np.float32)
                    for other in line.slots
                }
                for setting in self.settings(line, slot, rng)
            )
            if len(line.slots) > 1 and values.size:
                # Equal arguments.
                scanned.append({other.id: samples.clip(values, other) for other in line.slots})
        total = sum(next(iter(feeds.values())).size for feeds in scanned)
        normal = max(count - total, count // 2)
        made: Feeds = {}
        for slot in line.slots:
            drawn = _draw(slot, rng, normal)
            made[slot.id] = np.concatenate([drawn, *(feeds[slot.id] for feeds in scanned)])
        return made, normal

    def settings(
        self, line: Line, scanned: Slot, rng: np.random.Generator
    ) -> list[dict[int, float]]:
        """Return values for the inputs that are held while `scanned` moves."""
        others = [slot for slot in line.slots if slot is not scanned]
        if not others:
            return [{}]
        ends = [
            {slot.id: float(samples.clip(value, slot)) for slot in others} for value in (0.0, 1.0)
        ]
        drawn = [
            {slot.id: float(_draw(slot, rng, 1)[0]) for slot in others}
            for _ in range(_SETTINGS - 2)
        ]
        return [*ends, *drawn]


def _draw(slot: Slot, rng: np.random.Generator, count: int) -> Array:
    whole = Slot(slot.id, slot.spec, (count,), slot.dtype, slot.encoding, slot.classes)
    if slot.encoding is Encoding.ONE_HOT:
        return np.asarray(rng.integers(0, 2, count), slot.dtype)
    return samples.typical(whole, rng, 1)
