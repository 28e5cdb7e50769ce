"""What the base classes of a class say of it: its role, and the methods that others call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from actlint.graph import Role

# Points that lie within the support of every ordinary bijector, whether that is
# the real line, the positive numbers or a share. Its edges are for whoever calls to keep away from.
SUPPORT: Final = (0.01, 0.99)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a class is by its base class.

    Attributes:
        role: that of the methods.
        methods: those that a library calls.
        every: it calls each of them, rather than the first that there is.
        support: the values of their inputs, if the library does not take all real numbers.
        name: what such a class is called; its role if empty.
    """

    role: Role
    methods: tuple[str, ...] = ()
    every: bool = False
    support: tuple[float, float] | None = None
    name: str = ""

    def entries(self, defined: frozenset[str]) -> tuple[str, ...]:
        """Return which of the methods that a class defines are to be looked at."""
        found = tuple(name for name in self.methods if name in defined)
        return found if self.every else found[:1]


_LAYER: Final = Kind(Role.LAYER, ("call", "__call__"))
# What the public methods of tfp.bijectors.Bijector wrap.
_FLOW: Final = (
    "_forward", "_inverse", "_forward_log_det_jacobian", "_inverse_log_det_jacobian",
)  # fmt: skip
_BASES: Final = (
    (re.compile(r"Metric$|Mean\w*Wrapper$"), Kind(Role.METRIC)),
    (
        re.compile(r"Loss$|Loss(Function)?Wrapper$|Crossentropy$"),
        Kind(Role.LOSS, ("call", "__call__")),
    ),
    (re.compile(r"Regulari[sz]er$"), Kind(Role.REGULARIZER, ("__call__", "call"))),
    (re.compile(r"Layer$|Activation$|^Model$"), _LAYER),
    (
        re.compile(r"Bijector$"),
        Kind(Role.LAYER, _FLOW, every=True, support=SUPPORT, name="bijector"),
    ),
)
# Layers that Keras comes with: what is derived from one is a layer.
_KERAS_LAYER: Final = re.compile(
    r"^(tensorflow\.(\w+\.)*)?keras\.(\w+\.)*layers\.(\w+\.)*[A-Z]\w*$"
)


def of_base(name: str) -> Kind | None:
    """Return what the last part of a base class's dotted name says, or None."""
    short = name.rpartition(".")[2]
    return next((kind for pattern, kind in _BASES if pattern.search(short)), None)


def of_keras(name: str) -> Kind | None:
    """Return what the dotted name of a class of Keras says, or None."""
    return _LAYER if _KERAS_LAYER.match(name) else None
