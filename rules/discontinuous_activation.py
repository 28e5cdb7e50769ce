"""ACT402: an activation that jumps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Gradient,
    Hazard,
    Node,
    Remedy,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._common import COMPARISON, STOP, is_lambda_of_pieces, is_whole_activation, shown
from ._curves_mended import meeting

_SELECTIONS = ("where",)
# The library's own activations with a jump: who names one of them wants it.
_BY_DESIGN = ("hard_shrink", "threshold")


class DiscontinuousActivation(Rule):
    """An activation whose value jumps.

    ## What it does
    Reports an activation that is made of pieces which do not meet, or that contains an op which
    jumps (`%`), while a gradient does pass. A Lambda layer that selects between two pieces of a
    curve is an activation, too.

    ## Why is this bad?
    The gradient knows nothing of a jump: it says that a small step changes the output a little,
    and the output changes a lot. Training then oscillates round the jump. Most often a constant is
    missing from one of the pieces.

    ## How it is confirmed
    actlint compares the values at neighbouring float32 numbers along the typical range, bisecting
    to the place of the jump.

    ## Example
    ```python
    def activation(x):
        return tf.where(x > 0, x + 1.0, 0.1 * x)
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.where(x > 0, x, 0.1 * x)
    ```

    ## Fix safety
    A constant that is left out of one piece, or added to it so that both meet, is unsafe: the
    values of the piece change. Masks and remainders are left to the author: there is no piece to
    shift.

    ## What it misses
    Jumps outside the typical range.

    ## References
    TensorFlow API: tf.where, tf.math.floormod.
    """

    code: ClassVar[str] = "ACT402"
    name: ClassVar[str] = "discontinuous-activation"
    hint: ClassVar[str] = (
        "Shift one piece so that both have the same value where they meet, as tf.nn.elu and "
        "tf.nn.leaky_relu do"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation that is made of pieces or contains a jump."""
        if not (is_whole_activation(view) or is_lambda_of_pieces(view)):
            return
        if not view.has_gradient():
            return
        moving = [node for node in view.nodes() if view.depends(node)]
        if any(_is_straight_through(view, node) for node in moving):
            return  # a jump by design, with the gradient of something else
        pieces = any(
            node.op in COMPARISON
            or node.op in _SELECTIONS
            or (view.op(node).jumps and node.op not in _BY_DESIGN)
            for node in moving
        )
        output = view.node(view.graph.output)
        if (pieces or view.graph.assumptions) and output.op:
            yield Suspect(
                code=self.code,
                node=output.id,
                message=f"{shown(output)} jumps: neighbouring inputs give values that lie apart",
                check=Check.CONTINUITY,
                severity=Severity.WARNING,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:  # noqa: ARG002
        """Let the pieces meet."""
        yield from meeting(view)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def leaky(x):
    return tf.where(x > 0, x, 0.1 * x)


layer = Dense(8, activation=leaky)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def gate(x):
    return x * K.cast(K.greater(x, 0.0), "float32")


layer = Activation(gate)
""",
            note="both pieces are 0 at 0",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def shifted_elu(x):
    return ops.where(x > 0, x + 1.0, ops.exp(ops.minimum(x, 0.0)))


layer = Dense(8, activation=shifted_elu)
""",
            note="both pieces are 1 at 0",
        ),
        Good(
            """\
import tensorflow as tf

layer = tf.keras.layers.Activation(lambda x: tf.where(x < 1.0, x, 1.0 + tf.tanh(x - 1.0)))
"""
        ),
        Good(
            """\
import tensorflow as tf


def soft_shrink(threshold):
    def activation(x):
        above = tf.where(x > threshold, x - threshold, 0.0)
        return tf.where(x < -threshold, x + threshold, above)

    return activation


layer = tf.keras.layers.Dense(8, activation=soft_shrink(0.2))
"""
        ),
        Good(
            """\
from tensorflow import where
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: where(x < 1.0, x, 0.5 * x + 0.5))
"""
        ),
        Good(
            """\
import tensorflow as tf


def binary_activation(x):
    soft = tf.sigmoid(x)
    hard = tf.cast(x > 0, tf.float32)
    return soft + tf.stop_gradient(hard - soft)
""",
            note="a straight-through estimator jumps by design",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: tf.where(x > 0.5, tf.ones_like(x), tf.zeros_like(x)) * x)
""",
            note="a Lambda layer that keeps what is large",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def lifted(x):
    return tf.where(x > 0, x + 1.0, 0.1 * x)


layer = Dense(8, activation=lifted)
""",
            at="tf.where(x > 0, x + 1.0, 0.1 * x)",
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def gate(x):
    return x * K.cast(K.greater(x, 0.5), "float32")


layer = Activation(gate)
""",
            at='x * K.cast(K.greater(x, 0.5), "float32")',
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def pieces(x):
    return ops.where(x > 0, 0.5 + ops.tanh(x), ops.tanh(x))


layer = Dense(8, activation=pieces)
""",
            at="ops.where(x > 0, 0.5 + ops.tanh(x), ops.tanh(x))",
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
import tensorflow as tf


def hard_shrink(threshold):
    def activation(x):
        return tf.where(tf.abs(x) > threshold, x, 0.0)

    return activation


layer = tf.keras.layers.Dense(8, activation=hard_shrink(0.5))
""",
            at="tf.where(tf.abs(x) > threshold, x, 0.0)",
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
import tensorflow as tf

layer = tf.keras.layers.Activation(lambda x: tf.math.floormod(x, 1.0))
""",
            at="tf.math.floormod(x, 1.0)",
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def two_slopes_activation(x):
    positive = tf.cast(x >= 0.5, tf.float32)
    return positive * (2.0 * x) + (1.0 - positive) * x
""",
            at="positive * (2.0 * x) + (1.0 - positive) * x",
            hazard=Hazard.DISCONTINUOUS,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: tf.where(x > 1.0, tf.sqrt(tf.maximum(x, 1.0)), x - 0.5))
""",
            at="tf.where(x > 1.0, tf.sqrt(tf.maximum(x, 1.0)), x - 0.5)",
            hazard=Hazard.DISCONTINUOUS,
            note="in a Lambda layer",
        ),
    )


def _is_straight_through(view: View, node: Node) -> bool:
    return node.op in STOP or view.op(node).gradient is Gradient.STRAIGHT_THROUGH
