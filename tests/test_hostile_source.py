"""Source that is made to exhaust, mislead or harm: bounded work, no effect, true places."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from actlint import index
from actlint.engine import Options, lint
from actlint.findings import Result
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.rendering import render
from actlint.scene import units
from actlint.source import decode

from .conftest import Run

# Seconds of processor time for one hostile file; each takes well under a fifth of it.
LIMIT = 20.0


def static(text: str) -> Result:
    """Lint `text` without confirming, in bounded time."""
    start = time.process_time()
    result = lint([decode(text.encode(), "a.py")], Options(confirm=False))
    assert time.process_time() - start < LIMIT
    assert not [error for error in result.errors if "internal error" in error.message]
    return result


def loss(body: str) -> str:
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"import math\nimport tensorflow as tf\ndef my_loss(y_true, y_pred):\n{lines}\n"


CONSTANTS = [
    "math.factorial(10**8)", "math.comb(10**9, 10**8)", "math.perm(10**8)", "pow(10, 10**10)",
    "pow(10, 10**9, 7)", "10 ** 10 ** 10", "((2**64)**64)**64", "1 << 10**10", "0x" + "f" * 5000,
    "math.factorial(500)", "int(1e308) * 10**400", "'a' * 10**10", "len([0] * 10**9)", "1e400",
    "sum([10**300] * 4096)", "(1/0)", "pow()", "abs()", "round()", "max()", "(1+2j)", "b'a'",
    "[1][10**30]", "math.pi(2)",
]  # fmt: skip


@pytest.mark.parametrize("constant", CONSTANTS)
def test_constants_without_bounds(constant: str) -> None:
    found = static(loss(f"return tf.math.log(y_pred) * {constant}"))
    assert "ACT103" in {finding.code for finding in found.findings}


def rounds(count: int, body: str) -> str:
    heads = "".join(f"{' ' * depth}for i{depth} in range(16):\n" for depth in range(count))
    return heads + " " * count + body + "\nreturn tf.math.log(y_pred)"


GROWTH = {
    "integer": "a = 10\n" + rounds(2, "a = a * a"),
    "string": "a = 'xx'\n" + rounds(2, "a = a + a"),
    "list": "a = [1, 2]\n" + rounds(2, "a = a + a"),
    "extended list": "a = [1, 2]\n" + rounds(2, "a.extend(a)"),
    "nested list": "a = [y_pred, 2]\n" + rounds(2, "a = [a, a]") + " + tf.reduce_sum(a)",
    "nested list of text": "a = ['x']\n" + rounds(2, "a = [a, a]") + " + (a + 1)",
    "nested dictionary": "a = {'x': y_pred}\n" + rounds(2, "a = {'x': a, 'y': a}") + " + f(a)",
    "wide list": "a = [y_pred] * 4096\nb = [a] * 4096\nc = [b] * 4096\nf(c)\n" + rounds(1, "pass"),
    "itself": "a = [y_pred]\na.append(a)\n" + rounds(1, "pass") + " + tf.reduce_sum(a) + f(a)",
    "loops": rounds(7, "a = 1"),
    "empty loops": rounds(7, "pass"),
    "while": "".join(f"{' ' * d}while True:\n" for d in range(7)) + " " * 7 + "pass",
    "branches": "".join(f"if f({n}):\n  y_pred = y_pred / y_true\n" for n in range(20))
    + "return y_pred",
    "comprehensions": "a = " + "[" * 6 + "i" + " for i in range(64)]" * 6 + "\nreturn y_pred",
}


@pytest.mark.parametrize("kind", GROWTH)
def test_growth_without_bounds(kind: str) -> None:
    static(loss(GROWTH[kind]))


def test_calls_that_double() -> None:
    chain = "".join(f"def f{n}(x):\n    f{n + 1}(x)\n    return f{n + 1}(x)\n" for n in range(23))
    static(loss("return tf.math.log(f0(y_pred))") + chain + "def f23(x):\n    return x\n")


def test_classes_in_a_circle() -> None:
    static(
        "import tensorflow as tf\n"
        "class A(B):\n    def call(self, x):\n        return tf.sqrt(x) + super().call(x)\n"
        "class B(A):\n    def __init__(self):\n        self.call(1)\n"
        "    @property\n    def p(self):\n        return self.p\n"
        "    def call(self, x):\n        return self(x) + self.p + super().call(x)\n"
        "model.add(A())\nmodel.add(B())\n"
    )


def test_importing_would_have_effects(tmp_path: Path, run: Run) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "evil.py").write_text(
        "import os\nimport tensorflow as tf\n"
        f"open({str(trace)!r}, 'w')\nos.system('touch {trace}')\n"
        f"def evil_loss(y_true, y_pred, z=open({str(trace)!r}, 'w')):\n"
        f"    eval(\"open('{trace}', 'w')\")\n"
        f"    tf.io.write_file({str(trace)!r}, 'x')\n"
        f"    tf.print('x', output_stream='file://{trace}')\n"
        f"    tf.py_function(os.system, ['touch {trace}'], tf.float32)\n"
        "    return tf.math.log(y_pred)\n"
    )
    assert run("--no-confirm", str(tmp_path / "evil.py")).status == 1
    assert not trace.exists()


PLACES = {
    "CJK": "def my_loss(y, p):\n    s = '损失函数'; return tf.math.log(p)\n",
    "emoji": "def my_loss(y, p):\n    s = '😀👨‍👩‍👧é'; return tf.math.log(p)\n",
    "zero width": "def my_loss(y, p):\n    s = 'e\u0301\u200b\u202e'; return tf.math.log(p)\n",
    "CRLF": "def my_loss(y, p):\r\n    s = '损'; return tf.math.log(p)\r\n",
    "CR": "def my_loss(y, p):\r    s = 1; return tf.math.log(p)\r",
    "tabs": "def my_loss(y, p):\n\ts = 1;\treturn tf.math.log(p)\n",
    "form feed": "\f\n\fdef my_loss(y, p):\n    s = 1; \f return tf.math.log(p)\n",
    "separators": "def my_loss(y, p):\n    s = '\u2028\x85\x0b\x1c'; return tf.math.log(p)\n",
    "semicolon": "A = 1; E = 0.0; '损'; f = lambda y, p: tf.math.log(p)\nm.compile(loss=f)\n",
    "after a string": "s = '''\n'''; f = lambda y, p: tf.math.log(p)\nm.compile(loss=f)\n",
    "byte order mark": "\ufeffs = '损'; m.compile(loss=lambda y, p: tf.math.log(p))\n",
}


@pytest.mark.parametrize("kind", PLACES)
def test_places_are_counted_in_characters(kind: str) -> None:
    text = PLACES[kind].removeprefix("\ufeff") + "import tensorflow as tf\n"
    mark = "\ufeff" if PLACES[kind].startswith("\ufeff") else ""
    (finding,) = static(mark + text).findings
    span = finding.site.span
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert rows[span.line - 1][span.column - 1 : span.end_column - 1] == "tf.math.log(p)"


def test_a_constant_behind_another_on_its_line() -> None:
    tail = "def my_loss(y, p):\n    return tf.math.log(p + B)\n"
    for line, codes in (("A = 0.0; B = 1.0", set()), ("A = 1.0; B = 0.0", {"ACT103"})):
        found = static(f"import tensorflow as tf\n{line}\n{tail}").findings
        assert {finding.code for finding in found} == codes


def test_time_grows_with_the_file_alone() -> None:
    def seconds(count: int) -> float:
        text = "import tensorflow as tf\n" + "".join(
            f"def l{n}_loss(y, p):\n    return tf.math.log(p) * y\n" for n in range(count)
        )
        start = time.process_time()
        assert len(static(text).findings) == count
        return time.process_time() - start

    seconds(10)
    assert seconds(1600) < 12 * seconds(200)  # 8 times the work; 64 times if quadratic


def test_long_names_end_in_a_program() -> None:
    # An expression with names that are too long for a line can be split no further.
    name = "a_rather_long_name_of_a_prediction_that_fills_a_line"
    lines = "".join(f"    {name}_{n} = tf.exp(y_pred * {n}.5) + y_true\n" for n in range(3))
    result = " + ".join(f"{name}_{n} * {name}_{n}" for n in range(3))
    text = f"def my_loss(y_true, y_pred):\n{lines}    return {result}\n"
    built = index.build("a.py", "import tensorflow as tf\n" + text)
    assert isinstance(built, index.FileIndex)
    (unit,) = units(built)
    (graph,) = lower(Module(built), unit).graphs
    assert f"{name}_2 = tf.exp" in render(graph.nodes, graph.output, "f").text


def test_the_report_does_not_replace_a_source(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "a.py"
    source.write_text("import tensorflow as tf\n")
    outcome = run("--no-confirm", "--output-file", str(source), str(source))
    assert (outcome.status, source.read_text()) == (2, "import tensorflow as tf\n")
    assert "is one of the files to lint" in outcome.err


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "a.py").write_text(loss("return tf.math.log(y_pred)"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "actlint", "a.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60.0
    while not list(scratch.glob("*/work")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60.0)
    assert (process.returncode, out, err) == (128 + number, b"", b"")
    assert list(scratch.iterdir()) == []
