"""Fixes of quotients, masks, empty selections and straight-through estimators."""

from __future__ import annotations

import pytest

from actlint.findings import Result, Safety

from .fix_cases import Case, check, left, run

CASES = (
    Case(
        "mask_of_a_logarithm",
        """\
import tensorflow as tf


def log_loss(y_true, y_pred):
    known = tf.cast(y_true > 0, tf.float32)
    return -tf.reduce_mean(known * tf.math.log(y_true) * y_pred)
""",
        Safety.SAFE,
        (
            (
                "tf.math.log(y_true)",
                "tf.math.log(tf.where(y_true > 0, y_true, tf.ones_like(y_true)))",
            ),
        ),
    ),
    Case(
        "mask_of_a_quotient",
        """\
import tensorflow as tf


def relative(eps):
    def loss(y_true, y_pred):
        seen = tf.cast(tf.abs(y_true) > eps, tf.float32)
        error = tf.abs(y_true - y_pred) / tf.abs(y_true)
        return tf.reduce_mean(error * seen)

    return loss


def build(model):
    model.compile("sgd", loss=relative(1e-3))
""",
        Safety.SAFE,
        (
            (
                "tf.abs(y_true - y_pred) / tf.abs(y_true)",
                "tf.math.divide_no_nan(tf.abs(y_true - y_pred), tf.abs(y_true))",
            ),
        ),
    ),
    Case(
        "logarithm_of_a_quotient",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Divergence(Loss):
    def call(self, y_true, y_pred):
        q = K.clip(y_pred, K.epsilon(), 1.0)
        return K.sum(y_true * K.log(y_true / q), axis=-1)
""",
        Safety.SAFE,
        (
            (
                "from tensorflow.keras import b",
                "import tensorflow as tf\nfrom tensorflow.keras import b",
            ),
            ("y_true * K.log(y_true / q)", "tf.math.xlogy(y_true, y_true / q)"),
        ),
    ),
    Case(
        "mask_of_a_reciprocal",
        """\
from keras import ops
from keras.layers import Lambda

layer = Lambda(lambda x: ops.cast(ops.not_equal(x, 0.0), "float32") * ops.reciprocal(x))
""",
        Safety.SAFE,
        (
            (
                "ops.reciprocal(x)",
                "ops.reciprocal(ops.where(ops.not_equal(x, 0.0), x, ops.ones_like(x)))",
            ),
        ),
    ),
    Case(
        "infinite_mask",
        """\
import tensorflow as tf


class Attend(tf.keras.layers.Layer):
    def call(self, scores, allowed):
        penalty = (1.0 - tf.cast(allowed, tf.float32)) * float("-inf")
        return tf.nn.softmax(scores + penalty)
""",
        Safety.UNSAFE,
        (('float("-inf")', "-1e9"),),
    ),
    Case(
        "mean_of_a_mask",
        """\
from keras import ops


def make_loss(ignored):
    def loss(y_true, y_pred):
        valid = ops.cast(ops.not_equal(y_true, ignored), "float32")
        each = ops.square(y_true - y_pred)
        return ops.divide(ops.sum(valid * each), ops.sum(valid))

    return loss


def build(model):
    model.compile("adam", loss=make_loss(0.0))
""",
        Safety.SAFE,
        (("ops.divide(", "ops.divide_no_nan("),),
    ),
    Case(
        "mean_of_a_selection",
        """\
import tensorflow as tf


def chosen_loss(y_true, y_pred):
    error = tf.boolean_mask(tf.square(y_true - y_pred), y_true > 0)
    return tf.reduce_mean(error)
""",
        Safety.SAFE,
        (
            (
                "tf.reduce_mean(error)",
                'tf.math.divide_no_nan(tf.reduce_sum(error), tf.cast(tf.size(error), "float32"))',
            ),
        ),
    ),
    Case(
        "mean_of_a_subscript",
        """\
import tensorflow as tf


@tf.function
def hard_loss(y_true, y_pred):
    error = tf.abs(y_true - y_pred)
    return tf.reduce_mean(error[error > 0.3])
""",
        Safety.SAFE,
        (
            (
                "tf.reduce_mean(error[error > 0.3])",
                "tf.math.divide_no_nan(tf.reduce_sum(error[error > 0.3]), "
                'tf.math.count_nonzero(error > 0.3, dtype="float32"))',
            ),
        ),
    ),
    Case(
        "missing_labels",
        """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    missing = tf.math.is_nan(y_true)
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(tf.where(missing, tf.zeros_like(error), error))
""",
        Safety.SAFE,
        (
            (
                "y_true - y_pred",
                "tf.where(tf.math.is_nan(y_true), tf.zeros_like(y_true), y_true) - y_pred",
            ),
        ),
    ),
    Case(
        "predicted_scale",
        """\
import tensorflow as tf


def build(model):
    model.compile("adam", loss=laplace)


def laplace(y_true, y_pred):
    scale = tf.nn.relu(y_pred[..., 1])
    return tf.reduce_mean(scale + tf.abs(y_true[..., 0] - y_pred[..., 0]) / scale)
""",
        Safety.UNSAFE,
        (
            (
                "tf.abs(y_true[..., 0] - y_pred[..., 0]) / scale",
                "tf.abs(y_true[..., 0] - y_pred[..., 0]) / tf.maximum(scale, 1e-7)",
            ),
        ),
    ),
    Case(
        "predicted_log_variance",
        """\
from tensorflow.keras import backend as K


def gauss_loss(y_true, y_pred):
    log_variance = y_pred[..., 1]
    error = K.square(y_true[..., 0] - y_pred[..., 0])
    return K.mean(log_variance + error / K.exp(log_variance))
""",
        Safety.UNSAFE,
        (
            (
                "error / K.exp(log_variance)",
                "error * K.exp(K.minimum(-log_variance, 20.0))",
            ),
        ),
    ),
    Case(
        "swapped_estimator",
        """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def quantised(x):
    levels = tf.round(4.0 * x) / 4.0
    return levels + tf.stop_gradient(x - levels)


layer = Dense(8, activation=quantised)
""",
        Safety.UNSAFE,
        (("levels + tf.stop_gradient(x - levels)", "x + tf.stop_gradient(levels - x)"),),
    ),
    Case(
        "estimator_with_its_input_in_the_value",
        """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda v: v + tf.stop_gradient(tf.cast(v > 0.0, tf.float32)))
""",
        Safety.UNSAFE,
        (("tf.cast(v > 0.0, tf.float32))", "tf.cast(v > 0.0, tf.float32) - v)"),),
    ),
    Case(
        "estimator_with_a_doubled_gradient",
        """\
import tensorflow as tf


def through(x):
    return x + x - tf.stop_gradient(x + x - tf.floor(x))


layer = tf.keras.layers.Activation(through)
""",
        Safety.UNSAFE,
        (
            (
                "x + x - tf.stop_gradient(x + x - tf.floor(x))",
                "x + tf.stop_gradient(tf.floor(x) - x)",
            ),
        ),
    ),
    Case(
        "swapped_estimator_as_a_difference",
        """\
import tensorflow as tf


def f(x):
    levels = tf.round(4.0 * x) / 4.0
    return levels - tf.stop_gradient(levels - x)


layer = tf.keras.layers.Dense(4, activation=f)
""",
        Safety.UNSAFE,
        (("levels - tf.stop_gradient(levels - x)", "x + tf.stop_gradient(levels - x)"),),
    ),
    Case(
        "estimator_of_a_scaled_step",
        """\
import tensorflow as tf


def f(x):
    return x + x - tf.stop_gradient(x + x - tf.round(4.0 * x) / 4.0)


layer = tf.keras.layers.Dense(4, activation=f)
""",
        Safety.UNSAFE,
        (
            (
                "x + x - tf.stop_gradient(x + x - tf.round(4.0 * x) / 4.0)",
                "x + tf.stop_gradient(tf.round(4.0 * x) / 4.0 - x)",
            ),
        ),
    ),
    Case(
        "activation_of_an_activation",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense

layer = Dense(8, activation=lambda x: K.sigmoid(K.sigmoid(x)))
""",
        Safety.UNSAFE,
        (("K.sigmoid(K.sigmoid(x))", "K.sigmoid(x)"),),
    ),
    Case(
        "log_softmax_of_probabilities",
        """\
import tensorflow as tf
from tensorflow.keras.losses import Loss


class Scores(Loss):
    def _probabilities(self, logits):
        return tf.nn.softmax(logits, axis=-1)

    def call(self, y_true, y_pred):
        p = self._probabilities(y_pred)
        return -tf.reduce_mean(tf.reduce_sum(y_true * tf.nn.log_softmax(p), axis=-1))
""",
        Safety.UNSAFE,
        (
            ("        p = self._probabilities(y_pred)\n", ""),
            ("tf.nn.log_softmax(p)", "tf.nn.log_softmax(y_pred)"),
        ),
    ),
)


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_a_mended_program_has_no_finding_of_its_hazard(result: Result) -> None:
    assert not left(result, CASES)
