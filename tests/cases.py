"""Source text in, findings out: cases that name the culprit texts, and how they are checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile

HEADER = """\
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K

"""


@dataclass(frozen=True)
class Case:
    name: str
    source: str
    expected: tuple[tuple[str, str], ...] = ()  # (code, culprit text), confirmed
    known_miss: str = ""  # why actlint does not see it

    @property
    def path(self) -> str:
        return f"cases/{self.name}.py"


def run(cases: Iterable[Case]) -> dict[str, list[Finding]]:
    """Lint all cases in one run with one worker; findings by the path of the case."""
    cases = list(cases)
    result = lint([SourceFile(case.path, case.source) for case in cases], Options())
    assert not result.errors
    found: dict[str, list[Finding]] = {case.path: [] for case in cases}
    for finding in result.findings:
        found[finding.site.path].append(finding)
    return found


def check(case: Case, found: list[Finding]) -> None:
    assert sorted((f.code, f.site.text) for f in found) == sorted(case.expected)
    assert all(f.verdict is Verdict.CONFIRMED for f in found)
    for finding in found:
        first = finding.site.span
        line = case.source.splitlines()[first.line - 1]
        assert line[first.column - 1 :].startswith(finding.site.text.splitlines()[0])
