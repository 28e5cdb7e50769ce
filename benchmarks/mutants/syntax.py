"""Originals as LibCST sees them: calls by their meaning, replacements, and the way of values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from mutants.model import Edit, Probe, probe_of

# How each function is spelled in the interfaces that originals use.
_TF = {
    "abs": "tf.abs",
    "argmax": "tf.argmax",
    "cast": "tf.cast",
    "exp": "tf.exp",
    "log": "tf.math.log",
    "log_sigmoid": "tf.math.log_sigmoid",
    "norm": "tf.norm",
    "one_hot": "tf.one_hot",
    "pow": "tf.pow",
    "prod": "tf.reduce_prod",
    "mean": "tf.reduce_mean",
    "round": "tf.round",
    "shape": "tf.shape",
    "sigmoid": "tf.nn.sigmoid",
    "sign": "tf.sign",
    "softmax": "tf.nn.softmax",
    "sqrt": "tf.sqrt",
    "square": "tf.square",
    "squeeze": "tf.squeeze",
    "stop_gradient": "tf.stop_gradient",
    "sum": "tf.reduce_sum",
    "zeros_like": "tf.zeros_like",
    "clip": "tf.clip_by_value",
    "minimum": "tf.minimum",
    "maximum": "tf.maximum",
    "floor": "tf.floor",
}
_BACKEND = frozenset(
    {"abs", "argmax", "cast", "exp", "log", "prod", "mean", "round", "sigmoid", "sign", "softmax",
     "sqrt", "square", "squeeze", "stop_gradient", "sum", "zeros_like", "clip", "minimum",
     "maximum", "pow"}
)  # fmt: skip
_OPS = _BACKEND | {"log_sigmoid", "norm", "one_hot", "floor"}
_OPS_NAMES = {"pow": "power"}
# Names under which one function goes.
_SAME = {
    "reduce_sum": "sum",
    "reduce_mean": "mean",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_variance": "var",
    "reduce_logsumexp": "logsumexp",
    "clip_by_value": "clip",
    "power": "pow",
    "divide_no_nan": "divide_no_nan",
    "batch_flatten": "flatten",
}
_SIMPLE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float)
_COMPOUND = (cst.BinaryOperation, cst.UnaryOperation, cst.Comparison, cst.Attribute)


class Original:
    """A correct program, parsed once."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.probe: Probe = probe_of(text)
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        self.module = wrapper.module
        self._positions: Mapping[cst.CSTNode, CodeRange] = wrapper.resolve(PositionProvider)
        self._parents: Mapping[cst.CSTNode, cst.CSTNode] = wrapper.resolve(ParentNodeProvider)
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self.nodes: tuple[cst.CSTNode, ...] = tuple(_walk(self.module))
        self.imports = _imports(self.nodes)

    # ---- reading ----------------------------------------------------------------------------

    @property
    def predictions(self) -> tuple[str, ...]:
        """The names of the arguments that training moves."""
        return tuple(p.name for p in self.probe.params if p.differentiated)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the other arguments."""
        return tuple(p.name for p in self.probe.params if not p.differentiated)

    def code(self, node: cst.CSTNode) -> str:
        """Return the source text of a node; of an argument, without the comma behind it."""
        if isinstance(node, cst.Arg):
            node = node.with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return self.module.code_for_node(node)

    def dotted(self, node: cst.CSTNode) -> str:
        """Return a name with what its first part was imported as; "" if it is no name."""
        parts: list[str] = []
        while isinstance(node, cst.Attribute):
            parts.append(node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name):
            return ""
        return ".".join([self.imports.get(node.value, node.value), *reversed(parts)])

    def function(self, node: cst.CSTNode) -> str:
        """Return the short name of the library function that a call is of, else ""."""
        if not isinstance(node, cst.Call):
            return ""
        full = self.dotted(node.func)
        if not full.startswith(("tensorflow", "keras")):
            return ""
        last = full.rpartition(".")[2]
        return _SAME.get(last, last)

    def calls(self, *names: str) -> Iterator[cst.Call]:
        """Yield the calls of library functions with these short names."""
        for node in self.nodes:
            if isinstance(node, cst.Call) and self.function(node) in names:
                yield node

    def argument(self, call: cst.Call, place: int, *names: str) -> cst.BaseExpression | None:
        """Return an argument by its place or its names."""
        for index, arg in enumerate(call.args):
            if arg.keyword is None and index == place:
                return arg.value
            if arg.keyword is not None and arg.keyword.value in names:
                return arg.value
        return None

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node around a node."""
        return self._parents.get(node)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes around a node, innermost first."""
        found = self._parents.get(node)
        while found is not None:
            yield found
            found = self._parents.get(found)

    def within(self, node: cst.CSTNode, kind: type[cst.CSTNode]) -> bool:
        """Return whether a node of `kind` is around."""
        return any(isinstance(outer, kind) for outer in self.around(node))

    def value(self, node: cst.CSTNode) -> float | None:
        """Return the number that an expression stands for by itself or by a name, else None."""
        if isinstance(node, cst.Integer | cst.Float):
            return float(node.value)
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
            inner = self.value(node.expression)
            return None if inner is None else -inner
        if isinstance(node, cst.Name):
            return self._constants.get(node.value)
        if isinstance(node, cst.Attribute):
            return self._constants.get(node.attr.value)
        if isinstance(node, cst.Call) and self.function(node) == "epsilon":
            return 1e-7
        if isinstance(node, cst.BinaryOperation):
            left, right = self.value(node.left), self.value(node.right)
            if left is None or right is None:
                return None
            if isinstance(node.operator, cst.Multiply):
                return left * right
            if isinstance(node.operator, cst.Subtract):
                return left - right
            if isinstance(node.operator, cst.Power):
                return float(left**right)
        return None

    @property
    def _constants(self) -> dict[str, float]:
        found: dict[str, float] = {}
        pattern = re.compile(r"^\s*(\w+) = (-?[\d.e+-]+)$|\b(\w+)=(-?[\d.e+-]+)\b", re.MULTILINE)
        for name, number, other, default in pattern.findall(self.text.partition("\n")[2]):
            try:
                found[name or other] = float(number or default)
            except ValueError:
                continue
        return found

    def entry(self) -> cst.FunctionDef | None:
        """Return the function that the probe calls; None for lambdas and scripts."""
        path = self.probe.entry.split(".")
        name = path[-1]
        methods = {"layer": "call", "regularizer": "__call__"}
        method = methods.get(self.probe.kind)
        if method is not None:
            path, name = [*path, method], method
        for node in self.nodes:
            if isinstance(node, cst.FunctionDef) and node.name.value == name:
                owner = next((o for o in self.around(node) if isinstance(o, cst.ClassDef)), None)
                if len(path) == 1 or (owner is not None and owner.name.value == path[-2]):
                    return node
        return None

    # ---- writing ----------------------------------------------------------------------------

    def spelled(self, function: str) -> str:
        """Return how this file would write a library function."""
        for alias, full in self.imports.items():
            if full.endswith("keras.backend") and function in _BACKEND:
                return f"{alias}.{function}"
            if full == "keras.ops" and function in _OPS:
                return f"{alias}.{_OPS_NAMES.get(function, function)}"
        return _TF[function]

    def floats(self, condition: str) -> str:
        """Return the text that casts a condition to floats."""
        name = self.spelled("cast")
        return f'{name}({condition}, "float32")'

    def replace(self, node: cst.CSTNode, text: str) -> Edit:
        """Return the edit that puts `text` in the place of a node, in brackets if need be."""
        parent = self.parent(node)
        if isinstance(parent, _COMPOUND) and not _is_simple(text):
            text = f"({text})"
        place = self._positions[node]
        return Edit(self._offset(place.start.line, place.start.column),
                    self._offset(place.end.line, place.end.column), text)  # fmt: skip

    def operand(self, node: cst.CSTNode) -> str:
        """Return the text of a node as an operand of an operator."""
        text = self.code(node)
        return text if isinstance(node, _SIMPLE) or text.startswith("(") else f"({text})"

    def at_head(self, statement: str) -> Iterator[Edit]:
        """Yield the edit that puts a statement at the start of the entry function."""
        function = self.entry()
        if function is None:
            return
        first = self._positions[function.body.body[0]].start
        place = self._offset(first.line, 0)
        yield Edit(place, place, " " * first.column + statement + "\n")

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column


def apply(original: Original, edit: Edit) -> str:
    """Return the text of the mutant; what it uses is imported where the probe stood."""
    text = original.text[: edit.start] + edit.text + original.text[edit.end :]
    first, _, rest = text.partition("\n")
    needed = [
        line
        for alias, line in (("tf", "import tensorflow as tf"), ("np", "import numpy as np"))
        if alias not in original.imports and re.search(rf"\b{alias}\.", edit.text)
    ]
    return "\n".join(["; ".join(needed) or first, rest])


def lines_of(text: str, start: int, end: int) -> range:
    """Return the lines that hold the characters from `start` to `end`."""
    first = text.count("\n", 0, start) + 1
    return range(first, text.count("\n", 0, max(start, end - 1)) + 2)


def _is_simple(text: str) -> bool:
    node = cst.parse_expression(text)
    return isinstance(node, _SIMPLE)


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _imports(nodes: Sequence[cst.CSTNode]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, cst.Import):
            for alias in node.names:
                full = _name(alias.name)
                name = alias.evaluated_alias or full.partition(".")[0]
                found[name] = full if alias.evaluated_alias else name
        elif isinstance(node, cst.ImportFrom) and node.module is not None:
            if isinstance(node.names, cst.ImportStar):
                continue
            for alias in node.names:
                name = alias.evaluated_alias or alias.evaluated_name
                found[name] = f"{_name(node.module)}.{alias.evaluated_name}"
    return found


def _name(node: cst.CSTNode) -> str:
    if isinstance(node, cst.Attribute):
        return f"{_name(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""
