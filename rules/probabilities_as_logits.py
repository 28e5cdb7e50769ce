"""ACT512: a cross-entropy of logits that is given probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Severity, Suspect, Target, View

from ._common import shown
from ._losses import HEALED, activation_before, calls, overlap
from ._losses_mended import from_probabilities, given_logits

_SQUASHING = ("sigmoid", "softmax", "hard_sigmoid")


class ProbabilitiesAsLogits(Rule):
    """A cross-entropy of logits that is given probabilities.

    ## What it does
    Reports `from_logits=True`, or a function of `tf.nn` that takes logits, behind a sigmoid or
    softmax: in the same function, or in the last layer of the model that is compiled with it. So is
    one of a prediction of which another term of the same loss takes the overlap with the labels, as
    Dice's and Jaccard's scores of probabilities do.

    ## Why is this bad?
    The loss squashes a second time. A softmax of probabilities lies between 1/(K - 1 + e) and
    e/(K - 1 + e): with ten classes the loss cannot fall below 1.46, and the gradient of a model
    that is sure fades twice over. Keras' own cross-entropies notice the activation that comes
    directly before them, warn, and go back to its logits; in eager mode this works for Keras'
    activations only, and never behind another operation or a cast, as mixed precision has it.

    ## How it is confirmed
    actlint feeds the logits of certain, right predictions. The loss stays far above 0, and is 0
    without the activation. Beside an overlap, it feeds the labels themselves as probabilities.

    ## Example
    ```python
    def loss(y_true, logits):
        p = tf.nn.softmax(logits)
        return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=p)
    ```

    ## Use instead
    ```python
    def loss(y_true, logits):
        return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=logits)
    ```

    ## Fix safety
    Every fix is unsafe: it is another loss, the one that is meant.

    ## What it misses
    Activations further up that the code between hides; models with several outputs.

    ## References
    TensorFlow API: tf.nn.softmax_cross_entropy_with_logits ("this op expects unscaled logits").
    """

    code: ClassVar[str] = "ACT512"
    name: ClassVar[str] = "probabilities-as-logits"
    hint: ClassVar[str] = (
        "Leave the sigmoid or softmax out before tf.nn.…_with_logits and from_logits=True, or set "
        "from_logits=False; take the overlap of tf.sigmoid(logits)"
    )
    reads_models: ClassVar[bool] = True

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the cross-entropies of logits behind a sigmoid or softmax, or beside an overlap."""
        for call in calls(view):
            if not call.logits or not view.on_gradient_path(call.node):
                continue
            taken = view.definition(call.predictions)
            score = overlap(view, taken)
            if score is not None:
                yield Suspect(
                    code=self.code,
                    node=call.node.id,
                    message=f"{shown(call.node)} takes logits, but {shown(score)} takes the same "
                    f"{shown(taken)} for probabilities",
                    check=Check.SHARES,
                    targets=(Target(taken.id, 0.0, 1.0),),
                    provisional=True,
                )
            squash = activation_before(view, call.predictions, *_SQUASHING)
            if squash is None or not view.operands(squash):
                continue
            direct = squash.id == call.predictions.id and call.node.op in HEALED
            message = f"{shown(call.node)} takes logits, but {shown(squash)} gives it probabilities"
            if direct:
                message += "; Keras goes back to the logits only where it can find them"
            yield Suspect(
                code=self.code,
                node=call.node.id,
                message=message,
                check=Check.FLOOR,
                targets=(Target(squash.id, 0.0, 1.0),),
                severity=Severity.WARNING if direct else Severity.ERROR,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Hand the logits over; else say that these are probabilities."""
        for call in calls(view):
            if call.node.id != suspect.node:
                continue
            squash = activation_before(view, call.predictions, *_SQUASHING)
            if squash is not None:
                yield from given_logits(view, call, squash)
            yield from from_probabilities(call)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss=tf.keras.losses.CategoricalCrossentropy())
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(10, activation="relu"), Dense(3)])
model.compile(optimizer="adam", loss=tf.keras.losses.BinaryCrossentropy(from_logits=True))
"""
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, logits):
    p = tf.sigmoid(logits)
    weight = tf.stop_gradient(tf.square(y_true - p))
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=logits)
    return tf.reduce_mean(weight * entropy)
""",
            note="the sigmoid weighs, the entropy has the logits",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import backend as K


class Combined(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        entropy = tf.keras.losses.binary_crossentropy(y_true, y_pred, from_logits=True)
        p = K.sigmoid(y_pred)
        dice = 1.0 - (2.0 * K.sum(y_true * p) + 1.0) / (K.sum(y_true) + K.sum(p) + 1.0)
        return K.mean(entropy) + dice
""",
            note="an overlap of probabilities beside the entropy of their logits",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
scores = tf.layers.dense(x, 3)
p = tf.nn.softmax(scores)
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=scores))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
right = tf.equal(tf.argmax(p, 1), tf.argmax(y_, 1))
""",
            note="the probabilities are for reading",
        ),
        Good(
            """\
import tensorflow as tf


def attention_loss(y_true, y_pred):
    weights = tf.nn.softmax(y_pred, axis=-1)
    scores = tf.reduce_sum(weights * y_pred, axis=-1)
    target = tf.reduce_max(y_true, axis=-1)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=scores)
""",
            note="a softmax further up only weighs",
        ),
        Good(
            """\
from keras import ops


def loss(y_true, y_pred):
    return ops.mean(ops.categorical_crossentropy(y_true, ops.softmax(y_pred)), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import backend as K

entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)


def dice_score(a, b, smooth=1.0):
    a, b = K.flatten(a), K.flatten(b)
    shared = 2.0 * K.sum(a * b) + smooth
    return tf.math.divide_no_nan(shared, K.sum(a) + K.sum(b) + smooth)


def combined_loss(y_true, y_pred):
    return entropy(y_true, y_pred) + 1.0 - dice_score(y_true, y_pred)


def build(model):
    model.compile(optimizer="adam", loss=combined_loss)
""",
            at="entropy(y_true, y_pred)",
            hazard=Hazard.WRONG_LOSS,
            note="the overlap takes the same numbers for probabilities",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True))
""",
            at="tf.keras.losses.CategoricalCrossentropy(from_logits=True)",
            hazard=Hazard.WRONG_LOSS,
            note="a warning: Keras finds the logits here, and says so",
        ),
        Bad(
            """\
import tensorflow as tf


def entropy_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred)
    return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=p)
""",
            at="tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=p)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import layers


def entropy(labels, scores):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=scores)


def build():
    inputs = layers.Input((4,))
    hidden = layers.Dense(8, activation="relu")(inputs)
    outputs = layers.Dense(2, activation="sigmoid")(hidden)
    model = tf.keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss=entropy)
    return model
""",
            at="tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=scores)",
            hazard=Hazard.WRONG_LOSS,
            note="the sigmoid is in the model, the loss is the project's own",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
p = tf.nn.softmax(tf.matmul(x, tf.Variable(tf.zeros([4, 3]))))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=p))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=p)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import keras
from keras import layers

model = keras.Sequential()
model.add(layers.Dense(16, activation="relu"))
model.add(layers.Dense(3))
model.add(layers.Activation("sigmoid"))
model.compile(loss=keras.losses.BinaryFocalCrossentropy(from_logits=True), optimizer="adam")
""",
            at="keras.losses.BinaryFocalCrossentropy(from_logits=True)",
            hazard=Hazard.WRONG_LOSS,
            note="of a focal loss Keras does not go back to the logits",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Smooth(Loss):
    def call(self, y_true, y_pred):
        p = 0.9 * K.sigmoid(y_pred) + 0.05
        return K.mean(K.binary_crossentropy(y_true, K.softmax(y_pred), from_logits=True) * p)
""",
            at="K.binary_crossentropy(y_true, K.softmax(y_pred), from_logits=True)",
            hazard=Hazard.WRONG_LOSS,
        ),
    )
