"""Paths through code that works for tensors of several numbers of axes, or for sparse ones."""

from __future__ import annotations

from actlint.index import FileIndex, build
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.scene import units

HEAD = """\
import tensorflow as tf
from tensorflow.keras import backend as K


class Pool(tf.keras.layers.Layer):
    def call(self, inputs):
        x, a = inputs
        s = tf.nn.softmax(tf.keras.layers.Dense(3)(x))
"""


def _paths(*lines: str) -> set[tuple[str, ...]]:
    """Return the ops of each path, those of lines that are marked by functions of their own."""
    index = build("pool.py", HEAD + "".join(f"        {line}\n" for line in lines))
    assert isinstance(index, FileIndex)
    (unit,) = units(index)
    marks = ("sin", "cos", "tanh", "exp")
    return {
        tuple(node.op for node in graph.nodes if node.op in marks)
        for graph in lower(Module(index), unit).graphs
        if not graph.partial
    }


def test_what_is_decided_of_a_rank_stays_so() -> None:
    assert _paths(
        "if K.ndim(s) == 2:",
        "    s = tf.sin(s)",
        "if len(s.shape) == 2:",
        "    s = tf.cos(s)",
        "if K.ndim(s) == 3:",
        "    s = tf.tanh(s)",
        "return s",
    ) == {("sin", "cos"), ("tanh",), ()}


def test_ranks_that_are_compared_are_the_same() -> None:
    assert _paths(
        "if K.ndim(a) == K.ndim(s):",
        "    s = tf.sin(s)",
        "    if K.ndim(a) == 3:",
        "        s = tf.cos(s)",
        "        if K.ndim(tf.reduce_sum(tf.transpose(s), axis=-1)) != 2:",
        "            s = tf.exp(s)",
        "return s",
    ) == {("sin", "cos"), ("sin",), ()}


def test_computed_tensors_are_dense() -> None:
    assert _paths(
        "if K.is_sparse(s) or isinstance(a, tf.SparseTensor):",
        "    s = tf.sin(s)",
        "return s",
    ) == {()}


def test_what_a_sparse_function_gives_is_not_known_to_be_dense() -> None:
    assert _paths(
        "b = tf.sparse.add(a, a)",
        "if K.is_sparse(b):",
        "    s = tf.sin(s)",
        "return s",
    ) == {("sin",), ()}
