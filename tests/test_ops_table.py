"""Every row of the ops table, checked numerically against TensorFlow."""

from __future__ import annotations

import inspect
import itertools
import math
import operator
import os
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from actlint.graph import Arg, DType, Items
from actlint.interval import INF, MAX, TINY, Interval, float32, next_down, next_up, point
from actlint.ops.model import Bound, Cause, Effect, Gradient, Kind, Op, Region, Trend
from actlint.ops.table import TABLE

ROOTS = {"tf": tf, "np": np, "operator": operator}
SHAPE = (3, 3)

# Rows whose first operand is a list of tensors.
LISTS = {
    "add_n", "accumulate_n", "einsum", "global_norm", "concat", "concatenate",
    "keras_concatenate", "stack", "parallel_stack", "hstack", "vstack", "meshgrid",
    "np_concatenate", "np_stack", "polyval",
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
# Rows that raise an error rather than give nan for some matrices.
RAISING = {"inv", "linalg_solve"}


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


@parametrised(list(TABLE.values()))
def test_call_exists_and_takes_the_parameters(op: Op) -> None:
    function = resolve(op.call)
    assert callable(function)
    assert set(op.operands) <= set(op.params)
    assert set(op.passive) <= set(op.operands)
    assert set((op.renamed or {}).values()) <= set(op.params)
    assert not set(op.renamed or {}) & set(op.params)
    assert {name for name, _ in op.examples} <= set(op.params)
    assert all(key in TABLE for key in op.results)
    if op.call.startswith("tf.") and not op.variadic:
        known = inspect.signature(function).parameters
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
            return
        statics = set(op.params) - set(op.operands) - set(op.ignored)
        assert statics <= set(known)


def domains_of(op: Op) -> Iterator[tuple[Interval, ...]]:
    if len(op.operands) <= 1:
        yield from ((d,) for d in DOMAINS)
        return
    for domain, partner in itertools.product(DOMAINS, PARTNERS):
        yield domain, partner, partner


@parametrised(RUNNABLE)
def test_transfer_contains_the_results(op: Op) -> None:
    with np.errstate(all="ignore"):
        for number, domains in enumerate(domains_of(op)):
            case = Case(op, domains, seed=number)
            try:
                result = flat(first_tensor(op, case.run()))
            except tf.errors.InvalidArgumentError:
                assert op.key in RAISING
                continue
            assert op.transfer is not None
            interval = op.transfer(case.bound)
            outside = [v for v in result if not interval.contains(v)]
            assert not outside, f"{outside[:3]} not in {interval} for {domains}"
            if not op.operands:
                break


def free_operands(op: Op) -> list[str]:
    return [name for name in op.operands if name not in dict(op.examples)]


UNARY = [
    op
    for op in RUNNABLE
    if len(free_operands(op)) == 1
    and op.kind is Kind.ELEMENTWISE
    and op.key not in LISTS | BOOLEANS
]


@parametrised(UNARY)
def test_transfer_contains_the_results_at_infinity(op: Op) -> None:
    (name,) = free_operands(op)
    positive = (0.0, TINY, 1e-20, 1.0, 17.5, 88.0, 1e20, MAX, INF)
    points = sorted({float32(sign * value) + 0.0 for value in positive for sign in (-1.0, 1.0)})
    assert op.transfer is not None
    with np.errstate(all="ignore"):
        for value in points:
            case = Case(op, (Interval(value, value),))
            case.tensors = {name: np.full(shape_of(op, name), value, "f4")}
            interval = op.transfer(case.bound)
            result = flat(case.run())
            bad = [v for v in result if not interval.contains(v)]
            assert not bad, f"{op.key}({value}) = {bad[0]} not in {interval}"


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


@parametrised([op for op in RUNNABLE if set(free_operands(op)) - set(op.passive)])
def test_gradient_kind(op: Op) -> None:
    with np.errstate(all="ignore"):
        case = Case(op, (Interval(0.125, 0.875), Interval(0.25, 0.75)), seed=3)
        _, found = gradients(case)
    kind = op.gradient_of(case.bound)
    for name, gradient in found.items():
        if kind is Gradient.NONE:
            assert gradient is None, name
        elif kind is Gradient.ZERO:
            assert gradient is not None, name
            assert not gradient.any(), name
        else:
            assert gradient is not None, name
            if kind is Gradient.STRAIGHT_THROUGH and name == op.operands[0]:
                assert (gradient == 1.0).all(), name


# ---- singular regions -----------------------------------------------------------------------

# Other operands, so that conditional regions appear; by key, several cases each.
PARTNER_CASES: dict[str, list[dict[str, float]]] = {
    "pow": [{"y": e} for e in (-1.0, -2.0, -0.5, 0.5, 1.5, 2.0, 3.0, 7.0)] + [{"x": 2.0}],
    "multiply": [{"y": 1e30}, {"y": -3.0}],
    "atan2": [{"x": 0.0}],
    "hypot": [{"x2": 0.0}],
    "xlogy": [{"x": 1.5}],
    "xlog1py": [{"x": 1.5}],
    "xdivy": [{"x": 1.5}],
}


def region_cases() -> list[Any]:
    cases = []
    for op in NATIVE:
        for fixed in PARTNER_CASES.get(op.key, [{}]):
            known = {
                name: point(fixed[name]) if name in fixed else Interval(-MAX, MAX)
                for name in op.operands
            }
            bound = Bound(known, dict(op.examples), {})
            for number, region in enumerate(op.regions_of(bound)):
                if region.cause is not Cause.EMPTY and region.operand not in fixed:
                    label = "-".join([op.key, *(f"{k}{v:g}" for k, v in fixed.items())])
                    cases.append(pytest.param(op, fixed, region, id=f"{label}-{number}"))
    return cases


def at(op: Op, fixed: dict[str, float], region: Region, value: float) -> tuple[Any, Any]:
    """Value and gradient with the region's operand filled with `value`."""
    others = {name: fixed.get(name, 1.5) for name in op.operands if name != region.operand}
    tensors = {
        name: np.full(shape_of(op, name), v, np.float32)
        for name, v in {**others, region.operand: value}.items()
        if name not in dict(op.examples)
    }
    case = Case(op, (Interval(0.0, 1.0),))
    case.tensors = tensors
    result, found = gradients(case)
    return flat(first_tensor(op, result)), found.get(region.operand)


def in_xla(op: Op, fixed: dict[str, float], region: Region, value: float) -> Any:
    """Gradient under XLA."""
    case = Case(op, (Interval(0.0, 1.0),))
    others = {n: np.full(SHAPE, fixed.get(n, 1.5), np.float32) for n in op.operands}

    @tf.function(jit_compile=True)
    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            tensors = {**{k: tf.constant(v) for k, v in others.items()}, region.operand: x}
            given = {k: v for k, v in tensors.items() if k not in dict(op.examples)}
            result = case.run(given)
        return tape.gradient(result, x)

    return gradient(tf.fill(SHAPE, np.float32(value))).numpy()


def points_of(region: Region) -> list[float]:
    if region.cause is Cause.CONSTANT_VECTOR:
        return [0.0, 1.0, -2.0]
    inner = [region.lo, region.hi]
    if region.lo < region.hi:
        inner.append(float32(region.lo / 2 + region.hi / 2))
    return inner


@pytest.mark.parametrize(("op", "fixed", "region"), region_cases())
def test_region_is_singular(op: Op, fixed: dict[str, float], region: Region) -> None:
    for value in points_of(region):
        result, gradient = at(op, fixed, region, value)
        if region.effect is Effect.POLE:
            assert not np.isfinite(result).all(), f"value at {value}: {result}"
            continue
        assert np.isfinite(result).all(), f"value at {value}: {result}"
        if np.isfinite(gradient).all():
            assert op.modes_differ, f"gradient at {value}: {gradient}"
            assert not np.isfinite(in_xla(op, fixed, region, value)).all(), f"XLA at {value}"


@pytest.mark.parametrize(
    ("op", "fixed", "region"),
    [
        case
        for case in region_cases()
        if case.values[2].cause not in {Cause.ZERO_VECTOR, Cause.CONSTANT_VECTOR}
    ],
)
def test_region_ends_where_it_says(op: Op, fixed: dict[str, float], region: Region) -> None:
    known = {n: point(fixed.get(n, 1.5)) for n in op.operands}
    regions = op.regions_of(Bound({**known, region.operand: Interval(-MAX, MAX)}, {}, {}))
    for end, step in ((region.lo, -1.0), (region.hi, 1.0)):
        # A gradient such as 1 / y**2 overflows a little before the value does.
        outside = float32(end + step * max(1e-4 * abs(end), 1e-12))
        if abs(end) == MAX or any(r.lo <= outside <= r.hi for r in regions):
            continue
        result, gradient = at(op, fixed, region, outside)
        assert np.isfinite(result).all(), f"value at {outside}"
        if gradient is not None:
            assert np.isfinite(gradient).all(), f"gradient at {outside}"
        near = next_down(end) if step < 0.0 else next_up(end)
        if region.cause is Cause.OVERFLOW or 0.0 < abs(end) < 1e-10:
            continue  # the last ulps before an overflow differ between kernels
        if not any(r.lo <= near <= r.hi for r in regions):
            assert np.isfinite(at(op, fixed, region, near)[0]).all(), f"value at {near}"


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
