"""Remedies of gradients that are cut off, and of those that live in a sliver."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from actlint.query import Items, Node, Remedy, Rewrite, Safety, View

from ._patterns import DIVIDE, linear_factor
from ._remedies import Parts, argument, ref, replaced

# Largest factors that leave typical arguments on the slope of a sigmoid: of pre-activations, and
# of probabilities less a threshold.
OF_PREACTIVATIONS = 4.0
OF_PROBABILITIES = 10.0
OF_LOGITS = 2.0  # a temperature of a half
_MULTIPLY = ("multiply",)


def passed_on(node: Node, value: str, title: str, reason: str) -> Remedy:
    """Return the remedy that leaves a call out and keeps its argument `value`."""
    parts: Parts = {"x": node.arg(value)}
    return replaced(node, "{x}", title, reason, parts, safety=Safety.UNSAFE)


def in_tensorflow(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that calls TensorFlow's function and not NumPy's."""
    twin = view.twin(node)
    if twin is None:
        return
    given = [(name, value) for name, value in node.args if value is not None]
    if not all(name in twin.params for name, _ in given) or not twin.call.startswith("tf."):
        return
    texts = [
        f"{{{name}}}" if name in twin.operands else f"{name}={{{name}}}"
        for name, value in given
        if not isinstance(value, Items) or name not in twin.operands
    ]
    if len(texts) == len(given):
        yield replaced(
            node,
            f"{twin.call}({', '.join(texts)})",
            f"Call {twin.call}",
            "the value stays, and the gradient passes",
            dict(given),
            safety=Safety.UNSAFE,
        )


def gentler(view: View, arguments: Iterable[Node], size: float) -> Iterator[Remedy]:
    """Yield the remedy that multiplies the arguments of switches by less.

    Args:
        view: the graph.
        arguments: of the sigmoids and the like that are too steep.
        size: the factor that each of them is left with.
    """
    changes: dict[tuple[int, float], Rewrite] = {}
    largest = 0.0
    for each in arguments:
        factor, _ = linear_factor(view, each)
        if factor <= size:
            continue
        found = _scaling(view, each)
        if found is None:
            return
        node, value = found
        wanted = value / factor * size if node.op in _MULTIPLY else value * factor / size
        changes[node.id, value] = Rewrite(value, plain(wanted), (), node.id)
        largest = max(largest, factor)
    if changes:
        yield Remedy(
            f"Multiply the argument by {size:g} and not by {largest:.6g}",
            "values change, and the gradient reaches more of the elements",
            Safety.UNSAFE,
            tuple(changes.values()),
        )


def _scaling(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the product or quotient with the number that contributes most to a linear factor."""
    best, found = 1.0, None
    end = linear_factor(view, node)[1].id
    while node.id != end:
        moving = [each for each in view.operands(node) if view.depends_differentiably(each)]
        numbers = [
            value
            for _, value in node.args
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value
        ]
        if (node.op in _MULTIPLY or node.op in DIVIDE) and len(numbers) == 1:
            size = abs(numbers[0]) if node.op in _MULTIPLY else 1.0 / abs(numbers[0])
            if size > best:
                best, found = size, (node, numbers[0])
        node = moving[0]
    return found


def plain(value: float) -> str:
    """Return a number in as few digits as tell it, with a point."""
    text = f"{value:.6g}"
    return text if "." in text or "e" in text else f"{text}.0"


def unclipped(
    node: Node, operand: Node, low: float, high: float, *, squash: bool
) -> Iterator[Remedy]:
    """Yield the remedies of bounds outside which there is no gradient.

    Args:
        node: the clip, minimum or maximum.
        operand: what it bounds.
        low: the lower bound, or minus infinity.
        high: the upper bound, or infinity.
        squash: the bounds are meant; a smooth function may keep them.
    """
    names = [name for name, value in node.args if value != ref(operand) and value is not None]
    bounds = {"hi" if "max" in name else "lo": node.arg(name) for name in names}
    reason = "values change, within the same bounds, and every element has a gradient"
    forms: list[tuple[str, Parts]] = []
    if math.isinf(high):
        forms = [("{lo} + tf.math.softplus({x} - {lo})", {"lo": node.arg(names[0])})]
    elif math.isinf(low):
        forms = [("{hi} - tf.math.softplus({hi} - {x})", {"hi": node.arg(names[0])})]
    elif len(bounds) == 2:
        forms = [
            (f"{plain(low)} + {plain(high - low)} * tf.sigmoid({{x}})", {}),
            ("{lo} + ({hi} - {lo}) * tf.sigmoid({x})", bounds),
        ]
    for template, parts in forms if squash and len(names) <= 2 else ():
        title = "Squash with tf.sigmoid" if "sigmoid" in template else "Bend with tf.nn.softplus"
        given = {"x": ref(operand), **parts}
        yield replaced(node, template, title, reason, given, safety=Safety.UNSAFE)
    yield replaced(
        node,
        "{x}",
        "Leave the bounds out",
        "values beyond them change, and have a gradient",
        {"x": ref(operand)},
        safety=Safety.UNSAFE,
    )


def rescaled(node: Node, logits: Node, inner: Node) -> Remedy:
    """Return the remedy that leaves a factor of the logits out."""
    return argument(
        node,
        logits,
        "{inner}",
        "Leave the factor out",
        "values change, and differ with the logits",
        parts={"inner": ref(inner)},
    )
