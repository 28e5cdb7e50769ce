"""What a plain network of one activation does to its gradient: the gain per layer.

Mean-field signal propagation (Poole et al. 2016, Schoenholz et al. 2017): in a wide random network
pre-activations are normal with a variance q, which layers hand on by the length map
``q' = sigma_w**2 E[f(sqrt(q) z)**2]``, and each layer multiplies the squared gradient by
``chi = sigma_w**2 E[f'(sqrt(q) z)**2]``. Biases are 0: at a given q they leave less to the weights.
Every q is the fixed point of one weight scale, so that scales of the input are scanned and the
weights that keep them are solved for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from actlint.findings import Hazard, Outcome, Suspect, Verdict
from actlint.worker.bench import Bench
from actlint.worker.profile import Curve, Vector, curve_of, found

# A thousandfold loss or growth of the gradient, whose square is what the gain multiplies.
_THOUSANDFOLD = 2.0 * math.log(1000.0)
# Standard normal quadrature: the midpoint rule converges exponentially for it, and its even number
# of points leaves out 0, where kinks and cusps like to be.
_WIDEST = 6.0
_NODES = (np.arange(1200) + 0.5) / 100.0 - _WIDEST
_WEIGHTS = np.exp(-(_NODES**2) / 2.0) / np.exp(-(_NODES**2) / 2.0).sum()
# Share of an integral above which one node means a pole or a sliver that the nodes miss.
_SINGLE = 0.05
# Standard deviations of pre-activations that weights can be initialised for.
_SCALES = np.geomspace(0.05, 2.0, 17)
# Those in which growth has to be met to be called so.
_USUAL = np.array([0.5, 1.0, 2.0])
# Root mean square of the slope under which weights of the usual scale cannot help.
_FAINT = 0.05
# Deviation of the input's length that a network of finite width starts with.
_OFF = 1.1
# Slope that may be rounding alone, in a curve of values near 1.
_ROUNDING = 1e-6
_DEEPEST = 1000

At = Callable[[npt.ArrayLike], tuple[Vector, Vector | None]]


@dataclass(frozen=True, slots=True)
class Gain:
    """What one layer does at one scale of its input."""

    scale: float  # standard deviation of the pre-activations
    weights: float  # standard deviation of a weight times the root of the fan-in that keeps it
    gain: float  # factor on the mean squared gradient
    slope: float  # root mean square of the activation's slope


def gains(at: At, scales: npt.NDArray[np.float64]) -> tuple[Gain, ...] | None:
    """Return the gain at each scale of the input.

    None if a value or slope is not finite, or if the quadrature does not resolve the curve.

    Args:
        at: values and slopes of the activation at given points.
        scales: standard deviations of the pre-activations, each above 0.
    """
    value, slope = at((scales[:, None] * _NODES).reshape(-1))
    if slope is None or not (np.isfinite(value).all() and np.isfinite(slope).all()):
        return None
    lengths = value.reshape(scales.size, -1) ** 2 * _WEIGHTS
    slopes = slope.reshape(scales.size, -1) ** 2 * _WEIGHTS
    length, steep = lengths.sum(1), slopes.sum(1)
    if not ((length > 0.0) & (lengths.max(1) <= _SINGLE * length)).all():
        return None
    if (slopes.max(1) > _SINGLE * steep).any():
        return None
    return tuple(
        Gain(float(s), float(s / math.sqrt(v)), float(s * s * d / v), float(math.sqrt(d)))
        for s, v, d in zip(scales, length, steep, strict=True)
    )


def depth(gain: float) -> int | None:
    """Return the layers in which a gradient changes a thousandfold; None if it never does."""
    pace = abs(math.log(gain)) if gain > 0.0 else math.inf
    return math.ceil(_THOUSANDFOLD / pace) if pace > _THOUSANDFOLD / _DEEPEST else None


def vanishing(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the gain is below `threshold` at every scale of the input."""
    curve = _whole(bench)
    if isinstance(curve, Outcome):
        return curve
    measured = gains(curve.at, _SCALES)
    if measured is None:
        return Outcome(Verdict.REFUTED, "it has no finite, smooth curve, or is 0")
    best = _best(measured)
    if best.gain >= suspect.threshold or best.slope >= _FAINT:
        return Outcome(
            Verdict.REFUTED,
            f"a layer keeps {best.gain:.2g} of the squared gradient at the best scaling",
        )
    if best.slope < _ROUNDING:
        return Outcome(Verdict.REFUTED, "it is constant, which is no matter of scaling")
    relu, tanh = (_best(gains(_library(op), _SCALES) or ()) for op in (tf.nn.relu, tf.tanh))
    return _outcome(curve, Hazard.VANISHING, best, (relu, tanh), depth(best.gain))


def exploding(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that lengths run away, by a power of at least `threshold`, and gradients with them."""
    curve = _whole(bench)
    if isinstance(curve, Outcome):
        return curve
    near = np.array([1.0 / _OFF, _OFF])
    measured, around = gains(curve.at, _USUAL), gains(curve.at, near)
    if measured is None or around is None:
        return Outcome(Verdict.REFUTED, "it has no finite, smooth curve, or is 0")
    unit = measured[1]
    # Root mean square of the values at a scale is the scale over the weights that keep it.
    below, above = (each.scale / each.weights for each in around)
    growth = math.log(above / below) / math.log(_OFF**2)
    least = min(each.gain for each in measured)
    if growth < suspect.threshold or least < 1.0:
        return Outcome(
            Verdict.REFUTED,
            f"its output grows with the power {growth:.2g} of its input, and a layer multiplies "
            f"the squared gradient by {least:.2g} at least",
        )
    layers = _runaway(curve.at, unit.weights)
    relu, tanh = ((gains(_library(op), _USUAL) or ())[1] for op in (tf.nn.relu, tf.tanh))
    return _outcome(curve, Hazard.EXPLODING, unit, (relu, tanh), layers, growth=growth)


def _whole(bench: Bench) -> Curve | Outcome:
    curve = curve_of(bench)
    if isinstance(curve, Outcome):
        return curve
    reach = float(_SCALES[-1]) * _WIDEST
    if curve.span(reach) != (-reach, reach):
        return Outcome(Verdict.REFUTED, "its input is bounded, so that it is no pre-activation")
    return curve


def _best(measured: tuple[Gain, ...]) -> Gain:
    """Return the scale at which a layer changes the gradient least."""
    return min(measured, key=lambda each: abs(math.log(max(each.gain, 1e-300))))


def _runaway(at: At, weights: float) -> int | None:
    """Return the layers to a thousandfold gradient if the input is a tenth larger than planned."""
    scale, total = _OFF, 0.0
    for layer in range(1, _DEEPEST + 1):
        found_gain = gains(at, np.array([scale]))
        if found_gain is None:
            return None
        each = found_gain[0]
        total += 2.0 * math.log(max(weights * each.slope, 1e-300))
        if total >= _THOUSANDFOLD:
            return layer
        scale *= weights / each.weights
        if not 1e-6 < scale < 1e6:
            return layer if scale > 1.0 else None
    return None


def _library(op: Callable[[tf.Tensor], tf.Tensor]) -> At:
    """Return an activation of TensorFlow as a curve, to be measured the same way."""

    def at(points: npt.ArrayLike) -> tuple[Vector, Vector | None]:
        given = tf.constant(points, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(given)
            value = op(given)
        slope = tape.gradient(value, given)
        return value.numpy().astype(np.float64), slope.numpy().astype(np.float64)

    return at


def _outcome(
    curve: Curve,
    hazard: Hazard,
    best: Gain,
    others: tuple[Gain, Gain],
    layers: int | None,
    *,
    growth: float | None = None,
) -> Outcome:
    count = int(_NODES.size * (_SCALES.size if growth is None else _USUAL.size))
    detail: dict[str, float | str | list[float]] = {
        "gain": _digits(best.gain),
        "input_scale": _digits(best.scale),
        "weight_scale": _digits(best.weights),
        "relu_gain": _digits(others[0].gain),
        "tanh_gain": _digits(others[1].gain),
    }
    if layers is not None:
        detail["layers"] = float(layers)
    if growth is not None:
        detail["growth"] = _digits(growth)
    return found(curve, hazard, best.scale, count=count, hits=count, detail=detail)


def _digits(value: float) -> float:
    """Return the number with the three digits that the quadrature of any curve is good for."""
    return float(f"{value:.3g}")
