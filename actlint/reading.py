"""What of a file is read together with its models: their outputs, compiled losses, and training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from actlint.graph import InputRole, Role
from actlint.index import DIVISION, FileIndex
from actlint.minimising import UPDATES
from actlint.parameters import input_roles
from actlint.project import Project
from actlint.scene import Unit

# Which losses depend on what the last layer gives.
_CROSS_ENTROPY = re.compile("cross_?entropy", re.IGNORECASE)
_STEPS = frozenset({Role.TRAINING_STEP, Role.GRAPH})
# Functions that make a functional model worth a look: singular ones, and sums to divide by.
_NUMERIC = frozenset(
    {
        "acos", "acosh", "asin", "atan2", "atanh", "divide", "exp", "expm1", "l2_normalize", "log",
        "log10", "log1p", "log2", "norm", "pow", "power", "reciprocal", "reduce_std", "reduce_sum",
        "rsqrt", "sqrt", "std", "sum", "truediv", DIVISION,
    }
)  # fmt: skip


def with_models(
    index: FileIndex, found: Iterable[Unit], project: Project | None = None
) -> tuple[Unit, ...]:
    """Return the units of a file, and those that are looked at with the layers of their models.

    Args:
        index: the file.
        found: its units; those that train with a cross-entropy, or with an optimizer of Keras's
            that gives the updates of its weights, come once more.
        project: where functions of other files are found; the file alone if None.
    """
    whole = tuple(found)
    known = project or Project([index])
    more = [*_compiling(index), *_training(index, whole), *_building(index, whole, known)]
    return tuple(sorted((*whole, *more), key=lambda unit: (unit.line, unit.qualname)))


def _compiling(index: FileIndex) -> Iterator[Unit]:
    """Yield the functions and scripts that compile a model."""
    for name, line in index.compiles:
        definition = index.definitions.get(name)
        inputs: tuple[tuple[str, InputRole], ...] = ()
        if definition is not None:
            inputs = tuple(input_roles(definition, Role.TRAINING_STEP))
        yield Unit(
            index.path,
            name,
            Role.GRAPH,
            "compiles a model",
            inputs,
            line,
            reads=True,
            compiles=True,
        )


def _training(index: FileIndex, found: Iterable[Unit]) -> Iterator[Unit]:
    if UPDATES in index.text or _CROSS_ENTROPY.search(index.text):
        yield from (replace(unit, reads=True) for unit in found if unit.role in _STEPS)


def _building(index: FileIndex, found: Iterable[Unit], project: Project) -> Iterator[Unit]:
    """Yield the functions and scripts that write numerics straight into a functional model."""
    known = {unit.qualname for unit in found}
    builders = {d.qualname: (d.calls, d.line) for d in index.definitions.values()}
    builders["<module>"] = (index.script_calls, max(1, len(index.text.splitlines())))
    for name, (calls, line) in builders.items():
        tested = any(part.lower().startswith("test") for part in name.split("."))
        if "Model" not in calls or name in known or tested:
            continue
        if calls & _NUMERIC or any(_called(c, index, project) & _NUMERIC for c in calls):
            evidence = "builds a functional model"
            yield Unit(index.path, name, Role.LAYER, evidence, line=line, builds=True)


def _called(name: str, index: FileIndex, project: Project) -> frozenset[str]:
    """Return what a function of the project calls, by the last part of each name."""
    if name not in index.definitions and name not in index.imports:
        return frozenset()
    place = project.locate(name, index)
    definition = None if place is None else place.index.definitions[place.qualname]
    return frozenset() if definition is None else definition.calls
