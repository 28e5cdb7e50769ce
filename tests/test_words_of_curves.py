"""What the report says of gains, bands, switches, kinks and batches."""

from __future__ import annotations

import pytest

from actlint.findings import Evidence, Hazard, Reach
from actlint.report import words

Detail = dict[str, float | str | list[float]]


def said(hazard: Hazard, detail: Detail, gradient: float = 0.0) -> str:
    evidence = Evidence(
        hazard=hazard, witness={"x": 2.0}, value=0.5, gradient=gradient, mode="eager",
        samples=100, hits=100, rate=None, reach=Reach.TYPICAL, detail=detail,
    )  # fmt: skip
    return words.measured(evidence)


GAIN: Detail = {
    "gain": 0.0162,
    "input_scale": 2.0,
    "weight_scale": 3.2,
    "relu_gain": 1.0,
    "tanh_gain": 1.18,
    "layers": 4.0,
}


@pytest.mark.parametrize(
    ("hazard", "detail", "parts"),
    [
        (
            Hazard.VANISHING,
            GAIN,
            ("squared gradient by 0.0162 (ReLU by 1, tanh by 1.18)", "a thousandfold in 4 layers"),
        ),
        (Hazard.EXPLODING, {**GAIN, "gain": 1.8}, ("squared gradient by 1.8", "in 4 layers")),
        (
            Hazard.VANISHING,
            {
                "smallest_value": 0.5,
                "largest_value": 0.731,
                "largest_gradient": 0.059,
                "inputs": "any input",
            },
            ("it is 0.731, the largest value for any input", "smallest is 0.5", "within 0.059"),
        ),
        (
            Hazard.VANISHING,
            {"share": 0.94, "steepest": 50.0},
            ("close to 0 on 94% of the typical range, but up to 50 in the sliver between",),
        ),
        (Hazard.ZERO_GRADIENT, {"rows": 32.0}, ("with a batch of 32 rows",)),
        (Hazard.ZERO_GRADIENT, {"width": 64.0}, ("with 64 numbers in a row",)),
        (
            Hazard.NON_MONOTONIC,
            {"turning_points": [0.0], "kinks": [0.0], "slope_jumps": [1.5]},
            ("changes sign at 0, with a jump of the slope by 1.5 at 0",),
        ),
    ],
)
def test_sentence(hazard: Hazard, detail: Detail, parts: tuple[str, ...]) -> None:
    found = said(hazard, detail)
    assert all(part in found for part in parts), found
    assert "samples" not in found


def test_depth_is_left_out_where_there_is_none() -> None:
    detail = {key: value for key, value in GAIN.items() if key != "layers"}
    assert "a thousandfold" in said(Hazard.VANISHING, detail)
    assert "layers" not in said(Hazard.VANISHING, detail)
