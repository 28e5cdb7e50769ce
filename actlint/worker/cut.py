"""Does the gradient stop at a node, although the node's result moves the output?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import aim, witness
from actlint.worker.bench import Bench, flat
from actlint.worker.inputs import Template
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array, Feeds, Sample

# Relative change of the output that counts as a move, well above float32 rounding.
_MOVES = 1e-5
# Halvings that bring two batches of float32 numbers next to each other.
_HALVINGS = 32
# Share of a difference that a jump keeps over the second half of these; a root keeps 2^-8.
_LASTING = 0.125
# Pairs of batches between which a node switches, and elements of it, at which a jump is looked
# for: that of one element may be lost in the sum of all.
_SWITCHED = 3
_PLACES = 2
# Share of the way between two batches on which a step seldom switches.
_NEAR = 2.0**-10

_DEGENERATE = "it runs only with one element per row, where a vanished gradient means nothing"


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that no gradient comes back through a node whose result moves the output."""
    lab, node = bench.lab, suspect.node
    if not lab.ancestors(node) & set(lab.inputs):
        return _refuted("it does not depend on anything that is differentiated")
    if bench.templates[0].degenerate:
        return Outcome(Verdict.UNCONFIRMED, _DEGENERATE)
    traces = [trace for _, trace in _looked_at(bench)]
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    kinds = [_passes(bench, node, trace) for trace in traces]
    if "unknown" in kinds:
        return Outcome(Verdict.UNCONFIRMED, "the expression cannot be run on its own")
    if "flows" in kinds:
        return _refuted("a gradient passes through it")
    moved = next((pair for pair in _pairs(bench) if _moves(bench, node, *pair)), None)
    if moved is None:
        return _refuted("its result does not move the output")
    if not any(_arrives(bench, node, trace) for trace in traces):
        return _refuted("no gradient arrives at it from the output, so that it cuts nothing off")
    total = {_total(trace) for trace in traces}
    partial = "flows" in total
    if partial:
        if lab.steps[node].op == "stop_gradient":
            return _refuted("it detaches one term on purpose, and the rest still gets a gradient")
        moving = (pair for pair in _pairs(bench) if _moves(bench, node, *pair))
        if not _breaks(bench, node, moving):
            return _refuted(
                "the output is continuous where it switches, so that the gradient is complete"
            )
    state = set(kinds) if partial else total
    hazard = Hazard.NO_GRADIENT if state == {"none"} else Hazard.ZERO_GRADIENT

    def shows(trace: Trace) -> bool:
        return (partial or _total(trace) != "flows") and _passes(bench, node, trace) != "flows"

    return _confirmed(bench, traces, hazard, shows, partial=partial)


def check_none(bench: Bench, _: Suspect) -> Outcome:
    """Show that no differentiated input gets a gradient on any sample."""
    if not bench.lab.inputs:
        return Outcome(Verdict.UNCONFIRMED, "nothing in it is differentiated")
    if bench.templates[0].degenerate:
        return Outcome(Verdict.UNCONFIRMED, _DEGENERATE)
    traces = [trace for _, trace in _looked_at(bench)]
    line = bench.line()
    if line is not None:
        points, _count = bench.points(line, bench.job.samples)
        run = bench.line_trace(line, points)
        traces += [run] if run is not None else []
    else:
        traces += bench.traces(0, "extended")
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    total = [_total(trace) for trace in traces]
    if "flows" in total:
        return _refuted(f"a gradient arrives on {total.count('flows')} of {len(total)} samples")
    hazard = Hazard.NO_GRADIENT if set(total) == {"none"} else Hazard.ZERO_GRADIENT
    return _confirmed(bench, traces, hazard, lambda trace: _total(trace) != "flows", partial=False)


def check_share(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a node passes exact zeros for most of the typical elements."""
    node = suspect.node
    line = bench.line()
    traces = list(bench.traces(0, "typical"))
    if line is not None:
        points, normal = bench.points(line, bench.job.samples)
        drawn = {key: value[:normal] for key, value in points.items()}
        run = bench.line_trace(line, drawn)
        traces = [run] if run is not None else traces
    dead = alive = 0
    for trace in traces:
        zero, passed = _share(bench, node, trace)
        dead, alive = dead + zero, alive + passed
    if not dead + alive:
        return _refuted("no gradient arrives at it from the output")
    share = dead / (dead + alive)
    limit = max(suspect.threshold, 1e-9)
    if share < limit:
        return _refuted(
            f"it passes zeros for {share:.0%} of the typical elements, fewer than {limit:.0%}"
        )

    def shows(trace: Trace) -> bool:
        zero, passed = _share(bench, node, trace)
        return zero > 0 and zero >= limit * (zero + passed)

    outcome = _confirmed(bench, traces, Hazard.ZERO_GRADIENT, shows, partial=False)
    assert outcome.evidence is not None
    found = outcome.evidence
    evidence = Evidence(
        found.hazard, found.witness, found.value, found.gradient, found.mode, dead + alive, dead,
        found.rate, found.reach, {"share": round(share, 4)},
    )  # fmt: skip
    return Outcome(Verdict.CONFIRMED, None, evidence)


# ---- questions about one run -----------------------------------------------------------------


def _looked_at(bench: Bench) -> Iterator[tuple[int, Trace]]:
    """Yield the typical runs of every template."""
    for index in range(len(bench.templates)):
        for trace in bench.traces(index, "typical"):
            yield index, trace


def _state(values: list[Array | None]) -> str:
    """Return "none", "zero" or "flows" for a set of gradients."""
    if all(value is None for value in values):
        return "none"
    # nan is not zero.
    return (
        "flows" if any(value is not None and np.any(value != 0.0) for value in values) else "zero"
    )


def _total(trace: Trace) -> str:
    return _state(list(trace.gradients.values()))


def _passes(bench: Bench, node: int, trace: Trace) -> str:
    """Return what the node alone makes of a cotangent of ones: "none", "zero", "flows"."""
    lab = bench.lab
    value, handed = lab.local(node, trace, None)
    if value is None:
        return "unknown"
    inputs = set(lab.inputs)
    return _state([found for ref, found in handed.items() if lab.ancestors(ref) & inputs])


def _pairs(bench: Bench) -> Iterator[tuple[Trace, Trace]]:
    """Yield pairs of runs of one template that differ."""
    for index in range(len(bench.templates)):
        runs = bench.traces(index, "typical")
        yield from pairwise(runs)
        wide = bench.traces(index, "extended") if index == 0 else ()
        yield from zip(runs, wide[-1:] * len(runs), strict=False)
        # Some steps are met at exact values only, as `tf.sign(tf.abs(error))` is.
        exact = bench.traces(index, "structural") if index == 0 else ()
        yield from zip(runs[:1] * len(exact), exact, strict=False)


def _output(bench: Bench, feeds: Feeds) -> Array | None:
    try:
        return bench.lab.values(feeds).get(bench.job.output)
    # A foreign value of the node may not suit later ops, which raise anything.
    except Exception:
        return None


def _differ(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return False
    gap = np.abs(one.astype(np.float64) - other)
    scale = np.maximum(np.abs(one), np.abs(other))
    return bool((gap > _MOVES * np.maximum(scale, 1e-3)).any())


def _moves(bench: Bench, node: int, one: Trace, other: Trace) -> bool:
    """Return True if the node's value from the other run alone changes the output of this one."""
    if node not in one.values or node not in other.values:
        return False
    foreign = other.values[node]
    if foreign.shape != one.values[node].shape or np.array_equal(foreign, one.values[node]):
        return False
    return _differ(_output(bench, {**one.sample.feeds, node: foreign}), one.values[one.output])


def _arrives(bench: Bench, node: int, trace: Trace) -> bool:
    """Return True if the output has a gradient at the first floating values after the node."""
    lab = bench.lab
    first: set[int] = set()
    queue, seen = [node], {node}
    while queue:
        current = queue.pop()
        value = trace.values.get(current)
        if value is not None and floating(value) and current not in trace.plain:
            first.add(current)
            continue
        for user in lab.users[current]:
            if user not in seen:
                seen.add(user)
                queue.append(user)
    if not first:
        return False
    feeds = {**trace.sample.feeds, **{ident: trace.values[ident] for ident in first}}
    try:
        run = lab.trace(Sample(feeds, trace.sample.reach, ""), watch=sorted(first))
    # As in `_output`.
    except Exception:
        return False
    return any(
        found is not None and bool(np.any(found != 0.0))
        for ident in first
        if (found := run.cotangents.get(ident)) is not None
    )


def _between(
    bench: Bench, node: int, one: Trace, other: Trace, share: float
) -> tuple[Array | None, Array | None]:
    """Return the node's value and the output at a share of the way from one run to the other."""
    feeds = dict(one.sample.feeds)
    for ident in bench.lab.inputs:
        if ident in feeds:
            start = feeds[ident].astype(np.float64)
            feeds[ident] = (start + share * (other.sample.feeds[ident] - start)).astype(np.float32)
    try:
        values = bench.lab.values(feeds)
    # As in `_output`.
    except Exception:
        return None, None
    return values.get(node), values.get(bench.job.output)


def _breaks(bench: Bench, node: int, pairs: Iterator[tuple[Trace, Trace]]) -> bool:
    """Return True if the node's value changes steadily, or if the output jumps with it."""
    switched = 0
    for one, other in pairs:
        if _slides(bench, node, one, other):
            return True
        places = _switched(bench, node, one, other)
        if any(_jumps(bench, node, (one, other), place) for place in places):
            return True
        switched += bool(places)
        if switched == _SWITCHED:
            break
    return False


def _slides(bench: Bench, node: int, one: Trace, other: Trace) -> bool:
    """Return True if the node's value changes steadily, unlike that of a step.

    Then its share of the derivative is missing everywhere, not at single points.
    """
    near = [_between(bench, node, one, other, share)[0] for share in (0.0, _NEAR, 2.0 * _NEAR)]
    last, _ = _between(bench, node, one, other, 1.0)
    first, second, third = near
    if first is None or second is None or third is None or last is None:
        return False
    if not first.shape == second.shape == third.shape == last.shape:
        return False
    changed = first != last
    steady = changed & (first != second) & (second != third)
    return bool(changed.any()) and 2 * int(steady.sum()) > int(changed.sum())


def _switched(bench: Bench, node: int, one: Trace, other: Trace) -> list[int]:
    """Return elements of the node that change from one run to the other, at most `_PLACES`."""
    first, _ = _between(bench, node, one, other, 0.0)
    last, _ = _between(bench, node, one, other, 1.0)
    if first is None or last is None or first.shape != last.shape:
        return []
    changed = np.flatnonzero((first != last).reshape(-1))
    return [int(place) for place in changed[:: max(1, -(-changed.size // _PLACES))]]


def _jumps(bench: Bench, node: int, runs: tuple[Trace, Trace], place: int) -> bool:
    """Return True if the output jumps where one element of the node's value switches.

    The two runs are brought together by halving the way between them until that element differs
    at neighbouring points; a mask such as ``x * (x > 0)`` does not jump there. Nor does
    ``sign(x) * sqrt(abs(x))``, however steep: what is no jump shrinks on the way.
    """

    def at(share: float) -> tuple[Array | None, Array | None]:
        return _between(bench, node, *runs, share)

    first, _ = at(0.0)
    if first is None:
        return False
    low, high = 0.0, 1.0
    halfway = None
    # Only a piecewise constant node has a switch to find; others jump nowhere.
    for count in range(_HALVINGS):
        if count == _HALVINGS // 2:
            halfway = _gap(at(low)[1], at(high)[1])
        middle = (low + high) / 2.0
        value, _ = at(middle)
        if value is None:
            return False
        if value.reshape(-1)[place] == first.reshape(-1)[place]:
            low = middle
        else:
            high = middle
    before, after = at(low)[1], at(high)[1]
    gap = _gap(before, after)
    if halfway is None or gap is None or not _differ(before, after):
        return False
    return gap > _LASTING * halfway


def _gap(one: Array | None, other: Array | None) -> float | None:
    """Return the largest difference of two outputs, None if they cannot be compared."""
    if one is None or other is None or one.shape != other.shape:
        return None
    return float(np.abs(one.astype(np.float64) - other).max(initial=0.0))


def _share(bench: Bench, node: int, trace: Trace) -> tuple[int, int]:
    """Return how many elements get exact zeros from the node, and how many do not."""
    lab = bench.lab
    upstream = trace.cotangents.get(node)
    if upstream is None:
        return 0, 0
    inputs = set(lab.inputs)
    _, handed = lab.local(node, trace, upstream)
    for ref in lab.operands[node]:
        found = handed.get(ref)
        if found is None or not lab.ancestors(ref) & inputs:
            continue
        spread = flat(upstream, found.size)
        live = np.ones(found.size, bool) if spread is None else np.asarray(spread != 0.0)
        zero = (found.reshape(-1) == 0.0) & live
        return int(zero.sum()), int((live & ~zero).sum())
    return 0, 0


# ---- answers ---------------------------------------------------------------------------------


def _refuted(reason: str) -> Outcome:
    return Outcome(Verdict.REFUTED, reason)


def _confirmed(
    bench: Bench,
    traces: list[Trace],
    hazard: Hazard,
    shows: Callable[[Trace], bool],
    *,
    partial: bool,
) -> Outcome:
    template, trace = smallest(bench, traces, shows)
    gradient = None if hazard is Hazard.NO_GRADIENT else 0.0
    evidence = Evidence(
        hazard=hazard,
        witness=witness.numbers(template, trace.sample),
        value=witness.worst([trace.values[trace.output]]),
        gradient=gradient,
        mode="eager",
        samples=len(traces),
        hits=len(traces),
        rate=None,
        reach=Reach.TYPICAL,
        detail={"partial": 1.0} if partial else {},
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def smallest(
    bench: Bench, traces: list[Trace], shows: Callable[[Trace], bool]
) -> tuple[Template, Trace]:
    """Return the simplest typical run that shows the hazard."""
    line = bench.line()
    template = bench.templates[0]
    if line is not None and not any(slot.spec.shape for slot in line.slots):
        points, _ = bench.points(line, bench.job.samples)
        singles = [
            {key: np.round(value[at : at + 1], 1) for key, value in points.items()}
            for at in range(12)
        ]
        singles.sort(key=lambda item: sum(aim.simplicity(float(v[0])) for v in item.values()))
        for single in singles:
            feeds = {k: v.reshape(-1)[0] for k, v in line.sample(single).feeds.items()}
            sample = Sample({k: np.asarray(v) for k, v in feeds.items()}, Reach.TYPICAL, "")
            run = bench.run(sample)
            if run is not None and any(v.any() for v in single.values()) and shows(run):
                return line.template, run
    first = next((t for t in bench.traces(0, "typical") if shows(t)), traces[0])
    kept = first

    def still(sample: Sample) -> bool:
        nonlocal kept
        run = bench.run(sample)
        if run is None or not shows(run):
            return False
        kept = run
        return True

    witness.shrink(template, first.sample, still)
    return template, kept
