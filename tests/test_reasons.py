"""Why it breaks, and from where on: the right culprit, the right reason, the nearest witness."""

from __future__ import annotations

import pytest

from actlint.findings import Check, Finding, Hazard, Reach, numbers

from .cases import HEADER, Case, check, run
from .verdicts import INF, WIDE, Build, Role, ask, at

MASKED = (
    Case("masked_softmax_layer", HEADER + """\
from keras import ops

class TemporalSoftmax(keras.layers.Layer):
    def call(self, inputs, mask=None):
        kept = ops.expand_dims(ops.cast(mask, "float32"), -1)
        powers = ops.exp(inputs) * kept
        return powers / ops.sum(powers * kept, axis=1, keepdims=True)
""", (("ACT101", "powers / ops.sum(powers * kept, axis=1, keepdims=True)"),
      ("ACT110", "ops.exp(inputs)"))),
    Case("masked_softmax_in_a_loss", HEADER + """\
def my_loss(y_true, y_pred, mask):
    powers = mask * K.exp(y_pred)
    shares = powers / K.sum(powers, axis=-1, keepdims=True)
    return K.mean(K.square(y_true - shares))
""", (("ACT101", "powers / K.sum(powers, axis=-1, keepdims=True)"), ("ACT110", "K.exp(y_pred)"))),
    Case("mask_above_the_line_alone", HEADER + """\
def my_loss(y_true, y_pred, mask):
    powers = K.exp(y_pred)
    shares = mask * powers / K.sum(powers, axis=-1, keepdims=True)
    return K.mean(K.square(y_true - shares))
""", (("ACT110", "K.exp(y_pred)"),)),
    Case("masked_softmax_with_epsilon", HEADER + """\
def my_loss(y_true, y_pred, mask):
    powers = mask * K.exp(y_pred)
    shares = powers / (K.sum(powers, axis=-1, keepdims=True) + K.epsilon())
    return K.mean(K.square(y_true - shares))
""", (("ACT110", "K.exp(y_pred)"),)),
    Case("mask_that_is_never_0_everywhere", HEADER + """\
def my_loss(y_true, y_pred):
    powers = tf.exp(y_pred) * (1.0 - tf.one_hot(0, 4))
    return tf.reduce_mean(y_true * powers / tf.reduce_sum(powers, axis=-1, keepdims=True))
""", (("ACT110", "tf.exp(y_pred)"),)),
)  # fmt: skip

BATCHES = (
    Case("no_positive_pair", HEADER + """\
def pair_loss(labels, embeddings):
    labels = tf.reshape(labels, [tf.shape(labels)[0], 1])
    near = tf.reduce_sum(tf.square(embeddings[:, None] - embeddings[None]), axis=-1)
    same = tf.cast(tf.equal(labels, tf.transpose(labels)), tf.float32)
    pairs = same - tf.linalg.diag(tf.ones([tf.size(labels)]))
    return tf.reduce_sum(near * pairs) / tf.reduce_sum(pairs)
""", (("ACT101", "tf.reduce_sum(near * pairs) / tf.reduce_sum(pairs)"),)),
    Case("positive_pairs_counted_from_one", HEADER + """\
def pair_loss(labels, embeddings):
    labels = tf.reshape(labels, [tf.shape(labels)[0], 1])
    near = tf.reduce_sum(tf.square(embeddings[:, None] - embeddings[None]), axis=-1)
    same = tf.cast(tf.equal(labels, tf.transpose(labels)), tf.float32)
    return tf.reduce_sum(near * same) / tf.reduce_sum(same)
"""),
)  # fmt: skip

DATA = (
    Case("power_of_data", HEADER + """def build():
    inputs = keras.Input((8,))
    share = tf.pow(10.0, -0.2 * inputs)
    hidden = keras.layers.Dense(8)(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(hidden * share))
"""),
    Case("exponential_of_a_label", HEADER + """def my_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.exp(y_true - 3.0 * y_true ** 2) - y_pred))
"""),
    Case("power_of_a_layer", HEADER + """def build():
    inputs = keras.Input((8,))
    share = tf.pow(10.0, -0.8 * keras.layers.Dense(8)(inputs))
    return keras.Model(inputs, share)
""", (("ACT108", "tf.pow(10.0, -0.8 * keras.layers.Dense(8)(inputs))"),)),
)  # fmt: skip

WEIGHED = (
    Case("overflow_beside_a_weight_of_0", HEADER + """def my_loss(y_true, y_pred, mask):
    total = tf.math.log1p(tf.reduce_sum(mask * tf.exp(y_pred), axis=-1))
    return tf.reduce_mean(total - tf.reduce_sum(y_true * y_pred, axis=-1))
""", (("ACT114", "tf.exp(y_pred)"),)),
)  # fmt: skip

OPTIONAL = (
    Case("weights_of_classes_that_may_be_given", HEADER + """\
def my_loss(y_true, y_pred, head=None):
    shares = tf.nn.softmax(y_pred)
    if head is not None:
        return -tf.reduce_mean(y_true * tf.math.log(shares) * head)
    return keras.losses.categorical_crossentropy(y_true, shares)
""", known_miss="of a parameter other than a layer's mask, the default None alone is looked at"),
)  # fmt: skip

CASES = (*MASKED, *BATCHES, *DATA, *WEIGHED, *OPTIONAL)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_culprits(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])


def test_a_masked_row_is_the_reason(findings: dict[str, list[Finding]]) -> None:
    found = findings["cases/masked_softmax_in_a_loss.py"]
    (division,) = [finding for finding in found if finding.code == "ACT101"]
    assert "is 0 / 0 = nan where `mask` is 0 for all that" in division.message
    evidence = division.evidence
    assert evidence is not None
    assert evidence.reach is not Reach.EXTENDED
    assert any(not any(row) for row in evidence.witness["mask"])


def test_a_weight_of_0_is_part_of_the_reason(findings: dict[str, list[Finding]]) -> None:
    (found,) = findings["cases/overflow_beside_a_weight_of_0.py"]
    assert "is nan once `tf.exp(y_pred)` overflows where `mask` is 0, because 0 * inf is" in (
        found.message
    )


# How a program is written, and the last argument at which it is whole in float32.
ONSETS = {
    "sigmoid": (lambda g, x: g("exp", g("negative", x)),
                lambda g, e: g("divide", 1.0, g("add", 1.0, e)), -88.8),
    "softplus": (lambda g, x: g("exp", x), lambda g, e: g("log", g("add", 1.0, e)), 88.8),
    "fourth_power": (lambda g, x: g("exp", g("multiply", x, 4.0)),
                     lambda g, e: g("divide", 1.0, g("add", 1.0, e)), 22.2),
}  # fmt: skip


@pytest.mark.parametrize("name", ONSETS)
def test_a_far_witness_is_the_nearest_one(name: str) -> None:
    inner, outer, onset = ONSETS[name]
    g = Build()
    x = g.input()
    power = inner(g, x)
    found = ask(g, outer(g, power), power, Check.NONFINITE, at(power, INF)).evidence
    assert found is not None
    assert found.reach is Reach.EXTENDED
    assert found.witness == {"x": onset}


def test_one_input_is_enough() -> None:
    g = Build(Role.LOSS)
    x, bias = g.prediction("x", WIDE), g.prediction("bias", (-10.0, 10.0), least=1e-6)
    power = g("exp", g("add", x, bias))
    out = g("reduce_mean", g("subtract", power, x))
    found = ask(g, out, power, Check.NONFINITE, at(power, INF)).evidence
    assert found is not None
    largest = [max(numbers(found.witness[name])) for name in ("x", "bias")]
    assert largest == [88.8, 1e-6]


def test_the_nearest_batch_of_a_loss() -> None:
    g = Build(Role.LOSS)
    labels, logits = g.label(), g.prediction("logits", WIDE)
    soft = g("softmax", logits)
    log = g("log", soft)
    out = g("negative", g("reduce_mean", g("reduce_sum", g("multiply", labels, log), axis=-1)))
    found = ask(g, out, log, Check.NONFINITE, at(soft, 0.0)).evidence
    assert found is not None
    assert found.hazard is Hazard.NAN
    rows = found.witness["logits"]
    # A gap of 87.4 makes the smaller share less than the least normal number.
    assert max(abs(number) for number in numbers(rows)) == pytest.approx(87.4)
