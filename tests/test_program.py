"""The interpreter of the worker: what it runs, refuses and repeats."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from actlint.graph import Input, InputRole, Ref, Role
from actlint.ops.table import TABLE
from actlint.worker.protocol import Instruction, Job

from .graph_builder import Builder, Value
from .jobs import job_of, pole

X = Input("x", InputRole.ACTIVATION, True, -math.inf, 1000.0, (None, 3), default=0.5)


@pytest.fixture(scope="module")
def programs():
    """The interpreter's module; TensorFlow is loaded into the test process."""
    return pytest.importorskip("actlint.worker.program")


class TestProgram:
    @pytest.fixture(autouse=True)
    def _modules(self, programs):
        self.module = programs
        self.tf = programs.tf

    def run(self, build: Callable[[Builder], Value], feed: object = -0.6):
        job = job_of(build)
        (place,) = (step.id for step in job.instructions if step.input is not None)
        return self.module.Program(job).forward({place: self.tf.constant(feed)})[job.output]

    def test_every_mode_agrees(self):
        job = job_of(pole)
        program = self.module.Program(job)

        def slope(x):
            with self.tf.GradientTape() as tape:
                tape.watch(x)
                values = program.forward({0: x})
            return values[job.output], tape.gradient(values[job.output], x)

        x = self.tf.constant([0.5, -2.0, 1.5])
        expected = [[value.numpy().tolist() for value in slope(x)]]
        for compiled in (False, True):
            traced = self.tf.function(slope, autograph=False, jit_compile=compiled)
            expected.append([value.numpy().tolist() for value in traced(x)])
        for value, slopes in expected[1:]:
            assert value == pytest.approx(expected[0][0])
            assert slopes == pytest.approx(expected[0][1])

    def test_constants_are_weakly_typed(self):
        assert self.run(lambda b: b.x() * 2).dtype == self.tf.float32
        assert self.run(lambda b: b.x() * 2, [3]).dtype == self.tf.int32
        with pytest.raises((TypeError, self.tf.errors.InvalidArgumentError)):
            self.run(lambda b: b.x() * 0.5, [3])

    def test_subscripts(self):
        value = self.run(lambda b: b.op("getitem", b.x(), [0, 1]), [[1.0, 2.0]])
        assert value.numpy() == 2.0

    def test_components(self):
        value = self.run(lambda b: b.moments_variance(b.x(), axes=(0,)), [1.0, 3.0])
        assert value.numpy() == 1.0

    def test_a_fed_value_is_not_computed(self):
        job = job_of(pole)
        inner = job.instructions[-2].id
        values = self.module.Program(job).forward({0: self.tf.constant(3.0), inner: 1.5})
        assert values[job.output].numpy() == 2.0

    def test_random_ops_repeat(self):
        def noisy(b: Builder) -> Value:
            return b.x() + b.random_normal((2,))

        assert self.run(noisy).numpy().tolist() == self.run(noisy).numpy().tolist()

    def test_every_row_resolves(self):
        for key, row in TABLE.items():
            if row.runs:
                assert callable(self.module.callable_of(key)), key

    @pytest.mark.parametrize("key", ["os.system", "__import__", "io.write_file", "py_function", ""])
    def test_only_rows_run(self, key: str):
        step = Instruction(1, key, (("x", Ref(0)),))
        job = Job(0, "f", Role.GRAPH, (Instruction(0, "", (), X), step), 1, (), (), 0, 1)
        if key:
            with pytest.raises(self.module.NotAllowed):
                self.module.Program(job)
        else:
            assert self.module.Program(job).forward({0: 1.0})[1] is None

    def test_unknown_parameters_are_refused(self):
        step = Instruction(1, "log", (("x", Ref(0)), ("file", "/etc/passwd")))
        job = Job(0, "f", Role.GRAPH, (Instruction(0, "", (), X), step), 1, (), (), 0, 1)
        with pytest.raises(self.module.NotAllowed, match="file"):
            self.module.Program(job).forward({0: self.tf.constant(1.0)})

    @pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 4, 4)])
    @pytest.mark.parametrize(
        "key", ["conv2d", "depthwise_conv2d", "max_pool2d", "avg_pool2d", "max_pool", "avg_pool"]
    )
    def test_too_few_axes_are_an_error(self, key: str, shape: tuple[int, ...]):
        """Unchecked, an eager conv2d ends the process."""

        def build(b: Builder) -> Value:
            row = TABLE[key]
            filters = {name: b.ones((2, 2, 1, 1)) for name in row.operands[1:]}
            return b.op(key, b.x(), **filters, **dict(row.examples))

        feed = self.tf.ones(shape)
        if key in ("max_pool", "avg_pool") and len(shape) == 3:
            pytest.skip("rank 3 is pooling along one axis")
        with pytest.raises(ValueError, match=f"has rank {len(shape)}"):
            self.run(build, feed)
        assert self.run(build, self.tf.ones((1, 4, 4, 1))).shape == (1, 4, 4, 1)

    @pytest.mark.parametrize(
        "build",
        [
            lambda b: b.x() * b.zeros((10**5, 10**5)),
            lambda b: b.tile(b.x(), (10**9,)),
            lambda b: b.repeat(b.x(), 10**9),
            lambda b: b.fill((10**5, 10**4), 1.0) + b.x(),
            lambda b: b.eye(10**5) + b.x(),
            lambda b: b.range(0, 10**10, 1) + b.x(),
            lambda b: b.one_hot(b.cast(b.x(), "int32"), 10**9),
            lambda b: b.pad(b.x(), ((0, 10**9),)),
            lambda b: b.broadcast_to(b.x(), (10**5, 10**5)),
            lambda b: b.np_zeros((10**5, 10**5)) + b.x(),
            lambda b: b.x() * (b.const(10) ** (10**9)),
            lambda b: b.x() * (b.const(10**2000)),
            lambda b: b.x() * (b.const([1]) * 10**9),
            lambda b: b.x() * b.reduce_sum(b.ones((9000, 7000)) + b.ones((2, 9000, 7000))),
        ],
    )
    def test_huge_values_are_refused_before_they_are_made(self, build: Callable[[Builder], Value]):
        began = time.monotonic()
        with pytest.raises(self.module.TooLarge):
            self.run(build, [0.5])
        assert time.monotonic() - began < 2.0

    def test_ordinary_sizes_are_not_refused(self):
        def usual(b: Builder) -> Value:
            x = b.x()
            wide = b.tile(b.reshape(x, (100, 100)), (4, 4))
            return b.reduce_sum(wide) + b.reduce_sum(b.pad(x, ((50, 50),)))

        assert self.run(usual, [0.0] * 10_000).numpy() == 0.0

    def test_strings_are_no_operands(self):
        with pytest.raises(self.module.NotAllowed):
            self.run(lambda b: b.op("mod", "%1000000000d", b.x()))
