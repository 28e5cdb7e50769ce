"""Keras layers, losses and regularizers as objects, and layer functions with an activation."""

from __future__ import annotations

import re
from functools import reduce

import libcst as cst

from actlint.lower import models, networks, signatures
from actlint.lower.machine import Machine
from actlint.lower.values import Built, Mapping, Opaque, Sequence, Static, Value, dependencies
from actlint.names import last
from actlint.ops.table import BY_STRING, ObjectRow, object_row, row

# Classes whose objects keep a running value.
_METRIC = re.compile(r"(^|\.)metrics\.[A-Z]\w*$")
# Layers that call another for each step of a sequence, and for both directions of one.
_EACH = frozenset({"TimeDistributed"})
_BOTH_WAYS = frozenset({"Bidirectional"})
# What joins both directions and leaves them within their limits.
_WITHIN = frozenset({"concat", "ave", "mul"})
_RECURRENT = frozenset({"GRU", "LSTM", "SimpleRNN", "CuDNNGRU", "CuDNNLSTM"})
# Positional arguments whose names are known, up to the activation.
_NAMED = 2
_GATES = frozenset({"sigmoid", "hard_sigmoid"})
_ACTIVATION_KEYWORDS = ("activation", "activation_fn")


def layer_function(
    machine: Machine,
    names: tuple[str, ...],
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return the output of ``tf.layers.dense(x, 10, f)``: f of any real number."""
    given = signatures.settings(names, args, keywords)
    return _activated(machine, given, [*args, *keywords.values()], at)


def _activated(
    machine: Machine, given: dict[str, Value], args: list[Value], at: cst.CSTNode
) -> Value | None:
    activation = next((given[k] for k in _ACTIVATION_KEYWORDS if k in given), None)
    depends = frozenset[int]().union(*(dependencies(a) for a in args))
    if activation is None or not depends:
        return None
    linear = machine.cut_input(machine.site(at), depends, called=True, real=True)
    return _apply(machine, activation, [linear], at)


def _apply(machine: Machine, activation: Value, args: list[Value], at: cst.CSTNode) -> Value | None:
    """Apply an activation given as a function, a name or None."""
    if isinstance(activation, Static):
        if activation.value is None:
            return args[0]
        key = BY_STRING.get(str(activation.value))
        return None if key is None else machine.emit_key(key, (args[0],), at)
    if isinstance(activation, Opaque):
        return None
    return machine.call(machine, activation, args, {}, at)


def built_call(
    machine: Machine,
    callee: Built,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return the result of calling a Keras layer or loss object."""
    if machine.reading:
        output = models.layer_call(machine, callee, args, at)
        if output is not None:
            return output
    elif args:
        output = networks.model_call(machine, callee, args, at)
        if output is not None:
            return output
    rows = {id(found): found for name in callee.names if (found := object_row(name)) is not None}
    if len(rows) == 1:
        result = _object(machine, next(iter(rows.values())), callee, args, keywords, at)
        kept = result is not None and all(_METRIC.search(name) for name in callee.names)
        return machine.emit_key("metric_result", (result,), at) if result and kept else result
    if last(callee.names[0]) == "Lambda" and args:
        return _lambda(machine, callee, args, at)
    inner = callee.args[0] if callee.args else dict(callee.keywords).get("layer")
    if models.is_keras(callee, _EACH) and isinstance(inner, Built):
        return built_call(machine, inner, args, keywords, at)
    if args and _gives_states(callee):
        depends = frozenset[int]().union(*(dependencies(value) for value in args))
        site = machine.site(at)
        return machine.cut_input(site, depends, called=True, real=True, limits=(-1.0, 1.0))
    ending = models.last_activation(callee) if machine.taping == 0 else None
    if ending is not None:
        return _activated(machine, {"activation": ending}, args, at)
    given = signatures.settings(callee.names, callee.args, dict(callee.keywords))
    return _activated(machine, given, args, at)


def _gives_states(layer: Value) -> bool:
    """Tell whether a layer gives the hidden states of cells with a tanh, and nothing else."""
    if not isinstance(layer, Built):
        return False
    given = signatures.settings(layer.names, layer.args, dict(layer.keywords))
    if models.is_keras(layer, _BOTH_WAYS):
        inner = layer.args[0] if layer.args else given.get("layer", Static(None))
        merged = given.get("merge_mode", Static("concat"))
        return _gives_states(inner) and isinstance(merged, Static) and merged.value in _WITHIN
    # Gates outside of [0, 1] take the states out of the range of the tanh.
    plain = given.get("activation", Static("tanh"))
    gates = given.get("recurrent_activation", Static("sigmoid"))
    state = given.get("return_state", Static(False))
    return (
        models.is_keras(layer, _RECURRENT)
        and len(layer.args) <= _NAMED
        and isinstance(plain, Static)
        and plain.value == "tanh"
        and isinstance(gates, Static)
        and gates.value in _GATES
        and isinstance(state, Static)
        and not state.value
    )


def _lambda(machine: Machine, callee: Built, args: list[Value], at: cst.CSTNode) -> Value | None:
    """Return what the function of a Lambda layer makes of its input and of ``arguments``."""
    settings = dict(callee.keywords)
    function = callee.args[0] if callee.args else settings.get("function")
    given = settings.get("arguments")
    table = given.items if isinstance(given, Mapping) else {}
    named = {str(name): value for name, value in table.items()}
    return None if function is None else machine.call(machine, function, args, named, at)


def _object(  # noqa: PLR0917  # a call has as many parts
    machine: Machine,
    found: ObjectRow,
    callee: Built,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    settings = dict(zip(found.params, callee.args, strict=False)) | dict(callee.keywords)
    if found.named_by:
        named = settings.get(found.named_by)
        return None if named is None or not args else _apply(machine, named, args, at)
    first = row(found.chain[0])
    if found.folds:
        items = args[0].items if args and isinstance(args[0], Sequence) else []
        return (
            reduce(lambda a, b: machine.emit_key(first.key, (a, b), at), items) if items else None
        )
    # A third operand of a loss object is the sample weight, which only scales.
    given = [*args[: len(first.operands)], *(keywords[n] for n in first.operands if n in keywords)]
    if len(given) < min(len(first.operands), 1):
        return None
    bound = {name: machine.arg(v, at) for name, v in zip(first.operands, given, strict=False)}
    bound |= dict(found.statics)
    for setting, parameter in found.passes.items():
        value = settings.get(setting)
        if value is not None:
            bound[parameter] = machine.arg(value, at)
    ordered = [(name, bound[name]) for name in first.params if name in bound]
    result = machine.emit(first, ordered, at)
    for key in found.chain[1:]:
        result = machine.emit_key(key, (result,), at)
    if found.averaged:
        reduction = settings.get("reduction")
        kind = str(reduction.value) if isinstance(reduction, Static) else "mean"
        if "none" not in kind:
            key = "reduce_sum" if kind == "sum" else "reduce_mean"
            result = machine.emit_key(key, (result,), at)
    if found.scale:
        factor = settings.get(found.scale, Static(found.scale_default))
        result = machine.emit_key("multiply", (factor, result), at)
    return result
