"""Text edits: applied to a source, and shown as a unified diff."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from actlint.findings import Edit, Fix
from actlint.graph import Span

_ASSIGNED = re.compile(r"\s*(\w+)\s*=")
# Where Python's tokenizer ends a line; the end belongs to the line.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with edits made that do not overlap; inserted lines end as the text's do."""
    for begin, end, content in reversed(_resolved(text, edits)):
        text = text[:begin] + content + text[end:]
    return text


def origin(before: str, after: str, edits: Iterable[Edit], span: Span) -> Span | None:
    """Return which span of the text before the edits a span of the text after them was.

    Of a span that holds a whole edit, it is what held the text that was replaced. What lies
    inside the new text, or crosses its border, was nowhere: None.
    """
    starts = _starts(after)
    begin = starts[span.line - 1] + span.column - 1
    end = starts[span.end_line - 1] + span.end_column - 1
    shift = 0
    first, last = begin, end
    for old_begin, old_end, content in _resolved(before, edits):
        new_begin, new_end = old_begin + shift, old_begin + shift + len(content)
        change = old_end - old_begin - len(content)
        shift -= change
        if end <= new_begin:
            break
        if begin >= new_end:
            first, last = first + change, last + change
        elif begin <= new_begin and end >= new_end and (begin, end) != (new_begin, new_end):
            last += change
        else:
            return None
    return Span(*_position(before, first), *_position(before, last))


def compatible(fixes: Iterable[Fix], texts: Mapping[str, str]) -> list[Fix]:
    """Return the fixes that can be made in one go: of those that overlap, the first.

    Equal edits, such as the same import, do not stand in each other's way. A fix that takes an
    assignment away overlaps with one that writes the variable's name.

    Args:
        fixes: in the order of findings.
        texts: the files, by path.
    """
    taken: set[Edit] = set()
    chosen: list[Fix] = []
    for fix in fixes:
        fresh = [edit for edit in fix.edits if edit not in taken]
        clash = any(
            overlap(edit, other) or _needs(edit, other, texts) or _needs(other, edit, texts)
            for edit in fresh
            for other in taken
        )
        if not clash:
            taken.update(fresh)
            chosen.append(fix)
    return chosen


def _needs(edit: Edit, removal: Edit, texts: Mapping[str, str]) -> bool:
    """Tell whether an edit writes the name of a variable whose assignment another one removes."""
    text = texts.get(removal.path)
    if removal.content or text is None or edit.path != removal.path:
        return False
    first, last = (
        _starts(text)[line - 1] + column - 1
        for line, column in (
            (removal.span.line, removal.span.column),
            (removal.span.end_line, removal.span.end_column),
        )
    )
    name = _ASSIGNED.match(text[first:last])
    return name is not None and re.search(rf"\b{name[1]}\b", edit.content) is not None


def overlap(edit: Edit, other: Edit) -> bool:
    """Tell whether two edits touch the same text."""
    if edit.path != other.path or edit.cell != other.cell:
        return False
    first, second = sorted((edit.span, other.span), key=_order)
    return (first.end_line, first.end_column) > (second.line, second.column) or first == second


def diff(path: str, before: str, after: str) -> str:
    """Return a unified diff, as ``git diff`` prints it but for its heading; "" if nothing changed.

    Line endings stand for themselves, so that ``patch`` takes the diff.
    """
    if before == after:
        return ""
    rows: list[str] = []
    for row in difflib.unified_diff(_rows(before), _rows(after), path, path):
        ended = row.endswith(("\n", "\r"))
        rows.append(row if ended else f"{row}\n\\ No newline at end of file\n")
    return "".join(rows)


def _rows(text: str) -> list[str]:
    return [row for row in _LINE.findall(text) if row]


def changed_lines(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Return the lines that differ, marked "-" or "+", in the order of a diff."""
    rows = difflib.ndiff(before.splitlines(), after.splitlines())
    return tuple((row[0], row[2:]) for row in rows if row[:2] in {"- ", "+ "})


def _order(span: Span) -> tuple[int, int, int, int]:
    return span.line, span.column, span.end_line, span.end_column


def _resolved(text: str, edits: Iterable[Edit]) -> list[tuple[int, int, str]]:
    """Return edits as offsets and text, in order, each once."""
    starts = _starts(text)
    newline = _newline(text)
    return [
        (
            starts[edit.span.line - 1] + edit.span.column - 1,
            starts[edit.span.end_line - 1] + edit.span.end_column - 1,
            edit.content.replace("\n", newline),
        )
        for edit in sorted(set(edits), key=lambda edit: _order(edit.span))
    ]


def _position(text: str, offset: int) -> tuple[int, int]:
    starts = _starts(text)
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


def _starts(text: str) -> list[int]:
    found = [0]
    found += [match.end() for match in re.finditer(r"\r\n|\r|\n", text)]
    return found


def _newline(text: str) -> str:
    match = re.search(r"\r\n|\r|\n", text)
    return "\n" if match is None else match.group()
