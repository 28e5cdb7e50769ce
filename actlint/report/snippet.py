"""The source line of a finding with its expression underlined."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

from actlint.graph import Span
from actlint.report.words import printable
from actlint.source import lines

_TAB = "    "


@dataclass(frozen=True, slots=True)
class Snippet:
    """One line of source in three parts, already fit for a terminal; columns are cells."""

    before: str
    marked: str
    after: str
    more: bool  # the expression goes on in the following lines

    @property
    def line(self) -> str:
        """The whole line."""
        return f"{self.before}{self.marked}{self.after}".rstrip()

    @property
    def underline(self) -> str:
        """Carets under the marked part."""
        return " " * cell_len(self.before) + "^" * max(1, cell_len(self.marked))


def snippet(text: str, span: Span, width: int) -> Snippet | None:
    """Return the first line of `span`, cut to `width` cells around it; None if there is none.

    Tabs become four spaces, control characters escapes.
    """
    every = lines(text)
    if not 1 <= span.line <= len(every):
        return None
    line = every[span.line - 1]
    start = min(span.column - 1, len(line))
    more = span.end_line > span.line
    end = len(line) if more else min(span.end_column - 1, len(line))
    before, marked, after = line[:start], line[start : max(start, end)], line[max(start, end) :]
    if more:
        marked, after = marked.rstrip(), ""
    return _cut(Snippet(_cells(before), _cells(marked), _cells(after), more), max(width, 20))


def _cells(text: str) -> str:
    return printable(text).replace("\t", _TAB)


def _cut(whole: Snippet, width: int) -> Snippet:
    if cell_len(whole.line) <= width:
        return whole
    room = width - cell_len(whole.marked)
    if room < 8:
        # The expression alone is too long: a little of what stands before it, and its beginning.
        before = _last(whole.before, 4)
        marked = _first(whole.marked, width - cell_len(before))
        after = "" if marked != whole.marked else _first(whole.after, 4)
        return Snippet(before, marked, after, whole.more)
    left = min(cell_len(whole.before), max(room // 2, room - cell_len(whole.after)))
    before = _last(whole.before, left)
    after = _first(whole.after, room - cell_len(before))
    return Snippet(before, whole.marked, after, whole.more)


def _first(text: str, width: int) -> str:
    """Return the beginning of `text` in at most `width` cells, with … if something is cut."""
    if cell_len(text) <= width:
        return text
    kept, used = 0, 0
    while kept < len(text) and used + cell_len(text[kept]) < width:
        used += cell_len(text[kept])
        kept += 1
    return text[:kept] + "…"


def _last(text: str, width: int) -> str:
    """Return the end of `text` in at most `width` cells, with … if something is cut."""
    if cell_len(text) <= width:
        return text
    kept, used = len(text), 0
    while kept > 0 and used + cell_len(text[kept - 1]) < width:
        used += cell_len(text[kept - 1])
        kept -= 1
    return "…" + text[kept:]
