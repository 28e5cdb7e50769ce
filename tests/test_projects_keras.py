"""Numerics in functional Keras models, and activations that Keras knows by name alone."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.graph import Role
from actlint.source import SourceFile

HEADER = (
    "import tensorflow as tf\nfrom tensorflow import keras\nfrom tensorflow.keras import layers\n"
)
RATIO = "\ndef ratio(x):\n    return x / tf.abs(x)\n\n"
CODES = frozenset({"ACT101", "ACT103"})

# How a model is built, by form, and the culprit; each file is `model.py` after HEADER.
MODELS = {
    "below_a_layer": (
        """
def build():
    inputs = keras.Input((8,))
    a, b = layers.Dense(8)(inputs), layers.Dense(8)(inputs)
    mixed = layers.Concatenate()([a / tf.abs(b), b])
    return keras.Model(inputs, layers.Dense(3)(mixed))
""",
        ["a / tf.abs(b)"],
    ),
    "operators_alone": (
        """
def build():
    inputs = keras.Input((8,))
    hidden = layers.Dense(8)(inputs)
    return keras.Model(inputs=inputs, outputs=hidden / (1 - hidden))
""",
        ["hidden / (1 - hidden)"],
    ),
    "method": (
        """
class Builder:
    def build(self):
        inputs = keras.Input((8,))
        hidden = layers.Dense(8)(inputs)
        self.model = keras.Model(inputs, layers.Dense(2)(hidden / tf.reduce_sum(hidden)))
""",
        ["hidden / tf.reduce_sum(hidden)"],
    ),
    "guarded": (
        """
def build(width=8):
    inputs = keras.Input((width,))
    hidden = layers.Dense(width / 2)(inputs)
    return keras.Model(inputs, layers.Dense(2)(hidden / (1.0 + tf.abs(hidden))))
""",
        [],
    ),
}


def _found(*files: tuple[str, str]) -> list[tuple[str, str]]:
    result = lint(
        [SourceFile(path, text) for path, text in files], Options(confirm=False, select=CODES)
    )
    assert not result.errors
    return [(f.site.path, f.site.text) for f in result.findings]


@pytest.mark.parametrize("name", MODELS)
def test_expressions_in_a_model(name: str) -> None:
    text, expected = MODELS[name]
    assert _found(("model.py", HEADER + text)) == [("model.py", text) for text in expected]


def test_a_function_of_another_file_in_a_model() -> None:
    model = """
from parts import ratio

def build():
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(3)(ratio(layers.Dense(4)(inputs))))
"""
    parts = f"import tensorflow as tf\n{RATIO}"
    assert _found(("model.py", HEADER + model), ("parts.py", parts)) == [
        ("parts.py", "x / tf.abs(x)")
    ]


REGISTRATIONS = {
    "update": "keras.utils.get_custom_objects().update({'ratio': ratio})",
    "update_with_a_layer": "keras.utils.get_custom_objects().update("
    "{'ratio': layers.Activation(ratio)})",
    "subscript": "keras.utils.get_custom_objects()['ratio'] = ratio",
    "scope": "with keras.utils.custom_object_scope({'ratio': ratio}):\n"
    "    model = keras.models.load_model('model.keras')",
    "keyword": "model = keras.models.load_model('model.keras', custom_objects={'ratio': ratio})",
    "call": "keras.saving.register_keras_serializable('mine')(ratio)",
}


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_registered_activations(name: str) -> None:
    text = f"{HEADER}{RATIO}{REGISTRATIONS[name]}\n"
    result = lint([SourceFile("acts.py", text)], Options(confirm=False, select=CODES))
    assert [(f.role, f.site.text) for f in result.findings] == [(Role.ACTIVATION, "x / tf.abs(x)")]


def test_registered_by_another_file() -> None:
    use = f"{HEADER}from parts import ratio\n{REGISTRATIONS['subscript']}\n"
    parts = f"import tensorflow as tf\n{RATIO}"
    assert _found(("parts.py", parts), ("use.py", use)) == [("parts.py", "x / tf.abs(x)")]


def test_what_is_registered_need_not_be_an_activation() -> None:
    text = """
def score(truth, guess):
    return truth / guess

keras.models.load_model("model.keras", custom_objects={"score": score, "path": "x"})
"""
    assert not _found(("acts.py", HEADER + text))
