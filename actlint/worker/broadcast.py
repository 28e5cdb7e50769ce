"""Does one value per sample meet a column, so that every sample is compared with every other?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import InputRole
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Template
from actlint.worker.samples import Array, Feeds

# Rows of the batch: no other axis has this size, so that shapes tell which axis is the batch.
_ROWS = 3
_COLUMNS = frozenset({InputRole.LABEL, InputRole.PREDICTION})
# Values of one sample differ from what other samples make of them by more than rounding.
_DIFFERS = 1e-3


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that an op makes a matrix of (N,) and (N, 1) in which samples mix.

    With `threshold` 2 the column may have further axes between: (N, 7, 1).
    """
    lab, node = bench.lab, suspect.node
    operands = lab.operands[node]
    if len(operands) != 2:
        return Outcome(Verdict.UNCONFIRMED, "the expression has not two operands")
    wide = suspect.threshold == 2.0
    found = _narrow(bench) if wide else _templates(bench, columns=suspect.threshold == 1.0)
    for template in found:
        rng = samples.generator(bench.job, 23)
        feeds: Feeds = {
            slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, _ROWS), 2), slot.dtype)
            for slot in template.slots
        }
        values = _values(bench, feeds)
        if values is None:
            continue
        pair = [values.get(operand) for operand in operands]
        result = values.get(node)
        if result is None or pair[0] is None or pair[1] is None:
            continue
        if wide:
            inner = max(pair[0].shape, pair[1].shape, key=len)[1:-1]
            if {pair[0].shape, pair[1].shape} != {(_ROWS,), (_ROWS, *inner, 1)}:
                continue
            result = result.reshape(_ROWS, -1, result.shape[-1])[:, 0]
        elif {pair[0].shape, pair[1].shape} != {(_ROWS,), (_ROWS, 1)}:
            return Outcome(Verdict.REFUTED, "its operands have one value for each sample alike")
        if not _mixes(result) or not bool(lab.holds(values).all()):
            continue
        shapes = " against ".join(f"({_axes(value)})" for value in pair if value is not None)
        column = max((value for value in pair if value is not None), key=np.ndim)
        joint = ", ".join([*_axes(column).split(", ")[:-1], "N"])
        evidence = Evidence(
            hazard=Hazard.WRONG_LOSS,
            witness={
                slot.spec.name: witness.tensor(np.asarray(feeds[slot.id]))
                for slot in template.slots
            },
            value=witness.plain(np.float32(np.mean(result))),
            gradient=None,
            mode="eager",
            samples=1,
            hits=1,
            rate=None,
            reach=Reach.TYPICAL,
            detail={
                "observed": f"with N = {_ROWS} samples, {shapes} gives ({joint}): each sample is "
                "combined with every other one"
            },
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "it does not run with these shapes")


def _templates(bench: Bench, *, columns: bool) -> Iterator[Template]:
    """Yield the templates with a batch of rows, or of single numbers in columns."""
    for template in bench.templates:
        if not columns:
            yield template
            continue
        slots = tuple(
            replace(slot, shape=(None, 1))
            if slot.spec.role in _COLUMNS and slot.encoding is not Encoding.CLASS
            else slot
            for slot in template.slots
        )
        if all(slot.spec.shape is None for slot in slots):
            yield replace(template, slots=slots)
            return


def _narrow(bench: Bench) -> Iterator[Template]:
    """Yield the templates with one number along the last axis, and rows that run with that."""
    for template in bench.templates:
        slots = tuple(
            replace(slot, shape=(*slot.shape[:-1], 1))
            if len(slot.shape) >= 2 and slot.spec.shape is None
            else slot
            for slot in template.slots
        )
        yield replace(template, slots=slots)


def _values(bench: Bench, feeds: Feeds) -> dict[int, Array] | None:
    """Return every node's value, or None if these shapes do not fit."""
    try:
        return bench.lab.values(feeds)
    # Any op may raise anything on a shape that does not fit.
    except Exception:
        return None


def _mixes(result: Array) -> bool:
    """Tell whether the rows of a square result differ, off the diagonal."""
    if result.shape != (_ROWS, _ROWS):
        return False
    diagonal = np.diagonal(result)
    return bool(np.abs(result - diagonal[:, None]).max() > _DIFFERS)


def _axes(value: Array) -> str:
    return "N," if value.ndim == 1 else ", ".join(["N", *map(str, value.shape[1:])])
