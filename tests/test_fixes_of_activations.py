"""Fixes of activations: of their pieces, constants and bounds."""

from __future__ import annotations

import pytest

from actlint.findings import Result, Safety

from .fix_cases import ACTIVATION, Case, check, left, run

TF = "import tensorflow as tf\n\n\n"

CASES = (
    # ---- pieces of which one falls
    Case(
        "minus_in_a_factor",
        TF + "def f(x):\n    return tf.where(x > 0, x, -0.2 * x)\n" + ACTIVATION,
        Safety.UNSAFE,
        (("-0.2 * x", "0.2 * x"),),
    ),
    Case(
        "minus_of_a_named_piece",
        TF
        + "def f(x, slope=0.2):\n    low = -(slope * tf.tanh(x))\n"
        + "    return tf.where(x >= 0, x, low)\n"
        + ACTIVATION,
        Safety.UNSAFE,
        (("low = -(slope * tf.tanh(x))", "low = slope * tf.tanh(x)"),),
    ),
    Case(
        "minus_under_a_maximum",
        TF + "def f(x):\n    return tf.maximum(x, x / -4)\n" + ACTIVATION,
        Safety.UNSAFE,
        (("x / -4", "x / 4"),),
    ),
    Case(
        "one_formula_that_turns",
        TF + "def f(x):\n    return tf.sin(2.0 * x)\n" + ACTIVATION,
        None,
    ),
    # ---- pieces that do not meet
    Case(
        "constant_of_one_piece",
        TF
        + "def f(x):\n    return tf.where(x < 0.0, tf.exp(tf.minimum(x, 0.0)), x)\n"
        + ACTIVATION,
        Safety.UNSAFE,
        (("tf.exp(tf.minimum(x, 0.0))", "tf.exp(tf.minimum(x, 0.0)) - 1.0"),),
    ),
    Case(
        "shift_at_another_place",
        TF
        + "def f(x):\n    return tf.where(tf.greater(x, 1.0), 2.0 + 0.1 * x, x)\n"
        + ACTIVATION,
        Safety.UNSAFE,
        (("2.0 + 0.1 * x", "2.0 + 0.1 * x - 1.1"),),
    ),
    Case(
        "constant_that_keeps_pieces_apart",
        TF + "def f(x):\n    return tf.where(x > 0, tf.tanh(x) + 0.5, 0.1 * x)\n" + ACTIVATION,
        Safety.UNSAFE,
        (("tf.tanh(x) + 0.5", "tf.tanh(x)"),),
    ),
    Case(
        "one_piece_and_a_constant",
        TF + "def f(x):\n    return tf.where(x > 0, tf.tanh(x) + 0.5, tf.tanh(x))\n" + ACTIVATION,
        None,
    ),
    Case(
        "hard_shrinking",
        TF + "def f(x):\n    return tf.where(tf.abs(x) > 0.5, x, 0.0)\n" + ACTIVATION,
        None,
    ),
    # ---- constants
    Case(
        "bound_on_the_wrong_side",
        TF + "def f(x):\n    return tf.clip_by_value(tf.tanh(x), 1.0, 2.0)\n" + ACTIVATION,
        Safety.UNSAFE,
        (("tf.clip_by_value(tf.tanh(x), 1.0, 2.0)", "tf.tanh(x)"),),
    ),
    Case(
        "pieces_that_cancel",
        TF + "def f(x):\n    return tf.nn.relu(x) * tf.nn.relu(-x)\n" + ACTIVATION,
        None,
    ),
    Case(
        "sigmoid_of_a_sigmoid",
        TF + "def f(x):\n    return tf.sigmoid(tf.sigmoid(x))\n" + ACTIVATION,
        Safety.UNSAFE,
        (("tf.sigmoid(tf.sigmoid(x))", "tf.sigmoid(x)"),),
    ),
    Case(
        "little_variation_of_a_constant",
        TF + "def f(x):\n    return 2.0 - tf.tanh(x) * 0.02\n" + ACTIVATION,
        None,
    ),
    Case(
        "faint_sigmoid",
        TF + "def f(x):\n    return tf.sigmoid(x / 25.0)\n" + ACTIVATION,
        Safety.UNSAFE,
        (("tf.sigmoid(x / 25.0)", "tf.tanh(x / 25.0)"),),
    ),
    # ---- growth
    Case("cube", TF + "def f(x):\n    return x**3\n" + ACTIVATION, None),
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_nothing_is_left_of_what_is_mended(result: Result) -> None:
    assert not left(result, CASES)
