"""ACT119: a constant or a result beyond the range of float16, or lost in it or in bfloat16."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar

from actlint.query import (
    Bad,
    Check,
    Good,
    Hazard,
    Node,
    Remedy,
    Rewrite,
    Role,
    Rule,
    Safety,
    Suspect,
    View,
)

from ._common import is_numpy
from ._epsilons import Guard, guards
from ._halves import FORMATS, blame, breaks_anyway
from ._remedies import argument

# Expressions that are tried for one graph.
_MAX_SUSPECTS = 16
# Epsilons that are tried together: added to what can be 0, and next to 1.
_GUARDS = (("1e-4", "1e-3"), ("1e-3", "1e-2"))


class HalfPrecisionHazard(Rule):
    """An expression that float32 can compute, and float16 or bfloat16 cannot.

    ## What it does
    Looks at activations and layers that are computed in a reduced dtype, because the source sets a
    policy of mixed precision (`mixed_precision.set_global_policy("mixed_float16")`,
    `keras.config.set_dtype_policy`, `K.set_floatx("float16")`) or because actlint is asked to
    (`--dtype float16`). Reports constants that the dtype rounds to 0, to a whole number or to
    infinity, and results that leave its range: in float16 `1e-8` is 0, `1 - 1e-4` is 1, `-1e9` is
    minus infinity, `exp` overflows above 11.1 and a square above 255; in bfloat16 `1 - 1e-3` is 1.

    Of losses, those are looked at that the dtype reaches: Keras casts what a compiled model's
    loss is given to `floatx`, float32 unless `set_floatx` says otherwise, whatever the policy is.
    With `--dtype`, losses that no model is compiled with are taken to be called with tensors of
    that dtype, unless they are methods of `Loss`. What the source casts to float32 by name is
    computed in float32, and so are layers that are made with `dtype="float32"`. A policy holds for
    the file that sets it, for those that import it, and for what these import.

    ## Why is this bad?
    An epsilon that is 0 guards nothing: `x / (norm + 1e-8)` is `0 / 0` for a vector of zeros. A
    mask of `-1e9` turns `(1 - mask) * -1e9` into `0 * -inf = nan` for everything that is *not*
    masked. The same code trains well in float32.

    ## How it is confirmed
    The expression runs on the same samples in both dtypes. It is confirmed if a nan or infinity
    starts at it in the reduced one and reaches the output or the gradient of an input, while
    float32 is finite at the same point, the inputs being numbers of both. The evidence tells what
    both give; where a larger epsilon helps at the witness, the least power of ten (or half of one)
    that does.

    ## Example
    ```python
    mixed_precision.set_global_policy("mixed_float16")


    def unit(x):
        return x / (tf.norm(x, axis=-1, keepdims=True) + 1e-8)
    ```

    ## Use instead
    ```python
    mixed_precision.set_global_policy("mixed_float16")


    def unit(x):
        wide = tf.cast(x, tf.float32)
        return tf.cast(tf.math.l2_normalize(wide, axis=-1), x.dtype)
    ```

    ## Fix safety
    Unsafe: values next to the guard or the bound change.

    ## What it misses
    Sums over more elements than a small batch has, products of different tensors, squares in
    losses, and gradients that round to 0, for which there is loss scaling. Metrics, training steps
    and scripts, whose dtypes the source sets one by one; regularizers but for `set_floatx`, since
    weights are float32. Policies that a configuration file names, or that are given to single
    layers. What float32 cannot compute, either, is left to the other rules.

    ## References
    TensorFlow guide: Mixed precision. IEEE 754 binary16. Micikevicius et al.: Mixed Precision
    Training, 2018.
    """

    code: ClassVar[str] = "ACT119"
    name: ClassVar[str] = "half-precision-hazard"
    hint: ClassVar[str] = (
        "Compute this part in float32: tf.cast(x, tf.float32) before it and back after it, or make "
        'the layer with dtype="float32"'
    )
    supersedes: ClassVar[tuple[str, ...]] = ("ACT108",)
    roles: ClassVar[frozenset[Role]] = frozenset(
        {Role.ACTIVATION, Role.LAYER, Role.LOSS, Role.REGULARIZER}
    )

    def suspects(self, view: View) -> Iterator[Suspect]:
        """Yield what may break in the graph's reduced dtype, unless it may in float32, too."""
        graph = view.graph
        form = FORMATS.get(graph.dtype)
        if form is None or graph.read:
            return
        count = 0
        for node in view.nodes():
            if is_numpy(view, node) or breaks_anyway(view, node):
                continue
            found = blame(view, node, form)
            if found is None:
                continue
            count += 1
            if count > _MAX_SUSPECTS:
                return
            yield Suspect(
                code=self.code,
                node=node.id,
                message=f"{found.message} ({graph.policy})",
                check=Check.HALF,
                threshold=float(found.small),
                targets=found.targets,
                severity=found.severity,
                provisional=True,
                hint=found.hint,
            )

    def remedies(self, view: View, suspect: Suspect) -> Iterator[Remedy]:
        """Write constants that the dtype can hold; bound an exponent."""
        node, form = view.node(suspect.node), FORMATS[view.graph.dtype or "float16"]
        for _, value in node.args:
            if isinstance(value, float) and form.largest < abs(value) < math.inf:
                large = "-6e4" if value < 0.0 else "6e4"
                yield _with(f"Write {large}, which {form.name} can hold", ((node, value, large),))
        for beside_zero, beside_one in _GUARDS:
            changes = tuple(
                (guard.node, guard.anchor + guard.epsilon, _guard(guard, beside_zero, beside_one))
                for guard in guards(view, node)
                if guard.name
            )
            if changes:
                yield _with(f"Write an epsilon that {form.name} can hold", changes)
        operand = next(iter(view.operands(node)), None)
        if node.op in {"exp", "expm1"} and operand is not None:
            limit = f"{math.floor(form.exponent) - 1}.0"
            bound = next((v for _, v in operand.args if isinstance(v, float)), None)
            if operand.op == "minimum" and bound is not None:
                yield _with(f"Keep the exponent at or below {limit}", ((operand, bound, limit),))
            yield argument(
                node,
                operand,
                f"tf.minimum({{x}}, {limit})",
                f"Keep the exponent at or below {limit}",
                "larger exponents are all the same, and get no gradient",
            )

    VALID: ClassVar[tuple[Good, ...]] = (
        Good(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense


def simplex(x):
    return x / (tf.reduce_sum(tf.abs(x), axis=-1, keepdims=True) + 1e-8)


layer = Dense(8, activation=simplex)
""",
            note="float32, in which 1e-8 is a number like any other",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import mixed_precision
from tensorflow.keras.layers import Dense

mixed_precision.set_global_policy("mixed_float16")


def simplex(x):
    wide = tf.cast(x, tf.float32)
    share = wide / (tf.reduce_sum(tf.abs(wide), axis=-1, keepdims=True) + 1e-8)
    return tf.cast(share, x.dtype)


layer = Dense(8, activation=simplex)
""",
            note="computed in float32",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import mixed_precision

mixed_precision.set_global_policy("mixed_float16")


def dice_loss(y_true, y_pred):
    overlap = tf.reduce_sum(y_true * y_pred)
    return 1.0 - 2.0 * overlap / (tf.reduce_sum(y_true + y_pred) + 1e-8)


model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="sigmoid")])
model.compile("adam", loss=dice_loss)
""",
            note="Keras casts what a compiled loss is given to float32",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import mixed_precision
from tensorflow.keras.layers import Activation

mixed_precision.set_global_policy("mixed_float16")


def simplex(x):
    return x / (tf.reduce_sum(tf.abs(x), axis=-1, keepdims=True) + 1e-8)


layer = Activation(simplex, dtype="float32")
""",
            note="the layer is made in float32",
        ),
        Good(
            """\
import keras
from keras import ops

keras.config.set_dtype_policy("mixed_float16")


class Scale(keras.layers.Layer):
    def call(self, inputs):
        return inputs / (1e-2 + ops.mean(ops.abs(inputs), axis=-1, keepdims=True))
""",
            note="float16 holds 1e-2, and a hundred times the largest input",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import mixed_precision
from tensorflow.keras.layers import Layer

mixed_precision.set_global_policy(mixed_precision.Policy("mixed_bfloat16"))


class Attention(Layer):
    def call(self, scores, mask):
        return tf.nn.softmax(scores + (1.0 - tf.cast(mask, scores.dtype)) * -1e9)
""",
            note="bfloat16 has the range of float32",
        ),
        Good(
            """\
import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense

K.set_floatx("float16")


def smooth(x):
    return tf.nn.softplus(x) - tf.math.log(tf.constant(2.0, x.dtype))


layer = Dense(8, activation=smooth)
""",
        ),
    )

    INVALID: ClassVar[tuple[Bad, ...]] = (
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import mixed_precision
from tensorflow.keras.layers import Dense

mixed_precision.set_global_policy("mixed_float16")


def simplex(x):
    return x / (tf.reduce_sum(tf.abs(x), axis=-1, keepdims=True) + 1e-8)


layer = Dense(8, activation=simplex)
""",
            at="x / (tf.reduce_sum(tf.abs(x), axis=-1, keepdims=True) + 1e-8)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Layer
from tensorflow.keras.mixed_precision import experimental as precision

policy = precision.Policy("mixed_float16")
precision.set_policy(policy)


class Attention(Layer):
    def call(self, scores, mask):
        hidden = (1.0 - tf.cast(mask, scores.dtype)) * -1e9
        return tf.nn.softmax(scores + hidden)
""",
            at="(1.0 - tf.cast(mask, scores.dtype)) * -1e9",
            hazard=Hazard.NAN,
            note="-1e9 is minus infinity, and 0 times that is nan",
        ),
        Bad(
            """\
import keras
from keras import ops

keras.config.set_dtype_policy("mixed_bfloat16")


class Logit(keras.layers.Layer):
    def call(self, inputs):
        p = ops.clip(ops.sigmoid(inputs), 1e-3, 1 - 1e-3)
        return ops.log(p) - ops.log(1 - p)
""",
            at="ops.log(1 - p)",
            hazard=Hazard.NAN,
            note="in bfloat16 the number below 1 is 0.996",
        ),
        Bad(
            """\
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

K.set_floatx("float16")


def balanced(y_true, y_pred):
    return -K.mean(y_true * K.log(y_pred + 1e-8))


model = Sequential([Dense(4, activation="softmax")])
model.compile("sgd", loss=balanced)
""",
            at="K.log(y_pred + 1e-8)",
            hazard=Hazard.NAN,
            note="with another floatx, Keras casts predictions to it",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Dense

tf.keras.mixed_precision.set_global_policy("mixed_float16")


def directed(eps=1e-8):
    def activation(x):
        length = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
        return x / tf.maximum(length, eps)

    return activation


layer = Dense(8, activation=directed())
""",
            at="x / tf.maximum(length, eps)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras import layers, mixed_precision


def train(fast):
    if fast:
        mixed_precision.set_global_policy("mixed_float16" if fast == "gpu" else "mixed_bfloat16")
    return layers.Dense(8, activation=lambda z: tf.math.log(1.0 + tf.exp(tf.minimum(z, 30.0))))
""",
            at="tf.exp(tf.minimum(z, 30.0))",
            hazard=Hazard.NAN,
            note="of two dtypes the one with the narrower range is judged",
        ),
        Bad(
            """\
import tensorflow as tf
from tensorflow.keras.layers import Layer

tf.keras.mixed_precision.set_global_policy("mixed_float16")


class Normalise(Layer):
    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        spread = tf.math.reduce_variance(inputs, axis=-1, keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(spread + 1e-9)
""",
            at="tf.math.rsqrt(spread + 1e-9)",
            hazard=Hazard.NAN,
        ),
        Bad(
            """\
import tensorflow as tf

tf.keras.backend.set_floatx("bfloat16")


class Confidence(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-3, 1 - 1e-3)
        gain = y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log1p(-p)
        return -tf.reduce_mean(gain)
""",
            at="tf.math.log1p(-p)",
            hazard=Hazard.NAN,
        ),
    )


def _with(title: str, changes: Iterable[tuple[Node, float, str]]) -> Remedy:
    """Return the remedy that writes other numbers."""
    return Remedy(
        title,
        "values near the bound change",
        Safety.UNSAFE,
        tuple(Rewrite(value, text, (), node.id) for node, value, text in changes),
    )


def _guard(guard: Guard, beside_zero: str, beside_one: str) -> str:
    """Return a guard with a larger epsilon."""
    if guard.anchor == 0.0:
        return beside_zero if guard.epsilon > 0.0 else f"-{beside_zero}"
    return f"{guard.anchor:.0f} {'-' if guard.epsilon < 0.0 else '+'} {beside_one}"
