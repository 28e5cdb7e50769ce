"""Ways round which no gradient comes: each is found once, by the rule that knows most of it."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run


def loss(name: str, lines: str, code: str, culprit: str) -> Case:
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    source = f"{HEADER}def my_loss(y_true, y_pred):\n{body}"
    return Case(name, source, ((code, culprit),))


def layer(name: str, lines: str, code: str, culprit: str) -> Case:
    body = "".join(f"        {line}\n" for line in lines.splitlines())
    source = f"{HEADER}class Cut(keras.layers.Layer):\n    def call(self, x):\n{body}"
    return Case(name, source, ((code, culprit),))


CASES = (
    layer("one_hot_of_argmax", "return tf.one_hot(tf.argmax(x, -1), 4)",
          "ACT202", "tf.argmax(x, -1)"),
    loss("one_hot_of_a_cast", "near = tf.one_hot(tf.cast(10.0 * y_pred, tf.int32), 10)\n"
         "return tf.reduce_mean(tf.square(tf.expand_dims(y_true, -1) - near))",
         "ACT201", "tf.cast(10.0 * y_pred, tf.int32)"),
    loss("unique_indices", "_, at = tf.unique(tf.reshape(y_pred, [-1]))\n"
         "return tf.reduce_mean(tf.cast(at, tf.float32))",
         "ACT202", "tf.unique(tf.reshape(y_pred, [-1]))"),
    loss("unique_values", "values, _ = tf.unique(tf.reshape(y_pred, [-1]))\n"
         "return tf.reduce_sum(values)",
         "ACT201", "tf.unique(tf.reshape(y_pred, [-1]))"),
    loss("unique_count", "values, _ = tf.unique(tf.reshape(y_pred, [-1]))\n"
         "return tf.cast(tf.size(values), tf.float32)",
         "ACT206", "tf.cast(tf.size(values), tf.float32)"),
    loss("histogram", "bins = tf.histogram_fixed_width(y_pred, [0.0, 1.0], 10)\n"
         "return tf.reduce_sum(tf.abs(tf.cast(bins, tf.float32) - y_true))",
         "ACT202", "tf.histogram_fixed_width(y_pred, [0.0, 1.0], 10)"),
    loss("confusion", "classes = tf.argmax(y_pred, -1)\n"
         "table = tf.math.confusion_matrix(tf.argmax(y_true, -1), classes, 4)\n"
         "return -tf.reduce_mean(tf.cast(tf.linalg.diag_part(table), tf.float32))",
         "ACT202", "tf.argmax(y_pred, -1)"),
    loss("bincount", "return tf.reduce_mean(tf.math.bincount(tf.argmax(y_pred, -1), "
         "dtype=tf.float32) - 1.0)", "ACT202", "tf.argmax(y_pred, -1)"),
    loss("digitised", "at = keras.ops.digitize(y_pred, np.array([0.25, 0.5]))\n"
         "return tf.reduce_mean(tf.abs(tf.cast(at, tf.float32) - y_true))",
         "ACT202", "keras.ops.digitize(y_pred, np.array([0.25, 0.5]))"),
    loss("searchsorted", "at = tf.searchsorted([0.2, 0.5], tf.reshape(y_pred, [-1]))\n"
         "return tf.reduce_mean(tf.cast(at, tf.float32))",
         "ACT202", "tf.searchsorted([0.2, 0.5], tf.reshape(y_pred, [-1]))"),
    loss("to_int_and_back", "whole = tf.cast(tf.cast(y_pred * 10.0, 'int32'), 'float32')\n"
         "return tf.reduce_mean(tf.square(y_true * 10.0 - whole))",
         "ACT201", "tf.cast(y_pred * 10.0, 'int32')"),
    loss("saturate_cast", "whole = tf.saturate_cast(y_pred * 255.0, tf.uint8)\n"
         "return tf.reduce_mean(tf.abs(y_true - tf.cast(whole, tf.float32)))",
         "ACT201", "tf.saturate_cast(y_pred * 255.0, tf.uint8)"),
    loss("through_a_string", "text = tf.strings.as_string(y_pred, precision=2)\n"
         "return tf.reduce_mean(tf.square(y_true - tf.strings.to_number(text)))",
         "ACT201", "tf.strings.as_string(y_pred, precision=2)"),
    loss("bitcast", "bits = tf.bitcast(y_pred, tf.int32)\n"
         "return tf.reduce_mean(tf.abs(y_true - tf.cast(bits, tf.float32)))",
         "ACT201", "tf.bitcast(y_pred, tf.int32)"),
    loss("count", "return tf.reduce_mean(y_true) - tf.math.count_nonzero(y_pred > 0.5, "
         "dtype=tf.float32)", "ACT201", "y_pred > 0.5"),
    loss("in_top_k", "hit = tf.math.in_top_k(tf.argmax(y_true, -1), y_pred, 2)\n"
         "return 1.0 - tf.reduce_mean(tf.cast(hit, tf.float32))",
         "ACT203", "tf.math.in_top_k(tf.argmax(y_true, -1), y_pred, 2)"),
    loss("python_float", "return tf.reduce_mean(y_true) * float(tf.reduce_mean(y_pred))",
         "ACT204", "float(tf.reduce_mean(y_pred))"),
    loss("python_int", "return tf.reduce_mean(y_true) * int(tf.reduce_sum(y_pred))",
         "ACT204", "int(tf.reduce_sum(y_pred))"),
    loss("method_numpy", "return tf.reduce_mean(y_true - y_pred.numpy())",
         "ACT204", "y_pred.numpy()"),
    loss("method_item", "return tf.reduce_mean(y_true) - tf.reduce_mean(y_pred).numpy().item()",
         "ACT204", "tf.reduce_mean(y_pred).numpy()"),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cut(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
