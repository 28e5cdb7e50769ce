"""Methods of bijectors, which flows are trained through: source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import Case, check, run

HEADER = """\
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfb = tfp.bijectors

"""

CASES = (
    Case("planar", HEADER + """\
class Planar(tfb.Bijector, tf.Module):
    def __init__(self, size, name="planar"):
        super().__init__(forward_min_event_ndims=1, name=name)
        self.u = tf.Variable(np.random.uniform(-1.0, 1.0, size=size), dtype=tf.float32)
        self.w = tf.Variable(np.random.uniform(-1.0, 1.0, size=size), dtype=tf.float32)

    def _inverse(self, z):
        return z + self.u * tf.tanh(tf.tensordot(z, self.w, 1))[:, None]

    def _inverse_log_det_jacobian(self, z):
        psi = (1.0 - tf.tanh(tf.tensordot(z, self.w, 1)) ** 2)[:, None] * self.w
        return tf.math.log(tf.abs(1.0 + tf.tensordot(psi, self.u, 1)))
""", (("ACT103", "tf.math.log(tf.abs(1.0 + tf.tensordot(psi, self.u, 1)))"),)),
    Case("every_method", """\
import tensorflow as tf
from tensorflow_probability import bijectors


class Base(bijectors.Bijector):
    def __init__(self, name="flow"):
        super().__init__(forward_min_event_ndims=1, name=name)
        self.net = tf.keras.layers.Dense(1)


class Coupling(Base):
    def _forward(self, x):
        return x * tf.exp(self.net(x))

    def _inverse(self, y):
        return y / self.net(y)
""", (("ACT108", "tf.exp(self.net(x))"), ("ACT101", "y / self.net(y)"))),
    Case("functions_without_weights", HEADER + """\
class Exp(tfb.Bijector):
    def _forward(self, x):
        return tf.exp(x)

    def _inverse(self, y):
        return tf.math.log(y)

    def _inverse_log_det_jacobian(self, y):
        return -tf.math.log(y)


class Ascending(tfb.Bijector):
    def _inverse(self, y):
        return tf.concat([y[..., :1], tf.math.log(y[..., 1:] - y[..., :-1])], -1)


class Kumaraswamy(tfb.Bijector):
    def __init__(self, concentration, name="kumaraswamy"):
        super().__init__(forward_min_event_ndims=0, name=name)
        self.a = tfp.util.tensor_util.convert_nonref_to_tensor(concentration)

    def _inverse(self, y):
        return -tf.math.log1p(-(y ** self.a))
"""),
    Case("only_the_support", HEADER + """\
class Logit(tfb.Bijector):
    def __init__(self, name="logit"):
        super().__init__(forward_min_event_ndims=0, name=name)
        self.shift = tf.Variable(0.0)

    def _inverse(self, y):
        return tf.math.log(y) - tf.math.log1p(-y) + self.shift

    def _inverse_log_det_jacobian(self, y):
        return -tf.math.log(y) - tf.math.log1p(-y) + 0.0 * self.shift
"""),
    Case("helpers_of_their_own", HEADER + """\
class Scale(tfb.Bijector):
    def __init__(self, name="scale"):
        super().__init__(forward_min_event_ndims=0, name=name)
        self.s = tf.Variable(tf.ones([3]))

    def describe(self, y):
        return tf.math.log(y / self.s)

    def _forward(self, x):
        return x * tf.nn.softplus(self.s)
"""),
    Case("overflow_of_the_argument", HEADER + """\
class Softplus(tfb.Bijector):
    def __init__(self, name="softplus"):
        super().__init__(forward_min_event_ndims=0, name=name)
        self.shift = tf.Variable(0.0)

    def _forward(self, x):
        return tf.math.log(1.0 + tf.exp(x)) + self.shift
""", known_miss="any real number is meant, which only the inverse tells"),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])
