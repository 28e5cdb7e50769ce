"""ACT403: an activation that has the same value whatever its input is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Severity, Suspect, View

from ._common import is_curve, shown
from ._curves_mended import unbounded


class ActivationIgnoresInput(Rule):
    """An activation that has the same value whatever its input is.

    ## What it does
    Reports an activation whose pieces or bounds cancel its argument, such as
    `tf.maximum(tf.sigmoid(x), 1)` or a clip whose range the function inside never enters.

    ## Why is this bad?
    A layer with such an activation tells the next one nothing, and gets no gradient. Most often a
    bound has the wrong sign, `minimum` stands for `maximum`, or a piece was copied.

    ## How it is confirmed
    actlint computes the activation in TensorFlow along the typical range and at magnitudes up to
    1000, and sees that the value and the gradient are the same everywhere: a constant, and 0.

    ## Example
    ```python
    def activation(x):
        return tf.minimum(tf.nn.relu(x), 0.0)
    ```

    ## Use instead
    ```python
    def activation(x):
        return tf.minimum(tf.nn.relu(x), 6.0)
    ```

    ## Fix safety
    A bound that is left out is unsafe: the activation is no constant any more. Pieces that cancel
    are left to the author, who alone knows which of them is wrong.

    ## What it misses
    Activations that mix elements, and those that are constant on a part of their input only; of
    these, ACT302 reports the ones that are flat over most of the typical range.

    ## References
    TensorFlow API: tf.maximum, tf.minimum, tf.clip_by_value.
    """

    code: ClassVar[str] = "ACT403"
    name: ClassVar[str] = "activation-ignores-input"
    hint: ClassVar[str] = (
        "Check the bounds and pieces: tf.maximum(x, lower) keeps what lies above, "
        "tf.minimum(x, upper) what lies below"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT301", "ACT302", "ACT303")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the output of an activation, for TensorFlow to measure."""
        output = view.node(view.graph.output)
        if not is_curve(view) or view.graph.assumptions or not output.op:
            return
        # A gradient that is cut is another matter.
        if view.has_gradient() or not view.depends(output):
            yield Suspect(
                code=self.code,
                node=output.id,
                message=f"{shown(output)} is the same whatever the input is",
                check=Check.CONSTANT if view.has_gradient() else Check.NO_GRADIENT,
                severity=Severity.ERROR,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Leave a bound out."""
        yield from unbounded(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def relu6(x):
    return tf.minimum(tf.maximum(x, 0.0), 6.0)


layer = Dense(8, activation=relu6)
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: K.maximum(K.sigmoid(x), 0.5))
""",
            note="a rectified sigmoid",
        ),
        Good(
            """\
import tensorflow as tf


def negative_part_activation(x):
    return tf.minimum(x, 0.0)
""",
            note="a mirrored ReLU",
        ),
        Good(
            """\
from keras import ops
from keras.layers import Dense


def shifted(x):
    return ops.relu(x - 4.0) + ops.minimum(x, 4.0)


layer = Dense(8, activation=shifted)
""",
            note="the identity in two pieces",
        ),
        Good(
            """\
import tensorflow as tf


def make(bound):
    return lambda x: tf.clip_by_value(x, -bound, bound)


layer = tf.keras.layers.Dense(8, activation=make(1.0))
"""
        ),
        Good(
            """\
import tensorflow as tf


def equal_pieces_activation(x):
    return tf.where(x > 0, x, x * 1.0)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def capped(x):
    return tf.minimum(tf.nn.relu(x), 0.0)


layer = Dense(8, activation=capped)
""",
            at="tf.minimum(tf.nn.relu(x), 0.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation

layer = Activation(lambda x: K.maximum(K.tanh(x), 1.0))
""",
            at="K.maximum(K.tanh(x), 1.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def folded_activation(x):
    return tf.nn.relu(-tf.abs(x))
""",
            at="tf.nn.relu(-tf.abs(x))",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Dense


def make(lower=1.0, upper=2.0):
    def bounded(x):
        return ops.clip(ops.sigmoid(x), lower, upper)

    return bounded


layer = Dense(8, activation=make())
""",
            at="ops.clip(ops.sigmoid(x), lower, upper)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def both(x):
    return tf.nn.relu(x) * tf.nn.relu(-x)


layer = Dense(4, activation=both)
""",
            at="tf.nn.relu(x) * tf.nn.relu(-x)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import math as tfm
from tensorflow.keras.layers import Dense


def cancelled(x):
    return tfm.sigmoid(x) + tfm.sigmoid(-x)


layer = Dense(4, activation=cancelled)
""",
            at="tfm.sigmoid(x) + tfm.sigmoid(-x)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def gate(x):
    return tf.sigmoid(tf.ones_like(x))


layer = Dense(4, activation=gate)
""",
            at="tf.sigmoid(tf.ones_like(x))",
            hazard=Hazard.NO_GRADIENT,
        ),
    )
