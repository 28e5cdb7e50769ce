"""ACT212: numbers of Python's that are read once, when a function is traced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import Bad, Check, Good, Hazard, Role, Rule, Severity, Suspect, View

from ._common import shown


class FrozenPythonValue(Rule):
    """A number of Python's that is read once, when a function is traced.

    ## What it does
    Reports plain Python numbers and flags that training is to change and that a traced function
    reads: an attribute of a loss, a layer or a model, a global name, a variable of an enclosing
    function, or an entry of a dictionary that one of these holds, which a callback, a training loop
    or the function itself assigns to anew, also by `setattr`; what `K.get_value(variable)` gives;
    what Python's `random` and `time` give. A Python branch on such a number counts, too. Functions
    that nothing shows to be traced are left alone, and so is what is assigned in a constructor, in
    `build` or in `compile`.

    ## Why is this bad?
    TensorFlow runs Python code when it traces a function, at the first step, and never again. What
    an attribute holds then is a constant of the graph: the weight of a term that is to grow from
    0 stays 0, a schedule stays at its first step, a warm-up never ends. No error says so, the loss
    goes down as if all were well, and in eager mode all is well.

    ## How it is confirmed
    actlint computes the output with the number at its start and with a later one: in eager mode
    they differ. Under `tf.function`, traced with the first, they do not. Of a branch, both ways are
    computed.

    ## Example
    ```python
    class Annealed(tf.keras.losses.Loss):
        weight = 0.0  # a callback sets it to epoch / 10

        def call(self, y_true, y_pred):
            error = tf.square(y_true - y_pred)
            return tf.reduce_mean(error, axis=-1) + self.weight * tf.reduce_max(error, axis=-1)
    ```

    ## Use instead
    ```python
    class Annealed(tf.keras.losses.Loss):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(0.0, trainable=False)  # weight.assign(epoch / 10)

        def call(self, y_true, y_pred):
            error = tf.square(y_true - y_pred)
            return tf.reduce_mean(error, axis=-1) + self.weight * tf.reduce_max(error, axis=-1)
    ```

    ## What it misses
    Elements of lists, entries with keys that are computed, numbers that another module assigns to a
    global name, flags that make a difference only once another number has changed, changes of which
    nothing shows that they come between steps, training loops that may or may not be traced.
    `float(variable)` and `variable.numpy()` raise an error where TensorFlow traces, and need no
    rule. No edit is offered: with a `tf.Variable` in the place of the number, every assignment to
    it has to become `assign`, wherever in the project it stands.

    ## References
    TensorFlow guide: Better performance with tf.function, "Depending on Python global and free
    variables" and "Python side effects". Bowman et al. 2016, Generating Sentences from a Continuous
    Space (annealing of the KL term).
    """

    code: ClassVar[str] = "ACT212"
    name: ClassVar[str] = "frozen-python-value"
    hint: ClassVar[str] = (
        "Keep it in a tf.Variable(…, trainable=False), whose .assign(…) the graph follows, or pass "
        "it as a tensor argument"
    )
    # The gradient that does not lead through `K.get_value` would not help.
    supersedes: ClassVar[tuple[str, ...]] = ("ACT204",)
    roles: ClassVar[frozenset[Role]] = frozenset(
        {Role.ACTIVATION, Role.LAYER, Role.LOSS, Role.REGULARIZER, Role.TRAINING_STEP}
    )
    sees_tracing: ClassVar[bool] = True

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the numbers that reach the output."""
        for once in view.graph.once:
            if view.reaches_output(once.node):
                yield Suspect(
                    code=self.code,
                    node=once.node,
                    message=f"{shown(view.node(once.node))} is read once, when TensorFlow traces "
                    f"the function: {once.lost}",
                    check=Check.FROZEN_STATE,
                    severity=Severity.WARNING,
                    provisional=True,
                )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Annealed(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(0.0, trainable=False)

    def call(self, y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(error, axis=-1) + self.weight * tf.reduce_max(error, axis=-1)


class Annealing(tf.keras.callbacks.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.weight.assign(min(1.0, epoch / 10))
""",
            note="a variable, which the graph reads anew at each step",
        ),
        Good(
            """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def __init__(self, weight=0.5, scale=1.0):
        super().__init__()
        self.weight = weight
        self.weight *= scale

    @classmethod
    def from_config(cls, config):
        made = cls()
        made.weight = config["weight"]
        return made

    def call(self, y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return self.weight * tf.reduce_mean(error, axis=-1)
""",
            note="set while the object is made",
        ),
        Good(
            """\
import tensorflow as tf


class Annealed(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.weight = 0.0

    def call(self, y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(error, axis=-1) + self.weight * tf.reduce_max(error, axis=-1)


class Annealing(tf.keras.callbacks.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.weight = epoch / 10


def train(model, data):
    loss = Annealed()
    model.compile("adam", loss=loss, run_eagerly=True)
    model.fit(data, epochs=10, callbacks=[Annealing(loss)])
""",
            note="run eagerly",
        ),
        Good(
            """\
import tensorflow as tf


class Trainer:
    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        self.beta = 0.0

    def train_step(self, x, y):
        with tf.GradientTape() as tape:
            output = self.model(x)
            loss = tf.reduce_mean(tf.square(y - output)) + self.beta * tf.reduce_mean(output**2)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))

    def train(self, data, epochs):
        for epoch in range(epochs):
            self.beta = epoch / epochs
            for x, y in data:
                self.train_step(x, y)
""",
            note="nothing says that the step is traced",
        ),
        Good(
            """\
import tensorflow as tf


class Counted(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        if self.calls == 1:
            print("traced")
        return tf.nn.relu(inputs)
""",
            note="counts how often it is traced, for nothing but a message",
        ),
        Good(
            """\
import tensorflow as tf


@tf.function
def train_step(model, optimizer, x, y, beta):
    with tf.GradientTape() as tape:
        output = model(x)
        loss = tf.reduce_mean(tf.square(y - output)) + beta * tf.reduce_mean(tf.square(output))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))


def train(model, optimizer, data):
    beta = 0.0
    for epoch in range(10):
        beta += 0.1
        for x, y in data:
            train_step(model, optimizer, x, y, tf.constant(beta))
""",
            note="an argument",
        ),
        Good(
            """\
import tensorflow as tf

MARGIN = 0.2


def hinge(y_true, y_pred):
    return tf.reduce_mean(tf.maximum(MARGIN - y_true * y_pred, 0.0), axis=-1)


def compare(model, data):
    global MARGIN
    for margin in (0.1, 0.2, 0.5):
        MARGIN = margin
        model.compile("adam", loss=hinge)
        model.fit(data)
""",
            note="compiled again, and traced again, for each number",
        ),
        Good(
            """\
import tensorflow as tf


@tf.function
def train_step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x)))
        if loss > 100.0:
            loss = 10.0 * tf.sqrt(loss)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            note="AutoGraph makes a branch of the graph of it",
        ),
        Good(
            """\
from tensorflow.keras import backend as K

weight = K.variable(0.0)


def loss(y_true, y_pred):
    error = K.square(y_true - y_pred)
    return K.mean(error, axis=-1) + weight * K.max(error, axis=-1)


def on_epoch_begin(epoch, logs):
    K.set_value(weight, min(1.0, K.get_value(weight) + 0.1))


def compile_model(model):
    model.compile("adam", loss=loss)
""",
            note="read outside of the graph",
        ),
        Good(
            """\
import tensorflow as tf

SETTINGS = {"verbose": False, "scale": 2.0}


def loss(y_true, y_pred):
    error = tf.reduce_mean(SETTINGS["scale"] * tf.square(y_true - y_pred), axis=-1)
    if SETTINGS["verbose"]:
        tf.print(error)
    return error


class Talking(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        SETTINGS["verbose"] = epoch > 5


def compile_model(model):
    model.compile("adam", loss=loss)
""",
            note="a flag for messages alone, beside an entry that nothing changes",
        ),
        Good(
            """\
import tensorflow as tf


class Gate(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.hard = tf.Variable(False, trainable=False)

    def call(self, inputs):
        return tf.where(self.hard, tf.nn.relu(inputs), tf.nn.softplus(inputs))


class Hardening(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.gate.hard.assign(epoch > 5)
""",
            note="a flag that the graph reads",
        ),
        Good(
            """\
import tensorflow as tf


class Smoothed(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.amount = 0.1

    def set_amount(self, amount):
        self.amount = amount

    def call(self, y_true, y_pred):
        goal = (1.0 - self.amount) * y_true + 0.5 * self.amount
        return tf.reduce_mean(tf.square(goal - y_pred), axis=-1)


def compile_model(model):
    loss = Smoothed()
    loss.set_amount(0.2)
    model.compile("adam", loss=loss)
""",
            note="set before the model is compiled",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


class Annealed(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.weight = 0.0

    def call(self, y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(error, axis=-1) + self.weight * tf.reduce_max(error, axis=-1)


class Annealing(tf.keras.callbacks.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.weight = min(1.0, epoch / 10)
""",
            at="self.weight",
            hazard=Hazard.FROZEN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow import keras

TEMPERATURE = 5.0


def cooled(x):
    return tf.nn.softmax(x / TEMPERATURE)


def cool(epoch, logs):
    global TEMPERATURE
    TEMPERATURE = max(0.5, 5.0 - 0.1 * epoch)


model = keras.Sequential([keras.layers.Dense(8, activation=cooled)])
callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=cool)]
""",
            at="TEMPERATURE",
            hazard=Hazard.FROZEN,
            note="a global name",
        ),
        Bad(
            """\
import tensorflow.keras.backend as K


def warmed(steps=1000):
    step = 0

    def loss(y_true, y_pred):
        nonlocal step
        step += 1
        weight = min(1.0, step / steps)
        return K.mean(K.square(y_true - y_pred), axis=-1) + weight * K.mean(K.abs(y_pred), axis=-1)

    return loss


def compile_model(model):
    model.compile("adam", loss=warmed())
""",
            at="step",
            hazard=Hazard.FROZEN,
            note="counts how often it is traced",
        ),
        Bad(
            """\
import tensorflow as tf


class Sharpened(tf.keras.layers.Layer):
    def __init__(self, begin=1000):
        super().__init__()
        self.begin = begin
        self.step = 0

    def call(self, inputs):
        self.step += 1
        if self.step > self.begin:
            return tf.nn.tanh(4.0 * inputs)
        return tf.nn.tanh(inputs)
""",
            at="self.step",
            hazard=Hazard.FROZEN,
            note="a branch that is taken once, for ever",
        ),
        Bad(
            """\
import tensorflow as tf


class Trainer:
    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        self.beta = 1.0

    @tf.function
    def step(self, x, y):
        with tf.GradientTape() as tape:
            output = self.model(x)
            loss = tf.reduce_mean(tf.square(y - output)) + self.beta * tf.reduce_mean(output**2)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))

    def decay(self):
        self.beta *= 0.9
""",
            at="self.beta",
            hazard=Hazard.FROZEN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K

alpha = K.variable(0.5)


def loss(y_true, y_pred):
    error = y_true - y_pred
    share = K.get_value(alpha)
    return K.mean(share * K.square(error) + (1.0 - share) * K.abs(error), axis=-1)


def compile_model(model):
    model.compile("adam", loss=loss)
""",
            at="K.get_value(alpha)",
            hazard=Hazard.FROZEN,
            note="the value, not the variable",
        ),
        Bad(
            """\
import random

from keras import layers, ops


class Scaled(layers.Layer):
    def call(self, inputs):
        return ops.relu(inputs) * random.uniform(0.8, 1.2)
""",
            at="random.uniform(0.8, 1.2)",
            hazard=Hazard.FROZEN,
            note="a random number of Python's own",
        ),
        Bad(
            """\
import tensorflow as tf


class Autoencoder(tf.keras.Model):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.kl_weight = 0.0

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log_var = self.encoder(data)
            log_var = tf.clip_by_value(log_var, -10.0, 10.0)
            sample = mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))
            error = tf.reduce_mean(tf.square(data - self.decoder(sample)))
            kl = -0.5 * tf.reduce_mean(1.0 + log_var - tf.square(mean) - tf.exp(log_var))
            loss = error + self.kl_weight * kl
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}


class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.kl_weight = min(1.0, epoch / 20)
""",
            at="self.kl_weight",
            hazard=Hazard.FROZEN,
            note="the annealing of a variational autoencoder",
        ),
        Bad(
            """\
import tensorflow as tf


class Focal(tf.keras.losses.Loss):
    def __init__(self, gamma=0.0):
        super().__init__()
        self.gamma = gamma

    def call(self, y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-6, 1.0 - 1e-6)
        return -tf.reduce_sum(y_true * (1.0 - p) ** self.gamma * tf.math.log(p), axis=-1)


def train(model, data):
    focal = Focal()
    model.compile("adam", loss=focal)
    for epoch in range(20):
        focal.gamma = 0.1 * epoch
        model.fit(data, initial_epoch=epoch, epochs=epoch + 1)
""",
            at="self.gamma",
            hazard=Hazard.FROZEN,
            note="in a loop that fits epoch by epoch",
        ),
        Bad(
            """\
import tensorflow as tf


class Gate(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.hard = False

    def call(self, inputs):
        if self.hard:
            return tf.nn.relu(inputs)
        return tf.nn.softplus(inputs)


class Hardening(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.gate.hard = epoch > 5
""",
            at="self.hard",
            hazard=Hazard.FROZEN,
            note="a flag",
        ),
        Bad(
            """\
import tensorflow as tf


class Warmed(tf.keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.state = {"step": 0, "length": 1000}

    def call(self, y_true, y_pred):
        weight = min(1.0, self.state["step"] / self.state["length"])
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(error, axis=-1) + weight * tf.reduce_max(error, axis=-1)


class Counting(tf.keras.callbacks.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_train_batch_end(self, batch, logs=None):
        self.loss.state["step"] += 1
""",
            at='self.state["step"]',
            hazard=Hazard.FROZEN,
            note="an entry of a dictionary that counts steps",
        ),
        Bad(
            """\
import tensorflow as tf

CONFIG = {"margin": 0.1}


@tf.function
def train_step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.relu(CONFIG["margin"] - y * model(x)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))


def train(model, optimizer, data):
    for epoch in range(10):
        CONFIG['margin'] = 0.1 * (epoch + 1)
        for x, y in data:
            train_step(model, optimizer, x, y)
""",
            at='CONFIG["margin"]',
            hazard=Hazard.FROZEN,
            note="an entry of a global dictionary",
        ),
        Bad(
            """\
from keras import callbacks, layers, ops


class Cooled(layers.Layer):
    def __init__(self):
        super().__init__()
        self.temperature = 5.0

    def call(self, inputs):
        return ops.softmax(inputs / self.temperature)


class Cooling(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for layer in self.model.layers:
            setattr(layer, "temperature", 5.0 * 0.9**epoch)
""",
            at="self.temperature",
            hazard=Hazard.FROZEN,
            note="by setattr",
        ),
    )
