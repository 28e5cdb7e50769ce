"""What code changes while it runs: attributes, shared names and entries that are assigned to anew.

Whether a change is one that training makes shows in where it stands: in a hook of a callback, in a
loop that trains, in what such a loop calls, or in that it goes on from the value before.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

from actlint.dotted import dotted

# Calls that train, or run a step of training.
_TRAINS = re.compile(r"^fit($|_)|(^|_)train(_|$)|^apply_gradients$|^minimize$")
# Calls after which a function is traced again.
_RETRACES = frozenset({"compile", "function", "make_train_function"})
# Methods that Keras calls between steps and epochs, while it trains.
_HOOK = re.compile(r"^on_(train_|test_)?(epoch|batch)_(begin|end)$")


@dataclass(frozen=True, slots=True)
class Change:
    """An assignment outside of what makes an object."""

    name: str  # of the attribute or variable
    owner: str  # whose attribute, dotted; "" of a variable
    inside: str  # qualified name of the function, or "<module>"
    line: int
    advances: bool  # it goes on from the value before: a counter, a decay
    looped: bool = False  # it stands in a loop that trains
    key: str = ""  # of the entry of a dictionary that the attribute or variable holds


@dataclass(frozen=True, slots=True)
class State:
    """A Python value that training changes.

    Attributes:
        path: of the file that defines the class, or holds the name.
        owner: qualified name of the class; "" of a global name; of a name of an enclosing
            function, that function.
        name: of the attribute or variable.
        change: what changes it, as the subject of a sentence.
        counts: the function that reads it changes it itself.
        key: of the entry, if it is one of a dictionary.
    """

    path: str
    owner: str
    name: str
    change: str
    counts: bool = False
    key: str = ""


class Collector:
    """Collects changes while a file is walked."""

    def __init__(self) -> None:
        self._found: list[Change] = []
        self._shared: set[tuple[str, str]] = set()  # function and name: global or nonlocal there
        self._loops: list[tuple[int, int]] = []
        self._calls: list[tuple[str, int]] = []
        self._hooks: set[str] = set()
        self._retracing: set[str] = set()  # functions that have something traced again

    def look(self, node: ast.AST, inside: str) -> None:
        """Look at one statement of the tree, which stands inside a function."""
        if isinstance(node, (ast.For, ast.While)):
            self._loops.append((node.lineno, node.end_lineno or node.lineno))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            self._shared.update((inside, name) for name in node.names)
        elif isinstance(node, ast.AugAssign):
            self._assign(node.target, node, inside, advances=True)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
                    advances = _mentions(node.value, target)
                    self._assign(target, node, inside, advances=advances)

    def call(self, node: ast.Call, name: str, inside: str) -> None:
        """Look at a call, and what is handed to it to be called while a model trains."""
        self._calls.append((name, node.lineno))
        if name in _RETRACES:
            self._retracing.add(inside)
        if name == "setattr" and len(node.args) == 3:
            self._set(node, inside)
        for keyword in node.keywords:
            if keyword.arg is not None and is_hook(keyword.arg):
                self._hooks.add(dotted(keyword.value).rpartition(".")[2])
                for inner in ast.walk(keyword.value):
                    if isinstance(inner, ast.Call):
                        self._hooks.add(dotted(inner.func).rpartition(".")[2])

    def _set(self, node: ast.Call, inside: str) -> None:
        """Note ``setattr(owner, "name", value)``."""
        holder, name, value = node.args
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            target = ast.Attribute(holder, name.value)
            advances = _mentions(value, target) or _gets(value, holder, name.value)
            self._assign(target, node, inside, advances=advances)

    def _assign(
        self, target: ast.expr, node: ast.stmt | ast.Call, inside: str, *, advances: bool
    ) -> None:
        key = ""
        if isinstance(target, ast.Subscript):
            entry = target.slice
            if not isinstance(entry, ast.Constant) or not isinstance(entry.value, str):
                return
            key, target = entry.value, target.value
        if isinstance(target, ast.Name):
            change = Change(target.id, "", inside, node.lineno, advances, key=key)
            self._found.append(change)
        elif isinstance(target, ast.Attribute):
            owner = dotted(target.value)
            if owner:
                change = Change(target.attr, owner, inside, node.lineno, advances, key=key)
                self._found.append(change)

    def changes(self) -> tuple[Change, ...]:
        """Return the changes of attributes and of names that functions share."""
        loops = self._training_loops()
        own = {(found.inside, found.name) for found in self._found if not found.key}
        kept: list[Change] = []
        for found in self._found:
            if is_hook(found.inside.rpartition(".")[2]) and found.inside in self._retracing:
                continue
            looped = any(first < found.line <= last for first, last in loops)
            shared = (found.inside, found.name) in self._shared
            # To change an entry, a function needs no declaration of the name.
            if found.key and found.inside != "<module>":
                shared |= (found.inside, found.name) not in own
            if found.owner or shared or (looped and found.inside == "<module>"):
                kept.append(replace(found, looped=looped))
        return tuple(sorted(kept, key=lambda change: change.line))

    def called(self) -> frozenset[str]:
        """Return the last part of each name that hooks and loops that train call."""
        loops = self._training_loops()
        inside = {n for n, line in self._calls if any(a < line <= b for a, b in loops)}
        return frozenset((inside | self._hooks) - {""})

    def _training_loops(self) -> list[tuple[int, int]]:
        """Return the loops that train a model, less those that have it traced each time."""
        if not self._loops:
            return []
        training = [line for name, line in self._calls if _TRAINS.search(name)]
        again = [line for name, line in self._calls if name in _RETRACES]
        return [
            (first, last)
            for first, last in self._loops
            if any(first < line <= last for line in training)
            and not any(first < line <= last for line in again)
        ]


def is_hook(name: str) -> bool:
    """Tell whether Keras calls a method of this name between steps or epochs of training."""
    return _HOOK.match(name) is not None


def _mentions(value: ast.expr, target: ast.Name | ast.Attribute | ast.Subscript) -> bool:
    """Tell whether an expression reads the name, attribute or entry that it is assigned to."""
    if isinstance(value, (ast.Constant, ast.Name)):
        return False
    if isinstance(target, ast.Subscript):
        parts = ast.dump(target.value), ast.dump(target.slice)
        return any(
            isinstance(node, ast.Subscript)
            and (ast.dump(node.value), ast.dump(node.slice)) == parts
            for node in ast.walk(value)
        )
    written = dotted(target)
    return any(
        isinstance(node, type(target)) and dotted(node) == written for node in ast.walk(value)
    )


def _gets(value: ast.expr, holder: ast.expr, name: str) -> bool:
    """Tell whether an expression contains ``getattr(holder, name)``."""
    return any(
        isinstance(node, ast.Call)
        and dotted(node.func) == "getattr"
        and len(node.args) > 1
        and dotted(node.args[0]) == dotted(holder)
        and isinstance(node.args[1], ast.Constant)
        and node.args[1].value == name
        for node in ast.walk(value)
    )
