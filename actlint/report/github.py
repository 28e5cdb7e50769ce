"""Workflow commands that GitHub Actions shows as annotations on the lines of a pull request."""

from __future__ import annotations

from actlint.findings import FileError, Finding, Result, Severity, Verdict
from actlint.report import Style, full
from actlint.report.words import one_line, repair, verdict

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}

# Lines of a cell are not those of the notebook's file: as with ruff, the message has the place.
_NOTEBOOK = dict.fromkeys(("line", "col", "endLine", "endColumn"), "1")


def render(result: Result, style: Style) -> str:  # noqa: ARG001 - signature of every format
    """Return one command for each finding, then one for each file that was not linted."""
    commands = [_finding(finding) for finding in result.findings]
    commands += [_error(error) for error in result.errors]
    return "".join(f"{command}\n" for command in commands)


def statistics(result: Result, style: Style) -> str:
    """Return the number of findings of each rule."""
    return full.statistics(result, style)


def _finding(finding: Finding) -> str:
    span = finding.site.span
    level = _COMMANDS[finding.severity] if finding.verdict is not Verdict.REFUTED else "notice"
    properties = {
        "file": finding.site.path,
        "line": str(span.line),
        "col": str(span.column),
        "endLine": str(span.end_line),
        "endColumn": str(span.end_column),
        "title": f"{finding.code} {finding.name}",
    }
    message = one_line(finding.message)
    if finding.site.cell is not None:
        properties |= _NOTEBOOK
        message = f"{one_line(finding.site.place)}:{span.line}:{span.column}: {message}"
    parts = [message, verdict(finding)]
    if finding.hint:
        parts.append(repair(finding.hint))
    return _command(level, properties, "\n".join(parts))


def _error(error: FileError) -> str:
    properties = {"file": error.path, "line": str(error.line), "title": "actlint"}
    message = one_line(error.message)
    if error.cell is not None:
        properties["line"] = "1"
        message = f"{one_line(error.place)}:{error.line}: {message}"
    return _command("error", properties, message)


def _command(level: str, properties: dict[str, str], message: str) -> str:
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {listed}::{_data(message)}"


def _data(text: str) -> str:
    """Escape a message; the percent sign first, because the others introduce it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
