"""Faulty source and what its fix makes of it: cases, and how they are checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actlint import editing
from actlint.engine import Options, lint
from actlint.findings import Finding, Result, Safety, Verdict
from actlint.source import SourceFile

# Ends of programs that make an activation of `f`, or a loss of it.
ACTIVATION = "\n\nlayer = tf.keras.layers.Dense(4, activation=f)\n"
BACKEND = "\n\nlayer = Dense(4, activation=f)\n"


@dataclass(frozen=True)
class Case:
    name: str
    source: str
    safety: Safety | None  # None: nothing is offered
    changes: tuple[tuple[str, str], ...] = ()  # text that occurs once, and what it becomes

    @property
    def path(self) -> str:
        return f"cases/{self.name}.py"

    @property
    def mended(self) -> str:
        text = self.source
        for old, new in self.changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


def run(cases: Iterable[Case]) -> Result:
    """Lint all cases in one run, because TensorFlow starts once."""
    found = lint([SourceFile(case.path, case.source) for case in cases], Options())
    assert not found.errors
    return found


def of(result: Result, case: Case) -> list[Finding]:
    return [finding for finding in result.findings if finding.site.path == case.path]


def check(result: Result, case: Case) -> None:
    """Check the fix of the case, and that it carries its proof."""
    findings = of(result, case)
    fixes = [fix for finding in findings for fix in finding.fixes]
    assert findings
    assert [fix.safety for fix in fixes] == ([] if case.safety is None else [case.safety])
    for finding in findings:
        for fix in finding.fixes:
            mended = editing.apply(case.source, fix.edits)
            assert mended == case.mended
            compile(mended, case.path, "exec")
            assert finding.verdict is Verdict.CONFIRMED
            assert fix.proof.value is not None
            assert abs(fix.proof.value) < float("inf")
            assert fix.proof.gradient is not None
            assert abs(fix.proof.gradient) < float("inf")
            assert fix.proof.modes == "eager, graph, xla"
            # A program that was finite nowhere has nothing to compare; no fix of it is safe.
            assert fix.proof.compared > 100 or fix.safety is Safety.UNSAFE
            assert fix.proof.agrees or fix.safety is Safety.UNSAFE


def left(result: Result, cases: Iterable[Case]) -> set[tuple[str, str]]:
    """Return path and code of what a run finds of the same hazards in the mended sources."""
    before = {(finding.site.path, finding.code) for finding in result.findings if finding.fixes}
    mended = [
        SourceFile(case.path, case.mended)
        for case in cases
        if any(finding.fixes for finding in of(result, case))
    ]
    after = lint(mended, Options()).findings
    return before & {(finding.site.path, finding.code) for finding in after}
