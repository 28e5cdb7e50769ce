"""Helpers with which the families write their rows: one short call per op."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import INF, TOP, Interval, hull, point
from actlint.ops.model import (
    Bound,
    Cause,
    Effect,
    Gradient,
    Kind,
    Op,
    Region,
    Regions,
    Transfer,
    Trend,
)

PREFIXES: Final = {
    "tf": "tf",
    "dtypes": "tf.dtypes",
    "math": "tf.math",
    "nn": "tf.nn",
    "linalg": "tf.linalg",
    "random": "tf.random",
    "kr": "keras.random",
    "strings": "tf.strings",
    "sets": "tf.sets",
    "K": "K",
    "ops": "ops",
    "np": "np",
    "act": "activations",
    "loss": "losses",
    "reg": "regularizers",
    "layers": "layers",
    "v1losses": "tf.compat.v1.losses",
    "tflosses": "tf.losses",
    "method": "method",
    "debugging": "tf.debugging",
    "quantization": "tf.quantization",
    "config": "config",
    "image": "tf.image",
    "utils": "utils",
}

POLE: Final = Effect.POLE
CUSP: Final = Effect.CUSP

# Region of the first operand: (lo, hi, effect, cause).
Spot = tuple[float, float, Effect, Cause]


def apis(spec: str) -> tuple[str, ...]:
    """Return the API names of a spec such as ``"tf,math,K:log ops:log,ln"``."""
    found: list[str] = []
    for group in spec.split():
        prefixes, _, names = group.partition(":")
        for prefix in prefixes.split(","):
            found += [f"{PREFIXES[prefix]}.{name}" for name in names.split(",")]
    return tuple(found)


def operand(bound: Bound, name: str, default: float | None = None) -> Interval:
    """Return the interval of an operand that may be a tensor or a plain number."""
    interval = bound.intervals.get(name)
    if interval is not None:
        return interval
    value = bound.statics.get(name)
    if isinstance(value, bool | int | float):
        return point(float(value))
    items = bound.items.get(name)
    if items:
        return hull(items)
    if isinstance(value, Items):
        return hull(tuple(_static(item) for item in value.items))
    return TOP if default is None else point(default)


def _static(value: Arg) -> Interval:
    if isinstance(value, Items):
        return hull(tuple(_static(item) for item in value.items))
    return point(float(value)) if isinstance(value, bool | int | float) else TOP


def number(bound: Bound, name: str, default: float) -> float | None:
    """Return a plain number given as parameter `name`; None if it is given but not known."""
    value = bound.statics.get(name)
    if isinstance(value, bool | int | float):
        return float(value)
    interval = bound.intervals.get(name)
    if interval is not None:
        return interval.lo if interval.is_point else None
    return default if value is None else None


def row(
    key: str,
    call: str,
    params: str,
    names: str,
    transfer: Callable[..., Interval] | None = None,
    *,
    operands: str | None = None,
    renamed: str = "",
    bound: Transfer | None = None,
    regions: tuple[Spot, ...] | Regions = (),
    gradient: Gradient = Gradient.FLOWS,
    passive: str = "",
    trend: Trend = Trend.NONE,
    kinks: tuple[float, ...] = (),
    flats: tuple[tuple[float, float], ...] = (),
    symbol: str = "",
    jumps: bool = False,
    kind: Kind = Kind.ELEMENTWISE,
    modes_differ: bool = False,
    examples: Mapping[str, Arg] | None = None,
    gradients: Callable[[Bound], Gradient] | None = None,
    results: str = "",
    fields: str = "",
    component: int | None = None,
    variadic: str = "",
    ignored: str = "",
    ranks: Mapping[str, int] | None = None,
    runs: bool = True,
    draws: bool = False,
) -> Op:
    """Build one row from compact notation.

    Args:
        key: see Op, as for all that is not named here.
        call: see Op.
        params: parameter names, separated by blanks.
        names: API names as `apis` reads them.
        transfer: function of the operands' intervals, in order of `operands`.
        operands: names, separated by blanks; the first parameter unless given.
        renamed: pairs ``old=new`` separated by blanks.
        bound: transfer function of the whole Bound, instead of `transfer`.
        regions: spots of the first operand, or a function of the Bound.
        gradient: see Op.
        passive: names, separated by blanks.
        trend: see Op.
        kinks: see Op.
        flats: see Op.
        symbol: see Op.
        jumps: see Op.
        kind: see Op.
        modes_differ: see Op.
        examples: see Op.
        gradients: see Op.
        results: keys, separated by blanks.
        fields: names, separated by blanks.
        component: see Op.
        variadic: see Op.
        ignored: names besides ``name``, separated by blanks.
        ranks: least rank by operand.
        runs: see Op.
        draws: see Op.
    """
    parameters = tuple(params.split())
    tensors = parameters[:1] if operands is None else tuple(operands.split())
    whole = bound
    if transfer is not None:
        function = transfer

        def whole(given: Bound) -> Interval:
            return function(*[operand(given, name) for name in tensors])

    return Op(
        key=key,
        call=call,
        params=parameters,
        names=apis(names),
        operands=tensors,
        renamed=dict(split_pair(pair) for pair in renamed.split()) or None,
        symbol=symbol,
        transfer=whole,
        regions=regions
        if callable(regions)
        else tuple(Region(tensors[0], *spot) for spot in regions),
        gradient=gradient,
        passive=tuple(passive.split()),
        trend=trend,
        kinks=kinks,
        flats=flats,
        jumps=jumps,
        kind=kind,
        modes_differ=modes_differ,
        examples=tuple((examples or {}).items()),
        gradients=gradients,
        results=tuple(results.split()),
        fields=tuple(fields.split()),
        component=component,
        variadic=variadic,
        ignored=("name", *ignored.split()),
        ranks=tuple((ranks or {}).items()),
        runs=runs,
        draws=draws,
    )


def split_pair(text: str) -> tuple[str, str]:
    """Split ``old=new``."""
    old, _, new = text.partition("=")
    return old, new


# ---- float64 models of functions, total on the extended line ------------------------------


def total(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return `function` with overflow as infinity (every such function here grows upwards)."""

    def safe(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return INF

    return safe


exp: Final = total(math.exp)


def sigmoid(x: float) -> float:
    """Return the logistic function in float64."""
    return 1.0 / (1.0 + exp(-x)) if x >= 0.0 else exp(x) / (1.0 + exp(x))


def softplus(x: float) -> float:
    """Return log(1 + exp(x)) in float64."""
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(exp(x))


def ranged(lo: float, hi: float, *, partial: bool = False) -> Callable[..., Interval]:
    """Return a transfer that knows the op's range only.

    The result can be nan if an operand can be nan or infinite, or the op is not defined
    everywhere (`partial`).
    """

    def transfer(*operands: Interval) -> Interval:
        return Interval(lo, hi, partial or not all(x.is_finite for x in operands))

    return transfer


# Sums of products of operands below this stay finite, whatever the number of elements.
_TAME: Final = 1e12


def tame(*operands: Interval) -> bool:
    """Say whether all operands are small enough for sums of their products to stay finite."""
    return all(x.within(-_TAME, _TAME) for x in operands)


def constant(interval: Interval) -> Callable[..., Interval]:
    """Return a transfer that ignores its operands."""
    return lambda *_: interval


def same(x: Interval, *_: Interval) -> Interval:
    """Return the first operand's interval: nothing is computed."""
    return x


def united(*operands: Interval) -> Interval:
    """Return the hull of the operands: elements are moved, not changed."""
    return hull(operands)
