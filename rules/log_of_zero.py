"""ACT103: logarithm of a value that can be zero or negative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import LOGARITHM, condition, is_numpy, nonfinite, shown, singular
from ._drawn import picked
from ._patterns import sums_of_exponentials
from ._remedies import EPSILON, offset, representable
from ._stable import stable

# Logarithms of their one operand.
_PLAIN = ("log", "log2", "log10")


class LogOfZero(Rule):
    """Logarithm of a value that can be zero or negative.

    ## What it does
    Reports `log`, `log1p`, `xlogy` and their relatives whose argument can reach 0 (for `log1p`:
    -1) or lie below, in float32 arithmetic.

    ## Why is this bad?
    `log(0)` is -inf and its gradient infinite; times a label of 0 both are nan. Predictions reach
    0 and 1 exactly as soon as the model is sure, because sigmoid and softmax saturate.

    ## How it is confirmed
    actlint aims at inputs that bring the argument to 0 (or below) and sees an infinite or nan
    value or gradient start at the logarithm. Of a probability that data pick and whose logarithm is
    weighed, as for policies of agents, the finding says that it may be drawn, and is a warning.

    ## Example
    ```python
    def cross_entropy_loss(y_true, y_pred):
        return -tf.reduce_sum(y_true * tf.math.log(y_pred))
    ```

    ## Use instead
    ```python
    def cross_entropy_loss(y_true, y_pred):
        return -tf.reduce_sum(y_true * tf.math.log(tf.clip_by_value(y_pred, 1e-7, 1.0)))
    ```

    ## Fix safety
    `tf.math.xlogy(x, x)` for `x * log(x)` is safe. A small constant in the argument, and clip
    bounds that float32 can hold, are unsafe: values near the singular point change.

    ## What it misses
    Arguments that are positive only by a relation between inputs are reported and then refuted.

    ## References
    TensorFlow API: tf.math.log, tf.math.log1p, tf.math.xlogy.
    """

    code: ClassVar[str] = "ACT103"
    name: ClassVar[str] = "log-of-zero"
    hint: ClassVar[str] = (
        "Keep the argument positive with tf.clip_by_value(p, 1e-7, 1 - 1e-7), or compute the loss "
        "from logits with tf.nn.softmax_cross_entropy_with_logits"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield logarithms whose argument can leave the positive numbers."""
        for node, hit in singular(view, *LOGARITHM):
            if sums_of_exponentials(view, hit.operand):
                continue  # log-sum-exp: its overflow is what is reported
            pick = picked(view, node, hit.operand)
            suspect = nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} takes the logarithm where {shown(hit.operand)} {condition(hit)}"
                + (f", if {pick}" if pick else ""),
            )
            yield replace(suspect, conditional=bool(pick))

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Write x * log(x) as xlogy; else keep the argument positive."""
        node = view.node(suspect.node)
        if is_numpy(view, node):
            return
        yield from stable(view, node, "xlogx")
        operand = next(iter(view.operands(node)), None)
        below = view.operand(node, "y") if node.op == "xlogy" else None
        if below is not None:
            yield from offset(view, node, below, EPSILON)
        if node.op in _PLAIN and operand is not None:
            yield from representable(view, node)
            yield from offset(view, node, operand, EPSILON)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1 - 1e-7)
    terms = y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p)
    return -tf.reduce_mean(terms)
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def symmetric_log(x):
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


layer = Dense(8, activation=symmetric_log)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class SquaredLog(Loss):
    def call(self, y_true, y_pred):
        first = K.log(K.maximum(y_pred, K.epsilon()) + 1.0)
        second = K.log(K.maximum(y_true, K.epsilon()) + 1.0)
        return K.mean(K.square(first - second))
"""
        ),
        Good(
            """\
import tensorflow as tf


def logits_loss(y_true, logits):
    return tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=logits)
    )
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Compress(Layer):
    def call(self, inputs):
        return ops.log(ops.square(inputs) + 1.0)
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
y = tf.nn.softmax(tf.matmul(x, w))
loss = -tf.reduce_sum(y_ * tf.log(tf.maximum(y, 1e-8)))
train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, y_pred):
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.math.log(y_pred), axis=-1))
""",
            at="tf.math.log(y_pred)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Layer


class Compress(Layer):
    def call(self, inputs):
        return tf.math.log(inputs + 1.0)
""",
            at="tf.math.log(inputs + 1.0)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Dense(8, activation=lambda x: tf.math.log1p(x))
""",
            at="tf.math.log1p(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class SquaredLog(Loss):
    def call(self, y_true, y_pred):
        first = K.log(K.relu(y_pred))
        second = K.log(K.maximum(y_true, K.epsilon()))
        return K.mean(K.square(first - second))
""",
            at="K.log(K.relu(y_pred))",
            hazard=Hazard.NAN,
            note="ReLU produces exact zeros",
        ),
        Bad(
            """\
from tensorflow import math as tfm
from tensorflow import reduce_mean


def make_loss(weight):
    def loss(y_true, y_pred):
        return -reduce_mean(weight * tfm.xlogy(y_true, y_pred))

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(1.5))
""",
            at="tfm.xlogy(y_true, y_pred)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
y = tf.nn.relu(tf.matmul(x, w))
loss = -tf.reduce_sum(y_ * tf.log(y))
train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
""",
            at="tf.log(y)",
            hazard=Hazard.NAN,
        ),
    )
