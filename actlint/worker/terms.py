"""Does a term of a loss ever contribute to its gradient?"""

from __future__ import annotations

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import witness
from actlint.worker.bench import Bench
from actlint.worker.probes import Trace

# Variation, in terms of the value, that rounding explains.
_ROUNDING = 1e-5
# Batches without which constancy says little.
_LEAST = 4


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a term has one value on typical and on far samples, whatever is put in."""
    seen = 0
    shown: Trace | None = None
    for index in range(len(bench.templates)):
        value: float | None = None
        for kind in ("typical", "extended"):
            for trace in bench.traces(index, kind):
                found = trace.values.get(suspect.node)
                if found is None or not np.isfinite(found).all():
                    return Outcome(Verdict.REFUTED, "it is not finite on all samples")
                value = float(found.flat[0]) if value is None else value
                if np.abs(found - value).max(initial=0.0) > _ROUNDING * abs(value):
                    return Outcome(Verdict.REFUTED, "its value changes with its operands")
                seen += 1
                shown = shown or trace
        if shown is not None:
            break
    if shown is None or seen < _LEAST:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    template, lab = bench.templates[index], bench.lab
    inside = lab.ancestors(suspect.node)
    moved = [slot.id for slot in template.differentiated if slot.id in inside]
    slopes = lab.pull(lab.upto(suspect.node), suspect.node, shown.sample, moved, np.ones_like)
    constant = witness.plain(shown.values[suspect.node].flat[0])
    evidence = Evidence(
        hazard=Hazard.WRONG_LOSS,
        witness=witness.numbers(template, shown.sample),
        value=constant,
        gradient=witness.worst((slopes or {}).values()),
        mode="eager",
        samples=seen,
        hits=seen,
        rate=None,
        reach=Reach.TYPICAL,
        detail={"observed": f"the term is {constant:.3g} in all {seen} batches, far ones included"},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)
