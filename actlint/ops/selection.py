"""Rows: where, clip, maximum, sorting, arg ops, gathering, one-hot, masks."""

from __future__ import annotations

from typing import Final

from actlint.graph import Items
from actlint.interval import BOOL, INDEX, INF, MAX, ZERO, Interval
from actlint.ops.arithmetic import BINARY, sum_of
from actlint.ops.build import constant, number, operand, row, same, united
from actlint.ops.model import Bound, Gradient, Kind, Op, Trend
from actlint.ops.reductions import interpolated

_NONE: Final = Gradient.NONE
_RED: Final = Kind.REDUCTION
_STRUCTURAL: Final = Kind.STRUCTURAL
_OTHER: Final = Kind.OTHER
_UP: Final = Trend.INCREASING


def _where(bound: Bound) -> Interval:
    condition = operand(bound, "condition")
    if condition.is_point:
        return operand(bound, "x" if condition.lo else "y")
    return operand(bound, "x").join(operand(bound, "y"))


def _clip_keras(bound: Bound) -> Interval:
    """Keras takes None for a bound that is not there."""
    return operand(bound, "x").clip(operand(bound, "x_min", -INF), operand(bound, "x_max", INF))


def _one_hot(bound: Bound) -> Interval:
    return operand(bound, "on_value", 1.0).join(operand(bound, "off_value", 0.0))


def _gathered(x: Interval, *_: Interval) -> Interval:
    return x


def _with_zero(x: Interval, *_: Interval) -> Interval:
    return x.join(ZERO)


def _scattered(bound: Bound) -> Interval:
    return sum_of(operand(bound, "updates")).join(ZERO)


def _scatter_add(x: Interval, indices: Interval, updates: Interval) -> Interval:
    del indices
    return x.join(x.add(Interval(min(updates.lo, 0.0), max(updates.hi, 0.0), updates.nan)))


def _replaced(x: Interval, indices: Interval, updates: Interval) -> Interval:
    del indices
    return x.join(updates)


def _nan_to_num(bound: Bound) -> Interval:
    x = operand(bound, "x")
    fill = number(bound, "nan", 0.0)
    lo, hi = min(max(x.lo, -MAX), MAX), max(min(x.hi, MAX), -MAX)
    if x.nan and fill is not None:
        lo, hi = min(lo, fill), max(hi, fill)
    return Interval(lo, hi, x.nan and fill is None)


def _bins(x: Interval) -> Interval:
    """A nan goes to the least integer."""
    return INDEX.join(Interval(-(2.0**31), 0.0, integer=True)) if x.nan else INDEX


_INDICES: Final = Items((0, 2, 1))

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    row("where", "tf.where", "condition x y name", "tf,ops:where K:switch tf:where_v2,select",
        bound=_where, operands="condition x y", passive="condition",
        renamed="x1=x x2=y then_expression=x else_expression=y"),
    row("where_indices", "tf.where", "condition name", "", constant(INDEX), gradient=_NONE,
        kind=_OTHER),
    row("clip_by_value", "tf.clip_by_value", "t clip_value_min clip_value_max name",
        "tf:clip_by_value", Interval.clip, operands="t clip_value_min clip_value_max",
        examples={"clip_value_min": -1.0, "clip_value_max": 1.0}, renamed="x=t", trend=_UP),
    row("clip", "tf.keras.ops.clip", "x x_min x_max", "K,ops:clip", bound=_clip_keras,
        operands="x x_min x_max", renamed="min_value=x_min max_value=x_max",
        examples={"x_min": -1.0, "x_max": 1.0}, trend=_UP),
    row("maximum", "tf.maximum", "x y name", "tf,math,K,ops:maximum ops:fmax", Interval.maximum,
        operands="x y", renamed=BINARY, trend=_UP),
    row("minimum", "tf.minimum", "x y name", "tf,math,K,ops:minimum ops:fmin", Interval.minimum,
        operands="x y", renamed=BINARY, trend=_UP),
    row("nan_to_num", "tf.keras.ops.nan_to_num", "x nan posinf neginf", "ops:nan_to_num",
        bound=_nan_to_num),
    # ---- order
    row("sort", "tf.sort", "values axis direction name", "tf,ops:sort", same, renamed="x=values",
        kind=_STRUCTURAL),
    row("argsort", "tf.argsort", "values axis direction stable name", "tf,ops:argsort",
        constant(INDEX), renamed="x=values", gradient=_NONE, kind=_OTHER, jumps=True),
    row("top_k", "tf.math.top_k", "input k sorted index_type name", "nn,math,ops:top_k", same,
        renamed="x=input", kind=_STRUCTURAL, results="top_k_values top_k_indices",
        fields="values indices"),
    row("top_k_values", "tf.math.top_k", "input k sorted index_type name", "", same,
        kind=_STRUCTURAL, component=0),
    row("top_k_indices", "tf.math.top_k", "input k sorted index_type name", "",
        constant(INDEX), kind=_OTHER, component=1, gradient=_NONE, jumps=True),
    row("argmax", "tf.argmax", "input axis output_type name", "tf,math:argmax tf:arg_max",
        constant(INDEX), renamed="dimension=axis", gradient=_NONE, kind=_RED, jumps=True),
    row("argmin", "tf.argmin", "input axis output_type name", "tf,math:argmin tf:arg_min",
        constant(INDEX), renamed="dimension=axis", gradient=_NONE, kind=_RED, jumps=True),
    # Keras reduces the last axis, or all of them, where TensorFlow reduces the first.
    row("keras_argmax", "tf.keras.backend.argmax", "x axis", "K:argmax", constant(INDEX),
        gradient=_NONE, kind=_RED, jumps=True),
    row("keras_argmin", "tf.keras.backend.argmin", "x axis", "K:argmin", constant(INDEX),
        gradient=_NONE, kind=_RED, jumps=True),
    row("ops_argmax", "tf.keras.ops.argmax", "x axis keepdims", "ops:argmax", constant(INDEX),
        gradient=_NONE, kind=_RED, jumps=True),
    row("ops_argmin", "tf.keras.ops.argmin", "x axis keepdims", "ops:argmin", constant(INDEX),
        gradient=_NONE, kind=_RED, jumps=True),
    row("quantile", "tf.keras.ops.quantile", "x q axis method keepdims", "ops:quantile",
        interpolated, kind=_RED, examples={"q": 0.25}),
    row("percentile", "tf.keras.ops.percentile", "x q axis method keepdims", "ops:percentile",
        interpolated, kind=_RED, examples={"q": 25.0}),
    row("searchsorted", "tf.searchsorted", "sorted_sequence values side out_type name",
        "tf,ops:searchsorted", constant(INDEX), operands="sorted_sequence values",
        gradient=_NONE, jumps=True,
        examples={"sorted_sequence": Items((-1.0, 0.0, 1.0)), "values": Items((0.5, -2.0))}),
    row("unique", "tf.unique", "x out_idx name", "tf:unique", same, gradient=_NONE, kind=_OTHER,
        results="unique_values unique_indices", fields="y idx",
        examples={"x": Items((1.0, 2.0, 1.0))}),
    row("unique_values", "tf.unique", "x out_idx name", "", same, gradient=_NONE, kind=_OTHER,
        component=0, examples={"x": Items((1.0, 2.0, 1.0))}),
    row("unique_indices", "tf.unique", "x out_idx name", "", constant(INDEX), gradient=_NONE,
        kind=_OTHER, component=1, examples={"x": Items((1.0, 2.0, 1.0))}),
    row("digitize", "tf.keras.ops.digitize", "x bins", "ops:digitize", constant(INDEX),
        gradient=_NONE, jumps=True, examples={"bins": Items((-1.0, 0.0, 1.0))}),
    row("bincount", "tf.math.bincount", "arr weights minlength maxlength dtype name axis "
        "binary_output", "tf,math:bincount", constant(INDEX), gradient=_NONE, kind=_OTHER,
        examples={"arr": _INDICES}),
    row("histogram_fixed_width", "tf.histogram_fixed_width",
        "values value_range nbins dtype name", "tf:histogram_fixed_width", constant(INDEX),
        gradient=_NONE, kind=_OTHER, jumps=True, examples={"value_range": Items((-1.0, 1.0))}),
    row("histogram_fixed_width_bins", "tf.histogram_fixed_width_bins",
        "values value_range nbins dtype name", "tf:histogram_fixed_width_bins",
        _bins, gradient=_NONE, jumps=True,
        examples={"value_range": Items((-1.0, 1.0))}),
    # ---- gathering
    row("getitem", "operator.getitem", "x index", "ops:get_item", same, renamed="key=index",
        operands="x", kind=_STRUCTURAL, examples={"index": 0}),
    row("gather", "tf.gather", "params indices validate_indices axis batch_dims name",
        "tf:gather K:gather", _gathered, operands="params indices", passive="indices",
        renamed="reference=params", kind=_STRUCTURAL, examples={"indices": _INDICES},
        ignored="validate_indices"),
    row("gather_nd", "tf.gather_nd", "params indices batch_dims name", "tf:gather_nd",
        _gathered, operands="params indices", passive="indices", kind=_STRUCTURAL,
        examples={"indices": Items((Items((0, 1)), Items((2, 0))))}),
    row("take", "tf.keras.ops.take", "x indices axis", "ops:take", _gathered,
        operands="x indices", passive="indices", kind=_STRUCTURAL, examples={"indices": _INDICES}),
    row("take_along_axis", "tf.keras.ops.take_along_axis", "x indices axis",
        "ops:take_along_axis", _gathered, operands="x indices", passive="indices",
        kind=_STRUCTURAL, examples={"indices": Items((_INDICES,)), "axis": 0}),
    row("embedding_lookup", "tf.nn.embedding_lookup", "params ids max_norm name",
        "nn:embedding_lookup", _gathered, operands="params ids", passive="ids",
        kind=_STRUCTURAL, examples={"ids": _INDICES}),
    row("batch_gather", "tf.compat.v1.batch_gather", "params indices name", "tf:batch_gather",
        _gathered, operands="params indices", passive="indices", kind=_STRUCTURAL,
        examples={"indices": Items((_INDICES, _INDICES, _INDICES))}),
    row("boolean_mask", "tf.boolean_mask", "tensor mask axis name", "tf:boolean_mask",
        _gathered, operands="tensor mask", passive="mask", kind=_STRUCTURAL,
        examples={"mask": Items((True, False, True))}),
    row("dynamic_partition", "tf.dynamic_partition", "data partitions num_partitions name",
        "tf:dynamic_partition", _gathered, operands="data partitions", passive="partitions",
        kind=_STRUCTURAL, examples={"partitions": Items((0, 1, 0)), "num_partitions": 2}),
    row("linalg_diag_part", "tf.linalg.diag_part", "input name k padding_value align",
        "linalg:diag_part,tensor_diag_part tf:diag_part,matrix_diag_part", same,
        kind=_STRUCTURAL),
    row("linalg_diag", "tf.linalg.diag", "diagonal name k num_rows num_cols padding_value align",
        "linalg:diag tf:matrix_diag", _with_zero, kind=_STRUCTURAL),
    row("tensor_diag", "tf.linalg.tensor_diag", "diagonal name", "linalg:tensor_diag tf:diag",
        _with_zero, kind=_STRUCTURAL),
    row("keras_diag", "tf.keras.ops.diag", "x k", "ops:diag", _with_zero, kind=_STRUCTURAL),
    row("diagflat", "tf.keras.ops.diagflat", "x k", "ops:diagflat", _with_zero,
        kind=_STRUCTURAL),
    row("diagonal", "tf.keras.ops.diagonal", "x offset axis1 axis2", "ops:diagonal", same,
        kind=_STRUCTURAL),
    row("set_diag", "tf.linalg.set_diag", "input diagonal name k align",
        "linalg:set_diag tf:matrix_set_diag", united, operands="input diagonal",
        kind=_STRUCTURAL, examples={"diagonal": Items((0.0, 0.0, 0.0))}),
    row("band_part", "tf.linalg.band_part", "input num_lower num_upper name",
        "linalg:band_part tf:matrix_band_part", _with_zero, kind=_STRUCTURAL,
        examples={"num_lower": 0, "num_upper": -1}),
    row("tril", "tf.keras.ops.tril", "x k", "ops:tril", _with_zero, kind=_STRUCTURAL),
    row("triu", "tf.keras.ops.triu", "x k", "ops:triu", _with_zero, kind=_STRUCTURAL),
    # ---- scattering
    row("scatter_nd", "tf.scatter_nd", "indices updates shape name", "tf:scatter_nd",
        bound=_scattered, operands="indices updates",
        passive="indices", kind=_OTHER,
        examples={"indices": Items((Items((0,)), Items((2,)), Items((1,)))),
                  "shape": Items((3, 3))}),
    row("tensor_scatter_nd_update", "tf.tensor_scatter_nd_update", "tensor indices updates name",
        "tf:tensor_scatter_nd_update,tensor_scatter_update", _replaced,
        operands="tensor indices updates", passive="indices", kind=_STRUCTURAL,
        examples={"indices": Items((Items((0, 0)), Items((2, 1)))), "updates": Items((0.0, 1.0))}),
    row("tensor_scatter_nd_add", "tf.tensor_scatter_nd_add", "tensor indices updates name",
        "tf:tensor_scatter_nd_add,tensor_scatter_add", _scatter_add,
        operands="tensor indices updates", passive="indices", kind=_OTHER,
        examples={"indices": Items((Items((0, 0)), Items((2, 1)))), "updates": Items((0.5, 1.0))}),
    # ---- encodings and masks
    row("one_hot", "tf.one_hot", "indices depth on_value off_value axis dtype name",
        "tf,K:one_hot", bound=_one_hot, renamed="num_classes=depth", gradient=_NONE,
        kind=_OTHER, jumps=True, examples={"indices": _INDICES, "depth": 3}),
    row("keras_one_hot", "tf.keras.ops.one_hot", "x num_classes axis dtype sparse",
        "ops:one_hot", constant(BOOL), gradient=_NONE, kind=_OTHER, jumps=True,
        examples={"x": _INDICES, "num_classes": 3}),
    row("to_categorical", "tf.keras.utils.to_categorical", "x num_classes",
        "utils:to_categorical", constant(BOOL), renamed="y=x", gradient=_NONE, kind=_OTHER,
        jumps=True, examples={"x": _INDICES, "num_classes": 3}),
    row("sequence_mask", "tf.sequence_mask", "lengths maxlen dtype name", "tf:sequence_mask",
        constant(BOOL), gradient=_NONE, kind=_OTHER, examples={"lengths": _INDICES}),
    row("confusion_matrix", "tf.math.confusion_matrix",
        "labels predictions num_classes weights dtype name", "math:confusion_matrix "
        "tf:confusion_matrix", constant(INDEX), operands="labels predictions", gradient=_NONE,
        kind=_OTHER, jumps=True, examples={"labels": _INDICES, "predictions": _INDICES}),
)
# fmt: on
