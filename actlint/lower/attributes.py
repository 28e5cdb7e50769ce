"""Looks up attributes, methods and module-level names."""

from __future__ import annotations

import re
from itertools import takewhile

import libcst as cst

from actlint.dotted import bare, replaced
from actlint.graph import DType, InputRole
from actlint.index import Definition
from actlint.lower import options
from actlint.lower.constructed import listed
from actlint.lower.machine import PARAMETER_DOMAIN, Machine
from actlint.lower.module import Library, Module, assigned
from actlint.lower.values import (
    Api,
    Built,
    Class,
    Function,
    Instance,
    Method,
    Opaque,
    Scope,
    Static,
    StaticShape,
    Super,
    TensorValue,
    Value,
    dependencies,
    leaves,
)
from actlint.names import last, meanings
from actlint.project import MARK

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
# Base classes beyond these are not looked at.
_MAX_LINEAGE = 32
# Re-exports are followed through so many files.
_MAX_HOPS = 12
_CONSTANTS = {
    "math.pi": 3.141592653589793, "numpy.pi": 3.141592653589793, "math.e": 2.718281828459045,
    "numpy.e": 2.718281828459045, "numpy.inf": float("inf"), "math.inf": float("inf"),
    "numpy.nan": float("nan"), "math.nan": float("nan"), "numpy.newaxis": None,
    "tensorflow.newaxis": None, "numpy.euler_gamma": 0.5772156649015329,
    "tensorflow.float32.min": -3.4028234663852886e38,
    "tensorflow.float32.max": 3.4028234663852886e38,
}  # fmt: skip
_CONSTANTS |= {
    f"tensorflow.experimental.{name}": value
    for name, value in _CONSTANTS.items()
    if name.startswith("numpy.")
}


def injected(machine: Machine, module: Module, name: str) -> Value | None:
    """Return the library module that a keyword of this name is handed in a package, or None."""
    found = module.library.injection.key(module.index, name)
    return api(machine, module, found) if found else None


# Where the functions of the Keras backend live.
_BACKEND = re.compile(r"^(tensorflow\.(\w+\.)*)?keras\.(\w+\.)*backend(\.tensorflow_backend)?$")

# Types of parameters that hold several numbers.
_LISTS = frozenset({"list", "List", "tuple", "Tuple", "Sequence", "Iterable", "ndarray", "Tensor"})


def global_value(machine: Machine, module: Module, name: str) -> Value | None:
    """Return what a module-level or builtin name stands for, or None.

    A name that holds None until a library module is assigned to it stands for that.
    """
    value = _global_value(machine, module, name)
    if value is None or (isinstance(value, Static) and value.value is None):
        found = module.library.injection.variable(module.index, name)
        return api(machine, module, found) if found else value
    return value


def _global_value(machine: Machine, module: Module, name: str) -> Value | None:
    definition = _in_force(machine, module, name)
    key = name if definition is None else definition.qualname
    if key in module.globals:
        return module.globals[key]
    if (module.path, key) in machine.globals:
        return machine.globals[module.path, key]
    if definition is not None and "." not in name:
        return _definition_value(machine, module, definition)
    found = meanings(module.index, name)
    if found and name in module.index.imports:
        return _imported(machine, module, found)
    if name in _BUILTINS:
        return Api((f"builtins.{name}",))
    return _imported(machine, module, found) if found else None


def _in_force(machine: Machine, module: Module, name: str) -> Definition | None:
    """Return the definition of a name that a function meets, if it is itself replaced later.

    That is the last one before the function, else the first one after it.
    """
    found = module.index.definitions.get(name)
    path, line = machine.before or ("", 0)
    if found is None or path != module.path:
        return found
    several = [module.index.definitions.get(replaced(name, n)) for n in range(found.line)]
    known = [d for d in takewhile(lambda d: d is not None, several) if d is not None]
    earlier = [d for d in (*known, found) if d.line <= line]
    return earlier[-1] if earlier else (*known, found)[0]


def _imported(machine: Machine, module: Module, names: tuple[str, ...]) -> Value:
    project = module.library.project
    return api(machine, module, tuple(project.absolute(name, module.index) for name in names))


def _from_project(machine: Machine, library: Library, name: str, hops: int = 0) -> Value | None:
    """Return what a name of another file of the project stands for, or None."""
    place = library.project.follow(name)
    if place is not None:
        module = library.module(place.index)
        return _definition_value(machine, module, place.index.definitions[place.qualname])
    path, _, rest = name.partition(MARK)
    index = library.project.file(path)
    if index is None or not rest or hops >= _MAX_HOPS:
        return None
    # The other file may itself have imported it: `from compat import tf`.
    found = tuple(library.project.absolute(n, index) for n in meanings(index, rest))
    return api(machine, library.module(index), found, hops + 1) if found else None


def api(machine: Machine, module: Module, names: tuple[str, ...], hops: int = 0) -> Value:
    """Return the value of an imported name: of the project, a constant, a dtype or an API."""
    local = [name for name in names if MARK in name]
    if len(local) == 1:
        found = _from_project(machine, module.library, local[0], hops)
        if isinstance(found, Api):
            # One of several imports, such as the branches of a compatibility module.
            names = (*(name for name in names if name != local[0]), *found.names)
        elif found is not None:
            return found
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
        # `f = tf.function(f)`: the name still stands for what was defined before.
        earlier = (d for q, d in module.index.definitions.items() if q != name and bare(q) == name)
        before = [d for d in earlier if d.line < definition.line and d.kind != "lambda"]
        return _definition_value(machine, module, before[-1]) if before else None
    module.evaluating.add(name)
    try:
        for line in module.tree(definition).body:
            for small in _smalls(line):
                if isinstance(small, (cst.Assign, cst.AnnAssign)) and small.value is not None:
                    value = machine.evaluate(machine, Scope(module), small.value)
                    value = assigned(bare(name), small, value)
                    if dependencies(value) or isinstance(value, (Opaque, StaticShape)):
                        return value
                    if any(isinstance(leaf, (Built, Instance)) for leaf in leaves(value)):
                        return machine.globals.setdefault((module.path, name), value)
                    return module.globals.setdefault(name, value)
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
    wanted = last(bare(definition.qualname))
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
        if name == "tf" and all(_BACKEND.search(m) for m in base.names):
            # Keras before 2.3 kept the TensorFlow that it ran on there.
            return Api(("tensorflow",))
        joined = (m + name if m.endswith(MARK) else f"{m}.{name}" for m in base.names)
        return api(machine, machine.modules[-1], tuple(joined))
    if isinstance(base, Instance):
        return instance_attribute(machine, base, name, at)
    if isinstance(base, Super):
        return super_attribute(machine, base, name)
    if isinstance(base, TensorValue):
        if name == "shape":
            return StaticShape(base.node)
        if name == "dtype":
            return Static(DType("float32"))
        if name == "value" and machine.is_plain(base.node):
            return base  # the number of a Dimension of TensorFlow 1
        return machine.component(base, name, at) or Method(base, name)
    if isinstance(base, Opaque) and base.dependencies and name in {"dtype", "shape"}:
        if name == "dtype":
            return Static(DType("float32"))
        return StaticShape(machine.cut(base, at).node)
    if isinstance(base, Opaque) and base.gradient and name == "values":
        return base  # those of a gradient by an embedding, which is sparse
    if isinstance(base, StaticShape) and name in {"ndims", "rank"}:
        return machine.rank(base.node, at)
    if isinstance(base, Class):
        found = base.module.index.definitions.get(f"{base.qualname}.{name}")
        if found is not None and found.kind == "function":
            node = function_node(base.module, found)
            if node is not None:
                return Function(node, Scope(base.module), found.qualname, owner_class=base)
        value = class_constant(machine, base, name)
        return Opaque(_text(machine, at)) if value is None else _filled(machine, base, name, value)
    if isinstance(base, Static) and isinstance(base.value, DType):
        return Static(base.value.name) if name == "name" else base
    return Method(base, name)


def _text(machine: Machine, at: cst.CSTNode) -> str:
    return machine.site(at).text


def instance_attribute(machine: Machine, base: Instance, name: str, at: cst.CSTNode) -> Value:
    """Return ``self.name``: an attribute, a property's value, or a bound method."""
    initialise(machine, base, at)
    if name in base.attributes:
        return _traced(machine, base, name, base.attributes[name], at)
    for cls in lineage(base.cls):
        method = own_method(cls, name, base)
        if method is not None:
            definition = cls.module.index.definitions[method.qualname]
            if "property" in definition.decorators or "cached_property" in definition.decorators:
                return machine.call(machine, method, [], {}, at)
            return method
        constant = class_constant(machine, cls, name)
        if constant is not None:
            return _traced(machine, base, name, _filled(machine, cls, name, constant), at)
    if name in {"dtype", "compute_dtype", "_dtype"}:
        return Static(DType("float32"))
    return Method(base, name)


def _traced(machine: Machine, base: Instance, name: str, value: Value, at: cst.CSTNode) -> Value:
    if machine.tracing is not None:
        value = machine.tracing.attribute(machine, lineage(base.cls), name, value, at)
        base.attributes[name] = value
    return value


def _filled(machine: Machine, cls: Class, name: str, constant: Value) -> Value:
    """Return the module that a class attribute is set to later, or what it begins with."""
    if not (isinstance(constant, Static) and constant.value is None):
        return constant
    injection = cls.module.library.injection
    found = injection.attribute(cls.module.index, cls.qualname, name)
    return api(machine, cls.module, found) if found else constant


def super_attribute(machine: Machine, base: Super, name: str) -> Value:
    """Return ``super().name``: a method or constant of a class above, or something unknown."""
    for parent in parents(base.owner):
        for cls in lineage(parent):
            method = own_method(cls, name, base.instance)
            if method is not None:
                return method
            constant = class_constant(machine, cls, name)
            if constant is not None:
                return _filled(machine, cls, name, constant)
    return Method(base, name)


def bound_method(instance: Instance, name: str) -> Function | None:
    """Return a method of an object, found in its class or the nearest base class."""
    methods = (own_method(cls, name, instance) for cls in lineage(instance.cls))
    return next((method for method in methods if method is not None), None)


def own_method(cls: Class, name: str, instance: Instance) -> Function | None:
    """Return a method that the class itself defines, bound to an object of it."""
    definition = cls.module.index.definitions.get(f"{cls.qualname}.{name}")
    if definition is None or definition.kind != "function":
        return None
    node = function_node(cls.module, definition)
    if node is None:
        return None
    bound = None if "staticmethod" in definition.decorators else instance
    return Function(node, Scope(cls.module), definition.qualname, bound, cls)


def lineage(cls: Class) -> list[Class]:
    """Return a class and its base classes within the project, nearest first."""
    pending, found = [cls], list[Class]()
    while pending and len(found) < _MAX_LINEAGE:
        current = pending.pop(0)
        if any(c.qualname == current.qualname and c.module is current.module for c in found):
            continue
        found.append(current)
        pending += parents(current)
    return found


def parents(cls: Class) -> list[Class]:
    """Return the direct base classes that are defined in the project."""
    record = cls.module.index.definitions.get(cls.qualname)
    library = cls.module.library
    places = (
        library.project.locate(base, cls.module.index)
        for base in (record.bases if record is not None else ())
        if base
    )
    return [
        Class(place.qualname, library.module(place.index))
        for place in places
        if place is not None and place.index.definitions[place.qualname].kind == "class"
    ]


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
                targets: list[cst.BaseExpression] = []
                if isinstance(small, cst.Assign):
                    targets = [target.target for target in small.targets]
                elif isinstance(small, cst.AnnAssign):
                    targets = [small.target]
                if not isinstance(small, (cst.Assign, cst.AnnAssign)) or small.value is None:
                    continue
                if any(isinstance(t, cst.Name) and t.value == name for t in targets):
                    return machine.evaluate(machine, Scope(cls.module), small.value)
    return None


def initialise(machine: Machine, base: Instance, at: cst.CSTNode) -> None:
    """Run ``__init__`` and ``build`` once, to learn the attributes of a user's object."""
    if base.initialised:
        return
    base.initialised = True
    method = bound_method(base, "__init__")
    if method is not None and method.owner_class is not None:
        definition = method.owner_class.module.index.definitions[method.qualname]
        required = [p for p in definition.params if p != "self"][: max(definition.required, 0)]
        lists = (listed(machine, base.cls, method, n) for n in required)
        args = [v or parameter(machine, n, at) for n, v in zip(required, lists, strict=True)]
        public = options.is_public(last(base.cls.qualname))
        settings = options.defaults(machine, method.node) if public else {}
        machine.call(machine, method, args, settings, at)
    run_build(machine, base, at)


def run_build(machine: Machine, base: Instance, at: cst.CSTNode) -> None:
    """Run the ``build`` of a layer, which makes its weights."""
    build = bound_method(base, "build")
    if build is not None:
        machine.call(machine, build, [Opaque("input_shape")], {}, at)


def parameter(
    machine: Machine, name: str, at: cst.CSTNode, annotation: cst.Annotation | None = None
) -> Value:
    """Return a hyperparameter of which only its declaration is known, or the module it gets."""
    several = annotation is not None and _is_list(annotation.annotation)
    found = injected(machine, machine.modules[-1], name)
    if found is not None:
        return found
    return machine.input(
        name,
        InputRole.DATA if several else InputRole.PARAMETER,
        machine.site(at),
        differentiated=False,
        domain=PARAMETER_DOMAIN,
        per_class=several,
    )


def _is_list(annotation: cst.BaseExpression) -> bool:
    """Tell whether an annotation allows lists and arrays alone."""
    kinds = [_kind(member) for member in _members(annotation)]
    return bool(kinds) and all(kind in _LISTS for kind in kinds)


def _members(annotation: cst.BaseExpression) -> list[cst.BaseExpression]:
    """Return the members of a union, less None."""
    match annotation:
        case cst.BinaryOperation(left=left, operator=cst.BitOr(), right=right):
            return _members(left) + _members(right)
        case cst.Subscript(value=head, slice=parts) if _kind(head) in {"Union", "Optional"}:
            inner = [part.slice.value for part in parts if isinstance(part.slice, cst.Index)]
            return [member for each in inner for member in _members(each)]
        case cst.Name(value="None"):
            return []
    return [annotation]


def _kind(annotation: cst.BaseExpression) -> str:
    """Return the last part of a type's name, without what it holds."""
    match annotation:
        case cst.Subscript(value=head):
            return _kind(head)
        case cst.Attribute(attr=name) | (cst.Name() as name):
            return name.value
    return ""
