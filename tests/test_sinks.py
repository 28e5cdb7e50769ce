"""What training minimises, however a program says so: source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding
from actlint.source import SourceFile

from .cases import Case, check, run

NETWORK = """\
import tensorflow as tf
import tensorflow.contrib.slim as slim

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
p = tf.nn.softmax(slim.fully_connected(x, 3, activation_fn=None))
loss = -tf.reduce_mean(tf.reduce_sum(y * tf.log(p), 1))
"""
LOG = (("ACT109", "tf.log(p)"),)

SINKS = {
    "create_train_op_of_slim": "op = slim.learning.create_train_op(loss, optimizer)",
    "create_train_op": "op = tf.contrib.training.create_train_op(total_loss=loss, optimizer=o)",
    "optimize_loss": 'op = tf.contrib.layers.optimize_loss(loss, None, 1e-3, "Adam")',
    "scipy": 'op = tf.contrib.opt.ScipyOptimizerInterface(loss, method="L-BFGS-B")',
    "gradients_by_keyword": "op = tf.gradients(ys=loss, xs=tf.trainable_variables())",
    "total_loss": """\
tf.losses.add_loss(loss)
op = tf.train.AdamOptimizer(1e-3).minimize(tf.losses.get_total_loss())
""",
    "collection": """\
tf.add_to_collection("losses", loss)
total = tf.add_n(tf.get_collection("losses"), name="total")
op = tf.train.AdamOptimizer(1e-3).minimize(total)
""",
    "collection_by_its_key": """\
tf.add_to_collection(tf.GraphKeys.LOSSES, loss)
op = tf.train.AdamOptimizer(1e-3).minimize(tf.add_n(tf.losses.get_losses()))
""",
    "helper": """\
def train(l, rate=1e-3):
    total = l + 1.0
    return tf.train.AdamOptimizer(rate).minimize(total)

op = train(loss)
""",
}

GRADIENT_PENALTY = """\
real = tf.placeholder(tf.float32, [64, 784])
fake = tf.placeholder(tf.float32, [64, 784])
inter = real + tf.random_uniform([64, 1], 0.0, 1.0) * (fake - real)
gradients = tf.gradients(disc(inter), [inter])[0]
"""
DISCRIMINATOR = """\
import tensorflow as tf

def disc(x):
    h = tf.layers.dense(x, 64, tf.nn.relu, name="h")
    return tf.layers.dense(h, 1, name="o")

"""

KERAS_CRITIC = """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Sequential
from keras.optimizers import Adam

net = Sequential([Dense(16, activation="relu", input_shape=(4,)), Dense(1)])
x = Input(shape=(4,))
slope = K.gradients(net(x), [x])[0]
norm = K.sqrt(K.sum(K.square(slope), axis=1))
loss = K.mean(net(x)) + 10 * K.mean(K.square(norm - 1))
"""
KERAS_NORM = (("ACT105", "K.sqrt(K.sum(K.square(slope), axis=1))"),)
UPDATES = {
    "of_keras_1": "updates = Adam(1e-4).get_updates(net.trainable_weights, [], loss)",
    "of_keras_2_0": "updates = Adam(1e-4).get_updates(net.trainable_weights, loss)",
    "of_keras_2": "updates = Adam(1e-4).get_updates(loss, net.trainable_weights)",
    "by_keyword": "updates = Adam(1e-4).get_updates(loss=loss, params=net.trainable_weights)",
    "in_a_helper": """\
def updates_of(weights, total, rate=1e-4):
    return Adam(rate).get_updates(weights, [], total)

updates = updates_of(net.trainable_weights, loss)
""",
}

CASES = (
    *(
        Case(f"updates_{name}", f"{KERAS_CRITIC}{text}\ntrain = K.function([x], [loss], updates)\n",
             KERAS_NORM)
        for name, text in UPDATES.items()
    ),
    Case("updates_of_a_method", """\
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model

class Actor:
    def __init__(self, rate):
        state = Input(shape=(8,))
        self.model = Model(inputs=[state], outputs=[Dense(4, activation="softmax")(state)])
        self.chosen = K.placeholder(shape=(None, 4))
        self.advantage = K.placeholder(shape=(None,))
        self.rate = rate

    def optimizer(self, opt):
        p = K.sum(self.chosen * self.model.output, axis=1)
        loss = -K.sum(K.log(p) * K.stop_gradient(self.advantage))
        updates = opt.get_updates(params=self.model.trainable_weights, loss=loss)
        return K.function([self.model.input, self.chosen, self.advantage], [], updates=updates)
""", (("ACT109", "K.log(p)"),)),
    Case("updates_with_a_constant", KERAS_CRITIC.replace("axis=1)", "axis=1) + 1e-12") + """\
train = K.function([x], [loss], Adam(1e-4).get_updates(net.trainable_weights, [], loss))
"""),
    Case("updates_of_an_optimizer_class", """\
import keras.backend as K
from keras.optimizers import Optimizer

class Wrapped(Optimizer):
    def get_updates(self, params, loss):
        grads = self.optimizer.get_gradients(loss, params)
        self.norms = [K.sqrt(K.sum(K.square(g))) for g in grads]
        return self.optimizer.get_updates(params=params, loss=loss)
"""),
    *(Case(name, NETWORK + text, LOG) for name, text in SINKS.items()),
    Case("losses_of_the_graph", """\
import tensorflow as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 3])
tf.losses.mean_squared_error(y, tf.sqrt(tf.abs(tf.layers.dense(x, 3))))
tf.train.AdamOptimizer(1e-3).minimize(tf.losses.get_total_loss())
""", (("ACT104", "tf.sqrt(tf.abs(tf.layers.dense(x, 3)))"),)),
    Case("estimator", """\
import tensorflow as tf

def model_fn(features, labels, mode, params):
    p = tf.nn.softmax(tf.layers.dense(features["x"], 3))
    loss = -tf.reduce_mean(tf.reduce_sum(tf.one_hot(labels, 3) * tf.log(p), 1))
    return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=params["train"](loss))
""", LOG),
    Case("method_of_a_base_class", """\
import tensorflow as tf

class Base(object):
    def add_train_op(self, lr, loss):
        self.train_op = tf.train.AdamOptimizer(lr).minimize(loss)

class Model(Base):
    def build(self):
        self.x = tf.placeholder(tf.float32, [None, 4])
        self.p = tf.nn.softmax(tf.layers.dense(self.x, 3))
        self.loss = -tf.reduce_mean(tf.log(self.p))
        self.add_train_op(1e-3, self.loss)
""", (("ACT109", "tf.log(self.p)"),)),
    Case("a_test_that_trains", """\
import tensorflow as tf

def test_mnist():
    x = tf.placeholder(tf.float32, [None, 784])
    y = tf.placeholder(tf.float32, [None, 10])
    p = tf.nn.softmax(tf.matmul(x, tf.get_variable("w", [784, 10])))
    tf.train.AdamOptimizer().minimize(-tf.reduce_sum(y * tf.log(p)))
""", LOG),
    Case("scores_as_logits", """\
import tensorflow as tf

state = tf.placeholder(tf.float32, [1, 8])
weights = tf.reshape(tf.matmul(state, tf.Variable(tf.ones([8, 4]))), [4])
reward = tf.placeholder(tf.float32, [1])
action = tf.placeholder(tf.int32, [1])
chosen = tf.slice(tf.nn.softmax(weights), action, [1])
update = tf.train.AdamOptimizer(1e-3).minimize(-tf.log(chosen) * reward)
""", (("ACT109", "tf.log(chosen)"),)),
    Case("gradient_penalty", DISCRIMINATOR + GRADIENT_PENALTY + """\
slopes = tf.sqrt(tf.reduce_sum(tf.square(gradients), reduction_indices=[1]))
cost = tf.reduce_mean(disc(fake)) - tf.reduce_mean(disc(real))
cost += 10 * tf.reduce_mean((slopes - 1.0) ** 2)
step = tf.train.AdamOptimizer(1e-4).minimize(cost)
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(gradients), reduction_indices=[1]))"),)),
    Case("gradient_penalty_with_a_constant", DISCRIMINATOR + GRADIENT_PENALTY + """\
slopes = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=1) + 1e-12)
cost = tf.reduce_mean(disc(fake)) - tf.reduce_mean(disc(real))
step = tf.train.AdamOptimizer(1e-4).minimize(cost + tf.reduce_mean((slopes - 1.0) ** 2))
"""),
    Case("gradient_penalty_of_a_tape", """\
import tensorflow as tf

critic = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
opt = tf.keras.optimizers.Adam()

@tf.function
def train_step(real, fake):
    with tf.GradientTape() as tape:
        inter = 0.5 * real + 0.5 * fake
        with tf.GradientTape() as inner:
            inner.watch(inter)
            pred = critic(inter, training=True)
        norm = tf.norm(inner.gradient(pred, inter), axis=1)
        loss = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real))
        loss += 10.0 * tf.reduce_mean((norm - 1.0) ** 2)
    g = tape.gradient(loss, critic.trainable_variables)
    opt.apply_gradients(zip(g, critic.trainable_variables))
    return loss
""", (("ACT105", "tf.norm(inner.gradient(pred, inter), axis=1)"),)),
    Case("sign_of_a_gradient", """\
import tensorflow as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.int32, [None])

def cost(x):
    z = tf.layers.dense(x, 3, reuse=tf.AUTO_REUSE, name="net")
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=z, labels=y))

clean = cost(x)
step = tf.gradients(clean, x)[0]
tf.train.AdamOptimizer(1e-3).minimize(clean + cost(x + 0.1 * tf.sign(step)))
"""),
    Case("clipped_gradients", """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
opt = tf.keras.optimizers.Adam()

def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    grads = tape.gradient(loss, model.trainable_variables)
    grads = [g / tf.norm(g) if g is not None else g for g in grads]
    opt.apply_gradients(zip(grads, model.trainable_variables))
    return loss, tf.sqrt(tf.reduce_sum([tf.reduce_sum(g * g) for g in grads]))
"""),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])


def test_helpers_of_other_files() -> None:
    files = [
        SourceFile("trainer.py", """\
import tensorflow as tf

def train(loss):
    return tf.train.AdamOptimizer(1e-3).minimize(loss)

class Base:
    def add_train_op(self, loss):
        self.step = tf.train.AdamOptimizer(1e-3).minimize(loss=loss)
"""),
        SourceFile("by_name.py", "from trainer import train\n" + NETWORK + "train(loss)\n"),
        SourceFile("by_module.py", "import trainer\n" + NETWORK + "trainer.train(loss)\n"),
        SourceFile("below.py", """\
import tensorflow as tf
from trainer import Base

class Model(Base):
    def build(self):
        p = tf.nn.softmax(tf.layers.dense(tf.placeholder(tf.float32, [None, 4]), 3))
        self.add_train_op(-tf.reduce_mean(tf.log(p)))
"""),
    ]  # fmt: skip
    result = lint(files, Options(confirm=False))
    found = {(f.site.path, f.code, f.site.text) for f in result.findings}
    assert found == {
        (path, "ACT109", "tf.log(p)") for path in ("by_name.py", "by_module.py", "below.py")
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/toys.py", "def test_step(x):\n{}"),
        ("test_toys.py", "def test_step(x):\n{}"),
        ("toys.py", "class StepCase(tf.test.TestCase):\n  def test_step(self, x):\n{}"),
    ],
)
def test_tests_are_left_alone(path: str, text: str) -> None:
    body = "    tf.train.AdamOptimizer().minimize(tf.log(tf.nn.softmax(tf.layers.dense(x, 3))))\n"
    source = f"import tensorflow as tf\n\n{text.format(body)}"
    result = lint([SourceFile(path, source)], Options(confirm=False))
    assert not result.findings
