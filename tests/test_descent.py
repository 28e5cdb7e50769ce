"""Where descent on the prediction of a loss leads, and which expression is to blame."""

from __future__ import annotations

from actlint.findings import Check, Hazard, Outcome, Reach, Verdict
from actlint.graph import Ref, Role

from .verdicts import WIDE, Build, ask


def difference(g: Build) -> Ref:
    return g("subtract", g.label(limits=WIDE), g.prediction(limits=WIDE))


def test_squares_lead_to_the_label() -> None:
    g = Build(Role.LOSS)
    out = g("reduce_mean", g("square", difference(g)))
    outcome = ask(g, out, out, Check.DESCENT)
    assert outcome.verdict is Verdict.REFUTED
    assert "4 of 4" in (outcome.reason or "")


def clipped(blamed: str) -> Outcome:
    g = Build(Role.LOSS)
    clip = g("clip_by_value", difference(g), -0.5, 0.5)
    out = g("reduce_mean", g("square", clip))
    return ask(g, out, clip if blamed == "clip" else out, Check.DESCENT)


def test_clipped_error_is_blamed_on_the_clip() -> None:
    found = clipped("clip").evidence
    assert found is not None
    assert found.hazard is Hazard.WRONG_GRADIENT
    assert found.reach is Reach.TYPICAL
    assert found.hits >= found.samples / 3
    assert set(found.witness) == {"y_true", "y_pred"}
    end, target = found.detail["loss_at_end"], found.detail["loss_at_target"]
    assert isinstance(end, float)
    assert target == 0.0 < end


def test_same_descent_twice() -> None:
    assert repr(clipped("clip")) == repr(clipped("clip"))


def test_a_loss_without_label_cannot_be_judged() -> None:
    g = Build(Role.LOSS)
    out = g("reduce_mean", g("square", g.prediction(limits=WIDE)))
    assert ask(g, out, out, Check.DESCENT).verdict is Verdict.UNCONFIRMED


def likelihood(sign: str) -> Outcome:
    g = Build(Role.LOSS)
    label, logits = g.label(), g.prediction(limits=WIDE)
    total = g("reduce_mean", g("multiply", label, g("log_softmax", logits)))
    out = g("negative", total) if sign == "-" else total
    return ask(g, out, out, Check.MINIMUM)


def test_sign_of_a_likelihood_of_logits() -> None:
    assert likelihood("-").verdict is Verdict.REFUTED
    assert likelihood("+").verdict is Verdict.CONFIRMED
