"""A module as lowering sees it: LibCST trees of single definitions, made when they are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping as ReadOnly
from typing import cast

import libcst as cst
from libcst.metadata import CodeRange, PositionProvider

from actlint.graph import Site, Span
from actlint.index import Definition, FileIndex
from actlint.injection import Injection
from actlint.lower.values import Sequence, Value
from actlint.project import Project


class Library:
    """The modules of a run, made when they are needed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.injection = Injection(project)
        self._modules: dict[str, Module] = {}

    def module(self, index: FileIndex) -> Module:
        """Return the module of an indexed file; the same one every time."""
        if index.path not in self._modules:
            self._modules[index.path] = Module(index, self)
        return self._modules[index.path]


class _Positions(PositionProvider):
    """Positions of a tree that nothing else visits.

    MetadataWrapper.resolve would walk the tree a second time, for visitors that do not exist.
    """

    def of(self, tree: cst.Module) -> ReadOnly[cst.CSTNode, CodeRange]:
        """Return where every node of a tree stands; lines from 1, columns from 0."""
        self._gen_impl(tree)
        return cast("ReadOnly[cst.CSTNode, CodeRange]", self._computed)


class Module:
    """One file: its index, the trees parsed so far, and where their nodes stand."""

    def __init__(self, index: FileIndex, library: Library | None = None) -> None:
        self.index = index
        self.library = library or Library(Project([index]))
        self.path = index.path
        # str.splitlines would also split at form feeds, which Python's line numbers do not count.
        self._lines = index.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._trees: dict[str, cst.Module] = {}
        self._loose: list[cst.Module] = []  # of expressions
        self._places: dict[cst.CSTNode, tuple[CodeRange, int]] = {}  # with the line it counts from
        # Positions cost as much as parsing: they are found when a node is asked for.
        self._unresolved: list[tuple[cst.Module, int]] = []
        self.globals: dict[str, Value] = {}  # module-level values evaluated so far
        self.evaluating: set[str] = set()

    def tree(self, definition: Definition) -> cst.Module:
        """Return the LibCST module that holds just this definition's lines.

        Raises:
            libcst.ParserSyntaxError: LibCST does not know syntax that CPython accepts.
        """
        key = definition.qualname
        if key not in self._trees:
            self._trees[key] = self._parse(definition.line, definition.end_line, definition.column)
        return self._trees[key]

    def whole(self) -> cst.Module:
        """Return the tree of the whole file.

        Raises:
            libcst.ParserSyntaxError: LibCST does not know syntax that CPython accepts.
        """
        if "<module>" not in self._trees:
            self._trees["<module>"] = self._parse(1, len(self._lines), 0)
        return self._trees["<module>"]

    def parsed(self) -> tuple[cst.Module, ...]:
        """Return the trees that were asked for so far."""
        return (*self._trees.values(), *self._loose)

    def around(self, tree: cst.Module, node: cst.CSTNode) -> tuple[str, str]:
        """Return the code of a tree before and after one of its nodes."""
        self.span(node)
        place, _ = self._places[node]
        rows = tree.code.split("\n")
        first, last = place.start, place.end
        before = [*rows[: first.line - 1], rows[first.line - 1][: first.column]]
        after = [rows[last.line - 1][last.column :], *rows[last.line :]]
        return "\n".join(before), "\n".join(after)

    def expression(self, name: str) -> cst.BaseExpression | None:
        """Return the tree of an expression that makes a function, by its name in the index."""
        line, column, end_line, end_column = self.index.expressions[name]
        rows = self._lines[line - 1 : end_line]
        rows[-1] = rows[-1].encode()[:end_column].decode()
        before = rows[0].encode()[:column].decode()
        rows[0] = " " * len(before) + rows[0][len(before) :]
        # Between parentheses on lines of their own, lines and columns stay what they are.
        tree = cst.parse_module("(\n" + "\n".join(rows) + "\n)\n")
        self._loose.append(tree)
        self._unresolved.append((tree, line - 2))
        match tree.body:
            case [cst.SimpleStatementLine(body=[cst.Expr(value=found)])]:
                return found
        return None

    def _parse(self, first: int, last: int, column: int) -> cst.Module:
        rows = self._lines[first - 1 : last]
        # Another statement, a form feed or `else:` may stand before it: columns stay the same.
        before = rows[0].encode()[:column].decode()
        rows[0] = re.sub(r"[^ \t]", " ", before) + rows[0][len(before) :]
        text = "\n".join(rows) + "\n"
        # A header of one line gives an indented definition a block to stand in.
        tree = cst.parse_module("if 1:\n" + text if column else text)
        self._unresolved.append((tree, first - (2 if column else 1)))
        return tree

    def _resolve(self) -> bool:
        """Find the positions of the youngest tree that has none; say whether there was one."""
        if not self._unresolved:
            return False
        tree, offset = self._unresolved.pop()
        for node, place in _Positions().of(tree).items():
            self._places[node] = (place, offset)
        return True

    def span(self, node: cst.CSTNode) -> Span:
        """Return where a node stands in the file.

        Raises:
            KeyError: the node belongs to no tree of this module.
        """
        while node not in self._places:
            if not self._resolve():
                raise KeyError(type(node).__name__)
        return _shifted(*self._places[node])

    def site(self, node: cst.CSTNode) -> Site:
        """Return path, span and text of a node."""
        span = self.span(node)
        return Site(self.path, span, self.text(span))

    def text(self, span: Span) -> str:
        """Return the source text of a span."""
        rows = self._lines[span.line - 1 : span.end_line]
        if not rows:
            return ""
        rows = list(rows)
        rows[-1] = rows[-1][: span.end_column - 1]
        rows[0] = rows[0][span.column - 1 :]
        return "\n".join(rows)


def _shifted(found: CodeRange, offset: int) -> Span:
    return Span(
        found.start.line + offset,
        found.start.column + 1,
        found.end.line + offset,
        found.end.column + 1,
    )


def assigned(name: str, assignment: cst.Assign | cst.AnnAssign, value: Value) -> Value:
    """Return what a name gets of an assigned value: one item, if it stands among several names."""
    for each in assignment.targets if isinstance(assignment, cst.Assign) else ():
        if not isinstance(each.target, (cst.Tuple, cst.List)) or not isinstance(value, Sequence):
            continue
        names = [getattr(element.value, "value", None) for element in each.target.elements]
        if name in names and len(names) == len(value.items):
            return value.items[names.index(name)]
    return value
