"""Functions mended as a whole: their parameters, and the gradient that they bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst

from actlint import surroundings
from actlint.findings import Edit
from actlint.graph import Graph, Span
from actlint.lower.module import Module
from actlint.remedy import Exchange, Undecorate

_DECORATOR = "custom_gradient"


def edits(
    change: Exchange | Undecorate, graph: Graph, modules: Iterable[Module]
) -> tuple[Edit, ...] | None:
    """Return the edits that carry out a change of a function, or None.

    Args:
        change: what to do.
        graph: where its nodes are.
        modules: those that the graph was made of.
    """
    if isinstance(change, Exchange):
        return _exchanged(graph, change)
    site = graph.nodes[change.value].site
    for module in modules:
        for tree in module.parsed() if module.path == site.path else ():
            for path in _paths(tree):
                node = path[-1]
                if isinstance(node, cst.BaseExpression) and module.span(node) == site.span:
                    functions = [each for each in path if isinstance(each, cst.FunctionDef)]
                    made = [tuple(_undecorated(module, each)) for each in functions]
                    if any(made):
                        return next(filter(None, made))
    return None


def _exchanged(graph: Graph, change: Exchange) -> tuple[Edit, ...] | None:
    """Return the edits that put each of two parameters in the other's place."""
    sites = [graph.nodes[node].site for node in (change.first, change.second)]
    if any(not site.text.isidentifier() for site in sites):
        return None
    pairs = (sites, sites[::-1])
    return tuple(Edit(site.path, site.span, other.text) for site, other in pairs)


def _undecorated(module: Module, function: cst.FunctionDef) -> Iterator[Edit]:
    """Yield the edits of one function; none if it is not written in the usual way."""
    decorators = [each for each in function.decorators if _name(each.decorator) == _DECORATOR]
    returns = list(_returns(function))
    value = returns[0].value if len(returns) == 1 else None
    if len(decorators) != 1 or not isinstance(value, cst.Tuple) or len(value.elements) != 2:
        return
    kept, rule = (element.value for element in value.elements)
    inner = _defined(function, rule.value) if isinstance(rule, cst.Name) else None
    if inner is None and not isinstance(rule, cst.Lambda):
        return
    gone = rule if inner is None else inner
    yield _without(module, decorators[0].decorator)
    if inner is not None:
        yield _without(module, inner)
    for line, computed in surroundings.unread(function, gone, kept):
        if _is_plain(computed):
            yield _without(module, line.body[0])
    yield Edit(module.path, module.span(value), module.text(module.span(kept)))


def _is_plain(node: cst.BaseExpression) -> bool:
    """Tell whether every call is that of an attribute of a module, such as ``tf.exp(x)``."""
    calls = [each for each in surroundings.nodes(node) if isinstance(each, cst.Call)]
    return all(
        isinstance(call.func, cst.Attribute)
        and isinstance(call.func.value, (cst.Name, cst.Attribute))
        for call in calls
    )


def _without(module: Module, node: cst.CSTNode) -> Edit:
    """Return the removal of the lines of a node, and of blank ones behind a function."""
    span = module.span(node)
    last = span.end_line if span.end_column == 1 else span.end_line + 1
    if isinstance(node, cst.FunctionDef):
        while (row := module.text(Span(last, 1, last + 1, 1))) and not row.strip():
            last += 1
    return Edit(module.path, Span(span.line, 1, last, 1), "")


def _name(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def _returns(function: cst.FunctionDef) -> Iterator[cst.Return]:
    """Yield the return statements of a function, not those of functions in it."""
    pending: list[cst.CSTNode] = [function.body]
    while pending:
        node = pending.pop()
        if isinstance(node, cst.Return):
            yield node
        if not isinstance(node, (cst.FunctionDef, cst.Lambda)):
            pending += node.children


def _defined(function: cst.FunctionDef, name: str) -> cst.FunctionDef | None:
    found = [
        each
        for each in function.body.body
        if isinstance(each, cst.FunctionDef) and each.name.value == name
    ]
    return found[0] if len(found) == 1 else None


def _paths(
    node: cst.CSTNode, above: tuple[cst.CSTNode, ...] = ()
) -> Iterator[tuple[cst.CSTNode, ...]]:
    path = (*above, node)
    yield path
    for child in node.children:
        yield from _paths(child, path)
