"""The main process's side of the worker: starts it, feeds it jobs, replaces it when it dies."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from actlint.errors import RunError
from actlint.findings import Outcome, Verdict
from actlint.worker.protocol import Answer, Failed, Job, ProtocolError, Ready, decode, encode

# Seconds that loading TensorFlow may take, on a slow disk with cold caches.
_START_LIMIT = 300.0
# Memory that the jobs of one worker may take, beyond TensorFlow itself.
MEMORY = 4 << 30
# How often the time limit of a job may go by while other processes keep the worker from computing,
# and the share of its time which it must compute to be taken for alive.
_PATIENCE = 15
_ALIVE = 0.005
# Single suspects of one job that may cost a worker before the rest is given up.
_DEATHS_PER_JOB = 2

# Variables that the worker inherits: where libraries are, and nothing of the user's own.
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONNOUSERSITE", "SYSTEMROOT")
_OUT_OF_MEMORY = ("bad_alloc", "out of memory", "oom when", "memoryerror", "failed to allocate")


class WorkerError(RunError):
    """No worker can be started; the text is one sentence."""


class _Death(Exception):  # carried between two methods
    """The worker is gone; the text is the reason that its suspects are given."""


class _Hang(_Death):
    """The worker did not answer in time."""


class _Process:
    """One worker process with its pipes and scratch directory."""

    def __init__(self, python: str, timeout: float, memory: int) -> None:
        self.fresh = True  # it has not answered any job
        self._scratch = Path(tempfile.mkdtemp(prefix="actlint-"))
        try:
            self._start(python, timeout, memory)
        except BaseException as error:  # an interrupt too must leave nothing behind
            shutil.rmtree(self._scratch, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            raise WorkerError(
                f"the worker cannot be started with {python}: {error.strerror or error}"
            ) from error
        self._ready: Ready | None = None

    def _start(self, python: str, timeout: float, memory: int) -> None:
        library = self._scratch / "lib"
        work = self._scratch / "work"
        library.mkdir()
        work.mkdir()
        # The worker sees this package alone, not its neighbours in our own environment.
        (library / "actlint").symlink_to(Path(__file__).parent, target_is_directory=True)
        limits = ("--memory", str(memory), "--cpu", str(timeout * (os.cpu_count() or 1) + 30.0))
        # The kernel closes our end when this process ends, whatever ends it.
        life, self._life = os.pipe() if hasattr(os, "fork") else (-1, -1)
        watch = ("--life", str(life)) if life >= 0 else ()
        try:
            self.process = subprocess.Popen(  # noqa: S603  # the interpreter is ours or configured
                [python, "-m", "actlint.worker", "--parent", str(os.getpid()), *limits, *watch],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=work,
                env=_environment(library, work),
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                pass_fds=(life,) if life >= 0 else (),
            )
        except BaseException:  # an interrupt too must leave nothing open
            self._let_go()
            raise
        finally:
            if life >= 0:
                os.close(life)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._errors: deque[bytes] = deque(maxlen=50)
        self._threads = (
            threading.Thread(target=self._read_replies, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def _read_replies(self) -> None:
        for line in _pipe(self.process.stdout):
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        for line in _pipe(self.process.stderr):
            self._errors.append(line)

    def ready(self) -> Ready:
        """Wait until the worker takes jobs.

        Raises:
            WorkerError: it says that it cannot, or ends, or takes longer than any import.
        """
        if self._ready is not None:
            return self._ready
        try:
            line = self._lines.get(timeout=_START_LIMIT)
        except queue.Empty:
            raise WorkerError(f"the worker did not start within {_START_LIMIT:g} s") from None
        if line is None:
            raise WorkerError(f"the worker {self._end()} while starting{self._last_words()}")
        try:
            record = decode(line)
        except ProtocolError as error:
            raise WorkerError(f"the worker does not speak our language: {error}") from error
        if isinstance(record, Failed):
            raise WorkerError(record.reason)
        if not isinstance(record, Ready):
            raise WorkerError(f"the worker began with a {type(record).__name__}")
        self._ready = record
        return record

    def send(self, job: Job) -> None:
        """Hand over a job. A worker that is gone is noticed by `receive`."""
        stream = self.process.stdin
        assert stream is not None
        with contextlib.suppress(BrokenPipeError):
            stream.write(encode(job).encode("ascii"))
            stream.flush()

    def now(self) -> tuple[float, float | None]:
        """Return the time, and the processor time that the worker has used, in seconds."""
        return time.monotonic(), _processor_time(self.process.pid)

    def _line(self, begun: tuple[float, float | None], timeout: float) -> bytes | None:
        """Return the next line of the worker; what others compute meanwhile is not its fault.

        Else the verdict of a long job would depend on what the machine is busy with.
        """
        start, used = begun
        last, wait = used, start + timeout - time.monotonic()
        while True:
            try:
                return self._lines.get(timeout=max(wait, 0.0))
            except queue.Empty:
                now = _processor_time(self.process.pid)
            if now is None or used is None or last is None:
                break
            if now - used >= timeout or now - last < _ALIVE * wait:
                break
            if time.monotonic() - start > _PATIENCE * timeout:
                break
            last, wait = now, max(timeout - (now - used), timeout / 10.0)
        raise _Hang(f"no answer within {timeout:g} s")

    def receive(self, job: Job, begun: tuple[float, float | None], timeout: float) -> Answer:
        """Return the answer to `job`, which was sent before.

        Args:
            job: what was sent.
            begun: when, by the clocks of `now`.
            timeout: seconds that the worker may compute, or wait, for it.

        Raises:
            _Hang: there is no answer in time.
            _Death: the worker ended, or it answers nonsense.
        """
        line = self._line(begun, timeout)
        if line is None:
            raise _Death(self._cause())
        try:
            record = decode(line)
        except ProtocolError:
            raise _Death("the worker gave a malformed answer") from None
        if not isinstance(record, Answer) or record.id != job.id:
            raise _Death("the worker gave a malformed answer")
        if len(record.outcomes) != len(job.suspects):
            raise _Death("the worker gave a malformed answer")
        self.fresh = False
        return record

    def _cause(self) -> str:
        """Return why the process ended while it worked on a job, as a sentence."""
        status = self.process.wait()
        self._threads[1].join(timeout=5.0)
        text = b"".join(self._errors).decode("utf-8", "replace").lower()
        if any(sign in text for sign in _OUT_OF_MEMORY):
            return "the worker ran out of memory on this excerpt"
        if status == -signal.SIGXCPU:
            return "the worker ran out of processor time on this excerpt"
        return f"the worker {self._end()} on this excerpt"

    def _end(self) -> str:
        """Return how the process ended."""
        status = self.process.wait()
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def _last_words(self) -> str:
        """Return what it said before it ended; of one that was killed, that tells nothing."""
        if self.process.wait() < 0:
            return ""
        self._threads[1].join(timeout=5.0)
        lines = [line.decode("utf-8", "replace").strip() for line in self._errors]
        said = [line for line in lines if line]
        return f": {said[-1][:300]}" if said else ""

    def close(self) -> None:
        """Kill the process, wait for it and remove its directory."""
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(timeout=5.0)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._let_go()

    def _let_go(self) -> None:
        """Let the process that clears away after us end; it finds nothing left to do."""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1


class Client:
    """A TensorFlow worker that answers jobs; a context manager.

    The process starts at once and loads TensorFlow while the caller does other work. It ends
    with the thread that made the client, where the kernel sees to that.

    Args:
        timeout: seconds that the worker may compute for one job; of waiting, where the kernel
            does not tell what a process has computed.
        python: interpreter of another environment that has TensorFlow; ours by default.
        memory: bytes that jobs may take, beyond TensorFlow itself.
    """

    def __init__(self, timeout: float, python: str | None = None, memory: int = MEMORY) -> None:
        """Start the process.

        Raises:
            WorkerError: the interpreter cannot be run.
        """
        self._timeout = timeout
        self._python = python or sys.executable
        self._memory = memory
        self._closed = False
        self._lock = threading.Lock()
        self._process: _Process | None = self._spawn()
        self._ready: Ready | None = None
        self.deaths = 0  # workers that hung or ended while they worked on a job

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker for good and remove what it left; another thread may do so."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    @property
    def pid(self) -> int:
        """Process id of the present worker."""
        return self._current().process.pid

    @property
    def tensorflow(self) -> str:
        """Version of TensorFlow; waits until the worker has loaded it, or raises WorkerError."""
        return self._answering().tensorflow

    @property
    def sandbox(self) -> str:
        """The protections that are active; waits like `tensorflow`."""
        return self._answering().sandbox

    def _answering(self) -> Ready:
        """Return what a worker said of itself; a dead one is not replaced just to ask again."""
        if self._ready is None:
            self._ready = self._current().ready()
        return self._ready

    def examine(self, jobs: Iterable[Job]) -> Iterator[Answer]:
        """Yield the answers to `jobs`, in order; the next job is drawn while one is worked on.

        A job that hangs, or costs the worker its life, is tried again on a new worker, suspect by
        suspect if it has several; what does so again comes back unconfirmed, with the reason.

        Raises:
            WorkerError: no worker can be started.
        """
        source = iter(jobs)
        job = next(source, None)
        while job is not None:
            process = self._current()
            self._ready = process.ready()
            begun = process.now()
            process.send(job)
            upcoming = next(source, None)
            yield self._settle(process, job, begun)
            job = upcoming

    def _settle(self, process: _Process, job: Job, begun: tuple[float, float | None]) -> Answer:
        """Return the answer to a job that was sent, trying again if the worker dies of it."""
        fresh = process.fresh
        try:
            return process.receive(job, begun, self._timeout)
        except _Death as death:
            self._drop()
            self.deaths += 1
            reason = str(death)
            # What earlier jobs left behind may be to blame, but not for a job that never ends.
            final = fresh or isinstance(death, _Hang)
        if final and len(job.suspects) == 1:
            return Answer(job.id, (Outcome(Verdict.UNCONFIRMED, reason),))
        return self._one_by_one(job)

    def _one_by_one(self, job: Job) -> Answer:
        outcomes: list[Outcome] = []
        deaths = 0
        reason = ""
        for suspect in job.suspects:
            if deaths == _DEATHS_PER_JOB:
                outcomes.append(Outcome(Verdict.UNCONFIRMED, reason))
                continue
            single = replace(job, suspects=(suspect,))
            process = self._current()
            process.ready()
            begun = process.now()
            process.send(single)
            try:
                outcomes += process.receive(single, begun, self._timeout).outcomes
            except _Death as death:
                self._drop()
                self.deaths += 1
                deaths += 1
                reason = str(death)
                outcomes.append(Outcome(Verdict.UNCONFIRMED, reason))
        return Answer(job.id, tuple(outcomes))

    def _current(self) -> _Process:
        process = self._process
        if process is None:
            process = self._process = self._spawn()
        if self._closed:  # from another thread, which may not have seen a new process
            self._drop()
            raise WorkerError("the worker was ended")
        return process

    def _spawn(self) -> _Process:
        return _Process(self._python, self._timeout, self._memory)


def _processor_time(pid: int) -> float | None:
    """Return the seconds that a process has computed, or None if the kernel does not tell."""
    if sys.platform != "linux":
        return None
    try:
        # linux/posix-timers.h: the process-wide clock of another process.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it is gone, which reading its answer will tell
        return None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _environment(library: Path, work: Path) -> dict[str, str]:
    """Return the worker's environment: nothing of the user's but where libraries are."""
    # Elsewhere on PYTHONPATH are modules of the user's, which must not be imported.
    shared = [
        entry
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if Path(entry).name in ("site-packages", "dist-packages")
    ]
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "PATH": os.defpath,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([str(library), *shared]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONUTF8": "1",
        "TMPDIR": str(work),
    }
