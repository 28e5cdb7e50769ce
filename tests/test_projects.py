"""Losses and activations that are spread over several files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding
from actlint.graph import Role
from actlint.source import SourceFile, read


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str]
    # (path, code, culprit text, paths and lines through which it is reached)
    expected: tuple[tuple[str, str, str, str], ...] = ()


TRAIN = """\
from tensorflow import keras
from losses import dice

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss=dice, optimizer="sgd")
"""

TOTAL = """\
import tensorflow as tf


def classifier_loss(labels, logits):
    costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_sum(costs)
"""

CASES = (
    Case(
        "role_from_another_file",
        {
            "train.py": TRAIN,
            "losses.py": """\
import tensorflow as tf

def dice(a, b):
    return 1 - 2 * tf.reduce_sum(a * b) / (tf.reduce_sum(a) + tf.reduce_sum(b))
""",
        },
        (
            (
                "losses.py",
                "ACT101",
                "2 * tf.reduce_sum(a * b) / (tf.reduce_sum(a) + tf.reduce_sum(b))",
                "train.py:5",
            ),
        ),
    ),
    Case(
        "helper_in_another_file",
        {
            "train.py": TRAIN,
            "losses.py": """\
import tensorflow as tf
from utils import safe_div

def dice(a, b):
    return safe_div(tf.reduce_sum(a * b), tf.reduce_sum(a + b))
""",
            "utils.py": "def safe_div(top, bottom):\n    return top / bottom\n",
        },
        (("utils.py", "ACT101", "top / bottom", "train.py:5 losses.py:5"),),
    ),
    Case(
        "relative_imports_and_re_exports",
        {
            "pkg/__init__.py": "from .losses import entropy\n",
            "pkg/losses.py": """\
from .compat import tf
from . import helpers

def entropy(target, guess):
    return -target * helpers.ln(guess)
""",
            "pkg/helpers.py": "from .compat import tf\n\ndef ln(x):\n    return tf.log(x)\n",
            "pkg/compat.py": """\
try:
    import tensorflow.compat.v1 as tf
except ImportError:
    import tensorflow as tf
""",
            "run.py": """\
import pkg
from tensorflow import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss=pkg.entropy)
""",
        },
        (("pkg/helpers.py", "ACT103", "tf.log(x)", "run.py:5 pkg/losses.py:5"),),
    ),
    Case(
        "base_class_in_another_file",
        {
            "base.py": """\
from tensorflow import keras

class Base(keras.losses.Loss):
    def __init__(self, eps=0.0):
        super().__init__()
        self.eps = eps

    def call(self, y_true, y_pred):
        return self.measure(y_true, y_pred)
""",
            "mine.py": """\
import tensorflow as tf
from base import Base

class Mine(Base):
    def measure(self, t, p):
        return tf.reduce_mean(t / (p + self.eps))
""",
        },
        (("mine.py", "ACT101", "t / (p + self.eps)", "base.py:9"),),
    ),
    Case(
        "guard_in_a_subclass",
        {
            "base.py": """\
from tensorflow import keras

class Base(keras.losses.Loss):
    eps = 0.0

    def call(self, y_true, y_pred):
        return y_true / (y_pred + self.eps) * y_pred
""",
            "mine.py": "from base import Base\n\nclass Mine(Base):\n    eps = 0.5\n",
        },
        (("base.py", "ACT101", "y_true / (y_pred + self.eps)", ""),),
    ),
    Case(
        "constant_and_star_import",
        {
            "consts.py": "EPS = 0.5\nSHARP = 0.0\n",
            "acts.py": """\
import tensorflow as tf
from consts import *

def rational(x):
    return x / (tf.abs(x) + EPS) + x / (tf.abs(x) + SHARP)

layer = tf.keras.layers.Dense(3, activation=rational)
""",
        },
        (("acts.py", "ACT101", "x / (tf.abs(x) + SHARP)", ""),),
    ),
    Case(
        "a_local_file_is_not_the_standard_library",
        {
            "pkg/__init__.py": "",
            "pkg/math.py": "def log(x):\n    return 1 / x\n",
            "pkg/acts.py": """\
import math
import tensorflow as tf

def shifted(x):
    return x + math.log(2.0)

layer = tf.keras.layers.Dense(3, activation=shifted)
""",
        },
    ),
    Case(
        "circular_imports",
        {
            "one.py": "from two import g\n\ndef f(x):\n    return g(x)\n",
            "two.py": """\
import tensorflow as tf
from one import f
from missing import h

def g(x):
    return tf.nn.relu(f(h(x)))

layer = tf.keras.layers.Dense(3, activation=g)
""",
        },
    ),
    Case(
        "dictionary_of_functions",
        {
            "registry.py": """\
import tensorflow as tf

def ratio(a, b):
    return a / b

LOSSES = {"ratio": ratio}
""",
            "fit.py": """\
from tensorflow import keras
from registry import LOSSES

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss=LOSSES["ratio"])
""",
        },
        (("registry.py", "ACT101", "a / b", "fit.py:5"),),
    ),
    Case(
        "sum_that_nothing_calls",
        {"losses.py": TOTAL.replace("classifier", "other")},  # names of all cases are one project
        (("losses.py", "ACT504", "tf.reduce_sum(costs)", ""),),
    ),
    Case(
        "sum_that_another_file_divides",
        {
            "losses.py": TOTAL,
            "train.py": """\
import tensorflow as tf
from losses import classifier_loss

def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = classifier_loss(y, model(x)) / tf.cast(tf.shape(x)[0], tf.float32)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.weights), model.weights))
""",
        },
    ),
)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    files = [
        SourceFile(f"{case.name}/{path}", text)
        for case in CASES
        for path, text in case.files.items()
    ]
    result = lint(files, Options())
    assert not result.errors
    found: dict[str, list[Finding]] = {case.name: [] for case in CASES}
    for finding in result.findings:
        found[finding.site.path.partition("/")[0]].append(finding)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    prefix = f"{case.name}/"
    found = [
        (
            finding.site.path.removeprefix(prefix),
            finding.code,
            finding.site.text,
            " ".join(f"{s.path.removeprefix(prefix)}:{s.span.line}" for s in finding.trail),
        )
        for finding in findings[case.name]
    ]
    assert sorted(found) == sorted(case.expected)


LOOPS = {
    "tuple": "for act in (ratio, tf.nn.relu):\n    Dense(4, activation=act)\n",
    "pairs": "acts = [('r', ratio)]\nfor n, a in acts:\n    Dense(4, activation=a)\n",
    "items": "for n, a in {'r': ratio}.items():\n    Dense(4, activation=a, name=n)\n",
    "values": "for a in {'r': ratio}.values():\n    Dense(4, activation=a)\n",
    "comprehension": "layers = [Dense(4, activation=a) for a in [ratio]]\n",
    "function": "def build():\n    for a in (ratio,):\n        Dense(4, activation=a)\n",
}


@pytest.mark.parametrize("name", LOOPS)
def test_activations_tried_in_a_loop(name: str) -> None:
    text = (
        "import tensorflow as tf\nfrom tensorflow.keras.layers import Dense\n\n\n"
        f"def ratio(x):\n    return x / tf.abs(x)\n\n\n{LOOPS[name]}"
    )
    result = lint(
        [SourceFile("loop.py", text)], Options(confirm=False, select=frozenset({"ACT101"}))
    )
    assert [(f.role, f.site.text) for f in result.findings] == [(Role.ACTIVATION, "x / tf.abs(x)")]


def test_order_of_files_does_not_matter() -> None:
    files = [SourceFile(path, text) for path, text in CASES[2].files.items()]
    one = lint(files, Options(confirm=False))
    other = lint(files[::-1], Options(confirm=False))
    assert one.findings == other.findings


def test_an_imported_file_that_is_not_linted_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in CASES[1].files.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = lint([read("train.py", "train.py"), read("losses.py", "losses.py")],
                  Options(confirm=False))  # fmt: skip
    assert [(f.site.path, f.code) for f in result.findings] == [("utils.py", "ACT101")]


def test_a_comment_in_an_imported_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in CASES[1].files.items():
        commented = text.replace("top / bottom", "top / bottom  # noqa: ACT101")
        (tmp_path / path).write_text(commented, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    files = [read("train.py", "train.py"), read("losses.py", "losses.py")]
    assert not lint(files, Options(confirm=False)).findings
