"""ACT307: a product of probabilities that float32 cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Items,
    Node,
    Remedy,
    Role,
    Rule,
    Safety,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import LOGARITHM, shown
from ._remedies import EPSILON, constant, ref, replaced, settings

_PRODUCTS = ("np_prod", "reduce_prod")

_MEAN = {
    "tf.reduce_sum": "",
    "tf.reduce_mean": ", and their mean does not grow with the batch",
}


class ProductOfProbabilities(Rule):
    """A product of probabilities that float32 cannot hold.

    ## What it does
    Reports `reduce_prod` over all elements or over the batch, of numbers that lie between 0 and 1,
    and over any axis if nothing but the logarithm of the product is taken.

    ## Why is this bad?
    A likelihood is the product of many probabilities. A hundred of them multiply to less than
    1e-38, which float32 rounds to 0; with the value the whole gradient is 0, and the logarithm of
    it is infinite. With a small batch it works, with a larger one it does not. The sum of the
    logarithms is the same number, and never leaves float32.

    ## How it is confirmed
    actlint runs the expression in TensorFlow with batches of 16 to 256 typical rows, none of whose
    factors is 0, and reports the first size at which product and gradient are 0. Of a product along
    another axis it is the row that has 16 to 256 numbers.

    ## Example
    ```python
    def loss(y_true, y_pred):
        likelihood = tf.reduce_prod(tf.where(y_true > 0.5, y_pred, 1.0 - y_pred))
        return 1.0 - likelihood
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.keras.losses.binary_crossentropy(y_true, y_pred))
    ```

    ## Fix safety
    Unsafe: of what was a likelihood the logarithm is taken, which is another number with the
    same place of its minimum.

    ## What it misses
    Products along other axes than the batch, whose length is unknown, without a logarithm, and
    products in Python loops.

    ## References
    Goodfellow, Bengio and Courville, 2016: Deep Learning, sections 4.1 and 5.5.
    """

    code: ClassVar[str] = "ACT307"
    name: ClassVar[str] = "product-of-probabilities"
    hint: ClassVar[str] = (
        "Add logarithms: tf.reduce_sum(tf.math.log(p)), or tf.math.log_sigmoid and "
        "tf.nn.log_softmax of the logits"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT103", "ACT109")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield products over the batch, or the logarithm right after one."""
        if view.graph.role in {Role.ACTIVATION, Role.LAYER}:
            return  # batches are multiplied together in losses only
        for node in view.nodes(*_PRODUCTS):
            factors = view.operand(node, view.op(node).operands[0])
            if factors is None or not view.on_gradient_path(node):
                continue
            whole, log = _over_batch(node), _logarithm(view, node)
            if view.interval(factors).lo < 0.0 or not (whole or log.id != node.id):
                continue
            yield Suspect(
                code=self.code,
                node=log.id,
                message=f"{shown(node)} multiplies as many numbers below 1 as "
                f"{'the batch' if whole else 'a row'} has, which float32 rounds to 0",
                check=Check.UNDERFLOW,
                targets=(Target(node.id, 0.0, 0.0),),
                threshold=0.0 if whole else 1.0,
                severity=Severity.ERROR,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Add logarithms."""
        node = view.node(suspect.node)
        product = node if node.op in _PRODUCTS else view.operands(node)[0]
        factors, axis = view.operands(product)[0], settings(product, "axis", "keepdims")
        users = view.users(product)
        if axis is None or len(users) != 1:
            return
        parts = {"x": ref(factors), **axis[1]}
        if node.id != product.id:
            for total in ("tf.reduce_sum", "tf.reduce_mean"):
                yield replaced(
                    node,
                    f"{total}(tf.math.log({{x}} + {EPSILON}){axis[0]})",
                    "Add the logarithms",
                    f"with {EPSILON}, each of them stays finite" + _MEAN[total],
                    parts,
                    safety=Safety.UNSAFE,
                )
        elif users[0].op == "subtract" and constant(view, users[0], "x") == 1.0:
            yield replaced(
                users[0],
                f"-tf.reduce_mean(tf.math.log({{x}} + {EPSILON}){axis[0]})",
                "Take the mean of the logarithms",
                "it is another loss, smallest where this one is",
                parts,
                safety=Safety.UNSAFE,
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def overlap_loss(y_true, y_pred):
    p = tf.sigmoid(y_pred)
    both = tf.reduce_prod(tf.stack([p, tf.ones_like(p)]), axis=0)
    return tf.reduce_mean(tf.square(y_true - both))
""",
            note="two factors",
        ),
        Good(
            """\
import tensorflow as tf


def all_classes_loss(y_true, y_pred):
    p = tf.sigmoid(y_pred)
    return tf.reduce_mean(tf.square(1.0 - tf.reduce_prod(p, axis=-1)))
""",
            note="as many factors as classes",
        ),
        Good(
            """\
import tensorflow as tf


def volume_loss(y_true, y_pred):
    sides = tf.reduce_prod(1.0 + tf.abs(y_pred), axis=-1)
    return tf.reduce_mean(tf.abs(tf.math.log(sides) - y_true))
""",
            note="factors of 1 and more under a logarithm",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def growth_loss(y_true, y_pred):
    factors = 1.0 + 0.001 * K.abs(y_pred - y_true)
    return K.prod(factors)
""",
            note="factors of 1 and more",
        ),
        Good(
            """\
import tensorflow as tf


def likelihood_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-6, 1.0)
    return -tf.reduce_sum(y_true * tf.math.log(p))
""",
            note="a sum of logarithms",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class AllOf(Layer):
    def call(self, inputs):
        return ops.prod(ops.sigmoid(inputs), axis=-1)
"""
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    weight = tf.reduce_prod(1.0 - 0.001 * y_true)
    return weight * tf.reduce_mean(tf.square(y_true - y_pred))
""",
            note="a function of the label",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def likelihood_loss(y_true, y_pred):
    p = tf.sigmoid(y_pred)
    return 1.0 - tf.reduce_prod(y_true * p + (1.0 - y_true) * (1.0 - p))
""",
            at="tf.reduce_prod(y_true * p + (1.0 - y_true) * (1.0 - p))",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def any_wrong_loss(y_true, y_pred):
    right = K.exp(-K.square(y_true - y_pred))
    return 1.0 - K.prod(right)
""",
            at="K.prod(right)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.losses import Loss


class JointLikelihood(Loss):
    def call(self, y_true, y_pred):
        p = tf.nn.softmax(y_pred)
        chosen = tf.reduce_sum(y_true * p, axis=-1)
        return -tf.math.log(tf.reduce_prod(chosen))
""",
            at="tf.math.log(tf.reduce_prod(chosen))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops


def joint(scale):
    def loss(y_true, y_pred):
        near = ops.exp(-scale * ops.abs(y_true - y_pred))
        return ops.mean(1.0 - ops.prod(near, axis=0))

    return loss


def compile_model(model):
    model.compile(loss=joint(1.0))
""",
            at="ops.prod(near, axis=0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def train_step(model, x, optimizer):
    with tf.GradientTape() as tape:
        p = tf.nn.sigmoid(model(x))
        loss = 1.0 - tf.math.reduce_prod(p)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            at="tf.math.reduce_prod(p)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 3]))
p = tf.nn.softmax(tf.matmul(x, w))
loss = 1.0 - tf.reduce_prod(p)
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            at="tf.reduce_prod(p)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def events_loss(y_true, y_pred):
    agreed = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    return -tf.reduce_mean(tf.math.log(tf.reduce_prod(agreed + 1e-6, axis=-1)))
""",
            at="tf.math.log(tf.reduce_prod(agreed + 1e-6, axis=-1))",
            hazard=Hazard.NAN,
            note="each row is a list of independent events",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Path(Loss):
    def call(self, y_true, y_pred):
        steps = K.exp(-K.square(y_true - y_pred))
        return -K.log(K.prod(steps, axis=1))
""",
            at="K.log(K.prod(steps, axis=1))",
            hazard=Hazard.NAN,
            note="the steps of each path",
        ),
    )


def _over_batch(node: Node) -> bool:
    """Return whether a reduction goes over all elements, or over the first axis."""
    axis = node.arg("axis")
    return axis is None or 0 in (axis.items if isinstance(axis, Items) else (axis,))


def _logarithm(view: View, product: Node) -> Node:
    """Return the logarithm of which the product is the argument, or else the product."""
    users = view.users(product)
    return users[0] if len(users) == 1 and users[0].op in LOGARITHM else product
