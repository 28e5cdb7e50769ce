"""ACT304: an activation that blows the gradient of a deep network up whatever its scaling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Cause, Check, Good, Hazard, Rule, Severity, Suspect, View

from ._common import first_hit, is_curve, shown

_OVERFLOW = frozenset({Cause.OVERFLOW})
# Power with which the length of the output grows with that of the input. Quadratic growth (2) is
# that of published activations (the squared ReLU of Primer); a cube has 3.
_POWER = 2.2


class ExplodingActivation(Rule):
    """An activation that blows the gradient of a deep network up whatever its scaling.

    ## What it does
    Reports an activation that grows faster than quadratically over the typical range, so that no
    scale of the weights keeps both the signal and its gradient: `x ** 3`, `x + x ** 3`,
    exponentials with a bounded argument.

    ## Why is this bad?
    A weight scale that keeps the length of a typical input makes a slightly larger one much larger,
    and a slightly smaller one vanish; each layer raises the deviation to the same power, and every
    layer multiplies the squared gradient by more than 1. A few layers take the gradient from
    useful to a thousandfold.

    ## How it is confirmed
    actlint measures the curve and its slope in TensorFlow and integrates them over normal inputs
    (mean-field theory): the power with which lengths grow, the gain per layer at standard
    deviations 0.5, 1 and 2, and the depth at which inputs a tenth larger than planned have raised
    the gradient a thousandfold. ReLU and tanh are measured in the same way beside it.

    ## Example
    ```python
    def activation(x):
        return x ** 3
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.nn.elu(x)
    ```

    ## What it misses
    Quadratic growth, which networks that normalise between layers stand. Exponentials that
    overflow are left to ACT108. Growth beyond the typical range only, as of `x + 0.01 * x ** 3`.
    No edit is offered: what grows more slowly is another activation, and which one, the author has
    to say.

    ## References
    Poole et al., 2016: Exponential expressivity in deep neural networks through transient chaos.
    Schoenholz et al., 2017: Deep information propagation.
    """

    code: ClassVar[str] = "ACT304"
    name: ClassVar[str] = "exploding-activation"
    hint: ClassVar[str] = (
        "Let it grow no faster than its input, as tf.nn.relu and tf.nn.elu do, or bound its "
        "argument with tf.tanh"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT401",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation, for TensorFlow to measure."""
        output = view.node(view.graph.output)
        if not is_curve(view) or not view.has_gradient() or not output.op:
            return
        if any(first_hit(view, node, _OVERFLOW) is not None for node in view.nodes()):
            return  # told there, at the expression that overflows
        yield Suspect(
            code=self.code,
            node=output.id,
            message=f"{shown(output)} grows faster than any scaling of its input can keep, so that "
            f"gradients explode with depth",
            check=Check.GAIN_GROWTH,
            threshold=_POWER,
            severity=Severity.WARNING,
            provisional=True,
        )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def squared_relu(x):
    return tf.square(tf.nn.relu(x))


layer = Dense(8, activation=squared_relu)
""",
            note="quadratic growth, of Primer (So et al., 2021)",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: x + 0.01 * K.pow(x, 3))
""",
            note="nearly linear over the typical range",
        ),
        Good(
            """\
import tensorflow as tf


def scaled_activation(x):
    return 30.0 * tf.nn.leaky_relu(x)
""",
            note="weights make up for a factor",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def cubed_tanh(x):
    return ops.power(ops.tanh(x), 3)


layer = Dense(8, activation=cubed_tanh)
""",
            note="bounded",
        ),
        Good(
            """\
import tensorflow as tf


class Cube(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs**3
""",
            note="a feature, not an activation between layers",
        ),
        Good(
            """\
import tensorflow as tf


def make(bound):
    return lambda x: tf.exp(tf.minimum(x, bound)) - 1.0


layer = tf.keras.layers.Dense(8, activation=make(0.0))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def cube(x):
    return x**3


layer = Dense(8, activation=cube)
""",
            at="x**3",
            hazard=Hazard.EXPLODING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: x + K.pow(x, 3))
""",
            at="x + K.pow(x, 3)",
            hazard=Hazard.EXPLODING,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def odd_square_activation(x):
    return x * tf.square(x) / 6.0
""",
            at="x * tf.square(x) / 6.0",
            hazard=Hazard.EXPLODING,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def make_power(bound=20.0):
    def power(x):
        return x * ops.exp(ops.clip(x, -bound, bound))

    return power


layer = Dense(8, activation=make_power())
""",
            at="x * ops.exp(ops.clip(x, -bound, bound))",
            hazard=Hazard.EXPLODING,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Dense(4, activation=lambda t: tf.pow(tf.nn.relu(t), 3.0))
""",
            at="tf.pow(tf.nn.relu(t), 3.0)",
            hazard=Hazard.EXPLODING,
        ),
        Bad(
            """\
from tensorflow import square
from tensorflow.keras.layers import Dense


def quartic(x):
    return square(square(x)) + x


layer = Dense(4, activation=quartic)
""",
            at="square(square(x)) + x",
            hazard=Hazard.EXPLODING,
            note="not monotonic either",
        ),
    )
