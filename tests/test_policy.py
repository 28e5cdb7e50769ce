"""In which dtype graphs are judged: policies that sources set, and ``--dtype``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actlint.graph import Graph, Role, Site, Span
from actlint.index import FileIndex, build
from actlint.policy import Policy, applied, asked, of_project
from actlint.project import Project

from .conftest import Run

KERAS = "import keras\nfrom keras import mixed_precision\n"


def policies(**sources: str) -> dict[str, Policy]:
    """Return the policies of a project of files by name, without ``.py``."""
    indexes: list[FileIndex] = []
    for name, text in sources.items():
        found = build(f"{name.replace('__', '/')}.py", text)
        assert isinstance(found, FileIndex)
        indexes.append(found)
    return of_project(indexes, Project(indexes))


def graph(name: str = "f", role: Role = Role.ACTIVATION, *, keras: bool = False) -> Graph:
    site = Site("a.py", Span(1, 1, 1, 2), name)
    return Graph((), 0, role, name, site, keras=keras)


@pytest.mark.parametrize(
    ("statement", "dtype"),
    [
        ('mixed_precision.set_global_policy("mixed_float16")', "float16"),
        ('mixed_precision.set_global_policy("mixed_bfloat16")', "bfloat16"),
        ('keras.config.set_dtype_policy(dtype_policy="float16")', "float16"),
        ('policy = mixed_precision.Policy("mixed_float16")\nf.set_policy(policy)', "float16"),
        ('def main():\n    keras.config.set_dtype_policy(keras.DTypePolicy("mixed_bfloat16"))',
         "bfloat16"),
        ('NAME = "mixed_bfloat16" if tpu else "mixed_float16"\nset_global_policy(NAME)',
         "float16"),
        ('keras.backend.set_floatx("float16")', "float16"),
    ],
)  # fmt: skip
def test_spellings_of_a_policy(statement: str, dtype: str) -> None:
    assert policies(a=KERAS + statement)["a.py"].dtype == dtype


@pytest.mark.parametrize(
    "statement",
    [
        'mixed_precision.set_global_policy("float32")',
        "mixed_precision.set_global_policy(args.policy)",
        'keras.backend.set_floatx("mixed_float16")',
        'layer = keras.layers.Dense(2, dtype="float16")',
        '"""Call set_global_policy("mixed_float16") before."""',
    ],
)
def test_no_policy(statement: str) -> None:
    assert policies(a=KERAS + statement) == {}


def test_float64_holds_for_all_that_is_computed() -> None:
    (found,) = policies(a=KERAS + 'keras.backend.set_floatx("float64")').values()
    assert (found.dtype, found.roles) == ("float64", frozenset(Role))


@pytest.mark.parametrize(
    "statement",
    [
        'if args.double:\n    keras.backend.set_floatx("float64")',
        'if args.single:\n    pass\nelse:\n    keras.backend.set_floatx("float64")',
        'keras.backend.set_floatx("float64" if args.double else "float32")',
        'args.double and keras.backend.set_floatx("float64")',
        'dtype = "float64"\ndtype = args.dtype\nkeras.backend.set_floatx(dtype)',
        'if args.double:\n    dtype = "float64"\nkeras.backend.set_floatx(dtype)',
    ],
)
def test_float64_that_is_not_certain(statement: str) -> None:
    assert policies(a=KERAS + statement) == {}


def test_float64_of_a_program() -> None:
    main = 'NAME = "float64"\nif __name__ == "__main__":\n    keras.backend.set_floatx(NAME)'
    assert policies(a=KERAS + main)["a.py"].dtype == "float64"


def test_float16_goes_before_float64() -> None:
    both = 'keras.backend.set_floatx("float64")\nmixed_precision.set_global_policy("mixed_float16")'
    (found,) = policies(a=KERAS + both).values()
    assert found.dtype == "float16"


def test_it_holds_for_importers_and_what_they_import() -> None:
    found = policies(
        setup=KERAS + 'def fast():\n    mixed_precision.set_global_policy("mixed_float16")\n',
        train="from setup import fast\nimport layers\n",
        layers="from blocks import *\n",
        blocks=KERAS,
        other=KERAS,
    )
    assert sorted(found) == ["blocks.py", "layers.py", "setup.py", "train.py"]
    assert {policy.said for policy in found.values()} == {
        "the policy mixed_float16, set in setup.py:4"
    }


def test_of_what_is_imported_it_holds_for_what_is_used() -> None:
    found = policies(
        train=KERAS
        + 'import layers\nmixed_precision.set_global_policy("mixed_float16")\nlayers.Used(4)\n',
        layers=KERAS
        + """
class Used(keras.layers.Layer):
    def call(self, x):
        return below(x)

def below(x):
    return REGISTRY["tabled"](x)

class Unused(keras.layers.Layer):
    def call(self, x):
        return x  # as Used does

def tabled(x):
    return x

REGISTRY = {"tabled": tabled}
""",
    )["layers.py"]
    names = ("Used.call", "below", "tabled", "Unused.call")
    dtypes = [applied(graph(name=name), found).dtype for name in names]
    assert dtypes == ["float16", "float16", "float16", "float32"]


def test_a_test_speaks_for_itself_alone() -> None:
    setting = KERAS + 'import layers\nmixed_precision.set_global_policy("mixed_float16")\n'
    assert sorted(policies(layers=KERAS, test_layers=setting)) == ["test_layers.py"]


def test_what_a_policy_holds_for() -> None:
    mixed = policies(a=KERAS + 'mixed_precision.set_global_policy("mixed_float16")')["a.py"]
    floatx = policies(a=KERAS + 'keras.backend.set_floatx("float16")')["a.py"]
    for role in (Role.ACTIVATION, Role.LAYER):
        assert applied(graph(role=role), mixed).dtype == "float16"
    for role in (Role.LOSS, Role.REGULARIZER):
        assert applied(graph(role=role, keras=True), mixed).dtype == "float32"
        assert applied(graph(role=role, keras=True), floatx).dtype == "float16"
    for role in (Role.METRIC, Role.TRAINING_STEP, Role.GRAPH, Role.CUSTOM_GRADIENT):
        assert applied(graph(role=role), floatx).dtype == "float32"


def test_asked_for_losses_but_for_those_that_keras_calls() -> None:
    index = build("a.py", KERAS)
    assert isinstance(index, FileIndex)
    assert asked([index], "float32") == {}
    policy = asked([index], "bfloat16")["a.py"]
    assert applied(graph(role=Role.LOSS), policy).dtype == "bfloat16"
    assert applied(graph(role=Role.LOSS, keras=True), policy).dtype == "float32"
    assert applied(graph("Own.call", Role.LOSS), policy).dtype == "float32"


@pytest.mark.parametrize(
    "made",
    [
        'layer = keras.layers.Activation(f, dtype="float32")',
        "layer = keras.layers.Dense(4, activation=f, dtype=tf.float32)",
        "layer = keras.layers.Lambda(f(), autocast=False)",
    ],
)
def test_layers_that_are_made_in_float32(made: str) -> None:
    source = f'{KERAS}mixed_precision.set_global_policy("mixed_float16")\n{made}\n'
    policy = policies(a=source)["a.py"]
    assert applied(graph("f"), policy).dtype == "float32"
    assert applied(graph("f.<locals>.inner"), policy).dtype == "float32"
    assert applied(graph("g"), policy).dtype == "float16"


def test_a_class_that_makes_itself_float32() -> None:
    source = f"""{KERAS}
mixed_precision.set_global_policy("mixed_float16")


class Head(keras.layers.Layer):
    def __init__(self):
        super().__init__(dtype="float32")
"""
    policy = policies(a=source)["a.py"]
    assert applied(graph("Head.call", Role.LAYER), policy).dtype == "float32"
    assert applied(graph("Body.call", Role.LAYER), policy).dtype == "float16"


SIMPLEX = """\
import tensorflow as tf


def simplex(x):
    return x / (tf.reduce_sum(tf.abs(x), axis=-1, keepdims=True) + 1e-8)


layer = tf.keras.layers.Dense(8, activation=simplex)
"""


def test_the_option_and_the_key(run: Run, here: Path) -> None:
    (here / "bad.py").unlink()
    (here / "simplex.py").write_text(SIMPLEX)
    words = ("simplex.py", "--output-format", "json", "--no-cache", "--samples", "256")
    assert run(*words).status == 0
    first = run(*words, "--dtype", "float16")
    assert first.status == 1
    (found,) = json.loads(first.out)["findings"]
    assert found["code"] == "ACT119"
    assert found["message"].endswith("(--dtype float16)")
    evidence = found["evidence"]
    assert evidence["hazard"] == "nan"
    assert evidence["value"] == "nan"
    assert "tf.float16)" in evidence["repro"]
    text = run("simplex.py", "--no-cache", "--samples", "256", "--dtype", "float16").out
    assert "1e-8 is 0 in float16: `x / (" in text
    assert "in float16 the value is nan and the gradient is nan, in float32 0 and " in text
    assert "with 1e-4 in place of 1e-8 it is finite there" in text
    (here / "pyproject.toml").write_text('[tool.actlint]\ndtype = "float16"\n')
    assert run(*words).out == first.out
    assert run(*words, "--dtype", "float32").status == 0
    (here / "pyproject.toml").write_text('[tool.actlint]\ndtype = "float8"\n')
    assert run(*words).status == 2
