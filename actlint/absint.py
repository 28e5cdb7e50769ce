"""Interval evaluation of a value graph, with relations between nodes and narrowing by conditions.

`where(condition, a, b)` hands on elements of `a` only where the condition holds, so inside that
branch the compared values, and all that is computed from them element by element, are narrower. A
Context holds what one selection says; values in it are computed on demand and remembered. The
root context holds on the whole path: there is one value for each node, computed in index order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from actlint.graph import Graph
from actlint.interval import TOP, Interval, hull
from actlint.narrow import Fact, Narrowing, meet
from actlint.ops.model import Transfer
from actlint.relations import Relations
from actlint.values import SHAPE_ONLY, Values, constant, free, is_elementwise

# Bounds that keep deep graphs linear: a value that would cost more stays un-narrowed, which is
# less sharp and just as sound.
_DEPTH: Final = 5  # nested selections
_CONE: Final = 400  # nodes computed anew for one value in one context
_WORK: Final = 20_000  # nodes computed anew in one graph
_CONTEXTS: Final = 6  # contexts in which one node is remembered to be selected

SELECT: Final = "where"
MASK: Final = "boolean_mask"


@dataclass(eq=False, slots=True)
class Context:
    """What holds inside one branch of a selection, besides what holds in `parent`."""

    parent: Context | None
    facts: Mapping[int, Interval]  # by value number
    orders: frozenset[tuple[int, int]]  # (a, b): a < b, both value numbers
    depth: int
    lowest: int  # no value number below it is touched by the facts
    memo: dict[int, Interval | None] = field(default_factory=dict)
    children: dict[tuple[int, bool], tuple[Context, ...]] = field(default_factory=dict)


class _View(dict[int, Interval]):
    """Intervals of operands in a context, computed when they are asked for."""

    __slots__ = ("context", "evaluation")

    def __init__(self, evaluation: Evaluation, context: Context) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.context = context

    def __missing__(self, number: int) -> Interval:
        found = self.evaluation.value(self.context, number)
        return self.evaluation.base[number] if found is None else found


class _Replaced(dict[int, Interval]):
    """Intervals of operands with one of them replaced."""

    __slots__ = ("lookup",)

    def __init__(self, lookup: Mapping[int, Interval], number: int, interval: Interval) -> None:
        super().__init__({number: interval})
        self.lookup = lookup

    def __missing__(self, number: int) -> Interval:
        return self.lookup[number]


class Evaluation:
    """The intervals of one graph.

    Attributes:
        values: the graph with its value numbers.
        base: interval of each value number where no selection narrows it; literals included.
        root: context of the whole path, the assumptions of the graph included.
        parts: of a value that a selection keeps away from 0, the part below and the part above.
    """

    def __init__(self, graph: Graph, values: Values | None = None) -> None:
        self.values = Values(graph) if values is None else values
        self.base: dict[int, Interval] = {
            -index - 1: interval for index, interval in enumerate(self.values.literals)
        }
        self.parts: dict[int, tuple[Interval, Interval]] = {}
        self.root = Context(None, {}, frozenset(), 0, len(graph.nodes))
        self._narrowing = Narrowing(self.values)
        self._relations = Relations(self.values)
        self._work = 0
        self._selected: list[tuple[Context, ...]] | None = None
        self._gaps: dict[int, list[Interval]] = {}
        self._evaluate_all({})
        facts = self._assume(graph)
        if facts or self.root.orders:
            self._evaluate_all(facts)

    # ---- values ----------------------------------------------------------------------------

    def everywhere(self, index: int) -> Interval:
        """Return the interval of node `index` over all elements, selected or not."""
        return self.base[self.values.number[index]]

    def selected(self, index: int) -> Interval:
        """Return the interval of node `index` over the elements that selections hand on."""
        number = self.values.number[index]
        found = [self.value(context, number) for context in self.contexts(index)]
        parts = tuple(interval for interval in found if interval is not None)
        return hull(parts) if parts else self.base[number]

    def contexts(self, index: int) -> tuple[Context, ...]:
        """Return the contexts in which node `index` is selected on its ways to the output."""
        if self._selected is None:
            self._selected = self._select()
        return self._selected[index]

    def value(self, context: Context, number: int) -> Interval | None:
        """Return the interval of a value in a context; None if the context cannot occur."""
        if context.parent is None or number < context.lowest:
            return self.base[number]
        if number in context.memo:
            return context.memo[number]
        cone = self._cone(context, number)
        if cone is None:
            return self.value(context.parent, number)
        for member in cone:
            context.memo[member] = self._narrowed(context, member)
        return context.memo[number]

    def meets(self, context: Context, number: int, lo: float, hi: float) -> bool:
        """Say whether the value can lie in the closed interval [lo, hi] in this context."""
        found = self.value(context, number)
        if found is None or not found.intersects(lo, hi):
            return False
        parts = self.parts.get(number)
        return parts is None or any(part.intersects(lo, hi) for part in parts)

    def branches(self, context: Context, condition: int, *, truth: bool) -> tuple[Context, ...]:
        """Return the contexts in which `condition` (a value number) is `truth`.

        Several contexts are alternatives; none means that the condition is never `truth`.
        """
        key = (condition, truth)
        found = context.children.get(key)
        if found is None:
            found = self._branches(context, condition, truth=truth)
            context.children[key] = found
        return found

    # ---- evaluation ------------------------------------------------------------------------

    def _evaluate_all(self, facts: Mapping[int, Interval]) -> None:
        values, base = self.values, self.base
        view = _View(self, self.root)
        self.root.children.clear()
        self.parts.clear()
        for node in values.graph.nodes:
            number = values.number[node.id]
            if number != node.id:
                continue
            if node.input is not None:
                interval = free(node)
            elif not node.op:
                interval = constant(node.value)
            else:
                interval = self._compute(self.root, node.id, base, view)
            fact = facts.get(number)
            if fact is not None:
                interval = meet(interval, fact) or interval
                self._note_parts(number, self._gaps[number])
            base[number] = interval
            self._relations.attain(node.id, base)

    def _compute(
        self,
        context: Context,
        index: int,
        lookup: Mapping[int, Interval],
        view: Mapping[int, Interval],
    ) -> Interval:
        op = self.values.rows[index]
        if op is None or op.transfer is None:
            return TOP
        if op.key == SELECT:
            chosen = self._choose(context, index)
            if chosen is not None:
                return chosen
        elif op.key == MASK:
            chosen = self._masked(context, index)
            if chosen is not None:
                return chosen
        try:
            interval = op.transfer(self.values.bound(index, lookup))
            if context is self.root and self.parts and is_elementwise(op):
                interval = self._in_parts(index, op.transfer, lookup, interval)
        except KeyError:  # an operand that the call does not give
            return TOP
        return self._relations.sharpen(index, interval, view, context.orders)

    def _choose(self, context: Context, index: int) -> Interval | None:
        operands = self.values.operands[index]
        condition = operands.get("condition")
        if condition is None or "x" not in operands or "y" not in operands:
            return None
        parts: list[Interval] = []
        for name, truth in (("x", True), ("y", False)):
            for branch in self.branches(context, condition, truth=truth):
                parts += self._sides(operands[name], self.value(branch, operands[name]))
        if context is self.root and len(parts) > 1:
            self._note_parts(index, parts)
        return hull(tuple(parts)) if parts else None

    def _sides(self, number: int, whole: Interval | None) -> list[Interval]:
        """Return `whole`, or what of it lies on each side of 0 if the value is never 0."""
        if whole is None:
            return []
        sides = [meet(whole, part) for part in self.parts.get(number, ())]
        return [side for side in sides if side is not None] or [whole]

    def _note_parts(self, index: int, found: list[Interval]) -> None:
        """Remember that the value is not 0, if that is so and its hull does not say it."""
        below = tuple(part for part in found if part.hi < 0.0)
        above = tuple(part for part in found if part.lo > 0.0)
        if below and above and len(below) + len(above) == len(found):
            self.parts[index] = (hull(below), hull(above))

    def _in_parts(
        self, index: int, transfer: Transfer, lookup: Mapping[int, Interval], whole: Interval
    ) -> Interval:
        """Evaluate on both sides of 0 apart, if some operand is known not to be 0."""
        for operand in self.values.operands[index].values():
            parts = self.parts.get(operand)
            if parts is None:
                continue
            found = [
                transfer(self.values.bound(index, _Replaced(lookup, operand, part)))
                for part in parts
            ]
            self._note_parts(index, found)
            return meet(whole, hull(tuple(found))) or whole
        return whole

    def _masked(self, context: Context, index: int) -> Interval | None:
        operands = self.values.operands[index]
        tensor, mask = operands.get("tensor"), operands.get("mask")
        if tensor is None or mask is None:
            return None
        found = [self.value(branch, tensor) for branch in self.branches(context, mask, truth=True)]
        parts = tuple(part for part in found if part is not None)
        return hull(parts) if parts else None

    def _cone(self, context: Context, number: int) -> list[int] | None:
        """Return the values that `number` needs anew in `context`, operands first."""
        values = self.values
        seen = {number}
        stack = [number]
        while stack:
            member = stack.pop()
            if member in context.facts or not self._is_selecting(member):
                continue
            for ref in values.graph.nodes[member].operands:
                operand = values.number[ref]
                if operand >= context.lowest and operand not in seen:
                    if operand in context.memo:
                        continue
                    seen.add(operand)
                    stack.append(operand)
            if len(seen) > _CONE:
                return None
        self._work += len(seen)
        if self._work > _WORK:
            return None
        return sorted(seen)

    def _is_selecting(self, number: int) -> bool:
        """Say whether narrowing passes through the op, from operands to result."""
        op = self.values.rows[number]
        return is_elementwise(op) or (op is not None and op.key == SELECT)

    def _narrowed(self, context: Context, number: int) -> Interval | None:
        assert context.parent is not None
        outer = self.value(context.parent, number)
        if outer is None:
            return None
        fact = context.facts.get(number)
        if fact is not None:
            return meet(outer, fact)
        if number < 0 or not self._is_selecting(number):
            return outer
        lookup: dict[int, Interval] = {}
        changed = False
        for operand in self._reads(number):
            inner = self.value(context, operand)
            if inner is None:
                return None
            lookup[operand] = inner
            changed = changed or inner != self.base[operand]
        changed = changed or self.values.graph.nodes[number].op == SELECT
        if not changed and not self._is_ordered(context, number):
            return outer
        view = _View(self, context)
        return meet(outer, self._compute(context, number, lookup, view)) or outer

    def _reads(self, number: int) -> tuple[int, ...]:
        values = self.values
        listed = [item for items in values.lists[number].values() for item in items]
        return (*values.operands[number].values(), *listed)

    def _is_ordered(self, context: Context, number: int) -> bool:
        pair = self.values.pair(number)
        return pair is not None and (pair in context.orders or pair[::-1] in context.orders)

    # ---- contexts --------------------------------------------------------------------------

    def _branches(self, context: Context, condition: int, *, truth: bool) -> tuple[Context, ...]:
        if context.depth >= _DEPTH or self._work > _WORK:
            return (context,)
        alternatives = self._narrowing.alternatives(condition, _View(self, context), truth=truth)
        found = [
            branch
            for alternative in alternatives
            if (branch := self._extend(context, alternative)) is not None
        ]
        return tuple(found)

    def _extend(self, context: Context, alternative: Fact) -> Context | None:
        if not alternative.intervals and not alternative.orders:
            return context
        facts: dict[int, Interval] = {}
        for number, interval in alternative.intervals.items():
            outer = self.value(context, number)
            inner = None if outer is None else meet(outer, interval)
            if inner is None:
                return None
            if number >= 0:
                facts[number] = inner
        touched = [*facts, *(min(pair) for pair in alternative.orders)]
        lowest = min((context.lowest, *(number for number in touched if number >= 0)))
        return Context(
            context, facts, context.orders | alternative.orders, context.depth + 1, lowest
        )

    def _assume(self, graph: Graph) -> dict[int, Interval]:
        """Return what the tensor conditions of this path say of values; note orders and gaps."""
        facts: dict[int, Interval] = {}
        view = _View(self, self.root)
        for condition, truth in graph.assumptions:
            found = self._narrowing.alternatives(self.values.number[condition], view, truth=truth)
            if not found:  # the path cannot be taken; what it computes is looked at all the same
                continue
            shared = set.intersection(*(set(fact.intervals) for fact in found))
            for number in sorted(shared):
                parts = [fact.intervals[number] for fact in found]
                whole = hull(tuple(parts))
                inner = meet(facts.get(number, whole), whole)
                if inner is not None and number >= 0:
                    facts[number] = inner
                    self._gaps[number] = parts
            self.root.orders |= frozenset.intersection(*(fact.orders for fact in found))
        return facts

    def _select(self) -> list[tuple[Context, ...]]:
        """Walk back from the output: in which contexts each node's elements are handed on."""
        values = self.values
        found: list[dict[Context, None]] = [{} for _ in values.rows]
        found[values.graph.output][self.root] = None
        for node in reversed(values.graph.nodes):
            contexts = tuple(found[node.id])
            if not contexts or node.op in SHAPE_ONLY:
                continue
            if len(contexts) > _CONTEXTS:
                contexts = (self.root,)
                found[node.id] = {self.root: None}
            selecting = self._is_selecting(node.id)
            condition, branch_of = self._branch_operands(node.id)
            for ref in node.operands:
                truth = branch_of.get(ref)
                if condition is None or truth is None:
                    inherited = contexts if selecting else (self.root,)
                    found[ref].update(dict.fromkeys(inherited))
                    continue
                outer = contexts if node.op == SELECT else (self.root,)
                for context in outer:
                    branches = self.branches(context, condition, truth=truth)
                    found[ref].update(dict.fromkeys(branches))
        return [(self.root,) if self.root in contexts else tuple(contexts) for contexts in found]

    def _branch_operands(self, index: int) -> tuple[int | None, Mapping[int, bool]]:
        """Return the condition of a selection, and under which truth it hands on which node."""
        node = self.values.graph.nodes[index]
        if node.op not in (SELECT, MASK):
            return None, {}
        names = ("x", "y") if node.op == SELECT else ("tensor",)
        condition = self.values.operands[index].get("condition" if node.op == SELECT else "mask")
        truths: dict[int, bool] = {}
        twice: set[int] = set()
        for name, truth in zip(names, (True, False), strict=False):
            value = node.arg(name)
            ref = getattr(value, "node", None)
            if isinstance(ref, int):
                if ref in truths:
                    twice.add(ref)
                truths[ref] = truth
        return condition, {ref: truth for ref, truth in truths.items() if ref not in twice}
