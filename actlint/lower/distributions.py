"""What the methods of a distribution return: densities, shares of probability, logarithms."""

from __future__ import annotations

from typing import Final

import libcst as cst

from actlint.graph import EXTENDED_LIMIT
from actlint.lower import densities
from actlint.lower.machine import Machine
from actlint.lower.values import Value, dependencies
from actlint.names import last

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
) -> Value | None:
    """Return the result of a method of a distribution: its formula, or a free input of its range.

    Args:
        machine: the lowering.
        base: what the method is called on.
        name: of the method.
        args: of the call, also those by name.
        at: the call.

    Returns:
        The last node of the formula, or an input; None if this is no such method.
    """
    if not densities.is_distribution(base):
        return None
    computed = densities.method(machine, base, name, args, at)
    if computed is not None:
        return computed
    range_ = _RANGES.get(name)
    if all(last(known) in _DISCRETE for known in base.names):
        range_ = _OF_DISCRETE.get(name, range_)
    if range_ is None:
        return None
    parts = (*base.args, *(value for _, value in base.keywords), *args)
    depends = frozenset[int]().union(*(dependencies(part) for part in parts))
    return machine.cut_input(machine.site(at), depends, called=True, real=True, limits=range_)
