"""ACT201: a step function where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import (
    Bad,
    Good,
    Gradient,
    Hazard,
    InputRole,
    Kind,
    Node,
    Remedy,
    Role,
    Rule,
    Safety,
    Suspect,
    View,
)

from ._common import (
    COMPARISON,
    DRAW,
    HELD,
    INDEX,
    STOP,
    cut,
    is_constant,
    is_numpy,
    of_gradients,
    shown,
)
from ._estimators import behind_estimators
from ._patterns import DIVIDE, linear_factor
from ._remedies import constant, only_user, replaced, straight_through

_ROUNDING = frozenset(
    {"ceil", "floor", "floordiv", "keras_round", "rint", "round", "sign", "trunc", "truncatediv"}
)
_EQUALITIES = frozenset({"equal", "not_equal"})
_OTHERS = frozenset({*DRAW, *HELD, *INDEX, *STOP})


def _may_be_classes(view: View, node: Node) -> bool:
    """Tell whether a cast gets, as it is, an input that may well hold classes or positions.

    It is what a call that cannot be followed returned, or one of several arguments of which none
    is known to be the label while another one carries the gradient. The cast then says what it is.
    """
    known = {each.input.role for each in view.graph.inputs if each.input is not None}
    guessed = view.has_gradient() and InputRole.LABEL not in known
    waiting = [each for each in view.operands(node) if view.depends_differentiably(each)]
    while waiting:
        current = waiting.pop()
        if current.input is not None:
            if current.input.role is not InputRole.CUT and not guessed:
                return False
        elif view.op(current).kind is Kind.STRUCTURAL:
            waiting += [
                each for each in view.operands(current) if view.depends_differentiably(each)
            ]
        else:
            return False
    return True


def _is_mask_of_ids(view: View, node: Node) -> bool:
    """Tell whether a layer asks which of the numbers that it is given equal another one.

    Real numbers are not asked that: they are ids, of words that pad a sequence for one.
    """
    moving = [each for each in view.operands(node) if view.depends_differentiably(each)]
    return view.graph.role is Role.LAYER and all(
        view.definition(each).input is not None for each in moving
    )


def _scaled_back(view: View, node: Node, operand: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``step(k * x) / k``, which stands for x as a whole."""
    factor, inner = linear_factor(view, operand)
    user = only_user(view, node)
    if factor == 1.0 or user is None:
        return
    by = constant(view, user, "y")
    back = by == factor if user.op in DIVIDE else user.op == "multiply" and by == 1.0 / factor
    if back:
        yield straight_through(user, user, inner)


class StepFunction(Rule):
    """A step function where a gradient has to pass.

    ## What it does
    Reports `round`, `floor`, `ceil`, `sign`, comparisons, casts by way of integers or booleans,
    hand-written Heaviside functions and `where` between constants, on the way from what is trained
    to what is minimised, also where what was rounded multiplies something else. A condition that
    only selects between differentiable branches, a mask that multiplies a differentiable value,
    and a straight-through estimator are not reported.

    ## Why is this bad?
    The derivative of a step is 0 wherever it exists. TensorFlow registers no gradient for most of
    them (the tape answers None) and zeros for `sign`. Keras raises an error only if *no* variable
    gets a gradient; otherwise everything in front of the step silently stays as initialised.

    ## How it is confirmed
    actlint runs the function with a GradientTape and finds that what goes into the step moves the
    output, while no gradient (None, or exact zeros on all samples) comes back.

    ## Example
    ```python
    def activation(x):
        return tf.where(x >= 0, 1.0, 0.0)
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.sigmoid(10.0 * x)
    ```

    ## Fix safety
    Unsafe: the value stays, but the straight-through estimator gives a gradient of 1 where the true
    one is 0. Whether that is meant, the author has to say.

    ## What it misses
    Steps inside functions that cannot be followed, casts to integers of an input of which nothing
    says that it is a prediction, and the sign of a gradient, which says where to go.

    ## References
    Bengio, Leonard and Courville, 2013: Estimating or Propagating Gradients Through Stochastic
    Neurons. TensorFlow API: tf.custom_gradient, tf.stop_gradient.
    """

    code: ClassVar[str] = "ACT201"
    name: ClassVar[str] = "step-function"
    hint: ClassVar[str] = (
        "Use a smooth step (tf.sigmoid(k * x)), or keep the step and let the gradient pass: "
        "x + tf.stop_gradient(step(x) - x)"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the steps at which the gradient dies."""
        cuts, estimated = view.cuts(), behind_estimators(view)
        for node in view.cuts(gates=True):
            # A factor that was rounded is no mask, unless the worker sees that nothing jumps.
            factor = node not in cuts
            if node.op in _OTHERS or is_numpy(view, node) or node.id in estimated:
                continue
            if factor and node.op not in _ROUNDING:
                continue
            if node.op == "cast" and _may_be_classes(view, node):
                continue
            if node.op in _EQUALITIES and _is_mask_of_ids(view, node):
                continue
            if of_gradients(view, node):
                continue  # signs that say where to go, as in an attack on an input
            if node.op in COMPARISON:
                reason = "compares, and no gradient passes through a comparison"
            elif view.op(node).gradient is Gradient.ZERO:
                reason = "is a step, whose registered gradient is 0 everywhere"
            else:
                reason = "is a step, and TensorFlow passes no gradient through it"
            suspect = cut(view, self.code, node, f"{shown(node)} {reason}")
            yield replace(suspect, provisional=suspect.provisional or factor)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Keep the step and let the gradient pass."""
        node = view.node(suspect.node)
        moving = [each for each in view.operands(node) if view.depends_differentiably(each)]
        if len(moving) != 1:
            return
        users = view.users(node)
        if node.op == "cast" and users and all(user.op == "cast" for user in users):
            # What is cast to integers and back is a step as a whole.
            for user in users:
                yield straight_through(user, user, moving[0])
        elif node.op not in COMPARISON:
            yield straight_through(node, node, moving[0])
            yield from _scaled_back(view, node, moving[0])
        if node.op in {"floordiv", "truncatediv"}:
            yield replaced(
                node,
                "{x} / {y}",
                "Divide without rounding",
                "values are not rounded any more",
                {"x": node.arg("x"), "y": node.arg("y")},
                safety=Safety.UNSAFE,
            )
        for user in view.users(node) if node.op in COMPARISON else ():
            fixed = [each for each in view.operands(user) if each.id != node.id]
            chosen = user.op == "where" and all(is_constant(view, each.id) for each in fixed)
            if user.op == "cast" or chosen:
                yield straight_through(user, user, moving[0])

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def train_step(model, optimizer, x, y, size=0.1):
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(x)
            clean = tf.reduce_mean(tf.square(y - model(x)))
        attacked = x + size * tf.sign(inner.gradient(clean, x))
        loss = clean + tf.reduce_mean(tf.square(y - model(attacked)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="the sign of a gradient says where to go: the fast gradient sign method",
        ),
        Good(
            """\
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential

net = Sequential([Dense(8, activation="relu", input_shape=(4,)), Dense(1)])


def robust_loss(y_true, y_pred):
    clean = K.mean(K.abs(y_true - y_pred))
    slope = K.gradients(clean, net.input)[0]
    attacked = K.stop_gradient(net.input + 0.1 * K.sign(slope))
    return clean + K.mean(K.abs(y_true - net(attacked)))


net.compile("rmsprop", loss=robust_loss)
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def gated(x):
    return x * tf.cast(x > 0, tf.float32)


layer = Dense(8, activation=gated)
""",
            note="ReLU by a mask",
        ),
        Good(
            """\
import tensorflow as tf


def straight_through(x):
    return x + tf.stop_gradient(tf.round(x) - x)


class Quantise(tf.keras.layers.Layer):
    def call(self, inputs):
        return straight_through(inputs)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Masked(Loss):
    def call(self, y_true, y_pred):
        mask = K.cast(K.greater(y_true, 0.5), "float32")
        return K.mean((1.0 + mask) * K.square(y_true - y_pred))
""",
            note="the comparison is made on the label",
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    under = tf.where(y_pred < y_true, 2.0, 1.0)
    return tf.reduce_mean(under * tf.square(y_true - y_pred))
""",
            note="the weight is a gate: the square carries the gradient",
        ),
        Good(
            """\
from keras import ops


def rounded_accuracy(y_true, y_pred):
    return ops.mean(ops.cast(ops.equal(y_true, ops.round(y_pred)), "float32"))


def compile_model(model):
    model.compile(optimizer="adam", loss="mse", metrics=[rounded_accuracy])
""",
            note="a metric needs no gradient",
        ),
        Good(
            """\
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.sigmoid(5.0 * x))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Head(tf.keras.Model):
    def loss(self, class_logits_list, matches_list):
        ids = tf.cast(tf.concat(matches_list, 0), "int64")
        logits = tf.concat(class_logits_list, 0)
        rows = tf.one_hot(ids, depth=logits.shape[-1])
        return tf.reduce_mean(
            tf.keras.losses.categorical_crossentropy(rows, logits, from_logits=True)
        )
""",
            note="the cast says which argument holds the classes",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def unit_step(x):
    return tf.where(x >= 0, 1.0, 0.0)


layer = Dense(8, activation=unit_step)
""",
            at="x >= 0",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Layer


class Binarise(Layer):
    def call(self, inputs):
        return tf.sign(inputs)
""",
            at="tf.sign(inputs)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def rounded_loss(y_true, y_pred):
    return K.mean(K.square(y_true - K.round(y_pred)))
""",
            at="K.round(y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Activation


def stairs(x):
    return ops.floor(4.0 * x) / 4.0


layer = Activation(stairs)
""",
            at="ops.floor(4.0 * x)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Levels(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        level = tf.cast(tf.cast(10.0 * y_pred, tf.int32), tf.float32)
        return tf.reduce_mean(tf.square(10.0 * y_true - level))
""",
            at="tf.cast(10.0 * y_pred, tf.int32)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Dense(4, activation=lambda x: tf.cast(x > 0.0, tf.float32))
""",
            at="x > 0.0",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1]))
output = tf.ceil(tf.matmul(x, w))
loss = tf.reduce_mean(tf.square(y - output))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            at="tf.ceil(tf.matmul(x, w))",
            hazard=Hazard.NO_GRADIENT,
        ),
    )
