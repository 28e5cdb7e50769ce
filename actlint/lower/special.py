"""Calls that are more than one op: builtins, variables, placeholders, gradients, layers."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from actlint.bindings import SUBMODULES, SUBMODULES_HELPER
from actlint.graph import EXTENDED_LIMIT, DType, InputRole
from actlint.lower import contracts, distributions, folding, models, options, sinks, variables
from actlint.lower.attributes import injected
from actlint.lower.builtin import BUILTINS, Call
from actlint.lower.dense import is_dense
from actlint.lower.layers import layer_function
from actlint.lower.limits import TooLarge
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Function,
    Instance,
    Mapping,
    Method,
    Opaque,
    Partial,
    Sequence,
    Static,
    StaticShape,
    TensorValue,
    Value,
    dependencies,
    truth,
)
from actlint.names import last
from actlint.ops.table import TABLE, canonical_name, lookup

# What a Keras user sees as the fuzz factor, tf.keras.backend.epsilon().
KERAS_EPSILON = 1e-7

# Libraries whose arrays TensorFlow does not differentiate, and those that it does.
FOREIGN = frozenset({"numpy", "jax", "torch", "scipy", "cupy", "mxnet", "theano", "sklearn"})
LIBRARIES = frozenset({"tensorflow", "keras", "tflearn", "tensorflow_addons"})
NUMERIC_LIBRARIES = FOREIGN | LIBRARIES

_VARIABLES = frozenset(
    {
        "tf.Variable",
        "tf.get_variable",
        "K.variable",
        "tf.compat.v1.Variable",
        "tf.compat.v1.get_variable",
        "keras.Variable",
    }
)
_ASSIGNMENTS = {
    "K.update": "assign", "K.update_add": "assign_add", "K.update_sub": "assign_sub",
    "tf.assign": "assign", "tf.assign_add": "assign_add", "tf.assign_sub": "assign_sub",
}  # fmt: skip
_PLACEHOLDERS = frozenset(
    {
        "tf.placeholder",
        "tf.compat.v1.placeholder",
        "K.placeholder",
        "tflearn.input_data",
        "tf.placeholder_with_default",
    }
)
# Placeholders whose shape leaves the batch out.
_KERAS_INPUTS = frozenset(
    {"tensorflow.keras.Input", "tf.keras.Input", "keras.Input", "layers.Input"}
)
_IDENTITY = frozenset(
    {
        "tf.function",
        "tf.autograph.experimental.do_not_convert",
        "tf.keras.utils.register_keras_serializable",
        "tf.ensure_shape",
        "tf.convert_to_tensor",
        "ops.convert_to_tensor",
        "tf.recompute_grad",
        "keras.activations.get",
        "activations.get",
        "losses.get",
        "tf.keras.losses.get",
        "tf.keras.activations.get",
    }
)
# What distributions of TensorFlow Probability convert their parameters by.
_CONVERSION = "convert_nonref_to_tensor"
_MAPS = frozenset({"tf.map_fn", "tf.vectorized_map", "K.map_fn", "ops.vectorized_map", "ops.map"})
_IGNORED = frozenset(
    {
        "builtins.print",
        "tf.print",
        "tf.summary.scalar",
        "tf.summary.histogram",
    }
)
_PYTHON_FUNCTIONS = {
    "tf.py_function": "py_function", "tf.numpy_function": "numpy_function",
    "tf.py_func": "numpy_function", "tf.compat.v1.py_func": "numpy_function",
}  # fmt: skip


def api_call(
    machine: Machine,
    callee: Api,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return the value of a call that the ops table alone cannot describe, or None."""
    if len(callee.names) == 1 and callee.names[0].startswith("builtins."):
        handler = BUILTINS.get(last(callee.names[0]))
        return None if handler is None else handler(Call(machine, args, keywords, at))
    depends = frozenset[int]().union(*(dependencies(a) for a in (*args, *keywords.values())))
    for qualified in callee.names:
        home = qualified.partition(".")[0]
        made = depends and not machine.is_drawn(depends)
        if made and home in NUMERIC_LIBRARIES and not _hands_on(canonical_name(qualified)):
            machine.homes.add(home)
        found = _one_name(machine, qualified, args, keywords, at)
        if found is not None:
            return found
    if all(lookup(name) is None for name in callee.names):
        if all(last(name)[:1].isupper() for name in callee.names):
            sinks.built(machine, callee.names, args, keywords, at)
            return models.built(machine, callee.names, args, keywords, at)
        return layer_function(machine, callee.names, args, keywords, at)
    return None


def _one_name(
    machine: Machine,
    qualified: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    short = canonical_name(qualified)
    if machine.tracing is not None:
        traced = machine.tracing.read(machine, qualified, short, args, at)
        if traced is not None:
            return traced
    if qualified == "functools.partial" and args:
        return Partial(args[0], tuple(args[1:]), tuple(keywords.items()))
    if _hands_on(short) and args and not isinstance(args[0], (Static, Sequence)):
        return args[0]
    if last(short) == _CONVERSION and args:
        none = isinstance(args[0], Static) and args[0].value is None
        return args[0] if none else machine.emit_key("convert_to_tensor", (args[0],), at)
    if last(short) == SUBMODULES_HELPER:
        return Sequence([Api((name,)) for name in SUBMODULES], is_tuple=True)
    if short == "tf.function" or last(short) == "register_keras_serializable":
        # `register_keras_serializable("mine")(f)`: what is returned hands its argument on.
        return Api(("tf.autograph.experimental.do_not_convert",))
    if short in {"K.epsilon", "keras.config.epsilon", "keras.src.backend.epsilon"}:
        return Static(KERAS_EPSILON)
    if short in {"K.floatx", "keras.config.floatx"}:
        return Static(DType("float32"))
    if short in {"K.image_data_format"}:
        return Static("channels_last")
    if short in {"K.int_shape", "np.shape"} and args and isinstance(args[0], TensorValue):
        return StaticShape(args[0].node)
    if short in {"K.ndim", "ops.ndim", "np.ndim"} and args and isinstance(args[0], TensorValue):
        return machine.rank(args[0].node, at)
    if short in {"tf.is_tensor", "K.is_tensor", "K.is_keras_tensor"} and args:
        return Static(isinstance(args[0], TensorValue))
    if last(short) == "is_sparse" and args and is_dense(machine.nodes, args[0]):
        return Static(False)
    if short in _VARIABLES:
        weight = last(short) == "get_variable"
        return variable(machine, _name_of(keywords, "variable"), args, keywords, at, weight=weight)
    if short in _ASSIGNMENTS and len(args) > 1 and isinstance(args[0], TensorValue):
        return variables.update(machine, args[0], _ASSIGNMENTS[short], args[1:], at)
    if short in _PLACEHOLDERS:
        return _placeholder(machine, args, keywords, at)
    if short in _KERAS_INPUTS:
        return _placeholder(machine, args, keywords, at, batched=False)
    trained = sinks.function(machine, qualified, args, keywords, at)
    if trained is not None:
        return trained
    if qualified.startswith("tensorflow."):
        stops = contracts.assertion(machine, qualified, args, keywords, at)
        if stops is not None:
            return stops
    if short in _IGNORED:
        return Static(None)
    if last(short) == "custom_gradient" and args and isinstance(args[0], Function):
        return replace(args[0], own_gradient=True)
    if short == "tf.GradientTape":
        return Built((qualified,), (), ())
    if short.endswith("initializers.get") and args:
        return args[0]
    if last(short) in {"zeros_initializer", "constant_initializer"}:
        return Built((qualified,), tuple(args), tuple(keywords.items()))
    if short in {"tf.cond", "tf.compat.v1.cond"} and len(args) + len(keywords) >= 3:
        return _cond(machine, args, keywords, at)
    if short in _MAPS and args:
        return _map(machine, args, keywords, at)
    if short in {"tf.scan", "tf.foldl", "tf.foldr", "ops.scan"} and args:
        return _scan(machine, args, keywords, at)
    if short in {"tf.while_loop", "ops.while_loop"} and len(args) + len(keywords) >= 3:
        return _while_loop(machine, args, keywords, at)
    if short in _PYTHON_FUNCTIONS:
        return _python_function(machine, _PYTHON_FUNCTIONS[short], args, keywords, at)
    if qualified.startswith(("math.", "numpy.")):
        return _fold_numpy(last(qualified), args)
    return None


def _hands_on(short: str) -> bool:
    """Tell whether a function returns its first argument as far as values go."""
    return short in _IDENTITY or last(short) in {"convert_to_tensor", _CONVERSION}


def _name_of(keywords: dict[str, Value], default: str) -> str:
    value = keywords.get("name")
    if isinstance(value, Static) and isinstance(value.value, str) and value.value:
        return value.value
    return default


def variable(
    machine: Machine,
    name: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
    *,
    weight: bool = False,
) -> Value:
    """Return a trained weight; ``trainable=False`` makes it plain data.

    A variable that is made of a value of this pass hands that on, without its gradient.

    Args:
        machine: the lowering.
        name: what the variable is called.
        args: positional arguments of the call.
        keywords: those by name.
        at: the call.
        weight: an initializer makes its start, and there is a usual one if none is given.
    """
    initial = args[0] if args else keywords.get("initial_value", keywords.get("value"))
    found = variables.read_back(machine, initial, at)
    if found is not None:
        return found
    trainable = keywords.get("trainable")
    frozen = trainable is not None and truth(trainable) is False
    begin = variables.start(machine, initial, keywords.get("initializer"), weight=weight)
    return machine.input(
        name,
        InputRole.DATA if frozen else InputRole.VARIABLE,
        machine.site(at),
        differentiated=not frozen,
        domain=(-EXTENDED_LIMIT, EXTENDED_LIMIT) if frozen else variables.domain(begin),
        least=0.0 if frozen else variables.least(begin),
        shape=_shape(keywords.get("shape") or (args[1] if len(args) > 1 else None)),
    )


def _placeholder(
    machine: Machine,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
    *,
    batched: bool = True,
) -> Value:
    shape = keywords.get("shape") or next((a for a in args if isinstance(a, Sequence)), None)
    sizes = _shape(shape)
    machine.legacy |= batched
    integer = any(
        isinstance(v, Static) and isinstance(v.value, DType) and v.value.name.startswith("int")
        for v in (*args, *keywords.values())
    )
    return machine.input(
        _name_of(keywords, "placeholder"),
        InputRole.DATA,
        machine.site(at),
        differentiated=False,
        shape=sizes if sizes is None or batched else (None, *sizes),
        integer=integer,
    )


def _shape(value: Value | None) -> tuple[int | None, ...] | None:
    if not isinstance(value, Sequence):
        return None
    sizes: list[int | None] = []
    for item in value.items:
        number = item.value if isinstance(item, Static) else None
        sizes.append(number if isinstance(number, int) and not isinstance(number, bool) else None)
    return tuple(sizes)


def _cond(
    machine: Machine,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    names = ("pred", "true_fn", "false_fn")
    values = dict(zip(names, args, strict=False)) | keywords
    if "fn1" in values and "fn2" in values:
        values |= {"true_fn": values["fn1"], "false_fn": values["fn2"]}
    if not all(name in values for name in names):
        return None
    known = truth(values["pred"])
    taken = machine.decide(values["pred"]) if known is None else known
    branch = values["true_fn" if taken else "false_fn"]
    return machine.call(machine, branch, [], {}, at)


def _map(
    machine: Machine, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Return what a mapped function makes of the first element: it stands for all of them."""
    elements = args[1] if len(args) > 1 else keywords.get("elems")
    if elements is None:
        return None
    return machine.call(machine, args[0], [_first(machine, elements, at)], {}, at)


def _first(machine: Machine, elements: Value, at: cst.CSTNode) -> Value:
    """Return the first element along the leading axis; of each tensor of a tuple."""
    if isinstance(elements, Sequence):
        items = [_first(machine, item, at) for item in elements.items]
        return Sequence(items, elements.is_tuple)
    if isinstance(elements, TensorValue):
        index = [("x", machine.arg(elements, at)), ("index", 0)]
        return machine.emit(TABLE["getitem"], index, at)
    return elements


def _scan(
    machine: Machine, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Return the state of a scan after its first step."""
    elements = args[1] if len(args) > 1 else keywords.get("elems")
    if elements is None:
        return None
    first = _first(machine, elements, at)
    state = args[2] if len(args) > 2 else keywords.get("initializer", first)
    result = machine.call(machine, args[0], [state, first], {}, at)
    if isinstance(result, TensorValue):
        # A scan keeps the states along a new leading axis.
        stacked = [("input", machine.arg(result, at)), ("axis", 0)]
        return machine.emit(TABLE["expand_dims"], stacked, at)
    return result


def _while_loop(
    machine: Machine, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Return the variables of a while_loop after one run of its body."""
    given = dict(zip(("cond", "body", "loop_vars"), args, strict=False)) | keywords
    state = given.get("loop_vars")
    if not isinstance(state, Sequence) or "body" not in given:
        return None
    return machine.call(machine, given["body"], list(state.items), {}, at)


def _python_function(
    machine: Machine, key: str, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    inputs = keywords.get("inp") or (args[1] if len(args) > 1 else None)
    if inputs is None or key not in TABLE:
        return None
    items = inputs if isinstance(inputs, Sequence) else Sequence([inputs])
    return machine.emit(TABLE[key], [("inp", machine.arg(items, at))], at)


def _fold_numpy(name: str, args: list[Value]) -> Value | None:
    """Fold a NumPy or math function of Python numbers, as the user's program would at start."""
    numbers = [v.value for v in args if isinstance(v, Static)]
    if len(numbers) != len(args) or not args:
        return None
    if not all(isinstance(n, (int, float)) for n in numbers):
        return None
    if name in {"array", "asarray", "float32", "float64"}:
        return args[0]
    return folding.function(name, [n for n in numbers if isinstance(n, (int, float))])


def method_call(
    machine: Machine,
    callee: Method,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return the value of a method call that means something here, or None."""
    base, name = callee.base, callee.name
    found = models.method(machine, base, name, args, keywords, at) or distributions.method(
        machine, base, name, [*args, *keywords.values()], at
    )
    if found is not None:
        return found
    if name in {"add_weight", "add_variable"} and isinstance(base, Instance):
        given = _name_of(keywords, "")
        if not given and args and isinstance(args[0], Static) and isinstance(args[0].value, str):
            given = args[0].value
        return variable(machine, given or "weight", args, keywords, at, weight=True)
    trained = sinks.method(machine, base, name, args, keywords, at)
    if trained is not None:
        return trained
    if name == "get_shape" and isinstance(base, Opaque) and base.dependencies:
        return StaticShape(machine.cut(base, at).node)
    if isinstance(base, Sequence):
        return _list_method(base, name, args)
    if isinstance(base, Mapping):
        return _dict_method(machine, base, name, args)
    if isinstance(base, TensorValue):
        if name in variables.UPDATES:
            return variables.update(machine, base, name, args, at)
        if name == "get_shape":
            return StaticShape(base.node)
        if name == "set_shape":
            return Static(None)
    if isinstance(base, StaticShape) and name in {"as_list", "with_rank"}:
        return base
    return None if args else options.respelled(machine, base, name)


def _list_method(base: Sequence, name: str, args: list[Value]) -> Value | None:
    if name in {"append", "extend", "insert"} and len(base.items) >= folding.MAX_ITEMS:
        raise TooLarge
    if name == "append" and args:
        base.items.append(args[0])
        return Static(None)
    if name == "insert" and len(args) > 1 and isinstance(args[0], Static):
        if isinstance(args[0].value, int):
            base.items.insert(args[0].value, args[1])
        return Static(None)
    if name == "extend" and args and isinstance(args[0], Sequence):
        base.items.extend(args[0].items)
        return Static(None)
    return None


def _dict_method(machine: Machine, base: Mapping, name: str, args: list[Value]) -> Value | None:
    if name in {"get", "pop"} and args:
        wanted = args[0]
        key: object = options.entry(machine, wanted, base.items)
        if key is None and not isinstance(wanted, Static):
            return None
        key = wanted.value if key is None and isinstance(wanted, Static) else key
        default = args[1] if len(args) > 1 else Static(None)
        found = base.items.get(key, default)
        if base.keywords and isinstance(found, Static) and found.value is None:
            return injected(machine, machine.modules[-1], str(key)) or found
        return found
    if name == "values":
        return Sequence(list(base.items.values()))
    keys: list[Value] = [Static(k) for k in base.items if isinstance(k, (str, int, float))]
    if name == "keys":
        return Sequence(keys)
    if name == "items":
        pairs = zip(keys, base.items.values(), strict=False)
        return Sequence([Sequence([k, v], is_tuple=True) for k, v in pairs])
    return None
