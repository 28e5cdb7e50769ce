"""Rows of the ops table as cases: operands drawn from intervals, and how they are run."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable
from functools import cache
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from actlint.graph import Arg, DType, Items
from actlint.interval import MAX, Interval, float32
from actlint.ops.model import Bound, Cause, Op, Region
from actlint.ops.table import TABLE

ROOTS = {"tf": tf, "np": np, "operator": operator}
SHAPE = (3, 3)

# Rows whose first operand is a list of tensors.
LISTS = {
    "add_n", "accumulate_n", "einsum", "global_norm", "concat", "concatenate",
    "keras_concatenate", "stack", "parallel_stack", "hstack", "vstack", "meshgrid",
    "np_concatenate", "np_stack", "polyval", "dstack",
}  # fmt: skip
# Operands that are booleans.
BOOLEANS = {
    "logical_and", "logical_or", "logical_xor", "logical_not", "reduce_any", "reduce_all",
    "np_logical_and", "np_logical_or", "np_logical_not",
}  # fmt: skip
# Operands of other shapes than SHAPE.
SHAPES = {
    ("bias_add", "bias"): (3,),
    ("dot", "x2"): (3,),
    ("matvec", "b"): (3,),
    ("linalg_diag", "diagonal"): (3,),
    ("glu", "x"): (3, 4),
    ("full_like", "fill_value"): (),
    ("squeeze", "input"): (1, 3),
    ("histogram_fixed_width", "values"): (5,),
    ("conv2d", "filters"): (2, 2, 1, 1),
    ("depthwise_conv2d", "filter"): (2, 2, 1, 1),
    ("depth_to_space", "input"): (1, 2, 2, 4),
    ("rgb_to_grayscale", "images"): (1, 2, 2, 3),
}
# Rows whose operands are images, unless SHAPES says otherwise.
IMAGES = {
    "conv2d", "depthwise_conv2d", "max_pool", "max_pool2d", "avg_pool", "avg_pool2d",
    "space_to_depth", "extract_patches", "image_resize", "sobel_edges", "image_gradients",
    "image_gradients_y", "image_gradients_x", "total_variation", "ssim", "ssim_multiscale", "psnr",
}  # fmt: skip
# Rows that raise an error rather than give nan for some matrices, or a negative deviation.
RAISING = {"inv", "linalg_solve", "np_random_normal"}


def shape_of(op: Op, name: str) -> tuple[int, ...]:
    return SHAPES.get((op.key, name), (1, 4, 4, 1) if op.key in IMAGES else SHAPE)


DOMAINS = (
    Interval(-3.0, 3.0),
    Interval(0.0, 1.0),
    Interval(0.5, 2.0),
    Interval(-2.0, -0.25),
    Interval(-1000.0, 1000.0),
    Interval(0.0, 0.0),
    Interval(1.0, 1.0),
    Interval(-1.0, 1.0),
    Interval(1e-7, float32(1 - 1e-7)),
    Interval(-MAX, MAX),
)
# Second and third operands.
PARTNERS = (
    Interval(-3.0, 3.0),
    Interval(0.25, 1.5),
    Interval(0.0, 1.0),
    Interval(-1000.0, 1000.0),
    Interval(2.0, 2.0, integer=True),
)


@cache
def resolve(path: str) -> Callable[..., Any]:
    first, *rest = path.split(".")
    target: Any = ROOTS[first]
    for name in rest:
        target = getattr(target, name)
    return target


def decode(value: Arg) -> Any:
    if isinstance(value, Items):
        return [decode(item) for item in value.items]
    if isinstance(value, DType):
        return tf.as_dtype(value.name)
    return value


def draw(domain: Interval, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Sample a domain: its ends, 0 and 1 if they are members, the rest uniform."""
    rng = np.random.default_rng(seed)
    size = max(1, math.prod(shape))
    lo, hi = np.float64(domain.lo), np.float64(domain.hi)
    values = np.clip(lo + (hi - lo) * rng.random(size), lo, hi)
    special = [v for v in (domain.lo, domain.hi, 0.0, 1.0, -1.0, 0.5) if domain.contains(v)]
    for index, value in zip(
        rng.permutation(size)[: max(1, size // 2)], rng.permutation(special), strict=False
    ):
        values[index] = value
    if domain.integer:
        values = np.round(values)
    return np.float32(values).reshape(shape)


class Case:
    """One row with concrete operands."""

    def __init__(self, op: Op, domains: tuple[Interval, ...], seed: int = 0) -> None:
        self.op = op
        self.examples = dict(op.examples)
        self.tensors: dict[str, Any] = {}
        intervals: dict[str, Interval] = {}
        items: dict[str, tuple[Interval, ...]] = {}
        for position, name in enumerate(op.operands):
            if name in self.examples:
                continue
            domain = domains[min(position, len(domains) - 1)]
            shape = shape_of(op, name)
            if op.key in BOOLEANS or name == "condition":
                self.tensors[name] = draw(domain, shape, seed) > 0.0
                intervals[name] = Interval(0.0, 1.0, integer=True)
            elif position == 0 and op.key in LISTS:
                self.tensors[name] = [draw(domain, shape, seed + i) for i in range(2)]
                items[name] = (domain, domain)
            else:
                self.tensors[name] = draw(domain, shape, seed + 10 * position)
                intervals[name] = domain
        self.bound = Bound(intervals, self.examples, items)

    def run(self, tensors: dict[str, Any] | None = None) -> Any:
        values: dict[str, Any] = {}
        for name, value in self.examples.items():
            decoded = decode(value)
            if name in self.op.operands and self.op.call.startswith("tf."):
                decoded = tf.constant(decoded)
            values[name] = decoded
        values.update(tensors or {k: as_tensor(v) for k, v in self.tensors.items()})
        positional, named = self.op.arrange(values)
        result = resolve(self.op.call)(*positional, **named)
        return result if self.op.component is None else result[self.op.component]


def as_tensor(value: Any) -> Any:
    if isinstance(value, list):
        return [tf.constant(v) for v in value]
    return tf.constant(value)


def flat(result: Any) -> np.ndarray:
    if isinstance(result, list | tuple):
        return np.concatenate([flat(r) for r in result])
    array = np.float32(result) if isinstance(result, float) else np.asarray(result)
    return array.astype(np.float64).reshape(-1)


def first_tensor(op: Op, result: Any) -> Any:
    """The component that the transfer of a tuple-valued row describes."""
    if op.results:
        return result[0]
    return result


RUNNABLE = [op for op in TABLE.values() if op.runs]
NATIVE = [op for op in RUNNABLE if not op.call.startswith("np.")]


def parametrised(ops: list[Op]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.key)


def free_operands(op: Op) -> list[str]:
    return [name for name in op.operands if name not in dict(op.examples)]


def gradients(case: Case, tensors: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    """Value, and gradient by operand (None where the tape gives None)."""
    given = {k: as_tensor(v) for k, v in (tensors or case.tensors).items()}
    floats = {
        k: v
        for k, v in given.items()
        if k not in case.op.passive and (v[0] if isinstance(v, list) else v).dtype.is_floating
    }
    with tf.GradientTape() as tape:
        for value in floats.values():
            tape.watch(value)
        result = case.run(given)
        parts = result if isinstance(result, list | tuple) else [result]
        parts = [tf.convert_to_tensor(p) for p in parts]
    wanted = [p for p in parts if p.dtype.is_floating]
    if not floats:
        return result, {}
    if not wanted:
        return result, dict.fromkeys(floats)
    try:
        found = tape.gradient(wanted, list(floats.values()))
    except LookupError:  # TensorFlow has no gradient for the op, and says so
        found = [None] * len(floats)
    by_name: dict[str, Any] = {}
    for name, gradient in zip(floats, found, strict=True):
        parts_of = gradient if isinstance(gradient, list) else [gradient]
        known = [tf.convert_to_tensor(g) for g in parts_of if g is not None]
        by_name[name] = np.concatenate([g.numpy().reshape(-1) for g in known]) if known else None
    return result, by_name


def points_of(region: Region) -> list[float]:
    if region.cause is Cause.CONSTANT_VECTOR:
        return [0.0, 1.0, -2.0]
    inner = [region.lo, region.hi]
    if region.lo < region.hi:
        inner.append(float32(region.lo / 2 + region.hi / 2))
    return inner
