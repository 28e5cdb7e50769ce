"""Overflow of sums: no element has to go far where several add up. Source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.findings import Finding, numbers

from .cases import Case, check, run

POLICY = """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
advantage = tf.placeholder(tf.float32, [None])
old = tf.placeholder(tf.float32, [None, 3])
log_variances = tf.layers.dense(tf.placeholder(tf.float32, [None, 5]), 3)
"""
TRAIN = "train = tf.train.AdamOptimizer(1e-3).minimize(loss)\n"
RATIO = """\
new_log_p = -0.5 * tf.reduce_sum(log_variances, axis=1)
old_log_p = -0.5 * tf.reduce_sum(old, axis=1)
loss = -tf.reduce_mean(advantage * tf.exp(new_log_p - old_log_p))
"""

CASES = (
    Case("ratio_of_densities", POLICY + RATIO + TRAIN, (
        ("ACT108", "tf.exp(new_log_p - old_log_p)"),
    )),
    Case("far_at_best", POLICY + RATIO.replace("0.5", "0.2") + TRAIN),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])


def test_the_witness_is_near(findings: dict[str, list[Finding]]) -> None:
    (finding,) = findings[CASES[0].path]
    assert finding.evidence is not None
    for tensor in finding.evidence.witness.values():
        assert all(abs(number) < 100.0 for number in numbers(tensor))
