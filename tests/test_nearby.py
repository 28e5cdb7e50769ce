"""Suspects whose whole graph does not run are judged on a part of it, or not at all."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile

# No input has so many elements, so that what comes before this never runs.
GRID = "[17, 19, -1]"

CASES = {
    "a root of what cannot be run": (
        f"""\
import tensorflow as tf


def width_loss(y_true, y_pred):
    boxes = tf.reshape(y_pred, {GRID})
    width = boxes[..., 2] - boxes[..., 0]
    return tf.reduce_mean(tf.math.log(width))
""",
        "ACT103",
        Verdict.CONFIRMED,
    ),
    "a square that is never so small": (
        f"""\
import tensorflow as tf


def width_loss(y_true, y_pred):
    boxes = tf.reshape(y_pred, {GRID})
    width = boxes[..., 2] - boxes[..., 0]
    return tf.reduce_mean(tf.math.log(tf.square(width) - width + 1.0))
""",
        "ACT103",
        Verdict.REFUTED,
    ),
    "values that hang together": (
        f"""\
import tensorflow as tf


def gap_loss(y_true, y_pred):
    plain = tf.reshape(y_pred, {GRID})
    above = tf.reshape(tf.abs(y_pred) + 1.0, {GRID})
    return tf.reduce_mean(tf.math.log(above - plain))
""",
        "ACT103",
        Verdict.UNCONFIRMED,
    ),
    "an opaque call, of which no interval is known": (
        f"""\
import tensorflow as tf


class Cosine(tf.keras.layers.Layer):
    def call(self, x):
        size = tf.sqrt(self.conv(tf.square(x)) + 1.0)
        return tf.reshape(x, {GRID}) / size
""",
        "ACT101",
        Verdict.UNCONFIRMED,
    ),
    "data that training does not move": (
        f"""\
import tensorflow as tf


def relative_loss(y_true, y_pred):
    y_true = tf.cast(y_true, tf.float32)
    size = tf.reshape(y_true, {GRID})
    size = size[..., 2] - size[..., 0]
    error = tf.reshape(y_pred, {GRID})[..., 1]
    return tf.reduce_mean(tf.square(error / size))
""",
        "ACT101",
        Verdict.CONFIRMED,
    ),
}


def findings(text: str) -> tuple[Finding, ...]:
    result = lint([SourceFile("losses.py", text)], Options(show_refuted=True))
    assert not result.errors
    return result.findings


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str) -> None:
    text, code, verdict = CASES[name]
    found = [finding for finding in findings(text) if finding.code == code]
    assert [finding.verdict for finding in found] == [verdict], found


def test_says_what_was_free() -> None:
    text, code, _ = CASES["a root of what cannot be run"]
    (found,) = (finding for finding in findings(text) if finding.code == code)
    assert found.evidence is not None
    assert found.evidence.detail["free"] == "`boxes`"
    assert set(found.evidence.witness) == {"boxes"}
    assert found.repro is not None
    assert "reshape" not in found.repro
    refuted, code, _ = CASES["a square that is never so small"]
    (other,) = (finding for finding in findings(refuted) if finding.code == code)
    assert other.reason is not None
    assert other.reason.endswith("`boxes` taken as free")
