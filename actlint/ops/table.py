"""The ops table: every row, and the way from an API name in source text to its row.

Building it takes no TensorFlow; an unknown name has no row and is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from actlint.ops import (
    activations,
    arithmetic,
    control,
    explog,
    losses,
    objects,
    powers,
    reductions,
    rounding,
    selection,
    spatial,
    structural,
    trig,
    twins,
)
from actlint.ops.model import Op
from actlint.ops.objects import BY_STRING, OBJECTS, ObjectRow

__all__ = [
    "BY_STRING",
    "OBJECTS",
    "SYMBOLS",
    "TABLE",
    "ObjectRow",
    "canonical_name",
    "lookup",
    "object_row",
    "row",
]

_FAMILIES: Final = (
    arithmetic,
    explog,
    powers,
    trig,
    rounding,
    reductions,
    selection,
    structural,
    spatial,
    activations,
    losses,
    control,
)


def _by_key(rows: Iterable[Op]) -> Mapping[str, Op]:
    table: dict[str, Op] = {}
    for op in rows:
        if op.key in table:
            raise ValueError(f"two rows have the key {op.key!r}")
        table[op.key] = op
    return MappingProxyType(table)


def _by_name(rows: Iterable[Op]) -> Mapping[str, Op]:
    names: dict[str, Op] = {}
    for op in rows:
        for name in op.names:
            if name in names:
                raise ValueError(f"{name} names both {names[name].key!r} and {op.key!r}")
            names[name] = op
    return MappingProxyType(names)


def _all_rows() -> tuple[Op, ...]:
    written = tuple(op for family in _FAMILIES for op in family.ROWS)
    return written + twins.numpy_rows(_by_key(written))


TABLE: Final[Mapping[str, Op]] = _by_key(_all_rows())
_NAMES: Final[Mapping[str, Op]] = MappingProxyType(
    {**_by_name(TABLE.values()), **twins.tensor_names(TABLE)}
)
# Python operators, such as "/", to the keys of their rows.
SYMBOLS: Final[Mapping[str, str]] = MappingProxyType(
    {op.symbol: op.key for op in TABLE.values() if op.symbol}
)
objects.check(TABLE)


# Module prefixes of the ways to spell one API; the longest that fits is taken.
_PREFIXES: Final[Mapping[str, str]] = {
    "tensorflow.": "tf.",
    "tf.": "tf.",
    "tensorflow.compat.v1.": "tf.",
    "tensorflow.compat.v2.": "tf.",
    "tensorflow.compat.v1.losses.": "tf.compat.v1.losses.",
    "tensorflow.losses.": "tf.losses.",
    "tensorflow.keras.": "",
    "tensorflow.compat.v1.keras.": "",
    "tensorflow.compat.v2.keras.": "",
    "tensorflow.contrib.keras.": "",
    "tensorflow.contrib.keras.api.keras.": "",
    "tensorflow.contrib.keras.python.keras.": "",
    "tensorflow.contrib.losses.": "tf.contrib.losses.",
    "tensorflow.python.keras.": "",
    "tensorflow.python.keras.api.keras.": "",
    "keras.": "",
    "keras.src.": "",
    "keras.api.": "",
    "keras.src.utils.module_utils.tensorflow.": "tf.",
    "tf_keras.": "",
    "tf_keras.src.": "",
    "tensorflow.python.ops.math_ops.": "tf.",
    "tensorflow.python.ops.array_ops.": "tf.",
    "tensorflow.python.ops.gen_math_ops.": "tf.",
    "tensorflow.python.ops.gen_array_ops.": "tf.",
    "tensorflow.python.ops.gen_nn_ops.": "tf.nn.",
    "tensorflow.python.ops.clip_ops.": "tf.",
    "tensorflow.python.ops.linalg_ops.": "tf.linalg.",
    "tensorflow.python.ops.nn_ops.": "tf.nn.",
    "tensorflow.python.ops.standard_ops.": "tf.",
    "tensorflow.python.ops.nn_impl.": "tf.nn.",
    "tensorflow.python.ops.nn.": "tf.nn.",
    "tensorflow.python.ops.random_ops.": "tf.",
    "tensorflow.python.ops.sort_ops.": "tf.",
    "tensorflow.python.ops.special_math_ops.": "tf.math.",
    "tensorflow.python.ops.losses.losses_impl.": "tf.compat.v1.losses.",
    "tensorflow.python.ops.losses.losses.": "tf.compat.v1.losses.",
    "tensorflow.python.framework.constant_op.": "tf.",
    "tensorflow.python.framework.ops.": "tf.",
    "tensorflow.experimental.numpy.": "tf.experimental.numpy.",
    "numpy.": "np.",
}

# Within Keras: the folder of a function, in any of its generations, and the short form.
_KERAS: Final[Mapping[str, str]] = {
    "backend.": "K.",
    "backend.tensorflow_backend.": "K.",
    # What Keras 3 is written with itself.
    "backend.numpy.": "ops.",
    "backend.nn.": "ops.",
    "backend.math.": "ops.",
    "backend.core.": "ops.",
    "backend.backend.": "K.",
    "legacy.backend.": "K.",
    "ops.": "ops.",
    "ops.numpy.": "ops.",
    "ops.nn.": "ops.",
    "ops.math.": "ops.",
    "ops.core.": "ops.",
    "ops.linalg.": "linalg_ops.",
    "activations.": "activations.",
    "activations.activations.": "activations.",
    "losses.": "losses.",
    "losses.losses.": "losses.",
    "metrics.": "losses.",
    "objectives.": "losses.",
    "regularizers.": "regularizers.",
    "regularizers.regularizers.": "regularizers.",
    "layers.": "layers.",
    "config.": "config.",
    "random.": "keras.random.",
    "utils.": "utils.",
    "utils.np_utils.": "utils.",
    "utils.numerical_utils.": "utils.",
}


def _strip(name: str, prefixes: Mapping[str, str]) -> str | None:
    """Replace the longest prefix of whole components that `prefixes` has; None if none."""
    end = len(name)
    while (end := name.rfind(".", 0, end)) > 0:
        short = prefixes.get(name[: end + 1])
        if short is not None:
            return short + name[end + 1 :]
    return None


def canonical_name(qualified: str) -> str:
    """Return the short form of a qualified API name; unchanged if it is none we know.

    ``tensorflow.compat.v1.log`` gives ``tf.log``, ``keras.src.ops.numpy.log`` gives ``ops.log``.
    A name already in short form is returned as it is.
    """
    name = _strip(qualified, _PREFIXES)
    if name is None:
        return qualified
    if name.startswith("tf.losses.") and name not in _NAMES:
        return name.removeprefix("tf.")  # in TensorFlow 2 tf.losses is tf.keras.losses
    if name.startswith(("tf.", "np.")):
        return name
    # What is left is a path within Keras.
    inner = _strip(name, _KERAS)
    if inner is not None:
        return inner
    return qualified


def lookup(qualified: str) -> Op | None:
    """Return the row that a qualified name such as ``tensorflow.math.log`` means, or None."""
    return _NAMES.get(qualified) or _NAMES.get(canonical_name(qualified))


def object_row(qualified: str) -> ObjectRow | None:
    """Return the class whose instances are ops, such as ``keras.losses.Huber``, or None."""
    return OBJECTS.get(qualified) or OBJECTS.get(canonical_name(qualified))


def row(key: str) -> Op:
    """Return the row with canonical key `key`.

    Raises:
        KeyError: there is none; the message names the op.
    """
    try:
        return TABLE[key]
    except KeyError:
        raise KeyError(f"the ops table has no row {key!r}") from None
