"""The command line: commands, options, configuration, exit status."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from actlint.catalogue import Layer, load, select
from actlint.errors import RunError
from actlint.report.handbook import COMMAND
from actlint.version import VERSION

from .conftest import BAD, Run

pytestmark = pytest.mark.usefixtures("here")


def document(text: str) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


def codes(run: Run, *words: str) -> set[str]:
    outcome = run("--no-confirm", "--output-format", "json", *words)
    return {finding["code"] for finding in document(outcome.out)["findings"]}


# Commands and exit status.


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--no-confirm", "bad.py"),
        ("--no-confirm", "bad.py"),
        ("bad.py", "--no-confirm"),
        ("--no-confirm", "--", "bad.py"),
    ],
)
def test_check_is_what_a_path_means(run: Run, words: tuple[str, ...]) -> None:
    outcome = run(*words)
    assert outcome.status == 1
    assert outcome.out.startswith("bad.py:5:12: ACT1")
    assert outcome.err == ""


def test_nothing_to_report_is_status_0(run: Run) -> None:
    outcome = run("--no-confirm", "clean.py")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("All clear: 1 file, ")


def test_exit_zero_hides_findings_from_the_status_only(run: Run) -> None:
    outcome = run("--no-confirm", "--exit-zero", "bad.py")
    assert outcome.status == 0
    assert outcome.out.startswith("bad.py:5:12: ACT1")
    assert run("--exit-zero", "missing.py").status == 2


def test_without_paths_the_working_folder_is_linted(run: Run) -> None:
    assert {"bad.py"} == {
        finding["path"]
        for finding in document(run("check", "--no-confirm", "--output-format=json").out)[
            "findings"
        ]
    }


def test_help_names_arguments_and_not_python_types(run: Run) -> None:
    check = run("check", "--help").out
    assert check.startswith("Usage: actlint check [OPTIONS] [PATH]...\n")
    assert "\n  [PATH]...  Files and folders to lint" in check
    rule = run("rule", "--help").out
    assert rule.startswith("Usage: actlint rule [OPTIONS] [RULE]\n")
    assert "\n  [RULE]  Code or name" in rule
    for text in (check, rule):
        assert "list[" not in text
        assert "<str>" not in text
        assert "[[" not in text


def test_why_a_static_run_confirms_nothing(run: Run) -> None:
    outcome = run("--no-confirm", "bad.py")
    assert "  unconfirmed: confirmation is switched off\n" in outcome.out
    assert "Found 1 finding (1 unconfirmed) in 1 file, 1 function; static" in outcome.out


def test_without_any_word_help_is_shown(run: Run) -> None:
    outcome = run()
    assert outcome.status == 2
    assert outcome.out.startswith("Usage: actlint")


def test_help_and_version(run: Run) -> None:
    for words in (("--help",), ("-h",), ("check", "--help"), ("rule", "-h")):
        outcome = run(*words)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.startswith("Usage: actlint")
    assert run("--version").out == f"actlint {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--bogus", "bad.py"), "No such option: --bogus"),
        (("--samples", "0", "bad.py"), "--samples"),
        (("--samples", "many", "bad.py"), "--samples"),
        (("--seed", "-1", "bad.py"), "--seed"),
        (("--timeout", "0", "bad.py"), "--timeout"),
        (("--timeout", "nan", "bad.py"), "--timeout"),
        (("--output-format", "xml", "bad.py"), "--output-format"),
        (("missing.py",), "actlint: error: missing.py: no such file or folder"),
        (("rule", "ACT999"), "no rule has the code, prefix or name `ACT999`"),
        (("rule", "--bogus"), "No such option: --bogus"),
    ],
)
def test_a_run_that_fails_is_status_2_and_a_sentence(
    run: Run, words: tuple[str, ...], sentence: str
) -> None:
    outcome = run(*words)
    assert outcome.status == 2
    assert outcome.out == ""
    assert sentence in outcome.err


# Selection.


def test_codes_prefixes_names_and_all_select(run: Run) -> None:
    found = codes(run, "bad.py")
    assert found
    code = min(found)
    name = next(rule.name for rule in load() if rule.code == code)
    for selector in (code, code.lower(), code[:4], "ACT", "ALL", name, f"ACT5,{name}"):
        if selector.startswith("ACT5") and not any(r.code.startswith("ACT5") for r in load()):
            continue
        assert code in codes(run, "bad.py", "--select", selector)
        assert code not in codes(run, "bad.py", "--ignore", selector)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), {"ACT101", "ACT102", "ACT201"}),
        ((Layer(select=("ACT1",)),), {"ACT101", "ACT102"}),
        ((Layer(select=("ACT1",), ignore=("ACT101",)),), {"ACT102"}),
        ((Layer(select=("ACT101",), ignore=("ACT1",)),), {"ACT101"}),
        ((Layer(select=("ACT101",), ignore=("ACT101",)),), set()),
        ((Layer(ignore=("ALL",), extend=("beta",)),), {"ACT102"}),
        ((Layer(select=("ACT1",), extend=("ACT2",)),), {"ACT101", "ACT102", "ACT201"}),
        ((Layer(select=()),), set()),
        ((Layer(ignore=("ACT1",)), Layer(select=("ACT101",))), {"ACT101"}),
        ((Layer(select=("ACT1",)), Layer(extend=("ACT201",))), {"ACT101", "ACT102", "ACT201"}),
        ((Layer(select=("ACT1",)), Layer(ignore=("ACT102",))), {"ACT101"}),
    ],
)
def test_layers_of_selection(layers: tuple[Layer, ...], expected: set[str]) -> None:
    class Alpha:
        code, name = "ACT101", "alpha"

    class Beta:
        code, name = "ACT102", "beta"

    class Gamma:
        code, name = "ACT201", "gamma"

    rules: Any = (Alpha, Beta, Gamma)
    assert select(rules, layers) == expected


@pytest.mark.parametrize("option", ["--select", "--extend-select", "--ignore"])
@pytest.mark.parametrize("selector", ["ACT999", "X", "log-of-zer", "ACT1011", "ACTIVE"])
def test_an_unknown_selector_is_named(run: Run, option: str, selector: str) -> None:
    outcome = run("--no-confirm", option, selector, "bad.py")
    assert outcome.status == 2
    assert f"{option}: no rule has the code, prefix or name `{selector}`" in outcome.err


def test_near_matches_are_offered() -> None:
    with pytest.raises(RunError, match="did you mean log-of-zero"):
        select(load(), (Layer(select=("log-of-zer",)),))


# Configuration.


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.actlint]\n{text}\n")


def test_configuration_of_the_nearest_pyproject(run: Run, here: Path) -> None:
    configure(here, 'ignore = ["ALL"]\nseed = 7\nsamples = 99')
    (here / "pkg").mkdir()
    (here / "pkg" / "bad.py").write_text(BAD)
    (here / "pkg" / "pyproject.toml").write_text("[tool.other]\n")
    outcome = run("--no-confirm", "--output-format", "json", "pkg")
    assert outcome.status == 0
    assert document(outcome.out)["run"]["seed"] == 7
    assert document(outcome.out)["run"]["samples"] == 99


def test_the_command_line_beats_configuration(run: Run, here: Path) -> None:
    configure(here, 'ignore = ["ALL"]\nseed = 7')
    assert codes(run, "--select", "ALL", "bad.py")
    outcome = run("--no-confirm", "--seed", "0", "--output-format", "json", "bad.py")
    assert document(outcome.out)["run"]["seed"] == 0


def test_least_severity_is_shown_and_counted(run: Run, here: Path) -> None:
    text = (
        "import tensorflow as tf\n\n\n"
        "def seen_loss(y_true, y_pred):\n"
        "    seen = tf.cast(y_true > 0, tf.float32)\n"
        "    return tf.reduce_sum(tf.abs(y_true - y_pred) * seen) / tf.reduce_sum(seen)\n"
    )
    (here / "mild.py").write_text(text)

    def severities(*words: str) -> tuple[int, set[str]]:
        outcome = run("--no-confirm", "--output-format", "json", *words, "bad.py", "mild.py")
        return outcome.status, {f["severity"] for f in document(outcome.out)["findings"]}

    status, every = severities()
    assert "error" in every
    assert len(every) > 1
    assert severities("--min-severity", "error") == (1, {"error"})
    configure(here, 'min-severity = "error"')
    assert severities() == (1, {"error"})
    assert severities("--min-severity", "info") == (status, every)
    assert run("--no-confirm", "mild.py").status == 0


def test_exclude_and_per_file_ignores(run: Run, here: Path) -> None:
    for folder in ("fixtures", "legacy"):
        (here / folder).mkdir()
        (here / folder / "bad.py").write_text(BAD)
    configure(here, 'exclude = ["/fixtures/"]\nper-file-ignores = { "legacy/**" = ["ACT1"] }')
    outcome = run("--no-confirm", "--output-format", "json", ".")
    assert {finding["path"] for finding in document(outcome.out)["findings"]} == {"bad.py"}
    assert document(outcome.out)["summary"]["files"] == 3
    assert run("--no-confirm", "fixtures").status == 1


@pytest.mark.parametrize("linted", [("losses.py", "lib/parts.py"), ("losses.py",)])
def test_per_file_ignores_go_by_where_the_culprit_stands(
    run: Run, here: Path, linted: tuple[str, ...]
) -> None:
    (here / "lib").mkdir()
    (here / "lib" / "parts.py").write_text("def ratio(a, b):\n    return a / b\n")
    (here / "losses.py").write_text(
        "import tensorflow as tf\nfrom lib.parts import ratio\n\n\n"
        "def my_loss(y_true, y_pred):\n    return ratio(y_true, y_pred) - tf.math.log(y_pred)\n"
    )
    words = ("--no-confirm", "--output-format", "json", "--select", "ACT101,ACT103", *linted)
    everything = {("lib/parts.py", "ACT101"), ("losses.py", "ACT103")}
    for ignores, left in (
        ('"lib/**" = ["ACT101", "ACT103"]', {("losses.py", "ACT103")}),
        ('"losses.py" = ["ACT101", "ACT103"]', {("lib/parts.py", "ACT101")}),
        ('"lib/**" = ["ACT103"], "losses.py" = ["ACT101"]', everything),
    ):
        configure(here, f"per-file-ignores = {{ {ignores} }}")
        found = document(run(*words).out)["findings"]
        assert {(finding["path"], finding["code"]) for finding in found} == left


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('selct = ["A"]', "unknown key `selct` in [tool.actlint]; did you mean `select`? allowed:"),
        ('samples = "4096"', "`samples` in [tool.actlint]: input should be a valid integer"),
        ("timeout = 0", "`timeout` in [tool.actlint]"),
        ('min-severity = "bad"', "`min-severity` in [tool.actlint]"),
        ('select = "ACT1"', "`select` in [tool.actlint]"),
        ('select = ["ACT999"]', "select: no rule has the code, prefix or name `ACT999`"),
        ('per-file-ignores = { "a.py" = ["nope"] }', "per-file-ignores: no rule has"),
        ("[[[", "is not valid TOML"),
    ],
)
def test_bad_configuration_is_status_2(run: Run, here: Path, text: str, sentence: str) -> None:
    configure(here, text)
    outcome = run("--no-confirm", "bad.py")
    assert outcome.status == 2
    assert outcome.err.startswith(f"actlint: error: {here / 'pyproject.toml'}: ")
    assert sentence in outcome.err


# Standard input and output.


def test_standard_input(run: Run, here: Path) -> None:
    configure(here, 'per-file-ignores = { "legacy/*" = ["ALL"] }')
    outcome = run("-", "--no-confirm", "--output-format", "concise", stdin=BAD.encode())
    assert outcome.status == 1
    assert outcome.out.startswith("-:5:12: ACT1")
    named = ("--no-confirm", "--output-format", "concise", "--stdin-filename")
    assert run("-", *named, "src/a.py", stdin=BAD.encode()).out.startswith("src/a.py:5:12: ")
    assert run(*named, "src/a.py", stdin=BAD.encode()).out.startswith("src/a.py:5:12: ")
    assert run("-", *named, "legacy/a.py", stdin=BAD.encode()).status == 0
    assert run("-", stdin=b"").status == 0


def test_output_file_holds_the_report_that_was_asked_for(run: Run, here: Path) -> None:
    report = here / "report.json"
    report.write_text("old")
    report.chmod(0o640)
    words = ("--no-confirm", "--output-format", "json", "bad.py")
    outcome = run(*words, "--output-file", "report.json")
    assert (outcome.status, outcome.out) == (1, "")
    assert report.read_text() == run(*words).out
    assert stat.S_IMODE(report.stat().st_mode) == 0o640
    assert sorted(path.name for path in here.iterdir()) == ["bad.py", "clean.py", "report.json"]


def test_output_file_replaces_what_a_link_points_to(run: Run, here: Path) -> None:
    (here / "link.txt").symlink_to("real.txt")
    run("--no-confirm", "clean.py", "--output-file", "link.txt")
    assert (here / "link.txt").is_symlink()
    assert (here / "real.txt").read_text().startswith("All clear")


def test_output_file_that_cannot_be_written(run: Run, here: Path) -> None:
    for target, reason in (("no/such/report", "does not exist"), (".", "is a folder")):
        outcome = run("--no-confirm", "bad.py", "--output-file", target)
        assert (outcome.status, outcome.out) == (2, "")
        assert reason in outcome.err
    assert not (here / "no").exists()


def test_output_file_is_kept_if_the_run_fails(run: Run, here: Path) -> None:
    (here / "report").write_text("old")
    assert run("missing.py", "--output-file", "report").status == 2
    assert (here / "report").read_text() == "old"


def test_quiet_leaves_only_findings(run: Run) -> None:
    assert run("--no-confirm", "--quiet", "clean.py").out == ""
    outcome = run("--no-confirm", "-q", "--output-format", "concise", "bad.py")
    assert all(line.startswith("bad.py:") for line in outcome.out.splitlines())


def test_statistics_replace_the_findings(run: Run) -> None:
    outcome = run("--no-confirm", "--statistics", "bad.py")
    assert outcome.status == 1
    assert outcome.out.lstrip().startswith("1  ACT1")


def test_forced_colour_and_no_colour(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run("--no-confirm", "bad.py").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("--no-confirm", "bad.py").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("--no-confirm", "bad.py").out


def test_a_folder_without_python_files_is_mentioned(run: Run, here: Path) -> None:
    (here / "empty").mkdir()
    outcome = run("--no-confirm", "empty")
    assert outcome.status == 0
    assert outcome.err == "actlint: no Python files found under the given paths\n"


# Rules.


def test_rules_are_listed_one_a_line(run: Run) -> None:
    outcome = run("rule")
    assert outcome.status == 0
    rules = load()
    assert rules
    for rule, line in zip(rules, outcome.out.splitlines(), strict=True):
        code, name, summary = line.split(maxsplit=2)
        assert (code, name) == (rule.code, rule.name)
        assert summary


def test_the_page_of_all_rules_is_fresh(run: Run) -> None:
    outcome = run("rule", "--output-format", "markdown")
    page = (Path(__file__).parent.parent / "rules" / "README.md").read_text(encoding="utf-8")
    assert outcome.out == page, f"rules/README.md is out of date; run: {COMMAND}"
    for rule in load():
        assert outcome.out.count(f"[{rule.code}](#{rule.code.lower()}-{rule.name})") == 1
        assert f"\n### {rule.code} {rule.name}\n" in outcome.out


def test_a_rule_is_explained_by_code_or_name(run: Run) -> None:
    for rule in load():
        page = run("rule", rule.code)
        assert page.status == 0
        assert page.out.startswith(f"# {rule.code} {rule.name}\n")
        assert rule.hint in page.out
        assert run("rule", rule.name).out == page.out


def test_rules_as_json(run: Run) -> None:
    every = document(run("rule", "--output-format", "json").out)["rules"]
    assert [entry["code"] for entry in every] == [rule.code for rule in load()]
    code = every[0]["code"]
    assert document(run("rule", code, "--output-format", "json").out)["rules"] == every[:1]


def test_an_unknown_rule_offers_near_matches(run: Run) -> None:
    outcome = run("rule", "division-by-zeros")
    assert outcome.status == 2
    assert "did you mean division-by-zero" in outcome.err
