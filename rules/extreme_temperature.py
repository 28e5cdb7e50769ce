"""ACT309: a softmax with a temperature that makes it one-hot or uniform."""

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

from ._common import number, shown
from ._gradient_mended import OF_LOGITS, gentler, rescaled
from ._losses import calls
from ._patterns import DIVIDE, guessed, linear_factor, softmax_argument

# Logits of a contrastive loss are divided by 0.01 at the least (CLIP), soft argmax multiplies
# scores by some hundred.
_COLD = 500.0
_HOT = 0.01
# Share of the typical elements without gradient that makes a softmax an argmax.
_SHARE = 0.9
# Products of vectors, functions that give these the length 1, and ops that keep the product.
_PRODUCTS = frozenset({"matmul", "tensordot"})
_SUMMED = frozenset({"reduce_sum"})
_UNIT = frozenset({"keras_normalize", "l2_normalize", "normalize_values"})
_MOVED = frozenset({"expand_dims", "reshape", "squeeze", "transpose"})
# Factor by which typical probabilities differ at most where they are called uniform.
_ALIKE = 1.25


class ExtremeTemperature(Rule):
    """A softmax with a temperature that makes it one-hot or uniform.

    ## What it does
    Reports a softmax whose logits are divided by a constant so small (0.002 or less) that the
    result is one-hot for typical logits, and a softmax or sigmoid whose logits are divided by one
    so large (100 or more) that the result is the same for all of them. So are a log_softmax and a
    softmax cross-entropy; their logits may also be cosines of normalised vectors.

    ## Why is this bad?
    A one-hot softmax passes no gradient on: it is an argmax. A uniform one passes a faint one,
    divided by the temperature, and says next to nothing about its input. Most often the scale was
    meant for something else, or multiplied instead of divided.

    ## How it is confirmed
    actlint runs the expression in TensorFlow on typical logits. One-hot means that `p * (1 - p)`
    is below a thousandth of its largest on nine tenths of the elements; uniform, that all
    probabilities lie within a factor of 1.25 of each other.

    ## Example
    ```python
    def loss(y_true, y_pred):
        p = tf.nn.softmax(y_pred / 0.001)
        return tf.reduce_mean(tf.square(y_true - p))
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        p = tf.nn.softmax(y_pred / 0.5)
        return tf.reduce_mean(tf.square(y_true - p))
    ```

    ## Fix safety
    Unsafe: values change with the temperature.

    ## What it misses
    Temperatures that are trained or annealed; logits of unknown size, as products with weights and
    of vectors of any length are; cross-entropies of a sigmoid.

    ## References
    Hinton, Vinyals and Dean, 2015: Distilling the knowledge in a neural network. Jang, Gu and
    Poole, 2017: Categorical reparameterization with Gumbel-softmax.
    """

    code: ClassVar[str] = "ACT309"
    name: ClassVar[str] = "extreme-temperature"
    hint: ClassVar[str] = (
        "Choose a temperature of the size of the logits, tf.nn.softmax(logits / 0.5), and anneal "
        "it if it has to become extreme"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT303",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield softmax functions of logits with a large or small constant factor."""
        for node, logits in _squashed(view):
            factor, inner = linear_factor(view, logits)
            free = view.definition(inner).input
            if not (free is not None or _is_cosine(view, inner)) or guessed(view, node):
                continue
            logistic = "sigmoid" in node.op
            if factor >= _COLD and not logistic:
                yield self._suspect(node, logits, factor, Check.STEEPNESS)
            elif (
                0.0 < factor <= _HOT
                # A sigmoid as an activation is judged by its gain.
                and not (logistic and view.graph.role is Role.ACTIVATION)
                # A product with weights may be large.
                and (free is None or free.role is not InputRole.CUT)
            ):
                yield self._suspect(node, logits, factor, Check.UNIFORM)

    def _suspect(self, node: Node, logits: Node, factor: float, check: Check) -> Suspect:
        cold = check is Check.STEEPNESS
        effect = "an argmax, which passes no gradient" if cold else "the same for all inputs"
        return Suspect(
            code=self.code,
            node=node.id,
            message=f"{shown(node)} is {effect}: its logits are multiplied by {number(factor)}",
            check=check,
            targets=(Target(logits.id, 0.0, 0.0),),
            threshold=_SHARE if cold else _ALIKE,
            severity=Severity.WARNING,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Take a temperature of the size of the logits."""
        node = view.node(suspect.node)
        logits = view.node(suspect.targets[0].node)
        factor, inner = linear_factor(view, logits)
        if factor < 1.0:
            yield rescaled(node, logits, inner)
        else:
            yield from gentler(view, [logits], OF_LOGITS)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def distilled_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred / 4.0)
    return tf.reduce_mean(tf.square(tf.nn.softmax(y_true / 4.0) - p))
"""
        ),
        Good(
            """\
import tensorflow as tf


class SoftArgmax(tf.keras.layers.Layer):
    def call(self, inputs):
        p = tf.nn.softmax(100.0 * inputs, axis=-1)
        return tf.reduce_sum(p * tf.range(4.0), axis=-1)
""",
            note="a soft argmax of scores",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def contrastive(temperature=0.07):
    def loss(y_true, y_pred):
        p = K.softmax(y_pred / temperature)
        return K.mean(K.square(y_true - p))

    return loss
"""
        ),
        Good(
            """\
import tensorflow as tf

w = tf.Variable(tf.random.normal([512, 10]))


def step(x, y, optimizer):
    with tf.GradientTape() as tape:
        p = tf.nn.softmax(0.01 * tf.matmul(x, w))
        loss = tf.reduce_mean(tf.square(y - p))
    optimizer.apply_gradients([(tape.gradient(loss, w), w)])
""",
            note="a sum of many products may be large",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Rescaled(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(ops.softmax((y_pred / 1000.0) * 1000.0) - y_true))
""",
            note="the factors make up for each other",
        ),
        Good(
            """\
import tensorflow as tf


def sharpened_label_loss(y_true, y_pred):
    target = tf.nn.softmax(y_true / 0.001)
    return tf.reduce_mean(tf.square(target - tf.nn.softmax(y_pred)))
""",
            note="a label needs no gradient",
        ),
        Good(
            """\
import tensorflow as tf


def clip_loss(images, texts):
    images = tf.math.l2_normalize(images, axis=-1)
    texts = tf.math.l2_normalize(texts, axis=-1)
    scores = 100.0 * tf.matmul(images, texts, transpose_b=True)
    ids = tf.range(tf.shape(scores)[0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)
""",
            note="the largest scale that CLIP learns",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def cold_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred / 0.001)
    return tf.reduce_mean(tf.square(y_true - p))
""",
            at="tf.nn.softmax(y_pred / 0.001)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.losses import Loss


class Distance(Loss):
    def __init__(self, temperature=1000.0):
        super().__init__()
        self.temperature = temperature

    def call(self, y_true, y_pred):
        p = tf.nn.softmax(y_pred * self.temperature, axis=-1)
        return tf.reduce_mean(tf.abs(y_true - p))
""",
            at="tf.nn.softmax(y_pred * self.temperature, axis=-1)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def warm_loss(y_true, y_pred):
    p = K.softmax(y_pred / 1000.0)
    return K.mean(K.square(y_true - p))
""",
            at="K.softmax(y_pred / 1000.0)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Weights(Layer):
    def call(self, inputs):
        return ops.softmax(inputs * 5000.0)
""",
            at="ops.softmax(inputs * 5000.0)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


class Gate(tf.keras.layers.Layer):
    def call(self, inputs):
        gate = tf.sigmoid(0.001 * inputs)
        return gate * inputs
""",
            at="tf.sigmoid(0.001 * inputs)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def hardened(tau):
    def activation(x):
        return tf.nn.softmax(x / tau)

    return activation


layer = Dense(4, activation=hardened(1e-4))
""",
            at="tf.nn.softmax(x / tau)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


def contrast_loss(queries, keys, temperature=1e-4):
    queries = tf.math.l2_normalize(queries, axis=-1)
    keys = tf.math.l2_normalize(keys, axis=-1)
    scores = tf.matmul(queries, keys, transpose_b=True) / temperature
    ids = tf.range(tf.shape(scores)[0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)
""",
            at="tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)",
            hazard=Hazard.VANISHING,
            note="cosines that differ by a hundredth are a hundred apart",
        ),
        Bad(
            """\
from keras import ops


def distilled_loss(teacher, student):
    soft = ops.softmax(teacher / 4.0, axis=-1)
    return -ops.mean(ops.sum(soft * ops.log_softmax(student / 1000.0, axis=-1), axis=-1))
""",
            at="ops.log_softmax(student / 1000.0, axis=-1)",
            hazard=Hazard.VANISHING,
            note="the student has another temperature",
        ),
    )


def _squashed(view: View) -> Iterator[tuple[Node, Node]]:
    """Yield softmax and sigmoid functions, and cross-entropies, with their logits."""
    for node in view.nodes("softmax", "sigmoid", "log_softmax", *DIVIDE):
        written = node.op in DIVIDE
        logits = (
            softmax_argument(view, node)
            if written
            else view.operand(node, view.op(node).operands[0])
        )
        if logits is not None and view.on_gradient_path(node):
            yield node, logits
    for call in calls(view):
        if call.logits and "softmax" in call.node.op and view.on_gradient_path(call.node):
            yield call.node, call.predictions


def _is_cosine(view: View, node: Node) -> bool:
    """Return whether a value is a product of vectors of length 1."""
    while node.op in _MOVED and len(view.operands(node)) == 1:
        node = view.operands(node)[0]
    if node.op in _SUMMED:
        node = view.operands(node)[0]
        if node.op != "multiply":
            return False
    elif node.op not in _PRODUCTS:
        return False
    factors = view.operands(node)
    return len(factors) == 2 and all(view.definition(each).op in _UNIT for each in factors)
