"""What a replaced expression asks for around it: a value to name, assignments that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import libcst as cst

from actlint.filling import code_of, loose

# Names for a value that is written down several times, the first that the file does not use.
_NAMES = ("value", "inner", "argument")
# In these, an expression is not computed when its statement is, or not for sure.
_LATER = (
    cst.Lambda, cst.IfExp, cst.BooleanOperation, cst.ListComp, cst.SetComp, cst.DictComp,
    cst.GeneratorExp,
)  # fmt: skip


def way(tree: cst.CSTNode, node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    """Return what holds a node, outermost first, and the node; nothing if the tree has it not."""
    if tree is node:
        return (tree,)
    for child in tree.children:
        found = way(child, node)
        if found:
            return (tree, *found)
    return ()


def statement(path: tuple[cst.CSTNode, ...]) -> cst.SimpleStatementLine | None:
    """Return the line before which a value of an expression can be computed, or None.

    Args:
        path: the way to the expression.
    """
    lines = [node for node in path if isinstance(node, cst.SimpleStatementLine)]
    if not lines or len(lines[-1].body) != 1:
        return None
    inside = path[path.index(lines[-1]) :]
    return None if any(isinstance(node, _LATER) for node in inside) else lines[-1]


def repeated(
    template: cst.BaseExpression, parts: Mapping[str, cst.BaseExpression], old: cst.CSTNode
) -> str | None:
    """Return the part that would be computed more often than it was, or None.

    Args:
        template: the new expression.
        parts: what stands for its names.
        old: the expression that is replaced.
    """
    for name, part in parts.items():
        if not any(isinstance(node, cst.Call) for node in nodes(part)) or "\n" in code_of(part):
            continue
        count = _count(template, name) + sum(
            _count(template, other) * _occurrences(whole, part)
            for other, whole in parts.items()
            if other != name
        )
        if count > max(1, _occurrences(old, part)):
            return name
    return None


def _occurrences(node: cst.CSTNode, part: cst.BaseExpression) -> int:
    return sum(_same(each, part) for each in nodes(node))


def named(
    parts: Mapping[str, cst.BaseExpression], name: str, text: str
) -> tuple[dict[str, cst.BaseExpression], str] | None:
    """Return parts in which one goes by a new variable, and the variable; None if all are taken.

    Args:
        parts: expressions.
        name: key of the one to name.
        text: of the file.
    """
    free = next((each for each in _NAMES if not re.search(rf"\b{each}\b", text)), None)
    if free is None:
        return None
    variable, part = cst.Name(free), parts[name]
    made: dict[str, cst.BaseExpression] = {}
    for key, whole in parts.items():
        changed = whole
        while (
            inner := next((node for node in nodes(changed) if _same(node, part)), None)
        ) is not None:
            new = variable if inner is changed else changed.deep_replace(inner, variable)
            assert isinstance(new, cst.BaseExpression)
            changed = new
        made[key] = changed
    return made, free


def unread(
    function: cst.FunctionDef, replaced: cst.CSTNode, made: cst.BaseExpression
) -> Iterator[tuple[cst.SimpleStatementLine, cst.BaseExpression]]:
    """Yield the assignments in a function that an expression alone has read.

    Args:
        function: where they are.
        replaced: what goes, in the function.
        made: what takes its place.

    Returns:
        Each with the expression whose value it holds.
    """
    gone: list[cst.CSTNode] = [replaced]
    # Those of its own block alone: another one might be left without a statement.
    lines = [node for node in function.body.body if isinstance(node, cst.SimpleStatementLine)]
    inside = set(map(id, nodes(replaced)))
    kept = names(made)
    for line in reversed(lines):
        target = _assigned(line)
        if target is None or id(line) in inside or any(node is replaced for node in nodes(line)):
            continue
        name, value = target
        dropped = sum(_count(node, name) for node in gone)
        if dropped and name not in kept and _count(function, name) == dropped + 1:
            gone.append(value)
            yield line, value


def _assigned(line: cst.SimpleStatementLine) -> tuple[str, cst.BaseExpression] | None:
    """Return name and value of a line that is one plain assignment without comments."""
    found = line.body[0] if len(line.body) == 1 else None
    if not isinstance(found, cst.Assign) or len(found.targets) != 1:
        return None
    target = found.targets[0].target
    comments = any(isinstance(node, cst.Comment) for node in nodes(line))
    return None if comments or not isinstance(target, cst.Name) else (target.value, found.value)


def _count(node: cst.CSTNode, name: str) -> int:
    """Return how often a variable is named; attributes and keywords are none."""
    if isinstance(node, cst.Name):
        return int(node.value == name)
    within = [node.value] if isinstance(node, (cst.Attribute, cst.Arg)) else node.children
    return sum(_count(child, name) for child in within)


def names(node: cst.CSTNode) -> set[str]:
    """Return the names in an expression; of ``self.axis`` both."""
    return {each.value for each in nodes(node) if isinstance(each, cst.Name)}


def _same(node: cst.CSTNode, part: cst.BaseExpression) -> bool:
    return isinstance(node, cst.BaseExpression) and loose(node).deep_equals(loose(part))


def nodes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield a node and all below it."""
    yield node
    for child in node.children:
        yield from nodes(child)
