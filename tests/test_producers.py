"""Losses that are judged by what the models give them that are compiled with them."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Severity, Verdict
from actlint.source import SourceFile

LOSS = """\
import tensorflow as tf
from tensorflow.keras import layers


def laplace(y_true, y_pred):
    centre, scale = y_pred[..., :1], y_pred[..., 1:]
    return tf.reduce_mean(tf.math.log(scale) + tf.abs(y_true - centre) / (1.0 + scale))


def above(x):
    return tf.nn.elu(x) + 1.1
"""
MODEL = """

inputs = tf.keras.Input((8,))
hidden = layers.Dense(16, activation="relu")(inputs)
heads = [layers.Dense(1)(hidden), layers.Dense(1, activation={activation})(hidden)]
model = tf.keras.Model(inputs, layers.Concatenate()(heads))
model.compile("adam", loss=laplace)
"""
OTHER = """

def train(any_model):
    any_model.compile("sgd", loss=laplace)
"""


def of(*sources: str) -> list[tuple[Finding, ...]]:
    """Return the findings of programs of one file each, from one run."""
    files = [SourceFile(f"case_{at}.py", source) for at, source in enumerate(sources)]
    result = lint(files, Options(show_refuted=True))
    assert not result.errors
    return [
        tuple(f for f in result.findings if f.site.path == file.path and f.code == "ACT103")
        for file in files
    ]


# What stands beside the loss, the verdict, the severity and what the message says.
CASES = {
    "alone": (MODEL.format(activation="None"), Verdict.CONFIRMED, Severity.ERROR, "can be 0"),
    "never below a tenth": (
        MODEL.format(activation="above"), Verdict.REFUTED, None, "",
    ),
    "zero of a relu": (
        MODEL.format(activation='"relu"'), Verdict.CONFIRMED, Severity.ERROR, "can be 0",
    ),
    "zero of a softplus far out": (
        MODEL.format(activation='"softplus"'),
        Verdict.CONFIRMED,
        Severity.WARNING,
        "assuming the logits of `layers.Dense(1, activation=\"softplus\")` can reach -87.4",
    ),
    "handed to something else as well": (
        MODEL.format(activation="above") + "\n\nrun(inputs, laplace)\n",
        Verdict.CONFIRMED,
        Severity.ERROR,
        "can be 0",
    ),
    "compiled with any model as well": (
        MODEL.format(activation="above") + OTHER, Verdict.CONFIRMED, None, "can be 0",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[Finding, ...]]:
    """Lint all cases in one run, because TensorFlow starts once."""
    return dict(zip(CASES, of(*(LOSS + more for more, *_ in CASES.values())), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_loss_behind_a_model(name: str, found: dict[str, tuple[Finding, ...]]) -> None:
    _, verdict, severity, said = CASES[name]
    (finding,) = found[name]
    assert finding.verdict is verdict
    assert severity is None or finding.severity is severity
    assert said in finding.message


def test_the_refusal_names_its_reason(found: dict[str, tuple[Finding, ...]]) -> None:
    (finding,) = found["never below a tenth"]
    assert finding.reason is not None
    assert "the models give that are compiled with the loss" in finding.reason
