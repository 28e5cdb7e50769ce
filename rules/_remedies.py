"""Remedies that several rules share; TensorFlow judges each of them on the user's own source."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from actlint.query import (
    Arg,
    Items,
    Kind,
    Node,
    Ref,
    Remedy,
    Rewrite,
    Role,
    Safety,
    Settled,
    View,
)

# Added inside a logarithm: what Keras takes for its own losses, and what float32 can still tell
# from 0 next to 1.
EPSILON = "1e-7"
# Added under a root, of which it is the square: the slope at 0 is then at most 5e5.
SQUARED_EPSILON = "1e-12"

# Exponent up to which exponentials leave float32 room for what they are multiplied with, and for
# gradients: exp(20) is 5e8, and its square 2e17.
LARGEST_EXPONENT = "20.0"

# Added above and below the line of scores: what MONAI and nnU-Net take.
SMOOTHING = "1e-5"

# What the placeholders of a template stand for.
Parts = Mapping[str, Arg]

_SUM = ("add",)


def ref(node: Node) -> Ref:
    """Return the operand that stands for a node."""
    return Ref(node.id)


def replaced(
    node: Node,
    template: str,
    title: str,
    reason: str,
    parts: Parts,
    *,
    safety: Safety = Safety.SAFE,
    settled: Settled = Settled.LIMIT,
) -> Remedy:
    """Return the remedy that writes `template` in the place of a node's expression."""
    change = Rewrite(ref(node), template, tuple(parts.items()))
    return Remedy(title, reason, safety, (change,), settled)


def argument(
    node: Node,
    operand: Node,
    template: str,
    title: str,
    reason: str,
    *,
    parts: Parts | None = None,
    safety: Safety = Safety.UNSAFE,
    settled: Settled = Settled.LIMIT,
) -> Remedy:
    """Return the remedy that rewrites an operand where `node` reads it; ``{x}`` is the operand."""
    change = Rewrite(ref(operand), template, (("x", ref(operand)), *(parts or {}).items()), node.id)
    return Remedy(title, reason, safety, (change,), settled)


def constant(view: View, node: Node, name: str) -> float | None:
    """Return the number that parameter `name` is bound to, or None."""
    value = node.arg(name)
    if isinstance(value, Ref):
        known = view.interval(value.node)
        return known.lo if known.lo == known.hi and not known.nan else None
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def addend(view: View, node: Node, value: float) -> Node | None:
    """Return ``x`` if `node` computes ``x + value`` or ``value + x``, else None."""
    if node.op not in _SUM:
        return None
    for one, other in (("x", "y"), ("y", "x")):
        if constant(view, node, one) == value:
            return view.operand(node, other)
    return None


def negated(view: View, node: Node) -> Node | None:
    """Return ``x`` if `node` computes ``-x``, else None."""
    return view.operand(node, "x") if node.op in {"negative", "neg"} else None


def only_user(view: View, node: Node) -> Node | None:
    """Return what reads a node, or None if several do."""
    users = view.users(node)
    return users[0] if len(users) == 1 else None


def settings(node: Node, *names: str) -> tuple[str, Parts] | None:
    """Return the static arguments `names` of a call, to be handed to another one.

    Returns:
        What to write behind the first argument in a template, and its parts; None if the source
        does not tell one of them.
    """
    parts = {name: node.arg(name) for name in names if node.arg(name) is not None}
    if any(not _static(value) for value in parts.values()):
        return None
    return "".join(f", {name}={{{name}}}" for name in parts), parts


def _static(value: Arg) -> bool:
    if isinstance(value, Items):
        return all(_static(item) for item in value.items)
    return isinstance(value, (bool, int))


# ---- away from the singular point --------------------------------------------------------------


def no_nan(view: View, node: Node, settled: Settled = Settled.LIMIT) -> Iterator[Remedy]:
    """Yield the remedies of a division by a value that can be 0.

    A quotient of 0 is safe where the source says that it is meant, or where the quotient tends to
    0; anywhere else it is a choice, and may be the worst one: a score of 0 for an empty mask that
    was predicted rightly.

    Args:
        view: the graph.
        node: the division.
        settled: GIVEN if the source says that 0 is meant.
    """
    x, y = node.arg("x"), node.arg("y")
    if isinstance(x, int):
        x = float(x)  # older versions take the dtype of the first operand, an int32 then
    if node.op in {"divide", "div"} and isinstance(y, Ref):
        if rewards_zero(view, node):
            yield from _kept_apart(node, view.node(y.node), x)
            return
        template, title = "tf.math.divide_no_nan({x}, {y})", "Divide with tf.math.divide_no_nan"
        parts: Parts = {"x": x, "y": y}
        yield replaced(node, template, title, _TENDS[settled], parts, settled=settled)
        above, below = view.operand(node, "x"), view.node(y.node)
        if above is not None and slope_of_use(view, node) < 0:
            yield _smoothed(view, node, above, below)
        yield replaced(node, template, title, _CHOSEN, parts, safety=Safety.UNSAFE)
        if view.interval(below).lo >= 0.0:
            yield from floored(node, below, EPSILON)
    if node.op == "reciprocal" and isinstance(x, Ref):
        template, title = "tf.math.reciprocal_no_nan({x})", "Use tf.math.reciprocal_no_nan"
        yield replaced(node, template, title, _TENDS[settled], {"x": x}, settled=settled)
        yield replaced(node, template, title, _CHOSEN, {"x": x}, safety=Safety.UNSAFE)


def rewards_zero(view: View, node: Node) -> bool:
    """Tell whether a quotient of 0 where the divisor is 0 would make a loss smallest there.

    So it is if training moves the divisor, such as a predicted scale, and pays for the quotient:
    the likelihood of an error would be best at a scale of 0, however large the error.
    """
    above, below = view.operand(node, "x"), view.operand(node, "y")
    return (
        above is not None
        and below is not None
        and view.graph.role in _PAYING
        and view.depends_differentiably(below)
        and view.interval(above).lo >= 0.0
        and view.interval(below).lo >= 0.0
        and slope_of_use(view, node) >= 0
        and not _within(view, above, below)
    )


# Roles of graphs whose output training makes small.
_PAYING = frozenset({Role.GRAPH, Role.LOSS, Role.TRAINING_STEP})


def _within(view: View, node: Node, outer: Node) -> bool:
    """Tell whether a value is among those that another one adds up, so that both are 0 at once."""
    waiting, seen = [outer.id], set[int]()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if view.same_value(current, node):
            return True
        waiting += [each.id for each in view.operands(current)]
    return False


def _kept_apart(node: Node, below: Node, above: Arg) -> Iterator[Remedy]:
    """Yield the remedies of a quotient that must grow as its divisor shrinks."""
    if below.op == "exp":
        yield replaced(
            node,
            f"{{x}} * tf.exp(tf.minimum(-{{v}}, {LARGEST_EXPONENT}))",
            "Multiply by the exponential of the negative exponent, and bound that",
            f"the quotient stays finite for exponents below -{LARGEST_EXPONENT}, and passes no "
            "gradient to them there",
            {"x": above, "v": below.arg("x")},
            safety=Safety.UNSAFE,
        )
    yield from floored(node, below, EPSILON)


_TENDS = {
    Settled.LIMIT: "it is 0 where the divisor is 0, as the quotient tends to be, and the quotient "
    "elsewhere",
    Settled.GIVEN: "it is 0 where there is nothing to divide, so that nothing is added, and the "
    "quotient elsewhere",
}
_CHOSEN = (
    "it is the quotient elsewhere, but 0 where the divisor is 0, which the quotient does not tend "
    "to: make sure that 0 is meant there"
)


def _smoothed(view: View, node: Node, above: Node, below: Node) -> Remedy:
    """Return the remedy of a score, such as Dice's, that is 1 where there is nothing to find."""
    for one, other in (("x", "y"), ("y", "x")) if above.op in _SUM else ():
        small = constant(view, above, one)
        if small is not None and small > 0.0 and above.arg(other) is not None:
            return replaced(
                node,
                "{x} / ({y} + {c})",
                "Add the same constant below the line",
                "without anything to find the score becomes 1, the best one; values change where "
                "the divisor is not much larger",
                {"x": ref(above), "y": ref(below), "c": above.arg(one)},
                safety=Safety.UNSAFE,
            )
    changes = tuple(
        Rewrite(ref(operand), f"{{x}} + {SMOOTHING}", (("x", ref(operand)),), node.id)
        for operand in (above, below)
    )
    return Remedy(
        f"Add {SMOOTHING} above and below the line",
        f"0 / 0 becomes 1, the best of a score; values change where the divisor is not much larger "
        f"than {SMOOTHING}",
        Safety.UNSAFE,
        changes,
    )


def slope_of_use(view: View, node: Node) -> int:
    """Return 1 if the output rises with a value, -1 if it falls, 0 if that cannot be told."""
    sign = 1
    while node.id != view.graph.output:
        user = only_user(view, node)
        if user is None or len(view.operands(user)) == 0:
            return 0
        if user.op in _SUM or user.op in _AVERAGES or user.op in _RISING or _moves(view, user):
            pass
        elif user.op in {"negative", "neg"}:
            sign = -sign
        elif user.op == "subtract":
            sign = -sign if user.arg("y") == ref(node) else sign
        elif user.op in {"multiply", "divide", "div"} and user.arg("y") != ref(node):
            sign *= _sign(view, user.arg("y"))
        elif user.op == "multiply":
            sign *= _sign(view, user.arg("x"))
        else:
            return 0
        node = user
    return sign


def adds_nothing(view: View, node: Node) -> bool:
    """Tell whether a value of 0 leaves nothing of its own in the output: no constant beside it."""
    while node.id != view.graph.output:
        user = only_user(view, node)
        if user is None:
            return False
        if user.op in _SUM or user.op == "subtract":
            other = "x" if user.arg("y") == ref(node) else "y"
            if constant(view, user, other) not in (None, 0.0):
                return False
        elif user.op in {"multiply", "divide", "div"}:
            if user.op != "multiply" and user.arg("y") == ref(node):
                return False
        elif not (user.op in _AVERAGES or user.op in {"negative", "neg"} or _moves(view, user)):
            return False
        node = user
    return True


_AVERAGES = frozenset({"reduce_mean", "reduce_sum", "cast", "stack", "add_n"})
_RISING = frozenset({"exp", "log", "log1p", "sqrt", "softplus", "tanh"})


def _moves(view: View, node: Node) -> bool:
    return view.op(node).kind is Kind.STRUCTURAL


def _sign(view: View, value: Arg) -> int:
    """Return the sign of a factor, 0 if it is not known."""
    if isinstance(value, Ref):
        known = view.interval(value.node)
        return 1 if known.lo >= 0.0 else -1 if known.hi <= 0.0 else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return 1 if value >= 0 else -1


def floored(node: Node, operand: Node, least: str) -> Iterator[Remedy]:
    """Yield the remedy that keeps an operand at or above a small positive number."""
    yield argument(
        node,
        operand,
        f"tf.maximum({{x}}, {least})",
        f"Keep the argument at or above {least} with tf.maximum",
        f"values change where it is below {least}, and pass no gradient there",
    )


def offset(view: View, node: Node, operand: Node, small: str) -> Iterator[Remedy]:
    """Yield the remedy that adds a small constant inside, or a floor where that is not enough."""
    known = view.interval(operand)
    if known.lo >= 0.0 or _nearly_positive(known.lo):
        yield argument(
            node,
            operand,
            f"{{x}} + {small}",
            f"Add {small} to the argument",
            f"values and gradients change where the argument is not much larger than {small}",
        )
    yield from floored(node, operand, small)


def representable(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of a clip on the way to `node` whose upper bound is 1 in float32."""
    waiting, seen = [node.id], set[int]()
    while waiting:
        clip = view.node(waiting.pop(0))
        if clip.id in seen:
            continue
        seen.add(clip.id)
        waiting.extend(clip.operands)
        bound = next((value for name, value in clip.args if name in _UPPER), None)
        if isinstance(bound, float) and bound != 1.0 and _is_one(bound):
            change = Rewrite(bound, "1 - 1e-7", (), clip.id)
            yield Remedy(
                "Clip to a bound that float32 can hold",
                "values between 1 - 1e-7 and 1 change, and pass no gradient",
                Safety.UNSAFE,
                (change,),
            )


# How clips call their upper bound.
_UPPER = frozenset({"clip_value_max", "max_value", "x_max"})


def _is_one(value: float) -> bool:
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return bool(rounded == 1.0)


def _nearly_positive(low: float) -> bool:
    """Tell whether a bound is negative by rounding alone."""
    return -1e-6 < low < 0.0


def straight_through(node: Node, value: Node, operand: Node) -> Remedy:
    """Return the remedy that keeps a step's value and hands its gradient on unchanged.

    Args:
        node: the step, or the cast of a comparison.
        value: whose expression is wrapped; mostly the same.
        operand: what the step is taken of.
    """
    return replaced(
        node,
        "{x} + tf.stop_gradient({step} - {x})",
        "Let the gradient pass straight through the step",
        "the value stays, and the gradient becomes that of the argument",
        {"x": ref(operand), "step": ref(value)},
        safety=Safety.UNSAFE,
    )


def norm(view: View, node: Node) -> Iterator[Remedy]:
    """Yield the remedy of a norm or standard deviation whose gradient is nan at zeros."""
    operand = next(iter(view.operands(node)), None)
    axes = settings(node, "axis", "keepdims")
    if operand is None or axes is None or node.arg("ord") not in (None, "euclidean"):
        return
    further, parts = axes
    inner = {
        "keras_norm": f"tf.reduce_sum(tf.square({{x}}){further})",
        "norm": f"tf.reduce_sum(tf.square({{x}}){further})",
        "reduce_euclidean_norm": f"tf.reduce_sum(tf.square({{x}}){further})",
        "reduce_std": f"tf.math.reduce_variance({{x}}{further})",
    }.get(node.op)
    if inner is not None:
        yield replaced(
            node,
            f"tf.sqrt({inner} + {SQUARED_EPSILON})",
            f"Write the root out and add {SQUARED_EPSILON} under it",
            "it is at least 1e-6, and its gradient at zeros is 0",
            {"x": ref(operand), **parts},
            safety=Safety.UNSAFE,
        )


def double_where(view: View, node: Node, operand: Node, neutral: str) -> Iterator[Remedy]:
    """Yield the remedy that keeps an operand harmless where `where` does not select the branch.

    Args:
        view: the graph.
        node: the singular expression in a branch.
        operand: its operand that is harmful there.
        neutral: ``ones`` or ``zeros``, at which the expression is finite.
    """
    for selection, branch in _selections(view, node):
        condition = view.operand(selection, "condition")
        if condition is None:
            continue
        like = f"tf.{neutral}_like({{like}})"
        chosen = f"{{x}}, {like}" if branch == "x" else f"{like}, {{x}}"
        yield argument(
            node,
            operand,
            f"tf.where({{condition}}, {chosen})",
            "Select the argument with a tf.where of its own",
            "the argument is another only where the other branch is selected",
            parts={"condition": ref(condition), "like": ref(_shaped(view, operand))},
            safety=Safety.SAFE,
        )


def selected_argument(view: View, node: Node, operand: Node, chosen: Node) -> Iterator[Remedy]:
    """Yield the remedies that keep an operand harmless where a mask is 0.

    Args:
        view: the graph.
        node: the expression that the mask is meant to hide.
        operand: its operand that is harmful there.
        chosen: the condition that the mask is cast from.
    """
    for neutral in ("ones", "zeros"):
        yield argument(
            node,
            operand,
            f"tf.where({{condition}}, {{x}}, tf.{neutral}_like({{like}}))",
            "Select the argument with tf.where before the mask hides the result",
            "the argument is another only where the mask is 0",
            parts={"condition": ref(chosen), "like": ref(_shaped(view, operand))},
            safety=Safety.SAFE,
            settled=Settled.GIVEN,
        )


def _shaped(view: View, node: Node) -> Node:
    """Return the nearest value of the same shape that is written more simply."""
    while node.op in _ELEMENTWISE and not node.name:
        moving = [each for each in view.operands(node) if not _is_number(each)]
        others = [value for _, value in node.args if not isinstance(value, Ref)]
        if len(moving) != 1 or len(others) > 1:
            break
        node = moving[0]
    return node


def _is_number(node: Node) -> bool:
    return not node.op and node.input is None


# Operations of numbers with a tensor, whose result has the tensor's shape.
_ELEMENTWISE = frozenset(
    {"abs", "add", "divide", "exp", "log", "multiply", "negative", "sqrt", "square", "subtract"}
)


def _selections(view: View, node: Node) -> Iterator[tuple[Node, str]]:
    """Yield the ``where`` calls that `node` is a branch of, nearest first, with the parameter."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop(0)
        if current.id in seen:
            continue
        seen.add(current.id)
        for user in view.users(current):
            branches = [name for name in ("x", "y") if user.arg(name) == ref(current)]
            if user.op == "where" and branches:
                yield user, branches[0]
            waiting.append(user)
