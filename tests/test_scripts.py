"""Graph scripts, training steps and control flow: source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

ONE = """\
import tensorflow as tf

"""

SCRIPTS = (
    Case("graph_in_a_class", ONE + """\
class Model(object):
    def __init__(self, rate=0.1):
        self.x = tf.placeholder(tf.float32, [None, 784])
        self.y = tf.placeholder(tf.float32, [None, 10])
        self.build(rate)

    def build(self, rate):
        hidden = tf.layers.dense(self.x, 100, activation=tf.nn.relu)
        self.prob = tf.nn.softmax(tf.layers.dense(hidden, 10))
        self.loss = -tf.reduce_mean(tf.reduce_sum(self.y * tf.log(self.prob), 1))
        self.step = tf.train.AdamOptimizer(rate).minimize(self.loss)
""", (("ACT109", "tf.log(self.prob)"),)),
    Case("graph_in_main", ONE + """\
def inference(x):
    w = tf.get_variable("w", [4, 3])
    return tf.nn.sigmoid(tf.matmul(x, w))

def main(_):
    x = tf.placeholder(tf.float32, [None, 4])
    y = tf.placeholder(tf.float32, [None, 3])
    with tf.name_scope("loss"):
        loss = -tf.reduce_mean(y * tf.log(inference(x)))
    optimizer = tf.train.GradientDescentOptimizer(0.5)
    optimizer.apply_gradients(optimizer.compute_gradients(loss))

if __name__ == "__main__":
    tf.app.run()
""", (("ACT109", "tf.log(inference(x))"),)),
    Case("tf_gradients", """\
import tensorflow.compat.v1 as tf

w = tf.Variable(tf.zeros([3]))
cost = tf.sqrt(tf.reduce_sum(tf.square(w)))
update = tf.gradients(cost, [w])
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(w)))"),)),
    Case("tape_in_a_loop", ONE + """\
model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.Adam()
for epoch in range(10):
    for x, y in dataset:
        with tf.GradientTape() as tape:
            p = tf.nn.softmax(model(x, training=True))
            loss = -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p), 1))
        gradient = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradient, model.trainable_variables))

w = tf.Variable(3.0)
with tf.GradientTape() as second:
    c = tf.reduce_mean(tf.sqrt(w * tf.constant([1.0, 2.0]) - 3.0))
slope = second.gradient(c, w)
""", (
        ("ACT104", "tf.sqrt(w * tf.constant([1.0, 2.0]) - 3.0)"),
        ("ACT109", "tf.math.log(p)"),
    )),
    Case("custom_train_step", HEADER + """\
class VAE(keras.Model):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log_var = self.encoder(data)
            image = self.decoder(mean)
            likelihood = tf.reduce_mean(tf.math.log(image))
            kl = -0.5 * tf.reduce_mean(1 + log_var - tf.square(mean) - tf.exp(log_var))
            total = kl - likelihood
        gradients = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        return {"loss": total}
""", (("ACT103", "tf.math.log(image)"), ("ACT108", "tf.exp(log_var)"))),
    Case("loss_inside_the_model", HEADER + """\
class Net(keras.Model):
    def call(self, inputs):
        hidden = self.dense(inputs)
        self.add_loss(tf.norm(hidden))
        self.add_metric(tf.sqrt(tf.reduce_sum(hidden)), name="size")
        return hidden
""", (("ACT105", "tf.norm(hidden)"),)),
    Case("optimizer_of_a_constant_graph_is_silent", ONE + """\
x = tf.placeholder(tf.float32, [None, 2])
w = tf.get_variable("w", [2, 1])
loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
tf.train.AdamOptimizer().minimize(loss)
"""),
)  # fmt: skip

FLOW = (
    Case("map_fn", HEADER + """\
def rows_loss(y_true, y_pred):
    return tf.reduce_mean(
        tf.map_fn(lambda row: tf.sqrt(tf.reduce_sum(tf.square(row))), y_true - y_pred))
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(row)))"),)),
    Case("scan", HEADER + """\
def scan_loss(y_true, y_pred):
    return -tf.reduce_sum(y_true * tf.scan(lambda a, p: a + tf.math.log(p), y_pred)[-1])
""", (("ACT103", "tf.math.log(p)"),)),
    Case("while_loop", HEADER + """\
def iterated_loss(y_true, y_pred):
    i = tf.constant(0)
    _, out = tf.while_loop(
        lambda i, a: i < 3, lambda i, a: (i + 1, a + tf.math.log(a)), [i, y_pred])
    return -tf.reduce_mean(y_true * out)
""", (("ACT103", "tf.math.log(a)"),)),
    Case("python_loop", HEADER + """\
def per_class_loss(y_true, y_pred):
    total = 0.0
    for i in range(3):
        total += y_true[:, i] * tf.math.log(y_pred[:, i])
    return -total
""", (("ACT103", "tf.math.log(y_pred[:, i])"),)),
    Case("cond", HEADER + """\
def switched_loss(y_true, y_pred):
    return tf.cond(
        tf.reduce_sum(y_true) > 0,
        lambda: -tf.reduce_mean(y_true * tf.math.log(y_pred)),
        lambda: 0.0 * tf.reduce_sum(y_pred))
""", (("ACT103", "tf.math.log(y_pred)"),)),
    Case("autograph_if_guards", HEADER + """\
@tf.function
def guarded_loss(y_true, y_pred):
    count = tf.reduce_sum(y_true)
    if count > 0:
        return tf.reduce_sum(tf.square(y_true - y_pred)) / count
    return tf.reduce_sum(tf.square(y_pred))
"""),
    Case("both_ways_of_a_setting", HEADER + """\
class Entropy(keras.losses.Loss):
    def __init__(self, smooth):
        super().__init__()
        self.smooth = smooth

    def call(self, y_true, y_pred):
        if self.smooth:
            p = tf.clip_by_value(y_pred, 1e-6, 1.0 - 1e-6)
        else:
            p = y_pred
        return -tf.reduce_mean(y_true * tf.math.log(p))
""", (("ACT103", "tf.math.log(p)"),)),
    Case("early_return", HEADER + """\
def robust_loss(y_true, y_pred, mode="l2"):
    if mode == "l2":
        return tf.norm(y_true - y_pred)
    return tf.reduce_mean(tf.abs(y_true - y_pred))
""", (("ACT105", "tf.norm(y_true - y_pred)"),)),
    Case("try_with_walrus_match", HEADER + """\
def staged_loss(y_true, y_pred, kind="log"):
    try:
        with tf.name_scope("loss"):
            if (gap := y_true - y_pred) is not None:
                match kind:
                    case "log":
                        return tf.reduce_mean(tf.math.log(tf.abs(gap)))
                    case _:
                        return tf.reduce_mean(gap ** 2)
    finally:
        pass
""", (("ACT103", "tf.math.log(tf.abs(gap))"),)),
    Case("comprehension_and_star", HEADER + """\
def summed_loss(y_true, y_pred):
    parts = [tf.reduce_mean(f(y_true - y_pred)) for f in (tf.abs, tf.square)]
    return tf.add_n([*parts, tf.norm(y_true - y_pred)])
""", (("ACT105", "tf.norm(y_true - y_pred)"),)),
    Case("recursion_ends", HEADER + """\
def power(x, n):
    return x if n == 0 else x * power(x, n - 1)

def forever(x):
    return forever(x)

def deep_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - power(y_pred, 3))) + forever(y_pred)
"""),
    Case("partial_and_tables", HEADER + """\
import functools

LOSSES = {"log": lambda t, p: -tf.reduce_mean(t * tf.math.log(p))}

def make_loss(kind):
    return LOSSES[kind]

def ratio(t, p, eps):
    return tf.reduce_mean(t * (1 - p) / (p + eps))

model = keras.Model()
model.compile(loss=make_loss("log"))
model.compile(loss=functools.partial(ratio, eps=0.0))
model.compile(loss={"a": functools.partial(ratio, eps=0.5), "b": "mse"})
""", (
        ("ACT101", "t * (1 - p) / (p + eps)"),
        ("ACT103", "tf.math.log(p)"),
    )),
    Case("dataclass_settings", HEADER + """\
from dataclasses import dataclass

@dataclass
class Config:
    eps: float = 0.0

CONFIG = Config()
SAFE = Config(eps=0.5)

def open_loss(t, p):
    return tf.reduce_mean(t * (1 - p) / (p + CONFIG.eps))

def safe_loss(t, p):
    return tf.reduce_mean(t * (1 - p) / (p + SAFE.eps))

model = keras.Model()
model.compile(loss=[open_loss, safe_loss])
""", (("ACT101", "t * (1 - p) / (p + CONFIG.eps)"),)),
    Case("closure_made_by_a_call_result", HEADER + """\
def outer():
    def inner(gamma):
        return lambda t, p: tf.reduce_mean(t * (1 - p) ** gamma / p)
    return inner

model = keras.Model()
model.compile(loss=outer()(2.0))
""", (("ACT101", "t * (1 - p) ** gamma / p"),)),
    Case("functional_model", HEADER + """\
from tensorflow.keras.layers import Dense, Input

def shifted_log(x):
    return tf.where(x > 0, tf.math.log(x), x)

def build(width=4):
    inputs = Input((width,))
    hidden = shifted_log(Dense(3)(inputs))
    total = tf.reduce_sum(hidden, axis=-1, keepdims=True)
    return keras.Model(inputs, hidden / total)
""", (
        ("ACT101", "hidden / total"),
        ("ACT102", "tf.math.log(x)"),
    )),
    Case("functional_model_in_a_script", HEADER + """\
from tensorflow.keras.layers import Dense

inputs = keras.Input(shape=(8,))
features = Dense(16, activation="relu")(inputs)
length = tf.sqrt(tf.reduce_sum(tf.square(features), axis=1, keepdims=True))
unused = tf.math.log(features)
model = keras.Model(inputs=inputs, outputs=[features / length])
""", (("ACT101", "features / length"),)),
    Case("layer_at_module_level_on_several_paths", """\
import tensorflow as tf
from tensorflow.keras import layers

class Position(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.table = tf.cast(tf.range(width), tf.float32)

    def call(self, inputs, training):
        total = inputs + self.table[:4]
        if training:
            total = total / tf.reduce_sum(total)
        return total

position = Position(8)
optimizer = tf.keras.optimizers.Adam()

@tf.function
def train_step(x, y, flag, model):
    with tf.GradientTape() as tape:
        hidden = model(x)
        if flag:
            hidden = hidden * 2.0
        out = position(hidden, flag)
        loss = tf.reduce_mean(tf.square(y - out))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""", (("ACT101", "total / tf.reduce_sum(total)"),)),
    Case("numpy_of_tensorflow", HEADER + """\
import tensorflow.experimental.numpy as tnp

def entropy_loss(y_true, y_pred):
    return -tnp.mean(y_true * tnp.log(y_pred), axis=-1, keepdims=True)

def safe_loss(y_true, y_pred):
    return -tnp.sum(a=y_true * tnp.log(tnp.clip(y_pred, 1e-7, 1.0)))
""", (("ACT103", "tnp.log(y_pred)"),)),
    Case("divisor_that_is_0", HEADER + """\
def naught_loss(y_true, y_pred, smooth=0.0):
    error = tf.square(y_true - y_pred)
    return error / 0 + tf.divide(error, smooth) + error / 2
""", (("ACT101", "error / 0"), ("ACT101", "tf.divide(error, smooth)"))),
    Case("product_of_three_tensors", HEADER + """\
def weighted_loss(y_true, y_pred, weights):
    return tf.reduce_mean(1.0 / tf.einsum("bi,bi,i->b", y_true, y_pred, weights))
""", (("ACT101", '1.0 / tf.einsum("bi,bi,i->b", y_true, y_pred, weights)'),)),
    Case("generator", HEADER + """\
def pieces(y_true, y_pred):
    yield tf.math.log(y_pred)
    yield from [y_true / y_pred]

def yielded_loss(y_true, y_pred):
    return tf.add_n(list(pieces(y_true, y_pred)))
""", (("ACT103", "tf.math.log(y_pred)"), ("ACT101", "y_true / y_pred"))),
    Case("loop_over_a_generator", HEADER + """\
def pieces(y_true, y_pred):
    for power in (1.0, 2.0):
        yield y_true / y_pred * power

def yielded_loss(y_true, y_pred):
    total = 0.0
    for piece in pieces(y_true, y_pred):
        total += piece
    return total
""", (("ACT101", "y_true / y_pred"),)),
    Case("a_loss_that_is_a_generator_is_none", HEADER + """\
def batch_loss(y_true, y_pred):
    while True:
        yield y_true / y_pred
"""),
    Case("context_manager", HEADER + """\
import contextlib

@contextlib.contextmanager
def scaled(x):
    yield x * 2.0

def scaled_loss(y_true, y_pred):
    with scaled(y_pred) as double:
        return y_true / double
""", (("ACT101", "y_true / double"),)),
)  # fmt: skip

CASES = (*SCRIPTS, *FLOW)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
