"""Measures actlint against LibCST, ruff and the import of TensorFlow; see README.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Parses every file named on standard input; prints seconds, files, lines and failures. The import
# of libcst is not counted.
PARSE = """
import json, sys, time
import libcst
files = [open(path, "rb").read() for path in json.load(sys.stdin)]
failed = 0
start = time.perf_counter()
for data in files:
    try:
        libcst.parse_module(data)
    except Exception:  # Python 2, unknown encodings: whatever LibCST makes of them
        failed += 1
seconds = time.perf_counter() - start
json.dump([seconds, len(files), sum(data.count(b"\\n") for data in files), failed], sys.stdout)
"""

# Runs actlint in this process; afterwards writes this process's peak memory, in bytes, to the file
# that is named first.
MEASURED = """
import resource, runpy, sys
target = sys.argv.pop(1)
try:
    runpy.run_module("actlint", run_name="__main__", alter_sys=True)
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(target, "w") as stream:
        stream.write(str(peak if sys.platform == "darwin" else peak * 1024))
"""


@dataclass(frozen=True, slots=True)
class Lint:
    """One run of actlint."""

    seconds: float
    peak: int  # of the main process, in bytes
    summary: dict[str, int]


def environment() -> dict[str, str]:
    """Return the environment of all measured processes."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def best(command: Sequence[str], repeat: int) -> float:
    """Return the least wall time of `command`, in seconds; its exit status does not matter."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        subprocess.run(command, env=environment(), capture_output=True, check=False)
        times.append(time.perf_counter() - start)
    return min(times)


def parse(files: Sequence[Path], repeat: int) -> tuple[float, int, int, int]:
    """Return seconds, files, lines and failures of `libcst.parse_module` over `files`."""
    names = json.dumps([str(file) for file in files])
    runs = []
    for _ in range(repeat):
        done = subprocess.run(
            [sys.executable, "-c", PARSE],
            input=names,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, count, lines, failed = json.loads(done.stdout)
        runs.append((float(seconds), int(count), int(lines), int(failed)))
    return min(runs)


def run_lint(paths: Sequence[str], options: Sequence[str], repeat: int) -> Lint:
    """Return the fastest of `repeat` runs of actlint over `paths`.

    Raises:
        SystemExit: actlint itself failed.
    """
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        report, peak = Path(folder, "report.json"), Path(folder, "peak")
        command = [sys.executable, "-c", MEASURED, str(peak), "check", "--output-format", "json"]
        command += ["--output-file", str(report), *options, *paths]
        for _ in range(repeat):
            start = time.perf_counter()
            done = subprocess.run(command, env=environment(), capture_output=True, check=False)
            seconds = time.perf_counter() - start
            if done.returncode not in {0, 1} or not report.exists():
                raise SystemExit(f"actlint failed:\n{done.stderr.decode(errors='replace')}")
            summary = json.loads(report.read_text(encoding="utf-8"))["summary"]
            runs.append(Lint(seconds, int(peak.read_text()), summary))
    return min(runs, key=lambda one: one.seconds)


def python_files(paths: Sequence[str]) -> list[Path]:
    """Return the Python files below `paths`, sorted."""
    found: set[Path] = set()
    for path in map(Path, paths):
        found.update([path] if path.is_file() else path.rglob("*.py"))
    return sorted(path for path in found if path.is_file())


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Lay out rows of (what, measured, ratio) in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{what:<{widths[0]}}  {value:>{widths[1]}}  {ratio:<{widths[2]}}".rstrip()
        for what, value, ratio in rows
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the best counts")
    options = parser.parse_args()

    files = python_files(options.paths)
    libcst, count, lines, failed = parse(files, options.repeat)
    start_up = best([sys.executable, "-m", "actlint", "--help"], options.repeat)
    tensorflow = best([sys.executable, "-c", "import tensorflow"], options.repeat)
    static = run_lint(options.paths, ["--no-confirm"], options.repeat)
    with tempfile.TemporaryDirectory() as cache:
        full = run_lint(options.paths, ["--cache-dir", cache], 1)
        known = run_lint(options.paths, ["--cache-dir", cache], options.repeat)
    confirming = max(full.seconds - static.seconds, 0.0)
    judged = sum(full.summary[key] for key in ("confirmed", "refuted", "unconfirmed"))
    suspects = full.summary["suspects"]

    rows = [
        ("files, lines", f"{count}, {lines}", f"{failed} not parsed by LibCST"),
        ("actlint --help", f"{start_up:.2f} s", ""),
        ("libcst.parse_module", f"{libcst:.2f} s", ""),
    ]
    # The one beside this interpreter first: a virtual environment need not be activated.
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff:
        command = [ruff, "check", "--no-cache", "--isolated", "--quiet", *options.paths]
        rows.append(("ruff check", f"{best(command, options.repeat):.2f} s", ""))
    rows += [
        (
            "actlint --no-confirm",
            f"{static.seconds:.2f} s",
            f"{static.seconds / libcst:.2f} x LibCST",
        ),
        ("  peak memory", f"{static.peak / 2**20:.0f} MB", ""),
        ("import tensorflow", f"{tensorflow:.2f} s", ""),
        ("actlint", f"{full.seconds:.2f} s", ""),
        ("  confirming", f"{confirming:.2f} s", f"{confirming / tensorflow:.2f} x the import"),
        ("  suspects, judged", f"{suspects}, {judged}", ""),
    ]
    if suspects:
        rows.append(("  for each suspect", f"{1000.0 * confirming / suspects:.0f} ms", ""))
    again = f"{known.seconds / static.seconds:.2f} x the static run"
    rows.append(("  again, all answers known", f"{known.seconds:.2f} s", again))
    rows.append(("  peak memory, main process", f"{full.peak / 2**20:.0f} MB", ""))
    print(table(rows))


if __name__ == "__main__":
    main()
