"""Builds value graphs by hand, in the notation of the programs they stand for."""

from __future__ import annotations

from actlint.graph import (
    EXTENDED_LIMIT,
    Arg,
    DType,
    Graph,
    Input,
    InputRole,
    Items,
    Node,
    Ref,
    Role,
    Site,
    Span,
)
from actlint.ops.table import TABLE

SITE = Site("built.py", Span(1, 1, 1, 2), "")


class Value:
    """One node under construction; Python operators and `B.op` make further ones."""

    def __init__(self, builder: Builder, index: int) -> None:
        self.builder = builder
        self.id = index

    def _binary(self, op, other, *, swapped=False):
        return self.builder.op(op, other, self) if swapped else self.builder.op(op, self, other)

    def __add__(self, other):
        return self._binary("add", other)

    def __radd__(self, other):
        return self._binary("add", other, swapped=True)

    def __sub__(self, other):
        return self._binary("subtract", other)

    def __rsub__(self, other):
        return self._binary("subtract", other, swapped=True)

    def __mul__(self, other):
        return self._binary("multiply", other)

    def __rmul__(self, other):
        return self._binary("multiply", other, swapped=True)

    def __truediv__(self, other):
        return self._binary("divide", other)

    def __rtruediv__(self, other):
        return self._binary("divide", other, swapped=True)

    def __pow__(self, other):
        return self._binary("pow", other)

    def __rpow__(self, other):
        return self._binary("pow", other, swapped=True)

    def __neg__(self):
        return self.builder.op("negative", self)

    def __gt__(self, other):
        return self._binary("greater", other)

    def __ge__(self, other):
        return self._binary("greater_equal", other)

    def __lt__(self, other):
        return self._binary("less", other)

    def __le__(self, other):
        return self._binary("less_equal", other)

    def __and__(self, other):
        return self._binary("logical_and", other)

    def __or__(self, other):
        return self._binary("logical_or", other)

    def __invert__(self):
        return self.builder.op("logical_not", self)


class Builder:
    """Collects nodes; attributes are ops: ``b.log(x)`` applies the row ``log``."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.assumptions: list[tuple[int, bool]] = []

    def _append(self, **fields) -> Value:
        node = Node(id=len(self.nodes), site=SITE, **{"op": "", "args": (), **fields})
        self.nodes.append(node)
        return Value(self, node.id)

    def input(
        self,
        name: str,
        lo: float = -EXTENDED_LIMIT,
        hi: float = EXTENDED_LIMIT,
        *,
        role: InputRole = InputRole.PREDICTION,
        differentiated: bool | None = None,
        **fields,
    ) -> Value:
        if differentiated is None:
            differentiated = role not in (InputRole.LABEL, InputRole.DATA, InputRole.PARAMETER)
        return self._append(input=Input(name, role, differentiated, lo, hi, **fields), name=name)

    def x(self) -> Value:
        return self.input("x", role=InputRole.ACTIVATION)

    def p(self, name: str = "p") -> Value:
        return self.input(name, 0.0, 1.0)

    def label(self, name: str = "y") -> Value:
        return self.input(name, 0.0, 1.0, role=InputRole.LABEL)

    def const(self, value) -> Value:
        return self._append(value=self._arg(value))

    def op(self, key: str, *operands, **named) -> Value:
        row = TABLE[key]
        args = [(name, self._arg(value)) for name, value in zip(row.params, operands, strict=False)]
        args += [(name, self._arg(value)) for name, value in named.items()]
        return self._append(op=key, args=tuple(args))

    def __getattr__(self, key: str):
        return lambda *operands, **named: self.op(key, *operands, **named)

    def cast(self, value: Value, dtype: str) -> Value:
        return self.op("cast", value, DType(dtype))

    def assume(self, condition: Value, *, truth: bool = True) -> None:
        self.assumptions.append((condition.id, truth))

    def graph(self, output: Value | None = None, role: Role = Role.LOSS) -> Graph:
        last = len(self.nodes) - 1 if output is None else output.id
        return Graph(tuple(self.nodes), last, role, "built", SITE, tuple(self.assumptions))

    def _arg(self, value) -> Arg:
        if isinstance(value, Value):
            return Ref(value.id)
        if isinstance(value, list | tuple):
            return Items(tuple(self._arg(item) for item in value))
        return value
