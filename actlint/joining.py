"""One graph of two: an original and its mended version, over the same free inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from actlint.graph import Arg, Graph, Input, InputRole, Items, Node, Ref, Slice


def joined(graph: Graph, mended: Graph) -> tuple[Graph, int] | None:
    """Return both graphs as one that reads each input once, and the id of the mended output.

    None if the mended graph reads what the other does not know.
    """
    inputs = {_identity(node.input): node.id for node in graph.nodes if node.input is not None}
    ids: dict[int, int] = {}
    nodes = list(graph.nodes)
    for node in mended.nodes:
        if node.input is not None:
            known = inputs.get(_identity(node.input))
            if known is not None:
                ids[node.id] = known
                continue
            if _needed(mended, node.id):
                return None
        ids[node.id] = len(nodes)
        nodes.append(_renumbered(node, ids))
    return replace(graph, nodes=tuple(nodes)), ids[mended.output]


def _identity(spec: Input) -> tuple[str, InputRole]:
    """Return what tells an input; data may turn out to be labels once arguments are exchanged."""
    role = InputRole.DATA if spec.role is InputRole.LABEL else spec.role
    return spec.name, role


def _needed(graph: Graph, wanted: int) -> bool:
    """Tell whether the output is computed from a node."""
    reached = {graph.output}
    for node in reversed(graph.nodes):
        if node.id in reached:
            reached.update(node.operands)
    return wanted in reached


def _renumbered(node: Node, ids: Mapping[int, int]) -> Node:
    args = tuple((name, _moved(arg, ids)) for name, arg in node.args)
    return replace(node, id=ids[node.id], args=args, value=_moved(node.value, ids))


def _moved(arg: Arg, ids: Mapping[int, int]) -> Arg:
    if isinstance(arg, Ref):
        return Ref(ids[arg.node])
    if isinstance(arg, Items):
        return Items(tuple(_moved(item, ids) for item in arg.items))
    if isinstance(arg, Slice):
        return Slice(*(_moved(part, ids) for part in (arg.start, arg.stop, arg.step)))
    return arg
