"""ACT206: a loss whose value does not depend on the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    InputRole,
    Node,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import ancestors, shown
from ._losses_mended import with_prediction


class LossIgnoresPrediction(Rule):
    """A loss whose value does not depend on the prediction.

    ## What it does
    Reports a loss that computes its value from labels and constants alone: the label used twice,
    the prediction overwritten or used for its shape only.

    ## Why is this bad?
    There is nothing to learn from such a loss. Keras raises "No gradients provided for any
    variable", or, if the model has other losses or regularizers, trains on those alone.

    ## How it is confirmed
    actlint runs the loss with a GradientTape: the gradient of the prediction is None, or exactly
    zero for all samples.

    ## Example
    ```python
    def squared_loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_true))
    ```

    ## Use instead
    ```python
    def squared_loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred))
    ```

    ## Fix safety
    The prediction in the place of a label that is compared with itself, or that is bound to the
    prediction's own name, is unsafe: it is another loss, the one that is meant. Where the
    prediction is simply not there, nothing says what it should be compared with.

    ## What it misses
    Losses that take the prediction from a variable outside the function.

    ## References
    Keras API: Losses, creating custom losses.
    """

    code: ClassVar[str] = "ACT206"
    name: ClassVar[str] = "loss-ignores-prediction"
    hint: ClassVar[str] = (
        "Compute the loss from the prediction, e.g. tf.reduce_mean(tf.square(y_true - y_pred))"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of a loss that no prediction reaches."""
        graph = view.graph
        if graph.role is not Role.LOSS or graph.partial or view.depends(graph.output):
            return
        # A part that cannot be run may well use the prediction.
        sources = ancestors(view, graph.output)
        if any(_is_cut(node) for node in sources):
            return
        roles = {node.input.role for node in sources if node.input is not None}
        if not roles & {InputRole.LABEL, InputRole.PREDICTION}:
            return  # the constant of a special case, such as an empty batch, or all is unknown
        predictions = [
            node
            for node in graph.inputs
            if node.input is not None and node.input.role is InputRole.PREDICTION
        ]
        if not predictions:
            return
        output = view.node(graph.output)
        if not output.op:
            return
        yield Suspect(
            code=self.code,
            node=output.id,
            message=f"{shown(output)} does not depend on {shown(predictions[0])}, the prediction",
            check=Check.NO_GRADIENT,
            # Zeros of the prediction's shape are written for an output that only metrics look at.
            severity=Severity.INFO if output.op == "zeros_like" else Severity.ERROR,
            targets=tuple(
                Target(node.id, node.input.lo, node.input.hi) for node in predictions if node.input
            ),
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Put the prediction where the label stands twice."""
        yield from with_prediction(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))
"""
        ),
        Good(
            """\
import tensorflow as tf


def triplet_loss(y_true, y_pred):
    anchor, positive, negative = y_pred[:, 0:2], y_pred[:, 2:4], y_pred[:, 4:6]
    near = tf.reduce_sum(tf.square(anchor - positive), axis=-1)
    far = tf.reduce_sum(tf.square(anchor - negative), axis=-1)
    return tf.reduce_mean(tf.maximum(near - far + 1.0, 0.0))
""",
            note="the label may be unused, the prediction may not",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Absolute(Loss):
    def call(self, y_true, y_pred):
        y_pred = K.flatten(y_pred)
        y_true = K.flatten(y_true)
        return K.mean(K.abs(y_true - y_pred))
"""
        ),
        Good(
            """\
from keras import ops


def identity_loss(y_true, y_pred):
    return ops.mean(y_pred)


def compile_model(model):
    model.compile(optimizer="adam", loss=identity_loss)
""",
            note="a model whose output is its loss",
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=lambda t, p: tf.reduce_mean(tf.abs(t - p)))
"""
        ),
        Good(
            """\
import tensorflow as tf


def make_loss(delta):
    huber = tf.keras.losses.Huber(delta)

    def loss(y_true, y_pred):
        return huber(y_true, y_pred)

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(1.0))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_true))
""",
            at="tf.reduce_mean(tf.square(y_true - y_true))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Absolute(Loss):
    def call(self, y_true, y_pred):
        y_pred = K.clip(y_true, 0.0, 1.0)
        return K.mean(K.abs(y_true - y_pred), axis=-1)
""",
            at="K.mean(K.abs(y_true - y_pred), axis=-1)",
            hazard=Hazard.NO_GRADIENT,
            note="the prediction is overwritten",
        ),
        Bad(
            """\
from keras import ops


def zero_loss(y_true, y_pred):
    return ops.mean(ops.zeros_like(y_pred))


def compile_model(model):
    model.compile(optimizer="adam", loss=zero_loss)
""",
            at="ops.mean(ops.zeros_like(y_pred))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=lambda y_true, y_pred: tf.reduce_mean(tf.abs(y_true)))
""",
            at="tf.reduce_mean(tf.abs(y_true))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def make_loss(weight):
    def loss(y_true, y_pred):
        size = tf.cast(tf.shape(y_pred)[0], tf.float32)
        return weight * tf.reduce_sum(tf.square(y_true)) / size

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(0.5))
""",
            at="weight * tf.reduce_sum(tf.square(y_true)) / size",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import reduce_mean, square


def squared_error(a, b):
    return reduce_mean(square(a - a))


def custom_loss(y_true, y_pred):
    return squared_error(y_true, y_pred)
""",
            at="reduce_mean(square(a - a))",
            hazard=Hazard.NO_GRADIENT,
            note="a slip in a helper",
        ),
    )


def _is_cut(node: Node) -> bool:
    return node.input is not None and node.input.role is InputRole.CUT
