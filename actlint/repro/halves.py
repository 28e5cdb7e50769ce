"""The program of what breaks in a reduced dtype alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actlint.excerpt import follows
from actlint.findings import Evidence, Number, Tensor
from actlint.graph import DType, Graph, Node
from actlint.rendering import Function, literal
from actlint.repro.calling import feed, plain, tensor


def retyped(graph: Graph, nodes: Sequence[Node]) -> list[Node]:
    """Return nodes in which what takes a tensor's dtype takes the graph's."""
    chosen = frozenset(follows(graph, nodes))
    own = DType(graph.dtype)
    return [
        replace(
            node,
            args=tuple((key, own if isinstance(arg, DType) else arg) for key, arg in node.args),
        )
        if node.id in chosen
        else node
        for node in nodes
    ]


def reduced(function: Function, evidence: Evidence) -> list[str]:
    """Make the inputs in the reduced dtype, and say what float32 gives for the same numbers."""
    lines: list[str] = []
    for name, spec in function.inputs:
        value = feed(spec, evidence)
        floating = not plain(spec) and any(isinstance(item, float) for item in _items(value))
        made = f"tf.constant({literal(value)}, tf.{evidence.detail['dtype']})"
        lines.append(f"{name} = {made if floating else tensor(spec, value)}")
    known = [
        f"{what} {number:.4g}"
        for what, key in (("the value is", "float32_value"), ("the gradient", "float32_gradient"))
        if isinstance(number := evidence.detail.get(key), float)
    ]
    return [*lines, f"# in float32 {', '.join(known)}"]


def _items(value: Tensor) -> list[Number]:
    if isinstance(value, list):
        return [item for part in value for item in _items(part)]
    return [value]
