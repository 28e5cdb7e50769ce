"""Hardening of the worker process, for the case that an allow-listed op can be abused after all.

The allow-list is the security boundary; this is the second fence. Each layer that the platform
lacks is left out without an error, and the description says which layers are active.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import struct
import sys
from collections import namedtuple
from collections.abc import Callable
from typing import Any

# Largest file that the worker may write, in its scratch directory.
_FILE_BYTES = 64 * 2**20

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

# System call numbers of Landlock, the same on every architecture but alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_RULESET_VERSION = 1

# linux/landlock.h: access rights to files, by the ABI that brought them. Reading files and
# listing directories (bits 2 and 3) stay free, because TensorFlow loads parts of itself late.
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_CHANGE = (_WRITE_FILE | 0b1_1111_1111_0000, 1 << 13, 1 << 14)  # ABI 1, 2 (refer), 3 (truncate)
_NETWORK = 0b11  # ABI 4: bind and connect TCP
_SCOPED = 0b11  # ABI 6: abstract unix sockets, signals

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_REFUSED = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
        "signal.pthread_kill",
        "subprocess.Popen",
        "urllib.Request",
    }
)
_IMPORT_ONLY = frozenset({"compile", "ctypes.dlopen", "exec"})
_FILE_EVENTS = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "os.utime",
    }
)


def follow_parent(parent: int) -> bool:
    """Have the kernel kill this process when the thread that started it ends.

    Returns:
        Whether the platform does so.

    Raises:
        SystemExit: process `parent` is gone already.
    """
    active = _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
    return active


def restrict(scratch: str) -> list[str]:
    """Give up, for good, what computing does not need; writing is left in `scratch` alone.

    To be called after TensorFlow is imported (which may write its byte code) and before it
    starts threads, since Landlock covers the calling thread and those it starts afterwards.

    Returns:
        Names of the layers that are active.
    """
    layers = []
    sys.dont_write_bytecode = True
    if _limit("RLIMIT_CORE", 0) and _limit("RLIMIT_FSIZE", _FILE_BYTES):
        # RLIMIT_NPROC counts all processes and threads of the user, so no number would be safe.
        layers.append("resource limits")
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        layers.append("no new privileges")
    abi = _landlock(scratch)
    if abi:
        layers.append(f"Landlock ABI {abi}")
    return layers


def limit_memory(extra: int) -> bool:
    """Allow `extra` bytes of address space beyond what is mapped now; tell if that is enforced."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
    except (OSError, ValueError):
        return False
    return _limit("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + extra)


def allow_cpu(seconds: float) -> None:
    """End this process once it has computed for `seconds` more; a backstop to the time limit."""
    usage = os.times()
    _limit("RLIMIT_CPU", math.ceil(usage.user + usage.system + seconds), hard=False)


def guard(scratch: str) -> None:
    """Refuse, from now on, what Python code of an op has no business to do.

    Refused are writing outside `scratch`, processes, signals, sockets, and, except in the course
    of importing an installed module or making a named tuple, compiling and executing code.
    """
    root = os.path.realpath(scratch)

    def inside(path: Any) -> bool:
        if isinstance(path, int):  # an open descriptor
            return True
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return real in (root, os.devnull) or real.startswith(root + os.sep)

    def on_open(path: Any, _mode: Any, flags: Any) -> bool:
        return not (isinstance(flags, int) and flags & _WRITE_FLAGS) or inside(path)

    def on_change(*args: Any) -> bool:
        return all(inside(path) for path in args if isinstance(path, (str, bytes, os.PathLike)))

    handlers: dict[str, Callable[..., bool]] = {"open": on_open}
    handlers |= dict.fromkeys(_REFUSED, lambda *_: False)
    handlers |= dict.fromkeys(_IMPORT_ONLY, lambda *_: _importing())
    handlers |= dict.fromkeys(_FILE_EVENTS, on_change)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        handler = handlers.get(event)
        if handler is None:
            if not event.startswith("socket."):
                return
        elif handler(*args):
            return
        raise PermissionError(f"the sandbox refuses {event}")

    sys.addaudithook(hook)


def _importing() -> bool:
    """Return whether an import is being carried out, or a named tuple made, as einsum does."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is namedtuple.__code__:
            return True
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _limit(name: str, value: int, *, hard: bool = True) -> bool:
    """Lower a resource limit; return whether the platform has it."""
    try:
        import resource  # noqa: PLC0415  # not on every platform

        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            value = min(value, ceiling)
        resource.setrlimit(kind, (value, value if hard else ceiling))
    except (ImportError, AttributeError, OSError, ValueError):
        return False
    return True


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> bool:
    libc = _libc()
    return libc is not None and libc.prctl(option, value, 0, 0, 0) == 0


def _landlock(scratch: str) -> int:
    """Deny writing outside `scratch`, executing, TCP and signals; return the ABI used, or 0."""
    libc = _libc()
    if libc is None:
        return 0
    libc.syscall.restype = ctypes.c_long
    abi = int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _RULESET_VERSION))
    if abi < 1:
        return 0
    change = sum(_CHANGE[: min(abi, len(_CHANGE))])
    attributes = struct.pack("=Q", change | _EXECUTE)
    if abi >= 4:
        attributes += struct.pack("=Q", _NETWORK)
    if abi >= 6:
        attributes += struct.pack("=Q", _SCOPED)
    ruleset = int(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    if ruleset < 0:
        return 0
    try:
        for path, rights in ((scratch, change), (os.devnull, _WRITE_FILE)):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", rights, place)
                if libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0) != 0:
                    return 0
            finally:
                os.close(place)
        return abi if libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)
