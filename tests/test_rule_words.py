"""How rules name the user's expressions."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from actlint import catalogue

catalogue.load()  # makes the rules importable
common: Any = importlib.import_module("actlint.rules._common")
epsilons: Any = importlib.import_module("actlint.rules._epsilons")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tf.sqrt(\n    tf.abs(x)\n)", "tf.sqrt(tf.abs(x))"),
        ("tf.where(\n    x > 0,  # positive\n    x,\n    y,\n)", "tf.where(x > 0, x, y)"),
        ("f( x )[ 0 ]", "f( x )[ 0 ]"),
        ("f( x,\n  y )", "f( x, y )"),
        ("f(\n    'a ( b )  c',\n    \"[ d\"\n)", "f('a ( b )  c', \"[ d\")"),
        ("f(\n    '''a\n    ( b'''\n)", "f('''a ( b''')"),
        ("f(f'( {x} ,{{ )',\n  1)", "f(f'( {x} ,{{ )', 1)"),
        ("a +\n    b", "a + b"),
        ("a + \\\n    b", "a + b"),
        ("x\n    .y(\n)", "x.y()"),
        ("x[\n    0,\n]", "x[0,]"),
        ("y * (\n    x,\n)", "y * (x,)"),
        ("a in (\n    x,\n)", "a in (x,)"),
        ("f(\n    *x\n)", "f(*x)"),
        ("a) + (\n b", "a) + (b"),
        ("f(x,\n  'cut", "f(x, 'cut"),
    ],
)
def test_expressions_of_several_lines_are_joined(text: str, expected: str) -> None:
    assert common.joined(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e-10, "1e-10"),
        (1.0 - (1.0 - 1e-10), "1e-10"),
        (2.0**-24, "6e-8"),
        (2.0**-23, "1.2e-7"),
        (2.0**-126, "1.18e-38"),
        (1e-3, "1e-3"),
        (0.25, "0.25"),
    ],
)
def test_epsilons_in_few_digits(value: float, expected: str) -> None:
    assert epsilons.short(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0 - 1e-8, 1.0),
        (1.0 - 2.0**-25, 1.0),  # half way, ties to even
        (1.0 - 6e-8, 1.0 - 2.0**-24),
        (1.0 + 2.0**-24, 1.0),
        (1e-38, 0.0),  # flushed
        (2.0**-126, 2.0**-126),
        (1e39, float("inf")),
        (-1e39, float("-inf")),
    ],
)
def test_constants_as_float32_kernels_see_them(value: float, expected: float) -> None:
    assert epsilons.single(value) == expected
