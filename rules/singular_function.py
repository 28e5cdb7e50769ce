"""ACT111: any other function that is singular where its argument can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Effect, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import (
    DIVISION,
    INVERSE,
    LOGARITHM,
    NORM,
    POWER,
    ROOT,
    condition,
    first_hit,
    nonfinite,
    not_overflow,
    shown,
)
from ._remedies import argument

_NAMED = frozenset({*DIVISION, *INVERSE, *LOGARITHM, *NORM, *POWER, *ROOT})

_GAMMA = frozenset({"digamma", "lgamma"})
_MOVED = "values change with the argument, which stays above the pole at 0"


class SingularFunction(Rule):
    """A function that is singular somewhere its argument can be.

    ## What it does
    Reports every pole and cusp of the ops table that no rule of its own names: `lgamma`,
    `digamma` and others, where the interval of the argument
    reaches it.

    ## Why is this bad?
    The value or the gradient is nan or infinite there, and one such element in a batch makes all
    weights nan.

    ## How it is confirmed
    actlint solves for an input that brings the argument to the singular point, and sees a value or
    gradient that is not finite start at the call.

    ## Example
    ```python
    loss = tf.reduce_mean(tf.math.lgamma(y_pred))
    ```

    ## Use instead
    ```python
    loss = tf.reduce_mean(tf.math.lgamma(tf.nn.softplus(y_pred) + 1e-3))
    ```

    ## Fix safety
    Unsafe: values change near the singular point, and with a softplus everywhere.

    ## What it misses
    Functions that are not in the ops table.

    ## References
    TensorFlow API: tf.math.lgamma, tf.math.digamma.
    """

    code: ClassVar[str] = "ACT111"
    name: ClassVar[str] = "singular-function"
    hint: ClassVar[str] = (
        "Keep the argument away from the singular point, e.g. with tf.nn.softplus(x) + 1e-3 or "
        "tf.clip_by_value"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield calls with a reachable pole or cusp that no other rule names."""
        for node in view.nodes():
            if node.op in _NAMED:
                continue
            hit = first_hit(view, node, not_overflow())
            if hit is not None:
                effect = (
                    "is not finite"
                    if hit.region.effect is Effect.POLE
                    else "has no finite gradient"
                )
                yield nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(node)} {effect} at some arguments: {shown(hit.operand)} "
                    f"{condition(hit)}",
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Keep the argument away from the pole."""
        node = view.node(suspect.node)
        operand = next(iter(view.operands(node)), None)
        if operand is None or node.op not in _GAMMA:
            return
        if view.interval(operand).lo >= 0.0:
            yield argument(node, operand, "{x} + 1e-3", "Add 1e-3 to the argument", _MOVED)
        else:
            title = "Keep the argument positive with a softplus"
            yield argument(node, operand, "tf.math.softplus({x}) + 1e-3", title, _MOVED)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Gamma(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.lgamma(tf.nn.softplus(inputs) + 1.0)
"""
        ),
        Good(
            """\
import tensorflow as tf


def poisson_loss(y_true, y_pred):
    rate = tf.nn.softplus(y_pred) + 1e-3
    terms = rate - y_true * tf.math.log(rate) + tf.math.lgamma(tf.abs(y_true) + 1.0)
    return tf.reduce_mean(terms)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def erf_unit(x):
    return ops.erf(x)


layer = Dense(8, activation=erf_unit)
"""
        ),
        Good(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.math.erfinv(0.9 * tf.tanh(x)))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Digamma(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.digamma(tf.nn.relu(inputs) + 0.5)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def squashed(x):
    return K.tanh(x) + 0.01 * x


layer = Activation(squashed)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


class Gamma(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.lgamma(inputs)
""",
            at="tf.math.lgamma(inputs)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    weight = tf.math.lgamma(y_true)
    return tf.reduce_mean(weight * tf.square(y_true - y_pred))
""",
            at="tf.math.lgamma(y_true)",
            hazard=Hazard.NAN,
            note="labels are 0",
        ),
        Bad(
            """\
from tensorflow.math import digamma as psi
from tensorflow.keras.layers import Layer
from tensorflow.nn import relu


class Evidence(Layer):
    def call(self, inputs):
        return psi(relu(inputs))
""",
            at="psi(relu(inputs))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.math.digamma(tf.abs(x)))
""",
            at="tf.math.digamma(tf.abs(x))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Counts(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        rate = tf.nn.softplus(y_pred) + 0.1
        terms = rate - y_true * tf.math.log(rate) + tf.math.lgamma(tf.nn.relu(y_true))
        return tf.reduce_mean(terms)
""",
            at="tf.math.lgamma(tf.nn.relu(y_true))",
            hazard=Hazard.INF,
            note="the logarithm of a factorial is lgamma(n + 1)",
        ),
        Bad(
            """\
import tensorflow as tf


class Gamma(tf.keras.regularizers.Regularizer):
    def __call__(self, w):
        return 0.01 * tf.reduce_sum(tf.math.lgamma(tf.abs(w)))
""",
            at="tf.math.lgamma(tf.abs(w))",
            hazard=Hazard.NAN,
        ),
    )
