"""Remedies of activations: of their pieces, constants and bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from actlint.query import Arg, Node, Remedy, Rewrite, Safety, View

from ._common import COMPARISON
from ._gradient_mended import plain
from ._patterns import DIVIDE
from ._remedies import constant, ref, replaced

_PIECES = ("where", "maximum", "minimum")
_SCALINGS = ("multiply", *DIVIDE)
_SUMS = ("add", "subtract")
_BOUNDS = ("clip", "clip_by_value", "keras_relu", "maximum", "minimum", "relu", "relu6")
_SIGMOIDS = ("hard_sigmoid", "sigmoid")
_SQUASHING = (*_SIGMOIDS, "softsign", "tanh")
# An interval of one number is no wider, in terms of its size: a few roundings of float32.
_NARROW = 1e-5


def rising(view: View) -> Iterator[Remedy]:
    """Yield the remedies that take the minus out of one piece of an activation."""
    for node in view.nodes(*_PIECES):
        for piece in _branches(view, node):
            if not view.depends_differentiably(piece):
                continue
            for change in _minus(view, piece):
                yield Remedy(
                    "Take the minus out of this piece",
                    "its values change their sign, and go the same way as those of the other piece",
                    Safety.UNSAFE,
                    (change,),
                )


def meeting(view: View) -> Iterator[Remedy]:
    """Yield the remedies that let two pieces have the same value where they meet."""
    for node in view.nodes("where"):
        pieces = _branches(view, node)
        switch = _switch(view, node)
        if len(pieces) != 2 or switch is None:
            continue
        values = [_at(view, piece, *switch) for piece in pieces]
        if None in values:
            continue
        first, second = (value for value in values if value is not None)
        step = first - second
        if not step:
            continue
        bare = [_without(view, pieces[0], step), _without(view, pieces[1], -step)]
        if _alike(view, (bare[0], pieces[1])) or _alike(view, (pieces[0], bare[1])):
            continue  # without the constant there is only one piece
        for piece, inner, excess in zip(pieces, bare, (step, -step), strict=True):
            if inner is not None:
                yield replaced(
                    piece,
                    "{x}",
                    "Leave the constant out of this piece",
                    f"its values change by {plain(-excess)}, so that both pieces meet",
                    {"x": ref(inner)},
                    safety=Safety.UNSAFE,
                )
        # The piece whose value is farther from 0 moves: most activations pass near it.
        place = 0 if abs(first) > abs(second) else 1
        shift = -step if place == 0 else step
        sign = "+" if shift > 0.0 else "-"
        change = Rewrite(
            ref(pieces[place]),
            f"{{x}} {sign} {plain(abs(shift))}",
            (("x", ref(pieces[place])),),
            node.id,
        )
        yield Remedy(
            "Shift this piece to where the other one ends",
            f"its values change by {plain(shift)}, so that both pieces meet",
            Safety.UNSAFE,
            (change,),
        )


def unbounded(view: View, output: Node) -> Iterator[Remedy]:
    """Yield the remedies that leave a bound out, outermost first."""
    node: Node | None = output
    while node is not None:
        moving = [each for each in view.operands(node) if view.depends(each)]
        inner = moving[0] if len(moving) == 1 else None
        if node.op in _BOUNDS and inner is not None:
            yield replaced(
                node,
                "{x}",
                "Leave the bound out",
                "the activation moves with its input",
                {"x": ref(inner)},
                safety=Safety.UNSAFE,
            )
        node = inner


def centred(view: View, output: Node) -> Iterator[Remedy]:
    """Yield the remedies of an activation that is nearly a constant other than 0."""
    if output.op in _SUMS:
        for one, other in (("x", "y"), ("y", "x")):
            moved, fixed = view.operand(output, one), constant(view, output, other)
            negated = output.op == "subtract" and one == "y"
            if moved is not None and fixed is not None and view.depends(moved) and not negated:
                yield replaced(
                    output,
                    "{x}",
                    "Leave the constant out",
                    f"values change by {plain(-fixed if output.op == 'add' else fixed)}, and pass "
                    "through 0",
                    {"x": ref(moved)},
                    safety=Safety.UNSAFE,
                )
    inner = next(iter(view.operands(output)), None)
    if inner is None or output.op not in _SQUASHING:
        return
    if inner.op in _SQUASHING:
        yield replaced(
            output,
            "{x}",
            "Squash once",
            "values change, and the gradient does not fade twice",
            {"x": ref(inner)},
            safety=Safety.UNSAFE,
        )
    if output.op in _SIGMOIDS:
        yield replaced(
            output,
            "tf.tanh({x})",
            "Take tf.tanh, which is 0 at 0",
            "values change, and are between -1 and 1",
            {"x": ref(inner)},
            safety=Safety.UNSAFE,
        )


def _branches(view: View, node: Node) -> list[Node]:
    """Return the values that a node chooses between."""
    found = (view.operand(node, name) for name in ("x", "y"))
    return [each for each in found if each is not None]


def _minus(view: View, piece: Node) -> Iterator[Rewrite]:
    """Yield the change that takes a minus out of a multiple of something."""
    node = piece
    while node.op in _SCALINGS or node.op in {"negative", "neg"}:
        inner = next((each for each in view.operands(node) if view.depends(each)), None)
        if inner is None:
            return
        if node.op not in _SCALINGS:
            yield Rewrite(ref(node), "{x}", (("x", ref(inner)),))
            return
        for name in ("x", "y"):
            factor = node.arg(name)
            if isinstance(factor, (int, float)) and factor < 0:
                number = str(-factor) if isinstance(factor, int) else plain(-factor)
                yield Rewrite(factor, number, (), node.id)
                return
        node = inner


def _switch(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the input that a selection compares, and the number that it is compared with."""
    condition = view.operand(node, "condition")
    if condition is None or condition.op not in COMPARISON:
        return None
    for one, other in (("x", "y"), ("y", "x")):
        moved, limit = view.operand(condition, one), constant(view, condition, other)
        moved = None if moved is None else view.definition(moved)
        if moved is not None and limit is not None and moved.input is not None:
            return moved, limit
    return None


def _at(view: View, piece: Node, moved: Node, value: float) -> float | None:
    """Return what a piece is where an input has a certain value; None if it is no one number."""
    held: Arg = value
    fixed = view.changed(replace(moved, input=None, value=held))
    known = fixed.interval_everywhere(piece.id)
    middle = (known.lo + known.hi) / 2.0
    sure = not known.nan and known.hi - known.lo <= _NARROW * max(abs(middle), 1.0)
    return float(f"{middle:.6g}") if sure else None


def _alike(view: View, pieces: tuple[Node | None, Node | None]) -> bool:
    """Return whether two pieces are one and the same expression."""
    first, second = pieces
    return first is not None and second is not None and view.same_value(first, second)


def _without(view: View, piece: Node, excess: float) -> Node | None:
    """Return x if a piece is x and a constant, which is what it has in excess."""
    if piece.op not in _SUMS:
        return None
    for one, other in (("x", "y"), ("y", "x")):
        moved, fixed = view.operand(piece, one), constant(view, piece, other)
        if moved is None or fixed is None or (piece.op == "subtract" and one == "y"):
            continue
        signed = fixed if piece.op == "add" else -fixed
        if abs(signed - excess) <= _NARROW * max(abs(excess), 1.0):
            return moved
    return None
