"""ACT120: a nan of the data that is masked only after it has been computed with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    InputRole,
    Kind,
    Node,
    Remedy,
    Rule,
    Safety,
    Settled,
    Severity,
    Suspect,
    Target,
    View,
)

from ._common import ancestors, shown
from ._remedies import argument

_ASKING = ("is_finite", "is_nan")
_UNEQUAL = ("equal", "not_equal")
_SELECTING = ("boolean_mask", "where")
_MASKING = (*_SELECTING, "multiply", "multiply_no_nan", "getitem")
_DATA = frozenset({InputRole.DATA, InputRole.LABEL})


class MaskedNan(Rule):
    """A nan of the data that is masked only after it has been computed with.

    ## What it does
    Reports an expression that combines a prediction with data of which the code itself says that
    they can be nan (`tf.math.is_nan(y_true)`, `tf.math.is_finite`, `y_true != y_true`), and whose
    result is masked afterwards; and a `tf.where` that replaces the nan of a result computed from
    predictions, `tf.where(tf.math.is_nan(loss), 0.0, loss)`, as an information.

    ## Why is this bad?
    `tf.where` drops the value of what it does not select, not its gradient: that is multiplied by
    0, and `0 * nan` is nan. A mask that multiplies does not even drop the value. The loss looks
    right for every batch, and the first missing label makes every weight nan.

    ## How it is confirmed
    actlint runs the function on typical batches, which are finite, and on the same with one nan in
    the data: output or gradient is nan.

    ## Example
    ```python
    def masked_loss(y_true, y_pred):
        missing = tf.math.is_nan(y_true)
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean(tf.where(missing, 0.0, error))
    ```

    ## Use instead
    ```python
    def masked_loss(y_true, y_pred):
        missing = tf.math.is_nan(y_true)
        error = tf.square(tf.where(missing, y_pred, y_true) - y_pred)
        return tf.reduce_mean(tf.where(missing, 0.0, error))
    ```

    ## Fix safety
    Replacing nan in the data by 0 before it is computed with is safe where the result is masked by
    `tf.where` afterwards: values stay, and gradients where they were finite. Elsewhere it is
    unsafe: what nan stood for counts as 0.

    ## What it misses
    Missing values marked by another number, which do no harm, and nan in data that the code does
    not ask about.

    ## References
    TensorFlow API: tf.where, note on gradients; tf.math.is_nan.
    """

    code: ClassVar[str] = "ACT120"
    name: ClassVar[str] = "masked-nan"
    hint: ClassVar[str] = (
        "Replace nan in the data before computing with it, tf.where(tf.math.is_nan(y), 0.0, y), "
        "or select with tf.boolean_mask"
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield what computes with data before nan is masked."""
        told = set[int]()
        for question, asked in _questions(view):
            source = _source(view, asked)
            if source is None or source.id in told or view.depends(asked):
                continue
            told.add(source.id)
            met = _met(view, source)
            if met is not None and _is_masked(view, met, question):
                yield self._suspect(
                    met,
                    f"{shown(met)} is computed with what {shown(question)} looks for: a mask "
                    "afterwards leaves its gradient nan",
                    [source],
                )
        if not told:
            yield from self._late(view)

    def _late(self, view: View) -> Iterator[Suspect]:
        """Yield selections that replace nan in what was computed from predictions and data."""
        for node in view.nodes("where"):
            condition, asked = view.operand(node, "condition"), None
            for question, value in _questions(view):
                if condition is not None and question in ancestors(view, condition.id):
                    asked = value
            if asked is None or not view.depends_differentiably(asked):
                continue
            data = [
                each for each in ancestors(view, asked.id)
                if each.input is not None and each.input.role in _DATA and not each.input.integer
            ]  # fmt: skip
            if data and view.on_gradient_path(node):
                yield self._suspect(
                    node,
                    f"{shown(node)} replaces nan in the value alone: if there is nan in "
                    f"{shown(data[-1])}, the gradient stays nan",
                    data,
                    Severity.INFO,
                )

    def _suspect(
        self, node: Node, message: str, data: list[Node], severity: Severity = Severity.ERROR
    ) -> Suspect:
        return Suspect(
            code=self.code,
            node=node.id,
            message=message,
            check=Check.MISSING_DATA,
            targets=tuple(Target(each.id, 0.0, 0.0) for each in data),
            severity=severity,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Replace nan in the data where it is read."""
        node, source = view.node(suspect.node), view.node(suspect.targets[0].node)
        if suspect.severity is Severity.INFO:
            return
        read = [each for each in view.operands(node) if _source(view, each) is source]
        hidden = any(user.op == "where" for user in _following(view, node))
        for operand in read[:1]:
            yield argument(
                node,
                operand,
                "tf.where(tf.math.is_nan({x}), tf.zeros_like({x}), {x})",
                "Replace nan by 0 before computing with it",
                "the mask afterwards drops what is computed with it"
                if hidden
                else "what is missing counts as 0",
                safety=Safety.SAFE if hidden else Safety.UNSAFE,
                settled=Settled.GIVEN,
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    missing = tf.math.is_nan(y_true)
    known = tf.where(missing, tf.zeros_like(y_true), y_true)
    error = tf.where(missing, tf.zeros_like(y_true), tf.square(known - y_pred))
    return tf.reduce_mean(error)
""",
            note="nan is replaced first",
        ),
        Good(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    known = tf.math.is_finite(y_true)
    error = tf.square(tf.boolean_mask(y_true, known) - tf.boolean_mask(y_pred, known))
    return tf.math.divide_no_nan(
        tf.reduce_sum(error), tf.reduce_sum(tf.cast(known, tf.float32))
    )
""",
        ),
        Good(
            """\
import tensorflow as tf


class Masked(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        difference = tf.where(tf.math.is_nan(y_true), 0.0, y_true - y_pred)
        return tf.reduce_mean(tf.square(difference))
""",
            note="the difference is masked before the square: its slope does not hold the label",
        ),
        Good(
            """\
from keras import ops


def masked_loss(y_true, y_pred):
    known = ops.where(ops.isnan(y_true), y_pred, y_true)
    return ops.mean(ops.abs(known - y_pred))
""",
        ),
        Good(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    known = tf.cast(tf.not_equal(y_true, -1.0), tf.float32)
    return tf.reduce_mean(known * tf.square(y_true - y_pred))
""",
            note="what is missing is marked by a number, and finite",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
prediction = tf.layers.dense(x, 1)
seen = tf.logical_not(tf.is_nan(y))
target = tf.where(seen, y, tf.zeros_like(y))
weight = tf.cast(seen, tf.float32)
loss = tf.reduce_mean(weight * tf.abs(target - prediction))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    missing = tf.math.is_nan(y_true)
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(tf.where(missing, tf.zeros_like(error), error))
""",
            at="y_true - y_pred",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


class Masked(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        known = tf.cast(~tf.math.is_nan(y_true), y_pred.dtype)
        return tf.reduce_mean(known * tf.abs(y_pred - y_true))
""",
            at="y_pred - y_true",
            hazard=Hazard.NAN,
            note="0 * nan is nan: the mask does not even hide the value",
        ),
        Bad(
            """\
from keras import ops


def make_loss(delta):
    def loss(y_true, y_pred):
        error = ops.abs(ops.subtract(y_true, y_pred))
        each = ops.where(error < delta, 0.5 * ops.square(error), delta * (error - 0.5 * delta))
        return ops.mean(ops.where(ops.isnan(y_true), 0.0, each))

    return loss


def build(model):
    model.compile("adam", loss=make_loss(1.0))
""",
            at="ops.subtract(y_true, y_pred)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import backend as K


def masked_crossentropy(y_true, y_pred):
    share = K.clip(y_pred, 1e-6, 1.0 - 1e-6)
    each = -(y_true * K.log(share) + (1.0 - y_true) * K.log(1.0 - share))
    known = y_true == y_true
    return K.mean(tf.where(known, each, tf.zeros_like(each)))
""",
            at="y_true * K.log(share)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 1])
prediction = tf.layers.dense(x, 1)
error = tf.squared_difference(prediction, y)
loss = tf.reduce_mean(tf.where(tf.is_finite(y), error, tf.zeros_like(error)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.squared_difference(prediction, y)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def filtered(y_true, y_pred):
    each = tf.square(y_true - y_pred)
    return tf.reduce_mean(tf.where(tf.math.is_nan(each), tf.zeros_like(each), each))


def build(model):
    model.compile(optimizer="sgd", loss=filtered)
""",
            at="tf.where(tf.math.is_nan(each), tf.zeros_like(each), each)",
            hazard=Hazard.NAN,
            note="the guard sees nan and hides it from the loss, not from the weights",
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def train_step(model, optimizer, features, targets):
    with tf.GradientTape() as tape:
        error = tf.abs(targets - model(features))
        seen = tf.logical_not(tf.math.is_nan(targets))
        loss = tf.reduce_mean(tf.where(seen, error, 0.0))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
""",
            at="targets - model(features)",
            hazard=Hazard.NAN,
        ),
    )


def _questions(view: View) -> Iterator[tuple[Node, Node]]:
    """Yield what asks whether a value is nan, with the value."""
    for node in view.nodes(*_ASKING):
        asked = next(iter(view.operands(node)), None)
        if asked is not None:
            yield node, asked
    for node in view.nodes(*_UNEQUAL):
        pair = view.operands(node)
        twice = len(pair) == 2 and view.same_value(*pair)
        if twice or (len(pair) == 1 and len(node.operands) == 2):
            yield node, pair[0]


def _source(view: View, node: Node) -> Node | None:
    """Return the data that a value is, but for its shape; None if it is computed."""
    while node.input is None:
        known = view.operands(node)
        if view.op(node).kind is not Kind.STRUCTURAL or len(known) != 1:
            return None
        node = known[0]
    return node if node.input.role in _DATA and not node.input.differentiated else None


def _met(view: View, source: Node) -> Node | None:
    """Return the first expression that combines data with what is trained, unmasked."""
    carrying = {source.id}
    for node in view.nodes():
        if carrying.isdisjoint(node.operands) or node.op in (*_ASKING, *_UNEQUAL):
            continue
        if node.op in _SELECTING and any(
            question in ancestors(view, node.id) for question, _ in _questions(view)
        ):
            continue
        if view.depends_differentiably(node):
            return node if view.reaches_output(node) else None
        carrying.add(node.id)
    return None


def _is_masked(view: View, node: Node, question: Node) -> bool:
    """Tell whether what is computed is selected or weighed by what a question answers."""
    return any(
        user.op in _MASKING and question in ancestors(view, user.id)
        for user in _following(view, node)
    )


def _following(view: View, node: Node) -> Iterator[Node]:
    """Yield what is computed element by element from a value."""
    waiting, seen = [node], set[int]()
    while waiting:
        for user in view.users(waiting.pop()):
            if user.id not in seen and view.op(user).kind is not Kind.REDUCTION:
                seen.add(user.id)
                waiting.append(user)
                yield user
