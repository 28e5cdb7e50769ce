"""Findings that have one cause: several ops that meet the 0 to which one value underflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actlint.findings import Outcome, Reach, Suspect, Verdict
from actlint.graph import Graph, Node, Site
from actlint.ops.model import Kind
from actlint.ops.table import TABLE

# Positive functions that are 0 in floating point far out. Of shares, each logarithm and quotient
# has a stable form of its own; these are mended where they stand, once.
_UNDERFLOWING = frozenset({"exp", "softplus"})
# What is 0 where its operand is.
_SCALING = frozenset(
    {"abs", "cast", "divide", "getitem", "identity", "multiply", "negative", "pow", "sqrt",
     "square"}
)  # fmt: skip
# Longest expression in characters that is quoted whole.
_SHORT = 60

# A finding as far as this module goes: graph, suspect and what the worker said of it.
Judged = tuple[Graph, Suspect, Outcome]


def followers(found: Sequence[Judged]) -> dict[int, int]:
    """Return which findings say again what another one says: their positions, and its position.

    All are confirmed, in one function, and far out: where a network is driven on its way to
    infinity, not where it is every day.
    """
    first: dict[tuple[Site, Site], int] = {}
    told: dict[int, int] = {}
    order = sorted(range(len(found)), key=lambda at: (_position(found[at]), at))
    for at in order:
        graph, suspect, outcome = found[at]
        evidence = outcome.evidence
        if outcome.verdict is not Verdict.CONFIRMED or evidence is None:
            continue
        source = underflowing(graph, suspect)
        if source is None or evidence.reach is not Reach.EXTENDED:
            continue
        leader = first.setdefault((graph.site, source.site), at)
        if leader != at:
            told[at] = leader
    return told


def clause(found: Sequence[Judged], told: Mapping[int, int], leader: int) -> str:
    """Return a clause that names what follows from the cause of a finding, too; or ""."""
    nodes = [found[at][0].nodes[found[at][1].node] for at, first in told.items() if first == leader]
    texts = dict.fromkeys(" ".join(node.site.text.split()) for node in nodes)
    short = [text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…" for text in texts]
    return f", which also spoils {' and '.join(f'`{text}`' for text in short)}" if short else ""


def underflowing(graph: Graph, suspect: Suspect) -> Node | None:
    """Return the value whose underflow to 0 is what a suspect is about, or None."""
    for target in suspect.targets:
        if not target.lo <= 0.0 <= target.hi or target.vector:
            return None
        node = graph.nodes[target.node]
        while node.op in _SCALING and TABLE[node.op].kind is not Kind.REDUCTION:
            operands = [ref for ref in node.operands if graph.nodes[ref].op != "constant"]
            if len(operands) != 1:
                return None
            node = graph.nodes[operands[0]]
        if node.op in _UNDERFLOWING and node.id != suspect.node:
            return node
    return None


def _position(judged: Judged) -> tuple[str, int, int]:
    graph, suspect, _ = judged
    site = graph.nodes[suspect.node].site
    return site.path, site.span.line, site.span.column
