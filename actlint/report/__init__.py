"""Reports: pure functions from a result to text, one module for each format."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, cast

from actlint.findings import Finding, Result, Verdict

# Spelled out where the stream's encoding lacks the sign.
_PLAIN = str.maketrans({"→": "->", "…": "...", "·": "-", "—": "--", "≥": ">=", "≤": "<="})


class OutputFormat(StrEnum):
    """The formats of ``--output-format``."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class Style:
    """How and with what a report is drawn.

    Attributes:
        sources: text of the files, of notebooks that of the cells, by place; for source lines.
        colour: write ANSI colours.
        width: columns of the terminal, or None if prose is not to be wrapped.
        quiet: findings only, no closing counts.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    colour: bool = False
    width: int | None = None
    quiet: bool = False


class _Format(Protocol):
    def render(self, result: Result, style: Style) -> str: ...

    def statistics(self, result: Result, style: Style) -> str: ...


_MODULES = {
    OutputFormat.FULL: "full",
    OutputFormat.CONCISE: "concise",
    OutputFormat.JSON: "jsonreport",
    OutputFormat.GITHUB: "github",
}


def render(result: Result, form: OutputFormat, style: Style, statistics: bool = False) -> str:
    """Return the report, or with `statistics` the counts by rule; ends in a newline or is ""."""
    module = cast(_Format, importlib.import_module(f"{__name__}.{_MODULES[form]}"))
    return module.statistics(result, style) if statistics else module.render(result, style)


def counted(result: Result) -> int:
    """Return how many findings count for the exit status: all but refuted ones."""
    return len(standing(result))


def standing(result: Result) -> tuple[Finding, ...]:
    """Return the findings that count: confirmed and unconfirmed ones."""
    return tuple(each for each in result.findings if each.verdict is not Verdict.REFUTED)


def encodable(text: str, encoding: str) -> str:
    """Replace what `encoding` lacks: typographic signs by their plain spelling."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
