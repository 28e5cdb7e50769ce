"""Compositions of ops that more than one rule has to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actlint.query import Cause, InputRole, Kind, Node, View

from ._common import POWER, ancestors, first_hit

DIVIDE = ("divide", "div")
SUMS = ("reduce_sum",)
_OVERFLOW = frozenset({Cause.OVERFLOW})
_SCALINGS = frozenset({"multiply", *DIVIDE})
_LINEAR = _SCALINGS | {"add", "subtract", "negative"}
# A mask, a weight or a guard on the way does not change what the composition is.
_FACTORS = frozenset({"multiply", "add", "cast", "identity"})


@dataclass(frozen=True, slots=True)
class Softmax:
    """A hand-written ``exp(x) / sum(exp(x))`` whose exponentials overflow."""

    division: Node
    numerator: Node  # the exponential above the line
    denominator: Node  # the one below, which may be the same node


def sources(view: View, node: Node, keys: tuple[str, ...]) -> Iterator[Node]:
    """Yield the nodes of ops `keys` that reach `node` through factors and moved elements only."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop(0)
        if current.id in seen:
            continue
        seen.add(current.id)
        if current.op in keys:
            yield current
        elif current.op and _moves(view, current):
            waiting.extend(view.operands(current))


def softmaxes(view: View) -> Iterator[Softmax]:
    """Yield the hand-written softmax functions in which nothing bounds the exponent."""
    for division in view.nodes(*DIVIDE):
        above, below = view.operand(division, "x"), view.operand(division, "y")
        if above is None or below is None:
            continue
        found = _shared(view, above, below)
        if found is not None and first_hit(view, found[0], _OVERFLOW) is not None:
            yield Softmax(division, *found)


def softmax_exponentials(view: View) -> tuple[Node, ...]:
    """Return all exponentials that belong to a hand-written softmax."""
    found: dict[int, Node] = {}
    for each in softmaxes(view):
        found[each.numerator.id] = each.numerator
        found[each.denominator.id] = each.denominator
    return tuple(found.values())


def sums_of_exponentials(view: View, node: Node) -> bool:
    """Return whether `node` is a sum of exponentials that overflow, as in log-sum-exp."""
    return any(
        first_hit(view, exponential, _OVERFLOW) is not None
        for total in sources(view, node, (*SUMS, "reduce_mean"))
        for summed in view.operands(total)
        for exponential in sources(view, summed, ("exp",))
    )


def _shared(view: View, above: Node, below: Node) -> tuple[Node, Node] | None:
    """Return the exponential above and the equal one under the sum below, or None."""
    for numerator in sources(view, above, ("exp",)):
        for total in sources(view, below, SUMS):
            for summed in view.operands(total):
                for denominator in sources(view, summed, ("exp",)):
                    if view.same_value(numerator, denominator):
                        return numerator, denominator
    return None


def mask(view: View, softmax: Softmax) -> Node | None:
    """Return the mask that the exponentials below the line are multiplied by, or None.

    Only a factor that does not move smoothly with the exponent can be 0 for all of them at once
    while they are ordinary numbers.
    """
    below = view.operand(softmax.division, "y")
    for total in () if below is None else sources(view, below, SUMS):
        for product in _products(view, view.operands(total)):
            for name, other in (("x", "y"), ("y", "x")):
                factor, rest = view.operand(product, name), view.operand(product, other)
                if factor is None or rest is None or not _masks(view, factor):
                    continue
                if softmax.denominator in sources(view, rest, ("exp",)):
                    return factor
    return None


def _products(view: View, nodes: tuple[Node, ...]) -> Iterator[Node]:
    """Yield the products that reach `nodes` through factors and moved elements only."""
    waiting, seen = list(nodes), set[int]()
    while waiting:
        current = waiting.pop(0)
        if current.id in seen or not current.op or not _moves(view, current):
            continue
        seen.add(current.id)
        if current.op == "multiply":
            yield current
        waiting.extend(view.operands(current))


def _masks(view: View, factor: Node) -> bool:
    """Return whether a factor is given from outside, or a condition, and can be 0."""
    return (
        view.interval(factor).contains(0.0)
        and not view.depends_differentiably(factor)
        and any(
            each.input is not None and each.input.role is not InputRole.PARAMETER
            for each in ancestors(view, factor.id)
        )
    )


def _moves(view: View, node: Node) -> bool:
    return node.op in _FACTORS or view.op(node).kind is Kind.STRUCTURAL


def linear_factor(view: View, node: Node) -> tuple[float, Node]:
    """Return the size of what `node` multiplies another value by, and that value.

    Products, quotients, sums and negations with known numbers are followed, as far as they go.
    """
    factor = 1.0
    while node.op in _LINEAR or (node.op and _moves(view, node)):
        moving = [each for each in view.operands(node) if view.depends_differentiably(each)]
        if len(moving) != 1:
            break
        if node.op in _SCALINGS:
            on_top = view.operand(node, "x")
            left = on_top is not None and on_top.id == moving[0].id
            known = _known(view, node, "y" if left else "x")
            if not known or (not left and node.op in DIVIDE):
                break
            factor = factor / abs(known) if node.op in DIVIDE else factor * abs(known)
        node = moving[0]
    return factor, node


def softmax_argument(view: View, node: Node) -> Node | None:
    """Return x of a hand-written ``exp(x) / sum(exp(x))``, also if x is shifted by its maximum."""
    above, below = (
        (view.operand(node, "x"), view.operand(node, "y")) if node.op in DIVIDE else (None, None)
    )
    if above is None or below is None or above.op != "exp" or below.op not in SUMS:
        return None
    summed, argument = next(iter(view.operands(below)), None), view.operand(above, "x")
    if summed is None or argument is None or not view.same_value(summed, above):
        return None
    shift = view.operand(argument, "y") if argument.op == "subtract" else None
    shifted = view.operand(argument, "x") if shift is not None else None
    if shift is None or shifted is None or shift.op != "reduce_max":
        return argument
    return shifted if view.same_value(view.operands(shift)[0], shifted) else argument


def logistic_argument(view: View, node: Node) -> Node | None:
    """Return u of a hand-written ``1 / (1 + exp(u))``, or None."""
    if node.op in DIVIDE:
        below = view.operand(node, "y") if _known(view, node, "x") == 1.0 else None
    else:
        below = view.operand(node, "x") if node.op == "reciprocal" else None
    if below is None or below.op != "add":
        return None
    for name, other in (("x", "y"), ("y", "x")):
        exponential = view.operand(below, other)
        if _known(view, below, name) == 1.0 and exponential is not None:
            return view.operand(exponential, "x") if exponential.op == "exp" else None
    return None


def guessed(view: View, node: Node) -> bool:
    """Return whether `node` depends on a value of which nothing says how large it is."""
    return any(each.input is not None and each.input.unknown for each in ancestors(view, node.id))


def _known(view: View, node: Node, name: str) -> float | None:
    """Return the number that an operand is, or None; a hyperparameter has its default."""
    value = node.arg(name)
    if isinstance(value, (int, float)):
        return float(value)
    operand = view.operand(node, name)
    if operand is None:
        return None
    if operand.input is not None:
        return operand.input.default
    known = view.interval(operand)
    return known.lo if known.lo == known.hi and not known.nan else None


def constant_power(view: View, node: Node) -> float | None:
    """Return the exponent, above 1, of a power with a constant one."""
    if node.op == "square":
        return 2.0
    if node.op == "multiply":
        first, second = view.operand(node, "x"), view.operand(node, "y")
        same = first is not None and second is not None and view.same_value(first, second)
        return 2.0 if same else None
    if node.op in POWER:
        exponent = view.static(node, "y")
        if isinstance(exponent, (int, float)) and exponent > 1.0:
            return float(exponent)
    return None
