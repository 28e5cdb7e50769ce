"""Programs that compare a custom gradient with finite differences of its value."""

from __future__ import annotations

from dataclasses import replace

from actlint.excerpt import sliced
from actlint.findings import Evidence, Tensor
from actlint.graph import EXTENDED_LIMIT, Arg, Graph, Input, InputRole, Items, Node, Ref
from actlint.rendering import literal, render
from actlint.repro.calling import call, feed, tensor


def custom_gradient(graph: Graph, node: int, evidence: Evidence, name: str) -> str:
    """Return a program that compares a custom gradient with a finite difference."""
    claim = graph.nodes[node]
    value, upstream, gradients = (claim.arg(key) for key in ("input", "upstream", "gradients"))
    assert isinstance(value, Ref)
    assert isinstance(upstream, Ref)
    assert isinstance(gradients, Items)
    position, element = (evidence.detail.get(key) for key in ("argument", "element"))
    if not isinstance(position, float) or not isinstance(element, float):
        return _miscounted(claim, len(gradients.items))
    spec = Input("upstream", InputRole.PARAMETER, False, -EXTENDED_LIMIT, EXTENDED_LIMIT)
    free = replace(graph.nodes[upstream.node], op="", args=(), input=spec)
    nodes = tuple(free if each.id == free.id else each for each in graph.nodes)
    forward = render(sliced(graph, {value.node}), value.node, name)
    source = _listed(claim, "x")[int(position)]
    moved = next(key for key, _ in forward.inputs if key == _name(graph, source))
    gradient = gradients.items[int(position)]
    parts = [forward.text]
    claimed = "None"
    if isinstance(gradient, Ref):
        opened = replace(graph, nodes=nodes)
        slope = f"{forward.name}_gradient"
        backward = render(sliced(opened, {gradient.node}), gradient.node, slope)
        parts.append(backward.text)
        claimed = f"{backward.name}({', '.join(key for key, _ in backward.inputs)})"
    elif gradient is not None:
        claimed = f"tf.constant({literal(float(str(gradient)))})"
    at = evidence.witness.get(moved)
    step, picked = _step(at, int(element))
    shown = "None" if claimed == "None" else f"gradient{picked}.numpy().tolist()"
    lines = [f"{key} = {tensor(record, feed(record, evidence))}" for key, record in forward.inputs]
    there, before = (call(forward, moved, f"{moved} {sign} step") for sign in "+-")
    lines += [
        f"step = tf.constant({step})",
        f"upstream = {_upstream(call(forward), evidence)}",
        f"difference = tf.reduce_sum(upstream * ({there} - {before}))",
        f"gradient = {claimed}",
        "# the gradient of the function's author, and that of the value: expect two numbers",
        f'print("gradient given:", {shown})',
        'print("gradient measured:", round(float(difference / 0.02), 4))',
    ]
    return "import tensorflow as tf\n\n\n" + "\n\n\n".join([*parts, "\n".join(lines)]) + "\n"


def _listed(claim: Node, key: str) -> tuple[Arg, ...]:
    found = claim.arg(key)
    return found.items if isinstance(found, Items) else ()


def _name(graph: Graph, source: Arg) -> str:
    record = graph.nodes[source.node].input if isinstance(source, Ref) else None
    return "" if record is None else record.name


def _upstream(value: str, evidence: Evidence) -> str:
    """Return the cotangent of a value: one number everywhere, or 1, 2, 3 and so on."""
    numbers = evidence.detail.get("upstream")
    if not isinstance(numbers, list) or len(numbers) == 1:
        ones = f"tf.ones_like({value})"
        return ones if numbers == [1.0] or not isinstance(numbers, list) else f"2.0 * {ones}"
    return f"tf.reshape(tf.constant({literal([*numbers])}), tf.shape({value}))"


def _step(at: Tensor | None, element: int) -> tuple[str, str]:
    """Return a small step along one element of `at`, and that element's index."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    shape = np.asarray(at).shape
    step = np.zeros(int(np.prod(shape)), np.float64)
    step[element] = 0.01
    index = [str(axis) for axis in np.unravel_index(element, shape)] if shape else []
    return literal(step.reshape(shape).tolist()), f"[{', '.join(index)}]" if index else ""


def _miscounted(claim: Node, given: int) -> str:
    """Return a program in which TensorFlow counts the gradients."""
    names = [f"x{position}" for position in range(len(_listed(claim, "x")))]
    both = ", ".join(names)
    return f"""\
import tensorflow as tf


@tf.custom_gradient
def f({both}):
    return tf.add_n([{both}]), lambda upstream: [upstream] * {given}


{" = ".join(names)} = tf.constant(1.0)
with tf.GradientTape() as tape:
    tape.watch([{both}])
    value = f({both})
# gradients: {given}, arguments: {len(names)}; expect an error
print("gradient:", tape.gradient(value, [{both}]))
"""
