"""What the rules suspect of one graph, less what can be told to be pointless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from actlint.findings import Check, Suspect
from actlint.graph import Graph, InputRole
from actlint.query import Cause, Rule, View


def suspects(
    graph: Graph, rules: Iterable[Rule], raised: list[Suspect] | None = None
) -> Iterator[Suspect]:
    """Yield what `rules` suspect, rule by rule.

    Args:
        graph: what is looked at.
        rules: those that are asked.
        raised: takes all that they suspect, what is pointless included.
    """
    if _impossible(graph):
        return
    view = View(graph)
    for rule in rules:
        if graph.role not in rule.roles or (graph.read and not rule.reads_models):
            continue
        if graph.tracing is not rule.sees_tracing:
            continue
        for each in rule.suspects(view):
            if raised is not None:
                raised.append(each)
            if not (_hinges_on_unknown(graph, each) or _answered_for(view, each)):
                yield each


# Checks of how a value and its gradient go together along a line, or from layer to layer.
_SHAPES = frozenset(
    {
        Check.CONSTANT,
        Check.CONTINUITY,
        Check.DEAD_SHARE,
        Check.GAIN_GROWTH,
        Check.GAIN_LOSS,
        Check.MONOTONICITY,
        Check.SATURATION,
        Check.STEEPNESS,
    }
)


def _answered_for(view: View, suspect: Suspect) -> bool:
    """Tell whether a custom gradient is there for what a rule suspects.

    Of the function that brings it, nothing counts but a value that is nan or infinite for numbers
    of ordinary size.
    """
    if view.inside_own_gradient(suspect.node):
        causes = {hit.region.cause for hit in view.hits(suspect.node) if not hit.masked}
        return suspect.check is not Check.NONFINITE or causes <= {Cause.OVERFLOW}
    return suspect.check in _SHAPES and any(True for _ in view.nodes("with_gradient"))


def _impossible(graph: Graph) -> bool:
    """Tell whether a condition of the path, one of constants alone, does not hold."""
    fixed = [node.input is None for node in graph.nodes]
    for node in graph.nodes:
        fixed[node.id] = fixed[node.id] and all(fixed[ref] for ref in node.operands)
    decided = [(node, taken) for node, taken in graph.assumptions if fixed[node]]
    if not decided:
        return False
    view = View(replace(graph, assumptions=()))
    known = [(view.interval(node), taken) for node, taken in decided]
    return any(v.lo == v.hi and bool(v.lo) != taken for v, taken in known)


def _hinges_on_unknown(graph: Graph, suspect: Suspect) -> bool:
    """Tell whether unknown calls or settings alone decide if the suspect's targets are reached.

    Nothing says then that the dangerous value can occur, so there is nothing to suspect.
    """
    hinges = False
    for target in suspect.targets:
        pending, seen = [target.node], {target.node}
        while pending:
            node = graph.nodes[pending.pop()]
            if node.input is not None:
                if node.input.role is not InputRole.PARAMETER and not node.input.unknown:
                    return False
                hinges = True
            fresh = [operand for operand in node.operands if operand not in seen]
            seen.update(fresh)
            pending += fresh
    return hinges
