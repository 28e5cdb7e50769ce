"""What Keras itself does with losses and dtypes: facts behind the pages and checks of rules."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = tf.keras

SURE = tf.constant([[-20.0, 20.0, -20.0, -20.0]])
LABEL = tf.constant([[0.0, 1.0, 0.0, 0.0]])
# Four classes: log(1 + 3 / e).
FLOOR = float(np.log(1.0 + 3.0 / np.e))

Loss = Callable[[Any, Any], Any]


def both(loss: Loss, activation: Callable[[Any], Any]) -> tuple[float, float]:
    """Return the loss of certain, right logits behind an activation: eager, and in a graph."""

    def run(labels: Any, logits: Any) -> Any:
        return tf.reduce_mean(loss(labels, activation(logits)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = tf.function(run, autograph=False)
        return float(run(LABEL, SURE)), float(compiled(LABEL, SURE))


def test_keras_goes_back_to_the_logits_of_its_own_activation() -> None:
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert both(loss, keras.activations.softmax) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_of_tensorflow_s_activation_only_in_a_graph() -> None:
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert both(loss, tf.nn.softmax) == pytest.approx((FLOOR, 0.0), abs=1e-5)


def test_never_behind_another_operation() -> None:
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    found = both(loss, lambda z: 1.0 * keras.activations.softmax(z))
    assert found == pytest.approx((FLOOR, FLOOR), abs=1e-5)


def test_never_in_functions_of_tensorflow_and_focal_losses() -> None:
    found = both(tf.nn.softmax_cross_entropy_with_logits, keras.activations.softmax)
    assert found == pytest.approx((FLOOR, FLOOR), abs=1e-5)
    focal = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    assert min(both(focal, keras.activations.softmax)) > 0.02


@pytest.mark.parametrize(
    ("labels", "function", "loss_object"),
    [((6,), ((6, 1), (6, 1)), ((6,), (6, 1))), ((6, 1), ((6, 1), (6, 1)), ((6, 1), (6, 1)))],
)
def test_ranks_are_matched_for_functions_and_not_for_loss_objects(
    labels: tuple[int, ...], function: Any, loss_object: Any
) -> None:
    seen: list[Any] = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        seen.append((tuple(y_true.shape), tuple(y_pred.shape)))
        return tf.reduce_mean(tf.square(y_pred))

    class Own(keras.losses.Loss):  # type: ignore[misc,name-defined]  # Keras is untyped
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return loss(y_true, y_pred)

    for given, expected in ((loss, function), (Own(), loss_object)):
        seen.clear()
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss=given, run_eagerly=True)
        model.train_on_batch(np.ones((6, 2), "float32"), np.ones(labels, "float32"))
        assert seen[-1] == expected


def test_keras_passes_the_labels_first_by_position() -> None:
    seen: list[float] = []

    def loss(first: Any, second: Any) -> Any:
        seen.append(float(tf.reduce_mean(first)))
        return tf.reduce_mean(tf.square(first - second))

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss=loss, run_eagerly=True)
    model.train_on_batch(np.ones((2, 2), "float32"), np.full((2, 1), 7.0, "float32"))
    assert seen == [7.0]


SEEN = """
import numpy as np, tensorflow as tf
keras, seen = tf.keras, {}

def activation(x):
    seen["activation"] = x.dtype.name
    return x

def penalty(w):
    seen["regularizer"] = keras.backend.standardize_dtype(w.dtype)
    return 0.0 * tf.reduce_sum(w)

class Scale(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(1,), initializer="ones")

    def call(self, x):
        seen["layer"] = (x * self.w).dtype.name
        return x * self.w

class Wide(keras.layers.Layer):
    def call(self, x):
        seen["wide"] = x.dtype.name
        return x

def function(labels, predictions):
    seen["function"] = predictions.dtype.name
    return tf.reduce_mean(tf.square(predictions))

class Own(keras.losses.Loss):
    def call(self, labels, predictions):
        seen["object"] = predictions.dtype.name
        return tf.reduce_mean(tf.square(predictions))

SETTING
for loss in (function, Own()):
    dense = keras.layers.Dense(2, activation=activation, kernel_regularizer=penalty)
    model = keras.Sequential([dense, Wide(dtype="float32"), Scale()])
    model.compile(optimizer="sgd", loss=loss, run_eagerly=True)
    model.train_on_batch(np.ones((6, 2), "float32"), np.ones((6, 2), "float32"))
print(*(seen[key] for key in
        ("activation", "layer", "wide", "regularizer", "function", "object")))
"""


@pytest.mark.parametrize(
    ("setting", "dtypes"),
    [
        ('keras.mixed_precision.set_global_policy("mixed_float16")',
         "float16 float16 float32 float32 float32 float32"),
        ('keras.config.set_dtype_policy("mixed_bfloat16")',
         "bfloat16 bfloat16 float32 float32 float32 float32"),
        ('keras.backend.set_floatx("float16")',
         "float16 float16 float32 float16 float16 float16"),
    ],
)  # fmt: skip
def test_policies_decide_about_layers_and_floatx_about_losses(setting: str, dtypes: str) -> None:
    # In a process of its own, because a policy holds for all that comes after it.
    program = SEEN.replace("SETTING", setting)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == dtypes.split(), done.stderr


def test_what_16_bits_hold() -> None:
    x = tf.constant([1.0, 300.0], tf.float16)
    assert (tf.zeros_like(x) + 1e-8).numpy().tolist() == [0.0, 0.0]
    assert (x[:1] - 1e-4).numpy().tolist() == [1.0]
    assert np.isneginf(tf.where([False, True], x, -1e9).numpy()[0])
    assert np.isposinf(tf.square(x).numpy()[1])
    assert np.isfinite(tf.exp(11.0 * x[:1]).numpy()).all()
    assert np.isposinf(tf.exp(11.2 * x[:1]).numpy()).all()
    assert float(tf.constant(1.0, tf.bfloat16) + 1e-3) == 1.0
