"""ACT301: clipping that leaves most elements without a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._common import descendants, number, shown
from ._gradient_mended import unclipped

_CLIPS = ("clip", "clip_by_value")
_ONE_SIDED = ("minimum", "maximum")
_THRESHOLD = 0.75
# Three standard deviations of a pre-activation.
_TYPICAL = 3.0


class ClippedGradient(Rule):
    """Clipping that leaves most elements without a gradient.

    ## What it does
    Reports `tf.clip_by_value`, `tf.minimum` and `tf.maximum` whose bounds are such that at least
    three quarters of the typical elements lie outside, where the gradient is exactly 0. Clipping a
    probability to [1e-7, 1 - 1e-7], a hinge `tf.maximum(x, 0)` and ReLU are fine.

    ## Why is this bad?
    Outside the bounds the gradient is 0, not small: an element that starts there has no way back.
    Nothing warns, because zeros are gradients as far as Keras can tell.

    ## How it is confirmed
    actlint counts, over typical inputs, the elements at which the clip's upstream gradient is not
    zero and its downstream gradient is exactly zero.

    ## Example
    ```python
    def activation(x):
        return tf.clip_by_value(x, 2.0, 6.0)
    ```

    ## Use instead
    ```python
    def activation(x):
        return 2.0 + 4.0 * tf.sigmoid(x)
    ```

    ## Fix safety
    Unsafe: values change wherever a bound was met, and with a smooth function in between, too.

    ## What it misses
    Bounds that are computed from data.

    ## References
    TensorFlow API: tf.clip_by_value.
    """

    code: ClassVar[str] = "ACT301"
    name: ClassVar[str] = "clipped-gradient"
    hint: ClassVar[str] = (
        "Squash instead of clipping (lo + (hi - lo) * tf.sigmoid(x)), or widen the bounds beyond "
        "the values that occur"
    )
    # The clip is why the whole is flat, or why descent stops.
    supersedes: ClassVar[tuple[str, ...]] = ("ACT302", "ACT502")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the clips that stop most of a typical gradient."""
        for node in view.nodes(*_CLIPS, *_ONE_SIDED):
            if not view.on_gradient_path(node):
                continue
            clipped = _clipped(view, node)
            if clipped is None:
                continue
            operand, low, high = clipped
            if _has_alternative(view, node, operand):
                continue
            share = _typical_share(view, operand, low, high)
            if share is None or share < _THRESHOLD:
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} passes no gradient for most values of "
                    f"{shown(operand)}: only those {_between(low, high)} get one",
                    check=Check.DEAD_SHARE,
                    threshold=_THRESHOLD,
                    severity=Severity.WARNING,
                    provisional=share is None or share > 1.0 - _THRESHOLD,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Squash, or leave the bounds out."""
        node = view.node(suspect.node)
        clipped = _clipped(view, node)
        if clipped is not None:
            squash = view.graph.role in {Role.ACTIVATION, Role.LAYER}
            yield from unclipped(node, *clipped, squash=squash)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def relu_capped(x):
    return tf.minimum(tf.maximum(x, 0.0), 6.0)


layer = Dense(8, activation=relu_capped)
"""
        ),
        Good(
            """\
import tensorflow as tf


def cross_entropy_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-7)
    return -tf.reduce_mean(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation


def hard_tanh(x):
    return K.clip(x, -1.0, 1.0)


layer = Activation(hard_tanh)
"""
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Hinge(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)
""",
            note="a hinge stops learning where the margin is met, by design",
        ),
        Good(
            """\
import tensorflow as tf


class Bounded(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.clip_by_value(inputs, -10.0, 10.0)
"""
        ),
        Good(
            """\
import tensorflow as tf


def rms_loss(y_true, y_pred):
    squared = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_mean(tf.sqrt(tf.maximum(squared, 1e-12)))
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def shifted_clip(x):
    return 0.1 * x + tf.clip_by_value(x, 2.0, 6.0)


layer = Dense(8, activation=shifted_clip)
""",
            at="tf.clip_by_value(x, 2.0, 6.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class Offset(Layer):
    def call(self, inputs):
        return K.clip(inputs, 5.0, 10.0)
""",
            at="K.clip(inputs, 5.0, 10.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Floor(Layer):
    def call(self, inputs):
        return ops.maximum(inputs, 2.0)
""",
            at="ops.maximum(inputs, 2.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Ceiling(tf.keras.layers.Layer):
    def __init__(self, limit=-3.0):
        super().__init__()
        self.limit = limit

    def call(self, inputs):
        return tf.minimum(inputs, self.limit)
""",
            at="tf.minimum(inputs, self.limit)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Narrow(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.clip_by_value(100.0 * inputs, -1.0, 1.0)
""",
            at="tf.clip_by_value(100.0 * inputs, -1.0, 1.0)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow import clip_by_value as clip
from tensorflow.keras.layers import Lambda

layer = Lambda(lambda x: clip(x, -0.05, 0.05))
""",
            at="clip(x, -0.05, 0.05)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
    )


def _has_alternative(view: View, clip: Node, operand: Node) -> bool:
    """Return whether the unclipped value competes with the clipped one in a minimum or maximum.

    The clipped objective of PPO (Schulman et al. 2017) takes the lesser of the two.
    """
    clipped = {node.id for node in descendants(view, clip.id)}
    others = (user for user in view.users(operand) if user.id != clip.id)
    return any(
        node.id in clipped and node.op in ("minimum", "maximum")
        for user in others
        for node in descendants(view, user.id)
    )


def _clipped(view: View, node: Node) -> tuple[Node, float, float] | None:
    """Return what is clipped and the bounds, or None if there is nothing to doubt."""
    if node.op in _CLIPS:
        operand = next(iter(view.operands(node)), None)
        names = [name for name, _ in node.args]
        low = _value(view, node, next((name for name in names if "min" in name), ""))
        high = _value(view, node, next((name for name in names if "max" in name), ""))
        if operand is None or low is None or high is None:
            return None
    else:
        # The constant may stand on either side.
        left, right = _value(view, node, "x"), _value(view, node, "y")
        if (left is None) == (right is None):
            return None
        operand = view.operand(node, "y" if right is None else "x")
        bound = left if right is None else right
        # Bounds at 0 make hinges and ReLUs, tiny ones guards of roots and logarithms.
        if operand is None or bound is None or abs(bound) < 1e-2:
            return None
        low, high = (bound, math.inf) if node.op == "maximum" else (-math.inf, bound)
    if not view.depends_differentiably(operand):
        return None
    known = view.interval(operand)
    inside = low <= known.lo and known.hi <= high
    probability = abs(low) <= 0.05 and 0.95 <= high <= 1.05
    return None if inside or probability else (operand, low, high)


def _value(view: View, node: Node, name: str) -> float | None:
    """Return the constant that parameter `name` is bound to, or None."""
    operand = view.operand(node, name)
    if operand is not None:
        known = view.interval(operand)
        return known.lo if known.lo == known.hi else None
    value = view.static(node, name)
    return float(value) if isinstance(value, int | float) else None


def _typical_share(view: View, operand: Node, low: float, high: float) -> float | None:
    """Return the share of standard normal values within the bounds; None if not known so."""
    if view.definition(operand).input is None:
        # Of a bounded value the bounds can still tell that nothing is left out.
        known = view.interval(operand)
        covers = low <= max(known.lo, -_TYPICAL) and min(known.hi, _TYPICAL) <= high
        return 1.0 if covers and known.lo > -_TYPICAL and known.hi < _TYPICAL else None
    return 0.5 * (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0)))


def _between(low: float, high: float) -> str:
    if low == -math.inf:
        return f"below {number(high)}"
    if high == math.inf:
        return f"above {number(low)}"
    return f"between {number(low)} and {number(high)}"
