"""Rows: powers, roots, norms."""

from __future__ import annotations

import math
from typing import Final

from actlint.interval import (
    EPS,
    INF,
    MAX,
    MAX_ELEMENTS,
    TINY,
    TOP,
    Interval,
    monotone,
    round_down,
    round_up,
    widen_down,
    widen_up,
)
from actlint.ops.arithmetic import BINARY
from actlint.ops.build import CUSP, POLE, Spot, operand, row
from actlint.ops.model import Bound, Cause, Kind, Op, Region, Trend
from actlint.ops.reductions import variance_of

_UP: Final = Trend.INCREASING
_REDUCTION: Final = Kind.REDUCTION


def _root_cut(x: Interval) -> Interval:
    """Return sqrt(max(x, 0)), which Keras backend's sqrt computes."""
    return x.maximum(Interval(0.0, 0.0)).sqrt()


def rsqrt(x: Interval) -> Interval:
    """Return 1 / sqrt(x): infinite at 0, nan below."""
    domain = x.above(0.0, strict=False)
    if domain is None:
        return TOP
    result = monotone(
        lambda v: INF if v == 0.0 else 1.0 / math.sqrt(v),
        domain,
        clamp=(0.0, INF),
        decreasing=True,
    )
    # A zero among numbers of both signs can be -0, which gives -inf.
    lo = -INF if x.lo < 0.0 else result.lo
    return Interval(lo, result.hi, x.nan or x.lo < 0.0)


def _cbrt(x: Interval) -> Interval:
    def root(v: float) -> float:
        return math.copysign(abs(v) ** (1.0 / 3.0), v) if math.isfinite(v) else v

    return monotone(root, x, widen_ulps=16)


def _magnitude_limit(exponent: float) -> float:
    """Return a float32 whose power is surely beyond MAX, next to the least such one."""
    return widen_up(MAX ** (1.0 / exponent), 8)


def pow_regions(bound: Bound) -> tuple[Region, ...]:
    """Return where x ** y is singular, which the exponent decides."""
    x, y = operand(bound, "x"), operand(bound, "y")
    whole = y.integer or (y.is_point and y.lo.is_integer())
    found: list[Region] = []
    if y.lo < 0.0:
        # A power such as x**-2 overflows around the pole.
        near = MAX ** (1.0 / y.lo) * (1.0 - 1e-5) if y.is_point and y.lo < -1.0 else 0.0
        near = near if near >= TINY else 0.0
        found.append(
            Region("x", round_up(-near) if whole else 0.0, round_down(near), POLE, Cause.ZERO)
        )
    elif not whole and y.lo < 1.0 and y.hi > 0.0:
        found.append(Region("x", 0.0, 0.0, CUSP, Cause.ZERO))
    if not whole:
        found.append(Region("x", -MAX, -TINY, POLE, Cause.NEGATIVE))
    if 1.0 < y.hi < INF:
        limit = _magnitude_limit(y.hi)
        found.append(Region("x", limit, MAX, POLE, Cause.OVERFLOW))
        if whole:
            found.append(Region("x", -MAX, -limit, POLE, Cause.OVERFLOW))
    if x.is_point and 1.0 < x.lo < INF and not y.is_point:
        limit = widen_up(math.log(MAX) / math.log(x.lo), 8)
        found.append(Region("y", limit, MAX, POLE, Cause.OVERFLOW))
    return tuple(found)


def _length(x: Interval) -> Interval:
    """Return the Euclidean length of 1 to MAX_ELEMENTS members."""
    size = x.abs()
    hi = widen_up(size.hi * math.sqrt(MAX_ELEMENTS), 64)
    squares = size.square()
    # The sum of squares overflows long before the length does.
    hi = INF if squares.hi * MAX_ELEMENTS > MAX else hi
    lo = 0.0 if squares.lo == 0.0 else widen_down(size.lo, 8)
    return Interval(lo, hi, x.nan)


# Orders of a norm that mean the square root of the sum of squares.
_EUCLIDEAN: Final = ("euclidean", "fro", 2, 2.0)
# Components below this have squares that are flushed to zero.
_SQUARE_VANISHES: Final = widen_up(math.sqrt(TINY), 4)


def _norm(bound: Bound) -> Interval:
    x = operand(bound, "x" if "x" in bound.intervals else "tensor")
    order = bound.statics.get("ord")
    if order is None or order in _EUCLIDEAN:
        return _length(x)
    size = x.abs()
    if order in (1, INF):
        return Interval(0.0, round_up(size.hi * MAX_ELEMENTS), x.nan)
    return Interval(0.0, INF, not x.is_finite)  # other powers overflow and underflow early


def _norm_regions(bound: Bound) -> tuple[Region, ...]:
    order = bound.statics.get("ord")
    if order is None or order in _EUCLIDEAN:
        return (Region("tensor", 0.0, 0.0, CUSP, Cause.ZERO_VECTOR),)
    if isinstance(order, int | float) and not math.isinf(order) and order > 1.0:
        return (Region("tensor", 0.0, 0.0, CUSP, Cause.ZERO_VECTOR),)
    return ()


def _global_norm(bound: Bound) -> Interval:
    return _length(operand(bound, "t_list"))


def _normalized(x: Interval) -> Interval:
    """Return x / |x|, whose components stay in [-1, 1] up to rounding."""
    return Interval(
        -1.0 - 8.0 * EPS if x.lo < 0.0 else 0.0,
        1.0 + 8.0 * EPS if x.hi > 0.0 else 0.0,
        x.nan or not x.is_finite,
    )


def _unit_vector(bound: Bound) -> Interval:
    """Return x / |x|, infinite where all squares are flushed to zero and the norm is 0."""
    x = operand(bound, "tensor")
    result = _normalized(x)
    order = bound.statics.get("ord")
    if order in (1, INF):
        vanishing = 0.0
    else:
        vanishing = _SQUARE_VANISHES if order is None or order in _EUCLIDEAN else INF
    tiny = x.intersects(-vanishing, vanishing)
    return Interval(
        -INF if tiny and x.lo < 0.0 else result.lo,
        INF if tiny and x.hi > 0.0 else result.hi,
        nan=x.nan or not x.is_finite or x.contains(0.0),
    )


def _deviation(x: Interval) -> Interval:
    variance = variance_of(x)
    return Interval(0.0, widen_up(math.sqrt(variance.hi), 8), variance.nan)


def _shortened(bound: Bound) -> Interval:
    x = operand(bound, "t")
    limit = operand(bound, "clip_norm")
    most = limit.hi if limit.hi > 0.0 else INF
    reach = widen_up(most, 16)
    nan = x.nan or limit.nan or not x.is_finite
    return Interval(
        max(x.lo, -reach) if x.lo < 0.0 else 0.0, min(x.hi, reach) if x.hi > 0.0 else 0.0, nan
    )


_SQRT: Final[tuple[Spot, ...]] = (
    (0.0, 0.0, CUSP, Cause.ZERO),
    (-MAX, -TINY, POLE, Cause.NEGATIVE),
)
_REDUCE: Final = "reduction_indices=axis keep_dims=keepdims x=input_tensor"

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("pow", "operator.pow", "x y name", "tf,math,K:pow ops:power", Interval.pow,
        operands="x y", renamed=f"{BINARY} a=y", symbol="**", regions=pow_regions),
    row("sqrt", "tf.sqrt", "x name", "tf,math,ops:sqrt", Interval.sqrt, regions=_SQRT, trend=_UP,
        modes_differ=True),
    # Keras backend clips at 0 first, so a negative argument gives 0 rather than nan.
    row("keras_sqrt", "tf.keras.backend.sqrt", "x", "K:sqrt", _root_cut,
        regions=((0.0, 0.0, CUSP, Cause.ZERO),), trend=_UP),
    row("rsqrt", "tf.math.rsqrt", "x name", "tf,math,ops:rsqrt", rsqrt,
        regions=((0.0, 0.0, POLE, Cause.ZERO), (-MAX, -TINY, POLE, Cause.NEGATIVE)),
        trend=Trend.DECREASING, modes_differ=True),
    row("cbrt", "tf.keras.ops.cbrt", "x", "ops:cbrt", _cbrt,
        regions=((0.0, 0.0, CUSP, Cause.ZERO),), trend=_UP),
    row("norm", "tf.norm", "tensor ord axis keepdims name", "tf,linalg:norm", bound=_norm,
        renamed="keep_dims=keepdims x=tensor", regions=_norm_regions, kind=_REDUCTION,
        modes_differ=True),
    row("keras_norm", "tf.keras.ops.norm", "x ord axis keepdims", "ops:norm", bound=_norm,
        regions=((0.0, 0.0, CUSP, Cause.ZERO_VECTOR),), kind=_REDUCTION, modes_differ=True),
    row("reduce_euclidean_norm", "tf.math.reduce_euclidean_norm",
        "input_tensor axis keepdims name", "math:reduce_euclidean_norm", _length,
        renamed=_REDUCE, regions=((0.0, 0.0, CUSP, Cause.ZERO_VECTOR),), kind=_REDUCTION,
        modes_differ=True),
    row("global_norm", "tf.linalg.global_norm", "t_list name", "tf,linalg:global_norm",
        bound=_global_norm, kind=_REDUCTION, modes_differ=True),
    row("l2_normalize", "tf.math.l2_normalize", "x axis epsilon name", "math,linalg,nn,K:"
        "l2_normalize", _normalized, renamed="dim=axis", kind=Kind.OTHER,
        modes_differ=True),
    row("keras_normalize", "tf.keras.ops.normalize", "x axis order epsilon",
        "ops,utils:normalize", _normalized, kind=Kind.OTHER),
    row("normalize", "tf.linalg.normalize", "tensor ord axis name", "linalg:normalize",
        bound=_unit_vector, regions=((0.0, 0.0, POLE, Cause.ZERO_VECTOR),), kind=Kind.OTHER,
        results="normalize_values normalize_norms", modes_differ=True),
    row("normalize_values", "tf.linalg.normalize", "tensor ord axis name", "",
        bound=_unit_vector, regions=((0.0, 0.0, POLE, Cause.ZERO_VECTOR),), kind=Kind.OTHER,
        component=0, modes_differ=True),
    row("normalize_norms", "tf.linalg.normalize", "tensor ord axis name", "",
        bound=_norm, regions=((0.0, 0.0, CUSP, Cause.ZERO_VECTOR),), kind=_REDUCTION, component=1,
        modes_differ=True),
    row("reduce_variance", "tf.math.reduce_variance", "input_tensor axis keepdims name",
        "math:reduce_variance K,ops:var", variance_of, renamed=_REDUCE, kind=_REDUCTION),
    row("reduce_std", "tf.math.reduce_std", "input_tensor axis keepdims name",
        "math:reduce_std K,ops:std", _deviation, renamed=_REDUCE,
        regions=((-MAX, MAX, CUSP, Cause.CONSTANT_VECTOR),), kind=_REDUCTION, modes_differ=True),
    row("clip_by_norm", "tf.clip_by_norm", "t clip_norm axes name", "tf:clip_by_norm",
        bound=_shortened, operands="t clip_norm", kind=Kind.OTHER,
        examples={"clip_norm": 1.0}),
)
# fmt: on
