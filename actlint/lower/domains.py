"""The domain of each free input: probability, class index or any real number.

A loss does not say whether its prediction is a probability or a logit, but what it does with it
does: nobody takes the logarithm of a logit or the softmax of a probability.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from actlint.graph import (
    EXTENDED_LIMIT,
    Dots,
    DType,
    Input,
    InputRole,
    Items,
    Node,
    Ref,
    Role,
    refs,
)
from actlint.lower.mixing import mixes
from actlint.lower.targets import as_label
from actlint.ops.table import TABLE

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
_LOGARITHMS = frozenset({"log", "log2", "log10", "xlogy", "K_log"})
_TAKES_CLASS_IDS = frozenset({"one_hot"})
# Functions whose result is a share, and the cross-entropies' names for labels that are shares.
_GIVES_SHARES = frozenset({"sigmoid", "softmax"})
_KEEPS_SHARES = frozenset({"reduce_max", "reduce_mean", "reduce_min", "reduce_prod"})
_SHARES = frozenset({"labels", "target", "y_true"})
# Nobody asks for the shape of a plain number, or picks elements of it.
_OF_TENSORS = frozenset({"shape", "gather_nd", "boolean_mask"})
_PRODUCTS = frozenset({"einsum", "matmul", "tensordot"})
# Values that could not be followed, by the names that the code gives them.
_MASK = re.compile(r"(^|_)masks?(_output)?(_\d+)?$")
_LENGTH = re.compile(r"(^|_)(dists?|distances?|norms?)(_output)?(_\d+)?$")
_LATENT = re.compile(r"(^|_)(means?|mus?|loc|latents?|embeddings?)$")
_COUNT = re.compile(r"^(height|width|channels|size|ndim|(num|n)_\w+|\w+_(size|count|len))(_\d+)?$")
_SHAPED = frozenset({InputRole.ACTIVATION, InputRole.PREDICTION, InputRole.LABEL})
_CONSTANTS = frozenset({"constant", "convert_to_tensor", "cast", "identity", "ones_like"})
_COMPARISONS = frozenset({"equal", "not_equal"})
# Nobody divides class ids, or takes roots of them; what hands on elements of the same dtype.
_FRACTIONS = frozenset({"divide", "sqrt"})
_MOVING = _TRANSPARENT - {"cast"}
_COUNTING = frozenset({"add", "floordiv", "multiply", "pow", "square", "subtract"})
_ARITHMETIC = frozenset({"add", "divide", "multiply", "subtract"})
# An additive constant no larger than this is a guard, not part of the formula.
_GUARD = 0.1
# A setting that weighs one of two terms weighs the other, too.
_SHARE_LIMIT = 0.99
# A subscript that names as many axes names all of them; `x[:, 0]` is also written of images.
_TELLING_AXES = 3
# Along an axis that only a label names.
_ENTRIES = 4


def with_domains(
    nodes: Sequence[Node],
    role: Role = Role.LOSS,
    rank: int | None = None,
    settled: Collection[int] = (),
) -> tuple[Node, ...]:
    """Return the nodes with what is known of their free inputs filled in.

    Args:
        nodes: the values of a graph in order.
        role: that of the unit.
        rank: number of axes that inputs of open shape are taken to have, or None.
        settled: inputs whose values are known, whatever takes them.
    """
    users = _users(nodes)
    found: dict[int, Input] = {}
    for node in nodes:
        record = node.input
        if record is None or node.id in settled or _is_told(record):
            continue
        if record.role in {InputRole.PREDICTION, InputRole.CUT}:
            lo, hi = _prediction_domain(nodes, users, node.id, record)
            lo, hi = _named_domain(record) or (lo, hi)
            counted = record.role is InputRole.CUT and bool(_COUNT.search(record.name))
            found[node.id] = replace(
                record, lo=lo, hi=hi, differentiated=record.differentiated and not counted
            )
        elif record.role is InputRole.PARAMETER:
            known = _parameter(users, node.id, record)
            share = known.role is InputRole.PARAMETER and not known.integer
            if share and mixes(users, node.id, partial(_number, nodes)):
                known = replace(known, hi=min(known.hi, _SHARE_LIMIT))
            found[node.id] = known
        elif record.role is InputRole.VARIABLE and _is_logit(users, node.id):
            found[node.id] = replace(record, lo=REAL[0], hi=REAL[1])
        elif record.role is InputRole.DATA:
            known = as_label(record, nodes, users, node.id, partial(_number, nodes))
            if role is Role.TRAINING_STEP and not _truncated(users, node.id):
                whole = "class-id" in _evidence(nodes, users, node.id)
                known = replace(known, integer=known.integer or whole)
            if known.role is InputRole.DATA and (known.lo, known.hi) == REAL:
                known = _logged(nodes, users, node.id, known)
            found[node.id] = known
        elif record.role is InputRole.ACTIVATION and role is Role.LAYER:
            evidence = _evidence(nodes, users, node.id)
            if "class-id" in evidence and not _truncated(users, node.id):
                # An embedding is fed with ids, which nothing differentiates.
                found[node.id] = replace(record, integer=True, differentiated=False)
    predictions = [r for r in found.values() if r.role in {InputRole.PREDICTION, InputRole.CUT}]
    regression = bool(predictions) and all((r.lo, r.hi) == REAL for r in predictions)
    for node in nodes:
        record = node.input
        if record is not None and record.role is InputRole.LABEL:
            evidence = _evidence(nodes, users, node.id)
            if _compared_with_itself(users, node.id):
                evidence |= {"class-id"}
            if _meets_fraction(users, node.id):
                evidence -= {"class-id"}  # TensorFlow would refuse an integer there
            found[node.id] = _label(record, evidence, regression)
    for node in nodes:
        record = found.get(node.id, node.input)
        axes = _indexed_axes(users, node.id) if record is not None else 0
        shape = (None,) * axes if axes >= _TELLING_AXES else _labelled(users, node.id)
        if record is not None and record.shape is None and shape:
            found[node.id] = replace(record, shape=shape)
    if rank is not None:
        for node in nodes:
            record = found.get(node.id, node.input)
            if record is not None and record.shape is None and record.role in _SHAPED:
                found[node.id] = replace(record, shape=(None,) * rank)
    return tuple(replace(n, input=found[n.id]) if n.id in found else n for n in nodes)


def _logged(
    nodes: Sequence[Node], users: dict[int, list[Node]], start: int, record: Input
) -> Input:
    """Return data whose logarithm is taken as not negative; as shares, if one is picked first."""
    pending, seen = [(start, False)], {start}
    while pending:
        current, picked = pending.pop()
        for user in users.get(current, ()):
            if user.op.removeprefix("np_") in _LOGARITHMS:
                return replace(record, lo=0.0, hi=PROBABILITY[1] if picked else record.hi)
            others = [nodes[ref] for ref in user.operands if ref != current]
            picks = user.op == "multiply" and len(others) == 1 and _is_one_hot(nodes, others[0])
            passes = user.op in _TRANSPARENT or _guarded(nodes, user, current) or picks
            passes = passes and user.op != "negative"
            if (passes or (picked and user.op == "reduce_sum")) and user.id not in seen:
                seen.add(user.id)
                pending.append((user.id, picked or picks))
    return record


def _is_one_hot(nodes: Sequence[Node], node: Node) -> bool:
    while node.op in _TRANSPARENT and node.operands:
        node = nodes[node.operands[0]]
    return node.op == "one_hot"


def _is_logit(users: dict[int, list[Node]], start: int) -> bool:
    """Tell whether a weight is itself the logit of a share: training moves it on without end."""
    seen, pending = {start}, [start]
    while pending:
        for user in users.get(pending.pop(), ()):
            if user.op in _GIVES_SHARES:
                return True
            if user.op in _TRANSPARENT and user.id not in seen:
                seen.add(user.id)
                pending.append(user.id)
    return False


def _is_told(record: Input) -> bool:
    """Tell whether the range of a value is known from the function that computes it."""
    return record.role is InputRole.CUT and (record.lo, record.hi) != REAL


def _meets_fraction(users: dict[int, list[Node]], start: int) -> bool:
    """Tell whether a value is no integer by its type: it is divided, or meets a float number."""
    moved, pending = {start}, [start]
    while pending:
        for user in users.get(pending.pop(), ()):
            if user.op in _FRACTIONS and user.operands[:1] and user.operands[0] in moved:
                return True
            if user.op in _MOVING and user.id not in moved:
                moved.add(user.id)
                pending.append(user.id)
    return any(
        user.op in _ARITHMETIC and any(isinstance(value, float) for _, value in user.args)
        for user in users.get(start, ())
    )


def _compared_with_itself(users: dict[int, list[Node]], start: int) -> bool:
    """Tell whether it is asked which elements of a value are equal, as those of one class are."""
    moved, pending = {start}, [start]
    while pending:
        for user in users.get(pending.pop(), ()):
            if user.op in _TRANSPARENT and user.id not in moved:
                moved.add(user.id)
                pending.append(user.id)
    asking = (user for each in moved for user in users.get(each, ()) if user.op in _COMPARISONS)
    return any(set(user.operands) <= moved and len(set(user.operands)) == 2 for user in asking)


def _truncated(users: dict[int, list[Node]], start: int) -> bool:
    """Tell whether a value becomes an integer only to be a float again, which rounds it."""
    integers = [u for u in users.get(start, ()) if u.op == "cast" and _to_integer(u)]
    after = [user for integer in integers for user in users.get(integer.id, ())]
    return bool(after) and all(user.op == "cast" and not _to_integer(user) for user in after)


def _named_domain(record: Input) -> tuple[float, float] | None:
    """Return the domain that the name of a value tells which could not be followed, or None."""
    if record.role is not InputRole.CUT:
        return None
    if _MASK.search(record.name):
        return PROBABILITY
    if _COUNT.search(record.name):
        return (1.0, REAL[1])
    return (0.0, REAL[1]) if _LENGTH.search(record.name) else None


def _indexed_axes(users: dict[int, list[Node]], start: int) -> int:
    """Return how many axes of an input a subscript names; 0 if none names them all."""
    axes = 0
    for user in users.get(start, ()):
        index = user.arg("index")
        if user.op == "getitem" and isinstance(index, Items) and Dots() not in index.items:
            axes = max(axes, sum(item is not None for item in index.items))
    return axes


def _labelled(users: dict[int, list[Node]], start: int) -> tuple[int | None, ...]:
    """Return the shape that einsum's labels give to its operand; () if they do not.

    The first label of all is the batch's; an axis of another one has as many entries wherever
    the label stands.
    """
    for user in users.get(start, ()):
        equation, operands = user.arg("equation"), user.arg("inputs")
        if user.op == "einsum" and isinstance(equation, str) and isinstance(operands, Items):
            terms = equation.replace(" ", "").partition("->")[0].split(",")
            for term, operand in zip(terms, operands.items, strict=False):
                if operand == Ref(start) and term.isalpha():
                    return tuple(None if label == terms[0][0] else _ENTRIES for label in term)
    return ()


def _label(record: Input, evidence: frozenset[str], regression: bool) -> Input:
    if "class-id" in evidence and "complement" in evidence:
        return replace(record, lo=PROBABILITY[0], hi=PROBABILITY[1], integer=True)
    if "class-id" in evidence:
        return replace(record, lo=REAL[0], hi=REAL[1], integer=True)
    if regression and "difference" in evidence and not evidence & {"complement", "share"}:
        return replace(record, lo=REAL[0], hi=REAL[1])
    return replace(record, lo=PROBABILITY[0], hi=PROBABILITY[1])


def _parameter(users: dict[int, list[Node]], start: int, record: Input) -> Input:
    """Tell axes and sizes, which are integers, and tensors from plain numbers."""
    for user in users.get(start, ()):
        op = TABLE.get(user.op)
        if user.op in _PRODUCTS and start in user.operands:
            return replace(record, role=InputRole.DATA)
        if user.op in _OF_TENSORS and op is not None and user.arg(op.operands[0]) == Ref(start):
            return replace(record, role=InputRole.DATA)
        names = [name for name, value in user.args if start in refs(value)]
        if op is None:
            continue
        if all(name in op.operands for name in names):
            # `2 * n` is a size as well.
            if user.op in _COUNTING and len(set(user.operands)) == 1:
                inner = _parameter(users, user.id, record)
                if inner.integer and inner.default is None:
                    return inner
            continue
        if any("axis" in name or "axes" in name for name in names):
            return replace(record, integer=True, lo=-1, hi=-1, default=-1)
        return replace(record, integer=True)
    return record


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
    if (
        record.role is InputRole.CUT
        or _LATENT.search(record.name)
        or "difference" in evidence
        or "logit" in record.name.lower()
    ):
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
    op = user.op.removeprefix("np_")  # NumPy's function of the same name
    if user.op in _TAKES_CLASS_IDS or (user.op == "cast" and _to_integer(user)):
        return {"class-id"}
    if user.op == "gather" and user.arg("indices") == Ref(operand):
        return {"class-id"}
    if op in _TAKES_LOGITS:
        return {"logit"}
    if op in _TAKES_PROBABILITIES:
        logits = user.arg("from_logits")
        labels = any(value == Ref(operand) and name in _SHARES for name, value in user.args)
        return {"logit" if logits is True else "probability"} | ({"share"} if labels else set())
    if op == "subtract":
        left, right = user.arg("x"), user.arg("y")
        if right == Ref(operand) and _number(nodes, left) == 1.0:
            return {"complement"}
        if _number(nodes, left) is None and _number(nodes, right) is None:
            return {"difference"} | _shared(nodes, user)
    if op == "squared_difference" or op.startswith("mean_squared"):
        return {"difference"} | _shared(nodes, user)
    return set()


def _shared(nodes: Sequence[Node], user: Node) -> set[str]:
    """Say what it tells of an operand to be compared with a share."""
    return {"share"} if any(_is_share(nodes, ref) for ref in user.operands) else set()


def _is_share(nodes: Sequence[Node], start: int) -> bool:
    """Tell whether a value is what a sigmoid or softmax gave, or a mean or product of that."""
    node = nodes[start]
    while node.operands and (node.op in _TRANSPARENT or node.op in _KEEPS_SHARES):
        node = nodes[node.operands[0]]
    return node.op in _GIVES_SHARES


def _to_integer(cast: Node) -> bool:
    dtype = cast.arg("dtype")
    name = dtype.name if isinstance(dtype, DType) else dtype
    return isinstance(name, str) and name.startswith(("int", "uint"))


def _guarded(nodes: Sequence[Node], user: Node, operand: int) -> bool:
    """Tell whether the op only guards or scales the value: ``p + eps``, ``clip(p)``, ``z / t``."""
    if user.op == "add":
        other = user.arg("y") if user.arg("x") == Ref(operand) else user.arg("x")
        number = _number(nodes, other)
        return number is not None and abs(number) <= _GUARD
    if user.op in {"multiply", "divide"} and user.arg("y") != Ref(operand):
        return _scales(nodes, user.arg("y"))
    if user.op == "multiply":
        return _scales(nodes, user.arg("x"))
    return user.op in {"clip_by_value", "K_clip", "maximum", "minimum", "negative"}


def _scales(nodes: Sequence[Node], factor: object) -> bool:
    """Tell whether a factor is a plain number or a label: a temperature, the sign of a margin."""
    if isinstance(factor, Ref):
        node = nodes[factor.node]
        if node.op == "negative" and len(node.operands) == 1:
            node = nodes[node.operands[0]]
        record = node.input
        if record is not None:
            return record.role in {InputRole.PARAMETER, InputRole.LABEL}
    return _number(nodes, factor) is not None


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
