"""The report for programs: one object of strict JSON, as CONTRACT.md describes it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from typing import Any

from actlint.findings import Evidence, FileError, Finding, Fix, Result
from actlint.graph import Site
from actlint.report import Style, standing
from actlint.version import VERSION

SCHEMA = 1


def render(result: Result, style: Style) -> str:  # noqa: ARG001 - signature of every format
    """Return the report; ASCII only, so that it is valid in every encoding of the stream."""
    return dump(
        {
            "schema": SCHEMA,
            "tool": {"name": "actlint", "version": VERSION},
            "run": dataclasses.asdict(result.run),
            "findings": [_finding(finding) for finding in result.findings],
            "errors": [_error(error) for error in result.errors],
            "summary": dataclasses.asdict(result.summary),
        }
    )


def statistics(result: Result, style: Style) -> str:  # noqa: ARG001 - signature of every format
    """Return the number of findings of each rule, most frequent first."""
    counts = Counter((finding.code, finding.name) for finding in standing(result))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dump(
        {
            "schema": SCHEMA,
            "statistics": [
                {"code": code, "name": name, "count": count} for (code, name), count in ordered
            ],
        }
    )


def dump(value: Any) -> str:
    """Return `value` as strict JSON with a newline at the end; nan and inf become strings."""
    return json.dumps(_strict(value), indent=2, allow_nan=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    span = finding.site.span
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "path": finding.site.path,
        "cell": finding.site.cell,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "function": finding.function,
        "role": finding.role,
        "message": finding.message,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "evidence": None if finding.evidence is None else _evidence(finding.evidence, finding),
        "hint": finding.hint,
        "trail": [_site(site) for site in finding.trail],
        "fixes": [_fix(fix) for fix in finding.fixes],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "title": fix.title,
        "safety": fix.safety,
        "reason": fix.reason,
        "edits": [
            {
                "path": edit.path,
                "cell": edit.cell,
                **dataclasses.asdict(edit.span),
                "content": edit.content,
            }
            for edit in fix.edits
        ],
        "proof": dataclasses.asdict(fix.proof),
    }


def _evidence(evidence: Evidence, finding: Finding) -> dict[str, Any]:
    return {**dataclasses.asdict(evidence), "repro": finding.repro}


def _site(site: Site) -> dict[str, Any]:
    return {
        "path": site.path,
        "cell": site.cell,
        **dataclasses.asdict(site.span),
        "text": site.text,
    }


def _error(error: FileError) -> dict[str, Any]:
    return {
        "path": error.path,
        "cell": error.cell,
        "line": error.line,
        "message": error.message,
    }


def _strict(value: Any) -> Any:
    """Return `value` with the numbers that JSON lacks as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
