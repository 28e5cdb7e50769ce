"""ACT510: labels and predictions swapped in the call of a cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Suspect, Target, View

from ._common import shown
from ._losses import ORDER, calls, is_constant, is_label, reversed_parameters
from ._losses_mended import exchanged


class SwappedArguments(Rule):
    """Labels and predictions swapped in the call of a cross-entropy.

    ## What it does
    Reports a cross-entropy of Keras or `tf.nn` that is given what the model computes as labels,
    and labels as the prediction. Which is which is read off from where gradients go, not from
    names.

    ## Why is this bad?
    A cross-entropy is linear in its labels. With predictions in their place a right prediction
    gets the same gradient as a wrong one, of a size that the clip inside the logarithm decides;
    swapped logits make the loss fall without end. Nothing raises an error. In Keras 1, the
    functions of the backend had the prediction first; since Keras 2 the target comes first.

    ## How it is confirmed
    actlint calls the function with right and with wrong predictions for the same labels. The
    gradient is the same; with the operands exchanged it is not.

    ## Example
    ```python
    def loss(y_true, y_pred):
        return tf.keras.losses.binary_crossentropy(y_pred, y_true)
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        return tf.keras.losses.binary_crossentropy(y_true, y_pred)
    ```

    ## Fix safety
    Exchanging the arguments is unsafe: it is another loss, the one that is meant.

    ## What it misses
    Focal losses and divergences, which are not linear in either operand; losses that are almost
    symmetric, such as Huber's, where the order does not matter.

    ## References
    Keras API: Losses, on the order of y_true and y_pred. TensorFlow API:
    tf.nn.softmax_cross_entropy_with_logits.
    """

    code: ClassVar[str] = "ACT510"
    name: ClassVar[str] = "swapped-arguments"
    hint: ClassVar[str] = (
        "Put the labels first, as in tf.keras.losses.binary_crossentropy(y_true, y_pred), or name "
        "both arguments: labels=…, logits=…"
    )

    supersedes: ClassVar[tuple[str, ...]] = ("ACT501",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the cross-entropies whose labels alone carry a gradient."""
        if reversed_parameters(view) is not None:
            return  # the names of the parameters are wrong, and with them what they stand for
        proper = {(c.labels.id, c.predictions.id) for c in calls(view)}
        for call in calls(view):
            if call.node.op not in ORDER:
                continue
            # Both orders together make a symmetric cross-entropy, on purpose.
            if (call.predictions.id, call.labels.id) in proper:
                continue
            if (
                view.depends_differentiably(call.labels)
                and view.differentiable_to_output(call.node)
                and not view.depends_differentiably(call.predictions)
                and (is_label(view, call.predictions) or is_constant(view, call.predictions))
            ):
                yield Suspect(
                    code=self.code,
                    node=call.node.id,
                    message=f"{shown(call.node)} takes {shown(call.labels)} for the labels and "
                    f"{shown(call.predictions)} for the prediction",
                    check=Check.EXCHANGED,
                    targets=tuple(
                        Target(node.id, 0.0, 1.0) for node in (call.labels, call.predictions)
                    ),
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Exchange the two arguments."""
        for call in calls(view):
            if call.node.id == suspect.node:
                yield exchanged(call)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def symmetric_loss(y_true, y_pred):
    forward = tf.keras.losses.categorical_crossentropy(y_true, y_pred)
    backward = tf.keras.losses.categorical_crossentropy(y_pred, y_true)
    return forward + 0.1 * backward
""",
            note="symmetric cross-entropy, against noisy labels",
        ),
        Good(
            """\
import tensorflow as tf


def huber_loss(y_true, y_pred):
    return tf.reduce_mean(tf.keras.losses.huber(y_pred, y_true))
""",
            note="symmetric, so that the order does not matter",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def weighted_loss(a, b):
    return K.mean(K.binary_crossentropy(a, b), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=weighted_loss)
""",
            note="Keras hands the labels to the first parameter, whatever it is called",
        ),
        Good(
            """\
import tensorflow as tf


def distillation_loss(y_true, y_pred):
    teacher = tf.stop_gradient(tf.nn.softmax(y_pred[:, 10:]))
    return tf.nn.softmax_cross_entropy_with_logits(labels=teacher, logits=y_pred[:, :10])
""",
            note="the labels are predictions themselves, and detached",
        ),
        Good(
            """\
import tensorflow as tf


class Entropy(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        p = tf.nn.softmax(y_pred)
        own = tf.nn.softmax_cross_entropy_with_logits(labels=p, logits=y_pred)
        return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=y_pred) - 0.1 * own
""",
            note="the entropy of a prediction has it in both places",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
logits = tf.matmul(x, tf.Variable(tf.zeros([4, 3])))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=y_))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            note="named arguments may come in any order",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def crossentropy_loss(y_true, y_pred):
    return tf.keras.losses.binary_crossentropy(y_pred, y_true)
""",
            at="tf.keras.losses.binary_crossentropy(y_pred, y_true)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
logits = tf.matmul(x, tf.Variable(tf.zeros([4, 3])))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=logits, logits=y_))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.nn.softmax_cross_entropy_with_logits_v2(labels=logits, logits=y_)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Weighted(Loss):
    def __init__(self, weight=2.0):
        super().__init__()
        self.weight = weight

    def call(self, y_true, y_pred):
        return self.weight * K.categorical_crossentropy(y_pred, y_true)
""",
            at="K.categorical_crossentropy(y_pred, y_true)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.Adam()
bce = tf.keras.losses.BinaryCrossentropy()


def train_step(x, labels):
    with tf.GradientTape() as tape:
        p = tf.sigmoid(model(x, training=True))
        loss = bce(p, labels)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            at="bce(p, labels)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf
from keras import ops


def blended(share):
    def loss(truth, guess):
        hard = ops.mean(ops.binary_crossentropy(guess, truth), axis=-1)
        return share * hard + (1.0 - share) * tf.keras.losses.dice(truth, guess)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=blended(0.1))
""",
            at="ops.binary_crossentropy(guess, truth)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.nn import sigmoid_cross_entropy_with_logits as entropy

model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
model.compile("adam", loss=lambda t, z: tf.reduce_mean(entropy(z, t)))
""",
            at="entropy(z, t)",
            hazard=Hazard.WRONG_LOSS,
        ),
    )
