"""ACT115: a softmax over entries that can all be masked with -inf."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Kind,
    Node,
    Remedy,
    Rewrite,
    Rule,
    Safety,
    Suspect,
    Target,
    View,
)

from ._common import shown

_SOFTMAXES = ("softmax", "log_softmax")
_CARRIERS = frozenset({"add", "subtract", "multiply", "divide", "cast", "identity"})


class MaskedSoftmax(Rule):
    """A softmax over entries that can all be masked with -inf.

    ## What it does
    Reports `tf.nn.softmax` and `tf.nn.log_softmax` of scores in which `tf.where` puts -inf for
    what is masked.

    ## Why is this bad?
    In a row that is masked altogether every score is -inf, and `-inf - max` is `inf - inf = nan`.
    Such rows come with padding: an empty sequence, a query that may attend to nothing. The nan
    spreads from that row to the loss, and from there to every weight, even when the row itself has
    a weight of 0.

    ## How it is confirmed
    actlint masks one row of the batch and sees nan start at the softmax.

    ## Example
    ```python
    def attend(scores, mask):
        return tf.nn.softmax(tf.where(mask, scores, float("-inf")))
    ```

    ## Use instead
    ```python
    def attend(scores, mask):
        return tf.nn.softmax(tf.where(mask, scores, -1e9))
    ```

    ## Fix safety
    Unsafe: a row that is masked altogether gets equal weights, where it was nan.

    ## What it misses
    With a finite value such as -1e9 a row that is masked altogether gets equal weights for all
    entries. That is finite, and a defect only if the row is used afterwards.

    ## References
    TensorFlow API: tf.nn.softmax, tf.where, tf.keras.layers.Softmax.
    """

    code: ClassVar[str] = "ACT115"
    name: ClassVar[str] = "masked-softmax"
    hint: ClassVar[str] = (
        "Mask with a finite number, tf.where(mask, scores, -1e9), and set the weights of rows "
        "without any entry to 0"
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT111",)

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield softmax functions of scores that can all be -inf."""
        for node in view.nodes(*_SOFTMAXES):
            scores = view.operand(node, "logits")
            choice = None if scores is None else _choice(view, scores)
            if scores is None or choice is None:
                continue
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{shown(node)} is nan for a row in which {shown(choice)} puts -inf "
                "everywhere",
                check=Check.INDETERMINATE,
                targets=(Target(scores.id, -math.inf, -math.inf),),
                provisional=True,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Mask with a finite number."""
        scores = view.operand(suspect.node, "logits")
        choice = None if scores is None else _choice(view, scores)
        for name in ("x", "y") if choice is not None else ():
            if choice is not None and _lowest(view, choice, name):
                yield Remedy(
                    "Mask with -1e9",
                    "a row that is masked altogether gets equal weights",
                    Safety.UNSAFE,
                    (_finite(view, choice, name),),
                )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


class Attend(tf.keras.layers.Layer):
    def call(self, scores, mask):
        return tf.nn.softmax(tf.where(mask, scores, -1e9))
"""
        ),
        Good(
            """\
import tensorflow as tf


class Attend(tf.keras.layers.Layer):
    def call(self, scores, mask):
        penalty = (1.0 - tf.cast(mask, tf.float32)) * -1e9
        return tf.nn.softmax(scores + penalty, axis=-1)
"""
        ),
        Good(
            """\
from keras import ops
from keras.layers import Layer


class Strongest(Layer):
    def call(self, inputs):
        top = ops.max(inputs, axis=-1, keepdims=True)
        return ops.softmax(ops.where(inputs >= top - 1.0, inputs, float("-inf")))
""",
            note="the largest entry is never masked",
        ),
        Good(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Lambda


def clear(x):
    return K.softmax(K.clip(x, -30.0, 30.0))


layer = Lambda(clear)
"""
        ),
        Good(
            """\
import numpy as np
import tensorflow as tf


def best_loss(y_true, y_pred):
    scores = tf.where(y_true > 0, y_pred, -np.inf)
    return tf.reduce_mean(tf.nn.relu(1.0 - tf.reduce_max(tf.where(y_true > 0, scores, 0.0), -1)))
""",
            note="-inf goes into no softmax, and nowhere else",
        ),
        Good(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
seen = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
logits = tf.where(seen > 0, tf.matmul(x, w), -1e4 * tf.ones_like(seen))
loss = -tf.reduce_mean(y * tf.nn.log_softmax(logits))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
"""
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


class Attend(tf.keras.layers.Layer):
    def call(self, scores, mask):
        return tf.nn.softmax(tf.where(mask, scores, float("-inf")))
""",
            at='tf.nn.softmax(tf.where(mask, scores, float("-inf")))',
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import numpy as np
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class Pool(Layer):
    def call(self, inputs):
        scores = K.switch(K.equal(inputs, 0.0), -np.inf * K.ones_like(inputs), inputs)
        return inputs * K.softmax(scores, axis=-1)
""",
            at="K.softmax(scores, axis=-1)",
            hazard=Hazard.NAN,
            note="zeros are padding, and a row can be padding altogether",
        ),
        Bad(
            """\
import math

from keras import ops
from keras.layers import Layer


class Attend(Layer):
    def __init__(self, scale=0.5):
        super().__init__()
        self.scale = scale

    def call(self, query, keep):
        scores = ops.where(keep > 0.5, query, -math.inf)
        return ops.softmax(self.scale * scores, axis=-1)
""",
            at="ops.softmax(self.scale * scores, axis=-1)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf


def chosen_loss(y_true, y_pred):
    allowed = tf.where(y_true > 0, y_pred, float("-inf"))
    return tf.reduce_mean(tf.square(tf.nn.softmax(allowed, axis=-1) - y_true))
""",
            at="tf.nn.softmax(allowed, axis=-1)",
            hazard=Hazard.NAN,
            note="a row without a positive label",
        ),
        Bad(
            """\
import tensorflow as tf


def make_gate(threshold):
    def gate(x):
        kept = tf.where(x < threshold, float("-inf"), x)
        return tf.nn.softmax(kept) * x

    return gate


layer = tf.keras.layers.Lambda(make_gate(0.0))
""",
            at="tf.nn.softmax(kept)",
            hazard=Hazard.NAN,
            note="a row of negative numbers",
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
seen = tf.placeholder(tf.float32, [None, 4])
y = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.zeros([4, 4]))
nothing = tf.fill(tf.shape(seen), float("-inf"))
weights = tf.nn.softmax(tf.where(seen > 0, tf.matmul(x, w), nothing))
loss = tf.reduce_mean(tf.square(weights - y))
train = tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.nn.softmax(tf.where(seen > 0, tf.matmul(x, w), nothing))",
            hazard=Hazard.NAN,
        ),
    )


def _choice(view: View, scores: Node) -> Node | None:
    """Return the selection of -inf that `scores` are made of, or None."""
    waiting, seen = [scores], set[int]()
    while waiting:
        node = waiting.pop(0)
        if node.id in seen or not node.op:
            continue
        seen.add(node.id)
        if node.op == "where" and any(_lowest(view, node, name) for name in ("x", "y")):
            return node
        if node.op in _CARRIERS or view.op(node).kind is Kind.STRUCTURAL:
            waiting += view.operands(node)
    return None


def _finite(view: View, choice: Node, name: str) -> Rewrite:
    """Return the change of -inf in a branch of a selection, or of what the branch is made of."""
    branch = view.operand(choice, name)
    for value in () if branch is None else (value for _, value in branch.args):
        if value == -math.inf:
            return Rewrite(-math.inf, "-1e9", (), branch.id if branch is not None else choice.id)
    return Rewrite(-math.inf, "-1e9", (), choice.id)


def _lowest(view: View, node: Node, name: str) -> bool:
    """Return whether a branch of a selection is -inf throughout."""
    branch = view.operand(node, name)
    if branch is None:
        return view.static(node, name) == -math.inf
    known = view.interval_everywhere(branch)
    return known.lo == known.hi == -math.inf and not known.nan
