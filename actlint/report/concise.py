"""One line for each finding, for editors and grep."""

from __future__ import annotations

from actlint.findings import Finding, Result
from actlint.report import Style, full, standing
from actlint.report.words import one_line


def render(result: Result, style: Style) -> str:
    """Return the report."""
    lines = [line(finding) for finding in result.findings]
    if not style.quiet:
        some = standing(result) or result.errors
        lines.append(f"Found {full.tally(result)}." if some else "All clear.")
    return "".join(f"{text}\n" for text in lines)


def line(finding: Finding) -> str:
    """Return ``place:line:column: CODE name: message [verdict]``."""
    span = finding.site.span
    return (
        f"{one_line(finding.site.place)}:{span.line}:{span.column}: {finding.code} "
        f"{finding.name}: {one_line(finding.message)} [{finding.verdict}]"
    )


def statistics(result: Result, style: Style) -> str:
    """Return the number of findings of each rule."""
    return full.statistics(result, style)
