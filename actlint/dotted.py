"""Names as they are written: dotted chains, and definitions that a later one replaces."""

from __future__ import annotations

import ast
import re

# Between the qualified name of a definition that is replaced later in the file and its number.
_NUMBER = re.compile(r"@\d+")


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
