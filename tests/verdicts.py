"""Asks the worker's checks about small programs, run by real TensorFlow in this process."""

from __future__ import annotations

import math
from typing import Any

import pytest

from actlint.findings import Check, Outcome, Suspect, Target
from actlint.graph import Arg, Input, InputRole, Ref, Role
from actlint.ops.table import row
from actlint.worker.protocol import Instruction, Job

checks = pytest.importorskip("actlint.worker.checks")
program = pytest.importorskip("actlint.worker.program")

INF = math.inf
WIDE = (-1000.0, 1000.0)
UNIT = (0.0, 1.0)


class Build:
    """Collects instructions; every method returns the Ref of the value it adds."""

    def __init__(self, role: Role = Role.ACTIVATION) -> None:
        self.steps: list[Instruction] = []
        self.role = role

    def input(
        self,
        name: str = "x",
        limits: tuple[float, float] = WIDE,
        role: InputRole = InputRole.ACTIVATION,
        **more: Any,
    ) -> Ref:
        moved = role in (InputRole.ACTIVATION, InputRole.PREDICTION, InputRole.VARIABLE)
        spec = Input(name, role, moved, *limits, **more)
        self.steps.append(Instruction(len(self.steps), "", (), input=spec))
        return Ref(len(self.steps) - 1)

    def label(self, name: str = "y_true", limits: tuple[float, float] = UNIT, **more: Any) -> Ref:
        return self.input(name, limits, InputRole.LABEL, **more)

    def prediction(
        self, name: str = "y_pred", limits: tuple[float, float] = UNIT, **more: Any
    ) -> Ref:
        return self.input(name, limits, InputRole.PREDICTION, **more)

    def __call__(self, op: str, *args: Arg, **named: Arg) -> Ref:
        bound = (*zip(row(op).params, args, strict=False), *named.items())
        self.steps.append(Instruction(len(self.steps), op, tuple(bound)))
        return Ref(len(self.steps) - 1)

    def job(self, output: Ref, *suspects: Suspect, samples: int = 4096, **more: Any) -> Job:
        steps = tuple(self.steps)
        more.setdefault("assumptions", ())
        return Job(1, "f", self.role, steps, output.node, suspects=suspects, seed=0,
                   samples=samples, **more)  # fmt: skip


def ask(
    build: Build,
    output: Ref,
    node: Ref,
    check: Check = Check.NONFINITE,
    *targets: Target,
    threshold: float = 0.0,
    **more: Any,
) -> Outcome:
    suspect = Suspect("ACT000", node.node, "m", check, targets, threshold)
    job = build.job(output, suspect, **more)
    return checks.examine(job, program.Program(job)).outcomes[0]


def at(node: Ref, lo: float, hi: float | None = None, vector: str = "") -> Target:
    return Target(node.node, lo, lo if hi is None else hi, vector)


def one_op(op: str, *more: Arg, limits: tuple[float, float] = WIDE) -> tuple[Build, Ref, Ref]:
    g = Build()
    x = g.input(limits=limits)
    return g, x, g(op, x, *more)
