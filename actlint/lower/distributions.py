"""What the methods of a distribution return: densities, shares of probability, logarithms."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import libcst as cst

from actlint.graph import EXTENDED_LIMIT
from actlint.lower.machine import Machine
from actlint.lower.values import Built, TensorValue, Value, dependencies
from actlint.names import last

# Where tf.distributions, tf.contrib.distributions and tfp.distributions keep their classes.
_HOME: Final = ".distributions."
_DISCRETE: Final = frozenset(
    {
        "Bernoulli", "Binomial", "Categorical", "Geometric", "Multinomial", "NegativeBinomial",
        "OneHotCategorical", "Poisson",
    }
)  # fmt: skip
_SHARE: Final = (0.0, 1.0)
_POSITIVE: Final = (0.0, EXTENDED_LIMIT)
_NEGATIVE: Final = (-EXTENDED_LIMIT, 0.0)
_REAL: Final = (-EXTENDED_LIMIT, EXTENDED_LIMIT)
# API documentation of tfp.distributions.Distribution; in floating point a density can be 0.
_RANGES: Final = {
    "prob": _POSITIVE,
    "log_prob": _REAL,
    "cdf": _SHARE,
    "survival_function": _SHARE,
    "log_cdf": _NEGATIVE,
    "log_survival_function": _NEGATIVE,
    "entropy": _REAL,
    "kl_divergence": _POSITIVE,
    "stddev": _POSITIVE,
    "variance": _POSITIVE,
}
_OF_DISCRETE: Final = {"prob": _SHARE, "log_prob": _NEGATIVE, "entropy": _POSITIVE}


def method(
    machine: Machine, base: Value, name: str, args: list[Value], at: cst.CSTNode
) -> TensorValue | None:
    """Return a free input for the result of a method of a distribution.

    Args:
        machine: the lowering.
        base: what the method is called on.
        name: of the method.
        args: of the call, also those by name.
        at: the call.

    Returns:
        An input with the range of the result, or None if this is no such method.
    """
    if not isinstance(base, Built) or not all(_HOME in known for known in base.names):
        return None
    range_ = _RANGES.get(name)
    if all(last(known) in _DISCRETE for known in base.names):
        range_ = _OF_DISCRETE.get(name, range_)
    if range_ is None:
        return None
    parts = (*base.args, *(value for _, value in base.keywords), *args)
    depends = frozenset[int]().union(*(dependencies(part) for part in parts))
    made = machine.cut_input(machine.site(at), depends, called=True, real=True)
    node = machine.nodes[made.node]
    assert node.input is not None
    known = replace(node.input, lo=range_[0], hi=range_[1])
    machine.nodes[made.node] = replace(node, input=known)
    return made
