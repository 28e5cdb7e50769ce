"""Is what a function draws at random drawn once, when TensorFlow traces it?"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.program import Program
from actlint.worker.samples import Array, Sample

# Rows of the batch, so that a witness can be read.
_ROWS = 2


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


def _arrays(pair: tuple[object, object]) -> tuple[Array, Array]:
    return np.asarray(pair[0]), np.asarray(pair[1])
