"""A second try for a suspect whose whole excerpt did not run: on smaller parts of its graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from actlint import excerpt, nearby
from actlint.examiner import Examiner
from actlint.findings import Hazard, Outcome, Suspect, Verdict
from actlint.graph import Graph, Node
from actlint.nearby import Cut
from actlint.query import View

# Parts that are tried for one expression.
_MAX_CUTS: Final = 4
# Free values that a sentence names.
_MAX_NAMED: Final = 3

Case = tuple[Graph, Suspect]


def retry(
    examiner: Examiner, cases: Sequence[Case], *, seed: int, samples: int
) -> tuple[int, Graph, Outcome] | None:
    """Return which case of one expression could be judged, on which part, and how; or None.

    Args:
        examiner: the worker.
        cases: the graphs that the expression was met in, with the suspect in each.
        seed: seed of the sampling.
        samples: sample points for each suspect.

    Raises:
        WorkerError: no worker can be started.
    """
    for at, cut in islice(_parts(cases), _MAX_CUTS):
        suspect = cases[at][1]
        job = excerpt.job(cut.graph, [suspect], id=0, seed=seed, samples=samples)
        if job is None:
            continue
        for answer in examiner.examine([job]):
            outcome = _judged(cut, answer.outcomes[0])
            if outcome is not None:
                return at, cut.graph, outcome
    return None


def _parts(cases: Sequence[Case]) -> Iterator[tuple[int, Cut]]:
    for at, (graph, suspect) in enumerate(cases):
        for cut in nearby.cuts(View(graph), suspect):
            yield at, cut


def _judged(cut: Cut, outcome: Outcome) -> Outcome | None:
    """Return what an outcome on a part says of the whole; None if nothing."""
    names = _named(cut.free)
    if outcome.verdict is Verdict.REFUTED:
        if not cut.clears:
            return None
        return replace(outcome, reason=f"{outcome.reason}, {names} taken as free")
    evidence = outcome.evidence
    if outcome.verdict is not Verdict.CONFIRMED or evidence is None or not cut.proves:
        return None
    broken = evidence.value is not None and not math.isfinite(evidence.value)
    if cut.moved and not (broken and evidence.detail.get("value_of") == "output"):
        return None
    if evidence.hazard is Hazard.INF and not cut.whole:
        # What follows may turn an infinity into an ordinary number.
        return None
    detail = {**evidence.detail, "free": names}
    return replace(outcome, evidence=replace(evidence, detail=detail))


def _named(nodes: Sequence[Node]) -> str:
    """Return `a`, `b` and 2 other values."""
    texts = list(dict.fromkeys(_short(node) for node in nodes))
    shown = [f"`{text}`" for text in texts[:_MAX_NAMED]]
    if len(texts) > _MAX_NAMED:
        shown.append(f"{len(texts) - _MAX_NAMED} more")
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]


def _short(node: Node) -> str:
    text = node.name or " ".join(node.site.text.split())
    return text if len(text) <= 40 else text[:37] + "..."
