"""Kinks, flats, trends, jumps and modes of the ops table, checked against TensorFlow."""

from __future__ import annotations

import itertools
import math
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from actlint.interval import MAX, Interval, float32, next_up, point
from actlint.ops.model import Bound, Kind, Op, Trend
from actlint.ops.table import TABLE

from .op_cases import (
    BOOLEANS,
    LISTS,
    NATIVE,
    Case,
    flat,
    free_operands,
    gradients,
    parametrised,
    points_of,
    shape_of,
)

# ---- shape of unary functions ---------------------------------------------------------------


def along(op: Op, values: list[float]) -> tuple[np.ndarray, Any]:
    """Value and gradient of the first operand at each of `values`; the others are 1.5."""
    grid = np.float32(values)
    tensors = {
        name: grid if position == 0 else np.full(grid.shape, 1.5, np.float32)
        for position, name in enumerate(op.operands)
        if name not in dict(op.examples)
    }
    case = Case(op, (Interval(0.0, 1.0),))
    case.tensors = tensors
    result, found = gradients(case)
    return flat(result), found.get(op.operands[0])


@parametrised([op for op in NATIVE if op.kinks])
def test_kinks(op: Op) -> None:
    for kink in op.kinks:
        _, slope = along(op, [kink - 0.01, kink + 0.01])
        assert abs(slope[0] - slope[1]) > 1e-2


@parametrised([op for op in NATIVE if op.flats])
def test_flats(op: Op) -> None:
    for lo, hi in op.flats:
        _, slope = along(op, [lo, hi, lo / 2 + hi / 2, max(lo, -1e4), min(hi, 1e4)])
        assert not slope.any()


@parametrised([op for op in NATIVE if op.trend is not Trend.NONE])
def test_trend(op: Op) -> None:
    seed = zlib.crc32(op.key.encode())
    grid = np.sort(np.random.default_rng(seed).uniform(-5.0, 5.0, 400))
    for part in (grid, grid / 5.0, np.abs(grid)):
        values, _ = along(op, list(np.sort(part)))
        values = values[np.isfinite(values)]
        steps = np.diff(values) if op.trend is Trend.INCREASING else -np.diff(values)
        assert (steps >= -2e-6 * np.maximum(1.0, np.abs(values[1:]))).all()


# ---- jumps ----------------------------------------------------------------------------------


def largest_jump(values_at: Callable[[list[float]], np.ndarray], grid: np.ndarray) -> float:
    """The largest difference of the value between neighbouring floats, poles left out."""

    def size(one: np.ndarray, other: np.ndarray) -> float:
        found = np.append(one, other)
        return float(np.abs(one - other).max()) if (np.abs(found) < 100.0).all() else 0.0

    values = values_at(list(grid))
    sizes = [size(one, other) for one, other in itertools.pairwise(values)]
    jumps = [0.0]
    for start in np.argsort(sizes)[-4:]:
        lo, hi = float(grid[start]), float(grid[start + 1])
        while next_up(lo) < hi and (middle := float32(lo / 2 + hi / 2)) not in (lo, hi):
            left, inner, right = values_at([lo, middle, hi])
            if not (np.abs(inner) < 100.0).all():
                break  # a pole
            lo, hi = (lo, middle) if size(left, inner) >= size(inner, right) else (middle, hi)
        else:
            jumps.append(size(*values_at([lo, hi])))
    return max(jumps)


def of_one_element(op: Op, values: list[float]) -> np.ndarray:
    """Results, one row per value of an element of the last operand; the others are one-hot."""
    *others, moved = free_operands(op)
    rows = []
    for value in values:
        case = Case(op, (Interval(0.0, 1.0),))
        case.tensors = {name: np.eye(3, dtype=np.float32) for name in others}
        tensor = np.float32([0.2, 0.7, 0.4] * 3)[: math.prod(shape_of(op, moved))]
        tensor[0] = value
        case.tensors[moved] = tensor.reshape(shape_of(op, moved))
        rows.append(flat(case.run()))
    return np.stack(rows)


ALONG = [
    op
    for op in NATIVE
    if op.kind is Kind.ELEMENTWISE
    and op.operands
    and op.operands[0] in free_operands(op)
    and op.key not in LISTS | BOOLEANS
    and "condition" not in op.operands
    and "dropout" not in op.key
]
# 1.5 is what the other operands are, at which comparisons switch.
GRID = np.float64(np.float32(np.sort([*np.linspace(-4.7, 4.9, 900), 1.5])))


@parametrised(ALONG)
def test_elementwise_jumps(op: Op) -> None:
    jump = largest_jump(lambda values: along(op, values)[0].reshape(len(values), -1), GRID)
    assert (jump > 0.01) is op.jumps


@parametrised(
    [
        op
        for op in NATIVE
        if op.jumps
        and op.kind is not Kind.ELEMENTWISE
        and free_operands(op)
        and not op.key.startswith("random")
    ]
)
def test_other_jumps(op: Op) -> None:
    assert largest_jump(lambda values: of_one_element(op, values), GRID[::30]) > 0.01


# ---- eager, graph and XLA -------------------------------------------------------------------

# Elementwise rows that losses and activations use most, and whose modes agree.
COMMON = [
    "add", "subtract", "multiply", "divide", "mod", "negative", "abs", "sign", "square",
    "squared_difference", "pow", "exp", "expm1", "log", "log1p", "xlogy", "erf", "erfc",
    "lgamma", "digamma", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh",
    "acosh", "atanh", "sigmoid", "tanh", "softplus", "log_sigmoid", "softsign", "relu",
    "relu6", "leaky_relu", "elu", "selu", "keras_silu", "gelu", "keras_gelu", "mish",
    "clip_by_value", "maximum", "minimum", "hard_sigmoid", "sigmoid_cross_entropy_with_logits",
]  # fmt: skip
POINTS = (0.0, 1.0, -1.0, 0.5, -0.6, 2.0, 17.0, -17.0, 88.0, -88.0, 1000.0, -1000.0)


def probes() -> Iterator[tuple[Op, str, list[float]]]:
    """Rows, the operand that moves, and where: common points and those of its regions."""
    for key in COMMON:
        op = TABLE[key]
        for moved in free_operands(op):
            known = {n: Interval(-MAX, MAX) if n == moved else point(1.5) for n in op.operands}
            regions = op.regions_of(Bound(known, dict(op.examples), {}))
            inside = [v for r in regions if r.operand == moved for v in points_of(r)]
            yield op, moved, sorted({*POINTS, *inside})


def test_modes_agree() -> None:
    cases = list(probes())
    assert not any(op.modes_differ for op, _, _ in cases)

    def everything(tensors: list[Any]) -> list[tuple[Any, Any]]:
        found = []
        for (op, moved, _), x in zip(cases, tensors, strict=True):
            case = Case(op, (Interval(0.0, 1.0),))
            given = {name: tf.fill(tf.shape(x), 1.5) for name in free_operands(op)} | {moved: x}
            with tf.GradientTape() as tape:
                tape.watch(x)
                result = case.run(given)
            found.append((result, tape.gradient(result, x)))
        return found

    tensors = [tf.constant(values, tf.float32) for _, _, values in cases]
    eager = everything(tensors)
    for mode in ({}, {"jit_compile": True}):
        traced = tf.function(everything, autograph=False, **mode)(tensors)
        for (op, moved, values), one, other in zip(cases, eager, traced, strict=True):
            for what, expected, got in zip(("value", "gradient"), one, other, strict=True):
                wrong = np.isfinite(expected) != np.isfinite(got)
                where = [value for value, bad in zip(values, wrong, strict=True) if bad]
                assert not where, f"{op.key}: {what} by {moved} at {where} with {mode}"
