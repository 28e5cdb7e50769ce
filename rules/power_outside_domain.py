"""ACT106: a power whose base can leave the domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Cause, Effect, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import POWER, condition, is_numpy, nonfinite, shown, singular
from ._remedies import EPSILON, floored


class PowerOutsideDomain(Rule):
    """A power whose base can be zero or negative where the exponent forbids it.

    ## What it does
    Reports `x ** y` and `tf.pow(x, y)` where a negative base meets a fractional exponent, a zero
    base meets a negative exponent, or a zero base meets an exponent below 1 (the gradient is
    infinite).

    ## Why is this bad?
    `(-0.1) ** 0.5` is nan, `0 ** -1` is infinite, and the gradient of `x ** 0.5` at 0 is infinite.
    With an exponent that is a tensor the gradient with respect to it contains `log(x)`.

    ## How it is confirmed
    actlint brings the base to 0 or below and sees the value or the gradient of the power become
    nan or infinite.

    ## Example
    ```python
    def activation(x):
        return x ** 0.5
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.sqrt(tf.nn.relu(x) + 1e-6)
    ```

    ## Fix safety
    Unsafe: a floor under the base changes powers of smaller ones.

    ## What it misses
    Integer exponents that come from a tensor and never are fractional.

    ## References
    TensorFlow API: tf.math.pow.
    """

    code: ClassVar[str] = "ACT106"
    name: ClassVar[str] = "power-outside-domain"
    hint: ClassVar[str] = "Keep the base positive: tf.pow(tf.maximum(x, 1e-7), y)"

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield powers whose base can leave the domain that the exponent allows."""
        for node, hit in singular(view, *POWER):
            if hit.region.cause is Cause.NEGATIVE:
                effect = "is nan for a negative base"
            elif hit.region.effect is Effect.POLE:
                effect = "is infinite for a base of 0"
            else:
                effect = "has an infinite slope at a base of 0"
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} {effect}, and {shown(hit.operand)} {condition(hit)}",
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Keep the base positive."""
        node = view.node(suspect.node)
        base = view.operand(node, "x")
        if base is None or is_numpy(view, node):
            return
        # A negative base is no harm where the exponent is a whole number: a floor would be.
        negative = any(hit.region.cause is Cause.NEGATIVE for hit in view.hits(node))
        if negative or view.interval(base).lo >= 0.0:
            yield from floored(node, base, EPSILON)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def cubic_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs(y_true - y_pred) ** 3)
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def root_unit(x):
    return tf.pow(tf.nn.relu(x) + 1e-3, 0.5)


layer = Dense(8, activation=root_unit)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def focal(gamma):
    def focal_loss(y_true, y_pred):
        p = K.clip(y_pred, 1e-7, 1.0 - 1e-7)
        positive = -y_true * K.pow(1.0 - p, gamma) * K.log(p)
        negative = -(1.0 - y_true) * K.pow(p, gamma) * K.log(1.0 - p)
        return K.mean(positive + negative)

    return focal_loss


def compile_model(model):
    model.compile(optimizer="adam", loss=focal(2.0))
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class InverseQuadratic(Layer):
    def call(self, inputs):
        return inputs * (1.0 + inputs**2) ** -0.5
"""
        ),
        Good(
            """\
import tensorflow as tf


class Charbonnier(tf.keras.losses.Loss):
    def __init__(self, alpha=0.45):
        super().__init__()
        self.alpha = alpha

    def call(self, y_true, y_pred):
        return tf.reduce_mean(((y_true - y_pred) ** 2 + 1e-6) ** self.alpha)
"""
        ),
        Good(
            """\
import tensorflow as tf

dense = tf.keras.layers.Dense(4, kernel_regularizer=lambda w: tf.reduce_sum(tf.pow(w, 4)))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def root_unit(x):
    return x ** 0.5


layer = Dense(8, activation=root_unit)
""",
            at="x ** 0.5",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def power_loss(y_true, y_pred):
    return tf.reduce_mean(tf.pow(tf.abs(y_true - y_pred), 0.7))
""",
            at="tf.pow(tf.abs(y_true - y_pred), 0.7)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def power(exponent=1.5):
    def activation(x):
        return K.pow(x, exponent)

    return activation


layer = Dense(8, activation=power())
""",
            at="K.pow(x, exponent)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Inverse(Layer):
    def call(self, inputs):
        return ops.power(inputs, -1.0)
""",
            at="ops.power(inputs, -1.0)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
import tensorflow as tf


class Bridge(tf.keras.regularizers.Regularizer):
    def __init__(self, q=0.5):
        self.q = q

    def __call__(self, w):
        return 0.01 * tf.reduce_sum(tf.abs(w) ** self.q)
""",
            at="tf.abs(w) ** self.q",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class InverseSquare(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        weight = tf.abs(y_true) ** -0.5
        return tf.reduce_mean(weight * tf.square(y_true - y_pred))
""",
            at="tf.abs(y_true) ** -0.5",
            hazard=Hazard.NAN,
        ),
    )
