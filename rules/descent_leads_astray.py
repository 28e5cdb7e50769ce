"""ACT502: a loss whose gradient does not lead to its target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Remedy, Rule, Severity, Suspect, View

from ._common import descendants, shown
from ._estimators import estimators
from ._hinges import margins, turned_round
from ._losses_mended import opened
from ._patterns import linear_factor
from ._targets import agreeing

# Ops that can hand on zeros for a whole region of their operand.
_GATES = (
    "clip",
    "clip_by_value",
    "erf",
    "exp",
    "keras_relu",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "tanh",
    "where",
)
# Logits that are multiplied by more are saturated where they are typical.
_STEEP = 4.0


class DescentLeadsAstray(Rule):
    """A loss whose gradient does not lead to its target.

    ## What it does
    Reports a loss of one label and one prediction whose gradient leads typical predictions nowhere
    or away from the label: an error that is clipped, capped or squashed so that a large one has no
    gradient, a correlation that is squared, a part behind tf.stop_gradient that was needed.

    ## Why is this bad?
    The predictions that are most wrong are those that need the gradient most. With
    `tf.square(tf.clip_by_value(error, -1.0, 1.0))` they get none. `1 - tf.square(r)` is as small
    for a correlation of -1 as for 1, and half of the networks learn the opposite.

    ## How it is confirmed
    actlint takes labels, typical predictions (standard normal, or probabilities) and their mirror
    images, follows the sign of the gradient in shrinking steps, and finds that from a third of the
    starts or more the loss does not come down to what it is at the label, nor the prediction near
    it; or that a loss which feels no shift ends at predictions that run against the labels. The
    start that got stuck is the witness. Relative errors are tried with positive quantities. Of a
    hinge it shows that samples get no gradient where the loss is largest, while that of others
    falls without end, or that predictions against labels of -1 and 1 cost nothing.

    ## Example
    ```python
    def td_loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(tf.clip_by_value(y_true - y_pred, -1.0, 1.0)))
    ```

    ## Use instead
    ```python
    def td_loss(y_true, y_pred):
        return tf.reduce_mean(tf.keras.losses.huber(y_true, y_pred))
    ```

    ## Fix safety
    Unsafe: it is another loss, whose gradient does not end.

    ## What it misses
    Losses with several labels, weights or predictions; boxes, distances, pairs and parameters of a
    distribution, where no prediction equals the label; logits that are scaled up before a sigmoid
    or softmax, of which other rules speak; traps that less than a third of the starts
    fall into; other predictions whose loss is as small as that of the label, unless they run
    against it.

    ## References
    Mnih et al., 2015: Human-level control through deep reinforcement learning, on clipping the
    error term. TensorFlow API: tf.keras.losses.Huber.
    """

    code: ClassVar[str] = "ACT502"
    name: ClassVar[str] = "descent-leads-astray"
    hint: ClassVar[str] = (
        "Use a loss whose gradient does not end where errors are large, such as "
        "tf.keras.losses.Huber, or scale the error first so that typical ones stay out of the "
        "flat part"
    )

    explained_by: ClassVar[tuple[str, ...]] = (
        "ACT112",
        "ACT118",
        "ACT2",
        "ACT3",
        "ACT503",
        "ACT51",
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the ops that can hand on zeros, and the output for all other reasons."""
        for check, hinges in ((Check.HINGE, turned_round(view)), (Check.MARGIN, margins(view))):
            for node in hinges:
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} is a hinge turned round: it hands on no gradient where "
                    "predictions are wrong",
                    check=check,
                    provisional=True,
                    hint="Use tf.maximum(x, 0.0), or tf.nn.relu, of what is positive where the "
                    "prediction is wrong",
                )
        agreed = agreeing(view)
        wrong = any(found.fault is not None for found in estimators(view))
        if agreed is None or view.cuts() or wrong or _is_steep(view):
            return
        moved = {node.id for node in descendants(view, agreed[0].id)}
        output = view.node(view.graph.output)
        gates = [
            node for node in view.nodes(*_GATES) if node.id in moved and view.on_gradient_path(node)
        ]
        for node in gates:
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} hands on no gradient where predictions are far from the "
                f"label, so that descent gets stuck",
                check=Check.DESCENT,
                severity=Severity.WARNING,
                provisional=True,
            )
        if output not in gates:
            yield Suspect(
                code=self.code,
                node=output.id,
                message=f"{shown(output)} is smallest at the label, but its gradient does not "
                f"lead there",
                check=Check.DESCENT,
                severity=Severity.WARNING,
                provisional=True,
                hint="Compare with tf.keras.losses which terms bring the gradient, and with which "
                "sign; take a correlation itself, not its square",
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Take away what stops the gradient."""
        yield from opened(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
from tensorflow.keras import backend as K


def correlation_loss(y_true, y_pred):
    x = y_true - K.mean(y_true)
    y = y_pred - K.mean(y_pred)
    r = K.sum(x * y) / K.sqrt(K.sum(K.square(x)) * K.sum(K.square(y)) + 1e-6)
    return 1.0 - r
""",
            note="a correlation of -1 costs most",
        ),
        Good(
            """\
import tensorflow as tf


def huber_loss(y_true, y_pred):
    error = tf.abs(y_true - y_pred)
    return tf.reduce_mean(tf.where(error > 1.0, error - 0.5, 0.5 * tf.square(error)))
"""
        ),
        Good(
            """\
import tensorflow as tf


def welsch_loss(y_true, y_pred):
    return tf.reduce_mean(1.0 - tf.exp(-0.5 * tf.square((y_true - y_pred) / 2.0)))
""",
            note="wide enough for typical errors",
        ),
        Good(
            """\
import tensorflow as tf


def rotation_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return tf.reduce_mean(1.0 - tf.square(tf.reduce_sum(a * b, axis=-1)))
""",
            note="a quaternion and its negative are the same rotation",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Angle(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(1.0 - ops.cos(y_true - y_pred), axis=-1)
""",
            note="a whole turn away is as good",
        ),
        Good(
            """\
import tensorflow as tf


def capped_loss(y_true, y_pred):
    return tf.reduce_mean(tf.minimum(tf.square(y_true - y_pred), 100.0))
""",
            note="the cap is beyond typical errors",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def binary_loss(y_true, y_pred):
    p = K.clip(y_pred, 0.01, 0.99)
    return -K.mean(y_true * K.log(p) + (1.0 - y_true) * K.log(1.0 - p))
"""
        ),
        Good(
            """\
import tensorflow as tf


def critic_loss(real_scores, fake_scores):
    real = tf.minimum(real_scores - 1.0, 0.0)
    fake = tf.minimum(-1.0 - fake_scores, 0.0)
    return -tf.reduce_mean(real) - tf.reduce_mean(fake)
""",
            note="the hinge of an adversarial loss: what is beyond the margin is right",
        ),
        Good(
            """\
import tensorflow as tf


def ppo_loss(ratio, advantage):
    clipped = tf.clip_by_value(ratio, 0.8, 1.2)
    return -tf.reduce_mean(tf.minimum(ratio * advantage, clipped * advantage))
""",
            note="the lesser of two objectives",
        ),
        Good(
            """\
import tensorflow as tf


def ramp_loss(y_true, y_pred):
    return tf.reduce_mean(tf.minimum(tf.nn.relu(1.0 - y_true * y_pred), 4.0))
""",
            note="the cost of outliers is limited",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def td_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.clip_by_value(y_true - y_pred, -1.0, 1.0)))
""",
            at="tf.clip_by_value(y_true - y_pred, -1.0, 1.0)",
            hazard=Hazard.WRONG_GRADIENT,
            note="the error term of a Q-network is clipped, not its gradient",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def correlation_coefficient_loss(y_true, y_pred):
    x = y_true - K.mean(y_true)
    y = y_pred - K.mean(y_pred)
    r = K.sum(x * y) / K.sqrt(K.sum(K.square(x)) * K.sum(K.square(y)) + 1e-6)
    return 1 - K.square(r)
""",
            at="1 - K.square(r)",
            hazard=Hazard.WRONG_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def kernel(sigma):
    def loss(y_true, y_pred):
        gap = tf.square(y_true - y_pred)
        return 1.0 - tf.reduce_mean(tf.exp(-gap / (2.0 * sigma**2)))

    return loss


def compile_model(model):
    model.compile("adam", loss=kernel(0.02))
""",
            at="tf.exp(-gap / (2.0 * sigma**2))",
            hazard=Hazard.WRONG_GRADIENT,
            note="the kernel is narrower than any typical error",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Bounded(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.tanh(50.0 * ops.abs(y_pred - y_true)), axis=-1)
""",
            at="ops.tanh(50.0 * ops.abs(y_pred - y_true))",
            hazard=Hazard.WRONG_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def cosine_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return 1.0 - tf.reduce_mean(tf.nn.relu(tf.reduce_sum(a * b, axis=-1)))
""",
            at="tf.nn.relu(tf.reduce_sum(a * b, axis=-1))",
            hazard=Hazard.WRONG_GRADIENT,
            note="vectors that point away from the label stay where they are",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow import stop_gradient


def dice_loss(y_true, y_pred):
    overlap = tf.reduce_sum(y_true * stop_gradient(y_pred))
    total = tf.reduce_sum(y_true) + tf.reduce_sum(y_pred)
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
""",
            at="1.0 - (2.0 * overlap + 1.0) / (total + 1.0)",
            hazard=Hazard.WRONG_GRADIENT,
            note="only the denominator is left to follow: all predictions go to 0",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])


def trimmed(t, p):
    error = tf.abs(t - p)
    return tf.reduce_mean(tf.where(error > 0.5, 1.0, tf.square(error)))


model.compile("adam", loss=trimmed)
""",
            at="tf.where(error > 0.5, 1.0, tf.square(error))",
            hazard=Hazard.WRONG_GRADIENT,
            note="what is far off counts as an outlier and never comes back",
        ),
        Bad(
            """\
import tensorflow as tf


def triplet_loss(anchor, positive, negative, margin=0.5):
    near = tf.reduce_sum(tf.square(anchor - positive), axis=-1)
    far = tf.reduce_sum(tf.square(anchor - negative), axis=-1)
    return tf.reduce_mean(tf.minimum(near - far + margin, 0.0))
""",
            at="tf.minimum(near - far + margin, 0.0)",
            hazard=Hazard.ZERO_GRADIENT,
            note="triplets in the wrong order get no gradient",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def squared_hinge(y_true, y_pred):
    return K.mean(K.square(K.minimum(1.0 - y_true * y_pred, 0.0)), axis=-1)
""",
            at="K.minimum(1.0 - y_true * y_pred, 0.0)",
            hazard=Hazard.ZERO_GRADIENT,
            note="only what is right by more than the margin costs anything",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Ranked(Loss):
    def call(self, y_true, y_pred):
        right = ops.sum(y_true * y_pred, axis=-1)
        wrong = ops.sum((1.0 - y_true) * y_pred, axis=-1)
        return -ops.mean(ops.relu(right - wrong))
""",
            at="ops.relu(right - wrong)",
            hazard=Hazard.WRONG_GRADIENT,
            note="what is wrong gets no gradient, what is right all of it",
        ),
    )


def _is_steep(view: View) -> bool:
    """Return whether logits are scaled up before they are squashed, a fault of its own if any."""
    return any(
        linear_factor(view, logits)[0] > _STEEP
        for node in view.nodes("sigmoid", "softmax")
        if view.on_gradient_path(node)
        for logits in view.operands(node)[:1]
    )
