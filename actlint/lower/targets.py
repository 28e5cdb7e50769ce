"""Tells the placeholders of a graph that hold labels from those that hold anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from actlint.graph import Arg, Input, InputRole, Node, Ref
from actlint.lower.mixing import mixes, weighs_itself

# Names of the parameter that takes the labels.
_LABELS = frozenset(
    {"labels", "target", "targets", "y_true", "onehot_labels", "multi_class_labels"}
)
_LOGS = frozenset({"log", "log2", "log10", "log1p", "log_softmax", "log_sigmoid", "K_log"})
_SHARES = frozenset({"softmax"})
# Ops that keep the operand of a logarithm away from 0, and how many of them are looked through.
_GUARDING = frozenset({"add", "clip_by_value", "K_clip", "maximum"})
_GUARDS = 3
# What hands values on to one op or another as they are.
_HANDING = frozenset(
    {
        "cast", "concat", "convert_to_tensor", "expand_dims", "getitem", "identity", "negative",
        "reshape", "slice", "squeeze", "stop_gradient", "transpose",
    }
)  # fmt: skip


def as_label(
    record: Input,
    nodes: Sequence[Node],
    users: Mapping[int, Sequence[Node]],
    start: int,
    number: Callable[[Arg], float | None],
) -> Input:
    """Return a placeholder's record, as that of a label if what is done with it says so.

    Such are what a cross-entropy takes for labels, what is multiplied by the logarithm of
    shares, what is compared with a prediction by the places of their largest entries, and what
    mixes two terms, as the label of a pair or a flag at the end of an episode does.

    Args:
        record: the placeholder.
        nodes: the values of the graph in order.
        users: the nodes that read each node.
        start: the placeholder's node.
        number: tells which number an operand is, if it is a known one.
    """
    if record.role is not InputRole.DATA or record.differentiated:
        return record
    kind = _kind(record, nodes, users, start)
    if kind == "class":
        return replace(record, role=InputRole.LABEL, integer=True)
    if kind == "share" and not record.integer:
        return replace(record, role=InputRole.LABEL, lo=0.0, hi=1.0)
    if kind or not mixes(users, start, number):
        return record
    if weighs_itself(users, start, number):
        return replace(record, lo=0.0, hi=1.0)
    return replace(record, role=InputRole.LABEL, lo=0.0, hi=1.0)


def _kind(
    record: Input, nodes: Sequence[Node], users: Mapping[int, Sequence[Node]], start: int
) -> str:
    pending, seen = [start], {start}
    shares = False
    while pending:
        current = pending.pop()
        for user in users.get(current, ()):
            named = any(n in _LABELS and value == Ref(current) for n, value in user.args)
            if (named and "entropy" in user.op) or user.op == "one_hot":
                return "class" if "sparse" in user.op or user.op == "one_hot" else "share"
            if user.op == "argmax" and _compared(nodes, users, user):
                shares = True
            elif user.op == "multiply" and _weighs(nodes, user, current):
                # One number for each row may be anything, such as an advantage.
                shares = shares or _classes(record) > 1 or current != start
            elif user.op == "multiply" and _picks(nodes, users, user, current):
                shares = shares or record.shape is None or record.shape[-1:] != (1,)
            elif _hands_on(user) and user.id not in seen:
                seen.add(user.id)
                pending.append(user.id)
    return "share" if shares else ""


def _hands_on(node: Node) -> bool:
    """Tell whether the labels are still to be seen in a value, if only as their complement."""
    return node.op in _HANDING or (node.op == "subtract" and node.arg("x") == 1)


def _classes(record: Input) -> int:
    return (record.shape[-1] or 0) if record.shape else 0


def _weighs(nodes: Sequence[Node], product: Node, operand: int) -> bool:
    """Tell whether the other factor of a product is a logarithm."""
    others = [nodes[ref] for ref in product.operands if ref != operand]
    while others and others[0].op in _HANDING and others[0].operands:
        others = [nodes[others[0].operands[0]]]
    return bool(others) and others[0].op in _LOGS


def _picks(
    nodes: Sequence[Node], users: Mapping[int, Sequence[Node]], product: Node, operand: int
) -> bool:
    """Tell whether a product picks a share of a softmax, whose logarithm is taken."""
    others = [nodes[ref] for ref in product.operands if ref != operand]
    if not others or others[0].op not in _SHARES:
        return False
    after = [user for user in users.get(product.id, ()) if user.op == "reduce_sum"]
    for _ in range(_GUARDS):
        after = [user for node in after for user in users.get(node.id, ())]
        if any(user.op in _LOGS for user in after):
            return True
        after = [user for user in after if user.op in _GUARDING]
    return False


def _compared(nodes: Sequence[Node], users: Mapping[int, Sequence[Node]], places: Node) -> bool:
    """Tell whether places of largest entries are compared with others."""
    return any(
        user.op == "equal" and all(nodes[ref].op in {"argmax", "cast"} for ref in user.operands)
        for user in users.get(places.id, ())
    )
