"""Every rule against its own examples, with TensorFlow as the judge."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import defaultdict

import pytest

from actlint import catalogue
from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.interval import TOP
from actlint.ops.model import Bound, Cause, Effect, Gradient, Region
from actlint.ops.table import TABLE
from actlint.query import Bad, Good, Rule, View
from actlint.source import SourceFile

from .graph_builder import Builder

RULES = catalogue.load()
HEADINGS = (
    "What it does",
    "Why is this bad?",
    "How it is confirmed",
    "Example",
    "Use instead",
    "Fix safety",  # of rules that suggest remedies
    "What it misses",
    "References",
)
CODE = re.compile(r"ACT[1-5]\d\d")
NAME = re.compile(r"[a-z]+(-[a-z]+)+")


def path(rule: type[Rule], kind: str, index: int) -> str:
    return f"{rule.code}/{kind}_{index}.py"


INVALID = [
    pytest.param(path(rule, "invalid", index), rule, bad, id=path(rule, "invalid", index))
    for rule in RULES
    for index, bad in enumerate(rule.INVALID)
]
VALID = [
    pytest.param(path(rule, "valid", index), good, id=path(rule, "valid", index))
    for rule in RULES
    for index, good in enumerate(rule.VALID)
]


@pytest.fixture(scope="session")
def findings() -> dict[str, list[Finding]]:
    """The findings of all examples by file: one run, because TensorFlow starts once."""
    files = [SourceFile(param.values[0], param.values[-1].source) for param in INVALID + VALID]
    result = lint(files, Options(show_refuted=True))
    assert result.errors == ()
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        found[finding.site.path].append(finding)
    return found


def described(finding: Finding) -> tuple[str, str, str, str]:
    hazard = finding.evidence.hazard if finding.evidence else "-"
    return finding.code, finding.site.text, str(finding.verdict), str(hazard)


@pytest.mark.parametrize(("name", "rule", "bad"), INVALID)
def test_invalid_example(
    name: str, rule: type[Rule], bad: Bad, findings: dict[str, list[Finding]]
) -> None:
    counted = [
        finding
        for finding in findings[name]
        if Verdict.REFUTED in {bad.verdict} or finding.verdict is not Verdict.REFUTED
    ]
    hazard = str(bad.hazard) if bad.verdict is Verdict.CONFIRMED else "-"
    refuted = [
        (finding.code, finding.site.text, finding.reason)
        for finding in findings[name]
        if finding.verdict is not Verdict.CONFIRMED
    ]
    assert [described(finding) for finding in counted] == [
        (rule.code, bad.at, str(bad.verdict), hazard)
    ], refuted


@pytest.mark.parametrize(("name", "good"), VALID)
def test_valid_example(name: str, good: Good, findings: dict[str, list[Finding]]) -> None:
    counted = [finding for finding in findings[name] if finding.verdict is not Verdict.REFUTED]
    assert [described(finding) for finding in counted] == []


def test_valid_examples_are_silent_without_tensorflow_too() -> None:
    files = [SourceFile(param.values[0], param.values[-1].source) for param in VALID]
    result = lint(files, Options(confirm=False))
    assert [(finding.site.path, described(finding)) for finding in result.findings] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_page_of_a_rule_is_complete(rule: type[Rule]) -> None:
    page = inspect.cleandoc(rule.__doc__ or "")
    summary, *rest = page.splitlines()
    assert summary.endswith(".")
    found = [line[3:] for line in rest if line.startswith("## ")]
    mends = rule.remedies is not Rule.remedies
    assert found == [each for each in HEADINGS if mends or each != "Fix safety"]
    sections = re.split(r"^## .*$", page, flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)
    assert page.count("```python") == 2
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        compile(block, rule.code, "exec")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_code_name_and_hint_are_well_formed(rule: type[Rule]) -> None:
    assert CODE.fullmatch(rule.code)
    assert NAME.fullmatch(rule.name)
    assert re.search(r"\btf\.", rule.hint)
    assert not rule.hint.endswith(".")
    assert set(rule.supersedes) <= {other.code for other in RULES} - {rule.code}
    assert all(any(o.code.startswith(c) for o in RULES) for c in rule.explained_by)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rule_has_examples_that_are_programs(rule: type[Rule]) -> None:
    assert len(rule.INVALID) >= 6
    assert len(rule.VALID) >= 6
    for example in (*rule.INVALID, *rule.VALID):
        compile(example.source, rule.code, "exec")
    for bad in rule.INVALID:
        # Of a parameter, its place in the signature is meant; of an attribute, where it is read.
        name = bad.at.replace(".", "_").isidentifier()
        assert bad.source.count(bad.at) == 1 or name, bad.at


def test_codes_and_names_are_unique() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_messages_are_one_sentence_without_a_full_stop(findings: dict[str, list[Finding]]) -> None:
    for found in findings.values():
        for finding in found:
            assert "\n" not in finding.message
            assert not finding.message.endswith(".")
            assert "`" in finding.message
            assert re.search(r"\btf\.", finding.hint)


def test_families_of_ops_name_rows_of_the_table() -> None:
    common = importlib.import_module("actlint.rules._common")
    families = (
        common.DIVISION,
        common.LOGARITHM,
        common.ROOT,
        common.NORM,
        common.POWER,
        common.INVERSE,
        common.STOP,
        common.INDEX,
        common.DRAW,
        common.HELD,
        common.COMPARISON,
    )
    keys = [key for family in families for key in family]
    assert len(keys) == len(set(keys))
    assert set(keys) <= set(TABLE)


def regions(key: str) -> list[Region]:
    op = TABLE[key]
    bound = Bound(dict.fromkeys(op.operands, TOP), {}, {})
    return [
        region
        for region in op.regions_of(bound)
        if region.cause is not Cause.EMPTY
        # Without a gradient there is none that could be infinite.
        and (region.effect is Effect.POLE or op.gradient is Gradient.FLOWS)
    ]


@pytest.mark.parametrize("key", [key for key in TABLE if regions(key)])
def test_every_singular_op_is_some_rule_s(key: str) -> None:
    builder = Builder()
    op = TABLE[key]
    free = {name: builder.input(f"free_{name}", -3e38, 3e38) for name in op.operands}
    output = builder.op(key, **free)
    view = View(builder.graph(output))
    assert view.hits(output.id)
    assert any(
        suspect.code.startswith("ACT1") for rule in RULES for suspect in rule().suspects(view)
    )
