"""Fixes of numbers that should be measured, divided or drawn while the graph runs."""

from __future__ import annotations

import pytest

from actlint import editing
from actlint.findings import Result, Safety

from .fix_cases import Case, check, left, of, run

TF = "import tensorflow as tf\n"
COMPILED = '\n\ndef compile_model(model):\n    model.compile("adam", loss=f)\n'

CASES = (
    Case("mean_of_a_batch", TF + """\


def f(y_true, y_pred):
    error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_sum(error) / 64.0
""" + COMPILED, Safety.UNSAFE, (
        ("tf.reduce_sum(error) / 64.0",
         "tf.reduce_sum(error) / tf.cast(tf.shape(y_pred)[0], tf.float32)"),
    )),
    Case("size_that_a_name_holds", TF + """\

BATCH = 64


def f(y_true, y_pred):
    error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_sum(error) / BATCH
""" + COMPILED, None),
    Case("weight_in_integers", TF + """\


def f(y_true, y_pred):
    weight = 1 // 4
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(error) + weight * tf.reduce_mean(tf.abs(y_true - y_pred))
""" + COMPILED, Safety.UNSAFE, (("1 // 4", "1 / 4"),)),
    Case("share_in_integers", TF + """\


def f(y_true, y_pred):
    count = tf.math.count_nonzero(y_true > 0.5, dtype=tf.int32)
    share = tf.cast(count // tf.size(y_true), tf.float32)
    return (1.0 + share) * tf.reduce_mean(tf.square(y_true - y_pred))
""" + COMPILED, Safety.UNSAFE, (("count //", "count /"),)),
    Case("labels_in_integers", TF + """\


def f(y_true, y_pred):
    labels = tf.cast(tf.cast(0.9 * y_true + 0.02, tf.int32), tf.float32)
    return tf.reduce_mean(tf.square(labels - y_pred))
""" + COMPILED, Safety.UNSAFE, (
        ("tf.cast(tf.cast(0.9 * y_true + 0.02, tf.int32), tf.float32)",
         "tf.cast(0.9 * y_true + 0.02, tf.float32)"),
    )),
)  # fmt: skip

# What is proved of it is a number of rows: there is no witness, and no value at it.
GROUPS = Case(
    "groups_of_a_batch",
    TF
    + """\


def f(y_true, y_pred):
    error = tf.reshape(tf.abs(y_true - y_pred), (40, -1))
    return tf.reduce_mean(error, axis=-1)
"""
    + COMPILED,
    Safety.UNSAFE,
    (("(40, -1)", "(tf.shape(y_pred)[0], -1)"),),
)


@pytest.fixture(scope="module")
def result() -> Result:
    return run((*CASES, GROUPS))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_rows_are_measured(result: Result) -> None:
    (fix,) = [fix for finding in of(result, GROUPS) for fix in finding.fixes]
    assert editing.apply(GROUPS.source, fix.edits) == GROUPS.mended
    assert fix.safety is Safety.UNSAFE


def test_mended_sources_show_no_such_hazard(result: Result) -> None:
    assert not left(result, CASES)
