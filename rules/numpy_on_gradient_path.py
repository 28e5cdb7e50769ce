"""ACT204: NumPy or plain Python numbers where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Remedy, Rule, Suspect, View

from ._common import cut, is_numpy, shown
from ._gradient_mended import in_tensorflow, passed_on


class NumpyOnGradientPath(Rule):
    """NumPy or plain Python numbers where a gradient has to pass.

    ## What it does
    Reports NumPy functions, `.numpy()`, `.item()`, `float()`, `tf.py_function` and
    `tf.numpy_function` on the way from what is trained to what is minimised.

    ## Why is this bad?
    The tape records TensorFlow operations. A NumPy call takes the tensor's value out of the tape,
    and the gradient of everything in front of it is None; inside a `tf.function` it fails
    outright. `tf.py_function` with NumPy inside answers 0.0 without any error.

    ## How it is confirmed
    actlint runs the function with a GradientTape in eager mode and finds that the value depends on
    the prediction and moves the output, while no gradient comes back.

    ## Example
    ```python
    def loss(y_true, y_pred):
        return tf.reduce_mean(np.square(y_true - y_pred))
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred))
    ```

    ## Fix safety
    Unsafe: the value is the same but for rounding, and a gradient comes where there was none.

    ## What it misses
    Functions from other libraries that convert to NumPy inside.

    ## References
    TensorFlow guide: Introduction to gradients and automatic differentiation, "Took gradients
    through calculations outside of TensorFlow". TensorFlow API: tf.py_function.
    """

    code: ClassVar[str] = "ACT204"
    name: ClassVar[str] = "numpy-on-gradient-path"
    hint: ClassVar[str] = (
        "Use the TensorFlow function of the same name (np.mean is tf.reduce_mean, np.log is "
        "tf.math.log, np.square is tf.square)"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT201", "ACT202")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the calls that leave the tape."""
        # A factor made by NumPy is no mask: what it was computed from gets no gradient.
        for node in view.cuts(gates=True):
            if is_numpy(view, node):
                message = f"{shown(node)} leaves TensorFlow, and the gradient tape ends there"
                yield cut(view, self.code, node, message)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Stay in TensorFlow."""
        node = view.node(suspect.node)
        if node.op in {"numpy_value", "py_float"}:
            reason = "the value stays a tensor, and the gradient passes"
            yield passed_on(node, "x", "Leave the value in TensorFlow", reason)
        yield from in_tensorflow(view, node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import numpy as np
import tensorflow as tf
from tensorflow.keras.layers import Dense


def scaled_tanh(x):
    return np.sqrt(3.0) * tf.tanh(x)


layer = Dense(8, activation=scaled_tanh)
""",
            note="NumPy on constants",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


def gaussian_loss(y_true, y_pred):
    constant = 0.5 * np.log(2.0 * np.pi)
    return tf.reduce_mean(constant + 0.5 * tf.square(y_true - y_pred))
"""
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.weight = np.float32(0.5)

    def call(self, y_true, y_pred):
        return self.weight * tf.reduce_mean(tf.square(y_true - y_pred))
"""
        ),
        Good(
            """\
import numpy as np


def rmse(y_true, y_pred):
    return np.sqrt(np.mean(np.square(y_true - y_pred)))
""",
            note="an evaluation in NumPy from end to end",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Smooth(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)
"""
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])


def step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x)))
    print(float(loss))
    return tape.gradient(loss, model.trainable_variables)
""",
            note="float() after the gradient is taken",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import numpy as np
import tensorflow as tf


def numpy_loss(y_true, y_pred):
    return tf.reduce_mean(np.square(y_true - y_pred))
""",
            at="np.square(y_true - y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import numpy as np
from tensorflow.keras.layers import Dense


def numpy_tanh(x):
    return np.tanh(x)


layer = Dense(8, activation=numpy_tanh)
""",
            at="np.tanh(x)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def eager_loss(y_true, y_pred):
    error = (y_true - y_pred).numpy()
    return tf.reduce_mean(tf.square(error))
""",
            at="(y_true - y_pred).numpy()",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Plain(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = float(tf.reduce_mean(tf.abs(y_true - y_pred)))
        return tf.constant(1.0) * error
""",
            at="float(tf.reduce_mean(tf.abs(y_true - y_pred)))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from numpy import abs as absolute
from tensorflow import reduce_mean


def make_loss(scale):
    def loss(y_true, y_pred):
        return scale * reduce_mean(absolute(y_true - y_pred))

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(2.0), run_eagerly=True)
""",
            at="absolute(y_true - y_pred)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import numpy as np
import tensorflow as tf

layer = tf.keras.layers.Lambda(lambda x: tf.convert_to_tensor(np.maximum(x, 0.0)))
""",
            at="np.maximum(x, 0.0)",
            hazard=Hazard.NO_GRADIENT,
        ),
    )
