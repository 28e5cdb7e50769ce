"""The worker process, its pipe, its sandbox and the interpreter in it."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlint import excerpt
from actlint.client import Client, WorkerError
from actlint.findings import (
    Check,
    Evidence,
    Hazard,
    Outcome,
    Reach,
    Suspect,
    Target,
    Verdict,
)
from actlint.graph import Arg, Dots, DType, Input, InputRole, Items, Ref, Role, Slice
from actlint.ops.table import TABLE
from actlint.worker.protocol import (
    Answer,
    Failed,
    Instruction,
    Job,
    ProtocolError,
    Ready,
    decode,
    encode,
)

from .graph_builder import Builder, Value

# ---- the pipe ------------------------------------------------------------------------------

X = Input("x", InputRole.ACTIVATION, True, -math.inf, 1000.0, (None, 3), default=0.5)
JOB = Job(
    7, "f", Role.LOSS, (Instruction(0, "", (), X), Instruction(4, "log", (("x", Ref(0)),))), 4,
    ((0, True),), (Suspect("ACT102", 4, "m", Check.CUT, (Target(0, 0.0, 1.0, "zero-vector"),)),),
    0, 64,
)  # fmt: skip
EVIDENCE = Evidence(
    Hazard.NAN, {"x": [[1.0], [2]], "y": True}, math.inf, None, "xla", 9, 1, 2e-8, Reach.TYPICAL,
    {"points": [0.5], "share": 0.25, "note": "ü"},
)  # fmt: skip
ANSWER = Answer(7, (Outcome(Verdict.CONFIRMED, None, EVIDENCE), Outcome(Verdict.REFUTED, "no")))

operands = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.builds(Ref, st.integers(0)) | st.builds(DType, st.text()) | st.just(Dots()),
    lambda inner: st.builds(lambda items: Items(tuple(items)), st.lists(inner))
    | st.builds(Slice, inner, inner, inner),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("record", [JOB, ANSWER, Ready("2.21.0", "none"), Failed("why")])
def test_records_survive_the_pipe(record: Job):
    line = encode(record)
    assert line.isascii()
    assert line.index("\n") == len(line) - 1
    assert decode(line) == record


@given(operands)
def test_operands_survive_the_pipe(operand: Arg):
    job = Job(0, "f", Role.GRAPH, (Instruction(0, "", (("a", operand),), value=operand),), 0, (),
              (), 0, 1)  # fmt: skip
    found = decode(encode(job))
    assert found == job
    # Equality does not tell 1 from 1.0 and True, but ops do.
    assert repr(found) == repr(job)


def test_nan_survives_the_pipe():
    found = decode(encode(Answer(1, (Outcome(Verdict.REFUTED, "r", Evidence(
        Hazard.NAN, {}, math.nan, None, "eager", 1, 1, None, Reach.TYPICAL)),))))  # fmt: skip
    assert isinstance(found, Answer)
    assert found.outcomes[0].evidence is not None
    assert math.isnan(found.outcomes[0].evidence.value or 0.0)


def changed(path: str, value: object) -> str:
    """Return JOB's line with one field replaced; "-" removes it."""
    message = json.loads(encode(JOB))
    *steps, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place = message
    for step in steps:
        place = place[step]
    if value == "-":
        del place[last]
    else:
        place[last] = value
    return json.dumps(message)


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "[]", "1", '"job"', "{}", '{"kind": "job"}', "\x00\xff",
        '{"kind": "job", "body": []}', '{"kind": "nothing", "body": {}}',
        '{"kind": [], "body": {}}', "[" * 100_000,
        '{"kind": "ready", "body": {"tensorflow": 1, "sandbox": ""}}',
        changed("body.id", "7"), changed("body.id", True), changed("body.id", 1.0),
        changed("body.id", "-"), changed("body.extra", 1), changed("extra", 1),
        changed("body.role", "boss"), changed("body.role", []), changed("body.name", None),
        changed("body.instructions", {}), changed("body.instructions.0", None),
        changed("body.instructions.0.input.shape", [None, "3"]),
        changed("body.instructions.0.input.lo", "0"),
        changed("body.instructions.0.input.lo", 10**400),
        changed("body.instructions.0.value", []),
        changed("body.instructions.0.value", {"ref": "0"}),
        changed("body.instructions.0.value", {"ref": 0, "dtype": "int32"}),
        changed("body.instructions.0.value", {"slice": [None]}),
        changed("body.instructions.0.value", {"code": "import os"}),
        changed("body.instructions.1.args", [["x"]]),
        changed("body.assumptions", [[0, 1]]),
        changed("body.suspects.0.check", "whatever"),
    ],
)  # fmt: skip
def test_malformed_lines_are_a_clean_error(line: str):
    with pytest.raises(ProtocolError):
        decode(line)


def test_what_has_no_json_form_is_a_clean_error():
    with pytest.raises(ProtocolError, match="no place"):
        encode(Answer(1, (object(),)))  # type: ignore[arg-type]


# ---- the interpreter -----------------------------------------------------------------------


def job_of(
    build: Callable[[Builder], Value], suspects: int = 1, check: Check = Check.NONFINITE
) -> Job:
    b = Builder()
    output = build(b)
    zero = tuple(
        Target(ref.node, 0.0, 0.0)
        for name, ref in b.nodes[output.id].args
        if name == "y" and isinstance(ref, Ref)
    )
    suspect = Suspect("ACT000", output.id, "m", check, zero)
    job = excerpt.job(b.graph(output, Role.ACTIVATION), [suspect] * suspects, id=output.id,
                      seed=0, samples=256)  # fmt: skip
    assert job is not None
    return job


def pole(b: Builder) -> Value:
    x = b.x()
    return x / (x + 0.6)


def smooth(b: Builder) -> Value:
    x = b.x()
    return x / (b.abs(x) + 1.0)


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


# ---- the sandbox ---------------------------------------------------------------------------

CONFINED = """
import os, socket, subprocess, sys, tempfile
from actlint.worker import sandbox
outside = sys.argv[1]
layers = sandbox.restrict(os.getcwd())
if {hook}:
    sandbox.guard(os.getcwd())
open("inside", "w").write("kept")
os.mkdir("folder"); os.rename("inside", "folder/inside")
open(os.devnull, "w").close()
open(__file__).read() if "__file__" in globals() else open("/proc/self/status").read()
import decimal, wave, colorsys  # lazy imports go on
attempts = {{
    "write": lambda: open(outside + "/new", "w"),
    "append": lambda: open(outside + "/old", "a"),
    "os.open": lambda: os.open(outside + "/old", os.O_RDWR),
    "truncate": lambda: os.truncate(outside + "/old", 0),
    "remove": lambda: os.remove(outside + "/old"),
    "rename": lambda: os.rename(outside + "/old", outside + "/moved"),
    "mkdir": lambda: os.mkdir(outside + "/made"),
    "out of scratch": lambda: os.rename("folder/inside", outside + "/moved"),
    "by a link": lambda: (os.symlink(outside, "link"), open("link/new", "w")),
    "process": lambda: subprocess.run(["/bin/true"], check=True),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5),
    "kill": lambda: os.kill(os.getppid(), 0),
    "eval": lambda: eval("1 + 1"),
}}
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        continue
    print(name)
print("layers:", layers)
"""


def confined(tmp_path: Path, environment: dict[str, str], port: int, hook: bool) -> list[str]:
    scratch, outside = tmp_path / "scratch", tmp_path / "outside"
    scratch.mkdir()
    outside.mkdir()
    (outside / "old").write_text("old", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED.format(hook=hook), str(outside), str(port)],
        cwd=scratch, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in outside.iterdir()] == ["old"]
    assert (outside / "old").read_text(encoding="utf-8") == "old"
    return done.stdout.splitlines()


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_hook_refuses(tmp_path: Path, environment: dict[str, str], port: int):
    *leaks, _ = confined(tmp_path, environment, port, hook=True)
    assert leaks == []


def test_landlock_refuses_by_itself(tmp_path: Path, environment: dict[str, str], port: int):
    *leaks, layers = confined(tmp_path, environment, port, hook=False)
    if "Landlock ABI" not in layers:
        pytest.skip("this kernel has no Landlock")
    # Forking and evaluating need no right that Landlock knows; old ABIs know fewer.
    assert set(leaks) <= {"eval", "connect", "kill", "truncate"}
    if int(layers.rpartition("ABI ")[2].rstrip("]'\"")) >= 6:
        assert leaks == ["eval"]


# ---- the client ----------------------------------------------------------------------------


def slow(b: Builder) -> Value:
    x, matrix = b.x(), b.ones((3000, 3000))
    for _ in range(20):
        matrix = b.matmul(matrix, matrix)
    return x * b.reduce_sum(matrix)


def vast(b: Builder) -> Value:
    x, total = b.x(), b.const(0.0)
    for _ in range(4):
        total = total + b.reduce_sum(b.ones((8000, 8000)))
    return x * total


def verdicts(answers: list[Answer]) -> list[list[str]]:
    return [[outcome.verdict for outcome in answer.outcomes] for answer in answers]


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def client():
    with Client(30.0) as started:
        yield started


def test_jobs_are_answered_in_order(client: Client):
    jobs = [job_of(pole), job_of(smooth), job_of(pole, suspects=3)]
    answers = list(client.examine(iter(jobs)))
    assert [answer.id for answer in answers] == [job.id for job in jobs]
    assert verdicts(answers) == [["confirmed"], ["refuted"], ["confirmed"] * 3]
    assert answers[0].outcomes[0].evidence is not None
    assert answers[0].outcomes[0].evidence.witness == {"x": -0.6}


def test_answers_repeat(client: Client):
    first, second = list(client.examine([job_of(pole), job_of(pole)]))
    assert encode(first) == encode(second)


def test_what_is_not_allowed_is_unconfirmed(client: Client):
    job = job_of(pole)
    steps = (*job.instructions[:-1], Instruction(job.output, "system", (("x", Ref(0)),)))
    odd = Job(job.id, "f", job.role, steps, job.output, (), job.suspects, 0, 64)
    (answer,) = client.examine([odd])
    assert answer.outcomes[0].verdict is Verdict.UNCONFIRMED
    assert answer.outcomes[0].reason is not None
    assert "not allowed" in answer.outcomes[0].reason


def test_a_call_of_user_code_is_unconfirmed_but_its_neighbours_are_judged(client: Client):
    b = Builder()
    called = b.py_function("f", [b.x()], DType("float32"))
    x = b.input("x2", role=InputRole.ACTIVATION)
    output = x / (x + 0.6)
    suspects = [
        Suspect("ACT000", called.id, "m", Check.CUT),
        Suspect("ACT000", output.id, "m", Check.NONFINITE, (Target(output.id - 1, 0.0, 0.0),)),
    ]
    job = excerpt.job(b.graph(output, Role.ACTIVATION), suspects, id=1, seed=0, samples=256)
    assert job is not None
    assert verdicts(list(client.examine([job]))) == [["unconfirmed", "confirmed"]]


def test_versions_are_told(client: Client):
    tf = pytest.importorskip("tensorflow")
    assert client.tensorflow == tf.__version__
    assert "audit hook" in client.sandbox


def test_a_dead_worker_is_replaced_and_its_job_retried():
    with Client(30.0) as client:
        assert client.tensorflow
        first = client.pid
        os.kill(first, signal.SIGKILL)
        answers = list(client.examine([job_of(pole, suspects=2), job_of(smooth)]))
        assert verdicts(answers) == [["confirmed", "confirmed"], ["refuted"]]
        assert client.pid != first
        second = client.pid
    assert not exists(first)
    assert not exists(second)


def test_death_costs_the_one_excerpt():
    with Client(60.0) as client:
        assert client.tensorflow
        killer = threading.Timer(1.0, os.kill, (client.pid, signal.SIGKILL))
        killer.start()
        answers = list(client.examine([job_of(slow), job_of(pole)]))
        assert verdicts(answers) == [["unconfirmed"], ["confirmed"]]
        assert answers[0].outcomes[0].reason == (
            "the worker was ended by SIGKILL on this excerpt"
        )  # fmt: skip


def test_a_hang_costs_the_one_excerpt():
    with Client(3.0) as client:
        answers = list(client.examine([job_of(slow), job_of(pole)]))
        assert verdicts(answers) == [["unconfirmed"], ["confirmed"]]
        assert answers[0].outcomes[0].reason == "no answer within 3 s"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not limit address space")
def test_lack_of_memory_costs_the_one_excerpt():
    with Client(30.0, memory=200 << 20) as client:
        answers = list(client.examine([job_of(vast), job_of(pole)]))
        assert verdicts(answers) == [["unconfirmed"], ["confirmed"]]
        assert answers[0].outcomes[0].reason == "the worker ran out of memory on this excerpt"


def test_leaving_kills_a_worker_that_still_starts():
    began = time.monotonic()
    with Client(1.0) as client:
        pid = client.pid
    assert time.monotonic() - began < 1.0
    assert not exists(pid)


def test_a_missing_interpreter():
    with pytest.raises(WorkerError, match="cannot be started with /nowhere/python"):
        Client(1.0, python="/nowhere/python")


def test_an_environment_without_tensorflow(tmp_path: Path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    with Client(5.0, python=str(python)) as client:
        with pytest.raises(WorkerError, match="TensorFlow cannot be loaded") as raised:
            list(client.examine([job_of(pole)]))
        assert str(python) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_program_that_is_no_worker(tmp_path: Path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho hello\n", encoding="utf-8")
    fake.chmod(0o755)
    with (
        Client(5.0, python=str(fake)) as client,
        pytest.raises(WorkerError, match="does not speak"),
    ):
        assert client.tensorflow


def test_nothing_of_the_users_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("tensorflow", "wrapt", "json", "sitecustomize"):
        trap = tmp_path / f"{name}.py"
        trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.chdir(tmp_path)
    with Client(30.0) as client:
        assert verdicts(list(client.examine([job_of(pole)]))) == [["confirmed"]]
    assert not (tmp_path / "sprung").exists()
