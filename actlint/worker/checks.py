"""The worker's judgement: one outcome for each suspect of a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import tensorflow as tf

from actlint.findings import Check, Outcome, Suspect, Verdict
from actlint.worker import (
    agreement,
    broad,
    broadcast,
    calls,
    custom,
    cut,
    descent,
    estimator,
    fixed,
    frozen,
    gain,
    half,
    held,
    hinges,
    indeterminate,
    labels,
    minimum,
    missing,
    nonfinite,
    others,
    precision,
    profile,
    sides,
    squeeze,
    terms,
    truncation,
    underflow,
)
from actlint.worker.bench import Bench, first_line
from actlint.worker.protocol import Answer, Job

if TYPE_CHECKING:
    from actlint.worker.program import Program

_CHECKS: Final[dict[Check, Callable[[Bench, Suspect], Outcome]]] = {
    Check.NONFINITE: nonfinite.check,
    Check.CUT: cut.check,
    Check.NO_GRADIENT: cut.check_none,
    Check.DEAD_SHARE: cut.check_share,
    Check.SATURATION: profile.saturation,
    Check.MONOTONICITY: profile.monotonicity,
    Check.CONTINUITY: profile.continuity,
    Check.CONSTANT: profile.constancy,
    Check.GAIN_LOSS: gain.vanishing,
    Check.GAIN_GROWTH: gain.exploding,
    Check.STEEPNESS: squeeze.steep,
    Check.SQUEEZED: squeeze.squeezed,
    Check.UNIFORM: squeeze.uniform,
    Check.UNDERFLOW: underflow.check,
    Check.MINIMUM: minimum.check,
    Check.CUSTOM_GRADIENT: custom.check,
    Check.STRAIGHT_THROUGH: estimator.check,
    Check.PRECISION: precision.check,
    Check.INDETERMINATE: indeterminate.check,
    Check.EXCHANGED: calls.check_exchanged,
    Check.SIGNATURE: calls.check_signature,
    Check.FLOOR: calls.check_floor,
    Check.SHARES: calls.check_shares,
    Check.STUCK: calls.check_stuck,
    Check.SINGLE_VALUE: calls.check_constant,
    Check.AGREES: agreement.check,
    Check.BROADCAST: broadcast.check,
    Check.DESCENT: descent.check,
    Check.OTHER_SAMPLES: others.check,
    Check.BATCH_SIZE: others.check_size,
    Check.LOST_BATCH: others.check_lost,
    Check.OWN_SAMPLES: others.check_own,
    Check.CONTRIBUTION: terms.check,
    Check.HALF: half.check,
    Check.LABEL_FREE: labels.check,
    Check.HINGE: hinges.check,
    Check.MARGIN: hinges.check_margin,
    Check.HELD_LABEL: held.check,
    Check.FIXED_BATCH: fixed.check,
    Check.TRUNCATION: truncation.check,
    Check.FROZEN_DRAW: frozen.check,
    Check.FROZEN_STATE: frozen.check_state,
    Check.MISSING_DATA: missing.check,
    Check.ONE_SIDED: sides.check,
}
# Checks that look for shapes themselves.
_SHAPELESS: Final = frozenset({Check.FIXED_BATCH})


def examine(job: Job, program: Program) -> Answer:
    """Return the outcome of every suspect of a job, in order.

    Args:
        job: the excerpt and its suspects.
        program: the excerpt, ready to run.
    """
    # Random ops, such as dropout, then repeat from run to run.
    tf.random.set_seed(job.seed)
    with np.errstate(all="ignore"):
        return _examine(job, program)


def _examine(job: Job, program: Program) -> Answer:
    bench = Bench(job, program)
    if not bench.templates:
        reason = f"no input shape was found for which the expression runs: {bench.reason}"
        outcome = Outcome(Verdict.UNCONFIRMED, reason)
        return Answer(
            job.id,
            tuple(
                _outcome(bench, suspect) if suspect.check in _SHAPELESS else outcome
                for suspect in job.suspects
            ),
        )
    return Answer(job.id, tuple(_outcome(bench, suspect) for suspect in job.suspects))


def _outcome(bench: Bench, suspect: Suspect) -> Outcome:
    if suspect.node not in bench.lab.steps:
        return Outcome(Verdict.UNCONFIRMED, "the expression is not part of what can be run")
    try:
        return broad.settled(bench, _CHECKS[suspect.check](bench, suspect), suspect.node)
    # A program that breaks in a way no check foresees costs its own suspect alone.
    except Exception as error:
        return Outcome(Verdict.UNCONFIRMED, f"it could not be examined: {first_line(error)}")
