"""Keras models as far as losses see them: the last layer, and the loss of ``compile``."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from actlint.graph import EXTENDED_LIMIT, InputRole, Site
from actlint.lower import signatures
from actlint.lower.attributes import bound_method
from actlint.lower.folding import MAX_ITEMS
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Function,
    Instance,
    Mapping,
    Opaque,
    Sequence,
    Static,
    TensorValue,
    Value,
    leaves,
)
from actlint.names import last
from actlint.ops.table import BY_STRING

_HOMES = ("keras", "tensorflow", "tf_keras")
# Layers that end in a product with weights, and which constructor argument is the last size.
_LINEAR = {
    **dict.fromkeys(("Dense",), ("units", 2)),
    **dict.fromkeys(("Conv1D", "Convolution1D", "SeparableConv1D", "Conv1DTranspose"),
                    ("filters", 3)),
    **dict.fromkeys(("Conv2D", "Convolution2D", "SeparableConv2D", "Conv2DTranspose"),
                    ("filters", 4)),
    **dict.fromkeys(("Conv3D", "Convolution3D", "Conv3DTranspose"), ("filters", 5)),
}  # fmt: skip
# Layers that hand on all values as they are, or some of them, and those that change the shape.
_KEEPING = frozenset({"Dropout", "ActivityRegularization", "InputLayer"})
_SHAPING = frozenset({"Reshape", "Flatten", "Permute"})
# Functions of TensorFlow 1 that make and call such a layer.
_FUNCTIONS = frozenset({"dense", "conv1d", "conv2d", "conv3d", "conv2d_transpose"})
_FUNCTIONAL = frozenset({"Model", "Functional"})
_MODELS = frozenset({"Sequential"}) | _FUNCTIONAL
# Losses in which each label is the index of a class.
_SPARSE = "sparse"


def is_keras(value: Value, names: frozenset[str]) -> bool:
    """Tell whether a value is an object of a Keras class of one of these names."""
    return isinstance(value, Built) and all(
        last(name) in names and name.startswith(_HOMES) for name in value.names
    )


def built(
    machine: Machine,
    names: tuple[str, ...],
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Built:
    """Return a new object of a class from outside; an empty Sequential can be added to."""
    if machine.building and all(last(name) == "Model" for name in names):
        outputs = keywords.get("outputs", args[1] if len(args) > 1 else Static(None))
        for leaf in leaves(outputs):
            if isinstance(leaf, Opaque) and leaf.dependencies:
                # The output of a layer, which stands for what goes into it.
                machine.sinks.append(machine.cut(leaf, at).node)
            elif isinstance(leaf, TensorValue):
                machine.sinks.append(leaf.node)
    if not args and all(last(name) == "Sequential" for name in names) and "layers" not in keywords:
        args = [Sequence([])]
    if not machine.reading:
        return Built(names, tuple(args), tuple(keywords.items()))
    return Built(names, tuple(args), tuple(keywords.items()), machine.site(at))


def method(  # noqa: PLR0917  # a call has as many parts
    machine: Machine,
    base: Value,
    name: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a method of a model does, or None if it is no such method."""
    if (
        machine.compiling
        and name == "compile"
        and (is_keras(base, _MODELS) or isinstance(base, Instance))
    ):
        given = args[1] if len(args) > 1 else keywords.get("loss")
        _compile(machine, base, given, at)
        return Static(None)
    if isinstance(base, Built) and is_keras(base, frozenset({"Sequential"})):
        layers = base.args[0] if base.args else None
        if name == "add" and isinstance(layers, Sequence) and args:
            if len(layers.items) < MAX_ITEMS:
                layers.items.append(args[0])
            return Static(None)
        if name == "pop" and isinstance(layers, Sequence) and layers.items:
            return layers.items.pop()
    return None


def layer_call(machine: Machine, callee: Built, args: list[Value], at: cst.CSTNode) -> Value | None:
    """Return the output of a layer as its activation makes it of free logits.

    What comes before the last product with weights does not matter: any real number comes out of
    it. None if the layer is not known.
    """
    name = last(callee.names[0])
    if not args or not callee.names[0].startswith(_HOMES):
        return None
    if name == "Sequential":
        return sequential(machine, callee, args[0], at)
    if name in _MODELS:
        return outputs(callee)
    if name in _KEEPING:
        return args[0]
    if name in _SHAPING:
        return _reshaped(machine, args[0], callee.site or machine.site(at))
    if name == "TimeDistributed" and callee.args and isinstance(callee.args[0], Built):
        return layer_call(machine, callee.args[0], args, at)
    if name not in _LINEAR:
        return None
    parameter, rank = _LINEAR[name]
    settings = signatures.settings(callee.names, callee.args, dict(callee.keywords))
    size = settings.get(parameter, callee.args[0] if callee.args else None)
    count = size.value if isinstance(size, Static) else None
    units = count if isinstance(count, int) and not isinstance(count, bool) else None
    site = callee.site or machine.site(at)
    logits = machine.input(
        "logits",
        InputRole.CUT,
        site,
        differentiated=True,
        domain=(-EXTENDED_LIMIT, EXTENDED_LIMIT),
        shape=(*(None,) * (rank - 1), units) if units is not None else None,
    )
    machine.linear.append(logits.node)
    activation = settings.get("activation")
    if activation is None or (isinstance(activation, Static) and activation.value == "linear"):
        return logits
    first = len(machine.nodes)
    result = _activate(machine, activation, logits, at)
    _place(machine, first, machine.site(at), site)
    return result


def last_activation(model: Built) -> Value | None:
    """Return the activation of the product that a model of known layers ends in, or None."""
    if not is_keras(model, frozenset({"Sequential"})):
        return None
    layers = model.args[0] if model.args else dict(model.keywords).get("layers")
    ending = layers.ending if isinstance(layers, Opaque) else None
    if isinstance(layers, Sequence) and layers.items:
        ending = layers.items[-1]
    if not isinstance(ending, Built) or not _is_linear(ending):
        return None
    activation = dict(ending.keywords).get("activation")
    if activation is None and last(ending.names[0]) == "Dense" and len(ending.args) > 1:
        activation = ending.args[1]
    return None if isinstance(activation, Static) and activation.value is None else activation


def _reshaped(machine: Machine, value: Value, site: Site) -> Value:
    """Return logits of unknown shape for logits; of anything else, the value itself."""
    if not isinstance(value, TensorValue) or value.node not in machine.linear:
        return value
    logits = machine.input("logits", InputRole.CUT, site, differentiated=True)
    machine.linear.append(logits.node)
    return logits


def is_linear_call(callee: Value, args: list[Value], keywords: dict[str, Value]) -> bool:
    """Tell whether a call is that of a layer that ends in a product with weights."""
    if isinstance(callee, Built):
        given = signatures.settings(callee.names, callee.args, dict(callee.keywords))
        return is_keras(callee, frozenset(_LINEAR)) and not _activated(given)
    return (
        isinstance(callee, Api)
        and all(last(name) in _FUNCTIONS and ".layers." in name for name in callee.names)
        and not _activated(signatures.settings(callee.names, args, keywords))
    )


def _activated(given: dict[str, Value]) -> bool:
    activation = given.get("activation", Static(None))
    return not (isinstance(activation, Static) and activation.value in {None, "linear"})


def _activate(
    machine: Machine, activation: Value, logits: TensorValue, at: cst.CSTNode
) -> Value | None:
    if isinstance(activation, Static):
        if activation.value is None:
            return logits
        key = BY_STRING.get(str(activation.value))
        return None if key is None else machine.emit_key(key, (logits,), at)
    return machine.call(machine, activation, [logits], {}, at)


def sequential(machine: Machine, model: Built, start: Value, at: cst.CSTNode) -> Value | None:
    """Return what a Sequential makes of its last product with weights; None if that is unknown."""
    layers = model.args[0] if model.args else dict(model.keywords).get("layers")
    if not isinstance(layers, Sequence) or not (layers.items or machine.reading):
        return None
    value = start
    products = [n for n, layer in enumerate(layers.items) if _is_linear(layer)]
    for layer in layers.items[max(products, default=0) :]:
        first = len(machine.nodes)
        value = machine.call(machine, layer, [value], {}, at)
        if isinstance(layer, Built) and layer.site is not None:
            _place(machine, first, machine.site(at), layer.site)
    return value


def _is_linear(layer: Value) -> bool:
    return is_keras(layer, frozenset(_LINEAR))


def _place(machine: Machine, first: int, call: Site, site: Site) -> None:
    """Let what stands at a call, from node `first` on, stand where layer or loss is made."""
    for index in range(first, len(machine.nodes)):
        node = machine.nodes[index]
        if node.site == call:
            machine.nodes[index] = replace(node, site=site, path=())


def _compile(machine: Machine, model: Value, loss: Value | None, at: cst.CSTNode) -> None:
    """Minimise the loss of the model's output, which is all that is known of the model."""
    output = _output(machine, model, at)
    if isinstance(loss, (Sequence, Mapping)):
        parts = loss.items if isinstance(loss, Sequence) else list(loss.items.values())
        loss = parts[0] if len(parts) == 1 else None
    if isinstance(output, Sequence) and len(output.items) == 1:
        output = output.items[0]
    if not isinstance(output, TensorValue) or loss is None:
        return
    label = _label(machine, loss, output, at)
    first = len(machine.nodes)
    value: Value | None = None
    if isinstance(loss, Static):
        key = BY_STRING.get(str(loss.value))
        value = None if key is None else machine.emit_key(key, (label, output), at)
    else:
        value = machine.call(machine, loss, [label, output], {}, at)
    if not isinstance(value, TensorValue):
        return
    if machine.nodes[value.node].op != "reduce_mean":
        value = machine.emit_key("reduce_mean", (value,), at)
    _place(machine, first, machine.site(at), _loss_site(machine, loss, at))
    if value.node not in machine.sinks:
        machine.sinks.append(value.node)


def _output(machine: Machine, model: Value, at: cst.CSTNode) -> Value | None:
    """Return what a model computes, from its last product with weights on."""
    start = machine.input("x", InputRole.DATA, machine.site(at), differentiated=False)
    if isinstance(model, Built) and not is_keras(model, frozenset({"Sequential"})):
        return outputs(model)
    method = bound_method(model, "call") if isinstance(model, Instance) else None
    training = {"training": Static(True)} if method is not None and _trains(method) else {}
    return machine.call(machine, model, [start], dict(training), at)


def member(base: Value, name: str) -> Value | None:
    """Return what an attribute of a functional model gives, as far as the project says it."""
    if not is_keras(base, _FUNCTIONAL):
        return None
    assert isinstance(base, Built)
    match name:
        case "output" | "outputs":
            found = outputs(base)
        case "input" | "inputs":
            found = inputs(base)
        case _:
            return None
    several = name.endswith("s")
    if isinstance(found, Sequence):
        return found.items[0] if not several and len(found.items) == 1 else found
    return Sequence([found]) if several and found is not None else found


def outputs(model: Built) -> Value | None:
    """Return the outputs of a functional model, which stand for those of any call."""
    return _given(model, 1, "outputs", "output")


def inputs(model: Built) -> Value | None:
    """Return the inputs of a functional model."""
    return _given(model, 0, "inputs", "input")


def _given(model: Built, position: int, *names: str) -> Value | None:
    named = dict(model.keywords)
    found = next((named[name] for name in names if name in named), None)
    return found if found is not None or len(model.args) <= position else model.args[position]


def _trains(method: Function) -> bool:
    """Tell whether Keras says to a ``call`` that it trains."""
    params = method.node.params
    return any(p.name.value == "training" for p in (*params.params, *params.kwonly_params))


def _label(machine: Machine, loss: Value, output: TensorValue, at: cst.CSTNode) -> TensorValue:
    shape = _shape(machine, output.node)
    sparse = _SPARSE in _loss_name(loss).lower()
    return machine.input(
        "y_true",
        InputRole.LABEL,
        machine.site(at),
        differentiated=False,
        shape=shape[:-1] if sparse and shape is not None else shape,
        integer=sparse,
    )


def _shape(machine: Machine, node: int) -> tuple[int | None, ...] | None:
    """Return the shape of the logits that a node is computed from elementwise."""
    pending = [node]
    while pending:
        found = machine.nodes[pending.pop()]
        if found.input is not None and found.input.role is InputRole.CUT:
            return found.input.shape
        pending += found.operands
    return None


def _loss_name(loss: Value) -> str:
    """Return the name of a loss; "" for a function of the user's."""
    if isinstance(loss, Static):
        return str(loss.value)
    names: tuple[str, ...] = getattr(loss, "names", ())
    return last(names[0]) if names else ""


def _loss_site(machine: Machine, loss: Value, at: cst.CSTNode) -> Site:
    if isinstance(loss, Built) and loss.site is not None:
        return loss.site
    if isinstance(at, cst.Call):
        named = [a.value for a in at.args if a.keyword is not None and a.keyword.value == "loss"]
        plain = [a.value for a in at.args if a.keyword is None]
        found = named or plain[1:2]
        if found:
            return machine.site(found[0])
    return machine.site(at)
