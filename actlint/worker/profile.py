"""The shape of an activation along a line: saturation, turning points and jumps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from actlint.findings import Evidence, Hazard, Outcome, Reach, Suspect, Verdict
from actlint.worker import aim, samples, witness
from actlint.worker.bench import Bench, Line, flat
from actlint.worker.inputs import Encoding, Slot
from actlint.worker.probes import pruned
from actlint.worker.program import Program
from actlint.worker.samples import Array

Vector = npt.NDArray[np.float64]

# Slope below which a unit passes next to nothing back.
FLAT = 1e-3
# Range of pre-activations that saturation is weighed on, in standard deviations.
_WEIGHED = 3.0
# Range of pre-activations that turning points and jumps are looked for on.
_SCANNED = 5.0
_GRID = 2001
# Depth of the accepted dip of swish, gelu, mish and hard-swish (0.375), absolute and as a share
# of the function's rise over the scanned range.
_DIP = 0.5
_DIP_SHARE = 0.2
# Change of slope between grid points next to a turning point, above which it is a kink.
_KINK = 0.2
# Distance from a turning point at which the slopes of its two sides are taken, relative to 1.
_BESIDE = 1e-4
# Jump between adjacent floats that is more than steepness, as a share of the function's spread.
_JUMP = 1e-4
_MAX_LISTED = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """A function of one number, with its derivative."""

    bench: Bench
    line: Line
    slot: Slot

    def at(self, points: npt.ArrayLike) -> tuple[Vector, Vector | None]:
        """Return values and slopes; nan off the path; no slopes if there is no gradient."""
        given = np.asarray(points, np.float32)
        trace = self.bench.line_trace(self.line, {self.slot.id: given})
        if trace is None:
            return np.full(given.size, np.nan), None
        total = trace.values[trace.output].size
        value = trace.values[trace.output].reshape(-1)[: given.size].astype(np.float64)
        slope = flat(trace.cotangents.get(self.slot.id), total)
        held = flat(self.bench.lab.holds(trace.values), total)
        keep = np.ones(given.size, bool) if held is None else np.asarray(held[: given.size], bool)
        value = np.where(keep, value, np.nan)
        if slope is None:
            return value, None
        return value, np.where(keep, slope[: given.size].astype(np.float64), np.nan)

    def span(self, limit: float) -> tuple[float, float]:
        """Return the part of [-limit, limit] that the input can take."""
        return max(self.slot.spec.lo, -limit), min(self.slot.spec.hi, limit)


def curve_of(bench: Bench) -> Curve | Outcome:
    """Return the program as a function of one number, or why it is none."""
    line = bench.line()
    if line is None or len(line.slots) != 1:
        return Outcome(
            Verdict.UNCONFIRMED, "it does not act on one number at a time, so it has no curve"
        )
    return Curve(bench, line, line.slots[0])


def _upto(bench: Bench, node: int) -> Bench:
    """Return the bench of the part that computes a node."""
    if node == bench.job.output:
        return bench
    part = replace(bench.job, instructions=pruned(bench.job, (node,)), output=node)
    return Bench(part, Program(part))


# ---- saturation ------------------------------------------------------------------------------


def saturation(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the slope of the node is below 1e-3 on most of the typical range.

    Of a part, which something may scale behind it, it is below 1e-3 of the largest.
    """
    curve = curve_of(_upto(bench, suspect.node))
    if isinstance(curve, Outcome):
        return curve
    low, high = curve.span(_WEIGHED)
    grid = np.linspace(low, high, _GRID)
    _, slope = curve.at(grid)
    if slope is None or not np.any(np.nan_to_num(slope) != 0.0):
        return Outcome(Verdict.REFUTED, "it has no gradient at all, which is no saturation")
    known = np.isfinite(slope)
    if curve.slot.encoding is Encoding.REAL:
        weight = np.exp(-(grid**2) / 2.0)
    else:
        weight = np.ones_like(grid)
    size = np.where(known, np.abs(slope), -1.0)
    flat_below = FLAT if suspect.node == bench.job.output else FLAT * float(size.max())
    small = known & (size < flat_below)
    share = float(weight[small].sum() / weight[known].sum())
    steepest = int(size.argmax())
    if share < suspect.threshold or not small.any():
        return Outcome(
            Verdict.REFUTED,
            f"the slope is below {flat_below:.3g} on {share:.0%} of the typical range "
            f"[{low:g}, {high:g}]",
        )
    # The weightiest flat point, a multiple of a half if one is flat.
    point = float(grid[int(np.where(small, weight, -1.0).argmax())])
    halves = np.array(sorted(np.arange(-_WEIGHED, _WEIGHED + 0.5, 0.5), key=abs))
    halves = halves[(halves >= low) & (halves <= high)]
    _, round_slope = curve.at(halves)
    if round_slope is not None and (flat_halves := halves[np.abs(round_slope) < flat_below]).size:
        point = float(flat_halves[0])
    return found(
        curve,
        Hazard.VANISHING,
        point,
        count=int(known.sum()),
        hits=int(small.sum()),
        detail={
            "share": round(share, 4),
            "largest_slope": witness.plain(size[steepest]),
            "largest_slope_at": round(float(grid[steepest]), 4),
        },
    )


# ---- monotonicity ----------------------------------------------------------------------------


def monotonicity(bench: Bench, _: Suspect) -> Outcome:
    """Show that the slope changes sign, unless the curve has the shape of swish."""
    curve = curve_of(bench)
    if isinstance(curve, Outcome):
        return curve
    low, high = curve.span(_SCANNED)
    grid = np.linspace(low, high, _GRID)
    value, slope = curve.at(grid)
    if slope is None:
        return Outcome(Verdict.REFUTED, "it has no gradient whose sign could change")
    signs = np.where(np.isfinite(slope) & (np.abs(slope) > 1e-6), np.sign(slope), 0.0)
    live = np.flatnonzero(signs)
    turns = [(int(a), int(b)) for a, b in pairwise(live) if signs[a] != signs[b]]
    turns = [turn for turn in turns if not _crosses_pole(value, *turn)]
    if not turns:
        return Outcome(
            Verdict.REFUTED,
            f"the slope keeps its sign at all {live.size} points of [{low:g}, {high:g}]",
        )
    points = [_turning_point(curve, grid[a], grid[b], signs[a]) for a, b in turns[:_MAX_LISTED]]
    if len(turns) == 1 and _accepted(curve, value, slope, turns[0], points[0]):
        return Outcome(
            Verdict.REFUTED,
            f"its one shallow minimum at {points[0]:.3g} is the accepted shape of swish and gelu",
        )
    kinks, gaps = _kinks(curve, points, float(np.nanmax(np.abs(slope))))
    # The slope on the far side of the first turning point has the other sign.
    rising = np.flatnonzero(signs > 0).size >= np.flatnonzero(signs < 0).size
    wrong = np.flatnonzero(signs < 0 if rising else signs > 0)
    steep = wrong[np.abs(slope[wrong]).argmax()]
    return found(
        curve,
        Hazard.NON_MONOTONIC,
        grid[steep],
        count=int(live.size),
        hits=int(wrong.size),
        detail={
            "turning_points": [_rounded(point) for point in points],
            "turns": float(len(turns)),
            **({"kinks": kinks, "slope_jumps": gaps} if kinks else {}),
        },
    )


def _kinks(curve: Curve, points: list[float], steepest: float) -> tuple[list[float], list[float]]:
    """Return the turning points at which the slope jumps, and by how much."""
    at = np.array(points)
    beside = _BESIDE * np.maximum(np.abs(at), 1.0)
    (_, left), (_, right) = curve.at(at - beside), curve.at(at + beside)
    if left is None or right is None:
        return [], []
    gap = np.abs(right - left)
    sharp = np.flatnonzero(gap > _KINK * steepest)
    return [_rounded(points[k]) for k in sharp], [witness.plain(gap[k]) for k in sharp]


def _crosses_pole(value: Vector, a: int, b: int) -> bool:
    """Return True if the value is not finite or leaps between two grid points."""
    part = value[max(a - 1, 0) : b + 2]
    return not bool(np.isfinite(part).all())


def _turning_point(curve: Curve, low: float, high: float, sign: float) -> float:
    """Return where the slope changes sign, by repeated division to neighbouring floats."""
    first, last = (int(rank) for rank in samples.ordered(np.array([low, high], np.float32)))
    while last - first > 1:
        cuts = np.unique(np.linspace(first, last, 65).astype(np.int64))
        _, slope = curve.at(samples.unordered(cuts))
        if slope is None:
            break
        other = np.flatnonzero(np.sign(slope) == -sign)
        end = int(other[0]) if other.size else cuts.size - 1
        same = np.flatnonzero(np.sign(slope[:end]) == sign)
        begin = int(same[-1]) if same.size else 0
        if (cuts[begin], cuts[end]) == (first, last):
            break
        first, last = int(cuts[begin]), int(cuts[end])
    low, high = (float(edge) for edge in samples.unordered([first, last]))
    return low + (high - low) / 2.0


def _accepted(
    curve: Curve, value: Vector, slope: Vector, turn: tuple[int, int], point: float
) -> bool:
    """Return True for the smooth shape of swish, gelu and mish.

    One minimum left of 0, where the slope is continuous; shallow against the rise on its right;
    a constant on the far left.
    """
    a, b = turn
    if not (slope[a] < 0.0 < slope[b] and point < 0.0):
        return False
    far, _ = curve.at([-100.0, -50.0, -20.0])
    bottom, top = float(np.nanmin(value)), float(value[-1])
    if not np.isfinite(far).all() or not np.isfinite(value).all():
        return False
    depth = float(far[2]) - bottom
    near = slope[max(a - 3, 0) : b + 4]
    smooth = float(np.abs(np.diff(near)).max()) < _KINK * max(float(np.abs(slope).max()), FLAT)
    level = abs(float(far[0] - far[2])) <= 0.05 * max(depth, 1e-3)
    return smooth and level and 0.0 <= depth < min(_DIP, _DIP_SHARE * (top - bottom))


# ---- continuity ------------------------------------------------------------------------------


def continuity(bench: Bench, _: Suspect) -> Outcome:
    """Show that the value jumps between neighbouring floats."""
    curve = curve_of(bench)
    if isinstance(curve, Outcome):
        return curve
    low, high = curve.span(_SCANNED)
    marks = [sign * mark for mark in bench.constants for sign in (1.0, -1.0) if abs(mark) <= high]
    grid = np.unique(
        np.concatenate([np.linspace(low, high, _GRID), [m for m in marks if low <= m <= high]])
    ).astype(np.float32)
    grid = np.unique(grid)
    value, slope = curve.at(grid)
    spread = float(np.nanpercentile(value, 95) - np.nanpercentile(value, 5))
    steep = np.zeros_like(value) if slope is None else np.abs(np.nan_to_num(slope, posinf=0.0))
    gaps = np.abs(np.diff(value))
    expected = np.diff(grid).astype(np.float64) * np.maximum(steep[:-1], steep[1:]) * 1.5
    least = _JUMP * max(spread, 1e-3)
    odd = np.flatnonzero(np.isfinite(gaps) & (gaps > expected + least))
    jumps: list[tuple[float, float, float]] = []
    if odd.size:
        # The largest ones stand for the rest.
        odd = np.sort(odd[np.argsort(-gaps[odd], kind="stable")][: 4 * _MAX_LISTED])
        jumps = _narrowed(curve, grid[odd], grid[odd + 1], least, spread)
    if not jumps:
        return Outcome(
            Verdict.REFUTED, f"the value is continuous on [{low:g}, {high:g}], poles aside"
        )
    first = max(jumps, key=lambda jump: jump[2])
    return found(
        curve,
        Hazard.DISCONTINUOUS,
        _location(first),
        count=int(grid.size),
        hits=len(jumps),
        detail={
            "locations": [_location(jump) for jump in jumps[:_MAX_LISTED]],
            "sizes": [witness.plain(np.float32(jump[2])) for jump in jumps[:_MAX_LISTED]],
            "before": witness.plain(np.float32(first[0])),
        },
    )


def _narrowed(
    curve: Curve, low: Array, high: Array, least: float, spread: float
) -> list[tuple[float, float, float]]:
    """Return (last float before, first float after, size) of each true jump in the brackets."""
    first, last = samples.ordered(low), samples.ordered(high)
    steps = np.arange(17)
    take = np.arange(first.size)
    while int((last - first).max()) > 1:
        cuts = first[:, None] + (last - first)[:, None] * steps // 16
        value, _ = curve.at(samples.unordered(cuts.reshape(-1)))
        gaps = np.abs(np.diff(value.reshape(cuts.shape), axis=1))
        part = np.nan_to_num(gaps, nan=-1.0, posinf=-1.0).argmax(1)
        first, last = cuts[take, part], cuts[take, part + 1]
    before, after = samples.unordered(first), samples.unordered(last)
    # A pole grows towards its point; a jump has ordinary values on both sides.
    left, left_slope = curve.at(before)
    right, right_slope = curve.at(after)
    found: list[tuple[float, float, float]] = []
    for at in range(first.size):
        size = abs(right[at] - left[at])
        ulp = float(after[at]) - float(before[at])
        slopes = [0.0 if s is None else abs(float(s[at])) for s in (left_slope, right_slope)]
        steep = max(slope if np.isfinite(slope) else 0.0 for slope in slopes)
        rounding = 16.0 * float(np.spacing(np.float32(max(abs(left[at]), abs(right[at])))))
        pole = max(abs(left[at]), abs(right[at])) > 1e3 * max(spread, 1.0)
        if np.isfinite(size) and not pole and size > max(least, rounding, 8.0 * steep * ulp):
            jump = (_plainest(before[at]), _plainest(after[at]), float(size))
            if not found or found[-1][1] != jump[1]:
                found.append(jump)
    return found


def _location(jump: tuple[float, float, float]) -> float:
    """Return the one of the two adjacent floats that is easier to read."""
    return witness.plain(np.float32(min(jump[:2], key=aim.simplicity)))


def _plainest(value: np.float32) -> float:
    """Return the number; 0 for those next to it, which some kernels flush to 0."""
    return 0.0 if abs(value) <= 2 * samples.TINY else float(value)


# ---- no dependence ---------------------------------------------------------------------------


def constancy(bench: Bench, _: Suspect) -> Outcome:
    """Show that value and slope are the same wherever the input is."""
    curve = curve_of(bench)
    if isinstance(curve, Outcome):
        return curve
    low, high = curve.span(samples.MAGNITUDES[-1])
    near = np.linspace(*curve.span(_SCANNED), _GRID)
    far = [sign * size for size in samples.MAGNITUDES for sign in (-1.0, 1.0)]
    grid = np.unique(np.concatenate([near, [x for x in far if low <= x <= high]]))
    value, slope = curve.at(grid)
    if not np.isfinite(value).all():
        return Outcome(Verdict.REFUTED, "its value is not finite everywhere")
    spread = float(value.max() - value.min())
    # Rounding apart, as of sigmoid(x) + sigmoid(-x).
    if spread > 4 * samples.EPS * max(float(np.abs(value).max()), samples.TINY):
        return Outcome(
            Verdict.REFUTED, f"its values go from {value.min():.3g} to {value.max():.3g}"
        )
    steepest = 0.0 if slope is None else float(np.nanmax(np.abs(slope)))
    if steepest > 4 * samples.EPS:
        return Outcome(Verdict.REFUTED, f"its slope is up to {steepest:.3g}")
    hazard = Hazard.NO_GRADIENT if slope is None else Hazard.ZERO_GRADIENT
    return found(
        curve,
        hazard,
        1.0,
        count=int(grid.size),
        hits=int(grid.size),
        detail={"constant": witness.plain(value[0])},
    )


# ---- evidence --------------------------------------------------------------------------------


def _rounded(point: float) -> float:
    return float(f"{point:.6g}")


def found(
    curve: Curve,
    hazard: Hazard,
    point: float,
    *,
    count: int,
    hits: int,
    detail: dict[str, float | str | list[float]],
) -> Outcome:
    """Return the confirmation of a hazard of the curve.

    Args:
        curve: what was measured.
        hazard: what is wrong.
        point: argument to show as the witness.
        count: how many points were looked at.
        hits: how many of them showed the hazard.
        detail: further figures.
    """
    single = np.array([point], np.float32)
    line, moved = curve.line, curve.slot
    given = witness.numbers(line.template, line.sample({moved.id: single}))
    value, slope = curve.at(single)
    evidence = Evidence(
        hazard=hazard,
        witness={**given, moved.spec.name: witness.plain(single[0])},
        value=witness.plain(np.float32(value[0])),
        gradient=None if slope is None else witness.plain(np.float32(slope[0])),
        mode="eager",
        samples=count,
        hits=hits,
        rate=None,
        reach=Reach.TYPICAL,
        detail=detail,
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)
