"""Names of the ops table: every spelling of an API leads to its row, unknown ones to none."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from actlint.ops.table import BY_STRING, OBJECTS, TABLE, canonical_name, lookup, object_row, row
from actlint.ops.twins import tensor_names


@pytest.mark.parametrize(
    ("qualified", "key"),
    [
        ("tensorflow.log", "log"),
        ("tensorflow.math.log", "log"),
        ("tensorflow.compat.v1.log", "log"),
        ("tensorflow.compat.v1.math.log", "log"),
        ("tensorflow.keras.backend.log", "log"),
        ("keras.backend.log", "log"),
        ("keras.src.ops.numpy.log", "log"),
        ("tensorflow.keras.ops.log", "log"),
        ("tensorflow.python.ops.math_ops.log", "log"),
        ("tensorflow.contrib.keras.backend.log", "log"),
        ("tensorflow.python.keras.backend.log", "log"),
        ("numpy.log", "np_log"),
        ("numpy.take_along_axis", None),
        ("tensorflow.experimental.numpy.take_along_axis", "take_along_axis"),
        ("keras.ops.take_along_axis", "take_along_axis"),
        ("tensorflow.dtypes.cast", "cast"),
        ("keras.src.backend.numpy.exp", "exp"),
        ("keras.src.backend.math.logsumexp", "reduce_logsumexp"),
        ("tf.log", "log"),
        ("K.sqrt", "keras_sqrt"),
        ("keras.ops.sqrt", "sqrt"),
        ("keras.src.ops.nn.softmax", "softmax"),
        ("keras.activations.relu", "keras_relu"),
        ("tensorflow.nn.relu", "relu"),
        ("keras.losses.mse", "mean_squared_error"),
        ("tensorflow.losses.log_loss", "v1_log_loss"),
        ("tensorflow.losses.categorical_crossentropy", "categorical_crossentropy"),
        ("tensorflow.compat.v1.losses.huber_loss", "v1_huber_loss"),
        ("tensorflow.log2", None),
        ("tensorflow.abs.log", None),
        ("foo.log", None),
        ("log", None),
    ],
)
def test_lookup(qualified: str, key: str | None) -> None:
    found = lookup(qualified)
    assert (found.key if found else None) == key


def test_every_name_is_its_own_canonical_form() -> None:
    for op in TABLE.values():
        for name in op.names:
            assert lookup(name) is op
            assert canonical_name(name) == name or lookup(canonical_name(name)) is op


def exists(path: str) -> bool:
    first, *rest = path.split(".")
    target: Any = {"tf": tf, "np": np}[first]
    for name in rest:
        target = getattr(target, name, None)
    return callable(target)


def test_names_exist_in_tensorflow() -> None:
    """A `tf.`, `np.` name of today must resolve to something callable; old ones may be gone."""
    gone = []
    for op in TABLE.values():
        for name in op.names:
            if name.startswith(("tf.", "np.")):
                old = name.replace("tf.", "tf.compat.v1.", 1)
                if not exists(name) and not exists(old):
                    gone.append(name)
    # Removed before TensorFlow 1.0, but still seen in code.
    assert set(gone) <= {
        "tf.sub", "tf.mul", "tf.neg", "tf.pack", "tf.unpack", "tf.select", "tf.concat_v2",
        "tf.truncate_div", "tf.truncate_mod",
        "tf.nn.softmax_cross_entropy_with_logits_v2",
    }  # fmt: skip


def test_numpy_functions_of_tensorflow() -> None:
    """They exist, and take the arguments that are bound to the rows of their twins."""
    found = tensor_names(TABLE)
    assert [name for name in found if not exists(name)] == []
    assert all(TABLE[op.key].call == op.call for op in found.values())
    x = tf.constant([[0.25, 0.5], [0.75, 0.5]])
    for name in ("abs", "arccos", "exp", "log", "mean", "prod", "sqrt", "std", "sum", "tanh"):
        twin = found[f"tf.experimental.numpy.{name}"].call
        got = getattr(tf.experimental.numpy, name)(x)
        wanted = functools.reduce(getattr, twin.split(".")[1:], tf)(x)
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-6)
    index = tf.constant([[1], [0]])
    for name, args in {
        "cumprod": (x, 1), "diff": (x,), "flip": (x, 1), "nansum": (x,), "outer": (x[0], x[1]),
        "ravel": (x,), "roll": (x, 1, 0), "swapaxes": (x, 0, 1), "take": (x, [1, 0], 1),
        "take_along_axis": (x, index, 1), "trace": (x,), "tril": (x,), "vstack": ([x, x],),
    }.items():  # fmt: skip
        twin = found[f"tf.experimental.numpy.{name}"].call
        got = getattr(tf.experimental.numpy, name)(*args)
        wanted = functools.reduce(getattr, twin.split(".")[1:], tf)(*args)
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-6)
    assert lookup("tensorflow.experimental.numpy.log") == found["tf.experimental.numpy.log"]


def test_row_names_the_missing_op() -> None:
    with pytest.raises(KeyError, match="no row 'frobnicate'"):
        row("frobnicate")


def test_object_rows() -> None:
    found = object_row("tensorflow.keras.losses.BinaryCrossentropy")
    assert found is not None
    assert found.chain == ("binary_crossentropy",)
    assert found.averaged
    assert object_row("tensorflow.losses.Huber") is object_row("keras.losses.Huber")
    assert object_row("keras.layers.Dense") is None


def test_strings_are_what_keras_accepts() -> None:
    for name in BY_STRING:
        known = [tf.keras.activations.get, tf.keras.losses.get]
        assert any(accepts(get, name) for get in known) or name in OLD_STRINGS, name


# Accepted by Keras 2 only.
OLD_STRINGS = {"cosine_proximity", "huber_loss", "kullback_leibler_divergence", "logcosh"}


def accepts(get: Any, name: str) -> bool:
    try:
        return callable(get(name))
    except ValueError:
        return False


def test_object_rows_name_constructor_parameters() -> None:
    for name, entry in OBJECTS.items():
        assert set(entry.passes) <= set(entry.params), name
        if entry.chain:
            first = TABLE[entry.chain[0]]
            assert set(entry.passes.values()) <= set(first.params), name


def test_building_the_table_loads_no_tensorflow() -> None:
    code = (
        "import sys, actlint.ops.table; print('tensorflow' in sys.modules, 'libcst' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
