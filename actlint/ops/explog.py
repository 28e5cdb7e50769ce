"""Rows: exponentials, logarithms, error and gamma functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from actlint.interval import (
    INF,
    MAX,
    TINY,
    TOP,
    Interval,
    float32,
    monotone,
    next_down,
    next_up,
    round_up,
    widen_down,
)
from actlint.ops.build import POLE, Spot, exp, operand, ranged, row, total
from actlint.ops.model import Bound, Cause, Kind, Op, Region, Trend

# Least float32 at which TensorFlow's float32 kernels give infinity, measured on 2.21 (CPU).
EXP_LIMIT: Final = 88.72283935546875
EXP2_LIMIT: Final = 128.0

_UP: Final = Trend.INCREASING
_DOWN: Final = Trend.DECREASING


def _exp(x: Interval) -> Interval:
    return monotone(exp, x, clamp=(0.0, INF))


def _exp2(x: Interval) -> Interval:
    # The op multiplies by log 2 first, which costs up to |x| * log 2 ulps.
    return monotone(
        total(lambda v: 2.0**v if v > -1e9 else 0.0), x, clamp=(0.0, INF), widen_ulps=160
    )


def _expm1(x: Interval) -> Interval:
    return monotone(total(math.expm1), x, clamp=(-1.0, INF))


def log64(x: float) -> float:
    """Return log x in float64 with log 0 = -inf."""
    return -INF if x <= 0.0 else math.log(x)


def logarithm(x: Interval, edge: float, function: Callable[[float], float]) -> Interval:
    """Return a logarithm of the members from `edge` on, with nan if there are others."""
    domain = x.above(edge, strict=False)
    if domain is None:
        return TOP
    result = monotone(function, domain)
    return Interval(result.lo, result.hi, x.nan or x.lo < edge)


def _log(x: Interval) -> Interval:
    # Exactly 0 at 1.
    result = logarithm(x, 0.0, log64)
    lo = 0.0 if x.lo == 1.0 else result.lo
    return Interval(lo, 0.0 if x.hi == 1.0 else result.hi, result.nan)


def _log1p(x: Interval) -> Interval:
    return logarithm(x, -1.0, lambda v: -INF if v <= -1.0 else math.log1p(v))


def _log2(x: Interval) -> Interval:
    return logarithm(x, 0.0, lambda v: log64(v) / math.log(2.0))


def _log10(x: Interval) -> Interval:
    return logarithm(x, 0.0, lambda v: log64(v) / math.log(10.0))


def _logaddexp(x: Interval, y: Interval) -> Interval:
    largest = x.maximum(y)
    size = min(abs(largest.hi), MAX)
    return Interval(
        next_down(largest.lo), round_up(largest.hi + 0.6931472 + size * 1e-6), largest.nan
    )


def _xlogy(x: Interval, y: Interval) -> Interval:
    product = x.mul(_log(y))
    if not x.contains(0.0):
        return product
    # 0 * log(anything) is 0, also where the logarithm is infinite or nan.
    if x.is_point:
        return Interval(0.0, 0.0, y.nan)
    nan = x.nan or y.nan or y.lo < 0.0 or x.hi == INF or x.lo == -INF
    return Interval(min(product.lo, 0.0), max(product.hi, 0.0), nan)


def _xlogy_regions(bound: Bound) -> tuple[Region, ...]:
    x = operand(bound, "x")
    if x.is_point and x.lo == 0.0:
        return ()
    return (
        Region("y", 0.0, 0.0, POLE, Cause.ZERO),
        Region("y", -MAX, -TINY, POLE, Cause.NEGATIVE),
    )


def _xlog1py(x: Interval, y: Interval) -> Interval:
    product = x.mul(_log1p(y))
    if not x.contains(0.0):
        return product
    nan = x.nan or y.nan or y.lo < -1.0 or x.hi == INF or x.lo == -INF
    return Interval(min(product.lo, 0.0), max(product.hi, 0.0), nan)


def _xlog1py_regions(bound: Bound) -> tuple[Region, ...]:
    x = operand(bound, "x")
    if x.is_point and x.lo == 0.0:
        return ()
    return (
        Region("y", -1.0, -1.0, POLE, Cause.ZERO),
        Region("y", -MAX, next_down(-1.0), POLE, Cause.NEGATIVE),
    )


def _erf(x: Interval) -> Interval:
    return monotone(math.erf, x, clamp=(-1.0, 1.0))


def _erfc(x: Interval) -> Interval:
    return monotone(math.erfc, x, clamp=(0.0, 2.0), widen_ulps=64, decreasing=True)


def _quantile(x: Interval, lo: float, hi: float) -> Interval:
    """Return the inverse of a distribution function, infinite at the ends of (lo, hi)."""
    outside = x.lo < lo or x.hi > hi
    return Interval(-INF, INF, x.nan or outside)


def _erfinv(x: Interval) -> Interval:
    return _quantile(x, -1.0, 1.0)


def _ndtri(x: Interval) -> Interval:
    return _quantile(x, 0.0, 1.0)


def _erfcinv(x: Interval) -> Interval:
    return _quantile(x, 0.0, 2.0)


def _lgamma(x: Interval) -> Interval:
    """Least value near 1.4616, about -0.1215, on the positive axis; no lower bound elsewhere."""
    return Interval(-0.1215 if x.lo > 0.0 else -INF, INF, x.nan)


def _digamma(x: Interval) -> Interval:
    if x.lo < TINY:
        return TOP
    # log x - 1 / x < digamma x < log x - 1 / (2 x) for positive x.
    lower = monotone(lambda v: log64(v) - 1.0 / v, x, slack=1e-5).lo
    upper = monotone(lambda v: log64(v) - 0.5 / v, x, slack=1e-5).hi
    return Interval(lower, upper, x.nan)


def _gamma_poles(bound: Bound) -> tuple[Region, ...]:
    """Return the poles at 0, -1, -2, …, as far as -8: those that intervals can tell apart."""
    del bound
    return tuple(
        Region("x", -float(k), -float(k), POLE, Cause.ZERO if k == 0 else Cause.NEGATIVE)
        for k in range(9)
    )


def _regularised(a: Interval, x: Interval) -> Interval:
    """A share, up to the errors of its series: 1e-5 for a <= 1e4, anything from 6e5 on."""
    del x
    if a.hi > 1e4:
        return Interval(-INF, INF, nan=True)
    return Interval(float32(-1e-5), float32(1.00001), nan=True)


def _bessel_scaled(x: Interval) -> Interval:
    return Interval(0.0, 1.0, x.nan)


ZERO_AND_NEGATIVE: Final[tuple[Spot, ...]] = (
    (0.0, 0.0, POLE, Cause.ZERO),
    (-MAX, -TINY, POLE, Cause.NEGATIVE),
)
_EXP_OVERFLOW: Final[tuple[Spot, ...]] = ((EXP_LIMIT, MAX, POLE, Cause.OVERFLOW),)

# Any number, and nan outside a domain that is not described here.
_SOMEWHERE: Final = ranged(-INF, INF, partial=True)

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("exp", "tf.exp", "x name", "tf,math,K,ops:exp act:exponential", _exp,
        regions=_EXP_OVERFLOW, trend=_UP),
    row("exp2", "tf.keras.ops.exp2", "x", "ops:exp2", _exp2,
        regions=((EXP2_LIMIT, MAX, POLE, Cause.OVERFLOW),), trend=_UP),
    row("expm1", "tf.math.expm1", "x name", "tf,math,ops:expm1", _expm1, regions=_EXP_OVERFLOW,
        trend=_UP),
    row("log", "tf.math.log", "x name", "tf,math,K,ops:log", _log, regions=ZERO_AND_NEGATIVE,
        trend=_UP),
    row("log2", "tf.keras.ops.log2", "x", "ops:log2", _log2, regions=ZERO_AND_NEGATIVE,
        trend=_UP),
    row("log10", "tf.keras.ops.log10", "x", "ops:log10", _log10, regions=ZERO_AND_NEGATIVE,
        trend=_UP),
    row("log1p", "tf.math.log1p", "x name", "tf,math,ops:log1p", _log1p,
        regions=((-1.0, -1.0, POLE, Cause.ZERO),
                 (-MAX, next_down(-1.0), POLE, Cause.NEGATIVE)), trend=_UP),
    row("logaddexp", "tf.keras.ops.logaddexp", "x1 x2", "ops:logaddexp", _logaddexp,
        operands="x1 x2", trend=_UP),
    row("xlogy", "tf.math.xlogy", "x y name", "math:xlogy", _xlogy, operands="x y",
        regions=_xlogy_regions),
    row("xlog1py", "tf.math.xlog1py", "x y name", "math:xlog1py", _xlog1py, operands="x y",
        regions=_xlog1py_regions),
    row("erf", "tf.math.erf", "x name", "tf,math,ops:erf", _erf, trend=_UP),
    row("erfc", "tf.math.erfc", "x name", "tf,math,ops:erfc", _erfc, trend=_DOWN),
    row("erfinv", "tf.math.erfinv", "x name", "math,ops:erfinv", _erfinv,
        regions=((-1.0, -1.0, POLE, Cause.EDGE), (next_down(1.0), 1.0, POLE, Cause.EDGE),
                 (-MAX, next_down(-1.0), POLE, Cause.OUTSIDE),
                 (next_up(1.0), MAX, POLE, Cause.OUTSIDE)), trend=_UP),
    row("erfcinv", "tf.math.erfcinv", "x name", "math:erfcinv", _erfcinv,
        regions=((0.0, next_down(2.0 * TINY), POLE, Cause.EDGE), (2.0, 2.0, POLE, Cause.EDGE),
                 (-MAX, -TINY, POLE, Cause.OUTSIDE), (next_up(2.0), MAX, POLE, Cause.OUTSIDE)),
        trend=_DOWN),
    row("ndtri", "tf.math.ndtri", "x name", "math:ndtri", _ndtri,
        regions=((0.0, 0.0, POLE, Cause.EDGE), (1.0, 1.0, POLE, Cause.EDGE),
                 (-MAX, -TINY, POLE, Cause.OUTSIDE), (next_up(1.0), MAX, POLE, Cause.OUTSIDE)),
        trend=_UP),
    row("lgamma", "tf.math.lgamma", "x name", "tf,math:lgamma", _lgamma, regions=_gamma_poles),
    row("digamma", "tf.math.digamma", "x name", "tf,math:digamma", _digamma,
        regions=_gamma_poles),
    row("igamma", "tf.math.igamma", "a x name", "tf,math:igamma", _regularised, operands="a x"),
    row("igammac", "tf.math.igammac", "a x name", "tf,math:igammac", _regularised,
        operands="a x"),
    row("lbeta", "tf.math.lbeta", "x name", "tf,math:lbeta", _SOMEWHERE,
        kind=Kind.REDUCTION),
    row("bessel_i0e", "tf.math.bessel_i0e", "x name", "math:bessel_i0e", _bessel_scaled),
    row("bessel_i1e", "tf.math.bessel_i1e", "x name", "math:bessel_i1e", ranged(-1.0, 1.0)),
    row("bessel_i0", "tf.math.bessel_i0", "x name", "math:bessel_i0 ops:i0",
        ranged(widen_down(1.0, 8), INF),
        regions=((EXP_LIMIT, MAX, POLE, Cause.OVERFLOW),
                 (-MAX, -EXP_LIMIT, POLE, Cause.OVERFLOW))),
    row("polygamma", "tf.math.polygamma", "a x name", "tf,math:polygamma", _SOMEWHERE,
        operands="a x", passive="a", examples={"a": 1.0}),
    row("zeta", "tf.math.zeta", "x q name", "tf,math:zeta", _SOMEWHERE, operands="x q",
        passive="x", examples={"x": 2.5}),
    row("nextafter", "tf.math.nextafter", "x1 x2 name", "math,ops:nextafter", _SOMEWHERE,
        operands="x1 x2"),
)
# fmt: on
