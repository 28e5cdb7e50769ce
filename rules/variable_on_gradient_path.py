"""ACT210: a variable that a value is put into and read back from, where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, InputRole, Node, Remedy, Role, Rule, Suspect, View

from ._common import HELD, ancestors, cut, shown
from ._gradient_mended import passed_on


class VariableOnGradientPath(Rule):
    """A variable that a value is put into and read back from, where a gradient has to pass.

    ## What it does
    Reports `tf.Variable(x)` and `v.assign(x)`, `assign_add`, `assign_sub` of a value that depends
    on the prediction or on the input of a layer, if the variable is read afterwards on the way to
    the output and no other way brings a gradient. Running means that are only kept, and weights
    that are assigned a function of themselves, are not reported.

    ## Why is this bad?
    A variable is a leaf: its gradient is that of the variable itself. The tape does not know that
    the value was computed in the same pass, and answers None for everything it was computed from.

    ## How it is confirmed
    actlint puts the value into a variable under a GradientTape, and finds that it moves the output
    while no gradient comes back.

    ## Example
    ```python
    def loss(y_true, y_pred):
        error = tf.Variable(tf.abs(y_true - y_pred))
        return tf.reduce_mean(error)
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        return tf.reduce_mean(error)
    ```

    ## Fix safety
    Unsafe: values stay, and a gradient comes; the variable does not keep the value any more.

    ## What it misses
    Parts of a variable that are assigned to (`v[0].assign(x)`), `scatter_update`, variables of
    training steps, and layers whose state depends on its former value, as running totals do.

    ## References
    TensorFlow guide: Introduction to gradients and automatic differentiation, "Took gradients
    through a stateful object". TensorFlow API: tf.Variable.
    """

    code: ClassVar[str] = "ACT210"
    name: ClassVar[str] = "variable-on-gradient-path"
    hint: ClassVar[str] = (
        "Use the value itself; tf.tensor_scatter_nd_update, tf.where or tf.stack change a tensor "
        "without a variable"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT201",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the variables at which the gradient dies."""
        for node in view.cuts():
            if node.op in HELD and not _accumulates(view, node):
                message = (
                    f"{shown(node)} is read back from a variable, where the gradient tape ends"
                )
                yield cut(view, self.code, node, message)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Use the value itself."""
        reason = "the value is not kept in a variable, and the gradient passes"
        node = view.node(suspect.node)
        yield passed_on(node, "initial_value", "Use the value itself", reason)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Centre(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.mean = self.add_weight(name="mean", shape=(4,), trainable=False)

    def call(self, inputs):
        batch = tf.reduce_mean(inputs, axis=0)
        self.mean.assign(0.9 * self.mean + 0.1 * batch)
        return inputs - batch
""",
            note="a running mean that is only kept",
        ),
        Good(
            """\
import tensorflow as tf


class Running(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.mean = tf.Variable(tf.zeros([4]), trainable=False)

    def call(self, inputs):
        self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(inputs, axis=0))
        return inputs - self.mean
""",
            note="the inputs have their own way to the output",
        ),
        Good(
            """\
import tensorflow as tf


class Total(tf.keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.total = self.add_weight(name="total", shape=(units,), trainable=False)

    def call(self, inputs):
        self.total.assign_add(tf.reduce_sum(inputs, axis=0))
        return self.total
""",
            note="a running total, which nobody trains through",
        ),
        Good(
            """\
import tensorflow as tf


class Bounded(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(name="scale", shape=(4,))

    def call(self, inputs):
        self.scale.assign(tf.clip_by_value(self.scale, 0.1, 10.0))
        return inputs * self.scale
""",
            note="a weight stays a leaf when it is assigned to",
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    weight = tf.Variable(tf.ones_like(y_true))
    return tf.reduce_mean(weight * tf.square(y_true - y_pred))
""",
            note="nothing of the prediction is in the variable",
        ),
        Good(
            """\
import tensorflow as tf


@tf.function
def step(model, images, optimizer):
    picture = tf.Variable(images)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(picture))
    gradient = tape.gradient(loss, picture)
    picture.assign_sub(0.1 * gradient)
    return picture
""",
            note="the variable is what is trained",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Balanced(Loss):
    def __init__(self):
        super().__init__()
        self.seen = K.variable(0.0)

    def call(self, y_true, y_pred):
        error = K.mean(K.square(y_true - y_pred))
        self.seen.assign_add(1.0)
        return error
""",
            note="counts the batches",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def absolute_loss(y_true, y_pred):
    error = tf.Variable(tf.abs(y_true - y_pred))
    return tf.reduce_mean(error)
""",
            at="tf.Variable(tf.abs(y_true - y_pred))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class State(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.state = tf.Variable(tf.zeros([6, 4]), trainable=False)

    def call(self, inputs):
        self.state.assign(tf.tanh(inputs))
        return 0.5 * self.state
""",
            at="self.state.assign(tf.tanh(inputs))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Total(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.total = tf.Variable(0.0)

    def call(self, y_true, y_pred):
        error = tf.reduce_mean(tf.square(y_true - y_pred))
        self.total.assign_add(error)
        return 1.0 * self.total
""",
            at="self.total.assign_add(error)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def held_loss(y_true, y_pred):
    kept = K.variable(K.square(y_pred - y_true), name="kept")
    return K.mean(kept, axis=-1)
""",
            at='K.variable(K.square(y_pred - y_true), name="kept")',
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import Variable
from tensorflow.keras.layers import Dense


def held(x):
    kept = Variable(initial_value=x, trainable=False)
    return kept * kept


layer = Dense(8, activation=held)
""",
            at="Variable(initial_value=x, trainable=False)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def make_loss(size):
    buffer = tf.Variable(tf.zeros([size]), trainable=False)

    def loss(y_true, y_pred):
        kept = buffer.assign(tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1))
        return tf.reduce_sum(kept)

    return loss


def build(model):
    model.compile("sgd", loss=make_loss(6))
""",
            at="buffer.assign(tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1))",
            hazard=Hazard.NO_GRADIENT,
        ),
    )


def _accumulates(view: View, node: Node) -> bool:
    """Return whether a layer keeps a running total, which is not trained through."""
    inputs = [found.input for found in ancestors(view, node.id) if found.input is not None]
    return view.graph.role is Role.LAYER and any(
        spec.role in {InputRole.VARIABLE, InputRole.DATA} for spec in inputs
    )
