"""Is a loss smallest at its target?"""

from __future__ import annotations

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, targets, witness
from actlint.worker.bench import Bench
from actlint.worker.samples import Array
from actlint.worker.targets import Problem

# Plain gradient descent from the target and from a typical prediction.
_STEPS = 200
_RATE = 0.05
# Steps after which a descent that has not improved is given up.
_PATIENCE = 20
# Rows of the batch, enough to see where the loss pulls a prediction.
_ROWS = 2
# Share of the loss's spread by which a better point than the target must be better.
_CLEARLY = 0.1


def check(bench: Bench, _: Suspect) -> Outcome:
    """Show that a loss prefers predictions away from the label."""
    problem = next(targets.problems(bench, _ROWS, 9), None)
    if problem is None:
        return Outcome(
            Verdict.UNCONFIRMED, "no label and prediction of one shape and meaning were found"
        )
    target = problem.target
    rng = samples.generator(bench.job, 8)
    others = [
        problem.bounded(samples.typical(problem.prediction, rng, 1, _ROWS).astype(np.float64))
        for _ in range(8)
    ]
    at_target = problem.loss(target)
    losses = np.array([problem.loss(other) for other in others])
    finite = losses[np.isfinite(losses)]
    if not np.isfinite(at_target) or not finite.size:
        return Outcome(Verdict.UNCONFIRMED, "the loss is not finite at the target")
    spread = float(np.ptp(np.append(finite, at_target)))
    margin = max(_CLEARLY * spread, 1e-4)
    best, best_loss = target, at_target
    # A typical prediction is a start only if it, or the descent, is better than the target.
    for start in (target, others[int(np.nanargmin(losses))]):
        if start is not target and best_loss == at_target and float(finite.min()) >= at_target:
            break
        reached = _descend(problem, start, at_target - 2.0 * margin)
        loss = problem.loss(reached)
        if np.isfinite(loss) and loss < best_loss:
            best, best_loss = reached, loss
        if at_target - best_loss > margin and problem.distance(best) >= problem.far:
            break
    away = problem.distance(best)
    if at_target - best_loss <= margin or away < problem.far:
        return Outcome(
            Verdict.REFUTED,
            f"the loss at the target, {at_target:.3g}, is as small as descent can make it",
        )
    trace = problem.run(target)
    assert trace is not None
    evidence = Evidence(
        hazard=Hazard.WRONG_LOSS,
        witness=witness.numbers(problem.template, trace.sample),
        value=witness.plain(np.float32(at_target)),
        gradient=witness.worst(trace.gradients.values()),
        mode="eager",
        samples=len(others) + 1,
        hits=int((finite < at_target).sum()),
        rate=None,
        reach=Reach.STRUCTURAL,
        detail={
            "loss_at_target": witness.plain(np.float32(at_target)),
            "better_loss": witness.plain(np.float32(best_loss)),
            "distance": round(away, 4),
            "better_prediction": [round(float(v), 4) for v in best.reshape(-1)[:8]],
            **({"softmax": 1.0} if problem.softmax else {}),
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _descend(problem: Problem, start: Array, goal: float) -> Array:
    """Return where plain gradient descent on the prediction ends.

    It ends early once the loss is below `goal` far from the target, and when it does not get
    anywhere.
    """
    current, first = start, float("nan")
    for step in range(_STEPS):
        slope = problem.slope(current)
        if slope is None:
            break
        loss, gradient = slope
        first = loss if step == 0 else first
        if loss < goal and problem.distance(current) > 2.0 * problem.far:
            break
        if step == _PATIENCE and not loss < first:
            break
        if not gradient.any():
            break
        # Scaled steps make the pace independent of the size of the loss.
        size = float(np.abs(gradient).max())
        moved = problem.bounded(current - _RATE * gradient / max(size, 1e-3))
        if float(np.abs(moved - current).max()) < 1e-5:
            break
        current = moved
    return current
