"""Imports point downwards only, TensorFlow stays in the worker and LibCST out of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import actlint.cli

PACKAGE = Path(actlint.cli.__file__).parent
# Installed, the rules are a folder of the package; in the repository they stand beside it.
RULES = next(path for path in (PACKAGE / "rules", PACKAGE.parent / "rules") if path.is_dir())

# From the bottom up. A module may import from the lines above its own; packages also themselves.
LAYERS = (
    "version", "errors", "defaults", "progress", "suppress",
    "graph", "findings", "editing", "interval", "ops",
    "values", "attained", "cosines", "narrow", "relations", "absint", "flow",
    "remedy", "query", "screening",
    "notebook", "source", "places", "files", "config",
    "dotted", "registration", "literals", "bindings", "changes", "minimising",
    "index", "names", "project",
    "disk", "injection", "parameters", "entries", "scene",
    "reading", "states", "policy", "lower", "spelling", "filling",
    "surroundings", "functions", "mending",
    "worker",
    "nearby", "rendering", "excerpt", "repro", "client", "pool", "cache", "examiner", "retry",
    "merging", "idle", "grading", "joining", "cases", "proof", "catalogue", "contexts",
    "producers", "engine",
    "report", "terminal", "repairing", "checking", "cli", "__init__", "__main__",
)  # fmt: skip
# What the worker shares with the main process; the rest of actlint does not exist for it.
SHARED = {"graph", "findings", "interval", "ops", "worker"}
# Small facts that anything may read.
COMMON = {"version", "errors", "defaults"}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the absolute dotted names that a file imports, with their lines."""
    package = ["actlint", *path.relative_to(PACKAGE).parts[:-1]] if PACKAGE in path.parents else []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module or "").split(".")]
            name = ".".join(part for part in parts if part)
            if name == "actlint":
                yield from ((f"actlint.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield name, node.lineno


def layer(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if RULES not in path.parents)


def own_layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_layer():
    assert {own_layer(path) for path in modules()} <= set(LAYERS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path):
    own = own_layer(path)
    for name, line in imports(path):
        if name.split(".")[0] != "actlint":
            continue
        found = layer(name)
        # The root holds the version alone.
        allowed = found in COMMON | {"__init__"} or LAYERS.index(found) < LAYERS.index(own)
        packaged = found == own and (PACKAGE / own).is_dir()
        assert allowed or packaged, f"{path}:{line}: {own} imports {name}"
        if own == "worker":
            assert found in SHARED, f"{path}:{line}: the worker imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tensorflow_stays_in_the_worker(path: Path):
    own = own_layer(path)
    for name, line in imports(path):
        root = name.split(".")[0]
        if own != "worker":
            assert root not in {"tensorflow", "keras"}, f"{path}:{line}: imports {name}"
        if own in SHARED:
            assert root != "libcst", f"{path}:{line}: imports {name}"
            known = root in sys.stdlib_module_names or root in {"actlint", "numpy", "tensorflow"}
            assert known, f"{path}:{line}: the worker's environment may lack {name}"


@pytest.mark.parametrize("path", sorted(RULES.glob("*.py")), ids=lambda path: path.name)
def test_rules_import_the_query_layer_only(path: Path):
    for name, line in imports(path):
        root = name.split(".")[0]
        siblings = name.startswith("actlint.rules") or (RULES / f"{root}.py").exists()
        allowed = name == "actlint.query" or siblings or root in sys.stdlib_module_names
        assert allowed, f"{path}:{line}: imports {name}"


LOADED = """
import sys
import {module}
heavy = {{"tensorflow", "keras", "{extra}"}} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) if heavy else 0)
"""


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("actlint.cli", "jax"),
        ("actlint.engine", "jax"),
        ("actlint.client", "libcst"),
        ("actlint.worker.protocol", "libcst"),
        ("actlint.ops.table", "libcst"),
    ],
)
def test_what_importing_loads(module: str, extra: str, environment: dict[str, str]):
    program = LOADED.format(module=module, extra=extra)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
