"""How bad a finding is, and on which condition its claim holds: what its proof says, no more."""

from __future__ import annotations

from dataclasses import dataclass

from actlint.dotted import bare
from actlint.findings import Evidence, Hazard, Reach, Relation, Severity, Suspect, numbers
from actlint.graph import (
    EXTENDED_LIMIT,
    TYPICAL_LIMIT,
    WEIGHT_GROWTH,
    Graph,
    InputRole,
    Node,
    Role,
)
from actlint.names import last

# The mode of what is seen neither in eager TensorFlow nor in `tf.function`.
_COMPILED = "xla"
# Longest expression in characters that is quoted whole beside the culprit.
_SHORT = 60
# What training moves: nothing bounds it but its domain.
_UNBOUNDED = frozenset(InputRole) - {InputRole.LABEL, InputRole.DATA, InputRole.PARAMETER}
# Free values whose numbers no ReLU, mask or padding is known to make exact.
_NETWORK = frozenset({InputRole.PREDICTION, InputRole.CUT, InputRole.VARIABLE})
# Magnitude of free values beyond which a hazard is told of, but not warned of: training that gets
# there is lost already, and raw pixels go to 255. A single weight, which an optimiser moves by
# little steps, gets less far than what is added up of many.
_CREDIBLE = 300.0
_CREDIBLE_WEIGHT = 10.0


@dataclass(frozen=True, slots=True)
class Grade:
    """How bad a finding is, and a clause that says when it happens, or ""."""

    severity: Severity
    condition: str


def graded(
    graph: Graph, suspect: Suspect, evidence: Evidence | None, *, idle: bool, untried: bool = False
) -> Grade:
    """Return how bad a suspect is in the light of its evidence: each doubt takes off one step.

    Args:
        graph: that of the suspect.
        suspect: with the severity that its rule gives it.
        evidence: what was measured, if anything was.
        idle: nothing uses the function, see idle.py.
        untried: TensorFlow was to run it and could not; the reason stands beside the finding.
    """
    found = list[Grade]()
    if evidence is not None:
        behind = _behind(evidence)
        found = (
            [behind, _assumed(evidence)]
            if behind is not None
            else [far(graph, evidence), _coincidence(graph, suspect, evidence), _assumed(evidence)]
        )
        if evidence.mode == _COMPILED:
            found.append(Grade(Severity.WARNING, ", where XLA compiles it"))
    if untried:
        found.append(Grade(Severity.WARNING, ""))
    if idle:
        found.append(Grade(Severity.WARNING, f"; nothing here uses `{last(bare(graph.name))}`"))
    doubts = suspect.conditional + sum(_ORDER.index(each.severity) for each in found)
    # What makes a rule warn is often one of these doubts.
    steps = max(doubts, _ORDER.index(suspect.severity))
    return Grade(_ORDER[min(steps, len(_ORDER) - 1)], "".join(each.condition for each in found))


_ORDER = tuple(Severity)
_AS_IS = Grade(Severity.ERROR, "")


# ---- far out ---------------------------------------------------------------------------------


def out_of_reach(graph: Graph, evidence: Evidence) -> float | None:
    """Return how far a single weight would have to go for a hazard, if it does not, or None.

    An optimiser moves it by little steps, and no sum of many takes it farther. Only of weights that
    are known to start near 0 that can be told; their range in the graph says so.
    """
    if evidence.reach is not Reach.EXTENDED:
        return None
    value, node = _farthest(graph, evidence)
    if not _is_weight(node) or node is None or node.input is None:
        return None
    limit = node.input.hi
    far = limit < EXTENDED_LIMIT and abs(value) > _CREDIBLE_WEIGHT + limit / WEIGHT_GROWTH
    return value if far else None


def _is_weight(node: Node | None) -> bool:
    return node is not None and node.input is not None and node.input.role is InputRole.VARIABLE


def far(graph: Graph, evidence: Evidence) -> Grade:
    """Grade a hazard by how far a free value has to go, if training seldom goes there."""
    if evidence.reach is not Reach.EXTENDED:
        return _AS_IS
    value, node = _farthest(graph, evidence)
    if node is None or not abs(value) > TYPICAL_LIMIT:
        return Grade(Severity.WARNING, "")
    # A layer with an activation stands in the source as one call.
    inner = node.site.text.endswith(")") and any(
        each.site.span == node.site.span and node.id in each.operands for each in graph.nodes
    )
    what = f"the logits of {_quoted(node)}" if inner else _quoted(node)
    credible = abs(value) <= (_CREDIBLE_WEIGHT if _is_weight(node) else _CREDIBLE)
    seldom = ", which single weights seldom do" if _is_weight(node) and not credible else ""
    return Grade(
        Severity.WARNING if credible else Severity.INFO,
        f", assuming {what} can reach {value:g}{seldom}",
    )


def _farthest(graph: Graph, evidence: Evidence) -> tuple[float, Node | None]:
    """Return the number of largest magnitude that training moves in a witness, and its input."""
    found = [
        # Of equal magnitudes the positive one.
        (max(numbers(evidence.witness[node.input.name]), key=lambda x: (abs(x), x), default=0.0),
         node)
        for node in graph.inputs
        if node.input is not None
        and node.input.role in _UNBOUNDED
        and node.input.name in evidence.witness
    ]  # fmt: skip
    return max(found, key=lambda pair: abs(pair[0]), default=(0.0, None))


def _quoted(node: Node) -> str:
    text = " ".join(node.site.text.split())
    return f"`{text if len(text) <= _SHORT else node.name}`"


def _assumed(evidence: Evidence) -> Grade:
    """Grade a hazard of a part by what goes into it, and is computed where nothing was run."""
    free = evidence.detail.get("free")
    if not isinstance(free, str):
        return _AS_IS
    return Grade(Severity.WARNING, f", unless what computes {free} prevents it")


def _behind(evidence: Evidence) -> Grade | None:
    """Grade a hazard of a loss by what brings the models to it that are compiled with the loss."""
    condition, severity = (evidence.detail.get(name) for name in ("behind", "behind_severity"))
    if not isinstance(condition, str) or not isinstance(severity, str):
        return None
    return Grade(Severity(severity), condition)


# ---- exact points ----------------------------------------------------------------------------


def _coincidence(graph: Graph, suspect: Suspect, evidence: Evidence) -> Grade:
    """Grade a hazard at exact points by what makes numbers exact.

    Labels and data are exact: 0 for a class, a mask or padding. So is what an activation or a
    layer is given, behind ReLUs and where biases start at 0; so is a probability that saturates,
    and so are two predictions that one network makes of the same thing. What else a network gives
    hits a number by chance, and several numbers at once never.
    """
    point = _point(graph, evidence)
    if point is None or (not point.moved and not (point.whole and point.equal)):
        return _AS_IS
    roles = point.roles
    if point.relation is Relation.CROSSING:
        if not roles & _NETWORK:
            return _AS_IS
        return Grade(Severity.WARNING, "; only where it is exactly so, which is a matter of chance")
    pair = point.equal and len(point.nodes) > 1
    if point.saturated:
        if not point.several or (pair and not point.whole):
            return _AS_IS
        severity = Severity.WARNING
    elif point.whole:
        # Units that are off give the same for all samples.
        severity = Severity.WARNING if point.part else Severity.INFO
        severity = Severity.ERROR if InputRole.ACTIVATION in roles else severity
    elif _is_made_exact(graph, point):
        return _AS_IS
    else:
        severity = Severity.WARNING
    if suspect.guarded:
        severity = Severity.ERROR
    return Grade(severity, f"; only {_said(graph, point)}")


@dataclass(frozen=True, slots=True)
class _Point:
    """What has to coincide for a hazard; see worker/coincidence.py."""

    nodes: list[Node]  # inputs that must be exact
    relation: Relation
    at: float | None  # what all their numbers are
    several: bool  # more than one number at once
    whole: bool  # of all samples of a batch
    part: bool  # of each sample, some elements need not be
    saturated: bool  # at limits, where activations bring them

    @property
    def moved(self) -> list[Node]:
        """Those that training moves."""
        return [each for each in self.nodes if each.input is not None and each.input.differentiated]

    @property
    def roles(self) -> set[InputRole]:
        """What they stand for."""
        return {each.input.role for each in self.nodes if each.input is not None}

    @property
    def equal(self) -> bool:
        """They equal each other, whatever their value."""
        return self.relation is Relation.EQUAL


def _point(graph: Graph, evidence: Evidence) -> _Point | None:
    """Return what the worker measured, or None if nothing has to coincide."""
    detail = evidence.detail
    named = str(detail.get("exact", "")).split()
    if evidence.hazard not in {Hazard.NAN, Hazard.INF} or not named:
        return None
    nodes = [node for node in graph.inputs if node.input is not None and node.input.name in named]
    weights = {node.input.role for node in nodes if node.input is not None} == {InputRole.VARIABLE}
    at = detail.get("at")
    return _Point(
        nodes=nodes,
        relation=Relation(str(detail["relation"])),
        at=at if isinstance(at, float) else None,
        several=detail["at_once"] != 1.0 or "whole" in detail,
        whole="whole" in detail and not weights,  # rows of a weight are no samples
        part="part" in detail,
        saturated="saturated" in detail,
    )


def _said(graph: Graph, point: _Point) -> str:
    """Return which numbers have to coincide, as a clause."""
    scope = ""
    if point.several:
        scope = " in every number"
        if point.whole:
            scope = " in a part of every sample" if point.part else " in the whole batch"
    given = [node for node in point.nodes if node not in point.moved]
    names, verb = _listed(point.nodes), "are" if len(point.nodes) > 1 else "is"
    if point.equal:
        if len(point.nodes) == 1:
            return f"where {names} is exactly constant{scope}"
        if point.moved and given:
            return f"where {_listed(point.moved)} equals {_listed(given)} exactly{scope}"
        return f"where {names} are exactly equal{scope}"
    if point.at is None:
        return f"at exact numbers of {names}{scope}"
    how = ""
    if not point.saturated and not point.whole and point.at == 0.0:
        gradient = {node.id for node in point.moved} <= set(graph.gradients)
        weight = InputRole.VARIABLE in point.roles
        how = ", as behind ReLUs that are all off" if gradient else ", as behind a ReLU"
        how = ", as a bias is at the start" if weight else how
        names = "that gradient" if gradient and len(point.nodes) == 1 else names
    # There may be other such numbers.
    return f"at exact numbers: here {names} {verb} {point.at:g}{scope}{how}"


def _is_made_exact(graph: Graph, point: _Point) -> bool:
    """Tell whether more than chance makes the numbers of one sample exact."""
    roles = point.roles
    if not roles & _NETWORK:
        return True
    if point.equal:
        return roles == {InputRole.PREDICTION}
    return all(_starts_at_zero(graph, node) for node in point.moved)


def _starts_at_zero(graph: Graph, node: Node) -> bool:
    """Tell whether a weight can be 0 at the start; a regularizer is given any weight."""
    known = node.input is not None and node.input.role is InputRole.VARIABLE
    return known and graph.role is not Role.REGULARIZER


def _listed(nodes: list[Node]) -> str:
    """Return inputs in backquotes."""
    return " and ".join(dict.fromkeys(_quoted(node) for node in nodes))
