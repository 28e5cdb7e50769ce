"""ACT105: a norm or standard deviation whose gradient is nan at zero vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Cause,
    Good,
    Hazard,
    Hit,
    Node,
    Remedy,
    Rule,
    Suspect,
    Target,
    View,
)

from ._common import (
    NORM,
    ROOT,
    condition,
    first_hit,
    is_numpy,
    nonfinite,
    not_overflow,
    shown,
    singular,
)
from ._remedies import SQUARED_EPSILON, norm, offset

_SUMS = ("reduce_sum", "reduce_mean")


class NormOfZeroVector(Rule):
    """A norm or standard deviation of a vector that can be all zeros, or constant.

    ## What it does
    Reports `tf.norm`, `reduce_euclidean_norm`, `reduce_std` and the same written by hand as the
    root of a sum or mean of squares, where nothing keeps the sum away from 0.

    ## Why is this bad?
    The gradient of a norm is `x / norm(x)`, which is `0 / 0 = nan` for a zero vector. Two equal
    embeddings, a padded row, a dead ReLU layer or a constant batch (for the standard deviation)
    are such vectors, and one of them in a batch makes all weights nan.

    ## How it is confirmed
    actlint makes the whole vector zero (or the two embeddings equal, or the batch constant) and
    sees the gradient turn nan or infinite at the norm. Then it moves numbers by little to see which
    of them have to be exact: where that takes a coincidence of what networks give, the message says
    so, and the finding is a warning, or info if it takes a whole batch.

    ## Example
    ```python
    def contrastive_loss(y_true, y_pred):
        return tf.reduce_mean(tf.norm(y_true - y_pred, axis=-1))
    ```

    ## Use instead
    ```python
    def contrastive_loss(y_true, y_pred):
        squared = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
        return tf.reduce_mean(tf.sqrt(squared + 1e-12))
    ```

    ## Fix safety
    Unsafe: a constant under the root moves norms near 0.

    ## What it misses
    Norms that are computed by functions outside the ops table.

    ## References
    TensorFlow API: tf.norm, tf.math.reduce_euclidean_norm, tf.math.reduce_std.
    """

    code: ClassVar[str] = "ACT105"
    name: ClassVar[str] = "norm-of-zero-vector"
    hint: ClassVar[str] = (
        "Write tf.sqrt(tf.reduce_sum(tf.square(x), axis) + 1e-12), whose gradient is 0 at zeros"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT104", "ACT106")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield norms, and roots of sums of squares, that can see a zero vector."""
        for node, hit in singular(view, *NORM):
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} has the gradient 0 / 0 where {shown(hit.operand)} {condition(hit)}",
            )
        for node in view.nodes(*ROOT, "pow"):
            root = first_hit(view, node, not_overflow())
            if root is None or root.region.cause is not Cause.ZERO:
                continue
            vector = _squared_vector(view, root)
            if vector is not None:
                aim = Target(vector.id, 0.0, 0.0, Cause.ZERO_VECTOR.value)
                yield nonfinite(
                    view,
                    self.code,
                    node,
                    root,
                    f"{shown(node)} is a norm, whose gradient is not finite where "
                    f"{shown(vector)} is all zeros",
                    targets=(aim,),
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Add a small constant under the root of the norm."""
        node = view.node(suspect.node)
        operand = next(iter(view.operands(node)), None)
        if operand is None or is_numpy(view, node):
            return
        if node.op in ROOT or node.op == "pow":
            yield from offset(view, node, operand, SQUARED_EPSILON)
        yield from norm(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    eps = 1e-9
    return tf.reduce_mean(
        tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred), axis=1) + eps)
    )
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def euclidean_distance(a, b):
    squared = K.sum(K.square(a - b), axis=1, keepdims=True)
    return K.sqrt(K.maximum(squared, K.epsilon()))


def distance_loss(y_true, y_pred):
    return K.mean(euclidean_distance(y_true, y_pred))
"""
        ),
        Good(
            """\
import tensorflow as tf


class UnitLength(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.l2_normalize(inputs, axis=-1)
""",
            note="l2_normalize guards itself",
        ),
        Good(
            """\
import tensorflow as tf


class GroupLasso(tf.keras.regularizers.Regularizer):
    def __call__(self, w):
        return 0.01 * tf.reduce_sum(tf.sqrt(tf.reduce_sum(w**2, axis=0) + 1e-12))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(inputs - mean), axis=-1, keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5)
"""
        ),
        Good(
            """\
import tensorflow as tf


def squared_norm_loss(y_true, y_pred):
    return tf.reduce_mean(tf.norm(y_true, axis=-1)) * 0.0 + tf.nn.l2_loss(y_true - y_pred)
""",
            note="the norm of a label needs no gradient",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf

critic = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.Adam()


@tf.function
def train_step(real, fake):
    with tf.GradientTape() as tape:
        between = 0.5 * real + 0.5 * fake
        with tf.GradientTape() as inner:
            inner.watch(between)
            score = critic(between, training=True)
        slopes = inner.gradient(score, [between])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3]))
        loss = tf.reduce_mean(critic(fake)) + 10.0 * tf.reduce_mean((norm - 1.0) ** 2)
    found = tape.gradient(loss, critic.trainable_variables)
    optimizer.apply_gradients(zip(found, critic.trainable_variables))
    return loss
""",
            at="tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3]))",
            hazard=Hazard.NAN,
            note="a gradient penalty, of a tape within a tape",
        ),
        Bad(
            """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.reduce_mean(tf.norm(y_true - y_pred, axis=-1))
""",
            at="tf.norm(y_true - y_pred, axis=-1)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def euclidean_distance(a, b):
    return K.sqrt(K.sum(K.square(a - b), axis=-1))


def distance_loss(y_true, y_pred):
    return K.mean(euclidean_distance(y_true, y_pred))
""",
            at="K.sqrt(K.sum(K.square(a - b), axis=-1))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class RootMeanSquare(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.sqrt(tf.reduce_mean(tf.math.squared_difference(y_true, y_pred)))
""",
            at="tf.sqrt(tf.reduce_mean(tf.math.squared_difference(y_true, y_pred)))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Scale(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs * tf.exp(-tf.math.reduce_std(inputs, axis=-1, keepdims=True))
""",
            at="tf.math.reduce_std(inputs, axis=-1, keepdims=True)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class GroupLasso(tf.keras.regularizers.Regularizer):
    def __call__(self, w):
        return 0.01 * tf.reduce_sum(tf.math.reduce_euclidean_norm(w, axis=0))
""",
            at="tf.math.reduce_euclidean_norm(w, axis=0)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 2])
w = tf.Variable(tf.zeros([4, 2]))
error = y - tf.matmul(x, w)
loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(error * error, axis=1)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.sqrt(tf.reduce_sum(error * error, axis=1))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops


def make_loss(weight):
    def loss(y_true, y_pred):
        return weight * ops.mean(ops.norm(y_pred - y_true, axis=-1))

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(0.5))
""",
            at="ops.norm(y_pred - y_true, axis=-1)",
            hazard=Hazard.NAN,
        ),
    )


def _squared_vector(view: View, hit: Hit) -> Node | None:
    """Return what is squared and summed under a root, or None if it is no sum of squares."""
    total = view.definition(hit.operand.id)
    if total.op not in _SUMS:
        return None
    first = next((key for key, _ in total.args), "")
    summed = view.operand(total, first)
    if summed is None:
        return None
    square = view.definition(summed.id)
    operands = view.operands(square)
    if square.op == "square" and operands:
        return operands[0]
    if square.op == "squared_difference":
        return square
    if square.op == "multiply" and len(operands) == 2 and operands[0].id == operands[1].id:
        return operands[0]
    if square.op == "pow" and operands and _exponent(view, square) == 2.0:
        return operands[0]
    return None


def _exponent(view: View, node: Node) -> float | None:
    """Return the constant exponent of a power, or None."""
    exponent = view.operand(node, "y")
    if exponent is not None:
        known = view.interval(exponent.id)
        return known.lo if known.lo == known.hi else None
    value = view.static(node, "y")
    return float(value) if isinstance(value, int | float) else None
