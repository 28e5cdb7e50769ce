"""Does float32 lose the digits that training needs? The same program in float64 tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Target, Verdict
from actlint.graph import Role
from actlint.worker import aim, elements, samples, witness
from actlint.worker.bench import Bench, Line
from actlint.worker.double import Double, Values
from actlint.worker.inputs import Encoding, Template
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array, Feeds, Sample

# Relative error from which on a number has not even its first digit right.
HARMFUL: Final = 0.1
# Relative errors of a value that has lost digits, and of operands that have not.
_LOST: Final = 1e-4
_ACCURATE: Final = 2e-6
# Share of its operands' size from which on a float64 difference has six digits.
_RELIABLE: Final = 1e-10
# Share of its usual size from which on a gradient or output matters.
_NEGLIGIBLE: Final = 0.1
# The error must shrink to this share when the expression's accurate value is put in its place.
_MENDED: Final = 0.25
# Chance per element under a standard normal from which on training meets the loss of digits.
_RATE: Final = 1e-6
# Points per decade around a point at which terms cancel, and how near to it they go.
_MANTISSAS: Final = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
# The same for a program that mixes elements, which may take the square of the points or more.
_FEW_MANTISSAS: Final = (1.0, 3.0)
_DECADES: Final = 8
_MAX_ROOTS: Final = 4
# Floats on either side of a solution of a program that mixes elements, and distances from it,
# which are what tells here.
_NEIGHBOURS: Final = 2
_STEPS: Final = (1e-2, 1e-3, 1e-4)
# Batches far from 0 with little spread: (mean, standard deviation).
_LEVELS: Final = ((100.0, 0.1), (1000.0, 1.0), (1000.0, 0.1))
# Distance of two inputs that nearly agree.
_NEAR: Final = 1e-2
# Ops whose result is float32 unless they are told otherwise.
_MAKERS: Final = frozenset({"constant", "zeros", "ones", "one_hot", "convert_to_tensor", "eye"})


@dataclass(frozen=True, slots=True)
class _Loss:
    """Where digits are lost, element by element of one quantity."""

    trace: Trace  # the float32 run
    owner: str  # "gradient" or "output"
    single: Array
    double: Array
    error: Array  # relative, against no less than a negligible size

    @property
    def worst(self) -> int:
        """The index, in the flattened arrays, of the largest error."""
        return int(self.error.reshape(-1).argmax())


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that float32 loses the digits of a gradient or output at the node, or that it does not.

    float64 is the yardstick: inputs are float32 numbers in both runs.
    """
    study = _Study(bench, suspect.node)
    try:
        ready = study.prepare()
    # An op may refuse float64 operands; each raises its own error.
    except Exception:
        ready = False
    if not ready:
        return Outcome(Verdict.UNCONFIRMED, "it could not be run in float64 for comparison")
    line = bench.line()
    found = study.along(line, suspect) if line is not None else study.batches(suspect)
    if found is not None:
        return Outcome(Verdict.CONFIRMED, None, found)
    return Outcome(
        Verdict.REFUTED,
        f"float32 agrees with float64 to a relative error of {study.largest:.1g} where it matters, "
        f"in {study.count} samples",
    )


class _Study:
    """The comparison of one program with itself in float64.

    Attributes:
        largest: largest error seen of what matters.
        count: samples looked at.
    """

    def __init__(self, bench: Bench, node: int) -> None:
        self.bench = bench
        self.node = node
        self.largest = 0.0
        self.count = 0
        if bench.double is None:
            bench.double = Double(bench)
        self._double: Double = bench.double
        self._forward = bench.job.role in (Role.ACTIVATION, Role.LAYER)

    def prepare(self) -> bool:
        """Return False if output and gradients cannot be run in float64.

        Raises:
            Exception: whatever TensorFlow raises where it does not take float64.
        """
        return any(self._double.usual.values())

    # ---- one sample ------------------------------------------------------------------------

    def losses(self, sample: Sample) -> list[_Loss] | None:
        """Return what this sample's float32 run gets wrong because of the node.

        None if it cannot be run. Nothing is differentiated where no digits are lost.
        """
        values = self._double.values(sample)
        if values is None:
            return None
        lost = self._lost_here(*values)
        if not lost.any():
            return []
        traces = self._double.traces(sample)
        if traces is None:
            return None
        single, double = traces
        found = [loss for loss in self._compared(single, double) if (loss.error >= HARMFUL).any()]
        if not found:
            return []
        mended = {loss.owner: loss for loss in self._compared(self._mended(single, double), double)}
        kept: list[_Loss] = []
        for loss in found:
            better = mended.get(loss.owner)
            if better is None or better.error.shape != loss.error.shape:
                continue
            caused = better.error <= _MENDED * loss.error
            if loss.error.shape == lost.shape:
                caused &= lost
            kept.append(replace(loss, error=np.where(caused, loss.error, 0.0)))
        return [loss for loss in kept if (loss.error >= HARMFUL).any()]

    def _lost_here(self, single: Values, double: Values) -> Array:
        """Return where the node's value is off although its operands are accurate."""
        value, exact = single.get(self.node), double.get(self.node)
        if value is None or exact is None or value.shape != exact.shape or not floating(value):
            return np.zeros(0, bool)
        bad = _relative(value, exact, 0.0) >= _LOST
        size = np.zeros(exact.shape)
        for ref in self.bench.lab.operands[self.node]:
            operand, true = single.get(ref), double.get(ref)
            if operand is None or true is None or operand.shape != true.shape:
                continue
            good = _relative(operand, true, 0.0) <= _ACCURATE
            try:
                bad = bad & np.broadcast_to(good, bad.shape)
                size = np.maximum(size, np.abs(true))
            except ValueError:
                bad = bad & bool(good.all())
        # Where float64 has lost its digits as well it is no yardstick.
        return np.asarray(bad & (np.abs(exact) > _RELIABLE * size))

    def _compared(self, single: Trace | None, double: Trace) -> Iterator[_Loss]:
        if single is None:
            return
        pairs = [("gradient", key, single.gradients.get(key), double.gradients.get(key))
                 for key in double.inputs]  # fmt: skip
        if self._forward:
            end = double.output
            pairs.append(("output", end, single.values.get(end), double.values.get(end)))
        for owner, key, value, exact in pairs:
            if value is None or exact is None or value.shape != exact.shape:
                continue
            # What is not finite is for other checks to tell.
            known = np.isfinite(value) & np.isfinite(exact)
            floor = _NEGLIGIBLE * self._double.usual.get(key, math.inf)
            error = np.where(known, _relative(value, exact, floor), 0.0)
            self.largest = max(self.largest, float(error.max(initial=0.0)))
            yield _Loss(single, owner, value, exact, error)

    def _mended(self, single: Trace, double: Trace) -> Trace | None:
        """Return the float32 run in which the node has its accurate value.

        The gradient that goes through the node is added to what goes past it.
        """
        lab, node = self.bench.lab, self.node
        exact = double.values[node].astype(np.float32)
        watched = [*single.inputs, node]
        feeds = {**single.sample.feeds, node: exact}
        try:
            trace = lab.trace(
                Sample(feeds, single.sample.reach, ""), self.bench.weights(0), watch=watched
            )
            through = lab.pull(
                lab.upto(node), node, _part(single.sample, lab.ancestors(node)),
                [key for key in single.inputs if key in lab.ancestors(node)],
                _constantly(trace.cotangents.get(node)),
            ) or {}  # fmt: skip
        # A value may not be feedable on its own.
        except Exception:
            return None
        cotangents = dict(trace.cotangents)
        for key, value in through.items():
            past = cotangents.get(key)
            cotangents[key] = value if past is None else past + value
        return replace(trace, cotangents=cotangents, inputs=single.inputs)

    # ---- elementwise programs --------------------------------------------------------------

    def along(self, line: Line, suspect: Suspect) -> Evidence | None:
        """Compare point by point around where the terms cancel."""
        template = line.template
        for points in self._around(line, suspect):
            count = next(iter(points.values())).size
            self.count += count
            found = self.losses(line.sample(points))
            if not found:
                continue
            error = np.max([loss.error.reshape(-1)[:count] for loss in found], axis=0)
            harmed = error >= HARMFUL
            rate = _chance(line, points, harmed)
            if harmed.sum() < 3 or (rate is not None and rate < _RATE):
                continue
            # Far from the point, which training meets most often, and plainly wrong.
            away = np.sum([np.abs(value - value.mean()) for value in points.values()], axis=0)
            order = np.lexsort((-away, error < 1.0, ~harmed))
            for at in order[:4]:
                one = {key: value[at : at + 1] for key, value in points.items()}
                scalars = {
                    key: value.reshape(-1)[0].reshape(())
                    for key, value in line.sample(one).feeds.items()
                }
                sample = Sample(scalars, elements.reach_at(line, one), "")
                again = self.losses(sample)
                if again:
                    hits = int(harmed.sum())
                    return self._evidence(template, again, (count, hits, rate))
        return None

    def _around(
        self, line: Line, suspect: Suspect, mantissas: Sequence[float] = _MANTISSAS
    ) -> Iterator[Feeds]:
        focus = self.bench.line(0, self.node)
        if focus is None:
            return
        for target in suspect.targets or (Target(self.node, 0.0, 0.0),):
            where = self.bench.line(0, target.node)
            if where is None:
                continue
            solved = elements.completed(self.bench, line, aim.solve(self.bench, where, target))
            if not solved:
                continue
            size = next(iter(solved.values())).size
            order = sorted(
                range(size), key=lambda at: sum(abs(float(v[at])) for v in solved.values())
            )
            for at in order[:_MAX_ROOTS]:
                root = {key: float(value[at]) for key, value in solved.items()}
                yield from _near(line, root, mantissas)

    # ---- programs that mix elements --------------------------------------------------------

    def batches(self, suspect: Suspect) -> Evidence | None:
        """Compare batch by batch, the usual ones and those whose terms nearly agree."""
        template = self.bench.templates[0]
        hits = 0
        shown: list[_Loss] = []
        usual = (*self.bench.drawn(0, "typical"), *self.bench.drawn(0, "structural"))
        for sample in (*usual, *_tight(self.bench, template), *self._aimed(suspect)):
            self.count += 1
            found = self.losses(sample)
            if found:
                hits += 1
                shown = shown or found
        if not shown:
            return None

        def still(sample: Sample) -> bool:
            nonlocal shown
            found = self.losses(sample)
            if not found:
                return False
            shown = found
            return True

        witness.shrink(template, shown[0].trace.sample, still)
        return self._evidence(template, shown, (self.count, hits, None))

    def _aimed(self, suspect: Suspect) -> Iterator[Sample]:
        """Yield batches near the point at which the terms cancel."""
        bench, template = self.bench, self.bench.templates[0]
        rng = samples.generator(bench.job, 41)
        for target in suspect.targets or (Target(self.node, 0.0, 0.0),):
            focus = bench.line(0, target.node)
            if focus is not None:
                for points in self._around(focus, suspect, _FEW_MANTISSAS):
                    feeds = focus.sample(points).feeds
                    rows = next(feeds[slot.id].shape[0] for slot in focus.slots)
                    rest = {slot.id: samples.typical(slot, rng, 1, rows) for slot in template.slots}
                    yield Sample({**rest, **feeds}, Reach.TYPICAL, "terms nearly equal")
                continue
            starts = bench.drawn(0, "typical")[:2]
            for solved in islice(aim.searched(bench, 0, target, starts, _NEIGHBOURS), _MAX_ROOTS):
                for step in _STEPS:
                    feeds = {
                        slot.id: samples.clip(
                            solved.feeds[slot.id]
                            + step * rng.standard_normal(solved.feeds[slot.id].shape),
                            slot,
                        )
                        for slot in template.differentiated
                        if slot.encoding is Encoding.REAL
                    }
                    yield Sample({**solved.feeds, **feeds}, solved.reach, "terms nearly equal")

    def _evidence(
        self,
        template: Template,
        losses: list[_Loss],
        seen: tuple[int, int, float | None],
    ) -> Evidence:
        """Return what was measured; `seen` is the samples, the hits among them, and their rate."""
        count, hits, rate = seen
        loss = max(losses, key=lambda found: float(found.error.max()))
        trace = loss.trace
        single, double = (
            float(value.reshape(-1)[loss.worst]) for value in (loss.single, loss.double)
        )
        return Evidence(
            hazard=Hazard.INACCURATE,
            witness=witness.numbers(template, trace.sample),
            value=witness.worst([trace.values[trace.output]]),
            gradient=witness.worst(trace.gradients.values()),
            mode="eager",
            samples=count,
            hits=hits,
            rate=rate,
            reach=trace.sample.reach,
            detail={
                "value_of": loss.owner,
                "float32": witness.plain(np.float32(single)),
                "float64": float(f"{double:.6g}"),
                "relative_error": float(f"{float(loss.error.reshape(-1)[loss.worst]):.3g}"),
            },
        )


# ---- samples ---------------------------------------------------------------------------------


def _near(line: Line, root: dict[int, float], mantissas: Sequence[float]) -> Iterator[Feeds]:
    """Yield points at growing distances from a root, one input after the other."""
    steps = np.array(
        [sign * m * 10.0**-decade for decade in range(1, _DECADES + 1) for m in mantissas
         for sign in (-1.0, 1.0)]
    )  # fmt: skip
    for slot in line.slots:
        if not slot.spec.differentiated or slot.encoding not in (Encoding.REAL, Encoding.UNIT):
            continue
        values = np.unique(samples.clip(root[slot.id] + steps, slot))
        yield {
            other.id: values if other is slot else np.full(values.size, root[other.id], np.float32)
            for other in line.slots
        }


def _tight(bench: Bench, template: Template) -> Iterator[Sample]:
    """Yield batches of little spread far from 0, and such with inputs that nearly agree."""
    rng = samples.generator(bench.job, 40)
    base = {slot.id: samples.typical(slot, rng, 1) for slot in template.slots}
    moved = [slot for slot in template.differentiated if slot.encoding is Encoding.REAL]
    for mean, spread in _LEVELS:
        feeds = {
            slot.id: samples.clip(mean + spread * rng.standard_normal(slot.size(6)), slot)
            for slot in moved
        }
        if feeds:
            yield Sample({**base, **feeds}, Reach.EXTENDED, f"mean {mean:g}, spread {spread:g}")
    for slot in moved:
        for other in template.elements:
            pair = base[slot.id], base[other.id]
            if other is slot or pair[0].shape != pair[1].shape or not floating(pair[1]):
                continue
            close = pair[1] + _NEAR * rng.standard_normal(pair[1].shape)
            feeds = {**base, slot.id: samples.clip(close, slot)}
            yield Sample(feeds, Reach.TYPICAL, "inputs that nearly agree")


def _part(sample: Sample, keys: set[int]) -> Sample:
    feeds = {key: value for key, value in sample.feeds.items() if key in keys}
    return Sample(feeds, sample.reach, "")


def _constantly(cotangent: Array | None) -> Callable[[Array], Array | None]:
    return lambda _: cotangent


def _chance(line: Line, points: Feeds, harmed: Array) -> float | None:
    """Return the chance per element under a standard normal of a point between harmed ones.

    None if the program has several inputs, or its input is no pre-activation.
    """
    if len(line.slots) != 1 or line.slots[0].encoding is not Encoding.REAL:
        return None
    values = points[line.slots[0].id].astype(np.float64)
    inside = harmed[1:] & harmed[:-1]
    middle = (values[1:] + values[:-1]) / 2.0
    density = np.exp(-(middle**2) / 2.0) / math.sqrt(2.0 * math.pi)
    return float(f"{float((np.diff(values) * density)[inside].sum()):.3g}")


def _relative(value: Array, exact: Array, floor: float) -> Array:
    """Return |value - exact| / |exact|, against no less than `floor`; 0 for equal values."""
    true = exact.astype(np.float64)
    off = np.abs(value.astype(np.float64) - true)
    size = np.maximum(np.abs(true), floor)
    return np.where(off == 0.0, 0.0, off / np.where(size == 0.0, np.finfo(np.float64).tiny, size))
