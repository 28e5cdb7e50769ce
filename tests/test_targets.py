"""Placeholders of TensorFlow 1 graphs: which hold labels, and in which encoding."""

from __future__ import annotations

import pytest

from actlint.graph import Input, InputRole
from actlint.index import FileIndex, build
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.scene import units

HEAD = """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 784], name="x")
t = tf.placeholder({dtype}, {shape}, name="t")
w = tf.Variable(tf.zeros([784, 10]))
logits = tf.matmul(x, w)
y = tf.nn.softmax(logits)
"""
TAIL = "\ntrain = tf.train.AdamOptimizer().minimize(loss)\n"
SHARES = (InputRole.LABEL, 0.0, 1.0, False)
CLASSES = (InputRole.LABEL, -1000.0, 1000.0, True)
NUMBERS = (InputRole.DATA, -1000.0, 1000.0, False)

# What the graph does with `t`, and what follows for it: role, domain, whole numbers.
CASES = {
    "weights_logarithms": ("loss = -tf.reduce_sum(t * tf.log(y))", SHARES),
    "weights_logarithms_of_the_complement": (
        "p = tf.squeeze(y)\n"
        "loss = -tf.reduce_mean(t * tf.log(p) + (1 - t) * tf.log(1 - p))", SHARES,
    ),
    "labels_of_softmax": (
        "loss = tf.nn.softmax_cross_entropy_with_logits(labels=t, logits=logits)", SHARES,
    ),
    "labels_of_sigmoid_reshaped": (
        "loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.reshape(t, [-1, 10]), "
        "logits=logits)", SHARES,
    ),
    "places_of_the_largest": (
        "right = tf.equal(tf.argmax(y, 1), tf.argmax(t, 1))\n"
        "loss = tf.reduce_mean(tf.square(t - y))", SHARES,
    ),
    "sparse_labels": (
        "loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=logits)", CLASSES,
    ),
    "one_hot": (
        "loss = -tf.reduce_sum(tf.one_hot(t, 10) * tf.log(y + 1e-7))", CLASSES,
    ),
    "regression": ("loss = tf.reduce_mean(tf.square(t - logits))", NUMBERS),
    "pairs_that_match_or_do_not": (
        "d = tf.norm(logits, axis=1, keepdims=True)\n"
        "loss = tf.reduce_mean(t * tf.square(d) + (1 - t) * tf.square(tf.maximum(1 - d, 0)))",
        SHARES,
    ),
    "mixed_with_shares": (
        "loss = -tf.reduce_mean(tf.log(t * (t - y) + (1 - t) * (t + y)))", SHARES,
    ),
    "halves_of_a_mixture": (
        "loss = tf.reduce_mean(t * tf.abs(logits) + 0.5 * (1 - t) * tf.square(logits))", SHARES,
    ),
    "flag_at_the_end": ("loss = tf.reduce_mean(tf.square(logits + (1.0 - t) * 0.9 * y))", SHARES),
    "coordinate": (
        "loss = tf.reduce_mean(tf.square(t * (1 - t) * logits))",
        (InputRole.DATA, 0.0, 1.0, False),
    ),
    "signs": (
        "loss = tf.reduce_mean((1 + t) * tf.nn.relu(y) + (1 - t) * tf.square(y))", NUMBERS,
    ),
    "margin": ("loss = tf.reduce_mean(tf.nn.relu(1 - t * logits))", NUMBERS),
    "distance_from_one": ("loss = tf.reduce_mean(tf.square(1 - t) - logits)", NUMBERS),
    "logarithm_of_data": (
        "loss = tf.reduce_mean(tf.square(logits - tf.log(t + 1e-6)))",
        (InputRole.DATA, 0.0, 1000.0, False),
    ),
    "logarithm_of_a_picked_share": (
        "a = tf.one_hot(tf.argmax(logits, 1), 10)\n"
        "loss = tf.reduce_mean(logits) - tf.reduce_mean(tf.log(tf.reduce_sum(t * a, axis=1)))",
        (InputRole.DATA, 0.0, 1.0, False),
    ),
    "logarithm_of_a_return": ("loss = tf.reduce_mean(logits * tf.log(1.0 + t))", NUMBERS),
    "weights_of_errors": ("loss = tf.reduce_mean(t * tf.square(logits))", NUMBERS),
}  # fmt: skip


def _placeholder(text: str, name: str) -> Input:
    index = build("net.py", text)
    assert isinstance(index, FileIndex)
    (unit,) = units(index)
    (graph,) = lower(Module(index), unit).graphs
    (found,) = [n.input for n in graph.nodes if n.input is not None and n.input.name == name]
    return found


@pytest.mark.parametrize("name", CASES)
def test_placeholder(name: str) -> None:
    text, expected = CASES[name]
    dtype = "tf.int32" if expected is CLASSES else "tf.float32"
    shape = "[None]" if expected is CLASSES else "[None, 10]"
    found = _placeholder(HEAD.format(dtype=dtype, shape=shape) + text + TAIL, "t")
    assert (found.role, found.lo, found.hi, found.integer) == expected
    data = _placeholder(HEAD.format(dtype=dtype, shape=shape) + text + TAIL, "x")
    assert data.role is InputRole.DATA


def test_whole_numbers_that_mix_are_zero_or_one() -> None:
    text = "f = tf.cast(t, tf.float32)\nloss = tf.reduce_mean(f * y[:, 0] + (1 - f) * y[:, 1])"
    found = _placeholder(HEAD.format(dtype="tf.int32", shape="[None]") + text + TAIL, "t")
    assert (found.lo, found.hi, found.integer) == (0.0, 1.0, True)


def test_an_advantage_is_no_label() -> None:
    text = "loss = -tf.reduce_mean(t * tf.log(tf.reduce_max(y, axis=1)))"
    found = _placeholder(HEAD.format(dtype="tf.float32", shape="[None]") + text + TAIL, "t")
    assert (found.role, found.lo, found.hi, found.integer) == NUMBERS
