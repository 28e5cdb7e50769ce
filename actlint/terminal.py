"""Streams and files that reports are written to, and what the terminal can show."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import TextIO

from actlint.errors import RunError
from actlint.report import Style, encodable


def write(text: str, *, error: bool = False) -> None:
    """Write `text` to standard output; a reader that has gone away is no error.

    Args:
        text: what to write.
        error: write to standard error instead.

    Raises:
        RunError: the stream cannot be written, because the disk is full for example.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # the caller has closed it
        return
    with _written(stream, "standard error" if error else "standard output"):
        stream.write(encodable(text, stream.encoding or "utf-8"))
        stream.flush()


def write_bytes(data: bytes) -> None:
    """Write `data` to standard output as it is, whatever the encoding of the stream.

    Raises:
        RunError: as `write`.
    """
    stream = sys.stdout
    if stream is None:
        return
    with _written(stream, "standard output"):
        stream.flush()
        stream.buffer.write(data)
        stream.flush()


@contextlib.contextmanager
def _written(stream: TextIO, name: str) -> Iterator[None]:
    """Turn what goes wrong with a stream into what `write` says."""
    try:
        yield
    except BrokenPipeError:
        _discard(stream)
    except OSError as reason:
        _discard(stream)
        raise RunError(f"{name} cannot be written: {reason.strerror or reason}") from reason


def say(text: str) -> None:
    """Write one line to standard error."""
    stream = sys.stderr
    if stream is None:
        return
    with contextlib.suppress(OSError):  # there is nobody left to tell
        stream.write(encodable(f"actlint: {text}\n", stream.encoding or "utf-8"))
        stream.flush()


def style_of(stream: TextIO | None, environment: Mapping[str, str]) -> Style:
    """Return colour and width for `stream`: those of a terminal, or neither."""
    terminal = stream is not None and stream.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    return Style(colour=_colour(terminal, environment), width=width)


def _colour(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Follow no-color.org and force-color.org; NO_COLOR wins."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return terminal and environment.get("TERM") != "dumb"


def check_target(path: str) -> None:
    """Make sure before a long run that a report can be written to `path`.

    Raises:
        RunError: it cannot.
    """
    if not path:
        raise RunError("--output-file: the name of the file is empty")
    parent = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise RunError(f"--output-file {path}: is a folder")
    if not os.path.isdir(parent):
        raise RunError(f"--output-file {path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK) and not os.path.exists(path):
        raise RunError(f"--output-file {path}: the folder {parent} cannot be written to")


def save(path: str, text: str) -> None:
    """Write `text` to the file `path`, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            # A device or pipe such as /dev/stderr is written to, never replaced.
            with open(target, "w", encoding="utf-8") as device:
                device.write(text)
        else:
            _replace(target, text.encode())
    except OSError as error:
        raise RunError(
            f"--output-file {path}: cannot be written: {error.strerror or error}"
        ) from error


def replace_file(path: str, data: bytes) -> None:
    """Write `data` to the file `path`, whole or not at all; its permissions stay.

    A file that has other names (hard links), or whose folder takes no new files, is written in
    place.

    Raises:
        RunError: it cannot be written.
    """
    target = os.path.realpath(path)
    try:
        if os.stat(target).st_nlink > 1 or not os.access(os.path.dirname(target), os.W_OK):
            with open(target, "r+b") as stream:
                stream.write(data)
                stream.truncate()
        else:
            _replace(target, data)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def _replace(target: str, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(
        dir=os.path.dirname(target), prefix=f".{os.path.basename(target)[:100]}."
    )
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(target: str) -> int:
    """Return the permissions of the file that is replaced, or those of any new file."""
    with contextlib.suppress(OSError):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _discard(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush succeeds."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
