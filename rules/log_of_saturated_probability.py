"""ACT109: logarithm of a softmax or sigmoid, which saturates to exact zeros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Kind, Node, Remedy, Rule, Suspect, View

from ._common import LOGARITHM, nonfinite, shown, singular
from ._drawn import picked
from ._remedies import EPSILON, offset
from ._stable import OF_PROBABILITIES, stable

_SATURATING = ("softmax", "sigmoid", "hard_sigmoid", "tanh", "erf", "erfc")
# What a probability goes through on its way into a logarithm and stays one.
_CARRIERS = frozenset(
    {"subtract", "add", "multiply", "cast", "identity", "clip_by_value", "maximum", "minimum"}
)
_REDUCTIONS = frozenset({"reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"})


class LogOfSaturatedProbability(Rule):
    """Logarithm of a softmax or sigmoid.

    ## What it does
    Reports `log(softmax(x))`, `log(sigmoid(x))` and `log(1 - sigmoid(x))`, also when the
    probability is indexed, masked or summed on its way into the logarithm.

    ## Why is this bad?
    In float32 `softmax` is exactly 0 once a logit is about 87 below the largest (denormals are
    flushed to zero), `sigmoid(-88)` is 0 and `1 - sigmoid(17)` is 0. The logarithm is then -inf,
    and its gradient nan. Computed from the logits the same value is finite. In graph mode the
    optimiser may hide the defect for one version of TensorFlow, eager mode shows it.

    ## How it is confirmed
    actlint finds logits that saturate the probability and sees an infinite value or a nan gradient
    start at the logarithm. Where data pick the probability and its logarithm is weighed, as agents
    are trained, the pick is mostly drawn from these very probabilities, and not 0 then: the message
    says so, and the finding is one step less severe.

    ## Example
    ```python
    loss = -tf.reduce_sum(y * tf.math.log(tf.nn.softmax(logits)))
    ```

    ## Use instead
    ```python
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits)
    ```

    ## Fix safety
    `tf.nn.log_softmax` and `tf.math.log_sigmoid` are safe. Where something stands between the
    probability and its logarithm, a small constant is added, which is unsafe: values move.

    ## What it misses
    Probabilities that come from outside the function; see log-of-zero for those.

    ## References
    TensorFlow API: tf.nn.log_softmax, tf.math.log_sigmoid,
    tf.nn.sigmoid_cross_entropy_with_logits, tf.nn.softmax_cross_entropy_with_logits.
    """

    code: ClassVar[str] = "ACT109"
    name: ClassVar[str] = "log-of-saturated-probability"
    hint: ClassVar[str] = (
        "Use tf.nn.log_softmax or tf.math.log_sigmoid on the logits, or a *_with_logits loss"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT103", "ACT117")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield logarithms of probabilities that reach 0 by saturation."""
        for node, hit in singular(view, *LOGARITHM):
            saturating = _saturating(view, hit.operand)
            if saturating is not None:
                pick = picked(view, node, hit.operand)
                which = "it" if saturating.id == hit.operand.id else shown(saturating)
                suspect = nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(node)} takes the logarithm of {shown(hit.operand)}, which is exactly "
                    f"0 in float32 when {which} saturates" + (f" and {pick}" if pick else ""),
                    hint=_HINTS.get(saturating.op, ""),
                )
                yield replace(suspect, conditional=bool(pick))

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Compute from the logits; else keep the probability above 0."""
        node = view.node(suspect.node)
        yield from stable(view, node, *OF_PROBABILITIES)
        operand = view.operand(node, "x")
        if node.op in ("log", "log2", "log10") and operand is not None:
            yield from offset(view, node, operand, EPSILON)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, logits):
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.nn.log_softmax(logits), axis=-1))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Binary(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        positive = y_true * tf.math.log_sigmoid(y_pred)
        negative = (1.0 - y_true) * tf.math.log_sigmoid(-y_pred)
        return -tf.reduce_mean(positive + negative)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def log_unit(x):
    return K.log(K.sigmoid(x) + 1e-3)


layer = Dense(8, activation=log_unit)
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
"""
        ),
        Good(
            """\
import tensorflow as tf


def entropy_loss(y_true, logits):
    p = tf.clip_by_value(tf.nn.softmax(logits), 1e-7, 1.0)
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.math.log(p), axis=-1))
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class LogProbability(Layer):
    def call(self, inputs):
        return ops.log_softmax(inputs, axis=-1)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, logits):
    p = tf.nn.softmax(logits)
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.math.log(p), axis=-1))
""",
            at="tf.math.log(p)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Positive(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return -tf.reduce_mean(y_true * tf.math.log(tf.sigmoid(y_pred)))
""",
            at="tf.math.log(tf.sigmoid(y_pred))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def log_unit(x):
    return -K.log(1.0 - K.sigmoid(x))


layer = Dense(8, activation=log_unit)
""",
            at="K.log(1.0 - K.sigmoid(x))",
            hazard=Hazard.NAN,
            note="1 - sigmoid(17) is 0 in float32",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
b = tf.Variable(tf.zeros([3]))
y = tf.nn.softmax(tf.matmul(x, w) + b)
loss = -tf.reduce_sum(y_ * tf.log(y))
train = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
""",
            at="tf.log(y)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class LogProbability(Layer):
    def call(self, inputs):
        return ops.log(ops.softmax(inputs, axis=-1))
""",
            at="ops.log(ops.softmax(inputs, axis=-1))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def picked_loss(y_true, logits):
    p = tf.nn.softmax(logits, axis=-1)
    return -tf.reduce_mean(tf.math.log(tf.reduce_sum(y_true * p, axis=-1)))
""",
            at="tf.math.log(tf.reduce_sum(y_true * p, axis=-1))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.math import log as ln

model = tf.keras.Sequential([tf.keras.layers.Dense(3)])


def step(x, y):
    with tf.GradientTape() as tape:
        p = tf.nn.softmax(model(x))
        loss = -tf.reduce_mean(y * ln(p))
    return tape.gradient(loss, model.trainable_variables)
""",
            at="ln(p)",
            hazard=Hazard.NAN,
        ),
    )


_HINTS = {
    "softmax": "Use tf.nn.log_softmax, or tf.nn.softmax_cross_entropy_with_logits for the loss",
    "sigmoid": "Use tf.math.log_sigmoid(x), with -x for the log of 1 - sigmoid(x), or "
    "tf.nn.sigmoid_cross_entropy_with_logits",
}


def _saturating(view: View, operand: Node) -> Node | None:
    """Return the softmax or sigmoid that `operand` is made of, or None."""
    waiting, seen = [operand], set[int]()
    while waiting:
        node = waiting.pop(0)
        if node.id in seen or not node.op:
            continue
        seen.add(node.id)
        if node.op in _SATURATING:
            return node
        if node.op in _CARRIERS or node.op in _REDUCTIONS or _moves(view, node):
            waiting.extend(view.operands(node))
    return None


def _moves(view: View, node: Node) -> bool:
    return view.op(node).kind is Kind.STRUCTURAL
