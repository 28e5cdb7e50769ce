"""Fixes: faulty source in, mended source out, and nothing offered that is not proved."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from actlint import catalogue, editing
from actlint.engine import Options, lint
from actlint.findings import Fix, Result, Safety, Suspect
from actlint.query import Ref, Remedy, Rewrite, Rule, View
from actlint.report import OutputFormat, Style, render
from actlint.source import SourceFile

from .fix_cases import ACTIVATION, BACKEND, Case, check, left, run

CASES = (
    Case(
        "comments_and_layout_stay",
        """\
import tensorflow as tf


def dice_loss(y_true, y_pred):
    overlap = tf.reduce_sum( y_true*y_pred )   # odd blanks
    return 1.0 - (2.0 * overlap) / (
        tf.reduce_sum(tf.square(y_true))  # the label
        + tf.reduce_sum(tf.square(y_pred))  # the prediction
    )
""",
        Safety.UNSAFE,
        (
            ("(2.0 * overlap)", "(2.0 * overlap + 1e-5)"),
            ("tf.square(y_pred))  #", "tf.square(y_pred)) + 1e-5  #"),
        ),
    ),
    Case(
        "alias",
        """\
import tensorflow as t


def share_loss(y_true, y_pred):
    return t.reduce_mean(t.abs(y_true - y_pred) / t.abs(y_true))
""",
        Safety.UNSAFE,
        (
            (
                "t.abs(y_true - y_pred) / t.abs(y_true)",
                "t.math.divide_no_nan(t.abs(y_true - y_pred), t.abs(y_true))",
            ),
        ),
    ),
    Case(
        "module_of_functions",
        """\
from tensorflow import math as tm


def share_loss(y_true, y_pred):
    return tm.reduce_mean(tm.square(y_true - y_pred) / tm.square(y_true))
""",
        Safety.UNSAFE,
        (
            (
                "tm.square(y_true - y_pred) / tm.square(y_true)",
                "tm.divide_no_nan(tm.square(y_true - y_pred), tm.square(y_true))",
            ),
        ),
    ),
    Case(
        "function_by_itself",
        """\
from tensorflow import exp as e, math
from tensorflow.keras.layers import Dense
from tensorflow.math import softplus as soft


def f(x):
    return math.log(1.0 + e(x))
"""
        + BACKEND,
        Safety.SAFE,
        (("math.log(1.0 + e(x))", "soft(x)"),),
    ),
    Case(
        "backend_has_it",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def f(x):
    return K.log(1.0 + K.exp(x))
"""
        + BACKEND,
        Safety.SAFE,
        (("K.log(1.0 + K.exp(x))", "K.softplus(x)"),),
    ),
    Case(
        "backend_lacks_it",
        '''\
"""A docstring stays first."""
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def f(x):
    return K.log(K.sigmoid(x))
'''
        + BACKEND,
        Safety.SAFE,
        (
            (
                "from tensorflow.keras import b",
                "import tensorflow as tf\nfrom tensorflow.keras import b",
            ),
            ("K.log(K.sigmoid(x))", "tf.math.log_sigmoid(x)"),
        ),
    ),
    Case(
        "name_is_taken",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense

tf = "transfer function"


def f(x):
    return K.log(1.0 - K.sigmoid(x))
"""
        + BACKEND,
        Safety.UNSAFE,
        (("1.0 - K.sigmoid(x)", "1.0 - K.sigmoid(x) + 1e-7"),),
    ),
    Case(
        "import_of_another_function",
        """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def version():
    import tensorflow as tf

    return tf.__version__


def f(x):
    return K.log(1.0 - K.sigmoid(x))
"""
        + BACKEND,
        Safety.UNSAFE,
        (("1.0 - K.sigmoid(x)", "1.0 - K.sigmoid(x) + 1e-7"),),
    ),
    Case(
        "keras_ops",
        """\
from keras import ops
from keras.layers import Layer


class LogProbability(Layer):
    def call(self, inputs):
        return ops.log(ops.softmax(inputs, axis=1))
""",
        Safety.SAFE,
        (("ops.log(ops.softmax(inputs, axis=1))", "ops.log_softmax(inputs, axis=1)"),),
    ),
    Case(
        "variable_on_the_way",
        """\
import tensorflow as tf


def cross_entropy_loss(y_true, logits):
    p = tf.nn.softmax(logits)
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.math.log(p), axis=-1))
""",
        Safety.SAFE,
        (("    p = tf.nn.softmax(logits)\n", ""), ("tf.math.log(p)", "tf.nn.log_softmax(logits)")),
    ),
    Case(
        "graph_script",
        """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.zeros([4, 3]))
b = tf.Variable(tf.zeros([3]))
y = tf.nn.softmax(tf.matmul(x, w) + b)
loss = -tf.reduce_sum(y_ * tf.log(y))
train = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
""",
        Safety.SAFE,
        (("tf.log(y)", "tf.nn.log_softmax(tf.matmul(x, w) + b)"),),
    ),
    Case(
        "lambda_of_a_regularizer",
        """\
import tensorflow as tf

dense = tf.keras.layers.Dense(
    8, kernel_regularizer=lambda w: tf.reduce_sum(tf.square(w)) / tf.reduce_max(tf.abs(w))
)
""",
        Safety.SAFE,
        (
            (
                "tf.reduce_sum(tf.square(w)) / tf.reduce_max(tf.abs(w))",
                "tf.math.divide_no_nan(tf.reduce_sum(tf.square(w)), tf.reduce_max(tf.abs(w)))",
            ),
        ),
    ),
    Case(
        "helper_of_two_losses",
        """\
import tensorflow as tf


def ratio(a, b):
    return a / b


def first_loss(y_true, y_pred):
    return tf.reduce_mean(ratio(tf.square(y_true - y_pred), y_true))


def second_loss(y_true, y_pred):
    return tf.reduce_mean(ratio(tf.abs(y_true - y_pred), tf.abs(y_true)))
""",
        Safety.UNSAFE,
        (("a / b", "tf.math.divide_no_nan(a, b)"),),
    ),
    Case(
        "settings_stay",
        """\
import tensorflow as tf


def f(x, axis=-1, steepness=1.0):
    p = tf.nn.softmax(steepness * x, axis=axis)
    return tf.math.log(p)
"""
        + ACTIVATION,
        Safety.SAFE,
        (
            ("    p = tf.nn.softmax(steepness * x, axis=axis)\n", ""),
            ("tf.math.log(p)", "tf.nn.log_softmax(steepness * x, axis=axis)"),
        ),
    ),
    Case(
        "augmented_assignment",
        """\
import tensorflow as tf


def share_loss(y_true, y_pred):
    y_pred /= tf.reduce_sum(tf.abs(y_pred), axis=-1, keepdims=True)  # normalise
    return tf.reduce_mean(tf.square(y_true - y_pred))
""",
        Safety.UNSAFE,
        (
            (
                "y_pred /= tf.reduce_sum(tf.abs(y_pred), axis=-1, keepdims=True)",
                "y_pred = tf.math.divide_no_nan("
                "y_pred, tf.reduce_sum(tf.abs(y_pred), axis=-1, keepdims=True))",
            ),
        ),
    ),
    # With 0 for the quotient the logarithm is the hazard, and a floor would spoil negative values.
    Case(
        "no_floor_under_what_may_be_negative",
        """\
import tensorflow as tf


def f(x):
    return tf.math.log(tf.abs(1.0 / x))
"""
        + ACTIVATION,
        None,
    ),
    # `height` is 1 here, but another call may say otherwise.
    Case(
        "no_setting_is_lost",
        """\
import tensorflow as tf


def f(x, height=1.0):
    return height / (1.0 + tf.exp(-x))
"""
        + ACTIVATION,
        Safety.UNSAFE,
        (("tf.exp(-x)", "tf.exp(tf.minimum(-x, 20.0))"),),
    ),
    Case(
        "two_minus_signs_are_none",
        """\
import tensorflow as tf


def f(x):
    return 1.0 / (1.0 + tf.exp(-3.0 * x))
"""
        + ACTIVATION,
        Safety.SAFE,
        (("1.0 / (1.0 + tf.exp(-3.0 * x))", "tf.sigmoid(3.0 * x)"),),
    ),
    # The quotient becomes 0, and its logarithm -inf: the hazard would only move.
    Case(
        "no_fix_that_moves_the_hazard",
        """\
import tensorflow as tf


def f(x):
    return tf.math.log(tf.square(x) / tf.square(x)) + x
"""
        + ACTIVATION,
        None,
    ),
)


@pytest.fixture(scope="module")
def result() -> Result:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fix(case: Case, result: Result) -> None:
    check(result, case)


def test_a_mended_program_has_no_finding_of_its_hazard(result: Result) -> None:
    assert not left(result, CASES)


def test_hazards_that_meet_at_one_witness_are_mended_together() -> None:
    logs = "y_true * tf.math.log({}) + (1.0 - y_true) * tf.math.log({})"
    source = (
        "import tensorflow as tf\n\n\ndef binary_loss(y_true, y_pred):\n"
        f"    return -tf.reduce_mean({logs})\n"
    )
    faulty = source.format("y_pred", "1.0 - y_pred")
    found = lint([SourceFile("loss.py", faulty)], Options()).findings
    fixes = [fix for finding in found for fix in finding.fixes]
    assert len(found) == 2
    assert [fix.title for fix in fixes] == [
        f"Add 1e-7 to the argument, together with the fix of `tf.math.log({other})`"
        for other in ("1.0 - y_pred", "y_pred")
    ]
    mended = source.format("y_pred + 1e-7", "1.0 - y_pred + 1e-7")
    assert [editing.apply(faulty, fix.edits) for fix in fixes] == [mended, mended]


def test_reports_show_fixes_and_two_runs_agree(result: Result) -> None:
    sources = {case.path: case.source for case in CASES}
    again = lint([SourceFile(case.path, case.source) for case in CASES], Options())
    for form in (OutputFormat.JSON, OutputFormat.FULL):
        one, two = (render(each, form, Style(sources=sources)) for each in (result, again))
        assert one == two
    text = render(result, OutputFormat.FULL, Style(sources=sources))
    assert "  unsafe fix: Divide with tf.math.divide_no_nan: it is the quotient elsewhere" in text
    assert "\n    - return t.reduce_mean(t.abs(y_true - y_pred) / t.abs(y_true))\n" in text
    assert " fixable with `--fix`\n" in text


# ---- remedies that are wrong --------------------------------------------------------------------

WRONG = {
    "changes_values": "{x} / ({y} + 0.001)",
    "chooses_another_limit": "tf.math.divide_no_nan({x}, {y}) + tf.where({y} > 0.0, 0.0, 1.0)",
    "changes_gradients": "tf.stop_gradient(tf.math.divide_no_nan({x}, {y}))",
    "leaves_the_hazard": "{x} * (1.0 / {y})",
    "brings_another": "tf.math.divide_no_nan({x}, {y}) + 0.0 * tf.sqrt({y})",
    "unknown_name": "tf.math.divide_no_nan({x}, nothing_of_this_name)",
    "no_python": "tf.math.divide_no_nan({x},, {y})",
    "same_text": "{x} / {y}",
}
FINE = {"right": "tf.math.divide_no_nan({x}, {y})"}


def test_wrong_remedies_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def remedies(self: Rule, view: View, suspect: Suspect) -> Iterator[Remedy]:
        name = view.graph.name.removesuffix("_loss")
        node = view.node(suspect.node)
        parts = (("x", node.arg("x")), ("y", node.arg("y")))
        change = Rewrite(Ref(node.id), (WRONG | FINE)[name], parts)
        yield Remedy("Try it", "it says so", Safety.SAFE, (change,))

    rule = catalogue.find(catalogue.load(), "ACT101")
    monkeypatch.setattr(rule, "remedies", remedies)
    functions = [
        f"def {name}_loss(y_true, y_pred):\n"
        "    return tf.reduce_mean(tf.square(y_pred) / tf.abs(y_pred))\n"
        for name in (*WRONG, *FINE)
    ]
    source = "import tensorflow as tf\n\n\n" + "\n\n".join(functions)
    found = lint([SourceFile("losses.py", source)], Options())
    # What is no Python is the rule's own defect.
    (error,) = found.errors
    assert "ParserSyntaxError" in error.message
    offered: dict[str, tuple[Fix, ...]] = {f.function: f.fixes for f in found.findings}
    assert len(offered) == len(functions)
    assert [name for name, fixes in offered.items() if fixes] == ["right_loss"]


def test_a_rule_that_fails_costs_its_fix_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def remedies(self: Rule, view: View, suspect: Suspect) -> Iterator[Remedy]:
        raise ValueError("no idea")

    monkeypatch.setattr(catalogue.find(catalogue.load(), "ACT101"), "remedies", remedies)
    found = lint([SourceFile(CASES[0].path, CASES[0].source)], Options())
    assert [(finding.code, finding.fixes) for finding in found.findings] == [("ACT101", ())]
    assert [(error.line, error.message) for error in found.errors] == [
        (6, "fix of ACT101: internal error, please report it: ValueError: no idea")
    ]


def test_nothing_is_offered_without_proof() -> None:
    found = lint([SourceFile(case.path, case.source) for case in CASES], Options(confirm=False))
    assert found.findings
    assert not any(finding.fixes for finding in found.findings)


@pytest.mark.parametrize("rule", catalogue.load(), ids=lambda rule: rule.code)
def test_rules_with_remedies_say_how_safe_they_are(rule: type[Rule]) -> None:
    page = inspect.cleandoc(rule.__doc__ or "")
    assert ("## Fix safety" in page) == (rule.remedies is not Rule.remedies)
