"""Published activations, written by hand as people write them, and what is said of each.

Next to nothing is the rule. What is said is true of the curve and explained beside it.
"""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

# By name: the body, and the expected codes with their culprits.
GALLERY: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "relu": ("return tf.maximum(x, 0.0)", ()),
    "relu_by_mask": ("return x * tf.cast(x > 0, tf.float32)", ()),
    "leaky_relu": ("return tf.where(x > 0, x, 0.01 * x)", ()),
    "prelu_fixed": ("return tf.maximum(x, 0.0) + 0.25 * tf.minimum(x, 0.0)", ()),
    "relu6": ("return tf.minimum(tf.maximum(x, 0.0), 6.0)", ()),
    "elu": ("return tf.where(x > 0, x, tf.exp(tf.minimum(x, 0.0)) - 1.0)", ()),
    "selu": (
        "return 1.0507 * tf.where(x > 0, x, 1.67326 * (tf.exp(tf.minimum(x, 0.0)) - 1.0))",
        (),
    ),
    "celu": (
        "return tf.maximum(x, 0.0) + 2.0 * (tf.exp(tf.minimum(x, 0.0) / 2.0) - 1.0)",
        (),
    ),
    "gelu_erf": ("return 0.5 * x * (1.0 + tf.math.erf(x / 1.4142135))", ()),
    "gelu_tanh": (
        "return 0.5 * x * (1.0 + tf.tanh(0.7978846 * (x + 0.044715 * tf.pow(x, 3))))",
        (),
    ),
    "swish": ("return x * tf.sigmoid(x)", ()),
    "swish_beta": ("beta = 1.5\n    return x * tf.sigmoid(beta * x)", ()),
    "mish": ("return x * tf.tanh(tf.math.softplus(x))", ()),
    "softsign": ("return x / (1.0 + tf.abs(x))", ()),
    "softplus": ("return tf.maximum(x, 0.0) + tf.math.log1p(tf.exp(-tf.abs(x)))", ()),
    "squareplus": ("return 0.5 * (x + tf.sqrt(tf.square(x) + 4.0))", ()),
    "sigmoid": ("return 0.5 * (1.0 + tf.tanh(0.5 * x))", ()),
    "hard_sigmoid": ("return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)", ()),
    "hard_sigmoid_6": ("return tf.nn.relu6(x + 3.0) / 6.0", ()),
    "hard_swish": ("return x * tf.nn.relu6(x + 3.0) / 6.0", ()),
    "hard_tanh": ("return tf.clip_by_value(x, -1.0, 1.0)", ()),
    "tanh": ("return 2.0 * tf.sigmoid(2.0 * x) - 1.0", ()),
    "lecun_tanh": ("return 1.7159 * tf.tanh(2.0 / 3.0 * x)", ()),
    "rectified_tanh": ("return tf.maximum(0.0, tf.tanh(x))", ()),
    "arctan": ("return tf.atan(x)", ()),
    "snake": ("return x + tf.square(tf.sin(x))", ()),
    "bent_identity": ("return (tf.sqrt(tf.square(x) + 1.0) - 1.0) / 2.0 + x", ()),
    "aria2": ("return x * tf.pow(1.0 + tf.exp(-tf.clip_by_value(x, -20.0, 20.0)), -1.5)", ()),
    "tanhshrink": ("return x - tf.tanh(x)", ()),
    "softshrink": ("return tf.sign(x) * tf.maximum(tf.abs(x) - 0.5, 0.0)", ()),
    "logsigmoid": ("return -tf.math.softplus(-x)", ()),
    "symlog": ("return tf.sign(x) * tf.math.log1p(tf.abs(x))", ()),
    "squared_relu": ("return tf.square(tf.nn.relu(x))", ()),
    "elu_plus_one": ("return tf.nn.elu(x) + 1.0", ()),
    "isru": ("return x / tf.sqrt(1.0 + tf.square(x))", ()),
    "crelu": ("return tf.concat([tf.nn.relu(x), tf.nn.relu(-x)], axis=-1)", ()),
    "maxout": ("return tf.reduce_max(tf.reshape(x, [-1, 2, 2]), axis=-1)", ()),
    "softmax": ("return tf.nn.softmax(x)", ()),
    # Two inputs with one output; each asks for its own initialisation, as their authors say.
    "sine": ("return tf.sin(x)", (("ACT401", "tf.sin(x)"),)),
    "gaussian": ("return tf.exp(-tf.square(x))", (("ACT401", "tf.exp(-tf.square(x))"),)),
    "lisht": ("return x * tf.tanh(x)", (("ACT401", "x * tf.tanh(x)"),)),
    # Jumps by its definition.
    "hardshrink": (
        "return tf.where(tf.abs(x) > 0.5, x, 0.0)",
        (("ACT402", "tf.where(tf.abs(x) > 0.5, x, 0.0)"),),
    ),
    # Made for a network of one hidden layer (Chen and Manning, 2014).
    "cube": ("return x**3", (("ACT304", "x**3"),)),
    # Of an output such as a rate; in hidden layers it runs away, but overflows first.
    "exponential": ("return tf.exp(x)", (("ACT108", "tf.exp(x)"),)),
}
CASES = [
    Case(
        name,
        f"{HEADER}\ndef {name}(x):\n    {body}\n\n\n"
        f"model = keras.Sequential([keras.layers.Dense(8, activation={name}), "
        f"keras.layers.Dense(1)])\n",
        expected,
    )
    for name, (body, expected) in GALLERY.items()
]


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gallery(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
