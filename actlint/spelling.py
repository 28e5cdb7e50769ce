"""How a file spells TensorFlow's functions, by what it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actlint.findings import Edit
from actlint.graph import Span
from actlint.index import FileIndex

# In files that import them instead: functions of keras.ops, and of the Keras backend, that take
# the arguments of TensorFlow's.
_KERAS = {
    "tensorflow.abs": "abs",
    "tensorflow.cast": "cast",
    "tensorflow.clip_by_value": "clip",
    "tensorflow.exp": "exp",
    "tensorflow.expand_dims": "expand_dims",
    "tensorflow.math.divide_no_nan": "divide_no_nan",
    "tensorflow.math.expm1": "expm1",
    "tensorflow.math.log": "log",
    "tensorflow.math.log1p": "log1p",
    "tensorflow.math.reduce_variance": "var",
    "tensorflow.math.log_sigmoid": "log_sigmoid",
    "tensorflow.math.softplus": "softplus",
    "tensorflow.maximum": "maximum",
    "tensorflow.minimum": "minimum",
    "tensorflow.nn.log_softmax": "log_softmax",
    "tensorflow.nn.softmax": "softmax",
    "tensorflow.ones_like": "ones_like",
    "tensorflow.reduce_logsumexp": "logsumexp",
    "tensorflow.reduce_max": "max",
    "tensorflow.reduce_mean": "mean",
    "tensorflow.reduce_min": "min",
    "tensorflow.reduce_sum": "sum",
    "tensorflow.round": "round",
    "tensorflow.shape": "shape",
    "tensorflow.sign": "sign",
    "tensorflow.sigmoid": "sigmoid",
    "tensorflow.sin": "sin",
    "tensorflow.sqrt": "sqrt",
    "tensorflow.square": "square",
    "tensorflow.squeeze": "squeeze",
    "tensorflow.stop_gradient": "stop_gradient",
    "tensorflow.tanh": "tanh",
    "tensorflow.where": "where",
    "tensorflow.zeros_like": "zeros_like",
}
_BACKEND = {
    name: _KERAS[name]
    for name in (
        "tensorflow.abs", "tensorflow.clip_by_value", "tensorflow.exp", "tensorflow.expand_dims",
        "tensorflow.reduce_max", "tensorflow.reduce_mean", "tensorflow.reduce_min",
        "tensorflow.round", "tensorflow.sign",
        "tensorflow.math.log", "tensorflow.cast", "tensorflow.shape",
        "tensorflow.math.softplus", "tensorflow.maximum", "tensorflow.sin", "tensorflow.tanh",
        "tensorflow.minimum", "tensorflow.nn.softmax", "tensorflow.ones_like",
        "tensorflow.reduce_sum", "tensorflow.sigmoid", "tensorflow.sqrt", "tensorflow.square",
        "tensorflow.stop_gradient", "tensorflow.zeros_like", "tensorflow.math.reduce_variance",
    )
}  # fmt: skip
_HOMES = (
    ("keras.ops", _KERAS),
    ("tensorflow.keras.ops", _KERAS),
    ("tensorflow.keras.backend", _BACKEND),
    ("keras.backend", _BACKEND),
)
# Packages that are TensorFlow under another name.
_TENSORFLOW = ("tensorflow", "tensorflow.compat.v1", "tensorflow.compat.v2")


class Unspeakable(Exception):  # a refusal, not a failure
    """The file has no name for a function, and an import of TensorFlow would not be plain."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a file names TensorFlow's functions, and the import that this takes."""

    index: FileIndex
    imports: list[Edit]
    near: str = ""  # the statement that is changed, whose way of spelling is kept

    def of(self, name: str) -> str:
        """Return the file's spelling of a dotted name that begins with ``tensorflow``.

        Raises:
            Unspeakable: the file has none, and an import would not be plain.
        """
        parts = name.split(".")
        for home, functions in _HOMES:
            local = self._local(home)
            if local is not None and name in functions and self._is_near(local):
                return f"{local}.{functions[name]}"
        # Keras is a package of its own, too.
        for path in (parts, parts[1:]) if parts[1:2] == ["keras"] else (parts,):
            for count in range(len(path), 0, -1):
                local = self._local(".".join(path[:count]))
                if local is not None:
                    return ".".join([local, *path[count:]])
        for home, functions in _HOMES:
            local = self._local(home) or self._inside(home)
            if local is not None and name in functions:
                return f"{local}.{functions[name]}"
        self.imports[:] = [_import(self.index)]
        return ".".join(["tf", *parts[1:]])

    def _is_near(self, local: str) -> bool:
        """Tell whether the statement uses a module, and TensorFlow itself nowhere."""
        used = set(re.findall(r"(?<![\w.])(\w+)\.", self.near))
        return local in used and self._local("tensorflow") not in used

    def _inside(self, home: str) -> str | None:
        """Return how the file reaches a module through its package, if it does so already."""
        package, _, module = home.rpartition(".")
        local = self._local(package)
        spelled = f"{local}.{module}"
        return spelled if local is not None and f"{spelled}." in self.index.text else None

    def _local(self, meaning: str) -> str | None:
        """Return the shortest name that means nothing but this."""
        wanted = {f"{root}{meaning[10:]}" for root in _TENSORFLOW}
        if not meaning.startswith("tensorflow"):
            wanted = {meaning}
        if meaning == "tensorflow":
            wanted = set(_TENSORFLOW)
        everywhere = {name for name, _ in _imported(ast.parse(self.index.text).body)}
        found = [
            name
            for name, meanings in self.index.imports.items()
            if name in everywhere
            and name not in self.index.definitions
            and len(meanings) == 1
            and meanings[0] in wanted
        ]
        return min(found, key=lambda name: (len(name), name), default=None)


def _import(index: FileIndex) -> Edit:
    """Return the edit that imports TensorFlow above the first import of one of its modules.

    Raises:
        Unspeakable: there is none at the top level, or the name is taken.
    """
    taken = {*index.imports, *(name.partition(".")[0] for name in index.definitions)}
    if "tf" in taken or index.stars:
        raise Unspeakable
    for _, statement in _imported(ast.parse(index.text).body):
        if isinstance(statement, ast.ImportFrom):
            modules = ["" if statement.level else statement.module or ""]
        else:
            modules = [alias.name for alias in statement.names]
        if any(module.partition(".")[0] == "tensorflow" for module in modules):
            if statement.col_offset:
                break
            span = Span(statement.lineno, 1, statement.lineno, 1)
            return Edit(index.path, span, "import tensorflow as tf\n")
    raise Unspeakable


def _imported(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Yield the names that imports at module level bind, inside ``try`` and ``if``, too."""
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], statement
        elif isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _imported(statement.body)
            yield from _imported(getattr(statement, "orelse", []))
            for handler in getattr(statement, "handlers", []):
                yield from _imported(handler.body)
