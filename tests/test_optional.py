"""Parameters whose default is None: with it, and with the tensor that callers may give."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

MEAN = "K.sum(inputs * mask, axis=1) / K.sum(mask, axis=1)"

CASES = (
    Case("derived_from_a_layer_of_keras", HEADER + f"""\
class Average(keras.layers.GlobalAveragePooling1D):
    def call(self, inputs, mask=None):
        if mask is not None:
            mask = K.cast(mask, K.floatx())[..., None]
            return {MEAN}
        return K.mean(inputs, axis=1)
""", (("ACT116", MEAN),)),
    Case("function_that_asks", HEADER + """\
def masked_loss(y_true, y_pred, mask=None):
    error = K.square(y_true - y_pred)
    if mask is not None:
        return K.sum(error * mask) / K.sum(mask)
    return K.mean(error)
""", (("ACT116", "K.sum(error * mask) / K.sum(mask)"),)),
    Case("helper_that_is_called_with_it", HEADER + """\
def hide(x, mask=None, value=0.0):
    if mask is None:
        return x
    return tf.where(mask, x, value)

class Attention(keras.layers.Layer):
    def call(self, scores, mask=None):
        return tf.nn.softmax(hide(scores, mask, -np.inf), axis=-1)
""", (("ACT115", "tf.nn.softmax(hide(scores, mask, -np.inf), axis=-1)"),)),
    Case("both_masks_of_a_loss_layer", HEADER + """\
class Squared(keras.layers.Layer):
    def call(self, inputs, mask=None):
        y_true, y_pred = inputs
        weights = 1.0 if mask[1] is None else K.cast(mask[1], K.floatx())
        loss = K.square(y_true - y_pred)
        loss = K.sum(loss * weights) / K.sum(weights)
        self.add_loss(loss)
        return y_pred
""", (("ACT116", "K.sum(loss * weights) / K.sum(weights)"),)),
    Case("a_function_is_no_tensor", HEADER + """\
def scaled_loss(y_true, y_pred, weights=None):
    error = K.square(y_true - y_pred)
    if weights is None:
        return K.mean(error)
    return K.mean(error) / K.sum(weights(y_true))
"""),
    Case("it_counts_at_least_one", HEADER + """\
def masked_loss(y_true, y_pred, mask=None):
    error = K.square(y_true - y_pred)
    if mask is not None:
        return K.sum(error * mask) / K.maximum(K.sum(mask), 1.0)
    return K.mean(error)
"""),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_optional(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
