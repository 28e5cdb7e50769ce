"""ACT506: labels of a loss that are trained along with the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Remedy,
    Rule,
    Safety,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import shown
from ._remedies import argument
from ._trained_labels import bootstrapped, other_outputs, own_labels


class LabelGetsGradient(Rule):
    """Labels of a loss that are trained along with the prediction.

    ## What it does
    Reports labels that a gradient of the loss moves although they are targets: soft or sharpened
    labels that are made of the prediction itself, such as `tf.nn.softmax(logits / 0.5)`; outputs of
    the network that is trained as the labels of a cross-entropy or divergence for its other
    outputs; and the target of a temporal difference, a reward plus what the same network says of
    the next state. What is trained is read off from the sources of `tape.gradient`, what the tape
    records from its `with` block.

    ## Why is this bad?
    A loss can be made small in two ways then: the prediction comes nearer the label, or the label
    comes nearer the prediction. `tf.nn.softmax_cross_entropy_with_logits` of TensorFlow 2 hands a
    gradient to its labels, that of TensorFlow 1 did not. Consistency losses collapse to a constant
    output, and values of states drift towards those of the states before them.

    ## How it is confirmed
    actlint takes the gradient as it stands, and again with the label held fixed: they differ. A
    label that is a line in the prediction, which makes the loss an entropy, is left alone.

    ## Example
    ```python
    def train_step(model, optimizer, x, weak):
        with tf.GradientTape() as tape:
            labels = tf.nn.softmax(model(weak))
            loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    ```

    ## Use instead
    ```python
    def train_step(model, optimizer, x, weak):
        with tf.GradientTape() as tape:
            labels = tf.stop_gradient(tf.nn.softmax(model(weak)))
            loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    ```

    ## Fix safety
    Stopping the gradient is unsafe: the network is trained in another way, the one that is meant.

    ## What it misses
    Targets of distances, as in siamese networks, where both sides may be trained; divergences
    taken in both directions; hand-written cross-entropies; graphs of TensorFlow 1, and steps that
    differentiate by variables that are listed elsewhere.

    ## References
    Mnih et al., 2015: Human-level control through deep reinforcement learning, on fixed targets.
    Miyato et al., 2018: Virtual Adversarial Training. Baird, 1995: Residual Algorithms, on what
    the full gradient does. TensorFlow API: tf.nn.softmax_cross_entropy_with_logits.
    """

    code: ClassVar[str] = "ACT506"
    name: ClassVar[str] = "label-gets-gradient"
    hint: ClassVar[str] = (
        "Hold the label fixed with tf.stop_gradient, or compute it before the tape records"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT501",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield labels that differentiably depend on what is trained."""
        seen = set[int]()
        for pair, why in (*own_labels(view), *other_outputs(view), *bootstrapped(view)):
            if pair.label.id in seen or not view.on_gradient_path(pair.label):
                continue
            seen.add(pair.label.id)
            yield Suspect(
                code=self.code,
                node=pair.label.id,
                message=f"{shown(pair.label)} is the label of {shown(pair.prediction)}, but {why}, "
                "so that a gradient moves the label, too",
                check=Check.HELD_LABEL,
                targets=(Target(pair.prediction.id, 0.0, 1.0),),
                severity=Severity.WARNING,
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Stop the gradient where the loss reads the label."""
        label = view.node(suspect.node)
        for user in view.users(label):
            if suspect.targets[0].node in user.operands:
                yield argument(
                    user,
                    label,
                    "tf.stop_gradient({x})",
                    "Hold the label fixed with tf.stop_gradient",
                    "no gradient comes through the label any more",
                    safety=Safety.UNSAFE,
                )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def train_step(model, optimizer, x, weak):
    with tf.GradientTape() as tape:
        labels = tf.stop_gradient(tf.nn.softmax(model(weak)))
        loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Agent:
    def learn(self, states, actions, rewards, following):
        best = tf.reduce_max(self.network(following), axis=-1)
        target = rewards + 0.99 * best
        with tf.GradientTape() as tape:
            chosen = tf.one_hot(actions, 4) * self.network(states)
            loss = tf.keras.losses.mse(target, tf.reduce_sum(chosen, axis=-1))
        gradients = tape.gradient(loss, self.network.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.network.trainable_variables))
""",
            note="no tape records how the target is computed",
        ),
        Good(
            """\
import tensorflow as tf


def distil(student, teacher, optimizer, x, temperature=4.0):
    with tf.GradientTape() as tape:
        soft = tf.nn.softmax(teacher(x) / temperature)
        loss = tf.keras.losses.kl_divergence(soft, tf.nn.softmax(student(x) / temperature))
    gradients = tape.gradient(loss, student.trainable_variables)
    optimizer.apply_gradients(zip(gradients, student.trainable_variables))
""",
            note="the teacher's variables are not differentiated by",
        ),
        Good(
            """\
import tensorflow as tf


def minimum_entropy_loss(y_true, logits):
    fit = tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=logits)
    own = tf.nn.softmax(logits)
    entropy = tf.nn.softmax_cross_entropy_with_logits(labels=own, logits=logits)
    return tf.reduce_mean(fit + 0.1 * entropy)
""",
            note="the entropy of a prediction is its cross-entropy with itself",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.losses import kl_divergence


def drop_step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        one, two = model(x, training=True), model(x + 0.0, training=True)
        p, q = tf.nn.softmax(one), tf.nn.softmax(two)
        fit = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=one)
        loss = fit + kl_divergence(p, q) + kl_divergence(q, p)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="a divergence in both directions trains both sides",
        ),
        Good(
            """\
import tensorflow as tf


def siamese_step(encoder, optimizer, left, right):
    with tf.GradientTape() as tape:
        loss = tf.keras.losses.mse(encoder(left), encoder(right))
    gradients = tape.gradient(loss, encoder.trainable_variables)
    optimizer.apply_gradients(zip(gradients, encoder.trainable_variables))
""",
            note="two views of one thing are to be alike: both sides are trained",
        ),
        Good(
            """\
import tensorflow as tf


def generator_step(generator, discriminator, optimizer, noise, images):
    with tf.GradientTape() as tape:
        fake, real = discriminator(generator(noise)), discriminator(images)
        loss = tf.keras.losses.mse(real, fake)
    gradients = tape.gradient(loss, generator.trainable_variables)
    optimizer.apply_gradients(zip(gradients, generator.trainable_variables))
""",
            note="matched features of a discriminator that stands still",
        ),
        Good(
            """\
import tensorflow as tf


def divergence_loss(first_logits, second_logits):
    p, q = tf.nn.softmax(first_logits), tf.nn.softmax(second_logits)
    mean = 0.5 * (p + q)
    kl = tf.keras.losses.kl_divergence
    return tf.reduce_mean(kl(p, mean) + kl(q, mean))
""",
            note="of a mixture both parts are trained",
        ),
        Good(
            """\
import tensorflow as tf


def gradient_loss(model, optimizer, x, f):
    with tf.GradientTape() as tape:
        residual = f + model(x + 0.01) - model(x)
        loss = tf.reduce_mean(tf.square(residual))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="a difference equation holds for both sides",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def train_step(model, optimizer, x, weak):
    with tf.GradientTape() as tape:
        labels = tf.nn.softmax(model(weak))
        loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            at="tf.nn.softmax(model(weak))",
            hazard=Hazard.WRONG_GRADIENT,
            note="consistency of two views, of which one is the label",
        ),
        Bad(
            """\
import tensorflow as tf


class Agent:
    def __init__(self):
        self.network = tf.keras.Sequential([tf.keras.layers.Dense(4)])
        self.optimizer = tf.keras.optimizers.Adam(1e-3)

    @tf.function
    def learn(self, states, actions, rewards, following, done):
        with tf.GradientTape() as tape:
            best = tf.reduce_max(self.network(following), axis=-1)
            target = rewards + 0.99 * (1.0 - done) * best
            values = tf.reduce_sum(self.network(states) * tf.one_hot(actions, 4), axis=-1)
            loss = tf.keras.losses.MeanSquaredError()(target, values)
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
""",
            at="rewards + 0.99 * (1.0 - done) * best",
            hazard=Hazard.WRONG_GRADIENT,
            note="Q-learning whose target moves with the prediction",
        ),
        Bad(
            """\
import tensorflow as tf


class Sharpened(tf.keras.losses.Loss):
    def call(self, y_true, logits):
        fit = tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=logits)
        guess = tf.nn.softmax(logits / 0.5)
        own = tf.nn.softmax_cross_entropy_with_logits(labels=guess, logits=logits)
        return fit + 0.3 * own
""",
            at="tf.nn.softmax(logits / 0.5)",
            hazard=Hazard.WRONG_GRADIENT,
            note="sharpened guesses are labels, not predictions",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import kl_divergence


def clustering_loss(y_true, q):
    weight = K.square(q) / (K.sum(q, axis=0) + 1e-3)
    target = weight / (K.sum(weight, axis=1, keepdims=True) + 1e-3)
    return kl_divergence(y_true, q) + 0.1 * kl_divergence(target, q)
""",
            at="weight / (K.sum(weight, axis=1, keepdims=True) + 1e-3)",
            hazard=Hazard.WRONG_GRADIENT,
            note="the target distribution of deep embedded clustering",
        ),
        Bad(
            """\
import tensorflow as tf


class Virtual(tf.keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            clean = self(x, training=True)
            noisy = self(x + 0.1 * tf.random.normal(tf.shape(x)), training=True)
            fit = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=clean)
            smooth = tf.keras.losses.KLDivergence()(tf.nn.softmax(clean), tf.nn.softmax(noisy))
            loss = tf.reduce_mean(fit) + smooth
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}
""",
            at="tf.nn.softmax(clean)",
            hazard=Hazard.WRONG_GRADIENT,
            note="predictions for clean inputs as labels for noisy ones",
        ),
        Bad(
            """\
import tensorflow as tf


def temporal_difference(network, optimizer, state, reward, following):
    with tf.GradientTape() as tape:
        best = tf.reduce_max(network(following), axis=1, keepdims=True)
        error = reward + 0.9 * best - network(state)
        loss = tf.reduce_mean(tf.square(error))
    gradients = tape.gradient(loss, network.trainable_weights)
    optimizer.apply_gradients(zip(gradients, network.trainable_weights))
""",
            at="reward + 0.9 * best",
            hazard=Hazard.WRONG_GRADIENT,
            note="no known loss, but the largest value of the next state is a target",
        ),
        Bad(
            """\
import tensorflow as tf

optimizer = tf.keras.optimizers.SGD(0.01)


def critic_step(critic, states, rewards, following):
    def critic_loss():
        target = rewards + 0.95 * critic(following)
        return tf.reduce_mean(tf.keras.losses.huber(target, critic(states)))

    optimizer.minimize(critic_loss, var_list=critic.trainable_variables)
""",
            at="rewards + 0.95 * critic(following)",
            hazard=Hazard.WRONG_GRADIENT,
            note="the optimizer's own tape",
        ),
    )
