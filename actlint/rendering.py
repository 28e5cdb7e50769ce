"""Render a slice of a graph as a Python function, in the user's names."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actlint.findings import Tensor
from actlint.graph import Arg, Dots, DType, Input, Items, Node, Ref, Slice, refs
from actlint.ops import table
from actlint.ops.model import Op

# A function that brings its own gradient, and what a program needs that calls one.
OWN_GRADIENT: Final = "with_gradient"
OWN_GRADIENT_HELPER: Final = """\
def with_gradient(value, sources, backward):
    forward = lambda *_: (tf.stop_gradient(value), backward)
    return tf.custom_gradient(forward)(*sources)
"""

# Names that the program around the function uses.
_RESERVED: Final = frozenset(
    {"tf", "np", "operator", "tape", "value", "gradients", "gradient", "g", "points", "loss",
     "run", "print", "range", "float", OWN_GRADIENT}
)  # fmt: skip
# NumPy functions that look at nothing but a tensor's shape.
_SHAPES: Final = ("np.shape", "np.ndim")
# Characters up to which an expression is nested into another, and that a line may have.
_NESTED: Final = 60
_LINE: Final = 84
# Operands that are shorter stay where they are.
_SHORT: Final = 16

# Python's precedence of operators, a call or a name being the tightest.
_ATOM: Final = 14
_POWER: Final = 12
_UNARY: Final = 11
_COMPARISON: Final = 4
_PRECEDENCE: Final = {
    "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "|": 5, "^": 6, "&": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "//": 10, "%": 10, "@": 10,
    "**": _POWER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """A rendered function.

    Attributes:
        name: its name.
        text: its definition, without a newline at the end.
        inputs: its parameters in order, with what they stand for.
        numpy: True if it may return a NumPy array instead of a tensor.
    """

    name: str
    text: str
    inputs: tuple[tuple[str, Input], ...]
    numpy: bool


@dataclass(frozen=True, slots=True)
class _Code:
    """An expression and how tightly it binds."""

    text: str
    precedence: int = _ATOM

    def within(self, least: int) -> str:
        """Return the text, in parentheses if it binds less tightly than `least`."""
        return self.text if self.precedence >= least else f"({self.text})"


def literal(value: Tensor) -> str:
    """Return a Python literal; floats in the fewest digits that give the same float32."""
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, (bool, int)):
        return repr(value)
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    return _real(float(str(np.float32(value))))


def _real(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def render(nodes: Sequence[Node], output: int, name: str) -> Function:
    """Render `nodes` as a function that returns node `output`.

    Args:
        nodes: operands first; nothing that `output` does not need.
        output: id of the node to return.
        name: qualified name that the user knows the function by.
    """
    return _Renderer(nodes, output, _identifier(name.rpartition(".")[2], "f")).function()


def _identifier(text: str, otherwise: str) -> str:
    """Return `text` as an identifier that is free to use, or `otherwise`."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    if not name.isidentifier() or name in ("lambda", "module"):
        return otherwise
    return f"{name}_" if keyword.iskeyword(name) or name in _RESERVED else name


def _backward(nodes: Sequence[Node]) -> dict[int, int]:
    """Return the values that a gradient function computes, with the call that it belongs to."""
    found: dict[int, int] = {}
    for own in nodes:
        upstream = own.arg("upstream")
        if own.op != OWN_GRADIENT or not isinstance(upstream, Ref):
            continue
        found[upstream.node] = own.id
        for node in nodes:
            inside = any(found.get(ref) == own.id for ref in node.operands)
            if node.id < own.id and inside:
                found[node.id] = own.id
    return found


class _Renderer:
    def __init__(self, nodes: Sequence[Node], output: int, name: str) -> None:
        self._nodes = nodes
        self._output = output
        self._name = name
        self._names = {node.id: node.name for node in nodes}
        self._taken = {name}
        self._numbers = Counter[str]()  # the last one given to each base name
        self._codes: dict[int, _Code] = {}
        self._constants: set[int] = set()
        self._named: set[int] = set()  # inputs, and values that were assigned
        self._backward = _backward(nodes)  # lines that belong into a gradient function
        self._functions: dict[int, str] = {}  # their names, by the same
        self._pending: dict[int, list[str]] = {}  # of such functions, by the id of the call
        self._uses = Counter(ref for node in nodes for _, value in node.args for ref in refs(value))

    def function(self) -> Function:
        """Render everything."""
        lines: list[str] = []
        inputs: list[tuple[str, Input]] = []
        # Parameters come first, so that no local name takes theirs.
        for node in self._nodes:
            if node.input is not None:
                name = self._fresh(node.input.name)
                inputs.append((name, node.input))
                self._codes[node.id] = _Code(name)
                self._named.add(node.id)
        for node in self._nodes:
            if node.input is None and node.id in self._backward:
                self._pending.setdefault(self._backward[node.id], []).extend(self._node(node))
            elif node.input is None:
                lines += self._node(node)
        lines.append(f"return {self._codes[self._output].text}")
        head = f"def {self._name}({', '.join(name for name, _ in inputs)}):"
        text = "\n".join([head, *(f"    {line}" for line in lines)])
        return Function(self._name, text, tuple(inputs), self._numpy())

    def _numpy(self) -> bool:
        """Return True if NumPy computes anything but shapes, so that no tensor may come out."""
        calls = [table.row(node.op).call for node in self._nodes if node.op and not node.input]
        return any(call.startswith("np.") and call not in _SHAPES for call in calls)

    def _fresh(self, wanted: str) -> str:
        base = _identifier(wanted, "t")
        name = base
        while name in self._taken:
            self._numbers[base] += 1
            name = f"{base}_{self._numbers[base] + 1}"
        self._taken.add(name)
        return name

    def _node(self, node: Node) -> list[str]:
        """Render one value: an expression for its single user, or an assignment.

        Returns:
            The lines that come before, with operands that would make the expression too long.
        """
        lines: list[str] = []
        if node.op == OWN_GRADIENT:
            lines += self._gradient_function(node)
        elif node.id in self._backward and node.op == "ones_like" and self._is_upstream(node.id):
            self._codes[node.id] = _Code(self._fresh("upstream"))
            self._named.add(node.id)
            return []
        code = self._expression(node)
        while len(code.text) > _LINE:
            nested = [
                ref
                for ref in node.operands
                if ref not in self._named and len(self._codes[ref].text) > _SHORT
            ]
            if not nested:
                break
            lines.append(self._assign(max(nested, key=lambda ref: len(self._codes[ref].text))))
            code = self._expression(node)
        self._codes[node.id] = code
        if not node.op:
            self._constants.add(node.id)
        elif node.id != self._output and (len(code.text) > _NESTED or self._uses[node.id] > 1):
            lines.append(self._assign(node.id))
        return lines

    def _is_upstream(self, ident: int) -> bool:
        owner = next(node for node in self._nodes if node.id == self._backward[ident])
        return owner.arg("upstream") == Ref(ident)

    def _gradient_function(self, node: Node) -> list[str]:
        """Return the function from the cotangent of a value to those of its arguments."""
        upstream, gradients = node.arg("upstream"), node.arg("gradients")
        assert isinstance(upstream, Ref)
        name = self._fresh("backward")
        self._functions[node.id] = name
        body = [*self._pending.get(node.id, ()), f"return {self._arg(gradients).text}"]
        head = f"def {name}({self._codes[upstream.node].text}):"
        return [head, *(f"    {line}" for line in body)]

    def _assign(self, ident: int) -> str:
        """Give a value a name of its own; return the assignment."""
        text = self._codes[ident].text
        name = self._fresh(self._names.get(ident) or "t")
        self._codes[ident] = _Code(name)
        self._named.add(ident)
        return f"{name} = {text}"

    def _expression(self, node: Node) -> _Code:
        if not node.op:
            return self._arg(node.value)
        row = table.row(node.op)
        given = dict(node.args)
        if node.op == "getitem":
            return self._subscript(given)
        if node.op == OWN_GRADIENT:
            value, sources = (self._arg(given[name]).text for name in ("input", "x"))
            return _Code(f"{OWN_GRADIENT}({value}, {sources}, {self._functions[node.id]})")
        if row.key == "negative" and self._tensor(given.get("x")):
            return _Code(f"-{self._arg(given['x']).within(_UNARY)}", _UNARY)
        operator = row.symbol if row.call.startswith("operator.") else ""
        if operator in _PRECEDENCE and {"x", "y"} <= set(given):
            return self._operator(operator, self._arg(given["x"]), self._arg(given["y"]))
        return self._call(row, given)

    def _tensor(self, value: Arg) -> bool:
        return isinstance(value, Ref) and value.node not in self._constants

    def _operator(self, operator: str, left: _Code, right: _Code) -> _Code:
        binds = _PRECEDENCE[operator]
        if operator == "**":
            # The exponent may be a negative number; the base may not.
            parts = left.within(_ATOM), right.within(_UNARY)
            tight = all(re.fullmatch(r"[\w.]+", part) for part in parts)
            return _Code(("**" if tight else " ** ").join(parts), binds)
        loose = binds + 1 if binds == _COMPARISON else binds
        return _Code(f"{left.within(loose)} {operator} {right.within(binds + 1)}", binds)

    def _call(self, row: Op, given: Mapping[str, Arg]) -> _Code:
        numpy = row.call.startswith("np.")
        texts: dict[str, object] = {
            name: [self._arg(item, numpy).text for item in value.items]
            if name == row.variadic and isinstance(value, Items)
            else self._arg(value, numpy).text
            for name, value in given.items()
        }
        positional, keywords = row.arrange(texts)
        listed = [str(item) for item in positional]
        listed += [f"{name}={value}" for name, value in keywords.items()]
        component = "" if row.component is None else f"[{row.component}]"
        return _Code(f"{row.call}({', '.join(listed)}){component}")

    def _subscript(self, given: Mapping[str, Arg]) -> _Code:
        index = given.get("index")
        items = index.items if isinstance(index, Items) else (index,)
        inside = ", ".join(self._part(item) for item in items) or "()"
        if isinstance(index, Items) and len(items) == 1:
            inside += ","
        return _Code(f"{self._arg(given.get('x')).within(_ATOM)}[{inside}]")

    def _part(self, item: Arg) -> str:
        if not isinstance(item, Slice):
            return self._arg(item).text
        start, stop, step = (
            "" if part is None else self._arg(part).text
            for part in (item.start, item.stop, item.step)
        )
        return f"{start}:{stop}" + (f":{step}" if step else "")

    def _arg(self, value: Arg, numpy: bool = False) -> _Code:
        """Return the expression of an operand."""
        if isinstance(value, Ref):
            return self._codes[value.node]
        if isinstance(value, DType):
            return _Code(f"{'np' if numpy else 'tf'}.{value.name}")
        if isinstance(value, Items):
            return _Code(f"[{', '.join(self._arg(item, numpy).text for item in value.items)}]")
        if isinstance(value, Slice):
            parts = (value.start, value.stop, value.step)
            return _Code(f"slice({', '.join(self._arg(part).text for part in parts)})")
        if isinstance(value, Dots):
            return _Code("...")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = _real(value) if isinstance(value, float) else repr(value)
            return _Code(text, _UNARY if text.startswith("-") else _ATOM)
        return _Code(repr(value))
