"""Which numbers of Python's a traced function reads once, by where they are changed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actlint import index
from actlint.disk import Disk
from actlint.index import FileIndex
from actlint.lower import lower
from actlint.lower.module import Library
from actlint.project import Project
from actlint.query import View
from actlint.scene import incoming, units
from actlint.states import States

LOSS = """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def __init__(self, weight=0.0):
        super().__init__()
        self.weight = weight
{more}
    def call(self, y_true, y_pred):
        return self.weight * tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)
"""
HEAD = """\
import random
import time
import tensorflow as tf
from tensorflow.keras import backend as K


"""


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str]
    expected: tuple[str, ...] = ()  # texts of what is read once and reaches the output
    known_miss: str = ""


def loss(more: str = "") -> dict[str, str]:
    return {"losses.py": LOSS.format(more=more)}


def alone(text: str) -> dict[str, str]:
    return {"code.py": HEAD + text}


CASES = (
    Case("nothing_changes_it", loss()),
    Case(
        "callback_elsewhere",
        {
            **loss(),
            "callbacks.py": """\
from tensorflow.keras.callbacks import Callback

class Annealing(Callback):
    def __init__(self, loss):
        self.loss, self.weight = loss, 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.weight += 0.1
        self.loss.weight = self.weight
""",
            "main.py": "from losses import Weighted\nfrom callbacks import Annealing\n",
        },
        ("self.weight",),
    ),
    Case(
        "callback_of_another_program",
        {
            **loss(),
            "other.py": """\
from tensorflow.keras.callbacks import Callback

class Annealing(Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.weight = 0.1 * epoch
""",
        },
    ),
    Case(
        "two_classes_have_it",
        {
            **loss(),
            "main.py": """\
import tensorflow as tf
from losses import Weighted

class Model(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.weight = 0.0

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.weight = 0.1 * epoch
""",
        },
    ),
    Case(
        "setter_that_a_hook_calls",
        {
            **loss("\n    def set_weight(self, weight):\n        self.weight = weight\n"),
            "main.py": """\
import tensorflow as tf
from losses import Weighted

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.loss.set_weight(0.1 * epoch)
""",
        },
        ("self.weight",),
    ),
    Case(
        "setter_that_nothing_calls",
        loss("\n    def set_weight(self, weight):\n        self.weight = weight\n"),
    ),
    Case(
        "decay_of_its_own",
        loss("\n    def decay(self):\n        self.weight = 0.9 * self.weight\n"),
        ("self.weight",),
    ),
    Case(
        "helper_of_the_constructor",
        {
            "losses.py": LOSS.format(
                more="        self.scale()\n\n    def scale(self):\n        self.weight *= 2.0\n"
            )
        },
    ),
    Case(
        "run_eagerly",
        {
            **loss("\n    def decay(self):\n        self.weight *= 0.9\n"),
            "main.py": """\
from losses import Weighted

def train(model):
    model.compile("adam", loss=Weighted(), run_eagerly=True)
""",
        },
    ),
    Case(
        "only_a_tape",
        {
            **loss("\n    def decay(self):\n        self.weight *= 0.9\n"),
            "main.py": """\
import tensorflow as tf
from losses import Weighted

def step(model, x, y):
    with tf.GradientTape() as tape:
        value = Weighted()(y, model(x))
    return tape.gradient(value, model.trainable_variables)
""",
        },
    ),
    Case(
        "sigmoid_schedule",
        alone("""\
import math

class Scheduled(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.step = 0

    def call(self, inputs):
        self.step += 1
        gate = 1.0 / (1.0 + math.exp(5.0 - self.step / 100.0))
        return gate * inputs
"""),
        ("self.step",),
    ),
    Case(
        "every_third_step",
        alone("""\
@tf.function
def train_step(model, x, y):
    global COUNT
    COUNT += 1
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(tf.square(y - model(x)))
        loss = error if COUNT % 3 else 2.0 * error
    return tape.gradient(loss, model.trainable_variables)

COUNT = 0
"""),
        ("COUNT",),
    ),
    Case(
        "handed_to_tf_function",
        alone("""\
class Trainer:
    def __init__(self, model):
        self.model = model
        self.beta = 0.0
        self.run = tf.function(self.step)

    def step(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.beta * tf.reduce_mean(tf.square(y - self.model(x)))
        return tape.gradient(loss, self.model.trainable_variables)

    def train(self, data):
        for epoch in range(10):
            self.beta = 0.1 * epoch
            for x, y in data:
                self.train_batch(x, y)
"""),
        ("self.beta",),
    ),
    Case(
        "a_variable_of_the_loop",
        alone("""\
@tf.function
def train_step(model, x, y):
    beta = 0.0
    for _ in range(3):
        beta += 0.1
    with tf.GradientTape() as tape:
        loss = beta * tf.reduce_mean(tf.square(y - model(x)))
    return tape.gradient(loss, model.trainable_variables)
"""),
    ),
    Case(
        "compiled_again_in_the_hook",
        {
            **loss(),
            "main.py": """\
import tensorflow as tf
from losses import Weighted

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.loss.weight = 0.1 * epoch
        self.model.compile("adam", loss=self.loss)
""",
        },
    ),
    Case(
        "traced_again_for_each_epoch",
        alone("""\
class Trainer:
    def __init__(self, model):
        self.model = model
        self.beta = 0.0

    def step(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.beta * tf.reduce_mean(tf.square(y - self.model(x)))
        return tape.gradient(loss, self.model.trainable_variables)

    def train(self, data):
        for epoch in range(10):
            self.beta = 0.1 * epoch
            train_step = tf.function(self.step)
            for x, y in data:
                train_step(x, y)
"""),
    ),
    Case(
        "flipped_at_random",
        alone("""\
class Flipped(tf.keras.layers.Layer):
    def call(self, inputs):
        if random.random() < 0.5:
            inputs = tf.reverse(inputs, [1])
        return tf.nn.relu(inputs)
"""),
        ("random.random()",),
    ),
    Case(
        "branch_for_a_message",
        alone("""\
class Noisy(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.step = 0

    def call(self, inputs):
        self.step += 1
        if self.step % 100 == 0:
            print("step", self.step)
        return inputs + tf.random.normal(tf.shape(inputs))
"""),
    ),
    Case(
        "time",
        alone("""\
class Pulsing(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs * (1.0 + 0.1 * (time.time() % 2.0))
"""),
        ("time.time()",),
    ),
    Case(
        "drawn_in_the_constructor",
        alone("""\
class Scaled(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale = random.uniform(0.5, 1.5)

    def call(self, inputs):
        return inputs * self.scale
"""),
    ),
    Case(
        "printed",
        alone("""\
class Timed(tf.keras.layers.Layer):
    def call(self, inputs):
        begin = time.time()
        found = tf.nn.relu(inputs)
        print(time.time() - begin)
        return found
"""),
    ),
    Case(
        "entry_of_a_dictionary",
        alone("""\
STATE = {"weight": 0.0}

def loss(y_true, y_pred):
    return STATE["weight"] * K.mean(K.square(y_true - y_pred), axis=-1)

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        STATE["weight"] = 0.1 * epoch

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
        ('STATE["weight"]',),
    ),
    Case(
        "element_of_a_list",
        alone("""\
STATE = [0.0]

def loss(y_true, y_pred):
    return STATE[0] * K.mean(K.square(y_true - y_pred), axis=-1)

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        STATE[0] = 0.1 * epoch

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
        ("STATE[0]",),
        known_miss="elements of lists are not followed",
    ),
    Case(
        "entry_that_the_function_counts",
        alone("""\
STATE = {"step": 0, "scale": 2.0}

def loss(y_true, y_pred):
    STATE["step"] += 1
    weight = STATE["scale"] / STATE["step"]
    return weight * K.mean(K.square(y_true - y_pred), axis=-1)

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
        ('STATE["step"]',),
    ),
    Case(
        "entry_of_an_attribute",
        alone("""\
class Cooled(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.schedule = {"temperature": 5.0, "rate": 0.9}

    def call(self, inputs):
        return tf.nn.softmax(inputs / self.schedule["temperature"])

class Cooling(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.layer.schedule["temperature"] *= self.layer.schedule["rate"]
"""),
        ('self.schedule["temperature"]',),
    ),
    Case(
        "entry_of_an_imported_dictionary",
        {
            "settings.py": 'SETTINGS = {"weight": 0.0, "scale": 1.0}\n',
            "losses.py": HEAD
            + """\
from settings import SETTINGS

def loss(y_true, y_pred):
    error = K.mean(K.square(y_true - y_pred), axis=-1)
    return SETTINGS["scale"] * error + SETTINGS["weight"] * K.max(error)
""",
            "main.py": HEAD
            + """\
from losses import loss
from settings import SETTINGS

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        SETTINGS["weight"] += 0.1

def train(model, data):
    SETTINGS["scale"] = 2.0
    model.compile("adam", loss=loss)
    model.fit(data, callbacks=[Annealing()])
""",
        },
        ('SETTINGS["weight"]',),
    ),
    Case(
        "entry_of_a_local_dictionary",
        alone("""\
STATE = {"weight": 0.1}

def loss(y_true, y_pred):
    return STATE["weight"] * K.mean(K.square(y_true - y_pred), axis=-1)

class Logging(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        STATE = {}
        STATE["weight"] = 0.1 * epoch
        print(STATE)

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
    ),
    Case(
        "another_entry",
        alone("""\
STATE = {"weight": 0.1, "epoch": 0}

def loss(y_true, y_pred):
    return STATE["weight"] * K.mean(K.square(y_true - y_pred), axis=-1)

class Logging(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        STATE["epoch"] = epoch

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
    ),
    Case(
        "entry_set_before_training",
        alone("""\
STATE = {"weight": 0.1}
STATE["weight"] = 0.2

def set_weight(weight):
    STATE["weight"] = weight

def loss(y_true, y_pred):
    return STATE["weight"] * K.mean(K.square(y_true - y_pred), axis=-1)

def compile_model(model):
    set_weight(0.3)
    model.compile("adam", loss=loss)
"""),
    ),
    Case(
        "setattr_in_a_hook",
        {
            **loss(),
            "main.py": """\
import tensorflow as tf
from losses import Weighted

class Annealing(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        setattr(self.loss, "weight", 0.1 * epoch)
""",
        },
        ("self.weight",),
    ),
    Case(
        "setattr_that_goes_on",
        loss("""
    def advance(self):
        setattr(self, "weight", min(1.0, getattr(self, "weight") + 0.1))
"""),
        ("self.weight",),
    ),
    Case(
        "setattr_of_options",
        loss("""
    def configure(self, **options):
        for name, value in options.items():
            setattr(self, name, value)
"""),
    ),
    Case(
        "flag",
        alone("""\
class Gate(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.hard = False

    def call(self, inputs):
        if not self.hard:
            return tf.sigmoid(inputs)
        return tf.clip_by_value(0.2 * inputs + 0.5, 0.0, 1.0)

class Hardening(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.gate.hard = epoch > 5
"""),
        ("self.hard",),
    ),
    Case(
        "flag_of_the_first_call",
        alone("""\
class Scaled(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.ready = False

    def call(self, inputs):
        if not self.ready:
            print("first call")
            self.ready = True
        return tf.nn.relu(inputs)
"""),
    ),
    Case(
        "flag_that_asks_for_messages",
        alone("""\
VERBOSE = {"loss": False}

def loss(y_true, y_pred):
    error = K.mean(K.square(y_true - y_pred), axis=-1)
    if VERBOSE["loss"]:
        tf.print(error)
    return error

class Talking(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        VERBOSE["loss"] = epoch > 5

def compile_model(model):
    model.compile("adam", loss=loss)
"""),
    ),
)


def read_once(files: dict[str, str]) -> tuple[str, ...]:
    """Return the texts of what is read once and reaches an output, sorted."""
    built = [index.build(path, text) for path, text in files.items()]
    indexes = [each for each in built if isinstance(each, FileIndex)]
    assert len(indexes) == len(built)
    project = Project(indexes, Disk())
    library, states, roles = Library(project), States(project), incoming(indexes, project)
    found: set[str] = set()
    for each in indexes:
        for unit in states.again(each, units(each, project, roles.get(each.path, {}))):
            for graph in lower(library.module(each), unit).graphs if unit.tracing else ():
                view = View(graph)
                found |= {
                    graph.nodes[once.node].site.text
                    for once in graph.once
                    if view.reaches_output(once.node)
                }
    return tuple(sorted(found))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_read_once(case: Case):
    assert read_once(case.files) == (() if case.known_miss else case.expected)
