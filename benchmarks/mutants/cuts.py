"""Mutators that cut the gradient or spoil its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import libcst as cst

from mutants.model import Edit, Harm, Mutator, Where
from mutants.syntax import Original

Finder = Callable[[Original], Iterator[Edit]]

_CUT = ("ACT201", "ACT203", "ACT202", "ACT204", "ACT205")


def _rebound(template: str) -> Finder:
    """Return a finder that binds the prediction anew at the start; {x} is its name."""

    def find(o: Original) -> Iterator[Edit]:
        names = o.predictions
        if not names or len(names) > 1 or (o.probe.kind == "regularizer"):
            return
        yield from o.at_head(f"{names[0]} = " + _filled(o, template, names[0]))

    return find


def _filled(o: Original, template: str, x: str) -> str:
    """Return a template with the library's functions as this file writes them."""
    for name in ("argmax", "one_hot", "round", "stop_gradient", "sign", "floor", "squeeze"):
        template = template.replace(f"<{name}>", o.spelled(name))
    while "<float " in template:
        start = template.index("<float ")
        end = template.index(" float>")
        template = template[:start] + o.floats(template[start + 7 : end]) + template[end + 7 :]
    return template.replace("{x}", x)


def _one_of(kinds: tuple[str, ...], domains: tuple[str, ...], find: Finder) -> Finder:
    """Return a finder for some kinds of originals, and some domains of what training moves."""

    def chosen(o: Original) -> Iterator[Edit]:
        moved = [p.domain for p in o.probe.params if p.differentiated]
        if o.probe.kind in kinds and (not domains or set(moved) & set(domains)):
            yield from find(o)

    return chosen


def _matmul(text: str) -> Finder:
    """Return a finder that puts a function round the first matrix product of a script."""

    def find(o: Original) -> Iterator[Edit]:
        if o.probe.kind in ("graph", "step"):
            for node in o.nodes:
                if (
                    isinstance(node, cst.Assign)
                    and isinstance(node.targets[0].target, cst.Name)
                    and node.targets[0].target.value in ("logits", "y_pred", "scores", "prediction")
                ):
                    yield o.replace(node.value, text.replace("{x}", o.code(node.value)))

    return find


def _both(*finders: Finder) -> Finder:
    def find(o: Original) -> Iterator[Edit]:
        for finder in finders:
            yield from finder(o)

    return find


def _numpy(o: Original) -> Iterator[Edit]:
    names = {"square": "square", "mean": "mean", "sum": "sum", "abs": "abs", "exp": "exp",
             "log": "log", "sqrt": "sqrt", "tanh": "tanh", "maximum": "maximum"}  # fmt: skip
    for call in o.calls(*names):
        if o.probe.kind not in ("loss", "activation"):
            continue
        args = ", ".join(o.code(a) for a in call.args)
        yield o.replace(call, f"np.{names[o.function(call)]}({args})")


def _floor_division(o: Original) -> Iterator[Edit]:
    for node in o.nodes:
        if (
            isinstance(node, cst.BinaryOperation)
            and isinstance(node.operator, cst.Divide)
            and o.value(node.left) is None
            and not o.code(node).startswith("math.")
        ):
            yield o.replace(node, f"{o.operand(node.left)} // {o.operand(node.right)}")


def _sign_of_error(o: Original) -> Iterator[Edit]:
    for call in o.calls("abs", "square"):
        if o.probe.kind in ("loss", "step"):
            inner = o.code(call.args[0].value)
            yield o.replace(call, f"{o.spelled('sign')}({inner})")


def _steep(o: Original) -> Iterator[Edit]:
    for call in o.calls("tanh", "sigmoid"):
        if o.probe.kind in ("activation", "layer"):
            inner = o.operand(call.args[0].value)
            yield o.replace(call, f"{o.code(call.func)}(100.0 * {inner})")


def _narrow_clip(o: Original) -> Iterator[Edit]:
    for call in o.calls("clip"):
        x = o.code(call.args[0].value)
        low, high = ("0.45", "0.55") if o.probe.kind in ("loss", "graph") else ("0.0", "0.1")
        yield o.replace(call, f"{o.code(call.func)}({x}, {low}, {high})")


def _jump(o: Original) -> Iterator[Edit]:
    if o.probe.kind != "activation":
        return
    for call in o.calls("where"):
        value = call.args[2].value
        if len(call.args) == 3 and o.value(value) is None and o.function(value) != "ones_like":
            yield o.replace(value, f"{o.code(value)} - 0.5")


def _falling(o: Original) -> Iterator[Edit]:
    if o.probe.kind != "activation":
        return
    for call in o.calls("where"):
        value = call.args[2].value
        if len(call.args) == 3 and o.value(value) is None and o.function(value) != "ones_like":
            yield o.replace(value, f"-{o.operand(value)}")


def _gradients(o: Original) -> Iterator[tuple[cst.BaseExpression, str]]:
    """Yield what hand-written gradients return, with the name of their argument."""
    for node in o.nodes:
        if isinstance(node, cst.FunctionDef) and node.name.value == "grad":
            for inner in o.nodes:
                if (
                    isinstance(inner, cst.Return)
                    and next(a for a in o.around(inner) if isinstance(a, cst.FunctionDef)) is node
                ):
                    assert inner.value is not None
                    yield inner.value, node.params.params[0].name.value


def _gradient(template: str) -> Finder:
    def find(o: Original) -> Iterator[Edit]:
        for value, upstream in _gradients(o):
            text = template.replace("{g}", o.code(value)).replace("{dy}", upstream)
            yield o.replace(value, text)

    return find


def _straight_through(template: str) -> Finder:
    """Return a finder of `x + stop_gradient(hard - x)`; {s} is stop_gradient."""

    def find(o: Original) -> Iterator[Edit]:
        for node in o.nodes:
            if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Add):
                continue
            call = node.right
            if isinstance(call, cst.Call) and o.function(call) == "stop_gradient":
                inner = call.args[0].value
                if isinstance(inner, cst.BinaryOperation):
                    yield o.replace(
                        node,
                        template.replace("{s}", o.code(call.func))
                        .replace("{hard}", o.code(inner.left))
                        .replace("{x}", o.code(node.left)),
                    )

    return find


_LOSSES = ("loss",)
_UNITS = ("probability", "simplex", "unit")
MUTATORS = (
    Mutator(
        "threshold on the prediction", _CUT, Harm.CHANGED,
        _one_of(_LOSSES, _UNITS, _rebound("<float {x} > 0.5 float>")),
    ),
    Mutator(
        "round on the prediction", _CUT, Harm.CHANGED,
        _both(_rebound("<round>({x})"), _matmul("tf.round({x})")),
    ),
    Mutator(
        "argmax of the prediction", ("ACT202", "ACT203", "ACT201"), Harm.CHANGED,
        _one_of(_LOSSES, ("simplex", "logits"),
                _rebound("tf.one_hot(<argmax>({x}, axis=-1), 3)")),
    ),
    Mutator(
        "stop_gradient on the prediction", ("ACT205",), Harm.CHANGED,
        _both(_rebound("<stop_gradient>({x})"), _matmul("tf.stop_gradient({x})")),
    ),
    Mutator(
        "cast of the prediction to integers", ("ACT514", "ACT201", "ACT203"), Harm.CHANGED,
        _rebound('tf.cast(tf.cast({x}, "int32"), "float32")'),
    ),
    Mutator("numpy call", ("ACT204",), Harm.CHANGED, _numpy),
    Mutator("// for /", ("ACT514", "ACT201", "ACT203", "ACT101", "ACT103", "ACT117"),
            Harm.CHANGED, _floor_division),
    # A signed number under a root is a matter of its own.
    Mutator("sign of the error",
            ("ACT201", "ACT203", "ACT501", "ACT101", "ACT104", "ACT105", "ACT118"),
            Harm.CHANGED, _sign_of_error),
    Mutator("a hundred times steeper", ("ACT306", "ACT302", "ACT303", "ACT304", "ACT401", "ACT207"),
            Harm.CHANGED, _steep),
    Mutator(
        "saturated activation", ("ACT302", "ACT303", "ACT306", "ACT304", "ACT301"), Harm.CHANGED,
        _one_of(("activation",), (), _rebound("100.0 * tf.tanh(10.0 * {x} + 30.0)")),
    ),
    Mutator("clip bounds narrowed", ("ACT301", "ACT303", "ACT501", "ACT502"),
            Harm.CHANGED, _narrow_clip),
    Mutator("jump between pieces", ("ACT402",), Harm.CHANGED, _jump),
    Mutator("falling piece", ("ACT401",), Harm.CHANGED, _falling),
    Mutator("custom gradient doubled", ("ACT207",), Harm.CHANGED, _gradient("2.0 * {g}"),
            Where.BOTH),
    Mutator("custom gradient negated", ("ACT207",), Harm.CHANGED, _gradient("-({g})"), Where.BOTH),
    Mutator("custom gradient zero", ("ACT207",), Harm.CHANGED,
            _gradient("tf.zeros_like({dy})"), Where.BOTH),
    Mutator("custom gradient ignores the point", ("ACT207",), Harm.CHANGED, _gradient("{dy}"),
            Where.BOTH),
    Mutator("straight-through with branches swapped", ("ACT208", "ACT201", "ACT205"),
            Harm.CHANGED, _straight_through("{s}({x}) + ({hard} - {x})"), Where.BOTH),
    Mutator("straight-through with another value", ("ACT208",), Harm.CHANGED,
            _straight_through("{x} + {s}({hard})"), Where.BOTH),
    Mutator("straight-through without stop_gradient", ("ACT208", "ACT201"), Harm.CHANGED,
            _straight_through("{x} + ({hard} - {x})"), Where.BOTH),
    Mutator("straight-through with doubled gradient", ("ACT208",), Harm.CHANGED,
            _straight_through("2.0 * {x} + {s}({hard} - 2.0 * {x})"), Where.BOTH),
)  # fmt: skip
