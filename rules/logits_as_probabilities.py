"""ACT511: a cross-entropy of probabilities that is given logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Node, Remedy, Rule, Suspect, Target, View

from ._common import shown
from ._losses import calls
from ._losses_mended import activated, from_logits

# Activations whose result is no probability: it has negative values, or values above 1.
_UNBOUNDED = frozenset(
    {"elu", "gelu", "keras_elu", "keras_gelu", "keras_relu", "keras_silu", "leaky_relu", "mish",
     "relu", "relu6", "selu", "tanh"}
)  # fmt: skip


class LogitsAsProbabilities(Rule):
    """A cross-entropy of probabilities that is given logits.

    ## What it does
    Reports a cross-entropy without `from_logits=True` behind a layer without activation, or with
    one such as ReLU or tanh: the last layer of a model that is compiled with the loss, or a
    product with weights in the same function. So is one of a prediction of which another term of
    the same loss takes a softmax or sigmoid.

    ## Why is this bad?
    Keras clips what it takes for probabilities to [1e-7, 1 - 1e-7]. Logits outside get no gradient
    at all, the wrong ones among them; those inside are compared by their own logarithm. Training
    runs and the loss goes down for a while, but most units are stuck from the start.

    ## How it is confirmed
    actlint feeds logits that are sure and wrong, such as -3 for the right class and 2 for others.
    Their gradient is exactly 0.

    ## Example
    ```python
    model = tf.keras.Sequential([tf.keras.layers.Dense(10)])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    ```

    ## Use instead
    ```python
    model = tf.keras.Sequential([tf.keras.layers.Dense(10)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss)
    ```

    ## Fix safety
    `from_logits=True` is unsafe: it is another loss, the one that is meant. So is an activation
    for the last layer, which is suggested where the loss has no such keyword: the model then
    predicts probabilities.

    ## What it misses
    Models whose last layer is not a dense or convolutional one, or is hidden from view; losses of
    models with several outputs; categorical cross-entropies of smoothed labels.

    ## References
    Keras API: Probabilistic losses, on from_logits.
    """

    code: ClassVar[str] = "ACT511"
    name: ClassVar[str] = "logits-as-probabilities"
    hint: ClassVar[str] = (
        "Say that these are logits, as in tf.keras.losses.BinaryCrossentropy(from_logits=True), "
        "or end the model in a sigmoid or softmax"
    )
    reads_models: ClassVar[bool] = True

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the cross-entropies of probabilities that a linear layer feeds."""
        for call in calls(view):
            if call.logits is not False or not view.on_gradient_path(call.node):
                continue
            source = view.definition(call.predictions)
            activation = source if source.op in _UNBOUNDED else None
            if activation is not None:
                source = view.definition(view.operands(activation)[0])
            logits = _logits(view, source)
            if logits is None:
                continue
            given = "logits" if activation is None else "numbers that are no probabilities"
            yield Suspect(
                code=self.code,
                node=call.node.id,
                message=f"{shown(call.node)} takes probabilities, but {shown(call.predictions)} "
                f"gives it {given}",
                check=Check.STUCK,
                targets=(Target(logits.id, -3.0, 2.0),),
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Say that these are logits; else make probabilities of them."""
        for call in calls(view):
            if call.node.id != suspect.node:
                continue
            logits = _logits(view, view.definition(call.predictions))
            if logits is not None:
                yield from from_logits(call)
                yield from activated(view, call, logits)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(64, activation="relu"), Dense(10)])
model.compile(
    optimizer="adam",
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
"""
        ),
        Good(
            """\
from tensorflow.keras.layers import Activation, Dense
from tensorflow.keras.models import Sequential


def build():
    model = Sequential()
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model
""",
            note="the activation is a layer of its own",
        ),
        Good(
            """\
import tensorflow as tf


def build(units):
    inputs = tf.keras.Input((4,))
    x = tf.keras.layers.Dense(8)(inputs)
    x = tf.keras.layers.ReLU()(x)
    outputs = tf.keras.layers.Dense(units, activation="sigmoid")(x)
    return tf.keras.Model(inputs, outputs)


model = build(3)
model.compile("adam", tf.keras.losses.BinaryCrossentropy())
"""
        ),
        Good(
            """\
import keras
from keras import layers


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = layers.Dense(8, activation="relu")
        self.head = layers.Dense(4)

    def call(self, inputs):
        return keras.ops.softmax(self.head(self.body(inputs)))


net = Net()
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
"""
        ),
        Good(
            """\
import tensorflow as tf
import tensorflow_hub as hub

model = tf.keras.Sequential([tf.keras.layers.Dense(8), hub.KerasLayer("some/classifier")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
""",
            note="what the last layer gives is not known",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(8, activation="relu"), Dense(1)])
model.compile(optimizer="adam", loss="mse", metrics=["mae"])


def refit(data):
    model.compile(optimizer="adam", loss=tf.keras.losses.Huber())
    model.fit(data)
""",
            note="regression",
        ),
        Good(
            """\
import tensorflow as tf


def mixed_loss(y_true, y_pred):
    shares = tf.nn.softmax(y_pred, axis=-1)
    entropy = tf.keras.losses.categorical_crossentropy(y_true, shares)
    return tf.reduce_mean(entropy) + 0.1 * tf.reduce_mean(tf.square(y_true - shares))
""",
            note="both terms take probabilities",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(64, activation="relu"), Dense(10)])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
""",
            at='"sparse_categorical_crossentropy"',
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
from keras.layers import Dense, Dropout
from keras.models import Sequential


def build(size):
    model = Sequential()
    model.add(Dense(size, activation="relu"))
    model.add(Dropout(0.5))
    model.add(Dense(1))
    model.compile(loss="binary_crossentropy", optimizer="adam")
    return model
""",
            at='"binary_crossentropy"',
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Conv2D, Input

CLASSES = 3


def unet():
    inputs = Input((None, None, 3))
    x = Conv2D(8, 3, padding="same", activation="relu")(inputs)
    outputs = Conv2D(CLASSES, 1)(x)
    return tf.keras.Model(inputs=inputs, outputs=outputs)


if __name__ == "__main__":
    net = unet()
    net.compile(optimizer="adam", loss=tf.keras.losses.CategoricalCrossentropy())
""",
            at="tf.keras.losses.CategoricalCrossentropy()",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import keras
from keras import layers, losses


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = layers.Dense(8, activation="relu")
        self.head = layers.Dense(4, activation="tanh")

    def call(self, inputs):
        return self.head(self.body(inputs))


class Trainer:
    def __init__(self):
        self.net = Net()
        self.net.compile("adam", losses.BinaryCrossentropy(label_smoothing=0.05))
""",
            at="losses.BinaryCrossentropy(label_smoothing=0.05)",
            hazard=Hazard.ZERO_GRADIENT,
            note="tanh gives numbers from -1 to 1",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import layers


def entropy(y_true, y_pred):
    return tf.reduce_mean(tf.keras.losses.categorical_crossentropy(y_true, y_pred), axis=-1)


model = tf.keras.Sequential(
    [layers.LSTM(16), layers.Dense(5, kernel_regularizer="l2"), layers.ReLU()]
)
model.compile(optimizer="adam", loss=entropy)
""",
            at="tf.keras.losses.categorical_crossentropy(y_true, y_pred)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
b = tf.Variable(tf.zeros([3]))
scores = tf.matmul(x, w) + b
cost = tf.reduce_mean(tf.keras.losses.binary_crossentropy(y_, scores))
train = tf.train.AdamOptimizer(0.01).minimize(cost)
""",
            at="tf.keras.losses.binary_crossentropy(y_, scores)",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def mixed_loss(y_true, y_pred):
    entropy = tf.keras.losses.categorical_crossentropy(y_true, y_pred)
    shares = tf.nn.softmax(y_pred, axis=-1)
    return tf.reduce_mean(entropy) + tf.reduce_mean(tf.square(y_true - shares))
""",
            at="tf.keras.losses.categorical_crossentropy(y_true, y_pred)",
            hazard=Hazard.ZERO_GRADIENT,
            note="one term takes logits, the other probabilities",
        ),
    )


def _logits(view: View, node: Node) -> Node | None:
    """Return the output of a linear layer that a value is, perhaps plus a bias, or None.

    Or the prediction, if the loss itself takes a softmax or sigmoid of it elsewhere.
    """
    parts = view.operands(node) if node.op in {"add", "bias_add"} else (node,)
    found = [view.definition(part) for part in parts]
    linear = next((part for part in found if part.id in view.graph.linear), None)
    return linear or next((part for part in found if _is_squashed(view, part)), None)


def _is_squashed(view: View, node: Node) -> bool:
    """Return whether an input is elsewhere given to a function of logits."""
    return node.input is not None and any(
        view.definition(view.operands(squash)[0]) == node
        for squash in view.nodes("log_sigmoid", "log_softmax", "sigmoid", "softmax")
        if view.operands(squash) and view.on_gradient_path(squash)
    )
