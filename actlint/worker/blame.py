"""Who broke it: the node at which a nan or infinity starts, and whether training feels it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from actlint.findings import Hazard, Reach
from actlint.worker import witness
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.probes import Lab, Trace, finite
from actlint.worker.samples import Feeds

# Share of the typical points from which on one of them is the witness, not a special point.
COMMON = 0.05


@dataclass(slots=True)
class Tally:
    """What was looked at so far."""

    samples: int = 0
    hits: int = 0
    typical_hits: int = 0
    common: float = 0.0  # share of the typical points of an elementwise program that are hit
    largest: float = 0.0  # magnitude of any input
    given: float | None = None  # that of numbers which nothing differentiates, if there are any
    # Share of the typical points whose gradient is finite and not 0; None if unknown.
    flowing: float | None = None
    elsewhere: bool = False  # something was not finite, but did not start at the node

    def saw(self, slots: Iterable[Slot], feeds: Feeds) -> None:
        """Note how large the inputs of some samples are."""
        for slot in slots:
            value = feeds[slot.id]
            size = float(np.abs(value).max()) if value.size else 0.0
            self.largest = max(self.largest, size)
            if slot.encoding is Encoding.REAL and not slot.spec.differentiated:
                self.given = max(self.given or 0.0, size)

    @property
    def sizes(self) -> str:
        """How large the inputs were, in words."""
        rest = self.given is not None and self.given < self.largest
        less = f", those that nothing trains up to {self.given:.3g}" if rest else ""
        return f"inputs up to {self.largest:g} in magnitude{less}"


@dataclass(frozen=True, slots=True)
class Case:
    """A batch that shows the hazard, on the template that it belongs to."""

    template: Template
    trace: Trace

    @property
    def key(self) -> tuple[bool, bool, bool]:
        """Smaller for more convincing: reachable before extended, nan before inf."""
        return preference(self.trace.sample.reach, witness.hazard_of(witness.ends(self.trace)))


def preference(reach: Reach, hazard: Hazard | None) -> tuple[bool, bool, bool]:
    """Return a key that is smaller for a more convincing witness."""
    return reach is Reach.EXTENDED, hazard is not Hazard.NAN, reach is not Reach.STRUCTURAL


def starts(lab: Lab, node: int, trace: Trace) -> bool:
    """Return True if the node itself breaks something: its operands and upstream are finite.

    What is not finite in them is replaced before the op is run again on its own, so that other
    rows of the batch do not hide or feign the hazard.
    """
    value, upstream = trace.values.get(node), trace.cotangents.get(node)
    spoilt = value is not None and not finite(value)
    handed = any(
        (cotangent := trace.cotangents.get(ref)) is not None and not finite(cotangent)
        for ref in lab.operands[node]
    )
    if not spoilt and not handed:
        return False
    clean = all(ref not in trace.values or finite(trace.values[ref]) for ref in lab.operands[node])
    if spoilt and clean:
        return True
    if upstream is None:
        upstream = None if value is None else np.zeros(value.shape, np.float32)
    again, cotangents = lab.local(node, trace, upstream, mended=True)
    if spoilt and again is not None and not finite(again):
        return True
    return handed and any(found is not None and not finite(found) for found in cotangents.values())


def reaches(lab: Lab, node: int, trace: Trace) -> bool:
    """Return True if training feels what the node breaks.

    A chain of broken values or cotangents then leads from it to the output or to a
    differentiated input.
    """

    def bad(ident: int) -> bool:
        # A tuple of tensors, such as unstack gives, is seen through.
        return ident not in trace.values or not finite(trace.values[ident])

    spoilt: set[int] = set()
    queue = [node] if node in trace.values and bad(node) else []
    while queue:
        current = queue.pop()
        if current in spoilt:
            continue
        spoilt.add(current)
        queue += [user for user in lab.users[current] if bad(user)]
    if trace.output in spoilt:
        return True
    readers = {node, *spoilt, *(user for ident in spoilt for user in lab.users[ident])}

    def broken(ident: int) -> bool:
        found = trace.cotangents.get(ident)
        return ident not in trace.values or (found is not None and not finite(found))

    seen: set[int] = set()
    queue = [ref for reader in readers for ref in lab.operands[reader] if broken(ref)]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.add(current)
        queue += [ref for ref in lab.operands[current] if broken(ref)]
    return bool(seen & set(trace.inputs))


def shows(lab: Lab, node: int, trace: Trace | None) -> bool:
    """Return True if the node starts a hazard in this run and training feels it."""
    return (
        trace is not None
        and trace.broken
        and starts(lab, node, trace)
        and reaches(lab, node, trace)
    )
