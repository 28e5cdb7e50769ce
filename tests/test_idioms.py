"""Idioms of older Keras code, each followed as it runs."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

CASES = (
    Case("tensorflow_under_the_backend", """\
import keras.backend as K

def gap_loss(y_true, y_pred):
    picked = K.tf.gather_nd(y_pred, K.cast(y_true, 'int32'))
    return K.mean(K.tf.log(K.abs(picked)))
""", (("ACT103", "K.tf.log(K.abs(picked))"),)),
    Case("methods_called_through_the_class", HEADER + """\
class Base:
    def masked_loss(logits, labels, mask):
        each = tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=labels)
        return tf.reduce_mean(each * (mask / tf.reduce_mean(mask)))
""", (("ACT101", "mask / tf.reduce_mean(mask)"),)),
    Case("masks_of_ids", HEADER + """\
mask = keras.layers.Lambda(lambda x: K.cast(K.not_equal(x, 0), "float32"))

class Padding(keras.layers.Layer):
    def call(self, ids):
        return tf.cast(tf.equal(ids, 0), tf.float32)
"""),
    Case("constants_assigned_together", HEADER + """\
SCALE, FLOOR = 2.0, 1e-3
[STEEP, (EDGE, FAR)] = [4.0, (0.0, 9.0)]

def ratio_loss(y_true, y_pred):
    kept = tf.reduce_mean(tf.abs(y_true - y_pred) / (tf.abs(y_true) + FLOOR))
    return kept + SCALE * tf.reduce_mean(tf.sqrt(tf.abs(y_pred) + STEEP))
"""),
    Case("range_of_numpy_with_a_step", HEADER + """\
def sampling(mu):
    x = np.arange(-0.99, 1, 0.01)
    table = K.constant(np.interp(np.linspace(0.0, 1.0, 100), (x + 1.0) / 2.0, x))
    index = K.random_uniform(K.shape(mu), 0, 100, dtype='int32')
    w = K.gather(table, index)
    return w * mu + K.sqrt(1.0 - w**2)

layer = keras.layers.Lambda(sampling)
"""),
    Case("sizes_as_floats", HEADER + """\
def per_row_loss(y_true, y_pred):
    error = tf.reduce_sum(tf.sqrt(tf.abs(y_true - y_pred)))
    return error / tf.shape(y_pred, out_type=tf.float32)[0]
""", (("ACT104", "tf.sqrt(tf.abs(y_true - y_pred))"),)),
    Case("arguments_of_a_lambda_layer", HEADER + """\
def distance(inputs, root=False):
    a, b = inputs
    d = K.sum(K.square(a - b), axis=-1, keepdims=True)
    if root:
        d = K.sqrt(d)
    return d

a, b = keras.Input((8,)), keras.Input((8,))
embed = keras.layers.Dense(4)
out = keras.layers.Lambda(distance, arguments={'root': True})([embed(a), embed(b)])
model = keras.Model([a, b], out)
""", (("ACT105", "K.sqrt(d)"),)),
    Case("layer_outputs_in_a_loss", HEADER + """\
x = keras.Input((8,))
mean = keras.layers.Dense(4)(x)
log_var = keras.layers.Dense(4)(x)
out = keras.layers.Dense(8)(mean)

def vae_loss(y_true, y_pred):
    error = K.mean(K.square(y_true - y_pred), axis=-1)
    return error - 0.5 * K.sum(1 + log_var - K.square(mean) - K.exp(log_var), axis=-1)

model = keras.Model(x, out)
model.compile(optimizer='adam', loss=vae_loss)
""", (("ACT108", "K.exp(log_var)"),)),
    Case("features_of_the_label", HEADER + """\
features = keras.applications.VGG16(include_top=False)

def content_loss(y_true, y_pred):
    wanted = features(y_true)
    return K.mean(K.square(y_pred - y_true)) + 0.0 * K.mean(K.sqrt(K.abs(wanted)))
"""),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_idioms(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
