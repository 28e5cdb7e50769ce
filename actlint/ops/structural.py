"""Rows: ops that move, make or describe tensors and compute nothing."""

from __future__ import annotations

import math
from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import COUNT, INDEX, ONE, ZERO, Interval, hull, point, widen_down, widen_up
from actlint.ops.build import constant, number, operand, row, same, united
from actlint.ops.model import Bound, Gradient, Kind, Op, Transfer

_NONE: Final = Gradient.NONE
_MOVES: Final = Kind.STRUCTURAL
_OTHER: Final = Kind.OTHER


def _items(name: str) -> Transfer:
    """Return the transfer of an op that joins a list of operands."""

    def transfer(bound: Bound) -> Interval:
        items = bound.items.get(name)
        return hull(items) if items else operand(bound, name)

    return transfer


def _pad(bound: Bound) -> Interval:
    x = operand(bound, "tensor")
    mode = bound.statics.get("mode")
    if isinstance(mode, str) and mode.upper() != "CONSTANT":
        return x
    return x.join(operand(bound, "constant_values", 0.0))


def _keras_pad(bound: Bound) -> Interval:
    x = operand(bound, "x")
    mode = bound.statics.get("mode")
    if isinstance(mode, str) and mode != "constant":
        return x
    return x.join(operand(bound, "constant_values", 0.0))


def _given(name: str) -> Transfer:
    def transfer(bound: Bound) -> Interval:
        return operand(bound, name)

    return transfer


def _whole(start: Interval, stop: Interval) -> Interval:
    both = start.join(stop)
    return Interval(
        both.lo if math.isinf(both.lo) else float(math.floor(both.lo)),
        both.hi if math.isinf(both.hi) else float(math.ceil(both.hi)),
        integer=True,
    )


def _range(bound: Bound) -> Interval:
    """Return the members of start, start + delta, … below limit."""
    start, limit = operand(bound, "start"), operand(bound, "limit")
    if bound.statics.get("limit") is None and "limit" not in bound.intervals:
        start, limit = ZERO, start
    delta = number(bound, "delta", 1.0)
    if start.integer and delta is not None and delta.is_integer():
        return _whole(start, limit)
    return start.join(limit)


def _numpy_range(bound: Bound) -> Interval:
    """Return the members that NumPy computes: ``ceil((stop - start) / step)`` of them."""
    start, stop = operand(bound, "start"), operand(bound, "stop", math.nan)
    if bound.statics.get("stop") is None and "stop" not in bound.intervals:
        start, stop = ZERO, start
    step = number(bound, "step", 1.0)
    if start.integer and step is not None and step.is_integer():
        return _whole(start, stop)
    if not (start.is_point and stop.is_point and step):
        return start.join(stop)
    last = start.lo + max(math.ceil((stop.lo - start.lo) / step) - 1, 0) * step
    return _in_float64(start.join(point(last)))


def _in_float64(x: Interval) -> Interval:
    """Return an interval that NumPy's rounding to float64 does not leave."""
    return Interval(math.nextafter(x.lo, -math.inf), math.nextafter(x.hi, math.inf), x.nan)


def _interpolated(bound: Bound) -> Interval:
    """Return the numbers between two of the values, and what stands beyond them."""
    values = operand(bound, "fp")
    given = [name for name in ("left", "right") if bound.statics.get(name) is not None]
    given += [name for name in ("left", "right") if name in bound.intervals]
    return _in_float64(hull((values, *(operand(bound, name) for name in given))))


def _linspace(start: Interval, stop: Interval) -> Interval:
    both = start.join(stop)
    return Interval(widen_down(both.lo, 4), widen_up(both.hi, 4), not both.is_finite)


def _diff(x: Interval) -> Interval:
    return x.sub(x)


_UNIT: Final = Interval(0.0, 1.0, integer=True)
_SHAPE: Final[dict[str, Arg]] = {"shape": Items((3, 3))}
_RENAMED_INPUT: Final = "x=input"

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    # ---- shape changes
    row("reshape", "tf.reshape", "tensor shape name", "tf,K,ops:reshape method:reshape", same,
        renamed="x=tensor newshape=shape target_shape=shape", kind=_MOVES,
        examples={"shape": Items((-1,))}),
    row("flatten", "tf.keras.backend.flatten", "x", "K:flatten ops:ravel", same, kind=_MOVES),
    row("batch_flatten", "tf.keras.backend.batch_flatten", "x", "K:batch_flatten", same,
        kind=_MOVES),
    row("expand_dims", "tf.expand_dims", "input axis name", "tf,ops:expand_dims", same,
        renamed="x=input dim=axis", kind=_MOVES, examples={"axis": 1}),
    row("keras_expand_dims", "tf.keras.backend.expand_dims", "x axis", "K:expand_dims", same,
        kind=_MOVES),
    row("squeeze", "tf.squeeze", "input axis name", "tf,K,ops:squeeze", same,
        renamed="x=input squeeze_dims=axis", kind=_MOVES),
    row("transpose", "tf.transpose", "a perm conjugate name", "tf,ops,K:transpose linalg:"
        "matrix_transpose K:permute_dimensions", same,
        renamed="x=a axes=perm pattern=perm", kind=_MOVES),
    row("swapaxes", "tf.keras.ops.swapaxes", "x axis1 axis2", "ops:swapaxes", same, kind=_MOVES,
        examples={"axis1": 0, "axis2": 1}),
    row("moveaxis", "tf.keras.ops.moveaxis", "x source destination", "ops:moveaxis", same,
        kind=_MOVES, examples={"source": 0, "destination": 1}),
    row("broadcast_to", "tf.broadcast_to", "input shape name", "tf,ops:broadcast_to", same,
        renamed=_RENAMED_INPUT, kind=_MOVES, examples=_SHAPE),
    row("ensure_shape", "tf.ensure_shape", "x shape name", "tf:ensure_shape", same, kind=_MOVES,
        examples=_SHAPE),
    # ---- joining and splitting
    row("concat", "tf.concat", "values axis name", "tf:concat,concat_v2", bound=_items("values"),
        renamed="concat_dim=axis", kind=_MOVES, examples={"axis": 0}),
    row("concatenate", "tf.keras.ops.concatenate", "xs axis", "ops:concatenate",
        bound=_items("xs"), kind=_MOVES),
    # The backend's default axis is the last one.
    row("keras_concatenate", "tf.keras.backend.concatenate", "tensors axis", "K:concatenate "
        "layers:concatenate", bound=_items("tensors"), renamed="inputs=tensors", kind=_MOVES),
    row("stack", "tf.stack", "values axis name", "tf,K,ops:stack tf:pack", bound=_items("values"),
        renamed="x=values", kind=_MOVES),
    row("hstack", "tf.keras.ops.hstack", "xs", "ops:hstack", bound=_items("xs"), kind=_MOVES),
    row("vstack", "tf.keras.ops.vstack", "xs", "ops:vstack", bound=_items("xs"), kind=_MOVES),
    row("split", "tf.split", "value num_or_size_splits axis num name", "tf:split", same,
        kind=_MOVES, examples={"num_or_size_splits": 3}),
    row("keras_split", "tf.keras.ops.split", "x indices_or_sections axis", "ops:split", same,
        kind=_MOVES, examples={"indices_or_sections": 3}),
    row("unstack", "tf.unstack", "value num axis name", "tf,ops:unstack tf:unpack", same,
        renamed="x=value", kind=_MOVES),
    row("slice", "tf.slice", "input_ begin size name", "tf:slice", same, kind=_MOVES,
        examples={"begin": Items((0, 0)), "size": Items((1, 2))}),
    row("strided_slice", "tf.strided_slice",
        "input_ begin end strides begin_mask end_mask ellipsis_mask new_axis_mask "
        "shrink_axis_mask var name", "tf:strided_slice", same, kind=_MOVES,
        examples={"begin": Items((0, 0)), "end": Items((1, 2))}),
    row("dstack", "tf.keras.ops.dstack", "xs", "ops:dstack", bound=_items("xs"), kind=_MOVES),
    row("append", "tf.keras.ops.append", "x1 x2 axis", "ops:append", united, operands="x1 x2",
        kind=_MOVES),
    row("keras_slice", "tf.keras.ops.slice", "inputs start_indices shape", "ops:slice", same,
        kind=_MOVES, examples={"start_indices": Items((0, 0)), "shape": Items((1, 2))}),
    # ---- copying and reordering
    row("tile", "tf.tile", "input multiples name", "tf,K,ops:tile", same,
        renamed="x=input n=multiples repeats=multiples", kind=_MOVES,
        examples={"multiples": Items((2, 1))}),
    row("repeat", "tf.repeat", "input repeats axis name", "tf,ops:repeat", same,
        renamed=_RENAMED_INPUT, kind=_MOVES, examples={"repeats": 2}),
    row("repeat_elements", "tf.keras.backend.repeat_elements", "x rep axis", "K:repeat_elements",
        same, kind=_MOVES, examples={"rep": 2, "axis": 0}),
    row("keras_repeat", "tf.keras.backend.repeat", "x n", "K:repeat", same, kind=_MOVES,
        examples={"n": 2}),
    row("reverse", "tf.reverse", "tensor axis name", "tf,K:reverse", same,
        renamed="x=tensor axes=axis dims=axis", kind=_MOVES, examples={"axis": Items((0,))}),
    row("flip", "tf.keras.ops.flip", "x axis", "ops:flip", same, kind=_MOVES),
    row("fliplr", "tf.keras.ops.fliplr", "x", "ops:fliplr", same, kind=_MOVES),
    row("flipud", "tf.keras.ops.flipud", "x", "ops:flipud", same, kind=_MOVES),
    row("rot90", "tf.keras.ops.rot90", "array k axes", "ops:rot90", same, kind=_MOVES),
    row("roll", "tf.roll", "input shift axis name", "tf,ops:roll", same, renamed=_RENAMED_INPUT,
        kind=_MOVES, examples={"shift": 1, "axis": 0}),
    row("pad", "tf.pad", "tensor paddings mode constant_values name", "tf:pad", bound=_pad,
        kind=_MOVES, examples={"paddings": Items((Items((1, 1)), Items((0, 0))))}),
    row("keras_pad", "tf.keras.ops.pad", "x pad_width mode constant_values", "ops:pad",
        bound=_keras_pad, kind=_MOVES,
        examples={"pad_width": Items((Items((1, 1)), Items((0, 0))))}),
    row("meshgrid", "tf.meshgrid", "args indexing", "tf,ops:meshgrid", bound=_items("args"),
        operands="args", variadic="args", kind=_MOVES),
    row("diff", "tf.keras.ops.diff", "a n axis", "ops:diff", _diff, renamed="x=a", kind=_OTHER),
    # ---- identities
    row("identity", "tf.identity", "input name", "tf:identity ops:copy act:linear "
        "tf:guarantee_const", same, renamed=_RENAMED_INPUT, kind=_MOVES),
    row("set_shape", "tf.ensure_shape", "x shape", "method:set_shape", same, kind=_MOVES,
        examples=_SHAPE),
    row("convert_to_tensor", "tf.convert_to_tensor", "value dtype dtype_hint name",
        "tf,ops:convert_to_tensor", bound=_given("value"), renamed="x=value preferred_dtype="
        "dtype_hint", kind=_MOVES, ignored="sparse ragged"),
    row("real", "tf.math.real", "input name", "tf,math,ops:real", same, renamed=_RENAMED_INPUT,
        kind=_MOVES),
    # ---- making
    row("constant", "tf.constant", "value dtype shape name", "tf,K:constant ops:array",
        bound=_given("value"), renamed="x=value", gradient=_NONE, kind=_MOVES,
        ignored="verify_shape", examples={"value": 1.5}),
    row("zeros_like", "tf.zeros_like", "input dtype name layout", "tf,K,ops:zeros_like",
        constant(ZERO), renamed="x=input tensor=input", gradient=_NONE,
        ignored="layout optimize"),
    row("ones_like", "tf.ones_like", "input dtype name layout", "tf,K,ops:ones_like",
        constant(ONE), renamed="x=input tensor=input", gradient=_NONE,
        ignored="layout optimize"),
    row("full_like", "tf.keras.ops.full_like", "x fill_value dtype", "ops:full_like",
        bound=_given("fill_value"), operands="x fill_value", passive="x", gradient=_NONE,
        examples={"fill_value": 2.0}),
    row("zeros", "tf.zeros", "shape dtype name layout", "tf,K,ops:zeros", constant(ZERO),
        operands="", gradient=_NONE, kind=_OTHER, ignored="layout", examples=_SHAPE),
    row("ones", "tf.ones", "shape dtype name layout", "tf,K,ops:ones", constant(ONE),
        operands="", gradient=_NONE, kind=_OTHER, ignored="layout", examples=_SHAPE),
    row("fill", "tf.fill", "dims value name layout", "tf:fill ops:full", bound=_given("value"),
        operands="value", renamed="shape=dims fill_value=value", kind=_OTHER, ignored="layout",
        examples={"dims": Items((2, 2)), "value": 2.0}),
    row("eye", "tf.eye", "num_rows num_columns batch_shape dtype name", "tf,linalg:eye",
        constant(_UNIT), operands="", gradient=_NONE, kind=_OTHER, examples={"num_rows": 3}),
    row("keras_eye", "tf.keras.backend.eye", "size dtype name", "K,ops:eye ops:identity",
        constant(_UNIT), operands="", renamed="N=size n=size", gradient=_NONE, kind=_OTHER,
        examples={"size": 3}),
    row("range", "tf.range", "start limit delta dtype name", "tf:range K,ops:arange",
        bound=_range, operands="start limit", renamed="stop=limit step=delta", gradient=_NONE,
        kind=_OTHER, examples={"start": 0, "limit": 5}),
    row("linspace", "tf.linspace", "start stop num name axis", "tf,ops:linspace tf:lin_space",
        _linspace, operands="start stop", kind=_OTHER,
        examples={"start": 0.0, "stop": 1.0, "num": 5}),
    row("np_arange", "np.arange", "start stop step dtype", "np:arange", bound=_numpy_range,
        operands="start stop step", gradient=_NONE, kind=_OTHER, ignored="dtype",
        examples={"start": 0, "stop": 5, "step": 1}),
    row("np_interp", "np.interp", "x xp fp left right", "np:interp", bound=_interpolated,
        operands="x xp fp", gradient=_NONE, kind=_OTHER,
        examples={"xp": Items((-1.0, 0.0, 1.0)), "fp": Items((-0.5, 2.0, 1.0))}),
    # ---- describing
    row("shape", "tf.shape", "input out_type name", "tf,K,ops:shape", constant(COUNT),
        renamed=_RENAMED_INPUT, gradient=_NONE, kind=_OTHER),
    row("size", "tf.size", "input out_type name", "tf,ops:size", constant(COUNT),
        renamed=_RENAMED_INPUT, gradient=_NONE, kind=_OTHER),
    row("rank", "tf.rank", "input name", "tf:rank ops:ndim K:ndim", constant(INDEX),
        renamed=_RENAMED_INPUT, gradient=_NONE, kind=_OTHER),
    # `x.shape` and its rank: Python integers, which NumPy reads off without computing anything.
    row("static_shape", "np.shape", "x", "", constant(COUNT), gradient=_NONE, kind=_OTHER),
    row("static_rank", "np.ndim", "x", "", constant(INDEX), gradient=_NONE, kind=_OTHER),
)
# fmt: on
