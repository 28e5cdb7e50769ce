"""Does following the gradient of a loss lead to its target?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from weakref import WeakKeyDictionary

import numpy as np

from actlint.findings import Check, Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, targets, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding
from actlint.worker.probes import Trace
from actlint.worker.samples import Array
from actlint.worker.targets import Problem

# Labels, each with a typical prediction and its mirror image to start from.
_LABELS = 5
# Starts after which a descent that has always arrived is not tried again.
_ENOUGH = 4
# Share of the starts that must get stuck, and how many must end at the opposite.
_MANY = 1.0 / 3.0
_OPPOSITE = 2
# Rows of the batch: three, so that a correlation over the batch means something.
_ROWS = 3
# The steps shrink to 0. Together they are this long in a range of 1 and in an open one.
_STEPS = 100
_LENGTH_UNIT = 2.0
_LENGTH_REAL = 12.0
# A gradient this small beside 1 moves nothing: it is what rounding leaves.
_ROUNDING = 1e-6
# Share of the way from the loss at the start to that at the target that counts as arriving.
_CLOSED = 0.75
# Distance from the target, in units of that at the start, that counts as coming nearer.
_NEARER = 0.5
# Share of that way that elements without a gradient may account for.
_LEFT = 0.05
# Share of the elements that an expression to blame hands zeros.
_MOSTLY = 1.0 / 3.0
# Correlation with the target of a prediction that runs against it.
_AGAINST = -0.5


@dataclass(frozen=True, slots=True)
class _Path:
    """One descent that did not arrive."""

    problem: Problem
    start: Array
    end: Array
    at_start: float
    at_end: float
    at_target: float
    stuck: bool  # else it went against the label


# The descents of a job, which its suspects share.
_DONE: WeakKeyDictionary[Bench, tuple[int, tuple[_Path, ...]]] = WeakKeyDictionary()


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the sign of the gradient does not lead a typical prediction to the label."""
    if bench not in _DONE:
        found = _descents(bench)
        if _leads_astray(*found) and targets.divides(bench):
            # Shares of squares or products, as of images, may be meant for positive numbers only.
            positive = _descents(bench, positive=True)
            found = found if not positive[0] or _leads_astray(*positive) else positive
        _DONE[bench] = found
    tried, lost = _DONE[bench]
    if not tried:
        return Outcome(
            Verdict.UNCONFIRMED, "no label and prediction of one shape and meaning were found"
        )
    if not _leads_astray(tried, lost):
        return Outcome(
            Verdict.REFUTED,
            f"descent leads to the label from {tried - len(lost)} of {tried} starts",
        )
    worst = max(lost, key=lambda path: (path.stuck, path.at_end - path.at_target))
    trace = worst.problem.run(worst.end)
    if trace is None or suspect.node != _culprit(bench, suspect, trace, worst):
        return Outcome(Verdict.REFUTED, "the gradient is lost at another expression")
    shown = worst.problem.run(worst.start)
    assert shown is not None
    evidence = Evidence(
        hazard=Hazard.WRONG_GRADIENT,
        witness=witness.numbers(worst.problem.template, shown.sample),
        value=witness.plain(np.float32(worst.at_start)),
        gradient=witness.worst(shown.gradients.values()),
        mode="eager",
        samples=tried,
        hits=len(lost),
        rate=None,
        reach=Reach.TYPICAL,
        detail={
            "loss_at_target": witness.plain(np.float32(worst.at_target)),
            "loss_at_end": witness.plain(np.float32(worst.at_end)),
            "end": [round(float(v), 4) for v in worst.end.reshape(-1)[:8]],
            "steps": float(_STEPS),
            "rate": _rate(worst.problem),
            "limits": [float(worst.problem.limited(np.asarray(end))) for end in (-1e9, 1e9)],
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _leads_astray(tried: int, lost: tuple[_Path, ...]) -> bool:
    """Tell whether too many descents get stuck, or end at the opposite of the label."""
    stuck = sum(path.stuck for path in lost)
    return stuck >= max(2.0, _MANY * tried) or len(lost) - stuck >= _OPPOSITE


def _descents(bench: Bench, *, positive: bool = False) -> tuple[int, tuple[_Path, ...]]:
    """Return how many starts tell something, and the ways from those that do not arrive."""
    lost: list[_Path] = []
    tried = 0
    rng = samples.generator(bench.job, 41)
    found = targets.problems(bench, _ROWS, 40, positive=positive)
    for each in islice(found, _LABELS):
        if tried >= _ENOUGH and not lost:
            break
        # Along the simplex the sign of a gradient is no direction of descent.
        problem = replace(each, softmax=False)
        drawn = samples.typical(problem.prediction, rng, 1, _ROWS).astype(np.float64)
        mirrored = 1.0 - drawn if problem.prediction.encoding is Encoding.UNIT else -drawn
        if problem.positive:
            drawn, mirrored = np.abs(drawn), 1.0 / (np.abs(drawn) + 0.5)
        for start in (drawn, mirrored):
            path = _follow(problem, problem.bounded(np.round(start, 1)))
            if path is not None:
                tried += 1
                lost += [path] if isinstance(path, _Path) else []
    return tried, tuple(lost)


def _rate(problem: Problem) -> float:
    """Return the first step of a descent, in units of the prediction."""
    unit = problem.prediction.encoding is Encoding.UNIT
    return 2.0 * (_LENGTH_UNIT if unit else _LENGTH_REAL) / _STEPS


def _follow(problem: Problem, start: Array) -> _Path | bool | None:
    """Follow the sign of the gradient; return the way if it does not arrive, True if it does.

    None if the start tells nothing, because its loss is not clearly above that of the target.
    """
    at_target, at_start = problem.loss(problem.target), problem.loss(start)
    gap = at_start - at_target
    if not np.isfinite(gap) or gap <= 1e-3 * max(1.0, abs(at_target)):
        return None
    far = problem.distance(start)
    if far < problem.far:
        return None
    pace = _rate(problem)
    felt: Array | None = None
    current, loss = start, at_start
    for step in range(_STEPS):
        slope = problem.slope(current)
        if slope is None:
            return None
        loss, gradient = slope
        felt = np.abs(gradient) > 0.0 if felt is None else felt
        if at_start - loss >= 0.95 * gap and not _against(problem, current):
            return True
        move = gradient / (np.abs(gradient) + _ROUNDING)
        if float(np.abs(move).max()) < 0.01:
            break
        current = problem.bounded(current - pace * (1.0 - step / _STEPS) * move)
    loss = problem.loss(current)
    arrived = (
        at_start - loss >= _CLOSED * gap
        or problem.distance(current) <= _NEARER * far
        or (felt is not None and _arrived_where_felt(problem, start, current, felt, gap))
    )
    stuck = not arrived
    if arrived and not _against(problem, current):
        return True
    return _Path(problem, start, current, at_start, loss, at_target, stuck)


def _arrived_where_felt(
    problem: Problem, start: Array, current: Array, felt: Array, gap: float
) -> bool:
    """Tell whether what the loss reads has come nearer, and the rest does not matter to it."""
    if felt.all() or not felt.any() or felt.shape != start.shape:
        return False
    rest = np.where(felt, problem.target, start)
    if problem.loss(rest) - problem.loss(problem.target) > _LEFT * gap:
        return False
    now, before = (np.where(felt, each, problem.target) for each in (current, start))
    return problem.distance(now) <= _NEARER * problem.distance(before)


def _against(problem: Problem, prediction: Array) -> bool:
    """Tell whether a loss that does not feel a shift has brought about the opposite.

    Where it does not feel the sign alone, as with quaternions, both signs may mean the same.
    """
    one, other = prediction.reshape(-1), problem.target.reshape(-1)
    if min(float(one.std()), float(other.std())) < 1e-6:
        return False
    if float(np.corrcoef(one, other)[0, 1]) > _AGAINST:
        return False
    if problem.prediction.encoding is Encoding.UNIT:
        return False
    loss, shifted = problem.loss(prediction), problem.loss(prediction + 0.5)
    return bool(np.isclose(loss, shifted, rtol=1e-3, atol=1e-4))


def _culprit(bench: Bench, suspect: Suspect, trace: Trace, path: _Path) -> int:
    """Return the node to blame: the last that hands on zeros for many elements, or the output."""
    if not path.stuck:
        return bench.job.output
    asked = {
        other.node
        for other in bench.job.suspects
        if other.check is Check.DESCENT and other.code == suspect.code
    }
    lab = bench.lab
    inside = lab.ancestors(bench.job.output)
    for node in sorted(asked & inside, reverse=True):
        upstream = trace.cotangents.get(node)
        if upstream is None:
            continue
        _, handed = lab.local(node, trace, upstream)
        moving = [
            value
            for ref, value in handed.items()
            if value is not None
            and lab.varies(ref)
            and path.problem.prediction.id in lab.ancestors(ref)
        ]
        live = np.abs(upstream) > _ROUNDING
        if not moving or not live.any() or any(value.shape != live.shape for value in moving):
            continue
        dead = np.all([np.abs(value) <= _ROUNDING for value in moving], axis=0)
        if (dead & live).sum() >= _MOSTLY * live.sum():
            return node
    return bench.job.output
