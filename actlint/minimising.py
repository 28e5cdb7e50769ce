"""Calls that turn a value into what training minimises, and functions that make them."""

from __future__ import annotations

import ast
from typing import Final

from actlint.dotted import dotted

SINKS: Final = frozenset(
    {
        "EstimatorSpec", "ExternalOptimizerInterface", "ScipyOptimizerInterface",
        "TPUEstimatorSpec", "add_loss", "compute_gradients", "create_train_op", "get_updates",
        "gradient", "gradients", "minimize", "optimize_loss",
    }
)  # fmt: skip
# A method of the optimizers of Keras before version 3.
UPDATES: Final = "get_updates"
# What a layer adds to the losses of its model is a part of what it computes.
_HELPED: Final = SINKS - {"add_loss"}
_KEYWORDS: Final = frozenset({"loss", "total_loss", "target", "ys"})


def minimises(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function minimises an argument, or a sum or product with one in it."""
    args = node.args
    given = {a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)} - {"self", "cls"}
    if not given:
        return False
    for part in ast.walk(node):
        if isinstance(part, ast.Assign) and _is_of(part.value, given):
            given |= {target.id for target in part.targets if isinstance(target, ast.Name)}
    return any(
        isinstance(part, ast.Call)
        and _name(part.func) in _HELPED
        and any(_is_of(value, given) for value in _losses(part))
        for part in ast.walk(node)
    )


def _is_of(value: ast.expr, names: set[str]) -> bool:
    match value:
        case ast.Name(id=name):
            return name in names
        case ast.BinOp(left=left, right=right):
            return _is_of(left, names) or _is_of(right, names)
    return False


def _losses(call: ast.Call) -> list[ast.expr]:
    named = [k.value for k in call.keywords if k.arg in _KEYWORDS]
    if _name(call.func) == UPDATES:
        return named or call.args[updated(len(call.args))]
    return [*call.args[:1], *named]


def updated(count: int) -> slice:
    """Return which of the positional arguments of `get_updates` may be the loss.

    Keras 1 takes (params, constraints, loss); Keras 2 took (params, loss) at first, which is
    (loss, params) today.
    """
    return slice(2, 3) if count > 2 else slice(count)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return dotted(function).rpartition(".")[2]
