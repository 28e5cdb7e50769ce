"""Rows: reductions, cumulative ops, segments, moments."""

from __future__ import annotations

import math
from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import (
    BOOL,
    INDEX,
    INF,
    MAX,
    MAX_ELEMENTS,
    PROBABILITY,
    TINY,
    Interval,
    next_down,
    round_up,
    widen_down,
    widen_up,
)
from actlint.ops.arithmetic import sum_of
from actlint.ops.build import POLE, constant, operand, row, same, tame
from actlint.ops.model import Bound, Cause, Gradient, Kind, Op, Region

_RED: Final = Kind.REDUCTION
_OTHER: Final = Kind.OTHER
_NONE: Final = Gradient.NONE
_OLD: Final = "reduction_indices=axis keep_dims=keepdims x=input_tensor"
_ARGS: Final = "input_tensor axis keepdims name"
_SEGMENTS: Final = "data segment_ids num_segments name"

# Relative error of a float32 mean: pairwise sums of up to 2**24 elements.
_MEAN_ULPS: Final = 32


def mean_of(x: Interval) -> Interval:
    """Return the interval of an average of members; 0, 1 and -1 are kept exactly."""
    exact = (-1.0, 0.0, 1.0)
    lo = x.lo if x.lo in exact else widen_down(x.lo, _MEAN_ULPS)
    hi = x.hi if x.hi in exact else widen_up(x.hi, _MEAN_ULPS)
    # The sum before the division can overflow.
    lo = -INF if lo < -MAX / MAX_ELEMENTS else lo
    hi = INF if hi > MAX / MAX_ELEMENTS else hi
    return Interval(lo, hi, x.nan or (lo == -INF and hi == INF))


def _or_empty(x: Interval) -> Interval:
    """Return the sum of a segment, which is 0 if the segment is empty."""
    total = sum_of(x)
    return Interval(min(total.lo, 0.0), max(total.hi, 0.0), total.nan, total.integer)


def _mean_or_empty(x: Interval) -> Interval:
    mean = mean_of(x)
    return Interval(min(mean.lo, 0.0), max(mean.hi, 0.0), mean.nan)


def _spread(x: Interval) -> Interval:
    """Return the largest member less the least."""
    apart = x.sub(x)
    return Interval(0.0, apart.hi, apart.nan)


def _sum_of_known(x: Interval) -> Interval:
    """Return a sum in which nan counts as 0."""
    return _or_empty(Interval(x.lo, x.hi, nan=False, integer=x.integer))


def _prod(x: Interval) -> Interval:
    """Return the product of 1 to MAX_ELEMENTS members."""
    size = x.abs()
    hi = size.hi if size.hi <= 1.0 else INF
    # Partial products that overflow can meet a 0, or others that underflow.
    nan = x.nan or size.lo < 1.0 < size.hi
    if x.lo >= 0.0:
        return Interval(x.lo if x.lo >= 1.0 else 0.0, hi, nan, x.integer)
    return Interval(-hi, hi, nan, x.integer)


def _logsumexp(x: Interval) -> Interval:
    """At least the largest member, at most log n more."""
    if x.hi == -INF:
        return x
    most = x.hi + math.log(MAX_ELEMENTS)
    return Interval(next_down(widen_down(x.lo, 4)), round_up(widen_up(most, 4)), x.nan)


def _unsorted_max(x: Interval) -> Interval:
    """An empty segment gives the least finite number."""
    return x.join(Interval(-MAX, -MAX))


def _unsorted_min(x: Interval) -> Interval:
    return x.join(Interval(MAX, MAX))


def _unsorted_root(x: Interval) -> Interval:
    """Return the sum of a segment over the root of its size."""
    total = _or_empty(x)
    return Interval(total.lo, total.hi, total.nan)


def _cumulated_logsumexp(bound: Bound) -> Interval:
    """A nan is passed over, and an exclusive sum starts empty: both give -inf."""
    x = operand(bound, "x")
    result = _logsumexp(x)
    empty = x.nan or bound.statics.get("exclusive", False) is not False
    return Interval(-INF if empty else result.lo, result.hi, result.nan)


def interpolated(x: Interval) -> Interval:
    """Return the interval of numbers interpolated between two members, such as a median."""
    return Interval(widen_down(x.lo, 8), widen_up(x.hi, 8), not x.is_finite)


def _segment_prod(x: Interval) -> Interval:
    return _prod(x).join(Interval(1.0, 1.0, integer=True))


def _segment_end(x: Interval) -> Interval:
    """An empty sorted segment gives 0."""
    return Interval(min(x.lo, 0.0), max(x.hi, 0.0), x.nan, x.integer)


def _empty(name: str) -> tuple[Region, ...]:
    return (Region(name, math.nan, math.nan, POLE, Cause.EMPTY),)


def _mean_regions(bound: Bound) -> tuple[Region, ...]:
    del bound
    return _empty("input_tensor")


def _weighted_mean(bound: Bound) -> Interval:
    x = operand(bound, "x")
    weights = operand(bound, "weights", 1.0)
    if weights.lo > 0.0 and tame(x, weights):
        slack = 2.0 * TINY / weights.lo  # products that are flushed to zero
        return Interval(widen_down(x.lo - slack, 64), widen_up(x.hi + slack, 64), x.nan)
    return Interval(-INF, INF, nan=True)


def variance_of(x: Interval) -> Interval:
    """Return the variance: a quarter of the squared width at most (Popoviciu's inequality).

    The rounding error of the mean adds its square, so constants have a variance that is tiny
    rather than 0, unless their mean is exact.
    """
    mean = mean_of(x)
    if not x.is_finite or not mean.is_finite:
        return Interval(0.0, INF, nan=x.nan or not x.is_finite or mean.nan)
    half, error = (x.hi - x.lo) / 2.0, max(x.lo - mean.lo, mean.hi - x.hi)
    most = half * half + error * error
    # The squares are summed before the division.
    hi = INF if most > MAX / MAX_ELEMENTS else widen_up(most, 64)
    return Interval(0.0, hi)


_IDS: Final = Items((0, 0, 1))
_SORTED: Final[dict[str, Arg]] = {"segment_ids": _IDS}
_UNSORTED: Final[dict[str, Arg]] = {"segment_ids": _IDS, "num_segments": 2}

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("reduce_sum", "tf.reduce_sum", _ARGS, "tf,math:reduce_sum K,ops,method:sum", sum_of,
        renamed=_OLD, kind=_RED),
    row("reduce_mean", "tf.reduce_mean", _ARGS, "tf,math:reduce_mean K,ops,method:mean", mean_of,
        renamed=_OLD, kind=_RED, regions=_mean_regions),
    row("reduce_max", "tf.reduce_max", _ARGS, "tf,math:reduce_max K,ops,method:max ops:amax",
        same, renamed=_OLD, kind=_RED),
    row("reduce_min", "tf.reduce_min", _ARGS, "tf,math:reduce_min K,ops,method:min ops:amin",
        same, renamed=_OLD, kind=_RED),
    row("reduce_prod", "tf.reduce_prod", _ARGS, "tf,math:reduce_prod K,ops,method:prod", _prod,
        renamed=_OLD, kind=_RED),
    row("reduce_logsumexp", "tf.reduce_logsumexp", _ARGS, "tf,math:reduce_logsumexp "
        "K,ops:logsumexp", _logsumexp, renamed=_OLD, kind=_RED),
    row("reduce_any", "tf.reduce_any", _ARGS, "tf,math:reduce_any K,ops:any", constant(BOOL),
        renamed=_OLD, kind=_RED, gradient=_NONE),
    row("reduce_all", "tf.reduce_all", _ARGS, "tf,math:reduce_all K,ops:all", constant(BOOL),
        renamed=_OLD, kind=_RED, gradient=_NONE),
    row("count_nonzero", "tf.math.count_nonzero", "input axis keepdims dtype name",
        "tf,math,ops:count_nonzero", constant(INDEX), kind=_RED, gradient=_NONE,
        renamed="input_tensor=input reduction_indices=axis keep_dims=keepdims x=input"),
    row("zero_fraction", "tf.math.zero_fraction", "value name", "math,nn:zero_fraction",
        constant(PROBABILITY), kind=_RED, gradient=_NONE),
    row("average", "tf.keras.ops.average", "x axis weights", "ops:average", bound=_weighted_mean,
        operands="x weights", kind=_RED),
    row("median", "tf.keras.ops.median", "x axis keepdims", "ops:median",
        interpolated, kind=_RED),
    row("trace", "tf.linalg.trace", "x name", "tf,linalg:trace", sum_of, kind=_RED),
    # Of the first two axes, where TensorFlow takes the last two.
    row("keras_trace", "tf.keras.ops.trace", "x offset axis1 axis2", "ops:trace", sum_of,
        kind=_RED),
    row("ptp", "tf.keras.ops.ptp", "x axis keepdims", "ops:ptp", _spread, kind=_RED),
    row("nansum", "tf.keras.ops.nansum", "x axis keepdims", "ops:nansum", _sum_of_known,
        kind=_RED),
    row("nanmax", "tf.keras.ops.nanmax", "x axis keepdims", "ops:nanmax", same, kind=_RED),
    row("nanmin", "tf.keras.ops.nanmin", "x axis keepdims", "ops:nanmin", same, kind=_RED),
    row("nanmean", "tf.keras.ops.nanmean", "x axis keepdims", "ops:nanmean", mean_of, kind=_RED),
    # ---- cumulative
    row("cumsum", "tf.cumsum", "x axis exclusive reverse name", "tf,math,K:cumsum", _or_empty,
        kind=_OTHER),
    row("keras_cumsum", "tf.keras.ops.cumsum", "x axis dtype", "ops:cumsum", sum_of,
        kind=_OTHER),
    row("cumprod", "tf.math.cumprod", "x axis exclusive reverse name", "tf,math,K:cumprod",
        _segment_prod, kind=_OTHER),
    row("keras_cumprod", "tf.keras.ops.cumprod", "x axis dtype", "ops:cumprod", _prod,
        kind=_OTHER),
    row("cumulative_logsumexp", "tf.math.cumulative_logsumexp", "x axis exclusive reverse name",
        "math:cumulative_logsumexp", bound=_cumulated_logsumexp, kind=_OTHER),
    # ---- segments
    row("segment_sum", "tf.math.segment_sum", "data segment_ids name", "tf,math:segment_sum",
        _or_empty, kind=_RED, examples=_SORTED),
    row("segment_mean", "tf.math.segment_mean", "data segment_ids name", "tf,math:segment_mean",
        _mean_or_empty, kind=_RED, examples=_SORTED),
    row("segment_max", "tf.math.segment_max", "data segment_ids name", "tf,math:segment_max",
        _segment_end, kind=_RED, examples=_SORTED),
    row("segment_min", "tf.math.segment_min", "data segment_ids name", "tf,math:segment_min",
        _segment_end, kind=_RED, examples=_SORTED),
    row("segment_prod", "tf.math.segment_prod", "data segment_ids name", "tf,math:segment_prod",
        _segment_prod, kind=_RED, examples=_SORTED),
    row("unsorted_segment_sum", "tf.math.unsorted_segment_sum", _SEGMENTS,
        "tf,math:unsorted_segment_sum ops:segment_sum", _or_empty, kind=_RED,
        examples=_UNSORTED, ignored="sorted"),
    row("unsorted_segment_mean", "tf.math.unsorted_segment_mean", _SEGMENTS,
        "tf,math:unsorted_segment_mean", _mean_or_empty, kind=_RED, examples=_UNSORTED),
    row("unsorted_segment_max", "tf.math.unsorted_segment_max", _SEGMENTS,
        "tf,math:unsorted_segment_max ops:segment_max", _unsorted_max, kind=_RED,
        examples=_UNSORTED),
    row("unsorted_segment_min", "tf.math.unsorted_segment_min", _SEGMENTS,
        "tf,math:unsorted_segment_min ops:segment_min", _unsorted_min, kind=_RED,
        examples=_UNSORTED),
    row("unsorted_segment_prod", "tf.math.unsorted_segment_prod", _SEGMENTS,
        "tf,math:unsorted_segment_prod ops:segment_prod", _segment_prod, kind=_RED,
        examples=_UNSORTED),
    row("unsorted_segment_sqrt_n", "tf.math.unsorted_segment_sqrt_n", _SEGMENTS,
        "tf,math:unsorted_segment_sqrt_n", _unsorted_root, kind=_RED, examples=_UNSORTED),
    # ---- moments
    row("moments", "tf.nn.moments", "x axes shift keepdims name", "nn:moments", mean_of,
        renamed="keep_dims=keepdims axis=axes", kind=_RED, examples={"axes": 0},
        results="moments_mean moments_variance"),
    row("moments_mean", "tf.nn.moments", "x axes shift keepdims name", "", mean_of, kind=_RED,
        examples={"axes": 0}, component=0),
    row("moments_variance", "tf.nn.moments", "x axes shift keepdims name", "", variance_of,
        kind=_RED, examples={"axes": 0}, component=1),
    row("keras_moments", "tf.keras.ops.moments", "x axes keepdims synchronized", "ops:moments",
        mean_of, kind=_RED, examples={"axes": 0},
        results="keras_moments_mean keras_moments_variance"),
    row("keras_moments_mean", "tf.keras.ops.moments", "x axes keepdims synchronized", "",
        mean_of, kind=_RED, examples={"axes": 0}, component=0),
    row("keras_moments_variance", "tf.keras.ops.moments", "x axes keepdims synchronized", "",
        variance_of, kind=_RED, examples={"axes": 0}, component=1),
)
# fmt: on
