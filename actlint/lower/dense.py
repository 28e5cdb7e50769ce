"""Which tensors are dense: all that come from anywhere but functions of other kinds of tensor."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actlint.graph import InputRole, Node
from actlint.lower.values import Api, TensorValue, Value
from actlint.names import last

# Ops that give a sparse tensor, or an item that may be one, where their operand is.
_KEEPING = frozenset(
    {
        "abs", "cast", "divide", "getitem", "identity", "multiply", "negative", "sign", "sqrt",
        "square", "tanh",
    }
)  # fmt: skip
_OTHERS = frozenset({"SparseTensor", "SparseTensorValue", "RaggedTensor"})
_MADE = re.compile(r"sparse|ragged", re.IGNORECASE)


def is_dense(nodes: Sequence[Node], value: Value) -> bool:
    """Tell whether a value is dense, as are all that are fed to find out what a program does.

    A path on which a free input is sparse consists of functions that cannot be run, so that nothing
    would be known there of any value.
    """
    if not isinstance(value, TensorValue):
        return False
    pending = [value.node]
    while pending:
        node = nodes[pending.pop()]
        if node.input is not None and node.input.role is InputRole.CUT:
            if _MADE.search(node.site.text.partition("(")[0]):
                return False
        elif node.op in _KEEPING:
            pending += node.operands
    return True


def is_other_tensor(kind: Value) -> bool:
    """Tell whether a class is one of the tensors that are not dense."""
    return isinstance(kind, Api) and all(last(name) in _OTHERS for name in kind.names)
