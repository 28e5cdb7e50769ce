"""A small process beside the worker that clears away when the main process is gone.

A process that is killed outright clears nothing away itself, and takes the worker with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import time


def post(life: int, scratch: str) -> None:
    """Start the process; to be called before threads start or pipes are copied.

    Args:
        life: the end to read of a pipe whose other end the main process alone holds; it is
            closed here.
        scratch: the folder to remove, with all that is in it, once that end is closed.
    """
    worker = os.getpid()
    try:
        child = os.fork()
    except OSError:  # no more processes: it is the worker that matters
        child = -1
    if child == 0:
        try:
            _watch(life, worker, scratch)
        finally:
            os._exit(0)
    os.close(life)


def _watch(life: int, worker: int, scratch: str) -> None:
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # else the main process would wait for us to close the pipes
        os.dup2(nothing, descriptor)
    os.read(life, 1)
    while os.getppid() == worker:  # where the kernel has not ended it already
        os.kill(worker, signal.SIGKILL)
        time.sleep(0.01)
    shutil.rmtree(scratch, ignore_errors=True)
