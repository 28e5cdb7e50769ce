"""Which lines of a program a value reaches, and which ones it comes from: by names, in both ways.

This is meant for short programs of one thought: a name is one value wherever it stands.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def forward(text: str, lines: Iterable[int]) -> frozenset[int]:
    """Return `lines` and those of all statements that use what is computed there."""
    return _reached(text, lines, onward=True)


def backward(text: str, lines: Iterable[int]) -> frozenset[int]:
    """Return `lines` and those of all statements that compute what is used there."""
    return _reached(text, lines, onward=False)


def _reached(text: str, lines: Iterable[int], *, onward: bool) -> frozenset[int]:
    statements = list(_statements(ast.parse(text), ""))
    found = set(lines)
    pending = [s for s in statements if found & set(s[0])]
    seen = {id(s) for s in pending}
    while pending:
        where, defined, used = pending.pop()
        found.update(where)
        given = defined if onward else used
        for other in statements:
            taken = other[2] if onward else other[1]
            if id(other) not in seen and given & taken:
                seen.add(id(other))
                pending.append(other)
    return frozenset(found)


_Statement = tuple[range, frozenset[str], frozenset[str]]  # lines, names it binds, names it reads


def _statements(node: ast.AST, function: str) -> Iterator[_Statement]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            # Who calls a function hands values to its parameters.
            params = frozenset(arg.arg for arg in child.args.args)
            yield range(0), params, frozenset({f"{child.name}()"})
            for default in child.args.defaults:
                yield range(default.lineno, default.lineno + 1), params, frozenset()
            yield from _statements(child, child.name)
        elif isinstance(child, ast.With | ast.If | ast.For | ast.ClassDef):
            yield from _statements(child, function)
        elif isinstance(child, ast.stmt) and not isinstance(child, ast.Import | ast.ImportFrom):
            yield _statement(child, function)


def _statement(node: ast.stmt, function: str) -> _Statement:
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    read |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    if isinstance(node, ast.AugAssign):
        read |= bound
    if isinstance(node, ast.Return):
        bound = {function}
    called = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    bound |= {f"{f.id}()" for f in called if isinstance(f, ast.Name)}
    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return lines, frozenset(bound), frozenset(read)
