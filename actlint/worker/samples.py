"""Sample points of a template: typical, structural, extended and boundary values.

Everything is drawn from one numpy generator, so that the same job and seed give the same points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actlint.findings import Reach
from actlint.graph import TYPICAL_LIMIT, InputRole
from actlint.worker.inputs import BATCH, PARAMETERS, Encoding, Slot, Template
from actlint.worker.protocol import Job

Array = npt.NDArray[Any]
Feeds = dict[int, Array]

# Labels and placeholders that are compared with predictions, at most.
_MAX_LABELS = 4
# IEEE 754 binary32.
EPS = float(np.finfo(np.float32).eps)
TINY = float(np.finfo(np.float32).tiny)

# Magnitudes that training passes through before it diverges; log-spaced, easy to read.
MAGNITUDES = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
# Probabilities nearer than this to 0 or 1 come from saturated units.
SATURATED = 1e-6


@dataclass(frozen=True, slots=True)
class Sample:
    """One batch for every input."""

    feeds: Feeds
    reach: Reach
    label: str  # what is special about it, in words


def generator(job: Job, stream: int) -> np.random.Generator:
    """Return a generator that depends on the seed alone; `stream` keeps independent uses apart.

    Were it to depend on the excerpt too, an edit elsewhere in a function could change a verdict.
    """
    return np.random.Generator(np.random.Philox([job.seed, stream]))


def typical(slot: Slot, rng: np.random.Generator, index: int, batch: int = BATCH) -> Array:
    """Draw an input as training usually sees it.

    Args:
        slot: the input.
        rng: source of randomness.
        index: number of the sample; every other one takes the input's second encoding.
        batch: rows of the free axis.
    """
    size, spec = slot.size(batch), slot.spec
    if spec.per_class:
        # As of one number, the neutral one.
        return np.full(size, PARAMETERS[0], slot.dtype)
    match slot.encoding:
        case Encoding.PARAMETER:
            return np.asarray(slot.number, slot.dtype)
        case Encoding.CLASS:
            return np.asarray(rng.integers(_first_class(slot), slot.classes, size), slot.dtype)
        case Encoding.BINARY:
            return np.asarray(rng.integers(0, 2, size), slot.dtype)
        case Encoding.SIGN:
            return np.asarray(rng.integers(0, 2, size) * 2 - 1, slot.dtype)
        case Encoding.ONE_HOT:
            if index % 3 == 2 and spec.role is not InputRole.PREDICTION:
                return np.asarray(rng.integers(0, 2, size), slot.dtype)
            return np.asarray(np.eye(size[-1])[rng.integers(0, size[-1], size[:-1])], slot.dtype)
        case Encoding.UNIT:
            if len(size) >= 2 and size[-1] > 1 and index % 2 == 0:
                logits = np.exp(rng.standard_normal(size))
                return np.asarray(logits / logits.sum(-1, keepdims=True), slot.dtype)
            return np.asarray(rng.uniform(0.001, 0.999, size), slot.dtype)
        case Encoding.REAL:
            return np.asarray(_real(rng.standard_normal(size), rng, slot), slot.dtype)


def _real(normal: Array, rng: np.random.Generator, slot: Slot) -> Array:
    lo, hi = slot.spec.lo, slot.spec.hi
    if lo <= -3.0 and hi >= 3.0:
        drawn = normal
    elif lo >= 0.0 and hi - lo > 2.0:
        drawn = lo + np.abs(normal)
    elif hi - lo <= 2.0:
        drawn = rng.uniform(lo, hi, normal.shape)
    else:
        drawn = rng.uniform(max(lo, min(-2.0, hi - 2.0)), min(hi, max(2.0, lo + 2.0)), normal.shape)
    return clip(drawn, slot)


def clip(value: npt.ArrayLike, slot: Slot) -> Array:
    """Return a value moved into the input's limits, in its dtype."""
    found = np.clip(value, slot.spec.lo, slot.spec.hi)
    near = np.abs(found) < slot.spec.least
    if near.any():
        found = np.where(near, np.where(found < 0.0, -slot.spec.least, slot.spec.least), found)
    return np.asarray(found, slot.dtype)


def allowed(value: Array, slot: Slot) -> Array:
    """Return which numbers an input can take."""
    spec = slot.spec
    return np.asarray((value >= spec.lo) & (value <= spec.hi) & (np.abs(value) >= spec.least))


def typicals(template: Template, rng: np.random.Generator, count: int) -> Iterator[Sample]:
    """Yield `count` batches as training usually sees them."""
    for index in range(count):
        feeds = {slot.id: typical(slot, rng, index) for slot in template.slots}
        yield Sample(feeds, Reach.TYPICAL, "typical")


def structural(template: Template, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield batches with exact values that real training produces, the simplest first."""
    inputs = template.differentiated
    # A placeholder may hold the labels of a graph script.
    labels = [slot for slot in template.elements if not slot.spec.differentiated][:_MAX_LABELS]
    base = {slot.id: typical(slot, rng, 0) for slot in template.slots}

    def filled(value: float) -> Feeds:
        made = {
            slot.id: clip(np.full(slot.size(BATCH), value), slot)
            for slot in inputs
            if slot.encoding is not Encoding.CLASS
        }
        return {**base, **made}

    if inputs:
        yield Sample(filled(0.0), Reach.STRUCTURAL, "all zeros")
        yield Sample(filled(1.0), Reach.STRUCTURAL, "all ones")
    if len(inputs) >= 2:
        first = base[inputs[0].id]
        equal = {slot.id: clip(first, slot) for slot in inputs if slot.size(BATCH) == first.shape}
        yield Sample({**base, **equal}, Reach.STRUCTURAL, "equal arguments")
    for label in labels:
        right = {
            slot.id: exact for slot in inputs if (exact := _right(slot, label, base)) is not None
        }
        if right:
            yield Sample({**base, **right}, Reach.STRUCTURAL, "predictions equal to the labels")
            wrong = {
                slot.id: clip(1.0 - right[slot.id], slot) for slot in inputs if slot.id in right
            }
            if all(slot.spec.lo == 0.0 and slot.spec.hi == 1.0 for slot in inputs):
                yield Sample({**base, **wrong}, Reach.STRUCTURAL, "predictions saturated and wrong")
        empty = np.zeros(label.size(BATCH), label.dtype)
        # With a number for each class, each row of the labels belongs to one.
        rows = any(slot.spec.per_class for slot in template.slots)
        if label.spec.lo <= 0.0 and not (rows and label.encoding is Encoding.ONE_HOT):
            yield Sample({**base, label.id: empty}, Reach.STRUCTURAL, "labels all zero")
            yield Sample(
                {**filled(0.0), label.id: empty},
                Reach.STRUCTURAL,
                "labels and predictions all zero",
            )
    wide = [slot for slot in (*inputs, *labels) if slot.encoding is Encoding.REAL]
    wide = [slot for slot in wide if len(slot.shape) >= 2]
    if len(wide) >= 2:
        # Their cosine is 1 without rounding.
        units = {slot.id: _one_hot_rows(slot, 1.0) for slot in wide}
        yield Sample({**base, **units}, Reach.STRUCTURAL, "equal unit vectors")
    yield Sample(filled(0.5), Reach.STRUCTURAL, "constant batch")
    for label in labels:
        if label.encoding is Encoding.CLASS and label.shape in {(None,), (None, 1)}:
            yield from _one_of_each(template, label, base)
    # Of shares, one of a row is not 0.
    data = {
        slot.id: np.zeros(slot.size(BATCH), slot.dtype)
        for slot in template.slots
        if slot.spec.role is InputRole.DATA
        and slot.spec.lo <= 0.0
        and not (slot.encoding is Encoding.UNIT and len(slot.shape) >= 2 and slot.shape[-1] != 1)
    }
    if data:
        yield Sample({**base, **data}, Reach.STRUCTURAL, "data all zero")


def _one_of_each(template: Template, label: Slot, base: Feeds) -> Iterator[Sample]:
    """Yield the batch cut to as many rows as there are classes, no two of one class."""
    first = _first_class(label)
    rows = min(label.classes - first, BATCH)
    if rows < 2:
        return
    feeds = {
        slot.id: base[slot.id][:rows] if slot.shape[:1] == (None,) else base[slot.id]
        for slot in template.slots
    }
    ids = np.arange(first, first + rows).reshape(label.size(rows))
    feeds[label.id] = np.asarray(ids, label.dtype)
    yield Sample(feeds, Reach.STRUCTURAL, "labels all different")


def _first_class(slot: Slot) -> int:
    return int(max(slot.spec.lo, 0.0)) if slot.spec.lo < slot.classes else 0


def _right(slot: Slot, label: Slot, base: Feeds) -> Array | None:
    """Return the prediction that equals the label, or None if shapes do not allow it."""
    value = base[label.id]
    size = slot.size(BATCH)
    if label.encoding is Encoding.CLASS:
        ids = value[..., 0] if value.shape == (*size[:-1], 1) else value
        if size and ids.shape == size[:-1] and slot.encoding is Encoding.UNIT:
            return np.asarray(np.eye(size[-1])[np.minimum(ids, size[-1] - 1)], slot.dtype)
        return None
    return clip(value, slot) if value.shape == size else None


def _one_hot_rows(slot: Slot, value: float) -> Array:
    made = np.zeros(slot.size(BATCH))
    made[..., 0] = value
    return clip(made, slot)


def extended(template: Template, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield batches with magnitudes that training passes through before it diverges."""
    inputs = [slot for slot in template.differentiated if slot.encoding is not Encoding.CLASS]
    base = {slot.id: typical(slot, rng, 0) for slot in template.slots}
    makers: list[tuple[Callable[[Slot, float], Array], str, tuple[float, ...]]] = [
        (_one_hot_rows, "one element large", (100.0, -100.0, 1000.0, -1000.0)),
        (lambda slot, value: clip(np.full(slot.size(BATCH), value), slot), "all large",
         (100.0, -100.0, 1000.0, -1000.0)),
        (lambda slot, value: clip(value * rng.standard_normal(slot.size(BATCH)), slot),
         "widely spread", (30.0, 100.0, 400.0)),
    ]  # fmt: skip
    wide = [slot for slot in inputs if slot.spec.hi > 1.0 or slot.spec.lo < -1.0]
    for maker, label, scales in makers if wide else ():
        for scale in scales:
            made = {
                slot.id: maker(slot, scale) for slot in wide if slot.shape or label == "all large"
            }
            if made:
                yield Sample({**base, **made}, Reach.EXTENDED, label)
    unit = [slot for slot in inputs if slot.encoding is Encoding.UNIT]
    ends = np.array([0.0, 1.0, TINY, EPS, 1.0 - EPS, 1.0 - EPS / 2, 1e-7, 1e-20], np.float32)
    for _ in range(2 if unit else 0):
        picked = {
            slot.id: np.asarray(rng.choice(ends, slot.size(BATCH)), slot.dtype) for slot in unit
        }
        yield Sample({**base, **picked}, Reach.STRUCTURAL, "saturated probabilities")


def reach_of(slot: Slot, value: Array) -> Reach:
    """Return how training gets to the given values of one input."""
    finite = np.asarray(value, np.float64)
    if slot.encoding is Encoding.UNIT:
        edge = bool(np.any(finite < SATURATED) or np.any(finite > 1.0 - SATURATED))
        return Reach.STRUCTURAL if edge else Reach.TYPICAL
    if np.any(np.abs(finite) > TYPICAL_LIMIT):
        return Reach.EXTENDED
    return Reach.STRUCTURAL if not np.any(finite) else Reach.TYPICAL


# ---- one number at a time ------------------------------------------------------------------


def line(slot: Slot, constants: tuple[float, ...], dense: int) -> Array:
    """Return the values of one input that an elementwise program is tried at, ascending.

    Args:
        slot: the input.
        constants: numbers in the program; kinks and poles often sit at them.
        dense: points of the even grid over the typical range.
    """
    lo, hi = slot.spec.lo, slot.spec.hi
    marks = [0.0, 1.0, 0.5, TINY, EPS, 1e-20, 1e-10, 1e-7, 1e-3]
    marks += [1.0 - EPS, 1.0 - EPS / 2, 1.0 + EPS, *constants]
    marks += [magnitude * scale for magnitude in MAGNITUDES for scale in (1.0, 0.75, 0.87)]
    marks += [limit for limit in (lo, hi) if abs(limit) < np.inf]
    special = np.array([sign * mark for mark in marks for sign in (1.0, -1.0)], np.float32)
    near = np.nextafter(special, np.float32(np.inf)), np.nextafter(special, np.float32(-np.inf))
    span = (lo, hi) if hi - lo <= 2.0 else (max(lo, -TYPICAL_LIMIT), min(hi, TYPICAL_LIMIT))
    grid = np.linspace(*span, dense, dtype=np.float32)
    both = np.unique(np.concatenate([special, *near, grid]))
    # Subnormals are flushed to zero by some kernels and kept by others.
    normal = (np.abs(both) >= TINY) | (both == 0.0)
    found = both[normal & allowed(both, slot)] + np.float32(0.0)
    # np.unique keeps one zero; kernels tell the two apart.
    return np.asarray(np.insert(found, np.flatnonzero(found == 0.0), -0.0), np.float32)


def ordered(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the rank of float32 numbers in their order, so that neighbours differ by 1."""
    bits = np.asarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def unordered(ranks: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the float32 numbers of the given ranks; the inverse of `ordered`."""
    rank = np.asarray(ranks, np.int64)
    magnitude = np.abs(rank).astype(np.int32).view(np.float32)
    return np.where(rank >= 0, magnitude, -magnitude).astype(np.float32)
