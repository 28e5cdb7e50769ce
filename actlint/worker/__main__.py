"""``python -m actlint.worker``: answers jobs on standard input, one JSON line each."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import warnings
from dataclasses import replace
from typing import IO

from actlint.findings import Outcome, Verdict
from actlint.worker import sandbox, warden
from actlint.worker.protocol import (
    Answer,
    Failed,
    Job,
    ProtocolError,
    Ready,
    Record,
    decode,
    encode,
)

# One thread each: sums are then always taken in the same order, so results repeat exactly.
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}

# Compiled functions pile up until they are collected.
_JOBS_PER_COLLECTION = 50


def main() -> int:
    """Serve until standard input ends.

    Returns:
        The exit status: 0, or 1 if TensorFlow cannot be used or the pipe spoke nonsense.
    """
    parser = argparse.ArgumentParser(prog="python -m actlint.worker", description=__doc__)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end with this process")
    parser.add_argument("--memory", type=int, default=4 << 30, help="bytes that jobs may take")
    parser.add_argument("--cpu", type=float, default=600.0, help="seconds that a job may compute")
    parser.add_argument("--life", type=int, help="pipe that ends with the main process")
    options = parser.parse_args()
    if options.life is not None:
        warden.post(options.life, os.path.dirname(os.getcwd()))
    lines, replies = _private_pipes()
    layers = ["ends with its parent"] if sandbox.follow_parent(options.parent) else []
    os.environ.update(_ENVIRONMENT)
    warnings.simplefilter("ignore")
    try:
        version = _load()
    except Exception as error:  # a broken installation can raise anything
        why = f"{type(error).__name__}: {first_line(str(error))}"
        _send(replies, Failed(f"TensorFlow cannot be loaded by {sys.executable}: {why}"))
        return 1
    from actlint.worker import checks  # noqa: F401, PLC0415  # all imports come before the guard

    scratch = os.getcwd()
    layers += sandbox.restrict(scratch)
    _warm_up()
    if sandbox.limit_memory(options.memory):
        layers.append("memory limit")
    sandbox.guard(scratch)
    layers.append("audit hook")
    _send(replies, Ready(version, ", ".join(layers)))
    for count, line in enumerate(lines, start=1):
        sandbox.allow_cpu(options.cpu)
        try:
            job = decode(line)
        except ProtocolError as error:
            _send(replies, Failed(f"malformed job: {error}"))
            return 1
        if not isinstance(job, Job):
            _send(replies, Failed(f"expected a job, found {type(job).__name__}"))
            return 1
        _send(replies, _answer(job))
        if count % _JOBS_PER_COLLECTION == 0:
            gc.collect()
    return 0


def _private_pipes() -> tuple[IO[bytes], IO[str]]:
    """Keep the pipes to ourselves: stray prints go to standard error, stray reads find nothing."""
    lines = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return lines, replies


def _send(replies: IO[str], record: Record) -> None:
    replies.write(encode(record))
    replies.flush()


def _load() -> str:
    """Import TensorFlow, on the CPU with one thread, and return its version."""
    import numpy as np  # noqa: PLC0415  # after the environment is set
    import tensorflow as tf  # noqa: PLC0415

    np.seterr(all="ignore")
    tf.get_logger().setLevel("ERROR")
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return str(tf.__version__)


def _warm_up() -> None:
    """Load the parts of TensorFlow that it loads at first use, so that no job waits for them."""
    import tensorflow as tf  # noqa: PLC0415

    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.sin(x) * 2.0)
        return tape.gradient(y, x)

    x = tf.constant([0.5])
    slope(x)
    for compiled in (False, True):
        tf.function(slope, autograph=False, jit_compile=compiled)(x)


def _answer(job: Job) -> Answer:
    """Examine one job; whatever goes wrong becomes the reason of its suspects."""
    from actlint.worker.checks import examine  # noqa: PLC0415  # needs TensorFlow
    from actlint.worker.program import OutOfMemory, Program  # noqa: PLC0415

    # An op that stands as an input was cut out of the excerpt, because it cannot be run.
    cut = {step.id: step.op for step in job.instructions if step.op and step.input is not None}
    runnable = tuple(suspect for suspect in job.suspects if suspect.node not in cut)
    if len(runnable) < len(job.suspects):
        found = iter(_answer(replace(job, suspects=runnable)).outcomes if runnable else ())
        outcomes = tuple(
            Outcome(Verdict.UNCONFIRMED, f"{cut[suspect.node]} runs code that is not an op")
            if suspect.node in cut
            else next(found)
            for suspect in job.suspects
        )
        return Answer(job.id, outcomes)
    try:
        answer = examine(job, Program(job))
        encode(answer)
    except (Exception, OutOfMemory) as error:  # ops raise what they like on odd operands
        outcome = Outcome(Verdict.UNCONFIRMED, reason_of(error))
        return Answer(job.id, (outcome,) * len(job.suspects))
    return answer


def reason_of(error: BaseException) -> str:
    """Return one sentence that says why an excerpt could not be examined."""
    from actlint.worker.program import (  # noqa: PLC0415  # needs TensorFlow
        NotAllowed,
        OutOfMemory,
        TooLarge,
    )

    name = type(error).__name__
    if isinstance(error, (MemoryError, OutOfMemory)) or name == "ResourceExhaustedError":
        return "the worker ran out of memory on this excerpt"
    text = first_line(str(error))
    if isinstance(error, NotAllowed):
        return f"it needs what is not allowed to run: {text}"
    if isinstance(error, TooLarge):
        return f"it is too large to run: {text}"
    return f"it could not be run: {name}: {text}" if text else f"it could not be run: {name}"


def first_line(text: str) -> str:
    """Return the first line of an error message, without TensorFlow's node names."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"\{\{.*?\}\}\s*", "", line)
    line = re.sub(r"\s*\[Op:\w+\].*$", "", line)
    return line if len(line) <= 200 else line[:197] + "..."


if __name__ == "__main__":
    sys.exit(main())
