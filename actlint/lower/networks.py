"""Calls of Keras models whose layers the project gives, as far as their last activations tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import libcst as cst

from actlint.graph import InputRole, Node, moved
from actlint.lower import models, tapes
from actlint.lower.machine import Machine
from actlint.lower.values import (
    Built,
    Mapping,
    Opaque,
    Sequence,
    TensorValue,
    Value,
    dependencies,
    leaves,
)
from actlint.ops.table import TABLE

_SEQUENTIAL: Final = frozenset({"Sequential"})
_FUNCTIONAL: Final = frozenset({"Model", "Functional"})
# Values between the last layers and the outputs that are written down once for each call.
_MAX_COPIED: Final = 64


def model_call(machine: Machine, model: Built, args: list[Value], at: cst.CSTNode) -> Value | None:
    """Return the outputs of a model: what its activations make of free outputs of its layers.

    Args:
        machine: the lowering.
        model: what is called.
        args: what it is called with.
        at: the call.

    Returns:
        A value of the structure of the outputs, or None if the layers are not known.
    """
    depends = frozenset[int]().union(*(dependencies(value) for value in args))
    if not depends:
        return None
    if models.is_keras(model, _SEQUENTIAL):
        return _sequential(machine, model, args[0], at)
    if not models.is_keras(model, _FUNCTIONAL):
        return None
    outputs = models.outputs(model)
    if outputs is None or not any(dependencies(leaf) for leaf in leaves(outputs)):
        return None
    return _Call(machine, model, args, depends, at).value(outputs)


def _sequential(machine: Machine, model: Built, given: Value, at: cst.CSTNode) -> Value | None:
    """Return what a Sequential gives, as computed by the model and not by its last layer."""
    first, network = len(machine.nodes), tapes.note(machine, model)
    value = models.sequential(machine, model, given, at)
    if network is None:
        return value
    for node in machine.nodes[first:]:
        if node.id in machine.computed_by:
            machine.computed_by[node.id] = network
    if isinstance(value, Opaque) and value.network is not None:
        return replace(value, network=network)
    return value


class _Call:
    """One call of a functional model: copies of its outputs that rest on what it is given."""

    def __init__(
        self,
        machine: Machine,
        model: Built,
        args: list[Value],
        depends: frozenset[int],
        at: cst.CSTNode,
    ) -> None:
        self.machine = machine
        self.depends = depends
        self.at = at
        self.network = tapes.note(machine, model)
        # Of nodes of the model, the nodes that stand for them in this call.
        self.copies: dict[int, int] = {}
        self.parts = 0
        inputs = models.inputs(model)
        given = [leaf for value in args for leaf in leaves(value)]
        taken = [] if inputs is None else list(leaves(inputs))
        if len(given) == len(taken):
            self.copies = {
                mine.node: theirs.node
                for mine, theirs in zip(taken, given, strict=True)
                if isinstance(mine, TensorValue) and isinstance(theirs, TensorValue)
            }

    def value(self, output: Value) -> Value:
        """Return what stands for an output, or for several."""
        match output:
            case Sequence(items=items):
                return Sequence([self.value(item) for item in items], output.is_tuple)
            case Mapping(items=table):
                return Mapping({key: self.value(item) for key, item in table.items()})
            case TensorValue(node=node):
                return self._copied(node)
            case Opaque(linear=linear):
                return self._free(linear=linear)
        return self._free()

    def _free(self, *, linear: bool = False) -> Opaque:
        """Return an output of which nothing is known."""
        site = self.machine.site(self.at)
        self.parts += 1
        return Opaque(
            site.text, self.depends, real=True, origin=site, part=f"output_{self.parts}",
            linear=linear, network=self.network,
        )  # fmt: skip

    def _copied(self, output: int) -> Value:
        needed = self._between(output)
        if needed is None:
            return self._free()
        for index in needed:
            node = self.machine.nodes[index]
            if node.input is not None:
                free = self._free(linear=index in self.machine.linear)
                self.copies[index] = self.machine.cut(free, self.at).node
            else:
                self.copies[index] = self._copy(node)
        return TensorValue(self.copies.get(output, output))

    def _between(self, output: int) -> list[int] | None:
        """Return the nodes to copy in order: up to the outputs of layers; None if too many."""
        found: set[int] = set()
        pending = [output]
        while pending:
            index = pending.pop()
            node = self.machine.nodes[index]
            if index in found or index in self.copies:
                continue
            if node.input is not None and node.input.role not in {InputRole.CUT, InputRole.DATA}:
                continue  # a weight or a setting of the model
            if node.op and node.op not in TABLE:
                return None
            if node.input is not None or node.op:
                found.add(index)
            if len(found) > _MAX_COPIED:
                return None
            pending += node.operands
        return sorted(found)

    def _copy(self, node: Node) -> int:
        args = [(name, moved(value, self.copies)) for name, value in node.args]
        made = self.machine.emit(TABLE[node.op], args, self.at).node
        new = self.machine.nodes[made]
        # It is the model's code that computes it.
        self.machine.nodes[made] = replace(new, site=node.site, path=node.path)
        return made
