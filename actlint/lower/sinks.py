"""What training minimises, whichever function or method is told so, and the gradients of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import libcst as cst

from actlint.graph import InputRole, Role
from actlint.lower import tapes
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Function,
    Mapping,
    Opaque,
    Sequence,
    Static,
    TensorValue,
    Value,
    dependencies,
    leaves,
)
from actlint.minimising import UPDATES, updated
from actlint.names import last
from actlint.ops.table import TABLE, canonical_name

_GRADIENTS: Final = frozenset({"tf.gradients", "tf.compat.v1.gradients", "K.gradients"})
_STEPS: Final = frozenset({Role.GRAPH, Role.TRAINING_STEP})
# Functions that make a training step of a loss, and the name of that parameter, their first:
# slim.learning and tf.contrib.training; tf.contrib.layers.
_TRAINERS: Final = {"create_train_op": "total_loss", "optimize_loss": "loss"}
# Classes that do, with the position of the parameter `loss`: tf.estimator, tf.contrib.opt.
_TRAINING: Final = {
    "EstimatorSpec": 2, "TPUEstimatorSpec": 2,
    "ScipyOptimizerInterface": 0, "ExternalOptimizerInterface": 0,
}  # fmt: skip
# tf.GraphKeys, as far as losses go.
_LOSSES: Final = "losses"
# Functions that add what they return to the losses of the graph.
_OF_GRAPH: Final = re.compile(r"^(tensorflow(\.compat\.v1|\.contrib(\.slim)?)?|tf_slim)\.losses\.")
_KEYS: Final = {"LOSSES": _LOSSES, "REGULARIZATION_LOSSES": "regularization_losses"}


def function(
    machine: Machine,
    qualified: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a function gives that trains, or that keeps what is to be trained; or None."""
    short = canonical_name(qualified)
    name = last(short)
    if short in _GRADIENTS:
        target = args[0] if args else keywords.get("ys", keywords.get("loss"))
        sources = args[1] if len(args) > 1 else keywords.get("xs", keywords.get("variables"))
        return None if target is None else _listed(gradient(machine, target, sources, at), sources)
    if name in _TRAINERS:
        loss = args[0] if args else keywords.get(_TRAINERS[name])
        return None if loss is None else sink(machine, loss, at)
    return _collected(machine, qualified, args, keywords, at)


def built(
    machine: Machine,
    names: tuple[str, ...],
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> None:
    """Note what the object is to minimise that a constructor from outside makes."""
    places = {_TRAINING.get(last(name)) for name in names}
    place = places.pop() if len(places) == 1 else None
    if place is not None and machine.role in _STEPS:
        loss = keywords.get("loss", args[place] if len(args) > place else None)
        if loss is not None:
            sink(machine, loss, at)


def method(  # noqa: PLR0917  # a call has as many parts
    machine: Machine,
    base: Value,
    name: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a method gives that trains, or that takes a gradient; or None."""
    if name == "add_loss" and args:
        sink(machine, args[0], at)
        return Static(None)
    if name in {"add_metric", "add_update"}:
        return Static(None)
    if name in {"minimize", "compute_gradients"} and (args or "loss" in keywords):
        by = keywords.get("var_list")
        return sink(machine, args[0] if args else keywords["loss"], at, by)
    if name == UPDATES:
        return _updated(machine, args, keywords, at)
    if name == "gradient" and isinstance(base, Built) and (args or "target" in keywords):
        sources = args[1] if len(args) > 1 else keywords.get("sources")
        return gradient(machine, args[0] if args else keywords["target"], sources, at)
    return None


def gradient(machine: Machine, target: Value, sources: Value | None, at: cst.CSTNode) -> Value:
    """Return a gradient, which can be any real number; a training step minimises its target."""
    depends = dependencies(target)
    if sources is not None:
        depends |= dependencies(sources)
    site = machine.site(at)
    if machine.role in _STEPS:
        sink(machine, target, at, sources)
    if _is_input(machine, sources):
        machine.slopes.taken.append((site, depends))
        if machine.role is Role.LOSS and isinstance(target, Opaque) and sources is not None:
            machine.slopes.points |= dependencies(sources)
    found = Opaque(site.text, depends, real=True, origin=site, gradient=True)
    if isinstance(sources, Sequence):
        return Sequence([replace(found, part=f"gradient_{n}") for n in range(len(sources.items))])
    return found


def _updated(
    machine: Machine, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Note what an optimizer of Keras updates for; the weights are no tensor, the loss is one."""
    found = [keywords["loss"]] if "loss" in keywords else args[updated(len(args))]
    loss = next((value for value in found if isinstance(value, TensorValue)), None)
    return None if loss is None else sink(machine, loss, at)


def _listed(found: Value, sources: Value | None) -> Value:
    """Return a list of gradients: of one source, too."""
    return Sequence([found]) if isinstance(sources, TensorValue) else found


def _is_input(machine: Machine, sources: Value | None) -> bool:
    """Tell whether a gradient is taken by what goes through a network, not by its weights."""
    if sources is None:
        return False
    for leaf in leaves(sources):
        if isinstance(leaf, TensorValue):
            record = machine.nodes[leaf.node].input
            return record is None or record.role is not InputRole.VARIABLE
    return False


def sink(machine: Machine, loss: Value, at: cst.CSTNode, sources: Value | None = None) -> Value:
    """Note what is minimised, and by which variables."""
    site = machine.site(at)
    if machine.compiling:
        return Opaque(site.text)
    if site.span in machine.sink_sites:
        return Opaque(site.text)
    machine.sink_sites.add(site.span)
    if isinstance(loss, Function):
        machine.taping += 1
        loss = machine.call(machine, loss, [], {}, at)
        machine.taping -= 1
    found = leaves(loss) if isinstance(loss, (Sequence, Mapping)) else [loss]
    for value in found:
        if isinstance(value, TensorValue) and value.node not in machine.sinks:
            machine.sinks.append(value.node)
            machine.trained_by[value.node] = tapes.sources(sources)
    return Opaque(site.text)


def minimised(machine: Machine) -> list[int]:
    """Return what training minimises, without targets whose gradient is a part of that.

    The target of a gradient penalty is the output of a network: that its gradient by what goes
    into the network is taken does not make it a loss.
    """
    sinks = list(dict.fromkeys(machine.sinks))
    fed = dict(machine.cut_sources)
    parts = set[int]()
    for start in sinks:
        reached, pending = {start}, [start]
        while pending:
            node = machine.nodes[pending.pop()]
            if node.input is not None:
                for site, depends in machine.slopes.taken:
                    if node.site == site and frozenset(fed.get(node.id, ())) == depends:
                        parts |= depends - {start}
            fresh = {*node.operands, *fed.get(node.id, ())} - reached
            reached |= fresh
            pending += fresh
    return [node for node in sinks if node not in parts] or sinks


def _collected(
    machine: Machine,
    qualified: str,
    args: list[Value],
    keywords: dict[str, Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a function does with the collections of a graph, or None if it is no such one."""
    if not qualified.startswith(("tensorflow.", "tf_slim.")):
        return None
    name = last(qualified)
    first = args[0] if args else None
    match name:
        case "add_to_collection":
            value = args[1] if len(args) > 1 else keywords.get("value")
            key = _key(first if first is not None else keywords.get("name"))
            if key is not None and value is not None:
                machine.collections.setdefault(key, []).append(value)
            return Static(None)
        case "add_loss":
            loss = first if first is not None else keywords.get("loss")
            if loss is not None:
                machine.collections.setdefault(_LOSSES, []).append(loss)
                sink(machine, loss, at)
            return Static(None)
        case "get_collection":
            key = _key(first if first is not None else keywords.get("key"))
            found = machine.collections.get(key or "", ())
            return Sequence(list(found)) if found else None
        case "get_losses":
            found = machine.collections.get(_LOSSES, ())
            return Sequence(list(found)) if found else None
        case "get_total_loss":
            known = [v for v in machine.collections.get(_LOSSES, ()) if isinstance(v, TensorValue)]
            if not known:
                return None
            items = Sequence(list[Value](known))
            return machine.emit(TABLE["add_n"], [("inputs", machine.arg(items, at))], at)
    return None


def keep(machine: Machine, callee: Api, loss: Value | None) -> None:
    """Add what tf.losses computes to the losses of the graph, as TensorFlow 1 does."""
    if isinstance(loss, TensorValue) and all(_OF_GRAPH.search(name) for name in callee.names):
        machine.collections.setdefault(_LOSSES, []).append(loss)


def _key(value: Value | None) -> str | None:
    """Return the name of a collection."""
    if isinstance(value, Static) and isinstance(value.value, str):
        return value.value
    if isinstance(value, Api):
        known = {_KEYS.get(last(name), "") for name in value.names}
        return known.pop() or None if len(known) == 1 else None
    return None
