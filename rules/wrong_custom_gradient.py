"""ACT207: a custom gradient that is not that of its function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    InputRole,
    Items,
    Node,
    Ref,
    Remedy,
    Role,
    Rule,
    Safety,
    Suspect,
    Undecorate,
    View,
)

from ._common import COMPARISON, ancestors, shown

_CLAIM = "custom_gradient"
_LOGICAL = ("logical_and", "logical_not", "logical_or", "logical_xor")
_RANDOM = ("dropout", "random", "truncated_normal")


class WrongCustomGradient(Rule):
    """A custom gradient that is not that of its function.

    ## What it does
    Reports functions under `tf.custom_gradient`, as a decorator or a call, whose gradient is not
    the derivative of their value: a factor, a sign or the upstream gradient left out, zeros or
    None for a value that is not constant, more or fewer gradients than arguments. What custom
    gradients are for is not reported: straight-through estimators and surrogates of steps, gradient
    reversal, scaling and clipping behind an identity, gates on the sign of the upstream gradient
    (guided backpropagation), smooth stand-ins for the gradient of ReLU.

    ## Why is this bad?
    TensorFlow believes what the function says and never compares. The value is right, so that the
    loss looks plausible, but every weight in front of the function moves in a wrong direction or
    at a wrong pace. Too few or too many gradients raise an error, when the gradient is first taken.

    ## How it is confirmed
    actlint computes the value at typical inputs and a little to the left and to the right of each,
    in float64. Where both sides give the same slope, other than 0, the gradient function is called
    with positive and with negative upstream gradients. It is wrong if it differs by more than a
    tenth from the slope, for both signs, at a quarter of these points.

    ## Example
    ```python
    @tf.custom_gradient
    def square(x):
        def grad(upstream):
            return 2.0 * x

        return tf.square(x), grad
    ```

    ## Use instead
    ```python
    @tf.custom_gradient
    def square(x):
        def grad(upstream):
            return upstream * 2.0 * x

        return tf.square(x), grad
    ```

    ## Fix safety
    Unsafe: values stay, and the gradient becomes that of the value. Another one that is meant, for
    speed or for stability, has to be mended by hand.

    ## What it misses
    Functions that return several values, that multiply matrices, use variables or layers, or whose
    gradient takes a gradient itself. A wrong factor at a linear function of one element, which is
    taken to be scaling on purpose. Functions that contain a rounding or an index besides what is
    smooth. Gradients that are nan or infinite somewhere.

    ## References
    TensorFlow API: tf.custom_gradient. Bengio, Leonard and Courville, 2013: Estimating or
    Propagating Gradients Through Stochastic Neurons. Ganin and Lempitsky, 2015: Unsupervised Domain
    Adaptation by Backpropagation. Springenberg et al., 2015: Striving for Simplicity (guided
    backpropagation).
    """

    code: ClassVar[str] = "ACT207"
    name: ClassVar[str] = "wrong-custom-gradient"
    hint: ClassVar[str] = (
        "Multiply the upstream gradient by the derivative of the value, one result for each "
        "argument; compare with tf.test.compute_gradient, or let TensorFlow differentiate"
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.CUSTOM_GRADIENT})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the gradient of the function, if both it and the value can be followed."""
        claim = view.node(view.graph.output)
        value = view.operand(claim, "input")
        if claim.op != _CLAIM or value is None or not _known(view, claim):
            return
        sources, gradients = claim.arg("x"), claim.arg("gradients")
        if not isinstance(sources, Items) or not isinstance(gradients, Items):
            return
        given, wanted = len(gradients.items), len(sources.items)
        optional = claim.arg("optional")
        most = wanted + (optional if isinstance(optional, int) else 0)
        if not wanted <= given <= most:
            reason = f"gives {_count(given, 'gradient')} for {_count(wanted, 'argument')}"
        elif Ref(value.id) in sources.items or not _smooth(view, value):
            return
        else:
            reason = f"is not the gradient of {shown(value)}"
        yield Suspect(
            code=self.code,
            node=claim.id,
            message=f"{shown(claim)} {reason}",
            check=Check.CUSTOM_GRADIENT,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Leave the gradient to TensorFlow."""
        yield Remedy(
            "Let TensorFlow differentiate",
            "values stay, and the gradient becomes that of the value",
            Safety.UNSAFE,
            (Undecorate(view.node(suspect.node).id),),
        )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def spike(potential):
    fired = tf.cast(potential > 0.0, tf.float32)

    def grad(upstream):
        return upstream * 0.3 * tf.maximum(1.0 - tf.abs(potential), 0.0)

    return fired, grad


class Neuron(tf.keras.layers.Layer):
    def call(self, inputs):
        return spike(inputs - 1.0)
""",
            note="a surrogate of a step",
        ),
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def reverse(features, strength):
    def grad(upstream):
        return -strength * upstream, None

    return tf.identity(features), grad


class Domain(tf.keras.layers.Layer):
    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def call(self, inputs):
        return reverse(inputs, self.strength)
""",
            note="gradient reversal",
        ),
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def guided_relu(x):
    def grad(dy):
        return tf.cast(dy > 0.0, tf.float32) * tf.cast(x > 0.0, tf.float32) * dy

    return tf.nn.relu(x), grad


layer = tf.keras.layers.Dense(8, activation=guided_relu)
""",
            note="guided backpropagation stops negative gradients",
        ),
        Good(
            """\
import tensorflow as tf


def memory_saving(beta=1.0):
    @tf.custom_gradient
    def swish(x):
        gate = tf.sigmoid(beta * x)

        def grad(upstream, variables=None):
            return upstream * gate * (1.0 + beta * x * (1.0 - gate))

        return x * gate, grad

    return swish
""",
            note="the exact gradient, in a closure",
        ),
        Good(
            """\
from keras import ops


@ops.custom_gradient
def stable(x):
    e = ops.exp(x)

    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

    return ops.log(1 + e), grad
""",
            note="a stable form of the same gradient, as in the page of keras.ops.custom_gradient",
        ),
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(upstream):
        return upstream * (1 - 1 / (1 + e))

    return tf.math.log(1 + e), grad


def logistic(y_true, y_pred):
    return tf.reduce_mean(log1pexp(-y_true * y_pred), axis=-1)


def compile_model(model):
    model.compile("adam", loss=logistic)
""",
            note="the example of TensorFlow's page, in a loss",
        ),
        Good(
            """\
import tensorflow as tf


def hard_tanh_through(x):
    return tf.clip_by_value(x, -1.0, 1.0), lambda dy: dy


class Binary(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.squash = tf.custom_gradient(hard_tanh_through)

    def call(self, inputs):
        return self.squash(inputs)
""",
            note="differs only where the value is flat",
        ),
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def softmax(logits):
    p = tf.nn.softmax(logits)

    def grad(dy):
        return p * (dy - tf.reduce_sum(dy * p, axis=-1, keepdims=True))

    return p, grad
""",
            note="the gradient of a function of whole rows",
        ),
        Good(
            """\
import tensorflow as tf


@tf.custom_gradient
def limited(x):
    def grad(dy):
        return tf.clip_by_norm(dy, 1.0)

    return x * 1.0, grad
""",
            note="clips the gradient that passes",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


@tf.custom_gradient
def square(x):
    def grad(dy):
        return dy * x

    return tf.square(x), grad
""",
            at="dy * x",
            hazard=Hazard.WRONG_GRADIENT,
            note="a factor 2 left out",
        ),
        Bad(
            """\
import tensorflow as tf


class Gaussian(tf.keras.layers.Layer):
    def call(self, inputs):
        @tf.custom_gradient
        def bell(x):
            y = tf.exp(-tf.square(x))
            return y, lambda upstream: upstream * 2.0 * x * y

        return bell(inputs)
""",
            at="upstream * 2.0 * x * y",
            hazard=Hazard.WRONG_GRADIENT,
            note="the wrong sign",
        ),
        Bad(
            """\
import tensorflow as tf


class Cubed(tf.keras.layers.Layer):
    @tf.custom_gradient
    def cube(self, x):
        return x * x * x, lambda upstream: upstream * 3.0 * x

    def call(self, inputs):
        return self.cube(inputs) - self.cube(0.5 * inputs)
""",
            at="upstream * 3.0 * x",
            hazard=Hazard.WRONG_GRADIENT,
            note="a method, judged once, however often it is called",
        ),
        Bad(
            """\
import tensorflow as tf


def softplus(x):
    def grad(upstream):
        return tf.sigmoid(x)

    return tf.math.softplus(x), grad


activation = tf.custom_gradient(softplus)
""",
            at="tf.sigmoid(x)",
            hazard=Hazard.WRONG_GRADIENT,
            note="the upstream gradient is left out",
        ),
        Bad(
            """\
from tensorflow import custom_gradient, reduce_mean
from tensorflow import square as sq


@custom_gradient
def squared_error(y_true, y_pred):
    error = y_pred - y_true

    def backward(dy):
        return None, dy * 2.0 * error

    return reduce_mean(sq(error)), backward
""",
            at="None, dy * 2.0 * error",
            hazard=Hazard.WRONG_GRADIENT,
            note="not divided by the number of elements, as the mean is",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
import tensorflow as tf


def make(beta):
    @tf.custom_gradient
    def swish(x):
        gate = K.sigmoid(beta * x)
        slope = gate * (1.0 + x * (1.0 - gate))

        def grad(dy):
            return dy * slope

        return x * gate, grad

    return swish
""",
            at="dy * slope",
            hazard=Hazard.WRONG_GRADIENT,
            note="beta is missing in the product rule",
        ),
        Bad(
            """\
import tensorflow as tf


@tf.custom_gradient
def softmax(logits):
    p = tf.nn.softmax(logits, axis=-1)
    return p, lambda dy: dy * p * (1.0 - p)
""",
            at="dy * p * (1.0 - p)",
            hazard=Hazard.WRONG_GRADIENT,
            note="the diagonal of the Jacobian is not all of it",
        ),
        Bad(
            """\
from keras import ops


@ops.custom_gradient
def squash(x):
    def grad(*args, upstream=None):
        return ops.zeros_like(x)

    return ops.tanh(x), grad
""",
            at="ops.zeros_like(x)",
            hazard=Hazard.WRONG_GRADIENT,
            note="zeros for a value that is not constant",
        ),
        Bad(
            """\
import tensorflow.compat.v2 as tf


@tf.custom_gradient
def product(a, b):
    def grad(dy):
        return dy * b

    return a * b, grad
""",
            at="dy * b",
            hazard=Hazard.WRONG_GRADIENT,
            note="one gradient for two arguments",
        ),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _known(view: View, claim: Node) -> bool:
    """Return whether nothing on the way had to be cut off."""
    inputs = [node.input for node in ancestors(view, claim.id) if node.input is not None]
    return all(spec.role is not InputRole.CUT for spec in inputs)


def _smooth(view: View, value: Node) -> bool:
    """Return whether no step, drawing or stop_gradient lies on the way to the value.

    Comparisons may: they make the pieces of a function such as ReLU.
    """
    for node in ancestors(view, value.id):
        if any(mark in node.op for mark in _RANDOM):
            return False
        if not node.op or node.op in COMPARISON or node.op in _LOGICAL:
            continue
        live = any(view.depends_differentiably(ref) for ref, _ in view.flow.edges(node))
        if live and not view.flow.passes[node.id]:
            return False
    return True
