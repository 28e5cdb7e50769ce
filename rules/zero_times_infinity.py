"""ACT117: a factor of 0 that is meant to hide an infinity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Cause,
    Check,
    Good,
    Hazard,
    Hit,
    Kind,
    Node,
    Remedy,
    Rewrite,
    Rule,
    Safety,
    Settled,
    Suspect,
    Target,
    View,
)

from ._common import (
    COMPARISON,
    DIVISION,
    LOGARITHM,
    NORM,
    POWER,
    ROOT,
    condition,
    nonfinite,
    shown,
    singular,
)
from ._remedies import no_nan, selected_argument
from ._stable import stable
from ._surgery import selected

_LOGICAL = ("logical_and", "logical_or", "logical_not")
_CASTS = frozenset({"cast", "identity", "to_float", "cast_to_floatx"})
_FARTHEST = 6  # ops between a singular expression and the factor that hides it
_MAX_TRIED = 6


class ZeroTimesInfinity(Rule):
    """A factor of 0 that is meant to hide an infinity.

    ## What it does
    Reports logarithms, divisions, roots and powers that are singular just where a later factor is
    0: `mask * tf.math.log(p)` with `mask = tf.cast(p > 0, tf.float32)`, and `p * tf.math.log(p)`.
    Reports products with a constant infinity, too.

    ## Why is this bad?
    A product hides nothing: `0 * inf` is nan, in the value and once more in the gradient, where
    the infinite slope is multiplied by the 0 that comes back. So the masked elements, which were
    to be left out, are those that break the loss. `tf.math.multiply_no_nan` mends the value and
    not the gradient.

    A mask made by `(1 - mask) * float("-inf")` is nan for the elements that are to be kept.

    ## How it is confirmed
    The static pass puts `tf.where` in place of the product: the singular point is then never
    selected, so the factor was meant to hide it. TensorFlow runs the expression at the point and
    sees the infinity start there and nan come out.

    ## Example
    ```python
    def entropy_loss(y_true, y_pred):
        known = tf.cast(y_true > 0, tf.float32)
        return -tf.reduce_mean(known * tf.math.log(y_true) * y_pred)
    ```

    ## Use instead
    ```python
    def entropy_loss(y_true, y_pred):
        safe = tf.where(y_true > 0, y_true, 1.0)
        return -tf.reduce_mean(tf.math.log(safe) * y_pred)
    ```

    ## Fix safety
    `tf.math.xlogy`, `tf.math.divide_no_nan` and a `tf.where` on the argument are safe: they change
    what is computed only where the factor is 0. -1e9 in the place of an infinite constant is
    unsafe, since it can be added to.

    ## What it misses
    Masks that come from outside the function: nothing says that they are 0 where it matters.

    ## References
    TensorFlow API: tf.where, tf.math.xlogy, tf.math.divide_no_nan.
    """

    code: ClassVar[str] = "ACT117"
    name: ClassVar[str] = "zero-times-infinity"
    hint: ClassVar[str] = (
        "Select the input, not the product: y = tf.where(mask, x, 1.0), and the function of y"
    )
    supersedes: ClassVar[tuple[str, ...]] = (
        "ACT101",
        "ACT103",
        "ACT104",
        "ACT105",
        "ACT106",
        "ACT111",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield singular expressions that a factor of 0 is meant to hide."""
        for node, hit in singular(view, *LOGARITHM, *DIVISION, *ROOT, *NORM, *POWER):
            hiding = _hiding(view, node, hit)
            if hiding is None:
                continue
            factor, product = hiding
            yield nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(product)} hides nothing: where {shown(factor)} is 0, {shown(node)} is "
                f"not finite ({shown(hit.operand)} {condition(hit)}), and 0 * inf is nan",
                hint=_hint(view, node, hit, factor),
            )

        for node in view.nodes("multiply"):
            infinite = _infinite(view, node)
            if infinite is not None:
                factor, constant = infinite
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} is nan where {shown(factor)} is 0, because "
                    f"0 * {constant} is",
                    check=Check.INDETERMINATE,
                    targets=(Target(factor.id, 0.0, 0.0),),
                    hint="Select with tf.where(mask, x, -1e9) instead of multiplying",
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Call the function that is 0 there; else select the argument by the mask's condition."""
        node = view.node(suspect.node)
        if node.op == "multiply":
            yield from _finite(view, node)
            return
        found = next(
            (
                (hit, hiding)
                for each, hit in singular(view, node.op)
                if each.id == node.id and (hiding := _hiding(view, node, hit)) is not None
            ),
            None,
        )
        if found is None:
            return
        hit, (factor, _) = found
        chosen = _condition(view, factor)
        if chosen is None:
            yield from stable(view, node, "xlogx", "xlogy")
            return
        yield from (
            each for each in no_nan(view, node, Settled.GIVEN) if each.safety is Safety.SAFE
        )
        yield from selected_argument(view, node, hit.operand, chosen)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def entropy_loss(y_true, y_pred):
    safe = tf.where(y_true > 0, y_true, 1.0)
    return -tf.reduce_mean(tf.math.log(safe) * y_pred)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Divergence(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        p = tf.clip_by_value(y_true, 1e-7, 1.0)
        q = tf.clip_by_value(y_pred, 1e-7, 1.0)
        return tf.reduce_sum(p * tf.math.log(p) - p * tf.math.log(q), axis=-1)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def masked_loss(y_true, y_pred):
    mask = K.cast(K.greater(y_true, 0.0), "float32")
    error = K.abs(y_true - y_pred) / (K.abs(y_true) + 1e-3)
    return K.mean(mask * error)
""",
            note="what the mask hides is finite",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Surprise(Layer):
    def call(self, inputs):
        p = ops.softmax(inputs)
        return -ops.sum(p * ops.log_softmax(inputs), axis=-1)
"""
        ),
        Good(
            """\
import tensorflow as tf


def root_unit(x):
    positive = tf.cast(x > 0, x.dtype)
    return positive * tf.sqrt(tf.maximum(x, 1e-6))


layer = tf.keras.layers.Lambda(root_unit)
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
out = tf.nn.softplus(tf.matmul(x, w))
ratio = tf.div_no_nan(y, out)
loss = tf.reduce_mean(tf.to_float(out > 0) * tf.square(ratio - 1.0))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def log_loss(y_true, y_pred):
    known = tf.cast(y_true > 0, tf.float32)
    return -tf.reduce_mean(known * tf.math.log(y_true) * y_pred)
""",
            at="tf.math.log(y_true)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class Compress(Layer):
    def call(self, inputs):
        mask = K.cast(inputs > 0, K.floatx())
        return mask * K.log(inputs)
""",
            at="K.log(inputs)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def entropy_loss(y_true, y_pred):
    entropy = -tf.reduce_sum(y_pred * tf.math.log(y_pred), axis=-1)
    return tf.reduce_mean(0.1 * entropy + tf.reduce_sum(tf.abs(y_true - y_pred), axis=-1))
""",
            at="tf.math.log(y_pred)",
            hazard=Hazard.NAN,
            note="the limit is 0, the product nan",
        ),
        Bad(
            """\
import tensorflow as tf


def relative(eps):
    def loss(y_true, y_pred):
        seen = tf.cast(tf.abs(y_true) > eps, tf.float32)
        error = tf.abs(y_true - y_pred) / tf.abs(y_true)
        return tf.reduce_mean(error * seen)

    return loss


def build(model):
    model.compile("sgd", loss=relative(1e-3))
""",
            at="tf.abs(y_true - y_pred) / tf.abs(y_true)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Divergence(Loss):
    def call(self, y_true, y_pred):
        q = K.clip(y_pred, K.epsilon(), 1.0)
        return K.sum(y_true * K.log(y_true / q), axis=-1)
""",
            at="K.log(y_true / q)",
            hazard=Hazard.NAN,
            note="one-hot labels are 0 nearly everywhere",
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Lambda

layer = Lambda(lambda x: ops.cast(ops.not_equal(x, 0.0), "float32") * ops.reciprocal(x))
""",
            at="ops.reciprocal(x)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
out = tf.nn.relu(tf.matmul(x, w))
gain = tf.to_float(tf.greater(out, 0.0)) * tf.log(out)
loss = tf.reduce_mean(tf.square(y - gain))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.log(out)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Attend(tf.keras.layers.Layer):
    def call(self, scores, allowed):
        penalty = (1.0 - tf.cast(allowed, tf.float32)) * float("-inf")
        return tf.nn.softmax(scores + penalty)
""",
            at='(1.0 - tf.cast(allowed, tf.float32)) * float("-inf")',
            hazard=Hazard.NAN,
            note="0 * -inf, for all that is allowed",
        ),
    )


def _hiding(view: View, node: Node, hit: Hit) -> tuple[Node, Node] | None:
    """Return the factor that is 0 wherever `node` meets `hit`, and the product, or None."""
    tried = 0
    for product, other in _products(view, node):
        factor, term = (
            view.operand(product, "y" if other == "x" else "x"),
            view.operand(product, other),
        )
        if factor is None or term is None or not view.interval(factor).contains(0.0):
            continue
        # `x / y * y` hides nothing on purpose; `p * log(p)` is written for its limit.
        if _condition(view, factor) is None:
            if node.op not in LOGARITHM:
                continue
            if _vanishes_with(view, hit, factor):
                return factor, product
        tried += 1
        if tried > _MAX_TRIED:
            break
        if _is_hidden(view, (product, factor), term, node, hit):
            return factor, product
    return None


def _infinite(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the factor beside a constant infinity if it can be 0, and the constant, or None."""
    for name, rest in (("x", "y"), ("y", "x")):
        value, factor = view.static(node, name), view.operand(node, rest)
        if isinstance(value, float) and math.isinf(value) and factor is not None:
            return (factor, value) if view.interval(factor).contains(0.0) else None
    return None


def _vanishes_with(view: View, hit: Hit, factor: Node) -> bool:
    """Return whether the operand of a logarithm is 0 where the factor is: p, or p / q."""
    if hit.region.cause is not Cause.ZERO:
        return False
    term = view.definition(hit.operand)
    if term.op in {"divide", "div"}:
        below = view.operand(term, "y")
        above = view.operand(term, "x")
        if below is None or above is None or view.interval(below).lo <= 0.0:
            return False
        term = above
    return view.same_value(term, factor)


def _products(view: View, node: Node) -> Iterator[tuple[Node, str]]:
    """Yield products that the elements of `node` go into, and the side on which they do."""
    waiting, seen = [(node, 0)], {node.id}
    while waiting:
        current, steps = waiting.pop(0)
        for user in view.users(current):
            if user.op == "multiply":
                sides = [
                    name
                    for name in ("x", "y")
                    if (term := view.operand(user, name)) is not None and term.id == current.id
                ]
                if len(sides) == 1:
                    yield user, sides[0]
            moves = user.op and view.op(user).kind in (Kind.ELEMENTWISE, Kind.STRUCTURAL)
            if moves and user.id not in seen and steps < _FARTHEST:
                seen.add(user.id)
                waiting.append((user, steps + 1))


def _is_hidden(view: View, pair: tuple[Node, Node], term: Node, node: Node, hit: Hit) -> bool:
    """Return whether `tf.where(factor != 0, term, 0)` in place of the product would mask `hit`."""
    product, factor = pair
    known = _condition(view, factor)
    changed = View(selected(view.graph, product, known or factor, term, test=known is None))
    return not any(
        not later.masked and later.region.cause == hit.region.cause
        for later in changed.hits(node.id + 1 if node.id >= product.id else node.id)
    )


def _condition(view: View, factor: Node) -> Node | None:
    """Return the condition that a mask is cast from, or None."""
    node = factor
    while node.op in _CASTS:
        inner = next(iter(view.operands(node)), None)
        if inner is None:
            return None
        node = inner
    return node if node.op in (*COMPARISON, *_LOGICAL) else None


def _hint(view: View, node: Node, hit: Hit, factor: Node) -> str:
    """Return the function that a product with a logarithm stands for, or ""."""
    if node.op in {"log", "np_log"} and view.same_value(factor, hit.operand):
        return "Use tf.math.xlogy(x, tf.maximum(x, 1e-7)), which is 0 at 0"
    if node.op in LOGARITHM and _vanishes_with(view, hit, factor):
        return "Use tf.math.xlogy(p, p) - p * tf.math.log(q), or tf.keras.losses.KLDivergence"
    return ""


def _finite(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that multiplies by a large number and not by an infinity."""
    infinite = _infinite(view, node)
    if infinite is not None:
        _, value = infinite
        large = "-1e9" if value < 0.0 else "1e9"
        yield Remedy(
            f"Write {large} for the infinity",
            "the product is finite, and 0 where it was nan",
            Safety.UNSAFE,
            (Rewrite(value, large, (), node.id),),
        )
