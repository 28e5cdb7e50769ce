"""Gradient flow: where values go, where gradients go, and where the way is cut.

Forward: which nodes depend on a differentiated input, by value and differentiably. Backward: from
which nodes the output is reached, by value, differentiably, and by value past every gate. A gate
is an operand without gradient that multiplies, divides or selects a co-operand that has one, such
as the mask of a hand-written ReLU; the gradient goes through the co-operand.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from actlint.graph import Graph, Node, refs
from actlint.interval import TOP, Interval
from actlint.ops.model import Gradient, Kind, Op
from actlint.values import SHAPE_ONLY, Values

STOP: Final = "stop_gradient"
# A function that brings its own gradient: how that is computed is no part of the value.
_OWN: Final = "with_gradient"
_BACKWARD: Final = frozenset({"upstream", "gradients"})
# A constant factor no larger than this makes a guard of what it weighs.
_NEGLIGIBLE = 1e-6
# Ops in which every operand is a factor of the result: any of them can gate the others.
_FACTORS: Final = frozenset(
    {
        "multiply",
        "divide",
        "div",
        "divide_no_nan",
        "multiply_no_nan",
        "pow",
        "xdivy",
        "xlogy",
        "matmul",
        "matvec",
        "tensordot",
        "einsum",
        "dot",
        "batch_dot",
        "vecdot",
        "scale",
    }
)
_QUOTIENTS: Final = frozenset({"divide", "div", "divide_no_nan", "xdivy"})
# Ops whose derivative depends on no operand; products count if one factor alone has a gradient.
_LINEAR: Final = frozenset(
    {"add", "subtract", "negative", "add_n", "reduce_sum", "reduce_mean", "where", "cast"}
)
_PRODUCTS: Final = _FACTORS - {"pow", "xlogy"}
# Ops that take integers only, so that the gradient has died before them.
_OF_INTEGERS: Final = frozenset({"one_hot"})
_PASSING: Final = frozenset({Gradient.FLOWS, Gradient.STRAIGHT_THROUGH})


class Flow:
    """The flow of one graph. Every attribute is indexed by node id.

    Attributes:
        depends: the value depends on a differentiated input.
        differentiable: so does it, with a gradient that TensorFlow passes back.
        reaches: the value reaches the output.
        to_output: a gradient of the output comes back to the node.
        weighs: the value enters a derivative on the way of some gradient, so that an infinity in
            it becomes nan even where a selection hands on 0.
        past_gates: the value reaches the output on a way on which nothing gates it.
        passes: the op hands a cotangent on to those operands that are not passive.
    """

    def __init__(self, graph: Graph, values: Values) -> None:
        count = len(graph.nodes)
        self._graph = graph
        self._values = values
        self.depends = [False] * count
        self.differentiable = [False] * count
        self.reaches = [False] * count
        self.to_output = [False] * count
        self.weighs = [False] * count
        self.past_gates = [False] * count
        self.passes = [self._passes(node) for node in graph.nodes]
        self._forward()
        self._backward()

    @property
    def has_gradient(self) -> bool:
        """True if a differentiable path leads from a differentiated input to the output."""
        return self.differentiable[self._graph.output]

    def edges(self, node: Node) -> tuple[tuple[int, str], ...]:
        """Return (operand id, parameter name) of all operands whose value matters."""
        if node.op in SHAPE_ONLY:
            return ()
        return tuple(
            (ref, name)
            for name, value in node.args
            if node.op != _OWN or name not in _BACKWARD
            for ref in refs(value)
        )

    def carries(self, node: Node, name: str) -> bool:
        """Say whether a cotangent of `node` is handed to its operand `name`."""
        op = self._values.rows[node.id]
        return (
            self.passes[node.id]
            and op is not None
            and name in op.operands
            and name not in op.passive
        )

    def cuts(self, *, gates: bool = False) -> tuple[int, ...]:
        """Return the nodes at which the gradient dies though the value matters.

        An operand depends differentiably on a differentiated input, no cotangent comes back to
        it, and the value goes on to the output past every gate. A `stop_gradient` is deliberate
        unless nothing else brings a gradient to a differentiated input. With `gates`, those
        count too whose value only weighs others, if a gradient of the output comes back to them.
        """
        return tuple(
            node.id
            for node in self._graph.nodes
            if (self.past_gates[node.id] or (gates and self.to_output[node.id]))
            and (node.op != STOP or not self.has_gradient)
            and not self._is_gate_at(node)
            and self._is_end(node)
        )

    def _is_end(self, node: Node) -> bool:
        """Say whether a live tensor operand gets no cotangent; shapes and depths are no tensors."""
        op = self._values.rows[node.id]
        return (op is not None and op.key not in _OF_INTEGERS) and any(
            self.differentiable[ref] and name in op.operands and not self.carries(node, name)
            for ref, name in self.edges(node)
        )

    # ---- forward ---------------------------------------------------------------------------

    def _passes(self, node: Node) -> bool:
        op = self._values.rows[node.id]
        return op is not None and self.gradient(node, op) in _PASSING

    def gradient(self, node: Node, op: Op) -> Gradient:
        """Return what the op does with a cotangent, given its static operands."""
        if op.gradients is None:
            return op.gradient
        return op.gradient_of(self._values.bound(node.id, _Unknown()))

    def _forward(self) -> None:
        for node in self._graph.nodes:
            if node.input is not None:
                self.depends[node.id] = node.input.differentiated
                live = node.input.differentiated and not node.input.integer
                self.differentiable[node.id] = live
                continue
            for ref, name in self.edges(node):
                if self.depends[ref]:
                    self.depends[node.id] = True
                if self.differentiable[ref] and self.carries(node, name):
                    self.differentiable[node.id] = True

    # ---- backward --------------------------------------------------------------------------

    def _backward(self) -> None:
        output = self._graph.output
        self.reaches[output] = self.to_output[output] = self.past_gates[output] = True
        for node in reversed(self._graph.nodes):
            if not self.reaches[node.id]:
                continue
            deliberate = node.op == STOP and (self.has_gradient or self._graph.partial)
            for ref, name in self.edges(node):
                self.reaches[ref] = True
                if self.to_output[node.id] and self.carries(node, name):
                    self.to_output[ref] = True
                if self.weighs[node.id] or self._is_weight(node, ref):
                    self.weighs[ref] = True
                if (
                    self.past_gates[node.id]
                    and not deliberate
                    and not self._is_gated(node, ref, name)
                ):
                    self.past_gates[ref] = True

    def _is_weight(self, node: Node, ref: int) -> bool:
        """Say whether the derivative of `node`, which a gradient passes, depends on `ref`."""
        op = self._values.rows[node.id]
        if op is None or not (self.differentiable[node.id] and self.to_output[node.id]):
            return False
        if node.op in _LINEAR or op.kind is Kind.STRUCTURAL:
            return False
        if node.op in _PRODUCTS:
            divisor = node.op in _QUOTIENTS and node.operands[-1] == ref
            return divisor or any(
                self.differentiable[other] for other in node.operands if other != ref
            )
        return True

    def _is_gated(self, node: Node, ref: int, name: str) -> bool:
        """Say whether operand `ref` of `node` only weighs or selects a live co-operand."""
        op = self._values.rows[node.id]
        if node.op == _OWN:
            return name == "input"
        if op is None or self.differentiable[ref]:
            return False
        if node.op == "multiply" and any(_is_tiny(value) for _, value in node.args):
            return True  # a mask times 1e-16 guards a root, it is no term of the result
        # What is no operand, such as a subscript, selects as a passive operand does.
        steers = name in op.passive or name not in op.operands
        if node.op not in _FACTORS and not steers:
            return False
        return self.differentiable[node.id]  # then some other operand is

    def _is_gate_at(self, node: Node) -> bool:
        """Say whether a passive operand of `node` itself weighs a live co-operand."""
        return self.passes[node.id] and self.differentiable[node.id]


def _is_tiny(factor: object) -> bool:
    return isinstance(factor, (int, float)) and abs(factor) <= _NEGLIGIBLE


class _Unknown(defaultdict[int, Interval]):
    """Intervals for those who need static operands only."""

    def __init__(self) -> None:
        super().__init__(lambda: TOP)
