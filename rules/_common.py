"""Families of ops, wording and patterns that several rules share."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from keyword import iskeyword

from actlint.query import (
    PARTS,
    Cause,
    Check,
    Effect,
    Hit,
    Kind,
    Node,
    Role,
    Severity,
    Suspect,
    Target,
    View,
)

# Families of the ops table: each named rule owns one; what is left belongs to ACT111 and ACT201.
DIVISION = (
    "div",
    "divide",
    "floordiv",
    "mod",
    "np_divide",
    "np_floor_divide",
    "np_mod",
    "np_reciprocal",
    "np_remainder",
    "np_true_divide",
    "reciprocal",
    "truncatediv",
    "truncatemod",
    "xdivy",
)
LOGARITHM = (
    "log",
    "log10",
    "log1p",
    "log2",
    "np_log",
    "np_log10",
    "np_log1p",
    "np_log2",
    "xlog1py",
    "xlogy",
)
ROOT = (
    "cbrt",
    "keras_sqrt",
    "np_cbrt",
    "np_sqrt",
    "rsqrt",
    "sqrt",
)
NORM = (
    "hypot",
    "keras_norm",
    "norm",
    "normalize",
    "normalize_norms",
    "normalize_values",
    "np_std",
    "reduce_euclidean_norm",
    "reduce_std",
)
POWER = (
    "np_power",
    "pow",
)
INVERSE = (
    "acos",
    "acosh",
    "asin",
    "atan2",
    "atanh",
    "erfcinv",
    "erfinv",
    "ndtri",
    "np_arccos",
    "np_arccosh",
    "np_arcsin",
    "np_arctan2",
    "np_arctanh",
)
STOP = ("stop_gradient",)
HELD = ("variable_read",)
INDEX = (
    "argmax",
    "argmin",
    "argsort",
    "bincount",
    "confusion_matrix",
    "digitize",
    "histogram_fixed_width",
    "histogram_fixed_width_bins",
    "in_top_k",
    "keras_argmax",
    "keras_argmin",
    "keras_one_hot",
    "one_hot",
    "ops_argmax",
    "ops_argmin",
    "searchsorted",
    "to_categorical",
    "top_k_indices",
    "unique_indices",
    "where_indices",
)
# Draws from a distribution, to whose parameters no gradient leads.
DRAW = (
    "random_bernoulli",
    "random_binomial",
    "random_categorical",
    "random_poisson",
    "random_stateless_categorical",
)
COMPARISON = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
_PYTHON = ("numpy_function", "py_func", "py_function")

_VECTORS = {
    Cause.ZERO_VECTOR: "can be all zeros",
    Cause.CONSTANT_VECTOR: "can have all its elements equal",
}
_WIDTH = 60

# For `joined`: tokens without a place on a single line, and brackets.
_LAYOUT = frozenset(
    {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT,
     tokenize.ENDMARKER}
)  # fmt: skip
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


def shown(node: Node) -> str:
    """Return the user's text of `node`, on one line of at most 60 characters, in backquotes.

    One of several results of a call goes by the name that it is given.
    """
    text = (node.op in PARTS and node.name) or joined(node.site.text)
    if len(text) > _WIDTH:
        text = text[: _WIDTH - 1] + "…"
    return f"`{text}`"


def joined(text: str) -> str:
    """Return an expression of several lines on one, as it would be written there.

    Comments go, and what only line breaks ask for: blanks inside brackets and the last comma of a
    call. Strings stay as they are, but for line breaks in them.
    """
    if "\n" not in text:
        return " ".join(text.split())
    bracketed = f"({text}\n)"
    lines = bracketed.split("\n")
    try:
        found = list(tokenize.generate_tokens(io.StringIO(bracketed).readline))
    except (tokenize.TokenError, SyntaxError):  # a part of an expression
        return " ".join(text.split())
    tokens = [token for token in found if token.type not in _LAYOUT]
    parts: list[str] = []
    calls = [False]  # of each open bracket, whether it holds arguments
    for before, token in pairwise(tokens[:-1]):
        bracket = token.string if token.type == tokenize.OP else ""
        closing = bracket in _CLOSING
        if before.end[0] == token.start[0]:
            parts.append(lines[token.start[0] - 1][before.end[1] : token.start[1]])
        elif closing and before.string == "," and calls[-1]:
            parts.pop()
        elif before.string not in _OPENING and not closing and bracket not in {",", "."}:
            parts.append(" ")
        if bracket in _OPENING:
            called = before.string in _CLOSING or before.string.isidentifier()
            calls.append(bracket == "(" and called and not iskeyword(before.string))
        elif closing and len(calls) > 1:
            calls.pop()
        parts.append(_between(lines, token.start, token.end))
    return "".join(parts)


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the text from `start` to `end`, in lines from 1 and columns from 0."""
    first, last = start[0] - 1, end[0] - 1
    if first == last:
        return lines[first][start[1] : end[1]]
    whole = (lines[first][start[1] :], *lines[first + 1 : last], lines[last][: end[1]])
    return " ".join(line.strip() for line in whole)


def number(value: float) -> str:
    """Return `value` as a person writes it."""
    return f"{value:.6g}"


def condition(hit: Hit) -> str:
    """Return what the operand of `hit` can do, as the predicate of a sentence."""
    region, target = hit.region, hit.target
    if region.cause in _VECTORS:
        return _VECTORS[region.cause]
    if hit.operand.op == "constant" and isinstance(hit.operand.arg("value"), (int, float)):
        return f"is {number(target.lo)}"
    if region.lo == region.hi:
        return f"can be {number(region.lo)}"
    if region.cause is Cause.NEGATIVE:
        return "can be negative" if region.hi > -1e-6 else f"can be below {number(region.hi)}"
    if region.cause is Cause.OVERFLOW:
        above = target.lo > 0
        return f"can go {'above' if above else 'below'} {number(target.lo if above else target.hi)}"
    return f"can be between {number(target.lo)} and {number(target.hi)}"


def harmful(view: View, node: Node, hit: Hit) -> bool:
    """Return whether training meets `hit`: by the value of the output or by a gradient."""
    if hit.region.cause is Cause.EMPTY:
        return False  # a question of how many elements there are, not of their values
    if hit.masked or hit.region.effect is Effect.CUSP:
        return view.on_gradient_path(node.id) and view.depends_differentiably(hit.operand.id)
    return view.reaches_output(node.id)


def first_hit(view: View, node: Node, causes: Container[Cause] | None = None) -> Hit | None:
    """Return the first harmful hit of `node` that no `where` masks, or None."""
    return next(
        (
            hit
            for hit in view.hits(node)
            if not hit.masked
            and (causes is None or hit.region.cause in causes)
            and harmful(view, node, hit)
        ),
        None,
    )


def not_overflow() -> frozenset[Cause]:
    """Return all causes but overflow, which is a rule of its own."""
    return frozenset(Cause) - {Cause.OVERFLOW}


def singular(view: View, *keys: str) -> Iterator[tuple[Node, Hit]]:
    """Yield every node of the ops `keys` that can meet a pole or cusp, with the first of them."""
    causes = not_overflow()
    for node in view.nodes(*keys):
        hit = first_hit(view, node, causes)
        if hit is not None:
            yield node, hit


def nonfinite(
    view: View,
    code: str,
    node: Node,
    hit: Hit,
    message: str,
    *,
    hint: str = "",
    targets: tuple[Target, ...] = (),
) -> Suspect:
    """Return the suspect that says `node` becomes nan or infinite where `hit` lies.

    Aimed at first are `targets`, then `hit`, then the node's other singular regions. It is a
    warning only where nothing differentiable follows: no gradient passes the node, nor does its
    value enter one.
    """
    others = (
        other.target
        for other in view.hits(node)
        if other.masked == hit.masked and harmful(view, node, other)
    )
    # What is fed to something that cannot be followed may be differentiated there.
    followed = view.graph.partial or view.on_gradient_path(node) or view.flow.weighs[node.id]
    return Suspect(
        code=code,
        node=node.id,
        message=message if followed else f"{message}; it spoils the value alone, no gradient",
        check=Check.NONFINITE,
        targets=tuple(dict.fromkeys((*targets, hit.target, *others))),
        severity=Severity.ERROR if followed else Severity.WARNING,
        hint=hint,
    )


def ancestors(view: View, node: int) -> tuple[Node, ...]:
    """Return the nodes that `node` is computed from, itself first, nearest first."""
    order: dict[int, Node] = {}
    waiting = [node]
    while waiting:
        current = view.node(waiting.pop(0))
        if current.id not in order:
            order[current.id] = current
            waiting.extend(current.operands)
    return tuple(order.values())


def of_gradients(view: View, node: Node) -> bool:
    """Tell whether gradients that the code takes are all of a node's value that is trained."""
    found = [part for part in ancestors(view, node.id) if part.input and part.input.differentiated]
    return bool(found) and all(part.id in view.graph.gradients for part in found)


def descendants(view: View, node: int) -> tuple[Node, ...]:
    """Return the nodes computed from `node`, itself excluded, in order of appearance."""
    seen: dict[int, Node] = {}
    waiting = list(view.users(node))
    while waiting:
        current = waiting.pop()
        if current.id not in seen:
            seen[current.id] = current
            waiting.extend(view.users(current.id))
    return tuple(seen[key] for key in sorted(seen))


def is_constant(view: View, node: int) -> bool:
    """Return whether `node` has one value only."""
    known = view.interval(node)
    return known.lo == known.hi and not known.nan


def is_numpy(view: View, node: Node) -> bool:
    """Return whether `node` computes outside TensorFlow: in NumPy or as a Python number."""
    return node.op in _PYTHON or view.op(node).call.startswith("np.")


def cut(view: View, code: str, node: Node, message: str) -> Suspect:
    """Return the suspect that says the gradient dies at `node`.

    It is an error if nothing else brings a gradient to what is trained, else a warning.
    """
    whole = not view.has_gradient()
    return Suspect(
        code=code,
        node=node.id,
        message=message,
        check=Check.NO_GRADIENT if whole else Check.CUT,
        severity=Severity.ERROR if whole else Severity.WARNING,
        # Layers assign, sample and count on purpose: only what was seen to fail is worth a word.
        provisional=view.graph.role is Role.LAYER,
    )


def is_whole_activation(view: View) -> bool:
    """Return whether the graph is an activation of which nothing is cut off."""
    graph = view.graph
    return graph.role is Role.ACTIVATION and not (graph.partial or graph.opaque)


def is_curve(view: View) -> bool:
    """Return whether the graph is a whole activation that acts on each number by itself."""
    return is_whole_activation(view) and not any(
        view.op(node).kind is Kind.REDUCTION for node in view.nodes() if view.depends(node)
    )


def is_lambda_of_pieces(view: View) -> bool:
    """Return whether the graph is a Lambda layer that selects between pieces of a curve.

    A function of one tensor, number by number, of which `where` picks one of two that both move
    with it, is an activation, wherever it is handed to. Other Lambda layers fold, measure and scale
    features on purpose.
    """
    graph = view.graph
    if graph.role is not Role.LAYER or graph.evidence != "passed on as layer":
        return False
    if graph.partial or graph.opaque or len(graph.inputs) != 1:
        return False
    elementwise = not any(
        view.op(node).kind is Kind.REDUCTION for node in view.nodes() if view.depends(node)
    )
    return elementwise and any(
        len(branches) == 2 and all(view.depends_differentiably(each) for each in branches)
        for node in view.nodes("where")
        for branches in [
            [each for each in (view.operand(node, "x"), view.operand(node, "y")) if each]
        ]
    )
