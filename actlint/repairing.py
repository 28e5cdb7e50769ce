"""Proved fixes carried out: in memory first, on disk only when all rounds are over."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, replace

from actlint import editing, source, terminal
from actlint.engine import Options, Progress, lint
from actlint.errors import RunError
from actlint.findings import Edit, Fix, Result, Safety
from actlint.source import SourceFile

# A fix may make room for another one that it overlapped; this often the files are linted again.
_MAX_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Repair:
    """What is left after all fixes, and what they changed."""

    result: Result  # of the mended sources
    before: tuple[SourceFile, ...]  # the files that changed, as they were
    after: tuple[SourceFile, ...]  # the same files, mended
    fixed: int  # findings


def repair(
    files: Sequence[SourceFile], options: Options, unsafe: bool, on_progress: Progress | None
) -> Repair:
    """Lint, apply the fixes, and lint again until there is nothing left to apply.

    Args:
        files: what to lint; nothing is written.
        options: as for lint.
        unsafe: apply unsafe fixes, too.
        on_progress: as for lint.

    Raises:
        WorkerError: the TensorFlow worker cannot be started.
    """
    current = list(files)
    fixed = 0
    result = lint(current, options, on_progress)
    for _ in range(_MAX_ROUNDS):
        texts = {file.path: file.text for file in current}
        chosen = editing.compatible(applicable(result, unsafe), texts)
        if not chosen:
            break
        fixed += len(chosen)
        edits: dict[str, list[Edit]] = {}
        for edit in (edit for fix in chosen for edit in fix.edits):
            edits.setdefault(edit.path, []).append(edit)
        current = [
            replace(file, text=editing.apply(file.text, edits[file.path]))
            if file.path in edits
            else file
            for file in current
        ]
        result = lint(current, options, on_progress)
    changed = [(old, new) for old, new in zip(files, current, strict=True) if old.text != new.text]
    return Repair(result, tuple(old for old, _ in changed), tuple(new for _, new in changed), fixed)


def applicable(result: Result, unsafe: bool) -> list[Fix]:
    """Return the fixes that can be applied to files: of each finding the first, no notebooks."""
    found: list[Fix] = []
    for finding in result.findings:
        fitting = [fix for fix in finding.fixes if unsafe or fix.safety is Safety.SAFE]
        found += [fix for fix in fitting[:1] if all(edit.cell is None for edit in fix.edits)]
    return found


def hidden(result: Result, unsafe: bool) -> int:
    """Return how many findings only unsafe fixes would mend, if those are not asked for."""
    return 0 if unsafe else len(applicable(result, True)) - len(applicable(result, False))


def in_notebooks(result: Result) -> int:
    """Return how many fixes stand in notebooks, which are never written."""
    fixes = (fix for finding in result.findings for fix in finding.fixes)
    return sum(any(edit.cell is not None for edit in fix.edits) for fix in fixes)


def diff(repaired: Repair) -> str:
    """Return the unified diff of all files."""
    pairs = zip(repaired.before, repaired.after, strict=True)
    return "".join(editing.diff(old.path, old.text, new.text) for old, new in pairs)


def write(repaired: Repair, left_out: str | None = None) -> None:
    """Write the mended files, each whole or not at all, in the encoding that it has.

    Args:
        repaired: the files.
        left_out: path of what is no file: standard input.

    Raises:
        RunError: a file changed meanwhile, or cannot be written; no file is written if that can
            be told beforehand.
    """
    encoded = [
        (old.path, _encoded(old, new))
        for old, new in zip(repaired.before, repaired.after, strict=True)
        if old.path != left_out
    ]
    for path, data in encoded:
        terminal.replace_file(path, data)


def _encoded(old: SourceFile, new: SourceFile) -> bytes:
    """Return the bytes of the mended file.

    Raises:
        RunError: the file is not what was linted any more, or may not be written, or its encoding
            would not give back what nobody changed.
    """
    try:
        with open(old.path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise RunError(f"{old.path}: cannot be read again: {error.strerror or error}") from error
    if source.decode(data, old.path).text != old.text:
        raise RunError(f"{old.path}: has changed while it was linted, so no file is fixed")
    if not os.access(old.path, os.W_OK):
        raise RunError(f"{old.path}: may not be written, so no file is fixed")
    return encoded(data, old, new)


def encoded(data: bytes, old: SourceFile, new: SourceFile) -> bytes:
    """Return the bytes of a mended source, in the encoding of the original.

    Args:
        data: what the original was decoded from.
        old: the original.
        new: the mended source.

    Raises:
        RunError: the encoding does not give back what it was decoded from, as some that write the
            same character in several ways.
    """
    # With a byte order mark this is `utf-8-sig`, which writes one again.
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    if old.text.encode(encoding) != data:
        raise RunError(f"{old.path}: {encoding} does not keep it as it is, so no file is fixed")
    return new.text.encode(encoding)
