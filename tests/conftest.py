"""Fixtures that several test files share."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import actlint.cli

# Where the package lies, so that subprocesses find it even if it is not installed.
ROOT = Path(actlint.cli.__file__).parent.parent

# Processes inherit what is ignored, as shells make those do that run in the background.
for _number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        _default = signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, _default)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the command line left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]

# One finding of ACT104 or a rule that stands for it: the square root of a plain sum of squares.
BAD = """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred)))


model.compile(loss=distance_loss)
"""

CLEAN = """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))


model.compile(loss=squared_loss)
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of every test, in this process and those that it starts."""
    monkeypatch.setenv("ACTLINT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own with a faulty and a sound file."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "clean.py").write_text(CLEAN)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process: ``run("--no-confirm", path, stdin=b"…")``."""

    def call(*words: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["actlint", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            actlint.cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "internal error" not in captured.err
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    return call


@pytest.fixture
def command() -> list[str]:
    """The words that start the program as a process of its own."""
    return [sys.executable, "-m", "actlint"]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment for a process of its own."""
    kept = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}
    path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH")) if part)
    return {**kept, "PYTHONPATH": path}
