"""Asks the cache first, and the worker for the rest; the worker starts when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from actlint.cache import Cache, Entry
from actlint.client import Client
from actlint.worker.protocol import Answer, Job, Ready


class Examiner:
    """Answers jobs; a context manager, which ends the worker.

    Args:
        timeout: seconds that one job may take in the worker.
        cache: answers of earlier runs; None if every job is to be run.
    """

    def __init__(self, timeout: float, cache: Cache | None = None) -> None:
        self._timeout = timeout
        self._cache = cache
        self._client: Client | None = None
        self._ready: Ready | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def ready(self) -> Ready | None:
        """What the worker says of itself, or said when it gave an answer; None without answers."""
        return self._ready

    def expect(self, job: Job | None) -> None:
        """Start the worker if this job will need it, so that TensorFlow loads meanwhile.

        Raises:
            WorkerError: it cannot be started.
        """
        if job is None or self._client is not None:
            return
        if self._cache is None or self._cache.get(job) is None:
            self._worker()

    def examine(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """Yield the answers to `jobs`, in order.

        Raises:
            WorkerError: no worker can be started.
        """
        known = [None if self._cache is None else self._cache.get(job) for job in jobs]
        asked = [job for job, entry in zip(jobs, known, strict=True) if entry is None]
        answers = self._ask(asked)
        for entry in known:
            if entry is None:
                yield next(answers)
            else:
                self._ready = self._ready or entry.ready
                yield entry.answer

    def _ask(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        if not jobs:
            return
        client = self._worker()
        deaths = client.deaths
        for job, answer in zip(jobs, client.examine(jobs), strict=True):
            self._ready = self._ready or Ready(client.tensorflow, client.sandbox)
            # What a worker died of may be the machine's state, not the job's.
            if self._cache is not None and client.deaths == deaths:
                self._cache.put(job, Entry(self._ready, answer))
            deaths = client.deaths
            yield answer

    def _worker(self) -> Client:
        if self._client is None:
            self._client = Client(self._timeout)
        return self._client
