"""Source text in, findings out: the ways people write activations and losses.

Each case names the exact culprit text and code, or nothing for code that must stay silent. All
cases are linted in one run with one worker.
"""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run


def body(name: str, expression: str, *expected: tuple[str, str]) -> Case:
    return Case(name, f"{HEADER}def my_activation(x):\n    return {expression}\n", expected)


def loss(name: str, expression: str, *expected: tuple[str, str]) -> Case:
    return Case(name, f"{HEADER}def my_loss(y_true, y_pred):\n    return {expression}\n", expected)


SILENT = (
    body("bounded_rational", "x / (1 + tf.abs(x))"),
    loss("guarded_ratio", "tf.reduce_mean(y_true / (tf.abs(y_pred) + 1e-7) - y_true * y_pred)"),
    body("log1p_abs", "tf.math.log1p(tf.abs(x)) * tf.sign(x)"),
    loss("guarded_distance", "tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred)) + 1e-6)"),
    body("shifted_softmax", "tf.exp(x - tf.reduce_max(x, axis=-1, keepdims=True)) / "
         "tf.reduce_sum(tf.exp(x - tf.reduce_max(x, axis=-1, keepdims=True)), axis=-1, "
         "keepdims=True)"),
    loss("clipped_log", "-tf.reduce_mean(y_true * tf.math.log("
         "tf.clip_by_value(y_pred, 1e-7, 1 - 1e-7)))"),
    loss("divided_by_count", "tf.reduce_sum(tf.square(y_true - y_pred)) / "
         "tf.cast(tf.shape(y_pred)[0], tf.float32)"),
    body("double_where", "tf.where(x > 1, 1 + tf.math.log(tf.where(x > 1, x, 1.0)), x)"),
    body("relu", "tf.maximum(x, 0.0)"),
    body("handmade_relu", "x * tf.cast(x > 0, tf.float32)"),
    body("swish", "x * tf.sigmoid(x)"),
    body("gelu", "0.5 * x * (1.0 + tf.math.erf(x / tf.sqrt(2.0)))"),
    body("mish", "x * tf.tanh(tf.math.softplus(x))"),
    loss("mse", "K.mean(K.square(y_pred - y_true), axis=-1)"),
    loss("mae", "tf.reduce_mean(tf.abs(y_true - y_pred))"),
    loss("crossentropy", "keras.losses.categorical_crossentropy(y_true, y_pred)"),
    loss("dice", "1 - (2 * tf.reduce_sum(y_true * y_pred) + 1.0) / "
         "(tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) + 1.0)"),
)  # fmt: skip

FLAGGED = (
    body("shifted_pole", "x / (x + 0.6)", ("ACT101", "x / (x + 0.6)")),
    loss("epsilon_lost", "-tf.reduce_mean((1 - y_true) * tf.math.log("
         "1 - tf.clip_by_value(y_pred, 1e-10, 1 - 1e-10)))",
         ("ACT112", "tf.math.log(1 - tf.clip_by_value(y_pred, 1e-10, 1 - 1e-10))")),
    loss("distance", "tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred)))",
         ("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(y_true - y_pred)))")),
    loss("norm", "tf.norm(y_true - y_pred)", ("ACT105", "tf.norm(y_true - y_pred)")),
    loss("log_softmax", "-tf.reduce_sum(y_true * tf.math.log(tf.nn.softmax(y_pred)))",
         ("ACT109", "tf.math.log(tf.nn.softmax(y_pred))")),
    loss("log_sigmoid", "-tf.reduce_mean(y_true * tf.math.log(tf.sigmoid(y_pred)))",
         ("ACT109", "tf.math.log(tf.sigmoid(y_pred))")),
    body("root", "x ** 0.5", ("ACT106", "x ** 0.5")),
    loss("angle", "tf.reduce_mean(tf.acos(tf.clip_by_value("
         "tf.reduce_sum(y_true * y_pred, axis=-1), -1, 1)))",
         ("ACT107",
          "tf.acos(tf.clip_by_value(tf.reduce_sum(y_true * y_pred, axis=-1), -1, 1))")),
    body("handmade_softmax", "tf.exp(x) / tf.reduce_sum(tf.exp(x), axis=-1, keepdims=True)",
         ("ACT110", "tf.exp(x)")),
    body("handmade_sigmoid", "1 / (1 + tf.exp(-x))", ("ACT108", "tf.exp(-x)")),
)  # fmt: skip

LOG = "tf.math.log(y_pred)"

STYLES = (
    Case("closure", HEADER + """\
def focal(gamma=2.0):
    def loss(y_true, y_pred):
        return -tf.reduce_mean(y_true * tf.math.log(y_pred) * (1 - y_pred) ** gamma)
    return loss

model = keras.Sequential([keras.layers.Dense(3)])
model.compile(loss=focal(2.0), optimizer="sgd")
""", (("ACT103", LOG),)),
    Case("lambda_in_compile", HEADER + """\
model = keras.Sequential([keras.layers.Dense(3)])
model.compile(loss=lambda t, p: tf.reduce_mean(-t * tf.math.log(p)), optimizer="sgd")
""", (("ACT103", "tf.math.log(p)"),)),
    Case("named_lambda", HEADER + """\
square_root = lambda x: tf.sqrt(x)
layer = keras.layers.Dense(3, activation=square_root)
""", (("ACT104", "tf.sqrt(x)"),)),
    Case("decorated", HEADER + """\
@tf.function
def entropy_loss(y_true, y_pred):
    return -tf.reduce_mean(y_true * tf.math.log(y_pred))
""", (("ACT103", LOG),)),
    Case("loss_subclass", HEADER + """\
class Entropy(keras.losses.Loss):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, y_true, y_pred):
        return -self.scale * tf.reduce_mean(y_true * tf.math.log(y_pred), axis=-1)
""", (("ACT103", LOG),)),
    Case("layer_subclass", HEADER + """\
class Ratio(keras.layers.Layer):
    def __init__(self, shift=0.5):
        super().__init__()
        self.shift = shift

    def call(self, inputs):
        return inputs / (inputs + self.shift)
""", (("ACT101", "inputs / (inputs + self.shift)"),)),
    Case("regularizer_subclass", HEADER + """\
class Norm(keras.regularizers.Regularizer):
    def __call__(self, weights):
        return 0.01 * tf.sqrt(tf.reduce_sum(tf.square(weights)))
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(weights)))"),)),
    Case("activation_use", HEADER + """\
def squash(z):
    return z / tf.norm(z)

out = keras.layers.Activation(squash)
""", (("ACT101", "z / tf.norm(z)"),)),
    Case("lambda_layer", HEADER + """\
def spread(z):
    return tf.math.log(z)

out = keras.layers.Lambda(spread)
""", (("ACT103", "tf.math.log(z)"),)),
    Case("add_loss", HEADER + """\
class Penalty(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(inputs), axis=-1))))
        return inputs
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(inputs), axis=-1))"),)),
    Case("tape_step", HEADER + """\
model = keras.Sequential([keras.layers.Dense(3)])
optimizer = keras.optimizers.SGD()

@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        probabilities = tf.nn.softmax(model(images))
        loss = -tf.reduce_mean(labels * tf.math.log(probabilities))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""", (("ACT109", "tf.math.log(probabilities)"),)),
    Case("tf1_script", """\
import tensorflow as tf

x = tf.placeholder(tf.float32, [None, 784])
y_ = tf.placeholder(tf.float32, [None, 10])
W = tf.Variable(tf.zeros([784, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.nn.softmax(tf.matmul(x, W) + b)
cross_entropy = -tf.reduce_sum(y_ * tf.log(y))
train_step = tf.train.GradientDescentOptimizer(0.01).minimize(cross_entropy)
""", (("ACT109", "tf.log(y)"),)),
    Case("tf1_compat_div", """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [None, 2])
w = tf.get_variable("w", shape=[2])
score = tf.div(1.0, tf.reduce_sum(x * w, 1))
tf.train.AdamOptimizer().minimize(tf.reduce_mean(score))
""", (("ACT101", "tf.div(1.0, tf.reduce_sum(x * w, 1))"),)),
    Case("keras_ops", """\
import keras
from keras import ops

@keras.saving.register_keras_serializable()
def log_activation(x):
    return ops.log(x)
""", (("ACT103", "ops.log(x)"),)),
    Case("from_import_alias", """\
from tensorflow.math import log as ln

def entropy_loss(y_true, y_pred):
    return -y_true * ln(y_pred)
""", (("ACT103", "ln(y_pred)"),)),
    Case("backend", HEADER + """\
def entropy_loss(y_true, y_pred):
    return -K.mean(y_true * K.log(y_pred))
""", (("ACT103", "K.log(y_pred)"),)),
    Case("helper_in_file", HEADER + """\
def ratio(a, b):
    return a / b

def share_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs(y_true - ratio(y_pred, tf.reduce_sum(y_pred))))
""", (("ACT101", "a / b"),)),
    Case("augmented", HEADER + """\
def step_activation(x):
    out = x
    out /= x - 1.0
    return out
""", (("ACT101", "out /= x - 1.0"),)),
    Case("argument_order", HEADER + """\
def entropy_loss(y_pred, y_true):
    return -tf.reduce_mean(y_true * tf.math.log(y_pred))
""", (("ACT103", LOG),)),
    Case("local_name_is_not_tf", """\
import tensorflow

class tf:
    @staticmethod
    def log(x):
        return x

def entropy_loss(y_true, y_pred):
    return -tf.log(y_pred) * y_true
"""),
    Case("metric_is_no_loss", HEADER + """\
def accuracy(y_true, y_pred):
    return K.mean(K.cast(K.equal(y_true, K.round(y_pred)), "float32"))

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss="mse", metrics=[accuracy])
"""),
    Case("accuracy_as_loss", HEADER + """\
def accuracy(y_true, y_pred):
    return K.mean(K.cast(K.equal(y_true, K.round(y_pred)), "float32"))

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss=accuracy)
""", (("ACT203", "K.round(y_pred)"),)),
    Case("argmax_of_the_label", HEADER + """\
def sparse_loss(y_true, y_pred):
    return tf.keras.losses.sparse_categorical_crossentropy(tf.argmax(y_true, -1), y_pred)
"""),
    Case("straight_through", HEADER + """\
def binary_activation(x):
    return x + tf.stop_gradient(tf.round(x) - x)
"""),
    Case("unit_step", HEADER + """\
def step(x):
    return tf.where(x > 0, 1.0, 0.0)

layer = keras.layers.Dense(1, activation=step)
""", (("ACT201", "x > 0"),)),
    Case("numpy_in_loss", HEADER + """\
def numpy_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - np.tanh(y_pred)))
""", (("ACT204", "np.tanh(y_pred)"),)),
    Case("stopped", HEADER + """\
def stopped_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - tf.stop_gradient(y_pred)))
""", (("ACT205", "tf.stop_gradient(y_pred)"),)),
    Case("sine", HEADER + """\
def wave(x):
    return tf.sin(x)

layer = keras.layers.Dense(8, activation=wave)
""", (("ACT401", "tf.sin(x)"),)),
    Case("named_in_a_string", HEADER + """\
from elsewhere import wrap

def pieces(a, b):
    return tf.math.log(a) * b

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss=wrap("pieces"))
""", known_miss="a name inside a string is not followed"),
)  # fmt: skip

CASES = (*SILENT, *FLAGGED, *STYLES)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
