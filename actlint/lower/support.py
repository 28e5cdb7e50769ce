"""Values of what a library hands to a method, where not every real number is meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from actlint.graph import Graph, InputRole
from actlint.scene import Unit

_LEARNT: Final = frozenset({InputRole.CUT, InputRole.VARIABLE})


def within(graphs: Iterable[Graph], unit: Unit) -> list[Graph]:
    """Return graphs whose arguments lie in the support that the base class of a unit gives.

    Of a function without weights, such as a logarithm that is the inverse of an exponential, only
    its author knows where it is meant to hold; graphs of such are left out.
    """
    if unit.support is None:
        return list(graphs)
    lo, hi = unit.support
    names = {name for name, _ in unit.inputs}
    found = []
    for graph in graphs:
        if not _learns(graph):
            continue
        nodes = tuple(
            replace(node, input=replace(node.input, lo=lo, hi=hi))
            if node.input is not None
            and node.input.role is InputRole.ACTIVATION
            and node.input.name in names
            else node
            for node in graph.nodes
        )
        found.append(replace(graph, nodes=nodes))
    return found


def _learns(graph: Graph) -> bool:
    """Tell whether weights, or what is made with weights, go into the output of a graph."""
    pending, seen = [graph.output], {graph.output}
    while pending:
        node = graph.nodes[pending.pop()]
        if node.input is not None and node.input.role in _LEARNT and not node.input.unknown:
            return True
        pending += [operand for operand in node.operands if operand not in seen]
        seen.update(node.operands)
    return False
