"""Stable functions of the library in the place of formulas that lose digits or overflow."""

from __future__ import annotations

from collections.abc import Iterator

from actlint.query import Arg, Node, Remedy, Safety, View

from ._epsilons import LARGEST_GUARD
from ._remedies import (
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

# exp(80) is 5.5e34, which leaves room for a factor below the largest float32.
LARGEST_EXPONENT = "80.0"

_LOG = ("log",)
_BOUNDS = frozenset({"clip_by_value", "keras_clip", "clip", "maximum", "minimum"})
_SQUARES = frozenset({"multiply", "pow", "square"})


def log1p(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``log(1 + x)``."""
    inner = view.operand(node, "x") if node.op in _LOG else None
    x = None if inner is None else addend(view, inner, 1.0)
    if x is not None:
        yield replaced(
            node,
            "tf.math.log1p({x})",
            "Write tf.math.log1p(x) for log(1 + x)",
            "it is the same function, without the rounding of 1 + x",
            {"x": ref(x)},
        )


def expm1(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``exp(x) - 1``."""
    inner = view.operand(node, "x") if node.op == "subtract" else None
    x = view.operand(inner, "x") if inner is not None and inner.op == "exp" else None
    if x is not None and constant(view, node, "y") == 1.0:
        yield replaced(
            node,
            "tf.math.expm1({x})",
            "Write tf.math.expm1(x) for exp(x) - 1",
            "it is the same function, without the cancellation near 0",
            {"x": ref(x)},
        )


def softplus(view: View, exponential: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``log(1 + exp(x))``, given its exponential."""
    x, user = view.operand(exponential, "x"), only_user(view, exponential)
    if x is None or user is None:
        return
    total = user
    if user.op != "log1p":
        logarithm = only_user(view, user)
        if logarithm is None or logarithm.op not in _LOG or addend(view, user, 1.0) is None:
            return
        total = logarithm
    yield replaced(
        total,
        "tf.math.softplus({x})",
        "Write tf.math.softplus(x) for log(1 + exp(x))",
        "it is the same function, and does not overflow",
        {"x": ref(x)},
    )


def logsumexp(view: View, exponential: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``log(reduce_sum(exp(x)))``, given its exponential."""
    x, total = view.operand(exponential, "x"), only_user(view, exponential)
    logarithm = None if total is None else only_user(view, total)
    if x is None or total is None or logarithm is None:
        return
    axes = settings(total, "axis", "keepdims")
    if axes is not None and total.op == "reduce_mean" and logarithm.op in _LOG:
        yield from _log_mean_exp(logarithm, x, *axes, total.arg("axis"))
    if total.op != "reduce_sum" or axes is None:
        return
    further, parts = axes
    template, title = f"tf.reduce_logsumexp({{x}}{further})", "Write tf.reduce_logsumexp(x)"
    if logarithm.op in _LOG:
        same = "it is the same function, shifted by the maximum so that nothing overflows"
        title = f"{title} for log(sum(exp(x)))"
        yield replaced(logarithm, template, title, same, {"x": ref(x), **parts})
    elif logarithm.op == "add":
        outer = only_user(view, logarithm)
        if outer is not None and outer.op in _LOG and _small_addend(view, logarithm):
            near = "the constant that is added to the sum goes, and the values with it"
            safety = Safety.UNSAFE
            yield replaced(outer, template, title, near, {"x": ref(x), **parts}, safety=safety)


def _log_mean_exp(
    logarithm: Node, x: Node, further: str, parts: Parts, axis: Arg
) -> Iterator[Remedy]:
    size = "tf.size({x})" if axis is None else "tf.shape({x})[{axis}]"
    if axis is None or (isinstance(axis, int) and not isinstance(axis, bool)):
        yield replaced(
            logarithm,
            f'tf.reduce_logsumexp({{x}}{further}) - tf.math.log(tf.cast({size}, "float32"))',
            "Write tf.reduce_logsumexp(x) - log(n) for log(mean(exp(x)))",
            "it is the same function, shifted by the maximum so that nothing overflows",
            {"x": ref(x), **parts},
        )


def _small_addend(view: View, total: Node) -> bool:
    known = (constant(view, total, name) for name in ("x", "y"))
    return any(value is not None and 0.0 < value <= LARGEST_GUARD for value in known)


def log_cosh(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``log(cosh(x))``, given its cosh."""
    x, logarithm = view.operand(node, "x"), only_user(view, node)
    if node.op == "cosh" and x is not None and logarithm is not None and logarithm.op in _LOG:
        yield replaced(
            logarithm,
            "{x} + tf.math.softplus(-2.0 * {x}) - tf.math.log(2.0)",
            "Write x + tf.math.softplus(-2.0 * x) - log(2) for log(cosh(x))",
            "it is the same function, and does not overflow",
            {"x": ref(x)},
        )


def bounded_exponent(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy that keeps an exponent where float32 can hold the result."""
    exponent = view.operand(node, "x") if node.op == "exp" else None
    if exponent is not None:
        yield argument(
            node,
            exponent,
            f"tf.minimum({{x}}, {LARGEST_EXPONENT})",
            f"Keep the exponent at or below {LARGEST_EXPONENT}",
            "larger exponents are all the same, and get no gradient",
        )


def sigmoid(view: View, exponential: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``1 / (1 + exp(-x))``, given its exponential."""
    inner, total = view.operand(exponential, "x"), only_user(view, exponential)
    division = None if total is None else only_user(view, total)
    if inner is None or total is None or division is None or addend(view, total, 1.0) is None:
        return
    one_over = division.op in {"divide", "div"} and constant(view, division, "x") == 1.0
    if not one_over and division.op != "reciprocal":
        return
    positive, parts = _opposite(view, inner)
    yield replaced(
        division,
        f"tf.sigmoid({positive})",
        "Write tf.sigmoid(x) for 1 / (1 + exp(-x))",
        "it is the same function, and does not overflow",
        parts,
    )


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


def library_softmax(view: View, division: Node, exponential: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``exp(x) / sum(exp(x))``."""
    x = view.operand(exponential, "x")
    total = next((each for each in _below(view, division) if each.op == "reduce_sum"), None)
    if x is None or total is None or total.arg("keepdims") is not True:
        return
    axis = settings(total, "axis")
    if axis is None or total.arg("axis") is None:
        return
    title = "Write tf.nn.softmax(x) for exp(x) / sum(exp(x))"
    template = f"tf.nn.softmax({{x}}{axis[0]})"
    same = "it is the same function, shifted by the maximum so that nothing overflows"
    yield replaced(division, template, title, same, {"x": ref(x), **axis[1]})
    near = "the constant that is added to the sum goes, and the values with it"
    yield replaced(
        division,
        template,
        title,
        near,
        {"x": ref(x), **axis[1]},
        safety=Safety.UNSAFE,
    )


def _below(view: View, division: Node) -> tuple[Node, ...]:
    """Return the divisor, and what it adds a constant to."""
    divisor = view.operand(division, "y")
    return () if divisor is None else (divisor, *view.operands(divisor))


def log_probability(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedies of the log of a softmax or sigmoid, be it clipped."""
    inner = view.operand(node, "x") if node.op in _LOG else None
    while inner is not None and inner.op in _BOUNDS:
        inner = next(iter(view.operands(inner)), None)
    if inner is None:
        return
    same = "it is the same function, computed from the logits so that it stays finite"
    logits = next(iter(view.operands(inner)), None) if inner.op else None
    if inner.op == "softmax" and logits is not None:
        axis = settings(inner, "axis")
        if axis is not None:
            title = "Write tf.nn.log_softmax(x) for log(softmax(x))"
            template = f"tf.nn.log_softmax({{x}}{axis[0]})"
            yield replaced(node, template, title, same, {"x": ref(logits), **axis[1]})
    elif inner.op == "sigmoid" and logits is not None:
        title = "Write tf.math.log_sigmoid(x) for log(sigmoid(x))"
        yield replaced(node, "tf.math.log_sigmoid({x})", title, same, {"x": ref(logits)})
    elif inner.op == "subtract" and constant(view, inner, "x") == 1.0:
        share = view.operand(inner, "y")
        logits = next(iter(view.operands(share)), None) if share is not None else None
        if share is not None and share.op == "sigmoid" and logits is not None:
            title = "Write tf.math.log_sigmoid(-x) for log(1 - sigmoid(x))"
            yield replaced(node, "tf.math.log_sigmoid(-{x})", title, same, {"x": ref(logits)})


def xlogx(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``x * log(x)``, given its logarithm."""
    x, product = view.operand(node, "x"), only_user(view, node)
    if x is None or product is None or product.op != "multiply" or node.op not in _LOG:
        return
    others = [each for each in view.operands(product) if each.id != node.id]
    if len(others) == 1 and view.same_value(others[0], x):
        yield replaced(
            product,
            "tf.math.xlogy({x}, {x})",
            "Write tf.math.xlogy(x, x) for x * log(x)",
            "it is 0 with a finite gradient at x = 0, and the same elsewhere",
            {"x": ref(others[0])},
        )


def xlogy(view: View, node: Node, factor: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``x * log(y)``, given its logarithm and x, which is 0 wherever y is."""
    y, product = view.operand(node, "x"), only_user(view, node)
    if y is not None and product is not None and product.op == "multiply" and node.op in _LOG:
        yield replaced(
            product,
            "tf.math.xlogy({x}, {y})",
            "Write tf.math.xlogy(x, y) for x * log(y)",
            "it is 0 with a finite gradient at x = 0, and the same elsewhere",
            {"x": ref(factor), "y": ref(y)},
        )


def versine(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``1 - cos(x)``."""
    inner = view.operand(node, "y") if node.op == "subtract" else None
    x = view.operand(inner, "x") if inner is not None and inner.op == "cos" else None
    if x is not None and constant(view, node, "x") == 1.0:
        yield replaced(
            node,
            "2.0 * tf.square(tf.sin({x} / 2.0))",
            "Write 2 * sin(x / 2) ** 2 for 1 - cos(x)",
            "it is the same function, without the cancellation near 0",
            {"x": ref(x)},
        )


def centred_sigmoid(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedies of ``sigmoid(x) - 0.5`` and ``1 - sigmoid(x)``."""
    for name, other, value in (("x", "y", 0.5), ("y", "x", 1.0)):
        inner = view.operand(node, name) if node.op == "subtract" else None
        if inner is None or inner.op != "sigmoid" or constant(view, node, other) != value:
            continue
        x = next(iter(view.operands(inner)), None)
        if x is None:
            continue
        form, title = ("0.5 * tf.tanh({x} / 2.0)", "0.5 * tanh(x / 2) for sigmoid(x) - 0.5")
        if value == 1.0:
            form, title = "tf.sigmoid(-{x})", "sigmoid(-x) for 1 - sigmoid(x)"
        same = "it is the same function, without the cancellation"
        yield replaced(node, form, f"Write {title}", same, {"x": ref(x)})


def square_root_less_one(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``sqrt(1 + x) - 1``."""
    root = view.operand(node, "x") if node.op == "subtract" else None
    total = view.operand(root, "x") if root is not None and root.op == "sqrt" else None
    x = None if total is None else addend(view, total, 1.0)
    if x is not None and constant(view, node, "y") == 1.0:
        yield replaced(
            node,
            "{x} / (tf.sqrt(1.0 + {x}) + 1.0)",
            "Write x / (sqrt(1 + x) + 1) for sqrt(1 + x) - 1",
            "it is the same function, without the cancellation near 0",
            {"x": ref(x)},
        )


def variance(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of ``mean(x ** 2) - mean(x) ** 2``."""
    first, second = view.operand(node, "x"), view.operand(node, "y")
    if node.op != "subtract" or first is None or second is None or first.op != "reduce_mean":
        return
    mean = _squared(view, second)
    inner = view.operand(first, "input_tensor")
    x = None if inner is None else _squared(view, inner)
    axes = settings(first, "axis", "keepdims")
    if x is None or mean is None or mean.op != "reduce_mean" or axes is None:
        return
    of = view.operand(mean, "input_tensor")
    alike = all(mean.arg(name) == first.arg(name) for name in ("axis", "keepdims"))
    if of is not None and alike and view.same_value(of, x):
        yield replaced(
            node,
            f"tf.math.reduce_variance({{x}}{axes[0]})",
            "Write tf.math.reduce_variance(x) for mean(x ** 2) - mean(x) ** 2",
            "it is the same number, and subtracts the mean first",
            {"x": ref(x), **axes[1]},
        )


def _squared(view: View, node: Node) -> Node | None:
    """Return ``x`` if `node` computes its square, else None."""
    x = view.operand(node, "x") if node.op in _SQUARES else None
    if x is None or node.op == "square":
        return x
    if node.op == "pow":
        return x if constant(view, node, "y") == 2.0 else None  # the square
    y = view.operand(node, "y")
    return x if y is not None and view.same_value(x, y) else None
