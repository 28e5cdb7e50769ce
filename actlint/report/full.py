"""The report for people: source line, cause, proof and repair of each finding."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from actlint.editing import apply, changed_lines
from actlint.findings import Finding, Fix, Result, Safety, Severity, Verdict
from actlint.report import Style, standing
from actlint.report.snippet import snippet
from actlint.report.words import one_line, plural, printable, proof, reach, repair, trail, verdict

# Columns of a source line where no terminal says how wide it is.
_WIDTH = 120

# Said after the counts where something was proved.
_PROGRAMS = (
    "The JSON report (`--output-format json`) holds, for each proof, a program that shows it again"
)

_SEVERITY = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold bright_blue",
}
_DIFF = {"-": "red", "+": "green"}
# Plain blue cannot be read on a black ground.
_GUTTER = "bright_blue"
_VERDICT = {Verdict.CONFIRMED: "red", Verdict.UNCONFIRMED: "yellow", Verdict.REFUTED: "green"}


def render(result: Result, style: Style) -> str:
    """Return the report."""
    lines: list[Text] = []
    for finding in result.findings:
        lines.extend(_finding(finding, style))
        lines.append(Text())
    if not style.quiet:
        lines.extend(_closing(result))
    return _drawn(lines, style.colour)


def statistics(result: Result, style: Style) -> str:
    """Return the number of findings of each rule, most frequent first."""
    return _drawn(list(_counts(result)), style.colour)


def _drawn(lines: list[Text], colour: bool) -> str:
    if not colour:
        return "".join(line.plain.rstrip() + "\n" for line in lines)
    from rich.console import Console  # noqa: PLC0415 - plain reports do without

    # The console only translates styles to ANSI codes; it neither wraps nor guesses.
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    with console.capture() as capture:
        for line in lines:
            console.print(line, soft_wrap=True)
    return capture.get()


def _finding(finding: Finding, style: Style) -> Iterator[Text]:
    yield from _heading(finding, style.width)
    yield from _source(finding, style)
    yield from _prose("", finding.message, style)
    yield from _prose("", verdict(finding), style, _VERDICT[finding.verdict])
    if finding.evidence is not None:
        yield from _prose("reach: ", reach(finding.evidence), style)
    if finding.trail:
        yield from _prose("reached from ", trail(finding.trail), style)
    if finding.hint:
        yield from _prose("", repair(finding.hint), style, "cyan")
    for fix in finding.fixes:
        yield from _fix(fix, style)


def _fix(fix: Fix, style: Style) -> Iterator[Text]:
    """Yield what a fix does, what it was proved by, and the lines that it changes."""
    yield from _prose(f"{fix.safety} fix: ", f"{fix.title}: {fix.reason}", style, "green")
    yield from _prose("proved: ", proof(fix), style)
    for place in dict.fromkeys(edit.place for edit in fix.edits):
        text = style.sources.get(place)
        if text is None:
            continue
        mended = apply(text, (edit for edit in fix.edits if edit.place == place))
        changed = changed_lines(text, mended)
        margin = min((len(row) - len(row.lstrip()) for _, row in changed if row.strip()), default=0)
        for mark, row in changed:
            shown = printable(row[margin:].rstrip())
            yield Text.assemble("    ", (f"{mark} {shown}", _DIFF[mark]))


def _heading(finding: Finding, width: int | None) -> Iterator[Text]:
    """Yield where and what, on one line if a terminal's width does not break it."""
    span, colour = finding.site.span, _SEVERITY[finding.severity]
    place = (f"{one_line(finding.site.place)}:{span.line}:{span.column}", "bold")
    line = Text.assemble(place, ": ", (finding.code, colour), f" {finding.name}:")
    for piece in (
        Text.assemble((finding.severity, colour), ","),
        Text.assemble((finding.verdict, _VERDICT[finding.verdict]), ","),
        Text.assemble(f"in {finding.role} ", (one_line(finding.function), "bold")),
    ):
        if width is not None and line.cell_len + 1 + piece.cell_len > width:
            yield line
            line = Text("   ")
        line = Text.assemble(line, " ", piece)
    yield line


def _source(finding: Finding, style: Style) -> Iterator[Text]:
    span = finding.site.span
    gutter = len(str(span.line))
    text = style.sources.get(finding.site.place)
    found = text and snippet(text, span, (style.width or _WIDTH) - gutter - 4)
    if not found:
        return
    empty = (f" {'':{gutter}} |", _GUTTER)
    yield Text.assemble(empty)
    yield Text.assemble(
        (f" {span.line} |", _GUTTER), f" {found.before}", (found.marked, "bold"), found.after
    )
    yield Text.assemble(empty, " ", (found.underline, _SEVERITY[finding.severity]))
    if found.more:
        yield Text.assemble(empty, " …")


def _prose(label: str, sentence: str, style: Style, colour: str = "") -> Iterator[Text]:
    """Yield a sentence, indented, wrapped only to the width of a terminal.

    The colour is for what it begins with, up to a colon: whole paragraphs in colour read badly.
    """
    words = f"{label}{one_line(sentence)}"
    wrapped = [f"  {words}"]
    if style.width is not None:
        wrapped = textwrap.wrap(
            words,
            max(style.width, 40),
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    for at, line in enumerate(wrapped):
        begins = 0 if at else len(line.partition(":")[0]) + 1
        yield Text.assemble((line[:begins], colour), line[begins:])


def _closing(result: Result) -> Iterator[Text]:
    summary = result.summary
    looked = f"{plural(summary.files, 'file')}, {plural(summary.functions, 'function')}"
    if summary.skipped:
        looked += f" ({summary.skipped} more left out as too large)"
    proof = "static analysis only"
    if result.run.confirm:
        proof = f"{plural(summary.refuted, 'suspect')} refuted"
    if not standing(result) and not result.errors:
        yield Text(f"All clear: {looked}, {proof}", style="green")
        return
    yield from _counts(result)
    if result.findings:
        yield Text()
    errors = f"; {plural(len(result.errors), 'error')} (see standard error)"
    yield Text(
        f"Found {tally(result)} in {looked}; {proof}{errors if result.errors else ''}", style="bold"
    )
    yield from _fixable(result)
    if any(finding.repro for finding in result.findings):
        yield Text(_PROGRAMS)


def _fixable(result: Result) -> Iterator[Text]:
    """Yield how many findings the command line can mend; notebooks it does not write."""
    firsts = [
        finding.fixes[0]
        for finding in result.findings
        if finding.fixes and all(edit.cell is None for edit in finding.fixes[0].edits)
    ]
    safe = sum(fix.safety is Safety.SAFE for fix in firsts)
    if safe:
        yield Text(f"{safe} fixable with `--fix`")
    if len(firsts) > safe:
        unsafe = len(firsts) - safe
        enabled = "can be fixed with `--fix --unsafe-fixes`"
        yield Text(f"{unsafe} more {enabled}" if safe else f"{unsafe} {enabled}")


def tally(result: Result) -> str:
    """Return how many findings count: ``3 findings (2 confirmed, 1 unconfirmed)``."""
    findings = standing(result)
    verdicts = Counter(finding.verdict for finding in findings)
    split = ", ".join(f"{verdicts[each]} {each}" for each in Verdict if verdicts[each])
    return plural(len(findings), "finding") + (f" ({split})" if split else "")


def _counts(result: Result) -> Iterator[Text]:
    """Yield one line for each rule: count, code, name and the verdicts; refuted ones count 0."""
    rules = Counter(dict.fromkeys(((each.code, each.name) for each in result.findings), 0))
    rules.update((each.code, each.name) for each in standing(result))
    verdicts = Counter((finding.code, finding.verdict) for finding in result.findings)
    wide = max((len(name) for _, name in rules), default=0)
    digits = max((len(str(count)) for count in rules.values()), default=0)
    for (code, name), count in sorted(rules.items(), key=lambda item: (-item[1], item[0])):
        split = ", ".join(
            f"{verdicts[code, each]} {each}" for each in Verdict if verdicts[code, each]
        )
        yield Text.assemble((f"{count:>{digits}}", "bold"), f"  {code}  {name:<{wide}}  {split}")
