"""ACT102: a singular expression in a branch that `where` does not select."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import Bad, Cause, Effect, Good, Hazard, Hit, Remedy, Rule, Suspect, View

from ._common import condition, first_hit, harmful, nonfinite, not_overflow, shown
from ._remedies import double_where

# Of these, 0 is a harmless argument; of all others, 1.
_AWAY_FROM_ONE = frozenset({Cause.OVERFLOW, Cause.OUTSIDE})


class UnsafeWhereBranch(Rule):
    """A singular expression in a branch that `where` does not select.

    ## What it does
    Reports an expression inside a branch of `where` (also `K.switch`, `ops.where`,
    `tf.compat.v1.where`) that has a pole, a cusp or an overflow at values for which the other
    branch is selected.

    ## Why is this bad?
    `where` computes both branches for every element and selects afterwards. The value of the
    unselected branch is dropped, but its gradient is multiplied by 0, and `0 * inf` is nan. The
    loss looks right and the weights turn nan.

    ## How it is confirmed
    actlint solves for an input at which the unselected branch is singular, and finds the gradient
    of the input nan there while the value is finite, in eager mode, in a `tf.function` or under
    XLA.

    ## Example
    ```python
    def activation(x):
        return tf.where(x >= 0, x / (x + 1.0), 0.1 * x)
    ```

    ## Use instead
    ```python
    def activation(x):
        positive = tf.where(x >= 0, x, 0.0)
        return tf.where(x >= 0, positive / (positive + 1.0), 0.1 * x)
    ```

    ## Fix safety
    The second `where` is safe: it changes the argument only where the branch is not selected.

    ## What it misses
    Branches chosen by multiplication with a mask: there the value itself is nan, and the rule of
    the expression speaks.

    ## References
    TensorFlow API: tf.where, note on gradients. JAX FAQ: gradients contain NaN where using where.
    """

    code: ClassVar[str] = "ACT102"
    name: ClassVar[str] = "unsafe-where-branch"
    hint: ClassVar[str] = (
        "Make the branch's argument safe with a tf.where (or tf.maximum, tf.minimum) of its own "
        "inside the branch"
    )
    supersedes: ClassVar[tuple[str, ...]] = (
        "ACT101",
        "ACT103",
        "ACT104",
        "ACT105",
        "ACT106",
        "ACT107",
        "ACT108",
        "ACT109",
        "ACT111",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield expressions that only the gradient of an unselected branch finds singular."""
        for node in view.nodes():
            if first_hit(view, node, not_overflow()) is not None:
                continue
            masked = [hit for hit in view.hits(node) if hit.masked and harmful(view, node, hit)]
            if masked:
                hit = masked[0]
                suspect = nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(hit.operand)} in {shown(node)} {condition(hit)} where the other "
                    f"branch of `where` is selected, and the gradient of the unselected branch "
                    f"is then {_product(hit)}",
                )
                yield replace(suspect, guarded=True)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Select the argument, too."""
        node = view.node(suspect.node)
        for hit in view.hits(node):
            if hit.masked and harmful(view, node, hit):
                neutral = "zeros" if hit.region.cause in _AWAY_FROM_ONE else "ones"
                yield from double_where(view, node, hit.operand, neutral)
                return

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Activation


def bent(x):
    positive = tf.where(x >= 0, x, 0.0)
    return tf.where(x >= 0, positive / (positive + 1.0), 0.1 * x)


layer = Activation(bent)
""",
            note="the double where",
        ),
        Good(
            """\
import tensorflow as tf


def leaky(x):
    return tf.where(x > 0, x, 0.1 * x)


layer = tf.keras.layers.Dense(8, activation=leaky)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda


def my_elu(x):
    return K.switch(x > 0, x, K.exp(K.minimum(x, 0.0)) - 1.0)


layer = Lambda(my_elu)
""",
            note="the argument of exp is held below 0 before exp sees it",
        ),
        Good(
            """\
import tensorflow as tf


class Distance(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        squared = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
        positive = squared > 0.0
        safe = tf.where(positive, squared, 1.0)
        return tf.reduce_mean(tf.where(positive, tf.sqrt(safe), 0.0))
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Logarithm(Layer):
    def call(self, inputs):
        return ops.where(inputs > 0, ops.log1p(ops.relu(inputs)), inputs)
"""
        ),
        Good(
            """\
import tensorflow as tf


def make_loss(delta):
    def loss(y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        return tf.reduce_mean(
            tf.where(error < delta, 0.5 * error**2, delta * error - 0.5 * delta**2)
        )

    return loss


def compile_model(model):
    model.compile(optimizer="sgd", loss=make_loss(1.0))
""",
            note="Huber's loss: both branches are finite everywhere",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Activation


def bent(x):
    return tf.where(x >= 0, x / (x + 1.0), 0.1 * x)


layer = Activation(bent)
""",
            at="x / (x + 1.0)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def my_elu(x):
    return K.switch(x > 0, x, K.exp(x) - 1.0)


layer = Dense(16, activation=my_elu)
""",
            at="K.exp(x)",
            hazard=Hazard.NAN,
            note="exp overflows above 88.7, where the linear branch is selected",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Logarithm(Layer):
    def call(self, inputs):
        return ops.where(inputs > 0, ops.log1p(inputs), inputs)
""",
            at="ops.log1p(inputs)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Tail(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        return tf.reduce_mean(tf.where(error > 1.0, 2.0 - 1.0 / error, error))
""",
            at="1.0 / error",
            hazard=Hazard.NAN,
            note="a perfect prediction makes the gradient nan",
        ),
        Bad(
            """\
from tensorflow import reduce_mean, square, where


def make_loss(power=0.5):
    def loss(y_true, y_pred):
        error = square(y_true - y_pred)
        return reduce_mean(where(error > 1e-6, error**power, 0.0))

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss())
""",
            at="error**power",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def ramp_loss(y_true, y_pred):
    error = tf.abs(y_true - y_pred)
    grown = tf.math.log(error)
    return tf.reduce_mean(tf.where(error > 1.0, 1.0 + grown, error))
""",
            at="tf.math.log(error)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

square_root = tf.keras.layers.Lambda(lambda x: tf.where(x > 0, x**0.5, 0.1 * x))
""",
            at="x**0.5",
            hazard=Hazard.NAN,
        ),
    )


def _product(hit: Hit) -> str:
    """Return what becomes of a cotangent of 0 at `hit`."""
    outside = hit.region.effect is Effect.POLE and hit.region.cause in {
        Cause.NEGATIVE,
        Cause.OUTSIDE,
    }
    return "nan" if outside else "0 * inf = nan"
