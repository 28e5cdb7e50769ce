"""The query layer: all that a rule may ask about a graph, and all that a rule imports.

A rule is a class in its own file under ``rules/``; declaring it registers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from actlint.absint import Evaluation
from actlint.findings import Check, Hazard, Safety, Severity, Suspect, Target, Verdict
from actlint.flow import Flow
from actlint.graph import (
    Arg,
    Graph,
    Input,
    InputRole,
    Items,
    Node,
    Ref,
    Role,
    Site,
    Slice,
    exchanged,
    refs,
)
from actlint.interval import Interval, between
from actlint.ops.model import Cause, Effect, Gradient, Kind, Op, Region, Trend
from actlint.ops.table import TABLE, row
from actlint.ops.twins import twin
from actlint.remedy import Change, Exchange, Keyword, Remedy, Rewrite, Settled, Undecorate
from actlint.values import SAME, Values

__all__ = [
    "PARTS",
    "Arg",
    "Bad",
    "Cause",
    "Change",
    "Check",
    "Effect",
    "Exchange",
    "Good",
    "Gradient",
    "Graph",
    "Hazard",
    "Hit",
    "Input",
    "InputRole",
    "Interval",
    "Items",
    "Keyword",
    "Kind",
    "Node",
    "Op",
    "Ref",
    "Region",
    "Remedy",
    "Rewrite",
    "Role",
    "Rule",
    "Safety",
    "Settled",
    "Severity",
    "Slice",
    "Suspect",
    "Target",
    "Trend",
    "Undecorate",
    "Verdict",
    "View",
    "rules",
]


@dataclass(frozen=True, slots=True)
class Hit:
    """A singular region of an op that its operand can reach, as far as intervals tell."""

    region: Region
    operand: Node
    target: Target
    # The operand stays out of the region wherever a `where` selects this value; only the
    # gradient of the unselected branch meets it.
    masked: bool


@dataclass(frozen=True, slots=True)
class Bad:
    """An INVALID example: source text, and the exact text of the culprit expression in it."""

    source: str
    at: str
    hazard: Hazard
    # REFUTED or UNCONFIRMED document what actlint does not prove.
    verdict: Verdict = Verdict.CONFIRMED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Good:
    """A VALID example: source text on which the whole catalogue stays silent."""

    source: str
    note: str = ""


class Rule:
    """One pattern. Subclassing registers it; the class docstring is its documentation.

    The docstring's headings are fixed: What it does, Why is this bad?, How it is confirmed,
    Example, Use instead, Fix safety (of rules that suggest remedies), What it misses,
    References. Examples in it are fenced blocks.
    """

    code: ClassVar[str]  # ACT and three digits
    name: ClassVar[str]  # kebab-case name of the pattern
    hint: ClassVar[str]  # one sentence that names the right TensorFlow call
    # Codes of more general rules that stay silent where this one speaks of the same span.
    supersedes: ClassVar[tuple[str, ...]] = ()
    # Codes, or their beginnings, of rules that name the cause of what this one sees of a function
    # as a whole: it stays silent where one of them is confirmed in the same function.
    explained_by: ClassVar[tuple[str, ...]] = ()
    # Roles of the graphs that it is asked about. Of a function that brings its own gradient,
    # nothing but that gradient can be judged without knowing how it is used.
    roles: ClassVar[frozenset[Role]] = frozenset(Role) - {Role.CUSTOM_GRADIENT}
    # Asked of graphs in which the layers of models are read, too, such as the last layer of a
    # model with the loss that it is compiled with.
    reads_models: ClassVar[bool] = False
    # Asked of nothing but graphs in which numbers that Python computes while TensorFlow traces
    # are inputs.
    sees_tracing: ClassVar[bool] = False
    VALID: ClassVar[tuple[Good, ...]] = ()
    INVALID: ClassVar[tuple[Bad, ...]] = ()

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the suspects in one graph.

        Raises:
            NotImplementedError: always, in this base class.
        """
        raise NotImplementedError

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:  # noqa: ARG002
        """Yield ways to mend a suspect of this rule, the best first; none by default.

        Asked for confirmed suspects alone. Each is tried on the source and proved by TensorFlow,
        and the first that is proved becomes the finding's fix, so a rule may suggest what is
        right in most places only.
        """
        yield from ()

    def __init_subclass__(cls) -> None:
        """Register the rule.

        Raises:
            ValueError: two rules share a code or a name.
        """
        for other in _RULES.values():
            if other.code == cls.code or other.name == cls.name:
                raise ValueError(f"{cls.__name__}: {cls.code} {cls.name} is taken by {other.name}")
        _RULES[cls.code] = cls


_RULES: dict[str, type[Rule]] = {}


def rules() -> tuple[type[Rule], ...]:
    """Return every rule declared so far, sorted by code."""
    return tuple(_RULES[code] for code in sorted(_RULES))


class View:
    """One graph with its intervals and gradient flow, as rules see it. Lazy and cached.

    Wherever a node is asked for, its id will do.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values = Values(graph)
        self._evaluation: Evaluation | None = None
        self._flow: Flow | None = None
        self._by_op: dict[str, tuple[Node, ...]] | None = None
        self._hits: dict[int, tuple[Hit, ...]] = {}
        self._changed: dict[Node, View] = {}

    # ---- structure -------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The graph itself."""
        return self._graph

    def nodes(self, *keys: str) -> Iterator[Node]:
        """Yield the nodes of the ops `keys` (of any op if none) whose value reaches the output.

        They come in evaluation order.
        """
        if self._by_op is None:
            found: dict[str, list[Node]] = {}
            for node in self._graph.nodes:
                if self.reaches_output(node.id):
                    found.setdefault(node.op, []).append(node)
            self._by_op = {key: tuple(nodes) for key, nodes in found.items()}
        wanted = keys or tuple(key for key in self._by_op if key)
        chosen = [node for key in dict.fromkeys(wanted) for node in self._by_op.get(key, ())]
        yield from sorted(chosen, key=lambda node: node.id)

    def node(self, index: int) -> Node:
        """Return the node with this id."""
        return self._graph.nodes[index]

    def op(self, node: Node | int) -> Op:
        """Return the row of the node's op.

        Raises:
            KeyError: the node is an input or a constant.
        """
        return row(self._graph.nodes[_id(node)].op)

    def twin(self, node: Node | int) -> Op | None:
        """Return TensorFlow's row of a function of NumPy, or None."""
        key = twin(self._graph.nodes[_id(node)].op)
        return None if key is None else row(key)

    def operand(self, node: Node | int, name: str) -> Node | None:
        """Return the node bound to parameter `name`; None if that is no node."""
        value = self._graph.nodes[_id(node)].arg(name)
        return self._graph.nodes[value.node] if isinstance(value, Ref) else None

    def operands(self, node: Node | int) -> tuple[Node, ...]:
        """Return all nodes that this one reads, in order of appearance."""
        return tuple(self._graph.nodes[ref] for ref in self._graph.nodes[_id(node)].operands)

    def static(self, node: Node | int, name: str) -> Arg:
        """Return the value of parameter `name` if the source tells it, else None."""
        value = self._values.resolve(self._graph.nodes[_id(node)].arg(name))
        return None if refs(value) else value

    def users(self, node: Node | int) -> tuple[Node, ...]:
        """Return the nodes that read this one, in evaluation order."""
        return tuple(self._graph.nodes[user] for user in self._values.users[_id(node)])

    def same_value(self, first: Node | int, second: Node | int) -> bool:
        """Say whether both nodes surely carry the same value."""
        return self._values.number[_id(first)] == self._values.number[_id(second)]

    def definition(self, node: Node | int) -> Node:
        """Return the node that computes the value, behind all that only hands it on.

        Casts to float, reshapes and the like hand a value on; casts to int do not.
        """
        found = self._graph.nodes[_id(node)]
        while found.op in _HANDING_ON or (found.op == "cast" and self.flow.passes[found.id]):
            inner = next(iter(found.operands), None)
            if inner is None:
                break
            found = self._graph.nodes[inner]
        return found

    def derives_from(self, node: Node | int, *keys: str) -> bool:
        """Say whether an op of `keys` is met going back through elementwise structure.

        The node itself counts. Reductions, products of matrices and the like end the way, and
        so do operands that carry no gradient, such as conditions and indices.
        """
        wanted = frozenset(keys)
        stack, seen = [_id(node)], set[int]()
        while stack:
            index = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            found = self._graph.nodes[index]
            if found.op in wanted:
                return True
            op = self._values.rows[index]
            if op is None or op.kind not in (Kind.ELEMENTWISE, Kind.STRUCTURAL):
                continue
            stack += [ref for ref, name in self.flow.edges(found) if name not in op.passive]
        return False

    def inside_own_gradient(self, node: Node | int) -> bool:
        """Say whether the node stands in a function that brings its own gradient."""
        trail = self._graph.nodes[_id(node)].path
        return any(trail[: len(call)] == call for call in self._own_gradients)

    @cached_property
    def _own_gradients(self) -> tuple[tuple[Site, ...], ...]:
        found = (node for node in self._graph.nodes if node.op == "with_gradient")
        return tuple((*node.path, node.site) for node in found)

    def changed(self, node: Node) -> View:
        """Return the view of the same graph with another node in the place of one."""
        if node not in self._changed:
            self._changed[node] = View(exchanged(self._graph, node))
        return self._changed[node]

    # ---- intervals -------------------------------------------------------------------------

    @property
    def evaluation(self) -> Evaluation:
        """The interval evaluation behind this view."""
        if self._evaluation is None:
            self._evaluation = Evaluation(self._graph, self._values)
        return self._evaluation

    def interval(self, node: Node | int) -> Interval:
        """Return the interval of the elements that selections such as `where` hand on."""
        return self.evaluation.selected(_id(node))

    def interval_everywhere(self, node: Node | int) -> Interval:
        """Return the interval of all elements, those of unselected branches included."""
        return self.evaluation.everywhere(_id(node))

    def hits(self, node: Node | int) -> tuple[Hit, ...]:
        """Return the singular regions of the node's op that its operands can reach.

        Poles count wherever the value reaches the output or a gradient goes through the node;
        cusps only where a gradient does.
        """
        index = _id(node)
        if index not in self._hits:
            self._hits[index] = tuple(self._find_hits(index))
        return self._hits[index]

    def _find_hits(self, index: int) -> Iterator[Hit]:
        op = self._values.rows[index]
        if op is None or not self.reaches_output(index):
            return
        gradient = self.on_gradient_path(index)
        evaluation = self.evaluation
        for region in op.regions_of(self._values.bound(index, evaluation.base)):
            if region.effect is Effect.CUSP and not gradient:
                continue
            length = evaluation.base[self._values.number[index]]
            if region.cause is Cause.ZERO_VECTOR and op.kind is Kind.REDUCTION and length.lo > 0.0:
                continue
            for operand in self._region_operands(index, region.operand):
                if region.cause is Cause.EMPTY:
                    if self._can_be_empty(operand.id):
                        empty = Target(operand.id, 0.0, 0.0, region.cause.value)
                        yield Hit(region, operand, empty, masked=False)
                    continue
                target = self._meeting(operand, region)
                if target is None:
                    continue
                number = self._values.number[operand.id]
                masked = not any(
                    evaluation.meets(context, number, region.lo, region.hi)
                    for context in evaluation.contexts(index)
                )
                if gradient or not masked or self.flow.weighs[index]:
                    yield Hit(region, operand, target, masked)

    def _meeting(self, operand: Node, region: Region) -> Target | None:
        number = self._values.number[operand.id]
        if not self.evaluation.meets(self.evaluation.root, number, region.lo, region.hi):
            return None
        if region.lo == region.hi == 0.0 and self._never_zero(operand):
            return None
        interval = self.evaluation.base[number]
        common = between(
            max(interval.lo, region.lo), min(interval.hi, region.hi), integer=interval.integer
        )
        vector = region.cause.value if region.cause in _VECTORS else ""
        return None if common is None else Target(operand.id, common.lo, common.hi, vector)

    def _never_zero(self, node: Node) -> bool:
        """Say whether a value is a trained weight that is never exactly 0, or in step with one."""
        found = self.definition(node)
        if found.input is not None:
            return found.input.least > 0.0
        if found.op in _KEEPING_ZERO:
            return all(self._never_zero(self._graph.nodes[ref]) for ref in found.operands)
        value = found.value
        return not found.op and isinstance(value, (int, float)) and value != 0.0

    def _can_be_empty(self, index: int) -> bool:
        """Say whether the number of elements is a matter of values, as behind a mask."""
        stack, seen = [index], set[int]()
        while stack:
            found = self._graph.nodes[stack.pop()]
            if found.id in seen:
                continue
            seen.add(found.id)
            if found.op in _FILTERS or self._picks(found):
                return True
            op = self._values.rows[found.id]
            if op is not None and op.kind in (Kind.ELEMENTWISE, Kind.STRUCTURAL):
                stack += found.operands
        return False

    def _picks(self, node: Node) -> bool:
        """Say whether the node takes the elements at which a condition holds, as ``x[x > 0]``."""
        name = {"getitem": "index", "gather": "indices", "gather_nd": "indices"}.get(node.op)
        if name is None:
            return False
        found = (self._graph.nodes[ref] for ref in refs(node.arg(name)))
        # `tf.where` of a condition alone gives places.
        return any(
            index.op in _CONDITIONS or (index.op == "where" and index.arg("x") is None)
            for index in found
        )

    def _region_operands(self, index: int, name: str) -> tuple[Node, ...]:
        found = refs(self._graph.nodes[index].arg(name))
        return tuple(self._graph.nodes[ref] for ref in dict.fromkeys(found))

    # ---- flow ------------------------------------------------------------------------------

    @property
    def flow(self) -> Flow:
        """The gradient flow behind this view."""
        if self._flow is None:
            self._flow = Flow(self._graph, self._values)
        return self._flow

    def depends(self, node: Node | int) -> bool:
        """Say whether the value depends on a differentiated input, differentiably or not."""
        return self.flow.depends[_id(node)]

    def depends_differentiably(self, node: Node | int) -> bool:
        """Say whether a differentiable path leads from a differentiated input to the node."""
        return self.flow.differentiable[_id(node)]

    def reaches_output(self, node: Node | int) -> bool:
        """Say whether the node's value matters to the output."""
        return self.flow.reaches[_id(node)]

    def differentiable_to_output(self, node: Node | int) -> bool:
        """Say whether a differentiable path leads from the node to the output."""
        return self.flow.to_output[_id(node)]

    def on_gradient_path(self, node: Node | int) -> bool:
        """Say whether the node lies on a differentiable path from an input to the output."""
        index = _id(node)
        return self.flow.differentiable[index] and self.flow.to_output[index]

    def cuts(self, *, gates: bool = False) -> tuple[Node, ...]:
        """Return the nodes where the gradient dies going back, though the value matters.

        See Flow.cuts, also for `gates`; of a chain such as ``tf.cast(x > 0.5, tf.float32)`` it is
        the innermost one, the comparison. There are none where the gradient may go round them,
        through a part that cannot be followed. In a layer that has a gradient beside them only
        smooth functions of NumPy count: layers sample, count and index on purpose.
        """
        if self._graph.joined:
            return ()
        found = tuple(self._graph.nodes[cut] for cut in self.flow.cuts(gates=gates))
        if self._graph.role is Role.LAYER and self.has_gradient():
            return tuple(node for node in found if _is_smooth_numpy(node))
        return found

    def has_gradient(self) -> bool:
        """Say whether any differentiable path leads from a differentiated input to the output."""
        return self.flow.has_gradient

    def differentiated_inputs(self) -> tuple[Node, ...]:
        """Return the inputs with respect to which training takes the gradient."""
        return tuple(
            node
            for node in self._graph.nodes
            if node.input is not None and node.input.differentiated
        )


# Ops that hand a value on, perhaps in another shape.
_HANDING_ON = SAME | frozenset(
    {"reshape", "expand_dims", "squeeze", "flatten", "broadcast_to", "stop_gradient"}
)
# Ops that are one of several results of a call.
PARTS = frozenset(key for op in TABLE.values() for key in op.results)
# Ops whose result has as many elements as a condition has true ones.
_FILTERS = frozenset({"boolean_mask", "where_indices", "dynamic_partition"})
# Their result is 0 only where an operand is, but for underflow.
_KEEPING_ZERO = frozenset({"multiply", "negative", "abs", "square", "sqrt"})
_CONDITIONS = frozenset(
    {"equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_not",
     "logical_or", "not_equal"}
)  # fmt: skip
_VECTORS = (Cause.ZERO_VECTOR, Cause.CONSTANT_VECTOR)


def _is_smooth_numpy(node: Node) -> bool:
    """Say whether the node is a function of NumPy whose TensorFlow twin has a gradient."""
    numpy = TABLE.get(node.op)
    twin = TABLE.get(node.op.removeprefix("np_"))
    if numpy is None or twin is numpy or numpy.kind not in (Kind.ELEMENTWISE, Kind.REDUCTION):
        return False
    return twin is None or twin.gradient is Gradient.FLOWS


def _id(node: Node | int) -> int:
    return node if isinstance(node, int) else node.id
