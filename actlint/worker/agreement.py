"""Does a mended program keep the values and gradients of the original where those are sound?

Both are one job: the original ends in the job's output, the mended one in the suspect's node, and
they read the same inputs. The judge is the original in float64. A number agrees if float32
rounding explains its distance from the judge, or if the original was no nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import batches, elements, samples, witness
from actlint.worker.aim import solve
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Template
from actlint.worker.probes import Lab, Trace, finite, floating, pruned
from actlint.worker.protocol import Job
from actlint.worker.samples import EPS, Array, Feeds, Sample
from actlint.worker.widening import wide, widened

# Rounding of float32 that two ways to compute the same number may differ by: each takes some tens
# of roundings, and kernels such as exp and log are off by a few units in the last place.
_ROUNDINGS = 64.0
# By how much a number may be farther from the judge than the original's.
_NO_NEARER = 2.0
_MAX = float(np.finfo(np.float32).max)
# How far from a point without a value those are looked at that lie next to it, in float64, in terms
# of max(1, magnitude): near enough for x * log(x) and sqrt(x) to be at their limit.
_STEP = 1e-9
# By how much a limit may be off, in terms of max(1, magnitude).
_AT_LIMIT = 1e-3
_MAX_SETTLED = 8  # batches whose surroundings are looked at
_KINDS = ("typical", "structural", "extended")
_MODES = ("graph", "xla")


@dataclass(slots=True)
class _Tally:
    """What was compared so far."""

    compared: int = 0
    gained: int = 0  # finite only since it is mended
    spoilt: int = 0  # was finite, is not any more
    value: float = 0.0  # largest difference, in terms of max(1, magnitude)
    gradient: float = 0.0
    disagreements: int = 0
    first: str = ""  # of the disagreements, in words
    cut: bool = False  # one of both has a gradient where the other has none
    looked: int = 0  # batches whose surroundings were looked at
    chosen: int = 0  # values that are not what the original tends to, where it has none
    open: int = 0  # values in the midst of others that the original has not, either
    # Largest gradient of each input on typical batches: where rows join, rounding is of this size.
    usual: dict[int, float] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        return not (self.disagreements or self.spoilt or self.cut) and self.compared > 0


@dataclass(frozen=True, slots=True)
class _Programs:
    """The three programs that are compared."""

    original: Lab
    mended: Lab
    exact: Lab  # the original in float64


def check(bench: Bench, suspect: Suspect) -> Outcome:
    """Compare the mended output, the suspect's node, with the job's own.

    Returns:
        CONFIRMED if they agree wherever the original is finite, REFUTED if not; either way with
        the mended program's value and gradient at the job's witness, and in `detail` what was
        compared, and of the values that the original has not, how many it does not tend to
        (`chosen`) and how many lie in the midst of such (`open`). UNCONFIRMED if nothing can be
        compared.
    """
    job = bench.job
    programs = _programs(bench, suspect.node)
    tally = _Tally()
    for index in range(len(bench.templates)):
        for sample, weights in _samples(bench, index, suspect):
            outputs = _compare(programs, bench, sample, weights, tally)
            if outputs is not None:
                around = _around(bench, index, sample)
                _settle(programs, outputs, around, tally)
            if tally.spoilt:
                break  # no fix is offered that breaks a number
        if tally.compared:
            break  # further shapes that happen to run mean nothing
    if not tally.compared and not tally.gained:
        return Outcome(Verdict.UNCONFIRMED, "no sample could be compared")
    at = _at_witness(bench.templates[0], job)
    trace = None if at is None else _traced(programs.mended, at, None)
    if at is not None and trace is None:
        return Outcome(Verdict.UNCONFIRMED, "the mended expression does not run at the witness")
    if at is not None:
        old, new = (_end(lab, at.feeds) for lab in (programs.original, programs.mended))
        if old is not None and new is not None:
            _settle(programs, (old, new), _around(bench, 0, at), tally)
    ends = [] if trace is None else witness.ends(trace)
    modes = ["eager"]
    for mode in _MODES:
        run = None if at is None else programs.mended.compiled(mode, at)
        if run is not None:
            modes.append(mode)
            ends += [run[0], *run[1]]
    evidence = Evidence(
        hazard=witness.hazard_of(ends) or Hazard.WRONG_GRADIENT,
        witness=job.witness,
        value=None if trace is None else witness.worst([trace.values[trace.output]]),
        gradient=None if trace is None else witness.worst(trace.gradients.values()),
        mode="eager",
        samples=tally.compared,
        hits=tally.gained,
        rate=None,
        reach=Reach.TYPICAL if at is None else at.reach,
        detail={
            "modes": ", ".join(modes),
            "finite": float(witness.hazard_of(ends) is None),
            "spoilt": float(tally.spoilt),
            "chosen": float(tally.chosen),
            "open": float(tally.open),
            "value_difference": float(f"{tally.value:.3g}"),
            "gradient_difference": float(f"{tally.gradient:.3g}"),
        },
    )
    if tally.agrees:
        return Outcome(Verdict.CONFIRMED, None, evidence)
    reason = "a gradient comes or goes" if tally.cut else tally.first
    return Outcome(Verdict.REFUTED, reason or "nothing was finite to compare with", evidence)


def _programs(bench: Bench, node: int) -> _Programs:
    job, kind = bench.job, type(bench.lab.program)
    ends = tuple(ident for ident, _ in job.assumptions)
    original = replace(job, instructions=pruned(job, (job.output, *ends)))
    mended = replace(job, instructions=pruned(job, (node, *ends)), output=node)
    exact = replace(original, instructions=tuple(widened(step) for step in original.instructions))
    return _Programs(*(Lab(each, kind(each)) for each in (original, mended, exact)))


def exact_output(bench: Bench, sample: Sample) -> Array | None:
    """Return the job's output in float64; None if the program does not run in it."""
    job = replace(bench.job, instructions=tuple(widened(step) for step in bench.job.instructions))
    try:
        return Lab(job, type(bench.lab.program)(job)).values(wide(sample).feeds).get(job.output)
    # Any op may refuse to mix float32, which it was given in the source, with float64.
    except Exception:
        return None


# ---- samples ---------------------------------------------------------------------------------


def _samples(bench: Bench, index: int, suspect: Suspect) -> Iterator[tuple[Sample, Array | None]]:
    """Yield every class of inputs, and the points that the finding was aimed at."""
    line = bench.line(index)
    if line is not None and not bench.job.assumptions:
        points, _ = bench.points(line, bench.job.samples)
        yield line.sample(points), None
        for target in suspect.targets:
            focus = bench.line(index, target.node) if target.node in bench.lab.steps else None
            found = elements.completed(bench, line, solve(bench, focus, target) if focus else {})
            if any(value.size for value in found.values()):
                yield line.sample(found), None
        return
    weights = bench.weights(index)
    for kind in _KINDS:
        for sample in bench.drawn(index, kind):
            yield sample, weights
    starts = bench.drawn(index, "typical")[:2]
    for sample in batches.aimed(bench, suspect, index, [], starts):
        yield sample, None


def _at_witness(template: Template, job: Job) -> Sample | None:
    """Return the batch of the finding's witness; inputs that it does not name are typical."""
    if not job.witness:
        return None
    feeds: Feeds = {}
    for slot in template.slots:
        if slot.spec.name in job.witness:
            feeds[slot.id] = np.asarray(job.witness[slot.spec.name], slot.dtype)
        elif slot.spec.default is not None:
            feeds[slot.id] = np.asarray(slot.spec.default, slot.dtype)
        else:
            return None
    return Sample(feeds, Reach.STRUCTURAL, "witness")


# ---- comparison ------------------------------------------------------------------------------


def _compare(
    programs: _Programs, bench: Bench, sample: Sample, weights: Array | None, tally: _Tally
) -> tuple[Array, Array] | None:
    """Compare one batch, number by number; return both outputs."""
    before = _traced(programs.original, sample, weights)
    if before is None or not bool(programs.original.holds(before.values).all()):
        return None
    after = _traced(programs.mended, sample, weights)
    if after is None and weights is not None:
        after = _traced(programs.mended, sample, None)  # of another shape, as it may be
    if after is None:
        tally.spoilt += 1
        tally.first = tally.first or "the mended expression does not run on some inputs"
        return None

    @cache
    def exact() -> Trace | None:
        return _traced(programs.exact, wide(sample), weights)

    def judged(ident: int | None) -> Array | None:
        trace = exact()
        if trace is None:
            return None
        return trace.values[trace.output] if ident is None else trace.gradients.get(ident)

    size = _magnitude(bench, sample)
    value, was = after.values[after.output], before.values[before.output]
    worst = _differ(was, value, partial(judged, None), size, tally)
    tally.value = max(tally.value, worst)
    for ident, slope in before.gradients.items():
        now = after.gradients.get(ident)
        if slope is None or now is None:
            tally.cut |= (slope is None) != (now is None)
            continue
        if sample.reach is Reach.TYPICAL:
            tally.usual[ident] = max(_largest(slope), tally.usual.get(ident, 0.0))
        usual = max(_largest(slope), tally.usual.get(ident, 0.0))
        scale = np.asarray(1.0 if slope.size == size.size else usual)
        worst = _differ(slope, now, partial(judged, ident), scale, tally)
        tally.gradient = max(tally.gradient, worst)
    return was, value


def _settle(
    programs: _Programs, outputs: tuple[Array, Array], around: Iterator[Feeds], tally: _Tally
) -> None:
    """Look whether values that the original has not are what it tends to there.

    Args:
        programs: what is compared.
        outputs: of the original and the mended program.
        around: the batch in float64, and batches next to it.
        tally: where the result is noted.
    """
    old, new = outputs
    if tally.looked >= _MAX_SETTLED or old.shape != new.shape or not floating(old):
        return
    gained = ~np.isfinite(old) & np.isfinite(new)
    if not gained.any():
        return
    tally.looked += 1
    near = [_end(programs.exact, feeds) for feeds in around]
    seen, off = np.zeros(old.shape, bool), np.zeros(old.shape, bool)
    for value in near:
        if value is not None and value.shape == old.shape:
            known = np.isfinite(value)
            gap = np.abs(np.where(known, value, 0.0) - new)
            seen |= known
            off |= known & (gap > _AT_LIMIT * np.maximum(np.abs(new), 1.0))
    tally.chosen += int((gained & off).sum())
    tally.open += int((gained & ~seen).sum())


def _around(bench: Bench, index: int, sample: Sample) -> Iterator[Feeds]:
    """Yield a batch in float64, and batches next to it: on all sides, and of one input each."""
    here = wide(sample).feeds
    yield here
    slots = [
        slot
        for slot in bench.templates[index].slots
        if slot.encoding is not Encoding.PARAMETER and here[slot.id].dtype == np.float64
    ]
    rng = samples.generator(bench.job, 61)
    ways = {
        slot.id: _STEP
        * np.maximum(np.abs(here[slot.id]), 1.0)
        * rng.uniform(0.5, 1.5, here[slot.id].shape)
        for slot in slots
    }
    signs = {slot.id: rng.choice((-1.0, 1.0), here[slot.id].shape) for slot in slots}
    moves = [ways, {key: -way for key, way in ways.items()}]
    moves.append({key: signs[key] * way for key, way in ways.items()})
    if len(slots) > 1:
        moves += [{slot.id: sign * ways[slot.id]} for slot in slots for sign in (1.0, -1.0)]
    limits = {slot.id: (slot.spec.lo, slot.spec.hi) for slot in slots}
    for move in moves:
        moved = {key: np.clip(here[key] + way, *limits[key]) for key, way in move.items()}
        yield {**here, **moved}


def _end(lab: Lab, feeds: Feeds) -> Array | None:
    """Return the output where the conditions of the path hold, else None."""
    try:
        values = lab.values(feeds)
    # Any op may refuse to mix float32, which it was given in the source, with float64.
    except Exception:
        return None
    return values[lab.job.output] if bool(lab.holds(values).all()) else None


def _differ(
    was: Array, now: Array, judge: Callable[[], Array | None], size: Array, tally: _Tally
) -> float:
    """Compare two arrays; return the largest difference where both are finite.

    Args:
        was: the original's numbers.
        now: those of the mended program.
        judge: computes the exact ones, if there are any; it is costly.
        size: magnitude of what was summed on the way, for each number or for all.
        tally: where the result is noted.
    """
    if was.shape != now.shape or not floating(was):
        tally.disagreements += 1
        tally.first = tally.first or "the mended result has another shape"
        return float("inf") if was.shape != now.shape else 0.0
    old, new = was.astype(np.float64), now.astype(np.float64)
    known, mended = np.isfinite(old), np.isfinite(new)
    tally.gained += int((~known & mended).sum())
    tally.compared += int((known & mended).sum())
    spoilt = known & ~mended
    if spoilt.any():
        tally.spoilt += int(spoilt.sum())
        tally.first = tally.first or "some number that was finite is not any more"
    # Where the original is not finite, nothing was promised.
    both = known & mended
    if not both.any():
        return 0.0
    scale = np.broadcast_to(size.reshape(was.shape) if size.size == was.size else size, was.shape)
    change = np.where(both, np.abs(new - old), 0.0)
    moved = float((change / np.maximum(np.abs(old), 1.0)).max(initial=0.0))
    if not (change > _ROUNDINGS * EPS * scale).any():
        return moved  # whatever the exact numbers are, these two are equally near
    exact = judge()
    truth = old if exact is None or exact.shape != was.shape else exact.astype(np.float64)
    # Where float32 cannot hold the exact number, the original is all there is to compare with.
    truth = np.where(np.isfinite(truth) & (np.abs(truth) <= _MAX), truth, old)
    allowed = _ROUNDINGS * EPS * np.maximum(np.abs(truth), scale)
    off = np.where(both, np.abs(new - truth), 0.0)
    former = np.where(both, np.abs(old - truth), 0.0)
    wrong = both & (off > allowed + _NO_NEARER * former)
    if wrong.any():
        tally.disagreements += int(wrong.sum())
        at = int(np.flatnonzero(wrong.reshape(-1))[0])
        numbers = tuple(float(np.float32(a.reshape(-1)[at])) for a in (now, truth))
        tally.first = tally.first or f"{numbers[0]:.6g} instead of {numbers[1]:.6g}"
    return moved


def _traced(lab: Lab, sample: Sample, weights: Array | None) -> Trace | None:
    try:
        return lab.trace(sample, weights)
    # Any op may raise anything on operands that do not suit it.
    except Exception:
        return None


def _magnitude(bench: Bench, sample: Sample) -> Array:
    """Return max(1, magnitude) of the inputs: element by element if they are of one shape."""
    found = [
        np.abs(value)
        for key, value in sample.feeds.items()
        if floating(value) and finite(value) and key in bench.lab.inputs
    ]
    if not found:
        return np.ones(())
    if bench.line() is not None and len({value.shape for value in found}) == 1:
        return np.asarray(np.maximum(np.max(found, axis=0), 1.0))
    return np.asarray(max(1.0, *(float(value.max(initial=0.0)) for value in found)))


def _largest(value: Array) -> float:
    """Return the largest finite magnitude."""
    return float(np.abs(value[np.isfinite(value)]).max(initial=0.0))
