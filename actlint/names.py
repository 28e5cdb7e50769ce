"""What a dotted name means: the set of qualified names that its imports allow."""

from __future__ import annotations

from actlint.index import FileIndex


def meanings(index: FileIndex, name: str) -> tuple[str, ...]:
    """Return every qualified name that `name` may stand for at module level, sorted.

    ``tf.math.log`` under ``import tensorflow as tf`` gives ``("tensorflow.math.log",)``. A name
    imported in both branches of a ``try`` has several meanings; a local name has none.
    """
    root, _, rest = name.partition(".")
    found = index.imports.get(root)
    if found is None:
        if root in index.definitions:
            return ()
        return tuple(sorted(f"{module}.{name}" for module in index.stars))
    return tuple(f"{meaning}.{rest}" if rest else meaning for meaning in found)


def last(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]
