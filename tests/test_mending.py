"""Remedies written into source: placement, parentheses, comments, keywords and names."""

from __future__ import annotations

import pytest

from actlint import editing, index, mending
from actlint.findings import Safety
from actlint.graph import Graph, Ref, Role
from actlint.index import FileIndex
from actlint.lower import lower
from actlint.lower.marks import Mark
from actlint.lower.module import Module
from actlint.remedy import Change, Keyword, Remedy, Rewrite, Settled, together
from actlint.scene import units

HEADER = "import tensorflow as tf\n\n\n"


def lowered(source: str) -> tuple[Graph, tuple[Mark, ...]]:
    found = index.build("loss.py", source)
    assert isinstance(found, FileIndex)
    unit = next(unit for unit in units(found) if unit.role is not Role.METRIC)
    made = lower(Module(found), unit, marked=True)
    return made.graphs[0], made.marks[0]


def mended(source: str, op: str, change: Change | None = None, **template: str) -> str | None:
    """Mend the first node of an op; the change's own value is filled in."""
    graph, marks = lowered(source)
    node = next(node for node in graph.nodes if node.op == op)
    parts = tuple((name, value) for name, value in node.args)
    if change is None:
        change = Rewrite(Ref(node.id), template["to"], parts)
    elif isinstance(change, Keyword):
        change = Keyword(Ref(node.id), change.name, change.template)
    remedy = Remedy("Mend it", "why", Safety.SAFE, (change,))
    edits = mending.edits(remedy, graph, marks)
    return None if edits is None else editing.apply(source, edits)


def loss(expression: str) -> str:
    return f"{HEADER}def my_loss(y_true, y_pred):\n    return {expression}\n"


@pytest.mark.parametrize(
    ("expression", "to", "expected"),
    [
        ("y_true / y_pred", "f({x}, {y})", "f(y_true, y_pred)"),
        ("(y_true + 1) / (y_pred)", "f({x}, {y})", "f(y_true + 1, y_pred)"),
        ("(y_true + 1) / y_pred", "{x} * {y}", "(y_true + 1) * y_pred"),
        ("(y_true * 2) / y_pred", "{x} + {y}", "y_true * 2 + y_pred"),
        ("(y_true - 2) / (y_pred - 1)", "{x} - {y}", "y_true - 2 - (y_pred - 1)"),
        ("(y_true / y_pred) ** 2", "f({x}, {y})", "f(y_true, y_pred) ** 2"),
        ("(y_true / y_pred) ** 2", "{x} + {y}", "(y_true + y_pred) ** 2"),
        ("3 * (y_true / y_pred)", "{x} + {y}", "3 * (y_true + y_pred)"),
        ("y_true / y_pred * 2", "{x} + {y}", "(y_true + y_pred) * 2"),
        ("tf.abs(y_true / y_pred)", "{x} + {y}", "tf.abs(y_true + y_pred)"),
        ("-(y_true / y_pred)", "tf.nn.relu({x})", "-tf.nn.relu(y_true)"),
    ],
)
def test_parentheses_are_as_few_as_needed(expression: str, to: str, expected: str) -> None:
    assert mended(loss(expression), "divide", to=to) == loss(expected)


def test_parentheses_that_stand_for_a_blank_stay() -> None:
    source = loss("y").replace("return y", "return(y_true / y_pred)")
    expected = source.replace("y_true / y_pred", "f(y_true, y_pred)")
    assert mended(source, "divide", to="f({x}, {y})") == expected


def test_comments_and_continued_lines_stay() -> None:
    source = loss("(\n        y_true  # label\n        + 1\n    ) / y_pred  # why")
    expected = loss("f((\n        y_true  # label\n        + 1\n    ), y_pred)  # why")
    assert mended(source, "divide", to="f({x}, {y})") == expected


def test_a_number_is_not_mistaken_for_a_setting_of_its_value() -> None:
    head = f"{HEADER}def my_loss(y_true, y_pred, a=1.0):\n    return y_true - "
    assert mended(f"{head}1.0 / (a * y_pred)", "divide", to="f({x}, {y})") == (
        f"{head}f(1.0, a * y_pred)"
    )
    assert mended(f"{head}a / (1.0 * y_pred)", "divide", to="f({x}, {y})") == (
        f"{head}f(a, 1.0 * y_pred)"
    )
    assert mended(f"{head}a / (1.0 * y_pred)", "divide", to="f({y})") is None


def test_no_comment_is_lost() -> None:
    source = loss("(\n        y_true  # label\n        / y_pred\n    )")
    assert mended(source, "divide", to="f({x}, {y})") is None


def test_comments_round_the_expression_stay() -> None:
    source = loss("(  # one\n        y_true / y_pred  # two\n    )")
    expected = source.replace("y_true / y_pred", "f(y_true, y_pred)")
    assert mended(source, "divide", to="f({x}, {y})") == expected


def test_a_keyword_is_added_or_replaced() -> None:
    change = Keyword(Ref(0), "keepdims", "True")
    source = loss("tf.reduce_sum(y_pred - y_true, axis=-1)")
    expected = source.replace("axis=-1", "axis=-1, keepdims=True")
    assert mended(source, "reduce_sum", change) == expected
    source = expected.replace("True)", "False,  # no\n    )")
    expected = source.replace("keepdims=False", "keepdims=True")
    assert mended(source, "reduce_sum", change) == expected


@pytest.mark.parametrize(
    ("header", "spelled"),
    [
        ("import tensorflow as t\n", "t.math.log1p"),
        ("import tensorflow\n", "tensorflow.math.log1p"),
        ("import tensorflow.compat.v1 as tf\n", "tf.math.log1p"),
        ("from tensorflow import math as tm\n", "tm.log1p"),
        ("from tensorflow.math import log1p\n", "log1p"),
        ("from keras import ops\n", "ops.log1p"),
        ("import keras\n\nPI = keras.ops.arccos(-1.0)\n", "keras.ops.log1p"),
    ],
)
def test_names_are_spelled_as_the_file_imports_them(header: str, spelled: str) -> None:
    source = loss("y_true / y_pred").replace("import tensorflow as tf\n", header)
    expected = source.replace("y_true / y_pred", f"{spelled}(y_pred)")
    assert mended(source, "divide", to="tf.math.log1p({y})") == expected


@pytest.mark.parametrize(
    "header",
    [
        "import keras\n",  # which may be older than keras.ops
        "from keras import backend as K\n",  # nothing says that TensorFlow is there
        "from tensorflow.keras import backend as K\ntf = 1\n",
        "from tensorflow.keras import *\n",
    ],
)
def test_nothing_is_imported_where_that_is_not_plain(header: str) -> None:
    source = loss("y_true / y_pred").replace("import tensorflow as tf\n", header)
    assert mended(source, "divide", to="tf.math.log1p({y})") is None


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        ((Settled.SAME, Settled.SAME), (Safety.SAFE, Settled.SAME)),
        ((Settled.GIVEN, Settled.GIVEN), (Safety.SAFE, Settled.GIVEN)),
        ((Settled.SAME, Settled.LIMIT), (Safety.SAFE, Settled.LIMIT)),
        ((Settled.SAME, Settled.GIVEN), (Safety.UNSAFE, Settled.LIMIT)),
    ],
)
def test_remedies_made_together_are_as_safe_as_can_be_told(
    settled: tuple[Settled, ...], expected: tuple[Safety, Settled]
) -> None:
    assert (
        together([Remedy("Mend it", "why", Safety.SAFE, (), each) for each in settled]) == expected
    )


def test_one_unsafe_remedy_makes_all_unsafe() -> None:
    made = [Remedy("Mend it", "why", safety, ()) for safety in (Safety.SAFE, Safety.UNSAFE)]
    assert together(made)[0] is Safety.UNSAFE
