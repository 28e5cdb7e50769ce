"""The worker's verdicts on nan, infinity, cut gradients and what a loss means."""

from __future__ import annotations

import math

import pytest

from actlint.findings import Check, Hazard, Reach, Target, Verdict
from actlint.graph import Arg, DType, Ref, Role

from .verdicts import INF, UNIT, WIDE, Build, ask, at, one_op

# ---- nan and infinity --------------------------------------------------------------------------


def pole_in_where(g: Build) -> tuple[Ref, Ref, Target]:
    x = g.input()
    below = g("add", x, 0.6)
    ratio = g("divide", g("pow", x, 2), below)
    out = g("where", g("greater_equal", x, 0.0), ratio, g("multiply", 0.01, x))
    return out, ratio, at(below, 0.0)


def test_isolated_pole_of_the_unselected_branch() -> None:
    g = Build()
    out, ratio, target = pole_in_where(g)
    outcome = ask(g, out, ratio, Check.NONFINITE, target)
    assert outcome.verdict is Verdict.CONFIRMED
    found = outcome.evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    assert found.witness == {"x": -0.6}
    assert found.gradient is not None
    assert math.isnan(found.gradient)
    assert found.value == INF
    assert found.rate == pytest.approx(2e-8, rel=0.05)
    assert found.reach is Reach.TYPICAL
    assert found.mode == "eager"
    assert found.hits == 1
    assert found.samples >= 4096


def test_same_answer_twice() -> None:
    g = Build()
    out, ratio, target = pole_in_where(g)
    assert repr(ask(g, out, ratio, Check.NONFINITE, target)) == repr(
        ask(g, out, ratio, Check.NONFINITE, target)
    )


@pytest.mark.parametrize(
    ("op", "more", "limits", "hazard", "witness"),
    [
        ("log", (), UNIT, Hazard.INF, 0.0),
        ("sqrt", (), (0.0, 1000.0), Hazard.INF, 0.0),
        ("pow", (0.5,), (0.0, 1000.0), Hazard.INF, 0.0),
        ("reciprocal", (), WIDE, Hazard.INF, 0.0),
        ("rsqrt", (), (0.0, 1000.0), Hazard.INF, 0.0),
    ],
)
def test_pole_or_cusp_at_zero(
    op: str, more: tuple[Arg, ...], limits: tuple[float, float], hazard: Hazard, witness: float
) -> None:
    g, x, out = one_op(op, *more, limits=limits)
    found = ask(g, out, out, Check.NONFINITE, at(x, 0.0)).evidence
    assert found is not None
    assert (found.hazard, found.witness, found.reach) == (
        hazard, {"x": witness}, Reach.STRUCTURAL
    )  # fmt: skip
    assert found.rate is None


def test_log_of_negative_numbers_is_typical() -> None:
    g, x, out = one_op("log")
    found = ask(g, out, out, Check.NONFINITE, at(x, -INF, 0.0)).evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    assert found.reach is Reach.TYPICAL
    assert found.hits > 1000


def test_norm_of_zeros() -> None:
    g = Build(Role.LOSS)
    a, b = g.label(limits=WIDE), g.prediction(limits=WIDE)
    gap = g("subtract", a, b)
    norm = g("norm", gap, axis=-1)
    out = g("reduce_mean", norm)
    found = ask(g, out, norm, Check.NONFINITE, at(gap, 0.0, vector="zero-vector")).evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    assert found.reach is Reach.STRUCTURAL
    assert found.witness["y_pred"] == found.witness["y_true"]


def test_distance_of_equal_vectors_is_blamed_on_the_root() -> None:
    g = Build(Role.LOSS)
    a, b = g.prediction("a", WIDE), g.prediction("b", WIDE)
    square = g("square", g("subtract", a, b))
    total = g("reduce_sum", square, axis=1)
    root = g("sqrt", total)
    out = g("reduce_mean", root)
    found = ask(g, out, root, Check.NONFINITE, at(total, 0.0)).evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    assert ask(g, out, square).verdict is Verdict.REFUTED


def test_acos_behind_a_clip() -> None:
    g = Build()
    x = g.input()
    clipped = g("clip_by_value", x, -1.0, 1.0)
    out = g("acos", clipped)
    found = ask(g, out, out, Check.NONFINITE, at(clipped, 1.0), at(clipped, -1.0)).evidence
    assert found is not None
    assert found.hazard in (Hazard.INF, Hazard.NAN)


def test_overflow_of_exp_in_a_hand_written_sigmoid() -> None:
    g = Build()
    x = g.input()
    minus = g("negative", x)
    power = g("exp", minus)
    below = g("add", 1.0, power)
    out = g("divide", 1.0, below)
    found = ask(g, out, power, Check.NONFINITE, at(minus, 88.72284, INF)).evidence
    assert found is not None
    assert (found.hazard, found.reach) == (Hazard.NAN, Reach.EXTENDED)
    assert found.witness == {"x": -88.8}
    assert found.value == INF
    # The division itself never starts it.
    assert ask(g, out, out, Check.NONFINITE, at(below, 0.0)).verdict is Verdict.REFUTED


def test_log_of_softmax() -> None:
    g = Build(Role.LOSS)
    labels, logits = g.label(), g.prediction("logits", WIDE)
    soft = g("softmax", logits)
    log = g("log", soft)
    out = g("negative", g("reduce_mean", g("reduce_sum", g("multiply", labels, log), axis=-1)))
    outcome = ask(g, out, log, Check.NONFINITE, at(soft, 0.0))
    found = outcome.evidence
    assert found is not None, outcome.reason
    assert (found.hazard, found.reach) == (Hazard.NAN, Reach.EXTENDED)


def test_unshifted_and_shifted_softmax() -> None:
    g = Build()
    x = g.input()
    power = g("exp", x)
    out = g("divide", power, g("reduce_sum", power, axis=-1, keepdims=True))
    found = ask(g, out, power, Check.NONFINITE, at(x, 88.72284, INF)).evidence
    assert found is not None
    assert (found.hazard, found.reach) == (Hazard.NAN, Reach.EXTENDED)
    g = Build()
    x = g.input()
    shifted = g("subtract", x, g("reduce_max", x, axis=-1, keepdims=True))
    power = g("exp", shifted)
    out = g("divide", power, g("reduce_sum", power, axis=-1, keepdims=True))
    refuted = ask(g, out, power, Check.NONFINITE, at(shifted, 88.72284, INF))
    assert refuted.verdict is Verdict.REFUTED


def test_cross_entropy_by_hand_and_its_safe_twin() -> None:
    for guarded in (False, True):
        g = Build(Role.LOSS)
        y, p = g.label(), g.prediction()
        inner = g("clip_by_value", p, 1e-7, 1.0 - 1e-7) if guarded else p
        log = g("log", inner)
        out = g("negative", g("reduce_sum", g("multiply", y, log)))
        outcome = ask(g, out, log, Check.NONFINITE, at(inner, 0.0))
        assert outcome.verdict is (Verdict.REFUTED if guarded else Verdict.CONFIRMED)
        if guarded:
            assert outcome.reason
            assert outcome.reason.startswith("finite for all")


@pytest.mark.parametrize("guard", ["double where", "softsign", "log1p", "root"])
def test_safe_twins(guard: str) -> None:
    g = Build()
    x = g.input()
    if guard == "double where":
        positive = g("greater", x, 0.0)
        inner = g("where", positive, x, 1.0)
        node = g("log", inner)
        out = g("where", positive, node, 0.0)
    elif guard == "softsign":
        inner = g("add", 1.0, g("abs", x))
        node = out = g("divide", x, inner)
    elif guard == "log1p":
        inner = g("abs", x)
        node = out = g("log1p", inner)
    else:
        inner = g("add", g("reduce_sum", g("square", x), axis=-1), 1e-7)
        node = out = g("sqrt", inner)
    assert ask(g, out, node, Check.NONFINITE, at(inner, 0.0)).verdict is Verdict.REFUTED


def test_sqrt_in_the_unselected_branch_fails_under_xla_alone() -> None:
    g = Build()
    x = g.input()
    root = g("sqrt", g("abs", x))
    out = g("where", g("greater", g("abs", x), 0.0), root, 0.0)
    inner = Ref(root.node - 1)
    outcome = ask(g, out, root, Check.NONFINITE, at(inner, 0.0))
    assert outcome.evidence is not None, outcome.reason
    assert outcome.evidence.mode in ("eager", "xla")


def test_gradient_passes_through_unstacked_tensors() -> None:
    g = Build()
    parts = g("unstack", g.input(), axis=-1, num=2)
    total = g("add", g("square", g("getitem", parts, 0)), g("square", g("getitem", parts, 1)))
    out = g("sqrt", total)
    found = ask(g, out, out, Check.NONFINITE, at(total, 0.0)).evidence
    assert found is not None
    assert found.witness == {"x": [[0.0, 0.0]]}


def test_whose_value_is_told() -> None:
    g = Build()
    out, ratio, target = pole_in_where(g)
    hidden = ask(g, out, ratio, Check.NONFINITE, target).evidence
    assert hidden is not None
    assert (hidden.value, hidden.detail["value_of"]) == (INF, "expression")
    g, x, out = one_op("log", limits=UNIT)
    seen = ask(g, out, out, Check.NONFINITE, at(x, 0.0)).evidence
    assert seen is not None
    assert (seen.value, seen.detail["value_of"]) == (-INF, "output")


# ---- cuts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "hazard"), [("round", Hazard.NO_GRADIENT), ("sign", Hazard.ZERO_GRADIENT)]
)
def test_steps_in_a_loss(op: str, hazard: Hazard) -> None:
    g = Build(Role.LOSS)
    y, p = g.label(), g.prediction(limits=WIDE)
    step = g(op, p)
    out = g("reduce_mean", g("square", g("subtract", y, step)))
    for check in (Check.CUT, Check.NO_GRADIENT):
        outcome = ask(g, out, step, check)
        assert outcome.evidence is not None, outcome.reason
        assert outcome.evidence.hazard is hazard
        assert outcome.evidence.reach is Reach.TYPICAL
        assert outcome.evidence.gradient == (None if hazard is Hazard.NO_GRADIENT else 0.0)


def test_comparison_as_an_activation() -> None:
    g = Build()
    x = g.input()
    above = g("greater", x, 0.0)
    out = g("cast", above, DType("float32"))
    outcome = ask(g, out, above, Check.CUT)
    assert outcome.evidence is not None, outcome.reason
    assert outcome.evidence.hazard is Hazard.NO_GRADIENT
    assert "partial" not in outcome.evidence.detail


def test_mask_of_relu_is_no_cut_but_a_jump_is_a_partial_one() -> None:
    g = Build()
    x = g.input()
    above = g("greater", x, 0.0)
    out = g("multiply", x, g("cast", above, DType("float32")))
    assert ask(g, out, above, Check.CUT).verdict is Verdict.REFUTED
    g = Build()
    x = g.input()
    step = g("floor", x)
    out = g("add", g("multiply", 0.1, x), step)
    outcome = ask(g, out, step, Check.CUT)
    assert outcome.evidence is not None, outcome.reason
    assert outcome.evidence.hazard is Hazard.NO_GRADIENT
    assert outcome.evidence.detail == {"partial": 1.0}


def test_straight_through_estimator_is_no_cut() -> None:
    g = Build()
    x = g.input()
    step = g("round", x)
    held = g("stop_gradient", g("subtract", step, x))
    out = g("add", x, held)
    assert ask(g, out, step, Check.CUT).verdict is Verdict.REFUTED
    assert ask(g, out, held, Check.CUT).verdict is Verdict.REFUTED
    assert ask(g, out, held, Check.NO_GRADIENT).verdict is Verdict.REFUTED


def test_accuracy_as_a_loss_and_argmax_of_the_label() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(), g.prediction()
    true, guess = g("argmax", y, -1), g("argmax", p, -1)
    out = g("reduce_mean", g("cast", g("equal", true, guess), DType("float32")))
    outcome = ask(g, out, guess, Check.CUT)
    assert outcome.evidence is not None, outcome.reason
    assert outcome.evidence.hazard is Hazard.NO_GRADIENT
    assert ask(g, out, true, Check.CUT).verdict is Verdict.REFUTED


def test_loss_that_does_not_depend_on_its_prediction() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(), g.prediction()
    out = g("reduce_mean", g("add", g("square", y), g("multiply", 0.0, p)))
    found = ask(g, out, out, Check.NO_GRADIENT).evidence
    assert found is not None
    assert found.hazard is Hazard.ZERO_GRADIENT


def test_softmax_output_gets_a_gradient() -> None:
    g, _, out = one_op("softmax")
    assert ask(g, out, out, Check.NO_GRADIENT).verdict is Verdict.REFUTED


def test_share_of_dead_elements() -> None:
    g = Build()
    x = g.input()
    out = g("clip_by_value", x, 2.0, 3.0)
    outcome = ask(g, out, out, Check.DEAD_SHARE, threshold=0.9)
    assert outcome.evidence is not None, outcome.reason
    assert outcome.evidence.detail["share"] == pytest.approx(0.977, abs=0.02)
    g, _, out = one_op("relu")
    assert ask(g, out, out, Check.DEAD_SHARE, threshold=0.9).verdict is Verdict.REFUTED


def test_switch_of_a_continuous_loss_is_no_cut() -> None:
    g = Build(Role.LOSS)
    gap = g("abs", g("subtract", g.label(limits=WIDE), g.prediction(limits=WIDE)))
    near = g("less", gap, 1.0)
    far = g("subtract", gap, 0.5)
    out = g("reduce_mean", g("where", near, g("multiply", 0.5, g("square", gap)), far))
    assert ask(g, out, near, Check.CUT).verdict is Verdict.REFUTED


# ---- what a loss means -------------------------------------------------------------------------


def test_minimum() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(limits=WIDE), g.prediction(limits=WIDE)
    gap = g("subtract", y, p)
    good = g("reduce_mean", g("square", gap))
    assert ask(g, good, good, Check.MINIMUM).verdict is Verdict.REFUTED
    g = Build(Role.LOSS)
    y, p = g.label(limits=WIDE), g.prediction(limits=WIDE)
    bad = g("reduce_mean", g("subtract", y, p))
    found = ask(g, bad, bad, Check.MINIMUM).evidence
    assert found is not None
    assert found.hazard is Hazard.WRONG_LOSS
