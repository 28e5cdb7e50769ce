"""ACT518: a threshold for the size of an error that is compared with the error itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Role,
    Rule,
    Safety,
    Severity,
    Suspect,
    View,
)

from ._common import number, shown
from ._remedies import constant, ref, replaced
from ._targets import agreeing

_ORDERS: Final = ("greater", "greater_equal", "less", "less_equal", "maximum", "minimum")


class OneSidedThreshold(Rule):
    """A threshold for the size of an error that is compared with the error itself.

    ## What it does
    Reports a loss of one label and one prediction that compares their signed difference with a
    number other than 0, and bends there: Huber's loss and its relatives without `tf.abs`.

    ## Why is this bad?
    Huber's loss is quadratic for small errors and linear for large ones, so that outliers do not
    pull too hard. Without the absolute value all errors of one sign are small ones: their loss
    stays quadratic however large they are, outliers on that side pull as hard as ever, and the
    network leans to it. Near 0 nothing can be seen of it.

    ## How it is confirmed
    actlint computes the loss for predictions that are too large and as much too small. Within the
    threshold both are the same; beyond it they differ, while value and slope meet at the
    threshold itself. A loss whose pieces do not meet, or that differs near 0 as well, weighs the
    two sides on purpose, and is not reported.

    ## Example
    ```python
    def huber(y_true, y_pred):
        error = y_true - y_pred
        return tf.where(error < 1.0, 0.5 * tf.square(error), tf.abs(error) - 0.5)
    ```

    ## Use instead
    ```python
    def huber(y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        return tf.where(error < 1.0, 0.5 * tf.square(error), error - 0.5)
    ```

    ## Fix safety
    The absolute value of the error is unsafe: the loss of large errors of one sign is another one.
    A negative threshold would have to change its sign, too, and is left to the author.

    ## What it misses
    Thresholds of scaled errors, of labels with a range, and losses with several labels or
    predictions.

    ## References
    Huber, 1964: Robust estimation of a location parameter. TensorFlow API: tf.keras.losses.Huber.
    """

    code: ClassVar[str] = "ACT518"
    name: ClassVar[str] = "one-sided-threshold"
    hint: ClassVar[str] = (
        "Compare the size of the error with the threshold, tf.abs(y_true - y_pred), or take "
        "tf.keras.losses.Huber"
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.LOSS})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield comparisons of a signed error with a number."""
        if agreeing(view) is None:
            return
        for node in view.nodes(*_ORDERS):
            found = _compared(view, node)
            if found is not None and view.reaches_output(node):
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} compares an error with {number(found[1])}, and not its "
                    "size, so that errors of one sign are never too large, unless that is meant",
                    check=Check.ONE_SIDED,
                    threshold=abs(found[1]),
                    severity=Severity.WARNING,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Take the absolute value of the error."""
        found = _compared(view, view.node(suspect.node))
        # Below a negative threshold there is no size.
        if found is not None and found[1] > 0.0:
            yield replaced(
                found[0],
                "tf.abs({x})",
                "Take the absolute value of the error",
                "the loss of large errors of one sign becomes that of the other sign",
                {"x": ref(found[0])},
                safety=Safety.UNSAFE,
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def huber_loss(y_true, y_pred, delta=1.0):
    error = tf.abs(y_true - y_pred)
    return tf.where(error <= delta, 0.5 * tf.square(error), delta * error - 0.5 * delta**2)
""",
            note="the size of the error",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def careful_loss(y_true, y_pred):
    error = y_true - y_pred
    late = K.cast(K.greater(error, 2.0), "float32")
    return K.mean((1.0 + 9.0 * late) * K.square(error), axis=-1)
""",
            note="large errors of one sign weigh more on purpose",
        ),
        Good(
            """\
import tensorflow as tf


class Expectile(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return tf.reduce_mean(tf.where(error > 0.0, 0.9, 0.1) * tf.square(error), axis=-1)
""",
            note="a threshold of 0 asks for the sign",
        ),
        Good(
            """\
import tensorflow as tf


def clipped_loss(y_true, y_pred):
    error = tf.minimum(tf.maximum(y_true - y_pred, -2.0), 2.0)
    return tf.reduce_mean(tf.square(error) + 0.1 * tf.abs(y_true - y_pred), axis=-1)
""",
            note="bounded on both sides",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Huber(Loss):
    def call(self, y_true, y_pred):
        error = ops.subtract(y_pred, y_true)
        small = ops.logical_and(error < 1.5, error > -1.5)
        return ops.mean(
            ops.where(small, 0.5 * ops.square(error), 1.5 * ops.abs(error) - 1.125), axis=-1
        )
""",
            note="compared on both sides",
        ),
        Good(
            """\
import tensorflow as tf


def linex_loss(y_true, y_pred):
    error = tf.minimum(y_pred - y_true, 20.0)
    return tf.reduce_mean(tf.exp(error) - error - 1.0, axis=-1)
""",
            note="asymmetric everywhere, with a guard against overflow",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def huber_loss(y_true, y_pred):
    error = y_true - y_pred
    small = 0.5 * tf.square(error)
    return tf.reduce_mean(tf.where(error < 1.0, small, tf.abs(error) - 0.5), axis=-1)
""",
            at="error < 1.0",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


class Huber(tf.keras.losses.Loss):
    def __init__(self, delta=2.0):
        super().__init__()
        self.delta = delta

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        quadratic = 0.5 * tf.square(error)
        linear = self.delta * error - 0.5 * self.delta**2
        return tf.reduce_mean(tf.where(error <= self.delta, quadratic, linear), axis=-1)
""",
            at="error <= self.delta",
            hazard=Hazard.WRONG_LOSS,
            note="a setting",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def smooth_l1(y_true, y_pred):
    difference = y_pred - y_true
    small = K.cast(K.less(difference, 1.0), "float32")
    loss = small * 0.5 * K.square(difference) + (1.0 - small) * (difference - 0.5)
    return K.mean(loss, axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=smooth_l1)
""",
            at="K.less(difference, 1.0)",
            hazard=Hazard.WRONG_LOSS,
            note="selected by a mask",
        ),
        Bad(
            """\
import tensorflow as tf


def bounded_loss(y_true, y_pred):
    error = tf.subtract(y_true, y_pred)
    quadratic = tf.minimum(error, 1.0)
    return tf.reduce_mean(0.5 * quadratic**2 + (error - quadratic))
""",
            at="tf.minimum(error, 1.0)",
            hazard=Hazard.WRONG_LOSS,
            note="what is beyond the threshold counts linearly",
        ),
        Bad(
            """\
from keras import ops


def make_loss(delta):
    def loss(y_true, y_pred):
        gap = y_true - y_pred
        far = delta * (ops.abs(gap) - 0.5 * delta)
        return ops.mean(ops.where(gap > delta, far, 0.5 * ops.square(gap)), axis=-1)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=make_loss(0.5))
""",
            at="gap > delta",
            hazard=Hazard.WRONG_LOSS,
            note="a closure",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(
    optimizer="adam",
    loss=lambda t, p: tf.where(p - t < -2.0, 2.0 * tf.abs(p - t) - 2.0, 0.5 * (p - t) ** 2),
)
""",
            at="p - t < -2.0",
            hazard=Hazard.WRONG_LOSS,
            note="on the other side",
        ),
    )


def _compared(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the difference of label and prediction that is compared with a number, and that."""
    pair = agreeing(view)
    for one, other in (("x", "y"), ("y", "x")):
        error, limit = view.operand(node, one), constant(view, node, other)
        found = None if error is None else view.definition(error)
        if pair is None or found is None or found.op != "subtract" or not limit:
            continue
        if {view.definition(each) for each in view.operands(found)} == set(pair):
            return found, limit
    return None
