"""Remedies of cross-entropies and other losses that are given the wrong thing."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from actlint.query import (
    Change,
    InputRole,
    Items,
    Keyword,
    Node,
    Ref,
    Remedy,
    Rewrite,
    Safety,
    View,
)

from ._common import STOP, ancestors, is_constant
from ._losses import BINARY, ORDER, Call
from ._remedies import Parts, argument, constant, only_user, ref, replaced

# Keras' classes and names of losses that take `from_logits`.
_CLASSES = {
    "binary_crossentropy": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
}
_BACKEND = "backend_"
_MEANT = "it is another loss, the one that is meant"


def exchanged(call: Call) -> Remedy:
    """Return the remedy of a call whose labels and predictions stand in each other's place."""
    first, second = ref(call.labels), ref(call.predictions)
    return Remedy(
        "Exchange labels and prediction",
        _MEANT,
        Safety.UNSAFE,
        (
            Rewrite(first, "{x}", (("x", second),), call.node.id),
            Rewrite(second, "{x}", (("x", first),), call.node.id),
        ),
    )


def from_logits(call: Call) -> Iterator[Remedy]:
    """Yield the remedies that tell a loss that it is given logits."""
    node = call.node
    name = _CLASSES.get(node.op)
    text = node.site.text
    if name is not None and text[:1] in {"'", '"'}:
        template = f"tf.keras.losses.{name}(from_logits=True)"
        yield _meant("Say that these are logits", Rewrite(ref(node), template))
    elif name is not None or node.op.startswith(_BACKEND):
        yield _meant("Say that these are logits", Keyword(ref(node), "from_logits", "True"))


def activated(view: View, call: Call, logits: Node) -> Iterator[Remedy]:
    """Yield the remedy that ends the model in an activation."""
    if view.graph.read:
        name = "sigmoid" if call.node.op in BINARY else "softmax"
        yield Remedy(
            f"End the model in a {name}",
            "the model predicts probabilities, as the loss takes them",
            Safety.UNSAFE,
            (Keyword(ref(logits), "activation", f'"{name}"'),),
        )


def given_logits(view: View, call: Call, squash: Node) -> Iterator[Remedy]:
    """Yield the remedy that hands the logits to a loss that takes logits."""
    logits = next(iter(view.operands(squash)), None)
    if logits is not None and not view.graph.read:
        yield argument(
            call.node,
            call.predictions,
            "{logits}",
            "Hand the logits over",
            _MEANT,
            parts={"logits": ref(logits)},
        )


def from_probabilities(call: Call) -> Iterator[Remedy]:
    """Yield the remedy that tells a loss that it is given probabilities."""
    if call.node.arg("from_logits") is True:
        yield _meant(
            "Say that these are probabilities", Keyword(ref(call.node), "from_logits", "False")
        )


def sigmoid_layer(node: Node) -> Iterator[Remedy]:
    """Yield the remedies that give a layer of one unit a sigmoid in the place of its softmax."""
    reason = "the unit tells two classes apart, and was always 1 before"
    for change in (
        Rewrite("softmax", '"sigmoid"', (), node.id),
        Keyword(ref(node), "activation", '"sigmoid"'),
    ):
        yield Remedy("Take a sigmoid for the single unit", reason, Safety.UNSAFE, (change,))


def binary(node: Node) -> Iterator[Remedy]:
    """Yield the remedies that take the binary cross-entropy for a single unit."""
    title = "Take the binary cross-entropy for the single unit"
    if node.op != "categorical_crossentropy":
        return
    if node.site.text[:1] in {"'", '"'}:
        yield _meant(title, Rewrite(ref(node), '"binary_crossentropy"'))
        return
    names = {name for name, value in node.args if value is not None}
    logits = node.arg("from_logits")
    if names <= {*ORDER[node.op], "from_logits"} and (logits is None or isinstance(logits, bool)):
        given = "" if logits is None else f"from_logits={logits}"
        yield _meant(title, Rewrite(ref(node), f"tf.keras.losses.BinaryCrossentropy({given})"))


def aligned(
    view: View, node: Node, flat: Node, column: Node, dropping: Collection[str]
) -> Iterator[Remedy]:
    """Yield the remedies of an operation of one value per sample with a column.

    Args:
        view: the graph.
        node: the operation.
        flat: its operand of shape (N,).
        column: its operand of shape (N, 1).
        dropping: ops that drop an axis.
    """
    reason = "each sample is compared with itself alone"
    whole = next(iter(view.operands(flat)), None) if flat.op in dropping else None
    if whole is not None:
        title = "Leave the axis where it is, as in the other operand"
        yield argument(node, flat, "{whole}", title, reason, parts={"whole": ref(whole)})
    squeezed = "Squeeze the last axis of the other operand, too"
    yield argument(node, column, "tf.squeeze({x}, axis=-1)", squeezed, reason)
    expanded = "Expand the operand that has one value for each sample"
    yield argument(node, flat, "tf.expand_dims({x}, axis=-1)", expanded, reason)


def turned(view: View, output: Node) -> Iterator[Remedy]:
    """Yield the remedies of a loss that is not smallest at the target: its sign, or a square."""
    if output.op in {"negative", "neg"}:
        yield _other(output, "{x}", "Leave the minus out", {"x": output.arg("x")})
    elif output.op == "subtract" and constant(view, output, "x") is not None:
        yield _other(output, "{y}", "Return it as it is", {"y": output.arg("y")})
    for node in ancestors(view, output.id):
        if node.op == "pow" and node.arg("y") in (3, 3.0):
            change = Rewrite(node.arg("y"), "2", (), node.id)
            yield _meant("Take the square of the error", change)
        if node.op == "subtract" and _is_error(view, node):
            template = "tf.square({x} - {y})"
            parts = {"x": node.arg("x"), "y": node.arg("y")}
            yield _other(node, template, "Take the square of the error", parts)
    known = view.interval(output)
    if output.op in {"divide", "div"} and known.lo >= 0.0:
        yield _other(output, "1.0 - {x} / {y}", "Return 1 minus the score", dict(output.args))
    else:
        yield _other(output, "-{x}", "Return the negative", {"x": ref(output)})


def _is_error(view: View, node: Node) -> bool:
    """Tell whether a difference is that of label and prediction, or of their means."""
    operands = view.operands(node)
    roles = [
        {each.input.role for each in ancestors(view, operand.id) if each.input is not None}
        for operand in operands
    ]
    apart = {InputRole.LABEL}, {InputRole.PREDICTION}
    return len(operands) == 2 and (tuple(roles) == apart or tuple(reversed(roles)) == apart)


def with_prediction(view: View, output: Node) -> Iterator[Remedy]:
    """Yield the remedies of a loss in which a label stands where the prediction belongs.

    The label is compared with itself, or bound to the prediction's own name.
    """
    inputs = [node for node in view.graph.inputs if node.input is not None]
    labels = [node for node in inputs if node.input and node.input.role is InputRole.LABEL]
    moved = [node for node in inputs if node.input and node.input.role is InputRole.PREDICTION]
    if len(labels) != 1 or len(moved) != 1:
        return
    label, prediction = labels[0], moved[0]
    parts: Parts = {"y": ref(label), "x": ref(prediction)}
    for node in ancestors(view, output.id):
        form = _COMPARED.get(node.op)
        sides = view.operands(node)
        if form is not None and len(sides) == 2 and all(view.same_value(s, label) for s in sides):
            yield _other(node, form, "Compare the label with the prediction", parts)
        elif node.op and node.name and prediction.input and node.name == prediction.input.name:
            change = Rewrite(ref(label), "{x}", (("x", ref(prediction)),), node.id)
            yield _meant("Compute it from the prediction", change)


_COMPARED = {
    "squared_difference": "tf.math.squared_difference({y}, {x})",
    "subtract": "{y} - {x}",
}


def opened(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedies of a loss whose gradient ends: without the gate, or without a stop."""
    reason = "values change where it was flat, and the gradient does not end there"
    bounded = [each for each in view.operands(node) if view.depends_differentiably(each)]
    if node.op in _BOUNDS and len(bounded) == 1:
        parts = {"x": ref(bounded[0])}
        title = "Leave the bounds out"
        yield replaced(node, "{x}", title, reason, parts, safety=Safety.UNSAFE)
    for each in ancestors(view, node.id):
        if each.op in STOP:
            yield _other(each, "{x}", "Take the stop away", {"x": each.arg("input")})
    if node.op == "subtract" and constant(view, node, "x") == 1.0:
        squared = view.operand(node, "y")
        if squared is not None and squared.op == "square":
            yield _other(squared, "{x}", "Leave the square out", {"x": squared.arg("x")})


_BOUNDS = frozenset({"clip", "clip_by_value", "keras_relu", "maximum", "minimum", "relu"})


def within_each_sample(view: View, nodes: Iterable[Node]) -> Iterator[Remedy]:
    """Yield the remedy that lets ops run along the last axis and not along the batch."""
    changes: list[Change] = []
    for node in nodes:
        axis = node.arg("axis")
        if isinstance(axis, (Ref, Items)):
            return
        if axis is None or _names(node, "axis"):
            changes.append(Keyword(ref(node), "axis", "-1"))
        else:
            changes.append(Rewrite(axis, "-1", (), node.id))
        if "keepdims" in view.op(node).params and node.arg("keepdims") is not True:
            changes.append(Keyword(ref(node), "keepdims", "True"))
    yield Remedy(
        "Go along the last axis",
        "samples do not matter to each other any more",
        Safety.UNSAFE,
        tuple(changes),
    )


def _names(node: Node, keyword: str) -> bool:
    """Tell whether a call is written with a keyword."""
    try:
        found = ast.parse(f"({node.site.text})", mode="eval").body
    except SyntaxError:
        return False
    return isinstance(found, ast.Call) and any(each.arg == keyword for each in found.keywords)


def summed_by_sample(node: Node) -> Iterator[Remedy]:
    """Yield the remedy that sums over the features, so that Keras can take the mean."""
    axis = node.arg("axis")
    change: Change = Keyword(ref(node), "axis", "-1")
    if axis is not None and not _names(node, "axis"):
        change = Rewrite(axis, "-1", (), node.id)
    reason = "each sample has its own sum, of which Keras takes the mean"
    yield Remedy("Sum over the last axis alone", reason, Safety.UNSAFE, (change,))


def without_term(view: View, term: Node) -> Iterator[Remedy]:
    """Yield the remedies that leave a term of a sum out."""
    total = only_user(view, term)
    if total is None or total.op not in {"add", "subtract"}:
        return
    other = "y" if total.arg("x") == ref(term) else "x"
    if total.op == "subtract" and other == "y":
        return
    # Where the sum itself is read: what the term is made of may well go with it.
    change = Rewrite(ref(total), "{x}", (("x", total.arg(other)),), total.id)
    title, reason = "Leave the term out", "it is 0, and has no gradient"
    yield Remedy(title, reason, Safety.SAFE, (change,))
    reason = "it is a constant, by which the loss moves, and has no gradient"
    if not is_constant(view, term.id) or view.interval(term).lo != 0.0:
        yield Remedy(title, reason, Safety.UNSAFE, (change,))


def _other(node: Node, template: str, title: str, parts: Parts) -> Remedy:
    return replaced(node, template, title, _MEANT, parts, safety=Safety.UNSAFE)


def _meant(title: str, change: Rewrite | Keyword) -> Remedy:
    return Remedy(title, _MEANT, Safety.UNSAFE, (change,))
