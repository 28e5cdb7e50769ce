"""The sandbox of the worker refuses what an op has no need of."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
import os, socket, subprocess, sys, tempfile
from actlint.worker import sandbox
outside = sys.argv[1]
layers = sandbox.restrict(os.getcwd())
if {hook}:
    sandbox.guard(os.getcwd())
open("inside", "w").write("kept")
os.mkdir("folder"); os.rename("inside", "folder/inside")
open(os.devnull, "w").close()
open(__file__).read() if "__file__" in globals() else open("/proc/self/status").read()
import decimal, wave, colorsys  # lazy imports go on
import collections
collections.namedtuple("Shaped", ["shape"])
attempts = {{
    "write": lambda: open(outside + "/new", "w"),
    "append": lambda: open(outside + "/old", "a"),
    "os.open": lambda: os.open(outside + "/old", os.O_RDWR),
    "truncate": lambda: os.truncate(outside + "/old", 0),
    "remove": lambda: os.remove(outside + "/old"),
    "rename": lambda: os.rename(outside + "/old", outside + "/moved"),
    "mkdir": lambda: os.mkdir(outside + "/made"),
    "out of scratch": lambda: os.rename("folder/inside", outside + "/moved"),
    "by a link": lambda: (os.symlink(outside, "link"), open("link/new", "w")),
    "process": lambda: subprocess.run(["/bin/true"], check=True),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5),
    "kill": lambda: os.kill(os.getppid(), 0),
    "eval": lambda: eval("1 + 1"),
}}
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        continue
    print(name)
print("layers:", layers)
"""


def confined(tmp_path: Path, environment: dict[str, str], port: int, hook: bool) -> list[str]:
    scratch, outside = tmp_path / "scratch", tmp_path / "outside"
    scratch.mkdir()
    outside.mkdir()
    (outside / "old").write_text("old", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED.format(hook=hook), str(outside), str(port)],
        cwd=scratch, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in outside.iterdir()] == ["old"]
    assert (outside / "old").read_text(encoding="utf-8") == "old"
    return done.stdout.splitlines()


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_hook_refuses(tmp_path: Path, environment: dict[str, str], port: int):
    *leaks, _ = confined(tmp_path, environment, port, hook=True)
    assert leaks == []


def test_landlock_refuses_by_itself(tmp_path: Path, environment: dict[str, str], port: int):
    *leaks, layers = confined(tmp_path, environment, port, hook=False)
    if "Landlock ABI" not in layers:
        pytest.skip("this kernel has no Landlock")
    # Forking and evaluating need no right that Landlock knows; old ABIs know fewer.
    assert set(leaks) <= {"eval", "connect", "kill", "truncate"}
    if int(layers.rpartition("ABI ")[2].rstrip("]'\"")) >= 6:
        assert leaks == ["eval"]
