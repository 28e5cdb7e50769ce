"""ACT514: fractions of a loss that are cut off by integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

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
    View,
)

from ._common import number, shown
from ._remedies import constant
from ._sizes_mended import divided

_DIVISIONS: Final = ("floordiv",)
# Ops after which an integer counts as a number: as a factor, a term, or what is compared.
_ARITHMETIC: Final = frozenset(
    {"add", "div", "divide", "multiply", "squared_difference", "subtract"}
)
_COUNTS: Final = frozenset({"count_nonzero", "reduce_sum"})
_SIZES: Final = frozenset({"count_nonzero", "getitem", "reduce_prod", "reduce_sum", "size"})
# Where smoothed labels are at most; below that, the factor is a unit such as 1/255.
_LEAST_SHARE: Final = 0.5


class IntegerTruncation(Rule):
    """Fractions of a loss that are cut off by integers.

    ## What it does
    Reports integer divisions whose quotient is 0 and weighs a part of a loss: `1 // 3`,
    `1 // tf.shape(x)[0]`, a count divided by a size with `//`. Reports casts of smoothed labels to
    an integer dtype, all of which become 0.

    ## Why is this bad?
    No error is raised. A weight of 0 switches a term off, a share of samples that is taken in
    integers weighs none of them, and labels that are all 0 teach the network to say 0.

    ## How it is confirmed
    actlint runs the loss as it stands, and again with the fraction in the place of the integer:
    it is another one. A quotient has to be the same integer on all samples.

    ## Example
    ```python
    def loss(y_true, y_pred):
        weight = 1 // 2
        error = tf.reduce_mean(tf.square(y_true - y_pred))
        return error + weight * tf.reduce_mean(tf.abs(y_pred))
    ```

    ## Use instead
    ```python
    def loss(y_true, y_pred):
        weight = 1 / 2
        error = tf.reduce_mean(tf.square(y_true - y_pred))
        return error + weight * tf.reduce_mean(tf.abs(y_pred))
    ```

    ## Fix safety
    `/` in the place of `//`, and a cast that is left out, are unsafe: the loss is another one, the
    one that is meant.

    ## What it misses
    Predictions that are cast, of which the rules of the gradient speak; labels that are cast as
    they are given, since they may be class ids; quotients that a further operation of Python's
    changes, and those of plain sizes, such as `n // 10`.

    ## References
    Python Language Reference: Binary arithmetic operations, on floor division. TensorFlow API:
    tf.cast.
    """

    code: ClassVar[str] = "ACT514"
    name: ClassVar[str] = "integer-truncation"
    hint: ClassVar[str] = (
        "Divide with / instead of //, and cast to tf.float32, before the division and instead of "
        "to an integer"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT101", "ACT501", "ACT507")
    roles: ClassVar[frozenset[Role]] = frozenset({Role.LOSS, Role.REGULARIZER})

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield divisions and casts that give integers, where these are used as numbers."""
        if view.graph.partial:
            return
        for node in view.nodes(""):
            quotient = _constant_quotient(node)
            if quotient is not None and _weighs(view, node):
                yield self._suspect(node, f"{shown(node)} is 0, not {number(quotient)}", quotient)
        for node in view.nodes(*_DIVISIONS):
            if _is_share(view, node) and _is_number(view, node):
                yield self._suspect(node, f"{shown(node)} divides integers, and gives 0")
        for node in view.nodes("cast"):
            if not _to_integer(view, node) or view.depends(node):
                continue
            if _are_shares(view, node) and _is_number(view, node):
                yield self._suspect(node, f"{shown(node)} makes 0 of smoothed labels")

    def _suspect(self, node: Node, message: str, quotient: float = 0.0) -> Suspect:
        return Suspect(
            code=self.code,
            node=node.id,
            message=message,
            check=Check.TRUNCATION,
            threshold=quotient,
            severity=Severity.WARNING,
            provisional=True,
        )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Keep the fraction."""
        yield from divided(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def class_loss(y_true, logits):
    ids = tf.cast(y_true, tf.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=logits)
""",
            note="class ids",
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, y_pred):
    weights = tf.constant([1.0, 2.0, 4.0, 8.0])
    bins = tf.cast(tf.clip_by_value(y_true, 0.0, 3.0), tf.int32)
    return tf.reduce_mean(tf.gather(weights, bins) * tf.square(y_true - y_pred))
""",
            note="bins are integers",
        ),
        Good(
            """\
import tensorflow as tf


def masked_loss(y_true, y_pred):
    known = tf.cast(tf.cast(y_true > 0.0, tf.int32), tf.float32)
    return tf.reduce_mean(known * tf.square(y_true - y_pred))
""",
            note="a condition has no fractions",
        ),
        Good(
            """\
import tensorflow as tf


def halves_loss(y_true, y_pred):
    half = tf.shape(y_pred)[1] // 2
    first = tf.square(y_true[:, :half] - y_pred[:, :half])
    second = tf.abs(y_true[:, half:] - y_pred[:, half:])
    return tf.reduce_mean(first) + tf.reduce_mean(second)
""",
            note="where to cut is an integer",
        ),
        Good(
            """\
from tensorflow.keras import backend as K

CLASSES = 10


def share_loss(y_true, y_pred):
    return K.mean(K.square(y_true - y_pred)) + (1 / CLASSES) * K.mean(K.abs(y_true - y_pred))
""",
            note="a division that keeps fractions",
        ),
        Good(
            """\
from keras import ops


def counted_loss(y_true, y_pred):
    count = ops.cast(ops.shape(y_pred)[-1] // 2, "float32")
    return ops.sum(ops.square(y_true - y_pred), axis=-1) / (count + 1.0)
""",
            note="half of a size",
        ),
        Good(
            """\
import tensorflow as tf


def switched_loss(y_true, y_pred, order=2):
    error = tf.abs(y_true - y_pred)
    return tf.reduce_mean(error ** (3 // order))
""",
            note="3 // 2 is 1, as an exponent may be meant to be",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def penalised(y_true, y_pred):
    weight = 1 // 2
    error = tf.reduce_mean(tf.square(y_true - y_pred))
    return error + weight * tf.reduce_mean(tf.abs(y_true - y_pred))
""",
            at="1 // 2",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
from tensorflow.keras import backend as K

CLASSES = 10
SHARE = 1 // CLASSES


def share_loss(y_true, y_pred):
    return K.mean(K.square(y_true - y_pred)) + SHARE * K.mean(K.abs(y_true - y_pred))
""",
            at="1 // CLASSES",
            hazard=Hazard.WRONG_LOSS,
            note="a constant of the module",
        ),
        Bad(
            """\
import tensorflow as tf


def mean_error(y_true, y_pred):
    share = tf.cast(1 // tf.shape(y_pred)[0], tf.float32)
    return share * tf.reduce_sum(tf.reduce_mean(tf.square(y_true - y_pred), axis=-1))
""",
            at="1 // tf.shape(y_pred)[0]",
            hazard=Hazard.WRONG_LOSS,
            note="0 for all batches of more than one sample",
        ),
        Bad(
            """\
import tensorflow as tf


class Balanced(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        positive = tf.math.count_nonzero(y_true > 0.5, dtype=tf.int32)
        share = tf.cast(positive // tf.size(y_true), tf.float32)
        error = tf.square(y_true - y_pred)
        return tf.reduce_mean((1.0 + share) * error, axis=-1)
""",
            at="positive // tf.size(y_true)",
            hazard=Hazard.WRONG_LOSS,
            note="a share of samples in integers",
        ),
        Bad(
            """\
import tensorflow as tf


def smoothed(y_true, y_pred):
    labels = tf.cast(y_true * 0.9 + 0.05, tf.int32)
    return tf.keras.losses.categorical_crossentropy(tf.cast(labels, tf.float32), y_pred)
""",
            at="tf.cast(y_true * 0.9 + 0.05, tf.int32)",
            hazard=Hazard.WRONG_LOSS,
            note="0.05 and 0.95 both become 0",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Rounded(Loss):
    def call(self, y_true, y_pred):
        soft = 0.8 * y_true + 0.1
        labels = ops.cast(ops.cast(soft, "int32"), "float32")
        return ops.mean(ops.square(labels - y_pred), axis=-1)
""",
            at='ops.cast(soft, "int32")',
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow as tf


def make_loss(terms):
    def loss(y_true, y_pred):
        gap = y_true - y_pred
        return tf.reduce_mean(tf.abs(gap)) + (1 // 4) * tf.reduce_mean(tf.square(gap)) / terms

    return loss


def compile_model(model):
    model.compile("adam", loss=make_loss(2.0))
""",
            at="1 // 4",
            hazard=Hazard.WRONG_LOSS,
        ),
    )


def _constant_quotient(node: Node) -> float | None:
    """Return the quotient of an integer division of constants that gave 0, or None."""
    value = node.arg("quotient") if node.input is None else None
    return value if isinstance(value, float) else None


def _weighs(view: View, node: Node) -> bool:
    """Return whether a constant is a factor of something that has a gradient."""
    return any(
        user.op == "multiply" and any(view.depends_differentiably(each) for each in user.operands)
        for user in view.users(node)
    )


def _is_share(view: View, node: Node) -> bool:
    """Return whether an integer division gives the share of a count, or of 1, in a size."""
    if view.depends(node):
        return False
    one, other = node.arg("x"), view.operand(node, "y")
    size = None if other is None else view.definition(other)
    if size is None or size.op not in _SIZES:
        return False
    if isinstance(one, int):
        return one == 1
    count = view.operand(node, "x")
    return count is not None and view.definition(count).op in _COUNTS


def _is_number(view: View, node: Node) -> bool:
    """Return whether an integer is cast to a number that is reckoned with."""
    for user in view.users(node):
        if user.op == "cast" and not _to_integer(view, user):
            return view.reaches_output(user)
        if user.op in {"negative", "identity"} and _is_number(view, user):
            return True
    return False


def _to_integer(view: View, node: Node) -> bool:
    dtype = view.static(node, "dtype")
    name = getattr(dtype, "name", dtype)
    return isinstance(name, str) and name.startswith(("int", "uint"))


def _are_shares(view: View, node: Node) -> bool:
    """Return whether what is cast surely lies between -1 and 1, without its ends."""
    operand = view.operand(node, "x")
    if operand is None or operand.op not in _ARITHMETIC:
        return False
    known = view.interval(operand)
    inside = known.lo > -1.0 and _LEAST_SHARE <= known.hi < 1.0 and not known.integer
    return inside or _is_smoothed(view, operand)


def _is_smoothed(view: View, node: Node) -> bool:
    """Return whether a value is that of smoothed labels: a share of them, and a constant."""
    if node.op != "add":
        return False
    for product, rest in (("x", "y"), ("y", "x")):
        scaled, offset = view.operand(node, product), constant(view, node, rest)
        if scaled is None or offset is None or scaled.op != "multiply":
            continue
        factors = [constant(view, scaled, name) for name in ("x", "y")]
        factor = next((each for each in factors if each is not None), 0.0)
        if factor >= _LEAST_SHARE and offset >= 0.0 and factor + offset < 1.0:
            return True
    return False
