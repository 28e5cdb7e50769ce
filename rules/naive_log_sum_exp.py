"""ACT114: the logarithm of a sum of exponentials that overflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from actlint.query import Bad, Cause, Good, Hazard, Kind, Node, Remedy, Rule, Suspect, View

from ._common import condition, first_hit, nonfinite, shown
from ._patterns import softmax_exponentials
from ._stable import bounded_exponent, stable

_LOGS = ("log", "log1p", "log2", "log10")
_EXPONENTIALS = frozenset({"exp", "cosh"})
_SUMS = frozenset({"reduce_sum", "reduce_mean"})
# What leaves a sum of exponentials one.
_CARRIERS = frozenset({"add", "multiply", "cast", "identity"})
_OVERFLOW = frozenset({Cause.OVERFLOW})


class NaiveLogSumExp(Rule):
    """The logarithm of a sum of exponentials that overflow.

    ## What it does
    Reports the exponentials in `log(sum(exp(x)))`, `log(1 + exp(x))`, `log(exp(a) + exp(b))` and
    `log(cosh(x))` when nothing bounds their arguments.

    ## Why is this bad?
    `exp` overflows above 88.7 in float32, so the logarithm is infinite where the true value is
    about x, and the gradient is `inf / inf = nan`. A mask that multiplies the exponentials does
    not help: `0 * inf` is nan. Shifted by the maximum first, the same sum
    never overflows, and the value is exact to the last digit.

    ## How it is confirmed
    actlint sends an argument beyond the limit and sees the exponential become infinite and the
    output or a gradient infinite or nan. Witnesses are of the extended class, so the finding is a
    warning.

    ## Example
    ```python
    def listwise_loss(y_true, y_pred):
        total = tf.math.log(tf.reduce_sum(tf.exp(y_pred), axis=-1))
        return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
    ```

    ## Use instead
    ```python
    def listwise_loss(y_true, y_pred):
        total = tf.math.reduce_logsumexp(y_pred, axis=-1)
        return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
    ```

    ## Fix safety
    `tf.math.softplus` and `tf.reduce_logsumexp` are safe, and so is log(cosh(x)) written with a
    softplus. Without a constant that was added to the sum, values move by it: unsafe. A bound on
    the exponent is unsafe, since beyond it values change, and gradients end.

    ## What it misses
    Sums that run over a Python loop, and exponentials divided before the logarithm; see
    exp-overflow and unshifted-softmax for those.

    ## References
    TensorFlow API: tf.math.reduce_logsumexp, tf.math.softplus, tf.nn.log_softmax,
    tf.keras.losses.LogCosh.
    """

    code: ClassVar[str] = "ACT114"
    name: ClassVar[str] = "naive-log-sum-exp"
    hint: ClassVar[str] = "Use tf.math.reduce_logsumexp, which shifts by the maximum"
    supersedes: ClassVar[tuple[str, ...]] = ("ACT108",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield exponentials that overflow under a logarithm."""
        told = {node.id for node in softmax_exponentials(view)}
        for log in view.nodes(*_LOGS):
            for found in _exponentials(view, log):
                node = found.node
                hit = first_hit(view, node, _OVERFLOW)
                if hit is None or node.id in told or not view.depends(hit.operand):
                    continue
                told.add(node.id)
                yield nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{_said(log, found)}: {shown(hit.operand)} {condition(hit)}",
                    hint=_hint(found),
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Write the stable function; else bound the exponent."""
        node = view.node(suspect.node)
        yield from stable(view, node, "softplus", "logsumexp", "log_mean_exp", "log_cosh")
        yield from bounded_exponent(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def listwise_loss(y_true, y_pred):
    total = tf.math.reduce_logsumexp(y_pred, axis=-1)
    return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
"""
        ),
        Good(
            """\
import tensorflow as tf


def shifted_loss(y_true, y_pred):
    top = tf.reduce_max(y_pred, axis=-1, keepdims=True)
    total = tf.math.log(tf.reduce_sum(tf.exp(y_pred - top), axis=-1)) + tf.squeeze(top, -1)
    return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
""",
            note="the exponents are not positive, and one of them is 0",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def my_softplus(x):
    return K.relu(x) + K.log(1.0 + K.exp(-K.abs(x)))


layer = Dense(8, activation=my_softplus)
"""
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Margin(Loss):
    def call(self, y_true, y_pred):
        signs = 2.0 * y_true - 1.0
        return ops.mean(ops.softplus(-signs * y_pred))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Gate(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.math.log1p(tf.exp(tf.tanh(inputs)))
""",
            note="tanh bounds the exponent",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.nn.softplus(-y * logits))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def listwise_loss(y_true, y_pred):
    total = tf.math.log(tf.reduce_sum(tf.exp(y_pred), axis=-1))
    return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
""",
            at="tf.exp(y_pred)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def my_softplus(x):
    return K.log(1.0 + K.exp(x))


layer = Activation(my_softplus)
""",
            at="K.exp(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class LogCosh(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.math.log(tf.math.cosh(y_pred - y_true)))
""",
            at="tf.math.cosh(y_pred - y_true)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow import exp as e
from tensorflow import reduce_mean, reduce_sum
from tensorflow.math import log as ln


def contrast(temperature):
    def loss(y_true, y_pred):
        pull = reduce_sum(y_true * y_pred, axis=-1) / temperature
        push = ln(1e-6 + reduce_sum(e(y_pred / temperature), axis=-1))
        return reduce_mean(push - pull)

    return loss


def build(model):
    model.compile("adam", loss=contrast(0.5))
""",
            at="e(y_pred / temperature)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.log(1.0 + tf.exp(-y * logits)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.exp(-y * logits)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class SmoothMaximum(Layer):
    def call(self, inputs):
        return ops.log(ops.mean(ops.exp(inputs), axis=-1))
""",
            at="ops.exp(inputs)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Dense(8, activation=lambda x: x * tf.tanh(tf.math.log1p(tf.exp(x))))
""",
            at="tf.exp(x)",
            hazard=Hazard.NAN,
            note="mish, written out",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """An exponential under a logarithm."""

    node: Node
    summed: bool  # a reduction sums it up
    shifted: bool  # 1 is added
    factor: Node | None  # what it is multiplied by before, if that can be 0


def _exponentials(view: View, log: Node) -> Iterator[_Found]:
    """Yield the exponentials that `log` sums."""
    start = _Found(log, summed=False, shifted=log.op == "log1p", factor=None)
    waiting = [replace(start, node=operand) for operand in view.operands(log)]
    seen = set[int]()
    while waiting:
        found = waiting.pop(0)
        node = found.node
        if node.id in seen or not node.op:
            continue
        seen.add(node.id)
        if node.op in _EXPONENTIALS:
            yield found
        elif node.op in _SUMS:
            waiting += [replace(found, node=each, summed=True) for each in view.operands(node)]
        elif node.op in _CARRIERS or view.op(node).kind is Kind.STRUCTURAL:
            adds = node.op == "add" and any(view.static(node, name) == 1 for name in ("x", "y"))
            waiting += [
                replace(
                    found,
                    node=each,
                    shifted=found.shifted or adds,
                    factor=found.factor or _factor(view, node, each),
                )
                for each in view.operands(node)
            ]


def _factor(view: View, product: Node, term: Node) -> Node | None:
    """Return what a product multiplies `term` by if that can be 0, else None."""
    others = [each for each in view.operands(product) if each.id != term.id]
    if product.op != "multiply" or len(others) != 1 or not view.interval(others[0]).contains(0.0):
        return None
    return others[0]


def _said(log: Node, found: _Found) -> str:
    """Say what the overflow of an exponential makes of the logarithm."""
    over = f"once {shown(found.node)} overflows"
    if found.factor is not None:
        # A factor of 0 leaves a term out of the sum, but not its overflow.
        return (
            f"{shown(log)} is nan {over} where {shown(found.factor)} is 0, because 0 * inf is, "
            "and infinite where it is not"
        )
    true = "the size of its argument" if found.node.op == "cosh" else "its largest argument"
    return f"{shown(log)} is infinite {over}, where its true value is about {true}"


def _hint(found: _Found) -> str:
    """Return the stable function that the composition stands for; "" for log-sum-exp."""
    if found.node.op == "cosh":
        return (
            "For log(cosh(x)) use x + tf.nn.softplus(-2 * x) - log(2), or tf.keras.losses.LogCosh"
        )
    if found.shifted and not found.summed:
        return "Use tf.nn.softplus, which is log(1 + exp(x)) without the overflow"
    if found.factor is not None:
        return (
            "Leave terms out in the argument, tf.where(mask, x, -1e9), and use "
            "tf.math.reduce_logsumexp, which shifts by the maximum"
        )
    return ""
