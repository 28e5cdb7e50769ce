"""Settings that code compares with literals: each literal is tried, and what raises is no way."""

from __future__ import annotations

import pytest

from actlint.findings import Finding
from actlint.lower.limits import MAX_PATHS

from .cases import HEADER, Case, check, run

CASES = (
    Case("kind_of_a_factory", HEADER + """\
def make_loss(kind):
    def loss(y_true, y_pred):
        if kind == 'l2':
            return K.sqrt(K.sum(K.square(y_true - y_pred), axis=-1))
        elif kind == 'l1':
            return K.sum(K.abs(y_true - y_pred), axis=-1)
        raise ValueError(kind)
    return loss
""", (("ACT105", "K.sqrt(K.sum(K.square(y_true - y_pred), axis=-1))"),)),
    Case("constructor_that_raises_at_the_end", HEADER + """\
class Detector:
    def __init__(self, backend):
        if backend == 'small':
            self.scale = 1.0
        elif backend == 'large':
            self.scale = 2.0
        else:
            raise ValueError(backend)

    def custom_loss(self, y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - self.scale * tf.exp(y_pred)))

    def train(self, model):
        model.compile(loss=self.custom_loss, optimizer='adam')
""", (("ACT108", "tf.exp(y_pred)"),)),
    Case("nothing_is_bound_at_the_end", HEADER + """\
class Likelihood:
    def __init__(self, kind):
        self.kind = kind

    def loss_function(self, y_true, y_pred):
        if self.kind == 'log':
            found = K.log(y_pred[..., 0]) * y_true[..., 0]
        elif self.kind == 'linear':
            found = y_pred[..., 0] * y_true[..., 0]
        return -K.mean(found, axis=-1)
""", (("ACT103", "K.log(y_pred[..., 0])"),)),
    Case("not_the_default", HEADER + """\
def box_loss(y_true, y_pred, kind='squared'):
    d = y_pred[..., :2] - y_true[..., :2]
    if kind == 'squared':
        return K.sum(K.square(d), axis=-1)
    elif kind == 'root':
        return K.pow(d[..., 0] ** 2 + d[..., 1] ** 2, 0.5)
    else:
        raise ValueError('no such kind')
""", (("ACT106", "K.pow(d[..., 0] ** 2 + d[..., 1] ** 2, 0.5)"),)),
    Case("table_of_functions", HEADER + """\
TERMS = {"abs": tf.abs, "log": lambda d: tf.math.log(tf.abs(d))}

def distance_loss(y_true, y_pred, term):
    return tf.reduce_mean(TERMS[term](y_true - y_pred))
""", (("ACT103", "tf.math.log(tf.abs(d))"),)),
    Case("spelled_and_grouped", HEADER + """\
def penalty_loss(y_true, y_pred, kind):
    kind = kind.lower()
    if kind not in ('l1', 'mae', 'log'):
        raise ValueError(kind)
    if kind in ('l1', 'mae'):
        return tf.reduce_mean(tf.abs(y_true - y_pred))
    return tf.reduce_mean(tf.math.log(tf.abs(y_true - y_pred)))
""", (("ACT103", "tf.math.log(tf.abs(y_true - y_pred))"),)),
    Case("numbers_in_a_match", HEADER + """\
class Power(keras.layers.Layer):
    def __init__(self, mode):
        super().__init__()
        self.mode = mode

    def call(self, x):
        match self.mode:
            case 1:
                return tf.abs(x)
            case 2:
                return tf.sqrt(tf.abs(x))
        raise ValueError(self.mode)
""", (("ACT104", "tf.sqrt(tf.abs(x))"),)),
    # One choice holds for the whole way: what is logged is positive where it is logged.
    Case("one_choice_for_the_whole_way", HEADER + """\
def consistent_loss(y_true, y_pred, kind='plain'):
    d = tf.abs(y_true - y_pred)
    if kind == 'log':
        d = d + 1.0
    if kind == 'plain':
        return tf.reduce_mean(d)
    elif kind == 'log':
        return tf.reduce_mean(tf.math.log(d))
    raise ValueError(kind)
"""),
    Case("private_function_with_a_default", HEADER + """\
def _distance(d, kind='plain'):
    if kind == 'log':
        return tf.math.log(tf.abs(d))
    return tf.abs(d)

def distance_loss(y_true, y_pred):
    return tf.reduce_mean(_distance(y_true - y_pred))
"""),
    Case("the_call_says_which", HEADER + """\
def make_loss(kind):
    def loss(y_true, y_pred):
        if kind == 'log':
            return tf.reduce_mean(tf.math.log(tf.abs(y_true - y_pred)))
        return tf.reduce_mean(tf.abs(y_true - y_pred))
    return loss

def train(model):
    model.compile(loss=make_loss(kind='plain'), optimizer='adam')
"""),
    # Those that raise do not use up the ways that are looked at.
    Case("many_that_raise", HEADER + "def late_loss(y_true, y_pred, kind):\n" + "".join(
        f"    if kind == 'old{n}':\n        raise ValueError(kind)\n" for n in range(MAX_PATHS + 1)
    ) + """\
    return tf.reduce_mean(tf.math.log(tf.abs(y_true - y_pred)))
""", (("ACT103", "tf.math.log(tf.abs(y_true - y_pred))"),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_options(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
