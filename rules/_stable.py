"""Stable functions of the library in the place of formulas that lose digits or overflow.

`_FORMS` is the table: how each formula is recognised, and what is written in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from actlint.query import Node, Remedy, Safety, Settled, View

from ._epsilons import LARGEST_GUARD
from ._patterns import sources
from ._remedies import (
    LARGEST_EXPONENT,
    Parts,
    addend,
    argument,
    constant,
    negated,
    only_user,
    ref,
    replaced,
    settings,
)

_LOG = ("log",)
_BOUNDS = frozenset({"clip_by_value", "keras_clip", "clip", "maximum", "minimum"})
# What becomes of values where the function lacks a part of the formula.
_ADDEND = "the constant that is added to the sum goes, and the values with it"
_BOUND = "the bounds of the probability go, and values beyond them are not held any more"
_SQUARES = frozenset({"multiply", "pow", "square"})
_DIVIDE = frozenset({"divide", "div"})


@dataclass(frozen=True, slots=True)
class _Match:
    """A formula that was recognised.

    Attributes:
        node: whose expression the formula is.
        parts: what the placeholders of the template stand for.
        texts: templates of their own in the place of placeholders that `parts` has not.
        lost: what the formula has besides and the function has not, and what becomes of values.
    """

    node: Node
    parts: Parts
    texts: Mapping[str, str] = field(default_factory=dict)
    lost: str = ""


@dataclass(frozen=True, slots=True)
class _Form:
    """A formula, and the function that computes it well.

    Attributes:
        match: finds it, given the node that the rule suspects of it.
        template: what is written in its place.
        new: the same, as a person says it.
        old: the formula, as a person says it.
        gain: what the function has ahead of the formula.
        settled: why its values are right where the formula has none.
    """

    match: Callable[[View, Node], _Match | None]
    template: str
    new: str
    old: str
    gain: str
    settled: Settled = Settled.SAME


def stable(view: View, node: Node, *names: str) -> Iterator[Remedy]:
    """Yield the remedies of the formulas `names` that a suspected node is part of.

    Args:
        view: the graph.
        node: of a formula with an exponential or a cosh, that; else the formula's last operation,
            but for `xlogx` and `xlogy` the logarithm.
        names: keys of the table, the best first.
    """
    for name in names:
        form = _FORMS[name]
        found = form.match(view, node)
        if found is None:
            continue
        template = form.template
        for key, text in found.texts.items():
            template = template.replace(f"{{{key}}}", text)
        title = f"Write {form.new} for {form.old}"
        same = f"it is the same function, {form.gain}"
        if form.settled is Settled.LIMIT:
            same = form.gain
        yield replaced(found.node, template, title, same, found.parts, settled=form.settled)
        if found.lost:
            yield replaced(
                found.node, template, title, found.lost, found.parts, safety=Safety.UNSAFE
            )


def bounded_exponent(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that keeps an exponent where float32 can hold the result."""
    exponent = view.operand(node, "x") if node.op in {"exp", "expm1"} else None
    if exponent is not None:
        yield argument(
            node,
            exponent,
            f"tf.minimum({{x}}, {LARGEST_EXPONENT})",
            f"Keep the exponent at or below {LARGEST_EXPONENT}",
            "larger exponents are all the same, and get no gradient",
        )


# ---- formulas ----------------------------------------------------------------------------------


def _log1p(view: View, node: Node) -> _Match | None:
    inner = view.operand(node, "x") if node.op in _LOG else None
    x = None if inner is None else addend(view, inner, 1.0)
    return _of(node, x)


def _less_one(op: str) -> Callable[[View, Node], _Match | None]:
    """Return what recognises ``op(x) - 1``."""

    def match(view: View, node: Node) -> _Match | None:
        inner = view.operand(node, "x") if node.op == "subtract" else None
        if inner is None or inner.op != op or constant(view, node, "y") != 1.0:
            return None
        return _of(node, view.operand(inner, "x"))

    return match


def _from(value: float, op: str) -> Callable[[View, Node], _Match | None]:
    """Return what recognises ``value - op(x)``."""

    def match(view: View, node: Node) -> _Match | None:
        inner = view.operand(node, "y") if node.op == "subtract" else None
        if inner is None or inner.op != op or constant(view, node, "x") != value:
            return None
        return _of(node, next(iter(view.operands(inner)), None))

    return match


def _centred_sigmoid(view: View, node: Node) -> _Match | None:
    inner = view.operand(node, "x") if node.op == "subtract" else None
    if inner is None or inner.op != "sigmoid" or constant(view, node, "y") != 0.5:
        return None
    return _of(node, next(iter(view.operands(inner)), None))


def _square_root_less_one(view: View, node: Node) -> _Match | None:
    found = _less_one("sqrt")(view, node)
    root = view.operand(node, "x")
    total = None if found is None or root is None else view.operand(root, "x")
    return None if total is None else _of(node, addend(view, total, 1.0))


def _softplus(view: View, exponential: Node) -> _Match | None:
    x, user = view.operand(exponential, "x"), only_user(view, exponential)
    if x is None or user is None:
        return None
    if user.op == "log1p":
        return _of(user, x)
    logarithm = only_user(view, user)
    if logarithm is None or logarithm.op not in _LOG or addend(view, user, 1.0) is None:
        return None
    return _of(logarithm, x)


def _logsumexp(view: View, exponential: Node) -> _Match | None:
    x, total = view.operand(exponential, "x"), only_user(view, exponential)
    logarithm = None if total is None else only_user(view, total)
    if x is None or total is None or logarithm is None or total.op != "reduce_sum":
        return None
    axes = settings(total, "axis", "keepdims")
    if axes is None:
        return None
    texts, parts = {"further": axes[0]}, {"x": ref(x), **axes[1]}
    if logarithm.op in _LOG:
        return _Match(logarithm, parts, texts)
    outer = only_user(view, logarithm) if logarithm.op == "add" else None
    if outer is None or outer.op not in _LOG or not _small_addend(view, logarithm):
        return None
    return _Match(outer, parts, texts, _ADDEND)


def _log_mean_exp(view: View, exponential: Node) -> _Match | None:
    x, total = view.operand(exponential, "x"), only_user(view, exponential)
    logarithm = None if total is None else only_user(view, total)
    if x is None or total is None or logarithm is None or total.op != "reduce_mean":
        return None
    axes, axis = settings(total, "axis", "keepdims"), total.arg("axis")
    if axes is None or logarithm.op not in _LOG or isinstance(axis, bool):
        return None
    if axis is not None and not isinstance(axis, int):
        return None
    size = "tf.size({x})" if axis is None else "tf.shape({x})[{axis}]"
    return _Match(logarithm, {"x": ref(x), **axes[1]}, {"further": axes[0], "size": size})


def _small_addend(view: View, total: Node) -> bool:
    known = (constant(view, total, name) for name in ("x", "y"))
    return any(value is not None and 0.0 < value <= LARGEST_GUARD for value in known)


def _log_cosh(view: View, node: Node) -> _Match | None:
    x, logarithm = view.operand(node, "x"), only_user(view, node)
    if node.op != "cosh" or logarithm is None or logarithm.op not in _LOG:
        return None
    return _of(logarithm, x)


def _sigmoid(view: View, exponential: Node) -> _Match | None:
    inner, total = view.operand(exponential, "x"), only_user(view, exponential)
    division = None if total is None else only_user(view, total)
    if inner is None or total is None or division is None or addend(view, total, 1.0) is None:
        return None
    one_over = division.op in _DIVIDE and constant(view, division, "x") == 1.0
    if not one_over and division.op != "reciprocal":
        return None
    positive, parts = _opposite(view, inner)
    return _Match(division, parts, {"positive": positive})


def _opposite(view: View, node: Node) -> tuple[str, Parts]:
    """Return a template of ``-x``, without a second minus if ``x`` begins with one."""
    x = negated(view, node)
    if x is not None:
        return "{x}", {"x": ref(x)}
    factor = view.operand(node, "x") if node.op == "multiply" else None
    inner = None if factor is None else negated(view, factor)
    if inner is not None:
        return "{x} * {y}", {"x": ref(inner), "y": node.arg("y")}
    first = node.arg("x")
    if node.op == "multiply" and isinstance(first, (int, float)) and first < 0.0:
        return "{x} * {y}", {"x": -first, "y": node.arg("y")}
    return "-{x}", {"x": ref(node)}


def _softmax(view: View, division: Node) -> _Match | None:
    divisor = view.operand(division, "y")
    below = () if divisor is None else (divisor, *view.operands(divisor))
    total = next((each for each in below if each.op == "reduce_sum"), None)
    if total is None or total.arg("keepdims") is not True or total.arg("axis") is None:
        return None
    summed = view.operand(total, "input_tensor")
    exponential = None if summed is None else next(sources(view, summed, ("exp",)), None)
    x = None if exponential is None else view.operand(exponential, "x")
    axis = settings(total, "axis")
    if x is None or axis is None:
        return None
    parts = {"x": ref(x), **axis[1]}
    lost = "" if total is divisor else _ADDEND
    return _Match(division, parts, {"further": axis[0]}, lost)


def _probability(view: View, node: Node) -> tuple[Node | None, str]:
    """Return what a logarithm is taken of, and what is lost with the bounds that it is kept in."""
    inner, lost = view.operand(node, "x") if node.op in _LOG else None, ""
    while inner is not None and inner.op in _BOUNDS:
        inner, lost = next(iter(view.operands(inner)), None), _BOUND
    return inner, lost


def _log_softmax(view: View, node: Node) -> _Match | None:
    inner, lost = _probability(view, node)
    axis = settings(inner, "axis") if inner is not None and inner.op == "softmax" else None
    if inner is None or axis is None:
        return None
    logits = next(iter(view.operands(inner)), None)
    if logits is None:
        return None
    return _Match(node, {"x": ref(logits), **axis[1]}, {"further": axis[0]}, lost)


def _log_sigmoid(view: View, node: Node) -> _Match | None:
    inner, lost = _probability(view, node)
    if inner is None or inner.op != "sigmoid":
        return None
    logits = next(iter(view.operands(inner)), None)
    return None if logits is None else _Match(node, {"x": ref(logits)}, lost=lost)


def _log_complement(view: View, node: Node) -> _Match | None:
    inner, lost = _probability(view, node)
    found = None if inner is None else _from(1.0, "sigmoid")(view, inner)
    return None if found is None else _Match(node, found.parts, lost=lost)


def _xlogx(view: View, node: Node) -> _Match | None:
    found = _xlogy(view, node)
    alike = found is not None and view.same_value(*_nodes(view, found))
    return found if alike else None


def _nodes(view: View, found: _Match) -> tuple[int, int]:
    """Return the two factors of a product with a logarithm."""
    of = view.operands(found.node)
    argument = view.operands(of[0] if of[0].op in _LOG else of[1])[0]
    factor = of[1] if of[0].op in _LOG else of[0]
    return factor.id, argument.id


def _xlogy(view: View, node: Node) -> _Match | None:
    y, product = view.operand(node, "x"), only_user(view, node)
    if y is None or product is None or product.op != "multiply" or node.op not in _LOG:
        return None
    others = [each for each in view.operands(product) if each.id != node.id]
    return _Match(product, {"x": ref(others[0]), "y": ref(y)}) if len(others) == 1 else None


def _variance(view: View, node: Node) -> _Match | None:
    first, second = view.operand(node, "x"), view.operand(node, "y")
    if node.op != "subtract" or first is None or second is None or first.op != "reduce_mean":
        return None
    mean = _squared(view, second)
    inner = view.operand(first, "input_tensor")
    x = None if inner is None else _squared(view, inner)
    axes = settings(first, "axis", "keepdims")
    if x is None or mean is None or mean.op != "reduce_mean" or axes is None:
        return None
    of = view.operand(mean, "input_tensor")
    alike = all(mean.arg(name) == first.arg(name) for name in ("axis", "keepdims"))
    if of is None or not alike or not view.same_value(of, x):
        return None
    return _Match(node, {"x": ref(x), **axes[1]}, {"further": axes[0]})


def _squared(view: View, node: Node) -> Node | None:
    """Return ``x`` if `node` computes its square, else None."""
    x = view.operand(node, "x") if node.op in _SQUARES else None
    if x is None or node.op == "square":
        return x
    if node.op == "pow":
        return x if constant(view, node, "y") == 2.0 else None  # the square
    y = view.operand(node, "y")
    return x if y is not None and view.same_value(x, y) else None


def _of(node: Node, x: Node | None) -> _Match | None:
    """Return the match of a function of one value."""
    return None if x is None else _Match(node, {"x": ref(x)})


# ---- the table ---------------------------------------------------------------------------------

_NO_OVERFLOW = "and does not overflow"
_NO_CANCELLATION = "without the cancellation near 0"
_SHIFTED = "shifted by the maximum so that nothing overflows"
_FROM_LOGITS = "computed from the logits so that it stays finite"
_AT_ZERO = "it is 0 with a finite gradient at x = 0, and the same elsewhere"

_FORMS: dict[str, _Form] = {
    "log1p": _Form(
        _log1p, "tf.math.log1p({x})",
        "tf.math.log1p(x)", "log(1 + x)", "without the rounding of 1 + x",
    ),
    "expm1": _Form(
        _less_one("exp"), "tf.math.expm1({x})",
        "tf.math.expm1(x)", "exp(x) - 1", _NO_CANCELLATION,
    ),
    "versine": _Form(
        _from(1.0, "cos"), "2.0 * tf.square(tf.sin({x} / 2.0))",
        "2 * sin(x / 2) ** 2", "1 - cos(x)", _NO_CANCELLATION,
    ),
    "centred_sigmoid": _Form(
        _centred_sigmoid, "0.5 * tf.tanh({x} / 2.0)",
        "0.5 * tanh(x / 2)", "sigmoid(x) - 0.5", "without the cancellation",
    ),
    "complement": _Form(
        _from(1.0, "sigmoid"), "tf.sigmoid(-{x})",
        "sigmoid(-x)", "1 - sigmoid(x)", "without the cancellation",
    ),
    "square_root_less_one": _Form(
        _square_root_less_one, "{x} / (tf.sqrt(1.0 + {x}) + 1.0)",
        "x / (sqrt(1 + x) + 1)", "sqrt(1 + x) - 1", _NO_CANCELLATION,
    ),
    "variance": _Form(
        _variance, "tf.math.reduce_variance({x}{further})",
        "tf.math.reduce_variance(x)", "mean(x ** 2) - mean(x) ** 2",
        "and subtracts the mean first",
    ),
    "softplus": _Form(
        _softplus, "tf.math.softplus({x})",
        "tf.math.softplus(x)", "log(1 + exp(x))", _NO_OVERFLOW,
    ),
    "logsumexp": _Form(
        _logsumexp, "tf.reduce_logsumexp({x}{further})",
        "tf.reduce_logsumexp(x)", "log(sum(exp(x)))", _SHIFTED,
    ),
    "log_mean_exp": _Form(
        _log_mean_exp,
        'tf.reduce_logsumexp({x}{further}) - tf.math.log(tf.cast({size}, "float32"))',
        "tf.reduce_logsumexp(x) - log(n)", "log(mean(exp(x)))", _SHIFTED,
    ),
    "log_cosh": _Form(
        _log_cosh, "{x} + tf.math.softplus(-2.0 * {x}) - tf.math.log(2.0)",
        "x + tf.math.softplus(-2.0 * x) - log(2)", "log(cosh(x))", _NO_OVERFLOW,
    ),
    "sigmoid": _Form(
        _sigmoid, "tf.sigmoid({positive})",
        "tf.sigmoid(x)", "1 / (1 + exp(-x))", _NO_OVERFLOW,
    ),
    "softmax": _Form(
        _softmax, "tf.nn.softmax({x}{further})",
        "tf.nn.softmax(x)", "exp(x) / sum(exp(x))", _SHIFTED,
    ),
    "log_softmax": _Form(
        _log_softmax, "tf.nn.log_softmax({x}{further})",
        "tf.nn.log_softmax(x)", "log(softmax(x))", _FROM_LOGITS,
    ),
    "log_sigmoid": _Form(
        _log_sigmoid, "tf.math.log_sigmoid({x})",
        "tf.math.log_sigmoid(x)", "log(sigmoid(x))", _FROM_LOGITS,
    ),
    "log_complement": _Form(
        _log_complement, "tf.math.log_sigmoid(-{x})",
        "tf.math.log_sigmoid(-x)", "log(1 - sigmoid(x))", _FROM_LOGITS,
    ),
    "xlogx": _Form(
        _xlogx, "tf.math.xlogy({x}, {x})",
        "tf.math.xlogy(x, x)", "x * log(x)", _AT_ZERO, Settled.LIMIT,
    ),
    "xlogy": _Form(
        _xlogy, "tf.math.xlogy({x}, {y})",
        "tf.math.xlogy(x, y)", "x * log(y)", _AT_ZERO, Settled.LIMIT,
    ),
}  # fmt: skip

# Those that a rule asks for together.
DIGITS = (
    "log1p", "expm1", "versine", "centred_sigmoid", "complement", "square_root_less_one",
    "variance",
)  # fmt: skip
OF_PROBABILITIES = ("log_softmax", "log_sigmoid", "log_complement")
