"""Rows: trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from actlint.interval import INF, MAX, TOP, Interval, monotone, next_down, next_up, round_up
from actlint.ops.build import CUSP, POLE, Spot, operand, ranged, row, total
from actlint.ops.model import Bound, Cause, Gradient, Op, Region, Trend

# Least float32 at which sinh and cosh are infinite under XLA; eager needs one ulp more.
SINH_LIMIT: Final = 89.4159927368164
# Beyond this the distance to the nearest extremum is not resolved in float64 arithmetic.
_FAR: Final = 1e6
_SLACK: Final = 3e-7  # absolute error of TensorFlow's float32 sin and cos for |x| < 1e6

_UP: Final = Trend.INCREASING
_DOWN: Final = Trend.DECREASING


def _wave(x: Interval, function: Callable[[float], float], top: float) -> Interval:
    """Return the range of sin or cos, whose maxima lie at `top` + 2 k pi."""
    infinite = not x.is_finite
    if infinite or max(abs(x.lo), abs(x.hi)) > _FAR or x.hi - x.lo >= 2.0 * math.pi:
        return Interval(-1.0, 1.0, x.nan or x.lo == -INF or x.hi == INF)

    def meets(phase: float) -> bool:
        first = phase + 2.0 * math.pi * math.ceil((x.lo - phase) / (2.0 * math.pi) - 1e-9)
        return first <= x.hi + 1e-6

    ends = (function(x.lo), function(x.hi))
    hi = 1.0 if meets(top) else min(1.0, round_up(max(ends) + _SLACK))
    lo = -1.0 if meets(top - math.pi) else max(-1.0, -round_up(_SLACK - min(ends)))
    return Interval(lo, hi, x.nan)


def _sin(x: Interval) -> Interval:
    return Interval(0.0, 0.0) if x.is_point and x.lo == 0.0 else _wave(x, math.sin, math.pi / 2)


def _cos(x: Interval) -> Interval:
    return Interval(1.0, 1.0) if x.is_point and x.lo == 0.0 else _wave(x, math.cos, 0.0)


def _tan(x: Interval) -> Interval:
    if not x.is_finite:
        return TOP
    if x.within(-1.57, 1.57):
        return monotone(math.tan, x)
    # No float32 is an odd multiple of pi / 2, so the value stays finite.
    return Interval(-MAX, MAX)


def _unit(x: Interval) -> Interval | None:
    return x.meet(Interval(-1.0, 1.0, x.nan))


def _asin(x: Interval) -> Interval:
    domain = _unit(x)
    if domain is None:
        return TOP
    result = monotone(math.asin, domain, slack=3e-7)
    return Interval(result.lo, result.hi, x.nan or not x.within(-1.0, 1.0))


def _acos(x: Interval) -> Interval:
    domain = _unit(x)
    if domain is None:
        return TOP
    result = monotone(
        math.acos, domain, slack=5e-7, decreasing=True, clamp=(0.0, round_up(math.pi))
    )
    return Interval(result.lo, result.hi, x.nan or not x.within(-1.0, 1.0))


def _atan(x: Interval) -> Interval:
    return monotone(math.atan, x)


def _atan2(y: Interval, x: Interval) -> Interval:
    pi = round_up(math.pi)
    if x.lo > 0.0:
        half = round_up(math.pi / 2)
        return Interval(-half if y.lo < 0.0 else 0.0, half if y.hi > 0.0 else 0.0, x.nan or y.nan)
    return Interval(0.0 if y.lo > 0.0 else -pi, pi, x.nan or y.nan)


def _atan2_regions(bound: Bound) -> tuple[Region, ...]:
    if not operand(bound, "x").contains(0.0):
        return ()
    return (Region("y", 0.0, 0.0, CUSP, Cause.ZERO),)


def _sinh(x: Interval) -> Interval:
    def sinh(v: float) -> float:
        try:
            return math.sinh(v)
        except OverflowError:
            return math.copysign(INF, v)

    return monotone(sinh, x, widen_ulps=32)


def _cosh(x: Interval) -> Interval:
    return monotone(total(math.cosh), x.abs(), widen_ulps=32, clamp=(1.0, INF))


def _asinh(x: Interval) -> Interval:
    return monotone(math.asinh, x)


def _acosh(x: Interval) -> Interval:
    domain = x.above(1.0, strict=False)
    if domain is None:
        return TOP
    result = monotone(math.acosh, domain, clamp=(0.0, INF), slack=5e-7)
    return Interval(result.lo, result.hi, x.nan or x.lo < 1.0)


def _atanh(x: Interval) -> Interval:
    domain = _unit(x)
    if domain is None:
        return TOP
    result = monotone(lambda v: math.copysign(INF, v) if abs(v) >= 1.0 else math.atanh(v), domain)
    return Interval(result.lo, result.hi, x.nan or not x.within(-1.0, 1.0))


def _sinc(x: Interval) -> Interval:
    # pi * x must stay finite.
    return Interval(-0.2173, 1.0, not x.within(-MAX / 4.0, MAX / 4.0))


_OUTSIDE: Final[tuple[Spot, ...]] = (
    (-MAX, next_down(-1.0), POLE, Cause.OUTSIDE),
    (next_up(1.0), MAX, POLE, Cause.OUTSIDE),
)
_CUSPS: Final[tuple[Spot, ...]] = (
    (-1.0, -1.0, CUSP, Cause.EDGE),
    (1.0, 1.0, CUSP, Cause.EDGE),
    *_OUTSIDE,
)
_POLES: Final[tuple[Spot, ...]] = (
    (-1.0, -1.0, POLE, Cause.EDGE),
    (1.0, 1.0, POLE, Cause.EDGE),
    *_OUTSIDE,
)
_OVERFLOW: Final[tuple[Spot, ...]] = (
    (SINH_LIMIT, MAX, POLE, Cause.OVERFLOW),
    (-MAX, -SINH_LIMIT, POLE, Cause.OVERFLOW),
)

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("sin", "tf.sin", "x name", "tf,math,K,ops:sin", _sin),
    row("cos", "tf.cos", "x name", "tf,math,K,ops:cos", _cos),
    row("tan", "tf.tan", "x name", "tf,math,ops:tan", _tan),
    row("asin", "tf.asin", "x name", "tf,math:asin ops:arcsin", _asin, regions=_CUSPS, trend=_UP),
    row("acos", "tf.acos", "x name", "tf,math:acos ops:arccos", _acos, regions=_CUSPS,
        trend=_DOWN),
    row("atan", "tf.atan", "x name", "tf,math:atan ops:arctan", _atan, trend=_UP),
    row("atan2", "tf.atan2", "y x name", "tf,math:atan2 ops:arctan2", _atan2, operands="y x",
        renamed="x1=y x2=x", regions=_atan2_regions),
    row("sinh", "tf.sinh", "x name", "tf,math,ops:sinh", _sinh, regions=_OVERFLOW, trend=_UP),
    row("cosh", "tf.cosh", "x name", "tf,math,ops:cosh", _cosh, regions=_OVERFLOW),
    row("asinh", "tf.asinh", "x name", "tf,math:asinh ops:arcsinh", _asinh, trend=_UP),
    row("acosh", "tf.acosh", "x name", "tf,math:acosh ops:arccosh", _acosh,
        regions=((1.0, 1.0, CUSP, Cause.EDGE),
                 (-MAX, next_down(1.0), POLE, Cause.OUTSIDE)), trend=_UP),
    row("atanh", "tf.atanh", "x name", "tf,math:atanh ops:arctanh", _atanh, regions=_POLES,
        trend=_UP),
    row("sinc", "tf.keras.ops.sinc", "x", "ops:sinc", _sinc),
    row("angle", "tf.math.angle", "input name", "math,ops:angle", ranged(0.0, round_up(math.pi)),
        gradient=Gradient.NONE, jumps=True),
)
# fmt: on
