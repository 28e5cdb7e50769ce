"""Limits of free inputs that a program promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from actlint.graph import EXTENDED_LIMIT, InputRole, Node


@dataclass(frozen=True, slots=True)
class Bound:
    """Limits of a free input that the program gives; None where it gives none."""

    node: int
    lo: float | None
    hi: float | None
    # Whether the words that give one limit would have named the other, if there were any.
    whole: bool = False


def narrowed(nodes: Sequence[Node], bounds: Iterable[Bound]) -> tuple[Node, ...]:
    """Return the nodes with their free inputs kept within what the program promises of them."""
    found = list(nodes)
    for bound in bounds:
        record = found[bound.node].input
        if record is None or record.integer:
            continue
        free = bound.whole and record.role is not InputRole.PARAMETER
        lo = record.lo if bound.lo is None else bound.lo if free else max(bound.lo, record.lo)
        hi = record.hi if bound.hi is None else bound.hi if free else min(bound.hi, record.hi)
        if bound.hi is None and free:
            hi = EXTENDED_LIMIT
        if lo < hi:
            found[bound.node] = replace(found[bound.node], input=replace(record, lo=lo, hi=hi))
    return tuple(found)
