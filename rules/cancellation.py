"""ACT113: a difference that loses its digits, magnified by what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Interval,
    Kind,
    Node,
    Remedy,
    Rule,
    Safety,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import DIVISION, LOGARITHM, POWER, ROOT, ancestors, is_constant, shown
from ._stable import DIGITS, stable

_MAGNIFIERS = frozenset({*DIVISION, "divide_no_nan", *LOGARITHM, *ROOT, *POWER})
_QUOTIENTS = frozenset({"div", "divide", "divide_no_nan", "np_divide", "np_true_divide"})
# Ops whose result has all the digits of their operands.
_EXACT = frozenset(
    {"abs", "relu", "negative", "maximum", "minimum", "clip_by_value", "clip", "cast", "identity"}
)
_REDUCTIONS = frozenset({"reduce_mean", "reduce_sum", "reduce_max", "reduce_min"})
_FARTHEST = 8  # ops between a difference and what magnifies it


class Cancellation(Rule):
    """A difference that loses its digits, magnified by what follows.

    ## What it does
    Reports differences of two computed, nearly equal terms (`tf.exp(x) - 1`, `1 - tf.cos(x)`,
    `E[x**2] - E[x]**2`) and logarithms near 1 (`tf.math.log(1 + x)`), where a division, a root or
    a logarithm magnifies the rounding error of what is left.

    ## Why is this bad?
    Both terms carry seven digits. Where the first six agree, one digit of the difference is right;
    where all agree, the difference is 0 or pure rounding error. Alone that is harmless, because
    the error is as small as the terms' last digit. Divided by an equally small number it is not:
    `(exp(x) - 1) / x` has a gradient of 0.5 at 0, and float32 computes anything from -100 to 100.

    ## How it is confirmed
    actlint runs the same program in float64 with the same float32 inputs. The operands of the
    difference agree, the difference is off by a tenth or more, and so is the gradient that
    training takes (of activations and layers: or the output), measured against its usual size.
    With the accurate difference in its place the error goes away. Inputs are those of training,
    points around the one where the terms are equal, and batches far from 0 with little spread.

    ## Example
    ```python
    def relative_growth(x):
        return tf.math.divide_no_nan(tf.exp(x) - 1.0, x)
    ```

    ## Use instead
    ```python
    def relative_growth(x):
        return tf.math.divide_no_nan(tf.math.expm1(x), x)
    ```

    ## Fix safety
    `tf.math.log1p`, `tf.math.expm1`, `tf.math.reduce_variance` and the half-angle forms of cosine
    and sigmoid are safe: they are the same functions, with the digits that were lost.
    Where so much is lost further on that the results cannot be compared, they are unsafe.

    ## What it misses
    Differences of a value and its own mean, which cannot be had better, and differences with an
    input. Differences whose error stays as small as it is, such as `tf.exp(x) - 1` in an ELU: the
    last digit of an output does not keep a network from learning.

    ## References
    Higham, Accuracy and Stability of Numerical Algorithms, 2002, sections 1.7 to 1.14.
    TensorFlow API: tf.math.expm1, tf.math.log1p, tf.math.reduce_variance, tf.nn.moments.
    """

    code: ClassVar[str] = "ACT113"
    name: ClassVar[str] = "catastrophic-cancellation"
    hint: ClassVar[str] = (
        "Compute the difference as one function, such as tf.math.expm1, tf.math.log1p, "
        "tf.math.reduce_variance or tf.math.squared_difference"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield magnified differences of nearly equal terms."""
        for node in view.nodes("subtract", "add", "log"):
            if not view.on_gradient_path(node):
                continue
            terms = _difference(view, node)
            if terms is None:
                continue
            magnifier = _magnifier(view, node)
            if magnifier is None:
                continue
            what, target = terms
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{what}, and {shown(magnifier)} magnifies the rounding error that is left",
                check=Check.PRECISION,
                targets=(target,),
                severity=Severity.WARNING,
                provisional=True,
                hint=_hint(view, node),
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Write the function that computes the difference in one go."""
        node = view.node(suspect.node)
        for found in stable(view, node, *DIGITS):
            yield found
            reason = "what rounding the magnified difference leaves is another number"
            yield replace(found, safety=Safety.UNSAFE, reason=reason)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def growth(x):
    return tf.math.divide_no_nan(tf.math.expm1(tf.minimum(x, 20.0)), x)


layer = tf.keras.layers.Dense(8, activation=growth)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def my_elu(x):
    return K.switch(x > 0, x, K.exp(K.minimum(x, 0.0)) - 1.0)


layer = Dense(8, activation=my_elu)
""",
            note="the error stays in the last digit of the output",
        ),
        Good(
            """\
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def call(self, inputs):
        mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5)
"""
        ),
        Good(
            """\
import tensorflow as tf


def cosine_loss(y_true, y_pred):
    cosine = tf.reduce_sum(
        tf.math.l2_normalize(y_true, -1) * tf.math.l2_normalize(y_pred, -1), axis=-1
    )
    return tf.reduce_mean(1.0 - cosine)
""",
            note="a loss that is small is no defect, and its gradient is accurate",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Relative(Loss):
    def call(self, y_true, y_pred):
        off = ops.sigmoid(y_pred) - y_true
        return ops.mean(ops.square(off) / (ops.abs(y_true) + 1.0))
""",
            note="the divisor is not small",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.zeros([4, 1]))
out = tf.matmul(x, w)
loss = tf.reduce_mean(tf.square(out - y) / (tf.square(y) + 1.0))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def growth(x):
    return tf.math.divide_no_nan(tf.exp(tf.minimum(x, 20.0)) - 1.0, x)


layer = tf.keras.layers.Dense(8, activation=growth)
""",
            at="tf.exp(tf.minimum(x, 20.0)) - 1.0",
            hazard=Hazard.INACCURATE,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda


def bend(x):
    return (1.0 - K.cos(x)) / (K.square(x) + 1e-12)


layer = Lambda(bend)
""",
            at="1.0 - K.cos(x)",
            hazard=Hazard.INACCURATE,
        ),
        Bad(
            """\
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        square = tf.reduce_mean(inputs**2, axis=-1, keepdims=True)
        variance = tf.maximum(square - mean**2, 0.0)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5)
""",
            at="square - mean**2",
            hazard=Hazard.INACCURATE,
            note="near a mean of 1000 the variance is rounding error",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class LogRatio(Layer):
    def call(self, inputs):
        size = ops.abs(inputs)
        return ops.log(1.0 + size) / (size + 1e-9)
""",
            at="ops.log(1.0 + size)",
            hazard=Hazard.INACCURATE,
            note="log1p keeps the digits",
        ),
        Bad(
            """\
import tensorflow as tf


def make_rise(scale):
    def rise(x):
        above = tf.sqrt(scale + tf.square(x)) - 1.0
        return above / (tf.square(x) + 1e-10)

    return rise


layer = tf.keras.layers.Lambda(make_rise(1.0))
""",
            at="tf.sqrt(scale + tf.square(x)) - 1.0",
            hazard=Hazard.INACCURATE,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.ones([4, 4]))
z = tf.matmul(x, w)
kept = tf.where(tf.abs(z) < 1e-6, tf.ones_like(z), z)
loss = tf.reduce_mean(tf.square((tf.sigmoid(kept) - 0.5) / kept - y))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.sigmoid(kept) - 0.5",
            hazard=Hazard.INACCURATE,
        ),
    )


def _difference(view: View, node: Node) -> tuple[str, Target] | None:
    """Return what cancels in `node`, as a main clause, and where to aim; None if nothing does."""
    if node.op == "log":
        return _near_one(view, node)
    first, second = (view.operand(node, name) for name in ("x", "y"))
    one, two = (_interval(view, node, name) for name in ("x", "y"))
    if one is None or two is None:
        return None
    if node.op == "add":
        two = two.neg()
    lo, hi = max(one.lo, two.lo), min(one.hi, two.hi)
    if lo > hi or max(abs(lo), abs(hi)) == 0.0:
        return None
    if not any(_rounded(view, term) for term in (first, second)):
        return None
    # A shift by one's own mean or maximum is how to keep digits, and inputs are as they are.
    if first is not None and second is not None:
        pair = (first, second)
        if any(_is_input(view, term) for term in pair):
            return None
        if _reduces(view, first, second) or _reduces(view, second, first):
            return None
    return f"the terms of {shown(node)} can agree in most digits", Target(node.id, 0.0, 0.0)


def _is_input(view: View, term: Node) -> bool:
    return view.definition(term).input is not None


def _reduces(view: View, reduction: Node, term: Node) -> bool:
    """Return whether a value is a mean, maximum or the like of `term`."""
    return any(
        view.same_value(found, term)
        for found in ancestors(view, reduction.id)
        if found.id != reduction.id
    )


def _near_one(view: View, node: Node) -> tuple[str, Target] | None:
    operand = view.operand(node, "x")
    if operand is None:
        return None
    total = view.definition(operand)
    if total.op not in {"add", "subtract"} or not view.interval(total).contains(1.0):
        return None
    if not any(view.static(total, name) == 1 for name in ("x", "y")):
        return None
    return (
        f"{shown(total)} in {shown(node)} drops the digits of what is added to 1",
        Target(total.id, 1.0, 1.0),
    )


def _interval(view: View, node: Node, name: str) -> Interval | None:
    """Return the interval of a term, be it a node or a number."""
    term = view.operand(node, name)
    if term is not None:
        return view.interval(term)
    value = view.static(node, name)
    return Interval(value, value) if isinstance(value, int | float) else None


def _rounded(view: View, term: Node | None) -> bool:
    """Return whether a term carries a rounding error of its own."""
    while term is not None:
        term = view.definition(term)
        if term.op in _EXACT or (term.op and view.op(term).kind is Kind.STRUCTURAL):
            term = next(iter(view.operands(term)), None)
            continue
        return bool(term.op) and not is_constant(view, term.id)
    return False


def _magnifier(view: View, node: Node) -> Node | None:
    """Return the nearest op that makes a small error of `node` large, or None."""
    waiting = [(node, 0)]
    seen = set[int]()
    while waiting:
        current, steps = waiting.pop(0)
        for user in view.users(current):
            if user.id in seen or not user.op or not view.on_gradient_path(user):
                continue
            seen.add(user.id)
            if user.op in _MAGNIFIERS and _magnifies(view, user, current):
                return user
            kind = view.op(user).kind
            passes = kind in (Kind.ELEMENTWISE, Kind.STRUCTURAL) or user.op in _REDUCTIONS
            if passes and steps < _FARTHEST:
                waiting.append((user, steps + 1))
    return None


def _magnifies(view: View, user: Node, term: Node) -> bool:
    """Return whether `user` is steep where `term` is small, or divides it by something small."""
    above = view.operand(user, "x")
    if user.op in _QUOTIENTS and above is not None and above.id == term.id:
        below = view.operand(user, "y")
        if below is None:
            return False
        known = view.interval(below)
        return known.intersects(-_SMALL, _SMALL)
    known = view.interval(term)
    return known.intersects(-_SMALL, _SMALL)


# A divisor that is never nearer to 0 than this does not magnify much.
_SMALL = 1e-2


def _hint(view: View, node: Node) -> str:
    """Return the function that computes the difference in one go, or "" if none is known."""
    if node.op == "log":
        return "Use tf.math.log1p(x) for log(1 + x)"
    terms = [view.definition(term) for term in view.operands(node)]
    ops = {term.op for term in terms}
    if "exp" in ops:
        return "Use tf.math.expm1(x) for exp(x) - 1"
    if "cos" in ops:
        return "Use 2 * tf.sin(x / 2) ** 2 for 1 - cos(x)"
    if "sigmoid" in ops:
        return "Use tf.sigmoid(-x) for 1 - sigmoid(x), 0.5 * tf.tanh(x / 2) for sigmoid(x) - 0.5"
    if "sqrt" in ops:
        return "Use x / (tf.sqrt(1 + x) + 1) for sqrt(1 + x) - 1"
    if ops & {"reduce_mean", "reduce_sum"}:
        return "Use tf.math.reduce_variance or tf.nn.moments, which subtract the mean first"
    return ""
