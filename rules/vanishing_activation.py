"""ACT303: an activation that loses the gradient of a deep network whatever its scaling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Severity, Suspect, View

from ._common import is_curve, shown
from ._curves_mended import centred

# Share of the squared gradient that a layer keeps at best. A single sigmoid keeps 0.35, which is
# poor in a hidden layer and right in a gate or an output; a sigmoid of a sigmoid 0.02.
_KEPT = 0.1


class VanishingActivation(Rule):
    """An activation that loses the gradient of a deep network whatever its scaling.

    ## What it does
    Reports an activation whose gradient gain per layer stays below 0.1 however its input is scaled,
    and whose slope is faint at that scale: a squashed sigmoid, a constant with a little variation.

    ## Why is this bad?
    Every layer multiplies the squared gradient by the gain. ReLU and tanh reach 1 with the right
    initialisation; with a gain of 0.02 the gradient is a thousandth after four layers, and the
    first layers stand still. No initialisation mends it, because the output is nearly a constant:
    weights large enough to keep the gradient would let the constant drown the signal.

    ## How it is confirmed
    actlint measures the curve and its slope in TensorFlow and integrates them over normal inputs
    of standard deviation 0.05 to 2, each with the weight scale that keeps the signal's length
    (mean-field theory). It reports the best gain, the depth that loses the gradient a
    thousandfold, and the gains of ReLU and tanh, measured in the same way.

    ## Example
    ```python
    def activation(x):
        return tf.sigmoid(0.1 * tf.nn.softplus(x))
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.tanh(x)
    ```

    ## Fix safety
    A constant that is left out, a sigmoid that becomes tanh, and an outer one of two squashing
    functions that is left out are unsafe: the activation has other values.

    ## What it misses
    A hand-written sigmoid: nothing in its curve tells a hidden layer from a gate or an output.
    Activations that are faint but pass through 0, such as `0.01 * tf.tanh(x)`, because weights
    can make up for the factor.

    ## References
    Poole et al., 2016: Exponential expressivity in deep neural networks through transient chaos.
    Schoenholz et al., 2017: Deep information propagation.
    """

    code: ClassVar[str] = "ACT303"
    name: ClassVar[str] = "vanishing-activation"
    hint: ClassVar[str] = (
        "Centre the output at 0 and give it a slope near 1 there, as tf.tanh and tf.nn.elu have it"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation, for TensorFlow to measure."""
        output = view.node(view.graph.output)
        if is_curve(view) and view.has_gradient() and output.op:
            yield Suspect(
                code=self.code,
                node=output.id,
                message=f"{shown(output)} is nearly constant at any scale of its input, so that "
                f"a deep network loses its gradient",
                check=Check.GAIN_LOSS,
                threshold=_KEPT,
                severity=Severity.WARNING,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Let the activation pass through 0."""
        yield from centred(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def gate(x):
    return 1.0 / (1.0 + tf.exp(-tf.clip_by_value(x, -60.0, 60.0)))


layer = Dense(8, activation=gate)
""",
            note="a gate or an output; a single sigmoid keeps a third",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: 0.1 * K.tanh(x))
""",
            note="weights make up for a factor",
        ),
        Good(
            """\
import tensorflow as tf


def ratings_activation(x):
    return 1.0 + 4.0 * tf.sigmoid(x)
""",
            note="an output between 1 and 5",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def hard_sigmoid(x):
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


layer = Dense(8, activation=hard_sigmoid)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Squash(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.sigmoid(inputs) * 0.01 + 0.99
""",
            note="a layer, not an activation",
        ),
        Good(
            """\
import tensorflow as tf


def make(beta):
    def activation(x):
        return tf.math.softplus(x) - beta

    return activation


layer = tf.keras.layers.Dense(8, activation=make(0.6931))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def lukewarm(x):
    return tf.sigmoid(0.1 * tf.nn.softplus(x))


layer = Dense(8, activation=lukewarm)
""",
            at="tf.sigmoid(0.1 * tf.nn.softplus(x))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: 1.0 + 0.02 * K.tanh(x))
""",
            at="1.0 + 0.02 * K.tanh(x)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def softened_activation(x):
    return tf.sigmoid(x / 20.0)
""",
            at="tf.sigmoid(x / 20.0)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def make_log(offset=40.0):
    def log_of_sum(x):
        return ops.log(ops.softplus(x) + offset)

    return log_of_sum


layer = Dense(8, activation=make_log())
""",
            at="ops.log(ops.softplus(x) + offset)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def squashed(x):
    y = tf.math.sigmoid(x)
    return tf.exp(-0.1 * y)


layer = Dense(16, activation=squashed)
""",
            at="tf.exp(-0.1 * y)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf

SLOPE = 0.02


class Block(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(8, activation=lambda v: SLOPE * tf.nn.relu(v) + 0.5)
""",
            at="SLOPE * tf.nn.relu(v) + 0.5",
            hazard=Hazard.VANISHING,
        ),
    )
