"""Does a loss run with batches of one size only?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import Items
from actlint.worker import inputs, samples, witness
from actlint.worker.bench import Bench, first_line
from actlint.worker.inputs import Template
from actlint.worker.probes import Lab, floating
from actlint.worker.samples import Array

# Templates that are tried with the size in question, and input forms for each prediction shape.
_MAX_TRIES = 120
_MAX_FORMS = 24


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the program runs with one number of rows, and with neither one more nor one less.

    The suspect's threshold is the size that its node asks for.
    """
    size = round(suspect.threshold)
    total = _total(bench.lab, suspect.node)
    if total != 0:
        # As many classes, or steps, as the node has rows may be all that it asks for.
        other = inputs.BATCH + (size == inputs.BATCH)
        for template in islice(_templates(bench, size, first=True), _MAX_TRIES):
            if not isinstance(_run(bench, template, other), str):
                return Outcome(Verdict.REFUTED, "it runs with batches of other sizes")
    for template in islice(_templates(bench, size, first=False), _MAX_TRIES):
        rows = _asked(template, size, total or 0)
        made = _run(bench, template, rows) if rows > 1 else ""
        if isinstance(made, str):
            continue
        refusals = [_run(bench, template, other) for other in (rows - 1, rows + 1)]
        why = [refusal for refusal in refusals if isinstance(refusal, str)]
        if len(why) < len(refusals):
            return Outcome(Verdict.REFUTED, "it runs with batches of other sizes, too")
        shapes = (
            f"{slot.spec.name}:{slot.dtype}:{'x'.join(str(d or '?') for d in slot.shape)}"
            for slot in template.elements
        )
        evidence = Evidence(
            hazard=Hazard.WRONG_LOSS,
            witness={},
            value=witness.plain(np.float32(np.mean(made))),
            gradient=None,
            mode="eager",
            samples=len(refusals) + 1,
            hits=len(refusals),
            rate=None,
            reach=Reach.TYPICAL,
            detail={
                "observed": f"it runs with a batch of {rows} samples; one of {rows - 1} raises an "
                f"error: {why[0]}",
                "rows_that_run": float(rows),
                "shapes": " ".join(shapes),
            },
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no batch was found with which it runs")


def _templates(bench: Bench, size: int, *, first: bool) -> Iterator[Template]:
    """Yield templates whose rows are the batch, those of `size` classes first or last."""
    given = [(step.id, step.input) for step in bench.job.instructions if step.input is not None]
    others = tuple(each for each in inputs.class_sizes(bench.job) if each != size)
    sizes = (size, *others) if first else (*others, size)
    for classes, shape in inputs.prediction_shapes(sizes, given):
        if shape[:1] != (None,):
            continue
        options = [
            inputs.slots(ident, spec, shape, classes, inputs=given, small={})
            for ident, spec in given
        ]
        for choice in islice(inputs.choices([len(option) for option in options]), _MAX_FORMS):
            picked = (option[index] for option, index in zip(options, choice, strict=True))
            template = Template(tuple(picked))
            if any(slot.shape[:1] == (None,) for slot in template.differentiated):
                yield template


def _asked(template: Template, size: int, total: int) -> int:
    """Return how many rows make up the elements that a reshape asks for, or the size; 0 if none."""
    if not total:
        return size
    shape = template.differentiated[0].shape
    width = math.prod(dim for dim in shape if dim is not None)
    return 0 if total % width else total // width


def _total(lab: Lab, node: int) -> int | None:
    """Return how many elements a reshape asks for, 0 if it leaves that open; None of other ops."""
    step = lab.steps[node]
    shape = dict(step.args).get("shape")
    if step.op != "reshape" or not isinstance(shape, Items):
        return None
    found = [item for item in shape.items if isinstance(item, int) and item > 0]
    return math.prod(found) if len(found) == len(shape.items) else 0


def _run(bench: Bench, template: Template, rows: int) -> Array | str:
    """Return the output for a batch of some size, or why there is none."""
    rng = samples.generator(bench.job, 61)
    feeds = {slot.id: samples.typical(slot, rng, 0, rows) for slot in template.slots}
    try:
        output = bench.lab.values(feeds).get(bench.job.output)
    # Any op may raise anything on a shape that does not fit: that is what is asked.
    except Exception as error:
        return first_line(error)
    if output is None or not floating(output) or not output.size:
        return "its result is not a floating tensor"
    return output
