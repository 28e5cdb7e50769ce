"""Runs statements of the user's code symbolically."""

from __future__ import annotations

from collections.abc import Sequence as Statements

import libcst as cst

from actlint.lower import contracts, tapes
from actlint.lower.comparing import compare
from actlint.lower.expressions import assign, evaluate, index_value, operate
from actlint.lower.machine import Machine
from actlint.lower.options import Raised
from actlint.lower.values import (
    Class,
    Function,
    Mapping,
    Opaque,
    Scope,
    Sequence,
    Static,
    TensorValue,
    Value,
    dependencies,
    truth,
)

MAX_UNROLL = 16

_AUGMENTED = {
    cst.AddAssign: "add",
    cst.SubtractAssign: "subtract",
    cst.MultiplyAssign: "multiply",
    cst.DivideAssign: "divide",
    cst.FloorDivideAssign: "floordiv",
    cst.ModuloAssign: "mod",
    cst.PowerAssign: "pow",
    cst.MatrixMultiplyAssign: "matmul",
    cst.BitAndAssign: "logical_and",
    cst.BitOrAssign: "logical_or",
}


class Returned(Exception):
    """A ``return`` was reached."""

    def __init__(self, value: Value) -> None:
        self.value = value


class _Break(Exception):
    """A ``break`` was reached."""


class _Continue(Exception):
    """A ``continue`` was reached."""


def run_body(machine: Machine, scope: Scope, body: cst.BaseSuite) -> None:
    """Run a suite.

    Raises:
        Returned: a return statement was reached.
        Raised: a raise statement was reached.
    """
    run_statements(machine, scope, body.body)


def run_statements(machine: Machine, scope: Scope, statements: Statements[cst.CSTNode]) -> None:
    """Run statements in order; see run_body."""
    for statement in statements:
        machine.step()
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                _small(machine, scope, small)
        elif isinstance(statement, cst.BaseSmallStatement):
            _small(machine, scope, statement)
        elif isinstance(statement, cst.BaseCompoundStatement):
            _compound(machine, scope, statement)


def _small(machine: Machine, scope: Scope, node: cst.BaseSmallStatement) -> None:
    if isinstance(node, cst.Assign):
        value = evaluate(machine, scope, node.value)
        for target in node.targets:
            assign(machine, scope, target.target, value)
    elif isinstance(node, cst.AnnAssign):
        if node.value is not None:
            assign(machine, scope, node.target, evaluate(machine, scope, node.value))
    elif isinstance(node, cst.AugAssign):
        _augmented(machine, scope, node)
    elif isinstance(node, cst.Return):
        raise Returned(Static(None) if node.value is None else evaluate(machine, scope, node.value))
    elif isinstance(node, cst.Expr):
        evaluate(machine, scope, node.value)
    elif isinstance(node, cst.Raise):
        raise Raised
    elif isinstance(node, cst.Assert):
        contracts.asserted(machine, scope, node.test)
    elif isinstance(node, cst.Break):
        raise _Break
    elif isinstance(node, cst.Continue):
        raise _Continue
    elif isinstance(node, (cst.Import, cst.ImportFrom)):
        # Imports of the whole file are in the index already, function-level ones included.
        return


def _augmented(machine: Machine, scope: Scope, node: cst.AugAssign) -> None:
    left = evaluate(machine, scope, node.target)
    right = evaluate(machine, scope, node.value)
    key = _AUGMENTED.get(type(node.operator))
    if key is None:
        value: Value = Opaque("", dependencies(left) | dependencies(right))
    else:
        value = operate(machine, key, left, right, node)
        machine.mark(node, value)
    assign(machine, scope, node.target, value)


def _compound(machine: Machine, scope: Scope, node: cst.BaseCompoundStatement) -> None:
    if isinstance(node, cst.FunctionDef):
        scope.variables[node.name.value] = Function(
            node, scope, node.name.value, owner_class=scope.owner_class
        )
    elif isinstance(node, cst.ClassDef):
        name = node.name.value
        found = next(
            (
                q
                for q in scope.module.index.definitions
                if q == name or q.endswith(f".<locals>.{name}")
            ),
            name,
        )
        scope.variables[name] = Class(found, scope.module)
    elif isinstance(node, cst.If):
        _if(machine, scope, node)
    elif isinstance(node, cst.For):
        _for(machine, scope, node)
    elif isinstance(node, cst.While):
        _while(machine, scope, node)
    elif isinstance(node, cst.With):
        taping, overriding = machine.taping, machine.overriding
        for item in node.items:
            value = evaluate(machine, scope, item.item)
            machine.taping = tapes.depth(machine, value)
            machine.overriding |= tapes.overrides(value)
            if item.asname is not None and isinstance(item.asname.name, cst.BaseExpression):
                assign(machine, scope, item.asname.name, value)
        try:
            run_body(machine, scope, node.body)
        finally:
            machine.taping, machine.overriding = taping, overriding
    elif isinstance(node, (cst.Try, cst.TryStar)):
        run_body(machine, scope, node.body)
        if node.orelse is not None:
            run_body(machine, scope, node.orelse.body)
        if node.finalbody is not None:
            run_body(machine, scope, node.finalbody.body)
    elif isinstance(node, cst.Match):
        _match(machine, scope, node)


def _if(machine: Machine, scope: Scope, node: cst.If) -> None:
    if _is_main_guard(node.test):
        run_body(machine, scope, node.body)
        return
    condition = evaluate(machine, scope, node.test)
    known = truth(condition)
    if known is None and (_only_raises(node.body) and node.orelse is None):
        contracts.refused(machine, scope, node.test)
        return
    taken = machine.decide(condition) if known is None else known
    if taken:
        run_body(machine, scope, node.body)
    elif isinstance(node.orelse, cst.If):
        _if(machine, scope, node.orelse)
    elif node.orelse is not None:
        run_body(machine, scope, node.orelse.body)


def _is_main_guard(test: cst.BaseExpression) -> bool:
    return (
        isinstance(test, cst.Comparison)
        and isinstance(test.left, cst.Name)
        and test.left.value == "__name__"
    )


def _only_raises(body: cst.BaseSuite) -> bool:
    """Tell whether a branch only complains: the other way is the one that computes."""
    statements = [
        small
        for line in body.body
        for small in (line.body if isinstance(line, cst.SimpleStatementLine) else [line])
    ]
    return bool(statements) and isinstance(statements[-1], cst.Raise)


def iterate(machine: Machine, value: Value, at: cst.CSTNode) -> tuple[list[Value], bool]:
    """Return the items a loop goes through, and whether these are all of them."""
    if isinstance(value, Sequence):
        whole = len(value.items) <= MAX_UNROLL
        return list(value.items if whole else value.items[:2]), whole
    if isinstance(value, Mapping):
        keys: list[Value] = [
            Static(k) for k in value.items if isinstance(k, (str, int, float, bool))
        ]
        return keys[:MAX_UNROLL], len(keys) <= MAX_UNROLL
    if isinstance(value, TensorValue):
        return [index_value(machine, value, 0, at)], False
    return [Opaque("", dependencies(value))], False


def _for(machine: Machine, scope: Scope, node: cst.For) -> None:
    items, _ = iterate(machine, evaluate(machine, scope, node.iter), node.iter)
    for item in items:
        assign(machine, scope, node.target, item)
        try:
            run_body(machine, scope, node.body)
        except _Continue:
            continue
        except _Break:
            return
    if node.orelse is not None:
        run_body(machine, scope, node.orelse.body)


def _while(machine: Machine, scope: Scope, node: cst.While) -> None:
    for _ in range(MAX_UNROLL):
        condition = evaluate(machine, scope, node.test)
        known = truth(condition)
        if known is False:
            return
        try:
            run_body(machine, scope, node.body)
        except _Continue:
            pass
        except _Break:
            return
        if known is None:
            return


def _match(machine: Machine, scope: Scope, node: cst.Match) -> None:
    subject = evaluate(machine, scope, node.subject)
    for case in node.cases:
        pattern = case.pattern
        if isinstance(pattern, cst.MatchValue):
            wanted = evaluate(machine, scope, pattern.value)
            same = compare(machine, subject, cst.Equal(), wanted, pattern.value)
            known = truth(same)
            if not (machine.decide(same) if known is None else known):
                continue
        elif not (isinstance(pattern, cst.MatchAs) and pattern.pattern is None):
            if not machine.decide(Opaque("")):
                continue
        elif pattern.name is not None:
            scope.variables[pattern.name.value] = subject
        run_body(machine, scope, case.body)
        return
