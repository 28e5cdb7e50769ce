"""A slice of the mutation study: a mutant of each of some mutators, judged by TensorFlow."""

from __future__ import annotations

import sys

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding
from actlint.source import SourceFile

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from mutants import oracle
from mutants.catalogue import MUTATORS, mutants, originals
from mutants.model import Mutant, Mutator

ORIGINALS = {original.name: original for original in originals()}
NAMES = (
    "drop the epsilon",
    "drop the clip or maximum",
    "epsilon below resolution",
    "log_softmax to log of softmax",
    "logsumexp to log of sum of exp",
    "drop the shift by the maximum",
    "fractional power",
    "l2_normalize by hand",
    "threshold on the prediction",
    "stop_gradient on the prediction",
    "numpy call",
    "jump between pieces",
    "falling piece",
    "label for the prediction",
    "hinge turned round",
    "extreme temperature",
    "term that never contributes",
)


def broken(mutator: Mutator) -> Mutant:
    """Return the first mutant that the oracle finds broken."""
    for mutant in mutants(tuple(ORIGINALS.values()), [mutator]):
        original = ORIGINALS[mutant.original]
        right = oracle.results(original.probe, original.text)
        assert right is not None
        wrong = oracle.results(original.probe, mutant.text)
        verdict = oracle.judge(original.probe, mutator.harm, right, wrong)
        if verdict is oracle.Verdict.BROKEN:
            return mutant
    raise AssertionError(f"no mutant of {mutator.name} is broken")


@pytest.fixture(scope="module")
def chosen() -> dict[str, tuple[Mutant, list[Finding]]]:
    found = {m.name: broken(m) for m in MUTATORS if m.name in NAMES}
    paths = {name: f"{number:02}/{found[name].original}.py" for number, name in enumerate(found)}
    result = lint([SourceFile(paths[name], found[name].text) for name in found], Options())
    assert not result.errors
    return {
        name: (mutant, [f for f in result.findings if f.site.path == paths[name]])
        for name, mutant in found.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_right_rule_speaks_in_the_right_line(
    name: str, chosen: dict[str, tuple[Mutant, list[Finding]]]
) -> None:
    mutant, findings = chosen[name]
    right = [finding for finding in findings if finding.code in mutant.mutator.codes]
    assert any(finding.site.span.line in mutant.lines for finding in right), mutant.text


def test_the_oracle_knows_what_does_no_harm() -> None:
    original = ORIGINALS["leaky"]
    right = oracle.results(original.probe, original.text)
    assert right is not None
    same = oracle.results(original.probe, original.text.replace("0.1 * x", "x / 10.0"))
    assert (
        oracle.judge(original.probe, oracle.Harm.CHANGED, right, same) is oracle.Verdict.EQUIVALENT
    )
    dead = oracle.results(original.probe, original.text.replace("0.1 * x", "missing(x)"))
    assert (
        oracle.judge(original.probe, oracle.Harm.CHANGED, right, dead) is oracle.Verdict.STILLBORN
    )
