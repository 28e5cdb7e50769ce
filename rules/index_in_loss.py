"""ACT202: an index, such as argmax, where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import INDEX, cut, shown
from ._decisions_mended import soft_choice
from ._estimators import behind_estimators


class IndexInLoss(Rule):
    """An index, such as argmax, where a gradient has to pass.

    ## What it does
    Reports `argmax`, `argmin`, `argsort`, the indices of `top_k`, `one_hot` of a prediction,
    histograms and the like, on the way from what is trained to what is minimised. An index of the
    label, or one that only picks among differentiable values, is not reported.

    ## Why is this bad?
    An index is an integer: it has no derivative, and the tape answers None for everything in front
    of it. The loss still moves from batch to batch, so that the training looks alive.

    ## How it is confirmed
    actlint runs the function with a GradientTape and finds that the index depends on the
    prediction and moves the output, while no gradient comes back through it.

    ## Example
    ```python
    def class_loss(y_true, y_pred):
        predicted = tf.cast(tf.argmax(y_pred, axis=-1), tf.float32)
        return tf.reduce_mean(tf.square(y_true - predicted))
    ```

    ## Use instead
    ```python
    def class_loss(y_true, y_pred):
        classes = tf.range(tf.shape(y_pred)[-1], dtype=tf.float32)
        expected = tf.reduce_sum(tf.nn.softmax(y_pred) * classes, axis=-1)
        return tf.reduce_mean(tf.square(y_true - expected))
    ```

    ## Fix safety
    Unsafe: the one-hot row of an `argmax` keeps its value and is given the gradient of the shares;
    an index that is taken for a number becomes the expected index, which is another value. Ranks,
    histograms and positions along other axes have no edit.

    ## What it misses
    Indices that a Python loop collects.

    ## References
    TensorFlow API: tf.math.argmax, tf.math.top_k, tf.nn.sparse_softmax_cross_entropy_with_logits.
    """

    code: ClassVar[str] = "ACT202"
    name: ClassVar[str] = "index-in-loss"
    hint: ClassVar[str] = (
        "Use a differentiable choice: tf.nn.softmax for the weights of a soft argmax, "
        "tf.reduce_max for the value, or tf.nn.softmax_cross_entropy_with_logits for the loss"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the indices at which the gradient dies."""
        estimated = behind_estimators(view)
        for node in view.cuts():
            if node.op in INDEX and node.id not in estimated:
                message = f"{shown(node)} gives an index, through which no gradient passes"
                yield cut(view, self.code, node, message)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Let the choice be a soft one."""
        yield from soft_choice(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, logits):
    labels = tf.argmax(y_true, axis=-1)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )
""",
            note="argmax of the label",
        ),
        Good(
            """\
import tensorflow as tf


def soft_argmax_loss(y_true, y_pred):
    weights = tf.nn.softmax(y_pred, axis=-1)
    return tf.reduce_mean(tf.square(y_true - weights))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Largest(tf.keras.layers.Layer):
    def call(self, inputs):
        best = tf.argmax(inputs, axis=-1)
        return tf.gather(inputs, best, axis=-1, batch_dims=1)
""",
            note="the index picks, the picked value carries the gradient",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Sorted(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(ops.sort(y_true, axis=-1) - ops.sort(y_pred, axis=-1)), axis=-1)
""",
            note="sorting is differentiable, its indices are not",
        ),
        Good(
            """\
import tensorflow as tf


class TopValues(tf.keras.layers.Layer):
    def call(self, inputs):
        values, _ = tf.math.top_k(inputs, k=2)
        return values
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def class_accuracy(y_true, y_pred):
    return K.mean(K.equal(K.argmax(y_true, axis=-1), K.argmax(y_pred, axis=-1)))


def compile_model(model):
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=[class_accuracy])
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def class_loss(y_true, y_pred):
    label = tf.cast(tf.argmax(y_true, axis=-1), tf.float32)
    predicted = tf.cast(tf.argmax(y_pred, axis=-1), tf.float32)
    return tf.reduce_mean(tf.square(label - predicted))
""",
            at="tf.argmax(y_pred, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Distance(Loss):
    def call(self, y_true, y_pred):
        a = K.cast(K.argmax(y_true), "float32")
        b = K.cast(K.argmax(y_pred), "float32")
        return K.abs(a - b)
""",
            at="K.argmax(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Rank(Layer):
    def call(self, inputs):
        return ops.cast(ops.argsort(inputs, axis=-1), "float32")
""",
            at="ops.argsort(inputs, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Winner(tf.keras.layers.Layer):
    def call(self, inputs):
        best = tf.argmax(inputs, axis=-1)
        return tf.one_hot(best, depth=4)
""",
            at="tf.argmax(inputs, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import argmin, cast, float32, reduce_mean, square


def make_loss(scale):
    def loss(y_true, y_pred):
        nearest = cast(argmin(y_pred, axis=-1), float32)
        wanted = cast(argmin(y_true, axis=-1), float32)
        return scale * reduce_mean(square(wanted - nearest))

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(0.1))
""",
            at="argmin(y_pred, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None])
w = tf.Variable(tf.random_normal([4, 3]))
predicted = tf.to_float(tf.argmax(tf.matmul(x, w), 1))
loss = tf.reduce_mean(tf.square(y - predicted))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            at="tf.argmax(tf.matmul(x, w), 1)",
            hazard=Hazard.NO_GRADIENT,
        ),
    )
