"""Labels of losses that are computed from what is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actlint.query import InputRole, Kind, Node, View

from ._common import ancestors
from ._losses import FOCAL, ORDER

# Losses that compare two distributions, the label first: labels, predictions.
_DIVERGENCES: Final = ORDER | FOCAL | {"kl_divergence": ("y_true", "y_pred")}
# Losses that compare two numbers.
_REGRESSIONS: Final = {
    **dict.fromkeys(
        ("huber", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
         "mean_squared_error", "mean_squared_logarithmic_error"),
        ("y_true", "y_pred"),
    ),
    **dict.fromkeys(
        ("v1_absolute_difference", "v1_huber_loss", "v1_mean_squared_error"),
        ("labels", "predictions"),
    ),
}  # fmt: skip
_DIFFERENCES: Final = ("squared_difference", "subtract")
_SUMS: Final = frozenset({"add", "add_n", "subtract"})
_MAXIMA: Final = frozenset({"reduce_max", "top_k_values"})
_DATA: Final = frozenset({InputRole.DATA, InputRole.LABEL})


@dataclass(frozen=True, slots=True)
class Pair:
    """A label, the prediction that it is compared with, and what compares them."""

    node: Node
    label: Node
    prediction: Node


def _pairs(view: View, table: dict[str, tuple[str, str]]) -> Iterator[Pair]:
    """Yield the calls of known losses of which both operands have a gradient."""
    for node in view.nodes(*table):
        first, second = table[node.op]
        label, prediction = view.operand(node, first), view.operand(node, second)
        if (
            label is not None
            and prediction is not None
            and view.depends_differentiably(label)
            and view.depends_differentiably(prediction)
            and view.flow.carries(node, first)
        ):
            yield Pair(node, label, prediction)


# ---- labels made of the prediction ---------------------------------------------------------------


def own_labels(view: View) -> Iterator[tuple[Pair, str]]:
    """Yield the labels that are computed from the prediction and from nothing else."""
    for pair in _pairs(view, _DIVERGENCES):
        mixture = any(node.id == pair.label.id for node in ancestors(view, pair.prediction.id))
        same = view.same_value(pair.label, pair.prediction)
        if mixture or same or _has_data(view, pair.label):
            continue
        if _rests_on(view, pair.label, _chain(view, pair.prediction)):
            yield pair, "is computed from the same prediction"


def _chain(view: View, node: Node) -> frozenset[int]:
    """Return a prediction and what it is made of in one line: its logits, for instance."""
    found = {node.id}
    while node.op and view.op(node).kind is not Kind.OTHER and node.op != "getitem":
        live = [each for each in view.operands(node) if view.depends_differentiably(each)]
        if len(set(live)) != 1:
            break
        node = live[0]
        found.add(node.id)
    return frozenset(found)


def _rests_on(view: View, label: Node, chain: frozenset[int]) -> bool:
    """Return whether every gradient of a label leads through the prediction's own line."""
    waiting, seen = [label], set[int]()
    while waiting:
        node = waiting.pop()
        if node.id in seen or node.id in chain:
            continue
        seen.add(node.id)
        if node.input is not None or node.op == "getitem":
            return False
        waiting += [
            view.node(ref)
            for ref, name in view.flow.edges(node)
            if view.depends_differentiably(ref) and view.flow.carries(node, name)
        ]
    return True


def _has_data(view: View, node: Node) -> bool:
    """Return whether labels or data enter a value, beside what the network makes of them."""
    return any(
        found.input is not None and not found.input.differentiated and found.input.role in _DATA
        for found in ancestors(view, node.id)
    )


# ---- labels made of other outputs ----------------------------------------------------------------


def other_outputs(view: View) -> Iterator[tuple[Pair, str]]:
    """Yield the labels of a divergence that are other outputs of the network that is trained."""
    pairs = tuple(_pairs(view, _DIVERGENCES))
    for pair in pairs:
        if _related(view, pair.label, pair.prediction) and not any(
            _outputs(view, pair.label) & _outputs(view, other.prediction)
            and _outputs(view, pair.prediction) & _outputs(view, other.label)
            for other in pairs
        ):
            yield pair, "is an output of the network that is trained"


def bootstrapped(view: View) -> Iterator[tuple[Pair, str]]:
    """Yield the targets of temporal differences: data plus another output of the network."""
    why = "rests on an output of the network that is trained"
    for pair in _pairs(view, _REGRESSIONS):
        if _is_bootstrap(view, pair.label) and _related(view, pair.label, pair.prediction):
            yield pair, why
        elif (
            _is_bootstrap(view, pair.prediction)
            and _is_maximum(view, pair.prediction)
            and _related(view, pair.prediction, pair.label)
        ):
            yield Pair(pair.node, pair.prediction, pair.label), why
    for node in view.nodes(*_DIFFERENCES):
        operands = view.operands(node)
        if len(operands) != 2:
            continue
        for label, other in (operands, operands[::-1]):
            # Of two outputs whose difference is taken nothing but a maximum says which is a target.
            if (
                _is_bootstrap(view, label)
                and _is_maximum(view, label)
                and _related(view, label, other)
            ):
                yield Pair(node, label, other), why


def _outputs(view: View, node: Node) -> frozenset[int]:
    """Return the outputs of trained networks that a gradient leads to from a node."""
    known = {output for output, _ in view.graph.networks}
    return frozenset(found.id for found in _behind(view, node) if found.id in known)


def _behind(view: View, node: Node) -> tuple[Node, ...]:
    """Return the nodes that a gradient of `node` comes to, itself first."""
    order: dict[int, Node] = {}
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.id in order:
            continue
        order[current.id] = current
        waiting += [
            view.node(ref)
            for ref, name in view.flow.edges(current)
            if view.depends_differentiably(ref) and view.flow.carries(current, name)
        ]
    return tuple(order.values())


def _related(view: View, label: Node, prediction: Node) -> bool:
    """Return whether different outputs of one trained network are in a label and a prediction."""
    numbers = dict(view.graph.networks)
    mine, others = _outputs(view, label), _outputs(view, prediction)
    return (
        bool(mine and others)
        and not mine & others
        and {numbers[each] for each in mine} == {numbers[each] for each in others}
    )


def _is_bootstrap(view: View, node: Node) -> bool:
    """Return whether data are added to what a network makes of other data."""
    return any(
        found.op in _SUMS
        and any(
            _has_data(view, operand) and not view.depends_differentiably(operand)
            for operand in view.operands(found)
        )
        for found in _behind(view, node)
    )


def _is_maximum(view: View, node: Node) -> bool:
    """Return whether a gradient leads through the largest of several values."""
    return any(found.op in _MAXIMA for found in _behind(view, node))
