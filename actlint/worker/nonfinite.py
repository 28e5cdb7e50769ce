"""Does a node make nan or infinity out of finite operands, and does training feel it?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Suspect, Verdict
from actlint.worker import agreement, aim, batches, coincidence, elements, onset, witness
from actlint.worker.bench import Bench, Line
from actlint.worker.blame import COMMON, Case, Tally
from actlint.worker.inputs import Slot
from actlint.worker.probes import Trace
from actlint.worker.samples import Array, Feeds, Sample

_COMPILED = ("graph", "xla")
# Magnitude of inputs up to which a result that float32 cannot hold is worth a word.
_CREDIBLE = 100.0
_MAX = float(np.finfo(np.float32).max)
# Points at which the compiled modes are tried where eager mode is fine.
_MAX_COMPILED = 3


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the node starts a nan or infinity that training feels, or that it does not."""
    tally = Tally()
    line = bench.line()
    rate: float | None = None
    if line is None:
        case = batches.search(bench, suspect, tally)
    else:
        found = elements.search(bench, suspect, line, tally)
        case, rate = found if found is not None else (None, None)
    far = case is not None and _is_far_and_true(bench, case)
    if far and line is None and case is not None:
        # One element that goes far may stand for several that do not, and add up to the same.
        case = batches.nearer(bench, suspect, case, lambda c: _size(bench, c) <= _CREDIBLE)
        far = case is None
    if far:
        return Outcome(
            Verdict.REFUTED,
            f"infinite only for inputs beyond {_CREDIBLE:g}, where the true result is too large",
        )
    if case is not None:
        return _confirmed(bench, suspect, case, tally, rate)
    if not tally.samples:
        return Outcome(
            Verdict.UNCONFIRMED, "no sample met the conditions under which this path is taken"
        )
    outcome = _compiled_only(bench, suspect, line, tally)
    if outcome is not None:
        return outcome
    where = "finite" if not tally.elsewhere else "finite or broken by another expression"
    return Outcome(
        Verdict.REFUTED,
        f"{where} for all {tally.samples} samples and at the aimed points, " + tally.sizes,
    )


def _is_far_and_true(bench: Bench, case: Case) -> bool:
    """Tell whether far inputs alone lead to an infinity that stands for what float32 cannot hold.

    No way of writing the expression would do better there.
    """
    trace = case.trace
    output = trace.values[trace.output]
    if _size(bench, case) <= _CREDIBLE or np.isnan(output).any() or not np.isinf(output).any():
        return False
    if witness.hazard_of(witness.ends(trace)) is not Hazard.INF:
        return False
    exact = agreement.exact_output(bench, trace.sample)
    if exact is None or exact.dtype != np.float64 or exact.shape != output.shape:
        # A later op that brought it back to a small number would make its gradient 0 or nan.
        gradient = witness.worst(trace.gradients.values())
        return gradient is not None and bool(np.isinf(gradient))
    return bool((np.abs(exact[np.isinf(output)]) > _MAX).all())


def _size(bench: Bench, case: Case) -> float:
    """Return the largest magnitude of the inputs of a case."""
    feeds = case.trace.sample.feeds
    read = (feeds[ident] for ident in bench.lab.inputs if ident in feeds)
    return max((float(np.abs(value).max(initial=0.0)) for value in read), default=0.0)


# ---- evidence --------------------------------------------------------------------------------


def _confirmed(
    bench: Bench, suspect: Suspect, case: Case, tally: Tally, rate: float | None
) -> Outcome:
    node = suspect.node
    modes, calm = compiled_modes(bench, case.trace.sample)
    nearest = onset.nearest(bench, node, case, modes)
    if nearest is not case:
        case = nearest
        modes, calm = compiled_modes(bench, case.trace.sample)
    trace = case.trace
    output = witness.worst([trace.values[trace.output]])
    own = witness.worst([trace.values.get(node)])
    # Training sees the output; the expression's own value is told where it does not get that far.
    local = own is not None and not np.isfinite(own) and output is not None and np.isfinite(output)
    evidence = Evidence(
        hazard=witness.hazard_of(witness.ends(trace)) or Hazard.NAN,
        witness=witness.numbers(case.template, trace.sample),
        value=own if local else output,
        gradient=witness.worst(trace.gradients.values()),
        mode="eager",
        samples=tally.samples,
        hits=tally.hits,
        rate=rate,
        reach=trace.sample.reach,
        detail={
            "modes": ", ".join(("eager", *modes)),
            "value_of": "expression" if local else "output",
            **_finite(calm),
            **_flowing(rate, tally),
            **({"common": tally.common} if tally.common >= COMMON else {}),
            **(coincidence.measured(bench, suspect, case) if tally.common < COMMON else {}),
        },
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def compiled_modes(bench: Bench, sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the compiled modes that show a hazard, and those that give finite values."""
    shown, calm = list[str](), list[str]()
    for mode in _COMPILED:
        run = bench.lab.compiled(mode, sample)
        if run is not None:
            (shown if witness.hazard_of([run[0], *run[1]]) else calm).append(mode)
    return tuple(shown), tuple(calm)


def _finite(modes: Sequence[str]) -> dict[str, str]:
    """Return the modes that give finite values at the witness."""
    return {"finite": ", ".join(modes)} if modes else {}


def _flowing(rate: float | None, tally: Tally) -> dict[str, float]:
    """Return how much of the gradient flows away from an isolated point."""
    return {} if rate is None or tally.flowing is None else {"flowing": round(tally.flowing, 4)}


def _compiled_only(
    bench: Bench, suspect: Suspect, line: Line | None, tally: Tally
) -> Outcome | None:
    """Look for a hazard that only the compiled modes show, where the ops' rows say they can."""
    if not bench.lab.modes_differ(suspect.node):
        return None
    template = bench.templates[0]
    candidates = list(_at_targets(bench, suspect, line))
    if not candidates:
        return None
    for mode in reversed(_COMPILED):
        for trace in candidates:
            small = _shown(bench, suspect, mode, trace, shrinks=line is None)
            if small is None:
                continue
            at, run = small
            hazard = witness.hazard_of([run[0], *run[1]])
            assert hazard is not None
            evidence = Evidence(
                hazard=hazard,
                witness=witness.numbers(template, at.sample),
                value=witness.worst([run[0]]),
                gradient=witness.worst(run[1]),
                mode=mode,
                samples=tally.samples,
                hits=1,
                rate=None,
                reach=at.sample.reach,
                detail={
                    "modes": mode,
                    "value_of": "output",
                    **_finite(["eager", *_calm(bench, mode, at)]),
                },
            )
            return Outcome(Verdict.CONFIRMED, None, evidence)
    return None


def _shown(
    bench: Bench, suspect: Suspect, mode: str, trace: Trace, *, shrinks: bool
) -> tuple[Trace, tuple[Array, list[Array]]] | None:
    """Return a small run at which a compiled mode breaks at the node, with that mode's result."""
    found = _broken(bench, suspect.node, mode, trace)
    if found is None or not shrinks:
        return None if found is None else (trace, found)
    smaller = _smaller(bench, suspect, trace)
    again = _broken(bench, suspect.node, mode, smaller)
    return (trace, found) if again is None else (smaller, again)


def _broken(bench: Bench, node: int, mode: str, trace: Trace) -> tuple[Array, list[Array]] | None:
    """Return what a compiled mode gives at this point if it is broken there because of the node."""
    run = bench.lab.compiled(mode, trace.sample)
    if run is None or witness.hazard_of([run[0], *run[1]]) is None:
        return None
    return run if _causes(bench, node, mode, trace) else None


def _calm(bench: Bench, shown: str, trace: Trace) -> list[str]:
    """Return the compiled modes, but for `shown`, that are finite at this point."""
    others = [mode for mode in _COMPILED if mode != shown]
    runs = [(mode, bench.lab.compiled(mode, trace.sample)) for mode in others]
    return [mode for mode, run in runs if run and witness.hazard_of([run[0], *run[1]]) is None]


def _causes(bench: Bench, node: int, mode: str, trace: Trace) -> bool:
    """Return True if the hazard goes away when the node's eager value is fed as a constant."""
    if node == bench.job.output or node not in trace.values:
        return True
    feeds = {**trace.sample.feeds, node: trace.values[node]}
    run = bench.lab.compiled(mode, Sample(feeds, trace.sample.reach, ""))
    return run is None or witness.hazard_of([run[0], *run[1]]) is None


def _at_targets(bench: Bench, suspect: Suspect, line: Line | None) -> list[Trace]:
    """Return a few small runs, finite in eager mode, at which a target is met."""
    found: list[Trace] = []
    if line is not None:
        singles: list[tuple[float, Feeds]] = []
        for target in suspect.targets:
            focus = bench.line(0, target.node)
            aimed = elements.completed(
                bench, line, aim.solve(bench, focus, target) if focus else {}
            )
            count = next((value.size for value in aimed.values()), 0)
            for at in range(count):
                single = {key: value[at : at + 1] for key, value in aimed.items()}
                singles.append((sum(aim.simplicity(float(v[0])) for v in single.values()), single))
        for _, single in sorted(singles, key=lambda item: item[0]):
            sample = line.sample(single, elements.reach_at(line, single))
            if not _fixed(line.slots):
                scalars = {
                    key: value.reshape(-1)[0].reshape(()) for key, value in sample.feeds.items()
                }
                sample = Sample(scalars, sample.reach, "")
            trace = bench.run(sample)
            if trace is not None and not trace.broken and _met(suspect, trace):
                found.append(trace)
            if len(found) == _MAX_COMPILED:
                break
        return found
    rows = [*bench.traces(0, "structural"), *bench.traces(0, "typical")]
    starts = bench.drawn(0, "typical")[:2]
    solved = (bench.run(sample) for sample in batches.aimed(bench, suspect, 0, rows, starts))
    rows += [trace for trace in solved if trace is not None]
    for trace in rows:
        if not trace.broken and _met(suspect, trace):
            found.append(trace)
        if len(found) == _MAX_COMPILED:
            break
    return found


def _smaller(bench: Bench, suspect: Suspect, trace: Trace) -> Trace:
    """Return the smallest run that still meets a target and is finite in eager mode."""
    kept = trace

    def still(sample: Sample) -> bool:
        nonlocal kept
        run = bench.run(sample)
        if run is None or run.broken or not _met(suspect, run):
            return False
        kept = run
        return True

    witness.shrink(bench.templates[0], trace.sample, still)
    return kept


def _met(suspect: Suspect, trace: Trace) -> bool:
    return any(aim.reached(trace.values.get(target.node), target) for target in suspect.targets)


def _fixed(slots: tuple[Slot, ...]) -> bool:
    return any(slot.spec.shape is not None for slot in slots)
