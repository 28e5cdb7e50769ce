"""What is known of values that layers and networks give, where nothing of them can be run."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.source import SourceFile

SILENT = {
    "states of recurrent layers, and an activation for each step": (
        "states.py",
        """\
import tensorflow as tf
from tensorflow.keras import layers


class Encoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ways = layers.Bidirectional(layers.LSTM(8, return_sequences=True))
        self.last = layers.GRU(8)
        self.shares = layers.TimeDistributed(layers.Dense(3, activation="softmax"))

    def call(self, inputs):
        states = self.ways(inputs)
        angle = tf.sqrt(1.1 - self.last(states))
        return angle, tf.sqrt(1.1 - self.shares(states)), 1.0 / (states + 1.5)
""",
    ),
    "a penalty on the gradient of a network at samples that it is examined at": (
        "penalty.py",
        """\
import tensorflow as tf


def gradient_penalty_loss(f, real):
    spread = tf.math.reduce_std(real)
    x = real + 0.5 * spread * tf.random.uniform(tf.shape(real))
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = f(x)
    slope = tf.reduce_sum(tf.square(tape.gradient(scores, x)), axis=-1)
    return tf.reduce_mean((tf.sqrt(slope + 1e-12) - 1.0) ** 2)
""",
    ),
}

FOUND = {
    "a recurrent layer with an activation of its own": (
        """\
import tensorflow as tf
from tensorflow.keras import layers


class Encoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = layers.LSTM(8, activation="relu")

    def call(self, inputs):
        return tf.sqrt(1.1 - self.last(inputs))
""",
        "ACT104",
    ),
    "a recurrent layer whose gates are open without a limit": (
        """\
import tensorflow as tf
from tensorflow.keras import layers


class Encoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = layers.LSTM(8, recurrent_activation="relu")

    def call(self, inputs):
        return tf.sqrt(1.1 - self.last(inputs))
""",
        "ACT104",
    ),
    "the length of a gradient": (
        """\
import tensorflow as tf


def gradient_penalty_loss(f, real):
    with tf.GradientTape() as tape:
        tape.watch(real)
        scores = f(real)
    return tf.reduce_mean((tf.norm(tape.gradient(scores, real), axis=-1) - 1.0) ** 2)
""",
        "ACT105",
    ),
    "the gradient of a known function": (
        """\
import tensorflow as tf


def smooth_loss(y_true, y_pred):
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        error = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
    slope = tape.gradient(error, y_pred)
    return tf.sqrt(error) + 0.1 * tf.reduce_mean(slope)
""",
        "ACT105",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_is_silent(name: str) -> None:
    path, text = SILENT[name]
    result = lint([SourceFile(path, text)], Options(confirm=False))
    assert not result.errors
    assert [f"{f.code} {f.site.text}" for f in result.findings] == []


@pytest.mark.parametrize("name", FOUND)
def test_is_found(name: str) -> None:
    text, code = FOUND[name]
    result = lint([SourceFile("losses.py", text)], Options(confirm=False))
    assert [f.code for f in result.findings] == [code]
