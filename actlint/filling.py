"""Templates of new expressions, filled with the user's own."""

from __future__ import annotations

import libcst as cst

ATOMS = (
    cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.BaseNumber, cst.BaseString, cst.List,
    cst.Tuple, cst.Dict, cst.Set, cst.ListComp, cst.Ellipsis,
)  # fmt: skip


def filled(
    template: cst.BaseExpression, parts: dict[str, cst.BaseExpression], *, enclosed: bool = False
) -> cst.BaseExpression:
    """Return the template with expressions in the place of the names that `parts` has.

    Args:
        template: the new expression.
        parts: what stands for its names.
        enclosed: brackets stand around the new expression, so that it may have several lines.
    """
    if isinstance(template, cst.Name) and template.value in parts:
        return loose(parts[template.value].deep_clone())
    made = template.visit(_Fill(parts, enclosed=enclosed))
    assert isinstance(made, cst.BaseExpression)
    return made


class _Fill(cst.CSTTransformer):
    """Puts expressions in the place of names, with parentheses where operators ask for them."""

    def __init__(self, parts: dict[str, cst.BaseExpression], *, enclosed: bool) -> None:
        super().__init__()
        self._parts = parts
        self._enclosed = enclosed

    def leave_Arg(  # noqa: N802  # LibCST looks it up by this name
        self, original_node: cst.Arg, updated_node: cst.Arg
    ) -> cst.Arg:
        if isinstance(original_node.value, cst.Name) and original_node.value.value in self._parts:
            return updated_node.with_changes(value=loose(self._found(original_node.value)))
        return updated_node

    def leave_Index(  # noqa: N802  # as above
        self, original_node: cst.Index, updated_node: cst.Index
    ) -> cst.Index:
        name = original_node.value
        if isinstance(name, cst.Name) and name.value in self._parts:
            return updated_node.with_changes(value=loose(self._found(name)))
        return updated_node

    def leave_BinaryOperation(  # noqa: N802  # as above
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BinaryOperation:
        strength = _BINDING.get(type(original_node.operator), _TIGHTEST)
        sides = {
            side: loose(self._found(name))
            for side in ("left", "right")
            if isinstance(name := getattr(original_node, side), cst.Name)
            and name.value in self._parts
            and binding(self._parts[name.value], enclosed=self._enclosed)
            >= strength + (side == "right")
        }
        return updated_node.with_changes(**sides)

    def leave_Name(  # noqa: N802  # as above
        self, original_node: cst.Name, updated_node: cst.Name
    ) -> cst.BaseExpression:
        if original_node.value not in self._parts:
            return updated_node
        return tight(self._found(original_node))

    def _found(self, name: cst.Name) -> cst.BaseExpression:
        return self._parts[name.value].deep_clone()


def parenthesised(node: cst.CSTNode) -> bool:
    """Tell whether an expression stands in parentheses of its own."""
    return isinstance(node, cst.BaseExpression) and bool(node.lpar)


def binding(node: cst.CSTNode | None, *, enclosed: bool = False) -> int:
    """Return how tightly an operation binds; 0 if that is not known to matter.

    One of several lines is known to be safe without brackets of its own only inside others.
    """
    if isinstance(node, cst.BinaryOperation) and (enclosed or "\n" not in code_of(node)):
        return _BINDING.get(type(node.operator), 0)
    return 0


# Precedence of operators that need no parentheses inside those of a smaller number.
_BINDING: dict[type[cst.BaseBinaryOp], int] = {
    cst.Add: 1, cst.Subtract: 1, cst.Multiply: 2, cst.Divide: 2,
}  # fmt: skip
_TIGHTEST = 9


def loose(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return an expression without parentheses of its own, unless they hold comments."""
    if isinstance(node, (cst.Tuple, cst.GeneratorExp, cst.NamedExpr, cst.Yield)):
        return node
    around = [bracket.whitespace_after for bracket in node.lpar]
    around += [bracket.whitespace_before for bracket in node.rpar]
    if all(isinstance(blank, cst.SimpleWhitespace) for blank in around):
        return node.with_changes(lpar=[], rpar=[])
    return node


def tight(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return an expression that can be an operand of anything."""
    if isinstance(node, ATOMS) or parenthesised(node):
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def code_of(node: cst.BaseExpression) -> str:
    """Return the source text of an expression."""
    return cst.Module([]).code_for_node(node)
