"""Slices for the worker, and the programs that people paste."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest

from actlint import excerpt
from actlint.findings import Check, Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Dots, DType, InputRole, Items, Role, Slice
from actlint.rendering import literal, render
from actlint.repro import repro as program_of

from .graph_builder import Builder, Value

SUSPECT = Suspect("ACT000", 0, "`x` is bad", Check.NONFINITE)


def body(build: Callable[[Builder], Value]) -> str:
    """Return the rendered function, from its head on."""
    b = Builder()
    graph = b.graph(build(b), Role.ACTIVATION)
    nodes = excerpt.sliced(graph, {graph.output})
    return render(nodes, graph.output, "Outer.f").text


def expression(build: Callable[[Builder], Value]) -> str:
    text = body(build).splitlines()
    assert len(text) == 2
    return text[1].strip().removeprefix("return ")


def unsafe_where(b: Builder) -> Value:
    x = b.x()
    return b.where(x >= 0.0, x**2 / (x + 0.6), 0.01 * x)


# ---- rendering -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (unsafe_where, "tf.where(x >= 0.0, x**2 / (x + 0.6), 0.01 * x)"),
        (lambda b: b.x() - (b.x() - 1.0), "x - (x_2 - 1.0)"),
        (lambda b: b.x() - 1.0 - 2.0, "x - 1.0 - 2.0"),
        (lambda b: 6.0 / (b.x() / 2.0), "6.0 / (x / 2.0)"),
        (lambda b: (b.x() + 1.0) * -2.0, "(x + 1.0) * -2.0"),
        (lambda b: (-b.x()) ** 2, "(-x) ** 2"),
        (lambda b: -(b.x() ** 2), "-x**2"),
        (lambda b: b.x() ** -0.5, "x ** -0.5"),
        (lambda b: (-2.0) ** b.op("identity", b.x()), "(-2.0) ** tf.identity(x)"),
        (lambda b: (b.x() ** 2) ** 3, "(x**2) ** 3"),
        (lambda b: 2.0 ** (b.x() ** 3), "2.0 ** x**3"),
        (lambda b: b.equal(b.x() > 0.0, b.x() < 1.0), "(x > 0.0) == (x_2 < 1.0)"),
        (lambda b: b.cast(b.x(), "int32"), "tf.cast(x, dtype=tf.int32)"),
        (lambda b: b.reduce_sum(b.x(), axis=(0, 1)), "tf.reduce_sum(x, axis=[0, 1])"),
        (lambda b: b.moments_variance(b.x(), axes=(0,)), "tf.nn.moments(x, axes=[0])[1]"),
        (lambda b: b.concat([b.x(), b.x()], axis=-1), "tf.concat([x, x_2], axis=-1)"),
        (lambda b: b.einsum("ij,ij->i", [b.x(), b.x()]), "tf.einsum('ij,ij->i', x, x_2)"),
        (lambda b: b.x() * b.const(1e-10), "x * 1e-10"),
        (lambda b: b.maximum(b.x(), -math.inf), 'tf.maximum(x, float("-inf"))'),
        (lambda b: b.np_zeros((2,)) * b.x(), "np.zeros(shape=[2]) * x"),
    ],
)  # fmt: skip
def test_expressions(build: Callable[[Builder], Value], expected: str):
    assert expression(build) == expected


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, "x[0]"),
        (-1, "x[-1]"),
        (Items((Dots(), 0)), "x[..., 0]"),
        (Items((Slice(None, None, None), Slice(1, -1, None))), "x[:, 1:-1]"),
        (Slice(None, None, 2), "x[::2]"),
        (Items((Slice(0, 3, None), None)), "x[0:3, None]"),
        (Items((1,)), "x[1,]"),
    ],
)
def test_subscripts(index: object, expected: str):
    b = Builder()
    x = b.x()
    nodes = [*b.nodes, b.nodes[b.op("getitem", x).id]]
    node = nodes.pop()
    # The builder writes lists only.
    changed = type(node)(node.id, node.op, (*node.args, ("index", index)), node.site)
    assert render([b.nodes[0], changed], node.id, "f").text.endswith(f"return {expected}")


def test_values_that_are_used_twice_get_the_users_name():
    def build(b: Builder) -> Value:
        x = b.x()
        e = b.exp(x)
        b.nodes[e.id] = type(b.nodes[e.id])(e.id, "exp", b.nodes[e.id].args, b.nodes[e.id].site,
                                            name="e")  # fmt: skip
        return e / (e + 1.0)

    assert body(build) == "def f(x):\n    e = tf.exp(x)\n    return e / (e + 1.0)"


def test_a_long_expression_is_cut_into_lines():
    def build(b: Builder) -> Value:
        value = b.x()
        for _ in range(12):
            value = b.tanh(value * 0.25)
        return value

    lines = body(build).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) < 100


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Focal.call", "call"),
        ("focal.<locals>.loss", "loss_"),
        ("<lambda>", "f"),
        ("<module>", "f"),
        ("tf", "tf_"),
        ("class", "class_"),
    ],
)
def test_function_names(name: str, expected: str):
    b = Builder()
    b.x()
    assert render(b.nodes, 0, name).name == expected


def test_names_do_not_collide():
    b = Builder()
    total = b.input("f") + b.input("tape") + b.input("lambda") + b.input("value")
    text = render(b.nodes, total.id, "f").text
    assert text.splitlines()[0] == "def f(f_2, tape_, t, value_):"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-0.6, "-0.6"),
        (-0.6000000238418579, "-0.6"),
        (1e-7, "1e-07"),
        (3.4028234663852886e38, "3.4028235e+38"),
        ([1, 2], "[1, 2]"),
        ([[True], [0.5]], "[[True], [0.5]]"),
        (math.nan, 'float("nan")'),
        (-math.inf, 'float("-inf")'),
    ],
)
def test_literals(value: object, expected: str):
    assert literal(value) == expected


# ---- jobs ----------------------------------------------------------------------------------


def make_job(b: Builder, output: Value, node: Value, **more: object):
    suspect = Suspect("ACT000", node.id, "m", Check.NONFINITE)
    return excerpt.job(b.graph(output, Role.LOSS), [suspect], id=3, seed=1, samples=64)


def test_a_job_holds_the_slice_and_keeps_ids():
    b = Builder()
    x = b.x()
    b.exp(b.input("unused"))
    kept = b.log(x)
    b.assume(x > 0.0)
    job = make_job(b, kept, kept)
    assert job is not None
    assert [step.id for step in job.instructions] == [x.id, kept.id, kept.id + 1]
    assert (job.id, job.seed, job.samples, job.output) == (3, 1, 64, kept.id)


def test_no_free_input_no_job():
    b = Builder()
    one = b.log(b.const(1.0))
    assert make_job(b, one, one) is None


def test_calls_of_user_code_become_free_inputs():
    b = Builder()
    x = b.x()
    called = b.py_function("f", [x], DType("float32"))
    job = make_job(b, called * x, called)
    assert job is not None
    step = next(step for step in job.instructions if step.id == called.id)
    assert step.input is not None
    assert step.input.role is InputRole.CUT
    assert not step.args


# ---- repros --------------------------------------------------------------------------------


def evidence(hazard: Hazard, witness: dict[str, object], **more: object) -> Outcome:
    fields: dict[str, object] = {
        "value": 0.0, "gradient": None, "mode": "eager", "samples": 1, "hits": 1, "rate": None,
        "reach": Reach.TYPICAL, **more,
    }  # fmt: skip
    return Outcome(Verdict.CONFIRMED, None, Evidence(hazard, witness, **fields))


def repro(
    build: Callable[[Builder], tuple[Value, Value]], check: Check, outcome: Outcome, name: str = "f"
) -> str:
    b = Builder()
    output, node = build(b)
    suspect = Suspect("ACT000", node.id, "`it` passes no gradient", check)
    return program_of(b.graph(output, Role.ACTIVATION), suspect, outcome, name)


def both(build: Callable[[Builder], Value]) -> Callable[[Builder], tuple[Value, Value]]:
    def made(b: Builder) -> tuple[Value, Value]:
        value = build(b)
        return value, value

    return made


def norm(b: Builder) -> Value:
    y, p = b.input("y_true", role=InputRole.LABEL), b.input("y_pred")
    return b.op("sqrt", b.reduce_sum(b.square(y - p), axis=-1))


def sparse(b: Builder) -> Value:
    y = b.input("y_true", role=InputRole.LABEL, integer=True)
    return -b.log(b.gather(b.p("p"), y))


def scaled(b: Builder) -> Value:
    return b.sign(b.x()) * b.input("alpha", role=InputRole.PARAMETER, default=0.25)


def masked(b: Builder) -> tuple[Value, Value]:
    x = b.x()
    mask = b.cast(x > 0.0, "float32")
    return x + mask, mask


def numpy_loss(b: Builder) -> Value:
    return b.reduce_mean(b.np_abs(b.x()))


def staircase(b: Builder) -> Value:
    return b.floor(b.x() * 2.0)


def maximal(b: Builder) -> Value:
    y, p = b.label("y_true"), b.p("y_pred")
    return -b.reduce_mean(b.square(y - p))


CASES = {
    "unsafe where": (
        repro(both(unsafe_where), Check.NONFINITE, evidence(Hazard.NAN, {"x": -0.6})),
        "gradient: [nan]",
    ),
    "labels": (
        repro(both(norm), Check.NONFINITE,
              evidence(Hazard.NAN, {"y_true": [[0.0]], "y_pred": [[0.0]]}), "dist"),
        "gradient: [[[nan]]]",
    ),
    "integer labels, sparse gradient": (
        repro(both(sparse), Check.NONFINITE,
              evidence(Hazard.INF, {"y_true": [1], "p": [0.5, 0.0]})),
        "gradient: [[0.0, -inf]]",
    ),
    "zeros, a hyperparameter": (
        repro(both(scaled), Check.NO_GRADIENT, evidence(Hazard.ZERO_GRADIENT, {"x": [0.5]})),
        "gradient: [[0.0]]",
    ),
    "the node alone": (
        repro(masked, Check.CUT, evidence(Hazard.NO_GRADIENT, {"x": 0.5}, detail={"partial": 1.0})),
        "gradient: [None]",
    ),
    "numpy": (
        repro(both(numpy_loss), Check.NO_GRADIENT, evidence(Hazard.NO_GRADIENT, {"x": [-0.5]})),
        "gradient: [None]",
    ),
    "graph mode": (
        repro(both(unsafe_where), Check.NONFINITE,
              evidence(Hazard.NAN, {"x": -0.6}, mode="graph"), "run"),
        "gradient: [nan]",
    ),
    "xla, where eager is finite": (
        repro(both(lambda b: b.where(b.const(False), b.op("sqrt", b.x()), 0.0)), Check.NONFINITE,
              evidence(Hazard.NAN, {"x": 0.0}, mode="xla")),
        "gradient: [nan]",
    ),
    "a jump": (
        repro(both(staircase), Check.CONTINUITY,
              evidence(Hazard.DISCONTINUOUS, {"x": 0.5})),
        "values: [0.0, 1.0, 1.0]",
    ),
    "a loss that is not smallest at the target": (
        repro(both(maximal), Check.MINIMUM,
              evidence(Hazard.WRONG_LOSS, {"y_true": [1.0], "y_pred": [0.999]})),
        "loss after descent: -0.998",
    ),
}  # fmt: skip
TURNING = repro(
    both(lambda b: b.sin(b.x())), Check.MONOTONICITY,
    evidence(Hazard.NON_MONOTONIC, {"x": 3.14}, detail={"turning_points": [1.5708]}),
)  # fmt: skip

RUNNER = """
import contextlib, io, sys, traceback
for text in sys.stdin.read().split("\\0"):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(text, "repro", "exec"), {"__name__": "__main__"})
        except Exception:
            print(traceback.format_exc().splitlines()[-1])
    print(out.getvalue(), end="\\0")
"""


def run_all(programs: list[str]) -> list[str]:
    """Run programs in one process that has TensorFlow; return the last line of each."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input="\0".join(programs), capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    return [text.strip().splitlines()[-1] for text in done.stdout.split("\0")[:-1]]


def test_repros_show_the_hazard():
    lines = run_all([text for text, _ in CASES.values()])
    assert dict(zip(CASES, lines, strict=True)) == {name: line for name, (_, line) in CASES.items()}


def test_a_turning_point_shows_slopes_of_both_signs():
    (line,) = run_all([TURNING])
    slopes = [float(part) for part in line.removeprefix("slopes: [").rstrip("]").split(", ")]
    assert min(slopes) < 0.0 < max(slopes)


@pytest.mark.parametrize("name", CASES)
def test_repros_are_short_and_compile(name: str):
    text = CASES[name][0]
    compile(text, name, "exec")
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= 100


def test_the_whole_text_of_a_repro():
    assert (
        CASES["unsafe where"][0]
        == """import tensorflow as tf


def f(x):
    return tf.where(x >= 0.0, x**2 / (x + 0.6), 0.01 * x)


x = tf.constant(-0.6)
with tf.GradientTape() as tape:
    tape.watch([x])
    value = f(x)
gradients = tape.gradient(value, [x])
# expect nan
print("value:", value.numpy().tolist())
gradients = [g if g is None else tf.convert_to_tensor(g).numpy().tolist() for g in gradients]
print("gradient:", gradients)
"""
    )


def test_no_evidence_no_repro():
    b = Builder()
    graph = b.graph(b.exp(b.x()))
    assert program_of(graph, SUSPECT, Outcome(Verdict.REFUTED, "no"), "f") == ""
