"""Products of many probabilities: does float32 still hold them at the size of real data?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Template
from actlint.worker.probes import Trace, finite
from actlint.worker.samples import Sample

# Rows of a batch, or numbers in a row, up to what is common.
_ROWS = (16, 32, 64, 128, 256)
# Rows of a batch of which the numbers in a row are counted.
_FEW = 2
# Largest factor: an epsilon lifts probabilities a little above 1.
_MOST = 1.001


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a product is 0 though no factor is, and with it its gradient.

    The first target names the product. With `threshold` 1 it is one of each row.
    """
    product = suspect.targets[0].node
    along_rows = suspect.threshold == 1.0
    for template in bench.templates:
        for size in _ROWS:
            given = _wide(template, size) if along_rows else template
            trace = _run(bench, given, _FEW if along_rows else size)
            if trace is not None and _underflows(bench, product, trace):
                return _confirmed(given, trace, "width" if along_rows else "rows", size)
    of = "row" if along_rows else "batch"
    return Outcome(Verdict.REFUTED, f"the product of a typical {of} of {_ROWS[-1]} is not 0")


def _wide(template: Template, size: int) -> Template:
    """Return a template with so many numbers in a row, wherever the source leaves that open."""
    return replace(
        template,
        slots=tuple(
            replace(slot, shape=(*slot.shape[:-1], size))
            if len(slot.shape) >= 2 and slot.spec.shape is None
            else slot
            for slot in template.slots
        ),
    )


def _run(bench: Bench, template: Template, rows: int) -> Trace | None:
    rng = samples.generator(bench.job, 40 + rows)
    feeds = {
        # Rounded, so that the witness can be read, to where no probability becomes 0.
        slot.id: np.asarray(np.round(samples.typical(slot, rng, 1, rows), 3), slot.dtype)
        for slot in template.slots
    }
    return bench.run(Sample(feeds, Reach.TYPICAL, f"{rows} rows"))


def _underflows(bench: Bench, product: int, trace: Trace) -> bool:
    value = trace.values.get(product)
    factors = [trace.values.get(ref) for ref in bench.lab.operands[product]]
    if value is None or not value.size or not factors or factors[0] is None:
        return False
    if np.any(value != 0.0) or np.any((factors[0] <= 0.0) | (factors[0] > _MOST)):
        return False
    _, handed = bench.lab.local(product, trace, None)
    return all(found is not None and not np.any(found != 0.0) for found in handed.values())


def _confirmed(template: Template, trace: Trace, axis: str, size: int) -> Outcome:
    gradients = [found for found in trace.gradients.values() if found is not None]
    value = trace.values[trace.output]
    hazard = witness.hazard_of([value, *gradients])
    if hazard is None:
        # Other terms may still bring a gradient.
        dead = all(not np.any(found != 0.0) for found in gradients)
        hazard = Hazard.ZERO_GRADIENT if dead else Hazard.VANISHING
    evidence = Evidence(
        hazard=hazard,
        witness=witness.numbers(template, trace.sample),
        value=witness.worst([value]),
        gradient=witness.worst(gradients),
        mode="eager",
        samples=1,
        hits=1,
        rate=None,
        reach=Reach.TYPICAL,
        detail={
            axis: float(size),
            **({} if finite(value) else {"value_of": "output"}),
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)
