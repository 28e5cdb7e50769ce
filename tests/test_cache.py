"""Answers kept between runs: a run whose excerpts are all known starts no worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .conftest import Outcome, Run

pytestmark = pytest.mark.usefixtures("here")
WORDS = ("--output-format", "json")
OLD = 40 * 86_400


@pytest.fixture
def store() -> Path:
    return Path(os.environ["ACTLINT_CACHE_DIR"])


@pytest.fixture
def first(run: Run) -> Outcome:
    """A run that fills the cache."""
    outcome = run("bad.py", *WORDS)
    assert outcome.status == 1
    return outcome


@pytest.fixture
def no_worker(first: Outcome, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """From here on a worker that is needed cannot be started."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    return first


def entries(store: Path) -> list[Path]:
    return sorted(store.glob("??/*.json"))


def test_a_known_run_is_the_same_without_a_worker(no_worker: Outcome, run: Run) -> None:
    assert run("bad.py", *WORDS) == no_worker
    assert '"tensorflow": null' not in no_worker.out


def test_what_does_not_concern_the_excerpt_does_not_matter(no_worker: Outcome, run: Run) -> None:
    text = Path("bad.py").read_text()
    Path("bad.py").write_text(f"# a comment\nWIDTH = 3\n{text}")
    Path("more.py").write_text("import tensorflow as tf\n")
    assert run("bad.py", "more.py", *WORDS).status == 1


@pytest.mark.parametrize(
    "words",
    [("--no-cache",), ("--seed", "7"), ("--samples", "512"), ("--cache-dir", "elsewhere")],
    ids=" ".join,
)
def test_another_question_needs_the_worker(
    no_worker: Outcome, run: Run, words: tuple[str, ...]
) -> None:
    assert no_worker.status == 1
    assert run("bad.py", *WORDS, *words).status == 2


def test_another_expression_needs_the_worker(no_worker: Outcome, run: Run) -> None:
    text = Path("bad.py").read_text()
    Path("bad.py").write_text(text.replace("tf.square(y_true - y_pred)", "tf.square(y_pred)"))
    assert no_worker.status == 1
    assert run("bad.py", *WORDS).status == 2


@pytest.mark.parametrize("damage", [b"", b"{", b'{"kind": "job"}\n', b"\xff\n\xff\n"])
def test_a_damaged_entry_is_replaced(first: Outcome, run: Run, store: Path, damage: bytes) -> None:
    whole = {path: path.read_bytes() for path in entries(store)}
    assert whole
    for path in whole:
        path.write_bytes(damage)
    assert run("bad.py", *WORDS) == first
    assert {path: path.read_bytes() for path in entries(store)} == whole


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(first: Outcome, run: Run) -> None:
    Path("occupied").write_text("a file")
    assert run("bad.py", *WORDS, "--cache-dir", "occupied") == first
    assert Path("occupied").read_text() == "a file"


def test_entries_that_nobody_asks_for_are_removed(first: Outcome, run: Run, store: Path) -> None:
    kept = entries(store)[0]
    stale = kept.with_name("stale.json")
    stale.write_bytes(kept.read_bytes())
    os.utime(stale, (kept.stat().st_mtime - OLD,) * 2)
    run("bad.py", *WORDS, "--seed", "7")
    assert stale not in entries(store)
    assert kept in entries(store)


def test_the_configuration_names_a_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTLINT_CACHE_DIR")
    Path("pyproject.toml").write_text('[tool.actlint]\ncache-dir = "answers"\n')
    run("bad.py", *WORDS)
    assert entries(Path("answers"))


def test_static_analysis_writes_nothing(run: Run, store: Path) -> None:
    run("bad.py", "--no-confirm", *WORDS)
    assert not list(store.iterdir())
