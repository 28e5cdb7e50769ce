"""Calls: user functions are inlined, known APIs become ops, the rest becomes opaque."""

from __future__ import annotations

import re

import libcst as cst

from actlint.graph import DType, Ref
from actlint.lower import densities, gradients, models, sinks, special, tapes
from actlint.lower.attributes import bound_method, initialise, injected, run_build
from actlint.lower.layers import built_call
from actlint.lower.limits import MAX_DEPTH, Unlowerable
from actlint.lower.machine import Machine, is_outside
from actlint.lower.values import (
    Api,
    Built,
    Class,
    Function,
    Instance,
    Mapping,
    Method,
    Opaque,
    Partial,
    Scope,
    Sequence,
    Static,
    Super,
    TensorValue,
    Value,
    dependencies,
)
from actlint.ops.model import Op
from actlint.ops.table import TABLE, lookup

# Decorators that replace the gradient: the body no longer says what is differentiated.
_REPLACING = frozenset({"vectorize", "py_function", "numpy_function"})
_OWN_GRADIENT = "custom_gradient"

# Where functions live that end in a matrix product or convolution with weights.
_LAYER_HOME = re.compile(r"\b(layers|contrib|slim|tflearn)\b|\.nn\.|matmul|einsum|tensordot|conv")


def call(
    machine: Machine,
    callee: Value,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value:
    """Return the value of a call; what cannot be followed is Opaque."""
    try:
        found = _call(machine, callee, args, keywords, at)
    except Unlowerable:
        found = None
    return found if found is not None else opaque(machine, callee, args, keywords, at)


def opaque(
    machine: Machine,
    callee: Value,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Opaque:
    """Return the unknown result of a call, which depends on all that went in."""
    depends = dependencies(callee).union(
        *(dependencies(value) for value in (*args, *keywords.values()))
    )
    site = machine.site(at)
    linear = models.is_linear_call(callee, args, keywords)
    network = tapes.note(machine, callee)
    return Opaque(site.text, depends, _is_layer(callee), site, linear=linear, network=network)


def _is_layer(callee: Value) -> bool:
    """Tell whether a call is that of a layer or a library op, whose output is any real number."""
    if isinstance(callee, Method):
        return isinstance(callee.base, Instance) or _is_layer(callee.base)
    if isinstance(callee, Api):
        return all(_LAYER_HOME.search(name) for name in callee.names)
    return isinstance(callee, (Built, Instance, TensorValue))


def _call(
    machine: Machine,
    callee: Value,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    if isinstance(callee, Function):
        return invoke(machine, callee, args, keywords, at)
    if isinstance(callee, Partial):
        merged = dict(callee.keywords) | keywords
        return call(machine, callee.function, [*callee.args, *args], merged, at)
    if isinstance(callee, Api):
        handled = densities.api_call(
            machine, callee, [*args, *keywords.values()], at
        ) or special.api_call(machine, callee, args, keywords, at)
        if handled is not None:
            return handled
        made = api_op(machine, callee, args, keywords, at)
        sinks.keep(machine, callee, made)
        return made
    if isinstance(callee, Method):
        return _method(machine, callee, args, keywords, at)
    if isinstance(callee, Class):
        instance = Instance(callee)
        constructor = bound_method(instance, "__init__")
        if constructor is not None:
            instance.initialised = True
            invoke(machine, constructor, args, keywords, at)
            run_build(machine, instance, at)
        else:
            # A dataclass or named tuple: its constructor sets the fields of the class body.
            record = callee.module.index.definitions[callee.qualname]
            instance.attributes.update(zip(record.constants, args, strict=False))
            instance.attributes.update(keywords)
        return instance
    if isinstance(callee, Instance):
        method = bound_method(callee, "call") or bound_method(callee, "__call__")
        if method is None:
            return None
        initialise(machine, callee, at)
        return invoke(machine, method, args, keywords, at)
    if isinstance(callee, Built):
        return built_call(machine, callee, args, keywords, at)
    return None


# TensorFlow 0.x took (logits, targets), 1.x names alone, and 2.x takes (labels, logits): a graph
# with placeholders that gives them by position was written for 0.x.
_LOGITS_FIRST = frozenset(
    {
        "sigmoid_cross_entropy_with_logits",
        "softmax_cross_entropy_with_logits",
        "sparse_softmax_cross_entropy_with_logits",
    }
)


def api_op(
    machine: Machine, callee: Api, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Return the node of a call of a known op, or None if its meaning is unknown or ambiguous."""
    found = {op.key: op for op in (lookup(name) for name in callee.names) if op is not None}
    if len(found) != 1:
        return None
    op = next(iter(found.values()))
    if machine.legacy and op.key in _LOGITS_FIRST and len(args) > 1:
        args = [args[1], args[0], *args[2:]]
    if is_outside(op) and not machine.is_repeated(at):
        return None
    bound = bind(op, args, keywords)
    if bound is None:
        return None
    if op.key == "constant" and all("keras" in name for name in callee.names):
        # K.constant makes an array of NumPy's a tensor of Keras's type.
        unknown = [name for name, value in bound if isinstance(value, TensorValue)]
        if unknown and "dtype" not in dict(bound):
            return machine.emit_key("cast_to_floatx", (dict(bound)[unknown[0]],), at)
    # TensorFlow counts in integers, and refuses `out_type=tf.float32` in eager mode.
    wanted = dict(bound).get("out_type")
    kind = wanted.value if isinstance(wanted, Static) else None
    if isinstance(kind, DType) and kind.name.startswith("float"):
        bound = [(name, value) for name, value in bound if name != "out_type"]
    made = machine.emit(op, [(name, machine.arg(value, at)) for name, value in bound], at)
    if isinstance(kind, DType) and kind.name.startswith("float"):
        return machine.emit(TABLE["cast"], [("x", Ref(made.node)), ("dtype", kind)], at)
    return made


def bind(op: Op, args: list[Value], keywords: dict[str, Value]) -> list[tuple[str, Value]] | None:
    """Bind arguments to the row's parameters, or return None if they do not fit."""
    params = list(op.params)
    if op.variadic:
        first = params.index(op.variadic)
        if len(args) > first:
            args = [*args[:first], Sequence(args[first:], is_tuple=True)]
    if len(args) > len(params):
        # Trailing `name` arguments of old APIs carry no meaning.
        surplus = args[len(params) :]
        if any(not isinstance(v, Static) for v in surplus):
            return None
        args = args[: len(params)]
    bound = list(zip(params, args, strict=False))
    taken = {name for name, _ in bound}
    renamed = op.renamed or {}
    for key, value in keywords.items():
        name = key if key in params else renamed.get(key, "")
        if not name:
            if key in {"name", "dtype", "validate_shape"} or isinstance(value, Static):
                continue
            return None
        if name in taken:
            return None
        taken.add(name)
        bound.append((name, value))
    values = dict(bound)
    for operand in () if op.draws else op.operands[:1]:
        given = values.get(operand)
        if given is None or (isinstance(given, Static) and given.value is None):
            return None
    bound = [
        (name, value)
        for name, value in bound
        if not (isinstance(value, Static) and value.value is None and name not in op.operands)
    ]
    bound = [(name, _dtype(value) if name == "dtype" else value) for name, value in bound]
    order = {name: position for position, name in enumerate(params)}
    return sorted(bound, key=lambda item: order[item[0]])


def _dtype(value: Value) -> Value:
    """Return the dtype that Keras's short names stand for."""
    short = {"int": "int32", "float": "float32"}
    if isinstance(value, Static) and isinstance(value.value, str):
        return Static(short.get(value.value, value.value))
    return value


def invoke(
    machine: Machine,
    function: Function,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Inline a call of a user's function and return what it returns."""
    node = function.node
    listed = node.decorators if isinstance(node, cst.FunctionDef) else ()
    decorators = {_decorator(d.decorator) for d in listed}
    if decorators & _REPLACING:
        return None
    if function.own_gradient or _OWN_GRADIENT in decorators:
        if any(dependencies(value) for value in keywords.values()):
            return None
        sources = [gradients.source(machine, value, at) for value in args]
        result = inline(machine, function, sources, keywords, at)
        return gradients.applied(machine, result, sources, at)
    return inline(machine, function, args, keywords, at)


def inline(
    machine: Machine,
    function: Function,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a user's function returns, whatever its decorators make of that."""
    node = function.node
    if len(machine.path) >= MAX_DEPTH:
        return None
    module = function.scope.module
    scope = Scope(
        module,
        function.scope if function.scope.parent or function.scope.variables else None,
        owner_class=function.owner_class,
    )
    if function.instance is not None:
        args = [function.instance, *args]
    machine.path.append(machine.site(at))
    machine.modules.append(module)
    # What makes the unit, such as a factory of losses, runs once.
    repeated = bool(machine.running)
    if repeated:
        machine.running.append((module, node))
    try:
        bind_parameters(machine, scope, function, args, keywords)
        value = machine.run_function(machine, scope, node)
        return value if scope.yields is None else _generated(function, scope.yields, args, keywords)
    finally:
        if repeated:
            machine.running.pop()
        machine.modules.pop()
        machine.path.pop()


def _generated(
    function: Function, yields: list[Value], args: list[Value], keywords: dict[str, Value]
) -> Value | None:
    """Return what a loop over a generator gets; None of one that reads data."""
    node = function.node
    decorators = node.decorators if isinstance(node, cst.FunctionDef) else ()
    if any(_decorator(d.decorator) == "contextmanager" for d in decorators):
        return yields[0]
    if not any(dependencies(value) for value in (*args, *keywords.values())):
        return None
    return Sequence(yields)


def _decorator(node: cst.BaseExpression) -> str:
    while isinstance(node, cst.Call):
        node = node.func
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def bind_parameters(
    machine: Machine,
    scope: Scope,
    function: Function,
    args: list[Value],
    keywords: dict[str, Value],
) -> None:
    """Bind arguments to the parameters of a user's function; what is missing is opaque."""
    parameters = function.node.params
    remaining = dict(keywords)
    positional = [*parameters.posonly_params, *parameters.params]
    for position, parameter in enumerate(positional):
        name = parameter.name.value
        if position < len(args):
            scope.variables[name] = args[position]
        else:
            _bind_one(machine, scope, function, parameter, remaining)
        machine.name_value(scope.variables[name], name)
    if isinstance(parameters.star_arg, cst.Param):
        scope.variables[parameters.star_arg.name.value] = Sequence(
            list(args[len(positional) :]), is_tuple=True
        )
    for parameter in parameters.kwonly_params:
        _bind_one(machine, scope, function, parameter, remaining)
    if parameters.star_kwarg is not None:
        rest = dict[object, Value](remaining.items())
        scope.variables[parameters.star_kwarg.name.value] = Mapping(rest, keywords=True)


def _bind_one(
    machine: Machine,
    scope: Scope,
    function: Function,
    parameter: cst.Param,
    remaining: dict[str, Value],
) -> None:
    name = parameter.name.value
    if name in remaining:
        scope.variables[name] = remaining.pop(name)
    elif parameter.default is not None:
        scope.variables[name] = machine.evaluate(machine, function.scope, parameter.default)
    else:
        scope.variables[name] = injected(machine, function.scope.module, name) or Opaque(name)


def _method(
    machine: Machine,
    callee: Method,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    if isinstance(callee.base, Super):
        # The class above is not the project's: its constructor sets nothing that is known.
        return Static(None) if callee.name in {"__init__", "build"} else None
    handled = special.method_call(machine, callee, args, keywords, at)
    if handled is not None:
        return handled
    if isinstance(callee.base, TensorValue):
        op = lookup(f"method.{callee.name}")
        if op is not None:
            bound = bind(op, [callee.base, *args], keywords)
            if bound is not None:
                return machine.emit(op, [(n, machine.arg(v, at)) for n, v in bound], at)
    return None
