"""Lists and tuples that a script hands to the constructor of a class of its own, as of sizes."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from actlint.lower.machine import Machine
from actlint.lower.values import Class, Function, Scope, Sequence, Value
from actlint.names import last


def listed(machine: Machine, cls: Class, constructor: Function, name: str) -> Value | None:
    """Return the list or tuple that the file of a class makes an object with, or None.

    Args:
        machine: the lowering.
        cls: the class of the object.
        constructor: its ``__init__``, perhaps that of a base class.
        name: of the parameter.
    """
    params = [item.name.value for item in constructor.node.params.params][1:]
    for call in _calls(cls):
        plain = [arg.value for arg in call.args if arg.keyword is None and not arg.star]
        given = {
            **dict(zip(params, plain, strict=False)),
            **{arg.keyword.value: arg.value for arg in call.args if arg.keyword is not None},
        }.get(name)
        if isinstance(given, (cst.List, cst.Name, cst.Tuple)):
            value = machine.evaluate(machine, Scope(cls.module), given)
            if isinstance(value, Sequence):
                return value
    return None


def _calls(cls: Class) -> Iterator[cst.Call]:
    """Yield the calls ``name = Class(…)`` at module level of the class's own file."""
    short = last(cls.qualname)
    rows = cls.module.index.text.split("\n")
    for definition in cls.module.index.definitions.values():
        if definition.kind != "assign" or f"{short}(" not in rows[definition.line - 1]:
            continue
        for line in cls.module.tree(definition).body:
            for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                value = small.value if isinstance(small, cst.Assign) else None
                called = value.func if isinstance(value, cst.Call) else None
                if isinstance(called, cst.Name) and called.value == short:
                    yield cst.ensure_type(value, cst.Call)
