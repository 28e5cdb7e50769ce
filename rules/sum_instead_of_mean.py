"""ACT504: a loss that sums over the batch where a mean is meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._batch import (
    adds_features,
    all_or_batch,
    axes,
    beside_mean,
    fixed_divisor,
    has_target,
    is_keras_loss,
    is_linear,
    is_whole_loss,
    mean_of_sums,
    rows_are_samples,
)
from ._common import of_gradients, shown
from ._losses_mended import summed_by_sample

# Sums of all elements: half the sum of their squares is one.
_SUMS = ("l2_loss", "reduce_sum")


class SumInsteadOfMean(Rule):
    """A sum over the batch where everything else is a mean.

    ## What it does
    Reports `tf.reduce_sum` over axis 0, or over all axes, that is not divided by the number of
    samples: in a loss that a Keras model is compiled with or that a `Loss` subclass brings; in
    other losses if the sum is a term beside a mean over the batch, if it is subtracted from a
    number, `1.0 - tf.reduce_sum(similarity)`, or if it runs over axis 0 and the mean of what is
    left is taken. So is a sum that is the whole loss, if it adds one number for each sample, as
    behind a sum over the features, and nothing of the project calls the function. In a training
    step or script it is a sum over all elements of what a network computes, or `tf.nn.l2_loss` of
    it, that is a term beside a mean over the batch.

    ## Why is this bad?
    Keras takes means: over what a loss returns, and over batches in its log. A sum over the batch
    makes the gradient as many times larger as there are samples, so that learning rate, weight
    decay and other losses beside it have to be tuned anew for each batch size, and the last,
    smaller batch of an epoch counts for less. Beside a mean, the sum takes over as the batch grows.
    In a loop of one's own a sum may be meant, with a learning rate to go with it; whoever takes a
    loss over from elsewhere does not expect that.

    ## How it is confirmed
    actlint runs the loss on a batch and on the same batch with every sample repeated: the sum is
    twice as large, and so is what it adds to the loss.

    ## Example
    ```python
    def squared(y_true, y_pred):
        return tf.reduce_sum(tf.square(y_true - y_pred))

    model.compile(optimizer="adam", loss=squared)
    ```

    ## Use instead
    ```python
    def squared(y_true, y_pred):
        return tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)

    model.compile(optimizer="adam", loss=squared)
    ```

    ## Fix safety
    Unsafe: the loss is as many times smaller as the batch has samples.

    ## What it misses
    Sums alone in training loops and scripts, and in functions that these call, where they may be
    meant; sums of squares and the like over samples and features at once, in losses that nothing
    compiles; sums that a function such as a root is applied to.

    ## References
    Keras API: losses, reduction "sum_over_batch_size". Goyal et al., 2017: Accurate, Large
    Minibatch SGD, on how the learning rate depends on the size of the batch.
    """

    code: ClassVar[str] = "ACT504"
    name: ClassVar[str] = "sum-instead-of-mean"
    hint: ClassVar[str] = (
        "Sum over the features alone, tf.reduce_sum(x, axis=-1), and leave the mean over the "
        "samples to Keras"
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.GRAPH, Role.LOSS, Role.TRAINING_STEP})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield sums over the batch that enter the loss in proportion."""
        if view.graph.partial:
            return
        step = view.graph.role is not Role.LOSS
        for node in view.nodes(*_SUMS):
            if (
                not (
                    view.on_gradient_path(node)
                    and all_or_batch(view, node)
                    and is_linear(view, node)
                )
                or fixed_divisor(view, node) is not None  # ACT505 speaks of that
                or of_gradients(view, node)
            ):
                continue
            where = _beside(view, node) if step else _other_size(view, node)
            if where is not None:
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} sums over the batch {where}: its gradient grows with "
                    "the batch size",
                    check=Check.BATCH_SIZE,
                    severity=Severity.INFO,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Sum over the features alone."""
        node = view.node(suspect.node)
        if node.op == "reduce_sum":
            yield from summed_by_sample(node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from keras import backend as K

embedding = tf.keras.layers.Embedding(100, 8)


def penalised_loss(y_true, y_pred):
    loss = K.mean(K.categorical_crossentropy(y_true, y_pred))
    slopes = K.gradients(loss, [embedding.embeddings])[0].values
    return loss + 0.5 * K.sum(slopes**2)


def compile_model(model):
    model.compile(loss=penalised_loss, optimizer="adam")
""",
            note="a squared norm of a gradient by weights",
        ),
        Good(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    return tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            note="over the features of each sample",
        ),
        Good(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    total = tf.reduce_sum(tf.square(y_true - y_pred))
    return total / tf.cast(tf.shape(y_true)[0], tf.float32)


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            note="divided by the number of samples",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def dice_loss(y_true, y_pred):
    overlap = K.sum(y_true * y_pred)
    return 1.0 - (2.0 * overlap + 1.0) / (K.sum(y_true) + K.sum(y_pred) + 1.0)


def compile_model(model):
    model.compile("adam", loss=dice_loss)
""",
            note="a ratio of sums",
        ),
        Good(
            """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_sum(tf.square(y_true - y_pred))


def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = squared_loss(y, model(x))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.weights), model.weights))
""",
            note="a training loop may sum",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class PerFeature(Loss):
    def call(self, y_true, y_pred):
        return ops.sum(ops.mean(ops.square(y_true - y_pred), axis=0))
""",
            note="the mean over the batch is taken first",
        ),
        Good(
            """\
import tensorflow as tf


class Masked(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        known = tf.cast(y_true >= 0.0, tf.float32)
        total = tf.reduce_sum(known * tf.abs(y_true - y_pred))
        return total / (tf.reduce_sum(known) + 1.0)
""",
            note="divided by the number of labels",
        ),
        Good(
            """\
import tensorflow as tf


def balanced_loss(y_true, y_pred):
    known = tf.cast(y_true > 0.0, tf.float32)
    fit = tf.reduce_sum(known * tf.square(y_true - y_pred)) / (tf.reduce_sum(known) + 1.0)
    return fit + 0.1 * tf.reduce_mean(tf.abs(y_pred))
""",
            note="a mean beside a mean",
        ),
        Good(
            """\
import tensorflow as tf


def sequence_loss(labels, logits):
    costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(tf.reduce_sum(costs, axis=0))
""",
            note="axis 0 may be time",
        ),
        Good(
            """\
import tensorflow as tf


def margin_loss(y_true, y_pred):
    right = tf.reduce_sum(y_true * y_pred, axis=-1)
    return tf.reduce_mean(1.0 - right) + 0.01 * tf.reduce_mean(tf.reduce_sum(y_pred**2.0, axis=-1))
""",
            note="sums over the features of each sample",
        ),
        Good(
            """\
import tensorflow as tf


def total_loss(labels, logits):
    costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_sum(costs)


def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = total_loss(y, model(x)) / tf.cast(tf.shape(x)[0], tf.float32)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.weights), model.weights))
""",
            note="the caller divides",
        ),
        Good(
            """\
from keras import ops


def distance_loss(y_true, y_pred, reduction):
    gaps = ops.sum(ops.square(y_true - y_pred), axis=-1)
    if reduction == "sum":
        return ops.sum(gaps)
    return ops.mean(gaps)
""",
            note="a setting asks for the sum",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def weighted_distance_loss(y_true, y_pred, weight):
    gaps = K.sum(K.abs(y_true - y_pred), axis=-1)
    return weight * K.sum(gaps)
""",
            note="the batch size may be in the weight",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    return tf.reduce_sum(tf.square(y_true - y_pred))


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            at="tf.reduce_sum(tf.square(y_true - y_pred))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def absolute(y_true, y_pred):
    return K.sum(K.abs(y_true - y_pred), axis=0)


def compile_model(model):
    model.compile("adam", loss=absolute)
""",
            at="K.sum(K.abs(y_true - y_pred), axis=0)",
            hazard=Hazard.WRONG_LOSS,
            note="over the samples of each feature",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Total(Loss):
    def call(self, y_true, y_pred):
        error = ops.square(y_true - y_pred)
        return 0.5 * ops.sum(error)
""",
            at="ops.sum(error)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def smooth(weight):
    def loss(y_true, y_pred):
        error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)
        return error + weight * tf.reduce_sum(tf.abs(y_pred[:, 1:] - y_pred[:, :-1]))

    return loss


def compile_model(model):
    model.compile("adam", loss=smooth(0.1))
""",
            at="tf.reduce_sum(tf.abs(y_pred[:, 1:] - y_pred[:, :-1]))",
            hazard=Hazard.WRONG_LOSS,
            note="one term is a sum, the other a mean",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(4)])
model.compile(
    optimizer="sgd",
    loss=lambda t, p: tf.math.reduce_sum(tf.math.log1p(tf.math.squared_difference(t, p))),
)
""",
            at="tf.math.reduce_sum(tf.math.log1p(tf.math.squared_difference(t, p)))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def direction_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return 1.0 - tf.reduce_sum(a * b)
""",
            at="tf.reduce_sum(a * b)",
            hazard=Hazard.WRONG_LOSS,
            note="1 is the most that the mean could be",
        ),
        Bad(
            """\
from keras import ops


def penalised_loss(y_true, y_pred):
    fit = ops.mean(ops.square(y_true - y_pred))
    rough = ops.abs(y_pred[:, 1:] - y_pred[:, :-1])
    return fit + 0.01 * ops.sum(rough)
""",
            at="ops.sum(rough)",
            hazard=Hazard.WRONG_LOSS,
            note="beside a mean, and no model is compiled with it",
        ),
        Bad(
            """\
import tensorflow as tf


def cross_entropy(labels, logits):
    log_p = tf.nn.log_softmax(logits, axis=-1)
    return -tf.reduce_mean(tf.reduce_sum(labels * log_p, axis=0))
""",
            at="tf.reduce_sum(labels * log_p, axis=0)",
            hazard=Hazard.WRONG_LOSS,
            note="the mean over the classes of sums over the samples",
        ),
        Bad(
            """\
import tensorflow as tf


def angular_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    cosine = tf.clip_by_value(tf.reduce_sum(a * b, axis=-1), -0.999, 0.999)
    return tf.reduce_sum(tf.math.acos(cosine))
""",
            at="tf.reduce_sum(tf.math.acos(cosine))",
            hazard=Hazard.WRONG_LOSS,
            note="one angle for each sample, and their sum is the whole loss",
        ),
        Bad(
            """\
import tensorflow as tf


def classifier_loss(labels, logits):
    costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_sum(costs)
""",
            at="tf.reduce_sum(costs)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from keras import ops


def triplet_loss(anchor, positive, negative, margin=0.5):
    near = ops.sum(ops.square(anchor - positive), axis=-1)
    far = ops.sum(ops.square(anchor - negative), axis=-1)
    return 0.5 * ops.sum(ops.relu(near - far + margin))
""",
            at="ops.sum(ops.relu(near - far + margin))",
            hazard=Hazard.WRONG_LOSS,
        ),
    )


def _other_size(view: View, node: Node) -> str | None:
    """Return what says that a mean over the batch is meant, or None."""
    if is_keras_loss(view.graph):
        return "where Keras takes means"
    if beside_mean(view, node):
        return "beside what does not grow with it"
    if mean_of_sums(view, node) and (has_target(view) or rows_are_samples(view)):
        return "before the mean is taken"
    if is_whole_loss(view, node):
        return "and is the whole loss"
    return None


def _beside(view: View, node: Node) -> str | None:
    """Return what a sum in a training step stands beside, if it adds up features of samples."""
    if axes(view, node) != () or not adds_features(view, node) or not beside_mean(view, node):
        return None
    return "beside what does not grow with it"
