"""The worker finds shapes and encodings with which a program runs."""

from __future__ import annotations

import pytest

from actlint.findings import Check, Hazard, Reach, Verdict
from actlint.graph import InputRole, Items, Ref, Role, Slice

from .verdicts import INF, WIDE, Build, ask, at

bench_module = pytest.importorskip("actlint.worker.bench")
program_module = pytest.importorskip("actlint.worker.program")
Bench, Program = bench_module.Bench, program_module.Program


def test_sparse_labels() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(limits=(0.0, 1000.0), integer=True), g.prediction()
    hot = g("one_hot", y, 5)
    log = g("log", p)
    out = g("negative", g("reduce_sum", g("multiply", hot, log)))
    outcome = ask(g, out, log, Check.NONFINITE, at(p, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED, outcome.reason


def test_columns_that_a_subscript_asks_for() -> None:
    g = Build(Role.LOSS)
    p = g.prediction(limits=WIDE)
    everything = Slice(None, None, None)
    column = g("getitem", p, Items((everything, 6)))
    out = g("reduce_mean", g("sqrt", g("abs", column)))
    root = Ref(out.node - 1)
    outcome = ask(g, out, root, Check.NONFINITE, at(Ref(root.node - 1), 0.0))
    assert outcome.verdict is Verdict.CONFIRMED, outcome.reason


def test_no_shape_runs() -> None:
    g = Build()
    x = g.input()
    out = g("reshape", x, Items((17, 19, -1)))
    outcome = ask(g, out, out)
    assert outcome.verdict is Verdict.UNCONFIRMED
    assert outcome.reason
    assert outcome.reason.startswith("no input shape was found")


def test_path_conditions_hold_at_the_witness() -> None:
    g = Build()
    x = g.input()
    above = g("greater", x, 1.0)
    out = g("log", g("subtract", x, 1.0))
    inner = Ref(out.node - 1)
    target = at(inner, -INF, 0.0)
    free = ask(g, out, out, Check.NONFINITE, target)
    assert free.verdict is Verdict.CONFIRMED
    bound = ask(g, out, out, Check.NONFINITE, target, assumptions=((above.node, True),))
    assert bound.verdict is Verdict.REFUTED, bound.evidence


def test_large_shapes_of_the_source_are_tried_small() -> None:
    g = Build(Role.GRAPH)
    x = g.input("x", WIDE, InputRole.DATA, shape=(None, 784))
    weights = g.input("W", WIDE, InputRole.VARIABLE, shape=(784, 10))
    y = g.label("y_", shape=(None, 10))
    soft = g("softmax", g("matmul", x, weights))
    log = g("log", soft)
    out = g("negative", g("reduce_sum", g("multiply", y, log)))
    found = ask(g, out, log, Check.NONFINITE, at(soft, 0.0)).evidence
    assert found is not None
    assert found.reach is Reach.EXTENDED
    assert len(found.witness["W"]) <= 8  # type: ignore[arg-type]


def test_rows_that_touch_are_run_one_batch_at_a_time() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(), g.prediction()
    below = g("add", g("reduce_sum", y), g("reduce_sum", p))
    ratio = g("divide", g("multiply", 2.0, g("reduce_sum", g("multiply", y, p))), below)
    out = g("subtract", 1.0, ratio)
    found = ask(g, out, ratio, Check.NONFINITE, at(below, 0.0)).evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    assert found.reach is Reach.STRUCTURAL


def test_many_inputs_are_not_combined_in_every_way() -> None:
    g = Build(Role.LOSS)
    total = g.prediction()
    for _ in range(16):  # each can take several forms: all combinations would fill the memory
        total = g("add", total, g.label())
    out = g("log", total)
    outcome = ask(g, out, out, Check.NONFINITE, at(total, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED, outcome.reason


def test_axes_that_a_permutation_names() -> None:
    g = Build()
    x = g.input()
    turned = g("transpose", x, Items((0, 2, 1, 4, 3)))
    out = g("log", turned)
    outcome = ask(g, out, out, Check.NONFINITE, at(turned, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED, outcome.reason


def test_parts_that_a_split_asks_for() -> None:
    g = Build()
    boxes, scale = g.input("boxes"), g.input("scale")
    parts = g("split", boxes, 4, 1)
    height = g("subtract", g("getitem", parts, 2), g("getitem", parts, 0))
    flat = g("squeeze", height, 1)
    out = g("multiply", g("sqrt", flat), g("reduce_sum", scale, 2))
    outcome = ask(g, out, Ref(out.node - 2), Check.NONFINITE, at(flat, -INF, 0.0))
    assert outcome.verdict is Verdict.CONFIRMED, outcome.reason


def test_values_of_unknown_dtype_take_the_one_that_runs() -> None:
    g = Build()
    x = g.input()
    least = g.input("least", role=InputRole.CUT)
    level = g("maximum", g("cast", g("floor", x), "int32"), least)
    out = g("divide", x, g("cast", level, "float32"))
    outcome = ask(g, out, out, Check.NONFINITE, at(Ref(out.node - 1), 0.0))
    assert outcome.verdict is not Verdict.UNCONFIRMED, outcome.reason


def test_labels_have_the_column_that_a_subscript_leaves_off() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(), g.prediction()
    everything = Slice(None, None, None)
    labels = g("getitem", y, Items((everything, everything, Slice(None, -1, None))))
    out = g("reduce_mean", g("square", g("subtract", labels, p)))
    bench = Bench(job := g.job(out), Program(job))
    label, prediction = bench.templates[0].slots
    assert label.shape[-1] == prediction.shape[-1] + 1  # type: ignore[operator]
    assert not bench.spreads(bench.templates[0])


def test_a_column_that_remains_is_not_spread() -> None:
    g = Build(Role.LOSS)
    y, p = g.label(shape=(None, 2)), g.prediction(shape=(None, 2))
    labels = g("getitem", y, Items((Slice(None, None, None), Slice(1, None, None))))
    out = g("reduce_mean", g("square", g("subtract", labels, p)))
    bench = Bench(job := g.job(out), Program(job))
    assert bench.spreads(bench.templates[0])  # there are no other shapes


def test_an_ordinary_witness_where_many_inputs_fail() -> None:
    g = Build()
    x = g.input()
    out = g("multiply", 0.0, g("log", g("negative", x)))
    log = Ref(out.node - 1)
    outcome = ask(g, out, log, Check.NONFINITE, at(Ref(log.node - 1), -INF, 0.0))
    assert outcome.evidence is not None
    assert outcome.evidence.reach is Reach.TYPICAL
    common = outcome.evidence.detail["common"]
    assert isinstance(common, float)
    assert 0.4 < common < 0.6
