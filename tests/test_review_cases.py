"""Correct code that once was suspected, and defects that once were missed."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

CASES = (
    Case("mask_that_guards_a_root", HEADER + """\
def batch_hard_loss(y_true, emb):
    dot = tf.matmul(emb, emb, transpose_b=True)
    sq = tf.linalg.diag_part(dot)
    d = tf.maximum(tf.expand_dims(sq, 1) - 2.0 * dot + tf.expand_dims(sq, 0), 0.0)
    mask = tf.cast(tf.equal(d, 0.0), tf.float32)
    d = tf.sqrt(d + mask * 1e-16) * (1.0 - mask)
    eq = tf.cast(tf.equal(y_true[:, None], y_true[None]), tf.float32)
    hardest = tf.reduce_max(d * eq, 1) - tf.reduce_min(d + 1e3 * eq, 1)
    return tf.reduce_mean(tf.maximum(hardest + 0.2, 0.0))
"""),
    Case("clip_with_another_way", HEADER + """\
def ppo_loss(new_logp, old_logp, adv, clip=0.2):
    r = tf.exp(tf.clip_by_value(new_logp - tf.stop_gradient(old_logp), -10.0, 10.0))
    return -tf.reduce_mean(tf.minimum(r * adv, tf.clip_by_value(r, 1 - clip, 1 + clip) * adv))
"""),
    Case("prediction_taken_apart", HEADER + """\
def gaussian_nll(y_true, y_pred):
    mu, log_sigma = tf.split(y_pred, 2, axis=-1)
    sigma = tf.nn.softplus(log_sigma) + 1e-3
    return tf.reduce_mean(tf.math.log(sigma) + 0.5 * tf.square((y_true - mu) / sigma))
"""),
    Case("rebound_by_an_unknown_function", HEADER + """\
from elsewhere import same_rank

def hinge_loss(y_true, y_pred):
    y_true, y_pred = same_rank(y_true, y_pred)
    signs = 2.0 * K.cast(K.equal(y_true, 1), "float32") - 1.0
    return tf.reduce_mean(tf.maximum(1.0 - signs * y_pred, 0.0))
"""),
    Case("margin_of_logits", HEADER + """\
def logistic_loss(y_true, logits):
    return tf.reduce_mean(tf.math.log(1.0 + tf.exp(-y_true * logits)))
""", (("ACT114", "tf.exp(-y_true * logits)"),)),
    Case("negated_logits", HEADER + """\
def softplus_loss(y_true, logits):
    return tf.reduce_mean(y_true * tf.math.log(1.0 + tf.exp(-logits)))
""", (("ACT114", "tf.exp(-logits)"),)),
    Case("comparison_of_a_layer_output", HEADER + """\
class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        h = self.dense(x)
        return tf.where(h >= 0, h**2 / (h + 0.6), 0.01 * h)
""", (("ACT102", "h**2 / (h + 0.6)"),)),
    Case("condition_on_the_batch", HEADER + """\
def rooted(x):
    return tf.cond(tf.reduce_mean(x) > 0, lambda: tf.sqrt(x), lambda: x)

layer = keras.layers.Activation(rooted)
""", (("ACT104", "tf.sqrt(x)"),)),
    Case("gradient_penalty", HEADER + """\
def penalty_loss(critic, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = critic(x, training=True)
    g = tape.gradient(score, [x])[0]
    return tf.reduce_mean((tf.sqrt(tf.reduce_sum(tf.square(g), axis=[1])) - 1.0) ** 2)
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(g), axis=[1]))"),)),
    Case("partial_with_a_name", HEADER + """\
from functools import partial

def focal(y_true, y_pred, eps):
    return -tf.reduce_mean(y_true * tf.math.log(y_pred + eps))

mine = partial(focal, eps=0.0)
model = keras.Sequential()
model.compile("adam", loss=mine)
""", (("ACT103", "tf.math.log(y_pred + eps)"),)),
    Case("lambda_layer_by_keyword", HEADER + """\
layer = keras.layers.Lambda(function=lambda v: v / tf.reduce_sum(v, 1, keepdims=True))
""", (("ACT101", "v / tf.reduce_sum(v, 1, keepdims=True)"),)),
    Case("called_in_a_functional_model", HEADER + """\
def act(x):
    return tf.where(x > 0, tf.sqrt(x), 0.0)

inputs = keras.Input((3,))
model = keras.Model(inputs, act(keras.layers.Dense(4)(inputs)))
""", (("ACT102", "tf.sqrt(x)"),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
