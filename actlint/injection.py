"""Which modules of a library a package hands to its own functions while it runs.

A module-level ``backend = None``, a ``kwargs["backend"]`` or a class attribute stands for every
module that any file of the package assigns to it. Several candidates stay several meanings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from actlint.bindings import SHORT, Binding, Way, of_library
from actlint.dotted import bare
from actlint.index import FileIndex
from actlint.index import matters as mentions
from actlint.names import last, meanings
from actlint.project import MARK, Project

# A module is handed on through so many names, then given up.
_MAX_HOPS = 6

_Found = tuple[FileIndex, Binding]


class Injection:
    """Looks up what names that are filled at run time stand for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tables: dict[str, dict[tuple[Way, str], list[_Found]]] = {}
        self._serving: frozenset[PurePosixPath] | None = None

    def matters(self, index: FileIndex) -> bool:
        """Tell whether a file can contain anything to lint.

        It mentions a library, imports one through another file, or is part of a package that
        hands one on.
        """
        if mentions(index.text):
            return True
        short = (index.imports[name] for name in index.imports.keys() & SHORT)
        if any(self._brings(index, name) for names in short for name in names):
            return True
        if any(self._serves(init) for init in self._project.around(index)):
            return True
        if self._serving is None:
            serving = (i for i in self._project.given if self._serves(i))
            self._serving = frozenset(self._home(i) for i in serving)
        return bool(self._serving) and self._home(index) in self._serving

    def _home(self, index: FileIndex) -> PurePosixPath:
        """Return the folder of the outermost package of a file, or its own."""
        inits = self._project.around(index)
        return PurePosixPath((inits[-1] if inits else index).path).parent

    def _brings(self, index: FileIndex, name: str) -> bool:
        return any(self._elsewhere(self._project.absolute(name, index)))

    @staticmethod
    def _serves(index: FileIndex) -> bool:
        """Tell whether a file hands on a module that it imports."""
        return any(
            found.absolute or any(of_library(meanings(index, found.value)))
            for found in index.bindings
        )

    def key(self, index: FileIndex, name: str) -> tuple[str, ...]:
        """Return the modules that a keyword or entry of this name stands for in a package."""
        return self._sorted(self._key(index, name, 0))

    def variable(self, index: FileIndex, name: str) -> tuple[str, ...]:
        """Return the modules that a global name of a file stands for."""
        return self._sorted(self._variable(index, name, 0))

    def attribute(self, index: FileIndex, owner: str, name: str) -> tuple[str, ...]:
        """Return the modules that an attribute of a class of a file stands for."""
        return self._sorted(self._attribute(index, last(owner), name, 0))

    @staticmethod
    def _sorted(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    def _key(self, index: FileIndex, name: str, hops: int) -> Iterator[str]:
        for home, found in self._bindings(index, Way.KEY, name):
            yield from self._value(home, found, hops)

    def _variable(self, index: FileIndex, name: str, hops: int) -> Iterator[str]:
        for home, found in self._bindings(index, Way.GLOBAL, name):
            if home.path == index.path:
                yield from self._value(home, found, hops)
        yield from self._attribute(index, PurePosixPath(index.path).stem, name, hops)

    def _attribute(self, index: FileIndex, owner: str, name: str, hops: int) -> Iterator[str]:
        for home, found in self._bindings(index, Way.ATTRIBUTE, name):
            if bare(last(found.owner)) == bare(owner):
                yield from self._value(home, found, hops)

    def _value(self, home: FileIndex, found: Binding, hops: int) -> Iterator[str]:
        """Yield the modules that the value of a binding stands for."""
        if found.absolute:
            yield found.value
        elif hops < _MAX_HOPS:
            names = meanings(home, found.value)
            if names:
                whole = tuple(self._project.absolute(name, home) for name in names)
                yield from of_library(whole)
                for name in whole:
                    yield from self._elsewhere(name)
            elif found.value in home.definitions:
                yield from self._variable(home, found.value, hops + 1)
            else:
                yield from self._parameter(home, found.value, hops + 1)

    def _elsewhere(self, name: str) -> Iterator[str]:
        """Yield what another file of the project imports: ``from compat import K``."""
        path, mark, rest = name.partition(MARK)
        index = self._project.file(path) if mark and rest else None
        if index is not None:
            yield from of_library(meanings(index, rest))

    def _parameter(self, home: FileIndex, name: str, hops: int) -> Iterator[str]:
        """Yield what the functions of a file get for a parameter."""
        yield from self._variable(home, name, hops)
        yield from self._key(home, name, hops)
        for definition in home.definitions.values():
            if name in definition.params:
                position = definition.params.index(name) - (definition.params[0] in {"self", "cls"})
                called = f"{last(bare(definition.qualname))}:{position}"
                for other, found in self._bindings(home, Way.ARGUMENT, called):
                    yield from self._value(other, found, hops)

    def _bindings(self, index: FileIndex, way: Way, name: str) -> list[_Found]:
        if index.path not in self._tables:
            table: dict[tuple[Way, str], list[_Found]] = {}
            for file in self._project.package(index):
                for binding in file.bindings:
                    table.setdefault((binding.way, binding.name), []).append((file, binding))
            self._tables[index.path] = table
        return self._tables[index.path].get((way, name), [])
