"""Correct losses, written by hand: no rule on the meaning of a loss says a word about them."""

from __future__ import annotations

import pytest

from actlint import catalogue
from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile

from .loss_gallery import GALLERY

MEANING = frozenset(rule.code for rule in catalogue.load() if rule.code.startswith("ACT5"))


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    """What the rules on the meaning of a loss say, by name of the loss."""
    files = [SourceFile(f"{name}.py", text) for name, text in GALLERY.items()]
    result = lint(files, Options(select=MEANING))
    assert result.errors == ()
    # Each is seen as a loss; some as two, with the part that they call.
    assert result.summary.functions >= len(GALLERY)
    found: dict[str, list[Finding]] = {name: [] for name in GALLERY}
    for finding in result.findings:
        found[finding.site.path.removesuffix(".py")].append(finding)
    return found


def test_gallery_is_large() -> None:
    assert len(GALLERY) >= 30


@pytest.mark.parametrize("name", GALLERY)
def test_correct_loss_is_silent(name: str, findings: dict[str, list[Finding]]) -> None:
    told = [
        (finding.code, finding.site.text)
        for finding in findings[name]
        if finding.verdict is not Verdict.REFUTED
    ]
    assert told == []
