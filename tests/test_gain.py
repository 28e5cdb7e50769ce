"""The gradient gain per layer, switches, bands and products, as the worker measures them."""

from __future__ import annotations

import math

import pytest

from actlint.findings import Check, Evidence, Hazard, Verdict
from actlint.graph import Ref, Role

from .verdicts import UNIT, Build, ask, at, one_op

gain = pytest.importorskip("actlint.worker.gain")
np = pytest.importorskip("numpy")


def curve(function, slope):
    return lambda points: (function(np.asarray(points)), slope(np.asarray(points)))


def confirmed(outcome) -> Evidence:
    assert outcome.verdict is Verdict.CONFIRMED, outcome
    assert outcome.evidence is not None
    return outcome.evidence


@pytest.mark.parametrize(
    ("function", "slope", "scale", "expected"),
    [
        # E[relu(z)**2] = E[relu'(z)**2] = 1/2 at any scale.
        (lambda x: np.maximum(x, 0.0), lambda x: (x > 0) * 1.0, 1.7, 1.0),
        # E[x**4] = 3, E[4 x**2] = 4; E[x**6] = 15, E[9 x**4] = 27.
        (np.square, lambda x: 2.0 * x, 0.6, 4.0 / 3.0),
        (lambda x: x**3, lambda x: 3.0 * x**2, 2.0, 27.0 / 15.0),
        # E[exp(2 s z)] is both, so that the gain is the variance.
        (np.exp, np.exp, 0.5, 0.25),
        # E[sin(z)**2] = (1 - exp(-2)) / 2, E[cos(z)**2] = (1 + exp(-2)) / 2.
        (np.sin, np.cos, 1.0, (1.0 + math.exp(-2.0)) / (1.0 - math.exp(-2.0))),
    ],
    ids=["relu", "square", "cube", "exp", "sine"],
)
def test_gain_agrees_with_the_integral(function, slope, scale, expected) -> None:
    (found,) = gain.gains(curve(function, slope), np.array([scale]))
    assert found.gain == pytest.approx(expected, rel=1e-4)
    assert found.scale == scale


def test_weights_keep_the_length() -> None:
    (found,) = gain.gains(curve(np.tanh, lambda x: 1.0 / np.cosh(x) ** 2), np.array([0.8]))
    z = np.random.default_rng(0).standard_normal(1_000_000)
    length = np.mean(np.tanh(0.8 * z) ** 2)
    assert found.weights**2 * length == pytest.approx(0.64, rel=1e-2)


def test_curves_without_a_gain() -> None:
    scales = np.array([1.0])
    assert gain.gains(curve(np.zeros_like, np.zeros_like), scales) is None
    assert gain.gains(lambda points: (np.asarray(points), None), scales) is None
    with np.errstate(invalid="ignore"):
        assert gain.gains(curve(np.log, lambda x: 1.0 / x), scales) is None
    pole = curve(lambda x: x / (x + 0.6), lambda x: 0.6 / (x + 0.6) ** 2)
    assert gain.gains(pole, scales) is None


@pytest.mark.parametrize(
    ("factor", "layers"), [(0.25, 10), (4.0, 10), (0.01, 3), (1.0, None), (1.0001, None)]
)
def test_depth_of_a_thousandfold_change(factor: float, layers: int | None) -> None:
    assert gain.depth(factor) == layers


@pytest.mark.parametrize("op", ["sigmoid", "hard_sigmoid", "tanh", "relu", "softplus", "gelu"])
def test_usual_activations_neither_vanish_nor_explode(op: str) -> None:
    g, _, out = one_op(op)
    assert ask(g, out, out, Check.GAIN_LOSS, threshold=0.1).verdict is Verdict.REFUTED
    assert ask(g, out, out, Check.GAIN_GROWTH, threshold=2.2).verdict is Verdict.REFUTED


def test_sigmoid_of_sigmoid_vanishes() -> None:
    g, _, inner = one_op("sigmoid")
    out = g("sigmoid", inner)
    found = confirmed(ask(g, out, out, Check.GAIN_LOSS, threshold=0.1))
    assert found.hazard is Hazard.VANISHING
    assert found.detail["gain"] == pytest.approx(0.0162, rel=0.02)
    assert found.detail["layers"] == 4.0
    assert found.detail["relu_gain"] == pytest.approx(1.0, rel=1e-3)
    assert found.detail["tanh_gain"] == pytest.approx(1.0, rel=1e-2)


def test_cube_explodes() -> None:
    g, _, out = one_op("pow", 3.0)
    found = confirmed(ask(g, out, out, Check.GAIN_GROWTH, threshold=2.2))
    assert found.hazard is Hazard.EXPLODING
    assert found.detail["gain"] == pytest.approx(1.8, rel=1e-2)
    assert found.detail["growth"] == pytest.approx(3.0, rel=1e-2)
    assert found.detail["layers"] == 4.0


def test_bounded_input_is_no_pre_activation() -> None:
    g, _, out = one_op("pow", 3.0, limits=UNIT)
    assert ask(g, out, out, Check.GAIN_GROWTH, threshold=2.2).verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("factor", "verdict"), [(50.0, Verdict.REFUTED), (200.0, Verdict.CONFIRMED)]
)
def test_switch(factor: float, verdict: Verdict) -> None:
    g = Build(Role.LOSS)
    p, t = g.prediction("p"), g.prediction("t")
    argument = g("multiply", factor, g("subtract", p, t))
    switch = g("sigmoid", argument)
    out = g("reduce_mean", switch)
    outcome = ask(g, out, switch, Check.STEEPNESS, at(argument, 0.0), threshold=0.75)
    assert outcome.verdict is verdict
    if outcome.evidence is not None:
        assert outcome.evidence.detail["share"] > 0.75
        assert outcome.evidence.detail["steepest"] == pytest.approx(factor / 4.0, rel=1e-3)
        assert outcome.evidence.gradient == 0.0


def test_softmax_of_softmax_stays_in_a_band() -> None:
    g, _, inner = one_op("softmax")
    out = g("softmax", inner)
    found = confirmed(ask(g, out, out, Check.SQUEEZED, threshold=0.6))
    # Four classes: from 1 / (e + 3) to e / (e + 3).
    assert found.detail["smallest_value"] == pytest.approx(1.0 / (math.e + 3.0), rel=1e-2)
    assert found.detail["largest_value"] == pytest.approx(math.e / (math.e + 3.0), rel=1e-2)
    assert ask(g, inner, inner, Check.SQUEEZED, threshold=0.6).verdict is Verdict.REFUTED


def test_log_softmax_is_judged_by_its_probabilities() -> None:
    g, _, inner = one_op("sigmoid")
    out = g("log_softmax", inner)
    found = confirmed(ask(g, out, out, Check.SQUEEZED, threshold=0.6))
    assert found.detail["largest_value"] < 0.5


def test_hot_softmax_is_uniform() -> None:
    for factor, verdict in ((0.001, Verdict.CONFIRMED), (0.5, Verdict.REFUTED)):
        g = Build(Role.LOSS)
        logits = g("multiply", factor, g.input())
        out = g("softmax", logits)
        assert ask(g, out, out, Check.UNIFORM, threshold=1.25).verdict is verdict


@pytest.mark.parametrize(("lower", "verdict"), [(0.0, Verdict.CONFIRMED), (0.999, Verdict.REFUTED)])
def test_product_over_the_batch(lower: float, verdict: Verdict) -> None:
    g = Build(Role.LOSS)
    p = g("maximum", g.prediction(), lower)
    product = g("reduce_prod", p)
    out: Ref = g("subtract", 1.0, product)
    outcome = ask(g, out, product, Check.UNDERFLOW, at(product, 0.0))
    assert outcome.verdict is verdict
    if outcome.evidence is not None:
        assert outcome.evidence.hazard is Hazard.ZERO_GRADIENT
        assert outcome.evidence.detail["rows"] in (16.0, 32.0, 64.0)


def test_product_of_each_row() -> None:
    g = Build(Role.LOSS)
    product = g("reduce_prod", g("add", g.prediction(), 1e-6), -1)
    out = g("negative", g("reduce_mean", product))
    outcome = ask(g, out, product, Check.UNDERFLOW, at(product, 0.0), threshold=1.0)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.detail["width"] in (16.0, 32.0, 64.0, 128.0)


def test_constant_activation() -> None:
    g, x, inner = one_op("relu")
    out = g("minimum", inner, 0.0)
    assert confirmed(ask(g, out, out, Check.CONSTANT)).hazard is Hazard.ZERO_GRADIENT
    assert ask(g, inner, inner, Check.CONSTANT).verdict is Verdict.REFUTED
    step = g("sign", x)
    assert ask(g, step, step, Check.CONSTANT).verdict is Verdict.REFUTED


def test_kinks_at_turning_points() -> None:
    g, x, out = one_op("abs")
    found = confirmed(ask(g, out, out, Check.MONOTONICITY))
    assert found.detail["kinks"] == pytest.approx([0.0], abs=1e-6)
    assert found.detail["slope_jumps"] == [2.0]
    smooth = g("square", x)
    assert "kinks" not in confirmed(ask(g, smooth, smooth, Check.MONOTONICITY)).detail
