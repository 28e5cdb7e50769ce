"""Labels that are trained, batches of one size, and fractions that integers cut off."""

from __future__ import annotations

import pytest

from actlint import index
from actlint.findings import Check, Hazard, Outcome, Verdict
from actlint.graph import Graph, Items, Ref, Role
from actlint.index import FileIndex
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.scene import units

from .verdicts import WIDE, Build, ask, at

STEP = """
import tensorflow as tf

def step(model, other, optimizer, x, z):
    {before}
    with tf.GradientTape() as tape:
        {inside}
        loss = tf.keras.losses.mse(target, model(x))
    gradients = tape.gradient(loss, {sources})
    optimizer.apply_gradients(zip(gradients, model.weights))
"""


def lowered(source: str) -> Graph:
    found = index.build("step.py", source)
    assert isinstance(found, FileIndex)
    unit = next(iter(units(found)))
    return lower(Module(found), unit).graphs[0]


def networks(
    before: str = "pass", inside: str = "pass", sources: str = "model.trainable_variables"
) -> list[tuple[str, int]]:
    graph = lowered(STEP.format(before=before, inside=inside, sources=sources))
    return [(graph.nodes[node].site.text, number) for node, number in graph.networks]


# ---- what a tape differentiates by ---------------------------------------------------------------


def test_calls_of_one_network_under_the_tape() -> None:
    assert networks(inside="target = model(z)") == [("model(z)", 0), ("model(x)", 0)]


@pytest.mark.parametrize(
    "more",
    [
        {"before": "target = model(z)"},
        {"inside": "target = other(z)"},
        {"inside": "target = model.predict(z)"},
        {"inside": "with tape.stop_recording(): target = model(z)"},
    ],
)
def test_what_the_tape_does_not_train(more: dict[str, str]) -> None:
    assert networks(**more) == [("model(x)", 0)]


def test_several_sources() -> None:
    sources = "[*model.trainable_variables, *other.trainable_variables]"
    assert networks(inside="target = other(z)", sources=sources) == []
    sources = "[model.trainable_variables, other.trainable_variables]"
    found = networks(inside="target = other(z)", sources=sources)
    assert found == [("other(z)", 0), ("model(x)", 1)]


def test_equal_layers_are_not_one() -> None:
    source = """
import tensorflow as tf

class Agent:
    def __init__(self):
        self.online = tf.keras.Sequential([tf.keras.layers.Dense(4)])
        self.frozen = tf.keras.Sequential([tf.keras.layers.Dense(4)])

    def step(self, x, z):
        with tf.GradientTape() as tape:
            loss = tf.keras.losses.mse(self.frozen(z), self.online(x))
        variables = self.online.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
"""
    graph = lowered(source)
    assert [graph.nodes[node].site.text for node, _ in graph.networks] == ["self.online(x)"]


# ---- labels --------------------------------------------------------------------------------------


def own_label(temperature: float) -> Outcome:
    g = Build(Role.LOSS)
    logits = g.prediction("logits", limits=WIDE)
    label = g("softmax", g("divide", logits, temperature))
    loss = g("softmax_cross_entropy_with_logits", label, logits)
    return ask(g, g("reduce_mean", loss), label, Check.HELD_LABEL, at(logits, 0.0))


def test_gradient_through_a_sharpened_label() -> None:
    outcome = own_label(0.5)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.hazard is Hazard.WRONG_GRADIENT


def test_entropy_is_no_label() -> None:
    outcome = own_label(1.0)
    assert outcome.verdict is Verdict.REFUTED
    assert "entropy" in (outcome.reason or "")


def test_label_that_is_held_already() -> None:
    g = Build(Role.LOSS)
    logits = g.prediction("logits", limits=WIDE)
    label = g("stop_gradient", g("softmax", g("divide", logits, 0.5)))
    loss = g("softmax_cross_entropy_with_logits", label, logits)
    outcome = ask(g, g("reduce_mean", loss), label, Check.HELD_LABEL, at(logits, 0.0))
    assert outcome.verdict is Verdict.REFUTED


# ---- sizes ---------------------------------------------------------------------------------------


def reshaped(*shape: int) -> Outcome:
    g = Build(Role.LOSS)
    gap = g("subtract", g.label(limits=WIDE), g.prediction(limits=WIDE))
    rows = g("reshape", gap, Items(shape))
    loss = g("reduce_mean", g("square", rows))
    return ask(g, loss, rows, Check.FIXED_BATCH, threshold=float(shape[0]))


@pytest.mark.parametrize("shape", [(32, 10), (12, 5, 4), (50, -1)])
def test_rows_of_a_fixed_number(shape: tuple[int, ...]) -> None:
    outcome = reshaped(*shape)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert "raises an error" in str(outcome.evidence.detail["observed"])


def test_as_many_classes_as_the_number() -> None:
    g = Build(Role.LOSS)
    gap = g("subtract", g.label(limits=WIDE), g.prediction(limits=WIDE))
    ranks = g("ones", Items((7,)))
    loss = g("reduce_mean", g("square", g("multiply", gap, ranks)))
    assert ask(g, loss, ranks, Check.FIXED_BATCH, threshold=7.0).verdict is Verdict.REFUTED


# ---- fractions -----------------------------------------------------------------------------------


def share(numerator: int | None) -> Outcome:
    g = Build(Role.LOSS)
    label, prediction = g.label(limits=WIDE), g.prediction(limits=WIDE)
    size = g("size", label)
    quotient = g("floordiv", numerator or g("multiply", size, 2), size)
    error = g("square", g("subtract", label, prediction))
    loss = g("reduce_mean", g("multiply", g("cast", quotient, "float32"), error))
    return ask(g, loss, quotient, Check.TRUNCATION)


def test_share_that_is_nothing_in_integers() -> None:
    outcome = share(1)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.value == 0.0


def test_quotient_without_a_rest() -> None:
    assert share(None).verdict is Verdict.REFUTED


def test_cast_of_smoothed_labels() -> None:
    g = Build(Role.LOSS)
    label, prediction = g.label(), g.prediction()
    smooth = g("add", g("multiply", label, 0.9), 0.05)
    cut = g("cast", smooth, "int32")
    gap = g("subtract", g("cast", cut, "float32"), prediction)
    loss = g("reduce_mean", g("square", gap))
    assert ask(g, loss, cut, Check.TRUNCATION).verdict is Verdict.CONFIRMED


def test_zero_of_a_constant_quotient_has_its_place() -> None:
    source = """
import tensorflow as tf

PARTS = 4

def penalised_loss(y_true, y_pred):
    weight = 1 // PARTS
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(error) + weight * tf.reduce_max(error)
"""
    graph = lowered(source)
    (zero,) = [node for node in graph.nodes if node.arg("quotient") is not None]
    assert (zero.value, zero.arg("quotient"), zero.site.text) == (0, 0.25, "1 // PARTS")
    product = next(node for node in graph.nodes if node.op == "multiply")
    assert Ref(zero.id) in dict(product.args).values()
