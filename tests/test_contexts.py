"""Helpers that are judged by what the project gives them, not by their names alone."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.source import SourceFile

HELPER = """\
import tensorflow as tf


def size_loss(shares):
    return tf.norm(tf.reduce_sum(shares, axis=0), axis=-1)
"""
CALLER = """

class Pool(tf.keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        hidden = [tf.keras.layers.Dense(n, "relu") for n in (8, 8)]
        self.mlp = tf.keras.Sequential(hidden + [tf.keras.layers.Dense(4, {activation})])

    def call(self, inputs):
        shares = self.mlp(inputs)
        self.add_loss(tf.reduce_mean(size_loss(shares)))
        return shares
"""
TESTED = "\n\ndef test_size():\n    assert size_loss(tf.zeros([2, 4])) == 0\n"
MORE = "\n\ndef report(data):\n    return size_loss(data.load())\n"

# What stands beside the helper, and what is suspected of it.
CASES = {
    "alone": ("", ["ACT105"]),
    "given a softmax": (CALLER.format(activation='"softmax"'), []),
    "given what a relu leaves": (CALLER.format(activation='"relu"'), ["ACT105"]),
    "called by a function that is not followed": (
        CALLER.format(activation='"softmax"') + MORE, ["ACT105"],
    ),
    "handed on as well": (
        CALLER.format(activation='"softmax"') + "\nLOSSES = [size_loss]\n", ["ACT105"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_helper(name: str) -> None:
    more, codes = CASES[name]
    result = lint([SourceFile("pool.py", HELPER + more)], Options(confirm=False))
    assert not result.errors
    assert [finding.code for finding in result.findings] == codes


def test_methods_of_other_classes_are_no_callers() -> None:
    text = HELPER.replace("def size_loss(shares):\n", "class Pool(tf.keras.layers.Layer):\n{body}")
    body = (
        CALLER.format(activation='"softmax"')
        .split("\n", 3)[3]
        .replace("size_loss", "self.size_loss")
        + "\n    def size_loss(self, shares):\n    "
    )
    other = (
        "import tensorflow as tf\n\n\nclass Other(tf.keras.layers.Layer):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.size_loss = tf.keras.losses.MeanSquaredError()\n\n"
        "    def call(self, inputs):\n"
        "        self.add_loss(self.size_loss(inputs, inputs + 1.0))\n        return inputs\n"
    )
    files = [SourceFile("pool.py", text.format(body=body)), SourceFile("other.py", other)]
    result = lint(files, Options(confirm=False, select=frozenset({"ACT105"})))
    assert not result.errors
    assert not result.findings
    named = SourceFile("other.py", other.replace("self.add_loss(self.", "self.add_loss(inputs."))
    result = lint([files[0], named], Options(confirm=False, select=frozenset({"ACT105"})))
    assert [finding.code for finding in result.findings] == ["ACT105"]


def test_tests_are_no_callers() -> None:
    files = [
        SourceFile("pool.py", HELPER + CALLER.format(activation='"softmax"')),
        SourceFile("tests/test_pool.py", "from pool import size_loss" + TESTED),
    ]
    assert not lint(files, Options(confirm=False)).findings


def test_what_a_package_exports_may_be_given_anything() -> None:
    files = [
        SourceFile("pooling/pool.py", HELPER + CALLER.format(activation='"softmax"')),
        SourceFile("pooling/__init__.py", "from pooling.pool import size_loss\n"),
    ]
    assert [finding.code for finding in lint(files, Options(confirm=False)).findings] == ["ACT105"]


def test_the_witness_is_that_of_the_caller() -> None:
    text = (
        "import tensorflow as tf\n\n\n"
        "def picked_loss(policy, actions):\n"
        "    return -tf.math.log(tf.reduce_sum(policy * actions, axis=-1))\n\n\n"
        "class Agent:\n"
        "    def __init__(self, count, optimizer):\n"
        "        self.count, self.optimizer = count, optimizer\n"
        "        self.model = tf.keras.Sequential(\n"
        "            [tf.keras.layers.Dense(8), tf.keras.layers.Dense(4, activation='softmax')]\n"
        "        )\n\n"
        "    def train(self, states, actions):\n"
        "        with tf.GradientTape() as tape:\n"
        "            policy = self.model(states)\n"
        "            loss = tf.reduce_mean(picked_loss(policy, tf.one_hot(actions, 4)))\n"
        "        found = tape.gradient(loss, self.model.trainable_variables)\n"
        "        self.optimizer.apply_gradients(zip(found, self.model.trainable_variables))\n"
    )
    result = lint([SourceFile("agent.py", text)], Options())
    (finding,) = result.findings
    assert (finding.code, finding.function) == ("ACT109", "Agent.train")


MANY = """\
import tensorflow as tf


def ratio_loss(y_true, y_pred):
    return tf.reduce_mean(y_true / y_pred)


def cut_loss(y_pred):
    return tf.reduce_mean(tf.cast(y_pred > 0.5, tf.float32))


def fit_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred)) + cut_loss(y_pred)
"""
CALLS = """

def step_{at}(y_true, y_pred):
    return ratio_loss(y_true, {given})
"""


def test_every_caller_counts_and_cuts_are_told_where_they_stand() -> None:
    safe = [CALLS.format(at=at, given="tf.nn.softplus(y_pred) + 0.1") for at in range(4)]
    last = CALLS.format(at=9, given="tf.nn.relu(y_pred)")
    for parts in ([*safe, last], [last, *safe]):
        result = lint([SourceFile("many.py", MANY + "".join(parts))], Options())
        codes = {finding.code for finding in result.findings}
        assert "ACT101" in codes
        assert codes & {"ACT201", "ACT203"}
    result = lint([SourceFile("many.py", MANY + "".join(safe))], Options())
    assert "ACT101" not in {finding.code for finding in result.findings}


def test_a_star_hands_on() -> None:
    files = [
        SourceFile("pooling/pool.py", HELPER + CALLER.format(activation='"softmax"')),
        SourceFile("pooling/__init__.py", "from .pool import *\n"),
    ]
    assert [finding.code for finding in lint(files, Options(confirm=False)).findings] == ["ACT105"]
