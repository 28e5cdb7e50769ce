"""One cause is one finding, and two causes stay two."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Verdict
from actlint.source import SourceFile

HEAD = "import tensorflow as tf\n\n\ndef nll(y_true, y_pred):\n    mean = y_pred[:, :1]\n"
ERROR = "tf.square(y_true - mean)"
# How the scale is made and used; culprits and the ends of the messages of what is reported.
CASES = {
    "softplus": (
        f"""\
    scale = tf.nn.softplus(y_pred[:, 1:])
    return tf.reduce_mean(tf.math.log(scale) + {ERROR} / (2.0 * scale ** 2))
""",
        {"tf.math.log(scale)": f"which also spoils `{ERROR} / (2.0 * scale ** 2)`"},
    ),
    "two_scales": (
        f"""\
    one, other = tf.nn.softplus(y_pred[:, 1:2]), tf.nn.softplus(y_pred[:, 2:3])
    return tf.reduce_mean(tf.math.log(one) + {ERROR} / other)
""",
        {"tf.math.log(one)": "", f"{ERROR} / other": ""},
    ),
    "every_day": (
        f"""\
    scale = y_pred[:, 1:]
    return tf.reduce_mean(tf.math.log(scale) + {ERROR} / scale)
""",
        {"tf.math.log(scale)": "", f"{ERROR} / scale": ""},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_underflow(name: str) -> None:
    body, expected = CASES[name]
    options = Options(select=frozenset({"ACT101", "ACT103"}))
    result = lint([SourceFile("nll.py", HEAD + body)], options)
    assert {f.verdict for f in result.findings} == {Verdict.CONFIRMED}
    assert {f.site.text for f in result.findings} == set(expected)
    for finding in result.findings:
        wanted = expected[finding.site.text]
        assert wanted in finding.message if wanted else "spoils" not in finding.message
