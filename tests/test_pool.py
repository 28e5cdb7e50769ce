"""Several workers side by side: the same answers, and nothing left behind."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from actlint.client import Client, WorkerError
from actlint.pool import Pool
from actlint.worker.protocol import Job
from tests.test_worker import job_of, pole, slow, smooth

# Enough jobs for two workers.
MANY = 14


def jobs() -> list[Job]:
    kinds = (pole, smooth)
    return [
        replace(job_of(kinds[at % 2], suspects=1 + at % 3), id=at, seed=at) for at in range(MANY)
    ]


def test_the_number_of_workers_changes_no_answer():
    told = []
    for most in (1, 2):
        pool = Pool(60.0, most)
        try:
            futures = [pool.submit(job) for job in jobs()]
            told.append([future.result().answer for future in futures])
            assert len(pool._threads) == most
        finally:
            pool.close()
    assert told[0] == told[1]
    assert [answer.id for answer in told[0]] == list(range(MANY))


def test_a_few_jobs_take_one_worker():
    pool = Pool(60.0, 4)
    try:
        futures = [pool.submit(job) for job in jobs()[:6]]
        assert all(not future.result().died for future in futures)
        assert len(pool._threads) == 1
    finally:
        pool.close()


def test_closing_ends_workers_in_the_middle_of_a_job():
    pool = Pool(60.0, 2)
    for at in range(MANY):
        pool.submit(replace(job_of(slow), id=at))
    while len(pool._clients) < 2:
        time.sleep(0.05)
    pids = [client.pid for client in pool._clients]
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 20.0
    assert not [thread for thread in threading.enumerate() if thread.name == "actlint-worker"]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_an_interpreter_that_is_missing_is_told_for_every_job(monkeypatch: pytest.MonkeyPatch):
    def broken(timeout: float) -> Client:
        return Client(timeout, python="/nowhere/python")

    monkeypatch.setattr("actlint.pool.Client", broken)
    pool = Pool(5.0, 2)
    try:
        for future in [pool.submit(job) for job in jobs()]:
            with pytest.raises(WorkerError, match="cannot be started"):
                future.result(timeout=30.0)
    finally:
        pool.close()


def test_whatever_keeps_a_worker_from_starting_is_told(monkeypatch: pytest.MonkeyPatch):
    def full(timeout: float) -> Client:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("actlint.pool.Client", full)
    pool = Pool(5.0, 2)
    try:
        with pytest.raises(OSError, match="No space left"):
            pool.submit(job_of(pole)).result(timeout=30.0)
    finally:
        pool.close()
