"""ACT501: a loss that is not smallest where prediction and label agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import shown
from ._losses_mended import turned
from ._targets import agreeing, signed_errors


class LossNotSmallestAtTarget(Rule):
    """A loss that is not smallest where prediction and label agree.

    ## What it does
    Reports a loss of one label and one prediction that a wrong prediction can make smaller than
    the right one: signed errors, a wrong sign, a similarity returned as it is. Also an error that
    is a part of a loss, beside other terms or divided by a variance, with its sign.

    ## Why is this bad?
    Gradient descent goes where the loss is small. `tf.reduce_mean(y_true - y_pred)` falls without
    end as the prediction grows; a positive cosine similarity drives the two vectors apart. The
    loss goes down, and the model gets worse.

    ## How it is confirmed
    actlint compares the loss where prediction and label agree with the loss at typical predictions,
    and follows the negative gradient: it leads to a smaller loss, far from the label. A prediction
    of logits agrees with a label at logits of 4 and -4. Of an error that is a part of the loss it
    shows that the slope with respect to it is the same for all labels.

    ## Example
    ```python
    def error_loss(y_true, y_pred):
        return tf.reduce_mean(y_true - y_pred)
    ```

    ## Use instead
    ```python
    def error_loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred))
    ```

    ## Fix safety
    Unsafe: it is another loss, the one that is meant.

    ## What it misses
    Losses with several labels, weights or predictions; distances with a margin, pairs, log rates
    and parameters of a distribution; logits whose labels are masked, gathered or compared first.

    ## References
    Keras API: Losses. TensorFlow API: tf.keras.losses.CosineSimilarity, on its sign.
    """

    code: ClassVar[str] = "ACT501"
    name: ClassVar[str] = "loss-not-smallest-at-target"
    hint: ClassVar[str] = (
        "Take the absolute value or the square of the error (tf.square(y_true - y_pred)), and "
        "return the negative, or 1 minus, of a similarity"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT502",)
    explained_by: ClassVar[tuple[str, ...]] = (
        "ACT112",
        "ACT118",
        "ACT2",
        "ACT3",
        "ACT503",
        "ACT51",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield signed errors, and the output of a loss with one label and one prediction."""
        for node in signed_errors(view):
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} enters the loss with its sign: the larger the prediction, "
                "the better or the worse, whatever the label is",
                check=Check.LABEL_FREE,
                provisional=True,
            )
        if agreeing(view) is None:
            return
        output = view.node(view.graph.output)
        yield Suspect(
            code=self.code,
            node=output.id,
            message=f"{shown(output)} is not smallest where the prediction equals the label",
            check=Check.MINIMUM,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Turn the sign, or take the square of the error."""
        yield from turned(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
from tensorflow.keras import backend as K


def wasserstein_loss(y_true, y_pred):
    return K.mean(y_true * y_pred)
""",
            note="labels are signs here, and the critic's score has no target",
        ),
        Good(
            """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Absolute(Loss):
    def call(self, y_true, y_pred):
        return K.mean(K.abs(y_true - y_pred), axis=-1)
"""
        ),
        Good(
            """\
import tensorflow as tf


def cosine_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return 1.0 - tf.reduce_mean(tf.reduce_sum(a * b, axis=-1))
""",
            note="the negative of a similarity",
        ),
        Good(
            """\
import tensorflow as tf


def contrastive_loss(y_true, y_pred):
    near = y_true * tf.square(y_pred)
    far = (1.0 - y_true) * tf.square(tf.maximum(1.0 - y_pred, 0.0))
    return tf.reduce_mean(near + far)
""",
            note="the prediction is a distance, and 1 means that the pair belongs together",
        ),
        Good(
            """\
from keras import ops


def pinball(quantile):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(quantile * error, (quantile - 1.0) * error))

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=pinball(0.9))
""",
            note="both sides of the error cost",
        ),
        Good(
            """\
import tensorflow as tf


def smoothed_loss(labels, logits):
    smooth = labels * 0.8 + 0.05
    return tf.nn.softmax_cross_entropy_with_logits(labels=smooth, logits=logits)
""",
            note="no logit should be very large, but still that of the label the largest",
        ),
        Good(
            """\
import tensorflow as tf


def order_loss(y_true, y_pred):
    label = tf.sigmoid(y_true[:, None] - y_true[None, :])
    gap = tf.expand_dims(y_pred, 1) - tf.expand_dims(y_pred, 0)
    return tf.reduce_mean(label * tf.nn.softplus(-gap))
""",
            note="an order has many right predictions",
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", loss=lambda t, p: tf.reduce_mean(tf.math.log1p(tf.square(t - p))))
"""
        ),
        Good(
            """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-7)
    return -tf.reduce_mean(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))
"""
        ),
        Good(
            """\
import tensorflow as tf


def divergence_loss(y_true, y_pred):
    p = tf.clip_by_value(y_true, 1e-6, 1.0)
    q = tf.clip_by_value(y_pred, 1e-6, 1.0)
    return tf.reduce_mean(tf.reduce_sum(p * (tf.math.log(p) - tf.math.log(q)), axis=-1))
""",
            note="the label weighs the difference",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def error_loss(y_true, y_pred):
    return tf.reduce_mean(y_true - y_pred)
""",
            at="tf.reduce_mean(y_true - y_pred)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Similarity(Loss):
    def call(self, y_true, y_pred):
        overlap = K.sum(y_true * y_pred, axis=-1)
        return 2.0 * overlap / (K.sum(y_true, axis=-1) + K.sum(y_pred, axis=-1) + 1.0)
""",
            at="2.0 * overlap / (K.sum(y_true, axis=-1) + K.sum(y_pred, axis=-1) + 1.0)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def binary_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-7)
    return tf.reduce_mean(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))
""",
            at="tf.reduce_mean(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))",
            hazard=Hazard.WRONG_LOSS,
            note="the minus is missing",
        ),
        Bad(
            """\
from keras import ops


def cubic(weight):
    def loss(y_true, y_pred):
        return weight * ops.mean((y_pred - y_true) ** 3)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=cubic(2.0))
""",
            at="weight * ops.mean((y_pred - y_true) ** 3)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=lambda t, p: tf.reduce_mean(t) - tf.reduce_mean(p))
""",
            at="tf.reduce_mean(t) - tf.reduce_mean(p)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow import reduce_mean, square


def squared(a, b):
    return square(a - b)


def gain_loss(y_true, y_pred):
    return 1.0 - reduce_mean(squared(y_true, y_pred))
""",
            at="1.0 - reduce_mean(squared(y_true, y_pred))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def iou_loss(y_true, y_pred, smooth=1.0):
    a, b = K.flatten(y_true), K.flatten(y_pred)
    overlap = K.sum(a * b)
    return (overlap + smooth) / (K.sum(a) + K.sum(b) - overlap + smooth)
""",
            at="(overlap + smooth) / (K.sum(a) + K.sum(b) - overlap + smooth)",
            hazard=Hazard.WRONG_LOSS,
            note="an overlap, which training would make small",
        ),
        Bad(
            """\
import tensorflow as tf


class Cosine(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        a = tf.math.l2_normalize(y_true, axis=-1)
        b = tf.math.l2_normalize(y_pred, axis=-1)
        return tf.reduce_sum(a * b, axis=-1)
""",
            at="tf.reduce_sum(a * b, axis=-1)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def nll_loss(labels, logits):
    return tf.reduce_mean(tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=-1))
""",
            at="tf.reduce_mean(tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=-1))",
            hazard=Hazard.WRONG_LOSS,
            note="a log-likelihood without its minus",
        ),
        Bad(
            """\
import tensorflow as tf


def sparse_loss(labels, logits):
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return -tf.reduce_mean(entropy)
""",
            at="-tf.reduce_mean(entropy)",
            hazard=Hazard.WRONG_LOSS,
            note="a minus too many",
        ),
        Bad(
            """\
import tensorflow as tf


def gaussian_loss(y_true, y_pred):
    mean, raw = tf.split(y_pred, 2, axis=-1)
    variance = tf.nn.softplus(raw) + 1e-3
    return tf.reduce_mean(0.5 * tf.math.log(variance) + 0.5 * (y_true - mean) / variance)
""",
            at="y_true - mean",
            hazard=Hazard.WRONG_LOSS,
            note="the square of the error is forgotten",
        ),
    )
