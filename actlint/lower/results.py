"""Which of several results of a loss is one."""

from __future__ import annotations

from actlint.flow import Flow
from actlint.graph import Graph, InputRole
from actlint.values import Values


def minimised(graphs: list[Graph], results: int) -> list[Graph]:
    """Return the graphs of a loss without those of results that cannot be minimised.

    What has no gradient beside a result that has one counts decisions for the log. Of the first
    result that is only believed if the other is compared with labels: it may hand on the
    prediction.

    Args:
        graphs: of one path through the function, those of what it returns first.
        results: how many these are.
    """
    if results < 2:
        return graphs
    flows = [Flow(graph, Values(graph)) for graph in graphs[:results]]
    live = [at for at, flow in enumerate(flows) if flow.has_gradient]
    labels = [
        node.id
        for node in graphs[0].inputs
        if node.input is not None and node.input.role is InputRole.LABEL
    ]
    compared = any(flows[at].reaches[label] for at in live for label in labels)
    return [
        graph
        for at, graph in enumerate(graphs)
        if at >= results or not live or at in live or (at == 0 and not compared)
    ]
