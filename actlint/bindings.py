"""Modules of a library that code hands on under names of its own: ``kwargs["backend"] = K``.

Code that serves several frameworks gets the backend while it runs, so that its functions import
nothing. Where the module is handed over stands somewhere in the same package, and is evidence.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from actlint.dotted import dotted

# Libraries whose modules are handed on, and the parts of names that are modules of theirs.
_LIBRARIES = frozenset(
    {"keras", "tensorflow", "tf_keras", "keras_core", "numpy", "torch", "jax", "cupy"}
)
_MODULES = frozenset(
    {
        "activations", "applications", "backend", "constraints", "initializers", "keras",
        "keras_core", "layers", "linalg", "losses", "math", "metrics", "models", "nn", "numpy",
        "ops", "optimizers", "random", "regularizers", "tensorflow", "tf_keras", "utils", "v1",
        "v2", "torch", "jax", "cupy",
    }
)  # fmt: skip
# What modules are called where they are imported from another file of the project.
SHORT = _MODULES | {"K", "tf"}
# The helper of keras_applications, and what the names stand for that its result is unpacked to.
SUBMODULES_HELPER = "get_submodules_from_kwargs"
SUBMODULES = ("keras.backend", "keras.layers", "keras.models", "keras.utils")


class Way(StrEnum):
    """How a module is handed on."""

    KEY = "key"  # keyword argument, entry of a dictionary
    ARGUMENT = "argument"  # by position; the name is that of the function and the position
    GLOBAL = "global"  # assigned to a global name by a function
    ATTRIBUTE = "attribute"  # assigned to an attribute of a class or module


@dataclass(frozen=True, slots=True)
class Binding:
    """A name that gets a module while the program runs."""

    way: Way
    name: str
    value: str  # dotted as written; a parameter or global of the file may stand there, too
    owner: str = ""  # whose attribute, dotted; of a global, the function that assigns it
    absolute: bool = False  # the value is the name of a module itself


class Collector:
    """Collects bindings while a file is walked."""

    def __init__(self) -> None:
        self._written: list[tuple[Way, str, ast.expr, str]] = []
        self._absolute: list[Binding] = []
        self._globals: dict[str, set[str]] = {}  # by function

    def look(self, node: ast.AST, inside: str) -> None:
        """Look at one node of the tree, which stands inside a function."""
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg is not None:
                    self._add(Way.KEY, keyword.arg, keyword.value)
            func = node.func
            callee = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            for position, value in enumerate(node.args if callee else ()):
                if isinstance(value, (ast.Name, ast.Attribute)):
                    self._add(Way.ARGUMENT, f"{callee}:{position}", value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self._add(Way.KEY, key.value, value)
        elif isinstance(node, ast.Global):
            self._globals.setdefault(inside, set()).update(node.names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value, inside)

    def _assign(self, target: ast.expr, value: ast.expr, inside: str) -> None:
        if isinstance(target, ast.Tuple):
            self._unpack(target, value, inside)
        elif isinstance(target, ast.Name):
            self._add(Way.GLOBAL, target.id, value, inside)
        elif isinstance(target, ast.Attribute):
            owner = dotted(target.value)
            if owner == "cls":
                owner = inside.rpartition(".")[0]
            if owner and owner != "self":
                self._add(Way.ATTRIBUTE, target.attr, value, owner)
        elif isinstance(target, ast.Subscript):
            key = target.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                self._add(Way.KEY, key.value, value)

    def _unpack(self, target: ast.Tuple, value: ast.expr, inside: str) -> None:
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            for name, item in zip(target.elts, value.elts, strict=True):
                self._assign(name, item, inside)
        elif isinstance(value, ast.Call) and dotted(value.func).endswith(SUBMODULES_HELPER):
            for name, module in zip(target.elts, SUBMODULES, strict=False):
                if isinstance(name, ast.Name):
                    self._absolute.append(
                        Binding(Way.GLOBAL, name.id, module, inside, absolute=True)
                    )

    def _add(self, way: Way, name: str, value: ast.expr, owner: str = "") -> None:
        if isinstance(value, (ast.Name, ast.Attribute)):
            self._written.append((way, name, value, owner))

    def bindings(
        self, imports: Mapping[str, list[str]], params: Mapping[str, tuple[str, ...]]
    ) -> tuple[Binding, ...]:
        """Return the bindings that may hand on a module.

        Args:
            imports: what the file imports, by local name.
            params: the parameters of its functions, by qualified name.
        """
        shared = frozenset[str]().union(*self._globals.values())
        inputs = {name for names in params.values() for name in names}
        roots = {
            name
            for name, found in imports.items()
            if any(m.partition(".")[0] in _LIBRARIES or is_module(m) for m in found)
        }
        kept = {found: None for found in self._absolute if self._is_global(found)}
        for way, name, value, owner in self._written:
            if isinstance(value, ast.Name):
                handed = value.id in inputs and way in {Way.GLOBAL, Way.ATTRIBUTE}
                if not (value.id in roots or value.id in shared or handed):
                    continue
            found = Binding(way, name, dotted(value), owner)
            if self._is_global(found) and self._names_module(found, imports, shared | inputs):
                kept[found] = None
        return tuple(kept)

    def _is_global(self, found: Binding) -> bool:
        """Tell whether a name is global where it is assigned; attributes and keywords always."""
        return found.way is not Way.GLOBAL or found.name in self._globals.get(found.owner, ())

    @staticmethod
    def _names_module(
        found: Binding, imports: Mapping[str, list[str]], local: frozenset[str]
    ) -> bool:
        """Tell whether a value may be a module; that of a global or parameter is seen later."""
        root, _, rest = found.value.partition(".")
        if not rest and root in local:
            return True
        meanings = imports.get(root, ())
        return any(is_module(f"{meaning}.{rest}" if rest else meaning) for meaning in meanings)


def is_module(name: str) -> bool:
    """Tell whether a qualified name is that of a module of a numeric library.

    Of a name that is imported from the project, what it is called decides.
    """
    head, last = name.partition(".")[0], name.rpartition(".")[2]
    if head in _LIBRARIES:
        return last in _MODULES
    return name.startswith(".") and last in SHORT


def of_library(names: tuple[str, ...]) -> Iterator[str]:
    """Yield those names that are modules of a numeric library."""
    yield from (n for n in names if n.partition(".")[0] in _LIBRARIES and is_module(n))
