"""Is what Python draws or holds read once, when TensorFlow traces a function?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench, first_line
from actlint.worker.program import Program
from actlint.worker.samples import Array, Feeds, Sample

# Rows of the batch, so that a witness can be read.
_ROWS = 2
# Values that a number in Python takes while a network is trained, next to where it begins: weights
# and temperatures, then steps and epochs.
_LATER = (1.0, 0.5, 0.1, 2.0, 10.0, 100.0, 1000.0, 1e4, 1e5, 1e6)
_TRIES = 4  # batches
_SAME = 1e-4
_START = 0.5  # if the source does not say where it begins
_FLAG = (0.0, 1.0)


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the node changes from call to call in eager mode alone, and the output with it."""
    template = bench.templates[0]
    rng = samples.generator(bench.job, 71)
    feeds = {
        slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, _ROWS), 2), slot.dtype)
        for slot in template.slots
    }
    sample = Sample(feeds, Reach.TYPICAL, "")
    fed = bench.lab.fed(feeds)
    unseeded = Program(bench.job, seeded=False)
    np.random.seed(bench.job.seed % 2**32)

    def draw() -> tuple[object, object]:
        made = unseeded.forward(fed)
        return tf.convert_to_tensor(made[suspect.node]), made[bench.job.output]

    traced = tf.function(draw, autograph=False)
    drawn = [_arrays(draw()) for _ in range(2)]
    kept = [_arrays(traced()) for _ in range(2)]
    if np.array_equal(drawn[0][0], drawn[1][0]):
        return Outcome(Verdict.REFUTED, "it is the same at each call, in eager mode, too")
    if not np.array_equal(kept[0][0], kept[1][0]):
        return Outcome(Verdict.REFUTED, "it is drawn anew at each call of a traced function")
    # With all else as it was, another draw gives another output.
    moved = [bench.lab.trace(sample, plain={suspect.node: value}) for value, _ in drawn]
    one, other = (run.values[run.output] for run in moved)
    if np.array_equal(one, other):
        return Outcome(Verdict.REFUTED, "the output does not depend on what is drawn")
    first, second = (witness.plain(np.asarray(value).reshape(-1)[0]) for value, _ in drawn)
    same = witness.plain(np.asarray(kept[0][0]).reshape(-1)[0])
    evidence = Evidence(
        hazard=Hazard.FROZEN,
        witness=witness.numbers(template, sample),
        value=witness.worst([kept[0][1]]),
        gradient=None,
        mode="graph",
        samples=2,
        hits=2,
        rate=None,
        reach=Reach.TYPICAL,
        detail={
            "observed": f"two calls draw {first:.3g} and {second:.3g} in eager mode; under "
            f"tf.function, both have {same:.3g}",
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def check_state(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the output follows a number of Python's in eager mode alone."""
    template = bench.templates[0]
    spec = bench.lab.steps[suspect.node].input
    begin = _START if spec is None or spec.default is None else spec.default
    flag = spec is not None and (spec.lo, spec.hi) == _FLAG
    fault = "the output does not depend on it"
    for drawn in range(_TRIES):
        rng = samples.generator(bench.job, 73 + drawn)
        feeds = {
            slot.id: np.asarray(np.round(samples.typical(slot, rng, 0, _ROWS), 2), slot.dtype)
            for slot in template.slots
        }
        state = [begin]
        run = _reading(bench, feeds, suspect.node, state)
        first = np.asarray(run())
        for later in (1.0 - begin,) if flag else _LATER:
            state[0] = later
            try:
                second = np.asarray(run())
            # An op raises what it likes on a number that does not suit it.
            except Exception as error:
                fault = first_line(error)
                continue
            if later != begin and np.isfinite(second).all() and _moved(first, second):
                break
        else:
            continue
        state[0] = begin
        traced = tf.function(run, autograph=False)
        before = np.asarray(traced())
        state[0] = later
        if not np.array_equal(before, np.asarray(traced()), equal_nan=True):
            return Outcome(Verdict.REFUTED, "the output follows it under tf.function, too")
        sample = Sample(feeds, Reach.TYPICAL, "")
        one, other = (witness.plain(np.float32(np.mean(found))) for found in (first, second))
        evidence = Evidence(
            hazard=Hazard.FROZEN,
            witness=witness.numbers(template, sample),
            value=witness.worst([before]),
            gradient=None,
            mode="graph",
            samples=1,
            hits=1,
            rate=None,
            reach=Reach.TYPICAL,
            detail={
                "begin": float(begin),
                "later": float(later),
                "observed": f"with {_said(later, flag)} instead of {_said(begin, flag)}, the "
                f"mean of the output is "
                f"{other:.3g} instead of {one:.3g} in eager mode; under tf.function, it stays the "
                "same",
            },
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.REFUTED, fault)


def _reading(bench: Bench, feeds: Feeds, node: int, state: list[float]) -> Callable[[], Any]:
    """Return what computes the output from the number that `state` holds when it is called."""
    fed = bench.lab.fed(feeds)

    def run() -> Any:
        made = bench.lab.program.forward({**fed, node: state[0]})
        return tf.convert_to_tensor(made[bench.job.output])

    return run


def _said(value: float, flag: bool) -> str:
    return str(bool(value)) if flag else f"{value:g}"


def _moved(first: Array, second: Array) -> bool:
    """Return whether two outputs differ by more than rounding explains."""
    if first.shape != second.shape:
        return True
    return not np.allclose(first, second, rtol=_SAME, atol=_SAME, equal_nan=True)


def _arrays(pair: tuple[object, object]) -> tuple[Array, Array]:
    return np.asarray(pair[0]), np.asarray(pair[1])
