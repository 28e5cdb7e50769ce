"""ACT504: a Keras loss that sums over the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Node, Role, Rule, Severity, Suspect, View

from ._batch import axes, fixed_divisor, over_batch
from ._common import descendants, is_constant, shown

# Ops that hand a sum on to the loss in proportion, what else they combine being constant.
_LINEAR = frozenset(
    {
        "add",
        "add_n",
        "cast",
        "convert_to_tensor",
        "expand_dims",
        "identity",
        "negative",
        "reduce_mean",
        "reduce_sum",
        "reshape",
        "squeeze",
        "subtract",
    }
)
_SCALING = frozenset({"div", "divide", "multiply"})


class SumInsteadOfMean(Rule):
    """A loss of a Keras model that sums over the batch.

    ## What it does
    Reports `tf.reduce_sum` over axis 0, or over all axes, in a loss that a Keras model is compiled
    with or that a `Loss` subclass brings, where the sum is not divided by the number of samples.

    ## Why is this bad?
    Keras takes means: over what a loss returns, and over batches in its log. A sum over the batch
    makes the gradient as many times larger as there are samples, so that learning rate, weight
    decay and other losses beside it have to be tuned anew for each batch size, and the last,
    smaller batch of an epoch counts for less. A division by a fixed batch size hides that.

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

    ## What it misses
    Losses of training loops, where a sum may be meant; functions that another file compiles a
    model with; sums that a function such as a root is applied to.

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
    roles: ClassVar[frozenset[Role]] = frozenset({Role.LOSS})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield sums over the batch that enter the loss in proportion."""
        graph = view.graph
        if graph.partial or not (graph.keras or graph.evidence.endswith("loss subclass")):
            return
        for node in view.nodes("reduce_sum"):
            if (
                view.on_gradient_path(node)
                and (over_batch(view, node) or axes(view, node) == ())
                and _linear(view, node)
                and fixed_divisor(view, node) is None  # ACT505 speaks of that
            ):
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} sums over the batch where Keras takes means: the "
                    "gradient grows with the batch size",
                    check=Check.BATCH_SIZE,
                    severity=Severity.INFO,
                    provisional=True,
                )

    VALID: ClassVar[tuple[Good, ...]] = (
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

BATCH = 32


def likelihood(y_true, y_pred):
    log_p = tf.math.log(tf.clip_by_value(y_pred, 1e-6, 1.0))
    return -tf.reduce_sum(y_true * log_p) / BATCH


model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax")])
model.compile("sgd", loss=likelihood)
""",
            at="tf.reduce_sum(y_true * log_p)",
            hazard=Hazard.WRONG_LOSS,
            note="the last batch of an epoch is smaller",
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
    )


def _linear(view: View, node: Node) -> bool:
    """Return whether a sum is handed on to the output in proportion, by every way."""
    return all(
        later.op in _LINEAR or (later.op in _SCALING and _scales(view, later))
        for later in descendants(view, node.id)
        if view.reaches_output(later)
    )


def _scales(view: View, node: Node) -> bool:
    """Return whether all but one operand of a product or quotient are plain numbers."""
    varying = [
        operand
        for operand in view.operands(node)
        if not is_constant(view, operand.id) and not _is_parameter(operand)
    ]
    return len(varying) == 1 and (node.op == "multiply" or view.operand(node, "x") == varying[0])


def _is_parameter(node: Node) -> bool:
    return node.input is not None and node.input.role == "parameter"
