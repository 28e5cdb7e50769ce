"""Several workers that answer jobs side by side; how many there are changes no answer."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from actlint.client import Client, WorkerError
from actlint.defaults import WORKERS
from actlint.worker.protocol import Answer, Job, Ready

# Unanswered jobs for each worker from which on a further one is worth loading TensorFlow again.
_BACKLOG: Final = 12
# Seconds to wait for a thread whose worker has been killed.
_END: Final = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and how it came about."""

    ready: Ready
    answer: Answer
    died: bool  # a worker was lost over it


@dataclass(frozen=True, slots=True)
class _Task:
    job: Job
    future: Future[Told]


def usual_workers() -> int:
    """Return how many workers there are at most, unless the user says otherwise."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), WORKERS)
    return min(os.cpu_count() or 1, WORKERS)


class Pool:
    """Workers that answer jobs. The first starts with the first job, others when jobs pile up.

    Args:
        timeout: seconds that one job may take in a worker.
        most: workers at most.
    """

    def __init__(self, timeout: float, most: int) -> None:
        self._timeout = timeout
        self._most = most
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0  # jobs without an answer
        self._threads: list[threading.Thread] = []
        self._clients: list[Client] = []
        self._closed = False

    def submit(self, job: Job) -> Future[Told]:
        """Hand over a job.

        Returns:
            Its answer to come, or the WorkerError that keeps all workers from starting.
        """
        task = _Task(job, Future())
        with self._lock:
            self._open += 1
            lacking = self._open > _BACKLOG * len(self._threads)
        self._tasks.put(task)
        if lacking and len(self._threads) < self._most:
            # A worker ends with the thread that started it, so each thread starts its own.
            thread = threading.Thread(
                target=self._serve, args=(not self._threads,), name="actlint-worker", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return task.future

    def close(self) -> None:
        """End all workers, whatever they are working on."""
        with self._lock:
            self._closed = True
            clients = list(self._clients)
        for client in clients:
            client.close()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(timeout=_END)

    def _serve(self, first: bool) -> None:
        """Answer jobs with a worker of this thread's own."""
        try:
            client = Client(self._timeout)
        # Whatever it is, such as a full disk, the main thread waits for it and tells it.
        except Exception as error:
            if first:
                self._refuse(error)
            return
        with client:
            with self._lock:
                if self._closed:
                    return
                self._clients.append(client)
            while (task := self._tasks.get()) is not None:
                try:
                    self._answer(client, task)
                except WorkerError as error:
                    if first:
                        task.future.set_exception(error)
                        self._refuse(error)
                    else:
                        self._tasks.put(task)  # the others go on without this one
                    return
                # As above, of actlint's own.
                except Exception as error:
                    task.future.set_exception(error)

    def _answer(self, client: Client, task: _Task) -> None:
        deaths = client.deaths
        answer = next(client.examine([task.job]))
        told = Told(Ready(client.tensorflow, client.sandbox), answer, client.deaths > deaths)
        with self._lock:
            self._open -= 1
        task.future.set_result(told)

    def _refuse(self, error: Exception) -> None:
        """Fail every job, now and later, because no worker starts."""
        while not self._closed and (task := self._tasks.get()) is not None:
            task.future.set_exception(error)
