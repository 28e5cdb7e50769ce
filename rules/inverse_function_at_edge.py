"""ACT107: an inverse function at, or beyond, the edge of its domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Effect, Good, Hazard, Remedy, Rule, Safety, Suspect, View

from ._common import INVERSE, condition, nonfinite, shown, singular
from ._remedies import argument, replaced


class InverseFunctionAtEdge(Rule):
    """An inverse function whose argument reaches the edge of its domain or lies beyond.

    ## What it does
    Reports `acos`, `asin`, `atanh`, `acosh`, `erfinv`, `ndtri` and `atan2` whose arguments can be
    at the edge of the domain (`-1` and `1`; for `acosh` 1; for `atan2` both 0) or outside.

    ## Why is this bad?
    Outside the domain the value is nan. At its edge the value is finite for `acos` and `asin`, but
    the gradient is infinite; a clip to [-1, 1] does not help, because the clip passes the gradient
    of its bounds. Two parallel embeddings have a cosine of exactly 1.

    ## How it is confirmed
    actlint aims at the edge and sees an infinite or nan gradient, or value, start at the call.

    ## Example
    ```python
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    ```

    ## Use instead
    ```python
    angle = tf.acos(tf.clip_by_value(cosine, -1.0 + 1e-6, 1.0 - 1e-6))
    ```

    ## Fix safety
    Unsafe: the clip changes values next to the edge, and stops their gradient.

    ## What it misses
    Arguments that are bounded by an inequality between inputs (Cauchy-Schwarz), which are reported
    and then judged by what TensorFlow computes.

    ## References
    TensorFlow API: tf.math.acos, tf.math.asin, tf.math.atanh, tf.math.acosh, tf.math.atan2.
    """

    code: ClassVar[str] = "ACT107"
    name: ClassVar[str] = "inverse-function-at-edge"
    hint: ClassVar[str] = (
        "Clip the argument inside the domain: tf.clip_by_value(x, -1 + 1e-6, 1 - 1e-6)"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield inverse functions whose argument can reach the edge."""
        for node, hit in singular(view, *INVERSE):
            if node.op == "atan2":
                reason = f"has no gradient at the origin, and {shown(hit.operand)}"
            elif hit.region.effect is Effect.CUSP:
                reason = f"has an infinite slope at the edge of its domain: {shown(hit.operand)}"
            else:
                reason = f"is not finite at the edge of its domain: {shown(hit.operand)}"
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} {reason} {condition(hit)}",
                hint=_HINTS.get(node.op, ""),
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Clip the argument inside the domain."""
        node = view.node(suspect.node)
        operand = next(iter(view.operands(node)), None)
        if operand is not None and node.op == "acosh":
            template, title = "tf.maximum({x}, 1.0 + 1e-6)", "Keep the argument above 1"
            reason = "values nearer to 1 change, and pass no gradient"
            yield argument(node, operand, template, title, reason)
        if operand is not None and node.op in _BETWEEN:
            low, high = _BETWEEN[node.op]
            title = f"Clip the argument to [{low}, {high}]"
            reason = "values at the edge change, and pass no gradient there"
            if operand.op == "clip_by_value":
                template = f"tf.clip_by_value({{t}}, {low}, {high})"
                t = operand.arg("t")
                yield replaced(
                    operand,
                    template,
                    title,
                    reason,
                    {"t": t},
                    safety=Safety.UNSAFE,
                )
            else:
                template = f"tf.clip_by_value({{x}}, {low}, {high})"
                yield argument(node, operand, template, title, reason)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def angular_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    cosine = tf.reduce_sum(a * b, axis=-1)
    return tf.reduce_mean(tf.acos(tf.clip_by_value(cosine, -1.0 + 1e-6, 1.0 - 1e-6)))
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Activation

layer = Activation(tf.math.asinh)
""",
            note="asinh is smooth everywhere",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def arctan_unit(x):
    return ops.arctan(x)


layer = Dense(8, activation=arctan_unit)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Fisher(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.atanh(0.99 * tf.tanh(inputs))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Arc(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.acosh(2.0 + tf.nn.softplus(inputs))
"""
        ),
        Good(
            """\
from tensorflow import asin, tanh
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: asin(0.9 * tanh(x)))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def angular_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    cosine = tf.reduce_sum(a * b, axis=-1)
    return tf.reduce_mean(tf.acos(tf.clip_by_value(cosine, -1.0, 1.0)))
""",
            at="tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

layer = Dense(8, activation=lambda x: tf.math.asin(x))
""",
            at="tf.math.asin(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Fisher(Layer):
    def call(self, inputs):
        return ops.arctanh(ops.tanh(inputs))
""",
            at="ops.arctanh(ops.tanh(inputs))",
            hazard=Hazard.NAN,
            note="tanh saturates to exactly 1",
        ),
        Bad(
            """\
import tensorflow as tf


class Hyperbolic(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        gap = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
        return tf.reduce_mean(tf.math.acosh(1.0 + gap))
""",
            at="tf.math.acosh(1.0 + gap)",
            hazard=Hazard.NAN,
            note="a perfect prediction",
        ),
        Bad(
            """\
import tensorflow as tf


class Angle(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.atan2(inputs, tf.nn.relu(inputs))
""",
            at="tf.math.atan2(inputs, tf.nn.relu(inputs))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.math.erfinv(tf.tanh(x)))
""",
            at="tf.math.erfinv(tf.tanh(x))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Normal(Layer):
    def call(self, inputs):
        return ops.erfinv(inputs)
""",
            at="ops.erfinv(inputs)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
angle = tf.asin(tf.minimum(tf.maximum(tf.matmul(x, w), -1.0), 1.0))
loss = tf.reduce_mean(tf.square(angle - y))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.asin(tf.minimum(tf.maximum(tf.matmul(x, w), -1.0), 1.0))",
            hazard=Hazard.INF,
        ),
    )


_HINTS = {
    "acosh": "Keep the argument above 1: tf.math.acosh(tf.maximum(x, 1 + 1e-6))",
    "atan2": "Keep the point away from the origin: tf.where(both == 0, 1e-7, x) inside tf.atan2",
    "erfcinv": "Clip the argument inside (0, 2): tf.clip_by_value(x, 1e-6, 2 - 1e-6)",
    "ndtri": "Clip the argument inside (0, 1): tf.clip_by_value(p, 1e-6, 1 - 1e-6)",
}

# Bounds just inside the domain, which float32 tells from its edge.
_BETWEEN = {
    "acos": ("-1 + 1e-6", "1 - 1e-6"),
    "asin": ("-1 + 1e-6", "1 - 1e-6"),
    "atanh": ("-1 + 1e-6", "1 - 1e-6"),
    "erfcinv": ("1e-6", "2 - 1e-6"),
    "erfinv": ("-1 + 1e-6", "1 - 1e-6"),
    "ndtri": ("1e-6", "1 - 1e-6"),
}
