"""ACT401: an activation whose gradient changes sign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Rule,
    Severity,
    Suspect,
    Trend,
    View,
)

from ._common import COMPARISON, is_constant, is_lambda_of_pieces, is_whole_activation, shown
from ._curves_mended import rising


class NonMonotonicActivation(Rule):
    """An activation whose gradient changes sign.

    ## What it does
    Reports an activation that rises in one part of the typical range and falls in another, with
    the turning point. The smooth functions with one shallow dip (swish, gelu, mish and functions
    of their shape) are accepted. A Lambda layer that selects between two pieces of a curve is an
    activation, too; others fold and measure features.

    ## Why is this bad?
    Two pre-activations on the two sides of a turning point are told apart no longer, and the same
    error signal moves them in opposite directions. Piecewise functions turn by mistake: a sign or
    a constant is wrong in one piece. Periodic ones have as many local minima as periods. A single
    formula for the whole line, such as `x * tf.tanh(x)`, is seldom a slip: it gets a note (`info`).

    ## How it is confirmed
    actlint measures the gradient along the typical range, in TensorFlow, and finds the point at
    which its sign changes.

    ## Example
    ```python
    def activation(x):
        return tf.where(x > 0, x, -0.5 * x)
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.where(x > 0, x, 0.5 * x)
    ```

    ## Fix safety
    A minus that is taken out of one piece is unsafe: the values of the piece change their sign. A
    turning point of one formula is left to the author, who alone knows what was meant.

    ## What it misses
    Turning points outside the typical range, and activations that mix elements.

    ## References
    Ramachandran, Zoph and Le, 2017: Searching for Activation Functions.
    """

    code: ClassVar[str] = "ACT401"
    name: ClassVar[str] = "non-monotonic-activation"
    hint: ClassVar[str] = (
        "Check the sign of each piece; if a dip is wanted, use tf.nn.silu or tf.nn.gelu"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation that is not monotonic by its construction."""
        if not (is_whole_activation(view) or is_lambda_of_pieces(view)):
            return
        if not view.has_gradient():
            return
        output = view.node(view.graph.output)
        if output.op and not _monotonic(view, output):
            yield Suspect(
                code=self.code,
                node=output.id,
                message=f"{shown(output)} rises in one part of the typical range and falls in "
                f"another",
                check=Check.MONOTONICITY,
                # One formula on its whole line is seldom a slip.
                severity=Severity.WARNING if _is_composed(view) else Severity.INFO,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:  # noqa: ARG002
        """Take the minus out of a piece."""
        yield from rising(view)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def swish_activation(x):
    return x * tf.sigmoid(x)
""",
            note="one shallow, smooth dip",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def mish(x):
    return x * tf.tanh(tf.nn.softplus(x))


layer = Dense(8, activation=mish)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def leaky(x):
    return K.switch(x > 0, x, 0.5 * x)


layer = Activation(leaky)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def my_gelu(x):
    return 0.5 * x * (1.0 + ops.erf(x / 1.4142135))


layer = Dense(8, activation=my_gelu)
"""
        ),
        Good(
            """\
import tensorflow as tf


def falling(scale):
    return lambda x: -scale * tf.tanh(x)


layer = tf.keras.layers.Dense(8, activation=falling(2.0))
""",
            note="falls everywhere",
        ),
        Good(
            """\
import tensorflow as tf

layer = tf.keras.layers.Activation(lambda x: x + tf.square(tf.nn.relu(x)))
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Lambda

distance = Lambda(lambda x: tf.abs(x))
wave = Lambda(lambda x: tf.cos(3.0 * x))
""",
            note="layers that fold features on purpose",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def vee(x):
    return tf.where(x > 0, x, -0.5 * x)


layer = Dense(8, activation=vee)
""",
            at="tf.where(x > 0, x, -0.5 * x)",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: K.sin(x))
""",
            at="K.sin(x)",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def bump_activation(x):
    return tf.exp(-tf.square(x))
""",
            at="tf.exp(-tf.square(x))",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def wave(frequency=4.0):
    def activation(x):
        return x + ops.cos(frequency * x)

    return activation


layer = Dense(8, activation=wave())
""",
            at="x + ops.cos(frequency * x)",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
import tensorflow as tf


def quadratic(x):
    return 0.5 * x**2 + x


layer = tf.keras.layers.Activation(quadratic)
""",
            at="0.5 * x**2 + x",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
from tensorflow import square
from tensorflow.keras.layers import Dense
from tensorflow.nn import relu


def hill(x):
    return relu(1.0 - square(x))


layer = Dense(4, activation=hill)
""",
            at="relu(1.0 - square(x))",
            hazard=Hazard.NON_MONOTONIC,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Lambda


def bent(x):
    return ops.where(x > 0.0, x, -0.3 * x)


layer = Lambda(bent)
""",
            at="ops.where(x > 0.0, x, -0.3 * x)",
            hazard=Hazard.NON_MONOTONIC,
            note="in a Lambda layer",
        ),
    )


def _monotonic(view: View, node: Node) -> bool:
    """Return whether a chain of monotonic ops leads from one input to `node`."""
    while node.op:
        moving = [operand for operand in view.operands(node) if view.depends(operand)]
        if len(moving) != 1:
            return False
        fixed = [operand for operand in view.operands(node) if operand.id != moving[0].id]
        first = view.operand(node, view.op(node).operands[0])
        by_trend = (
            view.op(node).trend is not Trend.NONE and first is not None and first.id == moving[0].id
        )
        linear = node.op in {"add", "subtract", "multiply"} and all(
            is_constant(view, operand.id) for operand in fixed
        )
        if not (by_trend or linear):
            return False
        node = moving[0]
    return node.input is not None


def _is_composed(view: View) -> bool:
    """Return whether an activation is put together of pieces, by selections, bounds or kinks."""
    return bool(view.graph.assumptions) or any(
        node.op in COMPARISON
        or node.op in {"where", "maximum", "minimum", "clip_by_value"}
        or view.op(node).jumps
        or view.op(node).kinks
        for node in view.nodes()
        if view.depends(node)
    )
