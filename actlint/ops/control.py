"""Rows: what leaves the gradient's way, random ops, assertions, Keras constants."""

from __future__ import annotations

import math
from typing import Final

from actlint.graph import Items
from actlint.interval import BOOL, INDEX, INF, MAX, PROBABILITY, TINY, TOP, Interval, point
from actlint.ops.build import constant, number, operand, row, same
from actlint.ops.model import Bound, Gradient, Kind, Op

_NONE: Final = Gradient.NONE
_OTHER: Final = Kind.OTHER
_MOVES: Final = Kind.STRUCTURAL
_SHAPE: Final = {"shape": Items((3, 3))}
_SIZE: Final = {"size": Items((3, 3))}
_SEEDED: Final = {**_SHAPE, "seed": Items((1, 2))}


def _uniform(bound: Bound) -> Interval:
    lo, hi = number(bound, "minval", 0.0), number(bound, "maxval", 1.0)
    if lo is None or hi is None:
        return TOP
    return Interval(point(min(lo, hi)).lo, point(max(lo, hi)).hi)


def _normal(bound: Bound) -> Interval:
    """Box-Muller on 24-bit uniforms: no variate is further out than sqrt(2 * 24 log 2) < 6."""
    mean, width = number(bound, "mean", 0.0), number(bound, "stddev", 1.0)
    if mean is None or width is None:
        return TOP
    return Interval(point(mean - 8.0 * abs(width)).lo, point(mean + 8.0 * abs(width)).hi)


def _numpy_uniform(bound: Bound) -> Interval:
    lo, hi = number(bound, "low", 0.0), number(bound, "high", 1.0)
    if lo is None or hi is None:
        return TOP
    return Interval(point(min(lo, hi)).lo, point(max(lo, hi)).hi)


def _numpy_normal(bound: Bound) -> Interval:
    """In float64, no variate of 53 bits is further out than sqrt(2 * 53 log 2) < 9."""
    mean, width = number(bound, "loc", 0.0), number(bound, "scale", 1.0)
    if mean is None or width is None:
        return TOP
    return Interval(point(mean - 9.0 * abs(width)).lo, point(mean + 9.0 * abs(width)).hi)


def _truncated_normal(bound: Bound) -> Interval:
    mean, width = number(bound, "mean", 0.0), number(bound, "stddev", 1.0)
    if mean is None or width is None:
        return TOP
    return Interval(point(mean - 2.001 * abs(width)).lo, point(mean + 2.001 * abs(width)).hi)


def _dropout(bound: Bound) -> Interval:
    x = operand(bound, "x")
    rate = number(bound, "rate", 0.5)
    if rate is None or not 0.0 <= rate < 1.0:
        return Interval(-INF, INF, x.nan)
    scale = 1.0 / (1.0 - rate)
    lo, hi = min(x.lo * scale, 0.0), max(x.hi * scale, 0.0)
    return Interval(point(lo * 1.000001).lo, point(hi * 1.000001).hi, x.nan)


def _bernoulli(bound: Bound) -> Interval:
    del bound
    return BOOL


def _within_range(bound: Bound) -> Interval:
    value = operand(bound, "input")
    return Interval(max(value.lo, -MAX), min(value.hi, MAX))


def _truncated(x: Interval) -> Interval:
    return x.rounded(math.trunc)


_RANDOM: Final = "shape mean stddev dtype seed name"

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    # What a metric object returns comes out of its variables: no gradient leads into them.
    row("metric_result", "tf.stop_gradient", "input", "", same, gradient=Gradient.NONE,
        kind=_MOVES),
    row("stop_gradient", "tf.stop_gradient", "input name", "tf,K,ops:stop_gradient", same,
        renamed="x=input variables=input variable=input", gradient=_NONE, kind=_MOVES),
    # What a tf.custom_gradient function returns: its value, and what it says its gradient is.
    row("custom_gradient", "tf.identity", "input x upstream gradients optional name", "", same,
        kind=_MOVES, ignored="x upstream gradients optional"),
    # A call of such a function within another: the value, through which no gradient goes, and the
    # arguments, which get the cotangents that the function says. Its author sees to its range.
    row("with_gradient", "tf.identity", "input x upstream gradients name", "",
        bound=_within_range, operands="input x", passive="input", kind=_MOVES,
        ignored="x upstream gradients name"),
    # What a variable gives that this very pass has put there.
    row("variable_read", "tf.Variable", "initial_value name", "", same, gradient=_NONE,
        kind=_MOVES),
    # ---- out of TensorFlow
    row("numpy_value", "np.asarray", "x", "method:numpy ops:convert_to_numpy K:get_value,eval",
        same, gradient=_NONE, kind=_MOVES),
    row("py_float", "np.float32", "x", "method:item", same, gradient=_NONE, kind=_MOVES,
        examples={"x": 1.5}),
    row("py_int", "np.int64", "x", "", _truncated, gradient=_NONE, kind=_MOVES, jumps=True,
        examples={"x": 2}),
    row("py_bool", "np.bool_", "x", "", constant(BOOL), gradient=_NONE, kind=_OTHER, jumps=True,
        examples={"x": 1.0}),
    row("py_function", "tf.py_function", "func inp Tout name", "tf:py_function",
        constant(TOP), operands="inp", gradient=Gradient.ZERO, kind=_OTHER, runs=False),
    row("numpy_function", "tf.numpy_function", "func inp Tout stateful name",
        "tf:numpy_function", constant(TOP), operands="inp", gradient=_NONE, kind=_OTHER,
        runs=False),
    row("py_func", "tf.compat.v1.py_func", "func inp Tout stateful name", "tf:py_func",
        constant(TOP), operands="inp", gradient=_NONE, kind=_OTHER, runs=False),
    # ---- constants of Keras
    row("epsilon", "tf.keras.backend.epsilon", "", "K,config:epsilon", constant(point(1e-7)),
        operands="", gradient=_NONE, kind=_OTHER),
    # ---- random
    row("random_normal", "tf.random.normal", _RANDOM,
        "random:normal tf,K:random_normal kr:normal", bound=_normal, operands="mean stddev",
        kind=_OTHER, examples=_SHAPE, draws=True),
    row("truncated_normal", "tf.random.truncated_normal", _RANDOM,
        "random,tf,K:truncated_normal kr:truncated_normal", bound=_truncated_normal,
        operands="mean stddev", kind=_OTHER, examples=_SHAPE, draws=True),
    row("random_uniform", "tf.random.uniform", "shape minval maxval dtype seed name",
        "random:uniform tf,K:random_uniform kr:uniform", bound=_uniform, operands="minval maxval",
        kind=_OTHER, examples=_SHAPE, draws=True),
    row("random_stateless_normal", "tf.random.stateless_normal",
        "shape seed mean stddev dtype name", "random:stateless_normal", bound=_normal,
        operands="mean stddev", kind=_OTHER, examples=_SEEDED, draws=True),
    row("random_stateless_uniform", "tf.random.stateless_uniform",
        "shape seed minval maxval dtype name", "random:stateless_uniform", bound=_uniform,
        operands="minval maxval", kind=_OTHER, examples=_SEEDED, draws=True),
    # Differentiated implicitly, so that its parameters do get a gradient. TensorFlow raises what
    # underflows to the least normal number (tensorflow/python/ops/random_ops.py, random_gamma).
    row("random_gamma", "tf.random.gamma", "shape alpha beta dtype seed name",
        "random:gamma kr:gamma", constant(Interval(TINY, INF, nan=True)), operands="alpha beta",
        kind=_OTHER, examples=_SHAPE, draws=True),
    row("random_poisson", "tf.random.poisson", "shape lam dtype seed name", "random:poisson",
        constant(TOP), operands="lam", gradient=_NONE, kind=_OTHER, jumps=True, examples=_SHAPE,
        draws=True),
    row("random_binomial", "tf.keras.random.binomial", "shape counts probabilities dtype seed",
        "kr:binomial", constant(TOP), operands="counts probabilities", gradient=_NONE,
        kind=_OTHER, jumps=True, examples=_SHAPE, draws=True),
    row("random_bernoulli", "tf.keras.backend.random_bernoulli", "shape p dtype seed",
        "K:random_bernoulli,random_binomial", bound=_bernoulli, operands="p", gradient=_NONE,
        kind=_OTHER, jumps=True, examples=_SHAPE, draws=True),
    row("random_categorical", "tf.random.categorical", "logits num_samples dtype seed name",
        "random:categorical tf:multinomial kr:categorical", constant(INDEX), gradient=_NONE,
        kind=_OTHER, jumps=True, examples={"num_samples": 2}),
    row("random_stateless_categorical", "tf.random.stateless_categorical",
        "logits num_samples seed dtype name", "random:stateless_categorical", constant(INDEX),
        gradient=_NONE, kind=_OTHER, jumps=True,
        examples={"num_samples": 2, "seed": Items((1, 2))}),
    row("random_shuffle", "tf.random.shuffle", "value seed name",
        "random:shuffle tf:random_shuffle", same, gradient=_NONE, kind=_MOVES),
    row("dropout", "tf.nn.dropout", "x rate noise_shape seed name", "nn:dropout",
        bound=_dropout, renamed="level=rate", kind=Kind.ELEMENTWISE, examples={"rate": 0.5}),
    row("keras_dropout", "tf.keras.backend.dropout", "x level noise_shape seed", "K:dropout",
        bound=_dropout, renamed="rate=level", kind=Kind.ELEMENTWISE, examples={"level": 0.5}),
    # ---- random numbers of NumPy: TensorFlow takes them for constants
    row("np_random_normal", "np.random.normal", "loc scale size", "np:random.normal",
        bound=_numpy_normal, operands="loc scale", gradient=_NONE, kind=_OTHER, examples=_SIZE,
        draws=True),
    row("np_random_uniform", "np.random.uniform", "low high size", "np:random.uniform",
        bound=_numpy_uniform, operands="low high", gradient=_NONE, kind=_OTHER, examples=_SIZE,
        draws=True),
    row("np_random_sample", "np.random.random_sample", "size",
        "np:random.random,random.random_sample", constant(PROBABILITY), operands="",
        gradient=_NONE, kind=_OTHER, examples=_SIZE, draws=True),
    row("np_random_rand", "np.random.rand", "size", "np:random.rand",
        constant(PROBABILITY), operands="", variadic="size", gradient=_NONE, kind=_OTHER,
        examples=_SIZE, draws=True),
    row("np_random_randn", "np.random.randn", "size", "np:random.randn",
        bound=_numpy_normal, operands="", variadic="size", gradient=_NONE, kind=_OTHER,
        examples=_SIZE, draws=True),
    # ---- assertions and printing
    row("check_numerics", "tf.debugging.check_numerics", "tensor message name",
        "debugging,tf:check_numerics", lambda x: Interval(x.lo, x.hi), kind=_MOVES,
        examples={"message": "finite"}),
    row("print_identity", "tf.identity", "input data message first_n summarize name",
        "tf:Print K:print_tensor", same, renamed="x=input input_=input", kind=_MOVES,
        ignored="data message first_n summarize"),
)
# fmt: on
