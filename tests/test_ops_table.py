"""Every row of the ops table, checked numerically against TensorFlow."""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from actlint.interval import INF, MAX, TINY, Interval, float32, next_down, next_up, point
from actlint.ops.model import Bound, Cause, Effect, Gradient, Kind, Op, Region
from actlint.ops.table import TABLE

from .op_cases import (
    BOOLEANS,
    DOMAINS,
    LISTS,
    NATIVE,
    PARTNERS,
    RAISING,
    RUNNABLE,
    SHAPE,
    Case,
    first_tensor,
    flat,
    free_operands,
    gradients,
    parametrised,
    points_of,
    resolve,
    shape_of,
)


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
            except (tf.errors.InvalidArgumentError, ValueError):
                assert op.key in RAISING
                continue
            assert op.transfer is not None
            interval = op.transfer(case.bound)
            outside = [v for v in result if not interval.contains(v)]
            assert not outside, f"{outside[:3]} not in {interval} for {domains}"
            if not op.operands:
                break


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


@parametrised([op for op in RUNNABLE if set(free_operands(op)) - {*op.passive, *op.ignored}])
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
