"""The interval domain contains every float32 result, and is as tight as the rows need."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actlint.interval import (
    ANY,
    COUNT,
    INF,
    MAX,
    PROBABILITY,
    REAL,
    TINY,
    TOP,
    ZERO,
    Interval,
    between,
    hull,
    monotone,
    next_down,
    next_up,
    point,
    round_down,
    round_up,
    widen_up,
)

NORMAL = st.floats(width=32, allow_nan=False, allow_subnormal=False).map(lambda v: v + 0.0)
LANDMARKS = st.sampled_from(
    [0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, TINY, -TINY, MAX, -MAX, INF, -INF, 1e-10, 88.0, -88.0]
).map(lambda v: float(np.float32(v)))
ENDS = st.one_of(NORMAL, LANDMARKS)


@st.composite
def members(draw: st.DrawFn) -> tuple[Interval, float]:
    """An interval and one of its members, seldom nan."""
    a, b, c = sorted(draw(st.tuples(ENDS, ENDS, ENDS)))
    nan = draw(st.integers(0, 9)) == 0
    value = draw(st.sampled_from([a, b, c]))
    if nan and draw(st.booleans()):
        value = math.nan
    return Interval(a, c, nan), value


def flushed(value: float) -> float:
    return 0.0 if abs(value) < TINY else value


BINARY: dict[str, tuple[Callable[[Interval, Interval], Interval], np.ufunc]] = {
    "add": (Interval.add, np.add),
    "sub": (Interval.sub, np.subtract),
    "mul": (Interval.mul, np.multiply),
    "div": (Interval.div, np.divide),
    "minimum": (Interval.minimum, np.minimum),
    "maximum": (Interval.maximum, np.maximum),
    "pow": (Interval.pow, np.power),
}
UNARY: dict[str, tuple[Callable[[Interval], Interval], Callable[[np.float32], np.float32]]] = {
    "neg": (Interval.neg, np.negative),
    "abs": (Interval.abs, np.abs),
    "square": (Interval.square, np.square),
    "sqrt": (Interval.sqrt, np.sqrt),
    "reciprocal": (Interval.reciprocal, lambda v: np.float32(1) / v),
    "floor": (lambda x: x.rounded(math.floor), np.floor),
    "ceil": (lambda x: x.rounded(math.ceil), np.ceil),
    "round": (lambda x: x.rounded(round), np.rint),
    "trunc": (lambda x: x.rounded(math.trunc), np.trunc),
}


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=400, deadline=None)
@given(members(), members())
def test_binary_results_are_members(
    name: str, left: tuple[Interval, float], right: tuple[Interval, float]
) -> None:
    transfer, function = BINARY[name]
    (x, a), (y, b) = left, right
    with np.errstate(all="ignore"):
        result = float(function(np.float32(a), np.float32(b)))
    # pow(1, nan) and pow(nan, 0) are 1 by IEEE; intervals say nan as well, which is allowed.
    interval = transfer(x, y)
    assert interval.contains(result) or interval.contains(flushed(result)), (result, interval)
    assert interval.contains(flushed(result)) or abs(result) < TINY


@pytest.mark.parametrize("exponent", [-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
@settings(max_examples=150, deadline=None)
@given(members())
def test_power_by_a_number(exponent: float, base: tuple[Interval, float]) -> None:
    x, a = base
    with np.errstate(all="ignore"):
        result = float(np.power(np.float32(a), np.float32(exponent)))
    interval = x.pow(point(exponent))
    assert interval.contains(flushed(result)), (result, interval)


@pytest.mark.parametrize("name", UNARY)
@settings(max_examples=300, deadline=None)
@given(members())
def test_unary_results_are_members(name: str, operand: tuple[Interval, float]) -> None:
    transfer, function = UNARY[name]
    x, a = operand
    with np.errstate(all="ignore"):
        result = float(function(np.float32(a)))
    interval = transfer(x)
    assert interval.contains(flushed(result)), (result, interval)


@settings(max_examples=300, deadline=None)
@given(members(), members(), members())
def test_clip_contains_the_results(
    operand: tuple[Interval, float], low: tuple[Interval, float], high: tuple[Interval, float]
) -> None:
    (x, a), (lo, b), (hi, c) = operand, low, high
    result = float(np.minimum(np.maximum(a, b), c))
    assert x.clip(lo, hi).contains(result)
    assert x.clip(lo, hi).contains(float(np.maximum(np.minimum(a, c), b)))


@settings(max_examples=300, deadline=None)
@given(members(), members())
def test_lattice(left: tuple[Interval, float], right: tuple[Interval, float]) -> None:
    (x, a), (y, b) = left, right
    joined = x.join(y)
    assert joined.contains(a)
    assert joined.contains(b)
    assert x.widen(y).contains(b)
    common = x.meet(y)
    if y.contains(a) and not math.isnan(a):
        assert common is not None
        assert common.contains(a)
    if common is not None:
        assert common.lo >= max(x.lo, y.lo)
        assert common.hi <= min(x.hi, y.hi)


@settings(max_examples=300, deadline=None)
@given(members(), ENDS)
def test_narrowing(operand: tuple[Interval, float], bound: float) -> None:
    x, a = operand
    assume(not math.isnan(a))
    for strict in (False, True):
        upper = x.above(bound, strict=strict)
        if a > bound or (a == bound and not strict):
            assert upper is not None
            assert upper.contains(a)
        lower = x.below(bound, strict=strict)
        if a < bound or (a == bound and not strict):
            assert lower is not None
            assert lower.contains(a)


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False))
def test_rounding_outwards(value: float) -> None:
    lo, hi = round_down(value), round_up(value)
    with np.errstate(all="ignore"):
        nearest = float(np.float32(value))
    assert lo <= nearest <= hi or abs(nearest) < TINY
    assert lo <= flushed(nearest) <= hi


@given(NORMAL)
def test_neighbours(value: float) -> None:
    up, down = next_up(value), next_down(value)
    assert down <= value <= up
    if abs(value) > 2 * TINY and math.isfinite(value):
        with np.errstate(all="ignore"):
            assert up == float(np.nextafter(np.float32(value), np.float32(INF)))
            assert down == float(np.nextafter(np.float32(value), np.float32(-INF)))


def test_float32_facts() -> None:
    assert point(1.0).sub(point(1e-10)) == Interval(1.0, 1.0)
    assert point(1 - 1e-10).lo == 1.0
    assert point(1e-40).lo == 0.0
    assert point(1e-40).is_point
    assert next_up(0.0) == TINY
    assert next_down(0.0) == -TINY
    assert next_up(MAX) == INF
    assert float(np.finfo(np.float32).max) == REAL.hi
    assert float(np.finfo(np.float32).tiny) == TINY
    assert point(math.inf) == Interval(INF, INF)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (PROBABILITY.div(PROBABILITY), Interval(0.0, INF, nan=True)),
        (point(1.0).div(PROBABILITY), Interval(1.0, INF)),
        (point(1.0).div(Interval(-1.0, 1.0)), ANY),
        (REAL.square(), Interval(0.0, INF)),
        (REAL.square().add(point(1.0)).sqrt(), Interval(1.0, INF)),
        (Interval(0.0, 9.0).pow(point(0.5)).lo, 0.0),
        # TensorFlow's pow is off by an ulp for some bases, whole exponents included.
        (Interval(-3.0, 2.0).pow(point(2.0)), Interval(0.0, widen_up(9.0, 4))),
        (Interval(-3.0, 2.0).pow(point(0.5)).nan, True),
        (Interval(-2.0, 2.0).pow(point(-1.0)), ANY),
        (Interval(0.0, MAX).mul(Interval(0.0, MAX)), Interval(0.0, INF)),
        (Interval(0.0, INF).mul(Interval(0.0, 1.0)).nan, True),
        (Interval(0.0, INF).sub(Interval(0.0, INF)), TOP),
        (COUNT.meet(ZERO), None),
        (Interval(0.0, 5.0, integer=True).above(0.0, strict=True), Interval(1, 5, integer=True)),
        (between(1.0, 0.0), None),
        (hull((point(1.0), point(3.0))), Interval(1.0, 3.0, integer=True)),
        (hull(()), TOP),
    ],
)
def test_examples(interval: object, expected: object) -> None:
    assert interval == expected


def test_monotone_stays_in_its_range() -> None:
    def sigmoid(x: float) -> float:
        return 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0

    assert monotone(sigmoid, ANY, clamp=(0.0, 1.0)) == PROBABILITY
    assert monotone(sigmoid, Interval(-100.0, 100.0), clamp=(0.0, 1.0)) == PROBABILITY
    narrow = monotone(sigmoid, Interval(0.0, 0.0), clamp=(0.0, 1.0))
    assert narrow.lo < 0.5 < narrow.hi
    assert narrow.hi - narrow.lo < 2e-6
