"""Graphs with one node changed, to ask what would be if the source said something else."""

from __future__ import annotations

from dataclasses import replace

from actlint.query import Arg, Graph, Items, Node, Ref, Slice


def selected(graph: Graph, product: Node, by: Node, term: Node, *, test: bool) -> Graph:
    """Return the graph with ``tf.where(by, term, 0)`` in place of the node `product`.

    Args:
        graph: where the nodes are.
        product: what is replaced; ids from its own on move up by one.
        by: the condition, or what is to be unequal to 0.
        term: what is selected.
        test: whether `by` is no condition yet.
    """
    at = product.id
    other = 0.0
    unequal = Node(at, "not_equal", (("x", Ref(by.id)), ("y", other)), product.site)
    condition = Ref(at if test else by.id)
    choice = Node(
        at + 1,
        "where",
        (("condition", condition), ("x", Ref(term.id)), ("y", other)),
        product.site,
        product.path,
    )
    later = [
        replace(
            node,
            id=node.id + 1,
            args=tuple((name, _moved(arg, at)) for name, arg in node.args),
        )
        for node in graph.nodes[at + 1 :]
    ]
    return replace(
        graph,
        nodes=(*graph.nodes[:at], unequal, choice, *later),
        output=_place(graph.output, at),
        assumptions=tuple((_place(node, at), truth) for node, truth in graph.assumptions),
    )


def _place(index: int, at: int) -> int:
    return index + 1 if index >= at else index


def _moved(arg: Arg, at: int) -> Arg:
    match arg:
        case Ref(node=index):
            return Ref(_place(index, at))
        case Items(items=items):
            return Items(tuple(_moved(item, at) for item in items))
        case Slice(start=start, stop=stop, step=step):
            return Slice(_moved(start, at), _moved(stop, at), _moved(step, at))
    return arg
