"""Distributions by their formulae: densities, entropies, draws and divergences as TensorFlow's ops.

Formulae: the sources of ``tf.distributions`` (TensorFlow 1.15) and of TensorFlow Probability.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, TypeGuard

import libcst as cst

from actlint.lower.machine import Machine
from actlint.lower.values import (
    Api,
    Built,
    Instance,
    Opaque,
    Sequence,
    Static,
    TensorValue,
    Value,
    dependencies,
)
from actlint.names import last

# Where tf.distributions, tf.contrib.distributions and tfp.distributions keep their classes.
_HOME: Final = ".distributions."
_PROBABILITY: Final = "tensorflow_probability."
_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)
_DIVERGENCES: Final = frozenset({"kl", "kl_divergence"})

# Parameters by position, and the names that older releases gave them.
_NORMAL: Final = (("loc", "mu"), ("scale", "sigma"))
_DIAGONAL: Final = (("loc", "mu"), ("scale_diag", "diag_stdev"))
_CHOICE: Final = (("logits",), ("probs", "p"))
_PARAMETERS: Final = {
    "Normal": _NORMAL,
    "MultivariateNormalDiag": _DIAGONAL,
    "Bernoulli": _CHOICE,
    "Categorical": _CHOICE,
}


def is_distribution(value: Value) -> TypeGuard[Built]:
    """Tell whether a value is made by a class of such a library."""
    return isinstance(value, Built) and all(_HOME in name for name in value.names)


def method(
    machine: Machine,
    base: Value,
    name: str,
    args: list[Value],
    at: cst.CSTNode,
) -> Value | None:
    """Return what a method of a distribution computes.

    Args:
        machine: the lowering.
        base: what the method is called on.
        name: of the method.
        args: of the call, also those by name.
        at: the call.

    Returns:
        The last node of the formula, or None if the distribution or the method is not known.
    """
    kind = _kind(base)
    if kind is None or not isinstance(base, Built):
        return None
    formulae = _Formulae(machine, base, kind, at)
    if not formulae.whole:
        return None
    match name, args:
        case "log_prob" | "log_pdf" | "log_pmf", [value]:
            return formulae.log_prob(value)
        case "prob" | "pdf" | "pmf", [value]:
            log_prob = formulae.log_prob(value)
            return None if log_prob is None else formulae.op("exp", log_prob)
        case "entropy", []:
            return formulae.entropy()
        case "sample", []:
            return formulae.draw()
        case "kl_divergence", [other, *_]:
            return _divergence(machine, base, other, at)
    return None


def api_call(machine: Machine, callee: Api, args: list[Value], at: cst.CSTNode) -> Value | None:
    """Return ``kl_divergence(p, q)`` of two normal distributions, or None."""
    if len(args) < 2 or not all(
        _HOME in name and last(name) in _DIVERGENCES for name in callee.names
    ):
        return None
    return _divergence(machine, args[0], args[1], at)


def _kind(value: Value) -> str | None:
    """Return the name of the class of a distribution that has formulae here, or None."""
    if not is_distribution(value):
        return None
    kinds = {last(name) for name in value.names}
    kind = kinds.pop()
    return kind if not kinds and kind in _PARAMETERS else None


def _divergence(machine: Machine, first: Value, second: Value, at: cst.CSTNode) -> Value | None:
    kind = _kind(first)
    if kind is None or kind != _kind(second) or kind not in {"Normal", "MultivariateNormalDiag"}:
        return None
    assert isinstance(first, Built)
    assert isinstance(second, Built)
    one, other = (_Formulae(machine, each, kind, at) for each in (first, second))
    if not (one.whole and other.whole):
        return None
    op = one.op
    (loc_a, scale_a), (loc_b, scale_b) = one.normal(), other.normal()
    if kind == "Normal":
        variances = op("square", scale_a), op("square", scale_b)
        ratio = op("divide", *variances)
        distance = op("square", op("subtract", loc_a, loc_b))
        quotient = op("divide", distance, op("multiply", Static(2.0), variances[1]))
        excess = op("subtract", op("subtract", ratio, Static(1.0)), op("log", ratio))
        return op("add", quotient, op("multiply", Static(0.5), excess))
    logs = op("subtract", one.log_scale(scale_b), one.log_scale(scale_a))
    shares = op("square", op("divide", scale_a, scale_b))
    distance = op("square", op("divide", op("subtract", loc_a, loc_b), scale_b))
    terms = op("subtract", op("add", shares, distance), Static(1.0))
    each = op("add", logs, op("multiply", Static(0.5), terms))
    return one.total(each)


class _Formulae:
    """The formulae of one distribution."""

    def __init__(self, machine: Machine, base: Built, kind: str, at: cst.CSTNode) -> None:
        self.machine = machine
        self.kind = kind
        self.at = at
        self.modern = any(name.startswith(_PROBABILITY) for name in base.names)
        given = dict(base.keywords)
        self.values: list[Value | None] = []
        for position, names in enumerate(_PARAMETERS[kind]):
            value = base.args[position] if len(base.args) > position else None
            value = next((given[name] for name in names if name in given), value)
            none = isinstance(value, Static) and value.value is None
            self.values.append(None if none or value is None else self._tensor(value))
        wanted = all if kind not in {"Bernoulli", "Categorical"} else any
        depends = any(dependencies(value) for value in self.values if value is not None)
        # Its parameters are known; an unknown one could be anything.
        self.whole = wanted(value is not None for value in self.values) and depends

    def _tensor(self, value: Value) -> Value | None:
        if isinstance(value, Sequence):
            return self.op("constant", value)
        known = isinstance(value, (Static, TensorValue))
        return value if known or (isinstance(value, Opaque) and value.dependencies) else None

    def op(self, key: str, *operands: Value) -> TensorValue:
        """Append an op."""
        return self.machine.emit_key(key, operands, self.at)

    def total(self, value: Value) -> TensorValue:
        """Append the sum over the last axis, that of a vector's elements."""
        return self.op("reduce_sum", value, Static(-1))

    def normal(self) -> tuple[Value, Value]:
        """Return location and scale."""
        loc, scale = self.values
        assert loc is not None
        assert scale is not None
        return loc, scale

    def log_scale(self, scale: Value) -> TensorValue:
        """Append the logarithm of a scale; that of a vector's is one of a determinant."""
        if self.kind != "MultivariateNormalDiag":
            return self.op("log", scale)
        size = self.op("abs", scale)
        if isinstance(scale, TensorValue):
            # The scale is what can be 0.
            nodes = self.machine.nodes
            nodes[size.node] = replace(nodes[size.node], site=nodes[scale.node].site)
        return self.op("log", size)

    def logits(self) -> Value:
        """Return the logits, which are made of probabilities if these are given."""
        logits, probs = self.values
        if logits is not None:
            return logits
        assert probs is not None
        if self.kind == "Categorical":
            return self.op("log", probs)
        rest = self.op("log1p", self.op("negative", probs))
        return self.op("subtract", self.op("log", probs), rest)

    def log_prob(self, value: Value) -> TensorValue | None:
        """Append the logarithm of the density, or of the probability, of a value."""
        if isinstance(value, (Built, Instance)):
            return None
        if self.kind == "Categorical":
            key = "sparse_softmax_cross_entropy_with_logits"
            return self.op("negative", self.op(key, value, self.logits()))
        if self.kind == "Bernoulli":
            key = "sigmoid_cross_entropy_with_logits"
            return self.op("negative", self.op(key, value, self.logits()))
        loc, scale = self.normal()
        distance = self.op("divide", self.op("subtract", value, loc), scale)
        half = self.op("multiply", Static(-0.5), self.op("square", distance))
        norm = self.op("add", Static(_HALF_LOG_2PI), self.log_scale(scale))
        each = self.op("subtract", half, norm)
        return self.total(each) if self.kind == "MultivariateNormalDiag" else each

    def entropy(self) -> TensorValue | None:
        """Append the entropy, or return None where releases differ in it."""
        if self.kind == "Categorical":
            logits, probs = self.values
            if logits is None and self.modern:
                return None
            logits = self.logits()
            shares = probs or self.op("softmax", logits)
            product = self.op("multiply", self.op("log_softmax", logits), shares)
            return self.op("negative", self.total(product))
        if self.kind == "Bernoulli":
            logits = self.logits()
            rest = self.op("subtract", self.op("sigmoid", logits), Static(1.0))
            softplus = self.op("softplus", self.op("negative", logits))
            return self.op("subtract", softplus, self.op("multiply", logits, rest))
        _, scale = self.normal()
        each = self.op("add", Static(_HALF_LOG_2PI + 0.5), self.log_scale(scale))
        return self.total(each) if self.kind == "MultivariateNormalDiag" else each

    def draw(self) -> TensorValue | None:
        """Append a draw through which the gradient flows; None of a discrete distribution."""
        if self.kind not in {"Normal", "MultivariateNormalDiag"}:
            return None
        loc, scale = self.normal()
        like = loc if isinstance(loc, TensorValue) else scale
        noise = self.op("random_normal", self.op("shape", like))
        return self.op("add", loc, self.op("multiply", scale, noise))
