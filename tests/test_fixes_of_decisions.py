"""Fixes of decisions, indices and metrics in losses, and of losses without a prediction."""

from __future__ import annotations

import pytest

from actlint.findings import Result, Safety

from .fix_cases import Case, check, left, run

TF = "import tensorflow as tf\n"
BACKEND = "from tensorflow.keras import backend as K\n"

CASES = (
    # ---- indices
    Case("winner", TF + """\
from tensorflow.keras.layers import Layer


class Winner(Layer):
    def call(self, inputs):
        soft = tf.nn.softmax(inputs)
        return tf.one_hot(tf.argmax(soft, axis=-1), depth=4)
""", Safety.UNSAFE, (
        ("tf.one_hot(tf.argmax(soft, axis=-1), depth=4)",
         "soft + tf.stop_gradient(tf.one_hot(tf.argmax(soft, axis=-1), tf.shape(soft)[-1]) "
         "- soft)"),
    )),
    Case("expected_index", TF + """\


def distance_loss(y_true, logits):
    p = tf.nn.softmax(logits, axis=-1)
    found = tf.cast(tf.argmax(p, axis=-1), tf.float32)
    return tf.reduce_mean(tf.square(tf.reduce_max(y_true, axis=-1) - found))
""", Safety.UNSAFE, (
        ("tf.cast(tf.argmax(p, axis=-1), tf.float32)",
         "tf.reduce_sum(p * tf.range(tf.cast(tf.shape(p)[-1], tf.float32)), axis=-1)"),
    )),
    Case("index_along_the_batch", TF + """\


def first_loss(y_true, y_pred):
    found = tf.cast(tf.argmax(y_pred), tf.float32)
    return tf.reduce_mean(tf.square(tf.reduce_sum(y_true, axis=0) - found))
""", None),
    Case("ranks", TF + """\


class Ranks(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.cast(tf.argsort(inputs, axis=-1), tf.float32)
""", None),
    # ---- counts
    Case("error_rate_of_classes", TF + """\


def rate_loss(y_true, logits):
    p = tf.nn.softmax(logits)
    right = tf.equal(tf.argmax(y_true, axis=-1), tf.argmax(p, axis=-1))
    return 1.0 - tf.reduce_mean(tf.cast(right, tf.float32))
""", Safety.UNSAFE, (
        ("    right = tf.equal(tf.argmax(y_true, axis=-1), tf.argmax(p, axis=-1))\n", ""),
        ("1.0 - tf.reduce_mean(tf.cast(right, tf.float32))",
         "tf.reduce_mean(tf.keras.losses.categorical_crossentropy(y_true, p))"),
    )),
    Case("error_rate_of_nothing_known", TF + """\


def rate_loss(y_true, scores):
    right = tf.equal(tf.argmax(y_true, axis=-1), tf.argmax(scores, axis=-1))
    return 1.0 - tf.reduce_mean(tf.cast(right, tf.float32))
""", None),
    Case("threshold_of_logits", TF + """\


def overlap_loss(y_true, logits):
    hard = tf.where(logits > 0.0, 1.0, 0.0)
    return 1.0 - tf.reduce_sum(y_true * hard) / (tf.reduce_sum(y_true * y_true) + 1.0)
""", Safety.UNSAFE, (("tf.where(logits > 0.0, 1.0, 0.0)", "tf.sigmoid(logits)"),)),
    Case("rounded_and_clipped", BACKEND + """\
from tensorflow.keras.losses import Loss


class Score(Loss):
    def call(self, y_true, y_pred):
        decided = K.round(K.clip(y_pred, 0, 1))
        hits = K.sum(y_true * decided)
        return 1.0 - 2.0 * hits / (K.sum(K.square(y_true)) + K.sum(decided) + 1.0)
""", Safety.UNSAFE, (("K.round(K.clip(y_pred, 0, 1))", "K.clip(y_pred, 0, 1)"),)),
    # ---- metric objects
    Case("running_mean_beside_a_term", TF + """\


class Both(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.error = tf.keras.metrics.MeanAbsoluteError()

    def call(self, y_true, y_pred):
        return self.error(y_true, y_pred) + 0.1 * tf.reduce_mean(tf.square(y_pred))
""", Safety.UNSAFE, (
        ("self.error(y_true, y_pred)", "tf.reduce_mean(tf.keras.losses.mae(y_true, y_pred))"),
    )),
    Case("running_mean_of_logits", TF + """\

entropy = tf.keras.metrics.BinaryCrossentropy(from_logits=True)


def entropy_loss(y_true, y_pred):
    return entropy(y_true, y_pred)
""", Safety.UNSAFE, (
        ("return entropy(y_true, y_pred)",
         "return tf.reduce_mean(tf.keras.losses.binary_crossentropy(y_true, y_pred, "
         "from_logits=True))"),
    )),
    # ---- thresholds of errors
    Case("size_of_an_error", TF + """\


def robust_loss(y_true, y_pred, delta=1.0):
    quadratic = tf.minimum(y_true - y_pred, delta)
    linear = (y_true - y_pred) - quadratic
    return tf.reduce_mean(0.5 * quadratic**2 + delta * linear)
""", None),
    Case("size_of_a_named_error", TF + """\


def robust_loss(y_true, y_pred, delta=1.0):
    error = y_true - y_pred
    linear = delta * error - 0.5 * delta**2
    return tf.reduce_mean(tf.where(error <= delta, 0.5 * tf.square(error), linear))
""", Safety.UNSAFE, (("error = y_true - y_pred", "error = tf.abs(y_true - y_pred)"),)),
    # ---- no prediction
    Case("label_twice", TF + """\


def squared_loss(y_true, y_pred):
    error = tf.math.squared_difference(y_true, y_true)
    return tf.reduce_mean(error, axis=-1)
""", Safety.UNSAFE, (("(y_true, y_true)", "(y_true, y_pred)"),)),
    Case("overwritten", BACKEND + """\


def absolute_loss(y_true, y_pred):
    y_pred = K.flatten(y_true)
    return K.mean(K.abs(K.flatten(y_true) - y_pred))
""", Safety.UNSAFE, (("y_pred = K.flatten(y_true)", "y_pred = K.flatten(y_pred)"),)),
    Case("prediction_that_is_not_there", TF + """\


def size_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs(y_true))
""", None),
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_mended_sources_show_no_such_hazard(result: Result) -> None:
    assert not left(result, CASES)
