"""Products of vectors of length 1: by Cauchy and Schwarz they lie in [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actlint.attained import Axes, axes_of
from actlint.graph import Arg
from actlint.interval import widen_up

UNIT: Final = "l2_normalize"
# The largest cosine that float32 gives: each product and sum on the way rounds.
MOST: Final = widen_up(1.0, 64)

# Axes that are the last one, and the last but one, of the matrices that losses and layers multiply.
_LAST: Final = frozenset({(-1,), (1,), None})
_BEFORE: Final = frozenset({(-2,), (0,), None})
# Operands of products, and what says that they are transposed.
_PRODUCTS: Final[Mapping[str, tuple[str, str]]] = {"matmul": ("a", "b"), "dot": ("x1", "x2")}
_TURNED: Final = ("transpose", "adjoint")


def is_product(op: str) -> bool:
    """Say whether an op may multiply vectors of length 1."""
    return op in _PRODUCTS


def factors(op: str) -> tuple[str, str]:
    """Return the names of the operands of a product."""
    return _PRODUCTS[op]


def are_cosines(op: str, statics: Mapping[str, Arg], left: Axes, right: Axes) -> bool:
    """Say whether a product is one of vectors of length 1.

    Args:
        op: a product.
        statics: its operands that are no tensors.
        left: axes along which its first operand is normalised, None for all.
        right: those of its second operand.
    """
    names = _PRODUCTS[op]
    turned = [any(bool(statics.get(f"{how}_{name}")) for how in _TURNED) for name in names]
    return left in (_BEFORE if turned[0] else _LAST) and right in (_LAST if turned[1] else _BEFORE)


def normalised(statics: Mapping[str, Arg]) -> Axes:
    """Return the axes along which a value is normalised, from the operands of its op."""
    return axes_of(statics.get("axis"))
