"""ACT205: stop_gradient on every path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Role, Rule, Suspect, View

from ._common import STOP, ancestors, shown
from ._estimators import behind_estimators
from ._gradient_mended import passed_on


class StopGradientCutsAll(Rule):
    """`stop_gradient` on every path from what is trained to what is minimised.

    ## What it does
    Reports `tf.stop_gradient` (also `K.stop_gradient`, `ops.stop_gradient`) when no other path is
    left by which a gradient could reach an input that is trained. A straight-through estimator, a
    frozen target network and a detached label keep another path, and are not reported.

    ## Why is this bad?
    Nothing in front of it learns. Keras warns only if no variable of the whole model is left.

    ## How it is confirmed
    actlint runs the function with a GradientTape and finds no gradient for any of the inputs that
    are trained.

    ## Example
    ```python
    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - tf.stop_gradient(y_pred)))
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(tf.stop_gradient(y_true) - y_pred))
    ```

    ## Fix safety
    Unsafe: values stay, and a gradient comes. Whether the stop is meant, the author has to say.

    ## What it misses
    Paths through parts of the program that cannot be followed, and what is handed to a layer or
    other function behind the stop: its own weights get a gradient.

    ## References
    TensorFlow API: tf.stop_gradient.
    """

    code: ClassVar[str] = "ACT205"
    name: ClassVar[str] = "stop-gradient-cuts-all"
    hint: ClassVar[str] = (
        "Leave one path open: put tf.stop_gradient round the label or the target, not round the "
        "prediction"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the stop_gradient calls of a graph that passes no gradient at all."""
        # What takes a part of the whole further can have weights of its own, which still learn.
        if view.graph.partial or view.has_gradient() or _does_nothing_else(view):
            return
        estimated = behind_estimators(view)
        for node in view.cuts():
            if node.op in STOP and node.id not in estimated:
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} stops the gradient, and no other path is left",
                    check=Check.NO_GRADIENT,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Take the stop away."""
        reason = "values stay, and what is in front of it gets a gradient"
        yield passed_on(view.node(suspect.node), "input", "Take the stop away", reason)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class StopGradient(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.stop_gradient(inputs)
""",
            note="a layer that says what it is for",
        ),
        Good(
            """\
import tensorflow as tf


def detached_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.stop_gradient(y_true) - y_pred))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Quantise(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs + tf.stop_gradient(tf.round(inputs) - inputs)
""",
            note="straight-through estimator",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def weighted_loss(y_true, y_pred):
    error = K.square(y_true - y_pred)
    weight = K.stop_gradient(error / (1.0 + error))
    return K.mean((0.1 + weight) * error)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Centre(Layer):
    def call(self, inputs):
        return inputs - ops.stop_gradient(ops.mean(inputs, axis=-1, keepdims=True))
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
target = tf.stop_gradient(2.0 * y + 1.0)
loss = tf.reduce_mean(tf.square(target - tf.matmul(x, w)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
        Good(
            """\
import tensorflow as tf


def softmax_shifted(x):
    shift = tf.stop_gradient(tf.reduce_max(x, axis=-1, keepdims=True))
    e = tf.exp(x - shift)
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


layer = tf.keras.layers.Activation(softmax_shifted)
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

s = tf.placeholder(tf.float32, [None, 4])
a = tf.placeholder(tf.int32, [None])
shared = tf.stop_gradient(tf.layers.dense(s, 8, tf.nn.relu, name="critic"))
logits = tf.layers.dense(shared, 3, name="actor")
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=a))
train = tf.train.AdamOptimizer(0.001).minimize(loss)
""",
            note="the layer behind the stop learns from features that another loss trains",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def frozen_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - tf.stop_gradient(y_pred)))
""",
            at="tf.stop_gradient(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Frozen(Loss):
    def call(self, y_true, y_pred):
        error = K.mean(K.abs(y_true - y_pred), axis=-1)
        return K.stop_gradient(error)
""",
            at="K.stop_gradient(error)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def frozen_relu(x):
    return ops.relu(ops.stop_gradient(x))


layer = Dense(8, activation=frozen_relu)
""",
            at="ops.stop_gradient(x)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Scale(tf.keras.layers.Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        return tf.stop_gradient(inputs - mean)
""",
            at="tf.stop_gradient(inputs - mean)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import reduce_mean, square
from tensorflow import stop_gradient as detach


def make_loss(scale):
    def loss(y_true, y_pred):
        return scale * reduce_mean(square(detach(y_pred) - y_true))

    return loss


def compile_model(model):
    model.compile("sgd", loss=make_loss(3.0))
""",
            at="detach(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
prediction = tf.stop_gradient(tf.matmul(x, w))
loss = tf.reduce_mean(tf.square(y - prediction))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.stop_gradient(tf.matmul(x, w))",
            hazard=Hazard.NO_GRADIENT,
        ),
    )


def _does_nothing_else(view: View) -> bool:
    """Return whether stopping the gradient is all that a layer is for."""
    graph = view.graph
    return graph.role is Role.LAYER and all(
        not node.op or node.op in STOP for node in ancestors(view, graph.output)
    )
