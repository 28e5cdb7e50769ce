"""Paths on the command line to the Python files they mean."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from actlint.errors import RunError
from actlint.findings import FileError
from actlint.notebook import SUFFIX

_SUFFIXES = (".py", SUFFIX)

# Folders that hold other people's code, caches or build products. A folder that contains
# `pyvenv.cfg` is a virtual environment whatever its name.
DEFAULT_EXCLUDES = frozenset(
    {
        ".bzr", ".direnv", ".eggs", ".git", ".hg", ".hypothesis", ".ipynb_checkpoints",
        ".mypy_cache", ".nox", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox", ".venv",
        "__pycache__", "__pypackages__", "_build", "build", "dist", "node_modules",
        "site-packages", "venv",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One file to lint."""

    filename: str  # absolute, as the operating system opens it
    path: str  # relative to the working directory, forward slashes, always printable as UTF-8


@dataclass(frozen=True, slots=True)
class Listing:
    """What the paths of the command line came to, sorted by path."""

    files: tuple[Found, ...]
    errors: tuple[FileError, ...]  # folders that could not be listed


@dataclass(frozen=True, slots=True)
class Patterns:
    """Lines in the language of ``.gitignore``, relative to the folder `base` (absolute)."""

    base: str
    spec: GitIgnoreSpec

    def decides(self, filename: str, folder: bool) -> bool | None:
        """Return whether the last pattern that matches excludes `filename`; None if none does."""
        relative = _below(filename, self.base)
        if relative is None:
            return None
        return self.spec.check_file(relative + "/" if folder else relative).include

    def entering(self, folder: str) -> Patterns:
        """Return the patterns without those that exclude `folder`, which the user asked for."""
        relative = _below(folder, self.base)
        if relative is None:
            return self
        kept = [
            pattern
            for pattern in self.spec.patterns
            if not (pattern.include and pattern.match_file(relative + "/") is not None)
        ]
        return Patterns(self.base, GitIgnoreSpec(kept))


def patterns(base: str, texts: Iterable[str]) -> Patterns:
    """Compile `texts`; a line that is no pattern is passed over, as git does."""
    good: list[str] = []
    for text in texts:
        try:
            GitIgnoreSpec.from_lines([text])
        except ValueError:
            continue
        good.append(text)
    return Patterns(base, GitIgnoreSpec.from_lines(good))


def discover(paths: Sequence[str], exclude: Patterns | None, cwd: str) -> Listing:
    """Return the files that `paths` mean: files as given, of folders all ``.py`` and ``.ipynb``.

    A path that the user names is always taken, whatever ``.gitignore`` and `exclude` say of it;
    they decide about what lies below a folder. Symbolic links to folders are followed only if
    named, as git and ruff do, so loops cannot occur.

    Raises:
        RunError: a path does not exist or cannot be looked at.
    """
    walk = _Walk(cwd)
    for path in paths:
        walk.add(path, exclude)
    files = sorted(walk.found.values(), key=lambda found: found.path)
    return Listing(tuple(files), tuple(sorted(walk.errors, key=lambda error: error.path)))


def shown(filename: str, cwd: str) -> str:
    r"""Return `filename` relative to `cwd` with forward slashes.

    Bytes of a name that are not UTF-8 are spelled ``\xNN``, so that every report can hold it.
    """
    try:
        relative = os.path.relpath(filename, cwd)
    except ValueError:  # another drive of Windows
        relative = filename
    name = os.fsencode(relative).decode("utf-8", "backslashreplace")
    return name if os.sep == "/" else name.replace(os.sep, "/")


class _Walk:
    """The state of one discovery: what has been found, and the folders seen already."""

    def __init__(self, cwd: str) -> None:
        self._cwd = cwd
        self._seen: set[str] = set()
        self.found: dict[str, Found] = {}
        self.errors: list[FileError] = []

    def add(self, path: str, exclude: Patterns | None) -> None:
        """Take one path of the command line."""
        if not path:  # an unset variable of a script would otherwise mean the working folder
            raise RunError("'': no such file or folder")
        filename = os.path.normpath(os.path.join(self._cwd, path))
        try:
            mode = os.stat(filename).st_mode
        except (OSError, ValueError) as error:
            raise RunError(_sentence(shown(filename, self._cwd), error)) from error
        if stat.S_ISDIR(mode):
            self._enter(filename, exclude)
        else:
            self._take(filename)

    def _enter(self, root: str, exclude: Patterns | None) -> None:
        above = [given.entering(root) for given in _ignores_above(root, self._cwd)]
        if exclude is not None:
            above.insert(0, exclude.entering(root))
        pending = [(root, tuple(above))]
        while pending:
            folder, rules = pending.pop()
            real = os.path.realpath(folder)
            if real in self._seen:
                continue
            self._seen.add(real)
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                reason = f"folder cannot be listed: {error.strerror or error}"
                self.errors.append(FileError(shown(folder, self._cwd), 1, reason))
                continue
            names = {entry.name for entry in entries}
            if "pyvenv.cfg" in names and folder != root:
                continue
            if ".gitignore" in names:
                rules = (*rules, *_ignore_file(folder, os.path.join(folder, ".gitignore")))
            for entry in entries:
                if _is_folder(entry):
                    if entry.name not in DEFAULT_EXCLUDES and not _excluded(
                        rules, entry.path, True
                    ):
                        pending.append((entry.path, rules))
                elif (
                    entry.name.endswith(_SUFFIXES)
                    and _is_file(entry)
                    and not _excluded(rules, entry.path, False)
                ):
                    self._take(entry.path)

    def _take(self, filename: str) -> None:
        real = os.path.realpath(filename)
        self.found.setdefault(real, Found(filename, shown(filename, self._cwd)))


def _sentence(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file or folder"
    if isinstance(error, OSError):
        return f"{path}: cannot be opened: {error.strerror or error}"
    return f"{path!r}: is not a file name"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads nowhere or round in a circle
        return False


def _below(filename: str, base: str) -> str | None:
    """Return `filename` relative to `base` with forward slashes; None if not below it."""
    prefix = base if base.endswith(os.sep) else base + os.sep
    if not filename.startswith(prefix):
        return None
    relative = filename[len(prefix) :]
    return relative if os.sep == "/" else relative.replace(os.sep, "/")


def _excluded(rules: Sequence[Patterns], filename: str, folder: bool) -> bool:
    """Ask the nearest ``.gitignore`` first; the first that has an opinion decides."""
    for rule in reversed(rules):
        decision = rule.decides(filename, folder)
        if decision is not None:
            return decision
    return False


def _ignores_above(root: str, cwd: str) -> Iterator[Patterns]:
    """Yield the ignore files that govern `root` from above, outermost first.

    They reach up to the top of the git repository; outside one, to the working directory.
    """
    chain = [root]
    while (parent := os.path.dirname(chain[-1])) != chain[-1]:
        chain.append(parent)
    repository = next((at for at in chain if os.path.exists(os.path.join(at, ".git"))), None)
    top = repository or (cwd if cwd in chain else root)
    if repository is not None:
        yield from _ignore_file(repository, os.path.join(repository, ".git", "info", "exclude"))
    for folder in reversed(chain[1 : chain.index(top) + 1]):
        yield from _ignore_file(folder, os.path.join(folder, ".gitignore"))


def _ignore_file(base: str, filename: str) -> Iterator[Patterns]:
    try:
        with open(filename, encoding="utf-8", errors="surrogateescape") as stream:
            texts = stream.read().splitlines()
    except OSError:  # absent, or a folder of that name: nothing is ignored
        return
    yield patterns(base, texts)
