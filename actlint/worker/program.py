"""Interprets an excerpt with TensorFlow: each instruction calls one row of the ops table.

The table is the allow-list. Attributes are looked up by names that the table itself holds, never
by text out of a job, so an excerpt can do nothing that is not a row.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import tensorflow as tf

from actlint.graph import Arg, Dots, DType, Items, Ref, Slice, refs
from actlint.ops import table
from actlint.ops.model import Op
from actlint.worker.protocol import Instruction, Job

# Elements that one value may have.
MAX_ELEMENTS: Final = 2**26
# Bits of a Python integer that an op may be given; results can at most double it.
_MAX_BITS: Final = 4096

# A function that brings its own gradient, called within the excerpt.
_OWN_GRADIENT: Final = "with_gradient"

_ROOTS: Final[Mapping[str, Any]] = {"tf": tf, "np": np, "operator": operator}

# Parameters whose integers are the shape of the result.
_SHAPES: Final = frozenset(
    {"batch_shape", "dims", "maxlen", "minlength", "nbins", "num_cols", "num_columns", "num_rows",
     "num_segments", "shape", "size"}
)  # fmt: skip
# Members of a range that is made anew for each sample.
_MAX_RANGE: Final = 2**20
_RANGES: Final = frozenset({"range", "np_arange"})
# Parameters whose integers multiply the size of the operands.
_FACTORS: Final = frozenset(
    {"depth", "multiples", "n", "num", "num_classes", "num_samples", "rep", "repeats"}
)
_PADDINGS: Final = frozenset({"pad_width", "paddings"})
_SIZES: Final = _SHAPES | _FACTORS | _PADDINGS | {"limit"}

# Ops whose results are drawn; they are seeded anew for each run, so that runs agree.
_RANDOM: Final = ("dropout", "random", "truncated_normal")


class NotAllowed(Exception):  # a refusal, not a failure
    """The excerpt asks for what the ops table does not hold; the text says what."""


class TooLarge(Exception):  # a refusal, not a failure
    """The excerpt asks for a value beyond the size limits; the text says which."""


class OutOfMemory(BaseException):
    """An op found no memory.

    Not an Exception, so that a check does not go on to the next sample as if the op had merely
    refused this one.
    """


@cache
def callable_of(key: str) -> Callable[..., Any]:
    """Return the function that the row with key `key` calls.

    Raises:
        NotAllowed: there is no such row, or it takes a function of the user's, or this
            TensorFlow lacks what it calls.
    """
    try:
        row = table.row(key)
    except KeyError:
        raise NotAllowed(f"{key} is no op of the table") from None
    path = row.call
    if not row.runs:
        raise NotAllowed(f"{path} runs a function of the user's")
    root, *names = path.split(".")
    found = _ROOTS[root]
    try:
        for name in names:
            found = getattr(found, name)
    except AttributeError:
        raise NotAllowed(f"this TensorFlow has no {path}") from None
    return found  # type: ignore[no-any-return]  # TensorFlow is untyped


class _Step:
    """One instruction, with its row and function looked up once."""

    __slots__ = ("function", "instruction", "row", "sized")

    def __init__(self, instruction: Instruction) -> None:
        self.instruction = instruction
        self.row: Op | None = None
        self.function: Callable[..., Any] | None = None
        if instruction.op and instruction.input is None:
            self.function = callable_of(instruction.op)
            self.row = table.row(instruction.op)
        # Whether a static argument says how large the result gets.
        self.sized = self.row is not None and not _SIZES.isdisjoint(self.row.params)


class Program:
    """An excerpt, ready to run any number of times.

    Attributes:
        job: the excerpt.
    """

    def __init__(self, job: Job, *, seeded: bool = True) -> None:
        """Look up every op.

        Args:
            job: the excerpt.
            seeded: let each run draw the same random numbers.

        Raises:
            NotAllowed: an op is not in the table.
        """
        self.job = job
        self._steps = tuple(_Step(instruction) for instruction in job.instructions)
        self._backward = {
            step.id: _after(step, self._steps)
            for step in job.instructions
            if step.op == _OWN_GRADIENT and step.input is None
        }
        self._random = seeded and any(
            mark in step.instruction.op for step in self._steps for mark in _RANDOM
        )

    def forward(self, feeds: Mapping[int, Any]) -> dict[int, Any]:
        """Compute every value of the excerpt.

        Works eagerly, under a GradientTape, and traced by tf.function with or without XLA (with
        ``autograph=False``: there is no source to convert).

        Args:
            feeds: the free inputs by instruction id, as tensors or plain Python numbers, which
                take on the dtype of what they meet. An id of any other instruction replaces the
                value that would be computed.

        Returns:
            All values by instruction id. Values of constants, and what is computed from nothing
            but them, are plain Python values; an op may give a tuple.

        Raises:
            NotAllowed: a dtype is unknown, or an operand is of a kind that no op takes.
            TooLarge: a value would exceed the size limits.
            OutOfMemory: there is no memory for a value.
            ValueError: an operand has fewer axes than its op takes.
            KeyError: a free input is not fed.
        """
        if self._random:
            tf.random.set_seed(self.job.seed)
            np.random.seed(self.job.seed % 2**32)
        values: dict[int, Any] = {}
        for step in self._steps:
            ident = step.instruction.id
            if ident in feeds:
                values[ident] = feeds[ident]
            elif step.row is None or step.function is None:
                if step.instruction.input is not None:
                    raise KeyError(f"input {step.instruction.input.name} is not fed")
                values[ident] = _runtime(step.instruction.value, values)
            elif ident in self._backward:
                values[ident] = self._own_gradient(step, values)
            else:
                values[ident] = _apply(step, step.row, step.function, values)
        return values

    def _own_gradient(self, step: _Step, values: Mapping[int, Any]) -> Any:
        """Return a value with the gradient that its function brings along."""
        args = dict(step.instruction.args)
        upstream, gradients = args["upstream"], args["gradients"]
        assert isinstance(upstream, Ref)
        assert isinstance(gradients, Items)

        def backward(cotangent: Any) -> list[Any]:
            known = {**values, upstream.node: cotangent}
            for inner in self._backward[step.instruction.id]:
                assert inner.row is not None
                assert inner.function is not None
                known[inner.instruction.id] = _apply(inner, inner.row, inner.function, known)
            return [tf.convert_to_tensor(_runtime(item, known)) for item in gradients.items]

        def function(*_: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
            return tf.stop_gradient(_runtime(args["input"], values)), backward

        return tf.custom_gradient(function)(*_runtime(args["x"], values))

    def resume(self, values: dict[int, Any], first: int, stop: int) -> tuple[int, str] | None:
        """Compute some of the instructions, for a search that knows the values before them.

        Args:
            values: by instruction id, those of the inputs included; what is computed is added.
            first: index of the first instruction to compute.
            stop: index behind the last one.

        Returns:
            The index of the first instruction that fails, and why; None if all succeed.
        """
        if self._random:
            tf.random.set_seed(self.job.seed)
            np.random.seed(self.job.seed % 2**32)
        for index in range(first, stop):
            step = self._steps[index]
            ident = step.instruction.id
            if step.instruction.input is not None:
                continue
            try:
                if step.row is None or step.function is None:
                    values[ident] = _runtime(step.instruction.value, values)
                else:
                    values[ident] = _apply(step, step.row, step.function, values)
            # An op raises what it likes on operands that do not suit it.
            except Exception as error:
                return index, str(error) or type(error).__name__
        return None


def _after(own: Instruction, steps: Sequence[_Step]) -> tuple[_Step, ...]:
    """Return the steps that compute a custom gradient from the cotangent of the value."""
    upstream = dict(own.args)["upstream"]
    assert isinstance(upstream, Ref)
    known, found = {upstream.node}, list[_Step]()
    for step in steps:
        reads = {ref for _, arg in step.instruction.args for ref in refs(arg)}
        if step.instruction.id != own.id and step.function is not None and reads & known:
            known.add(step.instruction.id)
            found.append(step)
    wanted = set(refs(dict(own.args)["gradients"]))
    kept: list[_Step] = []
    for step in reversed(found):
        if step.instruction.id in wanted:
            kept.append(step)
            wanted |= {ref for _, arg in step.instruction.args for ref in refs(arg)}
    return tuple(kept[::-1])


def _apply(step: _Step, row: Op, function: Callable[..., Any], values: Mapping[int, Any]) -> Any:
    given = {name: _runtime(arg, values) for name, arg in step.instruction.args}
    if row.call == "operator.getitem":
        given = {name: _subscript(value) for name, value in given.items()}
    elif row.call.startswith("np."):
        given = {name: _numpy_dtype(value) for name, value in given.items()}
    try:
        positional, keywords = row.arrange(given)
    except KeyError as error:
        raise NotAllowed(str(error.args[0])) from None
    if row.call.startswith("operator."):
        _guard_python(row, positional)
    if step.sized:
        _guard_size(row, given)
    if row.key in _RANGES:
        _guard_range(row, given)
    _guard_ranks(row, given)
    try:
        result = function(*positional, **keywords)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise OutOfMemory from error
    if row.component is not None:
        result = result[row.component]
    if _elements(result) > MAX_ELEMENTS:
        raise TooLarge(f"the result of {row.key} has more than {MAX_ELEMENTS} elements")
    return result


def _runtime(arg: Arg, values: Mapping[int, Any]) -> Any:
    """Return the Python value of an operand."""
    if isinstance(arg, Ref):
        return values[arg.node]
    if isinstance(arg, DType):
        try:
            return tf.as_dtype(arg.name)
        except TypeError:
            raise NotAllowed(f"there is no dtype {arg.name}") from None
    if isinstance(arg, Items):
        return [_runtime(item, values) for item in arg.items]
    if isinstance(arg, Slice):
        return slice(*(_runtime(part, values) for part in (arg.start, arg.stop, arg.step)))
    if isinstance(arg, Dots):
        return Ellipsis
    return arg


def _subscript(value: Any) -> Any:
    """Return a subscript as Python writes it: several axes are a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _numpy_dtype(value: Any) -> Any:
    """Return NumPy's dtype for TensorFlow's, and anything else unchanged."""
    return value.as_numpy_dtype if isinstance(value, tf.DType) else value


def _guard_python(row: Op, operands: list[Any]) -> None:
    """Refuse Python arithmetic that could fill the memory or never end.

    Raises:
        TooLarge: an integer or a list would get too large.
        NotAllowed: an operand is a string.
    """
    for value in operands:
        if isinstance(value, (str, bytes)):
            raise NotAllowed(f"{row.key} of a string")
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise TooLarge(f"an integer operand of {row.key} has more than {_MAX_BITS} bits")
        if isinstance(value, (list, tuple)) and len(value) > MAX_ELEMENTS >> 8:
            raise TooLarge(f"a list operand of {row.key} has {len(value)} items")
    if len(operands) < 2:
        return
    left, right = operands[:2]
    if row.call in ("operator.pow", "operator.lshift") and isinstance(right, int):
        width = left.bit_length() if isinstance(left, int) else 0
        if width * abs(right) > _MAX_BITS or (width and row.call.endswith("shift") and right > 64):
            raise TooLarge(f"the result of {row.key} has more than {_MAX_BITS} bits")
    for many, times in ((left, right), (right, left)):
        repeated = isinstance(many, (list, tuple)) and isinstance(times, int)
        if repeated and len(many) * times > MAX_ELEMENTS >> 8:
            raise TooLarge(f"the result of {row.key} has {len(many) * times} items")


def _guard_ranks(row: Op, given: Mapping[str, Any]) -> None:
    """Refuse operands with fewer axes than the row says, on which the kernel may abort.

    Raises:
        ValueError: an operand has too few axes.
    """
    for name, least in row.ranks:
        rank = _rank(given.get(name))
        if rank is not None and rank < least:
            raise ValueError(f"{row.key}: {name} has rank {rank}, not at least {least}")


def _rank(value: Any) -> int | None:
    """Return the number of axes of a value; None if it is not known or not given."""
    if isinstance(value, (list, tuple)):
        inner = _rank(value[0]) if value else 0
        return None if inner is None else 1 + inner
    if isinstance(value, (bool, int, float)):
        return 0
    shape = getattr(value, "shape", None)
    if isinstance(shape, tf.TensorShape):
        return shape.rank  # type: ignore[no-any-return]  # TensorFlow is untyped
    return len(shape) if isinstance(shape, tuple) else None


def _guard_range(row: Op, given: Mapping[str, Any]) -> None:
    """Refuse a range of plain numbers with too many members, before it is computed.

    Raises:
        TooLarge: it would have more than `_MAX_RANGE` members.
    """
    numbers = [given[name] for name in row.params[:3] if name in given]
    if not all(isinstance(number, int | float) for number in numbers):
        return
    start, stop, step = {1: (0, *numbers, 1), 2: (*numbers, 1)}.get(len(numbers), tuple(numbers))
    if step and (stop - start) / step > _MAX_RANGE:
        raise TooLarge(f"the result of {row.key} would have more than {_MAX_RANGE} elements")


def _guard_size(row: Op, given: Mapping[str, Any]) -> None:
    """Refuse an op whose static arguments ask for a huge result, before it is computed.

    Raises:
        TooLarge: the result would have more than `MAX_ELEMENTS` elements.
    """
    size = float(max((_elements(given[name]) for name in row.operands if name in given), default=1))
    asked = [name for name in given if name in _SHAPES]
    if asked:
        numbers = [number for name in asked for number in _numbers(given[name])]
        size = math.prod(abs(number) for number in numbers)
        if row.key.endswith("eye") and "num_columns" not in given:
            size *= size  # an identity matrix
    for name, value in given.items():
        if name in _FACTORS:
            # Repeat counts of single elements add up; the largest bounds their mean.
            counts = [abs(number) for number in _numbers(value)]
            size *= max(counts, default=1) if name == "repeats" else math.prod(counts)
        elif name in _PADDINGS:
            size *= math.prod(1 + abs(number) for number in _numbers(value))
    if {"start", "limit"} <= set(row.params) and row.call.endswith("range"):
        size = _range_size(given)
    if size > MAX_ELEMENTS:
        raise TooLarge(f"{row.key} is asked for more than {MAX_ELEMENTS} elements")


def _range_size(given: Mapping[str, Any]) -> float:
    parts = [list(_numbers(given.get(name))) for name in ("start", "limit", "delta")]
    start, limit, delta = (part[0] if part else None for part in parts)
    return (abs(start or 0.0) + abs(limit or 0.0)) / (abs(delta or 0.0) or 1.0)


def _elements(value: Any) -> int:
    """Return the number of elements of a value as far as it is known, 1 if not."""
    if isinstance(value, (list, tuple)):
        return sum(_elements(item) for item in value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tf.TensorShape):
        return shape.num_elements() or 1
    return math.prod(shape) if isinstance(shape, tuple) else 1


def _numbers(value: Any) -> Iterator[float]:
    """Yield the numbers in a static argument, tensors of known value included."""
    if isinstance(value, (bool, int, float)):
        yield float(min(max(value, -1e300), 1e300))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (tf.Tensor, np.ndarray, np.generic)):
        known = tf.get_static_value(value) if isinstance(value, tf.Tensor) else value
        if known is not None and np.size(known) <= 64 and np.asarray(known).dtype.kind in "biuf":
            yield from (float(number) for number in np.ravel(known))
