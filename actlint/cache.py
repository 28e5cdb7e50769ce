"""Answers of earlier runs on disk, so that a job that was run once needs no TensorFlow again.

An entry is found by all that the answer depends on: the job, the code that judges it, and what it
runs on. It holds protocol records alone, no code; one that cannot be read counts as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from actlint.worker.protocol import Answer, Job, ProtocolError, Ready, decode, encode

# Distributions that provide the module tensorflow, and what it computes with.
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly", "tf-nightly-cpu")
_BESIDE = ("keras", "numpy")
# Days after which an entry that no run asked for is removed.
_KEPT = 30
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, and what the worker said of itself when it gave it."""

    ready: Ready
    answer: Answer


@dataclass
class Cache:
    """A folder of answers; everything that fails there is passed over in silence.

    Attributes:
        folder: where the entries are; it is made when the first one is written.
    """

    folder: Path
    _pruned: bool = field(default=False, init=False)

    def get(self, job: Job) -> Entry | None:
        """Return what an earlier run answered to an equal job, or None."""
        path = self._path(job)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                ready, answer = decode(file.readline()), decode(file.readline())
            os.utime(path)
        except (OSError, ProtocolError):
            return None
        if not isinstance(ready, Ready) or not isinstance(answer, Answer):
            return None
        if len(answer.outcomes) != len(job.suspects):
            return None
        return Entry(ready, replace(answer, id=job.id))

    def put(self, job: Job, entry: Entry) -> None:
        """Keep the answer to a job, whole or not at all."""
        path = self._path(job)
        if path is None:
            return
        text = encode(entry.ready) + encode(replace(entry.answer, id=0))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prune()
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(text)
                os.replace(name, path)
            except BaseException:  # an interrupt too must leave nothing behind
                os.unlink(name)
                raise

    def _path(self, job: Job) -> Path | None:
        if self._ground is None:
            return None
        digest = hashlib.sha256(self._ground)
        digest.update(encode(replace(job, id=0)).encode("ascii"))
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.json"

    @cached_property
    def _ground(self) -> bytes | None:
        """Digest of what all jobs run on, or None if it is not known."""
        tensorflow = _version(*_TENSORFLOW)
        if tensorflow is None:
            return None
        parts = [tensorflow, *(_version(name) or "" for name in _BESIDE), sys.version]
        parts += [platform.machine(), platform.system(), platform.release()]
        digest = hashlib.sha256("\0".join(parts).encode())
        for path in _judges():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.digest()

    def _prune(self) -> None:
        """Once a run, remove what has not been asked for in a long time."""
        if self._pruned:
            return
        self._pruned = True
        limit = time.time() - _KEPT * _DAY
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


def _judges() -> Iterator[Path]:
    """Yield the files of the worker and of what it shares with the main process."""
    home = Path(__file__).parent
    for folder in (home / "worker", home / "ops"):
        yield from sorted(folder.glob("*.py"))
    yield from (home / f"{name}.py" for name in ("findings", "graph", "interval"))


def _version(*names: str) -> str | None:
    """Return the version of the first of these distributions that is installed."""
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
    return None
