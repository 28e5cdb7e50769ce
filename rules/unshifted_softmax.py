"""ACT110: a softmax written by hand without the shift by the maximum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Cause, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import condition, first_hit, nonfinite, shown
from ._patterns import softmaxes
from ._stable import stable


class UnshiftedSoftmax(Rule):
    """A softmax written by hand without the shift by the maximum.

    ## What it does
    Reports `exp(x) / sum(exp(x))` in which nothing bounds `x` from above. The finding is on the
    exponential above the line, where the overflow starts.

    ## Why is this bad?
    `exp` overflows above 88.7, and `inf / inf` is nan; below -103 all exponentials are 0, and
    `0 / 0` is nan as well. With the maximum subtracted first the same quotient is always finite.

    ## How it is confirmed
    actlint sends a logit beyond 88.7 and sees the exponential become infinite and the output nan.

    ## Example
    ```python
    def softmax(x):
        return tf.exp(x) / tf.reduce_sum(tf.exp(x), axis=-1, keepdims=True)
    ```

    ## Use instead
    ```python
    def softmax(x):
        return tf.nn.softmax(x, axis=-1)
    ```

    ## Fix safety
    `tf.nn.softmax` is safe, but for an epsilon that was added to the sum: then values move by it.

    ## What it misses
    Sums that run over a Python loop.

    ## References
    TensorFlow API: tf.nn.softmax.
    """

    code: ClassVar[str] = "ACT110"
    name: ClassVar[str] = "unshifted-softmax"
    hint: ClassVar[str] = "Use tf.nn.softmax, which subtracts the maximum first"
    supersedes: ClassVar[tuple[str, ...]] = ("ACT101", "ACT108")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the exponentials of hand-written softmax functions."""
        told = set[int]()
        for softmax in softmaxes(view):
            node = softmax.numerator
            hit = first_hit(view, node, frozenset({Cause.OVERFLOW}))
            if hit is None or node.id in told or not view.depends(hit.operand):
                continue
            told.add(node.id)
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(softmax.division)} is inf / inf = nan once {shown(node)} overflows: "
                f"{shown(hit.operand)} {condition(hit)}",
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Call the function of the library."""
        for found in softmaxes(view):
            if found.numerator.id == suspect.node:
                yield from stable(view, found.division, "softmax")

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def my_softmax(x):
    e = tf.exp(x - tf.reduce_max(x, axis=-1, keepdims=True))
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


layer = tf.keras.layers.Dense(8, activation=my_softmax)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def softmax(x, axis=-1):
    e = K.exp(x - K.max(x, axis=axis, keepdims=True))
    s = K.sum(e, axis=axis, keepdims=True)
    return e / s


layer = Dense(8, activation=softmax)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Attention(Layer):
    def call(self, inputs):
        return ops.softmax(inputs, axis=-1) * inputs
"""
        ),
        Good(
            """\
import tensorflow as tf


class Attention(tf.keras.layers.Layer):
    def call(self, inputs):
        scores = tf.exp(tf.tanh(inputs))
        return scores / tf.reduce_sum(scores, axis=1, keepdims=True)
""",
            note="tanh bounds the exponent",
        ),
        Good(
            """\
import tensorflow as tf


def soft_loss(y_true, logits):
    scores = tf.exp(-tf.nn.relu(-logits)) + 1e-6
    share = scores / tf.reduce_sum(scores, axis=-1, keepdims=True)
    return tf.reduce_mean(tf.square(y_true - share))
""",
            note="the exponent is never positive",
        ),
        Good(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.nn.softmax(x, axis=1))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def my_softmax(x):
    e = tf.exp(x)
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


layer = tf.keras.layers.Dense(8, activation=my_softmax)
""",
            at="tf.exp(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class Attention(Layer):
    def call(self, inputs):
        scores = K.exp(inputs)
        return scores / (K.sum(scores, axis=1, keepdims=True) + K.epsilon())
""",
            at="K.exp(inputs)",
            hazard=Hazard.NAN,
            note="the epsilon keeps the sum from 0 and does nothing for the overflow",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Lambda


def shares(x):
    weights = ops.exp(x)
    return ops.divide(weights, ops.sum(weights, axis=-1, keepdims=True))


layer = Lambda(shares)
""",
            at="ops.exp(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def soft_loss(y_true, logits):
    scores = tf.math.exp(logits)
    share = scores / tf.math.reduce_sum(scores, axis=-1, keepdims=True)
    return tf.reduce_mean(tf.square(y_true - share))
""",
            at="tf.math.exp(logits)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Soft(tf.keras.losses.Loss):
    def __init__(self, scale=2.0):
        super().__init__()
        self.scale = scale

    def share(self, logits):
        scores = self.scale * tf.exp(logits)
        return scores / tf.reduce_sum(scores, axis=-1, keepdims=True)

    def call(self, y_true, logits):
        return tf.reduce_mean(tf.square(y_true - self.share(logits)))
""",
            at="tf.exp(logits)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
scores = tf.exp(tf.matmul(x, w))
share = scores / tf.reduce_sum(scores, axis=1, keepdims=True)
loss = tf.reduce_mean(tf.square(y - share))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.exp(tf.matmul(x, w))",
            hazard=Hazard.NAN,
        ),
    )
