"""Random programs over the ops table, run in TensorFlow: every value lies in its interval.

The claim "no gradient depends on this input" is checked on the same programs.
"""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actlint.graph import DType, Graph, Items, Node, Ref
from actlint.interval import TINY
from actlint.ops.model import Gradient, Kind, Op
from actlint.ops.table import TABLE
from actlint.query import View

from .graph_builder import Builder, Value

tf = pytest.importorskip("tensorflow")

SHAPE = (5, 3)
# Values at which float32 functions change their ways.
EDGES = (
    *(0.0, 1.0, -1.0, 0.5, -0.6, 1e-7, -1e-7, 1e-30, 1.1754944e-38, 1.0 - 6e-8, 1.0 + 1.2e-7),
    *(2.0, 3.0, -2.0, 17.0, -17.0, 88.7, 88.75, -88.7, -104.0, 1000.0, -1000.0, 0.25, 1e-3),
)


# ---- running a graph ---------------------------------------------------------------------


@functools.cache
def function(path: str) -> Callable[..., Any]:
    root, _, rest = path.partition(".")
    modules = {"tf": tf, "np": np, "operator": operator}
    base = modules[root] if root in modules else importlib.import_module(root)
    return operator.attrgetter(rest)(base)


def static(value: Any, values: Sequence[Any]) -> Any:
    if isinstance(value, Ref):
        return values[value.node]
    if isinstance(value, DType):
        return getattr(tf, value.name)
    if isinstance(value, Items):
        return [static(item, values) for item in value.items]
    return value


def run(op: Op, args: dict[str, Any]) -> Any:
    positional, named = op.arrange(args)
    found = function(op.call)(*positional, **named)
    return found if op.component is None else found[op.component]


def execute(graph: Graph, inputs: dict[str, Any]) -> list[Any]:
    values: list[Any] = []
    for node in graph.nodes:
        if node.input is not None:
            values.append(inputs[node.input.name])
        elif not node.op:
            values.append(node.value)
        else:
            args = {name: static(value, values) for name, value in node.args}
            values.append(run(TABLE[node.op], args))
    return values


# ---- random programs ---------------------------------------------------------------------

Choice = tuple[int, int, int, int]
AXES: tuple[dict[str, Any], ...] = (
    {"keepdims": True},
    {"axis": -1, "keepdims": True},
    {"axis": 1, "keepdims": True},
    {"axis": 0, "keepdims": True},
    {},
)
CONSTANTS = (0.0, 1.0, 0.5, 2.0, -1.0, 1e-7, 3.0, -0.6, 100.0)


class Program:
    """Grows a graph from small numbers; operands are picked from what is there already."""

    def __init__(self, moves: Sequence[Callable[[Program, Choice], None]]) -> None:
        self.builder = Builder()
        self.moves = moves
        b = self.builder
        self.floats: list[Value] = [b.x(), b.input("q", -2.0, 3.0), b.p(), b.label()]
        self.bools: list[Value] = [self.floats[0] > 0.0]

    def pick(self, choice: int) -> Value:
        """Return a value, late ones more often."""
        pool = self.floats
        return pool[-1 - choice % min(len(pool), 4)] if choice % 3 else pool[choice % len(pool)]

    def number(self, choice: int) -> Value | float:
        return CONSTANTS[choice % len(CONSTANTS)] if choice % 2 else self.pick(choice // 2)

    def grow(self, steps: Sequence[Choice]) -> Graph:
        for step in steps:
            self.moves[step[0] % len(self.moves)](self, step)
        return self.builder.graph(self.builder.reduce_sum(self.floats[-1]))


Move = Callable[[Program, Choice], None]


def unary(key: str) -> Move:
    def move(program: Program, choice: Choice) -> None:
        program.floats.append(program.builder.op(key, program.pick(choice[1])))

    return move


def binary(key: str) -> Move:
    def move(program: Program, choice: Choice) -> None:
        x, y = program.pick(choice[1]), program.number(choice[2])
        first, second = (x, y) if choice[3] % 2 else (y, x)
        program.floats.append(program.builder.op(key, first, second))

    return move


def reduction(key: str) -> Move:
    def move(program: Program, choice: Choice) -> None:
        b, named = program.builder, AXES[choice[2] % len(AXES)]
        found = b.op(key, program.pick(choice[1]), **named)
        program.floats.append(found if named else b.broadcast_to(found, SHAPE))

    return move


def comparison(key: str) -> Move:
    def move(program: Program, choice: Choice) -> None:
        b = program.builder
        found = b.op(key, program.pick(choice[1]), program.number(choice[2]))
        program.bools.append(found)
        if choice[3] % 4 == 0:
            program.floats.append(b.cast(found, "float32"))

    return move


def logic(program: Program, choice: Choice) -> None:
    pool = program.bools
    x, y = pool[choice[1] % len(pool)], pool[choice[2] % len(pool)]
    pool.append((~x, x & y, x | y)[choice[3] % 3])


def where(program: Program, choice: Choice) -> None:
    condition = program.bools[-1 - choice[3] % min(3, len(program.bools))]
    found = program.builder.where(condition, program.pick(choice[1]), program.number(choice[2]))
    program.floats.append(found)


def gap(program: Program, choice: Choice) -> None:
    """x less its extreme."""
    b, x = program.builder, program.pick(choice[1])
    key = ("reduce_max", "reduce_min")[choice[2] % 2]
    program.floats.append(x - b.op(key, x, **AXES[choice[3] % len(AXES)]))


def share(program: Program, choice: Choice) -> None:
    """|x| of |x| and something."""
    b = program.builder
    x, y = b.abs(program.pick(choice[1])), b.abs(program.pick(choice[2]))
    program.floats.append(x / (x + y))


def part_of_sum(program: Program, choice: Choice) -> None:
    b, x = program.builder, program.pick(choice[1])
    x = (b.abs(x), b.exp(x), b.square(x))[choice[2] % 3]
    program.floats.append(x / b.reduce_sum(x, **AXES[choice[3] % len(AXES)]))


def length(program: Program, choice: Choice) -> None:
    b, x = program.builder, program.pick(choice[1])
    total = b.reduce_sum(x * x, **AXES[choice[3] % len(AXES)])
    program.floats.append(x / b.sqrt(total + 1e-7))


def mixture(program: Program, choice: Choice) -> None:
    w = program.builder.clip_by_value(program.pick(choice[1]), 0.0, 1.0)
    x, y = program.pick(choice[2]), program.pick(choice[3])
    program.floats.append(w * x + (1.0 - w) * y)


def overlap(program: Program, choice: Choice) -> None:
    b = program.builder
    x = b.clip_by_value(program.pick(choice[1]), 0.0, 1.0)
    y = b.clip_by_value(program.pick(choice[2]), 0.0, 1.0)
    named = AXES[choice[3] % (len(AXES) - 1)]
    both = b.reduce_sum(x * y, **named)
    union = b.reduce_sum(x, **named) + b.reduce_sum(y, **named) - both
    program.floats.append(union)


RELATIONAL: tuple[Move, ...] = (
    *map(unary, ("abs", "negative", "square", "exp", "sqrt", "stop_gradient", "relu", "sigmoid")),
    *map(binary, ("add", "subtract", "multiply", "divide", "maximum", "minimum")),
    *map(reduction, ("reduce_sum", "reduce_max", "reduce_min", "reduce_mean")),
    *map(comparison, ("greater", "less", "greater_equal", "less_equal", "equal", "not_equal")),
    *(logic, where, where, where, gap, share, part_of_sum, length, mixture, overlap),
)


def _takes_floats(op: Op) -> bool:
    """Say whether the op maps float tensors of one shape to such a tensor."""
    args: dict[str, Any] = {name: static(value, ()) for name, value in op.examples}
    args |= {name: tf.fill(SHAPE, 0.25) for name in op.operands if name not in args}
    try:
        found = run(op, args)
    except (TypeError, ValueError, AttributeError, tf.errors.InvalidArgumentError):
        return False  # it wants integers, booleans or another shape
    return (
        isinstance(found, tf.Tensor) and found.dtype == tf.float32 and tuple(found.shape) == SHAPE
    )


# Ops that work along the rows of a matrix; others want shapes of their own, and TensorFlow
# aborts the process where a convolution gets a matrix.
ROWWISE = frozenset(
    {
        *("softmax", "log_softmax", "sparsemax", "l2_normalize", "keras_normalize"),
        *("cumsum", "cumprod", "cumulative_logsumexp", "clip_by_norm", "normalize_values"),
    }
)


@functools.cache
def whole_table() -> tuple[Move, ...]:
    moves: list[Move] = []
    for op in TABLE.values():
        eligible = (op.kind is Kind.ELEMENTWISE or op.key in ROWWISE) and op.transfer and op.runs
        if not eligible or not op.operands or op.draws or "random" in op.key or "dropout" in op.key:
            continue
        if op.results or not _takes_floats(op):
            continue

        def move(program: Program, choice: Choice, op: Op = op) -> None:
            named = dict(op.examples)
            tensors = [name for name in op.operands if name not in named]
            operands = {
                name: program.pick(number)
                for name, number in zip(tensors, choice[1:], strict=False)
            }
            program.floats.append(program.builder.op(op.key, **operands, **named))

        moves.append(move)
    return (*moves, *map(binary, ("add", "multiply", "divide")), where, gap)


# ---- the properties ----------------------------------------------------------------------


def sample(graph: Graph, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    inputs = {}
    for node in graph.inputs:
        assert node.input is not None
        edges = [edge for edge in EDGES if node.input.lo <= edge <= node.input.hi]
        drawn = rng.uniform(node.input.lo, node.input.hi, SHAPE)
        chosen = np.where(rng.random(SHAPE) < 0.7, rng.choice(edges, SHAPE), drawn)
        if rng.random() < 0.3:  # equal elements, as padding and constant batches give
            chosen = np.full(SHAPE, chosen.flat[0])
        inputs[node.input.name] = tf.constant(chosen.astype(np.float32))
    return inputs


def outside(node: Node, value: Any, view: View) -> str | None:
    if not isinstance(value, tf.Tensor):
        return None
    interval = view.interval_everywhere(node)
    numbers = np.asarray(value).astype(np.float64)
    numbers = np.where(np.abs(numbers) < TINY, 0.0, numbers)  # kernels may flush denormals or not
    bad = [number for number in numbers.flat if not interval.contains(number)]
    return f"{node.id}: {node.op}{node.args} gives {bad[0]!r}, not in {interval}" if bad else None


def check(graph: Graph, seed: int) -> None:
    view = View(graph)
    inputs = sample(graph, seed)
    with tf.GradientTape() as tape:
        tape.watch(list(inputs.values()))
        values = execute(graph, inputs)
    for node, value in zip(graph.nodes, values, strict=True):
        problem = outside(node, value, view)
        assert problem is None, problem
    if view.has_gradient() or not values[graph.output].dtype.is_floating:
        return
    names = [node.name for node in view.differentiated_inputs()]
    try:
        gradients = tape.gradient(values[graph.output], [inputs[name] for name in names])
    except LookupError:  # TensorFlow has registered no gradient, and says so
        return
    for name, gradient in zip(names, gradients, strict=True):
        silent = gradient is None or not np.any(np.nan_to_num(np.asarray(gradient), nan=0.0))
        assert silent, f"{name} has a gradient in {[node.op for node in graph.nodes]}"


CHOICES = st.lists(st.tuples(*[st.integers(0, 999)] * 4), min_size=2, max_size=14)
SETTINGS = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@settings(SETTINGS, max_examples=1000)
@given(CHOICES, st.integers(0, 10**6))
def test_relations_are_sound(steps: list[Choice], seed: int) -> None:
    check(Program(RELATIONAL).grow(steps), seed)


@settings(SETTINGS, max_examples=200)
@given(CHOICES, st.integers(0, 10**6))
def test_the_table_is_sound(steps: list[Choice], seed: int) -> None:
    check(Program(whole_table()).grow(steps), seed)


def test_the_table_is_covered() -> None:
    assert len(whole_table()) > 80
    assert any(op.gradient is Gradient.NONE for op in TABLE.values())
