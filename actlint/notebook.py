"""Jupyter notebooks: their code cells, and cells as Python without IPython's own syntax.

The format is nbformat 2 to 4: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SUFFIX = ".ipynb"

# Cell magics whose cell is Python code run in the notebook's own namespace.
_WRAPPERS = frozenset({"capture", "prun", "time", "timeit"})

# No Python statement starts with these; IPython takes the line for a command.
_ESCAPES = ("%", "!", "?", "/", ",", ";")

_CELL_MAGIC = re.compile(r"%%(\w*)")
# `files = !ls`, `here = %pwd`. Quotes are left out: `"rate=%d" % rate` is Python.
_ASSIGNED = re.compile(r"""([^=!%#'"]+=\s*)[!%](?!=)""")
_TOKEN = re.compile(r"""(?P<comment>\#)|(?P<quote>\"{3}|'{3}|"|')|(?P<open>[(\[{])|[)\]}]""")
_STRING_END = {
    quote: re.compile(rf"(?:\\.|[^\\])*?{quote}", re.DOTALL) for quote in ('"""', "'''", '"', "'")
}


@dataclass(frozen=True, slots=True)
class CodeCell:
    """One cell of Python code as the notebook holds it."""

    number: int  # among all cells, from 1
    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a file is no notebook."""

    line: int  # of the file, from 1
    message: str


def code_cells(data: bytes) -> tuple[CodeCell, ...] | Malformed:
    """Return the Python cells of a notebook in order; none if its kernel runs another language."""
    try:
        document = json.loads(data)
    except json.JSONDecodeError as error:
        return Malformed(error.lineno, f"is no notebook: not valid JSON ({error.msg})")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Malformed(line, "is no notebook: neither UTF-8 nor UTF-16 nor UTF-32")
    except RecursionError:
        return Malformed(1, "is no notebook: its JSON is nested too deeply")
    except ValueError as error:  # a number of more digits than Python converts
        return Malformed(1, f"is no notebook: {error}")
    cells = _cells(document)
    if cells is None:
        return Malformed(1, "is no notebook: it has no list of `cells`")
    metadata = _object(document, "metadata")
    kernel = (_object(metadata, "language_info").get("name"),
              _object(metadata, "kernelspec").get("language"))  # fmt: skip
    if not _python(*kernel):
        return ()
    found: list[CodeCell] = []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        editor = _object(_object(cell, "metadata"), "vscode")
        if not _python(cell.get("language"), editor.get("languageId")):
            continue
        text = _text(cell.get("source", cell.get("input", "")))
        if text is None:
            return Malformed(1, f"is no notebook: the source of cell {number} is no text")
        found.append(CodeCell(number, text))
    return tuple(found)


def _cells(document: Any) -> list[Any] | None:
    """Return all cells of nbformat 4, or of the worksheets that nbformat 2 and 3 have."""
    if not isinstance(document, dict):
        return None
    sheets = document.get("worksheets")
    if "cells" in document or not isinstance(sheets, list):
        cells = document.get("cells")
        return cells if isinstance(cells, list) else None
    listed = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in listed if isinstance(cells, list) for cell in cells]


def _object(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _python(*languages: Any) -> bool:
    """Tell whether one of the languages that are named is Python, or none is named."""
    named = [language.lower() for language in languages if isinstance(language, str) and language]
    return not named or any(name.startswith(("python", "ipython")) for name in named)


def _text(source: Any) -> str | None:
    if isinstance(source, str):
        return source
    if isinstance(source, list) and all(isinstance(part, str) for part in source):
        return "".join(source)
    return None


def without_magics(rows: Sequence[str]) -> list[str]:
    """Return the lines of a cell with IPython's commands replaced by ``pass`` or ``None``.

    Lines and columns of everything else stay what they are. A cell that a cell magic hands to
    something else than the notebook's Python becomes empty lines.
    """
    given = list(rows)
    for at, row in enumerate(given):
        magic = _CELL_MAGIC.match(row)
        if magic is not None and magic[1] in _WRAPPERS:
            given[at] = ""
        elif magic is not None:
            return [""] * len(given)
        elif row.strip() and not row.lstrip().startswith("#"):
            break
    return list(_plain(given))


def _plain(rows: Sequence[str]) -> Iterator[str]:
    depth, quote, goes_on = 0, "", False  # open brackets, open string, backslash at the end
    command = False  # the line belongs to a command that a backslash continued
    for row in rows:
        if command:
            command = row.endswith("\\")
            yield ""
            continue
        starts = not (depth or quote or goes_on)
        after = _scanned(row, depth, quote)
        replaced = _replaced(row, after.code) if starts else None
        if replaced is not None:
            command = row.endswith("\\")
            yield replaced
            continue
        depth, quote = after.depth, after.quote
        goes_on = not quote and after.code.endswith("\\")
        yield row


def _replaced(row: str, code: str) -> str | None:
    """Return what stands for a command of IPython's; None if the line is none."""
    body = row.lstrip()
    if body.startswith(_ESCAPES) or code.rstrip().endswith("?"):
        return row[: len(row) - len(body)] + "pass"
    assigned = _ASSIGNED.match(row)
    return None if assigned is None else f"{assigned[1]}None"


@dataclass(frozen=True, slots=True)
class _Scanned:
    """Where a line leaves Python's tokenizer."""

    depth: int
    quote: str  # of the string that is still open, or ""
    code: str  # the line without its comment


def _scanned(row: str, depth: int, quote: str) -> _Scanned:
    at = 0
    while True:
        if quote:
            end = _STRING_END[quote].match(row, at)
            if end is None:
                still = len(quote) == 3 or row.endswith("\\")
                return _Scanned(depth, quote if still else "", row)
            at, quote = end.end(), ""
        token = _TOKEN.search(row, at)
        if token is None:
            return _Scanned(depth, "", row)
        at = token.end()
        if token["comment"]:
            return _Scanned(depth, "", row[: token.start()])
        if token["quote"]:
            quote = token["quote"]
        else:
            depth = max(0, depth + (1 if token["open"] else -1))
