"""Hazards at exact points: what has to coincide, and how much that takes off a finding."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actlint.findings import Finding, Severity, Verdict

from .cases import HEADER, Case, run

SCRIPT = """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
h = tf.layers.dense(x, 3)
"""
TRAIN = "train = tf.train.AdamOptimizer().minimize(cost)\n"


@dataclass(frozen=True)
class Exact:
    name: str
    source: str
    severity: Severity
    condition: str  # how the message goes on after the claim of the rule; "" if it does not


def loss(body: str) -> str:
    """Return a loss that ends in an expression."""
    return HEADER + f"def loss(y_true, y_pred):\n    return {body}\n"


EXACT = (
    # ---- what real training makes exact stays what it is
    Exact("label_of_zero", loss("K.mean(K.abs(y_pred - y_true) / y_true)"), Severity.ERROR, ""),
    Exact("saturated", loss("-K.sum(y_true * tf.math.log(y_pred))"), Severity.ERROR, ""),
    Exact(
        "relus_that_are_off",
        SCRIPT + "cost = tf.reduce_mean(tf.norm(tf.nn.relu(h), axis=1) - y)\n" + TRAIN,
        Severity.ERROR,
        "",
    ),
    Exact(
        "activations_that_are_all_zero",
        HEADER + """\
class Unit(keras.layers.Layer):
    def call(self, inputs):
        return inputs / tf.norm(inputs, axis=-1, keepdims=True)
""",
        Severity.ERROR,
        "",
    ),
    Exact(
        "diagonal_of_all_pairs",
        HEADER + """\
def loss(y_true, y_pred):
    difference = y_pred[:, None, :] - y_pred[None, :, :]
    return tf.reduce_mean(tf.norm(difference, axis=-1))
""",
        Severity.ERROR,
        "",
    ),
    Exact(
        "two_embeddings_of_one_network",
        HEADER + """\
def triplet_loss(y_true, y_pred):
    anchor, positive, negative = tf.split(y_pred, 3, axis=-1)
    near = tf.norm(anchor - positive, axis=-1)
    far = tf.sqrt(tf.reduce_sum(tf.square(anchor - negative), axis=-1) + 1e-12)
    return tf.reduce_mean(tf.nn.relu(near - far + 1.0))
""",
        Severity.ERROR,
        "",
    ),
    Exact(
        "weight_that_starts_at_zero",
        SCRIPT + """\
w = tf.Variable(tf.zeros([3]))
cost = tf.reduce_mean(tf.square(h * w - y)) + tf.norm(w)
""" + TRAIN,
        Severity.ERROR,
        "",
    ),
    Exact(
        "a_point_that_the_author_guards",
        HEADER + """\
def loss(y_true, y_pred):
    error = tf.abs(y_true - y_pred)
    return tf.reduce_mean(tf.where(error > 0.0, tf.math.log(error), tf.zeros_like(error)))
""",
        Severity.ERROR,
        "only where `y_pred` equals `y_true` exactly",
    ),
    # ---- chance
    Exact(
        "one_number",
        loss("tf.reduce_mean(tf.sqrt(tf.abs(y_true - y_pred)))"),
        Severity.WARNING,
        "only where `y_pred` equals `y_true` exactly",
    ),
    Exact(
        "all_numbers_of_a_sample",
        loss("tf.reduce_mean(tf.norm(y_true - y_pred, axis=-1))"),
        Severity.WARNING,
        "only where `y_pred` equals `y_true` exactly in every number",
    ),
    Exact(
        "all_samples",
        loss("tf.sqrt(tf.reduce_mean(tf.square(y_true - y_pred)))"),
        Severity.INFO,
        "only where `y_pred` equals `y_true` exactly in the whole batch",
    ),
    Exact(
        "spread_of_a_whole_batch",
        loss("tf.reduce_mean(tf.square(y_true - y_pred)) - tf.math.reduce_std(y_pred)"),
        Severity.INFO,
        "only where `y_pred` is exactly constant in the whole batch",
    ),
    Exact(
        "linear_layer",
        SCRIPT + "cost = tf.reduce_mean(tf.norm(h, axis=1) * tf.norm(y + 0.1, axis=1))\n" + TRAIN,
        Severity.WARNING,
        "only at exact numbers: here `tf.layers.dense(x, 3)` is 0 in every number, "
        "as behind a ReLU",
    ),
    Exact(
        "gradient_of_a_critic",
        HEADER + """\
def train_step(critic, optimizer, real):
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(real)
            score = critic(real)
        slopes = tf.norm(inner.gradient(score, real), axis=-1)
        cost = tf.reduce_mean(score) + tf.reduce_mean(tf.square(slopes - 1.0))
    weights = critic.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(cost, weights), weights))
""",
        Severity.WARNING,
        "only at exact numbers: here that gradient is 0 in every number, "
        "as behind ReLUs that are all off",
    ),
    Exact(
        "a_sum_that_is_zero",
        SCRIPT + "cost = tf.reduce_mean(y / tf.reduce_sum(h, axis=1, keepdims=True))\n" + TRAIN,
        Severity.WARNING,
        "only where it is exactly so, which is a matter of chance",
    ),
    Exact(
        "parallel_vectors",
        HEADER + """\
def loss(y_true, y_pred):
    first = tf.math.l2_normalize(y_true, axis=-1)
    second = tf.math.l2_normalize(y_pred, axis=-1)
    cosine = tf.reduce_sum(first * second, axis=-1)
    return tf.reduce_mean(tf.acos(tf.clip_by_value(cosine, -1.0, 1.0)))
""",
        Severity.WARNING,
        "only where `y_pred` equals `y_true` exactly",
    ),
    Exact(
        "another_number_than_zero",
        SCRIPT + "cost = tf.reduce_mean(y / tf.square(h - 3.0))\n" + TRAIN,
        Severity.WARNING,
        "only at exact numbers: here `tf.layers.dense(x, 3)` is 3",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(Case(exact.name, exact.source) for exact in EXACT)


@pytest.mark.parametrize("exact", EXACT, ids=lambda exact: exact.name)
def test_what_has_to_coincide(exact: Exact, findings: dict[str, list[Finding]]) -> None:
    # What the loss means is told by other rules.
    (finding,) = (f for f in findings[Case(exact.name, "").path] if f.code.startswith("ACT1"))
    assert finding.verdict is Verdict.CONFIRMED
    _, _, condition = finding.message.partition("; ")
    assert condition == exact.condition
    assert finding.severity is exact.severity
