"""Programs that compute in float64: what float32 alone breaks is no finding there."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile

HEAD = """\
import tensorflow as tf
from tensorflow.keras import backend as K

{floatx}


"""
LOSSES = {
    "exponential": """\
def ratio_loss(y_true, y_pred):
    logits = tf.cast(y_true, tf.float64) - y_pred
    return tf.reduce_mean(tf.exp(logits) + tf.square(y_true - y_pred))
""",
    "epsilon": """\
def cross_entropy_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-10, 1.0 - 1e-10)
    return -tf.reduce_mean((1.0 - y_true) * tf.math.log(1.0 - p))
""",
    "zero": """\
def root_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.abs(y_true - y_pred)))
""",
    "beside": """\
def guarded_loss(y_true, y_pred):
    share = tf.square(y_true) / (1e-40 + tf.exp(y_pred))
    return tf.reduce_mean(share + tf.math.log(tf.cosh(y_pred)))
""",
    "default": """\
def cross_entropy_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-10, 1.0 - 1e-10)
    y = K.cast(y_true, K.floatx()) * tf.cast(1, p.dtype)
    return -tf.reduce_mean((1.0 - y) * tf.math.log(1.0 - p))
""",
    "single": """\
def cross_entropy_loss(y_true, y_pred):
    p = tf.clip_by_value(tf.cast(y_pred, tf.float32), 1e-10, 1.0 - 1e-10)
    return -tf.reduce_mean((1.0 - tf.cast(y_true, "float32")) * tf.math.log(1.0 - p))
""",
}
WIDE = 'tf.keras.backend.set_floatx("float64")'


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    """Findings by file; all files are linted at once."""
    files = [
        SourceFile(f"{name}_{kind}.py", HEAD.format(floatx=floatx) + text)
        for name, text in LOSSES.items()
        for kind, floatx in (("wide", WIDE), ("usual", 'K.set_floatx("float32")'))
        if (name, kind) != ("exponential", "usual")  # TensorFlow does not mix both
    ]
    result = lint(files, Options())
    assert not result.errors
    found: dict[str, list[Finding]] = {file.path: [] for file in files}
    for finding in result.findings:
        found[finding.site.path].append(finding)
    return found


def test_an_exponential_overflows_further_out(findings: dict[str, list[Finding]]) -> None:
    (found,) = findings["exponential_wide.py"]
    assert found.code == "ACT108"
    assert found.verdict is Verdict.CONFIRMED
    assert found.evidence is not None
    assert max(map(abs, _numbers(found.evidence.witness["y_pred"]))) > 700.0


def test_an_epsilon_is_not_lost(findings: dict[str, list[Finding]]) -> None:
    assert [each.code for each in findings["epsilon_usual.py"]] == ["ACT112"]
    assert findings["epsilon_wide.py"] == []
    assert findings["default_wide.py"] == []


def test_what_breaks_beside_it_is_not_its_fault(findings: dict[str, list[Finding]]) -> None:
    assert "ACT112" in [each.code for each in findings["beside_usual.py"]]
    assert [each.code for each in findings["beside_wide.py"]] == ["ACT108", "ACT114"]


def test_what_is_cast_to_float32(findings: dict[str, list[Finding]]) -> None:
    assert [each.code for each in findings["single_wide.py"]] == ["ACT112"]


def test_an_infinite_slope_stays(findings: dict[str, list[Finding]]) -> None:
    assert [each.code for each in findings["zero_usual.py"]] == ["ACT104"]
    assert [each.code for each in findings["zero_wide.py"]] == ["ACT104"]


def _numbers(value: object) -> list[float]:
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _numbers(item)]
    assert isinstance(value, (int, float))
    return [float(value)]
