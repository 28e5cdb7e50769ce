"""Does the value of one sample depend on the other samples of the batch?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Arg, InputRole, Items, Ref
from actlint.ops.table import row
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.program import Program
from actlint.worker.protocol import Instruction
from actlint.worker.samples import Array, Feeds, Sample

# Rows of the batch: few, so that each of them matters much to the others.
_ROWS = 2
# Rows of the witness.
_FEW = 3
# The sample that stays: one before it and one behind it change, for the sake of running sums.
_KEPT = 1
# Reductions of which a single number is no loss.
_EXTREMES = frozenset({"reduce_max", "reduce_min"})
# Change, in terms of how much the value varies, that another sample surely brings about, and what
# rounding leaves of one that does not.
_MIXES = 1e-3
_ROUNDING = 1e-4
# Change of a value, in terms of the value, that is worth showing.
_CLEARLY = 1e-2


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that an op along the batch is all that lets a sample depend on the others.

    The targets name the ops along the batch; along the last axis they must not mix samples.
    """
    return _check(bench, suspect, bench.job.output)


def check_own(bench: Bench, suspect: Suspect) -> Outcome:
    """Show as `check` does that the node's own value mixes samples, whatever follows it."""
    return _check(bench, suspect, suspect.node)


def _check(bench: Bench, suspect: Suspect, output: int) -> Outcome:
    node = suspect.node
    named = {target.node for target in suspect.targets}
    mended = Program(
        replace(
            bench.job,
            instructions=tuple(
                _turned(step, bench) if step.id in named else step
                for step in bench.job.instructions
            ),
        )
    )
    reason = "no batch of rows was found for it"
    for template in _templates(bench, node):
        rng = samples.generator(bench.job, 51)
        draws = [_drawn(template, rng, _ROWS) for _ in range(2)]
        crossed = [_crossed(template, one, two) for one in draws for two in draws]
        runs = [_values(bench, feeds, None) for feeds in crossed]
        others = [_values(bench, feeds, mended) for feeds in crossed]
        if any(run is None for run in (*runs, *others)):
            continue
        if _mixing([run[output] for run in runs if run is not None]) < _MIXES:
            reason = "what comes out of a sample is the same whatever the others are"
            continue
        if _mixing([run[output] for run in others if run is not None]) > _ROUNDING:
            # Other ranks, at which they may not be, are less usual.
            return Outcome(Verdict.REFUTED, "samples are combined elsewhere, too")
        shown = next(_shown(bench, template, node), None)
        if shown is None:
            reason = "the value of a sample is the same whatever the others are"
            continue
        return Outcome(Verdict.CONFIRMED, None, shown)
    return Outcome(Verdict.REFUTED, reason)


def check_size(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the mean of a node doubles, and the output changes, with every sample repeated.

    With `threshold` 1 it may more than double, as where samples are compared with each other.
    """
    reason = "no batch of rows was found for it"
    for template in (*bench.templates, *_widened(bench)):
        if not _of_rows(bench, suspect.node, template):
            continue
        rng = samples.generator(bench.job, 53)
        feeds = _drawn(template, rng, _FEW)
        batched = [slot for slot in template.elements if _batched(slot)]
        again = {slot.id: np.concatenate([feeds[slot.id]] * 2) for slot in batched}
        runs = _values(bench, feeds, None), _values(bench, feeds | again, None)
        if runs[0] is None or runs[1] is None:
            continue
        made = [run for run in runs if run is not None]
        once, twice = (_mean(run[suspect.node]) for run in made)
        losses = [_mean(run[bench.job.output]) for run in made]
        if not np.isfinite([once, twice, *losses]).all() or abs(once) < _ROUNDING:
            reason = "the sum is not a number other than 0"
            continue
        more = suspect.threshold == 1.0 and twice / once >= 2.0
        if not more and abs(twice - 2.0 * once) > _CLEARLY * abs(once):
            return Outcome(Verdict.REFUTED, "the sum does not double with the batch")
        if abs(losses[1] - losses[0]) <= _ROUNDING * abs(losses[0]):
            return Outcome(Verdict.REFUTED, "the loss stays the same when the batch is repeated")
        first, second = (witness.plain(loss) for loss in losses)
        evidence = witness.seen(
            template,
            Sample(feeds, Reach.TYPICAL, ""),
            f"the loss of {_FEW} samples is {first:.3g}, and {second:.3g} with the same samples "
            "twice",
            value=first,
            batched=" ".join(slot.spec.name for slot in batched),
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, reason)


def check_lost(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the output has no axis of samples any more behind a reduction over them."""
    for template in bench.templates:
        if not template.differentiated or not all(map(_batched, template.differentiated)):
            continue
        rng = samples.generator(bench.job, 54)
        feeds = _drawn(template, rng, _FEW)
        batched = [slot for slot in template.elements if _batched(slot)]
        again = {slot.id: np.concatenate([feeds[slot.id]] * 2) for slot in batched}
        runs = _values(bench, feeds, None), _values(bench, feeds | again, None)
        if runs[0] is None or runs[1] is None:
            continue
        reduced = bench.lab.operands[suspect.node][0]
        before = [run[reduced].shape[:1] for run in runs if run is not None]
        after = [run[bench.job.output].shape for run in runs if run is not None]
        if before != [(_FEW,), (2 * _FEW,)] or after[0] != after[1]:
            return Outcome(Verdict.REFUTED, "the output has an axis of samples")
        if int(np.prod(after[0])) <= 1 and bench.lab.steps[suspect.node].op not in _EXTREMES:
            return Outcome(Verdict.REFUTED, "the output is a single number")
        shape = list(after[0])
        evidence = Evidence(
            hazard=Hazard.MIXED_SAMPLES,
            witness=witness.numbers(template, Sample(feeds, Reach.TYPICAL, "")),
            value=None,
            gradient=None,
            mode="eager",
            samples=1,
            hits=1,
            rate=None,
            reach=Reach.TYPICAL,
            detail={
                "observed": f"the output of {_FEW} samples has the shape {shape}, and that of the "
                "same samples twice has it, too",
                "batched": " ".join(slot.spec.name for slot in batched),
            },
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no batch of rows was found for it")


def _mean(value: Array) -> float:
    return float(np.mean(np.asarray(value, np.float64)))


def _shown(bench: Bench, template: Template, node: int) -> Iterator[Evidence]:
    """Yield evidence of two small batches that differ in all samples of one input but one."""
    rng = samples.generator(bench.job, 52)
    first, second = (_drawn(template, rng, _FEW) for _ in range(2))
    for slot in template.elements:
        if slot.id not in bench.lab.ancestors(node) or not _batched(slot):
            continue
        changed = second[slot.id].copy()
        changed[_KEPT] = first[slot.id][_KEPT]
        other = first | {slot.id: changed}
        runs = _values(bench, first, None), _values(bench, other, None)
        if runs[0] is None or runs[1] is None:
            continue
        pair = [np.asarray(run[node], np.float64) for run in runs if run is not None]
        if any(value.shape[:1] != (_FEW,) for value in pair):
            continue
        gap = np.abs(pair[0][_KEPT] - pair[1][_KEPT])
        if not np.isfinite(gap).all() or gap.max() <= _CLEARLY * np.abs(pair[0][_KEPT]).max():
            continue
        at = np.unravel_index(int(gap.argmax()), gap.shape)
        values = [witness.plain(value[_KEPT][at]) for value in pair]
        yield witness.seen(
            template,
            Sample(first, Reach.TYPICAL, ""),
            "with other samples beside it, the value of one sample changes from "
            f"{values[0]:.3g} to {values[1]:.3g}",
            value=values[0],
            hazard=Hazard.MIXED_SAMPLES,
            moved=slot.spec.name,
            other=[witness.plain(value) for value in changed.reshape(-1)],
        )


def _turned(step: Instruction, bench: Bench) -> Instruction:
    """Return an op that runs within samples instead of along the batch: without axis 0."""
    given = dict(step.args)
    axis = given.get("axis")
    if isinstance(axis, Ref):
        axis = bench.lab.steps[axis.node].value
    left: Arg = -1
    if isinstance(axis, Items):
        items = tuple(item for item in axis.items if item != 0)
        left = Items(items) if items else -1
    keeps: dict[str, Arg] = {"keepdims": True} if "keepdims" in row(step.op).params else {}
    return replace(step, args=tuple((given | {"axis": left} | keeps).items()))


def _templates(bench: Bench, node: int) -> Iterator[Template]:
    """Yield the templates in which the inputs of a node are rows of several numbers."""
    inside = bench.lab.ancestors(node)
    for template in bench.templates:
        used = [slot for slot in template.elements if slot.id in inside]
        if used and all(_batched(slot) and _wide(slot) for slot in used):
            yield template


def _of_rows(bench: Bench, node: int, template: Template) -> bool:
    """Return whether what a node is computed from has rows: predictions, or data beside weights."""
    moved = [slot for slot in template.differentiated if slot.spec.role is not InputRole.VARIABLE]
    inside = bench.lab.ancestors(node)
    read = [slot for slot in template.elements if slot.id in inside]
    fed = [slot for slot in read if slot.spec.role is not InputRole.VARIABLE]
    return all(map(_batched, moved or fed)) and bool(moved or fed)


def _widened(bench: Bench) -> Iterator[Template]:
    """Yield the templates with rows in place of single numbers that meet rows elementwise."""
    for template in bench.templates:
        if not any(slot.shape == () for slot in template.differentiated):
            continue
        feeds = _drawn(template, samples.generator(bench.job, 55), _FEW)
        values = _values(bench, feeds, None)
        if values is None:
            continue
        slots = list(template.slots)
        for position, slot in enumerate(slots):
            users = (step for step, used in bench.lab.operands.items() if slot.id in used)
            shapes = [values[user].shape for user in users if user in values]
            rows = next((shape for shape in shapes if shape[:1] == (_FEW,)), None)
            if slot.shape == () and slot in template.differentiated and rows is not None:
                slots[position] = replace(slot, shape=(None, *rows[1:]))
        yield replace(template, slots=tuple(slots))


def _batched(slot: Slot) -> bool:
    return slot.shape[:1] == (None,)


def _wide(slot: Slot) -> bool:
    return slot.encoding is Encoding.CLASS or (len(slot.shape) >= 2 and slot.shape[-1] != 1)


def _drawn(template: Template, rng: np.random.Generator, rows: int) -> Feeds:
    # Two decimals keep the witness readable.
    return {
        slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, rows), 2), slot.dtype)
        for slot in template.slots
    }


def _crossed(template: Template, one: Feeds, two: Feeds) -> Feeds:
    """Return a batch of one sample of `one` and the other samples of `two`."""
    mixed = dict(one)
    for slot in template.elements:
        if _batched(slot):
            mixed[slot.id] = two[slot.id].copy()
            mixed[slot.id][_KEPT] = one[slot.id][_KEPT]
    return mixed


def _values(bench: Bench, feeds: Feeds, program: Program | None) -> dict[int, Array] | None:
    """Return every node's value, or None if the batch does not fit or takes another path."""
    try:
        values = bench.lab.values(feeds, program)
    # Any op may raise anything on a shape that does not fit.
    except Exception:
        return None
    return values if bool(bench.lab.holds(values).all()) else None


def _mixing(outputs: list[Array]) -> float:
    """Return how much samples matter to each other in the output; inf if it is not finite.

    Args:
        outputs: for the batches (a, a), (a, b), (b, a) and (b, b), where the first letter is the
            draw of the sample that is kept, the second that of the others.
    """
    values = [np.asarray(output, np.float64) for output in outputs]
    if any(value.shape != values[0].shape or not np.isfinite(value).all() for value in values):
        return float("inf")
    spread = max(float(np.abs(value - values[0]).max()) for value in values[1:])
    if values[0].shape[:1] == (_ROWS,):
        gap = values[1][_KEPT] - values[0][_KEPT]
    else:
        # A sum or mean over samples that do not touch has no mixed difference.
        gap = values[0] - values[1] - values[2] + values[3]
    return float(np.abs(gap).max()) / max(spread, _ROUNDING)
