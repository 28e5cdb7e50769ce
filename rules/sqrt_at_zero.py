"""ACT104: square root of a value that can be zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Cause, Effect, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import ROOT, condition, is_numpy, nonfinite, shown, singular
from ._remedies import SQUARED_EPSILON, offset


class SqrtAtZero(Rule):
    """Square root of a value that can be zero or negative.

    ## What it does
    Reports `sqrt` and `rsqrt` whose argument can be 0 or negative.

    ## Why is this bad?
    The derivative of the root is `1 / (2 * sqrt(x))`: infinite at 0. What is 0 before it, such as
    the derivative of a square or of a ReLU, turns it into `0 * inf = nan`. Below 0 the value is
    nan. The loss itself looks fine at 0, which is where a model that learns is heading.

    ## How it is confirmed
    actlint brings the argument to 0 (equal arguments, zero inputs) and sees the gradient become
    infinite or nan at the root.

    ## Example
    ```python
    def rmse_loss(y_true, y_pred):
        return tf.reduce_mean(tf.sqrt(tf.abs(y_true - y_pred)))
    ```

    ## Use instead
    ```python
    def rmse_loss(y_true, y_pred):
        return tf.reduce_mean(tf.sqrt(tf.abs(y_true - y_pred) + 1e-12))
    ```

    ## Fix safety
    Unsafe: a constant under the root moves values near 0.

    ## What it misses
    Gradients that are large without being infinite. `K.sqrt` clips its argument at 0, so that it
    is judged by its gradient there.

    ## References
    TensorFlow API: tf.math.sqrt, tf.math.rsqrt.
    """

    code: ClassVar[str] = "ACT104"
    name: ClassVar[str] = "sqrt-at-zero"
    hint: ClassVar[str] = "Add a small constant under the root: tf.sqrt(x + 1e-12)"

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield roots whose argument can reach 0."""
        for node, hit in singular(view, *ROOT):
            if hit.region.cause is Cause.NEGATIVE:
                effect = "is nan below 0"
            elif hit.region.effect is Effect.POLE:
                effect = "is infinite at 0"
            else:
                effect = "has an infinite slope at 0"
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} {effect}, and {shown(hit.operand)} {condition(hit)}",
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Add a small constant under the root."""
        node = view.node(suspect.node)
        operand = next(iter(view.operands(node)), None)
        if operand is not None and not is_numpy(view, node):
            yield from offset(view, node, operand, SQUARED_EPSILON)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    squared = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_mean(tf.sqrt(squared + 1e-12))
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def bent_identity(x):
    return (tf.sqrt(tf.square(x) + 1.0) - 1.0) / 2.0 + x


layer = Dense(8, activation=bent_identity)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Charbonnier(Loss):
    def __init__(self, epsilon=1e-3):
        super().__init__()
        self.epsilon = epsilon

    def call(self, y_true, y_pred):
        return K.mean(K.sqrt(K.square(y_true - y_pred) + K.square(self.epsilon)))
"""
        ),
        Good(
            """\
import tensorflow as tf


class InverseRoot(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs * tf.math.rsqrt(1.0 + tf.square(inputs))
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Lambda

layer = Lambda(lambda x: ops.sqrt(ops.maximum(x, 1e-6)))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Smooth(tf.keras.regularizers.Regularizer):
    def __call__(self, w):
        return 0.01 * tf.reduce_sum(tf.math.sqrt(w**2 + 1e-8))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def root_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.abs(y_true - y_pred)))
""",
            at="tf.sqrt(tf.abs(y_true - y_pred))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class RootError(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1)
        return tf.math.sqrt(error)
""",
            at="tf.math.sqrt(error)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.nn import relu
from tensorflow.math import sqrt as root
from tensorflow.keras.layers import Activation


def square_root_unit(x):
    return root(relu(x))


layer = Activation(square_root_unit)
""",
            at="root(relu(x))",
            hazard=Hazard.NAN,
            note="every inactive unit has a gradient of 0 * inf",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Root(Layer):
    def call(self, inputs):
        return ops.sqrt(ops.abs(inputs))
""",
            at="ops.sqrt(ops.abs(inputs))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Bridge(tf.keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, w):
        return self.strength * tf.reduce_sum(tf.sqrt(tf.abs(w)))
""",
            at="tf.sqrt(tf.abs(w))",
            hazard=Hazard.NAN,
            note="weights that start at zero",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])


def step(x, y):
    with tf.GradientTape() as tape:
        error = tf.abs(y - model(x))
        loss = tf.reduce_mean(error**2 + tf.sqrt(error))
    return tape.gradient(loss, model.trainable_variables)
""",
            at="tf.sqrt(error)",
            hazard=Hazard.NAN,
        ),
    )
