"""ACT516: a loss with the prediction first, where Keras hands over the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Exchange, Good, Hazard, Remedy, Rule, Safety, Suspect, View

from ._common import shown
from ._losses import reversed_parameters


class WrongSignature(Rule):
    """A loss with the prediction first, where Keras hands over the labels.

    ## What it does
    Reports a function or `Loss` subclass that a Keras model is compiled with and whose parameters
    come in the order of prediction and label. Keras passes the labels first, by position.

    ## Why is this bad?
    Inside the function each stands for the other: a cross-entropy takes the logarithm of the
    labels and its gradient does not depend on the prediction; false positives count as false
    negatives. There is no error message. A function that only the project's own code calls may
    have any order.

    ## How it is confirmed
    actlint calls the function both ways with right and wrong predictions. Symmetric losses are the
    same and stay silent; so do functions whose body uses the first parameter as the label.

    ## Example
    ```python
    def entropy(y_pred, y_true):
        return -tf.reduce_mean(y_true * tf.math.log(y_pred + 1e-7))

    model.compile(optimizer="adam", loss=entropy)
    ```

    ## Use instead
    ```python
    def entropy(y_true, y_pred):
        return -tf.reduce_mean(y_true * tf.math.log(y_pred + 1e-7))

    model.compile(optimizer="adam", loss=entropy)
    ```

    ## Fix safety
    Unsafe: calls that hand the prediction over first have to change, too.

    ## What it misses
    Parameters whose names do not say what they are, and losses of class indices.

    ## References
    Keras API: Losses, "Creating custom losses": `loss_fn(y_true, y_pred)`.
    """

    code: ClassVar[str] = "ACT516"
    name: ClassVar[str] = "wrong-signature"
    hint: ClassVar[str] = (
        "Put the labels first, (y_true, y_pred), as tf.keras.Model.compile expects of a loss"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the first parameter of a loss that Keras calls, if it is a prediction."""
        found = reversed_parameters(view)
        if found is None or view.graph.partial:
            return
        first, _ = found
        yield Suspect(
            code=self.code,
            node=first.id,
            message=f"{shown(first)} comes first in a loss that Keras calls with the labels first",
            check=Check.SIGNATURE,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Exchange the parameters."""
        found = reversed_parameters(view)
        if found is not None and found[0].id == suspect.node:
            first, second = found
            yield Remedy(
                "Put the label first",
                "calls of your own that hand the prediction over first have to change, too",
                Safety.UNSAFE,
                (Exchange(first.id, second.id),),
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def squared(y_pred, y_true):
    return tf.reduce_mean(tf.square(y_pred - y_true), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            note="symmetric",
        ),
        Good(
            """\
import tensorflow as tf


def entropy_loss(y_pred, y_true):
    return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=y_pred)


def step(model, optimizer, x, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(entropy_loss(model(x), labels))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="only the project's own code calls it, in the same order",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def poisson(rate):
    def loss(y_true, y_pred):
        return K.mean(rate * y_pred - y_true * K.log(y_pred + K.epsilon()), axis=-1)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=poisson(1.0))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Entropy(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.keras.losses.categorical_crossentropy(y_true, y_pred)


def compile_model(model):
    model.compile(optimizer="adam", loss=Entropy())
"""
        ),
        Good(
            """\
from keras import ops


def overlap(y_pred, y_true):
    both = ops.sum(y_true * y_pred)
    return 1.0 - (2.0 * both + 1.0) / (ops.sum(y_true) + ops.sum(y_pred) + 1.0)


def compile_model(model):
    model.compile(optimizer="adam", loss=overlap)
""",
            note="the soft Dice score is symmetric, too",
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
model.compile("adam", loss=lambda t, z: tf.nn.sigmoid_cross_entropy_with_logits(t, z))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from tensorflow.keras import backend as K


class Agent:
    def policy_loss(self, y_pred, y_true):
        return -K.sum(K.log(y_pred + K.epsilon()) * y_true, axis=-1)

    def compile_model(self, model):
        model.compile(optimizer="adam", loss=self.policy_loss)
""",
            at="y_pred",
            hazard=Hazard.WRONG_LOSS,
            note="a method, bound to its object",
        ),
        Bad(
            """\
import tensorflow as tf


def entropy(y_pred, y_true):
    p = tf.clip_by_value(y_pred, 1e-6, 1.0)
    return -tf.reduce_sum(y_true * tf.math.log(p), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=entropy)
""",
            at="y_pred",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


class Entropy(tf.keras.losses.Loss):
    def __init__(self, weight=2.0):
        super().__init__()
        self.weight = weight

    def call(self, logits, targets):
        found = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
        return self.weight * found


model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
model.compile(optimizer="adam", loss=Entropy())
""",
            at="logits",
            hazard=Hazard.WRONG_LOSS,
            note="the base class calls it with the labels first",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def tversky(alpha):
    def loss(prediction, y_true):
        hit = K.sum(y_true * prediction)
        miss = K.sum(y_true * (1.0 - prediction))
        false = K.sum((1.0 - y_true) * prediction)
        return 1.0 - (hit + 1.0) / (hit + alpha * miss + (1.0 - alpha) * false + 1.0)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=tversky(0.7))
""",
            at="prediction",
            hazard=Hazard.WRONG_LOSS,
            note="the weights of false positives and false negatives change places",
        ),
        Bad(
            """\
from keras import ops


def pinball(y_pred, y_true):
    error = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * error, -0.1 * error), axis=-1)


def compile_model(model):
    model.compile("adam", pinball)
""",
            at="y_pred",
            hazard=Hazard.WRONG_LOSS,
            note="the quantile 0.1 instead of 0.9",
        ),
        Bad(
            """\
import tensorflow as tf


def entropy(probs, labels):
    return tf.keras.losses.binary_crossentropy(labels, probs)


def train(model, data):
    model.compile(optimizer="adam", loss={"mask": entropy})
    model.fit(data)
""",
            at="probs",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

rate = lambda y_pred, y_true: tf.reduce_mean(y_pred - y_true * tf.math.log(y_pred + 1e-3))

model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="softplus")])
model.compile(optimizer="adam", loss=rate)
""",
            at="y_pred",
            hazard=Hazard.WRONG_LOSS,
            note="the likelihood of a Poisson rate",
        ),
    )
