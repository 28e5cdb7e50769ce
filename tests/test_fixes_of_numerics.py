"""Fixes of naive forms, poles, cusps and epsilons."""

from __future__ import annotations

import pytest

from actlint.findings import Result, Safety

from .fix_cases import ACTIVATION, Case, check, left, run

CASES = (
    Case(
        "double_where",
        """\
import tensorflow as tf


def f(x):
    return tf.where(x >= 0, x / (x + 1.0), 0.1 * x)
"""
        + ACTIVATION,
        Safety.SAFE,
        (("(x + 1.0)", "tf.where(x >= 0, x + 1.0, tf.ones_like(x))"),),
    ),
    Case(
        "double_where_in_the_other_branch",
        """\
import tensorflow as tf


def f(x):
    tail = tf.exp(x)
    return tf.where(x > 0, x, tail - 1.0)
"""
        + ACTIVATION,
        Safety.SAFE,
        (("tf.exp(x)", "tf.exp(tf.where(x > 0, tf.zeros_like(x), x))"),),
    ),
    Case(
        "log_sum_exp",
        """\
import tensorflow as tf


class Energy(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        energy = tf.math.log(tf.reduce_sum(tf.exp(y_pred), axis=-1, keepdims=True))
        return tf.reduce_mean(energy - tf.reduce_sum(y_true * y_pred, axis=-1, keepdims=True))
""",
        Safety.SAFE,
        (
            (
                "tf.math.log(tf.reduce_sum(tf.exp(y_pred), axis=-1, keepdims=True))",
                "tf.reduce_logsumexp(y_pred, axis=-1, keepdims=True)",
            ),
        ),
    ),
    Case(
        "softmax",
        """\
import tensorflow as tf


def f(x):
    e = tf.exp(x)
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)
"""
        + ACTIVATION,
        Safety.SAFE,
        (
            ("    e = tf.exp(x)\n", ""),
            (
                "e / tf.reduce_sum(e, axis=-1, keepdims=True)",
                "tf.nn.softmax(x, axis=-1)",
            ),
        ),
    ),
    Case(
        "x_log_x",
        """\
import tensorflow as tf


def entropy_loss(y_true, p):
    surprise = tf.reduce_sum(p * tf.math.log(p), axis=-1)
    return tf.reduce_mean(tf.square(y_true - p)) + 0.1 * tf.reduce_mean(surprise)
""",
        Safety.SAFE,
        (("p * tf.math.log(p)", "tf.math.xlogy(p, p)"),),
    ),
    Case(
        "epsilon_under_a_root",
        """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred)))
""",
        Safety.UNSAFE,
        (("tf.square(y_true - y_pred))", "tf.square(y_true - y_pred)) + 1e-12"),),
    ),
    Case(
        "norm",
        """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.reduce_mean(tf.norm(y_true - y_pred, axis=-1))
""",
        Safety.UNSAFE,
        (
            (
                "tf.norm(y_true - y_pred, axis=-1)",
                "tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred), axis=-1) + 1e-12)",
            ),
        ),
    ),
    Case(
        "bound_that_float32_holds",
        """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-12)
    return -tf.reduce_mean(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))
""",
        Safety.UNSAFE,
        (("1.0 - 1e-12", "1 - 1e-7"),),
    ),
    Case(
        "straight_through",
        """\
import tensorflow as tf


def f(x):
    return 0.5 * tf.round(x)
"""
        + ACTIVATION,
        Safety.UNSAFE,
        (("tf.round(x)", "(x + tf.stop_gradient(tf.round(x) - x))"),),
    ),
    Case(
        "log_of_a_mean_of_exponentials",
        """\
from keras import ops
from keras.layers import Layer


class SmoothMaximum(Layer):
    def call(self, inputs):
        return ops.log(ops.mean(ops.exp(inputs), axis=-1))
""",
        Safety.SAFE,
        (
            (
                "ops.log(ops.mean(ops.exp(inputs), axis=-1))",
                "ops.logsumexp(inputs, axis=-1) - "
                'ops.log(ops.cast(ops.shape(inputs)[-1], "float32"))',
            ),
        ),
    ),
    Case(
        "log_of_cosh",
        """\
import tensorflow as tf


class LogCosh(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.math.log(tf.math.cosh(y_pred - y_true)))
""",
        Safety.SAFE,
        (
            (
                "tf.math.log(tf.math.cosh(y_pred - y_true))",
                "y_pred - y_true + tf.math.softplus(-2.0 * (y_pred - y_true)) - tf.math.log(2.0)",
            ),
        ),
    ),
    Case(
        "log_one_plus_exponential",
        """\
import tensorflow as tf

layer = tf.keras.layers.Dense(8, activation=lambda x: x * tf.tanh(tf.math.log1p(tf.exp(x))))
""",
        Safety.SAFE,
        (("tf.math.log1p(tf.exp(x))", "tf.math.softplus(x)"),),
    ),
    Case(
        "log_of_one_plus",
        """\
from keras import ops
from keras.layers import Layer


class LogRatio(Layer):
    def call(self, inputs):
        size = ops.abs(inputs)
        return ops.log(1.0 + size) / (size + 1e-9)
""",
        Safety.SAFE,
        (("ops.log(1.0 + size)", "ops.log1p(size)"),),
    ),
    Case(
        "exponential_less_one",
        """\
import tensorflow as tf


def growth(x):
    return tf.math.divide_no_nan(tf.exp(tf.minimum(x, 20.0)) - 1.0, x)


layer = tf.keras.layers.Dense(8, activation=growth)
""",
        Safety.UNSAFE,
        (("tf.exp(tf.minimum(x, 20.0)) - 1.0", "tf.math.expm1(tf.minimum(x, 20.0))"),),
    ),
    Case(
        "one_less_cosine",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda


def bend(x):
    return (1.0 - K.cos(x)) / (K.square(x) + 1e-12)


layer = Lambda(bend)
""",
        Safety.SAFE,
        (("(1.0 - K.cos(x))", "2.0 * K.square(K.sin(x / 2.0))"),),
    ),
    Case(
        "variance_of_two_means",
        """\
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        square = tf.reduce_mean(inputs**2, axis=-1, keepdims=True)
        variance = tf.maximum(square - mean**2, 0.0)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5)
""",
        Safety.SAFE,
        (
            ("        square = tf.reduce_mean(inputs**2, axis=-1, keepdims=True)\n", ""),
            ("square - mean**2", "tf.math.reduce_variance(inputs, axis=-1, keepdims=True)"),
        ),
    ),
    Case(
        "no_root_with_a_setting",
        """\
import tensorflow as tf


def make_rise(scale):
    def rise(x):
        above = tf.sqrt(scale + tf.square(x)) - 1.0
        return above / (tf.square(x) + 1e-10)

    return rise


layer = tf.keras.layers.Lambda(make_rise(1.0))
""",
        None,
    ),
    Case(
        "logits_behind_a_lost_bound",
        """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
p = tf.maximum(tf.nn.sigmoid(tf.matmul(x, w)), 1e-60)
loss = -tf.reduce_mean(y * tf.log(p))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
        Safety.UNSAFE,
        (("tf.log(p)", "tf.math.log_sigmoid(tf.matmul(x, w))"),),
    ),
    Case(
        "both_bounds",
        """\
import tensorflow as tf


def f(x):
    return tf.math.atanh(tf.clip_by_value(x, -1 + 1e-12, 1 - 1e-12))


layer = tf.keras.layers.Dense(4, activation=f)
""",
        Safety.UNSAFE,
        (("-1 + 1e-12, 1 - 1e-12", "-1 + 1e-7, 1 - 1e-7"),),
    ),
    Case(
        "no_setting_for_an_epsilon",
        """\
import tensorflow as tf

EPSILON = 1e-8


def negative_loss(y_true, y_pred):
    return -tf.reduce_mean((1 - y_true) * tf.math.log(1 + EPSILON - y_pred))
""",
        None,
    ),
    Case(
        "epsilon_inside_the_root",
        """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred)) + 1e-8)
""",
        Safety.UNSAFE,
        (("y_pred)) + 1e-8)", "y_pred) + 1e-8))"),),
    ),
    Case(
        "epsilon_inside_the_log",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Surprise(Loss):
    def call(self, y_true, y_pred):
        return -K.mean(y_true * (K.epsilon() + K.log(y_pred)))
""",
        Safety.UNSAFE,
        (("(K.epsilon() + K.log(y_pred))", "K.log(y_pred + K.epsilon())"),),
    ),
    Case(
        "epsilon_beside_a_variable",
        """\
import tensorflow as tf
from tensorflow.keras.layers import Layer


class Unit(Layer):
    def call(self, inputs):
        length = tf.sqrt(tf.reduce_sum(inputs**2, axis=-1, keepdims=True))
        return inputs / (length + 1e-6)
""",
        Safety.UNSAFE,
        (("keepdims=True))", "keepdims=True) + 1e-12)"),),
    ),
    Case(
        "epsilon_with_a_signed_term",
        """\
from keras import ops
from keras.layers import Lambda

EPS = 1e-5


def log_scale(x):
    return ops.log(x + EPS)


layer = Lambda(log_scale)
""",
        Safety.UNSAFE,
        (("ops.log(x + EPS)", "ops.log(ops.maximum(x, 0.0) + EPS)"),),
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
