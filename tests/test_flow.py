"""The gradient flow on programs whose cuts are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actlint.graph import InputRole
from actlint.query import View

from .graph_builder import Builder, Value

Program = Callable[[Builder], Value]


def view(program: Program) -> View:
    builder = Builder()
    return View(builder.graph(program(builder)))


def step(b: Builder, x: Value, at: float = 0.0) -> Value:
    return b.cast(x > at, "float32")


def straight_through(b: Builder) -> Value:
    x = b.x()
    return x + b.stop_gradient(b.round(x) - x)


def masked_mean(b: Builder) -> Value:
    error = b.square((y := b.label()) - (p := b.p()))
    mask = b.cast(b.not_equal(p, -1.0), "float32") * b.cast(b.not_equal(y, -1.0), "float32")
    return b.reduce_sum(error * mask) / b.reduce_sum(mask)


def f1(b: Builder) -> Value:
    y, p = b.label(), b.round(b.p())
    hits = b.reduce_sum(y * p)
    precision = hits / (b.reduce_sum(p) + 1e-7)
    recall = hits / (b.reduce_sum(y) + 1e-7)
    return 1.0 - 2.0 * precision * recall / (precision + recall + 1e-7)


def accuracy(b: Builder) -> Value:
    right = b.equal(b.argmax(b.label(), axis=-1), b.argmax(b.p(), axis=-1))
    return b.reduce_mean(b.cast(right, "float32"))


CUTS: dict[str, tuple[Program, list[str]]] = {
    "unit step": (lambda b: step(b, b.x()), ["greater"]),
    "sign": (lambda b: b.sign(b.x()), ["sign"]),
    "round": (lambda b: b.round(b.x()), ["round"]),
    "floor": (lambda b: b.floor(b.x() * 4.0) / 4.0, ["floor"]),
    "integer cast": (lambda b: b.cast(b.cast(b.x(), "int32"), "float32"), ["cast"]),
    "where between constants": (lambda b: b.where(b.x() > 0.0, 1.0, 0.0), ["greater"]),
    "one-hot of argmax": (
        lambda b: b.reduce_mean(b.square(b.label() - b.one_hot(b.argmax(b.p(), axis=-1), 3))),
        ["argmax"],
    ),
    "accuracy": (accuracy, ["argmax"]),
    "rounded labels only": (lambda b: b.reduce_sum(b.label() * b.round(b.p())), ["round"]),
    "f1": (f1, ["round"]),
    "hidden in a sum": (
        lambda b: b.reduce_mean(b.square(b.label() - (p := b.p()))) + b.reduce_mean(b.round(p)),
        ["round"],
    ),
    "stop_gradient of everything": (lambda b: b.square(b.stop_gradient(b.x())), ["stop_gradient"]),
    "chain": (lambda b: b.sign(b.round(b.x())), ["round"]),
    "numpy": (lambda b: b.square(b.numpy_value(b.p())), ["numpy_value"]),
}


@pytest.mark.parametrize("name", CUTS)
def test_cuts(name: str) -> None:
    program, expected = CUTS[name]
    assert [node.op for node in view(program).cuts()] == expected


SILENT: dict[str, Program] = {
    "relu by hand": lambda b: (x := b.x()) * step(b, x),
    "leaky relu by hand": lambda b: b.where((x := b.x()) > 0.0, x, 0.2 * x),
    "straight through": straight_through,
    "sample mask": masked_mean,
    "focal weight": lambda b: b.stop_gradient(b.pow(1.0 - (p := b.p()), 2.0)) * b.log(p),
    "shift by the largest": lambda b: b.exp((x := b.x()) - b.stop_gradient(b.reduce_max(x))),
    "argmax of labels": lambda b: b.sparse_softmax_cross_entropy_with_logits(
        b.argmax(b.label(), axis=-1), b.x()
    ),
    "signed square root": lambda b: b.sign(x := b.x()) * b.sqrt(b.abs(x) + 1e-7),
    "picked by argmax": lambda b: b.gather(p := b.p(), b.argmax(p, axis=-1)),
    "boolean mask": lambda b: b.boolean_mask(x := b.x(), x > 0.0),
    "huber": lambda b: b.where(b.abs(e := b.label() - b.p()) < 1.0, 0.5 * e * e, b.abs(e) - 0.5),
    "shape of the prediction": lambda b: b.reduce_sum(p := b.p()) / b.cast(b.size(p), "float32"),
    "depth from a cut value": lambda b: (
        b.p() * b.one_hot(b.argmax(b.label(), axis=-1), b.input("units", role=InputRole.CUT))
    ),
    "index from a cut value": lambda b: b.p() * b.one_hot(b.input("path", role=InputRole.CUT), 3),
    "class index": lambda b: b.p() * b.cast(b.input("k", 0.0, 9.0, integer=True), "float32"),
    "nan guard": lambda b: b.where(b.is_nan(x := b.x()), b.zeros_like(x), x),
    "dead metric": lambda b: (b.round(p := b.p()), b.square(p))[1],
    "thresholded labels": lambda b: b.p() * step(b, b.label(), 0.5),
}


@pytest.mark.parametrize("name", SILENT)
def test_no_cuts(name: str) -> None:
    seen = view(SILENT[name])
    assert seen.cuts() == ()
    assert seen.has_gradient()


def test_flow_of_single_nodes() -> None:
    builder = Builder()
    x, y = builder.x(), builder.label()
    rounded = builder.round(x)
    inner = builder.square(y)
    output = builder.reduce_sum(rounded * inner + x)
    seen = View(builder.graph(output))
    assert seen.depends(rounded.id)
    assert not seen.depends_differentiably(rounded.id)
    assert seen.differentiable_to_output(rounded.id)
    assert not seen.on_gradient_path(rounded.id)
    assert seen.on_gradient_path(x.id)
    assert not seen.depends(inner.id)
    assert seen.reaches_output(inner.id)
    assert [node.name for node in seen.differentiated_inputs()] == ["x"]


def test_a_loss_without_its_prediction() -> None:
    builder = Builder()
    builder.p()
    seen = View(builder.graph(builder.square(builder.label())))
    assert not seen.has_gradient()
    assert seen.cuts() == ()


def test_structure() -> None:
    builder = Builder()
    x = builder.input("x", role=InputRole.ACTIVATION)
    soft = builder.softmax(x, axis=-1)
    shaped = builder.reshape(builder.cast(soft, "float32"), [-1])
    output = builder.log(shaped + 1e-7)
    seen = View(builder.graph(output))
    assert seen.definition(shaped.id).op == "softmax"
    assert seen.derives_from(output.id, "softmax")
    assert not seen.derives_from(output.id, "sigmoid")
    assert seen.static(soft.id, "axis") == -1
    assert seen.operand(output.id, "x") == seen.node(output.id - 1)
    assert [node.op for node in seen.nodes("log", "softmax")] == ["softmax", "log"]
    assert [user.op for user in seen.users(soft.id)] == ["cast"]
