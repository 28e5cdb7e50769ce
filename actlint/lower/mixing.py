"""Weights that mix two terms, ``t * a + (1 - t) * b``: labels, masks and flags are 0 or 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from actlint.graph import Arg, Node, Ref

# What hands values on as they are, so that a complement taken behind it is one of the value.
_HANDING = frozenset(
    {
        "cast", "convert_to_tensor", "expand_dims", "getitem", "identity", "reshape", "slice",
        "squeeze", "stop_gradient", "strided_slice", "tile", "transpose",
    }
)  # fmt: skip

Users = Mapping[int, Sequence[Node]]
Number = Callable[[Arg], float | None]


def mixes(users: Users, start: int, number: Number) -> bool:
    """Tell whether a value is taken for a share by what its complement weighs.

    ``1 + t`` beside ``1 - t`` says that t is -1 or 1, and a difference from 1 that is no factor of
    anything else, as in a margin or a square, says nothing.

    Args:
        users: the nodes that read each node.
        start: the value.
        number: tells which number an operand is, if it is a known one.
    """
    same, others = _complements(users, start, number)
    if any(_meets_one(user, same, number, "add") for each in same for user in users.get(each, ())):
        return False
    return any(
        user.op == "multiply" and not set(user.operands) <= others and len(user.operands) > 1
        for each in others
        for user in users.get(each, ())
    )


def weighs_itself(users: Users, start: int, number: Number) -> bool:
    """Tell whether a value weighs its own complement, as a coordinate does: ``x * (1 - x)``."""
    same, others = _complements(users, start, number)
    return any(
        user.op == "multiply" and set(user.operands) & same
        for each in others
        for user in users.get(each, ())
    )


def _complements(users: Users, start: int, number: Number) -> tuple[set[int], set[int]]:
    """Return where a value is handed on to, and where 1 less the value is."""
    same = _handed(users, {start}, number)
    taken = (user for each in same for user in users.get(each, ()))
    return same, _handed(
        users, {user.id for user in taken if _meets_one(user, same, number, "subtract")}, number
    )


def _handed(users: Users, starts: set[int], number: Number) -> set[int]:
    """Return the values with all that hand them on, or scale them by a number."""
    seen, pending = set(starts), sorted(starts)
    while pending:
        for user in users.get(pending.pop(), ()):
            scaled = user.op == "multiply" and any(
                number(user.arg(name)) is not None for name in ("x", "y")
            )
            if (scaled or user.op in _HANDING) and user.id not in seen:
                seen.add(user.id)
                pending.append(user.id)
    return seen


def _meets_one(node: Node, same: set[int], number: Number, op: str) -> bool:
    """Tell whether a node is ``1 - t``, or ``1 + t``."""
    left, right = node.arg("x"), node.arg("y")
    if node.op != op:
        return False
    if op == "add" and isinstance(left, Ref) and left.node in same:
        left, right = right, left
    return isinstance(right, Ref) and right.node in same and number(left) == 1.0
