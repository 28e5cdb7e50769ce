"""Instructions and samples in float64 instead of float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np
import tensorflow as tf

from actlint.graph import Arg, DType, Items
from actlint.ops.table import row
from actlint.worker.protocol import Instruction
from actlint.worker.samples import Sample

# Ops whose result is float32 unless they are told otherwise, and those that follow their operand.
_MAKERS: Final = frozenset({"zeros", "ones", "one_hot", "eye"})
_FOLLOWERS: Final = frozenset({"constant", "convert_to_tensor"})


def widened(step: Instruction) -> Instruction:
    """Return an instruction that computes in float64 what it did in float32."""
    args = tuple((name, _wide(arg)) for name, arg in step.args)
    given = dict(args)
    makes = step.op in _MAKERS or (step.op in _FOLLOWERS and _is_float(given.get("value")))
    if makes and "dtype" in row(step.op).params and "dtype" not in given:
        args = (*args, ("dtype", DType("float64")))
    return replace(step, args=args, value=_wide(step.value))


def wide(sample: Sample) -> Sample:
    """Return a sample whose float32 numbers are float64 ones."""
    feeds = {
        key: value.astype(np.float64) if value.dtype == np.float32 else value
        for key, value in sample.feeds.items()
    }
    return replace(sample, feeds=feeds)


@contextmanager
def double_precision() -> Iterator[None]:
    """Make Keras take float64 for its default dtype."""
    backend = tf.keras.backend
    before = backend.floatx()
    backend.set_floatx("float64")
    try:
        yield
    finally:
        backend.set_floatx(before)


def _wide(arg: Arg) -> Arg:
    if isinstance(arg, DType) and arg.name == "float32":
        return DType("float64")
    if arg == "float32":
        return "float64"
    if isinstance(arg, Items):
        return Items(tuple(_wide(item) for item in arg.items))
    return arg


def _is_float(arg: Arg) -> bool:
    if isinstance(arg, Items):
        return any(_is_float(item) for item in arg.items)
    return isinstance(arg, float)
