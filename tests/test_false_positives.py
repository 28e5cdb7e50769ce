"""Code that looks like a defect and is none: each case stood in real public code."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.source import SourceFile

SILENT = {
    "settings of a Lambda layer": (
        "model.py",
        """\
import numpy as np
from tensorflow.keras import layers

mean, spread = np.random.random((8,)), np.abs(np.random.random((8,))) + 1e-5
scale = layers.Lambda(
    lambda image, mu, std: (image - mu) / std, arguments={"mu": mean, "std": spread}
)
""",
    ),
    "a metric that is kept in an attribute": (
        "trainer.py",
        """\
from tensorflow.keras import backend as K


def bias(y_true, y_pred):
    return K.mean(y_true - y_pred, axis=-1)


class Trainer:
    def __init__(self, metrics=None):
        self.metrics = [bias] if not metrics else metrics

    def train(self, model):
        model.compile(optimizer="adam", loss="mse", metrics=self.metrics)
""",
    ),
    "a pooled value stays above what it was pooled from": (
        "pooling.py",
        """import tensorflow as tf
from tensorflow.keras import layers


class PowerMean(layers.Layer):
    def __init__(self, power=3.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power
        self.pool = layers.GlobalAveragePooling1D()
        self.join = layers.Multiply()

    def call(self, inputs):
        positive = inputs - tf.reduce_min(inputs) + 1.0
        pooled = self.pool(positive**self.power)
        return self.join([pooled ** (1.0 / self.power), tf.sqrt(pooled)])
""",
    ),
    "positional logits and targets of TensorFlow 0.x": (
        "train.py",
        """import tensorflow as tf

x = tf.placeholder(tf.float32, [None, 4])
target = tf.placeholder(tf.float32, [None, 3])
logits = tf.matmul(x, tf.Variable(tf.zeros([4, 3])))
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits, target))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
    ),
    "a trained scale that starts small": (
        "scale.py",
        """import tensorflow as tf


class Scaled(tf.keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(
            name="scale", shape=(), initializer=tf.keras.initializers.Constant(2.66)
        )

    def call(self, inputs):
        return tf.tanh(inputs) * tf.exp(self.scale)
""",
    ),
    "accuracy of a script": (
        "train.py",
        """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
w = tf.Variable(tf.random_normal([4, 3]))
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=logits))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
hit = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
accuracy = tf.reduce_mean(tf.cast(hit, tf.float32))
unit = w / tf.sqrt(tf.reduce_sum(tf.square(w), 1, keepdims=True))
with tf.Session() as session:
    print(session.run([loss, accuracy, unit], feed_dict={}))
""",
    ),
    "scores in a module of losses": (
        "losses.py",
        """\
from tensorflow.keras import backend as K


def dice_coef(y_true, y_pred):
    return (2.0 * K.sum(y_true * y_pred) + 1.0) / (K.sum(y_true) + K.sum(y_pred) + 1.0)


def sensitivity(y_true, y_pred):
    return K.sum(K.round(y_true * y_pred)) / (K.sum(y_true) + K.epsilon())


def tversky(y_true, y_pred):
    return (K.sum(y_true * y_pred) + 1.0) / (K.sum(y_true) + 0.3 * K.sum(y_pred) + 1.0)


def tversky_loss(y_true, y_pred):
    return 1.0 - tversky(y_true, y_pred)
""",
    ),
    "helpers of a loss": (
        "losses.py",
        """\
import tensorflow as tf


def flatten_scores(scores, labels):
    return tf.reshape(labels, (-1,)), tf.reshape(scores, (-1,))


def rows_loss(y_true, y_pred):
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(error) if tf.size(error) > 0 else tf.constant(0.0)
""",
    ),
    "a target that is detached beside a prediction that is not": (
        "siamese.py",
        """\
import tensorflow as tf


class Siamese(tf.keras.Model):
    def train_step(self, data):
        with tf.GradientTape() as tape:
            z, p = self.encoder(data), self.predictor(data)
            loss = self.distance(tf.stop_gradient(z), p)
        return tape.gradient(loss, self.trainable_variables)
""",
    ),
    "a condition of constants that does not hold": (
        "pooling.py",
        """\
import tensorflow as tf


class Pool(tf.keras.layers.Layer):
    def __init__(self, p=3.0):
        super().__init__()
        self.p = p

    def call(self, inputs):
        if tf.abs(self.p) < 1e-5:
            return tf.math.log(inputs)
        return inputs * self.p
""",
    ),
    "a count that only settings decide": (
        "step.py",
        """\
import numpy as np
import tensorflow as tf
from settings import d_model


def train_step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(x)) * (1.0 / np.float32(d_model))
    return tape.gradient(loss, x)
""",
    ),
    "the registered gain of a ranking metric": (
        "gains.py",
        """\
import tensorflow as tf


@tf.keras.utils.register_keras_serializable()
def discount(rank):
    return 1.0 / tf.math.log1p(rank)
""",
    ),
    "rows of probabilities normalised as Keras does": (
        "losses.py",
        """\
from tensorflow.keras import backend as K


def weighted_crossentropy(y_true, y_pred):
    y_pred /= K.sum(y_pred, axis=-1, keepdims=True)
    y_pred = K.clip(y_pred, K.epsilon(), 1 - K.epsilon())
    return -K.sum(y_true * K.log(y_pred), axis=-1)
""",
    ),
    "a layer that counts beside what it passes on": (
        "layers.py",
        """\
import tensorflow as tf


class Voxels(tf.keras.layers.Layer):
    def call(self, points):
        index = tf.floor(points / 0.5)
        return points - (index * 0.5 + 0.25)
""",
    ),
    "a report of scores in a module of losses": (
        "eval_loss.py",
        """\
import tensorflow as tf


def compare_models(predictions, mask, steps):
    scores = {}
    for name, prediction in predictions:
        hits = tf.cast(prediction > 0.5, tf.int32)
        scores[name] = tf.reduce_mean(tf.cast(hits == mask, tf.float32))
    return scores
""",
    ),
    "activations by position": (
        "actor.py",
        """\
import tensorflow as tf
import tensorflow.contrib.slim as slim
import tflearn
from tensorflow.keras import layers

s = tf.placeholder(tf.float32, [None, 4])
a = tf.placeholder(tf.int32, [None])
shares = [
    tf.layers.dense(s, 3, tf.nn.softmax),
    tf.layers.dense(inputs=s, units=3, activation=tf.nn.softmax),
    tf.contrib.layers.fully_connected(s, 3, tf.nn.softmax),
    slim.fully_connected(s, 3, tf.nn.softmax),
    tflearn.fully_connected(s, 3, "softmax"),
    layers.Dense(3, "softmax")(s),
    layers.Conv1D(3, 1, 1, "same", "channels_last", 1, 1, "sigmoid")(s),
    layers.Conv1D(3, 1, 1, "same", "channels_last", 1, "sigmoid")(s),
]
log_prob = [tf.reduce_sum(tf.log(p + 1e-5) * tf.one_hot(a, 3), axis=1) for p in shares]
train_op = tf.train.AdamOptimizer(1e-3).minimize(-tf.reduce_mean(tf.add_n(log_prob)))
""",
    ),
    "ops with a gradient of the user's": (
        "binary.py",
        """\
import tensorflow as tf


@tf.RegisterGradient("PassThrough")
def pass_through(op, grad):
    return grad


x = tf.placeholder(tf.float32, [None, 4])
w = tf.get_variable("w", [4, 1])
graph = tf.get_default_graph()
with graph.gradient_override_map({"Sign": "Identity"}):
    bits = tf.sign(tf.matmul(x, w))
with tf.get_default_graph().gradient_override_map({"PyFunc": "PassThrough"}):
    found = tf.py_func(lambda v: v, [bits], tf.float32)
tf.train.AdamOptimizer().minimize(tf.reduce_mean(tf.square(found)))
""",
    ),
    "sizes and counts of what is trained on": (
        "style.py",
        """\
import tensorflow as tf


def content_layer_loss(p, x):
    _, h, w, d = p.get_shape()
    scale = 1.0 / (2.0 * d.value**0.5 * (h.value * w.value) ** 0.5)
    return scale * tf.reduce_sum(tf.pow(x - p, 2))


def stylize(sess, layers, images):
    net = {"a": tf.Variable(tf.zeros([1, 3, 3, 2]))}
    loss = 0.0
    for layer in layers:
        p = tf.convert_to_tensor(sess.run(net[layer]))
        loss += content_layer_loss(p, net[layer])
    for image in images:
        loss += tf.reduce_sum(tf.square(image - net["a"])) / float(image.size)
    loss /= float(len(images))
    tf.train.AdamOptimizer().minimize(loss)
""",
    ),
}


# What the worker has to see.
REFUTED = {
    "what a model of known layers ends in": (
        "pooling.py",
        """\
import tensorflow as tf
from tensorflow.keras import Sequential
from tensorflow.keras.layers import Dense


class Pool(tf.keras.layers.Layer):
    def __init__(self, clusters, hidden=None, **kwargs):
        super().__init__(**kwargs)
        self.clusters = clusters
        self.hidden = hidden if hidden else []

    def build(self, shape):
        inner = [Dense(width, "relu") for width in self.hidden]
        self.mlp = Sequential(inner + [Dense(self.clusters, "softmax")])
        super().build(shape)

    def call(self, inputs):
        shares = self.mlp(inputs)
        return shares / tf.norm(shares, axis=-1, keepdims=True)
""",
    ),
    "labels with a column more than predictions": (
        "anchors.py",
        """\
import tensorflow as tf
from tensorflow import keras


def focal(y_true, y_pred):
    labels = y_true[:, :, :-1]
    state = y_true[:, :, -1]
    weight = tf.where(keras.backend.greater(labels, 0.5), 1 - y_pred, y_pred) ** 2.0
    loss = tf.reduce_mean(weight * keras.backend.binary_crossentropy(labels, y_pred), -1)
    return keras.backend.mean(loss * tf.cast(tf.not_equal(state, -1), tf.float32))
""",
    ),
    "labels with a column more, gathered": (
        "gathered.py",
        """\
import tensorflow as tf
from tensorflow import keras


def focal(y_true, y_pred):
    indices = tf.where(keras.backend.not_equal(y_true[:, :, -1], -1))
    labels = tf.gather_nd(y_true[:, :, :-1], indices)
    found = tf.gather_nd(y_pred, indices)
    return keras.backend.mean(keras.backend.binary_crossentropy(labels, found))
""",
    ),
    "rows of labels that have a weight for each class": (
        "weighted_losses.py",
        """\
from typing import List, Union

import numpy as np
from tensorflow.keras import backend as K


def overlap_loss(class_weights: Union[List[float], np.ndarray]):
    def loss(y_true, y_pred):
        shared = K.sum(class_weights * y_true * y_pred)
        return 1.0 - 2.0 * shared / K.sum(class_weights * (y_true + y_pred))

    return loss
""",
    ),
    "sampling, whose result float32 cannot hold for a huge variance": (
        "vae.py",
        """\
import tensorflow as tf


class Sampling(tf.keras.layers.Layer):
    def call(self, inputs):
        mean, log_var = inputs
        noise = tf.random.normal(tf.shape(mean))
        return mean + tf.exp(0.5 * log_var) * noise
""",
    ),
    "distances in magnitudes": (
        "stars.py",
        """\
from keras import ops
from keras.layers import Lambda

flux = Lambda(lambda mag: ops.power(10.0, ops.multiply(-0.2, mag)))
""",
    ),
    "a Tanimoto loss, which no logits are meant for": (
        "losses.py",
        """\
from tensorflow.keras import backend as K


def tanimoto_loss(y_true, y_pred):
    shared = K.sum(y_true * y_pred)
    rest = K.sum(y_true**2 + y_pred**2 - y_true * y_pred)
    return 1.0 - (shared + 1e-3) / (rest + 1e-3)
""",
    ),
    "a loss of the first two classes only": (
        "two_classes_losses.py",
        """\
from tensorflow.keras import backend as K
import tensorflow as tf


def focal_tversky_loss(y_true, y_pred):
    y_pred = K.clip(y_pred, K.epsilon(), 1.0 - K.epsilon())
    right = K.sum(y_true * y_pred, axis=[1, 2])
    missed = K.sum(y_true * (1 - y_pred), axis=[1, 2])
    wrong = K.sum((1 - y_true) * y_pred, axis=[1, 2])
    dice = (right + 1e-3) / (right + 0.7 * missed + 0.3 * wrong + 1e-3)
    return K.mean(tf.stack([1 - dice[:, 0], 1 - dice[:, 1]], axis=-1))
""",
    ),
    "densities and shares of a distribution": (
        "ratio.py",
        """\
import tensorflow as tf
import tensorflow_probability as tfp

s = tf.placeholder(tf.float32, [None, 4])
a = tf.placeholder(tf.float32, [None, 1])
pi = tf.distributions.Normal(tf.layers.dense(s, 1), 0.1 + tf.layers.dense(s, 1, tf.nn.softplus))
old = tfp.distributions.Normal(loc=tf.layers.dense(s, 1), scale=1.0)
coin = tfp.distributions.Bernoulli(logits=tf.layers.dense(s, 1))
ratio = pi.prob(a) / (old.prob(a) + 1e-5)
inside = tf.log(old.cdf(a) + 1e-5)
outside = tf.log(1.0 + 1e-5 - coin.prob(a)) + tf.sqrt(0.1 - coin.log_prob(a))
loss = -tf.reduce_mean(ratio + inside + outside)
train_op = tf.train.AdamOptimizer(1e-3).minimize(loss)
""",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_is_silent(name: str) -> None:
    path, text = SILENT[name]
    result = lint([SourceFile(path, text)], Options(confirm=False))
    assert not result.errors
    assert [f"{f.code} {f.site.text}" for f in result.findings] == []


def test_the_worker_refutes_them() -> None:
    result = lint([SourceFile(path, text) for path, text in REFUTED.values()], Options())
    assert not result.errors
    assert [f"{f.code} {f.site.text}" for f in result.findings] == []


def test_functions_that_call_one_another_end() -> None:
    body = "".join(f"    if x[{n}] > 0:\n        b(x)\n        a(x)\n" for n in range(6))
    text = (
        f"import tensorflow as tf\n\n\ndef a(x):\n{body}    return x\n\n\n"
        f"def b(x):\n{body}    return x\n\n\n"
        "def loop_loss(y_true, y_pred):\n    return a(y_pred)\n"
    )
    result = lint([SourceFile("loops.py", text)], Options(confirm=False))
    assert result.summary.confirmed == 0
