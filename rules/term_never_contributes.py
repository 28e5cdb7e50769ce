"""ACT507: a term of a loss that is the same whatever the network does."""

from __future__ import annotations

import ast
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
    View,
)

from ._common import ancestors, is_constant, shown
from ._losses_mended import without_term

# Ops that hand on a sum of terms, what else they combine being constant.
_HANDING_ON = frozenset(
    {"cast", "convert_to_tensor", "identity", "negative", "reduce_mean", "reduce_sum"}
)
_SCALING = frozenset({"div", "divide", "multiply"})
# Ops after which a sum or a length may be the same for all operands.
_CONSERVING = frozenset(
    {"cos", "divide", "keras_normalize", "l2_normalize", "normalize_values", "sin", "softmax"}
)
# Ops that hand on zeros in one region only, which samples need not leave.
_GATES = frozenset(
    {
        "boolean_mask",
        "clip",
        "clip_by_value",
        "greater",
        "greater_equal",
        "keras_relu",
        "less",
        "less_equal",
        "maximum",
        "minimum",
        "relu",
        "sign",
        "where",
    }
)
# Distance, on the scale of predictions, of a sign or an epsilon from where a gate closes.
_NEAR = 1.0


class TermNeverContributes(Rule):
    """A term of a loss that is the same whatever the network does.

    ## What it does
    Reports a term of a sum in a loss that is computed from predictions or weights, but has the
    same value for all of them: the sum or L1 norm of a softmax, the squared length of a normalised
    vector, `tf.minimum(tf.square(x), 0.0)`, a penalty that is multiplied by a literal 0.

    ## Why is this bad?
    The term adds a constant to the loss and nothing to the gradient. The regularisation that the
    code promises does not happen, and no weight of the term changes that.

    ## How it is confirmed
    actlint runs the term on typical inputs and on inputs in the hundreds: it has one value on all
    of them, up to rounding.

    ## Example
    ```python
    def sparse_loss(y_true, logits):
        shares = tf.nn.softmax(logits)
        fit = tf.reduce_mean(tf.square(y_true - shares))
        return fit + 0.1 * tf.reduce_mean(tf.reduce_sum(tf.abs(shares), axis=-1))
    ```

    ## Use instead
    ```python
    def sparse_loss(y_true, logits):
        shares = tf.nn.softmax(logits)
        fit = tf.reduce_mean(tf.square(y_true - shares))
        entropy = -tf.reduce_sum(shares * tf.nn.log_softmax(logits), axis=-1)
        return fit + 0.1 * tf.reduce_mean(entropy)
    ```

    ## Fix safety
    Leaving out a term that is 0 is safe; of another constant, the loss moves by it: unsafe.

    ## What it misses
    Terms behind `tf.stop_gradient`, which is deliberate; weights of 0 that have a name, which
    switch a term off; terms of labels alone, such as their entropy; gates that are never open on
    real data.

    ## References
    Ng, 2004: Feature selection, L1 vs. L2 regularization, on what an L1 norm is for.
    """

    code: ClassVar[str] = "ACT507"
    name: ClassVar[str] = "term-never-contributes"
    hint: ClassVar[str] = (
        "Penalise what can change: the logits or their entropy instead of a sum of shares, and "
        "tf.maximum(x, 0.0), not tf.minimum, of what is positive"
    )
    # An integer division that gives 0 is named where it stands.
    explained_by: ClassVar[tuple[str, ...]] = ("ACT514",)
    roles: ClassVar[frozenset[Role]] = frozenset(
        {Role.GRAPH, Role.LOSS, Role.REGULARIZER, Role.TRAINING_STEP}
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield the terms that can be constant though they depend on what is trained."""
        if view.graph.partial or not view.has_gradient():
            return
        terms = tuple(_terms(view, view.node(view.graph.output), inside=False))
        if sum(view.depends_differentiably(term) for term in terms) < 2:
            return
        for term in terms:
            if view.depends_differentiably(term) and _may_be_constant(view, term):
                if any(not _may_be_constant(view, other) for other in _elsewhere(view, term)):
                    continue
                yield Suspect(
                    code=self.code,
                    node=term.id,
                    message=f"{shown(term)} is the same whatever the network does, so that it "
                    "adds nothing to the gradient",
                    check=Check.CONTRIBUTION,
                    severity=Severity.WARNING,
                    provisional=True,
                )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Leave the term out."""
        yield from without_term(view, view.node(suspect.node))

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf


def cross_entropy(target, share):
    kept = tf.clip_by_value(share, 1e-6, 1.0 - 1e-6)
    return -tf.reduce_mean(
        target * tf.math.log(kept) + (1.0 - target) * tf.math.log(1.0 - kept)
    )


def critic_loss(real, fake):
    a, b = tf.sigmoid(real), tf.sigmoid(fake)
    return cross_entropy(tf.ones_like(a), a) + cross_entropy(tf.zeros_like(b), b)
""",
            note="each term is 0 in one of the calls and works in the other",
        ),
        Good(
            """\
import tensorflow as tf


def confident_loss(y_true, logits):
    shares = tf.nn.softmax(logits)
    fit = tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=logits)
    return tf.reduce_mean(fit) + 0.1 * tf.reduce_mean(tf.reduce_sum(shares**2, axis=-1))
""",
            note="squares of shares do not sum to 1",
        ),
        Good(
            """\
import tensorflow as tf


def kl_loss(y_true, y_pred):
    entropy = tf.reduce_sum(y_true * tf.math.log(y_true + 1e-6), axis=-1)
    return tf.reduce_mean(entropy - tf.reduce_sum(y_true * tf.math.log(y_pred + 1e-6), axis=-1))
""",
            note="the entropy of the labels makes the smallest loss 0",
        ),
        Good(
            """\
import tensorflow as tf

PENALTY = 0.0


def squared_loss(y_true, y_pred):
    fit = tf.reduce_mean(tf.square(y_true - y_pred))
    return fit + PENALTY * tf.reduce_mean(tf.abs(y_pred))
""",
            note="switched off by a constant with a name",
        ),
        Good(
            """\
from tensorflow.keras import backend as K


def bounded_loss(y_true, y_pred):
    fit = K.mean(K.square(y_true - y_pred))
    return fit + K.mean(K.maximum(K.abs(y_pred) - 2000.0, 0.0))
""",
            note="zero for all predictions but absurd ones",
        ),
        Good(
            """\
from keras import ops
from keras.regularizers import Regularizer


class Elastic(Regularizer):
    def __call__(self, x):
        unit = ops.softmax(x)
        return 0.01 * ops.sum(ops.square(x)) + 0.1 * ops.sum(ops.square(unit))
"""
        ),
        Good(
            """\
import tensorflow as tf


def weighted_loss(y_true, logits):
    shares = tf.nn.softmax(logits)
    kept = tf.reduce_sum(y_true * shares, axis=-1)
    return tf.reduce_mean(1.0 - kept) + 0.1 * tf.reduce_mean(tf.reduce_max(shares, axis=-1))
""",
            note="what is picked from a softmax is not its sum",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf


def sparse_loss(y_true, logits):
    shares = tf.nn.softmax(logits)
    fit = tf.reduce_mean(tf.square(y_true - shares))
    return fit + 0.1 * tf.reduce_mean(tf.reduce_sum(tf.abs(shares), axis=-1))
""",
            at="0.1 * tf.reduce_mean(tf.reduce_sum(tf.abs(shares), axis=-1))",
            hazard=Hazard.WRONG_LOSS,
            note="the L1 norm of a softmax is 1",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K


def floored_loss(y_true, y_pred):
    fit = K.mean(K.square(y_true - y_pred), axis=-1)
    return fit + K.minimum(K.mean(K.square(y_pred), axis=-1), 0.0)
""",
            at="K.minimum(K.mean(K.square(y_pred), axis=-1), 0.0)",
            hazard=Hazard.WRONG_LOSS,
            note="minimum for maximum",
        ),
        Bad(
            """\
from keras import ops
from keras.losses import Loss


class Spread(Loss):
    def call(self, y_true, y_pred):
        unit = ops.normalize(y_pred, axis=-1)
        cosine = ops.sum(ops.normalize(y_true, axis=-1) * unit, axis=-1)
        return 1.0 - cosine + 0.01 * ops.sum(ops.square(unit), axis=-1)
""",
            at="0.01 * ops.sum(ops.square(unit), axis=-1)",
            hazard=Hazard.WRONG_LOSS,
            note="the length of a vector of length 1",
        ),
        Bad(
            """\
import tensorflow as tf


def total_loss(y_true, y_pred):
    fit = tf.reduce_mean(tf.abs(y_true - y_pred))
    return fit + 0.0 * tf.reduce_mean(tf.square(y_pred))
""",
            at="0.0 * tf.reduce_mean(tf.square(y_pred))",
            hazard=Hazard.WRONG_LOSS,
            note="left over from a trial",
        ),
        Bad(
            """\
import tensorflow as tf


def shares_of(x):
    powers = tf.exp(x - tf.reduce_max(x, axis=-1, keepdims=True))
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


def attention_loss(y_true, scores):
    weights = shares_of(scores)
    fit = tf.reduce_sum(tf.square(weights - y_true), axis=-1)
    return tf.reduce_mean(fit) + tf.reduce_mean(weights)
""",
            at="tf.reduce_mean(weights)",
            hazard=Hazard.WRONG_LOSS,
            note="shares of four classes have the mean 1/4",
        ),
        Bad(
            """\
import tensorflow as tf


def periodic(weight):
    def loss(y_true, y_pred):
        gap = tf.cos(y_true) - tf.cos(y_pred)
        norm = tf.square(tf.sin(y_pred)) + tf.square(tf.cos(y_pred))
        return tf.reduce_mean(tf.square(gap)) + weight * tf.reduce_mean(norm)

    return loss


def compile_model(model):
    model.compile("adam", loss=periodic(0.5))
""",
            at="weight * tf.reduce_mean(norm)",
            hazard=Hazard.WRONG_LOSS,
        ),
        Bad(
            """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
target = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1]))
share = tf.clip_by_value(tf.nn.sigmoid(tf.matmul(x, w)), 0.01, 0.99)
size = tf.sqrt(tf.reduce_sum(tf.square(w)) + 1e-10)
loss = tf.reduce_mean(tf.square(share - target)) + tf.minimum(0.01 * size, 0.0)
tf.train.AdamOptimizer(0.01).minimize(loss)
""",
            at="tf.minimum(0.01 * size, 0.0)",
            hazard=Hazard.WRONG_LOSS,
            note="a length is never negative",
        ),
    )


def _may_be_constant(view: View, term: Node) -> bool:
    return _nullified(view, term) or _is_point(view, term) or _conserved(view, term)


def _elsewhere(view: View, term: Node) -> Iterator[Node]:
    """Yield the same expression in other calls of its function, where it may well contribute."""
    for node in view.graph.nodes:
        if node.op == term.op and node.site == term.site and node.path != term.path:
            yield node


def _terms(view: View, node: Node, *, inside: bool) -> Iterator[Node]:
    """Yield the terms of the sum that a value is, in order; nothing if it is no sum.

    Args:
        view: the graph.
        node: the value.
        inside: whether it is a term itself.
    """
    summed = [found for found in _through(view, node) if found.op in {"add", "add_n", "subtract"}][
        :1
    ]
    operands = view.operands(summed[0]) if summed else ()
    if sum(view.depends(operand) for operand in operands) > 1:
        for operand in operands:
            yield from _terms(view, operand, inside=True)
        if inside:
            yield node
    elif len(operands) > 1 and any(view.depends(operand) for operand in operands):
        # One operand is a constant or a label.
        varying = next(operand for operand in operands if view.depends(operand))
        parts = tuple(_terms(view, varying, inside=False))
        yield from parts or ((node,) if inside else ())
    elif inside:
        yield node


def _through(view: View, node: Node) -> Iterator[Node]:
    """Yield a value and what it is proportional to, nearest first, up to the first sum."""
    current: Node | None = node
    while current is not None:
        yield current
        if current.op in _HANDING_ON:
            current = next(iter(view.operands(current)), None)
        elif current.op in _SCALING:
            free = [each for each in view.operands(current) if view.depends(each)]
            current = free[0] if len(free) == 1 else None
        else:
            return


def _is_point(view: View, term: Node) -> bool:
    """Return whether a term has one value by the signs of what it is computed from.

    Not by how large predictions are taken to become, nor by a factor of 0.
    """
    if not is_constant(view, term.id):
        return False
    parts = [node for node in ancestors(view, term.id) if view.depends(node)]
    if any(_zeros(view, node) for node in parts):
        return False
    gates = [node for node in parts if node.op in _GATES]
    # Those that still let their operand through do not make it constant.
    closed = [node for node in gates if is_constant(view, node.id)]
    return all(_touches(view, node) for node in closed or gates)


def _touches(view: View, gate: Node) -> bool:
    """Return whether a gate closes at the largest or least value that it is given, or near it.

    What lies far behind it is a matter of how large predictions are taken to become.
    """
    free = [operand for operand in view.operands(gate) if view.depends(operand)]
    others = [operand for operand in view.operands(gate) if not view.depends(operand)]
    if len(free) != 1 or any(not is_constant(view, other.id) for other in others):
        return False
    known = view.interval(free[0])
    bound = view.interval(others[0]).lo if others else 0.0
    if gate.op == "minimum":
        return 0.0 <= known.lo - bound < _NEAR
    return gate.op in {"maximum", "relu", "keras_relu"} and 0.0 <= bound - known.hi < _NEAR


def _zeros(view: View, node: Node) -> bool:
    """Return whether a product has a constant factor that is 0."""
    if node.op != "multiply":
        return False
    given = [node.arg(name) for name in ("x", "y")]
    return 0.0 in [each for each in given if isinstance(each, (int, float))] or any(
        not each.op and each.value == 0 for each in view.operands(node)
    )


def _nullified(view: View, term: Node) -> bool:
    """Return whether a term is multiplied by a literal 0, not by a name for it.

    Zero times the sum of a bare input is a way to give it a gradient of 0 instead of None.
    """
    way = tuple(_through(view, term))
    products = [node for node in way if _zeros(view, node)]
    return bool(products and way[-1].op) and all(_spells_zero(node.site.text) for node in products)


def _spells_zero(text: str) -> bool:
    """Return whether a product or call is written with a number 0 as a factor."""
    try:
        found = ast.parse(f"({text})", mode="eval").body
    except SyntaxError:
        return False
    if isinstance(found, ast.BinOp):
        factors = [found.left, found.right]
    else:
        factors = found.args if isinstance(found, ast.Call) else []
    return any(isinstance(each, ast.Constant) and each.value == 0 for each in factors)


def _conserved(view: View, term: Node) -> bool:
    """Return whether a term is computed by ops that can make it constant, and by no gate."""
    used = {node.op for node in ancestors(view, term.id) if view.depends(node)}
    return bool(used & _CONSERVING) and not used & _GATES
