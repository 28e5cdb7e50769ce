"""Tells ways through a function apart by what they compute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from actlint.graph import Graph, needed, renumbered
from actlint.lower.marks import Mark


def distinct(
    graphs: Iterable[tuple[Graph, tuple[Mark, ...]]],
) -> tuple[tuple[Graph, tuple[Mark, ...]], ...]:
    """Return the graphs without those that differ only in what does not lead to the output."""
    found: dict[object, tuple[Graph, tuple[Mark, ...]]] = {}
    for graph, marks in graphs:
        found.setdefault(_identity(graph), (graph, marks))
    return tuple(found.values())


def _identity(graph: Graph) -> object:
    """Return what two graphs have in common that compute the same in the same places."""
    live = [graph.nodes[index] for index in needed(graph)]
    places = {node.id: place for place, node in enumerate(live)}
    nodes = tuple(
        # Inputs are numbered through over all nodes.
        replace(
            renumbered(node, places),
            name="" if node.input is not None else node.name,
            input=None if node.input is None else replace(node.input, name=""),
        )
        for node in live
    )
    assumptions = tuple((places[node], taken) for node, taken in graph.assumptions)
    linear = tuple(places[node] for node in graph.linear if node in places)
    return nodes, places[graph.output], assumptions, graph.partial, linear
