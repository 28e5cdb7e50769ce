"""Sums over the batch in training steps and scripts: source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import Case, check, run

NETWORK = """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [None, 8])
y = tf.placeholder(tf.int64, [None])
features = tf.layers.dense(x, 2)
logits = tf.layers.dense(features, 10)
centers = tf.get_variable("centers", [10, 2], trainable=False)
costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
"""
TRAIN = "train = tf.train.AdamOptimizer(1e-3).minimize(loss)\n"

CASES = (
    Case("l2_loss_of_features", NETWORK + """\
center_loss = tf.nn.l2_loss(features - tf.gather(centers, y))
loss = tf.reduce_mean(costs) + 0.5 * center_loss
""" + TRAIN, (("ACT504", "tf.nn.l2_loss(features - tf.gather(centers, y))"),)),
    Case("labels_of_unknown_shape", NETWORK.replace("tf.int64, [None]", "tf.int64") + """\
loss = tf.reduce_mean(costs) + tf.nn.l2_loss(features - tf.gather(centers, tf.reshape(y, [-1])))
""" + TRAIN, (("ACT504", "tf.nn.l2_loss(features - tf.gather(centers, tf.reshape(y, [-1])))"),)),
    Case("weight_that_is_fed", NETWORK + """\
weight = tf.placeholder(tf.float32, [], name="weight")
loss = tf.reduce_mean(costs) + weight * tf.reduce_sum(tf.abs(features))
""" + TRAIN, (("ACT504", "tf.reduce_sum(tf.abs(features))"),)),
    Case("training_step", """\
import tensorflow as tf

net = tf.keras.layers.Dense(4)
head = tf.keras.layers.Dense(3)


def step(optimizer, x, y):
    with tf.GradientTape() as tape:
        hidden = net(x)
        costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=head(hidden))
        loss = tf.reduce_mean(costs) + 0.1 * tf.reduce_sum(tf.square(hidden))
    weights = net.trainable_variables + head.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
""", (("ACT504", "tf.reduce_sum(tf.square(hidden))"),)),
    Case("l2_loss_of_weights", """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [None, 8])
y = tf.placeholder(tf.int64, [None])
w = tf.get_variable("w", [8, 10])
costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=tf.matmul(x, w))
decay = tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables()])
loss = tf.reduce_mean(costs) + 1e-4 * tf.nn.l2_loss(w) + 1e-4 * decay
""" + TRAIN),
    Case("rows_of_weights", NETWORK + """\
rows = tf.nn.embedding_lookup(tf.get_variable("table", [10, 4]), y)
loss = tf.reduce_mean(costs) + 1e-4 * tf.nn.l2_loss(rows)
""" + TRAIN, known_miss="what is decayed are weights, however many samples look them up"),
    Case("divided_by_the_samples", NETWORK + """\
n = tf.cast(tf.shape(x)[0], tf.float32)
total = tf.reduce_sum(tf.square(features - tf.gather(centers, y)))
loss = tf.reduce_mean(costs) + 0.5 * total / n
""" + TRAIN),
    Case("divided_by_a_setting", """\
import tensorflow.compat.v1 as tf


def build(batch_size, ratio):
    x = tf.placeholder(tf.float32, [None, 8])
    y = tf.placeholder(tf.float32, [None, 2])
    features = tf.layers.dense(x, 2)
    fit = tf.reduce_mean(tf.square(features - y))
    loss = fit + ratio * tf.reduce_sum(tf.abs(features)) / batch_size
    return tf.train.AdamOptimizer(1e-3).minimize(loss)
"""),
    Case("sums_of_means", NETWORK + """\
spread = tf.reduce_sum(tf.square(tf.reduce_mean(features, axis=0)))
loss = tf.reduce_mean(costs) + 0.1 * spread
""" + TRAIN),
    Case("sums_alone", NETWORK + """\
loss = tf.reduce_sum(costs) + 0.5 * tf.reduce_sum(tf.square(features))
""" + TRAIN),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
