"""Distributions by their formulae, and the outputs of Keras models that are called elsewhere."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import Case, check, run

ONE = """\
import tensorflow as tf

state = tf.placeholder(tf.float32, [None, 4])
action = tf.placeholder(tf.float32, [None, 2])
gain = tf.placeholder(tf.float32, [None, 1])
hidden = tf.layers.dense(state, 8, activation=tf.nn.relu)
loc = tf.layers.dense(hidden, 2, activation=tf.nn.tanh)
"""
END = """\
step = tf.train.AdamOptimizer(1e-4).minimize(loss)
"""
TWO = """\
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions
encode = tf.keras.layers.Dense(4)
optimizer = tf.keras.optimizers.Adam()

"""
DISTRIBUTIONS = (
    Case("scale_of_a_relu", ONE + """\
scale = tf.layers.dense(hidden, 2, activation=tf.nn.relu)
policy = tf.distributions.Normal(loc, scale)
loss = -tf.reduce_mean(policy.log_prob(action) * gain)
""" + END, (("ACT101", "policy.log_prob(action)"), ("ACT103", "policy.log_prob(action)"))),
    Case("entropy_of_a_softplus", ONE + """\
scale = tf.layers.dense(hidden, 2, activation=tf.nn.softplus)
policy = tf.contrib.distributions.Normal(mu=loc, sigma=scale)
loss = -tf.reduce_mean(policy.entropy())
""" + END, (("ACT103", "policy.entropy()"),)),
    Case("scale_with_a_floor", ONE + """\
scale = tf.layers.dense(hidden, 2, activation=tf.nn.softplus) + 1e-2
policy = tf.distributions.Normal(loc, scale)
loss = -tf.reduce_mean(policy.log_prob(action) * gain + 0.01 * policy.entropy())
""" + END),
    Case("choice_by_logits", ONE + """\
policy = tf.distributions.Categorical(logits=tf.layers.dense(hidden, 3))
taken = tf.placeholder(tf.int32, [None])
loss = -tf.reduce_mean(policy.log_prob(taken) * gain[:, 0] + 0.01 * policy.entropy())
""" + END),
    Case("choice_by_shares", ONE + """\
policy = tf.distributions.Categorical(probs=tf.layers.dense(hidden, 3, activation=tf.nn.softmax))
taken = tf.placeholder(tf.int32, [None])
loss = -tf.reduce_mean(policy.log_prob(taken) * gain[:, 0])
""" + END, (("ACT109", "policy.log_prob(taken)"),)),
    Case("events_by_logits", ONE + """\
decoder = tf.contrib.distributions.Bernoulli(logits=tf.layers.dense(hidden, 4))
loss = -tf.reduce_mean(tf.reduce_sum(decoder.log_prob(state), 1))
""" + END),
    Case("divergence_from_a_prior", TWO + """\
def train_step(images):
    with tf.GradientTape() as tape:
        loc, scale = tf.split(encode(images), num_or_size_splits=2, axis=1)
        posterior = tfd.MultivariateNormalDiag(loc=loc, scale_diag=scale)
        prior = tfd.MultivariateNormalDiag(loc=[0.0] * 2, scale_diag=[1.0] * 2)
        loss = tf.reduce_mean(tfd.kl_divergence(posterior, prior))
    gradients = tape.gradient(loss, encode.trainable_variables)
    optimizer.apply_gradients(zip(gradients, encode.trainable_variables))
""", (("ACT103", "tfd.kl_divergence(posterior, prior)"),)),
    Case("divergence_of_a_positive_scale", TWO + """\
def train_step(images):
    with tf.GradientTape() as tape:
        loc, scale = tf.split(encode(images), num_or_size_splits=2, axis=1)
        posterior = tfd.Normal(loc, 1e-2 + tf.nn.softplus(scale))
        code = posterior.sample()
        loss = tf.reduce_mean(tfd.kl_divergence(posterior, tfd.Normal(0.0, 1.0)))
        loss += tf.reduce_mean(tf.square(code))
    gradients = tape.gradient(loss, encode.trainable_variables)
    optimizer.apply_gradients(zip(gradients, encode.trainable_variables))
"""),
)  # fmt: skip

ACTOR = """\
import tensorflow as tf
from keras.layers import Dense, Input
from keras.models import Model, Sequential

class Brain:
    def __init__(self):
        self.model = self._build()
        self._train(self.model)

    def _build(self):
        state = Input(batch_shape=(None, 4))
        hidden = Dense(16, activation="relu")(state)
        return Model(inputs=[state], outputs=[{policy}(hidden), Dense(1)(hidden)])

    def _train(self, model):
        state = tf.placeholder(tf.float32, (None, 4))
        action = tf.placeholder(tf.float32, (None, 2))
        gain = tf.placeholder(tf.float32, (None, 1))
        policy, value = model(state)
        log_prob = tf.log(tf.reduce_sum(policy * action, axis=1, keep_dims=True){guard})
        loss = tf.reduce_mean(-log_prob * gain + tf.square(gain - value))
        tf.train.RMSPropOptimizer(5e-3).minimize(loss)
"""
PICKED = "tf.log(tf.reduce_sum(policy * action, axis=1, keep_dims=True))"
MODELS = (
    Case("shares_that_a_model_gives", ACTOR.format(
        policy='Dense(2, activation="softmax")', guard=" + 1e-10"
    )),
    Case("shares_that_a_model_gives_without_a_guard", ACTOR.format(
        policy='Dense(2, activation="softmax")', guard=""
    ), (("ACT109", PICKED),)),
    Case("sequential_of_another_function", """\
import tensorflow as tf

def make():
    model = tf.keras.Sequential()
    model.add(tf.keras.layers.Dense(8, activation="relu"))
    model.add(tf.keras.layers.Dense(3, activation="sigmoid"))
    return model

net = make()
optimizer = tf.keras.optimizers.Adam()

def train_step(images, labels):
    with tf.GradientTape() as tape:
        scores = net(images)
        loss = tf.reduce_mean(tf.sqrt(scores + 1e-3))
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""),
    Case("two_calls_of_one_model", """\
import tensorflow as tf
from tensorflow.keras import Model, layers

def critic():
    images = layers.Input((4,))
    return Model(images, layers.Dense(1)(images))

net = critic()
optimizer = tf.keras.optimizers.Adam()

def train_step(real, fake):
    with tf.GradientTape() as tape:
        first, second = net(real), net(fake)
        loss = tf.reduce_mean(second - first)
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""),
    Case("last_output_of_a_static_rnn", """\
import tensorflow as tf

words = tf.placeholder(tf.float32, [None, 5, 3])
cell = tf.nn.rnn_cell.BasicLSTMCell(8)
outputs, _ = tf.nn.static_rnn(cell, tf.unstack(words, axis=1), dtype=tf.float32)
loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(outputs[-1]), 1)))
step = tf.train.AdamOptimizer(1e-3).minimize(loss)
""", (("ACT105", "tf.sqrt(tf.reduce_sum(tf.square(outputs[-1]), 1))"),)),
    Case("unknown_number_of_actions", """\
import tensorflow as tf
import tensorflow.contrib.slim as slim

class Agent(object):
    def __init__(self, inputs, actions):
        state = tf.placeholder(tf.float32, [None, inputs])
        policy = slim.fully_connected(state, actions, activation_fn=tf.nn.softmax)
        taken = tf.placeholder(tf.int32, [None])
        gain = tf.placeholder(tf.float32, [None])
        chosen = tf.reduce_sum(policy * tf.one_hot(taken, actions, dtype=tf.float32), [1])
        loss = -tf.reduce_sum(tf.log(chosen) * gain)
        self.step = tf.train.AdamOptimizer(1e-4).minimize(loss)
""", (("ACT109", "tf.log(chosen)"),)),
)  # fmt: skip
CASES = (*DISTRIBUTIONS, *MODELS)


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
