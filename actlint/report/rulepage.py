"""What ``actlint rule`` shows: the list of rules, and the page of one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from actlint.catalogue import documentation, summary
from actlint.query import Rule, Verdict
from actlint.report import Style
from actlint.report.jsonreport import SCHEMA, dump


def listing(catalogue: Sequence[type[Rule]], style: Style) -> str:
    """Return one line for each rule: code, name, summary."""
    if style.width is not None:
        return _table(catalogue, style, style.width)
    wide = max((len(rule.name) for rule in catalogue), default=0)
    return "".join(f"{rule.code}  {rule.name:<{wide}}  {summary(rule)}\n" for rule in catalogue)


def page(rule: type[Rule], style: Style) -> str:
    """Return the page of `rule`: Markdown, drawn if a terminal shows it."""
    text = _markdown(rule)
    if style.width is None:
        return text
    return _drawn(Markdown(text, code_theme="ansi_dark"), style, min(style.width, 100))


def as_json(catalogue: Sequence[type[Rule]]) -> str:
    """Return everything about the rules as JSON."""
    return dump({"schema": SCHEMA, "rules": [_record(rule) for rule in catalogue]})


def _markdown(rule: type[Rule]) -> str:
    parts = [f"# {rule.code} {rule.name}", documentation(rule), "## Hint", rule.hint]
    if rule.INVALID:
        parts.append("## Reported")
    for bad in rule.INVALID:
        note = f": {bad.note}" if bad.note else ""
        judged = "" if bad.verdict is Verdict.CONFIRMED else f", {bad.verdict}"
        parts += [f"`{bad.at}` ({bad.hazard}{judged}){note}", _fenced(bad.source)]
    if rule.VALID:
        parts.append("## Not reported")
    for good in rule.VALID:
        parts += [part for part in (good.note, _fenced(good.source)) if part]
    return "\n\n".join(parts) + "\n"


def _fenced(source: str) -> str:
    return f"```python\n{source.strip()}\n```"


def _record(rule: type[Rule]) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "summary": summary(rule),
        "hint": rule.hint,
        "documentation": documentation(rule),
        "supersedes": list(rule.supersedes),
        "invalid": [
            {
                "source": bad.source,
                "at": bad.at,
                "hazard": bad.hazard,
                "verdict": bad.verdict,
                "note": bad.note,
            }
            for bad in rule.INVALID
        ],
        "valid": [{"source": good.source, "note": good.note} for good in rule.VALID],
    }


def _table(catalogue: Sequence[type[Rule]], style: Style, width: int) -> str:
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column()
    for rule in catalogue:
        table.add_row(Text(rule.code, "bold"), Text(rule.name, "cyan"), Text(summary(rule)))
    return _drawn(table, style, width)


def _drawn(renderable: Any, style: Style, width: int) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=style.colour,
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
