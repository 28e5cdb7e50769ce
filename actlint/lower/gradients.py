"""Functions that bring their own gradient: ``tf.custom_gradient``.

Such a function returns its value and a function from the cotangent of the value, called upstream
here, to the cotangents of its arguments. Both become values of one graph.
"""

from __future__ import annotations

import libcst as cst

from actlint.graph import Items
from actlint.lower.limits import Unlowerable
from actlint.lower.machine import Machine
from actlint.lower.values import Function, Opaque, Scope, Sequence, Static, TensorValue, Value
from actlint.ops.table import row

# The parameter by which TensorFlow hands over the variables that the function uses.
_VARIABLES = "variables"


def claim(machine: Machine, scope: Scope, function: Function) -> Value:
    """Run a function that brings its own gradient.

    Args:
        machine: the lowering.
        scope: where the function's parameters are bound.
        function: what to run.

    Returns:
        A node of op ``custom_gradient`` with the value, the arguments that have no default, the
        cotangent of the value and those of the arguments; opaque if some of it cannot be followed.
    """
    params = function.node.params
    listed = [*params.posonly_params, *params.params][1 if function.instance is not None else 0 :]
    required = [scope.variables[p.name.value] for p in listed if p.default is None]
    result = machine.run_function(machine, scope, function.node)
    if isinstance(result, TensorValue):
        return result  # it brings none
    if isinstance(params.star_arg, cst.Param) or not isinstance(result, Sequence):
        return Opaque("")
    if len(result.items) != 2:
        return Opaque("")
    value, rule = result.items
    if not isinstance(value, TensorValue) or not isinstance(rule, Function):
        return Opaque("")
    at = _returned(rule)
    machine.modules.append(rule.scope.module)
    try:
        upstream = machine.emit_key("ones_like", (value,), at)
        machine.name_value(upstream, "upstream")
        gradients = _gradients(machine, rule, upstream, at)
        if gradients is None:
            return Opaque("")
        return machine.emit(
            row("custom_gradient"),
            [
                ("input", machine.arg(value, at)),
                ("x", Items(tuple(machine.arg(item, at) for item in required))),
                ("upstream", machine.arg(upstream, at)),
                ("gradients", Items(tuple(machine.arg(item, at) for item in gradients))),
                ("optional", len(listed) - len(required)),
            ],
            at,
        )
    except Unlowerable:
        return Opaque("")
    finally:
        machine.modules.pop()


def source(machine: Machine, value: Value, at: cst.CSTNode) -> Value:
    """Return an argument as a value that both the function and its gradient refer to."""
    if isinstance(value, Opaque) and value.dependencies:
        return machine.cut(value, at)
    return value


def applied(
    machine: Machine, result: Value | None, sources: list[Value], at: cst.CSTNode
) -> Value | None:
    """Return what a call of a function gives that brings its own gradient.

    Args:
        machine: the lowering.
        result: what the body returns.
        sources: the arguments of the call.
        at: the call.

    Returns:
        A node of op ``with_gradient``, or ``stop_gradient`` if no argument gets a gradient; None
        if the gradient cannot be followed, or uses variables or other functions of this kind.
    """
    if not isinstance(result, Sequence) or len(result.items) != 2:
        return None
    value, rule = result.items
    if not isinstance(value, TensorValue) or not isinstance(rule, Function):
        return None
    params = rule.node.params
    names = {p.name.value for p in (*params.params, *params.kwonly_params)}
    if _VARIABLES in names or not all(isinstance(s, (TensorValue, Static)) for s in sources):
        return None
    upstream = machine.emit_key("ones_like", (value,), at)
    machine.name_value(upstream, "upstream")
    first = len(machine.nodes)
    found = _gradients(machine, rule, upstream, at)
    made = machine.nodes[first:]
    if found is None or len(found) != len(sources):
        return None
    if any(node.op == "with_gradient" or node.input is not None for node in made):
        return None
    pairs = [
        (machine.arg(one, at), machine.arg(gradient, at))
        for one, gradient in zip(sources, found, strict=True)
        if isinstance(one, TensorValue) and _is_live(gradient)
    ]
    if not pairs:
        return machine.emit_key("stop_gradient", (value,), at)
    return machine.emit(
        row("with_gradient"),
        [
            ("input", machine.arg(value, at)),
            ("x", Items(tuple(one for one, _ in pairs))),
            ("upstream", machine.arg(upstream, at)),
            ("gradients", Items(tuple(gradient for _, gradient in pairs))),
        ],
        at,
    )


def _is_live(gradient: Value) -> bool:
    return not isinstance(gradient, Static) or bool(gradient.value)


def _gradients(
    machine: Machine, rule: Function, upstream: TensorValue, at: cst.CSTNode
) -> list[Value] | None:
    """Return the cotangents of the arguments, or None if they cannot be followed."""
    params = rule.node.params
    names = [p.name.value for p in (*params.posonly_params, *params.params, *params.kwonly_params)]
    keywords = dict[str, Value]()
    if _VARIABLES in names:
        keywords[_VARIABLES] = Static(None)
    found = machine.call(machine, rule, [upstream], keywords, at)
    if keywords and isinstance(found, Sequence):
        # The gradients of the arguments, and those of the variables.
        found = found.items[0] if found.items else Static(None)
    items = list(found.items) if isinstance(found, Sequence) else [found]
    if items and isinstance(items[-1], Function):
        items.pop()  # the gradient of the gradient
    gradients: list[Value] = []
    for item in items:
        if not isinstance(item, (TensorValue, Static)):
            return None
        gradients.append(item)
    return gradients


def _returned(rule: Function) -> cst.CSTNode:
    """Return the expression that a gradient function returns at last."""
    node = rule.node
    if isinstance(node, cst.Lambda):
        return node.body
    found: cst.CSTNode = node.name
    for line in node.body.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else [line]:
            if isinstance(small, cst.Return) and small.value is not None:
                found = small.value
    return found
