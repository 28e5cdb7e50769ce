"""ACT112: a guard constant that float32 rounds away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import (
    DIVISION,
    INVERSE,
    LOGARITHM,
    NORM,
    POWER,
    ROOT,
    condition,
    harmful,
    nonfinite,
    not_overflow,
    shown,
)
from ._epsilons import larger_guards, lost_guard, short
from ._stable import OF_PROBABILITIES, stable

_GUARDED = (*DIVISION, *LOGARITHM, *ROOT, *NORM, *POWER, *INVERSE)


class EpsilonBelowResolution(Rule):
    """A guard constant that float32 rounds away.

    ## What it does
    Reports logarithms, divisions, roots and inverse functions whose argument is kept from the
    singular point by a constant that float32 cannot tell from the point itself: `1 - 1e-10` is 1,
    `1e-50` is 0, and `q - 1e-10` is `q` for q near 1. The finding is on the expression that stays
    unprotected, and names the smallest epsilon that would protect it.

    ## Why is this bad?
    Neighbours of 1 in float32 are 6e-8 below and 1.2e-7 above it, and whatever is less than
    1.2e-38 is flushed to zero. The guard looks right, passes every test with ordinary numbers, and
    is gone at the one number it was written for: predictions reach 1 exactly as soon as a sigmoid
    gets a logit of 17.

    ## How it is confirmed
    The static pass replaces the epsilon by 0, which changes nothing, and by larger ones, until the
    singular point is out of reach. TensorFlow then runs the expression at the point: its argument
    is finite, and its value or gradient is not.

    ## Example
    ```python
    def binary_loss(y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-10, 1 - 1e-10)
        return -tf.reduce_mean(y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p))
    ```

    ## Use instead
    ```python
    def binary_loss(y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-7, 1 - 1e-7)
        return -tf.reduce_mean(y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p))
    ```

    ## Fix safety
    The log of a sigmoid or softmax, computed from the logits, is safe where the bound had no
    effect, and unsafe if it had one at the other end. Another epsilon is unsafe: the values that
    it bounds change.

    ## What it misses
    Constants that reach the function from outside, and dtypes other than float32.

    ## References
    IEEE 754-2019, binary32. TensorFlow API: tf.clip_by_value, tf.keras.backend.epsilon.
    """

    code: ClassVar[str] = "ACT112"
    name: ClassVar[str] = "epsilon-below-resolution"
    hint: ClassVar[str] = (
        "Choose an epsilon that float32 can hold, e.g. tf.clip_by_value(p, 1e-7, 1 - 1e-7)"
    )
    supersedes: ClassVar[tuple[str, ...]] = (
        "ACT101",
        "ACT103",
        "ACT104",
        "ACT105",
        "ACT106",
        "ACT107",
        "ACT109",
        "ACT111",
        "ACT118",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield singular expressions whose guard has no effect."""
        causes = not_overflow()
        for node in view.nodes(*_GUARDED):
            for hit in view.hits(node):
                if hit.masked or hit.region.cause not in causes or not harmful(view, node, hit):
                    continue
                lost = lost_guard(view, node, hit)
                if lost is None:
                    continue
                yield nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(node)} is not protected: {lost.reason}, so that "
                    f"{shown(hit.operand)} {condition(hit)}; the smallest epsilon that works "
                    f"here is {short(lost.least)}",
                    targets=(hit.target,),
                )
                break

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Compute the logarithm from the logits; else write an epsilon that float32 holds."""
        node = view.node(suspect.node)
        yield from stable(view, node, *OF_PROBABILITIES)
        yield from larger_guards(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-10, 1 - 6e-8)
    terms = y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p)
    return -tf.reduce_mean(terms)
""",
            note="6e-8 is the last epsilon that float32 holds below 1",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def one_sided_loss(y_true, y_pred):
    p = K.clip(y_pred, 1e-10, 1.0 - 1e-10)
    return -K.mean(y_true * K.log(p))
""",
            note="the upper bound is lost, but nothing needs it",
        ),
        Good(
            """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    terms = y_true * tf.math.log(y_pred + 1e-10)
    terms += (1 - y_true) * tf.math.log(1 - y_pred + 1e-10)
    return -tf.reduce_mean(terms)
""",
            note="the epsilon is added last, to a difference that can be 0",
        ),
        Good(
            """\
import tensorflow as tf


class Distance(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.sqrt(tf.reduce_sum(tf.square(inputs), axis=-1) + 1e-30)
""",
            note="small, but a float32 number",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Odds(Loss):
    def call(self, y_true, y_pred):
        p = ops.clip(y_pred, 1e-6, 1 - 1e-6)
        return ops.mean(ops.abs(y_true - p / (1 - p)))
""",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
cosine = tf.clip_by_value(tf.tanh(tf.matmul(x, w)), -1 + 1e-6, 1 - 1e-6)
loss = tf.reduce_mean(tf.abs(tf.acos(cosine) - y))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-10, 1 - 1e-10)
    terms = y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p)
    return -tf.reduce_mean(terms)
""",
            at="tf.math.log(1 - p)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Binary(Loss):
    def __init__(self, margin=1e-9):
        super().__init__()
        self.margin = margin

    def call(self, y_true, y_pred):
        safe = K.minimum(y_pred, 1.0 - self.margin)
        return -K.mean((1.0 - y_true) * K.log(1.0 - safe), axis=-1)
""",
            at="K.log(1.0 - safe)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

EPSILON = 1e-8


def negative_loss(y_true, y_pred):
    return -tf.reduce_mean((1 - y_true) * tf.math.log(1 + EPSILON - y_pred))
""",
            at="tf.math.log(1 + EPSILON - y_pred)",
            hazard=Hazard.NAN,
            note="1 + 1e-8 is computed first, and is 1",
        ),
        Bad(
            """\
import tensorflow as tf


def odds_loss(y_true, y_pred):
    odds = y_pred / (1.0 - (y_pred - 1e-9))
    return tf.reduce_mean(tf.abs(y_true - odds))
""",
            at="y_pred / (1.0 - (y_pred - 1e-9))",
            hazard=Hazard.INF,
            note="1 - 1e-9 is 1, whether Python or TensorFlow computes it",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Length(Layer):
    def call(self, inputs):
        return ops.sqrt(ops.sum(ops.square(inputs), axis=-1) + 1e-25**2)
""",
            at="ops.sqrt(ops.sum(ops.square(inputs), axis=-1) + 1e-25**2)",
            hazard=Hazard.NAN,
            note="the square of the epsilon is 0 in float32",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def make_inverse(eps):
    def inverse_tanh(x):
        bounded = tf.clip_by_value(x, -1 + eps, 1 - eps)
        return tf.math.atanh(bounded)

    return inverse_tanh


layer = Dense(8, activation=make_inverse(1e-12))
""",
            at="tf.math.atanh(bounded)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
p = tf.maximum(tf.nn.sigmoid(tf.matmul(x, w)), 1e-60)
loss = -tf.reduce_mean(y * tf.log(p))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.log(p)",
            hazard=Hazard.NAN,
            note="float32 ends at 1e-38",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(
    "adam",
    loss=lambda t, p: tf.reduce_mean(
        (1 - t) * -tf.math.log1p(-tf.clip_by_value(p, 0.0, 1 - 1e-8)) + t * (1 - p)
    ),
)
""",
            at="tf.math.log1p(-tf.clip_by_value(p, 0.0, 1 - 1e-8))",
            hazard=Hazard.NAN,
        ),
    )
