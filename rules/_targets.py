"""Losses whose target is known: where prediction and label agree."""

from __future__ import annotations

from collections.abc import Iterator

from actlint.query import InputRole, Node, Role, View

from ._common import ancestors, descendants

# Functions of logits; the prediction that agrees with a label of 1 is a large one.
_OF_LOGITS = frozenset(
    {
        "log_sigmoid",
        "log_softmax",
        "reduce_logsumexp",
        "sigmoid",
        "sigmoid_cross_entropy_with_logits",
        "softmax",
        "softmax_cross_entropy_with_logits",
        "softplus",
        "sparse_softmax_cross_entropy_with_logits",
        "weighted_cross_entropy_with_logits",
    }
)
# Functions to another kind of number, in which the label may be given or not.
_TRANSFORMS = frozenset({"cosh", "exp", "expm1", "pow10", "sinh", "tanh"})
_TAKING_APART = frozenset({"getitem", "split", "unstack"})
_BILINEAR = frozenset(
    {"cast", "identity", "multiply", "negative", "reduce_mean", "reduce_sum", "reshape"}
)
_REDUCTIONS = frozenset({"reduce_max", "reduce_mean", "reduce_min", "reduce_sum"})
_DIFFERENCES = frozenset({"squared_difference", "subtract"})
# What a label of logits may pass through and still say which logit should be large.
_LABELLING = frozenset(
    {
        "add",
        "cast",
        "clip",
        "clip_by_value",
        "convert_to_tensor",
        "divide",
        "expand_dims",
        "flatten",
        "identity",
        "multiply",
        "negative",
        "one_hot",
        "reduce_sum",
        "reshape",
        "shape",
        "squeeze",
        "stop_gradient",
        "subtract",
    }
)


def agreeing(view: View) -> tuple[Node, Node] | None:
    """Return the prediction and the label of a loss that has one of each, or None.

    None also if the two need not be equal, so that nothing says where the loss should be smallest:
    distances with a margin, critics' scores, parameters of a distribution, log rates.
    """
    graph = view.graph
    if graph.role is not Role.LOSS or graph.partial or not view.has_gradient():
        return None
    used = [node for node in graph.inputs if view.reaches_output(node)]
    kinds = [node.input.role for node in used if node.input is not None]
    # A part that cannot be run, or a second prediction, leaves open where the target is.
    if (
        kinds.count(InputRole.LABEL) != 1
        or kinds.count(InputRole.PREDICTION) != 1
        or any(kind in {InputRole.CUT, InputRole.VARIABLE, InputRole.DATA} for kind in kinds)
    ):
        return None
    prediction = used[kinds.index(InputRole.PREDICTION)]
    label = used[kinds.index(InputRole.LABEL)]
    reached = [node for node in descendants(view, prediction.id) if node.op]
    if (
        (_is_taken_apart(view, prediction) and not _meet(view, prediction, label))
        or all(node.op in _BILINEAR for node in reached)
        or _has_margin(view, label)
        or _is_pairwise(view, prediction)
        or _is_transformed(view, prediction, label)
    ):
        return None
    return prediction, label


def signed_errors(view: View) -> Iterator[Node]:
    """Yield differences of a label and what is predicted for it, element by element.

    Not those of numbers for a whole batch, as critics' losses take them, nor of what the loss reads
    elsewhere, too, such as a log variance, nor of a prediction whose target is known anyway.
    """
    graph = view.graph
    if graph.role is not Role.LOSS or graph.partial:
        return
    known = agreeing(view)
    for node in view.nodes("subtract"):
        sides = [each for each in (view.operand(node, "x"), view.operand(node, "y")) if each]
        reads = {_reads(view, side): side for side in sides}
        if not view.on_gradient_path(node) or set(reads) != {InputRole.LABEL, InputRole.PREDICTION}:
            continue
        moved = reads[InputRole.PREDICTION]
        if view.users(moved) == (node,) and (known is None or view.definition(moved) != known[0]):
            yield node


def _reads(view: View, node: Node) -> InputRole | None:
    """Return whether a value is made of labels alone or of predictions alone; None if neither."""
    found = ancestors(view, node.id)
    roles = {each.input.role for each in found if each.input is not None}
    # Without an axis they reduce everything to one number.
    scalars = any(each.op in _REDUCTIONS and each.arg("axis") is None for each in found)
    cut = any(each.op == "stop_gradient" for each in found)
    return roles.pop() if len(roles) == 1 and not scalars and not cut else None


def _is_taken_apart(view: View, prediction: Node) -> bool:
    """Return whether parts of the prediction are used, as of parameters of a distribution."""
    return any(node.op in _TAKING_APART for node in view.users(prediction))


def _meet(view: View, prediction: Node, label: Node) -> bool:
    """Return whether prediction and label are subtracted from each other as they are."""
    return any(
        {view.definition(operand) for operand in view.operands(node)} == {prediction, label}
        for node in view.nodes(*_DIFFERENCES)
    )


def _has_margin(view: View, label: Node) -> bool:
    """Return whether a hinge is put on the prediction alone, as contrastive losses do."""
    return any(
        view.on_gradient_path(node) and label not in ancestors(view, node.id)
        for node in view.nodes("maximum", "relu", "keras_relu")
    )


def _is_pairwise(view: View, prediction: Node) -> bool:
    """Return whether predictions are compared with each other, as losses of an order do."""
    for node in view.nodes("subtract", "greater", "less"):
        pair = view.operand(node, "x"), view.operand(node, "y")
        if pair[0] != pair[1] and all(
            side is not None and view.definition(side) == prediction for side in pair
        ):
            return True
    return False


def _is_transformed(view: View, prediction: Node, label: Node) -> bool:
    """Return whether prediction or label pass through a function so that they are of two kinds.

    A function of their difference does not matter. Logits do not either, if the label is not one.
    """
    logits = any("sparse" in node.op or node.arg("from_logits") is True for node in view.nodes())
    for node in view.nodes(*_OF_LOGITS, *_TRANSFORMS):
        sources = ancestors(view, node.id)
        if label in sources and prediction in sources:
            differs = any(source.op in _DIFFERENCES for source in sources)
            if node.op in _TRANSFORMS and not differs:
                return True
            logits |= node.op in _OF_LOGITS
        elif label in sources or node.op in _TRANSFORMS:
            return True
        else:
            logits |= prediction in sources
    return logits and not _labels(view, prediction, label)


def _labels(view: View, prediction: Node, label: Node) -> bool:
    """Return whether a label says by itself which logit should be large."""
    moved = {prediction, *descendants(view, prediction.id)}
    return all(
        node.op in _LABELLING
        for node in descendants(view, label.id)
        if node.op and node not in moved and view.reaches_output(node)
    )
