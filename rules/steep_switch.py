"""ACT306: a squashing function so steep that its gradient lives in a sliver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import number, shown
from ._gradient_mended import OF_PREACTIVATIONS, OF_PROBABILITIES, gentler
from ._patterns import DIVIDE, guessed, linear_factor, logistic_argument

_SWITCHES = ("erf", "hard_sigmoid", "hard_tanh", "sigmoid", "softsign", "tanh")
# What 1 / (1 + exp(-x)) ends with, written out.
_QUOTIENTS = (*DIVIDE, "reciprocal")
# Differentiable binarisation (Liao et al., 2020), sigmoid(50 * (p - t)) of two probabilities, is
# the steepest switch in common use.
_STEEP = 60.0
# Share of the typical elements without gradient: 0.72 for a factor of 50 between 0 and 1, 0.86 for
# one of 100.
_SHARE = 0.8


class SteepSwitch(Rule):
    """A squashing function so steep that its gradient lives in a sliver.

    ## What it does
    Reports a `sigmoid`, `tanh` or `erf` in a loss, a layer or a training step whose argument is
    multiplied by a large constant, such as a soft threshold `sigmoid(100 * (p - 0.5))`, where the
    slope is below a thousandth of its largest on four fifths of the typical elements.

    ## Why is this bad?
    It is written to make a threshold differentiable, yet it is a threshold: whatever lies outside
    the sliver gets no gradient, and what lies inside gets one many times too large.

    ## How it is confirmed
    actlint runs the expression on typical inputs in TensorFlow, takes the slope of the switch at
    every element, and reports the share of them that is flat and the largest slope between.

    ## Example
    ```python
    def soft_count(y_true, y_pred):
        chosen = tf.sigmoid(200.0 * (y_pred - 0.5))
        return tf.reduce_mean(tf.square(chosen - y_true))
    ```

    ## Use instead
    ```python
    def soft_count(y_true, y_pred):
        chosen = tf.sigmoid(10.0 * (y_pred - 0.5))
        return tf.reduce_mean(tf.square(chosen - y_true))
    ```

    ## Fix safety
    Unsafe: values change around the threshold.

    ## What it misses
    Factors below 60, those that are trained or annealed, arguments of unknown size, and functions
    that a layer calls. Whole activations are judged by ACT302.

    ## References
    Bengio, Léonard and Courville, 2013: Estimating or propagating gradients through stochastic
    neurons. Liao et al., 2020: Real-time scene text detection with differentiable binarization.
    """

    code: ClassVar[str] = "ACT306"
    name: ClassVar[str] = "steep-switch"
    hint: ClassVar[str] = (
        "Use a smaller factor, tf.sigmoid(10.0 * x), raise it step by step during training, or "
        "train on the soft value and threshold outside the loss"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield switches whose argument is multiplied by a large constant."""
        if view.graph.role is Role.ACTIVATION:
            return
        for node in view.nodes(*_SWITCHES, *_QUOTIENTS):
            if node.op in _QUOTIENTS:
                argument = logistic_argument(view, node)
            else:
                argument = view.operand(node, view.op(node).operands[0])
            if argument is None or not view.on_gradient_path(node):
                continue
            if node.path and view.graph.role is Role.LAYER:
                continue  # most often of an activation, which is judged as a whole
            factor, _ = linear_factor(view, argument)
            if factor < _STEEP or guessed(view, node):
                continue
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} is a switch: its argument is multiplied by "
                f"{number(factor)}, so that most elements get no gradient",
                check=Check.STEEPNESS,
                targets=(Target(argument.id, 0.0, 0.0),),
                threshold=_SHARE,
                severity=Severity.WARNING,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Make the switch less steep."""
        node = view.node(suspect.node)
        if node.op in _QUOTIENTS:
            found = logistic_argument(view, node)
        else:
            found = view.operand(node, view.op(node).operands[0])
        if found is not None:
            size = OF_PREACTIVATIONS if view.graph.role is Role.LAYER else OF_PROBABILITIES
            yield from gentler(view, [found], size)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def soft_binary_loss(y_true, y_pred):
    chosen = tf.sigmoid(10.0 * (y_pred - 0.5))
    return tf.reduce_mean(tf.square(chosen - y_true))
"""
        ),
        Good(
            """\
import tensorflow as tf


class DifferentiableBinarisation(tf.keras.layers.Layer):
    def call(self, inputs):
        probability, threshold = tf.sigmoid(inputs[..., 0]), tf.sigmoid(inputs[..., 1])
        return tf.sigmoid(50.0 * (probability - threshold))
""",
            note="published",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def bounded_error_loss(y_true, y_pred):
    return K.mean(K.tanh(K.abs(y_pred - y_true) / 2.0))
"""
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class SmallUnits(Loss):
    def call(self, y_true, y_pred):
        metres = ops.tanh(0.01 * (100.0 * (y_pred - y_true)))
        return ops.mean(ops.square(metres), axis=-1)
""",
            note="the factors make up for each other",
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    weight = tf.sigmoid(100.0 * (y_true - 0.5))
    return tf.reduce_mean(weight * tf.square(y_pred - y_true))
""",
            note="a function of the label, which needs no gradient",
        ),
        Good(
            """\
import tensorflow as tf


def step_loss(y_true, y_pred, k=50.0):
    chosen = 1.0 / (1.0 + tf.exp(-k * (y_pred - 0.5)))
    return tf.reduce_mean(tf.square(chosen - y_true))
""",
            note="no steeper than differentiable binarisation",
        ),
        Good(
            """\
import tensorflow as tf


def calibrated_loss(y_true, y_pred):
    chosen = tf.sigmoid(25.0 * (y_pred - 0.5))
    return tf.reduce_mean(tf.abs(y_true - chosen))
""",
            note="most of [0, 1] still has a slope",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def soft_count_loss(y_true, y_pred):
    chosen = tf.sigmoid(200.0 * (y_pred - 0.5))
    return tf.reduce_mean(tf.square(chosen - y_true))
""",
            at="tf.sigmoid(200.0 * (y_pred - 0.5))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.losses import Loss


class BinarisedDice(Loss):
    def __init__(self, steepness=150.0):
        super().__init__()
        self.steepness = steepness

    def call(self, y_true, y_pred):
        mask = tf.math.sigmoid((y_pred - 0.5) * self.steepness)
        overlap = tf.reduce_sum(y_true * mask)
        total = tf.reduce_sum(y_true) + tf.reduce_sum(mask)
        return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
""",
            at="tf.math.sigmoid((y_pred - 0.5) * self.steepness)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


class SoftSign(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.tanh(1000.0 * inputs)
""",
            at="tf.tanh(1000.0 * inputs)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def counted(width):
    def error_count_loss(y_true, y_pred):
        wrong = K.tanh(K.abs(y_pred - y_true) / width)
        return K.mean(wrong, axis=-1)

    return error_count_loss


def compile_model(model):
    model.compile(optimizer="adam", loss=counted(0.001))
""",
            at="K.tanh(K.abs(y_pred - y_true) / width)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf


def binarised_loss(y_true, y_pred, k=100.0):
    chosen = 1.0 / (1.0 + tf.exp(-k * (y_pred - 0.5)))
    return 1.0 - tf.reduce_mean(chosen * y_true + (1.0 - chosen) * (1.0 - y_true))
""",
            at="1.0 / (1.0 + tf.exp(-k * (y_pred - 0.5)))",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
from keras import ops


def rank_loss(y_true, y_pred):
    order = ops.sigmoid(-500.0 * y_pred)
    return ops.mean(y_true * order)
""",
            at="ops.sigmoid(-500.0 * y_pred)",
            hazard=Hazard.VANISHING,
        ),
        Bad(
            """\
import tensorflow as tf

SHARPNESS = 300.0


def train_step(model, x, y, optimizer):
    with tf.GradientTape() as tape:
        score = tf.keras.layers.Dense(1)(x)
        on = tf.math.erf(SHARPNESS * score)
        loss = tf.reduce_mean(tf.square(on - y))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            at="tf.math.erf(SHARPNESS * score)",
            hazard=Hazard.VANISHING,
        ),
    )
