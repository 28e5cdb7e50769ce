"""The command `check`: from a request to a written report and an exit status."""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import platformdirs

from actlint import catalogue, repairing, source, terminal
from actlint.cache import Cache
from actlint.catalogue import Layer
from actlint.config import Config, common_folder, load
from actlint.defaults import SAMPLES, SEED, TIMEOUT
from actlint.engine import Options, lint
from actlint.errors import RunError
from actlint.files import discover, patterns, shown
from actlint.findings import FileError, Severity
from actlint.pool import usual_workers
from actlint.progress import progress
from actlint.query import Rule
from actlint.repairing import Repair, repair
from actlint.report import OutputFormat, counted, render
from actlint.report.words import plural
from actlint.source import SourceFile

# The path that means standard input.
STDIN = "-"

# New objects after which the garbage collector runs; CPython's own 700 cost a fifth of the time.
_GC_THRESHOLD = 100_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of `check`; None where it says nothing."""

    paths: tuple[str, ...]
    confirm: bool
    output_format: OutputFormat
    output_file: str | None
    select: tuple[str, ...] | None
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    require_confirmed: bool | None
    min_severity: Severity | None
    show_refuted: bool
    seed: int | None
    samples: int | None
    timeout: float | None
    workers: int | None
    dtype: str | None
    cache_dir: str | None
    no_cache: bool
    stdin_filename: str | None
    exit_zero: bool
    statistics: bool
    quiet: bool
    fix: bool | None
    unsafe_fixes: bool | None
    diff: bool


def run(request: Request) -> int:
    """Lint what `request` asks for, write the report, return the exit status 0 or 1.

    Raises:
        RunError: the run itself failed.
    """
    # Syntax trees and graphs live as long as the run: looking for garbage often is wasted.
    gc.set_threshold(_GC_THRESHOLD, 50, 50)
    if request.output_file is not None:
        terminal.check_target(request.output_file)
    cwd = _working_folder()
    named = _named(request)
    folders = [path for path in named if path != STDIN]
    if STDIN in named and request.stdin_filename is not None:
        folders.append(request.stdin_filename)
    config = load(common_folder(folders, cwd))
    rules = catalogue.load()
    ignored = _ignored(config, rules)
    options = _options(request, config, rules)
    options = dataclasses.replace(options, ignored=lambda path: ignored(_absolute(path, cwd)))
    piped = _standard_input() if STDIN in named else None
    stdin = None if piped is None else (request.stdin_filename or STDIN, piped)
    sources = _sources(named, stdin, config, ignored, cwd)
    if request.output_file is not None:
        _keep_sources(request.output_file, sources)
    if not sources:
        terminal.say("no Python files found under the given paths")
    unsafe = _first(request.unsafe_fixes, config.settings.unsafe_fixes)
    wanted = request.confirm and (request.diff or _first(request.fix, config.settings.fix))
    with progress(request.quiet) as on_progress:
        if wanted:
            repaired = repair(sources, options, unsafe, on_progress)
        else:
            repaired = Repair(lint(sources, options, on_progress), (), (), 0)
    result = repaired.result
    for line in _complaints(result.errors):
        terminal.say(line)
    if request.diff:
        return _diff(request, repaired, unsafe)
    if wanted:
        _write(request, repaired, _stdin_path(request, cwd), piped)
    else:
        piped = None
    mended = {file.path: file for file in repaired.after}
    sources = [mended.get(file.path, file) for file in sources]
    stream = sys.stdout if piped is None else sys.stderr
    style = terminal.style_of(
        *((stream, os.environ) if request.output_file is None else (None, {}))
    )
    texts = {place: text for file in sources for place, text in file.shown().items()}
    style = dataclasses.replace(style, sources=texts, quiet=request.quiet)
    report = render(result, request.output_format, style, request.statistics)
    if request.output_file is not None:
        terminal.save(request.output_file, report)
    elif piped is not None:
        # The mended source goes to standard output.
        terminal.write(report, error=True)
    else:
        terminal.write(report)
    found = counted(result) > 0 or bool(result.errors)
    return 1 if found and not request.exit_zero else 0


def _complaints(errors: Iterable[FileError]) -> Iterator[str]:
    """Yield a line for each error; of cells of one notebook that are no Python, for the first."""
    found: dict[tuple[object, ...], list[FileError]] = {}
    for error in errors:
        cell = error.cell is not None and error.message.startswith(source.SYNTAX)
        key = (error.path,) if cell else (error.path, error.cell, error.line, error.message)
        found.setdefault(key, []).append(error)
    for first, *more in found.values():
        rest = f" (and {plural(len(more), 'more cell')} of the notebook)" if more else ""
        yield f"{first.place}:{first.line}: {first.message}{rest}"


def _diff(request: Request, repaired: Repair, unsafe: bool) -> int:
    """Show what fixing would change; return 1 if anything would."""
    text = repairing.diff(repaired)
    if request.output_file is None:
        terminal.write(text)
    else:
        terminal.save(request.output_file, text)
    if not request.quiet:
        more = repairing.hidden(repaired.result, unsafe)
        enabled = f"; {more} more with --unsafe-fixes" if more else ""
        terminal.say(f"would fix {plural(repaired.fixed, 'finding')}{enabled}")
        _tell_notebooks(repaired)
    changes = bool(text) or bool(repaired.result.errors)
    return 1 if changes and not request.exit_zero else 0


def _write(request: Request, repaired: Repair, stdin_path: str, piped: bytes | None) -> None:
    """Write the mended files; what standard input held goes to standard output, mended or not."""
    if piped is None:
        repairing.write(repaired)
    else:
        mended = piped
        for old, new in zip(repaired.before, repaired.after, strict=True):
            if old.path == stdin_path:
                mended = repairing.encoded(piped, old, new)
        repairing.write(repaired, stdin_path)
        terminal.write_bytes(mended)
    if not request.quiet:
        if repaired.fixed:
            files = plural(len(repaired.after), "file")
            terminal.say(f"fixed {plural(repaired.fixed, 'finding')} in {files}")
        _tell_notebooks(repaired)


def _tell_notebooks(repaired: Repair) -> None:
    count = repairing.in_notebooks(repaired.result)
    if count:
        terminal.say(f"left alone, since notebooks are not written: {plural(count, 'finding')}")


def _stdin_path(request: Request, cwd: str) -> str:
    """Return the path that reports give to standard input."""
    return shown(_absolute(request.stdin_filename or STDIN, cwd), cwd)


def _absolute(path: str, cwd: str) -> str:
    return os.path.normpath(os.path.join(cwd, path))


def _options(request: Request, config: Config, rules: Sequence[type[Rule]]) -> Options:
    """Merge the defaults, the configuration and the command line, which has the last word."""
    settings = config.settings
    layers = (
        Layer(
            config.origin,
            settings.select,
            settings.extend_select,
            settings.ignore,
        ),
        Layer("", request.select, request.extend_select, request.ignore),
    )
    folder = _cache_folder(request, config)
    return Options(
        confirm=request.confirm,
        select=catalogue.select(rules, layers),
        require_confirmed=_first(request.require_confirmed, settings.require_confirmed),
        min_severity=Severity(request.min_severity or settings.min_severity or Severity.INFO),
        show_refuted=request.show_refuted,
        seed=_first(request.seed, settings.seed, SEED),
        samples=_first(request.samples, settings.samples, SAMPLES),
        timeout=_first(request.timeout, settings.timeout, TIMEOUT),
        workers=_first(request.workers, settings.workers, usual_workers()),
        dtype=request.dtype or settings.dtype,
        cache=None if request.no_cache or folder is None else Cache(folder),
    )


def _cache_folder(request: Request, config: Config) -> Path | None:
    """Return where answers are kept: as asked for, else in the user's own folder of caches.

    A user without a home has no such folder.
    """
    if request.cache_dir is not None:
        return Path(request.cache_dir)
    if config.settings.cache_dir is not None:
        return Path(config.base, config.settings.cache_dir)
    try:
        return platformdirs.user_cache_path("actlint", appauthor=False)
    except RuntimeError:
        return None


def _keep_sources(output_file: str, sources: Sequence[SourceFile]) -> None:
    """Raise RunError if the report would replace a file that is linted."""
    target = os.path.realpath(output_file)
    if any(os.path.realpath(file.path) == target for file in sources):
        raise RunError(f"--output-file {output_file}: is one of the files to lint")


def _standard_input() -> bytes:
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise RunError("the working folder does not exist any more") from error


def _named(request: Request) -> list[str]:
    """Return the paths to lint: without any the working folder, or what standard input holds."""
    return list(request.paths) or ["." if request.stdin_filename is None else STDIN]


def _first(*values: _T | None) -> _T:
    """Return the first value that is given; the last one always is."""
    return next(value for value in values if value is not None)


def _ignored(config: Config, rules: Sequence[type[Rule]]) -> Callable[[str], frozenset[str]]:
    """Return what says which codes are not looked for in a file of this absolute name."""
    where = f"{config.origin}: per-file-ignores"
    ignores = [
        (
            patterns(config.base, [pattern]),
            frozenset(code for word in words for code in catalogue.codes(rules, word, where)),
        )
        for pattern, words in config.settings.per_file_ignores.items()
    ]

    def ignored(filename: str) -> frozenset[str]:
        matching = (codes for pattern, codes in ignores if pattern.decides(filename, False))
        return frozenset[str]().union(*matching)

    return ignored


def _sources(
    named: Sequence[str],
    stdin: tuple[str, bytes] | None,
    config: Config,
    ignored: Callable[[str], frozenset[str]],
    cwd: str,
) -> list[SourceFile]:
    """Read every file that the command line means, sorted by path.

    Args:
        named: paths, perhaps that of standard input.
        stdin: how standard input is called, and what it holds, if it is named.
        config: the configuration.
        ignored: which codes are not looked for in a file of this absolute name.
        cwd: the working folder.
    """
    settings = config.settings
    exclude = patterns(config.base, settings.exclude) if settings.exclude else None
    listing = discover([path for path in named if path != STDIN], exclude, cwd)
    found = [
        source.read(file.filename, file.path, ignored(file.filename)) for file in listing.files
    ]
    found += [SourceFile(error.path, "", error) for error in listing.errors]
    if stdin is not None:
        stdin_name, piped = stdin
        filename = _absolute(stdin_name, cwd)
        found.append(source.decode(piped, shown(filename, cwd), ignored(filename)))
    return sorted(found, key=lambda file: file.path)
