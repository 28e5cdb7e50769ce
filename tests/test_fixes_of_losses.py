"""Fixes of losses that are given the wrong thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actlint import catalogue
from actlint.findings import Result, Safety, Suspect
from actlint.query import Ref, Remedy, Rewrite, Rule, View

from .fix_cases import Case, check, left, run

CASES = (
    Case(
        "exchanged",
        """\
import tensorflow as tf


def crossentropy_loss(y_true, y_pred):
    return tf.keras.losses.binary_crossentropy(y_pred, y_true)
""",
        Safety.UNSAFE,
        (("(y_pred, y_true)", "(y_true, y_pred)"),),
    ),
    Case(
        "exchanged_by_keyword",
        """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
logits = tf.matmul(x, tf.Variable(tf.zeros([4, 3])))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=logits, logits=y_))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
        Safety.UNSAFE,
        (("labels=logits, logits=y_", "labels=y_, logits=logits"),),
    ),
    Case(
        "exchanged_for_an_object",
        """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.Adam()
bce = tf.keras.losses.BinaryCrossentropy()


def train_step(x, labels):
    with tf.GradientTape() as tape:
        p = tf.sigmoid(model(x, training=True))
        loss = bce(p, labels)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
        Safety.UNSAFE,
        (("bce(p, labels)", "bce(labels, p)"),),
    ),
    Case(
        "name_of_a_loss",
        """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(64, activation="relu"), Dense(10)])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
""",
        Safety.UNSAFE,
        (
            (
                '"sparse_categorical_crossentropy"',
                "tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
            ),
        ),
    ),
    Case(
        "model_without_an_activation",
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
        Safety.UNSAFE,
        (("Dense(1)", 'Dense(1, activation="sigmoid")'),),
    ),
    Case(
        "loss_object",
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
        Safety.UNSAFE,
        (("CategoricalCrossentropy()", "CategoricalCrossentropy(from_logits=True)"),),
    ),
    Case(
        "loss_function",
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
        Safety.UNSAFE,
        (("(y_, scores)", "(y_, scores, from_logits=True)"),),
    ),
    Case(
        "no_logits_behind_another_activation",
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
        None,
    ),
    Case(
        "loss_object_of_probabilities",
        """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True))
""",
        Safety.UNSAFE,
        (("from_logits=True", "from_logits=False"),),
    ),
    Case(
        "probabilities_for_logits",
        """\
import tensorflow as tf


def entropy_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred)
    return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=p)
""",
        Safety.UNSAFE,
        (("    p = tf.nn.softmax(y_pred)\n", ""), ("logits=p", "logits=y_pred")),
    ),
    Case(
        "no_second_variable",
        """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
p = tf.nn.softmax(tf.matmul(x, tf.Variable(tf.zeros([4, 3]))))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=p))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
        None,
    ),
    Case(
        "row_and_column",
        """\
import tensorflow as tf


def squared(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.squeeze(y_pred) - y_true))


def compile_model(model):
    model.compile(optimizer="adam", loss=squared)
""",
        Safety.UNSAFE,
        (("tf.squeeze(y_pred)", "y_pred"),),
    ),
    Case(
        "row_times_column",
        """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        weight = 1.0 + tf.reduce_max(y_true, axis=-1)
        error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1, keepdims=True)
        return tf.reduce_mean(weight * error)
""",
        Safety.UNSAFE,
        (("weight * error", "weight * tf.squeeze(error, axis=-1)"),),
    ),
    Case(
        "softmax_of_one_unit",
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
        Safety.UNSAFE,
        (("activation=tf.nn.softmax", 'activation="sigmoid"'),),
    ),
    Case(
        "activation_layer_of_one_unit",
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
        Safety.UNSAFE,
        (('Activation("softmax")', 'Activation("sigmoid")'),),
    ),
    Case(
        "categorical_loss_of_one_unit",
        """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

model = tf.keras.Sequential([Dense(8, activation="relu"), Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss="categorical_crossentropy")
""",
        Safety.UNSAFE,
        (('"categorical_crossentropy"', '"binary_crossentropy"'),),
    ),
    Case(
        "categorical_loss_object_of_one_unit",
        """\
import tensorflow as tf

head = tf.keras.layers.Conv2D(1, 1)
model = tf.keras.Sequential([tf.keras.layers.Conv2D(8, 3), head])
model.compile("adam", tf.keras.losses.CategoricalCrossentropy(from_logits=True))
""",
        Safety.UNSAFE,
        (("CategoricalCrossentropy(from", "BinaryCrossentropy(from"),),
    ),
)


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_a_mended_program_has_no_finding_of_its_hazard(result: Result) -> None:
    assert not left(result, CASES)


@pytest.mark.parametrize(
    ("template", "offered"),
    [
        # Exchanged all the same.
        ("2.0 * tf.keras.losses.binary_crossentropy({y}, {x})", False),
        # Another hazard.
        ("tf.stop_gradient(tf.keras.losses.binary_crossentropy({x}, {y}))", False),
        ("2.0 * tf.keras.losses.binary_crossentropy({x}, {y})", True),
    ],
)
def test_a_wrong_loss_is_not_mended_by_another(
    template: str, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remedies(self: Rule, view: View, suspect: Suspect) -> Iterator[Remedy]:
        node = view.node(suspect.node)
        parts = (("y", node.arg("y_true")), ("x", node.arg("y_pred")))
        change = Rewrite(Ref(node.id), template, parts)
        yield Remedy("Try it", "it says so", Safety.UNSAFE, (change,))

    monkeypatch.setattr(catalogue.find(catalogue.load(), "ACT510"), "remedies", remedies)
    (finding,) = run(CASES[:1]).findings
    assert (finding.code, bool(finding.fixes)) == ("ACT510", offered)
