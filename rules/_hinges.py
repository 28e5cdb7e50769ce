"""Hinges, and which side of them hands on a gradient."""

from __future__ import annotations

from collections.abc import Iterator

from actlint.query import InputRole, Node, Role, View

from ._batch import is_linear
from ._common import ancestors, descendants, is_constant

_GATES = ("keras_relu", "maximum", "minimum", "relu")
# A loss that goes beyond this, at predictions of a thousand, is taken to have no end.
_ENDLESS = 100.0


def turned_round(view: View) -> Iterator[Node]:
    """Yield hinges that pass on what is below them, of a loss in proportion without a least value.

    The gradient is 0 where such a loss is largest.
    """
    if view.graph.role is not Role.LOSS or view.graph.partial:
        return
    for node in view.nodes(*_GATES):
        moving = [each for each in view.operands(node) if view.depends_differentiably(each)]
        others = [each for each in view.operands(node) if each not in moving]
        if (
            len(moving) != 1
            or not view.on_gradient_path(node)
            or not is_linear(view, node)
            or any(not is_constant(view, other.id) for other in others)
        ):
            continue
        known, sign = view.interval(moving[0]), _sign(view, node)
        below = node.op == "minimum" and known.lo <= -_ENDLESS and sign > 0
        above = node.op != "minimum" and known.hi >= _ENDLESS and sign < 0
        if below or above:
            yield node


def margins(view: View) -> Iterator[Node]:
    """Yield hinges on a product of label and prediction, such as ``1.0 - y_true * y_pred``."""
    used = [node for node in view.graph.inputs if view.reaches_output(node)]
    kinds = [node.input.role for node in used if node.input is not None]
    if view.graph.role is not Role.LOSS or view.graph.partial or len(used) != 2:
        return
    if set(kinds) != {InputRole.LABEL, InputRole.PREDICTION}:
        return
    products = [
        node
        for node in view.nodes("multiply")
        if {view.definition(each) for each in view.operands(node)} == set(used)
    ]
    for node in view.nodes(*_GATES):
        found = {each.id for each in ancestors(view, node.id)}
        if view.on_gradient_path(node) and any(product.id in found for product in products):
            yield node


def _sign(view: View, node: Node) -> int:
    """Return the sign with which a number enters the output; 0 if it is not known."""
    signs = {node.id: 1}
    for later in descendants(view, node.id):
        moving = [each for each in view.operands(later) if each.id in signs]
        if len(moving) != 1:
            return 0
        sign = signs[moving[0].id]
        if later.op == "negative" or (later.op == "subtract" and _is(view, later, "y", moving[0])):
            sign = -sign
        elif later.op in {"multiply", "div", "divide"}:
            sign *= _factor(view, later, moving[0])
        signs[later.id] = sign
    return signs.get(view.graph.output, 0)


def _is(view: View, node: Node, name: str, other: Node) -> bool:
    operand = view.operand(node, name)
    return operand is not None and operand.id == other.id


def _factor(view: View, node: Node, moving: Node) -> int:
    """Return the sign of what a node multiplies or divides another one by; 0 if it has none."""
    name = "y" if _is(view, node, "x", moving) else "x"
    given, operand = node.arg(name), view.operand(node, name)
    low, high = 0.0, 0.0
    if isinstance(given, (int, float)):
        low = high = float(given)
    elif operand is not None:
        low, high = view.interval(operand).lo, view.interval(operand).hi
    return 1 if low >= 0.0 < high else -1 if high <= 0.0 > low else 0
