"""Findings and evidence in plain words, and text made safe for a terminal."""

from __future__ import annotations

import math
import struct
import unicodedata

from actlint.findings import Evidence, Finding, Fix, Hazard, Reach, Tensor, Verdict
from actlint.graph import Site

# Activations that a small convolutional network computes in one training step: a batch of 128
# images through three layers of some 16,000 elements each.
ACTIVATIONS_PER_STEP = 6_000_000

# Longest witness in characters before its middle is left out.
_WITNESS_WIDTH = 72

_REACH = {
    Reach.TYPICAL: "values typical of training",
    Reach.STRUCTURAL: "exact values that training produces",
    Reach.EXTENDED: "large magnitudes, on the way to divergence",
}

# Characters that reorder the text around them; shown as escapes so that what is read is there.
_BIDIRECTIONAL = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return `text` with control characters as escapes such as ``\x1b``; tabs stay."""
    if text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def one_line(text: str) -> str:
    """Return `text` on one line, safe to print."""
    return printable(" ".join(text.split()))


def _visible(char: str) -> str:
    if char == "\t":
        return char
    if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in _BIDIRECTIONAL:
        code = ord(char)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return char


def number(value: float | None) -> str:
    """Return the shortest text that reads back as the same float32, or float if it is none."""
    if value is None:
        return "None"
    if isinstance(value, bool | int) or not math.isfinite(value):
        return str(value)
    try:
        single = struct.pack("f", value)
    except OverflowError:
        return repr(value)
    if struct.unpack("f", single)[0] != value:
        return f"{value:.6g}"
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        # A short text can round up beyond the largest float32.
        if abs(float(text)) <= 3.4028235677973366e38 and struct.pack("f", float(text)) == single:
            return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e6 else text
    return repr(value)


def tensor(value: Tensor) -> str:
    """Return a witness value as a person would type it."""
    if isinstance(value, list):
        return "[" + ", ".join(tensor(item) for item in value) + "]"
    return number(value)


def witness(evidence: Evidence) -> str:
    """Return ``x = -0.6, y = [0, 1]``, long values cut in the middle."""
    return ", ".join(
        f"{name} = {_shortened(tensor(value))}" for name, value in evidence.witness.items()
    )


def _shortened(text: str) -> str:
    if len(text) <= _WITNESS_WIDTH:
        return text
    half = _WITNESS_WIDTH // 2 - 1
    return f"{text[:half].rpartition(',')[0] or text[:half]}, … {text[-half:].partition(', ')[2]}"


def verdict(finding: Finding) -> str:
    """Return what came of the suspect, in one sentence without a full stop."""
    if finding.verdict is Verdict.CONFIRMED and finding.evidence is not None:
        return f"confirmed: {measured(finding.evidence)}"
    reason = one_line(finding.reason or "").rstrip(".")
    return f"{finding.verdict}: {reason}" if reason else str(finding.verdict)


def reach(evidence: Evidence) -> str:
    """Return how training gets to the witness."""
    return _REACH[evidence.reach]


def measured(evidence: Evidence) -> str:
    """Return what was seen at the witness, how often, and what that means for training."""
    at = witness(evidence)
    seen = f"{_observation(evidence)} ({_modes(evidence)})"
    parts = [f"at {at} {seen}" if at else seen]
    if evidence.samples > 0:
        parts += _counted(evidence)
    flowing = evidence.detail.get("flowing")
    if isinstance(flowing, float):
        parts.append(f"elsewhere gradients do flow (at {flowing:.0%} of the typical samples)")
    common = evidence.detail.get("common")
    if isinstance(common, float):
        parts.append(f"{common:.0%} of typical inputs are such points")
    if evidence.rate:
        parts.append(rate(evidence.rate))
    free = evidence.detail.get("free")
    if isinstance(free, str):
        parts.append(f"what computes {free} was not run, so that any value is assumed there")
    return "; ".join(parts)


def rate(chance: float) -> str:
    """Return a chance per activation in words; a rate above 0."""
    times = chance * ACTIVATIONS_PER_STEP
    network = f"a network with {ACTIVATIONS_PER_STEP // 10**6} million activations a step"
    if times >= 1.5:
        meaning = f"{network} meets it about {_rounded(times)} times a step"
    elif times >= 2 / 3:
        meaning = f"{network} meets it about every step"
    elif times >= 1e-7:
        meaning = f"{network} meets it about every {_rounded(1 / times)} steps"
    else:
        meaning = "too seldom to be met by chance"
    return f"about {chance:.1g} per activation under a standard normal: {meaning}"


def trail(sites: tuple[Site, ...]) -> str:
    """Return the call sites through which an expression was reached, outermost first."""
    return " → ".join(f"{one_line(site.place)}:{site.span.line}" for site in sites)


def repair(hint: str) -> str:
    """Return how to mend it, behind a label: ``use: tf.math.divide_no_nan``."""
    words = one_line(hint).rstrip(".")
    call = words.removeprefix("Use ")
    if call != words:
        return f"use: {call}"
    # A sentence such as "Make the argument safe" goes on after the label.
    return f"instead: {words[:1].lower()}{words[1:]}"


def proof(fix: Fix) -> str:
    """Return what TensorFlow measured before the fix was offered."""
    found = fix.proof
    ends = [
        f"the {name} there is {number(value + 0.0)}"  # not -0
        for name, value in (("value", found.value), ("gradient", found.gradient))
        if value is not None
    ]
    parts = [f"the hazard is gone ({_where(_names(found.modes))})", *ends]
    if found.agrees:
        parts.append(f"{found.compared} values and gradients elsewhere agree")
    else:
        parts.append(
            f"values elsewhere change by up to {number(found.value_difference)} and gradients by "
            f"up to {number(found.gradient_difference)} ({found.compared} compared)"
        )
    return ", ".join(parts)


def plural(count: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _rounded(value: float) -> str:
    """Return a count with two significant digits, or one below ten."""
    if value < 10:
        return f"{value:.0f}"
    scale = 10 ** (math.floor(math.log10(value)) - 1)
    return f"{round(value / scale) * scale:,}"


def _modes(evidence: Evidence) -> str:
    """Return the modes that showed the hazard, and those that are finite at the same point.

    The worker names them in ``detail["modes"]`` and ``detail["finite"]``.
    """
    where = _where(_spelled(evidence, "modes") or [_mode(evidence.mode)])
    calm = _spelled(evidence, "finite")
    return f"{where}, finite in {_joined(calm)}" if calm else where


def _where(modes: list[str]) -> str:
    """Return ``eager mode``, ``under XLA`` or ``eager and graph``."""
    if len(modes) > 1:
        return _joined(modes)
    return "under XLA" if modes == ["XLA"] else f"{modes[0]} mode"


def _spelled(evidence: Evidence, key: str) -> list[str]:
    listed = evidence.detail.get(key)
    return _names(listed) if isinstance(listed, str) else []


def _names(listed: str) -> list[str]:
    return [_mode(name) for name in listed.replace(",", " ").split()]


def _mode(name: str) -> str:
    return "XLA" if name == "xla" else name


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _counted(evidence: Evidence) -> tuple[str, ...]:
    """Return how often the hazard was seen; the shape of a curve is looked at on a grid."""
    rows = evidence.detail.get("rows")
    if isinstance(rows, float):
        return (f"with a batch of {int(rows)} rows",)
    width = evidence.detail.get("width")
    if isinstance(width, float):
        return (f"with {int(width)} numbers in a row",)
    points = plural(evidence.samples, "grid point")
    match evidence.hazard:
        case Hazard.VANISHING if "share" in evidence.detail:
            # The share weighs the points by how often training meets them; a count does not.
            return ()
        case Hazard.VANISHING | Hazard.EXPLODING if evidence.detail.keys() & {
            "gain",
            "largest_gradient",
        }:
            return ()
        case Hazard.NON_MONOTONIC:
            return (f"{evidence.hits} of {points}",)
        case Hazard.DISCONTINUOUS:
            return (f"{plural(evidence.hits, 'jump')} among {points}",)
    return (f"{evidence.hits} of {plural(evidence.samples, 'sample')}",)


def _steepest(evidence: Evidence) -> str:
    steepest = evidence.detail.get("steepest")
    if isinstance(steepest, float):
        return f", but up to {number(steepest)} in the sliver between"
    slope, where = (evidence.detail.get(f"largest_slope{end}") for end in ("", "_at"))
    if not isinstance(slope, float) or not isinstance(where, float) or abs(slope) <= 1:
        return ""
    return f", but {number(slope)} at x = {number(where)}"


def _observation(evidence: Evidence) -> str:
    gradient, value = number(evidence.gradient), number(evidence.value)
    if isinstance(said := evidence.detail.get("observed"), str):
        return said
    match evidence.hazard:
        case Hazard.NAN | Hazard.INF:
            owner = evidence.detail.get("value_of")
            bad = [
                f"the {what} is {number(found)}"
                for what, found in (
                    (owner or "value", evidence.value),
                    ("gradient", evidence.gradient),
                )
                if found is not None and not math.isfinite(found)
            ]
            return " and ".join(bad) or f"a part of the gradient is {evidence.hazard}"
        case Hazard.NO_GRADIENT:
            return _through(evidence, "TensorFlow returns no gradient (None)")
        case Hazard.ZERO_GRADIENT:
            return _through(evidence, "the gradient is 0")
        case Hazard.VANISHING if "largest_gradient" in evidence.detail:
            return _banded(evidence)
        case Hazard.VANISHING if isinstance(share := evidence.detail.get("share"), float):
            flat = f"the gradient is {gradient}, and close to 0 on {share:.0%} of the typical range"
            return flat + _steepest(evidence)
        case Hazard.VANISHING | Hazard.EXPLODING if "gain" in evidence.detail:
            return f"the gradient is {gradient}; {_gain(evidence)}"
        case Hazard.VANISHING | Hazard.EXPLODING:
            return f"the gradient is {gradient}"
        case Hazard.NON_MONOTONIC:
            points = _listed(evidence, "turning_points")
            turning = f" and changes sign at {points}" if points else " and changes sign"
            kinks, jumps = (_listed(evidence, key) for key in ("kinks", "slope_jumps"))
            sharply = f", with a jump of the slope by {jumps} at {kinks}" if kinks else ""
            return f"the gradient is {gradient}{turning}{sharply}"
        case Hazard.DISCONTINUOUS:
            sizes = evidence.detail.get("sizes")
            largest = f" by {number(max(sizes))}" if isinstance(sizes, list) and sizes else ""
            return f"the value jumps{largest}"
        case Hazard.WRONG_GRADIENT if isinstance(raised := evidence.detail.get("raises"), str):
            return f"TensorFlow raises an error: {one_line(raised)}"
        case Hazard.WRONG_GRADIENT if isinstance(slope := evidence.detail.get("measured"), float):
            asked = _upstream(evidence)
            return f"the gradient is {gradient}, the slope of the value {number(slope)}{asked}"
        case Hazard.WRONG_GRADIENT if isinstance(step := evidence.detail.get("step"), float):
            return f"the value is {value}, that of the step {number(step)}, the slope {gradient}"
        case Hazard.WRONG_GRADIENT:
            astray = f"the gradient is {gradient} and does not lead towards the label"
            return astray + _ended(evidence)
        case Hazard.WRONG_LOSS:
            better = evidence.detail.get("better_loss")
            less = f", and {number(better)} elsewhere" if isinstance(better, float) else ""
            return f"prediction and label agree, yet the loss is not smallest: {value}{less}"
        case Hazard.INACCURATE:
            return _inaccurate(evidence)
        case Hazard.MIXED_SAMPLES:
            return "the value of a sample depends on the others of its batch"
        case Hazard.FROZEN if "later" in evidence.detail:
            return "the value does not follow the number any more, once it is traced"
        case Hazard.FROZEN:
            return "what is drawn at random is the same at each call"


def _inaccurate(evidence: Evidence) -> str:
    """Say how far float32 is from float64."""
    single, double, error = (
        evidence.detail.get(key) for key in ("float32", "float64", "relative_error")
    )
    owner = evidence.detail.get("value_of", "value")
    if not all(isinstance(found, float) for found in (single, double, error)):
        return f"the {owner} is inaccurate"
    return (
        f"the {owner} is {single:.3g} in float32 and {double:.3g} in float64, "
        f"a relative error of {error:.2g}"
    )


def _upstream(evidence: Evidence) -> str:
    """Say with which cotangent of the value a custom gradient was asked for, if not with 1."""
    numbers = evidence.detail.get("upstream")
    if not isinstance(numbers, list) or numbers == [1.0]:
        return ""
    listed = ", ".join(number(value) for value in numbers[:3])
    return f", for an upstream gradient of {listed}{', …' if len(numbers) > 3 else ''}"


def _gain(evidence: Evidence) -> str:
    """Say what a plain network of the activation does to its gradient."""
    gain, relu, tanh, layers, scale = (
        evidence.detail.get(key)
        for key in ("gain", "relu_gain", "tanh_gain", "layers", "input_scale")
    )
    numbers = (gain, relu, tanh, scale)
    own, of_relu, of_tanh, size = (number(x) if isinstance(x, float) else "?" for x in numbers)
    within = f" in {plural(int(layers), 'layer')}" if isinstance(layers, float) else ""
    beside = f"ReLU by {of_relu}, tanh by {of_tanh}"
    if evidence.hazard is Hazard.VANISHING:
        return (
            f"even at the best scaling, inputs of standard deviation {size}, each layer "
            f"multiplies the squared gradient by {own} ({beside}), so that a plain network loses "
            f"it a thousandfold{within}"
        )
    return (
        f"at inputs of standard deviation {size} each layer multiplies the squared gradient by "
        f"{own} ({beside}), and inputs a tenth larger raise it a thousandfold{within}"
    )


def _banded(evidence: Evidence) -> str:
    """Say in which band the values of an expression stay."""
    low, high, slope = (
        number(value) if isinstance(value := evidence.detail.get(key), float) else "?"
        for key in ("smallest_value", "largest_value", "largest_gradient")
    )
    return (
        f"it is {high}, the largest value for {evidence.detail.get('inputs')}; the smallest is "
        f"{low}, and slopes stay within {slope}"
    )


def _ended(evidence: Evidence) -> str:
    """Say where the loss ends that follows its gradient, if that was tried."""
    end, target = (evidence.detail.get(f"loss_at_{key}") for key in ("end", "target"))
    if not isinstance(end, float) or not isinstance(target, float):
        return ""
    return (
        f": the loss goes from {number(evidence.value)} to {number(end)}, and is "
        f"{number(target)} where they agree"
    )


def _through(evidence: Evidence, whole: str) -> str:
    """Say of a cut gradient whether other paths to the output keep theirs."""
    if "partial" in evidence.detail:
        return "no gradient comes back through the expression, only past it"
    return whole


def _listed(evidence: Evidence, key: str) -> str:
    """Return a list of numbers among the details, or ""."""
    found = evidence.detail.get(key)
    return ", ".join(number(item) for item in found) if isinstance(found, list) else ""
