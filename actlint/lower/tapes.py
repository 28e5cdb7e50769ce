"""Which networks a training step calls under a tape, and whose variables it differentiates by."""

from __future__ import annotations

from typing import Final

from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Function,
    Instance,
    Method,
    Opaque,
    Sequence,
    TensorValue,
    Value,
)
from actlint.names import last

# Attributes of a model or layer that are its variables.
_VARIABLES: Final = frozenset({"trainable_variables", "trainable_weights", "variables", "weights"})
_TAPE: Final = "GradientTape"
_PAUSE: Final = ".stop_recording()"
# tf.Graph.gradient_override_map, with what tf.RegisterGradient made known.
_OVERRIDE: Final = ".gradient_override_map("


def depth(machine: Machine, context: Value) -> int:
    """Return how many tapes record inside a ``with`` block of `context`."""
    if isinstance(context, Built) and all(last(name) == _TAPE for name in context.names):
        return machine.taping + 1
    if isinstance(context, Opaque) and context.text.endswith(_PAUSE):
        return 0
    return machine.taping


def overrides(context: Value) -> bool:
    """Tell whether ops in a ``with`` block of `context` get gradients of the user's."""
    return isinstance(context, Opaque) and _OVERRIDE in context.text


def note(machine: Machine, callee: Value) -> int | None:
    """Remember a call that may be that of a network; return its number, or None if no tape runs."""
    if machine.taping == 0 or isinstance(callee, (Api, Function)):
        return None
    machine.called.append(callee)
    return len(machine.called) - 1


def sources(value: Value | None) -> tuple[Value, ...]:
    """Return the networks whose variables a gradient is taken by, as far as they are known."""
    if isinstance(value, Method) and value.name in _VARIABLES:
        return (value.base,)
    if isinstance(value, Sequence):
        return tuple(found for item in value.items for found in sources(item))
    return ()


def networks(machine: Machine, output: int) -> tuple[tuple[int, int], ...]:
    """Return the free inputs that differentiated networks compute, and the number of each network.

    Args:
        machine: after a unit has run.
        output: what is minimised.
    """
    trained = machine.trained_by.get(output, ())
    known: list[Value] = []
    found: list[tuple[int, int]] = []
    for node, call in sorted(machine.computed_by.items()):
        callee = machine.called[call]
        if not any(_belongs(callee, network) for network in trained):
            continue
        number = next((n for n, other in enumerate(known) if _same(callee, other)), len(known))
        if number == len(known):
            known.append(callee)
        found.append((node, number))
    return tuple(found)


def _belongs(callee: Value, network: Value) -> bool:
    """Tell whether the variables of `callee` are among those of `network`."""
    if _same(callee, network):
        return True
    if not isinstance(network, Instance):
        return False
    if isinstance(callee, Method) and callee.base is network:
        return True
    return any(_same(callee, part) for part in network.attributes.values())


def _same(first: Value, second: Value) -> bool:
    """Tell whether two values surely are one object; equal settings do not make a layer one."""
    match first, second:
        case Method(), Method():
            return first.name == second.name and _same(first.base, second.base)
        case (TensorValue(), TensorValue()) | (Opaque(), Opaque()):
            return first == second
        case _:
            return first is second
