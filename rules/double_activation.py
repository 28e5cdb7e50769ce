"""ACT308: a squashing function of what is squashed already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Rule,
    Safety,
    Severity,
    Suspect,
    View,
)

from ._common import shown
from ._remedies import argument as read
from ._remedies import ref, replaced

_OUTER = ("log_sigmoid", "log_softmax", "sigmoid", "softmax")
_INNER = frozenset({"hard_sigmoid", "sigmoid", "softmax", "sparse_sigmoid"})
_CLIPS = frozenset({"clip", "clip_by_value"})
# Width of the range of probabilities; logits of this range give shares in a ratio of 2.7 at most.
_UNIT = 1.0
_OF_CLIPPED = (
    "Give tf.nn.softmax and tf.sigmoid logits of any size; of probabilities, leave "
    "it out, and divide them by their sum if they have to add up to 1"
)
# Width of the band of attainable probabilities: 0.46 for a softmax of two probabilities, less for
# more of them, 0.23 for a sigmoid of a probability; a single squashing function has 1.
_WIDTH = 0.6


class DoubleActivation(Rule):
    """A squashing function of what is squashed already.

    ## What it does
    Reports a softmax or sigmoid that is applied to the result of a softmax or sigmoid, perhaps by
    way of a helper: softmax twice, sigmoid of a softmax, log-softmax of probabilities. So is one of
    what is clipped to the range of probabilities: `softmax(clip(x, 1e-8, 1.0))`.

    ## Why is this bad?
    The second function takes its argument for logits of any size, but gets numbers between 0 and
    1. A softmax of K probabilities never exceeds e / (e + K - 1), which is 0.23 for ten classes,
    and a sigmoid of a probability lies between 0.5 and 0.73: the model cannot be confident, the
    loss stays high, and the gradient is small everywhere.

    ## How it is confirmed
    actlint runs the expression in TensorFlow on typical inputs and on magnitudes of hundreds,
    which drive the inner function to its ends, and reports the values and the slope that the
    outer function then attains.

    ## Example
    ```python
    def loss(y_true, y_pred):
        p = tf.nn.softmax(tf.nn.softmax(y_pred))
        return tf.reduce_mean(tf.square(y_true - p))
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        p = tf.nn.softmax(y_pred)
        return tf.reduce_mean(tf.square(y_true - p))
    ```

    ## Fix safety
    Leaving one of the two out is unsafe: values and gradients become those of a single one.

    ## What it misses
    Two activations that stand in different layers of a model, probabilities that are scaled in
    between, scores of a tanh, whose range is twice as wide, and functions written out with `exp`.

    ## References
    TensorFlow API: tf.nn.softmax, tf.nn.log_softmax. Goodfellow, Bengio and Courville, 2016: Deep
    Learning, section 6.2.2.
    """

    code: ClassVar[str] = "ACT308"
    name: ClassVar[str] = "double-activation"
    hint: ClassVar[str] = (
        "Apply one of them only: tf.nn.softmax for classes that exclude each other, tf.sigmoid "
        "for independent ones, and tf.math.log of probabilities rather than tf.nn.log_softmax"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT302", "ACT303")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield squashing functions whose argument another one made."""
        for node in view.nodes(*_OUTER):
            argument = view.operand(node, view.op(node).operands[0])
            if argument is None or not view.on_gradient_path(node):
                continue
            inner = view.definition(argument)
            clipped = _is_clipped(view, inner)
            if not clipped and inner.op not in _INNER:
                continue
            done = "clips to the range of" if clipped else "has already turned into"
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} takes for logits what {shown(inner)} {done} "
                f"probabilities, which squeezes them into a narrow band",
                check=Check.SQUEEZED,
                threshold=_WIDTH,
                severity=Severity.WARNING,
                provisional=True,
                hint=_OF_CLIPPED if clipped else "",
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Leave the outer one out; of a logarithm the inner one."""
        node = view.node(suspect.node)
        given = view.operand(node, view.op(node).operands[0])
        if given is None:
            return
        if not node.op.startswith("log"):
            yield replaced(
                node,
                "{x}",
                "Leave the outer activation out",
                "the result is what the inner one gives",
                {"x": ref(given)},
                safety=Safety.UNSAFE,
            )
        inner = view.definition(given)
        logits = next(iter(view.operands(inner)), None)
        if logits is not None:
            clipped = inner.op in _CLIPS
            yield read(
                node,
                given,
                "{logits}",
                "Leave the clip out" if clipped else "Leave the inner activation out",
                "the outer one is given the logits",
                parts={"logits": ref(logits)},
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def brier_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred)
    return tf.reduce_mean(tf.reduce_sum(tf.square(y_true - p), axis=-1))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Attention(tf.keras.layers.Layer):
    def call(self, inputs):
        scores = tf.tanh(inputs)
        return tf.nn.softmax(4.0 * scores, axis=1) * inputs
""",
            note="bounded scores, scaled",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def sharpened_loss(y_true, y_pred):
    p = K.softmax(20.0 * K.sigmoid(y_pred))
    return K.mean(K.square(y_true - p))
""",
            note="scaled up in between",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Gate(Layer):
    def call(self, inputs):
        return ops.softmax(inputs) * ops.sigmoid(inputs)
""",
            note="side by side, not one upon the other",
        ),
        Good(
            """\
import tensorflow as tf


def entropy_loss(y_true, y_pred):
    target = tf.nn.softmax(tf.nn.softmax(y_true))
    return tf.reduce_mean(tf.square(target - y_pred))
""",
            note="a smoothed label, which needs no gradient",
        ),
        Good(
            """\
import tensorflow as tf


def squared_activation(x):
    return tf.sigmoid(x) * tf.sigmoid(2.0 * x)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Attention(tf.keras.layers.Layer):
    def call(self, inputs):
        scores = tf.reduce_sum(tf.tanh(inputs), axis=-1, keepdims=True)
        return tf.nn.softmax(tf.clip_by_value(scores, -10.0, 10.0), axis=1) * inputs
""",
            note="bounds that guard against overflow alone",
        ),
        Good(
            """\
from keras import backend as K


def quantile_switch(y_true, y_pred):
    share = K.clip(y_pred, 0.0, 1.0)
    return K.mean(K.square(y_true - K.sigmoid(20.0 * (share - 0.5))))
""",
            note="clipped, then scaled",
        ),
        Good(
            """\
import tensorflow as tf


class Additive(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.nn.softmax(tf.tanh(inputs), axis=1) * inputs
""",
            note="scores between -1 and 1 weigh one time step 7 times as much as another",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def twice_loss(y_true, y_pred):
    p = tf.nn.softmax(tf.nn.softmax(y_pred))
    return tf.reduce_mean(tf.square(y_true - p))
""",
            at="tf.nn.softmax(tf.nn.softmax(y_pred))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.losses import Loss


class Scores(Loss):
    def _probabilities(self, logits):
        return tf.nn.softmax(logits, axis=-1)

    def call(self, y_true, y_pred):
        p = self._probabilities(y_pred)
        return -tf.reduce_mean(tf.reduce_sum(y_true * tf.nn.log_softmax(p), axis=-1))
""",
            at="tf.nn.log_softmax(p)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense

layer = Dense(8, activation=lambda x: K.sigmoid(K.sigmoid(x)))
""",
            at="K.sigmoid(K.sigmoid(x))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Head(Layer):
    def call(self, inputs):
        classes = ops.softmax(inputs)
        return ops.sigmoid(classes)
""",
            at="ops.sigmoid(classes)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Activation


def vote(x):
    votes = tf.math.sigmoid(x)
    return tf.nn.softmax(votes, axis=-1)


layer = Activation(vote)
""",
            at="tf.nn.softmax(votes, axis=-1)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
p = tf.nn.softmax(tf.matmul(x, w))
q = tf.nn.softmax(p)
cost = tf.reduce_mean(tf.square(y - q))
train = tf.train.GradientDescentOptimizer(0.1).minimize(cost)
""",
            at="tf.nn.softmax(p)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import backend as K

m = 5


def mixture_loss(y_true, parameters):
    mu, alpha = parameters[:, :m], parameters[:, m:]
    alpha = K.softmax(K.clip(alpha, 1e-8, 1.0))
    return -K.logsumexp(K.log(alpha) - 0.5 * K.square(y_true - mu), axis=1)
""",
            at="K.softmax(K.clip(alpha, 1e-8, 1.0))",
            hazard=Hazard.VANISHING,
            note="no component can weigh 3 times as much as another",
        ),
        Bad(
            """\
import keras
from keras import ops


class Gated(keras.layers.Layer):
    def call(self, inputs):
        gate = ops.sigmoid(keras.activations.hard_sigmoid(inputs))
        return gate * inputs
""",
            at="ops.sigmoid(keras.activations.hard_sigmoid(inputs))",
            hazard=Hazard.VANISHING,
        ),
    )


def _is_clipped(view: View, node: Node) -> bool:
    """Return whether a value is clipped to constant bounds no wider than probabilities are."""
    if node.op not in _CLIPS:
        return False
    bounds = [_constant(view, node, name) for name in view.op(node).params[1:3]]
    low, high = (*bounds, None, None)[:2]
    return low is not None and high is not None and 0.0 < high - low <= _UNIT


def _constant(view: View, node: Node, name: str) -> float | None:
    """Return the number that a parameter is bound to, or None."""
    operand = view.operand(node, name)
    if operand is not None:
        known = view.interval(operand)
        return known.lo if known.lo == known.hi else None
    value = view.static(node, name)
    return float(value) if isinstance(value, int | float) else None
