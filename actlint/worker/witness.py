"""Make a witness small and readable, and put numbers into evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from actlint.findings import Evidence, Hazard, Reach, Tensor
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array, Sample, allowed

# Elements up to which each one is simplified on its own.
_MAX_SINGLE = 8

Shows = Callable[[Sample], bool]
_Change = Callable[[Sample], Sample]


def plain(value: Any) -> float:
    """Return the float whose decimal form is the shortest that names this float32."""
    return float(str(np.float32(value)))


def tensor(value: Array) -> Tensor:
    """Return an array as nested lists of plain numbers."""
    if value.ndim:
        return [tensor(item) for item in value]
    if floating(value):
        return plain(value)
    return bool(value) if value.dtype == bool else int(value)


def numbers(template: Template, sample: Sample) -> dict[str, Tensor]:
    """Return the witness of a batch, by input name."""
    return {slot.spec.name: tensor(np.asarray(sample.feeds[slot.id])) for slot in template.slots}


def seen(
    template: Template,
    sample: Sample,
    said: str,
    *,
    value: float | None,
    gradient: float | None = None,
    hazard: Hazard = Hazard.WRONG_LOSS,
    samples: int = 1,
    **detail: float | str | list[float],
) -> Evidence:
    """Return the evidence of something that was observed in eager mode on every sample looked at.

    Args:
        template: of the inputs.
        sample: the batch that shows it.
        said: what was observed, as a main clause.
        value: as in Evidence.
        gradient: as in Evidence.
        hazard: what goes wrong.
        samples: how many samples were looked at.
        detail: further entries of the evidence's detail.
    """
    return Evidence(
        hazard=hazard,
        witness=numbers(template, sample),
        value=value,
        gradient=gradient,
        mode="eager",
        samples=samples,
        hits=samples,
        rate=None,
        reach=sample.reach,
        detail={"observed": said, **detail},
    )


def worst(values: Iterable[Array | None]) -> float | None:
    """Return the worst element: nan, then infinities, then the largest magnitude; None of none."""
    parts = [np.asarray(value).reshape(-1) for value in values if value is not None]
    parts = [part.astype(np.float32) for part in parts if part.size]
    if not parts:
        return None
    joined = np.concatenate(parts)
    if np.isnan(joined).any():
        return float("nan")
    return plain(joined[np.abs(joined).argmax()])


def hazard_of(values: Iterable[Array | None]) -> Hazard | None:
    """Return nan or inf, whichever is worst, or None if all is finite."""
    found = worst(values)
    if found is None or np.isfinite(found):
        return None
    return Hazard.NAN if np.isnan(found) else Hazard.INF


def ends(trace: Trace) -> list[Array | None]:
    """Return the output and the gradients that training takes."""
    return [trace.values[trace.output], *trace.gradients.values()]


def shrink(template: Template, sample: Sample, shows: Shows) -> Sample:
    """Return the smallest and simplest batch that still shows the hazard.

    Args:
        template: says which axes are free.
        sample: a batch that shows it.
        shows: runs a batch and tells whether it shows the hazard.
    """
    for smaller in _rows(template, sample):
        if shows(smaller):
            sample = smaller
            break
    for axis in (-1, -2, -3):
        for size in (1, 2) if axis != -1 else (2, 3):
            smaller_axis = _cut(template, sample, axis, size)
            if smaller_axis is not None and shows(smaller_axis):
                sample = smaller_axis
                break
    for simpler in _simpler(template, sample):
        simple = simpler(sample)
        same = all(np.array_equal(simple.feeds[key], sample.feeds[key]) for key in sample.feeds)
        if not same and shows(simple):
            sample = simple
    return sample


def empty_rows(template: Template, sample: Sample) -> dict[int, Array]:
    """Return where rows of class probabilities are all zeros, by input; none if no row is.

    They are class probabilities where a one-hot label of the same shape goes with them; a label
    whose row is empty, too, says that they are independent ones.
    """
    labels = [slot for slot in template.labels if slot.encoding is Encoding.ONE_HOT]
    found: dict[int, Array] = {}
    for slot in template.differentiated:
        value = sample.feeds[slot.id]
        if slot.encoding is not Encoding.UNIT or value.ndim < 2:
            continue
        for label in labels:
            empty = ~value.any(-1)
            if label.shape == slot.shape and empty.any():
                one_hot = sample.feeds[label.id].sum(-1) == 1
                if one_hot.shape == empty.shape and one_hot.all():
                    found[slot.id] = np.asarray(empty)
    return found


def saturated(template: Template, sample: Sample) -> Iterator[Sample]:
    """Yield the batch with one-hot rows in place of probabilities that are all zeros."""
    empty = empty_rows(template, sample)
    width = max((sample.feeds[key].shape[-1] for key in empty), default=0)
    for column in range(width):
        feeds = dict(sample.feeds)
        for key, rows in empty.items():
            feeds[key] = feeds[key].copy()
            feeds[key][rows, min(column, feeds[key].shape[-1] - 1)] = 1.0
        yield Sample(feeds, sample.reach, sample.label)


def _rows(template: Template, sample: Sample) -> Iterator[Sample]:
    free = [slot for slot in template.slots if slot.shape[:1] == (None,)]
    if not free:
        return
    count = min(sample.feeds[slot.id].shape[0] for slot in free)
    if count <= 1:
        return
    for take in [*(slice(at, at + 1) for at in range(count)), slice(0, 2)]:
        feeds = {
            key: value[take] if any(slot.id == key for slot in free) else value
            for key, value in sample.feeds.items()
        }
        yield Sample(feeds, sample.reach, sample.label)


def _cut(template: Template, sample: Sample, axis: int, size: int) -> Sample | None:
    """Return the batch with one axis shortened in all inputs alike, or None if it cannot be."""
    slots = [slot for slot in template.elements if len(slot.shape) > -axis]
    lengths = {slot.shape[axis] for slot in slots}
    if len(lengths) != 1 or any(slot.spec.shape is not None for slot in template.elements):
        return None
    length = next(iter(lengths))
    if length is None or length <= size:
        return None
    if axis == -1 and any(slot.encoding is Encoding.CLASS for slot in template.elements):
        ids = [sample.feeds[s.id].max() for s in template.elements if s.encoding is Encoding.CLASS]
        if max(ids) >= size:
            return None
    feeds = dict(sample.feeds)
    for slot in slots:
        index = [slice(None)] * feeds[slot.id].ndim
        index[axis] = slice(0, size)
        feeds[slot.id] = feeds[slot.id][tuple(index)]
    made = Sample(feeds, sample.reach, sample.label)
    return made if _valid(template, sample, made) else None


def _valid(template: Template, before: Sample, after: Sample) -> bool:
    """Return True if rows that summed to 1 still do, and no limit is left."""
    for slot in template.elements:
        old, new = before.feeds[slot.id], after.feeds[slot.id]
        if slot.encoding in (Encoding.ONE_HOT, Encoding.UNIT) and old.ndim >= 2:
            was = np.abs(old.sum(-1) - 1.0) < 1e-5
            now = np.abs(new.sum(-1) - 1.0) < 1e-5
            if was.all() and not now.all():
                return False
        if slot.encoding is not Encoding.PARAMETER and not allowed(new, slot).all():
            return False
    return True


def _simpler(template: Template, sample: Sample) -> Iterator[_Change]:
    """Yield ways to simplify; each returns its argument unchanged where it does not apply."""
    digits = 0 if sample.reach is Reach.EXTENDED else 1
    typical = sample.reach is Reach.TYPICAL
    floats = [slot for slot in template.elements if floating(np.asarray(sample.feeds[slot.id]))]
    # Zeroing a label or a batch would make it one that no data set holds.
    inputs = [slot for slot in floats if slot.spec.differentiated]

    def apply(slots: Iterable[Slot], change: Callable[[Array], Array]) -> _Change:
        chosen = tuple(slots)

        def run(current: Sample) -> Sample:
            changed = {
                slot.id: np.asarray(change(current.feeds[slot.id].copy()), slot.dtype)
                for slot in chosen
            }
            made = Sample({**current.feeds, **changed}, current.reach, current.label)
            return made if _valid(template, current, made) else current

        return run

    def rounded(value: Array) -> Array:
        return _rounded(value, digits)

    if not typical:
        # Equal arguments stay equal when all change alike.
        for group in (floats, inputs):
            yield apply(group, np.zeros_like)
    if len(floats) > 1:
        yield apply(floats, rounded)
    for slot in floats:
        value = sample.feeds[slot.id]
        if slot in inputs and not typical and len(inputs) > 1:
            yield apply([slot], np.zeros_like)
        yield apply([slot], rounded)
        if slot in inputs and 1 < value.size <= _MAX_SINGLE and not typical:
            for at in range(value.size):
                yield apply([slot], partial(_zeroed, at))


def _rounded(value: Array, digits: int) -> Array:
    """Return the value rounded; rows that sum to 1 still do."""
    # Adding 0 turns -0 into 0.
    found = np.round(value.astype(np.float64), digits) + 0.0
    if value.ndim >= 2 and digits and np.all(np.abs(value.sum(-1) - 1.0) < 1e-5):
        at = found.argmax(-1)[..., None]
        rest = 1.0 - found.sum(-1, keepdims=True)
        np.put_along_axis(found, at, np.take_along_axis(found, at, -1) + rest, -1)
        found = np.round(found, digits)
    return found


def _zeroed(at: int, value: Array) -> Array:
    value.reshape(-1)[at] = 0.0
    return value
