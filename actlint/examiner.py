"""Asks the cache first, and the workers for the rest; they start when they are first needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Self

from actlint.cache import Cache, Entry
from actlint.pool import Pool, Told
from actlint.worker.protocol import Answer, Job, Ready, encode


class Examiner:
    """Answers jobs; a context manager, which ends the workers.

    Args:
        timeout: seconds that one job may take in a worker.
        workers: how many there are at most.
        cache: answers of earlier runs; None if every job is to be run.
    """

    def __init__(self, timeout: float, workers: int, cache: Cache | None = None) -> None:
        self._pool = Pool(timeout, workers)
        self._cache = cache
        self._known: dict[str, Entry | Future[Told]] = {}  # by the job's record, less its id
        self._ready: Ready | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()

    @property
    def ready(self) -> Ready | None:
        """What the worker says of itself, or said when it gave an answer; None without answers."""
        return self._ready

    def start(self, job: Job) -> None:
        """Have a job answered while the caller does other work."""
        self._asked(job)

    def examine(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """Yield the answers to `jobs`, in order.

        Raises:
            WorkerError: no worker can be started.
        """
        asked = [self._asked(job) for job in jobs]
        for job, key in zip(jobs, asked, strict=True):
            entry = self._entry(job, key)
            self._ready = self._ready or entry.ready
            yield replace(entry.answer, id=job.id)

    def _asked(self, job: Job) -> str:
        """See that a job is answered, and return its key; equal jobs are run once."""
        same = replace(job, id=0)
        key = encode(same)
        if key not in self._known:
            entry = None if self._cache is None else self._cache.get(same)
            self._known[key] = entry or self._pool.submit(same)
        return key

    def _entry(self, job: Job, key: str) -> Entry:
        known = self._known[key]
        if isinstance(known, Entry):
            return known
        told = known.result()
        entry = self._known[key] = Entry(told.ready, told.answer)
        # What a worker died of may be the machine's state, not the job's.
        if self._cache is not None and not told.died:
            self._cache.put(job, entry)
        return entry
