"""Probabilities of a choice that is weighed afterwards: what policies of agents are trained by."""

from __future__ import annotations

from actlint.query import InputRole, Kind, Node, View

from ._common import ancestors, is_constant, shown

# Ops that pick entries of their first operand, and the operands that say which.
_PICKING = {
    "batch_gather": ("indices",),
    "gather": ("indices",),
    "gather_nd": ("indices",),
    "getitem": ("index",),
    "slice": ("begin",),
}
_SUMS = frozenset({"reduce_max", "reduce_mean", "reduce_sum"})
_SCALED = frozenset({"divide", "multiply", "negative"})
_CHOICES = frozenset({InputRole.DATA, InputRole.LABEL})


def picked(view: View, logarithm: Node, operand: Node) -> str:
    """Return a clause that says what picks a probability of 0 for a logarithm, or "".

    A probability that is picked by data and then weighed, by an advantage say, is mostly that of
    an action which was drawn from these very probabilities: it was not 0 when it was drawn.

    Args:
        view: the graph.
        logarithm: the node of a logarithm.
        operand: what it is taken of.
    """
    choice = _choice(view, operand)
    if choice is None or not _is_weighed(view, logarithm):
        return ""
    return f"{shown(choice)} picks what is not drawn from these probabilities"


def _choice(view: View, operand: Node) -> Node | None:
    """Return what says which probability is taken, if that is data."""
    node = operand
    while node.op:
        picks = _PICKING.get(node.op, ())
        for found in (view.node(ref) for ref in node.operands[1:] if picks):
            if _is_given(view, found):
                return found
        if node.op in _SUMS:
            product = view.definition(node.operands[0])
            if product.op != "multiply" or len(product.operands) != len({"x", "y"}):
                return None
            first, second = view.operands(product)
            for shares, mask in ((first, second), (second, first)):
                if view.depends_differentiably(shares) and _is_given(view, mask):
                    return mask
            return None
        if view.op(node).kind is not Kind.STRUCTURAL or not node.operands:
            return None
        node = view.node(node.operands[0])
    return None


def _is_given(view: View, node: Node) -> bool:
    """Tell whether a value is made of labels or data, and of nothing that is trained."""
    return not view.depends_differentiably(node) and any(
        each.input is not None and each.input.role in _CHOICES for each in ancestors(view, node.id)
    )


def _is_weighed(view: View, logarithm: Node) -> bool:
    """Tell whether a logarithm is multiplied with what is not trained, or is part of a ratio."""
    pending, seen = [logarithm], {logarithm.id}
    while pending:
        node = pending.pop()
        for user in view.users(node):
            if user.id in seen:
                continue
            seen.add(user.id)
            others = [each for each in view.operands(user) if each.id != node.id]
            if user.op == "multiply" and any(_is_weight(view, each) for each in others):
                return True
            if user.op == "subtract" and any(each.op == "exp" for each in view.users(user)):
                return True
            known = user.op in _SUMS or user.op in _SCALED
            if known or view.op(user).kind is Kind.STRUCTURAL:
                pending.append(user)
    return False


def _is_weight(view: View, node: Node) -> bool:
    return not view.depends_differentiably(node) and not is_constant(view, node.id)
