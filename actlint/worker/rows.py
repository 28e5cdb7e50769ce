"""Programs whose rows do not touch: many samples then run as one batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actlint.worker import samples
from actlint.worker.inputs import Encoding, Template
from actlint.worker.probes import Lab
from actlint.worker.samples import Sample

# Rows of the batches that are compared; no other axis has this size by default.
_ROWS = 11
_SAME = 1e-5
# Ops that join rows without being able to break one: the gradient of each row is a constant.
_LINEAR = frozenset(
    {
        "reduce_sum", "reduce_mean", "negative", "add", "subtract", "identity", "add_n",
        "convert_to_tensor", "squeeze",
    }
)  # fmt: skip
_SCALED = frozenset({"multiply", "divide", "div", "scalar_mul"})


@dataclass(frozen=True, slots=True)
class Rows:
    """The row-wise view of a template."""

    template: Template
    last: tuple[int, ...]  # row-wise nodes that the output is made of

    @property
    def batched(self) -> frozenset[int]:
        """Inputs whose first axis is the batch."""
        return frozenset(slot.id for slot in self.template.slots if slot.shape[:1] == (None,))


@dataclass(frozen=True, slots=True)
class Block:
    """Samples stacked along the batch axis."""

    sample: Sample
    origins: list[Sample]  # the sample that each row comes from

    def row(self, rows: Rows, at: int) -> Sample:
        """Return the batch that consists of one row."""
        feeds = {
            key: value[at : at + 1] if key in rows.batched else value
            for key, value in self.sample.feeds.items()
        }
        return Sample(feeds, self.origins[at].reach, self.origins[at].label)


def stacked(rows: Rows, parts: list[Sample]) -> Block | None:
    """Return samples as one batch; None of none."""
    if not parts:
        return None
    batched = rows.batched
    feeds = {
        key: np.concatenate([part.feeds[key] for part in parts]) if key in batched else value
        for key, value in parts[0].feeds.items()
    }
    first = next(iter(batched))
    origins = [part for part in parts for _ in range(part.feeds[first].shape[0])]
    return Block(Sample(feeds, parts[0].reach, ""), origins)


def find(lab: Lab, template: Template) -> Rows | None:
    """Return the row-wise view of a template, or None if rows may influence each other.

    A node is row-wise if its first axis is the batch and its rows stay the same when other rows
    change. All other nodes must join rows linearly.
    """
    made = Rows(template, ())
    if lab.job.assumptions or not all(slot.id in made.batched for slot in template.differentiated):
        return None
    if not made.batched:
        return None
    rng = samples.generator(lab.job, 30)
    first = {slot.id: samples.typical(slot, rng, 1, _ROWS) for slot in template.slots}
    other = {slot.id: samples.typical(slot, rng, 1, _ROWS) for slot in template.slots}
    keep = np.arange(_ROWS) % 2 == 0
    mixed = {
        slot.id: np.where(keep.reshape(-1, *[1] * (first[slot.id].ndim - 1)), first[slot.id],
                          other[slot.id])
        if slot.id in made.batched else first[slot.id]
        for slot in template.slots
    }  # fmt: skip
    if any(slot.encoding is not Encoding.PARAMETER and slot.spec.differentiated
           and _ROWS in slot.shape for slot in template.slots):  # fmt: skip
        return None
    try:
        one, two = lab.values(first), lab.values(mixed)
    # Any op may raise anything on a batch that does not suit it.
    except Exception:
        return None
    rowwise: set[int] = set()
    for ident, value in one.items():
        changed = two.get(ident)
        if changed is None or changed.shape != value.shape or value.shape[:1] != (_ROWS,):
            continue
        pair = (np.asarray(value, np.float64)[keep], np.asarray(changed, np.float64)[keep])
        if np.allclose(*pair, rtol=_SAME, atol=_SAME, equal_nan=True):
            rowwise.add(ident)
    last: set[int] = set()
    if lab.job.output in rowwise:
        last.add(lab.job.output)
    for ident in lab.ancestors(lab.job.output):
        if ident in rowwise or not lab.varies(ident) or ident not in one:
            # A tuple of tensors is judged by its parts.
            continue
        if not _joins(lab, ident):
            return None
        last |= {ref for ref in lab.operands[ident] if ref in rowwise and lab.varies(ref)}
    return Rows(template, tuple(sorted(last)))


def _joins(lab: Lab, ident: int) -> bool:
    """Return True if the op is linear in what depends on the inputs."""
    op = lab.steps[ident].op
    varying = [ref for ref in lab.operands[ident] if lab.varies(ref)]
    if op in _LINEAR:
        return True
    if op not in _SCALED or len(varying) != 1:
        return False
    bound = dict(lab.steps[ident].args)
    return op not in ("divide", "div") or (
        bound.get("x") is not None and (getattr(bound["x"], "node", None) == varying[0])
    )
