"""ACT211: random numbers that are drawn once, when a function is traced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from actlint.query import (
    Bad,
    Check,
    Good,
    Graph,
    Hazard,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._batch import called_by_keras
from ._common import shown
from ._sizes_mended import drawn

_DRAWS: Final = (
    "np_random_normal",
    "np_random_rand",
    "np_random_randn",
    "np_random_sample",
    "np_random_uniform",
)


class FrozenRandomDraw(Rule):
    """Random numbers that are drawn once, when a function is traced.

    ## What it does
    Reports draws of NumPy's random numbers in what Keras traces into a graph: the `call` of a
    layer, a loss that a model is compiled with, an activation. Draws in a constructor, in `build`,
    in a default value or at module level happen once on purpose, and are not reported.

    ## Why is this bad?
    TensorFlow runs Python code when it traces a function, at the first step, and never again. NumPy
    knows nothing of the graph: its numbers become constants. Noise that is to keep a network from
    overfitting is the same for all steps and all samples, a constant offset that the network
    learns to undo. Eager mode hides it, and so does every test that runs there.

    ## How it is confirmed
    actlint calls the function twice in eager mode, where the draw differs and moves the output, and
    twice under `tf.function`, where it is the same.

    ## Example
    ```python
    class Noisy(tf.keras.layers.Layer):
        def call(self, inputs):
            return inputs + np.random.normal(0.0, 0.1, size=(16,))
    ```

    ## Use instead
    ```python
    class Noisy(tf.keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.random.normal(tf.shape(inputs), 0.0, 0.1)
    ```

    ## Fix safety
    Unsafe: TensorFlow draws other numbers, and has a seed of its own.

    ## What it misses
    Generators such as `np.random.default_rng()`, draws that decide which way a Python branch goes
    or stand behind `if training`, training loops that may or may not be traced. Python's own
    `random`, and counters that a Python attribute keeps, are ACT212's.

    ## References
    TensorFlow guide: Better performance with tf.function, on tracing and Python side effects.
    """

    code: ClassVar[str] = "ACT211"
    name: ClassVar[str] = "frozen-random-draw"
    hint: ClassVar[str] = (
        "Draw with TensorFlow, tf.random.normal(tf.shape(x)) or tf.random.uniform, which the graph "
        "runs at each step"
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.ACTIVATION, Role.LAYER, Role.LOSS})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield NumPy's draws in functions that Keras traces."""
        if not _is_traced(view.graph):
            return
        for node in view.nodes(*_DRAWS):
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} is drawn when TensorFlow traces the function, and is the "
                "same at all steps",
                check=Check.FROZEN_DRAW,
                severity=Severity.WARNING,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Let TensorFlow draw."""
        yield from drawn(view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Noisy(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs), 0.0, 0.1)
""",
            note="the graph draws",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


class Projected(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.offset = np.random.normal(size=(16,))

    def call(self, inputs):
        return inputs + self.offset
""",
            note="drawn once, on purpose",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf

OFFSETS = np.random.uniform(-1.0, 1.0, size=(1, 8))


def shifted(x):
    return tf.nn.elu(x + 0.1 * OFFSETS)


layer = tf.keras.layers.Dense(8, activation=shifted)
""",
            note="offsets that are drawn before training",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


class Shifted(tf.keras.layers.Layer):
    def build(self, input_shape):
        self.shift = tf.constant(np.random.randn(4), tf.float32)

    def call(self, inputs):
        return tf.nn.relu(inputs + self.shift)
""",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


def jittered_loss(width):
    noise = np.random.uniform(0.9, 1.1)

    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred)) * noise * width

    return loss


def compile_model(model):
    model.compile("adam", loss=jittered_loss(2.0))
""",
            note="drawn when the loss is made",
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


def train_step(model, optimizer, x, y):
    noisy = x + np.random.normal(0.0, 0.1, size=(4,))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(noisy)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="a loop that nothing says is traced",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import numpy as np
import tensorflow as tf


class Noisy(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs + np.random.normal(0.0, 0.1, size=(16,))
""",
            at="np.random.normal(0.0, 0.1, size=(16,))",
            hazard=Hazard.FROZEN,
        ),
        Bad(
            """\
import numpy as np
import tensorflow as tf


def leaky(x):
    slope = np.random.uniform(0.1, 0.3)
    return tf.where(x > 0.0, x, slope * x)


layer = tf.keras.layers.Dense(8, activation=leaky)
""",
            at="np.random.uniform(0.1, 0.3)",
            hazard=Hazard.FROZEN,
            note="a randomised ReLU that is not",
        ),
        Bad(
            """\
from numpy import random
import tensorflow as tf


class Smoothed(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        amount = 0.1 * random.rand()
        return tf.reduce_mean(tf.square((1.0 - amount) * y_true + 0.5 * amount - y_pred), axis=-1)
""",
            at="random.rand()",
            hazard=Hazard.FROZEN,
            note="label smoothing of a random strength",
        ),
        Bad(
            """\
import numpy
from tensorflow.keras import backend as K


def noise(size):
    return 0.05 * numpy.random.randn(size)


def noisy_loss(y_true, y_pred):
    return K.mean(K.square(y_true + noise(4) - y_pred), axis=-1)


def compile_model(model):
    model.compile("adam", loss=noisy_loss)
""",
            at="numpy.random.randn(size)",
            hazard=Hazard.FROZEN,
            note="in a helper",
        ),
        Bad(
            """\
import numpy as np
from keras import layers, ops


class Dropped(layers.Layer):
    def __init__(self, rate=0.2):
        super().__init__()
        self.rate = rate

    def call(self, inputs):
        mask = ops.cast(np.random.random((8,)) > self.rate, "float32")
        return inputs * mask / (1.0 - self.rate)
""",
            at="np.random.random((8,))",
            hazard=Hazard.FROZEN,
            note="the same units are dropped at each step",
        ),
        Bad(
            """\
import numpy as np
import tensorflow as tf

model = tf.keras.Sequential(
    [
        tf.keras.layers.Dense(16),
        tf.keras.layers.Activation(lambda x: tf.nn.elu(x + np.random.normal(0.0, 0.5))),
    ]
)
""",
            at="np.random.normal(0.0, 0.5)",
            hazard=Hazard.FROZEN,
        ),
    )


def _is_traced(graph: Graph) -> bool:
    """Return whether Keras surely calls the function in graph mode."""
    return graph.keras or called_by_keras(graph)
