"""ACT513: one value per sample against a column, which broadcasts to a matrix."""

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
    Suspect,
    View,
)

from ._batch import REDUCTIONS, elementwise, leaves_samples, sources, within_samples
from ._common import ancestors, shown
from ._losses_mended import aligned

_COMPARING = ("subtract", "squared_difference", "divide", "multiply")
# Ops that drop an axis, after which a value per sample has the shape (N,).
_DROPPING = frozenset({"squeeze", "getitem", "reshape", "flatten", "unstack", "gather"})
_REDUCING = frozenset({"reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum"})
_MATRIX = 2  # axes of one
# Declared shapes of one value for each sample, and of a column of them.
_ROW = (None,)
_COLUMN = (None, 1)
# Ops of code that compares all samples with each other on purpose.
_PAIRWISE = frozenset(
    {"einsum", "expand_dims", "linalg_band_part", "matmul", "tensordot", "tile", "transpose"}
)


class BroadcastToMatrix(Rule):
    """One value per sample against a column, which broadcasts to a matrix.

    ## What it does
    Reports a difference or product in a loss of one operand of shape (N,) and one of shape (N, 1):
    a squeezed prediction against labels that Keras hands over as a column, or that a placeholder
    declares as one; a placeholder of returns, declared as (N,), against the output of `Dense(1)`;
    per-sample weights times a mean with `keepdims=True`. Also a reduction over the features of each
    sample, without `keepdims=True`, against what it was taken of.

    ## Why is this bad?
    NumPy's rules make (N, N) of it: every prediction is compared with every label. The mean of
    that matrix is a number like any other, smallest where all predictions equal the mean label.
    A model trains, without an error, to predict a constant. A mean over the pixels of each image,
    of shape (N,), lines up with the channels: with a single one, all images meet all means.

    ## How it is confirmed
    actlint runs the loss on a small batch and finds the operands (N,) and (N, 1), and a result
    (N, N) whose rows mix samples. Keras brings labels and predictions to one rank before it calls
    a loss function, but not before the `call` of a `Loss` object; only the first is taken for
    granted.

    ## Example
    ```python
    def squared(y_true, y_pred):
        return tf.reduce_mean(tf.square(tf.squeeze(y_pred) - y_true))

    model.compile(optimizer="adam", loss=squared)
    ```

    ## Use instead
    ```python
    def squared(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_pred - y_true), axis=-1)

    model.compile(optimizer="adam", loss=squared)
    ```

    ## Fix safety
    Every fix is unsafe: the loss compares each sample with itself alone, which gives other values.

    ## What it misses
    Shapes that only the caller knows, as in training loops and `Loss` objects; code that expands,
    transposes or multiplies matrices, which may compare samples on purpose.

    ## References
    NumPy User Guide: Broadcasting. Keras: LossFunctionWrapper.call, squeeze_or_expand_to_same_rank.
    """

    code: ClassVar[str] = "ACT513"
    name: ClassVar[str] = "broadcast-to-matrix"
    hint: ClassVar[str] = (
        "Give both the same shape: tf.squeeze(…, axis=-1) on both or on neither, and the same "
        "keepdims in all reductions"
    )
    reads_models: ClassVar[bool] = True

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the operations in which a row of values can meet a column."""
        graph = view.graph
        if graph.role not in {Role.LOSS, Role.GRAPH, Role.TRAINING_STEP} or graph.partial:
            return
        if any(node.op in _PAIRWISE or _adds_axis(node) for node in view.nodes()):
            return
        told: set[int] = set()
        for node in view.nodes(*_COMPARING):
            operands = view.operands(node)
            dropped = _dropped(view, operands)
            if dropped is not None and dropped.id not in told and graph.role is Role.LOSS:
                told.add(dropped.id)
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} lines up one value for each sample with the last axis, "
                    f"since {shown(dropped)} does not keep its axes",
                    check=Check.BROADCAST,
                    threshold=2.0,
                    provisional=True,
                )
            if len(operands) != 2 or not view.on_gradient_path(node):
                continue
            told_so = any(
                _declares(view, one, _COLUMN) and _declares(view, other, _ROW)
                for one, other in (operands, operands[::-1])
            )
            if graph.role is Role.TRAINING_STEP and not told_so:
                continue
            columns = graph.aligned and _compares(view, *operands)
            if columns and _drops(operands[0], view) != _drops(operands[1], view):
                threshold = 1.0
            elif (
                told_so
                or (graph.role is Role.LOSS and _weighs(view, node))
                or any(
                    _is_column(one)
                    and (view.derives_from(other, "squeeze", "reshape") or _is_row(view, other))
                    for one, other in (operands, operands[::-1])
                )
            ):
                threshold = 0.0
            else:
                continue
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} combines one value for each sample with a column, which "
                "gives a matrix of all pairs",
                check=Check.BROADCAST,
                threshold=threshold,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Bring both operands to one shape."""
        node = view.node(suspect.node)
        one, other = view.operands(node)
        flat = next(
            (
                each
                for each, beside in ((one, other), (other, one))
                if (_drops(each, view) and not _drops(beside, view))
                or (_keeps(beside, view) and not _keeps(each, view))
            ),
            None,
        )
        if flat is not None:
            yield from aligned(view, node, flat, other if flat is one else one, _DROPPING)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import Adam

state = Input(shape=(8,))
model = Model(state, Dense(1)(state))
returns = K.placeholder(shape=(None, 1))
loss = K.mean(K.square(returns - model.output))
updates = Adam(1e-3).get_updates(params=model.trainable_weights, loss=loss)
train = K.function([model.input, returns], [loss], updates=updates)
""",
            note="columns on both sides",
        ),
        Good(
            """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model


def gradient_loss(advantage):
    def loss(y_true, y_pred):
        chosen = K.sum(y_true * y_pred, axis=-1, keepdims=True)
        return -K.mean(K.log(chosen + 1e-10) * advantage)

    return loss


state, advantage = Input(shape=(8,)), Input(shape=(1,))
policy = Dense(4, activation="softmax")(state)
model = Model([state, advantage], policy)
model.compile(optimizer="adam", loss=gradient_loss(advantage))
""",
            note="the sum keeps its axis",
        ),
        Good(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.squeeze(y_pred, -1) - tf.squeeze(y_true, -1)))


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            note="both are squeezed",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def first_columns(y_true, y_pred):
    return K.mean(K.square(y_true[:, 0] - y_pred[:, 0]))


def compile_model(model):
    model.compile(optimizer="adam", loss=first_columns)
"""
        ),
        Good(
            """\
import tensorflow as tf


def squared_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.squeeze(y_pred) - y_true))


def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = squared_loss(y, model(x))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.weights), model.weights))
""",
            note="in a training loop the labels may well have one axis",
        ),
        Good(
            """\
import tensorflow as tf


class Normal(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        mean, spread = y_pred[:, 0], tf.nn.softplus(y_pred[:, 1]) + 1e-3
        return tf.square((y_true - mean) / spread) + 2.0 * tf.math.log(spread)


def compile_model(model):
    model.compile(optimizer="adam", loss=Normal())
""",
            note="Keras leaves the labels of a Loss object as they are: one number for each sample",
        ),
        Good(
            """\
from keras import ops


def ranking(y_true, y_pred):
    scores, labels = ops.squeeze(y_pred, -1), ops.squeeze(y_true, -1)
    gaps = scores[:, None] - scores[None, :]
    order = ops.sign(labels[:, None] - labels[None, :])
    return ops.mean(ops.softplus(-order * gaps))


def compile_model(model):
    model.compile(optimizer="adam", loss=ranking)
""",
            note="all pairs on purpose",
        ),
        Good(
            """\
import tensorflow as tf


def scaled(y_true, y_pred):
    scale = tf.reduce_sum(tf.abs(y_true), axis=-1, keepdims=True) + 1.0
    return tf.reduce_mean(tf.abs(y_true - y_pred) * scale, axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=scaled)
""",
            note="the axis that is kept is meant to broadcast over the classes",
        ),
        Good(
            """\
import tensorflow as tf


def contrast_loss(y_true, y_pred):
    a = y_true - tf.reduce_mean(y_true, axis=[1, 2, 3], keepdims=True)
    b = y_pred - tf.reduce_mean(y_pred, axis=[1, 2, 3], keepdims=True)
    return tf.reduce_mean(tf.square(a - b))
""",
            note="the means keep their axes",
        ),
        Good(
            """\
from keras import ops


def total_loss(y_true, y_pred):
    error = ops.square(y_true - y_pred)
    return ops.mean(ops.sum(error, axis=-1) * ops.max(y_true, axis=-1))
""",
            note="one value for each sample on both sides",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import Adam

state = Input(shape=(8,))
model = Model(state, Dense(1)(state))
returns = K.placeholder(shape=(None,))
loss = K.mean(K.square(returns - model.output))
updates = Adam(1e-3).get_updates(model.trainable_weights, [], loss)
train = K.function([model.input, returns], [loss], updates=updates)
""",
            at="returns - model.output",
            hazard=Hazard.WRONG_LOSS,
            note="a placeholder of shape (None,) against the output of Dense(1)",
        ),
        Bad(
            """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model


class Critic:
    def __init__(self, network, rate):
        hidden = Dense(128, activation="relu")(network.output)
        self.model = Model(network.input, Dense(1, activation="linear")(hidden))
        self.discounted = K.placeholder(shape=(None,))

    def optimizer(self):
        loss = K.mean(K.square(self.discounted - self.model.output))
        updates = self.rms_optimizer.get_updates(self.model.trainable_weights, [], loss)
        return K.function([self.model.input, self.discounted], [], updates=updates)
""",
            at="self.discounted - self.model.output",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model


def gradient_loss(advantage):
    def loss(y_true, y_pred):
        chosen = K.sum(y_true * y_pred, axis=-1)
        return -K.mean(K.log(chosen + 1e-10) * advantage)

    return loss


state, advantage = Input(shape=(8,)), Input(shape=(1,))
policy = Dense(4, activation="softmax")(state)
model = Model([state, advantage], policy)
model.compile(optimizer="adam", loss=gradient_loss(advantage))
""",
            at="K.log(chosen + 1e-10) * advantage",
            hazard=Hazard.WRONG_LOSS,
            note="an Input of shape (1,) is a column",
        ),
        Bad(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.squeeze(y_pred) - y_true))


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
            at="tf.squeeze(y_pred) - y_true",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def absolute(scale):
    def loss(y_true, y_pred):
        return scale * K.mean(K.abs(y_true - y_pred[:, 0]))

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=absolute(2.0))
""",
            at="y_true - y_pred[:, 0]",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import keras
from keras import ops


def flat(y_true, y_pred):
    target = ops.reshape(y_true, [-1])
    return ops.mean(ops.square(target - y_pred))


model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=flat)
""",
            at="target - y_pred",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        weight = 1.0 + tf.reduce_max(y_true, axis=-1)
        error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1, keepdims=True)
        return tf.reduce_mean(weight * error)
""",
            at="weight * error",
            hazard=Hazard.WRONG_LOSS,
            note="one weight for each sample times a column of errors",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(
    optimizer="adam",
    loss=lambda t, p: tf.reduce_mean(tf.math.squared_difference(t, tf.squeeze(p))),
)
""",
            at="tf.math.squared_difference(t, tf.squeeze(p))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def per_sample(values):
    return tf.reduce_sum(values, axis=-1)


def relative_loss(y_true, y_pred):
    error = tf.reduce_sum(tf.abs(y_true - y_pred), axis=-1, keepdims=True)
    return tf.reduce_mean(error * tf.exp(-per_sample(tf.square(y_true))))
""",
            at="error * tf.exp(-per_sample(tf.square(y_true)))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def contrast_loss(y_true, y_pred):
    a = y_true - tf.reduce_mean(y_true, axis=[1, 2, 3])
    b = y_pred - tf.reduce_mean(y_pred, axis=[1, 2, 3], keepdims=True)
    return tf.reduce_mean(tf.square(a - b))
""",
            at="y_true - tf.reduce_mean(y_true, axis=[1, 2, 3])",
            hazard=Hazard.WRONG_LOSS,
            note="of grey images every one meets every mean; of others it does not run",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Normalised(Loss):
    def call(self, y_true, y_pred):
        spread = K.max(K.abs(y_pred), axis=[1, 2, 3])
        scaled = y_pred / (1.0 + spread)
        return K.mean(K.square(y_true - scaled))
""",
            at="y_pred / (1.0 + spread)",
            hazard=Hazard.WRONG_LOSS,
        ),
    )


def _compares(view: View, first: Node, second: Node) -> bool:
    """Return whether one operand comes from the label alone, the other from the prediction."""
    roles = [
        {
            node.input.role
            for node in ancestors(view, operand.id)
            if node.input is not None and node.input.role is not InputRole.PARAMETER
        }
        for operand in (first, second)
    ]
    return {frozenset(found) for found in roles} == {
        frozenset({InputRole.LABEL}),
        frozenset({InputRole.PREDICTION}),
    }


def _dropped(view: View, operands: tuple[Node, ...]) -> Node | None:
    """Return the reduction of the other operand's features that drops their axes, or None."""
    for one, other in (operands, operands[::-1]) if len(operands) == 2 else ():
        found = [part for part in elementwise(view, one) if part.op in REDUCTIONS]
        if (
            len(found) == 1
            and not sources(view, one)
            and within_samples(view, found[0])
            and view.static(found[0], "keepdims") is not True
            and not any(part.op in REDUCTIONS for part in elementwise(view, other))
            and sources(view, view.operands(found[0])[0]) & sources(view, other)
        ):
            return found[0]
    return None


def _is_column(node: Node) -> bool:
    """Return whether a value is an input that the source declares as a column."""
    found = node.input
    return found is not None and found.shape is not None and found.shape[1:] == (1,)


def _declares(view: View, node: Node, shape: tuple[int | None, ...]) -> bool:
    """Return whether a value is made of inputs that the source declares to have a shape."""
    found = [part.input for part in elementwise(view, node) if part.input is not None]
    ends = [part for part in elementwise(view, node) if not part.operands]
    return bool(found) and all(
        part.value is not None or (part.input is not None and part.input.shape == shape)
        for part in ends
    )


def _is_row(view: View, node: Node) -> bool:
    """Return whether a value surely has one number for each sample, and no other axis.

    It is made of reductions of matrices, as the source declares them.
    """
    reductions = [part for part in elementwise(view, node) if part.op in REDUCTIONS]
    others = [part for part in elementwise(view, node) if part.input is not None]
    return (
        bool(reductions)
        and not others
        and all(leaves_samples(view, part) for part in reductions)
        and any(
            part.input is not None and len(part.input.shape or ()) == _MATRIX
            for found in reductions
            for part in elementwise(view, view.operands(found)[0])
        )
    )


def _drops(node: Node, view: View) -> bool:
    return any(found.op in _DROPPING for found in ancestors(view, node.id))


def _weighs(view: View, node: Node) -> bool:
    """Return whether a product has a reduction that keeps its axis on one side only."""
    first, second = view.operands(node)
    return node.op == "multiply" and _keeps(first, view) != _keeps(second, view)


def _keeps(node: Node, view: View) -> bool:
    """Return whether a reduction that keeps its axis is among what a value is computed from."""
    return any(
        found.op in _REDUCING and view.static(found, "keepdims") is True
        for found in ancestors(view, node.id)
    )


def _adds_axis(node: Node) -> bool:
    """Return whether a subscript such as ``x[:, None]`` adds an axis."""
    index = node.arg("index") if node.op == "getitem" else None
    items = getattr(index, "items", ())
    return any(item is None for item in items)
