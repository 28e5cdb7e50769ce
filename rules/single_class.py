"""ACT515: a softmax over one class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Node, Remedy, Rule, Suspect, View

from ._common import shown
from ._losses import calls
from ._losses_mended import binary, sigmoid_layer

_CATEGORICAL = frozenset(
    {
        "backend_categorical_crossentropy",
        "categorical_crossentropy",
        "softmax_cross_entropy_with_logits",
    }
)


class SingleClass(Rule):
    """A softmax over one class.

    ## What it does
    Reports a model whose last layer has one unit and a softmax, and a categorical cross-entropy
    of a last layer with one unit.

    ## Why is this bad?
    The shares of one class sum to 1, so that the output is 1 whatever the input, and the
    categorical cross-entropy is 0 whatever the label. Accuracy stands at the share of one class
    for ever. Two classes need one unit with a sigmoid, or two with a softmax.

    ## How it is confirmed
    actlint runs the layer, or the loss, on typical and large logits: the value is always the same.

    ## Example
    ```python
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="softmax")])
    model.compile(optimizer="adam", loss="binary_crossentropy")
    ```

    ## Use instead
    ```python
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy")
    ```

    ## Fix safety
    A sigmoid for the softmax, and a binary cross-entropy for the categorical one, are unsafe: the
    model learns something else, or something at all.

    ## What it misses
    Layers whose number of units is not written as a number; models with several outputs.

    ## References
    Keras API: tf.keras.activations.softmax, which warns of an axis of size 1.
    """

    code: ClassVar[str] = "ACT515"
    name: ClassVar[str] = "single-class-softmax"
    hint: ClassVar[str] = (
        "For two classes use one unit with a sigmoid and tf.keras.losses.BinaryCrossentropy, or "
        "two units with a softmax"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT511",)
    reads_models: ClassVar[bool] = True

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the softmax and the categorical cross-entropy of a single logit."""
        if not view.graph.read:
            return
        for node in view.nodes("softmax"):
            if view.static(node, "axis") in {None, -1} and _units(view, node) == 1:
                yield self._suspect(node, f"{shown(node)} is a softmax over one class, always 1")
        for call in calls(view):
            source = view.definition(call.predictions)
            behind = source.op == "softmax"
            if call.node.op in _CATEGORICAL and not behind and _units(view, source) == 1:
                message = f"{shown(call.node)} compares one class with itself and is always 0"
                yield self._suspect(call.node, message)

    def _suspect(self, node: Node, message: str) -> Suspect:
        return Suspect(code=self.code, node=node.id, message=message, check=Check.SINGLE_VALUE)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Take the functions for a single unit."""
        node = view.node(suspect.node)
        if node.op == "softmax":
            yield from sigmoid_layer(node)
        else:
            yield from binary(node)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss="binary_crossentropy")
"""
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="softmax")])
model.compile(optimizer="adam", loss="categorical_crossentropy")
"""
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import layers


def build(classes):
    inputs = layers.Input((4,))
    outputs = layers.Dense(classes, activation="softmax")(inputs)
    model = tf.keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    return model
""",
            note="the number of classes is not known",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import layers


def attention(inputs):
    weights = layers.Softmax(axis=1)(layers.Dense(1)(inputs))
    pooled = tf.reduce_sum(weights * inputs, axis=1)
    return layers.Dense(1, activation="sigmoid")(pooled)


inputs = layers.Input((7, 4))
model = tf.keras.Model(inputs, attention(inputs))
model.compile(optimizer="adam", loss="binary_crossentropy")
""",
            note="a softmax over the steps, not over the one unit",
        ),
        Good(
            """\
import keras
from keras import layers

model = keras.Sequential([layers.Dense(8), layers.Dense(1), layers.Flatten(), layers.Softmax()])
model.compile(optimizer="adam", loss=lambda t, p: keras.ops.mean(keras.ops.square(t - p)))
""",
            note="flattened steps are the classes",
        ),
        Good(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Conv2D(1, 1, activation="sigmoid")])
model.compile(optimizer="adam", loss="binary_crossentropy")
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="softmax")])
model.compile(optimizer="adam", loss="binary_crossentropy")
""",
            at='tf.keras.layers.Dense(1, activation="softmax")',
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from keras.layers import Activation, Dense
from keras.models import Sequential


def build():
    model = Sequential()
    model.add(Dense(12, activation="relu"))
    model.add(Dense(1))
    model.add(Activation("softmax"))
    model.compile(loss="mean_squared_error", optimizer="adam")
    return model


def train(data):
    model = build()
    model.compile(optimizer="sgd", loss=lambda t, p: (t - p) ** 2)
""",
            at='Activation("softmax")',
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import layers

UNITS = 1
inputs = layers.Input((4,))
hidden = layers.Dense(8, activation="relu")(inputs)
outputs = layers.Dense(units=UNITS, activation=tf.nn.softmax)(hidden)
model = tf.keras.Model(inputs=inputs, outputs=outputs)
model.compile("adam", tf.keras.losses.BinaryCrossentropy())
""",
            at="layers.Dense(units=UNITS, activation=tf.nn.softmax)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(8, activation="relu"), Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss="categorical_crossentropy")
""",
            at='"categorical_crossentropy"',
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import keras


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(1, "softmax")

    def call(self, inputs):
        return self.head(inputs)


net = Net()
net.compile("adam", keras.losses.BinaryCrossentropy())
""",
            at='keras.layers.Dense(1, "softmax")',
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf

head = tf.keras.layers.Conv2D(1, 1)
model = tf.keras.Sequential([tf.keras.layers.Conv2D(8, 3), head])
model.compile("adam", tf.keras.losses.CategoricalCrossentropy(from_logits=True))
""",
            at="tf.keras.losses.CategoricalCrossentropy(from_logits=True)",
            hazard=Hazard.WRONG_LOSS,
        ),
    )


def _units(view: View, node: Node) -> int | None:
    """Return the size of the last axis of the layer that a value comes from elementwise."""
    while node.input is None:
        operands = view.operands(node)
        if len(operands) != 1:
            return None
        node = operands[0]
    shape = node.input.shape if node.id in view.graph.linear else None
    return shape[-1] if shape else None
