"""The interval evaluation on programs whose singular points are known."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from actlint.graph import Graph, InputRole, Items
from actlint.interval import MAX, TINY, Interval
from actlint.ops.model import Cause, Effect
from actlint.query import Hit, View

from .graph_builder import Builder, Value

EPS = 1e-7
Program = Callable[[Builder], Value]


def view(program: Program) -> View:
    builder = Builder()
    return View(builder.graph(program(builder)))


def hits(program: Program) -> list[tuple[str, Cause, bool]]:
    seen = view(program)
    return [
        (node.op, hit.region.cause, hit.masked) for node in seen.nodes() for hit in seen.hits(node)
    ]


def interval(program: Program) -> Interval:
    seen = view(program)
    return seen.interval_everywhere(seen.graph.output)


def total(b: Builder, x: Value, axis=None, keepdims=None) -> Value:
    named = {"axis": axis, "keepdims": keepdims}
    return b.reduce_sum(x, **{key: value for key, value in named.items() if value is not None})


def largest(b: Builder, x: Value, axis=None, keepdims=None) -> Value:
    named = {"axis": axis, "keepdims": keepdims}
    return b.reduce_max(x, **{key: value for key, value in named.items() if value is not None})


def shifted(b: Builder, x: Value) -> Value:
    return b.exp(x - largest(b, x, -1, True))


def double_where(b: Builder) -> Value:
    x = b.x()
    safe = b.where(x > 0.0, x, 1.0)
    return b.where(x > 0.0, b.log(safe), 0.0)


def dice(b: Builder) -> Value:
    y, p = b.label(), b.p()
    return (2.0 * total(b, y * p) + 1.0) / (total(b, y) + total(b, p) + 1.0)


def jaccard(b: Builder) -> Value:
    y, p = b.label(), b.p()
    both = total(b, y * p, -1)
    return (both + EPS) / (total(b, y, -1) + total(b, p, -1) - both + EPS)


def jaccard_of_union(b: Builder) -> Value:
    y, p = b.label(), b.p()
    both = total(b, y * p)
    return both / (total(b, y + p - y * p) + EPS)


def p_t(b: Builder) -> Value:
    y, p = b.label(), b.p()
    return y * p + (1.0 - y) * (1.0 - p)


def logsumexp(b: Builder) -> Value:
    x = b.x()
    top = b.stop_gradient(largest(b, x, 1))
    return b.log(total(b, b.exp(x - b.expand_dims(top, 1)), 1)) + top


CLEAN: dict[str, Program] = {
    "softsign": lambda b: (x := b.x()) / (1.0 + b.abs(x)),
    "softsign, mirrored": lambda b: (x := b.x()) / (b.abs(x) + 1.0),
    "guarded quotient": lambda b: b.x() / (b.abs(b.input("b")) + EPS),
    "log1p of abs": lambda b: b.log1p(b.abs(b.x())),
    "sqrt of squares plus eps": lambda b: b.sqrt(total(b, b.square(b.x())) + EPS),
    "sqrt of x * x plus eps": lambda b: b.sqrt((x := b.x()) * x + EPS),
    "sqrt of x ** 2 plus eps": lambda b: b.sqrt(b.x() ** 2 + EPS),
    "sqrt of repeated expression": lambda b: b.sqrt((x := b.x()) * 2.0 * (2.0 * x) + EPS),
    "shifted softmax": lambda b: (x := b.x()) / total(b, b.exp(x - largest(b, x))),
    "shifted softmax by row": lambda b: (e := shifted(b, b.x())) / total(b, e, -1, True),
    "shifted softmax, mean": lambda b: (e := shifted(b, b.x())) / b.reduce_mean(e, -1, True),
    "log of shifted sum": lambda b: b.log(total(b, shifted(b, b.x()), -1)),
    "hand-written logsumexp": logsumexp,
    "clipped log": lambda b: b.log(b.clip_by_value(b.input("p"), EPS, 1 - EPS)),
    "clipped log of complement": lambda b: b.log(1.0 - b.clip_by_value(b.p(), EPS, 1 - EPS)),
    "division by a shape": lambda b: total(b, x := b.x()) / b.cast(b.size(x), "float32"),
    "division by a count": lambda b: b.x() / b.cast(b.size(b.label()), "float32"),
    "double where": double_where,
    "log sigmoid plus eps": lambda b: b.log(b.sigmoid(b.x()) + EPS),
    "log maximum": lambda b: b.log(b.maximum(b.x(), 1e-6)),
    "sqrt maximum": lambda b: b.sqrt(b.maximum(b.x(), EPS)),
    "log softmax plus eps": lambda b: b.log(b.softmax(b.x()) + EPS),
    "square of complement": lambda b: b.pow(1.0 - b.p(), 2.0),
    "focal weight": lambda b: b.pow(
        1.0 - b.p(), b.input("gamma", 1.0, 5.0, role=InputRole.PARAMETER)
    ),
    "focal weight of p_t": lambda b: b.pow(1.0 - p_t(b), 1.5),
    "log of clipped p_t": lambda b: b.log(p_t(b) + EPS),
    "dice": dice,
    "jaccard": jaccard,
    "jaccard of union": jaccard_of_union,
    "jaccard with abs": lambda b: (
        (both := total(b, b.abs((y := b.label()) * (p := b.p())), -1))
        / (total(b, b.abs(y) + b.abs(p), -1) - both + EPS)
    ),
    "exact zero": lambda b: 1.0 / (1.0 + ((x := b.x()) - x)),
    "straight through": lambda b: 1.0 / (1.0 + ((x := b.x()) - b.stop_gradient(x))),
    "gap to the largest": lambda b: b.log(1.0 + (largest(b, x := b.x()) - x)),
    "spread": lambda b: b.sqrt(largest(b, x := b.x(), 1) - b.reduce_min(x, 1) + EPS),
    "divided by what bounds it": lambda b: b.log(2.0 - (x := b.abs(b.x())) / (x + 1.0)),
    "share of a sum": lambda b: b.log(2.0 - (p := b.exp(-b.abs(b.x()))) / (total(b, p) + EPS)),
    "cosine": lambda b: b.log(
        1.1
        - total(
            b, b.l2_normalize(b.input("a"), axis=-1) * b.l2_normalize(b.input("b"), axis=-1), -1
        )
    ),
    "cosines of all pairs": lambda b: b.log(
        1.1
        - b.matmul(
            b.l2_normalize(b.input("a"), axis=1),
            b.l2_normalize(b.input("b"), axis=1),
            transpose_b=True,
        )
    ),
    "cosines of columns": lambda b: b.log(
        1.1 - b.dot(b.l2_normalize(b.input("a"), axis=-1), b.l2_normalize(b.input("b"), axis=0))
    ),
    "unit direction": lambda b: b.log(1.1 - (x := b.x()) / b.sqrt(total(b, x * x, -1, True) + EPS)),
    "unit direction by rsqrt": lambda b: b.log(
        1.1 - (x := b.x()) * b.rsqrt(total(b, b.square(x), -1, True) + EPS)
    ),
    "softmax adds up": lambda b: b.log(total(b, b.softmax(b.x(), axis=-1), -1)),
    "norm of a softmax": lambda b: b.norm(b.softmax(b.x()), axis=-1),
    "norm of the sizes of clusters": lambda b: b.norm(total(b, b.softmax(b.x()), 0), axis=-1),
    "norm of a Gram matrix": lambda b: (
        (ss := b.matmul(b.transpose(s := b.softmax(b.x())), s))
        / b.norm(ss, axis=Items((-1, -2)), keepdims=True)
    ),
    "norm of several Gram matrices": lambda b: b.norm(
        b.matmul(b.transpose(s := b.softmax(b.x()), perm=Items((0, 2, 1))), s),
        axis=Items((-2, -1)),
    ),
    "trace of a Gram matrix": lambda b: (
        1.0 / b.trace(b.matmul(s := b.softmax(b.x()), s, transpose_a=True))
    ),
    "root of the sum of the squares of a softmax": lambda b: b.sqrt(
        total(b, b.square(b.softmax(b.x())), -1)
    ),
    "mean over the other axis": lambda b: b.norm(b.reduce_mean(b.softmax(b.x()), axis=-2)),
    "one-hot of the largest": lambda b: (
        (one := b.cast(b.equal(x := b.x(), largest(b, x, -1, True)), "float32"))
        / total(b, one, -1, True)
    ),
    "reversed divisor": lambda b: 1.0 / (1.0 + b.exp(-b.abs(b.x()))),
    "softplus inverse": lambda b: 1.0 / (1.0 + b.softplus(b.x())),
    "divide_no_nan": lambda b: b.divide_no_nan(b.x(), b.input("b")),
    "mish": lambda b: (x := b.x()) * b.tanh(b.softplus(x)),
    "swish": lambda b: (x := b.x()) * b.sigmoid(x),
    "mean squared error": lambda b: b.reduce_mean(b.square(b.label() - b.input("p"))),
    "acos inside": lambda b: b.acos(b.clip_by_value(b.x(), -0.999, 0.999)),
    "boolean mask": lambda b: b.log(b.boolean_mask(x := b.x(), x > 0.0)),
    "where of abs, both": lambda b: 1.0 / b.where(b.abs(x := b.x()) < 1e-6, 1.0, x),
    "where not equal, both": lambda b: 1.0 / b.where(b.not_equal(x := b.x(), 0.0), x, 1.0),
    "where or": lambda b: 1.0 / b.where((x := b.x()) > 1.0, x, b.where(x < -1.0, x, 1.0)),
    "nested where": lambda b: b.log(b.where((x := b.x()) > 1.0, x - 0.5, b.where(x > 0.5, x, 1.0))),
    "where nan": lambda b: b.sqrt(b.where(b.is_nan(x := b.p()), 0.5, x + 0.5)),
}


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_singular_is_reached(name: str) -> None:
    assert hits(CLEAN[name]) == []


Z, N, OVER, E = Cause.ZERO, Cause.NEGATIVE, Cause.OVERFLOW, Cause.EDGE

FLAGGED: dict[str, tuple[Program, list[tuple[str, Cause]]]] = {
    "shifted divisor": (lambda b: (x := b.x()) ** 2 / (x + 0.6), [("divide", Z)]),
    "epsilon lost in float32": (
        lambda b: b.log(1.0 - b.clip_by_value(b.p(), 1e-10, 1 - 1e-10)),
        [("log", Z)],
    ),
    "distance": (
        lambda b: b.sqrt(total(b, b.square(b.input("a") - b.input("b")))),
        [("sqrt", Z)],
    ),
    "norm": (lambda b: b.norm(b.x()), [("norm", Cause.ZERO_VECTOR)]),
    "norm along another axis": (
        lambda b: b.norm(b.softmax(b.x()), axis=0),
        [("norm", Cause.ZERO_VECTOR)],
    ),
    "rows of a Gram matrix": (
        lambda b: b.norm(b.matmul(b.transpose(s := b.softmax(b.x())), s), axis=-1),
        [("norm", Cause.ZERO_VECTOR)],
    ),
    "trace of a product": (
        lambda b: 1.0 / b.trace(b.matmul(b.softmax(b.input("a")), b.softmax(b.input("c")))),
        [("divide", Z)],
    ),
    "Gram matrix of anything": (
        lambda b: b.norm(b.matmul(b.transpose(x := b.x()), x), axis=Items((-2, -1))),
        [("norm", Cause.ZERO_VECTOR)],
    ),
    "masked softmax": (
        lambda b: b.norm(b.softmax(b.x()) * b.label(), axis=-1),
        [("norm", Cause.ZERO_VECTOR)],
    ),
    "log softmax": (lambda b: b.log(b.softmax(b.x())), [("log", Z)]),
    "log sigmoid": (lambda b: b.log(b.sigmoid(b.x())), [("log", Z)]),
    "square root as power": (lambda b: b.x() ** 0.5, [("pow", Z), ("pow", N)]),
    "acos of clip": (
        lambda b: b.acos(b.clip_by_value(b.x(), -1.0, 1.0)),
        [("acos", E), ("acos", E)],
    ),
    "unshifted softmax": (
        lambda b: (e := b.exp(b.x())) / total(b, e),
        [("exp", OVER), ("divide", Z)],
    ),
    "logistic": (lambda b: 1.0 / (1.0 + b.exp(-b.x())), [("exp", OVER)]),
    "log of a difference": (lambda b: b.log(b.p("p") - b.p("q")), [("log", Z), ("log", N)]),
    "dice without smoothing": (
        lambda b: total(b, (y := b.label()) * (p := b.p())) / (total(b, y) + total(b, p)),
        [("divide", Z)],
    ),
    "shift by another row": (
        lambda b: 1.0 / total(b, b.exp((x := b.x()) - largest(b, x, 0, True)), -1),
        [("divide", Z)],
    ),
    "misaligned sum": (
        lambda b: b.log(1.5 - (p := b.p()) / (total(b, p, 0) + EPS)),
        [("log", Z), ("log", N)],
    ),
    "cast to int is not the value": (
        lambda b: 1.0 / (1.0 + (x := b.x()) - b.cast(b.cast(x, "int32"), "float32")),
        [("divide", Z)],
    ),
}


@pytest.mark.parametrize("name", FLAGGED)
def test_what_is_singular_is_found(name: str) -> None:
    program, expected = FLAGGED[name]
    found = hits(program)
    assert sorted((op, cause) for op, cause, _ in found) == sorted(expected)
    assert not any(masked for _, _, masked in found)


MASKED: dict[str, tuple[Program, list[tuple[str, Cause]]]] = {
    "rational branch": (
        lambda b: b.where((x := b.x()) >= 0.0, x**2 / (x + 0.6), 0.01 * x),
        [("divide", Z)],
    ),
    "log in a branch": (
        lambda b: b.where((x := b.x()) > 0.0, b.log(x), 0.0),
        [("log", Z), ("log", N)],
    ),
    "not equal": (
        lambda b: b.where(b.not_equal(x := b.x(), 0.0), 1.0 / x, 0.0),
        [("divide", Z)],
    ),
    "equal, other branch": (
        lambda b: b.where(b.equal(x := b.x(), 0.0), 0.0, 1.0 / x),
        [("divide", Z)],
    ),
    "abs": (lambda b: b.where(b.abs(x := b.x()) > 0.1, 1.0 / x, 0.0), [("divide", Z)]),
    "negated": (
        lambda b: b.where(~((x := b.x()) <= 0.0), b.log(x), 0.0),
        [("log", Z), ("log", N)],
    ),
    "and": (
        lambda b: b.where(((x := b.x()) > 0.0) & (x < 5.0), b.log(x), 0.0),
        [("log", Z), ("log", N)],
    ),
    "or": (
        lambda b: b.where(((x := b.x()) > 1.0) | (x < -1.0), 1.0 / x, 0.0),
        [("divide", Z)],
    ),
    "of a computed value": (
        lambda b: b.where(1.0 - (p := b.p()) > 0.0, b.log(1.0 - p), 0.0),
        [("log", Z)],
    ),
    "through a shift": (
        lambda b: b.where((x := b.x()) - 2.0 > 0.0, b.log(x), 0.0),
        [("log", Z), ("log", N)],
    ),
    "of two values": (
        lambda b: b.where((x := b.x()) > (y := b.input("c")), b.log(x - y), 0.0),
        [("log", Z), ("log", N)],
    ),
    "of two unequal values": (
        lambda b: b.where(b.not_equal(x := b.x(), y := b.input("c")), 1.0 / (x - y), 0.0),
        [("divide", Z)],
    ),
    "nested": (
        lambda b: b.where((x := b.x()) > 0.0, b.where(x < 1.0, b.sqrt(x), b.log(x)), 0.0),
        [("log", Z), ("log", N), ("sqrt", Z), ("sqrt", N)],
    ),
    "exp": (lambda b: b.where((x := b.x()) > 0.0, x, b.exp(x) - 1.0), [("exp", OVER)]),
    "mask as a cast": (
        lambda b: b.where(b.cast(b.cast((x := b.x()) > 0.0, "float32"), "bool"), b.log(x), 0.0),
        [("log", Z), ("log", N)],
    ),
}


@pytest.mark.parametrize("name", MASKED)
def test_unselected_branches_are_masked(name: str) -> None:
    program, expected = MASKED[name]
    found = hits(program)
    assert sorted((op, cause) for op, cause, _ in found) == sorted(expected)
    assert all(masked for _, _, masked in found)


def test_a_masked_pole_without_gradient_matters_if_it_is_a_factor() -> None:
    def factor(b: Builder) -> Value:
        inverse = 1.0 / (count := total(b, b.label()))
        return b.where(count > 0.0, total(b, b.p()) * inverse, 0.0)

    def term(b: Builder) -> Value:
        y = b.label()
        return b.where(y > 0.0, y * (b.log(y) - b.log(b.p() + EPS)), 0.0)

    assert hits(factor) == [("divide", Cause.ZERO, True)]
    assert hits(term) == []


UNMASKED: dict[str, Program] = {
    "condition on another value": lambda b: b.where(b.input("c") > 0.0, b.log(b.x()), 0.0),
    "used outside too": lambda b: b.where((x := b.x()) > 0.0, (inner := b.log(x)), 0.0) + inner,
    "reduced inside": lambda b: b.where((x := b.x()) > 0.0, total(b, b.log(x)), 0.0),
    "the wrong branch": lambda b: b.where((x := b.x()) > 0.0, 0.0, b.log(x)),
    "the bound belongs": lambda b: b.where((x := b.x()) >= 0.0, b.log(x), 0.0),
}


@pytest.mark.parametrize("name", UNMASKED)
def test_selection_that_does_not_guard(name: str) -> None:
    found = hits(UNMASKED[name])
    assert any(op == "log" and not masked for op, _, masked in found)


def test_values() -> None:
    assert interval(lambda b: (x := b.x()) - x) == Interval(0.0, 0.0, integer=False)
    assert interval(lambda b: (x := b.x()) / (b.abs(x) + 1.0)) == Interval(-1.0, 1.0)
    assert interval(lambda b: (x := b.x()) * x).lo == 0.0
    assert interval(p_t) == Interval(0.0, 1.0)
    assert interval(lambda b: largest(b, x := b.x()) - x).lo == 0.0
    assert interval(lambda b: total(b, shifted(b, b.x()), -1)).lo > 0.999
    assert interval(lambda b: b.where((x := b.x()) > 0.0, x, 0.0)).lo == 0.0
    assert interval(lambda b: b.where((x := b.x()) > 0.0, x, 1.0)).lo == TINY


def test_narrowed_and_everywhere() -> None:
    builder = Builder()
    x = builder.x()
    inside = x + 1.0
    seen = View(builder.graph(builder.where(x > 0.0, inside, 0.0)))
    assert seen.interval(inside.id).lo == 1.0
    assert seen.interval_everywhere(inside.id).lo == -999.0
    assert seen.interval(x.id).lo == -1000.0  # the condition reads it everywhere


def test_assumptions_hold_on_the_whole_path() -> None:
    builder = Builder()
    x = builder.x()
    builder.assume(x > 0.5)
    output = builder.log(x)
    seen = View(builder.graph(output))
    assert seen.hits(output.id) == ()
    assert seen.interval_everywhere(x.id).lo > 0.5


def test_assumptions_of_two_values_and_of_inequality() -> None:
    builder = Builder()
    x, y = builder.x(), builder.input("c")
    builder.assume(x > y)
    builder.assume(builder.equal(x, 0.0), truth=False)
    output = builder.log(x - y) / x
    seen = View(builder.graph(output))
    assert [hit for node in seen.nodes() for hit in seen.hits(node)] == []


def test_a_hit_says_where_to_aim() -> None:
    seen = view(lambda b: b.log(b.x() + 2.0))
    zero, negative = seen.hits(seen.graph.output)
    assert (zero.target.lo, zero.target.hi) == (0.0, 0.0)
    assert (negative.target.lo, negative.target.hi) == (-998.0, -TINY)
    assert zero.target.node == zero.operand.id == 1
    assert seen.hits(seen.graph.output)[0].region.effect is Effect.POLE


def test_vector_targets() -> None:
    seen = view(lambda b: b.norm(b.x()))
    (hit,) = seen.hits(seen.graph.output)
    assert hit.target.vector == "zero-vector"
    seen = view(lambda b: b.reduce_std(b.x()))
    (hit,) = seen.hits(seen.graph.output)
    assert hit.target.vector == "constant-vector"


def test_cusps_count_on_the_gradients_way_only() -> None:
    def label_norm(b: Builder) -> Value:
        return total(b, b.p() * b.norm(b.input("y", role=InputRole.LABEL)))

    assert hits(label_norm) == []
    assert hits(lambda b: b.p() * b.log(b.label())) == [("log", Cause.ZERO, False)]


def test_overflow_of_a_hidden_layer_is_no_overflow_of_a_probability() -> None:
    assert hits(lambda b: b.exp(b.p())) == []
    (found,) = hits(lambda b: b.exp(b.x()))
    assert found == ("exp", Cause.OVERFLOW, False)


def test_unreachable_values_have_no_hits() -> None:
    builder = Builder()
    x = builder.x()
    dead = builder.log(x)
    seen = View(builder.graph(x + 1.0))
    assert seen.hits(dead.id) == ()
    assert [node.op for node in seen.nodes()] == ["add"]


def _chain(length: int) -> Graph:
    builder = Builder()
    x = builder.x()
    value = x
    for step in range(length):
        value = builder.where(x > float(step % 7), value * 0.5 + x, builder.abs(value) - 1.0)
    return builder.graph(value)


def test_deep_graphs_stay_linear() -> None:
    graph = _chain(1000)  # 5,000 nodes
    assert len(graph.nodes) > 5000
    start = time.perf_counter()
    seen = View(graph)
    found: list[Hit] = [hit for node in seen.nodes() for hit in seen.hits(node)]
    assert seen.cuts() == ()
    assert time.perf_counter() - start < 20.0
    assert all(abs(hit.target.lo) <= MAX for hit in found)
