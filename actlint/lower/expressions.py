"""Evaluates expressions of the user's code symbolically."""

from __future__ import annotations

import re
from dataclasses import replace

import libcst as cst

from actlint.graph import Arg, Dots, Items, Ref, Slice
from actlint.lower import folding, models, options
from actlint.lower.attributes import attribute, global_value, injected
from actlint.lower.calls import call
from actlint.lower.comparing import compare
from actlint.lower.limits import Unlowerable
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Function,
    Instance,
    Mapping,
    Opaque,
    Scope,
    Sequence,
    Static,
    StaticShape,
    Super,
    TensorValue,
    Value,
    dependencies,
    is_number,
    leaves,
    truth,
)
from actlint.ops.table import row

# Calls whose first result is a list of tensors, one for each step of time.
_LISTS = re.compile(r"\b(static_(bidirectional_|state_saving_)?rnn|rnn_decoder)\(")

_BINARY: dict[type[cst.BaseBinaryOp], str] = {
    cst.Add: "add",
    cst.Subtract: "subtract",
    cst.Multiply: "multiply",
    cst.Divide: "divide",
    cst.FloorDivide: "floordiv",
    cst.Modulo: "mod",
    cst.Power: "pow",
    cst.MatrixMultiply: "matmul",
    cst.BitAnd: "logical_and",
    cst.BitOr: "logical_or",
}


def evaluate(machine: Machine, scope: Scope, node: cst.BaseExpression) -> Value:
    """Return the value of an expression; what cannot be followed is Opaque.

    Raises:
        TooLarge: evaluation has taken more steps than it may.
    """
    machine.step()
    # A default or constant of another file is looked up from here, but stands there.
    elsewhere = machine.modules[-1] is not scope.module
    if elsewhere:
        machine.modules.append(scope.module)
    try:
        value = _evaluate(machine, scope, node)
        machine.mark(node, value)
        return value
    except Unlowerable:
        return Opaque(_text(machine, node))
    finally:
        if elsewhere:
            machine.modules.pop()


def _text(machine: Machine, node: cst.CSTNode) -> str:
    return machine.site(node).text


def _evaluate(machine: Machine, scope: Scope, node: cst.BaseExpression) -> Value:
    if isinstance(node, cst.Name):
        return _name(machine, scope, node)
    if isinstance(node, cst.Integer):
        return folding.number(int(node.value, 0)) or Opaque(_text(machine, node))
    if isinstance(node, cst.Float):
        return Static(float(node.value))
    if isinstance(node, cst.Imaginary):
        return Static(complex(node.value))
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        text = node.evaluated_value
        return Static(text) if isinstance(text, (str, bytes)) else Opaque("")
    if isinstance(node, cst.Attribute):
        base = evaluate(machine, scope, node.value)
        found = models.member(base, node.attr.value)
        return attribute(machine, base, node.attr.value, node) if found is None else found
    if isinstance(node, cst.Call):
        return _call(machine, scope, node)
    if isinstance(node, cst.BinaryOperation):
        return _binary(machine, scope, node)
    if isinstance(node, cst.UnaryOperation):
        return _unary(machine, scope, node)
    if isinstance(node, cst.Comparison):
        return _comparison(machine, scope, node)
    if isinstance(node, cst.BooleanOperation):
        return _boolean(machine, scope, node)
    if isinstance(node, cst.IfExp):
        condition = evaluate(machine, scope, node.test)
        known = truth(condition)
        taken = machine.decide(condition) if known is None else known
        return evaluate(machine, scope, node.body if taken else node.orelse)
    if isinstance(node, cst.Subscript):
        return _subscript(machine, scope, node)
    if isinstance(node, (cst.Tuple, cst.List)):
        return Sequence(
            _elements(machine, scope, node.elements), is_tuple=isinstance(node, cst.Tuple)
        )
    if isinstance(node, cst.Dict):
        return _dict(machine, scope, node)
    if isinstance(node, cst.Lambda):
        return Function(node, scope, "<lambda>", owner_class=scope.owner_class)
    if isinstance(node, cst.NamedExpr):
        value = evaluate(machine, scope, node.value)
        assign(machine, scope, node.target, value)
        return value
    if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        return _comprehension(machine, scope, node)
    if isinstance(node, cst.Ellipsis):
        return Static(Dots())
    if isinstance(node, cst.Yield):
        return _yield(machine, scope, node)
    return Opaque(_text(machine, node))


def _name(machine: Machine, scope: Scope, node: cst.Name) -> Value:
    constants: dict[str, Value] = {
        "None": Static(None), "True": Static(True), "False": Static(False),
    }  # fmt: skip
    if node.value in constants:
        return constants[node.value]
    found = scope.find(node.value)
    if found is None:
        found = global_value(machine, scope.module, node.value)
    if found is None:
        options.check_bound(machine, node.value)
        found = Opaque(node.value)
    if machine.tracing is not None:
        return machine.tracing.variable(machine, scope, node.value, found, node)
    return found


def _yield(machine: Machine, scope: Scope, node: cst.Yield) -> Value:
    """Note what a generator yields; what is sent into it is not followed."""
    whole = node.value.item if isinstance(node.value, cst.From) else node.value
    value = Static(None) if whole is None else evaluate(machine, scope, whole)
    several = value.items if isinstance(value, Sequence) else [value]
    found = several if isinstance(node.value, cst.From) else [value]
    scope.yields = [*(scope.yields or ()), *found][: folding.MAX_ITEMS]
    return Opaque(_text(machine, node))


def _elements(machine: Machine, scope: Scope, elements: object) -> list[Value]:
    items: list[Value] = []
    for element in elements:  # type: ignore[attr-defined]
        value = evaluate(machine, scope, element.value)
        if isinstance(element, cst.StarredElement):
            if not isinstance(value, Sequence):
                raise Unlowerable("star of an unknown sequence")
            items += value.items
        else:
            items.append(value)
    return items


def _dict(machine: Machine, scope: Scope, node: cst.Dict) -> Value:
    items: dict[object, Value] = {}
    for element in node.elements:
        value = evaluate(machine, scope, element.value)
        if isinstance(element, cst.DictElement):
            key = evaluate(machine, scope, element.key)
            if not (isinstance(key, Static) and isinstance(key.value, (str, int, float, bool))):
                return Opaque(_text(machine, node), dependencies(value))
            items[key.value] = value
        elif isinstance(value, Mapping):
            items.update(value.items)
        else:
            return Opaque(_text(machine, node))
    return Mapping(items)


def _call(machine: Machine, scope: Scope, node: cst.Call) -> Value:
    if isinstance(node.func, cst.Name) and node.func.value == "super":
        found = scope.find("self")
        if isinstance(found, Instance) and scope.owner_class is not None:
            return Super(found, scope.owner_class)
        return Opaque("super()")
    callee = evaluate(machine, scope, node.func)
    args: list[Value] = []
    keywords: dict[str, Value] = {}
    for argument in node.args:
        value = evaluate(machine, scope, argument.value)
        if argument.star == "*":
            if not isinstance(value, Sequence):
                return Opaque(_text(machine, node), dependencies(value))
            args += value.items
        elif argument.star == "**":
            if isinstance(value, Mapping):
                keywords |= {str(key): item for key, item in value.items.items()}
        elif argument.keyword is not None:
            keywords[argument.keyword.value] = value
        else:
            args.append(value)
    return call(machine, callee, args, keywords, node)


def _binary(machine: Machine, scope: Scope, node: cst.BinaryOperation) -> Value:
    left = evaluate(machine, scope, node.left)
    right = evaluate(machine, scope, node.right)
    key = _BINARY.get(type(node.operator))
    if key is None:
        return Opaque(_text(machine, node), dependencies(left) | dependencies(right))
    return operate(machine, key, left, right, node)


def operate(machine: Machine, key: str, left: Value, right: Value, at: cst.CSTNode) -> Value:
    """Return ``left op right``: folded if both are Python constants, a node otherwise."""
    if isinstance(left, Static) and isinstance(right, Static):
        folded = folding.binary(key, left.value, right.value)
        quotient = folding.lost(left.value, right.value) if key == "floordiv" else None
        if folded is not None and quotient is not None:
            folded = replace(folded, lost=(machine.site(at), quotient))
        return folded or Opaque(_text(machine, at))
    if isinstance(left, Sequence) and isinstance(right, Sequence) and key == "add":
        if len(left.items) + len(right.items) > folding.MAX_ITEMS:
            return Opaque(_text(machine, at), dependencies(left) | dependencies(right))
        return Sequence([*left.items, *right.items], left.is_tuple)
    if (
        (isinstance(left, Opaque) and not left.dependencies)
        and (isinstance(right, Sequence) and right.items)
        and key == "add"
    ):
        return Opaque(_text(machine, at), dependencies(right), ending=right.items[-1])
    if isinstance(left, Sequence) and isinstance(right, Static) and key == "multiply":
        count = right.value
        if isinstance(count, int) and count * len(left.items) <= folding.MAX_ITEMS:
            return Sequence(left.items * count, left.is_tuple)
        return Opaque(_text(machine, at), dependencies(left))
    if any(isinstance(v, Static) and not is_number(v.value) for v in (left, right)):
        return Opaque(_text(machine, at), dependencies(left) | dependencies(right))
    if not (_numeric(left) or _numeric(right)):
        # Nothing says that these are tensors: file paths, configuration entries, strings.
        return Opaque(_text(machine, at), dependencies(left) | dependencies(right))
    try:
        return machine.emit_key(key, (left, right), at)
    except Unlowerable:
        return Opaque(_text(machine, at), dependencies(left) | dependencies(right))


def _numeric(value: Value) -> bool:
    return any(
        isinstance(leaf, (TensorValue, StaticShape))
        or (isinstance(leaf, Opaque) and bool(leaf.dependencies))
        or (isinstance(leaf, Static) and is_number(leaf.value))
        for leaf in leaves(value)
    )


def _unary(machine: Machine, scope: Scope, node: cst.UnaryOperation) -> Value:
    value = evaluate(machine, scope, node.expression)
    if isinstance(node.operator, cst.Not):
        known = truth(value)
        if known is not None:
            return Static(not known)
        if isinstance(value, TensorValue):
            return machine.emit_key("logical_not", (value,), node)
        return Opaque(_text(machine, node), dependencies(value))
    if isinstance(value, Static):
        number = value.value
        if not isinstance(number, (int, float)):
            return Opaque(_text(machine, node))
        if isinstance(node.operator, cst.Minus):
            return Static(-number)
        if isinstance(node.operator, cst.BitInvert) and isinstance(number, int):
            return Static(~number)
        return value
    if not isinstance(value, (TensorValue, Opaque, StaticShape)):
        return Opaque(_text(machine, node), dependencies(value))
    if isinstance(node.operator, cst.Minus):
        return machine.emit_key("negative", (value,), node)
    if isinstance(node.operator, cst.BitInvert):
        return machine.emit_key("logical_not", (value,), node)
    return value


def _comparison(machine: Machine, scope: Scope, node: cst.Comparison) -> Value:
    left = evaluate(machine, scope, node.left)
    values: list[Value] = []
    for target in node.comparisons:
        right = evaluate(machine, scope, target.comparator)
        values.append(compare(machine, left, target.operator, right, node))
        left = right
    result = values[0]
    for value in values[1:]:
        if isinstance(result, Static) and isinstance(value, Static):
            result = Static(bool(result.value) and bool(value.value))
        else:
            result = Opaque(_text(machine, node), dependencies(result) | dependencies(value))
    return result


def _boolean(machine: Machine, scope: Scope, node: cst.BooleanOperation) -> Value:
    left = evaluate(machine, scope, node.left)
    known = True if _is_size(machine, left) else truth(left)
    stops_at = isinstance(node.operator, cst.Or)
    if known is not None:
        return left if known is stops_at else evaluate(machine, scope, node.right)
    right = evaluate(machine, scope, node.right)
    if isinstance(left, TensorValue) and isinstance(right, TensorValue):
        return machine.emit_key("logical_or" if stops_at else "logical_and", (left, right), node)
    known = truth(right)
    if known is stops_at:
        return Static(stops_at)
    return Opaque(_text(machine, node), dependencies(left) | dependencies(right))


def _is_size(machine: Machine, value: Value) -> bool:
    """Tell whether a value is an entry of a static shape, which is known when code runs."""
    if not isinstance(value, TensorValue):
        return False
    node = machine.nodes[value.node]
    source = node.arg("x")
    return (
        node.op == "getitem"
        and isinstance(source, Ref)
        and machine.nodes[source.node].op == "static_shape"
    )


def _comprehension(machine: Machine, scope: Scope, node: cst.ListComp | cst.GeneratorExp) -> Value:
    inner = Scope(scope.module, scope, owner_class=scope.owner_class)
    loop = node.for_in
    if loop.inner_for_in is not None:
        return Opaque(_text(machine, node))
    source = evaluate(machine, scope, loop.iter)
    if not isinstance(source, Sequence) or len(source.items) > 64:
        return Opaque(_text(machine, node), dependencies(source))
    items: list[Value] = []
    for item in source.items:
        assign(machine, inner, loop.target, item)
        keep = [truth(evaluate(machine, inner, test.test)) for test in loop.ifs]
        if any(k is None for k in keep):
            return Opaque(_text(machine, node), dependencies(source))
        if all(keep):
            items.append(evaluate(machine, inner, node.elt))
    return Sequence(items)


def _subscript(machine: Machine, scope: Scope, node: cst.Subscript) -> Value:
    base = evaluate(machine, scope, node.value)
    if isinstance(base, Mapping) and len(node.slice) == 1:
        return _looked_up(machine, scope, base, node)
    parts = [_index(machine, scope, element.slice) for element in node.slice]
    one = parts[0] if len(parts) == 1 else None
    if isinstance(base, Sequence) and one is not None:
        found = _pick(base, one)
        if found is not None:
            return found
    if isinstance(base, Opaque) and isinstance(one, int) and _LISTS.search(base.text):
        return replace(base, part=f"{base.part or 'output'}_{one}")
    if isinstance(base, StaticShape) and isinstance(one, (int, Slice)):
        shape = machine.emit_key("static_shape", (TensorValue(base.node),), node)
        return index_value(machine, shape, one, node)
    if isinstance(base, (TensorValue, Opaque)) and dependencies(base):
        if any(isinstance(part, str) for part in parts):  # an unknown index, or a key
            return Opaque(_text(machine, node), dependencies(base))
        index: Arg = parts[0] if len(parts) == 1 else Items(tuple(parts))
        return index_value(machine, base, index, node)
    return Opaque(_text(machine, node), dependencies(base))


def _looked_up(machine: Machine, scope: Scope, base: Mapping, node: cst.Subscript) -> Value:
    """Return an entry of a table: of each key in turn, if an option is looked up."""
    index = node.slice[0].slice
    value = evaluate(machine, scope, index.value) if isinstance(index, cst.Index) else None
    one = value.value if isinstance(value, Static) else None
    if value is not None:
        one = options.entry(machine, value, base.items, required=not base.keywords) or one
    if not isinstance(one, (str, int, float)):
        return Opaque(_text(machine, node), dependencies(base))
    found = base.items.get(one)
    if found is not None and machine.tracing is not None:
        return machine.tracing.entry(machine, base, one, found, node)
    if found is None and base.keywords and isinstance(one, str):
        found = injected(machine, scope.module, one)
    return found or Opaque(_text(machine, node))


_UNKNOWN: Arg = "\0unknown index"


def index_value(machine: Machine, base: Value, index: Arg, at: cst.CSTNode) -> Value:
    """Return ``base[index]`` as a node."""
    if isinstance(base, Opaque):
        base = machine.cut(base, at)
    if not isinstance(base, TensorValue):
        return Opaque("", dependencies(base))
    found = machine.component(base, index, at)
    if found is not None:
        return found
    op = row("getitem")
    return machine.emit(op, [("x", machine.arg(base, at)), ("index", index)], at)


def _index(machine: Machine, scope: Scope, node: cst.BaseSlice) -> Arg:
    if isinstance(node, cst.Index):
        value = evaluate(machine, scope, node.value)
        if isinstance(value, (Static, TensorValue, Sequence)):
            return machine.arg(value, node.value)
        return _UNKNOWN
    if isinstance(node, cst.Slice):
        ends: list[Arg] = []
        for part in (node.lower, node.upper, node.step):
            value = Static(None) if part is None else evaluate(machine, scope, part)
            if not isinstance(value, (Static, TensorValue)):
                return _UNKNOWN
            ends.append(machine.arg(value, part or node))
        return Slice(ends[0], ends[1], ends[2])
    return _UNKNOWN


def _pick(base: Sequence, index: Arg) -> Value | None:
    if isinstance(index, int):
        return base.items[index] if -len(base.items) <= index < len(base.items) else None
    if isinstance(index, Slice):
        ends = (index.start, index.stop, index.step)
        if all(end is None or isinstance(end, int) for end in ends):
            start, stop, step = (end if isinstance(end, int) else None for end in ends)
            if step == 0:
                return None
            return Sequence(base.items[start:stop:step], base.is_tuple)
    return None


def assign(machine: Machine, scope: Scope, target: cst.BaseExpression, value: Value) -> None:
    """Bind a value to a name, attribute, subscript or pattern of names."""
    if isinstance(target, cst.Name):
        if isinstance(value, Opaque) and not value.part and target.value in scope.variables:
            value = replace(value, part=target.value)
        scope.variables[target.value] = value
        machine.name_value(value, target.value)
    elif isinstance(target, (cst.Tuple, cst.List)):
        _unpack(machine, scope, target, value)
    elif isinstance(target, cst.Attribute):
        base = evaluate(machine, scope, target.value)
        if isinstance(base, Instance):
            base.attributes[target.attr.value] = value
            machine.name_value(value, target.attr.value)
    elif isinstance(target, cst.Subscript):
        base = evaluate(machine, scope, target.value)
        part = _index(machine, scope, target.slice[0].slice) if len(target.slice) == 1 else _UNKNOWN
        match base, part:
            case Mapping(items=table), str() | int() | float():
                table[part] = value
            case Sequence(items=items), int() if -len(items) <= part < len(items):
                items[part] = value


def _unpack(machine: Machine, scope: Scope, target: cst.Tuple | cst.List, value: Value) -> None:
    names = [element.value for element in target.elements]
    starred = any(isinstance(element, cst.StarredElement) for element in target.elements)
    for position, name in enumerate(names):
        item: Value
        if isinstance(value, Sequence) and not starred and len(value.items) == len(names):
            item = value.items[position]
        elif isinstance(value, TensorValue) and not starred:
            item = index_value(machine, value, position, name)
            if isinstance(item, TensorValue):
                # What stands there is a target; the call is what computes it.
                made, call = machine.nodes[item.node], machine.nodes[value.node]
                machine.nodes[item.node] = replace(made, site=call.site)
        elif isinstance(value, StaticShape) and not starred:
            shape = machine.emit_key("static_shape", (TensorValue(value.node),), target)
            item = index_value(machine, shape, position, name)
        else:
            text = name.value if isinstance(name, cst.Name) else ""
            item = Opaque(text, dependencies(value))
            if isinstance(value, Opaque):
                item = replace(value, part=text or f"item_{position}")
        assign(machine, scope, name, item)
