"""The files of a run as a project: which file and definition an imported name means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from actlint.index import Definition, FileIndex
from actlint.names import meanings

# Re-exports are followed through so many files, then given up.
_MAX_HOPS = 12

# What these names mean stands in the ops table, even where their own source is linted.
_LIBRARIES = frozenset({"tensorflow", "keras", "numpy", "math"})

# Between the path of a project file and a name in it, in the names that values carry.
MARK = "::"


class Disk(Protocol):
    """Where files that are imported but not linted come from."""

    def exists(self, stem: str) -> bool:
        """Tell whether there is a folder `stem` or a file ``stem.py``."""

    def load(self, path: str) -> FileIndex | None:
        """Return the index of a file; None if there is none or it is no Python."""


@dataclass(frozen=True, slots=True)
class Place:
    """A definition of the project: its file and its qualified name there."""

    index: FileIndex
    qualname: str


class Project:
    """Files by path, and the imports between them."""

    def __init__(self, indexes: Iterable[FileIndex], disk: Disk | None = None) -> None:
        self._indexes = {index.path: index for index in indexes}
        self._disk = disk
        # What is only imported is not among them: it is found in an order that means nothing.
        self._given = tuple(sorted(self._indexes))
        self._registered: dict[str, set[str]] | None = None
        self._callers: dict[str, set[tuple[str, str]]] | None = None
        self._minimising: frozenset[str] | None = None
        self._near: dict[str, bool] = {}
        self._missing: set[str] = set()
        # Files without ending and folders, so that most imports are told to be foreign at once.
        self._stems = {str(PurePosixPath(path).with_suffix("")) for path in self._indexes}
        self._stems |= {
            str(above) for path in self._indexes for above in PurePosixPath(path).parents
        }
        self._found: dict[tuple[PurePosixPath, str], tuple[str, str] | None] = {}

    def file(self, path: str) -> FileIndex | None:
        """Return the index of a file, or None."""
        found = self._indexes.get(path)
        if found is None and self._disk is not None and path not in self._missing:
            found = self._disk.load(path)
            if found is None:
                self._missing.add(path)
            else:
                self._indexes[path] = found
        return found

    @property
    def given(self) -> Iterator[FileIndex]:
        """The files that are linted, in order."""
        return (self._indexes[path] for path in self._given)

    def registered(self, index: FileIndex) -> frozenset[str]:
        """Return the names in a file that other files register with Keras."""
        if self._registered is None:
            self._registered = {}
            for other in self.given:
                places = (self.locate(name, other) for name in other.registered)
                for place in places:
                    if place is not None:
                        names = self._registered.setdefault(place.index.path, set())
                        names.add(place.qualname)
        return frozenset(self._registered.get(index.path, ()))

    def calls(self, name: str, index: FileIndex, inside: str) -> bool:
        """Tell whether anything of the project calls a function of this name.

        Args:
            name: the last part of what is called, whatever it is called on.
            index: the file of the function.
            inside: its qualified name; what it does itself does not count.
        """
        return not self.callers(name) <= {(index.path, inside)}

    def callers(self, name: str) -> frozenset[tuple[str, str]]:
        """Return the files and functions of the project that call something of a name.

        What files do outside of functions goes by the name "".
        """
        if self._callers is None:
            self._callers = {}
            for other in self.given:
                for found in other.definitions.values():
                    for called in found.calls:
                        self._callers.setdefault(called, set()).add((other.path, found.qualname))
                for called in other.script_calls:
                    self._callers.setdefault(called, set()).add((other.path, ""))
        return frozenset(self._callers.get(name, ()))

    def lineage(self, name: str, index: FileIndex) -> tuple[Place, ...]:
        """Return a class of a file and those above it, the nearest first."""
        pending, found = [Place(index, name)], dict[tuple[str, str], Place]()
        while pending:
            place = pending.pop(0)
            key = (place.index.path, place.qualname)
            if key not in found:
                found[key] = place
                bases = place.index.definitions[place.qualname].bases
                above = (self.locate(base, place.index) for base in bases if base)
                pending += [p for p in above if p is not None]
        return tuple(found.values())

    def minimises(
        self, calls: Iterable[str], index: FileIndex, owner: Definition | None = None
    ) -> bool:
        """Tell whether one of the functions that are called minimises what it is given.

        Args:
            calls: the last part of each name that is called.
            index: the file that calls them.
            owner: the class of the file whose methods may be meant, too.
        """
        names = frozenset(calls)
        lineage = () if owner is None else self.lineage(owner.qualname, index)
        methods = (
            place.index.definitions.get(f"{place.qualname}.{name}")
            for place in lineage
            for name in sorted(names)
        )
        return any(self._minimises(name, index) for name in sorted(names)) or any(
            found is not None and found.minimises for found in methods
        )

    def _minimises(self, name: str, index: FileIndex) -> bool:
        """Tell whether a function of the project, no method, minimises what it is given.

        Args:
            name: the last part of what is called.
            index: the file that calls it, by that name or as one of a module that it imports.
        """
        if self._minimising is None:
            self._minimising = frozenset(
                found.qualname
                for other in self.given
                for found in other.definitions.values()
                if found.minimises
            )
        written = [name] if name in index.definitions or name in index.imports else []
        if name in self._minimising and not written:
            written = [f"{module}.{name}" for module in index.imports]
        places = (self.locate(each, index) for each in written)
        return any(
            place is not None and place.index.definitions[place.qualname].minimises
            for place in places
        )

    def replaced(self, index: FileIndex) -> Project:
        """Return the project with another version of one file."""
        other = Project({**self._indexes, index.path: index}.values(), self._disk)
        other._given = self._given
        return other

    def package(self, index: FileIndex) -> tuple[FileIndex, ...]:
        """Return the files of the outermost package of a file, in order.

        Without a package it is the file's folder. Of files that are not linted, only the
        ``__init__.py`` of the packages around the file count.
        """
        inits = self.around(index)
        home = PurePosixPath((inits[-1] if inits else index).path).parent
        near = (
            self._indexes[path]
            for path in self._given
            if home in (above := PurePosixPath(path).parents) and (inits or above[0] == home)
        )
        whole = {file.path: file for file in (index, *inits, *near)}
        return tuple(whole[path] for path in sorted(whole))

    def around(self, index: FileIndex) -> tuple[FileIndex, ...]:
        """Return the ``__init__.py`` of the packages that a file is in, from the inside out."""
        inits: list[FileIndex] = []
        for folder in PurePosixPath(index.path).parents:
            found = self.file(str(folder / "__init__.py"))
            if found is None:
                break
            inits.append(found)
        return tuple(inits)

    def absolute(self, name: str, importer: FileIndex) -> str:
        """Return ``path::rest`` for an imported name of the project, or the name itself.

        Relative names go up from the importer's folder. Absolute ones are looked for where
        Python would: in the folders above the importer that are no packages themselves.
        """
        if name.partition(".")[0] in _LIBRARIES:
            return name
        found = self._module(name, importer)
        if found is None:
            return name
        path, rest = found
        return f"{path}{MARK}{rest}"

    def locate(self, name: str, importer: FileIndex, hops: int = 0) -> Place | None:
        """Return where a dotted name, as the importer writes it, is defined in the project."""
        root, _, rest = name.partition(".")
        local = importer.definitions.get(root)
        if local is not None:
            whole = name if name in importer.definitions else root
            return Place(importer, whole) if not rest or whole == name else None
        places = {
            (place.index.path, place.qualname): place
            for meaning in meanings(importer, name)
            if (place := self.follow(self.absolute(meaning, importer), hops)) is not None
        }
        return next(iter(places.values())) if len(places) == 1 else None

    def follow(self, name: str, hops: int = 0) -> Place | None:
        """Return where ``path::name`` is defined, through re-exports, or None."""
        path, mark, rest = name.partition(MARK)
        index = self.file(path) if mark and rest and hops < _MAX_HOPS else None
        return None if index is None else self.locate(rest, index, hops + 1)

    def _module(self, name: str, importer: FileIndex) -> tuple[str, str] | None:
        folder = PurePosixPath(importer.path).parent
        if (folder, name) not in self._found:
            self._found[folder, name] = self._search(name, folder)
        return self._found[folder, name]

    def _search(self, name: str, folder: PurePosixPath) -> tuple[str, str] | None:
        dots = len(name) - len(name.lstrip("."))
        parts = tuple(part for part in name[dots:].split(".") if part)
        if dots:
            above = folder.parents
            if dots - 1 > len(above):
                return None
            return self._below(folder if dots == 1 else above[dots - 2], parts)
        for home in (folder, *folder.parents) if parts else ():
            if self._knows(str(home / parts[0])) and self.file(str(home / "__init__.py")) is None:
                found = self._below(home, parts)
                if found is not None:
                    return found
        return None

    def _knows(self, stem: str) -> bool:
        if stem not in self._near:
            on_disk = self._disk is not None and self._disk.exists(stem)
            self._near[stem] = stem in self._stems or on_disk
        return self._near[stem]

    def _below(self, home: PurePosixPath, parts: tuple[str, ...]) -> tuple[str, str] | None:
        """Return the file of the longest prefix of `parts` below a folder, and what is left."""
        for count in range(len(parts), 0, -1):
            stem = home.joinpath(*parts[:count])
            for path in (f"{stem}.py", str(stem / "__init__.py")):
                if self.file(path) is not None:
                    return path, ".".join(parts[count:])
        package = str(home / "__init__.py")
        if parts and home != PurePosixPath() and self.file(package) is not None:
            return package, ".".join(parts)
        return None
