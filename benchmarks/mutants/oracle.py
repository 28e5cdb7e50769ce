"""Runs originals and mutants in TensorFlow, and says which mutants are broken.

The verdict owes nothing to actlint: both programs are imported and called on the same made-up
inputs, typical and extreme ones, and their values and gradients are compared.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from mutants.model import Harm, Param, Probe

Array = npt.NDArray[Any]

# Relative differences up to these are rounding.
_SAME_VALUE = 1e-3
_SAME_GRADIENT = 1e-2
# Relative error of a gradient that does harm; training does not feel a smaller one.
_HARMFUL = 0.1
# Error against float64 up to which the original counts as accurate, and gradients that are nothing.
_ACCURATE = 0.01
_NOTHING = 1e-30


class Verdict(StrEnum):
    """What the oracle says of a mutant."""

    BROKEN = "broken"
    EQUIVALENT = "equivalent"  # nothing changed, or nothing that does harm
    STILLBORN = "stillborn"  # does not run at all, which nobody can miss


@dataclass(frozen=True, slots=True)
class Result:
    """Value and gradients of one call; what has no gradient has zeros."""

    value: Array
    gradients: tuple[Array, ...]

    @property
    def finite(self) -> bool:
        """Whether no number is nan or infinite."""
        return all(np.isfinite(part).all() for part in (self.value, *self.gradients))


@dataclass(frozen=True, slots=True)
class Batch:
    """Made-up arguments, and whether training sees such ones all the time."""

    values: Mapping[str, Array]
    typical: bool


Call = Callable[[Batch], Result]


def results(probe: Probe, text: str, *, double: bool = False) -> list[Result] | None:
    """Return what the program gives on all batches; None if it does not run.

    Args:
        probe: how it is called.
        text: the program.
        double: whether functions are given the same numbers in float64, with which programs that
            speak of float32 do not run.
    """
    if double and probe.kind not in ("activation", "loss"):
        return None
    try:
        call = _callable(probe, text)
        return [call(_doubled(batch) if double else batch) for batch in batches(probe)]
    # The program is a mutant: whatever it raises says that it does not run.
    except Exception:
        return None


def _doubled(batch: Batch) -> Batch:
    wide = {
        name: value.astype(np.float64) if value.dtype == np.float32 else value
        for name, value in batch.values.items()
    }
    return Batch(wide, batch.typical)


def judge(
    probe: Probe,
    harm: Harm,
    right: Sequence[Result],
    wrong: Sequence[Result] | None,
    exact: Sequence[Result] | None = None,
) -> Verdict:
    """Return whether a mutant is broken, in the way that its mutator means.

    Args:
        probe: how original and mutant are called.
        harm: what counts as broken.
        right: results of the original.
        wrong: results of the mutant.
        exact: results of the original in float64, if they are known.
    """
    if wrong is None:
        return Verdict.STILLBORN
    known = list(zip(batches(probe), right, wrong, strict=True))
    if any(r.finite and not w.finite for _, r, w in known):
        return Verdict.BROKEN
    if harm is Harm.NONFINITE:
        return Verdict.EQUIVALENT
    if harm is Harm.INACCURATE:
        wrong_somewhere = any(
            _far(a, b, _HARMFUL)
            for _, r, w in known
            for a, b in zip(r.gradients, w.gradients, strict=True)
        )
        wrong_somewhere |= exact is not None and any(
            _inaccurate(*each)
            for (_, r, w), e in zip(known, exact, strict=True)
            for each in zip(e.gradients, r.gradients, w.gradients, strict=True)
        )
        return Verdict.BROKEN if wrong_somewhere else Verdict.EQUIVALENT
    looked = [(r, w) for b, r, w in known if b.typical]
    return Verdict.BROKEN if any(_differ(r, w) for r, w in looked) else Verdict.EQUIVALENT


def _differ(right: Result, wrong: Result) -> bool:
    pairs = [(right.value, wrong.value, _SAME_VALUE)]
    pairs += [(a, b, _SAME_GRADIENT) for a, b in zip(right.gradients, wrong.gradients, strict=True)]
    return any(_far(a, b, limit) for a, b, limit in pairs)


def _far(right: Array, wrong: Array, limit: float) -> bool:
    if right.shape != wrong.shape:
        return True
    good = np.isfinite(right) & np.isfinite(wrong)
    scale = float(np.abs(right[good]).max(initial=0.0))
    return bool((np.abs(right[good] - wrong[good]) > limit * max(scale, 1e-6)).any())


def _inaccurate(exact: Array, right: Array, wrong: Array) -> bool:
    """Return whether an element is far off that float64 and the original agree on."""
    if exact.shape != wrong.shape:
        return True
    size = np.abs(exact)
    good = np.isfinite(exact) & (size > _NOTHING) & (np.abs(right - exact) <= _ACCURATE * size)
    return bool((good & (np.abs(wrong - exact) > _HARMFUL * size)).any())


# ---- inputs ---------------------------------------------------------------------------------

_KINDS = ("typical", "typical", "zero", "top", "equal", "saturated", "constant", "tiny", "huge",
          "spread", "minus")  # fmt: skip


def batches(probe: Probe) -> Iterator[Batch]:
    """Yield the batches an original is called with, the same ones each time."""
    for number, kind in enumerate(_KINDS):
        rng = np.random.default_rng(number)
        values: dict[str, Array] = {}
        for param in probe.params:
            values[param.name] = _made(param, kind, rng)
        first = next(iter(values.values()), None)
        if kind == "equal" and first is not None:
            for param in probe.params:
                if param.shape == first.shape and param.domain != "ids":
                    values[param.name] = first.astype(np.float32)
        yield Batch(values, kind == "typical")


def _made(param: Param, kind: str, rng: np.random.Generator) -> Array:
    shape, domain = param.shape, param.domain
    uniform = rng.uniform(0.02, 0.98, shape)
    normal = rng.normal(size=shape)
    hot = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if domain == "ids":
        return rng.integers(0, 3, shape).astype(np.int32)
    if domain == "box":
        low = 0.0 * uniform[:, :2] if kind in ("zero", "tiny") else uniform[:, :2]
        size = 0.0 if kind in ("zero", "tiny") else 0.5
        return np.concatenate([low, low + size * uniform[:, 2:]], -1).astype(np.float32)
    made: Array
    special: dict[str, Array] = {}
    if domain in ("binary", "sign"):
        made = rng.integers(0, 2, shape)
        special = {"zero": 0 * made, "top": 0 * made + 1, "tiny": 0 * made}
        made = special.get(kind, made) if domain == "binary" else 2 * made - 1
        return made.astype(np.float32)
    if domain == "onehot":
        made = hot
    elif domain == "simplex":
        soft = np.exp(normal) / np.exp(normal).sum(-1, keepdims=True)
        made = soft if kind in ("typical", "tiny", "constant") else hot
    elif domain in ("probability", "unit"):
        made = uniform
        special = {
            "zero": 0 * uniform,
            "top": 0 * uniform + 1,
            "saturated": rng.integers(0, 2, shape),
            "constant": 0 * uniform + 0.5,
            "tiny": 1e-9 * uniform,
        }
    elif domain in ("positive", "count"):
        made = np.abs(normal) * 2.0
        made = np.floor(made) if domain == "count" else made
        special = {"zero": 0 * made, "tiny": 1e-9 * made, "huge": 500 * made}
    else:  # real and logits
        made = normal
        special = {
            "zero": 0 * normal,
            "top": 0 * normal + 1,
            "saturated": 100 * normal,
            "constant": 0 * normal - 2.0,
            "tiny": 1e-6 * normal,
            "huge": 500 * normal,
            "minus": 0 * normal - 1.0,
            "spread": np.linspace(-9, 9, normal.size).reshape(shape),
        }
    made = special.get(kind, made)
    return made.astype(np.float32)


# ---- programs -------------------------------------------------------------------------------


def _tensorflow() -> Any:
    """Return TensorFlow, told to be quiet before it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = importlib.import_module("tensorflow")
    tf.get_logger().setLevel("ERROR")
    tf.autograph.set_verbosity(0)  # a mutant has no file that AutoGraph could read
    return tf


def _callable(probe: Probe, text: str) -> Call:
    if probe.kind == "graph":
        return _graph(probe, text)
    module = _module(text)
    if probe.kind == "step":
        return _step(probe, module)
    parts = probe.entry.split(".")
    function: Callable[..., Any] = getattr(module, parts[0])
    if len(parts) > 1:
        function = getattr(function(), parts[1])
    elif probe.kind in ("layer", "regularizer"):
        function = function()
    return _function(probe, function)


def _module(text: str) -> ModuleType:
    module = ModuleType("mutant")
    # The text is an original of this folder, or what our own mutators made of it.
    exec(compile(text, "mutant.py", "exec"), module.__dict__)
    return module


def _function(probe: Probe, function: Callable[..., Any]) -> Call:
    tf = _tensorflow()

    def call(batch: Batch) -> Result:
        given = {name: tf.constant(value) for name, value in batch.values.items()}
        moved = [given[p.name] for p in probe.params if p.differentiated]
        with tf.GradientTape(persistent=True) as tape:
            for tensor in moved:
                tape.watch(tensor)
            value = tf.convert_to_tensor(function(*given.values()))
            # A sum of equal weights would hide the gradient of a softmax.
            places = tf.range(tf.size(value), dtype=tf.float32)
            weights = tf.cast(1.0 + 0.5 * tf.cos(places), value.dtype)
            total = tf.reduce_sum(tf.reshape(value, [-1]) * weights)
        gradients = tape.gradient(total, moved)
        return Result(
            value.numpy(),
            tuple(
                np.zeros(tensor.shape, np.float32) if grad is None else np.asarray(grad)
                for tensor, grad in zip(moved, gradients, strict=True)
            ),
        )

    return call


# How far from their initial values variables are tried.
_SCALES = {"zero": 0.0, "tiny": 1e-4, "huge": 1000.0, "saturated": 100.0}


def _scaled(index: int, shape: Sequence[int], number: int) -> Array:
    scale = _SCALES.get(_KINDS[number], 1.0)
    values: Array = scale * np.random.default_rng([index, number]).normal(size=shape)
    return values.astype(np.float32)


def _step(probe: Probe, module: ModuleType) -> Call:
    tf = _tensorflow()

    variables = [v for v in vars(module).values() if isinstance(v, tf.Variable)]
    number = iter(range(len(_KINDS)))

    def call(batch: Batch) -> Result:
        now = next(number)
        for index, variable in enumerate(variables):
            variable.assign(_scaled(index, variable.shape, now))
        loss, gradients = vars(module)[probe.entry](
            **{name: tf.constant(value) for name, value in batch.values.items()}
        )
        return Result(
            np.asarray(loss),
            tuple(
                np.zeros(variable.shape, np.float32) if grad is None else np.asarray(grad)
                for variable, grad in zip(variables, gradients, strict=True)
            ),
        )

    return call


def _graph(probe: Probe, text: str) -> Call:
    tf = _tensorflow()

    graph = tf.Graph()
    with graph.as_default():
        module = _module(text)
        loss = vars(module)[probe.entry]
        variables = tf.compat.v1.trainable_variables()
        gradients = tf.compat.v1.gradients(loss, variables)
    number = iter(range(len(_KINDS)))

    def call(batch: Batch) -> Result:
        now = next(number)
        feeds = {vars(module)[name]: value for name, value in batch.values.items()}
        known = [grad for grad in gradients if grad is not None]
        with tf.compat.v1.Session(graph=graph) as session:
            for index, variable in enumerate(variables):
                variable.load(_scaled(index, variable.shape, now), session)
            value, *found = session.run([loss, *known], feeds)
        rest = iter(found)
        return Result(
            np.asarray(value),
            tuple(
                np.zeros(variable.shape, np.float32) if grad is None else np.asarray(next(rest))
                for variable, grad in zip(variables, gradients, strict=True)
            ),
        )

    return call
