"""``--fix``, ``--diff`` and ``--unsafe-fixes`` on the command line."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from .conftest import BAD, CLEAN, Run

pytestmark = pytest.mark.usefixtures("here")

SAFE = """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    seen = tf.cast(y_true > 0, tf.float32)
    return tf.reduce_sum(seen * tf.abs(y_true - y_pred)) / tf.reduce_sum(seen)
"""
MENDED = SAFE.replace(
    "tf.reduce_sum(seen * tf.abs(y_true - y_pred)) / tf.reduce_sum(seen)",
    "tf.math.divide_no_nan(tf.reduce_sum(seen * tf.abs(y_true - y_pred)), tf.reduce_sum(seen))",
)
ROOTED = BAD.replace("- y_pred)))", "- y_pred)) + 1e-12)")


def test_diff_shows_and_writes_nothing(run: Run, here: Path) -> None:
    (here / "safe.py").write_text(SAFE)
    outcome = run("--diff", ".")
    assert outcome.status == 1
    assert outcome.out == (
        "--- safe.py\n+++ safe.py\n@@ -3,4 +3,4 @@\n \n"
        " def masked_loss(y_true, y_pred):\n"
        "     seen = tf.cast(y_true > 0, tf.float32)\n"
        "-    return tf.reduce_sum(seen * tf.abs(y_true - y_pred)) / tf.reduce_sum(seen)\n"
        "+    return tf.math.divide_no_nan("
        "tf.reduce_sum(seen * tf.abs(y_true - y_pred)), tf.reduce_sum(seen))\n"
    )
    assert outcome.err == "actlint: would fix 1 finding; 1 more with --unsafe-fixes\n"
    assert (here / "safe.py").read_text() == SAFE


def test_diff_of_nothing_is_status_0(run: Run) -> None:
    outcome = run("--diff", "bad.py", "clean.py")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "actlint: would fix 0 findings; 1 more with --unsafe-fixes\n"


def test_fix_writes_safe_fixes_alone(run: Run, here: Path) -> None:
    (here / "safe.py").write_text(SAFE)
    outcome = run("--fix", "--output-format", "json", ".")
    assert outcome.status == 1
    assert [finding["path"] for finding in json.loads(outcome.out)["findings"]] == ["bad.py"]
    assert outcome.err == "actlint: fixed 1 finding in 1 file\n"
    written = {path.name: path.read_text() for path in here.iterdir()}
    assert written == {"bad.py": BAD, "clean.py": CLEAN, "safe.py": MENDED}


def test_unsafe_fixes_are_written_when_asked_for(run: Run, here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.actlint]\nfix = true\nunsafe-fixes = true\n")
    outcome = run("bad.py")
    assert outcome.status == 0
    assert outcome.out.startswith("All clear: 1 file")
    assert (here / "bad.py").read_text() == ROOTED


def test_files_keep_encoding_line_ends_mark_and_permissions(run: Run, here: Path) -> None:
    latin = "# -*- coding: latin-1 -*-\n# Größe\n"
    (here / "latin.py").write_bytes((latin + SAFE).encode("latin-1"))
    (here / "marked.py").write_bytes(b"\xef\xbb\xbf" + SAFE.replace("\n", "\r\n").encode())
    (here / "marked.py").chmod(0o640)
    (here / "real.txt").write_text(SAFE)
    (here / "link.py").symlink_to("real.txt")
    assert run("--fix", "latin.py", "marked.py", "link.py").status == 0
    assert (here / "latin.py").read_bytes() == (latin + MENDED).encode("latin-1")
    assert (here / "marked.py").read_bytes() == (
        b"\xef\xbb\xbf" + MENDED.replace("\n", "\r\n").encode()
    )
    assert stat.S_IMODE((here / "marked.py").stat().st_mode) == 0o640
    assert (here / "link.py").is_symlink()
    assert (here / "real.txt").read_text() == MENDED


def test_standard_input_is_mended_to_standard_output(run: Run) -> None:
    outcome = run("--fix", "-", stdin=SAFE.encode())
    assert (outcome.status, outcome.out) == (0, MENDED)
    assert "All clear" in outcome.err


def test_notebooks_are_not_written(run: Run, here: Path) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": SAFE},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (here / "book.ipynb").write_text(text)
    outcome = run("--fix", "--output-format", "json", "book.ipynb")
    assert outcome.status == 1
    assert (here / "book.ipynb").read_text() == text
    told = "actlint: left alone, since notebooks are not written: 1 finding\n"
    assert outcome.err == told
    (edit,) = json.loads(outcome.out)["findings"][0]["fixes"][0]["edits"]
    assert (edit["path"], edit["cell"], edit["line"]) == ("book.ipynb", 2, 6)


@pytest.mark.parametrize("option", ["--fix", "--diff"])
def test_fixes_need_their_proof(run: Run, here: Path, option: str) -> None:
    outcome = run(option, "--no-confirm", "bad.py")
    assert outcome.status == 2
    assert "leave out --no-confirm" in " ".join(outcome.err.split())
    assert (here / "bad.py").read_text() == BAD


def test_a_configured_fix_gives_way_to_no_confirm(run: Run, here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.actlint]\nfix = true\nunsafe-fixes = true\n")
    assert run("--no-confirm", "bad.py").status == 1
    assert (here / "bad.py").read_text() == BAD


def test_standard_input_comes_back_byte_by_byte(
    command: list[str], environment: dict[str, str]
) -> None:
    latin = "# -*- coding: latin-1 -*-\n# Größe\n".encode("latin-1")
    marked = b"\xef\xbb\xbf" + SAFE.replace("\n", "\r\n").encode()
    mended = b"\xef\xbb\xbf" + MENDED.replace("\n", "\r\n").encode()
    # The last one cannot be read, and is not lost, either.
    for given, expected in ((latin, latin), (marked, mended), (b"\xff\xfe", b"\xff\xfe")):
        found = subprocess.run(
            [*command, "--fix", "-"],
            input=given, capture_output=True, env=environment, check=False,
        )  # fmt: skip
        assert found.stdout == expected


def test_all_names_of_a_file_stay_names_of_it(run: Run, here: Path) -> None:
    (here / "safe.py").write_text(SAFE)
    (here / "other.txt").hardlink_to(here / "safe.py")
    assert run("--fix", "safe.py").status == 0
    assert (here / "other.txt").read_text() == (here / "safe.py").read_text() == MENDED
