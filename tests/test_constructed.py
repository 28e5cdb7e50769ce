"""Lists that a script makes an object with: source text in, findings out."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.findings import Finding, Verdict
from actlint.source import SourceFile

from .cases import Case, check, run

NET = """\
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()


class Net:
    def __init__(self, dims, rate=1e-3):
        self.dims = dims + [1]
        self.rate = rate
        self.x = tf.placeholder(tf.float32, [None, self.dims[0]])

    def build_graph(self):
        h = self.x
        for size in self.dims[1:-1]:
            h = tf.layers.dense(h, size, tf.nn.tanh)
        out = tf.layers.dense(h, 2 * self.dims[-1])
        mean, log_scale = out[:, :self.dims[-1]], out[:, self.dims[-1]:]
        loss = tf.reduce_mean(tf.square(mean) + tf.exp(log_scale))
        return tf.train.AdamOptimizer(self.rate).minimize(loss)


"""
EXP = (("ACT108", "tf.exp(log_scale)"),)

CASES = (
    Case("literal", NET + "net = Net([8, 4])\nnet.build_graph()\n", EXP),
    Case("by_name", NET + "n = int(input())\nsizes = [n, 4]\nnet = Net(dims=sizes)\n", EXP),
    Case("tuple", NET.replace("dims + [1]", "dims + (1,)") + "net = Net((8, 4), rate=1e-4)\n", EXP),
    Case("of_a_class_below", NET + """\
class Deeper(Net):
    def build_graph(self):
        out = tf.layers.dense(self.x, 2 * self.dims[-1])
        loss = tf.reduce_mean(tf.exp(out[:, self.dims[-1]:]))
        return tf.train.AdamOptimizer(self.rate).minimize(loss)


net, deeper = None, None
net = Net([8, 4])
deeper = Deeper([8, 4, 4])
""", (*EXP, ("ACT108", "tf.exp(out[:, self.dims[-1]:])"))),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, findings: dict[str, list[Finding]]) -> None:
    check(case, findings[case.path])


@pytest.mark.parametrize("call", ["net = Net(sizes())\n", "nets = [Net([8, 4])]\n"])
def test_known_misses(call: str) -> None:
    """The list is not known, or the object is not what a name of the script is bound to."""
    result = lint([SourceFile("net.py", NET + call)], Options())
    assert [(f.code, f.verdict) for f in result.findings] == [("ACT108", Verdict.UNCONFIRMED)]
