"""The program as a process: imports, signals, streams and folders that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import BAD

pytestmark = pytest.mark.usefixtures("here")


def started(
    command: list[str], environment: dict[str, str], **more: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )


def test_help_and_static_runs_load_no_tensorflow(
    command: list[str], environment: dict[str, str]
) -> None:
    for words, forbidden in (
        (["--help"], ("tensorflow", "libcst", "numpy", "pydantic", "rich", "pathspec")),
        (["--version"], ("tensorflow", "libcst", "numpy", "pydantic", "rich", "pathspec")),
        (["--no-confirm", "bad.py"], ("tensorflow", "keras")),
    ):
        traced = [command[0], "-X", "importtime", *command[1:], *words]
        process = started(traced, environment)
        _, err = process.communicate()
        loaded = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
        assert process.returncode in {0, 1}
        assert "typer" in loaded
        assert not loaded & set(forbidden)


def test_two_runs_write_the_same_bytes(command: list[str], environment: dict[str, str]) -> None:
    words = [*command, "--no-confirm", "--output-format", "json", "bad.py", "clean.py"]
    outputs = {
        started(words, {**environment, "PYTHONHASHSEED": seed}).communicate()[0] for seed in "12"
    }
    assert len(outputs) == 1


def test_a_reader_that_leaves_early_is_no_error(
    command: list[str], environment: dict[str, str]
) -> None:
    process = started([*command, "rule", "--output-format", "json"], environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_a_sentence(command: list[str], environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [*command, "rule"], env=environment, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert process.returncode == 2
    assert process.stderr.startswith(b"actlint: error: standard output cannot be written: ")
    assert process.stderr.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_the_run_quietly(command: list[str], environment: dict[str, str]) -> None:
    process = started([*command, "--no-confirm", "-"], environment, stdin=subprocess.PIPE)
    time.sleep(1.5)  # by now it waits for standard input
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_run_leaves_no_worker_and_no_folder(
    command: list[str], environment: dict[str, str], here: Path, number: signal.Signals
) -> None:
    scratch = here / "tmp"
    scratch.mkdir()
    environment = {**environment, "TMPDIR": str(scratch)}
    process = started([*command, "bad.py"], environment, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 20.0
    while not any(scratch.glob("actlint-*/work")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)  # TensorFlow is being loaded
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (128 + number, b"", b"")
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody is left to clear away")
@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_a_run_that_is_killed_leaves_no_worker_and_no_folder(
    command: list[str], environment: dict[str, str], here: Path, delay: float
) -> None:
    scratch = here / "tmp"
    scratch.mkdir()
    environment = {**environment, "TMPDIR": str(scratch)}
    process = started([*command, "bad.py"], environment, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 20.0
    while not any(scratch.glob("actlint-*/work")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    # The worker and its warden hold the pipes no more.
    assert process.communicate(timeout=20) == (b"", b"")
    while list(scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(scratch.iterdir()) == []


def test_a_user_without_a_home_needs_none(
    command: list[str], environment: dict[str, str], here: Path
) -> None:
    (here / "platformdirs.py").write_text(
        "def user_cache_path(*_, **__):\n    raise RuntimeError('no home directory')\n"
    )
    path = os.pathsep.join([str(here), environment.get("PYTHONPATH", "")])
    process = started([*command, "--no-confirm", "bad.py"], {**environment, "PYTHONPATH": path})
    _, err = process.communicate()
    assert (process.returncode, err) == (1, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed")
def test_a_working_folder_that_is_gone_is_a_sentence(
    command: list[str], environment: dict[str, str], here: Path
) -> None:
    gone = here / "gone"
    gone.mkdir()
    shell = 'rmdir "$PWD" && exec "$@"'
    process = subprocess.run(
        ["sh", "-c", shell, "sh", *command, "bad.py"],
        cwd=gone, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stderr == b"actlint: error: the working folder does not exist any more\n"


def test_an_output_encoding_without_arrows(
    command: list[str], environment: dict[str, str], here: Path
) -> None:
    (here / "bad.py").write_text(BAD.replace("sqrt(tf", "sqrt('é→' and tf"), encoding="utf-8")
    process = started([*command, "--no-confirm", "."], {**environment, "PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert process.returncode in {0, 1}
    assert out.isascii()
    assert b"Traceback" not in err
