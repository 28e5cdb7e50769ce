"""What a loss gets from the models that are compiled with it, where all of them can be read.

A loss by itself is judged for any prediction. What no last layer gives, such as a scale of 0 behind
``softplus(x) + 1e-3``, is no defect of that program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from actlint import excerpt, grading
from actlint.cases import Key
from actlint.contexts import Candidate
from actlint.dotted import bare
from actlint.examiner import Examiner
from actlint.findings import OF_VALUES, Outcome, Reach, Severity, Verdict
from actlint.graph import Graph, Role, Site, Span
from actlint.names import last
from actlint.project import Project
from actlint.query import Rule, View
from actlint.scene import Unit

_IMPORT: Final = re.compile(r"\s*(?:from|import)\s")
# Models whose outputs are tried for one finding.
_MAX_MODELS: Final = 4
_NEVER: Final = "it does not happen for what the models give that are compiled with the loss"


@dataclass(slots=True)
class Producers:
    """Losses as parts of the models that they are compiled with; filled as graphs are looked at."""

    project: Project
    _parts: dict[tuple[str, Span], list[tuple[Graph, int]]] = field(default_factory=dict)

    def note(self, unit: Unit, graph: Graph) -> None:
        """Remember what a graph of models and their losses computes inside of the losses."""
        if not unit.compiles:
            return
        for node in graph.nodes:
            if node.path and node.op:
                known = self._parts.setdefault((node.site.path, node.site.span), [])
                known.append((graph, node.id))

    def judge(
        self,
        candidates: Mapping[Key, Sequence[Candidate]],
        rules: Sequence[Rule],
        examiner: Examiner,
        *,
        seed: int,
        samples: int,
    ) -> None:
        """Refute what was confirmed for any prediction, but happens for none of a model's.

        What the layers in front of the loss give for far inputs alone is noted in the evidence.

        Args:
            candidates: what is suspected and was tried; outcomes are replaced.
            rules: those that were asked.
            examiner: the worker.
            seed: seed of the sampling.
            samples: sample points for each suspect.

        Raises:
            WorkerError: no worker can be started.
        """
        by_code = {rule.code: rule for rule in rules}
        for key, known in candidates.items():
            for each in known:
                done = each.outcome is not None and each.outcome.verdict is Verdict.CONFIRMED
                if not done or each.suspect.check not in OF_VALUES:
                    continue
                places = self._places(each.unit, each.graph.nodes[each.suspect.node].site)
                found = [
                    self._tried(place, by_code[key.code], examiner, seed, samples)
                    for place in places
                ]
                if found and each.outcome is not None:
                    each.outcome = _judged(each.outcome, found)

    def _places(self, unit: Unit, site: Site) -> list[tuple[Graph, int]]:
        """Return the expression within every model that is compiled with the loss.

        Nothing if some model cannot be read. Where the project calls the loss otherwise, it is
        looked at as a part of what calls it.
        """
        if unit.role is not Role.LOSS or not unit.compiled:
            return []
        known = self._parts.get((site.path, site.span), [])
        found: list[tuple[Graph, int]] = []
        name = bare(unit.qualname).partition(".")[0]
        if self._is_handed_on(name, unit.path):
            return []
        for path, line in self._compiled_at(name, unit.path):
            here = [part for part in known if _passes(part, path, line)]
            if not here:
                return []
            found += here
        return found if len(found) <= _MAX_MODELS else []

    def _is_handed_on(self, name: str, home: str) -> bool:
        """Tell whether a name is mentioned but in calls, imports and where a model is compiled."""
        places = {
            (index.path, use.line)
            for index in self.project.given
            for use in index.uses
            if use.compiled and last(use.name) == name
        }
        mention = re.compile(rf"(?<!def )(?<!class )\b{re.escape(name)}\b(?!\s*(?:\(|=(?!=)))")
        return any(
            mention.search(line.partition("#")[0]) and (index.path, number) not in places
            for index in self.project.given
            if index.path == home or name not in index.definitions  # else it has its own
            for number, line in enumerate(index.text.splitlines(), 1)
            if not _IMPORT.match(line)
        )

    def _compiled_at(self, name: str, home: str) -> Iterator[tuple[str, int]]:
        """Yield where a model is compiled with a loss of a file, or may be: file and line."""
        for index in self.project.given:
            for use in index.uses:
                if not use.compiled or last(use.name) != name:
                    continue
                place = self.project.locate(use.name, index)
                if place is None or place.index.path == home:
                    yield index.path, use.line

    def _tried(
        self,
        place: tuple[Graph, int],
        rule: Rule,
        examiner: Examiner,
        seed: int,
        samples: int,
    ) -> tuple[Graph, Outcome]:
        """Return what comes of trying an expression behind the layers of a model."""
        graph, node = place
        found = [each for each in rule.suspects(View(graph)) if each.node == node]
        if not found:
            return graph, Outcome(Verdict.REFUTED, _NEVER)
        job = excerpt.job(graph, found, id=0, seed=seed, samples=samples)
        if job is None:
            return graph, Outcome(Verdict.UNCONFIRMED, "nothing of the model can be run")
        outcomes = [one for answer in examiner.examine([job]) for one in answer.outcomes]
        return graph, min(outcomes, key=lambda one: _ORDER.index(one.verdict))


_ORDER: Final = (Verdict.CONFIRMED, Verdict.UNCONFIRMED, Verdict.REFUTED)


def _judged(outcome: Outcome, found: Sequence[tuple[Graph, Outcome]]) -> Outcome:
    """Return what is left of a confirmed hazard behind the models that a loss is compiled with."""
    seen = [(graph, one) for graph, one in found if one.verdict is not Verdict.REFUTED]
    if not seen:
        return Outcome(Verdict.REFUTED, _NEVER)
    far = [
        grading.far(graph, one.evidence) for graph, one in seen
        if one.evidence is not None and one.evidence.reach is Reach.EXTENDED
    ]  # fmt: skip
    if len(far) < len(seen) or outcome.evidence is None:
        return outcome
    least = min(far, key=lambda grade: list(Severity).index(grade.severity))
    detail = {
        **outcome.evidence.detail,
        "behind": least.condition,
        "behind_severity": least.severity.value,
    }
    return replace(outcome, evidence=replace(outcome.evidence, detail=detail))


def _passes(part: tuple[Graph, int], path: str, line: int) -> bool:
    """Tell whether an expression is reached through a call at a line of a file."""
    graph, node = part
    return any(
        site.path == path and site.span.line <= line <= site.span.end_line
        for site in graph.nodes[node].path
    )
