"""Functions that Keras is to find by name when it loads a model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from actlint.dotted import dotted

_OBJECTS = "get_custom_objects"
_SCOPES = frozenset({"custom_object_scope", "CustomObjectScope"})
_DECORATOR = "register_keras_serializable"
_KEYWORD = "custom_objects"


def registered(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a call or assignment makes known to Keras.

    ``get_custom_objects()["bent"] = bent``, ``get_custom_objects().update({"bent": bent})``,
    ``custom_object_scope({"bent": bent})``, ``load_model(path, custom_objects={"bent": bent})``
    and ``register_keras_serializable("mine")(bent)``.
    """
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and _is_table(target.value):
                yield from _names([node.value])
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == _KEYWORD:
                yield from _entries(keyword.value)
        method = isinstance(node.func, ast.Attribute) and node.func.attr == "update"
        table = isinstance(node.func, ast.Attribute) and _is_table(node.func.value)
        if node.args and ((method and table) or _last(node.func) in _SCOPES):
            yield from _entries(node.args[0])
        elif isinstance(node.func, ast.Call) and _last(node.func.func) == _DECORATOR:
            yield from _names(node.args)


def _is_table(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) == _OBJECTS


def _last(node: ast.expr) -> str:
    return dotted(node).rpartition(".")[2]


def _entries(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Dict):
        yield from _names(node.values)


def _names(nodes: list[ast.expr]) -> Iterator[str]:
    yield from (name for node in nodes if (name := dotted(node)))
