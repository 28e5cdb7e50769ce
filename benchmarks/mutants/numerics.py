"""Mutators that take a numerical safeguard away."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from mutants.model import Edit, Harm, Mutator, Where
from mutants.syntax import Original

_POLES = ("ACT103", "ACT109", "ACT101", "ACT104", "ACT105", "ACT106", "ACT102", "ACT111", "ACT107",
          "ACT117")  # fmt: skip
# The largest number that counts as an epsilon.
_SMALL = 1e-2


def _sum_with(o: Original, limit: float) -> Iterator[tuple[cst.BinaryOperation, bool]]:
    """Yield the sums of a value and a small positive number; whether the number is left."""
    for node in o.nodes:
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            for number, other, left in (
                (node.right, node.left, False),
                (node.left, node.right, True),
            ):
                value = o.value(number)
                if value is not None and 0.0 < value <= limit and o.value(other) is None:
                    yield node, left


def _drop_epsilon(o: Original) -> Iterator[Edit]:
    for node, left in _sum_with(o, 100.0):
        yield o.replace(node, o.code(node.right if left else node.left))


def _drop_guard(o: Original) -> Iterator[Edit]:
    for call in o.calls("clip", "maximum", "minimum"):
        first, second = call.args[0].value, call.args[1].value
        value, other = (second, first) if o.value(second) is not None else (first, second)
        if o.value(value) is not None and o.value(other) is None:
            yield o.replace(call, o.code(other))


def _tiny_epsilon(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        if not isinstance(node, cst.Float) or not 1e-8 <= float(node.value) <= 1e-5:
            continue
        parent = o.parent(node)
        if isinstance(parent, cst.BinaryOperation) and isinstance(parent.operator, cst.Subtract):
            yield o.replace(node, "1e-10")
        else:
            yield o.replace(node, "1e-60")


def _epsilon_outside(o: Original) -> Iterator[Edit]:
    sums = {id(node): (node, left) for node, left in _sum_with(o, _SMALL)}
    for node in o.nodes:
        if isinstance(node, cst.Call) and o.function(node) in ("log", "sqrt") and node.args:
            found = sums.get(id(node.args[0].value))
            if found is not None:
                total, left = found
                kept, moved = (total.right, total.left) if left else (total.left, total.right)
                name = o.code(node.func)
                yield o.replace(node, f"{name}({o.code(kept)}) + {o.code(moved)}")
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide):
            found = sums.get(id(node.right))
            if found is not None:
                total, left = found
                kept, moved = (total.right, total.left) if left else (total.left, total.right)
                text = f"{o.operand(node.left)} / {o.operand(kept)} + {o.code(moved)}"
                yield o.replace(node, text)


def _plain_division(o: Original) -> Iterator[Edit]:
    for call in o.calls("divide_no_nan"):
        yield o.replace(call, f"{o.operand(call.args[0].value)} / {o.operand(call.args[1].value)}")


def _log_of_softmax(o: Original) -> Iterator[Edit]:
    for call in o.calls("log_softmax"):
        args = ", ".join(o.code(a)
                         for a in call.args)  # fmt: skip
        yield o.replace(call, f"{o.spelled('log')}({o.spelled('softmax')}({args}))")


def _log_of_sigmoid(o: Original) -> Iterator[Edit]:
    for call in o.calls("log_sigmoid"):
        inner = o.code(call.args[0].value)
        yield o.replace(call, f"{o.spelled('log')}({o.spelled('sigmoid')}({inner}))")


def _entropy_by_hand(o: Original) -> Iterator[Edit]:
    for call in o.calls("sigmoid_cross_entropy_with_logits"):
        label, logit = o.argument(call, 0, "labels"), o.argument(call, 1, "logits")
        if label is None or logit is None:
            continue
        log, p = o.spelled("log"), f"{o.spelled('sigmoid')}({o.code(logit)})"
        y = o.operand(label)
        yield o.replace(call, f"-({y} * {log}({p}) + (1.0 - {y}) * {log}(1.0 - {p}))")
    for call in o.calls("softmax_cross_entropy_with_logits_v2"):
        label, logit = o.argument(call, 0, "labels"), o.argument(call, 1, "logits")
        if label is not None and logit is not None:
            share = f"{o.spelled('softmax')}({o.code(logit)})"
            terms = f"{o.operand(label)} * {o.spelled('log')}({share})"
            yield o.replace(call, f"-{o.spelled('sum')}({terms}, axis=-1)")


def _naive_softplus(o: Original) -> Iterator[Edit]:
    for call in o.calls("softplus"):
        inner = o.code(call.args[0].value)
        yield o.replace(call, f"{o.spelled('log')}(1.0 + {o.spelled('exp')}({inner}))")


def _naive_logsumexp(o: Original) -> Iterator[Edit]:
    for call in o.calls("logsumexp"):
        inner, *more = call.args
        rest = "".join(f", {o.code(a)}" for a in more)
        powers = f"{o.spelled('exp')}({o.code(inner.value)})"
        yield o.replace(call, f"{o.spelled('log')}({o.spelled('sum')}({powers}{rest}))")


def _naive_softmax(o: Original) -> Iterator[Edit]:
    for call in o.calls("softmax"):
        powers = f"{o.spelled('exp')}({o.code(call.args[0].value)})"
        total = f"{o.spelled('sum')}({powers}, axis=-1, keepdims=True)"
        yield o.replace(call, f"{powers} / {total}")


def _naive_sigmoid(o: Original) -> Iterator[Edit]:
    for call in o.calls("sigmoid"):
        inner = o.operand(call.args[0].value)
        yield o.replace(call, f"1.0 / (1.0 + {o.spelled('exp')}(-{inner}))")


def _naive_tanh(o: Original) -> Iterator[Edit]:
    for call in o.calls("tanh"):
        inner = o.operand(call.args[0].value)
        up, down = f"{o.spelled('exp')}({inner})", f"{o.spelled('exp')}(-{inner})"
        yield o.replace(call, f"({up} - {down}) / ({up} + {down})")


def _drop_shift(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        if (
            isinstance(node, cst.BinaryOperation)
            and isinstance(node.operator, cst.Subtract)
            and o.function(node.right) == "max"
        ):
            yield o.replace(node, o.code(node.left))


def _single_where(o: Original) -> Iterator[Edit]:
    inner = [call for call in o.calls("where") if len(call.args) == 3]
    if len(inner) < 2:
        return
    for call in inner:
        value, constant = call.args[1].value, call.args[2].value
        if isinstance(value, cst.Name) and (
            o.value(constant) is not None or o.function(constant) == "ones_like"
        ):
            yield o.replace(call, o.code(value))


def _unsafe_branch(o: Original) -> Iterator[Edit]:
    """Hand a branch of `where` the bare value instead of the bounded one."""
    conditional = list(o.calls("where"))
    for call in o.calls("minimum", "maximum"):
        if conditional and o.probe.kind == "activation" and o.value(call.args[1].value) is not None:
            yield o.replace(call, o.code(call.args[0].value))


def _infinite_mask(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        value = o.value(node) if isinstance(node, cst.Float | cst.UnaryOperation) else None
        if value is not None and value <= -1e8:
            yield o.replace(node, '-float("inf")')


def _fractional_power(o: Original) -> Iterator[Edit]:
    for exponent in ("0.5", "1.5"):
        for node in o.nodes:
            if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Power):
                if o.value(node.left) is None and not isinstance(node.left, cst.Attribute):
                    yield o.replace(node, f"{o.operand(node.left)} ** {exponent}")
            elif o.function(node) == "square" and isinstance(node, cst.Call):
                yield o.replace(node, f"{o.operand(node.args[0].value)} ** {exponent}")
            elif o.function(node) == "pow" and isinstance(node, cst.Call):
                base = o.code(node.args[0].value)
                yield o.replace(node, f"{o.code(node.func)}({base}, {exponent})")


def _product(o: Original) -> Iterator[Edit]:
    for call in o.calls("sum"):
        inner = call.args[0].value
        if isinstance(inner, cst.Call) and o.function(inner) == "log":
            rest = "".join(f", {o.code(arg)}" for arg in call.args[1:])
            product = f"{o.spelled('prod')}({o.code(inner.args[0].value)}{rest})"
            yield o.replace(call, f"{o.code(inner.func)}({product})")


def _unbounded_exp(o: Original) -> Iterator[Edit]:
    for call in o.calls("softplus", "sigmoid", "log1p"):
        yield o.replace(call, f"{o.spelled('exp')}({o.code(call.args[0].value)})")


def _naive_log1p(o: Original) -> Iterator[Edit]:
    for call in o.calls("log1p"):
        yield o.replace(call, f"{o.spelled('log')}(1.0 + {o.code(call.args[0].value)})")
    for call in o.calls("expm1"):
        yield o.replace(call, f"{o.spelled('exp')}({o.code(call.args[0].value)}) - 1.0")


def _naive_variance(o: Original) -> Iterator[Edit]:
    mean, square = o.spelled("mean"), o.spelled("square")
    for call in o.calls("var"):
        x, *more = call.args
        text, rest = o.code(x.value), "".join(f", {o.code(arg)}" for arg in more)
        yield o.replace(call, f"{mean}({square}({text}){rest}) - {square}({mean}({text}{rest}))")
    for call in o.calls("mean"):
        inner = call.args[0].value
        if not isinstance(inner, cst.Call) or o.function(inner) != "square":
            continue
        error = inner.args[0].value
        if isinstance(error, cst.BinaryOperation) and o.code(error.right) in ("m1", "m2", "mean"):
            rest = "".join(f", {o.code(arg)}" for arg in call.args[1:])
            text = o.code(error.left)
            yield o.replace(
                call, f"{mean}({square}({text}){rest}) - {square}({o.code(error.right)})"
            )


def _plain_norm(o: Original) -> Iterator[Edit]:
    for call in o.calls("l2_normalize"):
        x = o.code(call.args[0].value)
        yield o.replace(call, f"{x} / {o.spelled('norm')}({x}, axis=-1, keepdims=True)")


def _root_of_square(o: Original) -> Iterator[Edit]:
    for call in o.calls("abs"):
        inner = o.code(call.args[0].value)
        yield o.replace(call, f"{o.spelled('sqrt')}({o.spelled('square')}({inner}))")


def _distance(o: Original) -> Iterator[Edit]:
    for call in o.calls("sum"):
        inner = call.args[0].value
        whole = o.code(call)
        under_root = any(
            isinstance(outer, cst.Call) and o.function(outer) in ("sqrt", "rsqrt")
            for outer in o.around(call)
        )
        if o.function(inner) in ("square", "squared_difference") and not under_root:
            yield o.replace(call, f"{o.spelled('sqrt')}({whole})")


def _numeric(
    name: str, codes: tuple[str, ...], find: object, harm: Harm = Harm.NONFINITE
) -> Mutator:
    assert callable(find)
    return Mutator(name, codes, harm, find, Where.FLOW)


MUTATORS = (
    _numeric("drop the epsilon", _POLES, _drop_epsilon),
    _numeric("drop the clip or maximum", (*_POLES, "ACT108", "ACT110"), _drop_guard),
    _numeric("epsilon below resolution", ("ACT112", *_POLES), _tiny_epsilon),
    _numeric("epsilon outside the function", ("ACT118", *_POLES), _epsilon_outside),
    _numeric("divide_no_nan to /", ("ACT116", "ACT101"), _plain_division),
    _numeric("log_softmax to log of softmax", ("ACT109", "ACT103"), _log_of_softmax),
    _numeric("log_sigmoid to log of sigmoid", ("ACT109", "ACT103"), _log_of_sigmoid),
    _numeric("cross-entropy of logits by hand", ("ACT109", "ACT103"), _entropy_by_hand),
    _numeric("softplus to log(1 + exp)", ("ACT114", "ACT108"), _naive_softplus),
    _numeric("logsumexp to log of sum of exp", ("ACT114", "ACT108", "ACT103"), _naive_logsumexp),
    _numeric("softmax by hand", ("ACT110", "ACT108", "ACT101"), _naive_softmax),
    _numeric("sigmoid by hand", ("ACT108", "ACT101"), _naive_sigmoid),
    _numeric("tanh by hand", ("ACT108", "ACT101"), _naive_tanh),
    _numeric("drop the shift by the maximum", ("ACT110", "ACT108", "ACT101"), _drop_shift),
    _numeric("double where to single", ("ACT102", *_POLES), _single_where),
    _numeric("unbounded value in a branch", ("ACT102", "ACT108"), _unsafe_branch),
    _numeric("-1e9 mask to -inf", ("ACT115", "ACT117", "ACT101", "ACT111"), _infinite_mask),
    _numeric("fractional power", ("ACT106", "ACT104", "ACT105", "ACT118"), _fractional_power),
    _numeric("product instead of sum of logs", ("ACT307", "ACT103", "ACT109"), _product),
    _numeric(
        "exp without bound",
        ("ACT108", "ACT110", "ACT114", "ACT103", "ACT101", "ACT207"),
        _unbounded_exp,
    ),
    _numeric("l2_normalize by hand", ("ACT105", "ACT101"), _plain_norm),
    _numeric("abs to root of square", ("ACT105", "ACT104", "ACT106"), _root_of_square),
    _numeric("squared distance to distance", ("ACT105", "ACT104"), _distance),
    _numeric(
        "log1p and expm1 by hand", ("ACT113", "ACT114", "ACT108"), _naive_log1p, Harm.INACCURATE
    ),
    _numeric(
        "variance as E[x^2] - E[x]^2",
        ("ACT113", "ACT104", "ACT105", "ACT101"),
        _naive_variance,
        Harm.INACCURATE,
    ),
)
