"""Arithmetic of Python constants, within bounds: what a linter folds must not exhaust it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from actlint.lower.values import Static

# Items of a list, or characters of a string, that a constant may grow to.
MAX_ITEMS = 4096

# An integer power beyond this exponent is taken in floating point.
_MAX_EXPONENT = 64

# A larger integer is handed to functions as a float, which factorial and the like refuse.
_MAX_WHOLE = 1000

_BINARY: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
}


def number(value: object) -> Static | None:
    """Return a number as a constant; None for what is none, and for an int beyond float64.

    TensorFlow makes no tensor of such an int, and arithmetic with it has no bound.
    """
    if not isinstance(value, (int, float)):
        return None
    try:
        float(value)
    except OverflowError:
        return None
    return Static(value)


def binary(key: str, left: object, right: object) -> Static | None:
    """Return ``left op right`` of two constants, or None if it has no known value."""
    if isinstance(left, str) and isinstance(right, str) and key == "add":
        return Static(left + right) if len(left) + len(right) <= MAX_ITEMS else None
    if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
        return None
    try:
        if key == "pow":
            large = isinstance(left, int) and abs(right) > _MAX_EXPONENT
            return number(float(left) ** float(right) if large else left**right)
        function = _BINARY.get(key)
        return None if function is None else number(function(left, right))
    except (ArithmeticError, ValueError):
        return None


def lost(left: object, right: object) -> float | None:
    """Return the fraction of two constants for which an integer division gives 0, or None."""
    if isinstance(left, int) and isinstance(right, int) and 0 < left < right:
        return left / right
    return None


def function(name: str, numbers: list[float]) -> Static | None:
    """Return what a function of ``math`` or NumPy makes of constants, or None."""
    import numpy as np  # noqa: PLC0415 - few files call it with constants

    found: Callable[..., object] | None = vars(math).get(name)
    if found is None and isinstance(vars(np).get(name), np.ufunc):
        found = getattr(np, name)
    if not callable(found):
        return None
    if any(abs(n) > _MAX_WHOLE for n in numbers if isinstance(n, int)):
        numbers = [float(n) for n in numbers]
    try:
        with np.errstate(all="ignore"):
            result = found(*numbers)
        if isinstance(result, (int, float, np.integer, np.floating)):
            return Static(float(result))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return None
