"""The domain of each free input: probability, class index or any real number.

A loss does not say whether its prediction is a probability or a logit, but what it does with it
does: nobody takes the logarithm of a logit or the softmax of a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actlint.graph import EXTENDED_LIMIT, Input, InputRole, Items, Node, Ref

REAL = (-EXTENDED_LIMIT, EXTENDED_LIMIT)
PROBABILITY = (0.0, 1.0)

_TRANSPARENT = frozenset(
    [
        "identity",
        "cast",
        "reshape",
        "getitem",
        "squeeze",
        "expand_dims",
        "transpose",
        "gather",
        "concat",
        "stack",
        "unstack",
        "split",
        "flatten",
        "constant",
        "convert_to_tensor",
        "boolean_mask",
        "gather_nd",
        "tile",
        "batch_flatten",
        "stop_gradient",
        "slice",
        "strided_slice",
    ]
)
_TAKES_LOGITS = frozenset(
    [
        "sigmoid",
        "softmax",
        "log_softmax",
        "log_sigmoid",
        "softplus",
        "tanh",
        "exp",
        "expm1",
        "reduce_logsumexp",
        "sigmoid_cross_entropy_with_logits",
        "softmax_cross_entropy_with_logits",
        "hard_sigmoid",
        "sparse_softmax_cross_entropy_with_logits",
        "weighted_cross_entropy_with_logits",
        "l2_normalize",
        "norm",
        "sinh",
        "cosh",
        "sin",
        "cos",
        "erf",
    ]
)
_TAKES_PROBABILITIES = frozenset(
    [
        "log",
        "log2",
        "log10",
        "xlogy",
        "K_log",
        "entropy",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_focal_crossentropy",
        "log_loss",
        "kl_divergence",
    ]
)
_TAKES_CLASS_IDS = frozenset({"one_hot"})
_SIGNED = frozenset({"subtract"})
_CONSTANTS = frozenset({"constant", "convert_to_tensor", "cast", "identity", "ones_like"})
# An additive constant no larger than this is a guard, not part of the formula.
_GUARD = 0.1


def with_domains(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes with the domains of predictions, labels and cuts filled in."""
    users = _users(nodes)
    domains: dict[int, tuple[float, float]] = {}
    integers: set[int] = set()
    for node in nodes:
        record = node.input
        if record is None or record.role not in {InputRole.PREDICTION, InputRole.CUT}:
            continue
        domains[node.id] = _prediction_domain(nodes, users, node.id, record)
    regression = bool(domains) and all(domain == REAL for domain in domains.values())
    for node in nodes:
        record = node.input
        if record is None or record.role is not InputRole.LABEL:
            continue
        evidence = _evidence(nodes, users, node.id)
        if evidence & {"class-id"}:
            integers.add(node.id)
            domains[node.id] = REAL
        elif regression and "difference" in evidence and "complement" not in evidence:
            domains[node.id] = REAL
        else:
            domains[node.id] = PROBABILITY
    return tuple(
        replace(
            node,
            input=replace(
                node.input,
                lo=domains[node.id][0],
                hi=domains[node.id][1],
                integer=node.input.integer or node.id in integers,
            ),
        )
        if node.input is not None and node.id in domains
        else node
        for node in nodes
    )


def _users(nodes: Sequence[Node]) -> dict[int, list[Node]]:
    users: dict[int, list[Node]] = {}
    for node in nodes:
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    return users


def _prediction_domain(
    nodes: Sequence[Node], users: dict[int, list[Node]], start: int, record: Input
) -> tuple[float, float]:
    evidence = _evidence(nodes, users, start)
    if "logit" in evidence:
        return REAL
    if evidence & {"probability", "complement"}:
        return PROBABILITY
    if record.role is InputRole.CUT or "difference" in evidence:
        return REAL
    return PROBABILITY


def _evidence(nodes: Sequence[Node], users: dict[int, list[Node]], start: int) -> frozenset[str]:
    """Collect what the direct consumers of an input take it to be."""
    found: set[str] = set()
    pending, seen = [start], {start}
    while pending:
        current = pending.pop()
        for user in users.get(current, ()):
            found |= _of_user(nodes, user, current)
            passes = user.op in _TRANSPARENT or _guarded(nodes, user, current)
            if passes and user.id not in seen:
                seen.add(user.id)
                pending.append(user.id)
    return frozenset(found)


def _of_user(nodes: Sequence[Node], user: Node, operand: int) -> set[str]:
    if user.op in _TAKES_CLASS_IDS:
        return {"class-id"}
    if user.op in _TAKES_LOGITS:
        return {"logit"}
    if user.op in _TAKES_PROBABILITIES:
        logits = user.arg("from_logits")
        return {"logit"} if logits is True else {"probability"}
    if user.op == "subtract":
        left, right = user.arg("x"), user.arg("y")
        if right == Ref(operand) and _number(nodes, left) == 1.0:
            return {"complement"}
        if _number(nodes, left) is None and _number(nodes, right) is None:
            return {"difference"}
    if user.op == "squared_difference" or user.op.startswith("mean_squared"):
        return {"difference"}
    return set()


def _guarded(nodes: Sequence[Node], user: Node, operand: int) -> bool:
    """Tell whether the op only keeps the value away from 0 or 1: ``p + eps``, ``clip(p)``."""
    if user.op == "add":
        other = user.arg("y") if user.arg("x") == Ref(operand) else user.arg("x")
        number = _number(nodes, other)
        return number is not None and abs(number) <= _GUARD
    return user.op in {"clip_by_value", "K_clip", "maximum", "minimum"}


def _number(nodes: Sequence[Node], value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Ref):
        node = nodes[value.node]
        if node.op in _CONSTANTS and node.args:
            if node.op == "ones_like":
                return 1.0
            inner = node.args[0][1]
            return None if isinstance(inner, Items) else _number(nodes, inner)
        if node.op == "" and node.input is None:
            return _number(nodes, node.value)
    return None
