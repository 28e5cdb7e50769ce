"""Functions, classes and lambdas of which a file has several of one name: each is linted."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.source import SourceFile

LOG = "-y_true * tf.math.log(y_pred)"
RATIO = "y_true / y_pred"

# Source after the imports, and the names of functions with the culprits found there.
CASES = {
    "if_else": (
        f"""\
if tf.__version__ > "2":
    def my_loss(y_true, y_pred):
        return {LOG}
else:
    def my_loss(y_true, y_pred):
        return {RATIO}
""",
        [("my_loss", "tf.math.log(y_pred)"), ("my_loss", RATIO)],
    ),
    "try_except": (
        f"""\
try:
    import fast

    def my_loss(y_true, y_pred):
        return {LOG}
except ImportError:
    def my_loss(y_true, y_pred):
        return {RATIO}
""",
        [("my_loss", "tf.math.log(y_pred)"), ("my_loss", RATIO)],
    ),
    "three_in_a_row": (
        f"""\
def my_loss(y_true, y_pred):
    return {LOG}

def my_loss(y_true, y_pred):
    return tf.square(y_true - y_pred)

def my_loss(y_true, y_pred):
    return {RATIO}
""",
        [("my_loss", "tf.math.log(y_pred)"), ("my_loss", RATIO)],
    ),
    "role_by_use": (
        """\
def f(x):
    return 1 / x

def f(x):
    return tf.sqrt(x)

keras.layers.Dense(3, activation=f)
""",
        [("f", "1 / x"), ("f", "tf.sqrt(x)")],
    ),
    "factories": (
        f"""\
def make_loss(g):
    def loss(y_true, y_pred):
        return g * {RATIO}
    return loss

def make_loss(g):
    def loss(y_true, y_pred):
        return {LOG}
    return loss
""",
        [
            ("make_loss.<locals>.loss", f"g * {RATIO}"),
            ("make_loss.<locals>.loss", "tf.math.log(y_pred)"),
        ],
    ),
    "classes": (
        f"""\
if tf.executing_eagerly():
    class Mine(keras.losses.Loss):
        def __init__(self, eps=0.0):
            super().__init__()
            self.eps = eps

        def call(self, y_true, y_pred):
            return y_true / (y_pred + self.eps)
else:
    class Mine(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return {LOG}
""",
        [("Mine.call", "y_true / (y_pred + self.eps)"), ("Mine.call", "tf.math.log(y_pred)")],
    ),
    "lambdas": (
        """\
act = lambda x: 1 / x
act = lambda x: tf.sqrt(x)
keras.layers.Dense(3, activation=act)
""",
        [("act", "1 / x"), ("act", "tf.sqrt(x)")],
    ),
    "wrapped_and_bound_to_the_same_name": (
        f"""\
def my_loss(y_true, y_pred):
    return {RATIO}

my_loss = tf.function(my_loss)
""",
        [("my_loss", RATIO)],
    ),
    "callers_use_the_last": (
        f"""\
def part(y_true, y_pred):
    return {RATIO}

def part(y_true, y_pred):
    return tf.abs(y_true - y_pred)

def my_loss(t, p):
    return part(t, p)
""",
        [("part", RATIO)],
    ),
    "each_meets_the_parts_of_its_time": (
        """\
SAFE = 1.0

def part(a, b):
    return a / b

def my_loss(t, p):
    return part(t, SAFE) - tf.math.log(p)

def part(a, b):
    return a / (b - 1.0)

def my_loss(t, p):
    return part(t, 3.0) + tf.abs(p)
""",
        [("my_loss", "tf.math.log(p)")],
    ),
    "a_setter_is_no_second_getter": (
        """\
class Mine(keras.losses.Loss):
    @property
    def eps(self):
        return 0.0

    @eps.setter
    def eps(self, value):
        pass

    def call(self, y_true, y_pred):
        return y_true / (y_pred + self.eps)
""",
        [("Mine.call", "y_true / (y_pred + self.eps)")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_definition_is_linted(name: str) -> None:
    text, expected = CASES[name]
    imports = "import tensorflow as tf\nfrom tensorflow import keras\n\n"
    options = Options(confirm=False, select=frozenset({"ACT101", "ACT103", "ACT104"}))
    result = lint([SourceFile("mine.py", imports + text)], options)
    assert not result.errors
    assert [(f.function, f.site.text) for f in result.findings] == expected
