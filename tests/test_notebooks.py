"""Jupyter notebooks: cells to one module, findings back to cell and line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actlint import notebook
from actlint.engine import Options, lint
from actlint.findings import Result
from actlint.source import SourceFile, decode

from .conftest import Run

IMPORT = "import tensorflow as tf"
LOSS = """\
def log_loss(y_true, y_pred):
    return -tf.reduce_mean(y_true * tf.math.log(y_pred))
"""
USE = "model.compile(loss=log_loss)"


def code(text: str, **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [],
        "source": text.splitlines(keepends=True), **more,
    }  # fmt: skip


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": [text]}


def document(*cells: Any, **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def opened(content: Any) -> SourceFile:
    """Read a notebook: its JSON as bytes, or as what becomes JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode(data, "nb.ipynb")


def linted(content: Any, **options: Any) -> Result:
    return lint([opened(content)], Options(**{"confirm": False, **options}))


def found(result: Result) -> list[tuple[str, int, int, str]]:
    return [
        (finding.site.place, finding.site.span.line, finding.site.span.column, finding.code)
        for finding in result.findings
    ]


def failed(result: Result) -> list[tuple[int | None, int]]:
    return [(error.cell, error.line) for error in result.errors]


PLAIN = document(markdown("# Log loss"), code(IMPORT), code("\n" + LOSS), code(USE))


def test_a_finding_has_cell_and_line_in_the_cell() -> None:
    result = linted(PLAIN)
    assert not result.errors
    assert found(result) == [("nb.ipynb:cell 3", 3, 37, "ACT103")]
    assert result.findings[0].site.text == "tf.math.log(y_pred)"


def test_source_may_be_one_string() -> None:
    cells = [code(IMPORT), code(LOSS), code(USE)]
    whole = [cell | {"source": "".join(cell["source"])} for cell in cells]
    assert found(linted(document(*whole))) == found(linted(document(*cells))) != []


@pytest.mark.parametrize("version", [2, 3])
def test_worksheets_of_old_notebooks(version: int) -> None:
    def old(text: str) -> dict[str, Any]:
        lines = text.splitlines(keepends=True)
        return {"cell_type": "code", "input": lines, "language": "python", "outputs": []}

    heading = {"cell_type": "heading", "level": 1, "source": "Log loss", "metadata": {}}
    sheets = [{"cells": [heading, old(IMPORT)]}, {"cells": [old(LOSS + USE)]}]
    given = {"worksheets": sheets, "metadata": {"name": ""}, "nbformat": version}
    (place, line, _, _) = found(linted(given))[0]
    assert (place, line) == ("nb.ipynb:cell 3", 2)


def test_sorted_by_cell_then_line() -> None:
    cells = [code(IMPORT), *(code(LOSS.replace("log_loss", f"log{n}_loss")) for n in range(11))]
    places = [place for place, *_ in found(linted(document(*cells)))]
    assert places == [f"nb.ipynb:cell {number}" for number in range(2, 13)]


def test_the_trail_has_cells() -> None:
    helper = "def safe_log(x):\n    return tf.math.log(x)\n"
    loss = "def log_loss(y_true, y_pred):\n    return -tf.reduce_mean(y_true * safe_log(y_pred))\n"
    (finding,) = linted(document(code(IMPORT), code(helper), code(loss), code(USE))).findings
    assert finding.site.place == "nb.ipynb:cell 2"
    assert [(site.place, site.span.line) for site in finding.trail][-1] == ("nb.ipynb:cell 3", 2)


def test_a_notebook_uses_what_a_file_defines() -> None:
    files = [SourceFile("losses.py", IMPORT + "\n" + LOSS)]
    use = document(code("import tensorflow as tf\nfrom losses import log_loss"), code(USE))
    result = lint([*files, opened(use)], Options(confirm=False))
    assert [finding.site.place for finding in result.findings] == ["losses.py"]


def test_a_script_across_cells_is_confirmed() -> None:
    cells = (
        "import tensorflow.compat.v1 as tf\ntf.disable_eager_execution()",
        "%matplotlib inline\nx = tf.placeholder(tf.float32, [None, 4])\n"
        "y_ = tf.placeholder(tf.float32, [None, 2])",
        "W = tf.Variable(tf.zeros([4, 2]))\ny = tf.nn.softmax(tf.matmul(x, W))",
        "# the loss\nloss = -tf.reduce_sum(y_ * tf.log(y))",
        "train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)",
    )
    result = linted(document(*map(code, cells)), confirm=True)
    (finding,) = result.findings
    assert (finding.site.place, finding.site.span.line) == ("nb.ipynb:cell 4", 2)
    assert finding.verdict == "confirmed"


MAGICS = [
    # what stands before the loss in its cell, and whether the loss is Python all the same
    ("%matplotlib inline\n", True),
    ("!pip install --quiet tensorflow\n", True),
    ("!pip install \\\n  tensorflow \\\n  keras\n", True),
    ("!!ls\n", True),
    ("try:\n    %tensorflow_version 2.x\nexcept Exception:\n    pass\n", True),
    ("files = !ls *.csv\n", True),
    ("here = %pwd\n", True),
    ("a, b = %sc ls\n", True),
    ("data['x'], n = 3, 4\nn = !wc -l \"a'b\n", True),
    ("tf.math.log?\n", True),
    ("tf.math.log??\n", True),
    ("?tf.math.log\n", True),
    ("??tf.math.log\n", True),
    ("%timeit?\n", True),
    ("x = 7 \\\n% 4\n!ls\n", True),
    ("x = ('%d'\n% 4)\n!ls\n", True),
    ("text = '''\n!ls\n%time\nwhat?\n'''\n!ls\n", True),
    ('text = """a "quoted" \'word\'\n%time"""; x = "# (["  # ([\n!ls\n', True),
    ("x = 'a\\\n% b'\n!ls\n", True),
    ("# really?\n!ls\n", True),
    ("x = 3  # really?\n!ls\n", True),
    ("%%time\n", True),
    ("%%timeit -n 1 -r 1\n", True),
    ("\n%%capture output\n%%time\n", True),
    ("# slow\n%%time\n", True),
    ("%%bash\n", False),
    ("%%writefile losses.py\n", False),
    ("%%capture\n%%bash\n", False),
    ("%%html\n<b>'''", False),
]


@pytest.mark.parametrize(("before", "python"), MAGICS)
def test_magics(before: str, python: bool) -> None:
    result = linted(document(code(IMPORT), code(before + LOSS), code(USE)))
    assert failed(result) == []
    expected = [("nb.ipynb:cell 2", before.count("\n") + 2, 37)] if python else []
    assert [place[:3] for place in found(result)] == expected


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("a = !ls", "a = None"),
        ("    %time f()", "    pass"),
        ("x\t= %pwd", "x\t= None"),
        ("if a != b: pass\n%pwd", "if a != b: pass\npass"),
        ("print(f'{x!r}')\n%pwd", "print(f'{x!r}')\npass"),
        ("'rate=%d' % 3\n%pwd", "'rate=%d' % 3\npass"),
        ("x %= 3\n%pwd", "x %= 3\npass"),
        ("f(a,\n  b=3)\n%pwd", "f(a,\n  b=3)\npass"),
        (")\n%pwd", ")\npass"),
        ("%pwd \\", "pass"),
    ],
)
def test_only_the_command_changes(cell: str, python: str) -> None:
    assert notebook.without_magics(cell.split("\n")) == python.split("\n")


def test_a_cell_that_is_no_python_costs_itself_alone() -> None:
    cells = [
        code(IMPORT), code("x = 1\ny = (\n"), markdown("?"), code("print 'x'"), code("\x00"),
        code("def f():"), code("if 1:\n"), code("x = 1 \\"), code("'''open"), code(LOSS), code(USE),
    ]  # fmt: skip
    result = linted(document(*cells))
    assert failed(result) == [(2, 2), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1)]
    assert result.errors[0].message == "syntax error: '(' was never closed"
    assert "Python 2" in result.errors[1].message
    assert [place[:2] for place in found(result)] == [("nb.ipynb:cell 10", 2)]


def test_what_lies_too_deep_costs_its_cell_alone() -> None:
    deep = "(" * 100_000
    result = linted(document(code(IMPORT), code(deep), code(LOSS), code(USE)))
    assert failed(result) == [(2, 1)]
    assert len(result.findings) == 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(ending: str) -> None:
    cell = code("") | {"source": (IMPORT + "\n" + LOSS).replace("\n", ending)}
    assert [place[:2] for place in found(linted(document(cell)))] == [("nb.ipynb:cell 1", 3)]


def test_comments_silence_findings() -> None:
    for comment in ("# noqa", "# actlint: ignore", "# actlint: ignore[ACT1] never 0"):
        silenced = LOSS.rstrip() + f"  {comment}\n"
        cells = [code("!ls"), code("y = ("), code(IMPORT), code(silenced), code(USE)]
        assert found(linted(document(*cells))) == []


R = document(code("x <- 3"), language_info={"name": "R"})
NORMAL: Sequence[tuple[str, Any]] = [
    ("no cells", document()),
    ("no code", document(markdown("text"))),
    ("empty cells", document(code(""), code("\n\n"))),
    ("R", R),
    ("R by kernel", document(code("x <- 3"), kernelspec={"name": "ir", "language": "R"})),
    ("julia", {"worksheets": [{"cells": [code("x ≠ 3", language="julia")]}], "nbformat": 3}),
    ("sql cell", document(code("SELECT 3", metadata={"vscode": {"languageId": "sql"}}))),
    ("odd cells", document(None, 3, {}, {"cell_type": "code"}, {"cell_type": 7, "source": 3})),
    ("odd metadata", {"cells": [], "metadata": []}),
    ("no metadata", {"cells": [code("x = 3")]}),
    ("byte order mark", b"\xef\xbb\xbf" + json.dumps(PLAIN | {"cells": []}).encode()),
    ("utf-16", json.dumps(PLAIN | {"cells": []}).encode("utf-16")),
    ("huge output", document(code("x = 3", outputs=[{"text": ["x" * 100] * 100_000}]))),
    ("ipython", document(code("x = 3"), language_info={"name": "ipython"})),
]


@pytest.mark.parametrize("content", [each for _, each in NORMAL], ids=[name for name, _ in NORMAL])
def test_notebooks_with_nothing_to_report(content: Any) -> None:
    result = linted(content)
    assert (result.findings, result.errors) == ((), ())


BAD = [
    (b"", 1, "not valid JSON"),
    (b'{\n "cells": [,]}', 2, "not valid JSON"),
    (b"\n\n<<<<<<< HEAD\n{}", 3, "not valid JSON"),
    (b"version https://git-lfs.github.com/spec/v1\n", 1, "not valid JSON"),
    (b'{"cells": [\n"\xe9"]}', 2, "neither UTF-8"),
    (b"[" * 200_000, 1, "nested too deeply"),
    (b'{"cells": [' + b"9" * 5000 + b"]}", 1, "is no notebook"),
    (b"[]", 1, "no list of `cells`"),
    (b"3", 1, "no list of `cells`"),
    (b"{}", 1, "no list of `cells`"),
    (b'{"cells": {}}', 1, "no list of `cells`"),
    (b'{"cells": [{"cell_type": "code", "source": [3]}]}', 1, "source of cell 1 is no text"),
]


@pytest.mark.parametrize(("data", "line", "message"), BAD)
def test_files_that_are_no_notebooks(data: bytes, line: int, message: str) -> None:
    (error,) = linted(data).errors
    assert (error.path, error.cell, error.line) == ("nb.ipynb", None, line)
    assert message in error.message


def test_lone_surrogates_are_no_crash() -> None:
    text = json.dumps(document(code(IMPORT + "\nx = '\ud800'"), code(LOSS), code(USE)))
    assert failed(linted(text.encode())) == [(1, 1)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cells = (markdown("# x"), code("%pwd\n" + IMPORT), code("y = ("), code("\n" + LOSS), code(USE))
    (tmp_path / "nb.ipynb").write_text(json.dumps(document(*cells)), encoding="utf-8")
    return tmp_path


def test_folders_are_searched_and_json_has_cells(run: Run, here: Path) -> None:
    (here / ".ipynb_checkpoints").mkdir()
    (here / ".ipynb_checkpoints" / "nb-checkpoint.ipynb").write_bytes(b"")
    outcome = run("--no-confirm", "--output-format", "json", ".")
    assert outcome.status == 1
    report = json.loads(outcome.out)
    (finding,) = report["findings"]
    keys = ("path", "cell", "line", "column", "end_line", "end_column")
    assert [finding[key] for key in keys] == ["nb.ipynb", 4, 3, 37, 3, 56]
    assert report["errors"] == [
        {"path": "nb.ipynb", "cell": 3, "line": 1, "message": "syntax error: '(' was never closed"}
    ]
    assert report["summary"]["files"] == 1
    assert outcome.err == "actlint: nb.ipynb:cell 3:1: syntax error: '(' was never closed\n"


def test_full_shows_the_line_of_the_cell(run: Run, here: Path) -> None:
    lines = run("--no-confirm", "nb.ipynb").out.splitlines()
    assert lines[0].startswith("nb.ipynb:cell 4:3:37: ACT")
    assert lines[2] == " 3 |     return -tf.reduce_mean(y_true * tf.math.log(y_pred))"


def test_concise_and_github(run: Run, here: Path) -> None:
    concise = run("--no-confirm", "--output-format", "concise", "nb.ipynb").out
    assert concise.startswith("nb.ipynb:cell 4:3:37: ACT")
    finding, error = run("--no-confirm", "--output-format", "github", ".").out.splitlines()
    assert "file=nb.ipynb,line=1,col=1,endLine=1,endColumn=1," in finding
    assert "::nb.ipynb:cell 4:3:37: " in finding
    assert error.startswith("::error file=nb.ipynb,line=1,title=actlint::nb.ipynb:cell 3:1: ")


def test_standard_input(run: Run, here: Path) -> None:
    data = (here / "nb.ipynb").read_bytes()
    words = ("-", "--no-confirm", "--output-format", "concise", "--stdin-filename", "sub/x.ipynb")
    assert run(*words, stdin=data).out.startswith("sub/x.ipynb:cell 4:3:37: ")


def test_one_line_for_all_cells_that_are_no_python(run: Run, here: Path) -> None:
    cells = (code("print 'a'"), code("x = 1"), code("print 'b'"), code("y = ("))
    (here / "old.ipynb").write_text(json.dumps(document(*cells)), encoding="utf-8")
    outcome = run("--no-confirm", "--output-format", "json", ".")
    assert [(e["path"], e["cell"]) for e in json.loads(outcome.out)["errors"]] == [
        ("nb.ipynb", 3), ("old.ipynb", 1), ("old.ipynb", 3), ("old.ipynb", 4),
    ]  # fmt: skip
    first, second = outcome.err.splitlines()
    assert first.startswith("actlint: nb.ipynb:cell 3:1: ")
    assert second.startswith("actlint: old.ipynb:cell 1:1: syntax error: ")
    assert second.endswith("(and 2 more cells of the notebook)")
