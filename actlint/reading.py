"""What of a file is read together with its models: compiled losses, and steps of training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from actlint.graph import InputRole, Role
from actlint.index import FileIndex
from actlint.scene import Unit, input_roles

# Which losses depend on what the last layer gives.
_CROSS_ENTROPY = re.compile("cross_?entropy", re.IGNORECASE)
_STEPS = frozenset({Role.TRAINING_STEP, Role.GRAPH})


def with_models(index: FileIndex, found: Iterable[Unit]) -> tuple[Unit, ...]:
    """Return the units of a file, and those that are looked at with the layers of their models.

    Args:
        index: the file.
        found: its units; those that train with a cross-entropy come once more.
    """
    whole = tuple(found)
    more = [*_compiling(index), *_training(index, whole)]
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
    if _CROSS_ENTROPY.search(index.text):
        yield from (replace(unit, reads=True) for unit in found if unit.role in _STEPS)
