"""Does a nan in the data, such as a missing label, get past the mask that is to hide it?"""

from __future__ import annotations

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import nonfinite, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Sample


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that one nan in the inputs that the targets name spoils what training takes.

    The same batch without it is finite.
    """
    asked = {target.node for target in suspect.targets}
    slots = [
        slot
        for slot in bench.templates[0].elements
        if slot.id in asked and slot.encoding is not Encoding.CLASS
    ]
    clean = [trace for trace in bench.traces(0, "typical") if not trace.broken]
    runs = [(trace, spoilt) for trace in clean if (spoilt := _spoilt(bench, slots, trace.sample))]
    if not runs:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    hits = [(trace, spoilt) for trace, spoilt in runs if spoilt.broken]
    if not hits:
        return Outcome(Verdict.REFUTED, "output and gradient stay finite with a nan in the data")
    kept = hits[0][1]

    def still(sample: Sample) -> bool:
        nonlocal kept
        whole = bench.run(sample)
        spoilt = _spoilt(bench, slots, sample)
        if whole is None or whole.broken or spoilt is None or not spoilt.broken:
            return False
        kept = spoilt
        return True

    witness.shrink(bench.templates[0], hits[0][0].sample, still)
    shown, calm = nonfinite.compiled_modes(bench, kept.sample)
    evidence = Evidence(
        hazard=witness.hazard_of(witness.ends(kept)) or Hazard.NAN,
        witness=witness.numbers(bench.templates[0], kept.sample),
        value=witness.worst([kept.values[kept.output]]),
        gradient=witness.worst(kept.gradients.values()),
        mode="eager",
        samples=len(runs),
        hits=len(hits),
        rate=None,
        reach=kept.sample.reach,
        detail={
            "modes": ", ".join(("eager", *shown)),
            "value_of": "output",
            **({"finite": ", ".join(calm)} if calm else {}),
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _spoilt(bench: Bench, slots: list[Slot], sample: Sample) -> Trace | None:
    """Run a batch with a nan for the first number of each of the inputs; None if none takes it."""
    feeds = dict(sample.feeds)
    for slot in slots:
        value = np.array(feeds[slot.id])
        if floating(value) and value.size:
            value.reshape(-1)[0] = np.nan
            feeds[slot.id] = value
    if all(feeds[key] is value for key, value in sample.feeds.items()):
        return None
    return bench.run(Sample(feeds, Reach.STRUCTURAL, "nan in the data"))
