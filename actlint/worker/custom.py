"""Is the gradient that a function brings along that of the function?

Points where the differences to the left and to the right disagree are kinks or jumps, points where
both are 0 are flat; at neither is anything said, because a gradient there that is not the
derivative is what custom gradients are for (straight-through estimators, surrogates of spikes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Ref
from actlint.worker import samples, witness
from actlint.worker.bench import Bench, first_line
from actlint.worker.inputs import Template
from actlint.worker.probes import floating
from actlint.worker.samples import Array, Feeds, Sample
from actlint.worker.slopes import FLAT, Claim, Measured, Runner, claim_of, measure

# Cotangents of the value: small, so that no clipping sets in, and all of one sign, because guided
# backpropagation stops the others.
_SMALL = 1e-3
# Relative difference of two slopes that is no matter of rounding or of an approximation.
_CLEARLY = 0.1
# Share of the points with a slope at which the gradient has to be wrong.
_SHARE = 0.25
# Share of the far points at which a smooth stand-in of a piecewise linear function is right.
_AGREES = 0.9
_FAR = 20.0
# Slopes that a piecewise linear function has at most.
_PIECES = 3
_LINEAR = 1e-3
# Points tried for a witness of one number, the simplest first.
_POINTS = (1.0, 0.5, 2.0, -1.0, -0.5, -2.0, 1.5, -1.5, 3.0, -3.0, 0.1, -0.1)


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a custom gradient is not that of the value, where that is smooth and not flat."""
    claim = claim_of(bench.lab.steps[suspect.node])
    if not claim.fits:
        return _miscounted(claim)
    differentiated = set(bench.lab.inputs)
    runner = Runner(bench, claim)
    sources = [
        (position, source.node)
        for position, source in enumerate(claim.sources)
        if isinstance(source, Ref) and source.node in differentiated
    ]
    judged = [_judge(runner, position, ident) for position, ident in sources]
    live = [part for part in judged if part.points]
    if not live:
        return Outcome(Verdict.REFUTED, "its value is flat, not smooth, or cannot be run here")
    detached = [part for part in live if part.zero]
    if detached and any(not part.zero for part in judged):
        live = [part for part in live if not part.zero]  # one argument is detached on purpose
    for part in live:
        if part.excuse:
            return Outcome(Verdict.REFUTED, part.excuse)
    worst = max(live, key=lambda part: part.wrong / part.points, default=None)
    if worst is None or worst.wrong < _SHARE * worst.points:
        return Outcome(Verdict.REFUTED, "it agrees with finite differences of the value")
    evidence = _evidence(runner, worst)
    if evidence is None:
        return Outcome(Verdict.UNCONFIRMED, "no input was found that shows it by itself")
    return Outcome(Verdict.CONFIRMED, None, evidence)


# ---- judging ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of one argument."""

    position: int
    ident: int
    points: int  # where the value has a slope
    wrong: int  # of these, where the gradient is another one whatever the sign of the cotangent
    zero: bool  # the gradient is 0 or None everywhere
    excuse: str  # why the difference is meant, or ""


def _batches(
    runner: Runner, index: int, position: int, ident: int, factor: float
) -> Iterator[tuple[Measured, Measured]]:
    """Yield what is measured with cotangents above and below 0, batch by batch of one template."""
    bench = runner.bench
    template = bench.templates[index]
    slot = next((slot for slot in template.slots if slot.id == ident), None)
    if slot is None or not slot.dtype.startswith("float"):
        return
    rng = samples.generator(bench.job, 23 + index)
    alone = bench.line(index) is not None
    for sample in bench.drawn(index, "typical"):
        feeds = runner.cast(runner.set(template, sample.feeds))
        feeds[ident] = np.asarray(feeds[ident] * factor)
        both = _both(runner, feeds, position, ident, rng, alone=alone)
        if both is not None:
            yield both


def _both(
    runner: Runner,
    feeds: Feeds,
    position: int,
    ident: int,
    rng: np.random.Generator,
    *,
    alone: bool,
) -> tuple[Measured, Measured] | None:
    try:
        if not runner.bench.lab.holds(runner.values(feeds)).all():
            return None
        weights = _SMALL * rng.uniform(0.5, 1.5, runner.value(feeds).shape)
        above = measure(runner, feeds, position, ident, weights, alone=alone)
        below = measure(runner, feeds, position, ident, -weights, alone=alone)
    # A sample may leave the range that an op accepts; it is skipped.
    except Exception:
        return None
    return None if above is None or below is None else (above, below)


def _judge(runner: Runner, position: int, ident: int) -> _Part:
    """Return what is known of one argument, by the shapes at which the gradient is best."""
    parts = [
        _judge_shape(runner, index, position, ident) for index in range(len(runner.bench.templates))
    ]
    known = [part for part in parts if part.points]
    return min(known, key=lambda part: part.wrong / part.points, default=parts[0])


def _judge_shape(runner: Runner, index: int, position: int, ident: int) -> _Part:
    batches = list(_batches(runner, index, position, ident, 1.0))
    points = sum(int(_sloped(above.found).sum()) for above, _ in batches)
    wrong = sum(int(_wrong(above, below).sum()) for above, below in batches)
    zero = not any(np.any(side.claimed) for pair in batches for side in pair)
    excuse = _excuse(runner, index, position, ident, batches) if wrong else ""
    return _Part(position, ident, points, 0 if excuse else wrong, zero, excuse)


def _wrong(above: Measured, below: Measured) -> Array:
    """Return where the gradient is another one, whatever the sign of the cotangent."""
    both = _differ(above.found, above.claimed) & _differ(below.found, below.claimed)
    return np.asarray(both & _sloped(above.found))


def _sloped(found: Array) -> Array:
    """Return where the value is smooth and not flat."""
    size = np.abs(found)
    top = size[np.isfinite(size)].max(initial=0.0)
    return np.asarray(np.isfinite(found) & (size > FLAT * top) & (size > 1e-12))


def _differ(found: Array, claimed: Array) -> Array:
    apart = np.abs(found - claimed) > _CLEARLY * np.maximum(np.abs(found), np.abs(claimed))
    return np.asarray(apart | ~np.isfinite(claimed))


def _excuse(
    runner: Runner,
    index: int,
    position: int,
    ident: int,
    batches: list[tuple[Measured, Measured]],
) -> str:
    """Return why a gradient differs on purpose, or "" if nothing says so."""
    keep = [_sloped(above.found) for above, _ in batches]
    pairs = [(above, here) for (above, _), here in zip(batches, keep, strict=True)]
    upstream = np.concatenate([above.upstream[here] for above, here in pairs])
    if np.isnan(upstream).any():
        return ""
    slope = np.concatenate([above.found[here] for above, here in pairs]) / upstream
    ratio = np.concatenate([above.claimed[here] for above, here in pairs]) / upstream
    if _one(slope) and abs(slope[0] - 1.0) <= _LINEAR:
        return "its value is its argument, whose gradient it changes on purpose"
    if _one(slope) and _one(ratio):
        return "its value is linear, and the gradient is scaled on purpose"
    if (
        np.unique(np.round(slope, 3)).size > _PIECES
        or np.unique(np.round(ratio, 3)).size <= _PIECES
    ):
        return ""
    far = list(_batches(runner, index, position, ident, _FAR))
    total = sum(int(_sloped(above.found).sum()) for above, _ in far)
    wrong = sum(int(_wrong(above, below).sum()) for above, below in far)
    if not total or wrong > (1.0 - _AGREES) * total:
        return ""
    return "it is a smooth stand-in for the gradient of a piecewise linear value"


def _one(values: Array) -> bool:
    """Return True if all values are the same."""
    return bool(values.size and np.ptp(values) <= _LINEAR * np.abs(values).max())


# ---- answers ---------------------------------------------------------------------------------


def _miscounted(claim: Claim) -> Outcome:
    """Show that TensorFlow refuses a gradient function with the wrong number of results."""
    count = len(claim.sources)
    sizes = range(count, count + claim.optional + 1)
    reasons = [_refused(size, len(claim.gradients)) for size in sizes]
    if not all(reasons):
        return Outcome(Verdict.REFUTED, "TensorFlow takes as many gradients as it gives")
    evidence = Evidence(
        hazard=Hazard.WRONG_GRADIENT,
        witness={},
        value=None,
        gradient=None,
        mode="eager",
        samples=0,
        hits=0,
        rate=None,
        reach=Reach.TYPICAL,
        detail={"raises": reasons[0]},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _refused(arguments: int, results: int) -> str:
    """Return TensorFlow's message about a custom gradient of so many results, or ""."""

    def function(*args: Any) -> Any:
        return tf.add_n(args), lambda upstream: [upstream] * results

    sources = [tf.constant(1.0) for _ in range(arguments)]
    try:
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = tf.custom_gradient(function)(*sources)
        tape.gradient(value, sources)
    except ValueError as error:
        return first_line(error)
    return ""


def _evidence(runner: Runner, part: _Part) -> Evidence | None:
    for template, sample, alone in _witnesses(runner, part):
        feeds = runner.cast(sample.feeds)
        for value, weights, made in _shown(runner, feeds, part, alone=alone):
            wrong = _sloped(made.found) & _differ(made.found, made.claimed)
            # A sum of differences that cancel is no slope to show.
            wrong &= np.abs(made.found) > FLAT * np.abs(made.claimed)
            if not wrong.any() or not np.isfinite(value).all():
                continue
            gap = np.where(wrong, np.abs(made.found - made.claimed), -1.0)
            at = int(gap.argmax())
            none = runner.claim.gradients[part.position] is None
            return Evidence(
                hazard=Hazard.WRONG_GRADIENT,
                witness=witness.numbers(template, sample),
                value=witness.worst([value]),
                gradient=None if none else witness.plain(made.claimed[at]),
                mode="eager",
                samples=part.points,
                hits=part.wrong,
                rate=None,
                reach=Reach.TYPICAL,
                detail={
                    "measured": witness.plain(float(f"{made.found[at]:.5g}")),
                    "upstream": [float(weight) for weight in np.unique(weights)],
                    "argument": float(part.position),
                    "element": float(at),
                },
            )
    return None


def _shown(
    runner: Runner, feeds: Feeds, part: _Part, *, alone: bool
) -> list[tuple[Array, Array, Measured]]:
    """Return the value, its cotangent and what is measured with it, simple cotangents first."""
    try:
        value = runner.value(feeds)
        measured = [
            (
                value,
                weights,
                measure(runner, feeds, part.position, part.ident, weights, alone=alone),
            )
            for weights in _cotangents(value.shape)
        ]
    # As in `_both`.
    except Exception:
        return []
    size = feeds[part.ident].size
    return [
        (value, weights, made)
        for value, weights, made in measured
        if made is not None and made.found.size == size
    ]


def _cotangents(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Return cotangents of a value that are easy to read: all ones, all twos, 1, 2, 3 and so on."""
    ones = np.ones(shape)
    return ones, 2.0 * ones, np.arange(1.0, ones.size + 1.0).reshape(shape)


def _witnesses(runner: Runner, part: _Part) -> Iterator[tuple[Template, Sample, bool]]:
    """Yield single numbers if the function is elementwise, then small batches."""
    bench = runner.bench
    line = bench.line()
    if line is not None:
        others = [slot for slot in line.slots if slot.id != part.ident]
        for point in _POINTS:
            feeds = {
                slot.id: np.asarray(slot.number, slot.dtype)
                for slot in line.template.slots
                if slot not in line.slots
            }
            feeds |= {slot.id: np.asarray(0.5, np.float32) for slot in others}
            feeds[part.ident] = np.asarray(point, np.float32)
            feeds = runner.set(line.template, feeds)
            yield line.template, Sample(feeds, Reach.TYPICAL, ""), True
    for template in bench.templates:
        rng = samples.generator(bench.job, 22)
        for rows in (1, 2, 6):
            feeds = {slot.id: samples.typical(slot, rng, 1, rows) for slot in template.slots}
            feeds = {k: np.round(v, 1) if floating(v) else v for k, v in feeds.items()}
            feeds = runner.set(template, feeds)
            yield template, Sample(feeds, Reach.TYPICAL, ""), False
