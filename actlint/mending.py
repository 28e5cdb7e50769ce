"""From a rule's remedy to edits of the user's source, made with LibCST.

New expressions are put together from the user's own, so that their formatting and comments stay;
nothing outside the replaced expression is touched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import libcst as cst

from actlint import functions, surroundings
from actlint.filling import ATOMS, binding, code_of, filled, loose, parenthesised, tight
from actlint.findings import Edit
from actlint.graph import Arg, Graph, Input, InputRole, Items, Ref, Span, refs
from actlint.lower.marks import Mark
from actlint.remedy import Exchange, Keyword, Remedy, Rewrite, Undecorate
from actlint.spelling import Spelling, Unspeakable
from actlint.surroundings import names

# Expressions longer than this are not written down a second time.
_MAX_COPIED = 60

# Ops that draw anew whenever they are computed.
_DRAWS = ("random", "truncated_normal")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MARK = "placeholder_{}"

# Where an expression of several tokens needs no parentheses: brackets or keywords enclose it.
_ENCLOSED = (
    cst.Arg, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Expr, cst.Element,
    cst.Index, cst.DictElement, cst.Lambda, cst.Slice, cst.NamedExpr, cst.Yield, cst.Param,
    cst.FormattedStringExpression,
)  # fmt: skip


class _Unmendable(Exception):  # carried out of nested calls
    """The remedy cannot be written into this source."""


def edits(remedy: Remedy, graph: Graph, marks: Sequence[Mark]) -> tuple[Edit, ...] | None:
    """Return the edits that carry out a remedy, or None if it cannot be written down here.

    Args:
        remedy: what a rule suggests.
        graph: where its nodes are.
        marks: which expressions of the source have these values.
    """
    found: list[Edit] = []
    for change in remedy.changes:
        try:
            if isinstance(change, (Exchange, Undecorate)):
                made = functions.edits(change, graph, {mark.module: None for mark in marks})
                if made is None:
                    return None
                found += made
                continue
            writer = _Writer(graph, marks, change)
            found += writer.edits()
            if len(remedy.changes) == 1:  # another one may bring the name back
                found += writer.unread()
        except (_Unmendable, Unspeakable):
            return None
    return tuple(dict.fromkeys(found))


class _Writer:
    """Writes one change."""

    def __init__(self, graph: Graph, marks: Sequence[Mark], change: Rewrite | Keyword) -> None:
        self.graph = graph
        self.marks = marks
        self.change = change
        self.named = False  # the expression makes what computes the value
        if change.within is None:
            mark = self._computed(change.value) or self._maker(change.value)
        else:
            whole = Ref(change.within)
            mark = self._computed(whole) or self._maker(whole) or self._calling(whole)
            mark = None if mark is None else self._read(change.value, mark)
        if mark is None:
            raise _Unmendable
        self.module, self.old = mark.module, mark.node
        self.span = mark.module.span(mark.node)
        lines = Span(self.span.line, 1, self.span.end_line, self.span.end_column)
        self.spelling = Spelling(self.module.index, [], self.module.text(lines))
        self._made: cst.BaseExpression | None = None
        self._beside: list[Edit] = []  # statements that the new expression needs

    def _computed(self, value: Arg) -> Mark | None:
        """Return the expression that computes a node, at its own site."""
        node = self.graph.nodes[value.node] if isinstance(value, Ref) else None
        held = value if node is None or node.op or node.input is not None else node.value
        return next((mark for mark in self._at(value) if mark.value in (value, held)), None)

    def _calling(self, value: Ref) -> Mark | None:
        """Return the expression at a node's site whose value is made of the node."""
        return next((mark for mark in self._at(value) if isinstance(mark.value, Ref)), None)

    def _at(self, value: Arg) -> Iterator[Mark]:
        """Yield the marks at a node's own site."""
        site = self.graph.nodes[value.node].site if isinstance(value, Ref) else None
        for mark in self.marks:
            here = site is not None and mark.module.path == site.path
            if here and site is not None and mark.module.span(mark.node) == site.span:
                yield mark

    def _maker(self, value: Arg) -> Mark | None:
        """Return what makes the layer, or names the loss, that computes a node of a model."""
        if not self.graph.read or not isinstance(value, Ref):
            return None
        site = self.graph.nodes[value.node].site
        modules = {id(mark.module): mark.module for mark in self.marks}
        for module in modules.values():
            trees = module.parsed() if module.path == site.path else ()
            for node in (found for tree in trees for found, _ in _nodes(tree)):
                maker = isinstance(node, (cst.Call, cst.SimpleString))
                if maker and module.span(node) == site.span:
                    assert isinstance(node, cst.BaseExpression)
                    self.named = True
                    return Mark(module, node, value)
        return None

    def _read(self, value: Arg, within: Mark) -> Mark | None:
        """Return the largest expression of a value inside another expression."""
        whole = within.module.span(within.node)
        found = [
            mark
            for mark in self._same(value)
            if mark.module is within.module and _inside(mark.module.span(mark.node), whole)
        ]
        return max(found, key=_length, default=None)

    def _same(self, value: Arg) -> list[Mark]:
        """Return the marks of a value; 1, 1.0 and True are not the same."""
        return [
            mark for mark in self.marks if mark.value == value and type(mark.value) is type(value)
        ]

    def edits(self) -> Iterator[Edit]:
        """Yield the replacement of the expression, and the import that it needs."""
        if isinstance(self.change, Keyword):
            yield self._keyword(self.change)
        else:
            content = self._text(self._expression())
            if content == self.module.text(self.span):
                raise _Unmendable
            yield Edit(self.module.path, self._place(content), content)
            yield from self._beside
        yield from self.spelling.imports

    def _place(self, content: str) -> Span:
        """Return the span to replace: with parentheses that the new text makes needless."""
        span = self.span
        if isinstance(self.old, cst.AugAssign):
            return span
        brackets = self.old.lpar
        wide = replace(span, column=span.column - 1, end_column=span.end_column + 1)
        around = replace(wide, column=max(wide.column - 1, 1))
        text = self.module.text(around) if wide.column > 0 else ""
        if (
            len(brackets) == 1
            and self._stands_alone()
            and text.endswith(")")
            and text[wide.column - around.column :].startswith("(")
            # `return(x)` needs them as a blank.
            and not text[0].isalnum()
            and "\n" not in content
        ):
            return wide
        return span

    def _stands_alone(self) -> bool:
        """Tell whether the new expression needs no parentheses where the old one had some."""
        if isinstance(self._made, ATOMS):
            return True
        path = self._way()
        return len(path) > 1 and self._made is not None and _binds(self._made, self.old, path[-2])

    def _keyword(self, change: Keyword) -> Edit:
        call = self.old
        if not isinstance(call, cst.Call):
            raise _Unmendable
        value = code_of(loose(self._expression()))
        for argument in call.args:
            if argument.keyword is not None and argument.keyword.value == change.name:
                if self._is_setting(argument.value):
                    raise _Unmendable  # see _check_settings
                span = self.module.span(argument.value)
                return Edit(self.module.path, span, value)
            if argument.star:
                raise _Unmendable
        if call.args:
            end = self.module.span(call.args[-1].value)
            content = f", {change.name}={value}"
        else:
            end = replace(self.span, end_column=self.span.end_column - 1)
            content = f"{change.name}={value}"
        span = Span(end.end_line, end.end_column, end.end_line, end.end_column)
        return Edit(self.module.path, span, content)

    def _is_setting(self, node: cst.BaseExpression) -> bool:
        """Tell whether names are in an expression other than that of an imported function."""
        root = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if isinstance(root, cst.Name) and root.value in self.module.index.imports:
            return False
        return bool(names(node) - _LITERALS)

    def _expression(self) -> cst.BaseExpression:
        """Return the template with the user's expressions in it."""
        names = re.findall(r"\btf((?:\.\w+)+)", self.change.template)
        template = self.change.template
        for name in sorted(set(names), key=len, reverse=True):
            spelled = self.spelling.of(f"tensorflow{name}")
            template = re.sub(rf"\btf{re.escape(name)}\b", spelled, template)
        parts = dict(self.change.parts)
        tree = cst.parse_expression(_PLACEHOLDER.sub(lambda m: _MARK.format(m[1]), template))
        made = filled(
            tree,
            self._named(
                tree, {_MARK.format(name): self._part(value) for name, value in parts.items()}
            ),
            enclosed=parenthesised(self.old),
        )
        if isinstance(self.change, Rewrite):
            self._check_settings(made)
            old = self.old
            if isinstance(old, cst.BaseExpression):
                old = old.with_changes(lpar=[], rpar=[])  # its parentheses stay
            if not _comments(old) <= _comments(made):
                raise _Unmendable  # the author's words are worth more than the fix
        self._made = made
        return made

    def _named(
        self, tree: cst.BaseExpression, parts: dict[str, cst.BaseExpression]
    ) -> dict[str, cst.BaseExpression]:
        """Compute a part once, on a line of its own, that is written down several times."""
        name = surroundings.repeated(tree, parts, self.old)
        if name is None:
            return parts
        line, text = surroundings.statement(self._way()), self.module.index.text
        found = surroundings.named(parts, name, text)
        if line is not None and found is not None:
            start = self.module.span(line.body[0])
            place = Span(start.line, start.column, start.line, start.column)
            indent = self.module.text(replace(place, column=1))
            if not indent.strip():
                content = f"{found[1]} = {code_of(loose(parts[name]))}\n{indent}"
                self._beside.append(Edit(self.module.path, place, content))
                return found[0]
        if any(mark.node is parts[name] and self._makes_anew(mark) for mark in self.marks):
            raise _Unmendable
        return parts

    def _way(self) -> tuple[cst.CSTNode, ...]:
        """Return what holds the replaced expression, outermost first."""
        trees = self.module.parsed()
        return next((path for tree in trees if (path := surroundings.way(tree, self.old))), ())

    def unread(self) -> Iterator[Edit]:
        """Yield the removal of lines whose values nothing reads any more."""
        inside = [node for node in self._way() if isinstance(node, cst.FunctionDef)]
        if self._made is None or not inside:
            return  # the names of a module may be read elsewhere
        for line, value in surroundings.unread(inside[-1], self.old, self._made):
            mark = next((mark for mark in self.marks if mark.node is value), None)
            if mark is None or not isinstance(mark.value, Ref) or self._makes_anew(mark):
                return
            node = self.graph.nodes[mark.value.node]
            span = self.module.span(line.body[0])
            before = self.module.text(Span(span.line, 1, span.line, span.column))
            if not node.op or before.strip():
                return
            yield Edit(self.module.path, Span(span.line, 1, span.end_line + 1, 1), "")

    def _consumed(self) -> list[Mark]:
        """Return the expressions of all values that the new expression computes anew.

        These are the replaced one and what leads to it from the parts.
        """
        stop = {each for _, part in self.change.parts for each in refs(part)}
        found: dict[int, Mark] = {}
        whole = self.change.within is None and not self.named
        pending = [*refs(self.change.value)] if whole else []
        if set(pending) & stop:
            return []  # the old expression is a part of the new one
        while pending:
            node = self.graph.nodes[pending.pop()]
            if node.id in found or node.id in stop:
                continue
            if node.input is not None:
                raise _Unmendable  # something that the old expression reads is lost
            mark = self._computed(Ref(node.id))
            if mark is not None:
                found[node.id] = mark
            pending += node.operands
        return list(found.values())

    def _check_settings(self, made: cst.BaseExpression) -> None:
        """Make sure that no setting is lost whose value is known here only by chance.

        A parameter's default, or a constant of the module, may be changed by the user; an
        expression that is right for its present value alone is none to offer.

        Raises:
            _Unmendable: one is lost.
        """
        kept = names(made)
        consumed = [(mark.module, mark.module.span(mark.node)) for mark in self._consumed()]
        if self.change.within is not None or self.named:
            consumed.append((self.module, self.span))
        for mark in self.marks:
            if isinstance(mark.value, Ref) or not isinstance(mark.node, (cst.Name, cst.Attribute)):
                continue
            if isinstance(mark.node, cst.Name) and mark.node.value in _LITERALS:
                continue
            if not self._is_setting(mark.node):
                continue  # a constant of another module, such as math.inf
            span = mark.module.span(mark.node)
            lost = not names(mark.node) <= kept
            if lost and any(mark.module is m and _inside(span, whole) for m, whole in consumed):
                raise _Unmendable

    def _part(self, value: Arg) -> cst.BaseExpression:
        """Return the user's expression of a value.

        Raises:
            _Unmendable: none can be quoted here.
        """
        here = [
            mark
            for mark in self._same(value)
            if mark.module is self.module and not isinstance(mark.node, cst.AugAssign)
        ]
        if not isinstance(value, Ref):
            return self._setting(value, here)
        inside = [mark for mark in here if _inside(self.module.span(mark.node), self.span)]
        if inside:
            found = _quoted(max(inside, key=_length))
            # The brackets of the replaced expression stay, with the comments in them.
            return found.with_changes(lpar=[], rpar=[]) if found is self.old else found
        before = [mark for mark in here if self.module.span(mark.node).line <= self.span.end_line]
        named = [mark for mark in before if isinstance(mark.node, cst.Name)]
        if named:
            return _quoted(max(named, key=_start))
        name = self.graph.nodes[value.node].name
        if name and self.graph.nodes[value.node].op:
            return cst.Name(name)
        copied = [
            mark for mark in here if _length(mark) <= _MAX_COPIED and not self._makes_anew(mark)
        ]
        if copied:
            return _quoted(min(copied, key=_length))
        if name:
            return cst.Name(name)
        raise _Unmendable

    def _makes_anew(self, copied: Mark) -> bool:
        """Tell whether a copy would be another value: of a variable, a layer's call or a draw."""
        whole = self.module.span(copied.node)
        inside = (
            mark
            for mark in self.marks
            if isinstance(mark.value, Ref)
            and isinstance(mark.node, cst.Call)
            and mark.module is self.module
            and _inside(self.module.span(mark.node), whole)
        )
        for mark in inside:
            assert isinstance(mark.value, Ref)
            assert isinstance(mark.node, cst.Call)
            node = self.graph.nodes[mark.value.node]
            if node.op.startswith(_DRAWS):
                return True
            if node.input is not None and not self._is_function(node.input, mark.node.func):
                return True
        return False

    def _is_function(self, found: Input, called: cst.BaseExpression) -> bool:
        """Tell whether what gave an input is a function of its arguments alone."""
        return found.role is InputRole.CUT and not self._is_setting(called)

    def _setting(self, value: Arg, here: Sequence[Mark]) -> cst.BaseExpression:
        """Return the expression of a plain value, as the user wrote it if that can be told.

        Args:
            value: the value.
            here: expressions of this module that have it, perhaps by chance: of ``1.0 / (a * x)``
                the first operand is meant, even if ``a`` is 1.0 by default.

        Raises:
            _Unmendable: several expressions have it, or it cannot be written.
        """
        for whole in (self.old, *(mark.node for mark in self._consumed())):
            depths = {id(node): depth for node, depth in _nodes(whole)}
            inside = [mark for mark in here if id(mark.node) in depths]
            least = min((depths[id(mark.node)] for mark in inside), default=0)
            nearest = {
                code_of(_quoted(mark)): mark for mark in inside if depths[id(mark.node)] == least
            }
            if len(nearest) > 1:
                raise _Unmendable
            for mark in nearest.values():
                return _quoted(mark)
        text = _literal(value)
        if text is None:
            raise _Unmendable
        return cst.parse_expression(text)

    def _text(self, made: cst.BaseExpression) -> str:
        """Return the code of the new expression as it has to be written in the old one's place."""
        old = self.old
        path = self._way()
        if not path:
            raise _Unmendable
        tree, parent = path[0], path[-2]
        assert isinstance(tree, cst.Module)
        new: cst.CSTNode
        if isinstance(old, cst.AugAssign):
            target = old.target.deep_clone()
            new = cst.Assign([cst.AssignTarget(target)], loose(made), old.semicolon)
        else:
            if isinstance(made, ATOMS) or parenthesised(old):
                made = loose(made)
            elif not isinstance(parent, _ENCLOSED) and not _binds(made, old, parent):
                made = tight(made)
            new = made.with_changes(lpar=[*old.lpar, *made.lpar], rpar=[*made.rpar, *old.rpar])
        # Written as a part of its tree, continued lines get the indentation of their block.
        code = tree.deep_replace(self.old, new)
        if not isinstance(code, cst.Module):
            raise _Unmendable
        before, after = self.module.around(tree, self.old)
        return code.code[len(before) : len(code.code) - len(after)]


# Names that Python reads as values.
_LITERALS = frozenset({"None", "True", "False"})


def _literal(value: Arg) -> str | None:
    """Return how Python spells a plain value, or None if it is none."""
    if isinstance(value, (bool, int, float)):
        return repr(value) if math.isfinite(value) else None
    if isinstance(value, Items):
        items = [_literal(item) for item in value.items]
        return None if None in items else f"[{', '.join(str(item) for item in items)}]"
    return None


def _nodes(node: cst.CSTNode, depth: int = 0) -> Iterator[tuple[cst.CSTNode, int]]:
    """Yield a node and all below it, with how deep they lie."""
    yield node, depth
    for child in node.children:
        yield from _nodes(child, depth + 1)


def _comments(node: cst.CSTNode) -> set[str]:
    found = {node.value} if isinstance(node, cst.Comment) else set[str]()
    return found.union(*(_comments(child) for child in node.children))


def _binds(made: cst.BaseExpression, old: cst.CSTNode, parent: cst.CSTNode) -> bool:
    """Tell whether an operand needs no parentheses: it binds more tightly, or is a number."""
    if not isinstance(parent, cst.BinaryOperation):
        return False
    if isinstance(made, cst.UnaryOperation) and isinstance(made.expression, cst.BaseNumber):
        return isinstance(parent.operator, (cst.Multiply, cst.Divide))
    around = binding(parent, enclosed=True)
    return around > 0 and binding(made) >= around + (parent.right is old)


def _inside(span: Span, whole: Span) -> bool:
    """Tell whether a span lies in another one, or is the same."""
    first, last = (span.line, span.column), (span.end_line, span.end_column)
    return (whole.line, whole.column) <= first and last <= (whole.end_line, whole.end_column)


def _quoted(mark: Mark) -> cst.BaseExpression:
    """Return the expression of a mark that is no statement."""
    assert isinstance(mark.node, cst.BaseExpression)
    return mark.node


def _length(mark: Mark) -> int:
    return len(mark.module.text(mark.module.span(mark.node)))


def _start(mark: Mark) -> tuple[int, int]:
    span = mark.module.span(mark.node)
    return span.line, span.column
