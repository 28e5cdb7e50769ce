"""Looks up attributes, methods and module-level names."""

from __future__ import annotations

import libcst as cst

from actlint.graph import DType, InputRole
from actlint.index import Definition
from actlint.lower.machine import PARAMETER_DOMAIN, Machine
from actlint.lower.module import Module
from actlint.lower.values import (
    Api,
    Built,
    Class,
    Function,
    Instance,
    Mapping,
    Method,
    Opaque,
    Scope,
    Sequence,
    Static,
    StaticShape,
    TensorValue,
    Value,
    dependencies,
)
from actlint.names import last, meanings

_DTYPES = frozenset(
    [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
        "complex64",
        "complex128",
        "string",
        "half",
        "double",
    ]
)
_DTYPE_ALIASES = {"half": "float16", "double": "float64", "bool_": "bool"}
_MODULES_WITH_DTYPES = ("tensorflow", "numpy", "tensorflow.dtypes", "tensorflow.compat.v1")
_BUILTINS = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "callable",
        "dict",
        "enumerate",
        "filter",
        "float",
        "getattr",
        "hasattr",
        "int",
        "isinstance",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
        "pow",
        "print",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "super",
        "tuple",
        "type",
        "zip",
        "NotImplementedError",
        "ValueError",
    ]
)
_CONSTANTS = {
    "math.pi": 3.141592653589793, "numpy.pi": 3.141592653589793, "math.e": 2.718281828459045,
    "numpy.e": 2.718281828459045, "numpy.inf": float("inf"), "math.inf": float("inf"),
    "numpy.nan": float("nan"), "math.nan": float("nan"), "numpy.newaxis": None,
    "tensorflow.newaxis": None, "numpy.euler_gamma": 0.5772156649015329,
}  # fmt: skip


def global_value(machine: Machine, module: Module, name: str) -> Value | None:
    """Return what a module-level or builtin name stands for, or None."""
    if name in module.globals:
        return module.globals[name]
    definition = module.index.definitions.get(name)
    if definition is not None and "." not in name:
        return _definition_value(machine, module, definition)
    found = meanings(module.index, name)
    if found and name in module.index.imports:
        return api(found)
    if name in _BUILTINS:
        return Api((f"builtins.{name}",))
    return api(found) if found else None


def api(names: tuple[str, ...]) -> Value:
    """Return the value of a name from outside: a constant or dtype if it is one."""
    for name in names:
        if name in _CONSTANTS:
            return Static(_CONSTANTS[name])
        owner, _, leaf = name.rpartition(".")
        if leaf in _DTYPES and owner in _MODULES_WITH_DTYPES:
            return Static(DType(_DTYPE_ALIASES.get(leaf, leaf)))
    return Api(names)


def _definition_value(machine: Machine, module: Module, definition: Definition) -> Value | None:
    name = definition.qualname
    if definition.kind == "class":
        return Class(name, module)
    if definition.kind == "function":
        node = function_node(module, definition)
        return None if node is None else Function(node, Scope(module), name)
    if name in module.evaluating:
        return None
    module.evaluating.add(name)
    try:
        for line in module.tree(definition).body:
            for small in _smalls(line):
                if isinstance(small, (cst.Assign, cst.AnnAssign)) and small.value is not None:
                    value = machine.evaluate(machine, Scope(module), small.value)
                    if not dependencies(value) and not isinstance(value, (Opaque, StaticShape)):
                        module.globals[name] = value
                    return value
    finally:
        module.evaluating.discard(name)
    return None


def _smalls(line: cst.CSTNode) -> list[cst.BaseSmallStatement]:
    if isinstance(line, cst.SimpleStatementLine):
        return list(line.body)
    if isinstance(line, cst.If):  # the block that an indented definition stands in
        return [small for inner in line.body.body for small in _smalls(inner)]
    return []


def function_node(module: Module, definition: Definition) -> cst.FunctionDef | None:
    """Return the tree of a function by its definition."""
    wanted = last(definition.qualname)
    for line in module.tree(definition).body:
        found = line
        if isinstance(found, cst.If) and definition.indented:
            inner = found.body.body
            found = inner[0] if inner else found  # type: ignore[assignment]
        if isinstance(found, cst.FunctionDef) and found.name.value == wanted:
            return found
    return None


def attribute(machine: Machine, base: Value, name: str, at: cst.CSTNode) -> Value:
    """Return ``base.name``."""
    if isinstance(base, Api):
        return api(tuple(f"{meaning}.{name}" for meaning in base.names))
    if isinstance(base, Instance):
        return instance_attribute(machine, base, name, at)
    if isinstance(base, TensorValue):
        if name == "shape":
            return StaticShape(base.node)
        if name == "dtype":
            return Static(DType("float32"))
        return machine.component(base, name, at) or Method(base, name)
    if isinstance(base, Opaque) and base.dependencies and name in {"dtype", "shape"}:
        if name == "dtype":
            return Static(DType("float32"))
        return StaticShape(machine.cut(base, at).node)
    if isinstance(base, StaticShape) and name in {"ndims", "rank"}:
        return machine.rank(base.node, at)
    if isinstance(base, Class):
        found = base.module.index.definitions.get(f"{base.qualname}.{name}")
        if found is not None and found.kind == "function":
            node = function_node(base.module, found)
            if node is not None:
                return Function(node, Scope(base.module), found.qualname, owner_class=base.qualname)
        value = class_constant(machine, base, name)
        return value if value is not None else Opaque(_text(machine, at))
    if isinstance(base, Static) and isinstance(base.value, DType):
        return Static(base.value.name) if name == "name" else base
    if isinstance(base, (Sequence, Mapping, StaticShape, Static, Built, Function)):
        return Method(base, name)
    return Method(base, name)


def _text(machine: Machine, at: cst.CSTNode) -> str:
    return machine.site(at).text


def instance_attribute(machine: Machine, base: Instance, name: str, at: cst.CSTNode) -> Value:
    """Return ``self.name``: an attribute, a property's value, or a bound method."""
    start = base.cls.qualname
    if name.startswith("super:"):
        return Method(base, name)
    initialise(machine, base, at)
    if name in base.attributes:
        return base.attributes[name]
    found = find_method(base.cls, start, name)
    if found is not None:
        definition, owner = found
        node = function_node(base.cls.module, definition)
        if node is not None:
            bound = Function(node, Scope(base.cls.module), definition.qualname, base, owner)
            if "property" in definition.decorators or "cached_property" in definition.decorators:
                return machine.call(machine, bound, [], {}, at)
            if "staticmethod" in definition.decorators:
                return Function(node, Scope(base.cls.module), definition.qualname)
            return bound
    constant = class_constant(machine, base.cls, name)
    if constant is not None:
        return constant
    if name in {"dtype", "compute_dtype", "_dtype"}:
        return Static(DType("float32"))
    return Method(base, name)


def find_method(cls: Class, start: str, name: str) -> tuple[Definition, str] | None:
    """Return the definition of a method and its class, base classes of the file included."""
    definitions = cls.module.index.definitions
    pending, seen = [start], set[str]()
    while pending:
        owner = pending.pop(0)
        if owner in seen:
            continue
        seen.add(owner)
        found = definitions.get(f"{owner}.{name}")
        if found is not None and found.kind == "function":
            return found, owner
        record = definitions.get(owner)
        if record is not None:
            pending += [base for base in record.bases if base in definitions]
    return None


def class_constant(machine: Machine, cls: Class, name: str) -> Value | None:
    """Return the value of an assignment in a class body, or None."""
    definition = cls.module.index.definitions.get(cls.qualname)
    if definition is None or name not in definition.constants:
        return None
    for line in cls.module.tree(definition).body:
        body = line
        if isinstance(body, cst.If) and definition.indented:
            body = body.body.body[0]  # type: ignore[assignment]
        if not isinstance(body, cst.ClassDef):
            continue
        for inner in body.body.body:
            for small in _smalls(inner):
                if isinstance(small, cst.Assign):
                    names = [
                        t.target.value for t in small.targets if isinstance(t.target, cst.Name)
                    ]
                    if name in names:
                        return machine.evaluate(machine, Scope(cls.module), small.value)
    return None


def initialise(machine: Machine, base: Instance, at: cst.CSTNode) -> None:
    """Run ``__init__`` and ``build`` once, to learn the attributes of a user's object."""
    if base.initialised:
        return
    base.initialised = True
    for name in ("__init__", "build"):
        found = find_method(base.cls, base.cls.qualname, name)
        if found is None:
            continue
        definition, owner = found
        node = function_node(base.cls.module, definition)
        if node is None:
            continue
        bound = Function(node, Scope(base.cls.module), definition.qualname, base, owner)
        if name == "build":
            machine.call(machine, bound, [Opaque("input_shape")], {}, at)
            continue
        required = [p for p in definition.params if p != "self"][: max(definition.required, 0)]
        args = [parameter(machine, name, at) for name in required]
        machine.call(machine, bound, args, {}, at)


def parameter(machine: Machine, name: str, at: cst.CSTNode) -> Value:
    """Return a hyperparameter of which only the name is known."""
    return machine.input(
        name,
        InputRole.PARAMETER,
        machine.site(at),
        differentiated=False,
        domain=PARAMETER_DOMAIN,
    )
