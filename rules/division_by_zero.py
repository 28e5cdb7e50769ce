"""ACT101: division by a value that can be zero."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    InputRole,
    Node,
    Remedy,
    Rule,
    Suspect,
    Target,
    View,
)

from ._common import DIVISION, condition, nonfinite, shown, singular
from ._patterns import SUMS, Softmax, mask, softmaxes
from ._remedies import no_nan, rewards_zero

_NUMBER = re.compile(r"[\d.e+-]+")


def _apart(view: View, node: Node) -> str:
    """Return the hint of a quotient that must not be 0 where its divisor is, or ""."""
    below = view.operand(node, "y")
    if below is None or not rewards_zero(view, node):
        return ""
    if below.op == "exp":
        return (
            "Multiply by tf.exp(-x) instead of dividing by tf.exp(x), and bound the exponent, "
            "e.g. with tf.clip_by_value(x, -10.0, 10.0)"
        )
    return (
        "Keep the divisor away from 0 with tf.maximum(b, 1e-7); a quotient of 0 there, as of "
        "tf.math.divide_no_nan, would make a divisor of 0 pay"
    )


class DivisionByZero(Rule):
    """Division by a value that can be zero.

    ## What it does
    Reports a division, reciprocal or remainder whose divisor can be 0, as far as the intervals of
    float32 values tell. Divisors that are held away from 0 (`1 + tf.abs(x)`, a count, a clip, a
    `where` done twice) are not reported. Of a softmax written by hand it is the mask that is
    reported, where all entries of a row can be masked; overflow is told by unshifted-softmax.

    ## Why is this bad?
    `a / 0` is infinite and `0 / 0` is nan. The gradient with respect to the divisor is
    `-a / b**2`, so it is lost as well. One nan in a batch makes every weight nan at the next
    optimiser step. An isolated zero is met sooner than intuition says: a float32 activation that
    divides by `x + 0.6` meets -0.6 about twice in 10^8 activations, which is minutes of training.

    ## How it is confirmed
    actlint solves for inputs that make the divisor 0 and runs the expression there with
    TensorFlow: the division's operands are finite and its value or its gradient is not. Of a
    softmax with a mask, it masks one row of the batch.

    ## Example
    ```python
    def mape_loss(y_true, y_pred):
        return tf.reduce_mean(tf.abs((y_true - y_pred) / y_true))
    ```

    ## Use instead
    ```python
    def mape_loss(y_true, y_pred):
        return tf.reduce_mean(tf.abs(y_true - y_pred) / tf.maximum(tf.abs(y_true), 1e-7))
    ```

    ## Fix safety
    `tf.math.divide_no_nan` leaves quotients and gradients as they are wherever the divisor is not
    0. What it gives elsewhere, 0, is safe only if the quotient tends to 0 there, which actlint
    measures all around such a point. Else 0 is a choice: it may be wrong, as for `tf.tanh(x) / x`,
    which tends to 1, or the worst value, as for a score such as Dice's of an empty mask that was
    predicted rightly. Of a score, a constant above and below the line is offered first. A floor
    under the divisor is unsafe, too, since quotients by smaller divisors change. It is what is
    offered if training moves the divisor and pays for the quotient, as for an error that is divided
    by a predicted scale: with a quotient of 0 a scale of 0 would be the best.

    ## What it misses
    Divisors that only a relation between two inputs keeps from 0 or brings to 0, and divisors
    that are so small that the quotient overflows. A trained weight that starts elsewhere is taken
    never to be exactly 0; gradients still explode where it comes near. Rows of predicted
    probabilities divided by their sums are taken to come from a softmax; ReLU or saturated sigmoid
    units can make a row of zeros.

    ## References
    TensorFlow API: tf.math.divide, tf.math.divide_no_nan.
    """

    code: ClassVar[str] = "ACT101"
    name: ClassVar[str] = "division-by-zero"
    hint: ClassVar[str] = (
        "Use tf.math.divide_no_nan, or keep the divisor away from 0 with tf.maximum(b, 1e-7)"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield divisions whose divisor can be 0."""
        by_hand = {softmax.division.id: softmax for softmax in softmaxes(view)}
        for node, hit in singular(view, *DIVISION):
            if node.id in by_hand:
                # That its exponentials are not finite, or all 0, is told of them.
                yield from self._masked(view, by_hand[node.id])
                continue
            if _normalises_probabilities(view, node):
                continue
            divisor = f"{shown(hit.operand)}, which {condition(hit)}"
            if hit.operand.op == "exp":
                # The hazard sets in where the square does, at half the exponent.
                divisor = f"{shown(hit.operand)}, and its gradient by the square of that, which "
                divisor += "float32 rounds to 0 first"
            if _NUMBER.fullmatch(hit.operand.site.text):
                divisor = "0"
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} divides by {divisor}",
                hint=_apart(view, node),
            )

    def _masked(self, view: View, softmax: Softmax) -> Iterator[Suspect]:
        """Yield the division of a hand-written softmax over entries that can all be masked."""
        factor, below = mask(view, softmax), view.operand(softmax.division, "y")
        if factor is None or below is None:
            return
        yield Suspect(
            code=self.code,
            node=softmax.division.id,
            message=f"{shown(softmax.division)} is 0 / 0 = nan where {shown(factor)} is 0 for all "
            f"that {shown(below)} adds up",
            check=Check.INDETERMINATE,
            targets=(Target(below.id, 0.0, 0.0), Target(factor.id, 0.0, 0.0, "zero-vector")),
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Divide without nan; else keep a positive divisor above 0."""
        yield from no_nan(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import layers


def softsign(x):
    return x / (1 + tf.abs(x))


model = tf.keras.Sequential([layers.Dense(8, activation=softsign)])
"""
        ),
        Good(
            """\
import tensorflow as tf


def mape_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs(y_true - y_pred) / tf.maximum(tf.abs(y_true), 1e-7))
""",
            note="tf.maximum keeps the divisor positive",
        ),
        Good(
            """\
import tensorflow as tf


class MaskedError(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        mask = tf.cast(tf.not_equal(y_true, 0.0), tf.float32)
        error = mask * tf.square(y_true - y_pred)
        return tf.math.divide_no_nan(tf.reduce_sum(error), tf.reduce_sum(mask))
"""
        ),
        Good(
            """\
import tensorflow as tf


def batch_loss(y_true, y_pred):
    count = tf.cast(tf.shape(y_pred)[0], tf.float32)
    return tf.reduce_sum(tf.square(y_true - y_pred)) / count
""",
            note="a count of samples is at least 1",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Share(Layer):
    def call(self, inputs):
        size = ops.abs(inputs)
        return size / (ops.sum(size, axis=-1, keepdims=True) + 1e-6)
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
error = y - tf.matmul(x, w)
loss = tf.reduce_mean(tf.square(error) / (tf.square(y) + 1.0))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
        Good(
            """\
import tensorflow as tf


def smooth(epsilon):
    def loss(y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        return tf.reduce_mean(error * error / (error + epsilon))

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=smooth(0.1))
""",
            note="the closure's argument is known at its use",
        ),
        Good(
            """\
from tensorflow import keras
from tensorflow.keras import initializers
from tensorflow.keras import ops


class Wave(keras.layers.Layer):
    def __init__(self, frequency_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.frequency_initializer = initializers.get(frequency_initializer)

    def build(self, shape):
        self.frequency = self.add_weight(
            name="frequency", shape=(shape[-1],), initializer=self.frequency_initializer
        )

    def call(self, inputs):
        return inputs + ops.square(ops.sin(self.frequency * inputs)) / self.frequency
""",
            note="a weight that starts at 1 is never exactly 0",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def mape_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs((y_true - y_pred) / y_true))
""",
            at="(y_true - y_pred) / y_true",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def dice_loss(y_true, y_pred):
    overlap = K.sum(y_true * y_pred)
    return 1.0 - 2.0 * overlap / (K.sum(K.square(y_true)) + K.sum(K.square(y_pred)))
""",
            at="2.0 * overlap / (K.sum(K.square(y_true)) + K.sum(K.square(y_pred)))",
            hazard=Hazard.NAN,
            note="an empty mask, predicted exactly",
        ),
        Bad(
            """\
import tensorflow as tf


class RelativeError(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(tf.math.divide(error, tf.square(y_true)))
""",
            at="tf.math.divide(error, tf.square(y_true))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Share(Layer):
    def call(self, inputs):
        size = ops.abs(inputs)
        total = ops.sum(size, axis=-1, keepdims=True)
        return ops.divide(size, total)
""",
            at="ops.divide(size, total)",
            hazard=Hazard.NAN,
            note="a row of zeros, as ReLU and padding produce",
        ),
        Bad(
            """\
import tensorflow as tf


def weighted(scale):
    def loss(y_true, y_pred):
        mask = tf.cast(y_true > 0.5, tf.float32)
        error = scale * tf.square(y_true - y_pred)
        return tf.reduce_sum(error) / tf.reduce_sum(mask)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=weighted(2.0))
""",
            at="tf.reduce_sum(error) / tf.reduce_sum(mask)",
            hazard=Hazard.NAN,
            note="a batch without positives",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
prediction = tf.matmul(x, w)
loss = tf.reduce_mean(tf.square(tf.div(y - prediction, y)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.div(y - prediction, y)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

dense = tf.keras.layers.Dense(
    8, kernel_regularizer=lambda w: tf.reduce_sum(tf.square(w)) / tf.reduce_max(tf.abs(w))
)
""",
            at="tf.reduce_sum(tf.square(w)) / tf.reduce_max(tf.abs(w))",
            hazard=Hazard.NAN,
            note="weights that start at zero",
        ),
        Bad(
            """\
import tensorflow as tf


class Shrink(tf.keras.layers.Layer):
    def build(self, shape):
        self.width = self.add_weight(name="width", shape=(shape[-1],), initializer="zeros")

    def call(self, inputs):
        return tf.math.tanh(inputs / self.width)
""",
            at="inputs / self.width",
            hazard=Hazard.NAN,
        ),
    )


def _normalises_probabilities(view: View, node: Node) -> bool:
    """Return whether rows of predicted probabilities are divided by their sums, as Keras does.

    A softmax made them then, and none of its rows is all zeros.
    """
    above, below = view.operand(node, "x"), view.operand(node, "y")
    if above is None or below is None or below.op not in SUMS:
        return False
    summed = view.operand(below, "input_tensor")
    if summed is None or not view.same_value(above, summed):
        return False
    if below.arg("axis") in {None, 0} or view.static(below, "keepdims") is not True:
        return False
    source = view.definition(above).input
    return (
        source is not None
        and source.role is InputRole.PREDICTION
        and (source.lo, source.hi) == (0.0, 1.0)
    )
