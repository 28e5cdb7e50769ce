"""Remedies of cross-entropies and other losses that are given the wrong thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from actlint.query import Keyword, Node, Remedy, Rewrite, Safety, View

from ._losses import BINARY, ORDER, Call
from ._remedies import argument, ref

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


def _meant(title: str, change: Rewrite | Keyword) -> Remedy:
    return Remedy(title, _MEANT, Safety.UNSAFE, (change,))
