"""The worker's verdicts on lost digits and on nan out of infinities."""

from __future__ import annotations

import pytest

from actlint.findings import Check, Hazard, Reach, Verdict
from actlint.graph import DType, Ref, Role

from .verdicts import INF, UNIT, Build, ask, at


def test_difference_that_a_division_magnifies() -> None:
    g = Build()
    x = g.input()
    off = g("subtract", g("exp", g("minimum", x, 20.0)), 1.0)
    out = g("divide_no_nan", off, x)
    outcome = ask(g, out, off, Check.PRECISION, at(off, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED
    found = outcome.evidence
    assert found is not None
    assert found.hazard is Hazard.INACCURATE
    assert found.reach is Reach.TYPICAL
    assert found.rate is not None
    assert 1e-5 < found.rate < 1e-1
    single, double = found.detail["float32"], found.detail["float64"]
    assert isinstance(single, float)
    assert isinstance(double, float)
    assert abs(single - double) >= 0.1 * abs(double)


def expm1(g: Build, x: Ref) -> tuple[Ref, Ref]:
    off = g("expm1", g("minimum", x, 20.0))
    return g("divide_no_nan", off, x), off


def alone(g: Build, x: Ref) -> tuple[Ref, Ref]:
    off = g("subtract", g("exp", g("minimum", x, 0.0)), 1.0)
    return off, off


def of_inputs(g: Build, x: Ref) -> tuple[Ref, Ref]:
    off = g("subtract", x, 0.5)
    return g("divide", off, g("add", g("square", off), 1e-3)), off


@pytest.mark.parametrize("build", [expm1, alone, of_inputs])
def test_digits_that_are_kept_or_do_not_matter(build) -> None:
    g = Build()
    out, node = build(g, g.input())
    outcome = ask(g, out, node, Check.PRECISION, at(node, 0.0))
    assert outcome.verdict is Verdict.REFUTED
    assert outcome.reason is not None
    assert outcome.reason.startswith("float32 agrees with float64")


def variance(g: Build, x: Ref) -> tuple[Ref, Ref]:
    mean = g("reduce_mean", x, -1, True)
    square = g("reduce_mean", g("square", x), -1, True)
    off = g("subtract", square, g("square", mean))
    return off, mean


def test_variance_as_a_difference_of_means() -> None:
    g = Build(Role.LAYER)
    x = g.input()
    off, mean = variance(g, x)
    scale = g("rsqrt", g("add", g("maximum", off, 0.0), 1e-5))
    out = g("multiply", g("subtract", x, mean), scale)
    outcome = ask(g, out, off, Check.PRECISION, at(off, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.reach is Reach.EXTENDED


def test_casts_to_float32_are_widened_for_the_comparison() -> None:
    g = Build()
    x = g.input()
    wide = g("cast", g("minimum", x, 20.0), DType("float32"))
    off = g("subtract", g("exp", wide), 1.0)
    out = g("divide_no_nan", off, wide)
    assert ask(g, out, off, Check.PRECISION, at(off, 0.0)).verdict is Verdict.CONFIRMED


# ---- nan out of infinities ---------------------------------------------------------------------


def test_softmax_of_a_row_that_is_masked() -> None:
    g = Build(Role.LAYER)
    scores, mask = g.input(), g.label("mask", UNIT)
    masked = g("where", g("greater", mask, 0.5), scores, -INF)
    out = g("softmax", masked)
    outcome = ask(g, out, out, Check.INDETERMINATE, at(masked, -INF))
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.hazard is Hazard.NAN
    assert outcome.evidence.reach is Reach.STRUCTURAL


def test_softmax_of_a_finite_mask() -> None:
    g = Build(Role.LAYER)
    scores, mask = g.input(), g.label("mask", UNIT)
    masked = g("where", g("greater", mask, 0.5), scores, -1e9)
    out = g("softmax", masked)
    outcome = ask(g, out, out, Check.INDETERMINATE, at(masked, -1e9))
    assert outcome.verdict is Verdict.REFUTED


def test_zero_times_a_constant_infinity() -> None:
    g = Build(Role.LAYER)
    scores, mask = g.input(), g.label("mask", UNIT)
    penalty = g("multiply", g("subtract", 1.0, mask), -INF)
    out = g("softmax", g("add", scores, penalty))
    outcome = ask(g, out, penalty, Check.INDETERMINATE, at(mask, 1.0))
    assert outcome.verdict is Verdict.CONFIRMED
