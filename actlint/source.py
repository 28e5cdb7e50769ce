"""Bytes of a file to text, decoded as Python itself decodes source; notebooks to one module."""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from bisect import bisect_right
from dataclasses import dataclass, replace

from actlint import notebook
from actlint.findings import FileError
from actlint.graph import place

# How the message on text that is no Python begins.
SYNTAX = "syntax error"
# Longest file that is read, in bytes; beyond it lies generated data, not a model.
LIMIT = 64 * 2**20

_LINE_END = re.compile("\r\n|\r|\n")
_CODEC_REASON = re.compile(r"\s*for '.*'$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell of a notebook as a part of its module."""

    number: int  # among all cells of the notebook, from 1
    first: int  # line of the module that is the cell's line 1
    text: str  # as the notebook holds it


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to lint.

    Attributes:
        path: relative to the working directory, forward slashes; may be a made-up name.
        text: the decoded source with its line endings kept, "" if `error` is given; of a notebook
            its code cells in order, without magics and without the cells that are no Python.
        error: why there is no text, or None.
        ignored: codes that configuration does not look for in this file.
        cells: of a notebook, its code cells in order.
        broken: of a notebook, the cells that are no Python, which `text` lacks.
    """

    path: str
    text: str
    error: FileError | None = None
    ignored: frozenset[str] = frozenset()
    cells: tuple[Cell, ...] = ()
    broken: tuple[FileError, ...] = ()

    def cell(self, line: int) -> Cell | None:
        """Return the cell that holds `line` of `text`; None if this is no notebook."""
        after = bisect_right(self.cells, line, key=lambda cell: cell.first)
        return self.cells[max(0, after - 1)] if self.cells else None

    def shown(self) -> dict[str, str]:
        """Return the text that reports quote, by place: the file, or each cell of a notebook."""
        if not self.cells:
            return {self.path: self.text}
        return {place(self.path, cell.number): cell.text for cell in self.cells}


def lines(text: str) -> list[str]:
    """Split `text` where Python's tokenizer does, so that line numbers agree with it.

    ``str.splitlines`` would also split at form feeds and Unicode separators.
    """
    return _LINE_END.split(text)


def read(filename: str, path: str, ignored: frozenset[str] = frozenset()) -> SourceFile:
    """Read the file `filename`; `path` is the name that reports show."""
    try:
        with open(filename, "rb") as stream:
            data = stream.read(LIMIT + 1)
    except OSError as error:
        return _failed(path, 1, f"cannot be read: {error.strerror or error}", ignored)
    return decode(data, path, ignored)


def decode(data: bytes, path: str, ignored: frozenset[str] = frozenset()) -> SourceFile:
    """Decode source as Python does: byte order mark, PEP 263 encoding line, else UTF-8.

    What is called ``.ipynb`` is read as a notebook.
    """
    if len(data) > LIMIT:
        return _failed(path, 1, f"larger than {LIMIT // 2**20} MB: not linted", ignored)
    if path.endswith(notebook.SUFFIX):
        return _notebook(data, path, ignored)
    null = data.find(b"\0")
    if null >= 0:
        message = "contains a null byte, so it is not Python source in an encoding Python reads"
        return _failed(path, _line(data, null), message, ignored)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if "unknown encoding" in str(error):
            name = str(error).rpartition(":")[2].strip()
            message = f"the encoding line names `{name}`, which Python does not know"
            return _failed(path, _encoding_line(data), message, ignored)
        if data.startswith(codecs.BOM_UTF8) and "encoding problem" in str(error):
            message = "has a UTF-8 byte order mark, but its encoding line says otherwise"
            return _failed(path, _encoding_line(data), message, ignored)
        encoding = "utf-8"  # the first two lines are not UTF-8; decoding below finds the place
    try:
        return SourceFile(path, data.decode(encoding), None, ignored)
    except UnicodeDecodeError as error:
        byte = data[error.start]
        message = f"is not {_named(encoding)}: byte 0x{byte:02x} cannot be decoded"
        if encoding == "utf-8":
            message += "; save it as UTF-8 or name its encoding in the first line"
        return _failed(path, _line(data, error.start), message, ignored)
    except (LookupError, ValueError) as error:
        # Codecs that are no text encodings (rot13, hex) or that refuse the text as a whole.
        reason = _CODEC_REASON.sub("", str(error)).partition(";")[0]
        message = f"cannot be decoded as {_named(encoding)}: {reason}"
        return _failed(path, _encoding_line(data), message, ignored)


def _notebook(data: bytes, path: str, ignored: frozenset[str]) -> SourceFile:
    """Put the code cells of a notebook together to one module."""
    found = notebook.code_cells(data)
    if isinstance(found, notebook.Malformed):
        return _failed(path, found.line, found.message, ignored)
    cells: list[Cell] = []
    rows: list[str] = []
    broken: list[FileError] = []
    for given in found:
        cells.append(Cell(given.number, len(rows) + 1, given.text))
        own = lines(given.text)
        if isinstance(parse(path, "\n".join(own)), FileError):
            own = notebook.without_magics(own)
            flaw = parse(path, "\n".join(own))
            if isinstance(flaw, FileError):
                broken.append(replace(flaw, cell=given.number))
                own = [""] * len(own)
        rows += own
    return SourceFile(path, "\n".join(rows), None, ignored, tuple(cells), tuple(broken))


def parse(path: str, text: str) -> ast.Module | FileError:
    """Parse Python source; what is none becomes an error with its line and a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in a user's file are not our business
            return ast.parse(text)
    except SyntaxError as error:
        line = error.lineno or 1
        nested = "too many nested" in str(error)
        hint = None if nested else python2_hint(text, line)
        message = f"{SYNTAX}: {error.msg}"
        return FileError(path, line, message if hint is None else f"{message}; {hint}")
    except (RecursionError, MemoryError):
        return FileError(path, 1, "an expression is nested too deeply to be parsed")
    except ValueError as error:
        return FileError(path, 1, f"not Python source: {error}")


def _failed(path: str, line: int, message: str, ignored: frozenset[str]) -> SourceFile:
    return SourceFile(path, "", FileError(path, line, message), ignored)


def _named(encoding: str) -> str:
    return "UTF-8" if encoding in {"utf-8", "utf-8-sig"} else f"`{encoding}`"


def _line(data: bytes, offset: int) -> int:
    """Return the line of byte `offset`, counted from 1."""
    before = data[:offset]
    return before.count(b"\n") + before.replace(b"\r\n", b"").count(b"\r") + 1


def _encoding_line(data: bytes) -> int:
    first, _, _ = data.partition(b"\n")
    return 1 if b"coding" in first else 2


# Statements that Python 2 accepts and Python 3 does not, with their name in words.
_PYTHON2 = (
    (re.compile(r"^\s*(?:.*[:;]\s*)?print\s+(?!=)[^\s=(.,:)\]]"), "`print` without parentheses"),
    (re.compile(r"^\s*(?:.*[:;]\s*)?print\s*>>"), "`print >>file`"),
    (re.compile(r"^\s*except\s+[\w.]+\s*,\s*\w+\s*:"), "`except Error, name:`"),
    (re.compile(r"^\s*except\s*\(.*\)\s*,\s*\w+\s*:"), "`except Error, name:`"),
    (re.compile(r"^\s*raise\s+[\w.]+\s*,"), "`raise Error, message`"),
    (re.compile(r"^\s*exec\s+['\"\w]"), "`exec` without parentheses"),
    (re.compile(r"`[^`]+`"), "backticks for `repr`"),
    (re.compile(r"<>"), "the operator `<>`"),
    (re.compile(r"\b\d+[lL]\b"), "a long integer such as `10L`"),
    (re.compile(r"(?<![\w.])0[0-7]*[1-7][0-7]*\b(?!\.)"), "an octal number such as `0777`"),
    (re.compile(r"\b[uU][rR]['\"]"), "a `ur` string"),
    (re.compile(r"^\s*def\s+\w+\s*\(.*[(,]\s*\("), "a tuple as a parameter"),
    (re.compile(r"\blambda\s*\("), "a tuple as a parameter"),
)


def python2_hint(text: str, line: int) -> str | None:
    """Return one sentence if the syntax error on `line` (from 1) looks like Python 2."""
    every = lines(text)
    if not 1 <= line <= len(every):
        return None
    for pattern, words in _PYTHON2:
        if pattern.search(every[line - 1]):
            return f"this looks like Python 2 ({words}); actlint reads Python 3 only"
    return None
