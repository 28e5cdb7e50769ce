"""Remedies of decisions, indices and metrics where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator

from actlint.query import Node, Remedy, Safety, View

from ._common import is_constant
from ._losses import is_label
from ._remedies import Parts, constant, ref, replaced, straight_through

_CASTS = ("cast", "cast_to_floatx", "to_float")
_ROUNDING = ("keras_round", "rint", "round")
_ONE_HOT = ("keras_one_hot", "one_hot")
_ARGMAX = ("argmax", "keras_argmax", "ops_argmax")
_ARGMIN = ("argmin", "keras_argmin", "ops_argmin")
_LAST_BY_DEFAULT = ("keras_argmax", "keras_argmin")
_MEANS = ("reduce_mean",)
_ABOVE = ("greater", "greater_equal")


def loss_of_metric(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that computes the mean of a loss in the place of a metric object."""
    mean = next(iter(view.operands(node)), None)
    error = None if mean is None else next(iter(view.operands(mean)), None)
    if mean is None or error is None or mean.op not in _MEANS:
        return
    call = view.op(error).call
    given = [(name, value) for name, value in error.args if value is not None]
    if call.startswith("tf.keras.losses."):
        arguments = ", ".join(
            f"{{{name}}}" if name in view.op(error).operands else f"{name}={{{name}}}"
            for name, _ in given
        )
        yield replaced(
            node,
            f"tf.reduce_mean({call}({arguments}))",
            "Compute the mean of the loss itself",
            "it is that of this batch, not the running one of all batches, and has a gradient",
            dict(given),
            safety=Safety.UNSAFE,
        )


def soft_count(view: View, decision: Node) -> Iterator[Remedy]:
    """Yield the remedies that count probabilities and not decisions."""
    title = "Count the probabilities themselves"
    reason = "a decision becomes its probability: values change, and the gradient passes"
    if decision.op in _ROUNDING:
        inner = next(iter(view.operands(decision)), None)
        if inner is not None:
            parts: Parts = {"x": ref(inner)}
            yield replaced(decision, "{x}", title, reason, parts, safety=Safety.UNSAFE)
            yield straight_through(decision, decision, inner)
        return
    limit, inner = constant(view, decision, "y"), view.operand(decision, "x")
    if decision.op not in _ABOVE or limit is None or inner is None:
        return
    if not 0.0 <= limit < 1.0:
        return
    # A threshold between 0 and 1 is one of probabilities, 0 one of logits.
    soft = "{x}" if limit else "tf.sigmoid({x})"
    for user in view.users(decision):
        if user.op in _CASTS or _is_one_or_zero(view, user):
            yield replaced(user, soft, title, reason, {"x": ref(inner)}, safety=Safety.UNSAFE)
            yield straight_through(user, user, inner)


def entropy_of_agreement(view: View, decision: Node) -> Iterator[Remedy]:
    """Yield the remedy that takes the cross-entropy in the place of an error rate.

    Only where the graph tells whether the prediction is made of logits or of probabilities.
    """
    moved = next(iter(view.operands(decision)), None)
    agreement = next((user for user in view.users(decision) if user.op == "equal"), None)
    if moved is None or agreement is None:
        return
    other = next((side for side in view.operands(agreement) if side != decision), None)
    label = None if other is None else view.definition(other)
    many = decision.op in _ARGMAX
    if label is not None and many and label.op in _ARGMAX:
        label = next(iter(view.operands(label)), None)
    logits = _is_logits(view, moved)
    rate = _error_rate(view, agreement)
    if label is None or not is_label(view, label) or logits is None or rate is None:
        return
    if many and not (_along_last(view, decision) and label.op not in _ARGMAX):
        return
    kind = "categorical" if many else "binary"
    given = ", from_logits=True" if logits else ""
    yield replaced(
        rate,
        f"tf.reduce_mean(tf.keras.losses.{kind}_crossentropy({{label}}, {{x}}{given}))",
        "Take the cross-entropy, and keep the error rate as a metric",
        "it is another loss, which falls as the right class becomes more probable",
        {"label": ref(label), "x": ref(moved)},
        safety=Safety.UNSAFE,
    )


def soft_choice(view: View, index: Node) -> Iterator[Remedy]:
    """Yield the remedies of an argmax or argmin of which a one-hot row or a number is made."""
    scores = next(iter(view.operands(index)), None)
    if scores is None or not _along_last(view, index):
        return
    turned = index.op in _ARGMIN
    shares = not turned and _is_share(view, scores)
    weights = "{x}" if shares else f"tf.nn.softmax({'-' if turned else ''}{{x}}, axis=-1)"
    parts: Parts = {"x": ref(scores)}
    taken = "; what it chooses from is taken for shares" if shares and scores.input else ""
    for user in view.users(index):
        if user.op in _ONE_HOT:
            yield replaced(
                user,
                # The row is as wide as the shares, whatever batch it is proved on.
                f"{weights} + tf.stop_gradient("
                f"tf.one_hot({{index}}, tf.shape({{x}})[-1]) - {weights})",
                "Let the gradient of the shares pass straight through the choice",
                f"the value stays, and the gradient becomes that of the shares{taken}",
                {**parts, "index": ref(index)},
                safety=Safety.UNSAFE,
            )
        elif user.op in _CASTS:
            yield replaced(
                user,
                f"tf.reduce_sum({weights} * tf.range(tf.cast(tf.shape({{x}})[-1], tf.float32)), "
                "axis=-1)",
                "Take the expected index",
                f"it is the index where one share is 1, and has a gradient{taken}",
                parts,
                safety=Safety.UNSAFE,
            )


def _along_last(view: View, index: Node) -> bool:
    """Return whether an index is taken along the last axis."""
    axis = index.arg("axis")
    if axis is None:
        return index.op in _LAST_BY_DEFAULT
    scores = next(iter(view.operands(index)), None)
    # A product of matrices has two axes.
    flat = scores is not None and view.definition(scores).op == "matmul"
    return axis == -1 or (axis == 1 and flat)


def _is_share(view: View, node: Node) -> bool:
    """Return whether values are between 0 and 1."""
    known = view.interval(node)
    return known.lo >= 0.0 and known.hi <= 1.0


def _is_logits(view: View, node: Node) -> bool | None:
    """Return whether a prediction is made of logits, or of probabilities; None if nothing tells."""
    found = view.definition(node)
    if _is_share(view, node):
        return False
    return True if found.op == "matmul" or found.id in view.graph.linear else None


def _is_one_or_zero(view: View, node: Node) -> bool:
    """Return whether a selection gives 1 where its condition holds, and 0 elsewhere."""
    if node.op != "where":
        return False
    found = [view.interval(each) for each in view.operands(node)[1:] if is_constant(view, each.id)]
    given = [constant(view, node, name) for name in ("x", "y")]
    return given == [1.0, 0.0] or [each.lo for each in found] == [1.0, 0.0]


def _error_rate(view: View, agreement: Node) -> Node | None:
    """Return the negative, or 1 minus, of the mean of an agreement, if that is the output."""
    node = agreement
    while node.id != view.graph.output:
        users = [user for user in view.users(node) if view.reaches_output(user)]
        if len(users) != 1:
            return None
        node = users[0]
        if node.op not in (*_CASTS, *_MEANS, "negative", "subtract"):
            return None
        if node.op == "subtract" and (
            constant(view, node, "x") != 1.0 or node.id != view.graph.output
        ):
            return None
    return node if node.op in {"negative", "subtract"} else None
