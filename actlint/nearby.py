"""Smaller graphs around one suspect, for when the whole way from input to output does not run.

What is cut off becomes a free input that takes every value of its interval. A proof on such a
graph holds for the whole one only if the free values do not hang together in truth, and if what
lies behind the new output hands a nan on: `Cut` says whether that is so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from actlint.findings import Check, Suspect
from actlint.graph import EXTENDED_LIMIT, DType, Graph, Input, InputRole, Node, refs
from actlint.ops import table
from actlint.ops.model import Kind
from actlint.query import View
from actlint.values import SHAPE_ONLY

# What can be judged without the way to the inputs; the rest needs their typical values.
_JUDGED: Final = frozenset({Check.NONFINITE, Check.CUT, Check.NO_GRADIENT})
# Values of a part beyond which finding shapes for it takes too long.
_MAX_NODES: Final = 200
# Sums over so many weights that their results no longer hang together.
_MIXES: Final = frozenset(
    {"matmul", "dot", "batch_dot", "matvec", "tensordot", "einsum", "conv2d", "depthwise_conv2d",
     "batch_normalization", "np_dot"}
)  # fmt: skip
# Ops that pick or rename and never ask for a shape that is hard to guess.
_LIGHT: Final = frozenset(
    {"getitem", "identity", "convert_to_tensor", "constant", "stop_gradient", "expand_dims",
     "keras_expand_dims", "squeeze", "set_shape", "real", "py_float", "numpy_value", "split",
     "keras_split", "unstack"}
)  # fmt: skip
# Ops whose result is a list: a free input cannot stand for it.
_LISTS: Final = frozenset(
    {"split", "keras_split", "unstack", "meshgrid", "dynamic_partition", "static_shape"}
)
# Ops that can leave a nan out of what they hand on.
_PICKS: Final = frozenset(
    {"where", "boolean_mask", "gather", "gather_nd", "getitem", "multiply_no_nan", "divide_no_nan",
     "reduce_max", "reduce_min", "maximum", "minimum", "top_k", "top_k_values", "sort", "slice",
     "strided_slice", "tensor_scatter_nd_update", "dynamic_partition", "clip_by_value", "K_clip"}
)  # fmt: skip
_IDS: Final = frozenset(
    {"argmax", "argmin", "keras_argmax", "keras_argmin", "ops_argmax", "ops_argmin", "argsort",
     "np_argsort", "np_argmax", "np_argmin", "where_indices", "top_k_indices", "unique_indices"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a graph.

    Attributes:
        graph: the part, with the node ids of the whole.
        free: nodes whose values were taken as free, in order.
        proves: a hazard that it shows is one of the whole graph.
        moved: free values that training does not move are moved here, so that a gradient by them
            proves nothing.
        clears: what does not go wrong in it does not go wrong in the whole graph.
        whole: its output is that of the whole graph, so that an infinity counts as it does there.
    """

    graph: Graph
    free: tuple[Node, ...]
    proves: bool
    moved: bool
    clears: bool
    whole: bool


def cuts(view: View, suspect: Suspect) -> Iterator[Cut]:
    """Yield ever smaller parts of the graph in which a suspect can be judged.

    Args:
        view: the graph that the suspect is in.
        suspect: what is to be judged.
    """
    if suspect.check not in _JUDGED:
        return
    part = _Part(view)
    seen: set[tuple[frozenset[int], int]] = set()
    for whole in (True, False):
        way = part.way(suspect.node, whole=whole)
        if way is None or not (whole or suspect.check is Check.NONFINITE):
            continue
        for passes in (_computes, _picks):
            cut = part.cut(suspect, way, passes, whole=whole)
            if cut is None:
                continue
            key = (frozenset(node.id for node in cut.free), cut.graph.output)
            if key not in seen:
                seen.add(key)
                yield cut


def _computes(node: Node) -> bool:
    """Say whether the larger parts hold the node: all but sums over weights."""
    return node.op not in _MIXES


def _picks(node: Node) -> bool:
    """Say whether the smaller parts hold the node: nothing that moves elements about."""
    return node.op not in _MIXES and (_kind(node) is not Kind.STRUCTURAL or node.op in _LIGHT)


def _kind(node: Node) -> Kind | None:
    return table.row(node.op).kind if node.op in table.TABLE else None


def _runs(node: Node) -> bool:
    return not node.op or (node.op in table.TABLE and table.row(node.op).runs)


class _Part:
    """Finds parts of one graph."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.graph = view.graph
        self.varies = [False] * len(self.graph.nodes)
        self.integral = [False] * len(self.graph.nodes)
        # Inputs and sums over weights that a node is computed from; others hang together.
        self.sources: list[frozenset[int]] = [frozenset()] * len(self.graph.nodes)
        for node in self.graph.nodes:
            at = node.id
            if node.input is not None:
                self.varies[at] = node.input.role is not InputRole.PARAMETER
            elif node.op not in SHAPE_ONLY:
                self.varies[at] = any(self.varies[ref] for ref in node.operands)
            mixes = node.op in _MIXES or not _runs(node)
            if self.varies[at]:
                found = [self.sources[ref] for ref in node.operands if self.varies[ref]]
                alone = node.input is not None or mixes
                self.sources[at] = frozenset([at]) if alone else frozenset().union(*found)
            self.integral[at] |= self._integral(node)

    def _integral(self, node: Node) -> bool:
        if node.op == "cast":
            dtype = node.arg("dtype")
            name = dtype.name if isinstance(dtype, DType) else dtype
            return isinstance(name, str) and name.startswith(("int", "uint"))
        if node.op in _IDS:
            return True
        moved = [ref for ref in node.operands if self.varies[ref]]
        return (
            _kind(node) is Kind.STRUCTURAL
            and bool(moved)
            and all(self.integral[ref] for ref in moved)
        )

    def way(self, start: int, *, whole: bool) -> list[int] | None:
        """Return the nodes from `start` to the output of the part; None if that cannot be run.

        Args:
            start: the suspect's node.
            whole: go to the graph's own output instead of as far as nothing is mixed.
        """
        reached = {start}
        for node in self.graph.nodes[start + 1 :]:
            if not self.view.reaches_output(node.id) or reached.isdisjoint(node.operands):
                continue
            if not _runs(node):
                if whole:
                    return None
                continue
            if whole or _computes(node):
                reached.add(node.id)
        ordered = sorted(reached)
        return ordered if not whole or self.graph.output in reached else None

    def cut(
        self, suspect: Suspect, way: list[int], passes: Callable[[Node], bool], *, whole: bool
    ) -> Cut | None:
        """Return the part around a suspect; None if nothing is cut off.

        Args:
            suspect: what is judged.
            way: nodes from it to the new output, the last one.
            passes: says whether the part holds a node that the way needs.
            whole: the new output is that of the graph.
        """
        forced = {*way, *(target.node for target in suspect.targets)}
        end = way[-1]
        held = self._back(forced, passes)
        conditions = tuple(
            (node, taken)
            for node, taken in self.graph.assumptions
            if self._cone(node) & (held[0] | held[1])
        )
        kept, free = self._back(forced | {node for node, _ in conditions}, passes)
        made = [self.graph.nodes[at] for at in sorted(free) if self.graph.nodes[at].input is None]
        if len(kept) > _MAX_NODES:
            return None
        if not made or any(node.op in _LISTS or not self._stands(node) for node in made):
            return None
        nodes = list(self.graph.nodes)
        for node in self.graph.nodes:
            if node.id not in kept and node.id not in free and node.input is not None:
                # It would ask for a witness of what nothing depends on.
                nodes[node.id] = replace(node, input=None, value=0.0)
        taken_names = {node.input.name for node in nodes if node.input is not None}
        for node in made:
            spec = self._spec(node, taken_names)
            taken_names.add(spec.name)
            nodes[node.id] = replace(node, op="", args=(), input=spec)
        graph = replace(self.graph, nodes=tuple(nodes), output=end, assumptions=conditions)
        dropped = [
            node for node, taken in self.graph.assumptions if (node, taken) not in conditions
        ]
        proves = self._apart(self._deciding(graph, suspect, way), dropped) and (
            whole or self._hands_on(end)
        )
        moved = any(not self.view.depends_differentiably(node) for node in made)
        return Cut(graph, tuple(made), proves, moved, whole or self._alone(way), whole)

    def _back(
        self, roots: Iterable[int], passes: Callable[[Node], bool]
    ) -> tuple[set[int], set[int]]:
        """Return what is computed, and what becomes free, to compute `roots`."""
        forced = set(roots)
        while True:
            kept, free = set(forced), set[int]()
            for at in range(max(forced), -1, -1):
                if at not in kept:
                    continue
                for ref in self.graph.nodes[at].operands:
                    node = self.graph.nodes[ref]
                    fixed = not self.varies[ref] or node.op in _LISTS
                    if node.input is None and _runs(node) and (passes(node) or fixed):
                        kept.add(ref)
                    else:
                        free.add(ref)
            free -= kept
            # The same elements in another order are no free values beside the first ones.
            doubled = {
                at for at in free
                if _kind(self.graph.nodes[at]) is Kind.STRUCTURAL and _runs(self.graph.nodes[at])
                and (kept | free).intersection(
                    ref for ref in self.graph.nodes[at].operands if self.varies[ref])
            }  # fmt: skip
            if not doubled:
                return kept, free
            forced |= doubled

    def _cone(self, start: int) -> set[int]:
        found, queue = {start}, [start]
        while queue:
            for ref in self.graph.nodes[queue.pop()].operands:
                if ref not in found and self.varies[ref]:
                    found.add(ref)
                    queue.append(ref)
        return found

    def _deciding(self, part: Graph, suspect: Suspect, way: list[int]) -> set[int]:
        """Return the inputs of a part that decide whether the hazard occurs and is picked."""
        queue = [suspect.node, *(target.node for target in suspect.targets)]
        queue += [node for node, _ in part.assumptions]
        for at in way:
            node = self.graph.nodes[at]
            passive = table.row(node.op).passive if node.op in table.TABLE else ()
            queue += [ref for name, value in node.args if name in passive for ref in refs(value)]
        found, seen = set[int](), set(queue)
        while queue:
            node = part.nodes[queue.pop()]
            if node.input is not None:
                found.add(node.id)
            fresh = [ref for ref in node.operands if ref not in seen]
            seen.update(fresh)
            queue += fresh
        return found

    def _apart(self, ends: Iterable[int], dropped: Iterable[int]) -> bool:
        """Say whether the free values are known, and no two are computed from the same ones."""
        seen: set[int] = set()
        for at in sorted(ends):
            spec = self.graph.nodes[at].input
            # Of what an opaque call gives, no interval is known.
            if seen & self.sources[at] or (spec is not None and spec.role is InputRole.CUT):
                return False
            seen |= self.sources[at]
        return not any(seen & self.sources[at] for at in dropped)

    def _hands_on(self, end: int) -> bool:
        """Say whether a nan at the new output surely gets to the old one."""
        beyond = {end}
        for node in self.graph.nodes[end + 1 :]:
            if self.view.reaches_output(node.id) and not beyond.isdisjoint(node.operands):
                if node.op in _PICKS:
                    return False
                beyond.add(node.id)
        return self.view.differentiable_to_output(end)

    def _alone(self, way: list[int]) -> bool:
        """Say whether all that the way computes goes on through its last node."""
        held, inner = set(way), set(way[:-1])
        return not any(
            node.id not in held and self.view.reaches_output(node.id)
            and not inner.isdisjoint(node.operands)
            for node in self.graph.nodes
        )  # fmt: skip

    def _stands(self, node: Node) -> bool:
        """Say whether a free input can stand for the node's value: a tensor."""
        return node.op not in table.TABLE or not table.row(node.op).results

    def _spec(self, node: Node, names: set[str]) -> Input:
        interval = self.view.interval_everywhere(node)
        lo = min(max(interval.lo, -EXTENDED_LIMIT), EXTENDED_LIMIT)
        hi = max(min(interval.hi, EXTENDED_LIMIT), lo)
        name = node.name if node.name.isidentifier() and node.name not in names else ""
        integral = self.integral[node.id]
        return Input(
            name or f"value_{node.id}",
            InputRole.CUT,
            not integral,
            lo,
            hi,
            integer=integral,
        )
