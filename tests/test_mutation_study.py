"""The parts of the mutation study that need no TensorFlow; benchmarks/mutation.py runs it whole."""

from __future__ import annotations

import ast
import sys
from collections import Counter

import pytest

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from mutants import flow
from mutants.catalogue import MUTATORS, mutants, originals, thinned
from mutants.syntax import Original

ORIGINALS = originals()
MUTANTS = tuple(mutants(ORIGINALS))


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda o: o.name)
def test_originals_compile_and_hold_what_their_probe_names(original: Original) -> None:
    tree = ast.parse(original.text)
    names = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    names |= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert set(original.probe.entry.split(".")) <= names
    assert original.probe.params


def test_every_mutator_breaks_two_originals_at_least() -> None:
    reached = Counter(mutator for mutator, _ in {(m.mutator.name, m.original) for m in MUTANTS})
    assert {m.name: reached[m.name] for m in MUTATORS if reached[m.name] < 2} == {}


def test_mutants_parse_and_differ_from_all_others_of_their_kind() -> None:
    texts = {o.text for o in ORIGINALS}
    for mutant in MUTANTS:
        ast.parse(mutant.text)
        assert mutant.text not in texts
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    assert len({(m.mutator.name, m.text) for m in MUTANTS}) == len(MUTANTS)


def test_the_lines_of_a_mutant_hold_the_change() -> None:
    texts = {o.name: o.text.splitlines() for o in ORIGINALS}
    for mutant in MUTANTS:
        new, old = mutant.text.splitlines(), texts[mutant.original]
        if len(new) == len(old):
            # The first line may have become an import.
            changed = {i + 1 for i in range(1, len(old)) if new[i] != old[i]}
            assert changed <= mutant.lines, mutant.name
        assert max(mutant.lines) <= len(new)


def test_the_study_takes_the_same_share_each_time() -> None:
    assert list(thinned(MUTANTS)) == list(thinned(tuple(mutants(originals()))))
    assert {m.mutator.name for m in thinned(MUTANTS)} == {m.name for m in MUTATORS}
    assert len(list(thinned(MUTANTS))) > 300


def test_codes_are_codes() -> None:
    for mutator in MUTATORS:
        assert mutator.codes
        assert all(code.startswith("ACT") and len(code) == 6 for code in mutator.codes)


PROGRAM = """\
def helper(a):
    b = a + 1
    return b


def loss(y_true, y_pred):
    first = helper(y_pred)
    second = y_true * 2
    return first
"""


def test_values_flow_forward_by_names_and_into_helpers() -> None:
    assert flow.forward(PROGRAM, [2]) == {2, 3, 7, 9}
    assert flow.forward(PROGRAM, [7]) == {2, 3, 7, 9}
    assert flow.forward(PROGRAM, [8]) == {8}


def test_values_flow_backward_to_where_they_come_from() -> None:
    assert flow.backward(PROGRAM, [9]) == {2, 3, 7, 9}
