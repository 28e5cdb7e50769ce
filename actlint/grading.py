"""How bad a finding is, and on which condition its claim holds: what its proof says, no more."""

from __future__ import annotations

from dataclasses import dataclass

from actlint.findings import Evidence, Hazard, Reach, Relation, Severity, Suspect, numbers
from actlint.graph import TYPICAL_LIMIT, Graph, InputRole, Node, Role

# The mode of what is seen neither in eager TensorFlow nor in `tf.function`.
_COMPILED = "xla"
# Longest expression in characters that is quoted whole beside the culprit.
_SHORT = 60
# What training moves: nothing bounds it but its domain.
_UNBOUNDED = frozenset(InputRole) - {InputRole.LABEL, InputRole.DATA, InputRole.PARAMETER}
# Free values whose numbers no ReLU, mask or padding is known to make exact.
_NETWORK = frozenset({InputRole.PREDICTION, InputRole.CUT, InputRole.VARIABLE})
# Magnitude of free values beyond which a hazard is told of, but not warned of: training that gets
# there is lost already. A single weight, which an optimiser moves by little steps, gets less far
# than what is added up of many.
_CREDIBLE = 100.0
_CREDIBLE_WEIGHT = 10.0


@dataclass(frozen=True, slots=True)
class Grade:
    """How bad a finding is, and a clause that says when it happens, or ""."""

    severity: Severity
    condition: str


def graded(graph: Graph, suspect: Suspect, evidence: Evidence | None) -> Grade:
    """Return how bad a suspect is in the light of its evidence: each doubt takes off one step."""
    if evidence is None:
        return Grade(suspect.severity, "")
    found = [_far(graph, evidence), _coincidence(graph, evidence)]
    if evidence.mode == _COMPILED:
        found.append(Grade(Severity.WARNING, ", where XLA compiles it"))
    steps = sum(_ORDER.index(each.severity) for each in (Grade(suspect.severity, ""), *found))
    return Grade(_ORDER[min(steps, len(_ORDER) - 1)], "".join(each.condition for each in found))


_ORDER = tuple(Severity)
_AS_IS = Grade(Severity.ERROR, "")


# ---- far out ---------------------------------------------------------------------------------


def _far(graph: Graph, evidence: Evidence) -> Grade:
    """Grade a hazard by how far a free value has to go, if training seldom goes there."""
    if evidence.reach is not Reach.EXTENDED:
        return _AS_IS
    found = [
        # Of equal magnitudes the positive one.
        (max(numbers(evidence.witness[node.input.name]), key=lambda x: (abs(x), x), default=0.0),
         node)
        for node in graph.inputs
        if node.input is not None
        and node.input.role in _UNBOUNDED
        and node.input.name in evidence.witness
    ]  # fmt: skip
    value, node = max(found, key=lambda pair: abs(pair[0]), default=(0.0, None))
    if node is None or not abs(value) > TYPICAL_LIMIT:
        return Grade(Severity.WARNING, "")
    # A layer with an activation stands in the source as one call.
    inner = any(each.site.span == node.site.span and node.id in each.operands
                for each in graph.nodes)  # fmt: skip
    what = f"the logits of {_quoted(node)}" if inner else _quoted(node)
    weight = node.input is not None and node.input.role is InputRole.VARIABLE
    credible = abs(value) <= (_CREDIBLE_WEIGHT if weight else _CREDIBLE)
    seldom = ", which single weights seldom do" if weight and not credible else ""
    return Grade(
        Severity.WARNING if credible else Severity.INFO,
        f", assuming {what} can reach {value:g}{seldom}",
    )


def _quoted(node: Node) -> str:
    text = " ".join(node.site.text.split())
    return f"`{text if len(text) <= _SHORT else node.name}`"


# ---- exact points ----------------------------------------------------------------------------


def _coincidence(graph: Graph, evidence: Evidence) -> Grade:
    """Grade a hazard at exact points by what makes numbers exact.

    Labels and data are exact: 0 for a class, a mask or padding. So is what an activation or a
    layer is given, behind ReLUs and where biases start at 0; so is a probability that saturates,
    and so are two predictions that one network makes of the same thing. What else a network gives
    hits a number by chance, and several numbers at once never.
    """
    named = str(evidence.detail.get("exact", "")).split()
    if evidence.hazard not in {Hazard.NAN, Hazard.INF} or not named:
        return _AS_IS
    nodes = [node for node in graph.inputs if node.input is not None and node.input.name in named]
    roles = {node.input.role for node in nodes if node.input is not None}
    moved = [node for node in nodes if node.input is not None and node.input.differentiated]
    given = [node for node in nodes if node not in moved]
    relation = Relation(str(evidence.detail["relation"]))
    # Rows of a weight are no samples.
    whole = "whole" in evidence.detail and InputRole.VARIABLE not in roles
    several = float(str(evidence.detail["at_once"])) > 1 or "whole" in evidence.detail
    if not moved and not (whole and relation is Relation.EQUAL):
        return _AS_IS
    equal = relation is Relation.EQUAL
    pair = equal and len(nodes) > 1
    if "saturated" in evidence.detail:
        if not several or (pair and not whole):
            return _AS_IS
        where = "the whole batch" if whole else "every number"
        return Grade(Severity.WARNING, f"; only where {_listed(moved)} saturates in {where}")
    if relation is Relation.CROSSING:
        if not roles & _NETWORK:
            return _AS_IS
        return Grade(Severity.WARNING, "; only where it is exactly 0, which is a matter of chance")
    scope = " in the whole batch" if whole else " in every number" if several else ""
    if whole:
        known = InputRole.ACTIVATION in roles
        severity = Severity.WARNING if known else Severity.INFO
    elif _is_made_exact(graph, relation, moved, roles):
        return _AS_IS
    else:
        severity = Severity.WARNING
    if pair and given:
        return Grade(
            severity, f"; only where {_listed(moved)} equals {_listed(given)} exactly{scope}"
        )
    if equal:
        what = "are exactly equal" if pair else "is exactly constant"
        return Grade(severity, f"; only where {_listed(nodes)} {what}{scope}")
    if moved and {node.id for node in moved} <= set(graph.gradients):
        return Grade(
            severity,
            f"; only where that gradient is exactly 0{scope}, as behind ReLUs that are all off",
        )
    verb = "are" if len(moved) > 1 else "is"
    start = InputRole.VARIABLE in roles
    how = "" if whole else ", as a bias is at the start" if start else ", as behind a ReLU"
    return Grade(severity, f"; only where {_listed(moved)} {verb} exactly 0{scope}{how}")


def _is_made_exact(
    graph: Graph, relation: Relation, moved: list[Node], roles: set[InputRole]
) -> bool:
    """Tell whether more than chance makes the numbers of one sample exact."""
    if relation is Relation.EQUAL:
        return roles == {InputRole.PREDICTION} or not roles & _NETWORK
    return not roles & _NETWORK or all(_starts_at_zero(graph, node) for node in moved)


def _starts_at_zero(graph: Graph, node: Node) -> bool:
    """Tell whether a weight can be 0 at the start; a regularizer is given any weight."""
    known = node.input is not None and node.input.role is InputRole.VARIABLE
    return known and graph.role is not Role.REGULARIZER


def _listed(nodes: list[Node]) -> str:
    """Return inputs in backquotes."""
    return " and ".join(dict.fromkeys(_quoted(node) for node in nodes))
