"""The floating formats of 16 bits, and what they cannot hold."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actlint.query import Cause, Node, Role, Severity, Target, View

from ._common import DIVISION, INVERSE, LOGARITHM, NORM, ROOT, harmful, shown
from ._epsilons import guards, short
from ._patterns import constant_power


@dataclass(frozen=True, slots=True)
class Format:
    """What a reduced dtype can hold."""

    name: str
    largest: float

    @property
    def exponent(self) -> float:
        """The largest number whose exponential is finite."""
        return math.log(self.largest)

    def rounded(self, value: float) -> float:
        """Return the nearest number of the format, ties to even; overflow as infinity."""
        try:
            if self.name == "float16":
                return float(struct.unpack("<e", struct.pack("<e", value))[0])
            (bits,) = struct.unpack("<I", struct.pack("<f", value))
        except OverflowError:
            return math.copysign(math.inf, value)
        bits += 0x7FFF + (bits >> 16 & 1)
        return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0])


# IEEE 754 binary16, and the upper half of binary32.
FORMATS: Final[Mapping[str, Format]] = {
    "float16": Format("float16", 65504.0),
    "bfloat16": Format("bfloat16", float.fromhex("0x1.fep127")),
}

_GUARDED: Final = frozenset((*DIVISION, *LOGARITHM, *ROOT, *NORM, *INVERSE))
_EXPONENTIAL: Final = frozenset({"exp", "expm1", "exp2", "sinh", "cosh"})
_LIMIT: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Blame:
    """What may go wrong at a node."""

    message: str
    targets: tuple[Target, ...]
    hint: str = ""
    severity: Severity = Severity.ERROR
    small: bool = False  # a larger epsilon has to help, or it is not to blame


def breaks_anyway(view: View, node: Node) -> bool:
    """Return whether the node meets a pole or cusp in float32, which another rule tells."""
    return any(
        hit.region.cause not in (Cause.OVERFLOW, Cause.EMPTY) and harmful(view, node, hit)
        for hit in view.hits(node)
    )


def blame(view: View, node: Node, form: Format) -> Blame | None:
    """Return what the format cannot hold at a node, or None."""
    return (
        _infinite(view, node, form) or _unguarded(view, node, form) or _overflow(view, node, form)
    )


def _infinite(view: View, node: Node, form: Format) -> Blame | None:
    """Return what a constant beyond the range does."""
    for name, _ in node.args:
        value = view.static(node, name)
        if not isinstance(value, (int, float)) or not form.largest < abs(value) < math.inf:
            continue
        sign = "-" if value < 0 else ""
        return Blame(
            f"{sign}{short(abs(value))} is {sign}infinity in {form.name}: {shown(node)}",
            (),
            f"Mask with a number that {form.name} can hold, tf.where(mask, x, x.dtype.min), "
            "or cast to float32 before it",
        )
    return None


def _unguarded(view: View, node: Node, form: Format) -> Blame | None:
    """Return what an epsilon that is too small does."""
    if node.op not in _GUARDED or not view.depends(node):
        return None
    found = list({guard.text: guard for guard in guards(view, node)}.values())
    targets = tuple(
        Target(operand.id, 0.0, 0.0) for operand in view.operands(node) if view.depends(operand)
    )
    if not found:
        return None
    first, rest = found[0], found[1:3]
    if not rest and form.rounded(first.anchor + first.epsilon) == first.anchor:
        anchor = f"{first.anchor:.0f}"
        return Blame(f"{first.text} is {anchor} in {form.name}: {shown(node)}", targets)
    texts = [guard.text for guard in (first, *rest)]
    names = " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
    word = "are too small as guards" if rest else "is too small a guard"
    return Blame(f"{names} {word} in {form.name}: {shown(node)}", targets, small=True)


def _overflow(view: View, node: Node, form: Format) -> Blame | None:
    """Return what an exponential or a power that leaves the range does."""
    operand = next(iter(view.operands(node)), None)
    if operand is None or not view.depends(operand):
        return None
    power = constant_power(view, node)
    # An error of hundreds has left float16 behind long before its square does.
    if power == 2.0 and view.graph.role is Role.LOSS:
        return None
    if power is None and node.op not in _EXPONENTIAL:
        return None
    least = form.exponent if power is None else form.largest ** (1.0 / power)
    if least >= _LIMIT:
        return None
    below = Target(operand.id, -_LIMIT, -least)
    one_sided = node.op in {"exp", "expm1"}
    return Blame(
        f"{shown(node)} overflows {form.name} where {shown(operand)} goes "
        f"{'above' if one_sided else 'beyond'} {least:.3g}",
        (Target(operand.id, least, _LIMIT), *(() if one_sided else (below,))),
        severity=Severity.WARNING,
    )
