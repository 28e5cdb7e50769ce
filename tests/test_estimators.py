"""Straight-through estimators: right ones are silent under all rules, wrong ones are found."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run


def layer(name: str, expression: str, *culprits: str) -> Case:
    source = (
        f"{HEADER}class Step(keras.layers.Layer):\n    def call(self, x):\n"
        f"        soft = tf.sigmoid(x)\n        hard = tf.cast(x > 0.0, tf.float32)\n"
        f"        stop = tf.stop_gradient\n        return {expression}\n"
    )
    return Case(name, source, tuple(("ACT208", culprit) for culprit in culprits))


RIGHT = (
    layer("standard", "x + stop(tf.round(x) - x)"),
    layer("difference", "x - stop(x - tf.round(x))"),
    layer("two_terms", "x - stop(x) + tf.round(x)"),
    layer("soft_and_hard", "soft + stop(hard - soft)"),
    layer("hard_first", "stop(hard - soft) + soft"),
    layer("add_n", "tf.add_n([soft, stop(hard), -stop(soft)])"),
    layer("scaled", "2.0 * x + stop(tf.sign(x) - 2.0 * x)"),
    layer("scaled_as_a_whole", "0.5 * (x + stop(tf.sign(x) - x))"),
    layer("residual", "x + (x + stop(tf.sign(x) - x))"),
    layer("residual_in_one_sum", "x + x + stop(tf.sign(x)) - stop(x)"),
    layer("twice", "(x + stop(tf.round(x) - x)) + (soft + stop(hard - soft))"),
    layer("detached_mask", "x * stop(hard)"),
    layer("distance_from_the_step", "tf.square(x - stop(tf.sign(x)))"),
    layer("detached_shift", "x + stop(tf.reduce_mean(x))"),
)
WRONG = (
    layer("swapped", "tf.round(x) + stop(x - tf.round(x))", "tf.round(x) + stop(x - tf.round(x))"),
    layer("swapped_soft", "stop(soft - hard) + hard", "stop(soft - hard) + hard"),
    layer("swapped_difference", "hard - stop(hard - soft)", "hard - stop(hard - soft)"),
    layer("scaled_and_swapped", "3.0 * (hard + stop(soft - hard))", "hard + stop(soft - hard)"),
    layer("value_kept", "x + stop(tf.sign(x))", "x + stop(tf.sign(x))"),
    layer("gradient_cancelled", "x + stop(tf.sign(x)) - x", "x + stop(tf.sign(x)) - x"),
    layer("doubled", "x + x - stop(x + x - hard)", "x + x - stop(x + x - hard)"),
)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(RIGHT + WRONG)


@pytest.mark.parametrize("case", RIGHT + WRONG, ids=lambda case: case.name)
def test_estimator(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
