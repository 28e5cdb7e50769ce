"""Does a label decide where an error term leads, or is its slope the same for every label?"""

from __future__ import annotations

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding
from actlint.worker.probes import finite
from actlint.worker.samples import Sample

# Predictions, each with two labels, and the rows of a batch.
_DRAWS, _ROWS = 4, 3
# Change of a slope, in terms of its size, that rounding explains, and share that has one at all.
_ROUNDING = 1e-4
_SHARE = 0.5


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the cotangent of an error is the same whatever the labels are."""
    for template in bench.templates:
        if len(template.labels) != 1 or bench.spreads(template):
            continue
        label = template.labels[0]
        if label.encoding is Encoding.CLASS:
            continue
        rng = samples.generator(bench.job, 62)
        shown: Evidence | None = None
        for turn in range(_DRAWS):
            feeds = {
                # Two decimals keep the witness readable.
                slot.id: np.asarray(
                    np.round(samples.typical(slot, rng, turn % 2, _ROWS), 2), slot.dtype
                )
                for slot in template.slots
            }
            fresh = np.round(samples.typical(label, rng, turn % 2, _ROWS), 2).astype(label.dtype)
            runs = [
                bench.run(Sample(given, Reach.TYPICAL, ""))
                for given in (feeds, feeds | {label.id: fresh})
            ]
            slopes = [None if run is None else run.cotangents.get(suspect.node) for run in runs]
            if runs[0] is None or slopes[0] is None or slopes[1] is None:
                break
            size = float(np.abs(slopes[0]).max(initial=0.0))
            if not finite(slopes[0]) or np.mean(np.abs(slopes[0]) > _ROUNDING * size) < _SHARE:
                return Outcome(Verdict.REFUTED, "the error has no slope for some labels")
            errors = [run.values[suspect.node] for run in runs if run is not None]
            if not (errors[0] * errors[1] < 0.0).any():
                continue  # no prediction is too large for one label and too small for the other
            if np.abs(slopes[0] - slopes[1]).max() > _ROUNDING * size:
                return Outcome(Verdict.REFUTED, "the slope of the error depends on the labels")
            shown = shown or Evidence(
                hazard=Hazard.WRONG_LOSS,
                witness=witness.numbers(template, runs[0].sample),
                value=witness.worst([runs[0].values[runs[0].output]]),
                gradient=witness.worst(runs[0].gradients.values()),
                mode="eager",
                samples=_DRAWS,
                hits=_DRAWS,
                rate=None,
                reach=Reach.TYPICAL,
                detail={
                    "observed": "the slope of the loss with respect to the error is the same for "
                    "other labels, whether the prediction is too large or too small",
                    "moved": label.spec.name,
                    "other": [witness.plain(value) for value in fresh.reshape(-1)],
                },
            )
        else:
            if shown is not None:
                return Outcome(Verdict.CONFIRMED, None, shown)
    return Outcome(Verdict.UNCONFIRMED, "no labels were found that can be exchanged")
