"""ACT517: a value divided by its sum or norm over the whole batch, for want of an axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    Target,
    View,
)

from ._batch import MAGNITUDES, SIZES, axes, dividend, sources
from ._common import descendants, shown
from ._losses_mended import within_each_sample
from ._patterns import constant_power


class NormOverBatch(Rule):
    """A value divided by its sum or norm over the whole batch, for want of an axis.

    ## What it does
    Reports an activation or layer that divides what it is given by its sum or norm where
    `keepdims=True` is given and no axis: `x / ops.sqrt(ops.sum(ops.square(x), keepdims=True))`.

    ## Why is this bad?
    Without an axis, TensorFlow sums over all of them, the batch among them. `keepdims=True` only
    makes sense for one axis of several, so that each sample was to be normalised. Instead, the
    value of a sample depends on all others and shrinks with the size of the batch: embeddings of
    the same image differ from batch to batch, and inference one by one gives other numbers than
    training.

    ## How it is confirmed
    actlint draws two batches that share one sample, and finds that its value changes although
    its own inputs are the same. With axis=-1 it does not.

    ## Example
    ```python
    def unit(x):
        return x / tf.sqrt(tf.reduce_sum(tf.square(x), keepdims=True))
    ```

    ## Use instead
    ```python
    def unit(x):
        return tf.math.l2_normalize(x, axis=-1)
    ```

    ## Fix safety
    Unsafe: each sample gets a norm of its own, which is larger than its share of the batch's.

    ## What it misses
    Sums without `keepdims`, which may be meant, as for the scale of a whole tensor; means, maxima
    and moments.

    ## References
    TensorFlow API: tf.reduce_sum, tf.norm, tf.math.l2_normalize.
    """

    code: ClassVar[str] = "ACT517"
    name: ClassVar[str] = "norm-over-batch"
    hint: ClassVar[str] = (
        "Normalise each sample: give the axis, as in tf.math.l2_normalize(x, axis=-1) or "
        "tf.reduce_sum(x, axis=-1, keepdims=True)"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT101", "ACT102", "ACT110")
    roles: ClassVar[frozenset[Role]] = frozenset({Role.ACTIVATION, Role.LAYER})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the divisions of a value by its own sum or norm over everything."""
        for node in view.nodes(*sorted(SIZES)):
            if (
                axes(view, node) != ()
                or view.static(node, "keepdims") is not True
                or not view.depends(node)
            ):
                continue
            where = _quotient(view, node)
            if where is not None:
                yield Suspect(
                    code=self.code,
                    node=where.id,
                    message=f"{shown(where)} divides by {shown(node)}, which runs over the whole "
                    "batch because it names no axis",
                    check=Check.OWN_SAMPLES,
                    targets=(Target(node.id, 0.0, 0.0),),
                    severity=Severity.ERROR,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Go along the last axis."""
        yield from within_each_sample(view, [view.node(target.node) for target in suspect.targets])

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Unit(tf.keras.layers.Layer):
    def call(self, inputs):
        size = tf.sqrt(tf.reduce_sum(tf.square(inputs), axis=-1, keepdims=True) + 1e-6)
        return inputs / size
"""
        ),
        Good(
            """\
import tensorflow as tf


def unit(x):
    return tf.math.l2_normalize(x, axis=-1)


layer = tf.keras.layers.Dense(8, activation=unit)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Scaled(Layer):
    def call(self, inputs):
        return inputs / (1.0 + ops.max(ops.abs(inputs), keepdims=True))
""",
            note="the range of a whole tensor, as quantisation takes it",
        ),
        Good(
            """\
import tensorflow as tf


class Sum(tf.keras.layers.Layer):
    def call(self, inputs):
        total = tf.reduce_sum(tf.square(inputs), keepdims=True)
        self.add_loss(1e-3 * tf.reduce_mean(total))
        return tf.nn.relu(inputs)
""",
            note="a penalty of the batch",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def share(x):
    e = K.exp(x - K.max(x, axis=-1, keepdims=True))
    return e / K.sum(e, axis=-1, keepdims=True)


def build(layers):
    return layers.Dense(10, activation=share)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Balanced(tf.keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        gain = tf.nn.softplus(self.gain)
        return inputs * gain / tf.reduce_sum(gain, keepdims=True)
""",
            note="a weight holds no samples",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from keras import ops
from keras.layers import Layer


class Unit(Layer):
    def call(self, inputs):
        size = ops.sqrt(ops.sum(ops.power(inputs, 2), keepdims=True))
        return inputs / size
""",
            at="inputs / size",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


def unit(x):
    size = tf.sqrt(tf.reduce_sum(x * x, keepdims=True) + 1e-6)
    return tf.divide(x, size)


layer = tf.keras.layers.Dense(8, activation=unit)
""",
            at="tf.divide(x, size)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda

share = Lambda(lambda x: K.abs(x) / (K.sum(K.abs(x), keepdims=True) + K.epsilon()))
""",
            at="K.abs(x) / (K.sum(K.abs(x), keepdims=True) + K.epsilon())",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


class Similarity(tf.keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.project = tf.keras.layers.Dense(units)

    def call(self, first, second):
        total = tf.reduce_sum(tf.square(first), keepdims=True)
        first = tf.math.divide_no_nan(first, tf.sqrt(total + 1e-6))
        return tf.matmul(first, second, transpose_b=True)
""",
            at="tf.math.divide_no_nan(first, tf.sqrt(total + 1e-6))",
            hazard=Hazard.MIXED_SAMPLES,
            note="whatever follows",
        ),
        Bad(
            """\
import tensorflow as tf


def soft_share(x, sharpness=1.0):
    e = tf.exp(tf.minimum(sharpness * x, 20.0))
    return tf.divide(e, tf.reduce_sum(e, keepdims=True))


def block(x):
    return tf.keras.layers.Activation(soft_share)(x)
""",
            at="tf.divide(e, tf.reduce_sum(e, keepdims=True))",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import keras


@keras.saving.register_keras_serializable()
class Direction(keras.layers.Layer):
    def call(self, inputs):
        squares = keras.ops.square(inputs)
        return inputs * keras.ops.rsqrt(keras.ops.sum(squares, keepdims=True) + 1e-6)
""",
            at="inputs * keras.ops.rsqrt(keras.ops.sum(squares, keepdims=True) + 1e-6)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
    )


def _quotient(view: View, node: Node) -> Node | None:
    """Return the quotient of a value and its own sum or norm over everything, or None."""
    reduced = view.operands(node)[0]
    own = [reduced]
    if reduced.op in MAGNITUDES | {"multiply"} or constant_power(view, reduced) == 2.0:
        own.append(view.operands(reduced)[0])
    if not sources(view, reduced):
        return None
    for where in descendants(view, node.id):
        value = dividend(view, where, node)
        if value is not None and any(view.same_value(value, each) for each in own):
            return where
    return None
