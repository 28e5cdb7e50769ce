"""ACT302: an activation that is flat over most of the typical range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Kind,
    Node,
    Remedy,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._common import ancestors, is_whole_activation, shown
from ._gradient_mended import OF_PREACTIVATIONS, gentler

_THRESHOLD = 0.75

_SWITCHES = ("erf", "hard_sigmoid", "sigmoid", "softmax", "softsign", "tanh")


class SaturatedActivation(Rule):
    """An activation that is flat over most of the typical range.

    ## What it does
    Reports an activation whose gradient is below 0.001 on at least three quarters of the typical
    range of pre-activations, as steep sigmoids, staircases made of them and wrongly scaled
    functions have it. Of an activation that joins features, such as a softmax, it is what each
    number goes through before they are joined, if its slope there is below a thousandth of the
    largest.

    ## Why is this bad?
    Where the activation is flat, the layers before it get no signal: the gradient vanishes. The
    few units that happen to sit on a steep part get a very large one.

    ## How it is confirmed
    actlint measures the gradient along the typical range, in TensorFlow, and reports the share on
    which it is below 0.001.

    ## Example
    ```python
    def activation(x):
        return tf.sigmoid(100.0 * (x - 0.5))
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.sigmoid(4.0 * (x - 0.5))
    ```

    ## Fix safety
    Unsafe: values change around the steps.

    ## What it misses
    Saturation that comes from the weights in front of the activation.

    ## References
    Glorot and Bengio, 2010: Understanding the difficulty of training deep feedforward neural
    networks.
    """

    code: ClassVar[str] = "ACT302"
    name: ClassVar[str] = "saturated-activation"
    hint: ClassVar[str] = (
        "Make the steps less steep (tf.sigmoid(4 * x) rather than 100 * x), or add a slope: "
        "tf.sigmoid(k * x) + 0.1 * x"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT303",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation, for TensorFlow to measure."""
        if is_whole_activation(view) and view.has_gradient():
            output = _narrow(view) or view.node(view.graph.output)
            if output.op:
                yield Suspect(
                    code=self.code,
                    node=output.id,
                    message=f"{shown(output)} is flat over most of the range that its input "
                    f"typically takes, so that gradients vanish",
                    check=Check.SATURATION,
                    threshold=_THRESHOLD,
                    severity=Severity.WARNING,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Make all steps less steep."""
        arguments = [
            operand
            for node in ancestors(view, suspect.node)
            if node.op in _SWITCHES and view.on_gradient_path(node)
            for operand in view.operands(node)[:1]
        ]
        yield from gentler(view, arguments, OF_PREACTIVATIONS)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def smooth_step(x):
    return tf.sigmoid(4.0 * x)


layer = Dense(8, activation=smooth_step)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: K.tanh(2.0 * x))
"""
        ),
        Good(
            """\
import tensorflow as tf


def relu_activation(x):
    return tf.maximum(x, 0.0)


layer = tf.keras.layers.Activation(relu_activation)
""",
            note="flat on one half",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def leaky_step(x):
    return ops.sigmoid(20.0 * x) + 0.1 * x


layer = Dense(8, activation=leaky_step)
"""
        ),
        Good(
            """\
import tensorflow as tf


def scaled(beta):
    def activation(x):
        return tf.nn.softplus(beta * x) / beta

    return activation


layer = tf.keras.layers.Dense(8, activation=scaled(2.0))
"""
        ),
        Good(
            """\
from tensorflow import tanh
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: tanh(x) + 0.5 * x)
"""
        ),
        Good(
            """\
import tensorflow as tf


def bounded_softmax(x):
    return tf.nn.softmax(5.0 * tf.tanh(x), axis=-1)


layer = tf.keras.layers.Dense(8, activation=bounded_softmax)
""",
            note="bounded logits, but not flat",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def steep(x):
    return tf.sigmoid(100.0 * (x - 0.5))


layer = Dense(8, activation=steep)
""",
            at="tf.sigmoid(100.0 * (x - 0.5))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: K.tanh(255.0 * x))
""",
            at="K.tanh(255.0 * x)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


def staircase(x):
    low = tf.sigmoid(100.0 * (x + 0.5))
    high = tf.sigmoid(100.0 * (x - 0.5))
    return 0.5 * (low + high)


layer = tf.keras.layers.Activation(staircase)
""",
            at="0.5 * (low + high)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def make_step(sharpness=50.0):
    def step(x):
        return 0.5 + 0.5 * ops.tanh(sharpness * x)

    return step


layer = Dense(8, activation=make_step())
""",
            at="0.5 + 0.5 * ops.tanh(sharpness * x)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf

SCALE = 1e-4


@tf.function
def faint_activation(x):
    return SCALE * tf.nn.softplus(x)
""",
            at="SCALE * tf.nn.softplus(x)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow import math as tfm
from tensorflow.keras.layers import Dense


def erf_step(x):
    return tfm.erf(60.0 * x)


layer = Dense(8, activation=erf_step)
""",
            at="tfm.erf(60.0 * x)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


def stepped_softmax(x):
    scores = 5.0 * tf.tanh(40.0 * (x - 2.0))
    return tf.nn.softmax(scores, axis=-1)


layer = tf.keras.layers.Dense(8, activation=stepped_softmax)
""",
            at="5.0 * tf.tanh(40.0 * (x - 2.0))",
            hazard=Hazard.VANISHING,
            note="what the softmax is taken of moves next to never",
        ),
    )


def _narrow(view: View) -> Node | None:
    """Return the last function of each number by itself through which all of the input goes.

    None if the activation as a whole is such a function.
    """
    inputs = {node.id for node in view.differentiated_inputs()}
    single = [
        node
        for node in view.nodes()
        if view.depends_differentiably(node)
        and all(
            view.op(part).kind is Kind.ELEMENTWISE
            for part in ancestors(view, node.id)
            if part.op and view.depends(part)
        )
    ]
    if any(node.id == view.graph.output for node in single):
        return None
    return next((node for node in reversed(single) if _all_through(view, node, inputs)), None)


def _all_through(view: View, gate: Node, inputs: set[int]) -> bool:
    """Return whether nothing of the inputs reaches the output but through a node."""
    waiting = list(inputs)
    seen = {gate.id, *inputs}
    while waiting:
        for user in view.users(waiting.pop()):
            if user.id not in seen:
                seen.add(user.id)
                waiting.append(user.id)
    return view.graph.output not in seen
