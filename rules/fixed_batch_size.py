"""ACT505: a loss with a batch size written into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    InputRole,
    Items,
    Node,
    Remedy,
    Role,
    Rule,
    Severity,
    Suspect,
    View,
)

from ._batch import (
    axes,
    called_by_keras,
    fixed_divisor,
    has_target,
    is_sum_of_samples,
    rows_are_samples,
)
from ._common import ancestors, number, shown
from ._sizes_mended import measured

# Ops that give a tensor of a size of their own, and the parameter that tells it.
_SIZED: Final = {
    "eye": "num_rows", "fill": "dims", "ones": "shape", "range": "limit", "zeros": "shape"
}  # fmt: skip
# Fewer rows than this, with the rest left open, are views or parts of a sample.
_GROUPS: Final = 8
_FED: Final = frozenset({InputRole.LABEL, InputRole.PREDICTION})


class FixedBatchSize(Rule):
    """A loss with a batch size written into it.

    ## What it does
    Reports a number in a loss of a Keras model that is the size of the batches the author trained
    with: `tf.reshape(y_pred, (32, 10))`, `tf.range(64)` beside the labels, `tf.eye(16)` for all
    pairs of a batch. In every loss, training loops and scripts included, it reports the sum over
    the samples divided by a plain `128.0`.

    ## Why is this bad?
    The last batch of an epoch is smaller, validation and prediction use other sizes, and so does
    the next experiment. What has a fixed shape raises an error there. What is divided by a fixed
    number does not: the loss and its gradient grow with the batch, and the learning rate that was
    right before is wrong.

    ## How it is confirmed
    actlint runs the loss with a batch of that size, which works, and with one sample more and one
    less, which fails. Of a sum that is divided it repeats every sample of a batch: a mean would
    stay as it is. A batch whose size a placeholder fixes is let be.

    ## Example
    ```python
    def mean_error(y_true, y_pred):
        error = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
        return tf.reduce_sum(error) / 128.0

    model.compile("adam", loss=mean_error)
    ```

    ## Use instead
    ```python
    def mean_error(y_true, y_pred):
        error = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
        return tf.reduce_mean(error)

    model.compile("adam", loss=mean_error)
    ```

    ## Fix safety
    Unsafe: in a batch of the size that was written down nothing changes, in all others the value
    does. Sizes that a name or a setting holds are left alone, since other code may read them. Where
    batches of another size do not run at all, there may be nothing to compare an edit with.

    ## What it misses
    Fixed shapes in losses of training loops, where they may be meant, and sums over samples and
    features at once there; divisors below 8, which are weights; loops over a fixed number of
    samples; numbers of classes, which a data set does fix.

    ## References
    Keras API: Model.fit, on batch_size and the last batch. TensorFlow API: tf.shape.
    """

    code: ClassVar[str] = "ACT505"
    name: ClassVar[str] = "fixed-batch-size"
    hint: ClassVar[str] = (
        "Ask the tensor for its size, tf.shape(y_pred)[0], write -1 in tf.reshape, and take "
        "tf.reduce_mean over the samples"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT501", "ACT504")
    roles: ClassVar[frozenset[Role]] = frozenset({Role.GRAPH, Role.LOSS, Role.TRAINING_STEP})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield quotients, reshapes and tensors whose constant size stands for the batch."""
        if view.graph.partial:
            return
        keras = called_by_keras(view.graph)
        for node in view.nodes("reduce_sum"):
            found = fixed_divisor(view, node)
            sure = keras or axes(view, node) == () or has_target(view) or rows_are_samples(view)
            if found is not None and sure and view.on_gradient_path(found[0]):
                quotient, size = found
                yield Suspect(
                    code=self.code,
                    node=quotient.id,
                    message=_divided(view, node, quotient, number(size)),
                    check=Check.BATCH_SIZE,
                    threshold=1.0,
                    severity=Severity.WARNING,
                    provisional=True,
                )
        if not keras:
            return
        seen = set[int]()
        for node in view.nodes("reshape", *_SIZED):
            rows = _rows(view, node)
            if rows is not None and rows not in seen:
                seen.add(rows)
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} has {rows} rows whatever the size of the batch is",
                    check=Check.FIXED_BATCH,
                    threshold=float(rows),
                    severity=Severity.WARNING,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Ask the prediction for its size."""
        rows = int(suspect.threshold) if suspect.check is Check.FIXED_BATCH else None
        yield from measured(view, view.node(suspect.node), rows)

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def mean_error(y_true, y_pred):
    error = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_sum(error) / tf.cast(tf.shape(y_pred)[0], tf.float32)


def compile_model(model):
    model.compile("adam", loss=mean_error)
""",
            note="the size of the batch as it is",
        ),
        Good(
            """\
import tensorflow as tf


def pixel_loss(y_true, y_pred):
    error = tf.reshape(tf.square(y_true - y_pred), (-1, 10))
    return tf.reduce_mean(tf.reduce_sum(error, axis=-1)) / 255.0


def compile_model(model):
    model.compile("adam", loss=pixel_loss)
""",
            note="the number of classes and the range of the pixels are fixed",
        ),
        Good(
            """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        confusion = tf.ones((10, 10)) - tf.eye(10)
        cost = tf.matmul(tf.one_hot(y_true, 10), confusion)
        return tf.reduce_sum(cost * y_pred, axis=-1)
""",
            note="a matrix of classes",
        ),
        Good(
            """\
import tensorflow as tf


def contrastive(y_true, y_pred):
    size = tf.shape(y_pred)[0]
    unit = tf.math.l2_normalize(y_pred, axis=1, epsilon=1e-6)
    near = tf.matmul(unit, unit, transpose_b=True)
    wanted = tf.matmul(y_true, y_true, transpose_b=True)
    return tf.reduce_mean(tf.square(near - wanted) * (1.0 - tf.eye(size)))


def compile_model(model):
    model.compile("adam", loss=contrastive)
""",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def ordinal(y_true, y_pred):
    ranks = K.arange(0, 7, dtype="float32")
    return K.square(K.sum((y_true - y_pred) * ranks, axis=-1)) / 16.0


def compile_model(model):
    model.compile("adam", loss=ordinal)
""",
            note="the ranks of the classes; no sum over samples is divided",
        ),
        Good(
            """\
import tensorflow as tf


def views(y_true, y_pred):
    first, second = tf.unstack(tf.reshape(y_pred, (2, -1, 4)))
    labels = tf.reshape(y_true, (2, -1, 4))
    return tf.reduce_mean(tf.square(first - labels[0]) + tf.square(second - labels[1]))


def compile_model(model):
    model.compile("adam", loss=views)
""",
            note="two views of each image, one half of the batch each",
        ),
        Good(
            """\
import tensorflow as tf


def half_squares_loss(y_true, y_pred):
    return tf.reduce_sum(tf.square(y_true - y_pred)) / 2.0
""",
            note="the half makes the gradient simpler",
        ),
        Good(
            """\
import tensorflow as tf


def gram(features):
    flat = tf.reshape(features, (-1, 64))
    return tf.matmul(flat, flat, transpose_a=True)


def style_loss(style, image):
    return tf.reduce_sum(tf.square(gram(style) - gram(image))) / (4.0 * 64.0**2)
""",
            note="a sum over pairs of channels, of which there are 64",
        ),
        Good(
            """\
from keras import ops


def token_loss(y_true, y_pred, tokens):
    costs = ops.sparse_categorical_crossentropy(y_true, y_pred)
    return ops.sum(costs) / tokens
""",
            note="the caller counts",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [32, 4])
y_ = tf.placeholder(tf.float32, [32, 3])
scores = tf.matmul(x, tf.Variable(tf.random_normal([4, 3])))
entropy = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=scores)
loss = tf.reduce_sum(entropy) / 32.0
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            note="the placeholders take batches of this size only",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def mean_error(y_true, y_pred):
    error = tf.reduce_sum(tf.square(y_true - y_pred), axis=-1)
    return tf.reduce_sum(error) / 128.0


def compile_model(model):
    model.compile("adam", loss=mean_error)
""",
            at="tf.reduce_sum(error) / 128.0",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def squared(y_true, y_pred):
    p = tf.reshape(y_pred, (32, 10))
    t = tf.reshape(y_true, (32, 10))
    return tf.reduce_mean(tf.square(p - t))


def compile_model(model):
    model.compile("sgd", loss=squared)
""",
            at="tf.reshape(y_pred, (32, 10))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

BATCH = 64


class Picked(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        places = tf.stack([tf.range(BATCH), tf.cast(y_true, tf.int32)], axis=1)
        return -tf.math.log(tf.gather_nd(y_pred, places) + 1e-6)
""",
            at="tf.range(BATCH)",
            hazard=Hazard.WRONG_LOSS,
            note="a place for each of 64 samples",
        ),
        Bad(
            """\
import tensorflow as tf


def contrastive(y_true, y_pred):
    unit = tf.math.l2_normalize(y_pred, axis=1, epsilon=1e-6)
    near = tf.matmul(unit, unit, transpose_b=True)
    wanted = tf.matmul(y_true, y_true, transpose_b=True)
    return tf.reduce_mean(tf.square(near - wanted) * (1.0 - tf.eye(16)))


def compile_model(model):
    model.compile("adam", loss=contrastive)
""",
            at="tf.eye(16)",
            hazard=Hazard.WRONG_LOSS,
            note="all pairs of 16 samples",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def rows_loss(y_true, y_pred):
    error = K.reshape(K.square(y_true - y_pred), (50, -1))
    return K.mean(K.sum(error, axis=1))


def compile_model(model):
    model.compile("adam", loss=rows_loss)
""",
            at="K.reshape(K.square(y_true - y_pred), (50, -1))",
            hazard=Hazard.WRONG_LOSS,
            note="the -1 is in the wrong place",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Averaged(Loss):
    def __init__(self, samples=256):
        super().__init__()
        self.samples = samples

    def call(self, y_true, y_pred):
        return ops.sum(ops.mean(ops.abs(y_true - y_pred), axis=-1)) / self.samples
""",
            at="ops.sum(ops.mean(ops.abs(y_true - y_pred), axis=-1)) / self.samples",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def hinge(y_true, y_pred):
    margin = tf.maximum(tf.ones((100, 1)) - y_true * y_pred, 0.0)
    return tf.reduce_mean(tf.squeeze(margin, axis=1))


def compile_model(model):
    model.compile("adam", loss=hinge)
""",
            at="tf.ones((100, 1))",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

BATCH = 32


def likelihood(y_true, y_pred):
    log_p = tf.math.log(tf.clip_by_value(y_pred, 1e-6, 1.0))
    return -tf.reduce_sum(y_true * log_p) / BATCH


model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax")])
model.compile("sgd", loss=likelihood)
""",
            at="-tf.reduce_sum(y_true * log_p) / BATCH",
            hazard=Hazard.WRONG_LOSS,
            note="the last batch of an epoch is smaller",
        ),
        Bad(
            """\
from keras import ops


def margin_loss(y_true, y_pred):
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.sum(ops.relu(wrong - right + 1.0)) / 32
""",
            at="ops.sum(ops.relu(wrong - right + 1.0)) / 32",
            hazard=Hazard.WRONG_LOSS,
            note="no model is seen to be compiled with it",
        ),
        Bad(
            """\
import tensorflow as tf


def poisson_loss(y_true, y_pred):
    cost = y_pred - y_true * tf.math.log(y_pred + 1e-6)
    return tf.divide(tf.reduce_sum(cost), 500.0)
""",
            at="tf.divide(tf.reduce_sum(cost), 500.0)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf

w = tf.Variable(tf.random.normal([4, 3]))


def step(x, y):
    with tf.GradientTape() as tape:
        log_p = tf.nn.log_softmax(tf.matmul(x, w), axis=-1)
        loss = -tf.reduce_sum(tf.reduce_sum(y * log_p, axis=-1)) / 64.0
    w.assign_sub(0.1 * tape.gradient(loss, w))
""",
            at="-tf.reduce_sum(tf.reduce_sum(y * log_p, axis=-1)) / 64.0",
            hazard=Hazard.WRONG_LOSS,
            note="in a training step",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

BATCH = 100
x = tf.placeholder(tf.float32, [None, 4])
y_ = tf.placeholder(tf.float32, [None, 3])
scores = tf.matmul(x, tf.Variable(tf.random_normal([4, 3])))
entropy = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=scores)
loss = tf.reduce_sum(entropy) / BATCH
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
""",
            at="tf.reduce_sum(entropy) / BATCH",
            hazard=Hazard.WRONG_LOSS,
            note="in a script of TensorFlow 1",
        ),
    )


def _divided(view: View, total: Node, quotient: Node, size: str) -> str:
    if is_sum_of_samples(view, total):
        return f"{shown(quotient)} is a mean over the batch only if that has {size} samples"
    return f"{shown(quotient)} divides a sum over the batch by {size}, however large the batch is"


def _rows(view: View, node: Node) -> int | None:
    """Return the number of rows that an op gives, if it is a constant that may be a batch size."""
    if node.op == "reshape":
        shape = view.static(node, "shape")
        if not isinstance(shape, Items) or len(shape.items) < 2 or not _is_fed(view, node):
            return None
        sizes = [item for item in shape.items if isinstance(item, int)]
        if len(sizes) < len(shape.items) or sizes[0] < (_GROUPS if -1 in sizes else 2):
            return None
        return sizes[0]
    size = view.static(node, _SIZED[node.op])
    if node.op == "range":
        start = view.static(node, "start")
        size = start if node.arg("limit") is None else size if start == 0 else None
    if isinstance(size, Items):
        size = size.items[0] if size.items else None
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 1 else None


def _is_fed(view: View, node: Node) -> bool:
    """Return whether labels or predictions are in a value."""
    return any(
        found.input is not None and found.input.role in _FED for found in ancestors(view, node.id)
    )
