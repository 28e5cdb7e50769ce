"""The worker process: jobs, deaths, replacement, and its environment."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import venv
from itertools import count
from pathlib import Path

import pytest

from actlint import excerpt
from actlint.client import Client, WorkerError
from actlint.findings import Check, Suspect, Target, Verdict
from actlint.graph import DType, InputRole, Ref, Role
from actlint.worker.protocol import Answer, Instruction, Job, encode

from .graph_builder import Builder, Value
from .jobs import job_of, pole, smooth


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


def test_a_worker_that_others_keep_from_computing_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    clock = count(0.0, 0.02)
    monkeypatch.setattr("actlint.client._processor_time", lambda _: next(clock))
    with Client(2.0) as client:
        assert client.tensorflow
        os.kill(client.pid, signal.SIGSTOP)
        threading.Timer(4.0, os.kill, (client.pid, signal.SIGCONT)).start()
        assert verdicts(list(client.examine([job_of(pole)]))) == [["confirmed"]]
        assert client.deaths == 0


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
