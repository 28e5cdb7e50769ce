"""Excerpts: the slice of a graph that the worker runs.

The program that a person can paste comes from the same slice, so what it shows is what the worker
saw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from actlint.findings import Suspect
from actlint.graph import EXTENDED_LIMIT, DType, Graph, Input, InputRole, Node
from actlint.ops import table
from actlint.worker.protocol import Instruction, Job

# `x.dtype`, and a layer's `compute_dtype`; its `dtype` is that of its variables, float32.
_FOLLOWING = re.compile(r"(?<!self)\.dtype\b|\bcompute_dtype\b")


def job(
    graph: Graph,
    suspects: Sequence[Suspect],
    *,
    id: int,  # noqa: A002  # the field of Job that it becomes
    seed: int,
    samples: int,
) -> Job | None:
    """Return what the worker needs to judge `suspects`, or None if the graph has no free input.

    Args:
        graph: where the suspects are; node ids stay as they are.
        suspects: what to judge, in the order of the answer.
        id: number of the job.
        seed: seed of the sampling.
        samples: sample points for each suspect.
    """
    ends = {graph.output, *(node for node, _ in graph.assumptions)}
    for suspect in suspects:
        ends |= {suspect.node, *(target.node for target in suspect.targets)}
    nodes = sliced(graph, ends)
    if not any(node.input is not None for node in nodes):
        return None
    return Job(
        id=id,
        name=graph.name,
        role=graph.role,
        instructions=tuple(
            Instruction(node.id, node.op, node.args, node.input, node.value) for node in nodes
        ),
        output=graph.output,
        assumptions=graph.assumptions,
        suspects=tuple(suspects),
        seed=seed,
        samples=samples,
        dtype=graph.dtype,
        follows=follows(graph, nodes),
    )


def follows(graph: Graph, nodes: Iterable[Node]) -> tuple[int, ...]:
    """Return those of a graph's nodes that take a tensor's dtype, which is not always float32."""
    if graph.dtype == "float32":
        return ()
    return tuple(
        node.id
        for node in nodes
        if any(isinstance(arg, DType) for _, arg in node.args) and _FOLLOWING.search(node.site.text)
    )


def sliced(graph: Graph, ends: Iterable[int]) -> list[Node]:
    """Return the nodes that `ends` are computed from; what cannot be run becomes a free input."""
    needed = set(ends)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.id in needed:
            node = node if _runs(node) else _cut(node)  # noqa: PLW2901  # the same value
            kept.append(node)
            needed.update(node.operands)
    return kept[::-1]


def _runs(node: Node) -> bool:
    return not node.op or (node.op in table.TABLE and table.row(node.op).runs)


def _cut(node: Node) -> Node:
    """Return an input in place of a call of the user's; its op stays on record."""
    unknown = Input(f"value_{node.id}", InputRole.CUT, False, -EXTENDED_LIMIT, EXTENDED_LIMIT)
    return replace(node, args=(), input=unknown)
