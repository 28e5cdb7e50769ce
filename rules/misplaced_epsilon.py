"""ACT118: an epsilon that stands where it cannot protect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Hit, Node, Remedy, Rule, Safety, Suspect, View

from ._common import DIVISION, LOGARITHM, NORM, POWER, ROOT, condition, nonfinite, shown, singular
from ._epsilons import LARGEST_GUARD, short
from ._remedies import EPSILON, SQUARED_EPSILON, argument, norm, offset, ref, replaced

_SUMS = ("add",)


class MisplacedEpsilon(Rule):
    """An epsilon that stands where it cannot protect.

    ## What it does
    Reports roots, norms and logarithms to whose *result* a small constant is added
    (`tf.sqrt(x) + 1e-8`, `tf.math.log(p) + 1e-8`), and divisions, roots and logarithms of a sum
    `x + 1e-8` in which `x` can be negative.

    ## Why is this bad?
    After the root or the logarithm it is too late: the gradient of `sqrt` at 0 is infinite and
    `log(0)` is -inf, whatever is added to them. And added to a number of either sign an epsilon
    protects nothing: the pole has moved from 0 to -1e-8, and the logarithm is nan for all that is
    below.

    ## How it is confirmed
    actlint solves for the point where the expression is singular in spite of the epsilon, and sees
    an infinite or nan value or gradient start there.

    ## Example
    ```python
    def distance_loss(y_true, y_pred):
        return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred)) + 1e-8)
    ```

    ## Use instead
    ```python
    def distance_loss(y_true, y_pred):
        return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred) + 1e-8))
    ```

    ## Fix safety
    Unsafe: with the epsilon inside, values near the point change, as they should; the magnitude of
    a divisor, and a floor under any other argument, change what is negative.

    ## What it misses
    Constants above 1e-3, which may be part of the formula.

    ## References
    TensorFlow API: tf.sqrt, tf.math.log, tf.maximum, tf.math.divide_no_nan.
    """

    code: ClassVar[str] = "ACT118"
    name: ClassVar[str] = "misplaced-epsilon"
    hint: ClassVar[str] = "Add the epsilon inside: tf.sqrt(x + 1e-7), tf.math.log(p + 1e-7)"
    supersedes: ClassVar[tuple[str, ...]] = (
        "ACT101",
        "ACT103",
        "ACT104",
        "ACT105",
        "ACT106",
        "ACT109",
        "ACT111",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield singular expressions with an epsilon beside the point."""
        for node, hit in singular(view, *ROOT, *NORM, *LOGARITHM, *POWER, *DIVISION):
            signed = _signed(view, hit)
            if signed is not None:
                total, other, epsilon = signed
                suspect = nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(node)} is not protected by the {short(epsilon)} in {shown(total)}: "
                    f"{shown(other)} can be negative, so that the sum {condition(hit)}",
                    hint="Make the term non-negative before the epsilon is added: "
                    "tf.maximum(x, 1e-7), tf.abs(x) + 1e-7, or tf.math.divide_no_nan",
                )
                # Of a term that cannot be followed nothing says that it is ever negative.
                yield replace(suspect, provisional=True)
                continue
            outside = _outside(view, node)
            if outside is not None and node.op not in DIVISION:
                total, epsilon = outside
                suspect = nonfinite(
                    view,
                    self.code,
                    node,
                    hit,
                    f"{shown(node)} is not protected by the {short(epsilon)} that {shown(total)} "
                    f"adds to it: {shown(hit.operand)} {condition(hit)}",
                    hint=_ROOT_OF_SUM if node.op in NORM else "",
                )
                yield replace(suspect, guarded=True)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Move the epsilon inside; hold the term above 0 that it is added to."""
        node = view.node(suspect.node)
        hit = next((hit for each, hit in singular(view, node.op) if each.id == node.id), None)
        if hit is None:
            return
        signed = _signed(view, hit)
        if signed is not None:
            total, other, _ = signed
            if node.op in DIVISION:
                yield argument(
                    total,
                    other,
                    "tf.abs({x})",
                    "Take the magnitude of the term before the epsilon is added",
                    "values change where the term is negative: the divisor is positive there",
                )
            yield argument(
                total,
                other,
                "tf.maximum({x}, 0.0)",
                "Hold the term above 0 before the epsilon is added",
                "values change where the term is negative, and pass no gradient there",
            )
            return
        yield from _moved_inside(view, node, hit)
        yield from norm(view, node)
        yield from offset(view, node, hit.operand, SQUARED_EPSILON if node.op in ROOT else EPSILON)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred) + 1e-8))
"""
        ),
        Good(
            """\
import tensorflow as tf


def scaled(x):
    length = tf.sqrt(tf.reduce_sum(tf.square(x), axis=-1, keepdims=True) + 1e-12)
    return x / (length + 1e-8)


layer = tf.keras.layers.Lambda(scaled)
""",
            note="one epsilon for the root and one for the division",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def overlap_loss(y_true, y_pred):
    shared = K.sum(K.abs(y_true * y_pred))
    whole = K.sum(K.abs(y_true)) + K.sum(K.abs(y_pred))
    return 1 - 2 * shared / (whole + K.epsilon())
""",
            note="what the epsilon is added to is not negative",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Surprise(Loss):
    def call(self, y_true, y_pred):
        return -ops.mean(y_true * ops.log(ops.relu(y_pred) + 1e-7))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Compress(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.sqrt(tf.nn.softplus(inputs) + 1e-6) + 1e-6
""",
            note="the second epsilon is of no use and does no harm",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
error = tf.abs(y - tf.matmul(x, w))
loss = tf.reduce_mean(tf.log(error + 1e-6) + 1e-6)
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def distance_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred)) + 1e-8)
""",
            at="tf.sqrt(tf.square(y_true - y_pred))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Surprise(Loss):
    def call(self, y_true, y_pred):
        return -K.mean(y_true * (K.epsilon() + K.log(y_pred)))
""",
            at="K.log(y_pred)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Layer


class Unit(Layer):
    def call(self, inputs):
        length = tf.sqrt(tf.reduce_sum(inputs**2, axis=-1, keepdims=True))
        return inputs / (length + 1e-6)
""",
            at="tf.sqrt(tf.reduce_sum(inputs**2, axis=-1, keepdims=True))",
            hazard=Hazard.NAN,
            note="the division is safe, the gradient of the root is not",
        ),
        Bad(
            """\
import tensorflow as tf


def relative_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square((y_true - y_pred) / (y_true + y_pred + 1e-7)))
""",
            at="(y_true - y_pred) / (y_true + y_pred + 1e-7)",
            hazard=Hazard.INF,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Lambda

EPS = 1e-5


def log_scale(x):
    return ops.log(x + EPS)


layer = Lambda(log_scale)
""",
            at="ops.log(x + EPS)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Dense(8, activation=lambda x: x * tf.math.rsqrt(1e-6 + x))
""",
            at="tf.math.rsqrt(1e-6 + x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
length = tf.norm(tf.matmul(x, w) - y, axis=1) + 1e-10
loss = tf.reduce_mean(length)
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.norm(tf.matmul(x, w) - y, axis=1)",
            hazard=Hazard.NAN,
        ),
    )


_ROOT_OF_SUM = (
    "Write the root out and add the epsilon inside: tf.sqrt(tf.reduce_sum(tf.square(x)) + 1e-12), "
    "tf.sqrt(tf.math.reduce_variance(x) + 1e-6)"
)


def _signed(view: View, hit: Hit) -> tuple[Node, Node, float] | None:
    """Return the sum with an epsilon that `hit` is about, its other term, and the epsilon."""
    total = view.definition(hit.operand)
    if total.op not in _SUMS or hit.region.lo > 0.0 or hit.region.hi > 0.0:
        return None
    found = _epsilon(view, total)
    if found is None:
        return None
    other, epsilon = found
    known = view.interval(other)
    return (total, other, epsilon) if known.lo < 0.0 < known.hi else None


def _outside(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the sum that adds an epsilon to the value of `node`, and the epsilon."""
    for user in view.users(node):
        if user.op in _SUMS:
            found = _epsilon(view, user)
            if found is not None and view.reaches_output(user):
                return user, found[1]
    return None


def _epsilon(view: View, total: Node) -> tuple[Node, float] | None:
    """Return the other term of a sum with a small positive constant, and the constant."""
    for name, rest in (("x", "y"), ("y", "x")):
        value, other = view.static(total, name), view.operand(total, rest)
        if isinstance(value, float) and 0.0 < value <= LARGEST_GUARD and other is not None:
            return other, value
    return None


# The functions that an epsilon is moved into.
_CALLS = {"sqrt": "tf.sqrt", "keras_sqrt": "tf.sqrt", "log": "tf.math.log"}


def _moved_inside(view: View, node: Node, hit: Hit) -> Iterator[Remedy]:
    """Yield the remedy that adds the epsilon to the argument instead of the result."""
    outside, call = _outside(view, node), _CALLS.get(node.op)
    if outside is None or call is None or view.interval(hit.operand).lo < 0.0 or node.name:
        return  # the variable of the root may have other uses
    total, _ = outside
    side = "y" if total.arg("x") == ref(node) else "x"
    yield replaced(
        total,
        f"{call}({{x}} + {{epsilon}})",
        "Move the epsilon inside",
        "values change where the argument is not much larger than the epsilon",
        {"x": ref(hit.operand), "epsilon": total.arg(side)},
        safety=Safety.UNSAFE,
    )
