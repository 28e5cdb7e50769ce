"""Limits of inputs that assertions, refusals and docstrings give."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.graph import EXTENDED_LIMIT, Graph, Input
from actlint.index import FileIndex, build
from actlint.lower import lower
from actlint.lower.module import Module
from actlint.scene import units
from actlint.source import SourceFile

HEAD = """\
import tensorflow as tf
from tensorflow.keras import backend as K


"""
LOSS = (
    HEAD
    + "def rate_loss(y_true, y_pred, scale=None, *, width):\n{body}\n    return y_pred - y_true\n"
)


def _graph(text: str) -> Graph:
    index = build("losses.py", text)
    assert isinstance(index, FileIndex)
    (unit,) = units(index)
    return lower(Module(index), unit).graphs[0]


def _input(text: str, name: str) -> Input:
    (found,) = [
        n.input for n in _graph(text).inputs if n.input is not None and n.input.name == name
    ]
    return found


# What stops the program, and the limits of the prediction that follow.
STOPS = {
    "assert": ("assert y_pred > 0", 1e-6, EXTENDED_LIMIT),
    "chain": ("assert 0 <= y_pred < 2, 'no rate'", 0.0, 2.0 - 2e-6),
    "both": ("assert y_pred >= 0.5 and y_pred <= 2.0", 0.5, 2.0),
    "mirrored": ("assert 3 >= y_pred", -EXTENDED_LIMIT, 3.0),
    "extremes": (
        "assert tf.reduce_min(y_pred) > 0.0 and tf.reduce_max(y_pred) <= 4.0", 1e-6, 4.0,
    ),
    "tensorflow": ("tf.debugging.assert_positive(y_pred)", 1e-6, EXTENDED_LIMIT),
    "tensorflow 1": ("tf.compat.v1.assert_non_negative(y_pred, message='m')", 0.0, EXTENDED_LIMIT),
    "greater": ("tf.debugging.assert_greater_equal(y_pred, 2.0)", 2.0, EXTENDED_LIMIT),
    "less": ("tf.debugging.assert_less(tf.cast(y_pred, tf.float32), y=1.0)", -EXTENDED_LIMIT,
             1.0 - 1e-6),
    "Assert": ("tf.debugging.Assert(tf.reduce_all(y_pred > 1.0), [y_pred])", 1.0 + 1e-6,
               EXTENDED_LIMIT),
    "nothing": ("assert y_pred.shape[0] > 0 and len(y_pred.shape) == 2", -EXTENDED_LIMIT,
                EXTENDED_LIMIT),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_the_program(name: str) -> None:
    body, lo, hi = STOPS[name]
    found = _input(LOSS.format(body=f"    {body}"), "y_pred")
    assert (found.lo, found.hi) == pytest.approx((lo, hi))


def test_a_setting_that_is_refused() -> None:
    body = "    if width <= 0.5:\n        raise ValueError(width)\n    y_pred = y_pred / width"
    found = _input(LOSS.format(body=body), "width")
    assert (found.lo, found.hi) == pytest.approx((0.5 + 1e-6, 100.0))


def test_a_value_that_is_computed_is_narrowed() -> None:
    text = HEAD + (
        "def {name}(y_true, y_pred):\n    s = tf.reduce_sum(y_pred, axis=-1)\n    {check}\n"
        "    return tf.reduce_mean(tf.square(y_true)) - tf.reduce_mean(tf.math.log(s))\n"
    )
    for check, codes in (("tf.debugging.assert_greater(s, 0.1)", []), ("pass", ["ACT103"])):
        file = SourceFile("losses.py", text.format(name="sum_loss", check=check))
        result = lint([file], Options(confirm=False))
        assert [each.code for each in result.findings] == codes


# A docstring, and the limits of `scale` that it gives; None for none.
WRITTEN = {
    ":param scale: alpha. Positive nonzero `Tensor`.\n    :type scale: float32": (1e-6, 1000.0),
    ":param Tensor scale: strictly positive": (1e-6, 1000.0),
    "Args:\n        scale: a tensor of\n            non-negative numbers.": (0.0, 1000.0),
    "Args:\n        scale (float): Must be positive.\n        other: x": (1e-6, 1000.0),
    "Args:\n        scale: shares, between 0 and 1.": (0.0, 1.0),
    "Parameters\n    ----------\n    scale : tensor\n        Values in the range [0, 1].": (
        0.0,
        1.0,
    ),
    "* `scale`: 0.0 if right censored, 1.0 if uncensored": (0.0, 1.0),
    "Args:\n        scale: embeddings of the positive samples": None,
    "Args:\n        scale: positive or negative numbers": None,
    "Args:\n        scale: one of 0 or 1 or 2": None,
    "Args:\n        rate: must be positive\n        scale: any": None,
    "Args:\n        scale: shares (between 0 and 1)": (0.0, 1.0),
    "Args:\n        scale: labels, 0 or 1.": (0.0, 1.0),
    "Args:\n        scale: Tensor of shape (batch, 3) with values in [0, 1].": (0.0, 1.0),
    ":param scale: 1 if the event is seen, 0 if not": (0.0, 1.0),
    ":param scale: indicator. 0.0 if censored, 1.0 if uncensored `Tensor`": (0.0, 1.0),
    "Args:\n        scale: float, width of the Gaussian; must be positive": (1e-6, 1000.0),
    "Args:\n        scale: float, width; must be positive, or zero": None,
    "Args:\n        scale: float, width; its root must be positive": None,
    "Args:\n        scale: logits, which the sigmoid below brings into the range [0, 1].": None,
    "Args:\n        scale: logits the sigmoid brings into the range [0, 1].": None,
    "Args:\n        scale: scores, not between 0 and 1": None,
    "Args:\n        scale: values not between 0 and 1": None,
    "Args:\n        scale: Values between 0 and 1 are inside of the margin, larger outside.": None,
    "Args:\n        scale: distances. Values between 0 and 1 are inside.": None,
    "Args:\n        scale: score; its sigmoid is the chance, between 0 and 1, of the left": None,
    "Args:\n        scale: a real number that does not need to be positive.": None,
    "Args:\n        scale: does not need to be positive.": None,
    "Args:\n        scale: a non-positive tensor of logarithms.": None,
    "Args:\n        scale: logarithm of a positive number": None,
    "Args:\n        scale: scores. The result is a positive number.": None,
    "Args:\n        scale: the result is a positive number.": None,
    "Args:\n        scale: Positive values mean the first class": None,
    "Args:\n        scale: must be positive or zero.": None,
    "Args:\n        scale: strictly positive or zero.": None,
    "Args:\n        scale: Logits of shape [batch, 1]; the threshold is applied at 0 or 1.": None,
    "Args:\n        scale: the threshold is applied at 0 or 1.": None,
    "Args:\n        scale: outputs, 1 channel or 3; mask is 0 if unknown, 1 otherwise.": None,
    "Args:\n        scale: mask is 0 if unknown, 1 otherwise.": None,
    "Args:\n        scale: 0 if disabled, 1.5 by default.": None,
    "Args:\n        scale: 0 if disabled, 1 if on, 2 if doubled.": None,
    "Args:\n        scale: one of -1, 0 or 1.": None,
    "Args:\n        scale: between -0 and 1.5": None,
    "It must be positive.": None,
}


@pytest.mark.parametrize("words", WRITTEN)
def test_what_is_written(words: str) -> None:
    text = (
        f'import tensorflow as tf\n\n\ndef weibull_loss(scale, y_true):\n    """Compute.\n\n    '
        f'{words}\n    """\n    return tf.reduce_mean(tf.square(y_true - scale))\n'
    )
    found = _input(text, "scale")
    limits = WRITTEN[words]
    assert (found.lo, found.hi) == pytest.approx(limits or (-EXTENDED_LIMIT, EXTENDED_LIMIT))
