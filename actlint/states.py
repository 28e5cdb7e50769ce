"""Plain Python values that training changes, and that a traced function reads.

TensorFlow runs Python code once, when it traces a function. What an attribute, a global name or a
closure holds then is a constant of the graph for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

from actlint.changes import Change, State, is_hook
from actlint.dotted import bare
from actlint.graph import Role
from actlint.index import Definition, FileIndex
from actlint.names import last, meanings
from actlint.project import MARK, Place, Project
from actlint.scene import Unit

# What makes an object, or runs before a function is traced: changes there are in time.
_MAKING = re.compile(
    r"^(__\w+__|build|compile|from_config|set_config|adapt|fit(_\w+)?|train(_\w+)?|on_train_begin)$"
)
# What may run before, if nothing shows that it runs later.
_SETTING = re.compile(r"^_*(re)?(set|init|load|build|initiali[sz]e|setup|create|add|make)(_\w+)?$")
# Methods of dictionaries, lists and files, too.
_COMMON = frozenset({"add", "append", "clear", "close", "copy", "extend", "get", "insert", "items",
                     "log", "pop", "remove", "reset", "save", "update", "write"})  # fmt: skip
# What runs eagerly, or has Keras trace anew.
_EAGER = re.compile(
    r"run_eagerly\s*=\s*True|functions_eagerly\(\s*True|train_function\s*=\s*None|"
    r"make_train_function\(\s*(force\s*=\s*)?True"
)
_TRACING = re.compile(
    r"\.compile\(|\.fit\(|tf\.function|@function\b|jit_compile|Callback\b|def train_step\("
)
_TAPE = re.compile(r"\bGradientTape\b")
_HANDED = re.compile(r"\btf\.function\(\s*(?:self\.)?(\w+)")
# Whose attributes belong to no class of the user's.
_FOREIGN = re.compile(
    r"^(self\.)?(model\.)?(\w*_)?(opt|optim|optimi[sz]er|args|config|cfg|flags|hparams|params|plt|ax|"
    r"np|tf|k|history|logger|state)$",
    re.IGNORECASE,
)
# Attributes that Keras gives a meaning of its own.
_OF_KERAS = frozenset({"lr", "learning_rate", "stop_training", "trainable", "training"})
_READING = frozenset({Role.ACTIVATION, Role.LAYER, Role.LOSS, Role.REGULARIZER, Role.TRAINING_STEP})
# Functions whose result is another one at each call, by the last part of their names.
_READS = frozenset({"get_value", "eval"})
_CLOCKS = frozenset({"gauss", "monotonic", "normalvariate", "perf_counter", "randint", "random",
                     "time", "triangular", "uniform"})  # fmt: skip
_HELPERS = 3  # calls of functions of the same file are followed so far


class States:
    """What training changes in the files of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._groups: dict[str, _Group] | None = None

    def again(self, index: FileIndex, found: Iterable[Unit]) -> tuple[Unit, ...]:
        """Return the units of a file, and once more those that read what training changes."""
        whole = tuple(found)
        scene = _Scene(index, self._project, self)
        more = [again for unit in whole if (again := scene.again(unit)) is not None]
        return tuple(sorted((*whole, *more), key=lambda unit: (unit.line, unit.qualname)))

    def group(self, index: FileIndex) -> _Group:
        """Return the files that a file has to do with."""
        if self._groups is None:
            self._groups = {
                file.path: group for group in self._joined() for file in group.files
            }  # fmt: skip
        return self._groups.get(index.path) or _Group((index,))

    def _joined(self) -> Iterator[_Group]:
        """Yield the linted files in groups, of which each imports others of the group alone."""
        files = {file.path: file for file in self._project.given}
        head = {path: path for path in files}

        def top(path: str) -> str:
            while head[path] != path:
                path = head[path]
            return path

        for path, file in files.items():
            for name in {*file.stars, *(n for names in file.imports.values() for n in names)}:
                other, mark, _ = self._project.absolute(name, file).partition(MARK)
                if mark and other in files:
                    one, two = sorted((top(path), top(other)))
                    head[two] = one
        groups: dict[str, list[FileIndex]] = {}
        for path, file in files.items():
            groups.setdefault(top(path), []).append(file)
        for group in groups.values():
            yield _Group(tuple(group))


class _Group:
    """Files that import each other, directly or through others."""

    def __init__(self, files: tuple[FileIndex, ...]) -> None:
        self.files = files

    @cached_property
    def graphs(self) -> bool:
        """Whether the files let TensorFlow trace, as far as they say."""
        texts = [file.text for file in self.files]
        if any(_EAGER.search(text) for text in texts):
            return False
        return any(_TRACING.search(text) for text in texts) or not any(
            _TAPE.search(text) for text in texts
        )

    @cached_property
    def while_training(self) -> frozenset[str]:
        """What hooks and loops that train call, by the last part of the name."""
        called = frozenset[str]().union(*(file.while_training for file in self.files))
        hooks = (
            definition.calls
            for file in self.files
            for definition in file.definitions.values()
            if is_hook(last(bare(definition.qualname)))
        )
        return called.union(*hooks)

    def in_training(self, change: Change) -> bool:
        """Tell whether a change is surely made between steps or epochs."""
        name = last(bare(change.inside))
        if change.looped:
            return True
        if change.inside == "<module>" or _MAKING.match(name):
            return False
        if is_hook(name):
            return True
        if name in _COMMON and not change.advances:
            return False
        return name in self.while_training

    @cached_property
    def from_outside(self) -> dict[tuple[str, str], list[tuple[Change, FileIndex]]]:
        """Changes of attributes by other code, by the file and class of the object."""
        found: dict[tuple[str, str], list[tuple[Change, FileIndex]]] = {}
        for file in self.files:
            for change in file.changes:
                if change.owner in {"", "self", "cls"} or change.name in _OF_KERAS:
                    continue
                if _FOREIGN.match(change.owner) or not self.in_training(change):
                    continue
                holders = self._holding(change.name)
                if len(holders) == 1:
                    found.setdefault(holders[0], []).append((change, file))
        return found

    def _holding(self, name: str) -> list[tuple[str, str]]:
        """Return the classes whose objects have an attribute, less callbacks."""
        pattern = re.compile(
            rf"^[ \t]+(self\.)?{re.escape(name)}[ \t]*(:[^=\n]+)?=[^=]", re.MULTILINE
        )
        found: dict[tuple[str, str], None] = {}
        for file in self.files:
            for match in pattern.finditer(file.text):
                line = file.text.count("\n", 0, match.start(1 if match[1] else 0)) + 1
                owner = _class_at(file, line, body=not match[1])
                if owner and not _has_hooks(file, owner):
                    found[file.path, owner] = None
        return list(found)


class _Scene:
    """The units of one file, and the changes around them."""

    def __init__(self, index: FileIndex, project: Project, states: States) -> None:
        self.index = index
        self.project = project
        self._states_of = states

    @property
    def group(self) -> _Group:
        return self._states_of.group(self.index)

    def again(self, unit: Unit) -> Unit | None:
        """Return a unit with the states that it may read, or None."""
        if unit.role not in _READING or unit.reads or not self._traced(unit):
            return None
        states = tuple(dict.fromkeys(self._states(unit)))
        if not (states or self._reads_clocks(unit)) or not self.group.graphs:
            return None
        return replace(unit, states=states, tracing=True)

    # -- tracing -----------------------------------------------------------------------------

    def _traced(self, unit: Unit) -> bool:
        """Tell whether TensorFlow surely traces the function."""
        definition = self.index.definitions.get(unit.qualname)
        if definition is not None and self._decorated(definition):
            return True
        if unit.role is Role.TRAINING_STEP:
            return definition is not None and self._is_train_step(definition)
        return (
            unit.compiled or "passed on as" in unit.evidence or unit.evidence.endswith("subclass")
        )

    def _decorated(self, definition: Definition) -> bool:
        """Tell whether a function is decorated with tf.function, or handed to it."""
        for decorator in definition.decorators:
            for name in meanings(self.index, decorator) or (decorator,):
                if name.endswith(".function") and name.partition(".")[0] == "tensorflow":
                    return True
        return last(bare(definition.qualname)) in self._handed

    @cached_property
    def _handed(self) -> frozenset[str]:
        """What is handed to tf.function, by the last part of the name."""
        return frozenset(_HANDED.findall(self.index.text))

    def _is_train_step(self, definition: Definition) -> bool:
        owner, _, name = definition.qualname.rpartition(".")
        record = self.index.definitions.get(owner)
        return (
            name in {"train_step", "compute_loss"}
            and record is not None
            and any(last(base).endswith("Model") for base in record.bases)
        )

    def _reads_clocks(self, unit: Unit) -> bool:
        """Tell whether a unit calls what gives another number each time, as far as names say."""
        called = self._called(unit)
        if called & _READS:
            return True
        libraries = {name.partition(".")[0] for names in self.index.imports.values()
                     for name in names}  # fmt: skip
        return bool(called & _CLOCKS and libraries & {"random", "time"})

    def _called(self, unit: Unit) -> frozenset[str]:
        definition = self.index.definitions.get(unit.qualname)
        called = frozenset[str]() if definition is None else definition.calls
        for _ in range(_HELPERS):
            inner = (self.index.definitions.get(name) for name in called)
            more = called.union(*(d.calls for d in inner if d is not None))
            if more == called:
                break
            called = more
        return called

    # -- changes -----------------------------------------------------------------------------

    def _states(self, unit: Unit) -> Iterator[State]:
        for place in self._lineage(unit):
            yield from self._own(place, unit)
            for change, file in self.group.from_outside.get((place.index.path, place.qualname), ()):
                yield self._state(place, change, file)
        yield from self._shared(unit)
        yield from self._imported

    def _lineage(self, unit: Unit) -> Iterator[Place]:
        """Yield the class of a method and those it is derived from."""
        owner = unit.qualname.rpartition(".")[0]
        record = self.index.definitions.get(owner)
        pending = (
            [Place(self.index, owner)] if record is not None and record.kind == "class" else []
        )
        seen = set[tuple[str, str]]()
        while pending:
            place = pending.pop(0)
            if (place.index.path, place.qualname) in seen:
                continue
            seen.add((place.index.path, place.qualname))
            yield place
            bases = place.index.definitions[place.qualname].bases
            above = (self.project.locate(base, place.index) for base in bases if base)
            pending += [
                p for p in above
                if p is not None and p.index.definitions[p.qualname].kind == "class"
            ]  # fmt: skip

    def _own(self, place: Place, unit: Unit) -> Iterator[State]:
        """Yield attributes that methods of a class change."""
        for change in place.index.changes:
            holder, _, method = change.inside.rpartition(".")
            if change.owner != "self" or holder != place.qualname:
                continue
            entry = last(unit.qualname)
            if method == entry:
                if change.advances:
                    yield self._state(place, change, counts=True)
            elif self._in_training(change, place):
                yield self._state(place, change)

    def _shared(self, unit: Unit) -> Iterator[State]:
        """Yield names that a function shares with others that change them."""
        for change in self.index.changes:
            if change.owner:
                continue
            enclosing = change.inside.rpartition(".<locals>.")[0]
            known = change.name in self.index.definitions
            holder = "" if known or not enclosing else enclosing
            if not known and not (enclosing and unit.qualname.startswith(f"{enclosing}.<locals>.")):
                continue
            place = Place(self.index, holder)
            if change.inside == unit.qualname:
                if change.advances:
                    yield self._state(place, change, counts=True)
            elif self._in_training(change, place):
                yield self._state(place, change)

    @cached_property
    def _imported(self) -> tuple[State, ...]:
        """Entries of global dictionaries that files share by importing them."""
        place = Place(self.index, "")
        return tuple(
            self._state(place, change, file)
            for file in self.group.files
            for change in file.changes
            if change.key and not change.owner and self.group.in_training(change)
            if (home := self._home(change.name, file)) is not None
            # Both in this file: the name is shared without any import.
            if home == self._home(change.name, self.index)
            if file is not self.index or home[0] != self.index.path
        )

    def _home(self, name: str, file: FileIndex) -> tuple[str, str] | None:
        """Return the file and the name under which a global name is defined."""
        if name in file.definitions:
            return file.path, name
        place = self.project.locate(name, file) if name in file.imports else None
        return None if place is None else (place.index.path, place.qualname)

    def _in_training(self, change: Change, place: Place) -> bool:
        """Tell whether a change by a method of the object's own, or by its neighbour, goes on."""
        if self.group.in_training(change):
            return True
        return change.advances and not self._early(change, place)

    def _early(self, change: Change, place: Place) -> bool:
        """Tell whether a function is one that runs before any tracing."""
        name = last(change.inside)
        if change.inside == "<module>" or _MAKING.match(name) or _SETTING.match(name):
            return True
        makers = (f"{place.qualname}.{maker}" for maker in ("__init__", "build", "compile"))
        records = (place.index.definitions.get(maker) for maker in makers)
        return any(name in record.calls for record in records if record is not None)

    def _state(
        self, place: Place, change: Change, file: FileIndex | None = None, *, counts: bool = False
    ) -> State:
        home = (file or place.index).path
        inside = bare(change.inside).rpartition(".<locals>.")[2]
        subject = "the loop that trains" if inside == "<module>" else f"`{inside}`"
        if home != self.index.path:
            subject += f" of {PurePosixPath(home).name}"
        return State(place.index.path, place.qualname, change.name, subject, counts, change.key)


def _class_at(file: FileIndex, line: int, *, body: bool) -> str:
    """Return the innermost class around a line, or "".

    Args:
        file: where the line is.
        line: counted from 1.
        body: the line must stand in the body of the class itself, not in a method.
    """
    around = [d for d in file.definitions.values() if d.line <= line <= d.end_line]
    classes = [d for d in around if d.kind == "class"]
    if not classes:
        return ""
    innermost = max(classes, key=lambda d: d.line)
    if body and any(d.kind == "function" and d.line > innermost.line for d in around):
        return ""
    return innermost.qualname


def _has_hooks(file: FileIndex, owner: str) -> bool:
    prefix = f"{owner}."
    return any(
        name.startswith(prefix) and is_hook(name.removeprefix(prefix)) for name in file.definitions
    )
