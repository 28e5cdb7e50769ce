"""Intervals of float32 values: the abstract domain in which the static pass computes.

IEEE-754 rounding is monotone and a float64 quotient, product, sum or square root rounded once
more to float32 equals the float32 result (Figueroa 1995: 53 >= 2 * 24 + 2), so end points computed
in Python floats and rounded are exact bounds. TensorFlow's CPU kernels flush denormals to zero;
a bound that would be denormal is moved outwards to 0 or to the least normal number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

INF: Final = math.inf
MAX: Final = 3.4028234663852886e38  # largest finite float32
TINY: Final = 1.1754943508222875e-38  # least positive normal float32
EPS: Final = 2.0**-23  # spacing of float32 at 1
# From here on, round-to-nearest gives infinity (MAX plus half a unit in the last place).
_OVERFLOW: Final = 3.4028235677973366e38
# Elements that one reduction is taken to see at most; float32 counts exactly up to here.
MAX_ELEMENTS: Final = 2**24

_FLOAT: Final = struct.Struct("<f")
_BITS: Final = struct.Struct("<i")


def float32(value: float) -> float:
    """Return the float32 nearest to `value`, denormals kept, overflow as infinity."""
    if value >= _OVERFLOW:
        return INF
    if value <= -_OVERFLOW:
        return -INF
    return float(_FLOAT.unpack(_FLOAT.pack(value))[0])


def point32(value: float) -> float:
    """Return `value` as TensorFlow's kernels see it: float32 with denormals flushed to zero."""
    result = float32(value)
    return 0.0 if -TINY < result < TINY else result


def next_up(value: float) -> float:
    """Return the least normal float32 (or 0, or infinity) above the float32 `value`."""
    if value == INF or math.isnan(value):
        return value
    if value == -INF:
        return -MAX
    if -TINY <= value < TINY:
        return 0.0 if value < 0.0 else TINY
    (bits,) = _BITS.unpack(_FLOAT.pack(value))
    return float(_FLOAT.unpack(_BITS.pack(bits + 1 if value > 0.0 else bits - 1))[0])


def next_down(value: float) -> float:
    """Return the greatest normal float32 (or 0, or -infinity) below the float32 `value`."""
    return 0.0 - next_up(-value)


def round_down(value: float) -> float:
    """Return a float32 lower bound of the float32 results that round or flush from `value`."""
    if -TINY < value < TINY:  # flushed before it is rounded, so not even the last one is TINY
        return -TINY if value < 0.0 else 0.0
    return float32(value) + 0.0


def round_up(value: float) -> float:
    """Return a float32 upper bound of the float32 results that round or flush from `value`."""
    return -round_down(-value) + 0.0


def widen_down(value: float, ulps: int) -> float:
    """Return `value` lowered by `ulps` units in the last place, as a float32 lower bound."""
    if ulps == 0 or math.isinf(value):
        return round_down(value)
    return round_down(value - abs(value) * EPS * ulps)


def widen_up(value: float, ulps: int) -> float:
    """Return `value` raised by `ulps` units in the last place, as a float32 upper bound."""
    return -widen_down(-value, ulps) + 0.0


def _product(a: float, b: float) -> float:
    """Multiply, with 0 * inf = 0: the limit along the end of an interval."""
    return 0.0 if a == 0.0 or b == 0.0 else a * b


def _quotient(a: float, b: float) -> float:
    """Divide by a non-zero number, with inf / inf = 0: the least magnitude of the quotient."""
    return 0.0 if math.isinf(b) else a / b


@dataclass(frozen=True, slots=True)
class Interval:
    """All float32 values v with lo <= v <= hi, and nan if `nan`.

    Ends are float32 numbers and always belong to the interval: an open end of the mathematical
    set is the neighbouring float. An end of +-inf means that the infinity itself can occur;
    "any finite number" ends at +-3.4028235e38. `integer` says that all members are whole
    numbers. Zero is taken to be +0 where it is the lower end of the interval.
    """

    lo: float
    hi: float
    nan: bool = False
    integer: bool = False

    @property
    def is_point(self) -> bool:
        """True if the interval holds exactly one value."""
        return self.lo == self.hi and not self.nan

    @property
    def is_finite(self) -> bool:
        """True if neither an infinity nor nan can occur."""
        return not self.nan and self.lo > -INF and self.hi < INF

    def contains(self, value: float) -> bool:
        """Say whether the float `value` belongs to the interval."""
        return self.nan if math.isnan(value) else self.lo <= value <= self.hi

    def intersects(self, lo: float, hi: float) -> bool:
        """Say whether some member lies in the closed interval [lo, hi]."""
        return self.lo <= hi and lo <= self.hi

    def within(self, lo: float, hi: float) -> bool:
        """Say whether all members are numbers of the closed interval [lo, hi]."""
        return not self.nan and lo <= self.lo and self.hi <= hi

    # ---- lattice -------------------------------------------------------------------------

    def join(self, other: Interval) -> Interval:
        """Return the least interval that holds both."""
        return Interval(
            min(self.lo, other.lo),
            max(self.hi, other.hi),
            self.nan or other.nan,
            self.integer and other.integer,
        )

    def meet(self, other: Interval) -> Interval | None:
        """Return what both have in common, or None if that is nothing."""
        return between(
            max(self.lo, other.lo),
            min(self.hi, other.hi),
            nan=self.nan and other.nan,
            integer=self.integer or other.integer,
        )

    def above(self, bound: float, *, strict: bool) -> Interval | None:
        """Return the members that are greater than `bound` (or equal to it, unless strict)."""
        lo = next_up(bound) if strict else bound
        return between(max(self.lo, lo), self.hi, integer=self.integer)

    def below(self, bound: float, *, strict: bool) -> Interval | None:
        """Return the members that are less than `bound` (or equal to it, unless strict)."""
        hi = next_down(bound) if strict else bound
        return between(self.lo, min(self.hi, hi), integer=self.integer)

    def widen(self, later: Interval) -> Interval:
        """Return an upper bound of both in which every end that moved goes to infinity."""
        return Interval(
            self.lo if self.lo <= later.lo else -INF,
            self.hi if self.hi >= later.hi else INF,
            self.nan or later.nan,
            self.integer and later.integer,
        )

    def without_nan(self) -> Interval:
        """Return the numbers of the interval."""
        return replace(self, nan=False) if self.nan else self

    # ---- arithmetic ----------------------------------------------------------------------

    def neg(self) -> Interval:
        """Return -x."""
        return Interval(0.0 - self.hi, 0.0 - self.lo, self.nan, self.integer)

    def add(self, other: Interval) -> Interval:
        """Return x + y; inf - inf is nan."""
        nan = (
            self.nan
            or other.nan
            or (self.lo == -INF and other.hi == INF)
            or (self.hi == INF and other.lo == -INF)
        )
        lo = self.lo + other.lo
        hi = self.hi + other.hi
        return Interval(
            -INF if math.isnan(lo) else round_down(lo),
            INF if math.isnan(hi) else round_up(hi),
            nan,
            self.integer and other.integer,
        )

    def sub(self, other: Interval) -> Interval:
        """Return x - y; inf - inf is nan."""
        return self.add(other.neg())

    def mul(self, other: Interval) -> Interval:
        """Return x * y; 0 * inf is nan."""
        ends = (
            _product(self.lo, other.lo),
            _product(self.lo, other.hi),
            _product(self.hi, other.lo),
            _product(self.hi, other.hi),
        )
        nan = (
            self.nan
            or other.nan
            or (self._infinite and other.contains(0.0))
            or (other._infinite and self.contains(0.0))
        )
        return Interval(
            round_down(min(ends)), round_up(max(ends)), nan, self.integer and other.integer
        )

    def div(self, other: Interval) -> Interval:
        """Return x / y; 0 / 0 and inf / inf are nan, x / 0 is infinite."""
        zero = other.contains(0.0)
        nan = (
            self.nan
            or other.nan
            or (zero and self.contains(0.0))
            or (self._infinite and other._infinite)
        )
        if zero and (other.lo < 0.0 or other.hi == 0.0):  # the zero can have either sign
            return Interval(-INF, INF, nan)
        if zero:
            lo = -INF if self.lo < 0.0 else _quotient(self.lo, other.hi)
            hi = INF if self.hi > 0.0 else _quotient(self.hi, other.hi)
            return Interval(round_down(lo), round_up(hi), nan)
        ends = [_quotient(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Interval(round_down(min(ends)), round_up(max(ends)), nan)

    def abs(self) -> Interval:
        """Return |x|."""
        if self.lo >= 0.0:
            return self
        if self.hi <= 0.0:
            return self.neg()
        return Interval(0.0, max(-self.lo, self.hi), self.nan, self.integer)

    def square(self) -> Interval:
        """Return x * x."""
        base = self.abs()
        return Interval(
            round_down(base.lo * base.lo), round_up(base.hi * base.hi), self.nan, self.integer
        )

    def sqrt(self) -> Interval:
        """Return the square root; nan below 0."""
        base = self.above(0.0, strict=False)
        if base is None:
            return TOP
        nan = self.nan or self.lo < 0.0
        return Interval(round_down(math.sqrt(base.lo)), round_up(math.sqrt(base.hi)), nan)

    def reciprocal(self) -> Interval:
        """Return 1 / x."""
        return point(1.0).div(self)

    def pow(self, other: Interval) -> Interval:
        """Return x ** y; a negative base with an exponent that is no integer gives nan."""
        nan = self.nan or other.nan
        whole = other.integer or (other.is_point and other.lo.is_integer())
        parts: list[Interval] = []
        positive = self.above(0.0, strict=False)
        if positive is not None:
            parts.append(_power(positive, other))
        negative = self.below(-TINY, strict=False)
        if negative is not None:
            size = _power(negative.neg(), other)
            nan = nan or not whole
            if not other.is_point:
                parts.append(Interval(-size.hi, size.hi))
            elif not whole:
                if math.isinf(other.lo):  # infinities count as even
                    parts.append(size)
                elif self.lo == -INF:  # the power of -inf is that of inf, whatever the exponent
                    parts.append(_power(Interval(INF, INF), other))
            else:
                odd = math.isfinite(other.lo) and other.lo % 2.0 == 1.0
                parts.append(size.neg() if odd else size)
        if not parts:
            return TOP
        result = parts[0]
        for part in parts[1:]:
            result = result.join(part)
        if self.contains(0.0) and self.lo < 0.0 and other.lo < 0.0 and not other.is_point:
            result = Interval(-INF, INF)
        if self.contains(0.0) and self.lo < 0.0 and other.is_point and other.lo < 0.0:
            odd = other.lo.is_integer() and other.lo % 2.0 == 1.0
            result = Interval(-INF, INF) if odd else Interval(result.lo, INF)
        integer = self.integer and whole and other.lo >= 0.0
        return Interval(result.lo, result.hi, nan, integer)

    def minimum(self, other: Interval) -> Interval:
        """Return the lesser of x and y; nan wins."""
        return Interval(
            min(self.lo, other.lo),
            min(self.hi, other.hi),
            self.nan or other.nan,
            self.integer and other.integer,
        )

    def maximum(self, other: Interval) -> Interval:
        """Return the greater of x and y; nan wins."""
        return Interval(
            max(self.lo, other.lo),
            max(self.hi, other.hi),
            self.nan or other.nan,
            self.integer and other.integer,
        )

    def clip(self, low: Interval, high: Interval) -> Interval:
        """Return min(max(x, low), high), as ``tf.clip_by_value`` computes it."""
        return self.minimum(high).maximum(low).join(self.maximum(low).minimum(high))

    def rounded(self, function: Callable[[float], float]) -> Interval:
        """Return floor, ceil, trunc or round of x: `function` is monotone, for finite floats."""
        lo = self.lo if math.isinf(self.lo) else float(function(self.lo))
        hi = self.hi if math.isinf(self.hi) else float(function(self.hi))
        return Interval(lo + 0.0, hi + 0.0, self.nan, integer=True)

    @property
    def _infinite(self) -> bool:
        return self.lo == -INF or self.hi == INF


# ---- constructors and constants ----------------------------------------------------------


def point(value: float) -> Interval:
    """Return the interval of one Python number, folded into float32."""
    if math.isnan(value):
        return NAN
    number = point32(float(min(max(value, -1e39), 1e39)))
    return Interval(number, number, integer=math.isfinite(number) and number.is_integer())


def between(lo: float, hi: float, *, nan: bool = False, integer: bool = False) -> Interval | None:
    """Return [lo, hi], with ends moved inwards to whole numbers if `integer`; None if empty."""
    if integer:
        lo = lo if math.isinf(lo) else float(math.ceil(lo))
        hi = hi if math.isinf(hi) else float(math.floor(hi))
    if lo > hi:
        return None
    return Interval(lo, hi, nan, integer)


def hull(intervals: tuple[Interval, ...]) -> Interval:
    """Return the least interval that holds all of `intervals`; TOP if there are none."""
    if not intervals:
        return TOP
    result = intervals[0]
    for interval in intervals[1:]:
        result = result.join(interval)
    return result


TOP: Final = Interval(-INF, INF, nan=True)  # nothing is known
NAN: Final = TOP  # nan alone has no smaller interval around it
ANY: Final = Interval(-INF, INF)  # any number, infinities included
REAL: Final = Interval(-MAX, MAX)  # any finite number
PROBABILITY: Final = Interval(0.0, 1.0)
BOOL: Final = Interval(0.0, 1.0, integer=True)
ZERO: Final = Interval(0.0, 0.0, integer=True)
ONE: Final = Interval(1.0, 1.0, integer=True)
COUNT: Final = Interval(1.0, float(MAX_ELEMENTS), integer=True)  # sizes and numbers of elements
INDEX: Final = Interval(0.0, float(MAX_ELEMENTS), integer=True)


# ---- monotone functions ------------------------------------------------------------------


def monotone(
    function: Callable[[float], float],
    interval: Interval,
    *,
    widen_ulps: int = 8,
    clamp: tuple[float, float] = (-INF, INF),
    decreasing: bool = False,
    slack: float = 0.0,
) -> Interval:
    """Return the range of a monotone function.

    Args:
        function: float64 model of the op; takes the ends of `interval`, infinities included.
        interval: domain; ends outside the function's own domain must be cut off before.
        widen_ulps: error of TensorFlow's float32 kernels against `function`.
        clamp: range of the op in float32, which the widening does not leave.
        decreasing: the function falls.
        slack: absolute error of the kernels, where cancellation makes it more than ulps.
    """
    first, last = (interval.hi, interval.lo) if decreasing else (interval.lo, interval.hi)
    lo = widen_down(function(first) - slack, widen_ulps)
    hi = widen_up(function(last) + slack, widen_ulps)
    least, most = clamp
    return Interval(min(max(lo, least), most), max(min(hi, most), least), interval.nan)


def _pow(base: float, exponent: float) -> float:
    """Return base ** exponent for base >= 0, with IEEE limits instead of exceptions."""
    if base == 0.0 and exponent < 0.0:
        return INF
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return INF


def _power(base: Interval, exponent: Interval) -> Interval:
    """Return the power of a non-negative base: monotone in each argument, so corners bound it."""
    lo, hi = INF, -INF
    for b in (base.lo, base.hi):
        for e in (exponent.lo, exponent.hi):
            value = _pow(b, e)
            # pow(1, y), pow(x, 0), pow(x, 1) are exact, and so are the limits 0 and inf.
            exact = b in (0.0, 1.0) or e in (0.0, 1.0)
            lo = min(lo, widen_down(value, 0 if exact else 4))
            hi = max(hi, widen_up(value, 0 if exact else 4))
    # The result passes through 1 where the exponent passes through 0.
    if exponent.contains(0.0):
        lo, hi = min(lo, 1.0), max(hi, 1.0)
    return Interval(max(lo, 0.0), hi)
