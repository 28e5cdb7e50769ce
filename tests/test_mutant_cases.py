"""Correct programs that were suspected, and broken ones that were missed, in the mutation study."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

CASES = (
    Case("smoothed_labels_of_a_softmax", HEADER + """\
class Categorical(keras.losses.Loss):
    def __init__(self, smoothing=0.1, classes=3):
        super().__init__()
        self.smoothing = smoothing
        self.classes = classes

    def call(self, y_true, y_pred):
        y_true = y_true * (1.0 - self.smoothing) + self.smoothing / self.classes
        return -K.sum(y_true * K.log(K.clip(y_pred, K.epsilon(), 1.0)), axis=-1)
"""),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, findings: dict[str, list[Finding]]) -> None:
    if case.known_miss:
        pytest.xfail(case.known_miss)
    check(case, findings[case.path])
