"""ACT503: an op along the batch axis, so that each sample depends on all others."""

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

from ._batch import (
    CUMULATIVE,
    LENGTH,
    MAGNITUDES,
    QUOTIENTS,
    REDUCTIONS,
    SIZES,
    SOFTMAX,
    axes,
    dividend,
    elementwise,
    has_target,
    losing,
    of_own_rows,
    over_batch,
    rows_are_samples,
    sources,
    within_samples,
)
from ._common import ancestors, descendants, shown
from ._losses_mended import within_each_sample

_SHIFTS = frozenset({"reduce_logsumexp", "reduce_max"})
_MOMENTS = frozenset({"reduce_mean", "reduce_std", "reduce_variance"})


class BatchDependentLoss(Rule):
    """An op along the batch axis, so that the value of each sample depends on all others.

    ## What it does
    Reports a softmax, a normalisation or a running sum over axis 0 of what a loss or an activation
    is given, where everything else treats the samples one by one: `tf.nn.softmax(logits, axis=0)`,
    `tf.cumsum(y_pred)` of rows, `y_pred / tf.reduce_sum(y_pred, axis=0)`, a mean over the batch
    beside a variance over the features, and the largest prediction of the batch beside the
    prediction, `K.max(y_pred, 0) - y_pred * y_true`, where `tf.maximum(y_pred, 0)` is meant. So is
    a layer's reduction over axis 0, or its maximum over everything, after which no axis of samples
    is left, and a layer's difference from a mean, or quotient by a deviation, that names no axis.

    ## Why is this bad?
    Axis 0 holds the samples. A softmax over it lets them compete for each class instead of the
    classes for each sample: the loss is finite and goes down, but what a sample costs depends on
    which others are drawn with it and on how many they are. In a batch of one, all shares are 1.

    ## How it is confirmed
    actlint draws two batches that share one sample, and finds that its value changes although
    its own inputs are the same, and that the output mixes samples, too. With the op along
    the last axis instead, no sample matters to another one: that axis is the only reason. Of a
    layer it finds that the output has one shape for any number of samples.

    ## Example
    ```python
    def cross_entropy(y_true, logits):
        return -tf.reduce_sum(y_true * tf.nn.log_softmax(logits, axis=0), axis=-1)
    ```

    ## Use instead
    ```python
    def cross_entropy(y_true, logits):
        return -tf.reduce_sum(y_true * tf.nn.log_softmax(logits, axis=-1), axis=-1)
    ```

    ## Fix safety
    Unsafe: it is another function, which treats samples one by one.

    ## What it misses
    Losses that compare samples elsewhere, too, be it on purpose; code that also sums over axis 0,
    which then may be that of draws or of time; plain sums and means over the batch, such as those
    of a Dice coefficient for each class. A Keras loss that returns `tf.reduce_mean(…, axis=0)` has
    the right mean; only sample weights then meet features, which is not reported.

    ## References
    TensorFlow API: tf.nn.softmax, tf.cumsum. Keras: Loss.call returns one value for each sample.
    """

    code: ClassVar[str] = "ACT503"
    name: ClassVar[str] = "batch-dependent-loss"
    hint: ClassVar[str] = (
        "Axis 0 is the batch: use axis=-1 for the classes or features of each sample, as in "
        "tf.nn.softmax(x, axis=-1)"
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.ACTIVATION, Role.LAYER, Role.LOSS})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the values that are normalised or accumulated along the batch, or lose it."""
        yield from self._lost(view)
        largest = dict(_beside_largest(view))
        if view.graph.partial or not (rows_are_samples(view) or largest):
            return
        # Each way that the batch comes in: the op along axis 0, and where it meets the samples.
        found = {node.id: node for node in _along(view)}
        met = {axis: where for axis, where in _against_own_batch(view) if axis.id not in found}
        met |= largest | dict(_against_everything(view))
        every = (*found.values(), *met)
        if not every or _draws(view, every):
            return
        targets = tuple(Target(node.id, 0.0, 0.0) for node in sorted(every, key=lambda n: n.id))
        meetings = {where.id: (axis, where) for axis, where in met.items()}
        meetings |= {node.id: (node, node) for node in found.values()}
        for ident, (axis, where) in sorted(meetings.items()):
            after = {node.id for node in descendants(view, ident)}
            # A shift by the largest, and what is made of it, are one softmax.
            if axis.op == "reduce_max" and after & meetings.keys():
                continue
            # What is done to the labels to match is no cause of its own.
            if not view.depends(axis) and any(view.depends(other) for other in every):
                continue
            everything = axes(view, axis) == ()
            way, hint = "runs over axis 0, the batch", ""
            if everything:
                way = f"combines samples with {shown(axis)}, which names no axis"
            elif axis in largest:
                way = f"combines samples with {shown(axis)}, whose 0 is the axis of the batch"
                hint = "Write tf.maximum or tf.minimum for the larger or smaller one of two values"
            yield Suspect(
                code=self.code,
                node=where.id,
                message=f"{shown(where)} {way}, so that the value of each sample depends on the "
                "others",
                check=Check.OTHER_SAMPLES,
                targets=targets,
                severity=Severity.WARNING if everything else Severity.ERROR,
                provisional=True,
                hint=hint,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Go along the last axis."""
        if suspect.hint:
            return
        yield from within_each_sample(view, [view.node(target.node) for target in suspect.targets])

    def _lost(self, view: View) -> Iterator[Suspect]:
        """Yield the reductions after which a layer has no axis of samples."""
        for node in losing(view):
            named = "runs over axis 0, the batch," if axes(view, node) else "names no axis"
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} {named} and leaves the layer without samples",
                check=Check.LOST_BATCH,
                severity=Severity.ERROR,
                provisional=True,
                hint="Axis 0 is the batch: reduce the features of each sample, as in "
                "tf.reduce_sum(x, axis=-1)",
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Standardised(tf.keras.layers.Dense):
    def call(self, inputs):
        kernel = self.kernel - tf.reduce_mean(self.kernel)
        kernel = kernel / tf.sqrt(tf.math.reduce_variance(kernel) + 1e-5)
        return tf.matmul(inputs, kernel) + self.bias
""",
            note="moments of weights, not of samples",
        ),
        Good(
            """\
import tensorflow as tf


class Share(tf.keras.layers.Layer):
    def call(self, inputs):
        largest = tf.reduce_max(inputs, axis=-1, keepdims=True)
        return inputs - largest + tf.reduce_mean(inputs, axis=-1, keepdims=True)
"""
        ),
        Good(
            """\
import tensorflow as tf


def stable_loss(y_true, y_pred):
    positive = tf.maximum(y_pred, 0)
    return tf.reduce_mean(
        positive - y_pred * y_true + tf.math.log1p(tf.exp(-tf.abs(y_pred))), axis=-1
    )
"""
        ),
        Good(
            """\
import tensorflow as tf


def cross_entropy(y_true, logits):
    return -tf.reduce_sum(y_true * tf.nn.log_softmax(logits, axis=1), axis=1)


def compile_model(model):
    model.compile(optimizer="adam", loss=cross_entropy)
"""
        ),
        Good(
            """\
import tensorflow as tf


def contrastive_loss(images, texts):
    images = tf.math.l2_normalize(images, axis=-1)
    texts = tf.math.l2_normalize(texts, axis=-1)
    scores = tf.matmul(images, texts, transpose_b=True) / 0.1
    pairs = tf.eye(tf.shape(scores)[0])
    rows = tf.reduce_sum(pairs * tf.nn.log_softmax(scores, axis=1), axis=1)
    columns = tf.reduce_sum(pairs * tf.nn.log_softmax(scores, axis=0), axis=0)
    return -tf.reduce_mean(rows + columns)
""",
            note="the batch is compared with itself on purpose",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def dice_loss(y_true, y_pred):
    overlap = K.sum(y_true * y_pred, axis=0)
    total = K.sum(y_true, axis=0) + K.sum(y_pred, axis=0)
    return 1.0 - K.mean((2.0 * overlap + 1.0) / (total + 1.0))


def compile_model(model):
    model.compile("adam", loss=dice_loss)
""",
            note="one coefficient for each class, of the whole batch",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Listwise(Loss):
    def call(self, y_true, y_pred):
        return -ops.sum(ops.softmax(y_true, axis=0) * ops.log_softmax(y_pred, axis=0))
""",
            note="the batch is one list of documents, in labels and in scores",
        ),
        Good(
            """\
import tensorflow as tf


def importance_weighted_loss(log_weights):
    shares = tf.stop_gradient(tf.nn.softmax(log_weights, axis=0))
    return -tf.reduce_mean(tf.reduce_sum(shares * log_weights, axis=0))
""",
            note="axis 0 holds draws, and is summed over",
        ),
        Good(
            """\
import tensorflow as tf


class Decorrelated(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        centred = y_pred - tf.reduce_mean(y_pred, axis=0)
        spread = tf.reduce_mean(tf.square(centred), axis=0)
        error = tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)
        return error + 0.1 * tf.reduce_mean(tf.nn.relu(1.0 - spread))
""",
            note="moments over the batch, as in batch normalisation",
        ),
        Good(
            """\
import tensorflow as tf


def earth_mover(y_true, y_pred):
    gap = tf.cumsum(y_true, axis=-1) - tf.cumsum(y_pred, axis=-1)
    return tf.reduce_mean(tf.abs(gap), axis=-1)


def compile_model(model):
    model.compile("adam", loss=earth_mover)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
from keras import backend as K
from keras.layers import Dense, Input, Lambda

state = Input((8,))
heads = Dense(5)(state)
values = Lambda(
    lambda h: K.expand_dims(h[:, 0], -1) + h[:, 1:] - K.mean(h[:, 1:], keepdims=True)
)(heads)
""",
            at="K.expand_dims(h[:, 0], -1) + h[:, 1:] - K.mean(h[:, 1:], keepdims=True)",
            hazard=Hazard.MIXED_SAMPLES,
            note="the mean of a duelling head, for want of an axis",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class Largest(Layer):
    def call(self, inputs):
        return K.max(inputs)
""",
            at="K.max(inputs)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
from keras import backend as K


def stable_loss(y_true, y_pred):
    positive = K.max(y_pred, 0)
    return K.mean(positive - y_pred * y_true + K.log(1 + K.exp(-K.abs(y_pred))), axis=-1)
""",
            at="positive - y_pred * y_true",
            hazard=Hazard.MIXED_SAMPLES,
            note="K.maximum is meant",
        ),
        Bad(
            """\
import tensorflow as tf


def cross_entropy(y_true, logits):
    return -tf.reduce_sum(y_true * tf.nn.log_softmax(logits, axis=0), axis=-1)


def compile_model(model):
    model.compile(optimizer="adam", loss=cross_entropy)
""",
            at="tf.nn.log_softmax(logits, axis=0)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def earth_mover(y_true, y_pred):
    gap = K.cumsum(y_true) - K.cumsum(y_pred)
    return K.mean(K.square(gap), axis=-1)


def compile_model(model):
    model.compile("adam", loss=earth_mover)
""",
            at="K.cumsum(y_pred)",
            hazard=Hazard.MIXED_SAMPLES,
            note="the default axis is the batch",
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential(
    [
        tf.keras.layers.Dense(32, activation="relu"),
        tf.keras.layers.Dense(10, activation=lambda x: tf.nn.softmax(x, axis=0)),
    ]
)
""",
            at="tf.nn.softmax(x, axis=0)",
            hazard=Hazard.MIXED_SAMPLES,
            note="the samples compete for each class",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Shares(Loss):
    def call(self, y_true, y_pred):
        shares = y_pred / (ops.sum(y_pred, axis=0, keepdims=True) + 1e-3)
        return ops.mean(ops.square(y_true - shares), axis=-1)
""",
            at="y_pred / (ops.sum(y_pred, axis=0, keepdims=True) + 1e-3)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


def cosine_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.nn.l2_normalize(y_pred, 0)
    return 1.0 - tf.reduce_mean(tf.reduce_sum(a * b, axis=-1))
""",
            at="tf.nn.l2_normalize(y_pred, 0)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


def soft(x):
    powers = tf.exp(x - tf.reduce_max(x, axis=0, keepdims=True))
    return powers / tf.reduce_sum(powers, axis=0, keepdims=True)


layer = tf.keras.layers.Dense(10, activation=soft)
""",
            at="powers / tf.reduce_sum(powers, axis=0, keepdims=True)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=0, keepdims=True)
        variance = tf.math.reduce_variance(inputs, axis=-1, keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-3)
""",
            at="inputs - mean",
            hazard=Hazard.MIXED_SAMPLES,
            note="the mean of the batch beside the variance of the features",
        ),
        Bad(
            """\
import tensorflow as tf


def nll_loss(labels, scores):
    log_p = scores - tf.math.reduce_logsumexp(scores, axis=0)
    return tf.reduce_mean(-tf.reduce_sum(tf.one_hot(labels, 4) * log_p, axis=1))
""",
            at="scores - tf.math.reduce_logsumexp(scores, axis=0)",
            hazard=Hazard.MIXED_SAMPLES,
        ),
        Bad(
            """\
import tensorflow as tf


class Total(tf.keras.layers.Layer):
    def call(self, inputs):
        return tf.nn.tanh(tf.reduce_sum(inputs, axis=0))
""",
            at="tf.reduce_sum(inputs, axis=0)",
            hazard=Hazard.MIXED_SAMPLES,
            note="no axis of samples is left",
        ),
    )


def _along(view: View) -> Iterator[Node]:
    """Yield the ops that keep the shape and run along the batch of an input's elements."""
    for node in view.nodes(*SOFTMAX):
        if over_batch(view, node) and _moves(view, node) and not _both_ways(view, node):
            yield node
    lengths = [node for node in view.nodes(*LENGTH) if _origin(view, node)]
    summed = any(within_samples(view, node) for node in view.nodes("reduce_sum", "reduce_mean"))
    for node in lengths:
        partner = any(within_samples(view, other) for other in lengths)
        if over_batch(view, node) and (partner or (summed and view.depends(node))):
            yield node
    running = [
        node
        for node in view.nodes(*CUMULATIVE)
        if (over_batch(view, node) or axes(view, node) == ()) and _origin(view, node)
    ]
    # Distributions are compared by their running sums; one alone may be that of a survival time.
    origins = {origin for node in running for origin in _origin(view, node)}
    if view.graph.role is Role.LOSS and len(origins) > 1:
        yield from running


def _origin(view: View, node: Node) -> frozenset[int]:
    """Return the inputs whose elements an op is handed."""
    operands = view.operands(node)
    return sources(view, operands[0]) if operands else frozenset()


def _moves(view: View, node: Node) -> bool:
    return view.depends(node) and bool(_origin(view, node))


def _both_ways(view: View, node: Node) -> bool:
    """Return whether values are normalised along another axis, too, or labels along the batch.

    Doubly stochastic matrices and soft assignments are; the batch of a listwise loss is a list.
    """
    if any(
        within_samples(view, other)
        for near in (ancestors(view, node.id), descendants(view, node.id))
        for other in near
        if other.op in SOFTMAX or _normalises(view, other)
    ):
        return True
    return any(
        not view.depends(other) and (over_batch(view, other) or axes(view, other) == ())
        for other in view.nodes(*SOFTMAX, *SIZES)
        if _origin(view, other)
    )


def _normalises(view: View, node: Node) -> bool:
    """Return whether a value is divided by its own sum, or less its own log-sum-exp."""
    return node.op in SIZES | {"reduce_logsumexp"} and _meeting(view, node) is not None


def _against_own_batch(view: View) -> Iterator[tuple[Node, Node]]:
    """Yield reductions over the batch with the op where what they reduce meets the result."""
    for node in view.nodes(*SIZES, *_SHIFTS, *_MOMENTS):
        if not over_batch(view, node) or not _moves(view, node):
            continue
        where = _meeting(view, node)
        if where is None:
            continue
        if node.op in _MOMENTS:
            if _other_moment(view, node):
                yield node, where
        elif node.op == "reduce_max" or not _both_ways(view, node):
            yield node, where


def _against_everything(view: View) -> Iterator[tuple[Node, Node]]:
    """Yield moments over all that a layer is given with the op where that meets them."""
    if view.graph.role is not Role.LAYER:
        return
    for node in view.nodes(*_MOMENTS):
        reduced = view.operands(node)[0]
        if axes(view, node) == () and view.depends(node) and of_own_rows(view, reduced):
            for where in _centred(view, node):
                if any(
                    view.same_value(part, reduced)
                    for operand in view.operands(where)
                    for part in elementwise(view, operand)
                ):
                    yield node, where
                    break


def _centred(view: View, node: Node) -> Iterator[Node]:
    """Yield differences from a moment, and quotients by it."""
    for where in descendants(view, node.id):
        if where.op in {*QUOTIENTS, "subtract"}:
            other = view.operand(where, "y")
            if other is not None and node in elementwise(view, other):
                yield where


def _beside_largest(view: View) -> Iterator[tuple[Node, Node]]:
    """Yield extremes over axis 0 of a prediction with the op where they meet it.

    ``K.max(x, 0)`` is read as the larger one of x and 0. A prediction less its largest value is
    shifted, which is something else.
    """
    if not has_target(view):
        return
    for node in view.nodes("reduce_max", "reduce_min"):
        if axes(view, node) != (0,) or view.static(node, "keepdims") is True:
            continue
        origin = _origin(view, node)
        for where in view.users(node) if _moves(view, node) else ():
            left, right = view.operand(where, "x"), view.operand(where, "y")
            if left is None or right is None or where.op not in {"add", "subtract"}:
                continue
            other = right if left == node else left
            shifted = where.op == "subtract" and right == node
            if not shifted and origin & sources(view, other) and view.depends(other):
                yield node, where
                break


def _other_moment(view: View, node: Node) -> bool:
    """Return whether another moment of the same input is taken within samples."""
    return any(
        within_samples(view, other) and _origin(view, other) == _origin(view, node)
        for other in view.nodes(*_MOMENTS)
    )


def _meeting(view: View, node: Node) -> Node | None:
    """Return the quotient or difference of a value and a reduction of it, or None."""
    reduced = view.operands(node)[0]
    own = {view.definition(reduced).id}
    if reduced.op in MAGNITUDES:
        own.add(view.definition(view.operands(reduced)[0]).id)
    for where in descendants(view, node.id):
        if where.op == "subtract":
            value, other = view.operand(where, "x"), view.operand(where, "y")
            fitting = node.op in _SHIFTS or node.op == "reduce_mean"
            if not fitting or other is None or node not in elementwise(view, other):
                continue
        else:
            value = dividend(view, where, node)
            if where.op in QUOTIENTS and node.op not in SIZES | _MOMENTS:
                continue
        if value is None:
            continue
        if node.op in {"reduce_std", "reduce_variance"}:
            if _origin(view, node) & sources(view, value):
                return where
        elif view.definition(value).id in own:
            return where
    return None


def _draws(view: View, batchwise: tuple[Node, ...]) -> bool:
    """Return whether axis 0 is also reduced behind an op along it: it may hold draws or time."""
    later = {node.id for found in batchwise for node in descendants(view, found.id)}
    return any(
        node.id in later and node not in batchwise and over_batch(view, node)
        for node in view.nodes(*REDUCTIONS)
    )
