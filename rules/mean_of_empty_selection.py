"""ACT116: the mean over a selection that can be empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from actlint.query import (
    Bad,
    Cause,
    Check,
    Good,
    Hazard,
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

from ._common import COMPARISON, first_hit, nonfinite, shown
from ._remedies import adds_nothing, no_nan, ref, replaced

_DIVISIONS = ("divide", "div", "np_divide", "np_true_divide")
_ZERO = frozenset({Cause.ZERO})
_SUM = "reduce_sum"
# What a mask goes through on its way into a sum and stays the same mask.
_CARRIERS = frozenset({"multiply", "cast", "identity"})
_ALL = frozenset({"count_nonzero", "reduce_mean", "reduce_sum"})


class MeanOfEmptySelection(Rule):
    """The mean over a selection that can be empty.

    ## What it does
    Reports `tf.reduce_mean` of what `tf.boolean_mask` or `x[condition]` leaves, and
    `sum(x * mask) / sum(mask)`, when nothing says that at least one element is selected.

    ## Why is this bad?
    The mean of nothing is `0 / 0 = nan`. A batch without one positive label, without one valid
    pixel or without one pair of the same class is rare and comes sooner or later; a single such
    batch makes every weight nan at the next optimiser step. Where all samples of a batch are
    selected from at once, it takes a whole batch without any: a warning.

    ## How it is confirmed
    actlint feeds a batch in which no element is selected, such as labels that are all 0, and sees
    nan start at the mean.

    ## Example
    ```python
    def masked_loss(y_true, y_pred):
        mask = tf.cast(y_true > 0, tf.float32)
        return tf.reduce_sum(tf.square(y_true - y_pred) * mask) / tf.reduce_sum(mask)
    ```

    ## Use instead
    ```python
    def masked_loss(y_true, y_pred):
        mask = tf.cast(y_true > 0, tf.float32)
        return tf.math.divide_no_nan(
            tf.reduce_sum(tf.square(y_true - y_pred) * mask), tf.reduce_sum(mask)
        )
    ```

    ## Fix safety
    `tf.math.divide_no_nan` of the sum and the count is safe: it is 0 for an empty selection, so
    that nothing is added, and the mean of every other. Where 0 is not nothing, as in
    `1.0 - sum(x * mask) / sum(mask)`, or where the divisor is predicted, it is unsafe.

    ## What it misses
    Largest and smallest elements of an empty selection, which are infinite; selections of what is
    not labelled, which are empty when all labels are 1. A caller who guarantees that something is
    selected is not believed.

    ## References
    TensorFlow API: tf.boolean_mask, tf.math.divide_no_nan, tf.math.reduce_mean.
    """

    code: ClassVar[str] = "ACT116"
    name: ClassVar[str] = "mean-of-empty-selection"
    hint: ClassVar[str] = (
        "Use tf.math.divide_no_nan(tf.reduce_sum(x * mask), tf.reduce_sum(mask)), which is 0 for "
        "an empty selection"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT101",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield means over selections that can be empty."""
        for node in view.nodes():
            if not view.reaches_output(node):
                continue
            hit = next((h for h in view.hits(node) if h.region.cause is Cause.EMPTY), None)
            if hit is not None and not hit.masked:
                selection = _selection(view, hit.operand)
                yield Suspect(
                    code=self.code,
                    node=node.id,
                    message=f"{shown(node)} is nan when {shown(selection)} selects nothing"
                    f"{_WHOLE if _is_whole(node) else ''}",
                    check=Check.NONFINITE,
                    targets=(Target(selection.id, 0.0, 0.0),),
                    severity=Severity.WARNING if _is_whole(node) else Severity.ERROR,
                    # Which values a condition on unknown ones takes, the run alone can tell.
                    provisional=True,
                )
        for node in view.nodes(*_DIVISIONS):
            hit = first_hit(view, node, _ZERO)
            mask = None if hit is None else _mask(view, node)
            below = view.operand(node, "y")
            if hit is None or mask is None or below is None:
                continue
            whole = _is_whole(view.definition(below))
            suspect = nonfinite(
                view,
                self.code,
                node,
                hit,
                f"{shown(node)} is 0 / 0 = nan when {shown(mask)} "
                f"{'selects nothing' if mask.op in COMPARISON else 'is 0 everywhere'}"
                f"{_WHOLE if whole else ''}",
            )
            yield replace(suspect, severity=Severity.WARNING) if whole else suspect

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Divide the sum by the count without nan."""
        node = view.node(suspect.node)
        settled = Settled.GIVEN if _is_left_out(view, node) else Settled.LIMIT
        yield from no_nan(view, node, settled)
        chosen = view.operand(node, "input_tensor")
        if node.op != "reduce_mean" or chosen is None or node.arg("axis") is not None:
            return
        counts = [('tf.cast(tf.size({x}), "float32")', ref(chosen))] if chosen.name else []
        selection = _selection(view, chosen)
        if selection.op in COMPARISON:
            counts.append(('tf.math.count_nonzero({count}, dtype="float32")', ref(selection)))
        for count, of in counts:
            yield replaced(
                node,
                f"tf.math.divide_no_nan(tf.reduce_sum({{x}}), {count})",
                "Divide the sum by the count with tf.math.divide_no_nan",
                "it is 0 for an empty selection, and the mean of every other",
                {"x": ref(chosen), "count": of},
                safety=Safety.SAFE if settled is Settled.GIVEN else Safety.UNSAFE,
                settled=settled,
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    mask = tf.cast(y_true > 0, tf.float32)
    total = tf.reduce_sum(tf.square(y_true - y_pred) * mask)
    return tf.math.divide_no_nan(total, tf.reduce_sum(mask))
"""
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def masked_loss(y_true, y_pred):
    mask = K.cast(K.not_equal(y_true, -1.0), K.floatx())
    return K.sum(K.square(y_true - y_pred) * mask) / K.maximum(K.sum(mask), 1.0)
"""
        ),
        Good(
            """\
import tensorflow as tf


class Weighted(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        weight = 1.0 + 4.0 * tf.abs(y_true)
        return tf.reduce_sum(weight * tf.square(y_true - y_pred)) / tf.reduce_sum(weight)
""",
            note="no weight is 0",
        ),
        Good(
            """\
import tensorflow as tf


def chosen_loss(y_true, y_pred):
    error = tf.boolean_mask(tf.square(y_true - y_pred), y_true > 0)
    return tf.reduce_sum(error)
""",
            note="the sum of nothing is 0",
        ),
        Good(
            """\
from keras import ops
from keras.losses import Loss


class Seen(Loss):
    def call(self, y_true, y_pred):
        seen = ops.cast(y_true > 0, "float32")
        return ops.sum(seen * ops.abs(y_true - y_pred)) / (ops.sum(seen) + 1e-6)
"""
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
error = tf.square(tf.matmul(x, w) - y)
loss = tf.reduce_mean(tf.where(y > 0, error, tf.zeros_like(error)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            note="the mean is over all elements",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    mask = tf.cast(y_true > 0, tf.float32)
    return tf.reduce_sum(tf.square(y_true - y_pred) * mask) / tf.reduce_sum(mask)
""",
            at="tf.reduce_sum(tf.square(y_true - y_pred) * mask) / tf.reduce_sum(mask)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def chosen_loss(y_true, y_pred):
    error = tf.boolean_mask(tf.square(y_true - y_pred), y_true > 0)
    return tf.reduce_mean(error)
""",
            at="tf.reduce_mean(error)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.losses import Loss


class Positives(Loss):
    def call(self, y_true, y_pred):
        missed = K.sum(y_true * K.square(1.0 - y_pred))
        return missed / K.sum(y_true)
""",
            at="missed / K.sum(y_true)",
            hazard=Hazard.NAN,
            note="a batch without a positive label",
        ),
        Bad(
            """\
import tensorflow as tf


@tf.function
def hard_loss(y_true, y_pred):
    error = tf.abs(y_true - y_pred)
    return tf.reduce_mean(error[error > 0.3])
""",
            at="tf.reduce_mean(error[error > 0.3])",
            hazard=Hazard.NAN,
            note="once no error is large any more",
        ),
        Bad(
            """\
from keras import ops


def make_loss(ignored):
    def loss(y_true, y_pred):
        valid = ops.cast(ops.not_equal(y_true, ignored), "float32")
        each = ops.square(y_true - y_pred)
        return ops.divide(ops.sum(valid * each), ops.sum(valid))

    return loss


def build(model):
    model.compile("adam", loss=make_loss(0.0))
""",
            at="ops.divide(ops.sum(valid * each), ops.sum(valid))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
error = tf.square(tf.matmul(x, w) - y)
loss = tf.reduce_mean(tf.boolean_mask(error, tf.greater(y, 0.0)))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.reduce_mean(tf.boolean_mask(error, tf.greater(y, 0.0)))",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(3)])


def step(x, y):
    with tf.GradientTape() as tape:
        error = tf.square(model(x) - y)
        loss = tf.reduce_mean(tf.gather_nd(error, tf.where(y > 0.5)))
    return tape.gradient(loss, model.trainable_variables)
""",
            at="tf.reduce_mean(tf.gather_nd(error, tf.where(y > 0.5)))",
            hazard=Hazard.NAN,
        ),
    )


def _is_left_out(view: View, node: Node) -> bool:
    """Tell whether 0 for an empty selection leaves the loss to what else there is.

    In ``1 - sum(x * mask) / sum(mask)`` it does not, nor where the divisor is predicted.
    """
    divisor = view.operand(node, "y") if node.op in _DIVISIONS else None
    fixed = divisor is None or not view.depends_differentiably(divisor)
    return fixed and adds_nothing(view, node)


_WHOLE = " in a whole batch"


def _is_whole(node: Node) -> bool:
    """Tell whether a sum or mean runs over all samples at once, which are seldom all empty."""
    return node.op in _ALL and node.arg("axis") is None


def _selection(view: View, operand: Node) -> Node:
    """Return the condition by which elements are taken, or what takes them."""
    for name in ("mask", "index", "indices"):
        found = view.operand(operand, name)
        if found is not None:
            inner = view.operand(found, "condition")
            return inner if found.op == "where" and inner is not None else found
    return operand


def _mask(view: View, division: Node) -> Node | None:
    """Return the mask or weight of which a mean is taken, or None."""
    above, below = view.operand(division, "x"), view.operand(division, "y")
    if above is None or below is None:
        return None
    for total in _sums(view, below):
        mask = view.operand(total, "input_tensor")
        if mask is None or view.interval(mask).lo < 0.0:
            continue
        for summed in _sums(view, above):
            if any(view.same_value(factor, mask) for factor in _factors(view, summed)):
                return view.definition(mask)
    return None


def _sums(view: View, node: Node) -> Iterator[Node]:
    """Yield the sums that `node` hands on, scaled or moved."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop()
        if current.id in seen or not current.op:
            continue
        seen.add(current.id)
        if current.op == _SUM:
            yield current
        if current.op in _CARRIERS or current.op in {"negative", _SUM} or _moves(view, current):
            waiting += view.operands(current)


def _factors(view: View, total: Node) -> Iterator[Node]:
    """Yield the factors of what a sum adds up."""
    waiting, seen = list(view.operands(total)), set[int]()
    while waiting:
        current = waiting.pop()
        if current.id in seen:
            continue
        seen.add(current.id)
        yield current
        if current.op in _CARRIERS or current.op == "negative":
            waiting += view.operands(current)


def _moves(view: View, node: Node) -> bool:
    return view.op(node).kind is Kind.STRUCTURAL
