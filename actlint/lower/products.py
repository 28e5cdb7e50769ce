"""What a product with a trained weight can be, though the weight can be anything."""

from __future__ import annotations

from collections.abc import Sequence

from actlint.cosines import MOST, UNIT, are_cosines, factors, is_product, normalised
from actlint.graph import Arg, Node, Ref


def limits(
    nodes: Sequence[Node], op: str, args: Sequence[tuple[str, Arg]]
) -> tuple[float, float] | None:
    """Return the limits of a product of vectors of length 1, or None if it is none.

    Args:
        nodes: the graph so far.
        op: of the product.
        args: its operands.
    """
    if not is_product(op):
        return None
    given = dict(args)
    sides = [given.get(name) for name in factors(op)]
    made = [nodes[side.node] for side in sides if isinstance(side, Ref)]
    if len(made) != 2 or any(node.op != UNIT for node in made):
        return None
    left, right = (normalised(dict(node.args)) for node in made)
    return (-MOST, MOST) if are_cosines(op, given, left, right) else None
