"""Functions that bring their own gradient, called in others: followed, and believed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actlint import index
from actlint.excerpt import job
from actlint.findings import Check, Suspect
from actlint.graph import Graph
from actlint.index import FileIndex
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.query import View
from actlint.scene import units

from . import cases
from .cases import HEADER

OWN = "with_gradient"


@dataclass(frozen=True)
class Form:
    name: str
    source: str  # an activation `my_activation`, that calls a function with a gradient of its own
    followed: bool = True


FORMS = (
    Form(
        "decorated",
        """\
@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(upstream):
        return upstream * (1 - 1 / (1 + e))

    return tf.math.log(1 + e), grad


def my_activation(x):
    return x * tf.tanh(log1pexp(2.0 * x))
""",
    ),
    Form(
        "defined_inside",
        """\
def my_activation(x):
    scale = tf.reduce_max(tf.abs(x))

    @tf.custom_gradient
    def quantised(z):
        return tf.round(z * 4.0) / 4.0, lambda dy: tf.clip_by_value(dy, -0.1, 0.1)

    return scale * quantised(x / scale)
""",
    ),
    Form(
        "called_at_once",
        """\
def my_activation(x):
    return tf.custom_gradient(lambda z: (tf.sign(z), lambda dy: dy / (1.0 + tf.square(z))))(x) + x
""",
    ),
    Form(
        "bound_to_a_name",
        """\
def _reversed(z):
    def grad(dy):
        return -0.5 * dy

    return tf.identity(z), grad


reverse = tf.custom_gradient(_reversed)


def my_activation(x):
    return tf.nn.relu(reverse(x)) + 0.1 * reverse(x * x)
""",
    ),
    Form(
        "two_arguments",
        """\
@tf.custom_gradient
def guarded(a, b):
    safe = tf.where(b > 0.1, b, tf.ones_like(b))

    def grad(dy):
        return dy / safe, -dy * a / tf.square(safe)

    return a / safe, grad


def my_activation(x):
    return guarded(tf.sin(x), tf.square(x))
""",
    ),
    Form(
        "one_argument_gets_none",
        """\
@tf.custom_gradient
def held(a, b):
    return a * b, lambda dy: (dy * b, None)


def my_activation(x):
    return held(x, tf.sigmoid(x))
""",
    ),
    Form(
        "a_number_beside",
        """\
@tf.custom_gradient
def scaled(a, factor):
    return a, lambda dy: (dy * factor, None)


def my_activation(x):
    return scaled(tf.tanh(x), 0.25)
""",
    ),
    Form(
        "one_within_another",
        """\
@tf.custom_gradient
def stepped(z):
    return tf.sign(z), lambda dy: dy * (1.0 - tf.square(tf.tanh(z)))


@tf.custom_gradient
def doubled(z):
    return 2.0 * stepped(z), lambda dy: 3.0 * dy


def my_activation(x):
    return doubled(x) * stepped(0.5 * x)
""",
    ),
    Form(
        "keras",
        """\
@keras.ops.custom_gradient
def softplus(x):
    e = keras.ops.exp(x)

    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return upstream * (1.0 - 1.0 / (1.0 + e))

    return keras.ops.log(1.0 + e), grad


def my_activation(x):
    return keras.ops.tanh(softplus(x))
""",
    ),
    Form(
        "uses_variables",
        """\
@tf.custom_gradient
def weighted(x):
    def grad(dy, variables=None):
        return dy, [tf.reduce_sum(dy)]

    return tf.exp(x), grad


def my_activation(x):
    return tf.tanh(weighted(x))
""",
        followed=False,
    ),
    Form(
        "two_values",
        """\
@tf.custom_gradient
def both(x):
    return (tf.sin(x), tf.cos(x)), lambda a, b: a * tf.cos(x) - b * tf.sin(x)


def my_activation(x):
    sine, cosine = both(x)
    return sine * cosine
""",
        followed=False,
    ),
    Form(
        "gradient_that_calls_another",
        """\
@tf.custom_gradient
def gate(z):
    return tf.sign(z), lambda dy: dy


@tf.custom_gradient
def step(z):
    return tf.round(z), lambda dy: dy * gate(z)


def my_activation(x):
    return tf.tanh(step(x))
""",
        followed=False,
    ),
    Form(
        "gradient_by_an_unknown_function",
        """\
from elsewhere import slope


@tf.custom_gradient
def step(z):
    return tf.round(z), lambda dy: slope(z, dy)


def my_activation(x):
    return tf.tanh(step(x))
""",
        followed=False,
    ),
)
FOLLOWED = tuple(form for form in FORMS if form.followed)
POINTS = ((-3.0, -1.2, -0.4), (0.3, 0.7, 2.5))


def graph_of(form: Form) -> Graph:
    path = f"{form.name}.py"
    built = index.build(path, HEADER + form.source)
    assert isinstance(built, FileIndex)
    (unit,) = (unit for unit in units(built) if unit.qualname == "my_activation")
    whole = [graph for graph in lower(Module(built), unit).graphs if not graph.partial]
    return whole[0] if whole else lower(Module(built), unit).graphs[0]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_what_is_followed(form: Form):
    graph = graph_of(form)
    assert any(True for _ in View(graph).nodes(OWN)) is form.followed
    assert bool(graph.opaque) is not form.followed


@pytest.mark.parametrize("form", FOLLOWED, ids=lambda form: form.name)
def test_the_worker_takes_the_gradient_that_tensorflow_takes(form: Form):
    programs = pytest.importorskip("actlint.worker.program")
    tf = programs.tf
    namespace: dict[str, object] = {}
    exec(HEADER + form.source, namespace)
    graph = graph_of(form)
    suspect = Suspect("ACT111", graph.output, "", Check.NONFINITE)
    made = job(graph, [suspect], id=0, seed=0, samples=1)
    assert made is not None
    (place,) = (step.id for step in made.instructions if step.input is not None)
    program = programs.Program(made)

    def pair(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return value, tape.gradient(value, x)

    def interpreted(x):
        return pair(lambda y: program.forward({place: y})[made.output], x)

    x = tf.constant(POINTS)
    value, slope = (part.numpy() for part in pair(namespace["my_activation"], x))
    traced = tf.function(interpreted, autograph=False)
    compiled = tf.function(interpreted, autograph=False, jit_compile=True)
    for run in (interpreted, traced, compiled):
        found = [part.numpy() for part in run(x)]
        assert found[0] == pytest.approx(value, rel=1e-4, abs=1e-6)
        assert found[1] == pytest.approx(slope, rel=1e-4, abs=1e-6)


STABLE = """\
@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(upstream):
        return upstream * (1 - 1 / (1 + e))

    return tf.math.log(1 + e), grad


"""
ESTIMATOR = """\
@tf.custom_gradient
def binary(x):
    def grad(upstream):
        return tf.where(tf.abs(x) <= 1.0, upstream, tf.zeros_like(upstream))

    return tf.where(x >= 0.0, tf.ones_like(x), -tf.ones_like(x)), grad


"""
CASES = (
    cases.Case(
        "stable_in_a_loss",
        HEADER
        + STABLE
        + """\
def logistic(y_true, y_pred):
    return tf.reduce_mean(log1pexp(-y_true * y_pred), axis=-1)


def compile_model(model):
    model.compile("adam", loss=logistic)
""",
    ),
    cases.Case(
        "stable_in_an_activation",
        HEADER
        + STABLE
        + """\
def my_activation(x):
    return x * tf.tanh(log1pexp(x))


layer = keras.layers.Dense(4, activation=my_activation)
other = keras.layers.Dense(4, activation=log1pexp)
""",
    ),
    cases.Case(
        "stable_method_of_a_layer",
        HEADER
        + """\
class Softplus(keras.layers.Layer):
    @tf.custom_gradient
    def stable(self, x):
        e = tf.exp(x)
        return tf.math.log(1 + e), lambda dy: dy * (1 - 1 / (1 + e))

    def call(self, inputs):
        return self.stable(inputs)
""",
    ),
    cases.Case(
        "estimator_in_a_layer",
        HEADER
        + ESTIMATOR
        + """\
class Binarised(keras.layers.Layer):
    def call(self, inputs):
        return 0.5 * binary(inputs) + 0.5


def my_activation(x):
    return binary(2.0 * x)


layer = keras.layers.Dense(4, activation=my_activation)
""",
    ),
    cases.Case(
        "safe_root",
        HEADER
        + """\
@tf.custom_gradient
def root(x):
    value = tf.sqrt(x)
    return value, lambda dy: dy * tf.where(x > 0.0, 0.5 / tf.maximum(value, 1e-6), 0.0)


def distance(y_true, y_pred):
    return root(tf.reduce_sum(tf.square(y_true - y_pred), axis=-1))


def compile_model(model):
    model.compile("adam", loss=distance)
""",
    ),
    cases.Case(
        "value_of_a_pole",
        HEADER
        + """\
@tf.custom_gradient
def bounded_log(p):
    return tf.math.log(p), lambda dy: dy / tf.maximum(p, 1e-3)


def cross_entropy(y_true, y_pred):
    return -tf.reduce_sum(y_true * bounded_log(y_pred), axis=-1)


def compile_model(model):
    model.compile("adam", loss=cross_entropy)
""",
        (("ACT103", "tf.math.log(p)"),),
    ),
    cases.Case(
        "pole_behind_it",
        HEADER
        + STABLE
        + """\
def my_activation(x):
    return 1.0 / (log1pexp(x) - 1.0)


layer = keras.layers.Dense(4, activation=my_activation)
""",
        (("ACT101", "1.0 / (log1pexp(x) - 1.0)"),),
    ),
    cases.Case(
        "wrong_one_used_elsewhere",
        HEADER
        + """\
class Squared(keras.layers.Layer):
    def call(self, inputs):
        @tf.custom_gradient
        def square(x):
            return tf.square(x), lambda dy: dy * x

        return square(inputs) + square(0.5 * inputs)
""",
        (("ACT207", "dy * x"),),
    ),
)


def test_the_cases():
    found = cases.run(CASES)
    for case in CASES:
        texts = sorted((f.code, f.site.text) for f in found[case.path])
        assert texts == sorted(case.expected), case.name
