"""How bad a finding is, and how far a value has to go: source text in, severity and words out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Severity, Verdict
from actlint.source import SourceFile

from .cases import HEADER, Case, run

GRAPH = """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.random_normal([4, 3]))
"""
TRAIN = """\
cost = tf.reduce_mean(tf.square(y - tf.matmul(x, w)))
train = tf.train.GradientDescentOptimizer(0.1).minimize(cost)
"""


@dataclass(frozen=True)
class Graded:
    name: str
    source: str
    severity: Severity
    ending: str  # how the message ends


GRADED = (
    Graded(
        "input_normalised_by_its_sum",
        GRAPH + "x = x / tf.reduce_sum(x, axis=1, keepdims=True)\n" + TRAIN,
        Severity.ERROR,
        "which can be 0",
    ),
    Graded(
        "weight_normalised_by_its_sum",
        GRAPH + "w = w / tf.reduce_sum(w)\n" + TRAIN,
        Severity.WARNING,
        "only where it is exactly so, which is a matter of chance",
    ),
    Graded(
        "value_alone_in_a_graph",
        GRAPH + TRAIN.replace("\n", " + tf.stop_gradient(tf.log(tf.reduce_sum(y ** 2)))\n", 1),
        Severity.WARNING,
        "it spoils the value alone, no gradient",
    ),
    Graded(
        "value_alone_in_a_loss",
        HEADER + """\
def loss(y_true, y_pred):
    entropy = K.sum(y_true * K.log(y_true), axis=-1)
    return entropy + K.mean(K.square(y_pred - y_true), axis=-1)
""",
        Severity.WARNING,
        "it spoils the value alone, no gradient",
    ),
    Graded(
        "a_label_that_weighs",
        HEADER + """\
def loss(y_true, y_pred):
    return K.square(y_pred - y_true) / K.sum(K.abs(y_true), axis=-1, keepdims=True)
""",
        Severity.ERROR,
        "which can be 0",
    ),
    Graded(
        "one_of_several_results",
        HEADER + """\
class Standardise(keras.layers.Layer):
    def call(self, inputs):
        mean, std = tf.nn.moments(inputs, axes=[0, 1], keepdims=True)
        return (inputs - mean) / std
""",
        Severity.ERROR,
        "which can be 0; only where `inputs` is exactly constant in the whole batch",
    ),
    Graded(
        "logits_far_out",
        HEADER + """\
def loss(y_true, y_pred):
    return K.mean(tf.exp(y_pred) - y_true * y_pred, axis=-1)
""",
        Severity.WARNING,
        "assuming `y_pred` can reach 88.8",
    ),
    Graded(
        "logits_very_far_out",
        HEADER + """\
def loss(y_true, y_pred):
    return K.mean(K.square(y_true - 1.0 / (1.0 + tf.exp(-0.1 * y_pred))), axis=-1)
""",
        Severity.INFO,
        "assuming `y_pred` can reach -888",
    ),
    Graded(
        "an_action_that_was_drawn",
        GRAPH + """\
action = tf.placeholder(tf.int32, [None])
advantage = tf.placeholder(tf.float32, [None])
policy = tf.nn.softmax(tf.layers.dense(x, 3))
chosen = tf.reduce_sum(policy * tf.one_hot(action, 3), axis=1)
cost = -tf.reduce_mean(tf.log(chosen) * advantage)
train = tf.train.AdamOptimizer().minimize(cost)
""",
        Severity.INFO,
        "saturates and `tf.one_hot(action, 3)` picks what is not drawn from these probabilities, "
        "assuming `tf.layers.dense(x, 3)` can reach 87.4",
    ),
    Graded(
        "a_class_that_is_given",
        GRAPH + """\
label = tf.placeholder(tf.int32, [None])
share = tf.nn.softmax(tf.layers.dense(x, 3))
cost = -tf.reduce_mean(tf.log(tf.reduce_sum(share * tf.one_hot(label, 3), axis=1)))
train = tf.train.AdamOptimizer().minimize(cost)
""",
        Severity.WARNING,
        "saturates, assuming `tf.layers.dense(x, 3)` can reach 87.4",
    ),
    Graded(
        "nothing_uses_it",
        HEADER + """\
def swish(x):
    return x / (1.0 - tf.tanh(x))

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(features, labels)
""",
        Severity.INFO,
        "can reach 8; nothing here uses `swish`",
    ),
    Graded(
        "something_uses_it",
        HEADER + """\
def swish(x):
    return x / (1.0 - tf.tanh(x))

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(features, swish(labels))
""",
        Severity.WARNING,
        "can reach 8",
    ),
    Graded(
        "layer_output_far_out",
        GRAPH + """\
logits = tf.layers.dense(x, 3)
cost = tf.reduce_mean(tf.exp(logits) - y * logits)
train = tf.train.AdamOptimizer().minimize(cost)
""",
        Severity.WARNING,
        "assuming `tf.layers.dense(x, 3)` can reach 88.8",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(Case(graded.name, graded.source) for graded in GRADED)


@pytest.mark.parametrize("graded", GRADED, ids=lambda graded: graded.name)
def test_severity(graded: Graded, findings: dict[str, list[Finding]]) -> None:
    (finding,) = findings[Case(graded.name, "").path]
    assert finding.verdict is Verdict.CONFIRMED
    assert finding.severity is graded.severity
    assert finding.message.endswith(graded.ending)


def test_a_weight_far_from_its_start_is_no_finding() -> None:
    text = """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
rate = tf.Variable([{start}], dtype=tf.float32)
cost = tf.reduce_mean(tf.square(y - tf.exp(rate) * x))
train = tf.train.AdamOptimizer(0.001).minimize(cost)
"""
    files = [SourceFile(f"{start}.py", text.format(start=start)) for start in ("-6.0", "80.0")]
    result = lint(files, Options(show_refuted=True))
    found = [
        (each.site.path, each.verdict, each.reason)
        for each in result.findings
        if each.code == "ACT108"
    ]
    near = [reason or "" for path, verdict, reason in found if path == "-6.0.py"]
    assert near
    assert all("it takes a weight of" in reason for reason in near)
    assert any(path == "80.0.py" and verdict is Verdict.CONFIRMED for path, verdict, _ in found)


def test_what_cannot_be_run_is_a_warning() -> None:
    text = (
        HEADER
        + """\
def odd_loss(y_true, y_pred):
    rows, columns = tf.reshape(y_pred, [7, 11]), tf.reshape(y_pred, [5, 13])
    return tf.reduce_mean(1.0 / rows) + tf.reduce_mean(columns)
"""
    )
    (finding,) = lint([SourceFile("odd.py", text)], Options()).findings
    assert (finding.verdict, finding.severity) == (Verdict.UNCONFIRMED, Severity.WARNING)
    (finding,) = lint([SourceFile("odd.py", text)], Options(confirm=False)).findings
    assert finding.severity is Severity.ERROR
