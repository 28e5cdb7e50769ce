"""Remedies of numbers that should be measured, divided or drawn while the graph runs."""

from __future__ import annotations

from collections.abc import Iterator

from actlint.query import InputRole, Items, Node, Remedy, Rewrite, Safety, View

from ._remedies import Parts, ref, replaced

_QUOTIENTS = ("div", "divide", "multiply")


def measured(view: View, node: Node, rows: int | None) -> Iterator[Remedy]:
    """Yield the remedies that ask a prediction for its size.

    Args:
        view: the graph.
        node: a quotient with the batch size, or an op that gives a tensor of that many rows.
        rows: how many; None of a quotient.
    """
    predictions = [
        each
        for each in view.graph.inputs
        if each.input is not None and each.input.role is InputRole.PREDICTION
    ]
    if len(predictions) != 1:
        return
    parts: Parts = {"p": ref(predictions[0])}
    title = "Ask the tensor for its size"
    reason = "nothing changes in a batch of the size that was written down, others do not fail"
    if rows is None:
        above = node.arg("x")
        if node.op in _QUOTIENTS:
            yield replaced(
                node,
                "{x} / tf.cast(tf.shape({p})[0], tf.float32)",
                title,
                "the value is the same in a batch of the size that was written down, and a mean "
                "in all others",
                {"x": above, **parts},
                safety=Safety.UNSAFE,
            )
        return
    shape = node.arg("shape")
    if node.op == "reshape" and isinstance(shape, Items) and -1 not in shape.items:
        change = Rewrite(rows, "-1", (), node.id)
        yield Remedy("Leave the rows open", reason, Safety.UNSAFE, (change,))
    change = Rewrite(rows, "tf.shape({p})[0]", tuple(parts.items()), node.id)
    yield Remedy(title, reason, Safety.UNSAFE, (change,))


def divided(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of an integer that cuts fractions off: a division, or a cast."""
    reason = "values change by the fraction that was cut off"
    text = node.site.text
    if not node.op and text.count("//") == 1:
        title = "Divide without rounding"
        yield replaced(node, text.replace("//", "/"), title, reason, {}, safety=Safety.UNSAFE)
    elif node.op == "floordiv":
        parts: Parts = {"x": node.arg("x"), "y": node.arg("y")}
        title = "Divide without rounding"
        yield replaced(node, "{x} / {y}", title, reason, parts, safety=Safety.UNSAFE)
    elif node.op == "cast":
        inner = next(iter(view.operands(node)), None)
        if inner is not None:
            title = "Keep the fractions"
            yield replaced(node, "{x}", title, reason, {"x": ref(inner)}, safety=Safety.UNSAFE)


def drawn(node: Node) -> Iterator[Remedy]:
    """Yield the remedy that lets TensorFlow draw, in the same shape."""
    given = {name: value for name, value in node.args if value is not None}
    size = given.pop("size", None)
    name = _DRAWN.get(node.op)
    if name is None:
        return
    shape = "[]" if size is None else "{size}"
    options = "".join(f", {_NAMES[key]}={{{key}}}" for key in given if key in _NAMES)
    yield replaced(
        node,
        f"{name}({shape}{options})",
        "Let TensorFlow draw",
        "other numbers are drawn, and anew at each step",
        {**given, **({} if size is None else {"size": size})},
        safety=Safety.UNSAFE,
    )


_DRAWN = {
    "np_random_normal": "tf.random.normal",
    "np_random_rand": "tf.random.uniform",
    "np_random_randn": "tf.random.normal",
    "np_random_sample": "tf.random.uniform",
    "np_random_uniform": "tf.random.uniform",
}
_NAMES = {"high": "maxval", "loc": "mean", "low": "minval", "scale": "stddev"}
