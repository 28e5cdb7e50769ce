"""ACT209: a random draw where a gradient has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Good, Hazard, Node, Remedy, Rule, Suspect, View

from ._common import COMPARISON, DRAW, cut, shown
from ._estimators import behind_estimators
from ._remedies import straight_through

_UNIFORM = ("random_stateless_uniform", "random_uniform")
# Steps that make a draw of a uniform number: u < p, sign(p - u), floor(p + u), argmax(z + g).
_STEPS = (
    *COMPARISON,
    "argmax",
    "ceil",
    "floor",
    "keras_argmax",
    "ops_argmax",
    "round",
    "sign",
)

# Draws of 0 and 1, whose mean is the probability.
_BITS = frozenset({*COMPARISON, "floor", "random_bernoulli", "sign"})


class RandomDrawOnGradientPath(Rule):
    """A random draw where a gradient has to pass.

    ## What it does
    Reports draws of categories, of Bernoulli, binomial and Poisson numbers on the way from what is
    trained to what is minimised, and the same written by hand: a uniform number compared with a
    probability, `sign(p - u)`, `floor(p + u)`, `argmax(logits + gumbel)`. Draws of fixed
    probabilities, draws that shift and scale (`mean + deviation * noise`, also as arguments of
    `tf.random.normal`), draws from a gamma distribution, Gumbel-softmax, and straight-through
    estimators are not reported.

    ## Why is this bad?
    A drawn class or bit says nothing of how the draw would change with the probability: TensorFlow
    answers None, and what made the probability is not trained. The loss still moves from step to
    step, because the draws do.

    ## How it is confirmed
    actlint runs the function with a GradientTape and finds that the draw depends on what is
    trained and moves the output, while no gradient comes back through it.

    ## Example
    ```python
    def gate(x):
        p = tf.sigmoid(x)
        return tf.cast(tf.random.uniform(tf.shape(p)) < p, tf.float32)
    ```

    ## Use instead
    ```python
    def gate(x):
        u = tf.random.uniform(tf.shape(x), 1e-6, 1.0 - 1e-6)
        return tf.sigmoid((x + tf.math.log(u) - tf.math.log(1.0 - u)) / 0.5)
    ```

    ## Fix safety
    Unsafe: the value stays, and the gradient is that of the probability: the straight-through
    estimator, which is biased.

    ## What it misses
    Distributions of TensorFlow Probability, and draws that multiply something differentiable, such
    as a dropout mask whose probability is learned.

    ## References
    Kingma and Welling, 2014: Auto-Encoding Variational Bayes. Jang, Gu and Poole, 2017: Categorical
    Reparameterization with Gumbel-Softmax. Williams, 1992: Simple Statistical Gradient-Following
    Algorithms (REINFORCE). Figurnov, Mohamed and Mnih, 2018: Implicit Reparameterization Gradients.
    """

    code: ClassVar[str] = "ACT209"
    name: ClassVar[str] = "random-draw-on-gradient-path"
    hint: ClassVar[str] = (
        "Reparametrise: mean + deviation * tf.random.normal(...), Gumbel-softmax for classes, "
        "p + tf.stop_gradient(draw - p) for bits; or use the score function (REINFORCE)"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT201", "ACT202")

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the draws at which the gradient dies."""
        estimated = behind_estimators(view)
        for node in view.cuts():
            if node.id not in estimated and (node.op in DRAW or _compares_noise(view, node)):
                message = f"{shown(node)} draws at random, and no gradient passes through a draw"
                yield cut(view, self.code, node, message)

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Keep the draw and let the gradient pass to the probability."""
        node = view.node(suspect.node)
        probability = _trained(view, node)
        if probability is not None and probability.op in {"add", "subtract"}:
            probability = _trained(view, probability)
        if probability is not None and node.op in _BITS:
            drawn = view.users(node) if node.op in COMPARISON else (node,)
            for value in drawn:
                yield straight_through(value, value, probability)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Sampling(tf.keras.layers.Layer):
    def call(self, inputs):
        mean, width = inputs
        noise = tf.random.normal(tf.shape(mean))
        return mean + tf.math.softplus(width) * noise
""",
            note="reparametrised",
        ),
        Good(
            """\
import tensorflow as tf


class Sampling(tf.keras.layers.Layer):
    def call(self, inputs):
        mean, deviation = inputs[:, 0], tf.math.softplus(inputs[:, 1])
        return tf.random.normal(tf.shape(mean), mean, deviation)
""",
            note="TensorFlow shifts and scales by itself",
        ),
        Good(
            """\
import tensorflow as tf


class Gumbel(tf.keras.layers.Layer):
    def call(self, inputs):
        uniform = tf.random.uniform(tf.shape(inputs), 1e-6, 1.0 - 1e-6)
        soft = tf.nn.softmax((inputs - tf.math.log(-tf.math.log(uniform))) / 0.5)
        hard = tf.one_hot(tf.argmax(soft, axis=-1), 4)
        return soft + tf.stop_gradient(hard - soft)
""",
            note="Gumbel-softmax with a straight-through choice",
        ),
        Good(
            """\
import tensorflow as tf


class Drop(tf.keras.layers.Layer):
    def call(self, inputs):
        mask = tf.floor(0.9 + tf.random.uniform(tf.shape(inputs)))
        return inputs * mask / 0.9
""",
            note="a dropout mask with a fixed probability",
        ),
        Good(
            """\
import tensorflow as tf


def policy_loss(reward, logits):
    action = tf.random.categorical(logits, 1)[:, 0]
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=action, logits=logits)
    return tf.reduce_mean(reward * surprise)
""",
            note="REINFORCE: the gradient goes through the probability of what was drawn",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda

noisy = Lambda(lambda x: x + 0.1 * K.random_normal(K.shape(x)))
""",
            note="additive noise",
        ),
        Good(
            """\
import tensorflow as tf


class Bernoulli(tf.keras.layers.Layer):
    def call(self, inputs):
        p = tf.sigmoid(inputs)
        drawn = tf.cast(tf.random.uniform(tf.shape(p)) < p, tf.float32)
        return p + tf.stop_gradient(drawn - p)
""",
            note="straight through the draw",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


class Bernoulli(tf.keras.layers.Layer):
    def call(self, inputs):
        p = tf.sigmoid(inputs)
        return tf.cast(tf.random.uniform(tf.shape(p)) < p, tf.float32)
""",
            at="tf.random.uniform(tf.shape(p)) < p",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


def drawn_loss(y_true, logits):
    drawn = tf.random.categorical(logits, 1)[:, 0]
    return tf.reduce_mean(tf.square(y_true - tf.cast(drawn, tf.float32)))
""",
            at="tf.random.categorical(logits, 1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def stochastic(x):
    p = tf.nn.sigmoid(x)
    return tf.nn.relu(tf.sign(p - tf.random.uniform(tf.shape(p))))


layer = Dense(8, activation=stochastic)
""",
            at="tf.sign(p - tf.random.uniform(tf.shape(p)))",
            hazard=Hazard.ZERO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow as tf


class Counts(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        rate = tf.math.softplus(y_pred)
        count = tf.random.poisson([], rate)
        return tf.reduce_mean(tf.abs(y_true - count), axis=-1)
""",
            at="tf.random.poisson([], rate)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda

gate = Lambda(lambda x: K.random_bernoulli(K.shape(x), p=K.sigmoid(x)))
""",
            at="K.random_bernoulli(K.shape(x), p=K.sigmoid(x))",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
from keras import ops, random
from keras.layers import Layer


class Choice(Layer):
    def call(self, inputs):
        uniform = random.uniform(ops.shape(inputs), 1e-6, 1.0)
        gumbel = -ops.log(-ops.log(uniform))
        return ops.one_hot(ops.argmax(inputs + gumbel, axis=-1), 4)
""",
            at="ops.argmax(inputs + gumbel, axis=-1)",
            hazard=Hazard.NO_GRADIENT,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1]))
p = tf.sigmoid(tf.matmul(x, w))
spikes = tf.floor(p + tf.random_uniform(tf.shape(p)))
loss = tf.reduce_mean(tf.square(y - spikes))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.floor(p + tf.random_uniform(tf.shape(p)))",
            hazard=Hazard.NO_GRADIENT,
        ),
    )


def _trained(view: View, node: Node) -> Node | None:
    """Return the one operand that the gradient would have to go to, or None."""
    found = [each for each in view.operands(node) if view.depends_differentiably(each)]
    return found[0] if len(found) == 1 else None


def _compares_noise(view: View, node: Node) -> bool:
    """Return whether a step is taken of a sum with a uniform number."""
    return node.op in _STEPS and any(
        view.derives_from(operand, *_UNIFORM) for operand in view.operands(node)
    )
