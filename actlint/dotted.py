"""Syntax trees of `ast`: dotted names, definitions that a later one replaces, what is inside."""

from __future__ import annotations

import ast
import re

# Between the qualified name of a definition that is replaced later in the file and its number.
_NUMBER = re.compile(r"@\d+")
# Nodes in which there is no call nor assignment, and definitions, which are looked at on their own.
_CLOSED = frozenset(
    {
        ast.Constant, ast.Name, ast.Load, ast.Store, ast.Del, ast.FunctionDef,
        ast.AsyncFunctionDef, ast.ClassDef, *ast.operator.__subclasses__(),
        *ast.unaryop.__subclasses__(), *ast.cmpop.__subclasses__(), *ast.boolop.__subclasses__(),
    }
)  # fmt: skip


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for a chain of names and attributes, or "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def inner_nodes(node: ast.AST) -> list[ast.AST]:
    """Return the children of a node that can hold calls and assignments, but no definitions.

    `ast.iter_child_nodes` yields three times as many, most of them names and signs.
    """
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        found += [
            child
            for child in (value if isinstance(value, list) else (value,))
            if isinstance(child, ast.AST) and child.__class__ not in _CLOSED
        ]
    return found


def unpacked(target: ast.expr, value: ast.expr | None) -> list[tuple[ast.expr, ast.expr | None]]:
    """Return what an assignment assigns to what: ``a, b = 1, 2`` is two assignments."""
    several = (ast.Tuple, ast.List)
    if not isinstance(target, several) or not isinstance(value, several):
        return [(target, value)]
    if len(target.elts) != len(value.elts):
        return []
    return list(zip(target.elts, value.elts, strict=True))


def bare(qualname: str) -> str:
    """Return a qualified name as the file has it, without the numbers of `replaced`."""
    return _NUMBER.sub("", qualname)


def replaced(qualname: str, count: int) -> str:
    """Return what a definition is called that is replaced by another one of the same name.

    Args:
        qualname: the name of both.
        count: how many of the name were replaced before it.
    """
    return f"{qualname}@{count + 1}"
