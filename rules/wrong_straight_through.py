"""ACT208: a straight-through estimator put together wrongly."""

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
    Suspect,
    Target,
    View,
)

from ._common import STOP, ancestors, descendants, shown
from ._estimators import Estimator, Fault, estimators
from ._remedies import ref, replaced


class WrongStraightThrough(Rule):
    """A straight-through estimator put together wrongly.

    ## What it does
    Reports sums of a step (rounding, sign, a comparison, a one-hot choice), of what is to stand in
    for it in the gradient, and of `tf.stop_gradient`, that do not give the step as value and the
    other term as gradient: branches swapped, the other term left in the value, cancelled in the
    gradient, negated or there twice; and such sums without any `tf.stop_gradient`, which cancel.
    `soft + tf.stop_gradient(hard - soft)` is right, and so is
    `soft - tf.stop_gradient(soft) + hard`.

    ## Why is this bad?
    Training goes on without any error. With swapped branches the step is never taken and nothing in
    front of it learns; with a changed value the network computes something else than was meant; a
    doubled gradient is a doubled learning rate for every layer in front, and doubles again with
    every such layer.

    ## How it is confirmed
    actlint computes the sum and the step at typical inputs, compares the two values, and takes the
    gradient of the sum with respect to the term that stands in for the step, which should be 1.

    ## Example
    ```python
    def quantise(x):
        return tf.round(x) + tf.stop_gradient(x - tf.round(x))
    ```

    ## Use instead
    ```python
    def quantise(x):
        return x + tf.stop_gradient(tf.round(x) - x)
    ```

    ## Fix safety
    The estimator put together rightly is unsafe: it has another value or another gradient.

    ## What it misses
    Sums with factors that are not plain numbers; factors that are written down and may be meant,
    below 1 or of the sign of what has no bounds; products such as `x * tf.stop_gradient(mask)`.

    ## References
    Bengio, Leonard and Courville, 2013: Estimating or Propagating Gradients Through Stochastic
    Neurons. Jang, Gu and Poole, 2017: Categorical Reparameterization with Gumbel-Softmax.
    """

    code: ClassVar[str] = "ACT208"
    name: ClassVar[str] = "wrong-straight-through"
    hint: ClassVar[str] = (
        "Use x + tf.stop_gradient(step(x) - x): its value is the step's, its gradient that of x"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT201", "ACT205", "ACT302", "ACT401", "ACT402")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the sums that are no estimators, although they look like it."""
        for found in estimators(view):
            if found.fault is not None:
                yield Suspect(
                    code=self.code,
                    node=found.node.id,
                    message=f"{shown(found.node)} {_reason(found)}",
                    check=Check.STRAIGHT_THROUGH,
                    targets=(_at(found.step.id), _at(found.soft.id)),
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Put the same step and its stand-in together as an estimator."""
        for found in estimators(view):
            if found.node.id == suspect.node and found.fault is not None:
                if _is_scaled(view, found):
                    yield from _turned(view, found.node)
                    continue
                yield replaced(
                    found.node,
                    _FORM,
                    _TITLE,
                    _REASON,
                    {"soft": ref(found.soft), "step": ref(found.step)},
                    safety=Safety.UNSAFE,
                )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def hashing_loss(y_true, y_pred):
    fit = tf.reduce_mean(tf.square(y_true - y_pred))
    return fit + 0.1 * tf.reduce_mean(tf.square(y_pred - tf.stop_gradient(tf.sign(y_pred))))
""",
            note="a distance from the step, which is to become small",
        ),
        Good(
            """\
import tensorflow as tf


class Rounded(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs - tf.stop_gradient(inputs) + tf.round(inputs)
""",
            note="the same estimator, written otherwise",
        ),
        Good(
            """\
import tensorflow as tf


def binary(x):
    return x + tf.stop_gradient(tf.sign(x) - x)


class Residual(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs + binary(inputs)
""",
            note="a residual connection round an estimator",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Choice(Layer):
    def call(self, inputs):
        soft = ops.softmax(inputs, axis=-1)
        hard = ops.one_hot(ops.argmax(soft, axis=-1), 4)
        return ops.stop_gradient(hard - soft) + soft
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: 0.5 * x + K.stop_gradient(K.sign(x) - 0.5 * x))
gained = Lambda(lambda x: 4.0 * x + K.stop_gradient(K.sign(x) - 4.0 * x))
""",
            note="a gradient that is scaled on purpose",
        ),
        Good(
            """\
import tensorflow as tf


class Normalised(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs - tf.stop_gradient(tf.reduce_mean(inputs, axis=-1, keepdims=True))
""",
            note="no step at all",
        ),
        Good(
            """\
import tensorflow as tf


class Codes(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.codes = self.add_weight(name="codes", shape=(5, 4))

    def call(self, inputs):
        nearest = tf.argmax(tf.matmul(inputs, self.codes, transpose_b=True), axis=-1)
        chosen = tf.gather(self.codes, nearest)
        return inputs + tf.stop_gradient(chosen - inputs)
""",
            note="a vector quantiser",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def quantised(x):
    levels = tf.round(4.0 * x) / 4.0
    return levels + tf.stop_gradient(x - levels)


layer = Dense(8, activation=quantised)
""",
            at="levels + tf.stop_gradient(x - levels)",
            hazard=Hazard.NO_GRADIENT,
            note="branches swapped",
        ),
        Bad(
            """\
import tensorflow as tf


class Binary(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs + tf.stop_gradient(tf.sign(inputs))
""",
            at="inputs + tf.stop_gradient(tf.sign(inputs))",
            hazard=Hazard.WRONG_GRADIENT,
            note="the value is not that of the step",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Choice(Layer):
    def call(self, inputs):
        soft = ops.softmax(inputs, axis=-1)
        hard = ops.one_hot(ops.argmax(soft, axis=-1), 4)
        return ops.stop_gradient(soft - hard) + hard
""",
            at="ops.stop_gradient(soft - hard) + hard",
            hazard=Hazard.NO_GRADIENT,
            note="branches swapped, Gumbel-softmax",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def staircase_loss(y_true, y_pred):
    steps = y_pred + K.stop_gradient(K.round(y_pred)) - y_pred
    return K.mean(K.square(y_true - steps))
""",
            at="y_pred + K.stop_gradient(K.round(y_pred)) - y_pred",
            hazard=Hazard.ZERO_GRADIENT,
            note="the gradient cancels, too",
        ),
        Bad(
            """\
import tensorflow as tf


def through(x):
    return x + x - tf.stop_gradient(x + x - tf.floor(x))


layer = tf.keras.layers.Activation(through)
""",
            at="x + x - tf.stop_gradient(x + x - tf.floor(x))",
            hazard=Hazard.WRONG_GRADIENT,
            note="the gradient is doubled",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1]))
p = tf.sigmoid(w)
hard = tf.cast(p > 0.5, tf.float32)
mask = tf.subtract(hard, tf.stop_gradient(hard - p))
loss = tf.reduce_mean(tf.square(y - tf.reduce_sum(x) * mask))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            at="tf.subtract(hard, tf.stop_gradient(hard - p))",
            hazard=Hazard.NO_GRADIENT,
            note="a binary mask that is never learned",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Sampled(Layer):
    def call(self, inputs):
        p = ops.sigmoid(inputs)
        hard = ops.cast(p > 0.5, "float32")
        return 2.0 * p + ops.stop_gradient(hard - 2.0 * p)
""",
            at="2.0 * p + ops.stop_gradient(hard - 2.0 * p)",
            hazard=Hazard.WRONG_GRADIENT,
            note="from 0 to 1, as the probability itself, whose gradient is doubled",
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda v: v + tf.stop_gradient(tf.cast(v > 0.0, tf.float32)))
""",
            at="v + tf.stop_gradient(tf.cast(v > 0.0, tf.float32))",
            hazard=Hazard.WRONG_GRADIENT,
        ),
    )


def _at(node: int) -> Target:
    """Return a target that names a node; any value will do."""
    return Target(node, float("-inf"), float("inf"))


def _reason(found: Estimator) -> str:
    step, soft = shown(found.step), shown(found.soft)
    match found.fault:
        case Fault.SWAPPED:
            return f"has the value of {soft} and no gradient: the branches are swapped"
        case Fault.CHANGED:
            return f"adds {soft} to {step} instead of giving it the gradient of {soft}"
        case Fault.VANISHED:
            return f"has the value of {step}, but the gradient of {soft} cancels, too"
        case Fault.NEGATED:
            return f"has the value of {step}, but passes the gradient of {soft} with a minus sign"
        case _:
            return f"has the value of {step}, but passes the gradient of {soft} more than once"


def _is_scaled(view: View, found: Estimator) -> bool:
    """Return whether a factor stands between the sum and the step, or the stand-in."""
    made = {node.id for node in ancestors(view, found.node.id)} - {found.node.id}
    soft = {node.id for node in ancestors(view, found.step.id)}
    for term in (found.step, found.soft):
        between = {node.id for node in descendants(view, term.id)} & made - soft
        if any(view.node(index).op not in _SUMMING for index in between):
            return True
    return False


def _turned(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``y + stop_gradient(x - y)``, in which the two terms are swapped."""
    live, still = view.operand(node, "x"), view.operand(node, "y")
    if live is not None and live.op in STOP:
        live, still = still, live
    difference = None if still is None or still.op not in STOP else view.operands(still)[0]
    if live is None or difference is None or difference.op != "subtract":
        return
    first, second = view.operand(difference, "x"), view.operand(difference, "y")
    if node.op == "subtract" and live == view.operand(node, "x"):
        first, second = second, first  # y - stop_gradient(y - x)
    elif node.op != "add":
        return
    if first is not None and second is not None and view.same_value(second, live):
        yield replaced(
            node,
            _FORM,
            _TITLE,
            _REASON,
            {"soft": ref(first), "step": ref(live)},
            safety=Safety.UNSAFE,
        )


_SUMMING = frozenset({"add", "identity", "negative", "subtract", *STOP})
_FORM = "{soft} + tf.stop_gradient({step} - {soft})"
_TITLE = "Put the straight-through estimator together the right way round"
_REASON = "the value becomes that of the step, and the gradient that of its stand-in"
