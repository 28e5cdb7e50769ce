"""Losses and the last layers of models, spread over files: source text in, findings out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str]
    expected: tuple[tuple[str, str, str], ...] = ()  # (path, code, culprit text), confirmed


BUILD = """\
from tensorflow.keras import Model, layers

def build(classes, activation=None):
    inputs = layers.Input((4,))
    hidden = layers.Dense(8, activation="relu")(inputs)
    return Model(inputs, layers.Dense(classes, activation=activation)(hidden))
"""
ENTROPY = """\
import tensorflow as tf

def entropy(labels, scores):
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)
"""
STEP = """\
import tensorflow as tf
from net import net

loss_object = tf.keras.losses.{loss}
optimizer = tf.keras.optimizers.Adam()

@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        predictions = net(images, training=True)
        loss = loss_object({arguments})
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""
NET = """\
from tensorflow import keras
from tensorflow.keras import layers

class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = layers.Dense(8, activation="relu")
        self.head = layers.Dense(3{activation})

    def call(self, inputs, training=False):
        return self.head(self.body(inputs))

net = Net()
"""
SOFTMAX = NET.format(activation=', activation="softmax"')
LINEAR = NET.format(activation="")

CASES = (
    Case(
        "model_and_loss_in_other_files",
        {
            "net.py": BUILD,
            "losses.py": ENTROPY,
            "train.py": """\
from losses import entropy
from net import build

model = build(3, "softmax")
model.compile(optimizer="adam", loss=entropy)
""",
        },
        (
            (
                "losses.py",
                "ACT512",
                "tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)",
            ),
        ),
    ),
    Case(
        "the_same_with_logits",
        {
            "net.py": BUILD,
            "losses.py": ENTROPY,
            "train.py": """\
from losses import entropy
from net import build

model = build(3)
model.compile(optimizer="adam", loss=entropy)
""",
        },
    ),
    Case(
        "linear_head_in_another_file",
        {
            "net.py": BUILD,
            "train.py": """\
from net import build

def main(epochs):
    model = build(10)
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    model.fit(epochs=epochs)
""",
        },
        (("train.py", "ACT511", '"categorical_crossentropy"'),),
    ),
    Case(
        "one_class",
        {
            "net.py": BUILD,
            "train.py": """\
from net import build

build(1, "softmax").compile(loss="binary_crossentropy", optimizer="sgd")
""",
        },
        (("net.py", "ACT515", "layers.Dense(classes, activation=activation)"),),
    ),
    Case(
        "training_step_with_a_linear_model",
        {
            "net.py": LINEAR,
            "train.py": STEP.format(
                loss="SparseCategoricalCrossentropy()", arguments="labels, predictions"
            ),
        },
        (("train.py", "ACT511", "loss_object(labels, predictions)"),),
    ),
    Case(
        "training_step_with_logits",
        {
            "net.py": LINEAR,
            "train.py": STEP.format(
                loss="SparseCategoricalCrossentropy(from_logits=True)",
                arguments="labels, predictions",
            ),
        },
    ),
    Case(
        "training_step_with_probabilities",
        {
            "net.py": SOFTMAX,
            "train.py": STEP.format(
                loss="CategoricalCrossentropy()", arguments="labels, predictions"
            ),
        },
    ),
    Case(
        "swapped_in_a_training_step",
        {
            "net.py": SOFTMAX,
            "train.py": STEP.format(
                loss="CategoricalCrossentropy()", arguments="predictions, labels"
            ),
        },
        (("train.py", "ACT510", "loss_object(predictions, labels)"),),
    ),
    Case(
        "signature_against_keras",
        {
            "losses.py": """\
import tensorflow as tf

def entropy(y_pred, y_true):
    return tf.keras.losses.binary_crossentropy(y_true, y_pred)
""",
            "train.py": """\
import losses

def train(model):
    model.compile(optimizer="adam", loss=losses.entropy)
""",
        },
        (("losses.py", "ACT516", "y_pred"),),
    ),
    Case(
        "signature_of_the_project_s_own",
        {
            "losses.py": """\
import tensorflow as tf

def entropy(y_pred, y_true):
    return tf.keras.losses.binary_crossentropy(y_true, y_pred)
""",
            "train.py": """\
import tensorflow as tf
from losses import entropy

def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(entropy(model(x), y))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.weights), model.weights))
""",
        },
    ),
    Case(
        "misnamed_but_right_for_keras",
        {
            "train.py": """\
import tensorflow as tf

def entropy(y_pred, y_true):
    return tf.keras.losses.binary_crossentropy(y_pred, y_true)

def train(model):
    model.compile(optimizer="adam", loss=entropy)
""",
        },
    ),
    Case(
        "layers_added_and_taken_away",
        {
            "train.py": """\
from keras.layers import Dense, Dropout
from keras.models import Sequential

model = Sequential()
model.add(Dense(8, activation="relu"))
model.add(Dense(4))
model.add(Dense(4))
model.pop()
model.add(Dropout(0.5))
if BINARY:
    model.add(Dense(1, activation="sigmoid"))
else:
    model.add(Dense(1))
model.compile("adam", "binary_crossentropy")
""",
        },
        (("train.py", "ACT511", '"binary_crossentropy"'),),
    ),
    Case(
        "unknown_models_and_several_outputs",
        {
            "train.py": """\
import tensorflow as tf
from tensorflow.keras import layers

def train(model, other):
    model.compile("adam", "binary_crossentropy")
    head = tf.keras.Sequential([layers.Dense(8), other])
    head.compile("adam", "binary_crossentropy")
    inputs = layers.Input((4,))
    outputs = [layers.Dense(1)(inputs), layers.Dense(3)(inputs)]
    both = tf.keras.Model(inputs, outputs)
    both.compile("adam", loss=["binary_crossentropy", "mse"])
    re.compile("binary_crossentropy", other)
""",
        },
    ),
)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    """Findings of each case; all cases are linted in one run with one worker."""
    files = [
        SourceFile(f"{case.name}/{path}", text)
        for case in CASES
        for path, text in case.files.items()
    ]
    result = lint(files, Options())
    assert not result.errors
    found: dict[str, list[Finding]] = {case.name: [] for case in CASES}
    for finding in result.findings:
        found[finding.site.path.partition("/")[0]].append(finding)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_project(case: Case, findings: dict[str, list[Finding]]) -> None:
    found = findings[case.name]
    assert sorted((f.site.path.partition("/")[2], f.code, f.site.text) for f in found) == sorted(
        case.expected
    )
    assert all(f.verdict is Verdict.CONFIRMED for f in found)
