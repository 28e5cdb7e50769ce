"""What samples are to each other in a loss, and terms of it that never change."""

from __future__ import annotations

import pytest

from actlint.findings import Check, Hazard, Outcome, Reach, Verdict
from actlint.graph import InputRole, Items, Ref, Role

from .verdicts import WIDE, Build, ask, at


def likelihood(axis: int) -> tuple[Build, Ref, Ref]:
    g = Build(Role.LOSS)
    label, logits = g.label(), g.prediction(limits=WIDE)
    log_p = g("log_softmax", logits, axis)
    total = g("reduce_sum", g("multiply", label, log_p), -1)
    return g, log_p, g("negative", g("reduce_mean", total))


def test_softmax_over_the_batch_mixes_samples() -> None:
    g, log_p, out = likelihood(axis=0)
    outcome = ask(g, out, log_p, Check.OTHER_SAMPLES, at(log_p, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED
    found = outcome.evidence
    assert found is not None
    assert found.hazard is Hazard.MIXED_SAMPLES
    assert found.reach is Reach.TYPICAL
    assert found.detail["moved"] == "y_pred"
    assert isinstance(found.detail["other"], list)


def test_softmax_of_each_sample_does_not() -> None:
    g, log_p, out = likelihood(axis=-1)
    outcome = ask(g, out, log_p, Check.OTHER_SAMPLES, at(log_p, 0.0))
    assert outcome.verdict is Verdict.REFUTED
    assert "whatever the others are" in (outcome.reason or "")


def test_batch_that_is_compared_with_itself() -> None:
    g = Build(Role.LOSS)
    one = g.prediction("one", limits=WIDE)
    scores = g("matmul", one, one, transpose_b=True)
    shares = g("log_softmax", scores, 0)
    out = g("negative", g("reduce_mean", shares))
    outcome = ask(g, out, shares, Check.OTHER_SAMPLES, at(shares, 0.0))
    assert outcome.verdict is Verdict.REFUTED
    assert "elsewhere" in (outcome.reason or "")


def test_reduction_without_kept_axis_is_compared_as_if_it_kept_it() -> None:
    g = Build(Role.ACTIVATION)
    x = g.input()
    powers = g("exp", x)
    total = g("reduce_sum", powers, Items((0,)))
    out = g("divide", powers, total)
    outcome = ask(g, out, out, Check.OTHER_SAMPLES, at(total, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED


def squares(reduce: str, axis: int | None) -> Outcome:
    g = Build(Role.LOSS)
    gap = g("subtract", g.label(limits=WIDE), g.prediction(limits=WIDE))
    total = g(reduce, g("square", gap), axis)
    return ask(g, total, total, Check.BATCH_SIZE)


@pytest.mark.parametrize("axis", [None, 0])
def test_sum_doubles_with_the_batch(axis: int | None) -> None:
    outcome = squares("reduce_sum", axis)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.detail["batched"] == "y_true y_pred"


@pytest.mark.parametrize(("reduce", "axis"), [("reduce_sum", -1), ("reduce_mean", None)])
def test_other_reductions_do_not(reduce: str, axis: int | None) -> None:
    assert squares(reduce, axis).verdict is Verdict.REFUTED


def test_sum_over_data_beside_weights() -> None:
    g = Build(Role.GRAPH)
    x = g.input("x", (-1.0, 1.0), InputRole.DATA, shape=(None, 4))
    w = g.input("w", WIDE, InputRole.VARIABLE, shape=(4, 3))
    scores = g("reduce_sum", g("square", g("matmul", x, w)), -1)
    out = g("divide", g("reduce_sum", scores), 32.0)
    outcome = ask(g, out, out, Check.BATCH_SIZE)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.evidence is not None
    assert outcome.evidence.detail["batched"] == "x"


def test_batches_of_one_size_are_not_repeated() -> None:
    g = Build(Role.GRAPH)
    x = g.input("x", (-1.0, 1.0), InputRole.DATA, shape=(32, 4))
    w = g.input("w", WIDE, InputRole.VARIABLE, shape=(4, 3))
    out = g("divide", g("reduce_sum", g("square", g("matmul", x, w))), 32.0)
    assert ask(g, out, out, Check.BATCH_SIZE).verdict is Verdict.UNCONFIRMED


def test_samples_compared_with_each_other_more_than_double() -> None:
    g = Build(Role.LOSS)
    one = g.prediction("one", limits=WIDE)
    scores = g("matmul", one, one, transpose_b=True)
    out = g("reduce_sum", g("reduce_logsumexp", scores, -1))
    assert ask(g, out, out, Check.BATCH_SIZE).verdict is Verdict.REFUTED
    assert ask(g, out, out, Check.BATCH_SIZE, threshold=1.0).verdict is Verdict.CONFIRMED


@pytest.mark.parametrize(("inner", "verdict"), [("abs", "confirmed"), ("square", "refuted")])
def test_only_the_sum_of_a_softmax_is_constant(inner: str, verdict: str) -> None:
    g = Build(Role.LOSS)
    shares = g("softmax", g.prediction(limits=WIDE))
    term = g("reduce_mean", g("reduce_sum", g(inner, shares), -1))
    label = g.input("y_true", (0.0, 1.0), InputRole.LABEL)
    fit = g("reduce_mean", g("squared_difference", shares, label))
    out = g("add", fit, term)
    outcome = ask(g, out, term, Check.CONTRIBUTION)
    assert outcome.verdict == verdict
    if outcome.evidence is not None:
        assert abs(outcome.evidence.gradient or 0.0) < 1e-6
