"""What a mutator is, and what it makes of an original."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mutants.syntax import Original


class Harm(StrEnum):
    """What the oracle must see before a mutant counts as broken; see oracle.py."""

    NONFINITE = "nonfinite"  # nan or infinity where the original has none
    INACCURATE = "inaccurate"  # that, or a gradient that is off by a tenth on some input
    CHANGED = "changed"  # another value or gradient on typical inputs


class Where(StrEnum):
    """Which lines are the right ones for a finding."""

    HERE = "here"  # those of the mutated expression
    FLOW = "flow"  # those, and of what is computed from it
    BOTH = "both"  # those, and of what is computed from it or goes into it


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in the text of an original; offsets count characters."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mutator:
    """A way to break code.

    `codes` are the rules that would be right, the most specific ones first.
    """

    name: str
    codes: tuple[str, ...]
    harm: Harm
    find: Callable[[Original], Iterator[Edit]]
    where: Where = Where.FLOW


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken original."""

    name: str  # of the file, without suffix
    original: str
    mutator: Mutator
    text: str
    lines: frozenset[int]  # where a finding is at the right place


@dataclass(frozen=True, slots=True)
class Param:
    """An argument that the oracle makes up."""

    name: str
    domain: str
    shape: tuple[int, ...]
    differentiated: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """How an original is called, as its first line says."""

    kind: str  # loss, activation, layer, regularizer, graph or step
    entry: str
    params: tuple[Param, ...]


_PROBE = re.compile(r"# probe: (\w+) ([\w.]+)\((.*)\)")
_PARAM = re.compile(r"(\*?)(\w+)=(\w+)(?:\[([\d,]+)\])?")
_SHAPES = {"ids": (16,), "box": (16, 4)}


def probe_of(text: str) -> Probe:
    """Return the probe that the first line of an original describes.

    Raises:
        ValueError: there is none.
    """
    found = _PROBE.match(text)
    if found is None:
        raise ValueError("the first line must be a probe")
    kind, entry, params = found.groups()
    return Probe(
        kind,
        entry,
        tuple(
            Param(
                name,
                domain,
                tuple(int(size) for size in shape.split(",")) if shape
                else _SHAPES.get(domain, (16, 3)),
                bool(star),
            )
            for star, name, domain, shape in _PARAM.findall(params)
        ),
    )  # fmt: skip
