"""ACT203: a metric that counts decisions, used as a loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Good,
    Hazard,
    InputRole,
    Kind,
    Node,
    Remedy,
    Role,
    Rule,
    Suspect,
    View,
)

from ._common import COMPARISON, INDEX, ancestors, cut, descendants, is_constant, shown
from ._decisions_mended import entropy_of_agreement, loss_of_metric, soft_count

_ROLES = frozenset({Role.LOSS, Role.TRAINING_STEP, Role.GRAPH})
_STEPS = frozenset(
    {
        *COMPARISON,
        *INDEX,
        "cast",
        "ceil",
        "floor",
        "heaviside",
        "keras_round",
        "rint",
        "round",
        "sign",
        "to_int",
        "trunc",
        "where",
    }
)
# How decisions are counted: sums, ratios and set operations, and nothing that measures an error.
_COUNTING = frozenset(
    {
        *COMPARISON,
        "cast",
        "add",
        "add_n",
        "subtract",
        "multiply",
        "divide",
        "div",
        "divide_no_nan",
        "negative",
        "reduce_sum",
        "reduce_mean",
        "clip",
        "count_nonzero",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "maximum",
        "minimum",
        "clip_by_value",
        "where",
        "cast_to_floatx",
        "keras_one_hot",
        "one_hot",
        "to_float",
        "to_int",
        "reduce_all",
        "reduce_any",
        "in_top_k",
    }
)


class MetricAsLoss(Rule):
    """A metric that counts decisions, used as a loss.

    ## What it does
    Reports accuracy, precision, recall, F1, intersection over union and their relatives inside a
    loss: the prediction is turned into a decision by a threshold, `round` or `argmax`, and the
    decisions are compared with labels, counted and divided. Also reports a metric object, such as
    tf.keras.metrics.MeanSquaredError(), that is called inside a loss.

    ## Why is this bad?
    A count changes only when a decision flips, so its derivative is 0 wherever it exists.
    TensorFlow returns no gradient, and the model stays as it is, or trains on the other terms of
    the loss alone.

    ## How it is confirmed
    actlint runs the loss with a GradientTape and finds that the decision depends on the prediction
    and moves the loss, while no gradient comes back through it.

    ## Example
    ```python
    def iou_loss(y_true, y_pred):
        mask = tf.cast(y_pred > 0.5, tf.float32)
        overlap = tf.reduce_sum(y_true * mask)
        return 1 - overlap / (tf.reduce_sum(y_true) + tf.reduce_sum(mask) - overlap + 1)
    ```

    ## Use instead
    ```python
    def iou_loss(y_true, y_pred):
        overlap = tf.reduce_sum(y_true * y_pred)
        return 1 - overlap / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) - overlap + 1)
    ```

    ## Fix safety
    Every fix is unsafe. The mean of a loss in the place of a metric object has the value that the
    object has after its first batch. Probabilities that are counted and not decided give other
    values. The cross-entropy in the place of an error rate is another loss; it is suggested only
    where the prediction is known to be made of logits, or of probabilities.

    ## What it misses
    Metric objects that have no loss of the same name, such as tf.keras.metrics.Precision.

    ## References
    Milletari, Navab and Ahmadi, 2016: V-Net (soft Dice). TensorFlow API:
    tf.keras.losses.BinaryCrossentropy.
    """

    code: ClassVar[str] = "ACT203"
    name: ClassVar[str] = "metric-as-loss"
    hint: ClassVar[str] = (
        "Train with tf.keras.losses.BinaryCrossentropy or CategoricalCrossentropy (or a soft Dice "
        "on the probabilities themselves) and pass this function as a metric"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT201", "ACT202")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the decisions that a loss counts."""
        if view.graph.role not in _ROLES:
            return
        for node in view.cuts():
            if node.op == "metric_result":
                message = (
                    f"{shown(node)} comes out of the variables in which a metric object keeps its "
                    f"running value, and no gradient passes through these"
                )
                yield cut(view, self.code, node, message)
            if node.op in _STEPS and _is_counted(view, node):
                message = (
                    f"{shown(node)} turns the prediction into a decision that the loss counts "
                    f"like a metric, and no gradient passes through a count"
                )
                yield cut(view, self.code, node, message)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Compute the loss itself, count probabilities, or take the cross-entropy."""
        node = view.node(suspect.node)
        if node.op == "metric_result":
            yield from loss_of_metric(view, node)
        yield from entropy_of_agreement(view, node)
        yield from soft_count(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def margin_loss(labels, embeddings, margin=1.0):
    squared = tf.reduce_sum(tf.square(embeddings - labels), -1)
    loss = tf.maximum(squared - margin, 0.0)
    active = tf.reduce_mean(tf.cast(tf.greater(loss, 1e-16), tf.float32))
    return tf.reduce_mean(loss), active
""",
            note="a count for the log beside the loss",
        ),
        Good(
            """\
import tensorflow as tf


def soft_dice_loss(y_true, y_pred):
    p = tf.sigmoid(y_pred)
    overlap = tf.reduce_sum(y_true * p)
    total = tf.reduce_sum(tf.square(y_true)) + tf.reduce_sum(tf.square(p))
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def f1_score(y_true, y_pred):
    decided = K.round(K.clip(y_pred, 0, 1))
    hits = K.sum(y_true * decided)
    return 2.0 * hits / (K.sum(y_true) + K.sum(decided) + K.epsilon())


def compile_model(model):
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=[f1_score])
""",
            note="a metric where a metric belongs",
        ),
        Good(
            """\
import tensorflow as tf


class Masked(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        positive = tf.cast(y_true > 0.5, tf.float32)
        error = tf.square(y_true - y_pred)
        return tf.reduce_sum((1.0 + positive) * error) / (tf.reduce_sum(positive) + 1.0)
"""
        ),
        Good(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, y_pred):
    return tf.reduce_mean(tf.keras.losses.binary_crossentropy(y_true, y_pred))
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=logits))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
correct = tf.equal(tf.argmax(logits, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
"""
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Hinge(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from tensorflow import keras

cross_entropy = keras.metrics.SparseCategoricalCrossentropy()


def custom_loss(y_true, y_pred):
    return cross_entropy(y_true, y_pred)


def compile_model(model):
    model.compile(optimizer="adam", loss=custom_loss)
""",
            at="cross_entropy(y_true, y_pred)",
            hazard=Hazard.NO_GRADIENT,
            note="an object that keeps a running mean",
        ),
        Bad(
            """\
import tensorflow as tf


def accuracy_loss(y_true, y_pred):
    correct = tf.equal(tf.argmax(y_true, axis=-1), tf.argmax(y_pred, axis=-1))
    return 1.0 - tf.reduce_mean(tf.cast(correct, tf.float32))
""",
            at="tf.argmax(y_pred, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def f1_loss(y_true, y_pred):
    decided = K.round(y_pred)
    hits = K.sum(y_true * decided)
    precision = hits / (K.sum(K.abs(decided)) + K.epsilon())
    recall = hits / (K.sum(K.abs(y_true)) + K.epsilon())
    return 1.0 - 0.5 * (precision + recall)
""",
            at="K.round(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Jaccard(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        mask = tf.cast(y_pred > 0.5, tf.float32)
        overlap = tf.reduce_sum(y_true * mask)
        union = tf.reduce_sum(tf.maximum(y_true, mask))
        return 1.0 - (overlap + 1.0) / (union + 1.0)
""",
            at="y_pred > 0.5",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops


def recall_at(threshold):
    def loss(y_true, y_pred):
        found = ops.cast(ops.greater(y_pred, threshold), "float32")
        return 1.0 - ops.sum(y_true * found) / (ops.sum(ops.abs(y_true)) + 1.0)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=recall_at(0.5))
""",
            at="ops.greater(y_pred, threshold)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def train(model):
    model.compile(
        optimizer="adam",
        loss=lambda y_true, y_pred: -tf.reduce_mean(
            tf.cast(tf.equal(y_true, tf.round(y_pred)), tf.float32)
        ),
    )
""",
            at="tf.round(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.random_normal([4, 3]))
correct = tf.equal(tf.argmax(tf.matmul(x, w), 1), tf.argmax(y_, 1))
loss = 1.0 - tf.reduce_mean(tf.cast(correct, tf.float32))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.argmax(tf.matmul(x, w), 1)",
            hazard=Hazard.NO_GRADIENT,
        ),
    )


def _is_counted(view: View, decision: Node) -> bool:
    """Return whether a decision is compared with labels and then only counted."""
    if not any(_is_label(node) for node in ancestors(view, view.graph.output)):
        return False
    after = [node for node in descendants(view, decision.id) if view.reaches_output(node.id)]
    return all(_counts(view, node) for node in after) and (
        any(
            node.op in COMPARISON or node.op in {"multiply", "minimum", "logical_and"}
            for node in after
        )
        or any(_is_label(node) for node in ancestors(view, decision.id))
    )


def _counts(view: View, node: Node) -> bool:
    if node.op == "subtract":
        # An error is a label less a decision; a count is a constant or a sum less a sum.
        return not any(_is_bare_label(view, operand) for operand in view.operands(node))
    if node.op in {"abs", "square"}:
        return not any(_is_difference(view, operand) for operand in view.operands(node))
    return node.op in _COUNTING or view.op(node).kind is Kind.STRUCTURAL


def _is_difference(view: View, node: Node) -> bool:
    """Return whether the sign of `node` was open before it was made positive."""
    return node.op == "subtract" and not any(
        is_constant(view, operand.id) for operand in view.operands(node)
    )


def _is_label(node: Node) -> bool:
    return node.input is not None and node.input.role in {InputRole.LABEL, InputRole.DATA}


def _is_bare_label(view: View, node: Node) -> bool:
    """Return whether `node` is a label, element by element."""
    while node.op and (node.op == "cast" or view.op(node).kind is Kind.STRUCTURAL):
        operands = view.operands(node)
        if not operands:
            return False
        node = operands[0]
    return _is_label(node) or node.op in INDEX
