"""Rows: the built-in activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from actlint.interval import INF, MAX, MAX_ELEMENTS, Interval, monotone, round_down, widen_down
from actlint.ops.build import number, operand, row, sigmoid, softplus
from actlint.ops.model import Bound, Kind, Op, Transfer, Trend

SELU_SCALE: Final = 1.0507009873554805  # Klambauer et al. 2017, table of constants
SELU_ALPHA: Final = 1.6732632423543772

# Where sigmoid's float32 derivative s * (1 - s) is exactly 0: measured on TensorFlow 2.21 (CPU).
SIGMOID_FLAT: Final = ((-MAX, -89.0), (17.5, MAX))
TANH_FLAT: Final = ((-MAX, -9.5), (9.5, MAX))

_UP: Final = Trend.INCREASING
_OTHER: Final = Kind.OTHER
_EXPM1_SLACK: Final = 5e-7  # eager elu and selu compute exp(x) - 1


def _sigmoid(x: Interval) -> Interval:
    return monotone(sigmoid, x, clamp=(0.0, 1.0))


def _tanh(x: Interval) -> Interval:
    return monotone(math.tanh, x, clamp=(-1.0, 1.0))


def _softplus(x: Interval) -> Interval:
    return monotone(softplus, x, clamp=(0.0, INF))


def _log_sigmoid(x: Interval) -> Interval:
    return monotone(lambda v: -softplus(-v), x, clamp=(-INF, 0.0))


def _softmax(x: Interval) -> Interval:
    """Return probabilities: at least exp(lo - hi) / n, and 1 for a single class."""
    gap = x.hi - x.lo
    nan = x.nan or not x.is_finite
    if x.nan or not gap < 200.0:  # beside a nan the kernel gives 0
        return Interval(0.0, 1.0, nan)
    return Interval(round_down(math.exp(-gap) / MAX_ELEMENTS), 1.0, nan)


def _log_softmax(x: Interval) -> Interval:
    gap = x.hi - x.lo
    nan = x.nan or not x.is_finite
    if math.isnan(gap) or math.isinf(gap):
        return Interval(-INF, 0.0, nan)
    return Interval(widen_down(-gap - math.log(MAX_ELEMENTS) - 1.0, 8), 0.0, nan)


def _clipped(lo: float, hi: float) -> Callable[[Interval], Interval]:
    bounds = Interval(lo, lo), Interval(hi, hi)
    return lambda x: x.clip(*bounds)


def _relu(x: Interval) -> Interval:
    return x.maximum(Interval(0.0, 0.0, integer=True))


def _hull_of(x: Interval, function: Callable[[float], float], *turns: float) -> Interval:
    """Return the range of a function that is monotone between its turning points."""
    points = [x.lo, x.hi, *(turn for turn in turns if x.lo < turn < x.hi)]
    values = [monotone(function, Interval(p, p), slack=_EXPM1_SLACK) for p in points]
    return Interval(min(v.lo for v in values), max(v.hi for v in values), x.nan)


def _leaky(name: str, default: float) -> Transfer:
    def transfer(bound: Bound) -> Interval:
        x, slope = operand(bound, bound_name(bound)), number(bound, name, default)
        if slope is None or slope < 0.0:
            return Interval(-INF, INF, x.nan)
        return monotone(lambda v: v if v > 0.0 else slope * v if slope else 0.0, x)

    return transfer


def bound_name(bound: Bound) -> str:
    """Return the name under which an activation's argument is bound."""
    return "features" if "features" in bound.intervals else "x"


def _keras_relu(bound: Bound) -> Interval:
    x = operand(bound, "x")
    slope = number(bound, "negative_slope", 0.0)
    threshold = number(bound, "threshold", 0.0)
    if slope is None or threshold is None:
        return Interval(-INF, INF, x.nan)
    ceiling = bound.statics.get("max_value")
    top = float(ceiling) if isinstance(ceiling, int | float) else INF
    lo = 0.0 if slope == 0.0 else slope * (x.lo - threshold)
    hi = max(min(x.hi, top), 0.0)
    if slope < 0.0 or threshold != 0.0:
        return Interval(-INF if slope else min(0.0, threshold), INF, x.nan)
    return Interval(round_down(min(lo, hi) if x.lo < 0.0 else max(min(x.lo, top), 0.0)), hi, x.nan)


def _elu64(alpha: float) -> Callable[[float], float]:
    return lambda v: v if v > 0.0 else alpha * math.expm1(v)


def _elu(bound: Bound) -> Interval:
    x, alpha = operand(bound, bound_name(bound)), number(bound, "alpha", 1.0)
    if alpha is None or alpha < 0.0:
        return Interval(-INF, INF, x.nan)
    return monotone(_elu64(alpha), x, slack=_EXPM1_SLACK, clamp=(-alpha, INF))


def _celu(bound: Bound) -> Interval:
    x, alpha = operand(bound, "x"), number(bound, "alpha", 1.0)
    if alpha is None or alpha <= 0.0:
        return Interval(-INF, INF, x.nan)
    return monotone(
        lambda v: v if v > 0.0 else alpha * math.expm1(v / alpha), x, slack=_EXPM1_SLACK
    )


def _selu64(v: float) -> float:
    return SELU_SCALE * (v if v > 0.0 else SELU_ALPHA * math.expm1(v))


def _selu(x: Interval) -> Interval:
    return monotone(_selu64, x, slack=2.0 * _EXPM1_SLACK)


def _times_sigmoid(v: float) -> float:
    return 0.0 if v == -INF else v * sigmoid(v)


def _gelu64(v: float) -> float:
    if math.isinf(v):
        return 0.0 if v < 0.0 else v
    return 0.5 * v * math.erfc(-v / math.sqrt(2.0))


def _mish64(v: float) -> float:
    return 0.0 if v == -INF else v * math.tanh(softplus(v))


def _smooth(
    function: Callable[[float], float], turn: float, slack: float
) -> Callable[[Interval], Interval]:
    """Return the transfer of an activation that falls to its minimum at `turn`, then rises."""

    def transfer(x: Interval) -> Interval:
        result = _hull_of(x, function, turn)
        # x * 0 with x = -inf is nan in the kernels.
        return Interval(result.lo - slack, result.hi + slack, x.nan or x.lo == -INF)

    return transfer


_swish: Final = _smooth(_times_sigmoid, -1.2784645, 1e-6)
_gelu: Final = _smooth(_gelu64, -0.7517916, 1e-3)  # room for the tanh approximation
_mish: Final = _smooth(_mish64, -1.1924, 1e-6)


def _swish_beta(bound: Bound) -> Interval:
    x = operand(bound, "features")
    if number(bound, "beta", 1.0) == 1.0:
        return _swish(x)
    return Interval(-INF, max(x.hi, 0.0), nan=True)


def _hard_swish(x: Interval) -> Interval:
    def value(v: float) -> float:
        return 0.0 if v <= -3.0 else v if v >= 3.0 else v * (v + 3.0) / 6.0

    return Interval(*_ends(_hull_of(x, value, -3.0, -1.5)), x.nan or x.lo == -INF)


def _ends(x: Interval) -> tuple[float, float]:
    return x.lo, x.hi


def _softsign(x: Interval) -> Interval:
    def value(v: float) -> float:
        return math.copysign(1.0, v) if math.isinf(v) else v / (1.0 + abs(v))

    return Interval(
        *_ends(monotone(value, x, clamp=(-1.0, 1.0))), x.nan or x.lo == -INF or x.hi == INF
    )


def _tanh_shrink(x: Interval) -> Interval:
    return monotone(lambda v: v if math.isinf(v) else v - math.tanh(v), x, slack=5e-7)


def _shrink(bound: Bound) -> Interval:
    x = operand(bound, "x")
    return Interval(min(x.lo, 0.0), max(x.hi, 0.0), x.nan)


def _squareplus(bound: Bound) -> Interval:
    x, b = operand(bound, "x"), number(bound, "b", 4.0)
    return Interval(0.0, INF, not x.is_finite or b is None or b < 0.0)


def _threshold(bound: Bound) -> Interval:
    return operand(bound, "x").join(operand(bound, "default_value"))


def _sparse_plus(x: Interval) -> Interval:
    def value(v: float) -> float:
        return 0.0 if v <= -1.0 else v if v >= 1.0 else 0.25 * (v + 1.0) ** 2

    return monotone(value, x, clamp=(0.0, INF))


def _glu(x: Interval) -> Interval:
    return Interval(min(x.lo, 0.0), max(x.hi, 0.0), x.nan or not x.is_finite)


def _sparsemax(x: Interval) -> Interval:
    """Keras 3.15 exceeds 1 for logits that are all negative, so 1 is no bound here."""
    return Interval(0.0, INF, not x.is_finite)


def _crelu(x: Interval) -> Interval:
    return Interval(0.0, x.abs().hi, x.nan)


# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("sigmoid", "tf.sigmoid", "x name", "tf,math,nn,K,ops,act:sigmoid", _sigmoid, trend=_UP,
        flats=SIGMOID_FLAT),
    row("tanh", "tf.tanh", "x name", "tf,math,nn,K,ops,act:tanh", _tanh, trend=_UP,
        flats=TANH_FLAT),
    row("softmax", "tf.nn.softmax", "logits axis name", "nn,math,K,ops,act:softmax", _softmax,
        renamed="x=logits dim=axis", kind=_OTHER, modes_differ=True),
    row("log_softmax", "tf.nn.log_softmax", "logits axis name", "nn,math,ops,act:log_softmax",
        _log_softmax, renamed="x=logits dim=axis", kind=_OTHER),
    row("sparsemax", "tf.keras.ops.sparsemax", "x axis", "ops,act:sparsemax", _sparsemax,
        kind=_OTHER),
    row("softplus", "tf.nn.softplus", "features name", "nn,math,K,ops,act:softplus", _softplus,
        renamed="x=features", trend=_UP),
    row("log_sigmoid", "tf.math.log_sigmoid", "x name", "math,ops,act:log_sigmoid "
        "tf:log_sigmoid", _log_sigmoid, trend=_UP),
    row("softsign", "tf.nn.softsign", "features name", "nn,math,K,ops,act:softsign", _softsign,
        renamed="x=features", trend=_UP),
    # ---- relu family
    row("relu", "tf.nn.relu", "features name", "nn,ops:relu", _relu, renamed="x=features",
        trend=_UP, kinks=(0.0,), flats=((-MAX, 0.0),)),
    row("keras_relu", "tf.keras.activations.relu", "x negative_slope max_value threshold",
        "K,act:relu", bound=_keras_relu, renamed="alpha=negative_slope", trend=_UP,
        kinks=(0.0,)),
    row("relu6", "tf.nn.relu6", "features name", "nn,ops,act:relu6", _clipped(0.0, 6.0),
        renamed="x=features", trend=_UP, kinks=(0.0, 6.0), flats=((-MAX, 0.0), (6.0, MAX))),
    row("leaky_relu", "tf.nn.leaky_relu", "features alpha name", "nn,ops,act:leaky_relu",
        bound=_leaky("alpha", 0.2), renamed="x=features negative_slope=alpha", trend=_UP,
        kinks=(0.0,)),
    row("crelu", "tf.nn.crelu", "features axis name", "nn:crelu", _crelu,
        kind=_OTHER),
    row("threshold", "tf.keras.ops.threshold", "x threshold default_value", "ops,act:threshold",
        bound=_threshold, jumps=True, examples={"threshold": 0.5, "default_value": 0.0}),
    # ---- exponential units
    row("elu", "tf.nn.elu", "features name", "nn:elu", bound=_elu, trend=_UP),
    row("keras_elu", "tf.keras.activations.elu", "x alpha", "K,ops,act:elu", bound=_elu,
        trend=_UP),
    row("celu", "tf.keras.ops.celu", "x alpha", "ops,act:celu", bound=_celu, trend=_UP),
    row("selu", "tf.nn.selu", "features name", "nn,ops,act:selu", _selu, renamed="x=features",
        trend=_UP),
    # ---- smooth units that dip once
    row("silu", "tf.nn.silu", "features beta", "nn:silu,swish", bound=_swish_beta),
    row("keras_silu", "tf.keras.activations.silu", "x", "ops,act:silu,swish", _swish),
    row("gelu", "tf.nn.gelu", "features approximate name", "nn:gelu", _gelu),
    row("keras_gelu", "tf.keras.activations.gelu", "x approximate", "act:gelu", _gelu),
    # keras.ops approximates by default, keras.activations and tf.nn do not.
    row("ops_gelu", "tf.keras.ops.gelu", "x approximate", "ops:gelu", _gelu),
    row("mish", "tf.keras.activations.mish", "x", "act:mish", _mish),
    # ---- piecewise
    row("hard_sigmoid", "tf.keras.activations.hard_sigmoid", "x", "K,ops,act:hard_sigmoid",
        lambda x: _clipped(0.0, 1.0)(_hull_of(x, lambda v: v / 6.0 + 0.5)), trend=_UP,
        kinks=(-3.0, 3.0), flats=((-MAX, -3.0), (3.0, MAX))),
    row("hard_silu", "tf.keras.activations.hard_silu", "x",
        "ops,act:hard_silu,hard_swish", _hard_swish, kinks=(-3.0, 3.0), flats=((-MAX, -3.0),)),
    row("hard_tanh", "tf.keras.activations.hard_tanh", "x", "ops,act:hard_tanh",
        _clipped(-1.0, 1.0), trend=_UP, kinks=(-1.0, 1.0)),
    row("hard_shrink", "tf.keras.activations.hard_shrink", "x threshold", "ops,act:hard_shrink",
        bound=_shrink, trend=_UP, jumps=True),
    row("soft_shrink", "tf.keras.activations.soft_shrink", "x threshold", "ops,act:soft_shrink",
        bound=_shrink, trend=_UP, kinks=(-0.5, 0.5)),
    row("tanh_shrink", "tf.keras.activations.tanh_shrink", "x", "ops,act:tanh_shrink",
        _tanh_shrink),
    row("squareplus", "tf.keras.activations.squareplus", "x b", "ops,act:squareplus",
        bound=_squareplus, trend=_UP),
    row("sparse_plus", "tf.keras.activations.sparse_plus", "x", "ops,act:sparse_plus",
        _sparse_plus, trend=_UP),
    row("sparse_sigmoid", "tf.keras.activations.sparse_sigmoid", "x",
        "ops,act:sparse_sigmoid", lambda x: _clipped(0.0, 1.0)(
            _hull_of(x, lambda v: 0.5 * v + 0.5)), trend=_UP, kinks=(-1.0, 1.0)),
    row("glu", "tf.keras.activations.glu", "x axis", "ops,act:glu", _glu, kind=_OTHER),
)
# fmt: on
