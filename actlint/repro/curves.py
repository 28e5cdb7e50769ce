"""Programs that show the shape of a function of one number."""

from __future__ import annotations

from actlint.findings import Evidence, Hazard, Tensor
from actlint.graph import InputRole
from actlint.interval import TINY
from actlint.rendering import Function, literal
from actlint.repro.calling import call, is_differentiated, tensor

# Half the distance between the points left and right of a turning point.
_BESIDE = 0.01


def curve(function: Function, feeds: dict[str, Tensor], evidence: Evidence) -> list[str] | None:
    """Print points of a function of one number; None if the evidence is of another kind."""
    moved = [
        name
        for name, spec in function.inputs
        if is_differentiated(spec)
        and spec.role is not InputRole.PARAMETER
        and name in evidence.witness
    ]
    if not moved:
        return None
    name = moved[0]
    at = feeds[name]
    if isinstance(at, list):
        return None
    others = [f"{key} = {tensor(spec, feeds[key])}" for key, spec in function.inputs if key != name]
    if evidence.hazard is Hazard.DISCONTINUOUS:
        return others + _jump(function, name, at)
    if "gain" in evidence.detail:
        return others + _network(function, name, evidence)
    turns = evidence.detail.get("turning_points")
    if evidence.hazard is Hazard.NON_MONOTONIC and isinstance(turns, list):
        return others + _turn(function, name, turns[0], at)
    return None


def _network(function: Function, name: str, evidence: Evidence) -> list[str]:
    """Print what a plain random network of the activation leaves of a gradient."""
    scale, weights, layers = (
        evidence.detail.get(key) for key in ("input_scale", "weight_scale", "layers")
    )
    depth = int(layers) if isinstance(layers, float) else 1
    off, expected = "", "a thousandth of the gradient that came in, or less"
    if evidence.hazard is Hazard.VANISHING:
        depth += 1  # the gain is exact in a network of infinite width only
    else:
        off, expected = " * 1.1", "a thousand times the gradient that came in, or more"
    return [
        f"start = {scale} * tf.random.stateless_normal([64, 256], [0, 0]){off}",
        "with tf.GradientTape() as tape:",
        "    tape.watch(start)",
        f"    {name} = start",
        f"    for layer in range({depth}):",
        "        weights = tf.random.stateless_normal([256, 256], [1, layer]) / 16.0",
        f"        {name} = {call(function)} @ ({weights} * weights)",
        "    error = tf.random.stateless_normal([64, 256], [2, 0])",
        f"    loss = tf.reduce_sum({name} * error)",
        "gradient = tape.gradient(loss, start)",
        f"# expect {expected}",
        f'print("share of the gradient after {depth} layers:", '
        "float(tf.norm(gradient) / tf.norm(error)))",
    ]


def _jump(function: Function, name: str, at: float) -> list[str]:
    """Print the values at a float and its two neighbours."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    point = np.float32(at)
    # TensorFlow takes denormal numbers as 0, so that these are the neighbours of 0.
    sides = (
        (-TINY, TINY) if at == 0.0 else np.nextafter(point, np.array([-np.inf, np.inf], np.float32))
    )
    points = [float(sides[0]), float(at), float(sides[1])]
    return [
        "# neighbouring floats: expect a jump of the value",
        f"points = {literal([*points])}",
        f"values = [{call(function, name, 'tf.constant(point)')} for point in points]",
        'print("values:", [value.numpy().tolist() for value in values])',
    ]


def _turn(function: Function, name: str, turn: float, steepest: float) -> list[str]:
    """Print values and slopes on either side of a turning point, and where it is steepest."""
    step = _BESIDE * max(abs(turn), 1.0)
    points = sorted({round(turn - step, 6), round(turn + step, 6), float(steepest)})
    return [
        f"{name} = tf.constant({literal([*points])})",
        "with tf.GradientTape() as tape:",
        f"    tape.watch({name})",
        f"    value = {call(function)}",
        f"# turning point near {turn:g}: expect slopes of both signs",
        'print("values:", value.numpy().tolist())',
        f'print("slopes:", tape.gradient(value, {name}).numpy().tolist())',
    ]
