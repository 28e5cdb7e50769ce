"""Reports, from hand-made results to text."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from actlint.findings import (
    Evidence,
    FileError,
    Finding,
    Hazard,
    Reach,
    Result,
    Run,
    Severity,
    Summary,
    Verdict,
)
from actlint.graph import Role, Site, Span
from actlint.report import OutputFormat, Style, counted, encodable, render
from actlint.report.words import measured, number, printable, rate, witness

EVIDENCE = Evidence(
    hazard=Hazard.NAN,
    witness={"x": -0.6000000238418579},
    value=0.0,
    gradient=math.nan,
    mode="eager",
    samples=4096,
    hits=1,
    rate=2e-8,
    reach=Reach.TYPICAL,
    detail={"modes": "eager, graph, xla"},
)

FINDING = Finding(
    code="ACT102",
    name="unsafe-where-branch",
    severity=Severity.ERROR,
    site=Site("m.py", Span(3, 27, 3, 43), "x**2 / (x + 0.6)"),
    trail=(),
    function="act",
    role=Role.ACTIVATION,
    message="`x**2 / (x + 0.6)` divides by `x + 0.6`, which is 0 at x = -0.6",
    hint="Use tf.math.divide_no_nan",
    verdict=Verdict.CONFIRMED,
    reason=None,
    evidence=EVIDENCE,
    repro="import tensorflow as tf\n",
)

SOURCE = "import tensorflow as tf\ndef act(x):\n\treturn tf.where(x >= 0., x**2 / (x + 0.6), x)\n"


def result(*findings: Finding, errors: tuple[FileError, ...] = (), **counts: int) -> Result:
    run = Run(seed=0, samples=4096, confirm=True, tensorflow="2.21.0", sandbox="landlock")
    return Result(run, findings, errors, Summary(**counts))


def finding(**changes: Any) -> Finding:
    return dataclasses.replace(FINDING, **changes)


def full(*findings: Finding, source: str = SOURCE, **style: Any) -> str:
    given = Style(sources={"m.py": source}, **{"quiet": True, **style})
    return render(result(*findings), OutputFormat.FULL, given)


def test_full_says_where_what_why_and_what_to_do() -> None:
    trail = (Site("train.py", Span(40, 1, 40, 9), ""), Site("utils.py", Span(7, 1, 7, 9), ""))
    assert full(finding(trail=trail)) == (
        "m.py:3:27: ACT102 unsafe-where-branch: error, confirmed, in activation act\n"
        "   |\n"
        " 3 |     return tf.where(x >= 0., x**2 / (x + 0.6), x)\n"
        "   |                              ^^^^^^^^^^^^^^^^\n"
        "  `x**2 / (x + 0.6)` divides by `x + 0.6`, which is 0 at x = -0.6\n"
        "  confirmed: at x = -0.6 the gradient is nan (eager, graph and XLA); 1 of 4096 samples; "
        "about 2e-08 per activation under a standard normal: a network with 6 million activations "
        "a step meets it about every 8 steps\n"
        "  reach: values typical of training\n"
        "  reached from train.py:40 → utils.py:7\n"
        "  use: tf.math.divide_no_nan\n"
        "\n"
    )


def marked(source: str, span: Span, **style: Any) -> list[str]:
    """The source line and what stands below it."""
    site = Site("m.py", span, "")
    lines = full(finding(site=site, evidence=None), source=source, **style).splitlines()
    return [line.partition("| ")[2] for line in lines if " |" in line][1:]


@pytest.mark.parametrize(
    ("source", "span", "expected"),
    [
        ("a = f(b)", Span(1, 5, 1, 9), ["a = f(b)", "    ^^^^"]),
        ("\ta = f(b)", Span(1, 6, 1, 10), ["    a = f(b)", "        ^^^^"]),
        ("名前 = f(b)", Span(1, 6, 1, 10), ["名前 = f(b)", "       ^^^^"]),
        ("a = f(漢)", Span(1, 5, 1, 9), ["a = f(漢)", "    ^^^^^"]),
        ("e\u0301 = f(b)", Span(1, 6, 1, 10), ["e\u0301 = f(b)", "    ^^^^"]),
        ("a\x0b = f(b)", Span(1, 6, 1, 10), ["a\\x0b = f(b)", "        ^^^^"]),
        ("a = f(\n    b)", Span(1, 5, 2, 7), ["a = f(", "    ^^", "…"]),
        ("\x0cx\r\na = f(b)\r\n", Span(2, 5, 2, 9), ["a = f(b)", "    ^^^^"]),
        ("a = '\u2028'; f(b)", Span(1, 10, 1, 14), ["a = '\\u2028'; f(b)", "              ^^^^"]),
    ],
    ids=["plain", "tab", "wide", "wide-inside", "combining", "control", "lines", "crlf", "u2028"],
)
def test_the_expression_is_underlined(source: str, span: Span, expected: list[str]) -> None:
    assert marked(source, span) == expected


@pytest.mark.parametrize("width", [30, 60, 100])
@pytest.mark.parametrize("before", [0, 10, 500])
@pytest.mark.parametrize("after", [0, 500])
def test_long_lines_are_cut_around_the_expression(width: int, before: int, after: int) -> None:
    source = "a" * before + "f(b)" + "c" * after
    line, carets = marked(source, Span(1, before + 1, 1, before + 5), width=width)
    start = carets.index("^")
    assert line[start : start + 4] == "f(b)"
    assert carets.count("^") == 4
    assert len(f" 1 | {line}") <= width
    assert ("…" in line) == (len(source) > len(line))


def test_an_expression_longer_than_the_line_shows_its_beginning() -> None:
    line, carets = marked("a = " + "f(b) + " * 100, Span(1, 5, 1, 700), width=60)
    assert line.startswith("a = f(b) + ")
    assert line.endswith("…")
    assert len(carets) == len(line)


@pytest.mark.parametrize("span", [Span(9, 1, 9, 2), Span(1, 90, 1, 99), Span(0, 1, 0, 1)])
def test_a_span_outside_of_the_source_is_no_crash(span: Span) -> None:
    assert full(finding(site=Site("m.py", span, "")), source="a\n").startswith("m.py:")


def test_a_finding_without_source_is_shown_all_the_same() -> None:
    lines = render(result(FINDING), OutputFormat.FULL, Style(quiet=True)).splitlines()
    assert lines[1].startswith("  `x**2")


def test_prose_is_wrapped_to_a_terminal_and_source_is_not() -> None:
    lines = full(FINDING, width=60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[4].strip().endswith("^^^^")


def test_the_heading_breaks_between_its_parts() -> None:
    place = "m.py:3:27: ACT102 unsafe-where-branch:"
    assert full(FINDING, width=60).splitlines()[:2] == [
        f"{place} error, confirmed,",
        "    in activation act",
    ]
    assert full(FINDING, width=40).splitlines()[:2] == [
        place,
        "    error, confirmed, in activation act",
    ]


def test_colour_is_for_labels_and_not_for_paragraphs() -> None:
    lines = full(FINDING, colour=True, width=60).splitlines()
    assert [line for line in lines if "\x1b[31m" in line and "confirmed:" in line]
    coloured = [line for line in lines if line.startswith(("\x1b[31m  ", "\x1b[36m  "))]
    assert [line.split("\x1b[0m")[0].split("m", 1)[1] for line in coloured] == [
        "  confirmed:",
        "  use:",
    ]


def test_colour_changes_nothing_but_colour() -> None:
    coloured = full(FINDING, colour=True)
    assert "\x1b[" in coloured
    text = coloured
    while "\x1b[" in text:
        head, _, tail = text.partition("\x1b[")
        text = head + tail.partition("m")[2]
    assert text == full(FINDING)


def test_nothing_that_a_file_holds_reaches_the_terminal_as_a_command() -> None:
    report = full(
        finding(message="evil \x1b[2J\u202e text", site=Site("m.py", Span(1, 1, 1, 2), "")),
        source="x = '\x1b]0;title\x07'",
    )
    assert "\x1b" not in report
    assert "\x07" not in report
    assert "\u202e" not in report
    assert printable("a\x9bb") == "a\\x9bb"


def test_closing_counts() -> None:
    other = finding(
        code="ACT103", name="log-of-zero", verdict=Verdict.UNCONFIRMED, evidence=None, repro=None
    )
    errors = (FileError("b.py", 1, "bad"),)
    counts = {"files": 3, "functions": 9, "skipped": 0, "suspects": 7, "refuted": 4}
    report = render(
        result(FINDING, FINDING, other, errors=errors, **counts), OutputFormat.FULL, Style()
    )
    assert report.splitlines()[-5:] == [
        "2  ACT102  unsafe-where-branch  2 confirmed",
        "1  ACT103  log-of-zero          1 unconfirmed",
        "",
        "Found 3 findings (2 confirmed, 1 unconfirmed) in 3 files, 9 functions; "
        "4 suspects refuted; 1 error (see standard error)",
        "The JSON report (`--output-format json`) holds, for each proof, a program that shows it "
        "again",
    ]


def test_several_errors_of_one_file_are_not_called_files() -> None:
    errors = tuple(FileError("b.py", line, "f: cannot be followed") for line in (1, 5))
    report = render(result(errors=errors, files=1), OutputFormat.FULL, Style())
    assert report == (
        "Found 0 findings in 1 file, 0 functions; 0 suspects refuted; "
        "2 errors (see standard error)\n"
    )


@pytest.mark.parametrize("form", [OutputFormat.FULL, OutputFormat.CONCISE])
def test_refuted_findings_are_shown_and_not_counted(form: OutputFormat) -> None:
    refuted = finding(verdict=Verdict.REFUTED, reason="it stayed finite", repro=None)
    one = finding(code="ACT103", verdict=Verdict.UNCONFIRMED, evidence=None, repro=None)
    lines = render(result(refuted, refuted, one), form, Style()).splitlines()
    assert lines[-1].startswith("Found 1 finding (1 unconfirmed)")
    assert sum(line.startswith("m.py:3:27: ACT102") for line in lines) == 2
    assert render(result(refuted), form, Style()).splitlines()[-1].startswith("All clear")
    counts = render(result(refuted, refuted, one), form, Style(), statistics=True)
    assert counts.splitlines() == [
        "1  ACT103  unsafe-where-branch  1 unconfirmed",
        "0  ACT102  unsafe-where-branch  2 refuted",
    ]


def test_all_clear_is_said_only_if_it_is() -> None:
    clear = result(files=1, functions=2, refuted=3)
    report = render(clear, OutputFormat.FULL, Style())
    assert report == "All clear: 1 file, 2 functions, 3 suspects refuted\n"
    for form in (OutputFormat.FULL, OutputFormat.CONCISE):
        assert "All clear" in render(clear, form, Style())
        broken = dataclasses.replace(clear, errors=(FileError("a.py", 1, "bad"),))
        assert "All clear" not in render(broken, form, Style())


def test_refuted_findings_do_not_count() -> None:
    refuted = finding(verdict=Verdict.REFUTED, reason="it stayed finite")
    assert counted(result(FINDING, refuted, finding(verdict=Verdict.UNCONFIRMED))) == 2


def test_an_unconfirmed_finding_says_why() -> None:
    report = full(
        finding(verdict=Verdict.UNCONFIRMED, reason="`net(x)` cannot be run.", evidence=None)
    )
    assert "  unconfirmed: `net(x)` cannot be run\n" in report


def test_concise() -> None:
    report = render(result(finding(message="two\nlines")), OutputFormat.CONCISE, Style(quiet=True))
    assert report == "m.py:3:27: ACT102 unsafe-where-branch: two lines [confirmed]\n"


def test_github_escapes_what_its_syntax_uses() -> None:
    odd = finding(
        site=Site("50%,a:b.py", Span(3, 27, 3, 43), ""), message="100% wrong: a, b", evidence=None,
        verdict=Verdict.UNCONFIRMED, reason="why", hint="", severity=Severity.WARNING,
    )  # fmt: skip
    report = render(
        result(odd, errors=(FileError("b.py", 7, "bad\n"),)), OutputFormat.GITHUB, Style()
    )
    assert report.splitlines() == [
        "::warning file=50%25%2Ca%3Ab.py,line=3,col=27,endLine=3,endColumn=43,"
        "title=ACT102 unsafe-where-branch::100%25 wrong: a, b%0Aunconfirmed: why",
        "::error file=b.py,line=7,title=actlint::bad",
    ]


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not strict JSON")


def test_json_is_the_contract() -> None:
    evidence = dataclasses.replace(EVIDENCE, witness={"x": [math.inf, -math.inf], "n": 3})
    report = render(
        result(
            finding(evidence=evidence),
            finding(verdict=Verdict.UNCONFIRMED, reason="no", evidence=None, repro=None),
            errors=(FileError("é.py", 4, "bad"),),
            files=1,
        ),
        OutputFormat.JSON,
        Style(),
    )
    assert report.endswith("}\n")
    assert report.isascii()
    document = json.loads(report, parse_constant=refuse)
    assert list(document) == ["schema", "tool", "run", "findings", "errors", "summary"]
    assert document["run"] == {
        "seed": 0, "samples": 4096, "confirm": True, "tensorflow": "2.21.0", "sandbox": "landlock",
    }  # fmt: skip
    first, second = document["findings"]
    contract = {
        "code", "name", "severity", "path", "cell", "line", "column", "end_line", "end_column",
        "function", "role", "message", "verdict", "reason", "evidence", "fixes",
    }  # fmt: skip
    assert contract <= set(first)
    assert (first["line"], first["column"], first["end_line"], first["end_column"]) == (
        3,
        27,
        3,
        43,
    )
    assert {
        "hazard", "witness", "value", "gradient", "mode", "samples", "hits", "rate", "repro",
    } <= set(first["evidence"])  # fmt: skip
    assert first["evidence"]["witness"] == {"x": ["inf", "-inf"], "n": 3}
    assert first["evidence"]["gradient"] == "nan"
    assert first["evidence"]["repro"] == FINDING.repro
    assert second["evidence"] is None
    assert document["errors"] == [{"path": "é.py", "cell": None, "line": 4, "message": "bad"}]
    assert document["summary"] == {
        "files": 1, "functions": 0, "skipped": 0, "suspects": 0,
        "confirmed": 0, "refuted": 0, "unconfirmed": 0,
    }  # fmt: skip


def test_statistics_count_by_rule() -> None:
    other = finding(code="ACT101", name="division-by-zero")
    both = result(other, FINDING, FINDING)
    text = render(both, OutputFormat.CONCISE, Style(), statistics=True)
    assert text == (
        "2  ACT102  unsafe-where-branch  2 confirmed\n1  ACT101  division-by-zero     1 confirmed\n"
    )
    document = json.loads(render(both, OutputFormat.JSON, Style(), statistics=True))
    assert document["statistics"] == [
        {"code": "ACT102", "name": "unsafe-where-branch", "count": 2},
        {"code": "ACT101", "name": "division-by-zero", "count": 1},
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.6000000238418579, "-0.6"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1e-10, "1e-10"),
        (3.4028234663852886e38, "3.4028235e+38"),
        (1.1754943508222875e-38, "1.1754944e-38"),
        (1e300, "1e+300"),
        (0.1, "0.1"),
        (100.0, "100"),
        (-123456.0, "-123456"),
        (1e6, "1e+06"),
        (16777216.0, "16777216"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (3, "3"),
        (None, "None"),
    ],
)
def test_numbers_are_short_and_read_back(value: float | None, text: str) -> None:
    assert number(value) == text


def test_long_witnesses_are_cut_in_the_middle() -> None:
    text = witness(dataclasses.replace(EVIDENCE, witness={"y": [[0.0, 1.0]] * 100}))
    assert text.startswith("y = [[0, 1], [0, 1]")
    assert "…" in text
    assert len(text) < 90


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        (2e-8, "about every 8 steps"),
        (1.6e-7, "about every step"),
        (1e-3, "about 6,000 times a step"),
        (1e-10, "about every 1,700 steps"),
        (1e-30, "too seldom to be met by chance"),
    ],
)
def test_a_rate_says_what_it_means_for_training(chance: float, words: str) -> None:
    assert rate(chance).endswith(words)


@pytest.mark.parametrize("hazard", list(Hazard))
@pytest.mark.parametrize("known", [True, False])
def test_every_hazard_has_words(hazard: Hazard, known: bool) -> None:
    number_or_none = 1.5 if known else None
    evidence = dataclasses.replace(
        EVIDENCE, hazard=hazard, value=number_or_none, gradient=number_or_none, rate=None, detail={}
    )
    sentence = measured(evidence)
    assert sentence.startswith("at x = -0.6 ")
    counts = {
        Hazard.NON_MONOTONIC: "1 of 4096 grid points",
        Hazard.DISCONTINUOUS: "1 jump among 4096 grid points",
    }
    assert sentence.endswith(f"(eager mode); {counts.get(hazard, '1 of 4096 samples')}")


@pytest.mark.parametrize(
    ("hazard", "detail", "words"),
    [
        (Hazard.VANISHING, {"share": 0.83}, "the gradient is 0.5, and close to 0 on 83% of"),
        (Hazard.NON_MONOTONIC, {"turning_points": [-1.5, 2.0]}, "and changes sign at -1.5, 2"),
        (Hazard.DISCONTINUOUS, {"sizes": [0.5, 1.0]}, "the value jumps by 1 "),
        (Hazard.WRONG_LOSS, {"better_loss": -2.0}, "the loss is not smallest: 3, and -2 elsewhere"),
        (Hazard.NO_GRADIENT, {"partial": 1.0}, "through the expression, only past it"),
    ],
)
def test_details_of_the_worker_are_told(hazard: Hazard, detail: dict[str, Any], words: str) -> None:
    evidence = dataclasses.replace(EVIDENCE, hazard=hazard, value=3.0, gradient=0.5, detail=detail)
    assert words in measured(evidence)


def test_a_share_stands_without_a_count_of_points() -> None:
    """The share weighs the points by how often training meets them, so that the two differ."""
    evidence = dataclasses.replace(
        EVIDENCE, hazard=Hazard.VANISHING, gradient=0.0, rate=None, detail={"share": 0.78}
    )
    assert measured(evidence) == (
        "at x = -0.6 the gradient is 0, and close to 0 on 78% of the typical range (eager mode)"
    )


@pytest.mark.parametrize(
    ("owner", "value", "gradient", "words"),
    [
        ("expression", math.inf, math.nan, "the expression is inf and the gradient is nan"),
        ("output", math.nan, None, "the output is nan"),
    ],
)
def test_whose_value_is_told(owner: str, value: float, gradient: float | None, words: str) -> None:
    evidence = dataclasses.replace(
        EVIDENCE, value=value, gradient=gradient, rate=None, detail={"value_of": owner}
    )
    assert measured(evidence) == f"at x = -0.6 {words} (eager mode); 1 of 4096 samples"
    report = render(result(finding(evidence=evidence)), OutputFormat.JSON, Style())
    assert json.loads(report)["findings"][0]["evidence"]["detail"] == {"value_of": owner}


def test_signs_that_a_stream_lacks_are_spelled_out() -> None:
    assert encodable("a → b … é", "ascii") == "a -> b ... \\xe9"
    assert encodable("a → b", "utf-8") == "a → b"


@pytest.mark.parametrize(
    ("mode", "modes", "finite", "words"),
    [
        ("xla", "xla", "eager, graph", "(under XLA, finite in eager and graph)"),
        ("graph", "graph", "eager, xla", "(graph mode, finite in eager and XLA)"),
        ("eager", "eager, xla", "graph", "(eager and XLA, finite in graph)"),
        ("eager", "eager", "", "(eager mode)"),
    ],
)
def test_modes_that_disagree_are_named(mode: str, modes: str, finite: str, words: str) -> None:
    detail: dict[str, float | str | list[float]] = {"modes": modes}
    if finite:
        detail["finite"] = finite
    assert words in measured(dataclasses.replace(EVIDENCE, mode=mode, detail=detail))


def test_lost_digits_are_told_with_both_values() -> None:
    evidence = dataclasses.replace(
        EVIDENCE,
        hazard=Hazard.INACCURATE,
        detail={"value_of": "gradient", "float32": -6.25, "float64": 0.5, "relative_error": 13.5},
    )
    told = (
        "the gradient is -6.25 in float32 and 0.5 in float64, a relative error of 14 (eager mode)"
    )
    assert told in measured(evidence)
