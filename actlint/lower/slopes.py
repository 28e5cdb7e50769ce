"""Gradients by what goes into a network, as values: of a gradient penalty, of an attack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from actlint.graph import InputRole, Node, Site
from actlint.ops.model import Gradient, Op

# Ops that pass no gradient.
WITHOUT: Final = frozenset({Gradient.NONE, Gradient.ZERO})


@dataclass(slots=True)
class Slopes:
    """What is known of such gradients in one lowering.

    Attributes:
        taken: where they are taken, and the nodes that they are computed from.
        points: the nodes that an unknown network is examined at, whose gradient is taken by them.
    """

    taken: list[tuple[Site, frozenset[int]]] = field(default_factory=list)
    points: set[int] = field(default_factory=set)
    _nodes: set[int] = field(default_factory=set)

    def note(self, site: Site, node: int) -> None:
        """Note an input that stands for what is computed at `site`."""
        if any(site == where for where, _ in self.taken):
            self._nodes.add(node)

    def follow(self, operands: Iterable[int], node: int) -> None:
        """Note that a node was computed from others."""
        if not self._nodes.isdisjoint(operands):
            self._nodes.add(node)

    def examined(self, nodes: Sequence[Node]) -> list[Node]:
        """Return the nodes with the arguments of a loss that such points are made of as data.

        A penalty on the gradient of a network trains the network, not the samples that it is
        examined at.
        """
        inside, pending = set(self.points), sorted(self.points)
        while pending:
            fresh = set(nodes[pending.pop()].operands) - inside
            inside |= fresh
            pending += sorted(fresh)
        return [
            replace(node, input=replace(node.input, role=InputRole.DATA, differentiated=False))
            if node.id in inside
            and node.input is not None
            and node.input.role is InputRole.PREDICTION
            else node
            for node in nodes
        ]

    def end(self, op: Op, operand: int) -> bool:
        """Tell whether `op` makes of a gradient what none is meant to go through.

        The sign of a gradient is the step of an attack; nobody trains by the second derivative.
        """
        ends = op.gradient in WITHOUT and op.gradients is None and op.key != "stop_gradient"
        return ends and operand in self._nodes
