"""Functions that nothing uses, in files that do train: their names alone say what they are for."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from actlint.dotted import bare
from actlint.index import FileIndex
from actlint.names import last
from actlint.project import Project
from actlint.scene import Unit

# How evidence of a role begins that names and arguments alone give; see scene.py.
_BY_NAME: Final = ("named like", "public function of", "takes a target")
# Methods that train.
_TRAINING: Final = frozenset(
    {"apply_gradients", "compile", "compute_gradients", "fit", "gradient", "minimize"}
)
# What finds a function by a string.
_LOOK_UPS: Final = re.compile(r"custom_object|\bgetattr\b|\bglobals\b|\bvars\b|\beval\b|__all__")


def is_idle(unit: Unit, project: Project) -> bool:
    """Tell whether nothing uses a function of a file that trains something else.

    A file without training is a library, which others use. Names count wherever they are mentioned
    but in strings; those, too, where a file looks up functions by strings.
    """
    home = project.file(unit.path)
    name = last(bare(unit.qualname))
    if home is None or not unit.evidence.startswith(_BY_NAME) or not name.isidentifier():
        return False
    calls = {call for found in home.definitions.values() for call in found.calls}
    if not (calls | home.script_calls) & _TRAINING or _LOOK_UPS.search(home.text):
        return False
    method = "." in bare(unit.qualname)
    return name not in _mentioned(home.text, attributes=method) and not any(
        _reads(other, unit.path, name) for other in project.given if other.path != unit.path
    )


def _reads(other: FileIndex, path: str, name: str) -> bool:
    """Tell whether another file mentions both a file, by the name of its module, and a name."""
    module = PurePosixPath(path).stem
    return module in other.text and re.search(rf"\b{re.escape(name)}\b", other.text) is not None


@lru_cache(maxsize=32)
def _mentioned(text: str, *, attributes: bool) -> frozenset[str]:
    """Return the names that a file reads, or the attributes."""
    nodes = ast.walk(ast.parse(text))
    if attributes:
        return frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute))
    return frozenset(
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
