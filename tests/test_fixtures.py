"""The stories of fixtures/ against the whole program: static pass, worker and report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Hazard, Result, Verdict
from actlint.source import SourceFile, read

from .expectations import Expectation, parse

ROOT = Path(__file__).resolve().parents[1]
PATHS = tuple(
    path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "fixtures").rglob("*.py"))
)
STORIES = (
    "binary_codes",
    "cifar10_tflearn",
    "deep_network",
    "from_the_book",
    "guards_that_fail",
    "mixed_up_calls",
    "moving_targets",
    "perceptron",
    "staircase",
    "why_no_learning",
    "whole_batch",
    "wrong_way",
)
# Longest that one of our subprocesses may take, in seconds.
PATIENCE = 300
# Most lines of a program that people still paste.
PASTE = 40

# Runs each program of the JSON list on standard input as __main__, in one process, because the
# import of TensorFlow takes longer than all of them; answers with what each one printed.
DRIVER = """
import contextlib, io, json, runpy, sys, traceback
outputs = []
for path in json.load(sys.stdin):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            runpy.run_path(path, run_name="__main__")
        except BaseException:  # a program that fails must not hide the others
            text.write("FAILED " + traceback.format_exc())
    outputs.append(text.getvalue())
json.dump(outputs, sys.stdout)
"""

# Writes a file on import, on definition, on decoration and on call.
EFFECTS = """
import pathlib
import tensorflow as tf

FOLDER = pathlib.Path({folder!r})

def mark(name):
    (FOLDER / name).write_text("ran")
    return lambda function: function

mark("import")

@mark("decorator")
def careless_loss(y_true, y_pred, mode=mark("default")):
    mark("call")
    return -tf.reduce_mean(y_true * tf.math.log(y_pred))

model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(loss=careless_loss)
model.fit(tf.ones([4, 2]), tf.ones([4, 1]))
model.save(FOLDER / "model.keras")
"""


def source(path: str) -> SourceFile:
    return read(str(ROOT / path), path)


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


def actlint(arguments: Sequence[str], seed: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "actlint", "check", *arguments],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED=seed, NO_COLOR="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> bytes:
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1, errors.decode()
    return output


def described(finding: Finding) -> str:
    hazard = finding.evidence.hazard if finding.evidence else "-"
    mode = f" in {finding.evidence.mode}" if finding.evidence else ""
    text = " ".join(finding.site.text.split())
    where = f"{finding.site.path}:{finding.site.span.line}"
    why = f" ({finding.reason})" if finding.reason else ""
    return f'{where}: {finding.code} {finding.verdict} {hazard}{mode} at "{text}"{why}'


def counting(result: Result) -> list[Finding]:
    return [finding for finding in result.findings if finding.verdict is not Verdict.REFUTED]


@pytest.fixture(scope="session")
def result() -> Result:
    return lint([source(path) for path in PATHS], Options())


@pytest.fixture(scope="session")
def repros(
    result: Result, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Finding, str, str]]:
    """Every confirmed finding with its repro and what that printed."""
    folder = tmp_path_factory.mktemp("repros")
    shown = [(finding, finding.repro) for finding in counting(result) if finding.repro]
    files = []
    for index, (_, program) in enumerate(shown):
        files.append(folder / f"repro_{index}.py")
        files[-1].write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([str(file) for file in files]),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    outputs = json.loads(done.stdout)
    return [(finding, program, out) for (finding, program), out in zip(shown, outputs, strict=True)]


def test_every_story_is_there_with_its_clean_twin() -> None:
    for story in STORIES:
        here = {path.name for path in (ROOT / "fixtures" / story).glob("*.py")}
        clean = {path.name for path in (ROOT / "fixtures" / story / "clean").glob("*.py")}
        assert here == clean != set()
        assert any(parse(source(f"fixtures/{story}/{name}").text, name)[0] for name in here)


@pytest.mark.parametrize("path", PATHS)
def test_exactly_the_expected_findings(path: str, result: Result) -> None:
    expected, missed = parse(source(path).text, path)
    assert "/clean/" not in path or not expected
    left = [finding for finding in counting(result) if finding.site.path == path]
    absent = []
    for expectation in expected:
        match = next((finding for finding in left if expectation.matches(finding)), None)
        if match is None:
            absent.append(str(expectation))
        else:
            left.remove(match)
    known = {(miss.line, miss.code) for miss in missed}
    assert not [
        described(finding) for finding in left if (finding.site.span.line, finding.code) in known
    ], "a known miss is found now: turn its comment into an expectation"
    assert (absent, [described(finding) for finding in left]) == ([], [])


def test_no_fixture_is_an_error(result: Result) -> None:
    assert result.errors == ()
    assert result.summary.files == len(PATHS)
    assert result.summary.unconfirmed == 0


def numbers(output: str) -> list[float]:
    """Numbers of the lines that speak of a gradient, or of all lines if none does."""
    every = output.splitlines()
    lines = [line for line in every if "grad" in line.lower()] or every
    plain = re.sub(r"shape=\([^)]*\)|dtype=\w+|[A-Za-z_]+\d+", " ", "\n".join(lines))
    return [float(word) for word in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", plain)]


SHOWS: dict[Hazard, Callable[[str], bool]] = {
    Hazard.NAN: lambda output: bool(re.search(r"\bnan\b", output)),
    Hazard.INF: lambda output: bool(re.search(r"\binf\b", output)),
    Hazard.NO_GRADIENT: lambda output: "None" in output or set(numbers(output)) == {0.0},
    Hazard.ZERO_GRADIENT: lambda output: set(numbers(output)) == {0.0},
    Hazard.VANISHING: lambda output: any(abs(value) < 1e-3 for value in numbers(output)),
    Hazard.EXPLODING: lambda output: (
        bool(re.search(r"\b(inf|nan)\b", output)) or any(v > 1e3 for v in numbers(output))
    ),
    Hazard.NON_MONOTONIC: lambda output: {-1, 1} <= {(n > 0) - (n < 0) for n in numbers(output)},
    Hazard.DISCONTINUOUS: lambda output: len(set(numbers(output))) > 1,
    Hazard.WRONG_GRADIENT: lambda output: (
        "None" in output or len(set(numbers(output))) > 1 or _is_not_the_step(output)
    ),
    Hazard.WRONG_LOSS: lambda output: len(set(numbers(output))) > 1,
    Hazard.FROZEN: lambda output: len(set(output.splitlines())) == 3,
    Hazard.MIXED_SAMPLES: lambda output: len(set(output.splitlines())) > 1,
    Hazard.INACCURATE: lambda output: _disagree(*output.partition("in float64")[::2]),
}


def _is_not_the_step(output: str) -> bool:
    """Say whether a straight-through estimator has another value than its step."""
    found = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
    step = found.get("value of the step")
    return step is not None and found["value"] != step


def _disagree(single: str, double: str) -> bool:
    """Say whether some number of the second half is off by a tenth in the first half."""
    pattern = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"
    pairs = zip(*(map(float, re.findall(pattern, half)) for half in (single, double)), strict=True)
    return any(abs(one - two) >= 0.1 * abs(two) and one != two for one, two in pairs)


def test_every_confirmed_finding_has_a_short_repro(result: Result) -> None:
    for finding in counting(result):
        if finding.verdict is Verdict.CONFIRMED:
            assert finding.repro, described(finding)
            assert len(finding.repro.splitlines()) <= PASTE, finding.repro
            assert "actlint" not in re.sub("#.*", "", finding.repro)


def test_every_repro_shows_its_hazard(repros: list[tuple[Finding, str, str]]) -> None:
    assert repros
    failed = []
    for finding, program, output in repros:
        assert finding.evidence is not None
        if "FAILED" in output or not SHOWS[finding.evidence.hazard](output):
            failed.append(f"{described(finding)}\n{program}\n--- printed:\n{output}")
    assert not failed, "\n\n".join(failed)


@pytest.fixture(scope="session")
def quotient(result: Result) -> Finding:
    """The division in the branch that `where` did not select."""
    path = "fixtures/cifar10_tflearn/activations.py"
    return next(finding for finding in counting(result) if finding.site.path == path)


def test_repro_alone_is_a_complete_program(quotient: Finding, tmp_path: Path) -> None:
    program = tmp_path / "repro.py"
    program.write_text(quotient.repro or "", encoding="utf-8")
    bare = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert SHOWS[Hazard.NAN](done.stdout)


def test_rate_of_the_isolated_point(quotient: Finding) -> None:
    """The normal density at -0.6 is 0.333; float32 has a spacing of 2**-24 there: 2e-8."""
    evidence = quotient.evidence
    assert evidence is not None
    assert evidence.rate is not None
    assert 1e-8 <= evidence.rate <= 4e-8
    witness = [value for value in evidence.witness.values() if value is not None]
    assert "-0.6" in str(witness)


def test_report_says_after_how_many_steps(quotient: Finding) -> None:
    report = finish(actlint(["--output-format", "full", quotient.site.path], "0")).decode()
    assert quotient.site.text in report
    assert "-0.6" in report
    assert re.search(r"\bsteps?\b", report)
    assert "elsewhere gradients do flow" in report


def test_two_runs_agree_to_the_byte() -> None:
    arguments = ["--output-format", "json", "--no-cache", "fixtures"]
    first, second = [actlint(arguments, seed) for seed in ("1", "2")]
    one, two = finish(first), finish(second)
    assert one == two
    assert json.loads(one)["summary"]["files"] == len(PATHS)


def test_code_of_the_linted_file_never_runs(tmp_path: Path) -> None:
    text = EFFECTS.format(folder=str(tmp_path))
    found = lint([SourceFile("careless.py", text)], Options())
    assert [finding.code for finding in found.findings if finding.verdict == "confirmed"] == [
        "ACT103"
    ]
    assert list(tmp_path.iterdir()) == []


def test_expectations_are_read_from_comments_only() -> None:
    text = (
        's = "# expect: ACT101 confirmed nan"\n'
        "a = 1  # expect: ACT101 confirmed nan|inf, ACT102 unconfirmed -\n"
        '# expect-next: ACT104 confirmed nan in xla at "f( x )"\n'
        "# a word in between\n"
        "\n"
        "b = f( x )  # known-miss: ACT106 the exponent is read from a file\n"
    )
    expected, missed = parse(text, "p.py")
    both = (Hazard.NAN, Hazard.INF)
    assert expected == (
        Expectation("p.py", 2, "ACT101", Verdict.CONFIRMED, both),
        Expectation("p.py", 2, "ACT102", Verdict.UNCONFIRMED, ()),
        Expectation("p.py", 6, "ACT104", Verdict.CONFIRMED, (Hazard.NAN,), "xla", "f( x )"),
    )
    assert [(miss.line, miss.code) for miss in missed] == [(6, "ACT106")]


@pytest.mark.parametrize(
    "comment",
    [
        "# expect: ACT101",
        "# expect: ACT101 confirmed nan ACT102 confirmed nan",
        "# expect: ACT101 confirmed naan",
        "# expect: ACT101 proved nan",
        "# expect ACT101 confirmed nan",
        "# expects: ACT101 confirmed nan",
        "# known-miss: ACT101",
        "# expect-next: ACT101 confirmed nan",
    ],
)
def test_a_slip_in_an_expectation_is_an_error(comment: str) -> None:
    with pytest.raises(ValueError, match=r"p\.py"):
        parse(f"a = 1  {comment}\n", "p.py")
