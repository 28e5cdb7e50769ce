"""ACT108: an exponential, power or product that overflows float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import (
    Bad,
    Cause,
    Good,
    Hazard,
    Hit,
    InputRole,
    Node,
    Remedy,
    Rule,
    Suspect,
    View,
)

from ._common import (
    DIVISION,
    ancestors,
    condition,
    descendants,
    first_hit,
    nonfinite,
    not_overflow,
    shown,
)
from ._patterns import softmax_exponentials
from ._stable import bounded_exponent, stable

_OVERFLOW = frozenset({Cause.OVERFLOW})
_NEAR = 4
_EXPONENTIALS = frozenset(
    {"cosh", "exp", "expm1", "np_cosh", "np_exp", "np_expm1", "np_sinh", "sinh"}
)
# Ops that make a ratio of an exponential and a sum with it.
_DIVIDING = frozenset({"div", "divide", "pow", "reciprocal"})


class ExpOverflow(Rule):
    """An exponential, power or product that overflows float32.

    ## What it does
    Reports `exp`, `expm1`, `sinh`, `cosh` and other operations whose result exceeds the largest
    float32 number for arguments that training passes through before it diverges. `exp` overflows
    above 88.7.

    ## Why is this bad?
    Infinity spreads: `1 / (1 + exp(-x))` is 0 as it should be for x below -88.7, but its gradient
    is `inf / inf**2 = nan`.

    ## How it is confirmed
    actlint sends arguments beyond the limit and sees the overflow reach the value of the output or
    the gradient of an input. Witnesses are of the extended class, so the finding is a warning.

    ## Example
    ```python
    def sigmoid(x):
        return 1 / (1 + tf.exp(-x))
    ```

    ## Use instead
    ```python
    def sigmoid(x):
        return tf.sigmoid(x)
    ```

    ## Fix safety
    `tf.math.softplus`, `tf.reduce_logsumexp` and `tf.sigmoid` in place of their naive forms are
    safe. A bound on the exponent is unsafe: beyond it values change, and gradients end.

    ## What it misses
    Overflow for arguments beyond 1000, and of what is computed from labels and data alone, which
    do not grow while training diverges. Exponentials under a logarithm are reported by
    naive-log-sum-exp, overflow of float16 by half-precision-hazard.

    ## References
    TensorFlow API: tf.sigmoid, tf.tanh, tf.nn.elu.
    """

    code: ClassVar[str] = "ACT108"
    name: ClassVar[str] = "exp-overflow"
    hint: ClassVar[str] = (
        "Bound the argument, e.g. tf.exp(tf.minimum(x, 20.0)), or use the stable function "
        "(tf.sigmoid, tf.nn.softplus, tf.nn.elu)"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield operations that overflow, but for the exponentials of a hand-written softmax."""
        shifted = {node.id for node in softmax_exponentials(view)}
        told: list[Node] = []
        for node in view.nodes():
            if node.id in shifted:
                continue
            hit = first_hit(view, node, _OVERFLOW)
            # What can be infinite itself became so at an earlier pole, which is told there.
            infinite = hit is not None and _is_infinite(view, hit)
            if hit is None or (infinite and not _is_quotient(view, node, hit)):
                continue
            if not view.depends(hit.operand):
                continue  # labels and data stay what they are while training diverges
            if first_hit(view, node, not_overflow()) is not None:
                continue  # the nearer pole is told by its own rule
            if _divides(view, node):
                continue  # that it can be 0 is told of the quotient, and mended by one edit
            if any(view.same_value(node, other) for other in told):
                continue
            told.append(node)
            suspect = nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} overflows float32: {shown(hit.operand)} {condition(hit)}",
                hint=_stable(view, node),
            )
            yield replace(suspect, provisional=infinite)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Write the stable function; else bound the exponent."""
        node = view.node(suspect.node)
        if node.op not in {"exp", "expm1"}:
            return
        yield from stable(view, node, "softplus", "logsumexp", "log_mean_exp", "sigmoid")
        yield from bounded_exponent(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def gaussian_gate(x):
    return x * tf.sigmoid(x)


layer = Dense(8, activation=gaussian_gate)
"""
        ),
        Good(
            """\
import tensorflow as tf


def poisson_loss(y_true, y_pred):
    rate = tf.exp(tf.minimum(y_pred, 20.0))
    return tf.reduce_mean(rate - y_true * y_pred)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda


def my_softplus(x):
    return K.maximum(x, 0.0) + K.log(1.0 + K.exp(-K.abs(x)))


layer = Lambda(my_softplus)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Kernel(Layer):
    def call(self, inputs):
        return ops.exp(-ops.sum(ops.square(inputs), axis=-1, keepdims=True))
"""
        ),
        Good(
            """\
import tensorflow as tf


class LogCosh(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = y_pred - y_true
        return tf.reduce_mean(error + tf.nn.softplus(-2.0 * error) - tf.math.log(2.0))
"""
        ),
        Good(
            """\
import tensorflow as tf


@tf.function
def squared_loss(y_true, y_pred):
    return tf.reduce_mean((y_true - y_pred) ** 4)
""",
            note="1000 to the fourth is far from the largest float32 number",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from keras import backend as K


def weibull_loss(y_true, y_pred):
    y, u = y_true[..., 0], y_true[..., 1]
    a, b = y_pred[..., 0] + 1e-3, y_pred[..., 1]
    before = K.pow((y + 1e-7) / a, b)
    after = K.pow((y + 1.0) / a, b)
    likelihood = u * K.log(K.exp(after - before) - (1.0 - 1e-7)) - after
    return -1.0 * K.mean(K.clip(likelihood, -13.8, -1e-6), axis=-1)
""",
            at="K.exp(after - before)",
            hazard=Hazard.NAN,
            note="the clip hides the infinity, not its gradient",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def my_sigmoid(x):
    return 1 / (1 + tf.exp(-x))


layer = Dense(8, activation=my_sigmoid)
""",
            at="tf.exp(-x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def my_tanh(x):
    return 1.0 - 2.0 / (1.0 + K.exp(2.0 * x))


layer = Activation(my_tanh)
""",
            at="K.exp(2.0 * x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def poisson_loss(y_true, y_pred):
    return tf.reduce_mean(tf.exp(y_pred) - y_true * y_pred)
""",
            at="tf.exp(y_pred)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
import tensorflow as tf


class Linex(tf.keras.losses.Loss):
    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = slope

    def call(self, y_true, y_pred):
        off = self.slope * (y_true - y_pred)
        return tf.reduce_mean(tf.math.exp(off) - off - 1.0)
""",
            at="tf.math.exp(off)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Growth(Layer):
    def call(self, inputs):
        return ops.expm1(inputs)
""",
            at="ops.expm1(inputs)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
from tensorflow import exp as e
from tensorflow import reduce_mean


def swish_loss(y_true, y_pred):
    gate = y_pred / (1.0 + e(-y_pred))
    return reduce_mean(gate * gate - gate * y_true)
""",
            at="e(-y_pred)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.exp(-y * logits))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.exp(-y * logits)",
            hazard=Hazard.INF,
        ),
    )


def _is_infinite(view: View, hit: Hit) -> bool:
    """Return whether the operand of `hit` can be infinite on the side that overflows."""
    known = view.interval(hit.operand)
    return math.isinf(known.hi if hit.target.lo > 0 else known.lo)


def _is_quotient(view: View, node: Node, hit: Hit) -> bool:
    """Return whether an exponent is infinite by divisions alone: at any small divisor it is large.

    An epsilon in the divisor does not help there, so that this is told beside the division. Weights
    and settings do not come near 0 by chance.
    """
    if node.op not in {"exp", "expm1"}:
        return False
    found = {node.id: node for node in ancestors(view, hit.operand.id)}
    wide = {ident for ident in found if not _is_finite(view, ident)}
    first = [ident for ident in wide if not wide.intersection(found[ident].operands)]
    return bool(first) and all(
        found[ident].op in DIVISION and _is_computed(view, found[ident]) for ident in first
    )


def _is_computed(view: View, division: Node) -> bool:
    """Return whether anything but weights and settings goes into a divisor."""
    roles = {
        part.input.role
        for divisor in view.operands(division)[-1:]
        for part in ancestors(view, divisor.id)
        if part.input is not None
    }
    return bool(roles - {InputRole.PARAMETER, InputRole.VARIABLE})


def _is_finite(view: View, ident: int) -> bool:
    known = view.interval(ident)
    return math.isfinite(known.lo) and math.isfinite(known.hi)


def _divides(view: View, node: Node) -> bool:
    """Tell whether an exponential is a divisor, and can be 0 there."""
    users = view.users(node)
    return (
        len(users) == 1
        and users[0].op in DIVISION
        and any(
            hit.operand.id == node.id and hit.region.cause is Cause.ZERO
            for hit in view.hits(users[0])
        )
    )


def _stable(view: View, node: Node) -> str:
    """Return the hint for what an exponential is the first half of, or "" for the general one."""
    if node.op not in _EXPONENTIALS:
        return "Bound what goes in, e.g. with tf.clip_by_value, or compute with smaller numbers"
    if node.op != "exp":
        return ""
    following = descendants(view, node.id)[:_NEAR]
    if any(user.op in _DIVIDING and user.operands[-1:] != (node.id,) for user in following):
        return "Use tf.sigmoid or tf.tanh, which do not overflow"
    return ""
