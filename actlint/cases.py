"""What the proof of fixes is given: confirmed findings, and what the run knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actlint.findings import Evidence, Suspect, Verdict
from actlint.graph import Graph, Span
from actlint.index import FileIndex
from actlint.policy import Policy
from actlint.project import Project
from actlint.query import Rule
from actlint.scene import Given, Unit

# Units that share a helper are all tried, up to so many.
MAX_UNITS = 6


@dataclass(frozen=True, slots=True)
class Key:
    """What findings are told apart by."""

    path: str
    span: Span
    code: str


@dataclass(frozen=True, slots=True)
class Case:
    """A confirmed finding that asks to be mended."""

    key: Key
    rule: Rule
    graph: Graph
    suspect: Suspect
    evidence: Evidence
    unit: Unit  # that the graph is made of
    units: tuple[Unit, ...]  # all that the expression was found in


@dataclass(frozen=True, slots=True)
class Context:
    """What the run knows; nothing of it changes."""

    project: Project
    indexes: Mapping[str, FileIndex]  # of the files that are linted
    roles: Mapping[str, Mapping[str, Given]]
    policies: Mapping[str, Policy]  # in which reduced dtype files are judged
    rules: Sequence[Rule]  # the whole catalogue, whatever is selected
    verdict: Callable[[Key], Verdict | None]  # of what the run has tried already
    seed: int
    samples: int
