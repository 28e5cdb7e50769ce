"""Bad input: a clear sentence or a normal result, the other files still linted, no traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from actlint.source import decode, lines, python2_hint

from .conftest import Run

# A file that has a finding, beside which the bad ones stand.
GOOD_NEIGHBOUR = """\
import tensorflow as tf


def log_loss(y_true, y_pred):
    return -tf.reduce_mean(y_true * tf.math.log(y_pred))


model.compile(loss=log_loss)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neighbour.py").write_text(GOOD_NEIGHBOUR)
    return tmp_path


def lint(run: Run, *words: object) -> tuple[dict[str, Any], str]:
    """Run the static pass over the folder; the neighbour's finding must be there."""
    outcome = run("--no-confirm", "--output-format", "json", *(words or (".",)))
    assert outcome.status == 1
    document = json.loads(outcome.out, parse_constant=pytest.fail)
    assert "neighbour.py" in {finding["path"] for finding in document["findings"]}
    return document, outcome.err


SYNTAX = [
    ("def f(:\n    pass\n", 1, ""),
    ("import tensorflow as tf\nx = (1\n", 2, ""),
    ("import tensorflow as tf\nprint 'x'\n", 2, "Python 2 (`print` without parentheses)"),
    ("import tensorflow\ntry:\n    f()\nexcept E, e:\n    pass\n", 4, "Python 2 (`except"),
    ("import tensorflow\nx = `1`\n", 2, "Python 2 (backticks"),
    ("import tensorflow\nraise ValueError, 'no'\n", 2, "Python 2 (`raise"),
    ("import tensorflow\nx = 0777\n", 2, "Python 2 (an octal number"),
    ("import tensorflow\nif a <> b:\n    pass\n", 2, "Python 2 (the operator `<>`)"),
]


@pytest.mark.parametrize(("text", "line", "hint"), SYNTAX)
def test_syntax_errors(run: Run, here: Path, text: str, line: int, hint: str) -> None:
    (here / "broken.py").write_text("import tensorflow as tf;" + text if line == 1 else text)
    document, err = lint(run)
    (error,) = document["errors"]
    assert (error["path"], error["line"]) == ("broken.py", line)
    assert hint in error["message"]
    assert err == f"actlint: broken.py:{line}: {error['message']}\n"


BYTES = [
    (b"s = 1\n\ns = '\xe9'  # tensorflow\n", 3, "is not UTF-8: byte 0xe9 cannot be decoded"),
    (b"s = '\xe9'  # tensorflow\n", 1, "is not UTF-8: byte 0xe9 cannot be decoded"),
    (b"# coding: ascii\ns = '\xe9'  # tensorflow\n", 2, "is not `ascii`"),
    (b"# coding: klingon\n", 1, "names `klingon`, which Python does not know"),
    (b"#!/usr/bin/python\n# coding: rot13\n", 2, "cannot be decoded as `rot13`"),
    (b"\xef\xbb\xbf# coding: latin-1\n", 1, "byte order mark"),
    (b"import tensorflow\r\n\r\nx = '\0'\r\n", 3, "null byte"),
    (b"\r\r\0", 3, "null byte"),
    ("import tensorflow\n".encode("utf-16"), 1, "null byte"),
]


@pytest.mark.parametrize(("data", "line", "message"), BYTES)
def test_bytes_that_are_no_source(
    run: Run, here: Path, data: bytes, line: int, message: str
) -> None:
    (here / "broken.py").write_bytes(data)
    document, err = lint(run)
    (error,) = document["errors"]
    assert (error["path"], error["line"]) == ("broken.py", line)
    assert message in error["message"]
    assert err.startswith(f"actlint: broken.py:{line}: ")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"x = 1\r\n", "x = 1\r\n"),
        (b"\xef\xbb\xbfx = '\xc3\xa9'\n", "x = 'é'\n"),
        (b"# -*- coding: latin-1 -*-\ns = '\xe9'\n", "# -*- coding: latin-1 -*-\ns = 'é'\n"),
        (b"#!/bin/sh\n# vim: set fileencoding=cp1252 :\n'\x80'\n", None),
        (b"# coding: utf8\n'\xc3\xa9'\n", "# coding: utf8\n'é'\n"),
    ],
)
def test_bytes_are_decoded_as_python_does(data: bytes, text: str | None) -> None:
    file = decode(data, "a.py")
    assert file.error is None
    assert file.text == (text if text is not None else data.decode("cp1252"))


def test_lines_are_those_of_python() -> None:
    assert lines("a\r\nb\rc\nd\x0ce\u2028f\x0b") == ["a", "b", "c", "d\x0ce\u2028f\x0b"]


@pytest.mark.parametrize(
    "line",
    [
        "print('x')", "print = 3", "print (x)", "x.print", "except (A, B) as e:", "x = 0.07",
        "x = 1e07", "raise ValueError('a, b')", "print", "lambda x: x", "def f(a=(1, 2)):",
        "x = 00",
    ],
)  # fmt: skip
def test_python_3_is_not_taken_for_python_2(line: str) -> None:
    assert python2_hint(line, 1) is None


def test_latin_1_with_an_encoding_line_has_columns_in_characters(run: Run, here: Path) -> None:
    text = "# coding: latin-1\n" + GOOD_NEIGHBOUR.replace("-tf.reduce", "'é' and -tf.reduce")
    (here / "latin.py").write_bytes(text.encode("latin-1"))
    document, err = lint(run)
    assert err == ""
    found = [finding for finding in document["findings"] if finding["path"] == "latin.py"]
    line = text.split("\n")[found[0]["line"] - 1]
    assert line[found[0]["column"] - 1 :].startswith("tf.math.log")


def test_an_empty_file(run: Run, here: Path) -> None:
    (here / "empty.py").write_bytes(b"")
    document, err = lint(run)
    assert (document["errors"], err) == ([], "")
    assert document["summary"]["files"] == 2


def test_a_file_that_cannot_be_read(run: Run, here: Path) -> None:
    if os.geteuid() == 0:
        # The superuser may read every file, but not the memory of a process from its start.
        if not os.path.exists("/proc/self/mem"):
            pytest.skip("the superuser may read every file")
        locked: Path = Path("/proc/self/mem")
    else:
        locked = here / "locked.py"
        locked.write_text("")
        locked.chmod(0)
    document, err = lint(run, locked, "neighbour.py")
    (error,) = document["errors"]
    assert error["message"].startswith("cannot be read: ")
    assert err.count("\n") == 1


def test_a_file_of_2_mb(run: Run, here: Path) -> None:
    function = "def f{0}(x):\n    return tf.nn.relu(x) * {0}.0 + tf.math.log(tf.abs(x) + 1.0)\n\n\n"
    text = "import tensorflow as tf\n\n" + "".join(function.format(n) for n in range(26_000))
    assert len(text) > 2_000_000
    (here / "large.py").write_text(text)
    document, _ = lint(run)
    assert document["summary"]["files"] == 2


def test_links_that_form_loops(run: Run, here: Path) -> None:
    (here / "pkg").mkdir()
    (here / "pkg" / "up").symlink_to("..", target_is_directory=True)
    (here / "pkg" / "self.py").symlink_to("self.py")
    document, err = lint(run)
    assert (document["summary"]["files"], err) == (1, "")
    outcome = run("pkg/self.py")
    assert outcome.status == 2
    assert outcome.err.startswith("actlint: error: pkg/self.py: cannot be opened: ")


def test_a_folder_named_like_a_file(run: Run, here: Path) -> None:
    (here / "x.py").mkdir()
    (here / "x.py" / "inner.py").write_text(GOOD_NEIGHBOUR)
    document, _ = lint(run)
    assert "x.py/inner.py" in {finding["path"] for finding in document["findings"]}
    assert run("--no-confirm", "x.py").status == 1


def test_a_missing_path_is_a_failed_run(run: Run) -> None:
    outcome = run("--no-confirm", "neighbour.py", "missing.py")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "actlint: error: missing.py: no such file or folder\n"


def test_an_unknown_code_is_a_failed_run(run: Run) -> None:
    outcome = run("--no-confirm", "--select", "ACT999", "neighbour.py")
    assert (outcome.status, outcome.out) == (2, "")
    assert "`ACT999`" in outcome.err


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_a_file_name_that_is_not_utf_8(run: Run, here: Path) -> None:
    try:
        (here / os.fsdecode(b"caf\xe9.py")).write_text(GOOD_NEIGHBOUR)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    document, _ = lint(run)
    assert "caf\\xe9.py" in {finding["path"] for finding in document["findings"]}
    assert run("--no-confirm", ".").status == 1


DEEP = {
    "parentheses": "(" * 1000 + "x" + ")" * 1000,
    "calls": "tf.abs(" * 1000 + "x" + ")" * 1000,
    "operators": "x" + " + x" * 5000,
    "minus": "-" * 3000 + "x",
    "attributes": "x" + ".y" * 5000,
    "lists": "[" * 150 + "x" + "]" * 150,
    "lambdas": "lambda: " * 500 + "x",
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_nesting(run: Run, here: Path, kind: str) -> None:
    text = f"import tensorflow as tf\n\n\ndef deep_loss(y_true, x):\n    return {DEEP[kind]}\n"
    (here / "deep.py").write_text(text)
    document, _ = lint(run)
    assert len(document["errors"]) <= 1


def test_deep_blocks(run: Run, here: Path) -> None:
    blocks = "".join(f"{'  ' * depth}if x:\n" for depth in range(1, 90))
    text = f"import tensorflow as tf\ndef deep_loss(y_true, x):\n{blocks}{'  ' * 90}return x\n"
    (here / "deep.py").write_text(text)
    document, _ = lint(run)
    assert len(document["errors"]) <= 1


def test_a_function_of_5000_lines(run: Run, here: Path) -> None:
    body = "".join(f"    x = tf.math.softplus(x) + {n}.0\n" for n in range(5000))
    text = f"import tensorflow as tf\ndef long_loss(y_true, x):\n{body}    return x - y_true\n"
    (here / "long.py").write_text(text)
    document, _ = lint(run)
    # A normal result, or one sentence that names the function.
    assert [error for error in document["errors"] if "long_loss" not in error["message"]] == []
    assert len(document["errors"]) <= 1
