"""Rows of NumPy functions, made from their TensorFlow twins: same numbers, no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from actlint.ops.build import split_pair
from actlint.ops.model import Gradient, Op

# NumPy name -> key of the twin, where the two differ.
_RENAMED: Final = {
    "absolute": "abs",
    "add": "add",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "floor_divide": "floordiv",
    "power": "pow",
    "true_divide": "divide",
    "remainder": "mod",
    "fabs": "abs",
    "isnan": "is_nan",
    "isinf": "is_inf",
    "isfinite": "is_finite",
    "fmax": "maximum",
    "fmin": "minimum",
}
_SAME: Final = (
    "abs add ceil cos cosh divide equal exp expm1 floor greater greater_equal less less_equal "
    "log log10 log1p log2 logical_and logical_not logical_or maximum minimum mod multiply "
    "negative not_equal rint sign sin sinh sqrt square subtract tan tanh trunc reciprocal "
    "heaviside cbrt exp2 logaddexp hypot"
)

# The module of TensorFlow that has NumPy's functions.
_TENSORS: Final = "tf.experimental.numpy."
# What is a dtype there, is of float64 by default, or is missing.
_OTHERWISE: Final = frozenset(
    {
        "float32", "float64", "zeros", "ones", "rint", "trunc", "median", "nan_to_num",
        "fmax", "fmin",
    }
)  # fmt: skip

# NumPy functions that are no ufuncs: name, twin, parameters, old=new names.
_FUNCTIONS: Final = (
    ("sum", "reduce_sum", "input_tensor axis dtype out keepdims", "a=input_tensor"),
    ("mean", "reduce_mean", "input_tensor axis dtype out keepdims", "a=input_tensor"),
    ("max", "reduce_max", "input_tensor axis out keepdims", "a=input_tensor"),
    ("amax", "reduce_max", "input_tensor axis out keepdims", "a=input_tensor"),
    ("min", "reduce_min", "input_tensor axis out keepdims", "a=input_tensor"),
    ("amin", "reduce_min", "input_tensor axis out keepdims", "a=input_tensor"),
    ("prod", "reduce_prod", "input_tensor axis dtype out keepdims", "a=input_tensor"),
    ("std", "reduce_std", "input_tensor axis dtype out ddof keepdims", "a=input_tensor"),
    ("var", "reduce_variance", "input_tensor axis dtype out ddof keepdims", "a=input_tensor"),
    ("argmax", "ops_argmax", "x axis out", "a=x"),
    ("argmin", "ops_argmin", "x axis out", "a=x"),
    ("round", "keras_round", "x decimals out", "a=x"),
    ("clip", "clip", "x x_min x_max out", "a=x a_min=x_min a_max=x_max"),
    ("where", "where", "condition x y", ""),
    ("dot", "dot", "x1 x2 out", "a=x1 b=x2"),
    ("cumsum", "keras_cumsum", "x axis dtype out", "a=x"),
    ("sort", "sort", "values axis", "a=values"),
    ("argsort", "argsort", "values axis", "a=values"),
    ("median", "median", "x axis out overwrite_input keepdims", "a=x"),
    ("count_nonzero", "count_nonzero", "input axis", "a=input"),
    ("nan_to_num", "nan_to_num", "x copy nan posinf neginf", ""),
    ("zeros_like", "zeros_like", "input dtype", "a=input"),
    ("ones_like", "ones_like", "input dtype", "a=input"),
    ("zeros", "zeros", "shape dtype", ""),
    ("ones", "ones", "shape dtype", ""),
    ("reshape", "reshape", "tensor shape", "a=tensor newshape=shape"),
    ("transpose", "transpose", "a axes", ""),
    ("concatenate", "concat", "values axis", "arrays=values"),
    ("stack", "stack", "values axis", "arrays=values"),
    ("expand_dims", "expand_dims", "input axis", "a=input"),
    ("squeeze", "squeeze", "input axis", "a=input"),
    ("array", "convert_to_tensor", "value dtype", "object=value"),
    ("asarray", "convert_to_tensor", "value dtype", "a=value"),
    ("float32", "py_float", "x", ""),
    ("float64", "py_float", "x", ""),
    ("size", "size", "input axis", "a=input"),
)

# The same of functions that few call on tensors but in that module.
_TENSOR_FUNCTIONS: Final = (
    ("all", "reduce_all", "input_tensor axis keepdims", "a=input_tensor"),
    ("any", "reduce_any", "input_tensor axis keepdims", "a=input_tensor"),
    ("broadcast_to", "broadcast_to", "input shape", "array=input"),
    ("cumprod", "keras_cumprod", "x axis dtype", "a=x"),
    ("diff", "diff", "a n axis", ""),
    ("flip", "flip", "x axis", "m=x"),
    ("hstack", "hstack", "xs", "tup=xs"),
    ("vstack", "vstack", "xs", "tup=xs"),
    ("full_like", "full_like", "x fill_value dtype", "a=x"),
    ("matmul", "matmul", "a b", "x1=a x2=b"),
    ("moveaxis", "moveaxis", "x source destination", "a=x"),
    ("outer", "outer", "x1 x2", "a=x1 b=x2"),
    ("nansum", "nansum", "x axis keepdims", "a=x"),
    ("nanmean", "nanmean", "x axis keepdims", "a=x"),
    ("ravel", "flatten", "x", "a=x"),
    ("repeat", "repeat", "input repeats axis", "a=input"),
    ("roll", "roll", "input shift axis", "a=input"),
    ("swapaxes", "swapaxes", "x axis1 axis2", "a=x"),
    ("take", "take", "x indices axis", "a=x"),
    ("take_along_axis", "take_along_axis", "x indices axis", "arr=x"),
    ("trace", "keras_trace", "x offset axis1 axis2", "a=x"),
    ("tril", "tril", "x k", "m=x"),
    ("triu", "triu", "x k", "m=x"),
)


def twin(key: str) -> str | None:
    """Return the key of the row that a NumPy row was made from, or None."""
    name = key.removeprefix("np_")
    if name == key:
        return None
    functions = {function: other for function, other, _, _ in _FUNCTIONS}
    return functions.get(name) or _RENAMED.get(name) or (name if name in _SAME.split() else None)


def numpy_rows(table: Mapping[str, Op]) -> tuple[Op, ...]:
    """Return the NumPy rows whose twins stand in `table`.

    Operands go by position, so they keep the names of the twin. NumPy computes outside the
    tape: no gradient comes back. Regions stay, as the value is just as singular.
    """
    pairs = [*((name, name) for name in _SAME.split()), *_RENAMED.items()]
    ufuncs = [
        _twin(table[key], name, table[key].params[: len(table[key].operands)], "")
        for name, key in dict(pairs).items()
    ]
    functions = [
        _twin(table[key], name, tuple(params.split()), renamed)
        for name, key, params, renamed in _FUNCTIONS
    ]
    return (*ufuncs, *functions)


def tensor_names(table: Mapping[str, Op]) -> Mapping[str, Op]:
    """Return the functions of ``tf.experimental.numpy`` that are ops, by name.

    They take NumPy's arguments, but are TensorFlow's ops: each value binds arguments to the row
    of the twin, whose key it has.
    """
    pairs = [*((name, name) for name in _SAME.split()), *_RENAMED.items()]
    found = {
        name: replace(table[key], names=(_TENSORS + name,)) for name, key in dict(pairs).items()
    }
    for name, key, params, renamed in (*_FUNCTIONS, *_TENSOR_FUNCTIONS):
        op = table[key]
        known = tuple(p for p in params.split() if p in op.params)
        split = dict(split_pair(pair) for pair in renamed.split())
        found[name] = replace(op, names=(_TENSORS + name,), params=known, renamed=split or None)
    return {_TENSORS + name: op for name, op in found.items() if name not in _OTHERWISE}


def _twin(op: Op, name: str, params: tuple[str, ...], renamed: str) -> Op:
    pairs = [split_pair(pair) for pair in renamed.split()]
    return replace(
        op,
        key=f"np_{name}",
        call=f"np.{name}",
        names=(f"np.{name}",),
        params=params,
        renamed=dict(pairs) or None,
        symbol="",
        gradient=Gradient.NONE,
        gradients=None,
        ignored=("out", "where", "dtype") if "dtype" in params else ("out", "where"),
        modes_differ=False,
        results=(),
        fields=(),
        examples=tuple((key, value) for key, value in op.examples if key in params),
    )
