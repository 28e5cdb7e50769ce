"""The known losses as calls: where labels and predictions belong, and what they have to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actlint.query import InputRole, Node, Role, View

from ._common import ancestors

# Cross-entropies that mean something else with their operands exchanged: labels, predictions.
ORDER: Final = {
    **dict.fromkeys(
        ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy",
         "poisson"),
        ("y_true", "y_pred"),
    ),
    **dict.fromkeys(
        ("backend_binary_crossentropy", "backend_categorical_crossentropy",
         "backend_sparse_categorical_crossentropy"),
        ("target", "output"),
    ),
    **dict.fromkeys(
        ("sigmoid_cross_entropy_with_logits", "weighted_cross_entropy_with_logits",
         "softmax_cross_entropy_with_logits", "sparse_softmax_cross_entropy_with_logits",
         "v1_sparse_softmax_cross_entropy"),
        ("labels", "logits"),
    ),
    "v1_log_loss": ("labels", "predictions"),
    "log_poisson_loss": ("targets", "log_input"),
    "v1_sigmoid_cross_entropy": ("multi_class_labels", "logits"),
    "v1_softmax_cross_entropy": ("onehot_labels", "logits"),
}  # fmt: skip
# Focal losses are linear in nothing, so that exchanged operands cannot be proved.
FOCAL: Final = {
    "binary_focal_crossentropy": ("y_true", "y_pred"),
    "categorical_focal_crossentropy": ("y_true", "y_pred"),
}
_COUNTS = frozenset({"poisson", "log_poisson_loss"})
# Those that Keras gives the logits of a sigmoid or softmax before them, wherever it finds these.
HEALED: Final = frozenset(
    {
        "backend_binary_crossentropy",
        "backend_categorical_crossentropy",
        "backend_sparse_categorical_crossentropy",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
    }
)
_ADDING = frozenset({"add", "maximum", "multiply", "subtract"})
_FILLED = frozenset({"fill", "ones", "ones_like", "zeros", "zeros_like"})
BINARY: Final = frozenset(
    {"binary_crossentropy", "backend_binary_crossentropy", "binary_focal_crossentropy"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """A cross-entropy and what it is given."""

    node: Node
    labels: Node
    predictions: Node
    logits: bool | None  # whether it takes logits; None if the source does not tell


def calls(view: View) -> Iterator[Call]:
    """Yield the calls of known cross-entropies of which both operands are tensors."""
    for node in view.nodes(*ORDER, *FOCAL):
        first, second = (ORDER | FOCAL)[node.op]
        labels, predictions = view.operand(node, first), view.operand(node, second)
        if labels is not None and predictions is not None:
            yield Call(node, labels, predictions, _logits(view, node))


def _logits(view: View, node: Node) -> bool | None:
    if node.op in _COUNTS:
        return None
    if "logits" in node.op or node.op.startswith("v1_s"):
        return True
    if node.op == "v1_log_loss":
        return False
    given = node.arg("from_logits")
    if given is None:
        return False
    known = view.static(node, "from_logits")
    return known if isinstance(known, bool) else None


def reversed_parameters(view: View) -> tuple[Node, Node] | None:
    """Return the parameters of a loss that a Keras model calls, if the prediction comes first."""
    graph = view.graph
    tensors = [
        node
        for node in graph.inputs
        if node.input is not None
        and node.input.role in {InputRole.LABEL, InputRole.PREDICTION}
        and not node.path
    ]
    if not graph.keras or graph.role is not Role.LOSS or len(tensors) != 2:
        return None
    first, second = tensors
    roles = [node.input.role for node in tensors if node.input is not None]
    return (first, second) if roles == [InputRole.PREDICTION, InputRole.LABEL] else None


def is_label(view: View, node: Node) -> bool:
    """Return whether labels, or the data of a graph, and nothing else is in a value."""
    roles = {
        found.input.role
        for found in ancestors(view, node.id)
        if found.input is not None and found.input.role is not InputRole.PARAMETER
    }
    return bool(roles) and roles <= {InputRole.LABEL, InputRole.DATA}


def is_constant(view: View, node: Node) -> bool:
    """Return whether a value is a tensor filled with one number, perhaps shaped like another."""
    return view.definition(node).op in _FILLED


def activation_before(view: View, node: Node, *keys: str) -> Node | None:
    """Return the activation of ops `keys` whose result a node is, perhaps in another shape."""
    found = view.definition(node)
    return found if found.op in keys else None


def overlap(view: View, prediction: Node) -> Node | None:
    """Return the quotient that takes an input for shares, as the scores of Dice and Jaccard do.

    Above the line is a sum of products of it with labels, below the line its own sum.
    """
    if prediction.input is None:
        return None
    for node in view.nodes("div", "divide", "divide_no_nan"):
        above, below = view.operand(node, "x"), view.operand(node, "y")
        if above is None or below is None or not view.on_gradient_path(node):
            continue
        products = [each for each in _summed(view, above) if each.op == "multiply"]
        shared = any(
            len(sides := view.operands(each)) == 2
            and any(view.definition(side) == prediction for side in sides)
            and any(is_label(view, side) for side in sides)
            for each in products
        )
        if shared and prediction in _summed(view, below):
            return node
    return None


def _summed(view: View, node: Node) -> tuple[Node, ...]:
    """Return what is summed up in a value that sums and multiples of sums are added up to."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        current = view.definition(waiting.pop())
        if current.op == "reduce_sum":
            found.append(view.definition(view.operands(current)[0]))
        elif current.op in _ADDING:
            waiting.extend(view.operands(current))
    return tuple(found)
