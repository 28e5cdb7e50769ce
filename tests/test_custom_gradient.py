"""Custom gradients: what is meant stays silent, what is wrong is found."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run


def function(name: str, params: str, lines: str, value: str, gradient: str) -> str:
    head = f"{HEADER}@tf.custom_gradient\ndef {name}({params}):\n"
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"{head}{body}    def grad(dy):\n        return {gradient}\n    return {value}, grad\n"


def meant(name: str, value: str, gradient: str, params: str = "x", lines: str = "") -> Case:
    return Case(name, function(name, params, lines, value, gradient))


def wrong(name: str, value: str, gradient: str, params: str = "x", lines: str = "") -> Case:
    source = function(name, params, lines, value, gradient)
    return Case(name, source, (("ACT207", gradient),))


MEANT = (
    meant("reversal", "tf.identity(x)", "-strength * dy, None", "x, strength"),
    meant("reversal_of_a_product", "1.0 * x", "-0.5 * dy"),
    meant("reversal_of_a_row", "tf.reshape(x, [-1])", "-tf.reshape(dy, tf.shape(x))"),
    meant("straight_through", "tf.sign(x)", "dy"),
    meant("straight_through_a_clip", "tf.clip_by_value(x, -1.0, 1.0)", "dy"),
    meant("hard_tanh_window", "tf.sign(x)", "dy * tf.cast(tf.abs(x) <= 1.0, tf.float32)"),
    meant("spike", "tf.cast(x > 0.0, tf.float32)", "dy / tf.square(1.0 + tf.abs(x))"),
    meant("quantised", "tf.round(x / s) * s", "dy, dy * (tf.round(x / s) - x / s)", "x, s"),
    meant("clipped", "x * 1.0", "tf.clip_by_value(dy, -0.1, 0.1)"),
    meant("scaled", "0.1 * x", "dy"),
    meant("deconvolution", "tf.nn.relu(x)", "tf.nn.relu(dy)"),
    meant("leaky_below", "tf.nn.relu(x)", "tf.where(x > 0.0, dy, 0.01 * dy)"),
    meant("smooth_relu", "tf.nn.relu(x)", "dy * (s + x * s * (1.0 - s))", "x", "s = tf.sigmoid(x)"),
    meant("lower_bound", "tf.maximum(x, low)", "tf.where((x >= low) | (dy < 0.0), dy, 0.0), None",
          "x, low"),
    meant("bounded_root", "tf.sqrt(x)", "dy * tf.minimum(0.5 / tf.sqrt(x), 10.0)"),
    meant("guarded_norm", "n", "dy * x / (n + 1e-6)", "x",
          "n = tf.norm(x, axis=-1, keepdims=True)"),
    meant("soft_maximum", "tf.reduce_max(x, axis=-1)", "dy[:, None] * tf.nn.softmax(x)"),
    meant("threshold", "z * m", "dy * m, -dy * tf.cast(tf.abs(z - t) < 0.05, tf.float32)", "z, t",
          "m = tf.cast(z > t, tf.float32)"),
    meant("detached_argument", "x * w", "dy * w, None", "x, w"),
    meant("optional_argument", "x * tf.sigmoid(beta * x)", "dy * s * (1.0 + beta * x * (1.0 - s))",
          "x, beta=1.5", "s = tf.sigmoid(beta * x)"),
    meant("noise", "x + tf.random.normal(tf.shape(x))", "2.0 * dy"),
    meant("unknown_part", "other(x) * x", "2.0 * dy"),
)  # fmt: skip
WRONG = (
    wrong("factor", "tf.square(x)", "dy * x"),
    wrong("sign", "tf.cos(x)", "dy * tf.sin(x)"),
    wrong("upstream_left_out", "tf.square(x)", "2.0 * x"),
    wrong("one_piece", "tf.where(x > 0.0, x, 0.1 * x)", "dy"),
    wrong("parameter_left_out", "k * tf.sin(x)", "dy * tf.cos(x), None", "x, k"),
    wrong("nothing", "tf.tanh(x)", "None"),
    wrong("zeros", "tf.tanh(x)", "tf.zeros_like(dy)"),
    wrong("second_argument", "x * tf.square(w)", "dy * tf.square(w), dy * w", "x, w"),
    wrong("diagonal_only", "tf.nn.softmax(x)", "dy * y * (1.0 - y)", "x", "y = tf.nn.softmax(x)"),
    wrong("sum_for_mean", "tf.reduce_mean(tf.square(x))", "dy * 2.0 * x"),
    wrong("too_few", "x * w", "dy * w", "x, w"),
    wrong("too_many", "tf.tanh(x)", "dy, None"),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(MEANT + WRONG)


@pytest.mark.parametrize("case", MEANT + WRONG, ids=lambda case: case.name)
def test_custom_gradient(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
