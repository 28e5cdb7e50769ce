"""Rows: sums, products, quotients, signs."""

from __future__ import annotations

import math
from typing import Final

from actlint.interval import (
    INF,
    MAX,
    MAX_ELEMENTS,
    ONE,
    TINY,
    ZERO,
    Interval,
    next_up,
    round_down,
    round_up,
    widen_down,
    widen_up,
)
from actlint.ops.build import POLE, operand, row
from actlint.ops.model import Bound, Cause, Gradient, Kind, Op, Region, Trend

# Least float32 whose square is infinite, measured on TensorFlow 2.21.
SQUARE_LIMIT: Final = 1.8446744073709552e19


def divide_regions(bound: Bound) -> tuple[Region, ...]:
    """Return the pole of x / y at y = 0, whatever x is: 0 / 0 is nan, anything else infinite."""
    del bound
    return (Region("y", 0.0, 0.0, POLE, Cause.ZERO),)


def _product_overflow(bound: Bound) -> tuple[Region, ...]:
    """Return where x overflows the product for the largest y, if x goes there at all."""
    size = operand(bound, "y").abs().hi
    if not 1.0 < size < INF:
        return ()
    limit = next_up(round_up(MAX / size))
    return (
        Region("x", limit, MAX, POLE, Cause.OVERFLOW),
        Region("x", -MAX, -limit, POLE, Cause.OVERFLOW),
    )


def sum_of(x: Interval) -> Interval:
    """Return the interval of a sum of 1 to MAX_ELEMENTS members of `x`."""
    lo = x.lo if x.lo >= 0.0 else round_down(x.lo * MAX_ELEMENTS)
    hi = x.hi if x.hi <= 0.0 else round_up(x.hi * MAX_ELEMENTS)
    return Interval(lo, hi, x.nan or (lo == -INF and hi == INF), x.integer)


def _inner(x: Interval, y: Interval) -> Interval:
    return sum_of(x.mul(y))


def _cross(x: Interval, y: Interval) -> Interval:
    product = x.mul(y)
    return product.sub(product)


def _divide_no_nan(x: Interval, y: Interval) -> Interval:
    result = ZERO if y.contains(0.0) else None
    for part in (y.above(0.0, strict=True), y.below(0.0, strict=True)):
        if part is not None:
            quotient = x.div(part)
            result = quotient if result is None else result.join(quotient)
    result = result or ZERO
    return Interval(result.lo, result.hi, x.nan or y.nan or result.nan)


def _multiply_no_nan(x: Interval, y: Interval) -> Interval:
    product = x.mul(y)
    # A y of 0 gives 0 whatever x is; an x of 0 does not rescue an infinite y.
    infinite = y.lo == -INF or y.hi == INF
    return Interval(product.lo, product.hi, x.nan or y.nan or (infinite and x.contains(0.0)))


def _floordiv(x: Interval, y: Interval) -> Interval:
    quotient = x.div(y)
    # The kernel rounds (x - x % y) / y, which can land on the neighbouring whole number.
    lo = widen_down(quotient.lo, 4)
    if y.lo == -INF or y.hi == INF:
        lo = min(lo, -1.0)  # a finite number over an infinity of the other sign
    nan = quotient.nan or not (x.is_finite and y.is_finite)
    return Interval(lo, quotient.hi, nan).rounded(math.floor)


def _truncatediv(x: Interval, y: Interval) -> Interval:
    return x.div(y).rounded(math.trunc)


def _mod(x: Interval, y: Interval) -> Interval:
    nan = x.nan or y.nan or y.contains(0.0) or not x.is_finite
    return Interval(min(y.lo, 0.0), max(y.hi, 0.0), nan, x.integer and y.integer)


def _truncatemod(x: Interval, y: Interval) -> Interval:
    size = y.abs().hi
    nan = x.nan or y.nan or y.contains(0.0) or not x.is_finite
    lo = 0.0 if x.lo >= 0.0 else max(-size, x.lo)
    hi = 0.0 if x.hi <= 0.0 else min(size, x.hi)
    return Interval(lo, hi, nan, x.integer and y.integer)


def _sign(x: Interval) -> Interval:
    lo = -1.0 if x.lo < 0.0 else (0.0 if x.lo == 0.0 else 1.0)
    hi = 1.0 if x.hi > 0.0 else (0.0 if x.hi == 0.0 else -1.0)
    return Interval(lo, hi, x.nan, integer=True)


def _add_n(bound: Bound) -> Interval:
    items = bound.items.get("inputs")
    if not items:
        return sum_of(operand(bound, "inputs"))
    result = items[0]
    for item in items[1:]:
        result = result.add(item)
    return result


def _einsum(bound: Bound) -> Interval:
    items = bound.items.get("inputs")
    if not items:
        return sum_of(operand(bound, "inputs"))
    result = items[0]
    for item in items[1:]:
        result = result.mul(item)
    return sum_of(result)


def _squared_difference(x: Interval, y: Interval) -> Interval:
    return x.sub(y).square()


def _approximated(x: Interval) -> Interval:
    """Widen by the error of the vectorised reciprocal: ulps, and 1.2e-38 (TensorFlow 2.21)."""
    lo = widen_down(x.lo - 2.0 * TINY, 4) if x.lo else 0.0
    hi = widen_up(x.hi + 2.0 * TINY, 4) if x.hi else 0.0
    return Interval(max(lo, 0.0) if x.lo > 0.0 else lo, min(hi, 0.0) if x.hi < 0.0 else hi, x.nan)


def _reciprocal(x: Interval) -> Interval:
    return _approximated(ONE.div(x))


def _reciprocal_no_nan(x: Interval) -> Interval:
    return _approximated(_divide_no_nan(ONE, x))


def _hypot(x: Interval, y: Interval) -> Interval:
    size, other = x.abs(), y.abs()
    nan = not (x.is_finite and y.is_finite)
    lo = widen_down(max(size.lo, other.lo), 8)
    return Interval(lo, widen_up(size.hi + other.hi, 8), nan)


def _xdivy(x: Interval, y: Interval) -> Interval:
    quotient = x.div(y)
    if not x.contains(0.0):
        return quotient
    nan = x.nan or y.nan or (not x.is_finite and not y.is_finite)
    return Interval(min(quotient.lo, 0.0), max(quotient.hi, 0.0), nan)


def _xdivy_regions(bound: Bound) -> tuple[Region, ...]:
    numerator = operand(bound, "x")
    if numerator.is_point and numerator.lo == 0.0:
        return ()
    return (Region("y", 0.0, 0.0, POLE, Cause.ZERO),)


def _polyval(bound: Bound) -> Interval:
    x = operand(bound, "x")
    items = bound.items.get("coeffs") or ()
    result = ZERO
    for item in items:
        result = result.mul(x).add(item)
    return result if items else Interval(-INF, INF, nan=True)


def _bias(x: Interval, bias: Interval) -> Interval:
    return x.add(bias)


def _batch_dot(bound: Bound) -> Interval:
    return _inner(operand(bound, "x"), operand(bound, "y"))


BINARY: Final = "x1=x x2=y"
_SQUARE_OVERFLOW: Final = (
    (SQUARE_LIMIT, MAX, POLE, Cause.OVERFLOW),
    (-MAX, -SQUARE_LIMIT, POLE, Cause.OVERFLOW),
)
_UP: Final = Trend.INCREASING
_DOWN: Final = Trend.DECREASING
_OTHER: Final = Kind.OTHER

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("add", "operator.add", "x y name", "tf,math,ops:add", Interval.add, operands="x y",
        renamed=BINARY, symbol="+", trend=_UP),
    row("subtract", "operator.sub", "x y name", "tf,math,ops:subtract tf:sub", Interval.sub,
        operands="x y", renamed=BINARY, symbol="-", trend=_UP),
    row("multiply", "operator.mul", "x y name", "tf,math,ops:multiply tf:mul", Interval.mul,
        operands="x y", renamed=BINARY, symbol="*", regions=_product_overflow),
    row("divide", "operator.truediv", "x y name",
        "tf,math,ops:divide tf,math:truediv tf:realdiv ops:true_divide", Interval.div,
        operands="x y", renamed=BINARY, symbol="/", regions=divide_regions),
    # On integers tf.div floors, as Python 2 did.
    row("div", "tf.compat.v1.div", "x y name", "tf:div", Interval.div, operands="x y",
        regions=divide_regions),
    row("floordiv", "operator.floordiv", "x y name", "tf,math:floordiv tf:floor_div "
        "ops:floor_divide", _floordiv, operands="x y", renamed=BINARY, symbol="//",
        regions=divide_regions, gradient=Gradient.NONE, jumps=True),
    row("truncatediv", "tf.truncatediv", "x y name", "tf:truncatediv,truncate_div", _truncatediv,
        operands="x y", gradient=Gradient.NONE, jumps=True, examples={"y": 2.0}),
    row("mod", "operator.mod", "x y name", "tf,math:mod,floormod ops:mod,remainder", _mod,
        operands="x y", renamed=BINARY, symbol="%", regions=divide_regions,
        jumps=True),
    row("truncatemod", "tf.truncatemod", "x y name", "tf:truncatemod,truncate_mod ops:fmod",
        _truncatemod, operands="x y", renamed=BINARY, regions=divide_regions, jumps=True,
        gradient=Gradient.NONE),
    row("negative", "tf.negative", "x name", "tf,math,ops:negative tf:neg", Interval.neg,
        trend=_DOWN),
    row("abs", "tf.abs", "x name", "tf,math,K,ops:abs ops:absolute,fabs", Interval.abs,
        kinks=(0.0,)),
    row("sign", "tf.sign", "x name", "tf,math,K,ops:sign", _sign, gradient=Gradient.ZERO,
        trend=_UP, jumps=True),
    row("square", "tf.square", "x name", "tf,math,K,ops:square", Interval.square,
        regions=_SQUARE_OVERFLOW),
    row("squared_difference", "tf.math.squared_difference", "x y name",
        "tf,math:squared_difference", _squared_difference, operands="x y"),
    row("scalar_mul", "tf.math.scalar_mul", "scalar x name", "tf,math:scalar_mul", Interval.mul,
        operands="scalar x", examples={"scalar": 2.0}),
    row("add_n", "tf.add_n", "inputs name", "tf,math:add_n", bound=_add_n, kind=_OTHER),
    row("accumulate_n", "tf.math.accumulate_n", "inputs shape tensor_dtype name",
        "tf,math:accumulate_n", bound=_add_n, kind=_OTHER),
    row("divide_no_nan", "tf.math.divide_no_nan", "x y name",
        "tf:div_no_nan math,ops:divide_no_nan", _divide_no_nan, operands="x y", renamed=BINARY,
        modes_differ=True),
    row("multiply_no_nan", "tf.math.multiply_no_nan", "x y name", "math:multiply_no_nan",
        _multiply_no_nan, operands="x y"),
    row("xdivy", "tf.math.xdivy", "x y name", "math:xdivy", _xdivy, operands="x y",
        regions=_xdivy_regions),
    row("reciprocal", "tf.math.reciprocal", "x name", "tf,math,ops:reciprocal", _reciprocal,
        regions=((0.0, 0.0, POLE, Cause.ZERO),), modes_differ=True),
    row("reciprocal_no_nan", "tf.math.reciprocal_no_nan", "x name", "math:reciprocal_no_nan",
        _reciprocal_no_nan, modes_differ=True),
    row("hypot", "tf.keras.ops.hypot", "x1 x2", "ops:hypot", _hypot, operands="x1 x2"),
    row("matmul", "tf.matmul", "a b transpose_a transpose_b adjoint_a adjoint_b a_is_sparse "
        "b_is_sparse output_type name", "tf,linalg,ops:matmul", _inner, operands="a b",
        renamed="x1=a x2=b", symbol="@", kind=_OTHER),
    row("dot", "tf.keras.ops.dot", "x1 x2", "ops:dot,inner,vdot K:dot", _inner, operands="x1 x2",
        renamed="x=x1 y=x2", kind=_OTHER),
    row("batch_dot", "tf.keras.backend.batch_dot", "x y axes", "K:batch_dot", bound=_batch_dot,
        operands="x y", kind=_OTHER, examples={"axes": 1}),
    row("outer", "tf.keras.ops.outer", "x1 x2", "ops:outer", Interval.mul, operands="x1 x2",
        kind=_OTHER),
    row("matvec", "tf.linalg.matvec", "a b transpose_a adjoint_a a_is_sparse b_is_sparse name",
        "linalg:matvec", _inner, operands="a b", kind=_OTHER),
    row("tensordot", "tf.tensordot", "a b axes name", "tf,linalg,ops:tensordot", _inner,
        operands="a b", renamed="x1=a x2=b", kind=_OTHER, examples={"axes": 1}),
    row("einsum", "tf.einsum", "equation inputs", "tf,linalg,ops:einsum", bound=_einsum,
        operands="inputs", variadic="inputs", kind=_OTHER, examples={"equation": "ij,ij->i"}),
    row("cross", "tf.linalg.cross", "a b name", "tf,linalg:cross", _cross, operands="a b",
        kind=_OTHER),
    row("polyval", "tf.math.polyval", "coeffs x name", "math:polyval", bound=_polyval,
        operands="coeffs x", kind=_OTHER),
    row("bias_add", "tf.nn.bias_add", "value bias data_format name", "nn,K:bias_add", _bias,
        operands="value bias", renamed="x=value", kind=_OTHER),
)
# fmt: on
