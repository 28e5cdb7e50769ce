"""The worker's verdicts on the shape of an activation."""

from __future__ import annotations

import pytest

from actlint.findings import Check, Hazard, Verdict
from actlint.graph import Arg, InputRole, Ref

from .verdicts import Build, ask, one_op


@pytest.mark.parametrize("op", ["silu", "gelu", "mish", "relu", "sigmoid", "tanh", "elu"])
def test_accepted_activations(op: str) -> None:
    g, _, out = one_op(op)
    for check in (Check.MONOTONICITY, Check.CONTINUITY):
        outcome = ask(g, out, out, check)
        assert outcome.verdict is Verdict.REFUTED, outcome
    assert ask(g, out, out, Check.SATURATION, threshold=0.6).verdict is Verdict.REFUTED


def test_sine_turns() -> None:
    g, _, out = one_op("sin")
    found = ask(g, out, out, Check.MONOTONICITY).evidence
    assert found is not None
    assert found.hazard is Hazard.NON_MONOTONIC
    assert found.detail["turning_points"] == pytest.approx(
        [-4.71239, -1.5708, 1.5708, 4.71239], abs=1e-3
    )


def test_staircase_saturates() -> None:
    g = Build()
    x = g.input()
    total: Arg = 0.0
    for threshold in (0.25, 0.5, 0.75):
        step = g("sigmoid", g("multiply", 100.0, g("subtract", x, threshold)))
        total = g("add", total, step)
    assert isinstance(total, Ref)
    found = ask(g, total, total, Check.SATURATION, threshold=0.5).evidence
    assert found is not None
    assert found.hazard is Hazard.VANISHING
    assert found.detail["share"] > 0.7
    assert found.detail["largest_slope"] == pytest.approx(25.0, rel=0.1)
    # Steep, but without a jump.
    assert ask(g, total, total, Check.CONTINUITY).verdict is Verdict.REFUTED


@pytest.mark.parametrize(("factor", "verdict"), [(60.0, "confirmed"), (1e-4, "refuted")])
def test_part_in_front_of_a_softmax_saturates(factor: float, verdict: str) -> None:
    g = Build()
    scores = g("tanh", g("multiply", factor, g("subtract", g.input(), 2.0)))
    out = g("softmax", scores)
    # A small factor, which another one may undo, is no saturation.
    assert ask(g, out, scores, Check.SATURATION, threshold=0.75).verdict == verdict


def test_pieces_that_do_not_meet() -> None:
    g = Build()
    x = g.input()
    out = g("where", g("less", x, 0.25), g("multiply", 0.1, x), g("add", 0.5, x))
    found = ask(g, out, out, Check.CONTINUITY).evidence
    assert found is not None
    assert found.hazard is Hazard.DISCONTINUOUS
    assert found.detail["locations"] == [0.25]
    assert found.detail["sizes"] == pytest.approx([0.725], rel=1e-3)


def test_pole_is_no_jump() -> None:
    g, _, out = one_op("reciprocal")
    assert ask(g, out, out, Check.CONTINUITY).verdict is Verdict.REFUTED


def test_parameters_are_part_of_the_witness() -> None:
    for op, check, hazard in (
        ("sin", Check.MONOTONICITY, Hazard.NON_MONOTONIC),
        ("sign", Check.CONTINUITY, Hazard.DISCONTINUOUS),
    ):
        g = Build()
        x = g.input()
        scale = g.input("scale", (0.0, 10.0), InputRole.PARAMETER, default=3.0)
        out = g("multiply", scale, g(op, x))
        found = ask(g, out, out, check).evidence
        assert found is not None
        assert found.hazard is hazard
        assert found.witness["scale"] == 3.0
        assert isinstance(found.witness["x"], float)


def test_ordered_floats() -> None:
    samples = pytest.importorskip("actlint.worker.samples")
    values = [-1.0, -1e-38, 0.0, 1e-38, 1.0]
    ranks = samples.ordered(values)
    assert list(ranks) == sorted(ranks)
    assert list(samples.unordered(ranks)) == [samples.np.float32(value) for value in values]
    assert samples.unordered(samples.ordered([1.0]) + 1)[0] == samples.np.float32(1.0 + samples.EPS)
