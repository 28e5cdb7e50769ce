"""Fixes where a value has to be chosen, of cut and quiet gradients, and of what a loss means."""

from __future__ import annotations

import pytest

from actlint.findings import Result, Safety

from .fix_cases import ACTIVATION, Case, check, left, run

CASES = (
    # ---- 0 / 0: which value is right?
    Case(
        "quotient_that_tends_to_zero",
        """\
import tensorflow as tf


def f(x):
    return x * tf.abs(x) / tf.abs(x)
"""
        + ACTIVATION,
        Safety.SAFE,
        (("x * tf.abs(x) / tf.abs(x)", "tf.math.divide_no_nan(x * tf.abs(x), tf.abs(x))"),),
    ),
    Case(
        "quotient_that_tends_to_one",
        """\
import tensorflow as tf


class Shrink(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.tanh(inputs) / inputs
""",
        Safety.UNSAFE,
        (("tf.tanh(inputs) / inputs", "tf.math.divide_no_nan(tf.tanh(inputs), inputs)"),),
    ),
    Case(
        "score_of_an_empty_mask",
        """\
from tensorflow.keras import backend as K


def dice_loss(y_true, y_pred):
    overlap = K.sum(y_true * y_pred)
    return 1.0 - 2.0 * overlap / (K.sum(K.square(y_true)) + K.sum(K.square(y_pred)))
""",
        Safety.UNSAFE,
        (
            ("2.0 * overlap /", "(2.0 * overlap + 1e-5) /"),
            ("K.sum(K.square(y_pred)))", "K.sum(K.square(y_pred)) + 1e-5)"),
        ),
    ),
    Case(
        "smoothed_above_alone",
        """\
import tensorflow as tf


def dice_loss(y_true, y_pred, smooth=1.0):
    overlap = tf.reduce_sum(y_true * y_pred)
    total = tf.reduce_sum(tf.square(y_true)) + tf.reduce_sum(tf.square(y_pred))
    return 1.0 - (2.0 * overlap + smooth) / total
""",
        Safety.UNSAFE,
        (("(2.0 * overlap + smooth) / total", "(2.0 * overlap + smooth) / (total + smooth)"),),
    ),
    Case(
        "mean_of_what_a_mask_leaves",
        """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    seen = tf.cast(y_true > 0, tf.float32)
    return tf.reduce_sum(seen * tf.abs(y_true - y_pred)) / tf.reduce_sum(seen)
""",
        Safety.SAFE,
        (
            (
                "tf.reduce_sum(seen * tf.abs(y_true - y_pred)) / tf.reduce_sum(seen)",
                "tf.math.divide_no_nan("
                "tf.reduce_sum(seen * tf.abs(y_true - y_pred)), tf.reduce_sum(seen))",
            ),
        ),
    ),
    Case(
        "recall_of_no_positive",
        """\
import tensorflow as tf


def recall_loss(y_true, y_pred):
    found = tf.reduce_sum(y_true * y_pred)
    return 1.0 - found / tf.reduce_sum(y_true)
""",
        Safety.UNSAFE,
        (
            ("found / tf.reduce_sum(y_true)", "(found + 1e-5) / (tf.reduce_sum(y_true) + 1e-5)"),
        ),
    ),
    # ---- gradients
    Case(
        "repeated_value_is_named",
        """\
import tensorflow as tf


class Levels(tf.keras.layers.Layer):
    def call(self, inputs):
        # A comment stays.
        return tf.round(tf.sqrt(tf.square(inputs) + 1.0))
""",
        Safety.UNSAFE,
        (
            (
                "return tf.round(tf.sqrt(tf.square(inputs) + 1.0))",
                "value = tf.sqrt(tf.square(inputs) + 1.0)\n"
                "        return value + tf.stop_gradient(tf.round(value) - value)",
            ),
        ),
    ),
    Case(
        "numpy_reduction",
        """\
import numpy as np
import tensorflow as tf


def numpy_loss(y_true, y_pred):
    return np.mean(tf.square(y_true - y_pred), axis=-1)
""",
        Safety.UNSAFE,
        (("np.mean(", "tf.reduce_mean("),),
    ),
    Case(
        "steep_setting_stays",
        """\
import tensorflow as tf


def soft_count_loss(y_true, y_pred, steepness=200.0):
    chosen = tf.sigmoid(steepness * (y_pred - 0.5))
    return tf.reduce_mean(tf.square(chosen - y_true))
""",
        None,
    ),
    Case(
        "gradient_of_its_own",
        """\
import tensorflow as tf


@tf.custom_gradient
def cube(x):
    square = tf.square(x)

    def grad(dy):
        return dy * 2.0 * square

    return tf.pow(x, 3.0), grad
""",
        Safety.UNSAFE,
        (
            ("@tf.custom_gradient\n", ""),
            ("    square = tf.square(x)\n", ""),
            ("    def grad(dy):\n        return dy * 2.0 * square\n\n", ""),
            ("tf.pow(x, 3.0), grad", "tf.pow(x, 3.0)"),
        ),
    ),
    # ---- losses
    Case(
        "prediction_first",
        """\
import tensorflow as tf


def rate(y_pred: tf.Tensor, y_true: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(y_pred - y_true * tf.math.log(y_pred + 1e-3))


def build(model):
    model.compile("adam", loss=rate)
""",
        Safety.UNSAFE,
        (("y_pred: tf.Tensor, y_true: tf.Tensor", "y_true: tf.Tensor, y_pred: tf.Tensor"),),
    ),
    Case(
        "term_of_zero",
        """\
import tensorflow as tf


def total_loss(y_true, y_pred):
    fit = tf.reduce_mean(tf.abs(y_true - y_pred))  # the fit
    return fit + 0.0 * tf.reduce_mean(tf.square(y_pred))
""",
        Safety.SAFE,
        (("fit + 0.0 * tf.reduce_mean(tf.square(y_pred))", "fit"),),
    ),
    Case(
        "along_the_batch",
        """\
import tensorflow as tf


def nll_loss(labels, scores):
    log_p = scores - tf.math.reduce_logsumexp(scores, axis=0)
    return tf.reduce_mean(-tf.reduce_sum(tf.one_hot(labels, 4) * log_p, axis=1))
""",
        Safety.UNSAFE,
        (("(scores, axis=0)", "(scores, axis=-1, keepdims=True)"),),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(result: Result, case: Case) -> None:
    check(result, case)


def test_mended_sources_show_no_such_hazard(result: Result) -> None:
    assert not left(result, CASES)
