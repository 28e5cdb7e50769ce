"""Jobs for the worker, from graphs built by hand."""

from __future__ import annotations

from collections.abc import Callable

from actlint import excerpt
from actlint.findings import Check, Suspect, Target
from actlint.graph import Ref, Role
from actlint.worker.protocol import Job

from .graph_builder import Builder, Value


def job_of(
    build: Callable[[Builder], Value], suspects: int = 1, check: Check = Check.NONFINITE
) -> Job:
    b = Builder()
    output = build(b)
    zero = tuple(
        Target(ref.node, 0.0, 0.0)
        for name, ref in b.nodes[output.id].args
        if name == "y" and isinstance(ref, Ref)
    )
    suspect = Suspect("ACT000", output.id, "m", check, zero)
    job = excerpt.job(b.graph(output, Role.ACTIVATION), [suspect] * suspects, id=output.id,
                      seed=0, samples=256)  # fmt: skip
    assert job is not None
    return job


def pole(b: Builder) -> Value:
    x = b.x()
    return x / (x + 0.6)


def smooth(b: Builder) -> Value:
    x = b.x()
    return x / (b.abs(x) + 1.0)
