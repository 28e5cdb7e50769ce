"""Mutators that change what a loss means, or what a shape is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import libcst as cst

from mutants.model import Edit, Harm, Mutator, Where
from mutants.syntax import Original

_WRONG = ("ACT501", "ACT502")
_LIBRARY = ("binary_crossentropy", "categorical_crossentropy", "BinaryCrossentropy",
            "CategoricalCrossentropy")  # fmt: skip
_ENTROPIES = ("softmax_cross_entropy_with_logits_v2", "sigmoid_cross_entropy_with_logits",
              "sparse_softmax_cross_entropy_with_logits")  # fmt: skip


def _returned(o: Original) -> Iterator[cst.BaseExpression]:
    """Yield what the loss returns, or what a script minimises."""
    entry = o.entry()
    if o.probe.kind == "loss":
        for node in o.nodes:
            if isinstance(node, cst.Return) and entry is not None and node.value is not None:
                inner = next(a for a in o.around(node) if isinstance(a, cst.FunctionDef))
                if inner is entry:
                    yield node.value
            elif isinstance(node, cst.Lambda) and entry is None:
                yield node.body
    elif o.probe.kind in ("graph", "step"):
        for node in o.nodes:
            if isinstance(node, cst.Assign) and o.code(node.targets[0].target) == "loss":
                yield node.value


def _negated(o: Original) -> Iterator[Edit]:
    for value in _returned(o):
        if isinstance(value, cst.UnaryOperation) and isinstance(value.operator, cst.Minus):
            yield o.replace(value, o.code(value.expression))
        else:
            yield o.replace(value, f"-{o.operand(value)}")


def _similarity(o: Original) -> Iterator[Edit]:
    if o.probe.kind != "loss":
        return
    for node in o.nodes:
        if (
            isinstance(node, cst.BinaryOperation)
            and isinstance(node.operator, cst.Subtract)
            and o.value(node.left) == 1.0
            and any(node is v or node in v.children for v in _returned(o))
        ):
            yield o.replace(node, o.code(node.right))


def _signed_error(o: Original) -> Iterator[Edit]:
    if o.probe.kind not in ("loss", "step"):
        return
    for call in o.calls("abs", "square", "squared_difference"):
        if o.function(call) == "squared_difference":
            first, second = (o.operand(a.value) for a in call.args[:2])
            yield o.replace(call, f"{first} - {second}")
            continue
        inner = call.args[0].value
        if isinstance(inner, cst.BinaryOperation) or o.function(inner) == "subtract":
            yield o.replace(call, o.code(inner))


def _swap_call(o: Original) -> Iterator[Edit]:
    """Swap label and prediction in a call of a library loss."""
    names = {*o.labels, *o.predictions}
    for call in o.calls(*_LIBRARY, *_ENTROPIES):
        if len(call.args) < 2:
            continue
        first, second = call.args[0], call.args[1]
        if first.keyword is None or o.code(first.value) in names:
            swapped = call.with_changes(
                args=(first.with_changes(value=second.value),
                      second.with_changes(value=first.value), *call.args[2:])
            )  # fmt: skip
            yield o.replace(call, o.code(swapped))
    for node in o.nodes:
        if isinstance(node, cst.Call) and o.code(node.func) == "cross_entropy":
            label, logit = (o.code(arg.value) for arg in node.args[:2])
            yield o.replace(node, f"cross_entropy({logit}, {label})")


def _swap_signature(o: Original) -> Iterator[Edit]:
    function = o.entry()
    if function is None or o.probe.kind != "loss" or len(o.probe.params) != 2 or not o.labels:
        return
    first, second = (p.name for p in o.probe.params)
    own = [p for p in function.params.params if p.name.value in (first, second)]
    if len(own) == 2:
        start, end = (o.replace(p, "") for p in own)
        # The blank and comma between them stay.
        between = o.text[start.end : end.start]
        tail = o.text[end.start : end.end]
        yield Edit(start.start, end.end, f"{tail.rstrip(', ')}{between}{first}")


def _logits_flag(o: Original) -> Iterator[Edit]:
    for call in o.calls(*_LIBRARY):
        flag = next((a for a in call.args if a.keyword and a.keyword.value == "from_logits"), None)
        others = [o.code(a)
                  for a in call.args if a is not flag]  # fmt: skip
        if flag is None:
            others.append("from_logits=True")
        yield o.replace(call, f"{o.code(call.func)}({', '.join(others)})")


def _squashed_logits(o: Original) -> Iterator[Edit]:
    """Hand probabilities to what takes logits."""
    for call in o.calls(*_ENTROPIES):
        logits = o.argument(call, 1, "logits")
        if logits is not None:
            squash = "sigmoid" if "sigmoid" in o.function(call) else "softmax"
            yield o.replace(logits, f"{o.spelled(squash)}({o.code(logits)})")
    for call in o.calls(*_LIBRARY):
        if "from_logits=True" in o.code(call) and len(call.args) > 1:
            value = call.args[1].value
            yield o.replace(value, f"{o.spelled('softmax')}({o.code(value)})")


def _doubled(o: Original) -> Iterator[Edit]:
    for call in o.calls("softmax", "sigmoid", "log_softmax"):
        name = "softmax" if "softmax" in o.function(call) else "sigmoid"
        value = call.args[0].value
        yield o.replace(value, f"{o.spelled(name)}({o.code(value)})")


def _wrong_axis(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        if (
            isinstance(node, cst.Arg)
            and node.keyword is not None
            and node.keyword.value == "axis"
            and o.code(node.value) in ("-1", "[1, 2, 3]")
        ):
            call = next(a for a in o.around(node) if isinstance(a, cst.Call))
            if o.function(call) in ("sum", "mean", "softmax", "log_softmax", "l2_normalize", "max",
                                    "logsumexp", "var"):  # fmt: skip
                yield o.replace(node.value, "0")


def _sum_for_mean(o: Original) -> Iterator[Edit]:
    for value in _returned(o):
        for call in o.calls("mean"):
            if call is value or any(outer is value for outer in o.around(call)):
                text = o.code(call)[len(o.code(call.func)) :]
                yield o.replace(call, o.spelled("sum") + text)


def _constant_count(o: Original) -> Iterator[Edit]:
    for value in _returned(o):
        for call in o.calls("mean"):
            if (call is value or any(outer is value for outer in o.around(call))) and len(
                call.args
            ) == 1:
                text = o.code(call)[len(o.code(call.func)) :]
                yield o.replace(call, f"{o.spelled('sum')}{text} / 128.0")


def _drop_keepdims(o: Original) -> Iterator[Edit]:
    for call in o.calls("sum", "mean", "max", "var", "logsumexp"):
        kept = [a for a in call.args if not (a.keyword and a.keyword.value == "keepdims")]
        if len(kept) < len(call.args):
            args = ", ".join(o.code(a) for a in kept)
            yield o.replace(call, f"{o.code(call.func)}({args})")


def _squeezed(o: Original) -> Iterator[Edit]:
    """Take the last axis, of one element, off the prediction but not off the label."""
    moved = [p for p in o.probe.params if p.differentiated]
    if o.probe.kind == "loss" and len(moved) == 1 and moved[0].shape[1:] == (1,) and o.labels:
        name = moved[0].name
        yield from o.at_head(f"{name} = {o.spelled('squeeze')}({name}, axis=-1)")
    if o.probe.kind == "graph":
        for node in o.nodes:
            if isinstance(node, cst.Assign) and o.code(node.targets[0].target) == "prediction":
                yield o.replace(node.value, f"tf.squeeze({o.code(node.value)}, axis=-1)")


def _label_for_prediction(o: Original) -> Iterator[Edit]:
    if o.probe.kind == "loss" and len(o.labels) == 1 and len(o.predictions) == 1:
        yield from o.at_head(f"{o.predictions[0]} = {o.labels[0]}")


def _label_twice(o: Original) -> Iterator[Edit]:
    if o.probe.kind != "loss" or len(o.predictions) != 1 or len(o.labels) != 1:
        return
    for node in o.nodes:
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Subtract):
            sides = (o.code(node.left), o.code(node.right))
            if set(sides) == {o.labels[0], o.predictions[0]}:
                yield o.replace(node, f"{o.labels[0]} - {o.labels[0]}")


def _other_extreme(o: Original) -> Iterator[Edit]:
    """Turn the side of a hinge round."""
    for call in o.calls("maximum"):
        if o.probe.kind == "loss" and o.value(call.args[1].value) == 0.0:
            args = o.code(call)[len(o.code(call.func)) :]
            yield o.replace(call, o.spelled("minimum") + args)


def _temperature(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        target = None
        if isinstance(node, cst.Param) and node.name.value == "temperature":
            target = node.default
        elif isinstance(node, cst.Assign) and o.code(node.targets[0].target) == "TEMPERATURE":
            target = node.value
        if target is not None:
            for value in ("1e-4", "1e4"):
                yield o.replace(target, value)


def _useless_term(o: Original) -> Iterator[Edit]:
    """Take a term out of the loss by a factor that is always 0."""
    for value in _returned(o):
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
            right = o.operand(value.right)
            text = f"{o.code(value.left)} + {o.spelled('minimum')}(tf.abs({right}), 0.0)"
            yield o.replace(value, text)


def _mutator(
    name: str,
    codes: tuple[str, ...],
    find: Callable[[Original], Iterator[Edit]],
    where: Where = Where.BOTH,
) -> Mutator:
    return Mutator(name, codes, Harm.CHANGED, find, where)


MUTATORS = (
    _mutator("negated loss", _WRONG, _negated),
    _mutator("similarity for distance", _WRONG, _similarity),
    # A signed number under a root is a matter of its own, and so is one against a threshold.
    _mutator("signed error", (*_WRONG, "ACT118", "ACT106", "ACT104", "ACT518"), _signed_error),
    _mutator("library call with swapped arguments", ("ACT510", "ACT512", "ACT511"), _swap_call),
    _mutator(
        "signature with swapped arguments", ("ACT516", "ACT510", *_WRONG, "ACT506"), _swap_signature
    ),
    _mutator("from_logits wrong", ("ACT512", "ACT511"), _logits_flag),
    _mutator("probabilities where logits belong", ("ACT512", "ACT511", "ACT308"), _squashed_logits),
    _mutator("softmax or sigmoid twice", ("ACT308", "ACT512", "ACT511", "ACT207"), _doubled),
    _mutator("axis=-1 to axis=0", ("ACT503", "ACT504", "ACT513"), _wrong_axis),
    _mutator("sum for mean", ("ACT504", "ACT503"), _sum_for_mean),
    _mutator("mean over a constant count", ("ACT505", "ACT504"), _constant_count),
    _mutator("keepdims dropped", ("ACT513", "ACT503"), _drop_keepdims),
    _mutator("(N,) against (N, 1)", ("ACT513", "ACT503", *_WRONG), _squeezed),
    _mutator("label for the prediction", ("ACT206",), _label_for_prediction),
    _mutator("label subtracted from itself", ("ACT206", "ACT507", "ACT508"), _label_twice),
    _mutator("hinge turned round", (*_WRONG, "ACT301"), _other_extreme),
    _mutator(
        "extreme temperature", ("ACT309", "ACT306", "ACT302", "ACT303", "ACT304"), _temperature
    ),
    _mutator("term that never contributes", ("ACT507", "ACT508", "ACT301"), _useless_term),
)
