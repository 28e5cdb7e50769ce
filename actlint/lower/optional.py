"""Parameters whose default is None and that callers may give a tensor."""

from __future__ import annotations

import libcst as cst
from libcst import matchers

from actlint.graph import InputRole, Role
from actlint.lower.machine import Machine
from actlint.lower.values import Function, Static, Value
from actlint.parameters import label_like

# Units that others call with what they like.
_CALLED = frozenset({Role.LOSS, Role.ACTIVATION, Role.LAYER})


def role(machine: Machine, function: Function, name: str, default: Value) -> InputRole | None:
    """Return what a parameter is if a caller gives it, or None if it is left at its default.

    Keras gives the ``call`` of a layer a mask if an earlier layer masks. Masks, weights and other
    targets of functions are taken both ways if the body asks whether they are None.
    """
    if not (isinstance(default, Static) and default.value is None):
        return None
    if machine.role not in _CALLED:
        return None
    body = function.node.body
    if machine.role is Role.LAYER and function.instance is not None and name == "mask":
        return InputRole.LABEL if matchers.findall(body, matchers.Name(name)) else None
    if label_like(name) and _is_asked_for(body, name) and not _is_called(body, name):
        return InputRole.LABEL
    return None


def _is_asked_for(body: cst.CSTNode, name: str) -> bool:
    """Tell whether a body compares a name with None."""
    none = matchers.ComparisonTarget(
        operator=matchers.Is() | matchers.IsNot() | matchers.Equal() | matchers.NotEqual(),
        comparator=matchers.Name("None"),
    )
    asked = matchers.Comparison(left=matchers.Name(name), comparisons=[none])
    return bool(matchers.findall(body, asked))


def _is_called(body: cst.CSTNode, name: str) -> bool:
    """Tell whether a body calls what a name holds, or a method of it: that is no tensor."""
    named = matchers.Name(name)
    called = matchers.Call(func=named | matchers.Attribute(value=named))
    return bool(matchers.findall(body, called))
