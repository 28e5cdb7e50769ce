"""Slopes of a function by finite differences, beside the gradient that it brings along.

The value is differentiated left and right of each point, in float64 where the program can be run
in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actlint.graph import Arg, Items, Ref
from actlint.worker import samples
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Template
from actlint.worker.probes import floating
from actlint.worker.protocol import Instruction
from actlint.worker.samples import Array, Feeds
from actlint.worker.widening import widened

# Steps of the differences, and how far the two sides may lie apart, relative to the slope.
_STEPS = {"float64": 1e-5, "float32": 1e-2}
_SMOOTH = {"float64": 1e-3, "float32": 5e-2}
# Slopes below this share of the largest are as good as flat.
FLAT = 1e-3
# Elements that are moved one by one, at most.
_MOVED = 24
# What a hyperparameter is set to that the user chooses; a factor left out does not show at 1.
_NUMBER = 0.7


@dataclass(frozen=True, slots=True)
class Claim:
    """The parts of a ``custom_gradient`` instruction."""

    value: int
    upstream: int
    sources: tuple[Arg, ...]
    gradients: tuple[Arg, ...]
    optional: int  # arguments with a default, which a call may add

    @property
    def fits(self) -> bool:
        """True if some call of the function takes as many arguments as it gives gradients."""
        count = len(self.sources)
        return count <= len(self.gradients) <= count + self.optional


@dataclass(frozen=True, slots=True)
class Measured:
    """Slopes at one batch with respect to one argument; arrays hold one entry per element moved."""

    found: Array  # of the value along the cotangent; nan where it is not smooth
    claimed: Array
    upstream: Array  # cotangent of the one element of the value that depends on it; nan if many do


def claim_of(step: Instruction) -> Claim:
    """Return the parts of a ``custom_gradient`` instruction."""
    args = dict(step.args)
    value, upstream = args["input"], args["upstream"]
    sources, gradients, optional = args["x"], args["gradients"], args["optional"]
    assert isinstance(value, Ref)
    assert isinstance(upstream, Ref)
    assert isinstance(sources, Items)
    assert isinstance(gradients, Items)
    assert isinstance(optional, int)
    return Claim(value.node, upstream.node, sources.items, gradients.items, optional)


class Runner:
    """Runs the value and the gradients, in float64 if the program can."""

    def __init__(self, bench: Bench, claim: Claim) -> None:
        self.bench = bench
        self.claim = claim
        self.dtype = "float64"
        lab = bench.lab
        doubled = tuple(widened(step) for step in bench.job.instructions)
        self.program = type(lab.program)(replace(bench.job, instructions=doubled))
        if not self._runs():
            self.dtype, self.program = "float32", lab.program

    def _runs(self) -> bool:
        sample = self.bench.drawn(0, "typical")[:1]
        try:
            values = [self.values(self.cast(one.feeds)) for one in sample]
        # Any op may refuse to mix float32, which it was given in the source, with float64.
        except Exception:
            return False
        return all(value[self.claim.value].dtype == np.float64 for value in values)

    def cast(self, feeds: Feeds) -> Feeds:
        """Return the feeds in the dtype of this run; hyperparameters are plain numbers."""
        return {
            key: value.astype(self.dtype) if floating(value) else value
            for key, value in feeds.items()
        }

    def set(self, template: Template, feeds: Feeds) -> Feeds:
        """Return the feeds with a number other than 1 for hyperparameters that the user chooses.

        A factor left out does not show at 1.
        """
        free = {
            slot.id: np.asarray(_NUMBER, slot.dtype)
            for slot in template.slots
            if slot.encoding is Encoding.PARAMETER
            and slot.spec.default is None
            and not slot.spec.integer
            and slot.spec.lo <= _NUMBER <= slot.spec.hi
        }
        return {**feeds, **free}

    def values(self, feeds: Feeds) -> dict[int, Array]:
        """Run forward.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        return self.bench.lab.values(feeds, self.program)

    def value(self, feeds: Feeds) -> Array:
        """Return the function's value; see `values`."""
        return self.values(feeds)[self.claim.value].astype(np.float64)

    def claimed(self, feeds: Feeds, position: int, upstream: Array) -> Array | None:
        """Return the gradient that the function gives for one argument; None if none."""
        arg = self.claim.gradients[position]
        if arg is None:
            return None
        given = {**feeds, self.claim.upstream: upstream.astype(self.dtype)}
        found: Any = self.values(given)[arg.node] if isinstance(arg, Ref) else arg
        return np.asarray(found, np.float64)

    def sides(self, feeds: Feeds, ident: int, move: Array) -> tuple[Array, Array]:
        """Return the differences of the value to the left and to the right, by unit of `move`."""
        step = _STEPS[self.dtype]
        here = self.value(feeds)
        point = feeds[ident]
        width = step * np.maximum(np.abs(point), 1.0).max()
        after = self.value({**feeds, ident: (point + width * move).astype(point.dtype)})
        before = self.value({**feeds, ident: (point - width * move).astype(point.dtype)})
        return (here - before) / width, (after - here) / width


def _smooth(left: Array, right: Array, tolerance: float) -> Array:
    """Return the slope where both sides agree, nan elsewhere."""
    scale = np.maximum(np.abs(left), np.abs(right))
    top = scale[np.isfinite(scale)].max(initial=0.0)
    same = np.abs(left - right) <= tolerance * np.maximum(scale, FLAT * top)
    return np.where(same, (left + right) / 2.0, np.nan)


def measure(
    runner: Runner, feeds: Feeds, position: int, ident: int, weights: Array, *, alone: bool
) -> Measured | None:
    """Compare slopes at one batch.

    Args:
        runner: runs the function.
        feeds: the batch, in the runner's dtype.
        position: which gradient.
        ident: the argument.
        weights: cotangent of the value.
        alone: every element of the value depends on its own element of the argument only.

    Returns:
        The slopes; None if the gradient has another number of elements than the argument.

    Raises:
        Exception: whatever TensorFlow raises if the feeds do not fit.
    """
    point = feeds[ident]
    given = runner.claimed(feeds, position, weights)
    claimed = _fitted(given if given is not None else np.zeros(point.shape), point.shape)
    if claimed is None:
        return None
    tolerance = _SMOOTH[runner.dtype]
    if alone and weights.shape == point.shape:
        left, right = runner.sides(feeds, ident, np.ones(point.shape))
        found = (_smooth(left, right, tolerance) * weights).reshape(-1)
        return Measured(found, claimed.reshape(-1), weights.reshape(-1))
    chosen = range(point.size)
    if point.size > _MOVED:
        rng = samples.generator(runner.bench.job, 21)
        chosen = np.sort(rng.choice(point.size, _MOVED, replace=False)).tolist()
    slopes = [
        _along(runner.sides(feeds, ident, _one(point.shape, at)), weights, tolerance)
        for at in chosen
    ]
    flat = claimed.reshape(-1)[list(chosen)]
    found, upstream_of = (np.asarray(part) for part in zip(*slopes, strict=True))
    return Measured(found, flat, upstream_of)


def _one(shape: tuple[int, ...], at: int) -> Array:
    """Return zeros with a 1 at one element."""
    move = np.zeros(int(np.prod(shape)))
    move[at] = 1.0
    return move.reshape(shape)


def _along(sides: tuple[Array, Array], weights: Array, tolerance: float) -> tuple[float, float]:
    """Return the slope along one element, and the cotangent of what alone depends on it.

    The first is nan if some element of the value has a kink there.
    """
    slopes = _smooth(*sides, tolerance)
    moved = np.flatnonzero(slopes != 0.0)
    single = float(weights.reshape(-1)[moved[0]]) if moved.size == 1 else float("nan")
    return float((slopes * weights).sum()), single


def _fitted(claimed: Array, shape: tuple[int, ...]) -> Array | None:
    """Return a gradient in the shape of its argument, summed or repeated; None if none fits."""
    if claimed.shape == shape:
        return claimed
    if claimed.ndim > len(shape):
        claimed = claimed.sum(tuple(range(claimed.ndim - len(shape))))
    try:
        return np.asarray(np.broadcast_to(claimed, shape))
    except ValueError:
        return None
