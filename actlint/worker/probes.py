"""Look inside a running excerpt: every value, every cotangent, and single ops on their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from actlint.graph import Input, InputRole, refs
from actlint.ops.table import row
from actlint.worker.protocol import Instruction, Job
from actlint.worker.samples import Array, Feeds, Sample

if TYPE_CHECKING:
    from actlint.worker.program import Program


# Ops whose result depends on the shape of their operand alone.
_STATIC = frozenset(
    {"shape", "size", "rank", "static_shape", "static_rank", "zeros_like", "ones_like", "full_like"}
)


@dataclass(frozen=True, slots=True)
class Trace:
    """One run of a program under a gradient tape."""

    sample: Sample
    values: dict[int, Array]  # of every node whose value is one tensor or number
    plain: dict[int, Any]  # those values that TensorFlow saw as plain Python or NumPy objects
    cotangents: dict[int, Array | None]  # of the output, with respect to every floating node
    inputs: tuple[int, ...]  # differentiated inputs
    output: int

    @property
    def gradients(self) -> dict[int, Array | None]:
        """Gradient of the output with respect to each differentiated input; None if cut."""
        return {ident: self.cotangents.get(ident) for ident in self.inputs}

    @property
    def broken(self) -> bool:
        """True if the output or the gradient that training takes is not finite."""
        found = (self.values[self.output], *self.gradients.values())
        return any(value is not None and not finite(value) for value in found)


def finite(value: Array) -> bool:
    """Return True if the value has no nan or infinity; integers and booleans never do."""
    return not floating(value) or bool(np.isfinite(value).all())


def floating(value: Array) -> bool:
    """Return True for a real floating dtype."""
    return bool(np.issubdtype(value.dtype, np.floating))


class Lab:
    """A program, its parts, and what single nodes of it do.

    Args:
        job: the excerpt.
        program: the excerpt, ready to run.
    """

    def __init__(self, job: Job, program: Program) -> None:
        self.job = job
        self.program = program
        self.steps = {step.id: step for step in job.instructions}
        self.operands = {
            step.id: tuple(
                dict.fromkeys(ref for _, arg in step.args for ref in refs(arg) if ref in self.steps)
            )
            for step in job.instructions
        }
        self.users: dict[int, list[int]] = {ident: [] for ident in self.steps}
        for ident, operands in self.operands.items():
            for operand in operands:
                self.users[operand].append(ident)
        self.inputs = tuple(
            step.id
            for step in job.instructions
            if step.input is not None and step.input.differentiated and not step.input.integer
        )
        self._parts: dict[tuple[str, tuple[int, ...]], Program] = {}
        self._varies: dict[int, bool] = {}
        self._compiled: dict[tuple[Any, ...], Any] = {}

    # ---- running ---------------------------------------------------------------------------

    def values(self, feeds: Feeds, program: Program | None = None) -> dict[int, Array]:
        """Run forward and return every node's value.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        return _arrays((program or self.program).forward(self.fed(feeds)))

    def fed(self, feeds: Mapping[int, Any]) -> dict[int, Any]:
        """Return feeds as TensorFlow takes them: hyperparameters stay plain numbers."""
        return {
            key: value.item() if self._is_parameter(key) else tf.constant(value)
            for key, value in feeds.items()
        }

    def _is_parameter(self, key: int) -> bool:
        spec = self.steps[key].input
        return spec is not None and spec.role is InputRole.PARAMETER and not spec.differentiated

    def trace(
        self,
        sample: Sample,
        weights: Array | None = None,
        *,
        program: Program | None = None,
        watch: Sequence[int] | None = None,
        output: int | None = None,
        plain: Mapping[int, Any] | None = None,
    ) -> Trace:
        """Run forward and backward.

        Args:
            sample: the batch.
            weights: cotangent of the output; ones if None.
            program: a part of the program instead of the whole.
            watch: ids of the inputs to differentiate by, instead of the job's own.
            output: node to differentiate, instead of the job's output.
            plain: values to feed as they are.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        runner = program or self.program
        end = self.job.output if output is None else output
        feeds = {**self.fed(sample.feeds), **(plain or {})}
        watched = [key for key in (self.inputs if watch is None else watch) if key in feeds]
        watched = [key for key in watched if tf.is_tensor(feeds[key])]
        watched = [key for key in watched if feeds[key].dtype.is_floating]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for key in watched:
                tape.watch(feeds[key])
            made = runner.forward(feeds)
        tensors = {
            key: value for key, value in made.items()
            if tf.is_tensor(value) and value.dtype.is_floating
        }  # fmt: skip
        tensors.update({key: feeds[key] for key in watched})
        cotangents = _gradients(tape, tensors.get(end), tensors, weights)
        arrays = _arrays(made)
        arrays.update({key: np.asarray(value) for key, value in sample.feeds.items()})
        others = {key: value for key, value in made.items() if not tf.is_tensor(value)}
        return Trace(sample, arrays, others, cotangents, tuple(watched), end)

    def holds(self, values: dict[int, Array]) -> Array:
        """Return whether the path's tensor conditions hold, elementwise where they are tensors."""
        held: Array = np.asarray(True)
        for node, expected in self.job.assumptions:
            if node in values:
                value = np.asarray(values[node]).astype(bool) == expected
                held = held & value if held.ndim == 0 or held.size == value.size else held
        return held

    def pull(
        self,
        program: Program,
        node: int,
        sample: Sample,
        watch: Sequence[int],
        weigh: Callable[[Array], Array | None],
    ) -> dict[int, Array] | None:
        """Return the gradient of one node, weighed by what its value is.

        Args:
            program: the part of the program that computes the node.
            node: what is differentiated.
            sample: the batch.
            watch: ids of the inputs to differentiate by.
            weigh: cotangent of the node for its value; None to stop there.

        Raises:
            Exception: whatever TensorFlow raises if the feeds do not fit.
        """
        feeds = self.fed(sample.feeds)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for key in watch:
                tape.watch(feeds[key])
            value = program.forward(feeds)[node]
        if not tf.is_tensor(value) or not value.dtype.is_floating:
            return None
        weights = weigh(np.asarray(value.numpy()))
        if weights is None:
            return None
        found = _gradients(tape, value, {key: feeds[key] for key in watch}, weights)
        return {key: gradient for key, gradient in found.items() if gradient is not None}

    # ---- parts of the program --------------------------------------------------------------

    def alone(self, node: int) -> Program:
        """Return the program that computes one node from its operands."""
        keep = [_hole(self.steps[ref]) for ref in self.operands[node]]
        return self._part("alone", (node,), (*keep, self.steps[node]), node)

    def upto(self, node: int) -> Program:
        """Return the program that computes one node from the inputs."""
        return self._part("upto", (node,), _slice(self.job.instructions, (node,)), node)

    def _part(
        self, kind: str, nodes: tuple[int, ...], steps: Sequence[Instruction], output: int
    ) -> Program:
        key = (kind, nodes)
        if key not in self._parts:
            # Feeding an id replaces its value, so that a part needs no inputs of its own.
            part = replace(
                self.job, instructions=tuple(steps), output=output, assumptions=(), suspects=()
            )
            self._parts[key] = type(self.program)(part)
        return self._parts[key]

    def varies(self, node: int) -> bool:
        """Return True if the node's value depends on the elements of an input."""
        if node not in self._varies:
            step = self.steps[node]
            if step.input is not None:
                found = not self._is_parameter(node)
            elif step.op in _STATIC:
                found = False
            else:
                found = any(self.varies(ref) for ref in self.operands[node])
            self._varies[node] = found
        return self._varies[node]

    def ancestors(self, node: int) -> set[int]:
        """Return the ids that a node is computed from, itself included."""
        found, queue = {node}, [node]
        while queue:
            for operand in self.operands[queue.pop()]:
                if operand not in found:
                    found.add(operand)
                    queue.append(operand)
        return found

    # ---- one op on its own -----------------------------------------------------------------

    def local(
        self, node: int, trace: Trace, upstream: Array | None, *, mended: bool = False
    ) -> tuple[Array | None, dict[int, Array | None]]:
        """Run one op on the operands that a trace recorded.

        Args:
            node: the op.
            trace: where its operands come from.
            upstream: cotangent of the op's result; None means ones.
            mended: replace what is not finite in operands by 1 and in `upstream` by 0, so that
                only what the op itself breaks is broken.

        Returns:
            The op's value, and the cotangent that it hands to each floating operand. The value
            is None if the op cannot be run on its own.
        """
        step = self.steps[node]
        if not step.op:
            return None, {}
        operands = self.operands[node]
        plain = {ref: trace.plain[ref] for ref in operands if ref in trace.plain}
        feeds = {ref: trace.values[ref] for ref in operands if ref not in plain}
        if mended:
            feeds = {ref: _mend(value, 1.0) for ref, value in feeds.items()}
            upstream = None if upstream is None else _mend(upstream, 0.0)
        floats = [ref for ref, value in feeds.items() if floating(value)]
        try:
            sample = Sample(feeds, trace.sample.reach, "")
            run = self.trace(
                sample,
                upstream,
                program=self.alone(node),
                watch=floats,
                output=node,
                plain=plain,
            )
        # An operand may not be feedable on its own, such as a static shape; TensorFlow then
        # raises whatever that op raises.
        except Exception:
            return None, {}
        return run.values.get(node), {ref: run.cotangents.get(ref) for ref in floats}

    # ---- compiled modes --------------------------------------------------------------------

    def compiled(self, mode: str, sample: Sample) -> tuple[Array, list[Array]] | None:
        """Run as ``tf.function``, under XLA if `mode` is "xla".

        Returns:
            The output and the gradients that are not None; None if the mode refuses the program.
        """
        watched = [ident for ident in self.inputs if ident in sample.feeds]
        fed = self.fed(sample.feeds)
        fixed = {ident: value for ident, value in fed.items() if not tf.is_tensor(value)}
        shapes = tuple((ident, value.shape) for ident, value in sample.feeds.items())
        key = (mode, shapes, tuple(fixed.items()))
        tensors = {str(ident): value for ident, value in fed.items() if tf.is_tensor(value)}
        if key not in self._compiled:

            def run(feeds: dict[str, Any]) -> tuple[Any, list[Any]]:
                given = {int(key): value for key, value in feeds.items()} | fixed
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    for ident in watched:
                        tape.watch(given[ident])
                    output = self.program.forward(given)[self.job.output]
                found = tape.gradient(output, [given[ident] for ident in watched])
                return output, [tf.convert_to_tensor(g) for g in found if g is not None]

            traced = tf.function(run, autograph=False)
            self._compiled["graph", *key[1:]] = traced
            # XLA compiles the graph that is traced already, so that it is traced only once.
            self._compiled["xla", *key[1:]] = tf.function(
                lambda feeds: traced(feeds),  # noqa: PLW0108  # a Function cannot be wrapped
                jit_compile=True,
                autograph=False,
            )
        try:
            output, gradients = self._compiled[key](tensors)
            return output.numpy(), [gradient.numpy() for gradient in gradients]
        # Dynamic shapes and some ops cannot be compiled; each raises its own error.
        except Exception:
            return None

    def modes_differ(self, node: int) -> bool:
        """Return True if eager, graph and XLA can disagree about the node or a later one."""
        seen, queue = {node}, [node]
        while queue:
            current = queue.pop()
            op = self.steps[current].op
            if op and row(op).modes_differ:
                return True
            for user in self.users[current]:
                if user not in seen:
                    seen.add(user)
                    queue.append(user)
        return False


def pruned(job: Job, ends: Sequence[int]) -> tuple[Instruction, ...]:
    """Return a job's inputs and what `ends` are computed from."""
    inputs = (step.id for step in job.instructions if step.input is not None)
    return _slice(job.instructions, (*inputs, *ends))


def _hole(step: Instruction) -> Instruction:
    """Return an input that stands for a computed value."""
    if step.input is not None:
        return step
    spec = Input(f"value_{step.id}", InputRole.CUT, True, -np.inf, np.inf)
    return Instruction(step.id, "", (), input=spec)


def _slice(steps: Iterable[Instruction], ends: Sequence[int]) -> tuple[Instruction, ...]:
    """Return the instructions that `ends` are computed from."""
    listed = list(steps)
    needed = set(ends)
    for step in reversed(listed):
        if step.id in needed:
            needed.update(ref for _, arg in step.args for ref in refs(arg))
    return tuple(step for step in listed if step.id in needed)


def _mend(value: Array, by: float) -> Array:
    if not floating(value):
        return value
    return np.where(np.isfinite(value), value, value.dtype.type(by))


def _arrays(made: Mapping[int, Any]) -> dict[int, Array]:
    found: dict[int, Array] = {}
    for key, value in made.items():
        if tf.is_tensor(value):
            if hasattr(value, "numpy") and value.dtype.is_floating | value.dtype.is_integer | (
                value.dtype == tf.bool
            ):
                found[key] = np.asarray(value.numpy())
        elif isinstance(value, (bool, int, float, np.ndarray, np.generic)):
            # What TensorFlow makes of a plain number next to a float32 tensor.
            found[key] = np.asarray(value, np.float32 if isinstance(value, float) else None)
    return found


def _gradients(
    tape: tf.GradientTape, output: Any, tensors: dict[int, Any], weights: Array | None
) -> dict[int, Array | None]:
    """Return the cotangent of every tensor; None where no gradient arrives."""
    if output is None:
        return {}
    upstream = None if weights is None else tf.constant(weights, output.dtype)
    try:
        found = tape.gradient(output, list(tensors.values()), output_gradients=upstream)
    except LookupError:
        # An op on the way has no gradient registered at all.
        return dict.fromkeys(tensors)
    return {
        key: None if value is None else np.asarray(tf.convert_to_tensor(value).numpy())
        for key, value in zip(tensors, found, strict=True)
    }
