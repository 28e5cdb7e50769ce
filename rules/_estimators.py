"""Straight-through estimators: sums of a step, what stands in for it, and stop_gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from actlint.query import Items, Node, Ref, View

from ._common import STOP, ancestors

_SUMS = ("add", "add_n", "subtract")
_SQUASHING = ("clip_by_value", "hard_sigmoid", "sigmoid", "softmax", "tanh")
_ROUNDING = ("ceil", "floor", "keras_round", "rint", "round")
_LINEAR = (*_SUMS, "identity", "negative", "multiply", "divide", *STOP)


class Fault(StrEnum):
    """What is wrong with an estimator."""

    SWAPPED = "swapped"  # the step cancels, and what is left of the other term is detached
    CHANGED = "changed"  # the other term stays in the value
    VANISHED = "vanished"  # the other term cancels in the gradient, too
    DOUBLED = "doubled"  # the other term is there twice
    NEGATED = "negated"  # the gradient of the other term has the wrong sign


@dataclass(frozen=True, slots=True)
class Estimator:
    """A sum in which a step meets a term that has a gradient, or that cancels."""

    node: Node
    step: Node
    soft: Node
    fault: Fault | None  # None: the value is the step's, the gradient the other term's


@dataclass(slots=True)
class _Term:
    """One value in a sum, with its factors."""

    node: Node
    live: float = 0.0  # where a gradient passes
    still: float = 0.0  # inside of stop_gradient
    count: int = 0  # times that it occurs with a gradient
    scaled: bool = False  # a factor other than 1 and -1 is written down

    @property
    def total(self) -> float:
        """The factor in the value."""
        return self.live + self.still

    @property
    def cancelled(self) -> bool:
        """Whether the value is added and subtracted where a gradient passes."""
        return self.count > 1 and not self.live


@dataclass(slots=True)
class _Sum:
    """A node as a linear combination of values that depend on what is differentiated."""

    node: Node
    terms: list[_Term] = field(default_factory=list)
    stopped: bool = False

    def term(self, view: View, node: Node) -> _Term:
        """Return the term of a value, a new one if there is none."""
        for known in self.terms:
            if view.same_value(known.node, node):
                return known
        self.terms.append(_Term(node))
        return self.terms[-1]


def estimators(view: View) -> tuple[Estimator, ...]:
    """Return the straight-through estimators of a graph, right and wrong ones."""
    steps = (view.depends(node) and not view.depends_differentiably(node) for node in view.nodes())
    if not any(steps):
        return ()
    right: dict[int, Estimator] = {}
    sums: list[_Sum] = []
    for node in view.nodes(*_SUMS):
        made = _sum(view, node, right)
        if not made.stopped and not any(term.cancelled for term in made.terms):
            continue
        found = next((e for e in _pairs(view, made) if e.fault is None), None)
        if found is not None:
            right[node.id] = found
        sums.append(made)
    wrong = {
        (found.node.id, found.step.id): found
        for made in sums
        if made.node.id not in right and not _part_of_sum(view, made.node)
        for found in _pairs(view, made)
        if found.fault is not None
    }
    return (*right.values(), *(_smallest(view, found, sums) for found in wrong.values()))


def behind_estimators(view: View) -> frozenset[int]:
    """Return the nodes of which an estimator says more than that a gradient ends there.

    These are the steps with what they are made of, and the stop_gradient of wrong estimators.
    """
    found: set[int] = set()
    for estimator in estimators(view):
        below = {node.id for node in ancestors(view, estimator.soft.id)}
        parts = [node for node in ancestors(view, estimator.node.id) if node.id not in below]
        step = [node for node in ancestors(view, estimator.step.id) if node.id not in below]
        # The step may be written down twice.
        found |= {node.id for node in parts if any(view.same_value(node, s) for s in step)}
        if estimator.fault is not None:
            found |= {node.id for node in parts if node.op in STOP}
    return frozenset(found)


def _sum(view: View, node: Node, right: dict[int, Estimator]) -> _Sum:
    """Return a node as a sum; right estimators in it are terms of their own."""
    made = _Sum(node)
    waiting = [(node, 1.0, False, False)]
    while waiting:
        current, factor, still, scaled = waiting.pop()
        if not view.depends(current):
            continue
        parts = () if current.id in right else _parts(view, current)
        if not parts:
            term = made.term(view, current)
            term.scaled = term.scaled or scaled
            if still:
                term.still += factor
            else:
                term.live += factor
                term.count += 1
        stops = current.op in STOP
        made.stopped = made.stopped or (stops and bool(parts))
        for operand, by in parts:
            waiting.append((operand, factor * by, still or stops, scaled or abs(by) != 1.0))
    return made


def _parts(view: View, node: Node) -> tuple[tuple[Node, float], ...]:
    """Return the operands that a node adds up, with their factors; none if it adds up nothing."""
    if node.op not in _LINEAR:
        return ()
    if node.op == "add_n":
        listed = node.args[0][1]
        refs = listed.items if isinstance(listed, Items) else ()
        return tuple((view.node(ref.node), 1.0) for ref in refs if isinstance(ref, Ref))
    operands = view.operands(node)
    if node.op in ("multiply", "divide"):
        scaled = _scaled(view, node)
        return () if scaled is None or _is_grid(view, *scaled) else (scaled,)
    signs = {"subtract": ("x", "y"), "negative": ("", "x")}.get(node.op)
    if signs is None:
        return tuple((operand, 1.0) for operand in operands)
    found = []
    for name, factor in zip(signs, (1.0, -1.0), strict=True):
        operand = view.operand(node, name) if name else None
        if operand is not None:
            found.append((operand, factor))
    return tuple(found)


def _scaled(view: View, node: Node) -> tuple[Node, float] | None:
    """Return what a product or quotient with a plain number scales, and by which factor."""
    if node.op not in ("multiply", "divide"):
        return None
    other = "y" if isinstance(node.arg("x"), Ref) else "x"
    factor = view.static(node, other)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor:
        return None
    if node.op == "divide":
        return (view.operands(node)[0], 1.0 / factor) if other == "y" else None
    return view.operands(node)[0], float(factor)


def _is_grid(view: View, rounded: Node, factor: float) -> bool:
    """Return whether a scaled value is rounded to multiples of the factor: a step by itself."""
    inner = view.operands(rounded)[:1] if rounded.op in _ROUNDING else ()
    scaled = _scaled(view, inner[0]) if inner else None
    return scaled is not None and math.isclose(scaled[1] * factor, 1.0, rel_tol=1e-6)


def _part_of_sum(view: View, node: Node) -> bool:
    """Return whether a node is added to something else, perhaps scaled or detached."""
    return any(
        user.op in _SUMS or (bool(_parts(view, user)) and _part_of_sum(view, user))
        for user in view.users(node)
    )


def _pairs(view: View, made: _Sum) -> Iterator[Estimator]:
    """Yield the steps of a sum with the terms that stand in for them."""
    for step in made.terms:
        if view.depends_differentiably(step.node):
            continue
        below = {node.id for node in ancestors(view, step.node.id)}
        for soft in made.terms:
            if not view.depends_differentiably(soft.node):
                continue
            related = soft.still != 0.0 or _stands_in(soft.node, below)
            follows = _follows(view, step.node, soft.node)
            right, fault = _judged(step, soft, follows=follows)
            if related and (right or fault is not None):
                yield Estimator(made.node, step.node, soft.node, fault)


def _stands_in(soft: Node, below: set[int]) -> bool:
    """Return whether a step is made of a term, or of what the term squashes."""
    squashed = soft.op in _SQUASHING and any(ref in below for ref in soft.operands)
    return soft.id in below or squashed


def _follows(view: View, step: Node, soft: Node) -> bool:
    """Return whether a step rises as fast as what it is taken of: its slope is 1 on average.

    That of what is rounded does, and the sign of what is bounded by -1 and 1.
    """
    scaled = _scaled(view, step)
    if step.op in _ROUNDING or (scaled is not None and _is_grid(view, *scaled)):
        return True
    hard, bounds = view.interval(step), view.interval(soft)
    return math.isfinite(bounds.hi - bounds.lo) and math.isclose(
        hard.hi - hard.lo, bounds.hi - bounds.lo, rel_tol=1e-3
    )


def _judged(step: _Term, soft: _Term, *, follows: bool) -> tuple[bool, Fault | None]:
    """Return whether a step and a term are an estimator, and what is wrong with it."""
    if not step.total:
        swapped = step.live and soft.still and not soft.live
        return False, Fault.SWAPPED if swapped else None
    if not soft.total and soft.live:
        if soft.live * step.total < 0.0:
            return False, Fault.NEGATED
        # The sign of what has no bounds has no slope of its own, and a factor may be meant; one
        # below 1 damps on purpose.
        meant = step.scaled or (soft.scaled and not follows)
        doubled = abs(soft.live) > 1.0 and not meant
        return not doubled, Fault.DOUBLED if doubled else None
    if soft.cancelled and not soft.still:
        return False, Fault.VANISHED
    if step.live or soft.still or soft.scaled or step.scaled:
        return False, None
    return False, Fault.CHANGED if soft.live == step.still else None


def _smallest(view: View, found: Estimator, sums: list[_Sum]) -> Estimator:
    """Return the estimator at the first sum that has the step and the other term as they are."""

    def factors(made: _Sum) -> tuple[float, ...]:
        step, soft = made.term(view, found.step), made.term(view, found.soft)
        listed = (step.live, step.still, soft.live, soft.still)
        # The whole may subtract or scale the part.
        scale = next((factor for factor in listed if factor), 1.0)
        return tuple(factor / scale for factor in listed)

    inside = {node.id for node in ancestors(view, found.node.id)}
    whole = next(made for made in sums if made.node.id == found.node.id)
    part = next(made for made in sums if made.node.id in inside and factors(made) == factors(whole))
    return Estimator(part.node, found.step, found.soft, found.fault)
