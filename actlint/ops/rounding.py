"""Rows: rounding, comparison, logic, casts and quantisation: mostly ops without a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from actlint.graph import DType, Items
from actlint.interval import BOOL, INF, MAX, ONE, TOP, ZERO, Interval, hull, round_down, round_up
from actlint.ops.arithmetic import BINARY
from actlint.ops.build import constant, number, operand, row, same
from actlint.ops.model import Bound, Gradient, Op, Transfer, Trend

_NONE: Final = Gradient.NONE
_UP: Final = Trend.INCREASING

_INTEGER_RANGES: Final = {
    "int8": (-128.0, 127.0),
    "uint8": (0.0, 255.0),
    "int16": (-32768.0, 32767.0),
    "uint16": (0.0, 65535.0),
    "int32": (-2147483648.0, 2147483648.0),
    "uint32": (0.0, 4294967296.0),
    "int64": (-9223372036854775808.0, 9223372036854775808.0),
    "uint64": (0.0, 18446744073709551616.0),
}


def _rounded(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda x: x.rounded(function)


def _compare(
    surely: Callable[[Interval, Interval], bool], never: Callable[[Interval, Interval], bool]
) -> Callable[[Interval, Interval], Interval]:
    """Return the transfer of a comparison: nan compares false, except with not_equal."""

    def transfer(x: Interval, y: Interval) -> Interval:
        if surely(x, y) and not (x.nan or y.nan):
            return Interval(1.0, 1.0, integer=True)
        if never(x, y):
            return Interval(0.0, 0.0, integer=True)
        return BOOL

    return transfer


def _disjoint(x: Interval, y: Interval) -> bool:
    return not x.intersects(y.lo, y.hi)


def _same_point(x: Interval, y: Interval) -> bool:
    return x.is_point and y.is_point and x.lo == y.lo


def _not_equal(x: Interval, y: Interval) -> Interval:
    if _disjoint(x, y):
        return Interval(1.0, 1.0, integer=True)
    return Interval(0.0, 0.0, integer=True) if _same_point(x, y) else BOOL


_less: Final = _compare(lambda x, y: x.hi < y.lo, lambda x, y: x.lo >= y.hi)
_less_equal: Final = _compare(lambda x, y: x.hi <= y.lo, lambda x, y: x.lo > y.hi)


def _greater(x: Interval, y: Interval) -> Interval:
    return _less(y, x)


def _greater_equal(x: Interval, y: Interval) -> Interval:
    return _less_equal(y, x)


def _not(x: Interval) -> Interval:
    return Interval(1.0 - x.hi, 1.0 - x.lo, integer=True) if x.within(0.0, 1.0) else BOOL


def _and(x: Interval, y: Interval) -> Interval:
    return x.minimum(y) if x.within(0.0, 1.0) and y.within(0.0, 1.0) else BOOL


def _or(x: Interval, y: Interval) -> Interval:
    return x.maximum(y) if x.within(0.0, 1.0) and y.within(0.0, 1.0) else BOOL


def dtype_name(bound: Bound, name: str = "dtype") -> str | None:
    """Return the static dtype operand as a TensorFlow dtype name, or None."""
    value = bound.statics.get(name)
    if isinstance(value, DType):
        return value.name
    return value if isinstance(value, str) else None


def is_discrete(name: str | None) -> bool:
    """Say whether a dtype name is that of integers or booleans."""
    return name == "bool" or name in _INTEGER_RANGES


def convert(x: Interval, name: str | None) -> Interval:
    """Return `x` cast to the dtype `name`; floats go to integers by truncation."""
    if name == "bool":
        if x.is_point:
            return Interval(float(x.lo != 0.0), float(x.lo != 0.0), integer=True)
        return BOOL if x.contains(0.0) or x.nan else Interval(1.0, 1.0, integer=True)
    if name is None or name not in _INTEGER_RANGES:
        return x
    lo, hi = _INTEGER_RANGES[name]
    if x.within(lo, hi):
        return x.rounded(math.trunc)
    return Interval(lo, hi, integer=True)  # what overflow or nan give is not defined


def _cast_to(parameter: str) -> Transfer:
    return lambda bound: convert(operand(bound, parameter), dtype_name(bound))


def _saturated(bound: Bound) -> Interval:
    x, name = operand(bound, "value"), dtype_name(bound)
    lo, hi = _INTEGER_RANGES.get(name or "", (-MAX, MAX))
    result = x.clip(Interval(lo, lo), Interval(hi, hi))
    return convert(result, name) if name is not None else Interval(x.lo, x.hi, x.nan)


def _cast_gradient(bound: Bound) -> Gradient:
    return Gradient.NONE if is_discrete(dtype_name(bound)) else Gradient.FLOWS


def _heaviside(x: Interval, at_zero: Interval) -> Interval:
    parts = [
        part
        for part, met in (
            (ZERO, x.lo < 0.0),
            (at_zero, x.contains(0.0) or x.nan),
            (ONE, x.hi > 0.0),
        )
        if met
    ]
    result = hull(tuple(parts))
    return Interval(result.lo, result.hi, x.nan or at_zero.nan)


def _fake_quantised(bound: Bound) -> Interval:
    x = operand(bound, "inputs")
    lo, hi = number(bound, "min", -6.0), number(bound, "max", 6.0)
    if lo is None or hi is None or not 0.0 < hi - lo < INF:
        return Interval(-INF, INF, nan=True)  # the kernel divides by the width
    # The range is moved to hold zero, and then nudged by at most one step.
    width = hi - lo
    return Interval(
        round_down(min(lo, 0.0) - width), round_up(max(hi, 0.0) + width), x.nan or width > MAX / 4.0
    )


def _quantised(bound: Bound) -> Interval:
    del bound
    return Interval(-INF, INF, nan=True)  # a tensor of zeros has no scale


# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    # ---- rounding
    row("round", "tf.round", "x name", "tf,math,K:round", _rounded(round), gradient=_NONE,
        trend=_UP, jumps=True),
    row("keras_round", "tf.keras.ops.round", "x decimals", "ops:round",
        lambda x: Interval(x.lo - 0.5, x.hi + 0.5, x.nan), gradient=_NONE, trend=_UP, jumps=True),
    row("rint", "tf.math.rint", "x name", "tf,math:rint", _rounded(round), gradient=_NONE,
        trend=_UP, jumps=True),
    row("floor", "tf.floor", "x name", "tf,math,ops:floor", _rounded(math.floor), gradient=_NONE,
        trend=_UP, jumps=True),
    row("ceil", "tf.math.ceil", "x name", "tf,math,ops:ceil", _rounded(math.ceil),
        gradient=_NONE, trend=_UP, jumps=True),
    row("trunc", "tf.keras.ops.trunc", "x", "ops:trunc", _rounded(math.trunc), gradient=_NONE,
        trend=_UP, jumps=True),
    row("heaviside", "tf.keras.ops.heaviside", "x1 x2", "ops:heaviside", _heaviside,
        operands="x1 x2", passive="x1", trend=_UP, jumps=True),
    # ---- comparison
    row("equal", "operator.eq", "x y name", "tf,math,K,ops:equal", _compare(_same_point, _disjoint),
        operands="x y", renamed=BINARY, symbol="==", gradient=_NONE, jumps=True),
    row("not_equal", "operator.ne", "x y name", "tf,math,K,ops:not_equal", _not_equal,
        operands="x y", renamed=BINARY, symbol="!=", gradient=_NONE, jumps=True),
    row("less", "operator.lt", "x y name", "tf,math,K,ops:less", _less, operands="x y",
        renamed=BINARY, symbol="<", gradient=_NONE, jumps=True),
    row("less_equal", "operator.le", "x y name", "tf,math,K,ops:less_equal", _less_equal,
        operands="x y", renamed=BINARY, symbol="<=", gradient=_NONE, jumps=True),
    row("greater", "operator.gt", "x y name", "tf,math,K,ops:greater", _greater, operands="x y",
        renamed=BINARY, symbol=">", gradient=_NONE, jumps=True),
    row("greater_equal", "operator.ge", "x y name", "tf,math,K,ops:greater_equal",
        _greater_equal, operands="x y", renamed=BINARY, symbol=">=", gradient=_NONE, jumps=True),
    row("isclose", "tf.keras.ops.isclose", "x1 x2 rtol atol equal_nan", "ops:isclose",
        constant(BOOL), operands="x1 x2", gradient=_NONE, jumps=True),
    row("is_nan", "tf.math.is_nan", "x name", "tf:is_nan math:is_nan ops:isnan", constant(BOOL),
        gradient=_NONE),
    row("is_inf", "tf.math.is_inf", "x name", "tf:is_inf math:is_inf ops:isinf", constant(BOOL),
        gradient=_NONE),
    row("is_finite", "tf.math.is_finite", "x name", "tf:is_finite math:is_finite ops:isfinite",
        constant(BOOL), gradient=_NONE),
    row("in_top_k", "tf.math.in_top_k", "targets predictions k name", "math,nn,ops:in_top_k",
        constant(BOOL), operands="targets predictions", gradient=_NONE,
        examples={"targets": Items((0, 2, 1)), "k": 2}),
    # ---- logic; on integers & and | are bitwise
    row("logical_and", "tf.logical_and", "x y name", "tf,math,ops:logical_and", _and,
        operands="x y", renamed=BINARY, symbol="&", gradient=_NONE),
    row("logical_or", "tf.logical_or", "x y name", "tf,math,ops:logical_or", _or, operands="x y",
        renamed=BINARY, symbol="|", gradient=_NONE),
    row("logical_xor", "tf.math.logical_xor", "x y name", "tf,math,ops:logical_xor",
        constant(BOOL), operands="x y", renamed=BINARY, symbol="^", gradient=_NONE),
    row("logical_not", "tf.logical_not", "x name", "tf,math,ops:logical_not", _not, symbol="~",
        gradient=_NONE),
    # ---- casts
    row("cast", "tf.cast", "x dtype name", "tf,dtypes,K,ops:cast method:astype",
        bound=_cast_to("x"), gradients=_cast_gradient, examples={"dtype": DType("float32")}),
    row("saturate_cast", "tf.saturate_cast", "value dtype name", "tf,dtypes,ops:saturate_cast",
        bound=_saturated, renamed="x=value", gradients=_cast_gradient,
        examples={"dtype": DType("float32")}),
    row("to_float", "tf.compat.v1.to_float", "x name", "tf:to_float,to_double", same),
    row("to_int", "tf.compat.v1.to_int32", "x name", "tf:to_int32,to_int64",
        lambda x: convert(x, "int32"), gradient=_NONE, jumps=True),
    row("cast_to_floatx", "tf.keras.backend.cast_to_floatx", "x", "K:cast_to_floatx", same),
    row("bitcast", "tf.bitcast", "input type name", "tf:bitcast",
        constant(Interval(-INF, INF, nan=True)), gradient=_NONE,
        examples={"type": DType("int32")}),
    row("as_string", "tf.strings.as_string", "input precision scientific shortest width fill name",
        "strings,tf:as_string", constant(TOP), gradient=_NONE),
    row("to_number", "tf.strings.to_number", "input out_type name",
        "strings:to_number tf:string_to_number", constant(TOP), renamed="string_tensor=input",
        gradient=_NONE, examples={"input": Items(("1.5", "-2"))}),
    # ---- quantisation, straight-through by design
    row("fake_quant_args", "tf.quantization.fake_quant_with_min_max_args",
        "inputs min max num_bits narrow_range name",
        "quantization,tf:fake_quant_with_min_max_args", bound=_fake_quantised,
        gradient=Gradient.STRAIGHT_THROUGH, jumps=True, trend=_UP),
    row("fake_quant_vars", "tf.quantization.fake_quant_with_min_max_vars",
        "inputs min max num_bits narrow_range name",
        "quantization,tf:fake_quant_with_min_max_vars", bound=_fake_quantised,
        operands="inputs min max", gradient=Gradient.STRAIGHT_THROUGH, jumps=True,
        examples={"min": -6.0, "max": 6.0}),
    row("quantize_and_dequantize", "tf.quantization.quantize_and_dequantize_v2",
        "input input_min input_max signed_input num_bits range_given round_mode name narrow_range",
        "quantization:quantize_and_dequantize,quantize_and_dequantize_v2", bound=_quantised,
        gradient=Gradient.STRAIGHT_THROUGH, jumps=True,
        examples={"input_min": -6.0, "input_max": 6.0, "range_given": True}),
)
# fmt: on
