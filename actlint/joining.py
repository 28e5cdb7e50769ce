"""One graph of two: an original and its mended version, over the same free inputs."""

from __future__ import annotations

from dataclasses import replace

from actlint.graph import Graph, Input, InputRole, needed, renumbered


def joined(graph: Graph, mended: Graph) -> tuple[Graph, int] | None:
    """Return both graphs as one that reads each input once, and the id of the mended output.

    None if the mended graph reads what the other does not know.
    """
    inputs = {_identity(node.input): node.id for node in graph.nodes if node.input is not None}
    ids: dict[int, int] = {}
    nodes = list(graph.nodes)
    live = set(needed(mended))
    for node in mended.nodes:
        if node.input is not None:
            known = inputs.get(_identity(node.input))
            if known is not None:
                ids[node.id] = known
                continue
            if node.id in live:
                return None
        ids[node.id] = len(nodes)
        nodes.append(renumbered(node, ids))
    return replace(graph, nodes=tuple(nodes)), ids[mended.output]


def _identity(spec: Input) -> tuple[str, InputRole]:
    """Return what tells an input; data may turn out to be labels once arguments are exchanged."""
    role = InputRole.DATA if spec.role is InputRole.LABEL else spec.role
    return spec.name, role
