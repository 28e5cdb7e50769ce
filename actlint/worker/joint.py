"""Shapes for many inputs at once: where an op fails, only what leads to it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from actlint.graph import InputRole, refs
from actlint.ops.model import Kind
from actlint.ops.table import TABLE
from actlint.worker import inputs
from actlint.worker.inputs import HEIGHT, STEPS, WIDTH, Encoding, Slot, Template
from actlint.worker.needs import Need, fits, needs, shaped
from actlint.worker.protocol import Instruction, Job

if TYPE_CHECKING:
    from actlint.worker.program import Program

# Prediction shapes that are tried, and combinations of forms for each op that fails.
_MAX_SHAPES: Final = 8
_MAX_CHOICES: Final = 150
# Inputs of which nothing says whether they hold integers.
_RETYPED: Final = frozenset({InputRole.CUT, InputRole.ACTIVATION})
# Length of a program beyond which its parts are tried instead.
_MAX_INSTRUCTIONS: Final = 250
# Ops that are run in all; a search that ends well takes some hundreds.
_MAX_STEPS: Final = 1_200


def solve(
    job: Job,
    program: Program,
    runs: Callable[[Template], str | None],
    feed: Callable[[Slot], Any],
) -> tuple[Template, ...]:
    """Return a template with which the program runs; none if the search finds none.

    Args:
        job: the excerpt.
        program: the excerpt, ready to run.
        runs: has the last word on a template.
        feed: gives a value to an input, as the program takes it.
    """
    given = [(step.id, step.input) for step in job.instructions if step.input is not None]
    if not given or len(job.instructions) > _MAX_INSTRUCTIONS:
        return ()
    search = _Search(job, program, feed)
    asked = needs(job.instructions)
    poor: tuple[Template, ...] = ()
    sizes = inputs.class_sizes(job)
    for classes, shape in islice(inputs.prediction_shapes(sizes, given), _MAX_SHAPES):
        options = {
            ident: _options(
                inputs.slots(ident, spec, shape, classes, inputs=given, small={}),
                asked.get(ident, Need()),
                classes,
            )
            for ident, spec in given
        }
        found = search.assign(options)
        if found is None:
            if search.spent:
                break
            continue
        template = Template(tuple(found[ident] for ident, _ in given))
        if runs(template) is None:
            if not template.degenerate:
                return (template,)
            poor = poor or (template,)
    return poor


def _options(usual: list[Slot], need: Need, classes: int) -> list[Slot]:
    """Return the ways to feed an input, those first that its consumers ask for."""
    first = usual[0]
    if first.spec.role is InputRole.PARAMETER or first.spec.shape is not None:
        return usual
    usual = usual + [_retyped(slot) for slot in usual if slot.spec.role in _RETYPED]
    if need.empty:
        return list(dict.fromkeys(usual))
    sizes = (None, classes, HEIGHT, WIDTH, STEPS)
    fitting = [slot for slot in usual if fits(slot.shape, need)]
    made = [inputs.shaped_slot(first, shape) for shape in shaped(need, sizes) if fits(shape, need)]
    return list(dict.fromkeys([*fitting, *made])) or usual


def _retyped(slot: Slot) -> Slot:
    """Return the slot with floating elements instead of integers, or the other way round."""
    if slot.dtype == "float32":
        return replace(slot, dtype="int32", encoding=Encoding.CLASS)
    return replace(slot, dtype="float32", encoding=Encoding.REAL)


class _Search:
    """Runs a program instruction by instruction and mends what the failing one depends on."""

    def __init__(self, job: Job, program: Program, feed: Callable[[Slot], Any]) -> None:
        self.steps = job.instructions
        self.program = program
        self.feed = feed
        self.taken = 0
        index = {step.id: at for at, step in enumerate(self.steps)}
        # Inputs that each instruction is computed from, by index.
        self.leads: list[frozenset[int]] = []
        self.joined: list[bool] = []  # broadcasting is meant there
        for step in self.steps:
            operands = [index[ref] for _, arg in step.args for ref in refs(arg) if ref in index]
            own = frozenset([step.id]) if step.input is not None else frozenset[int]()
            self.leads.append(own.union(*(self.leads[at] for at in operands)))
            self.joined.append(_reshapes(step) or any(self.joined[at] for at in operands))

    @property
    def spent(self) -> bool:
        """True if no more ops may be run."""
        return self.taken >= _MAX_STEPS

    def assign(self, options: Mapping[int, list[Slot]]) -> dict[int, Slot] | None:
        """Return a slot for each input with which every instruction runs, or None."""
        chosen = {ident: found[0] for ident, found in options.items()}
        values: dict[int, Any] = {ident: self.feed(slot) for ident, slot in chosen.items()}
        at = 0
        while at < len(self.steps):
            failed = self._run(values, at, len(self.steps))
            if failed is None:
                return chosen
            better = self._mend(failed, chosen, options)
            if better is None:
                return None
            chosen, values = better
            at = failed + 1
        return chosen

    def _run(self, values: dict[int, Any], first: int, stop: int) -> int | None:
        """Run some instructions; return the index of the one that fails."""
        failed = self.program.resume(values, first, stop)
        end = stop if failed is None else failed[0]
        self.taken += end - first + 1
        for at in range(first, end):
            if not self.joined[at] and _crosses(self.steps[at], values):
                return at
        return None if failed is None else failed[0]

    def _mend(
        self, failed: int, chosen: dict[int, Slot], options: Mapping[int, list[Slot]]
    ) -> tuple[dict[int, Slot], dict[int, Any]] | None:
        """Return other slots for the inputs of a failing instruction, with the values up to it."""
        blamed = sorted(ident for ident in self.leads[failed] if len(options[ident]) > 1)
        for choice in self._choices([len(options[ident]) for ident in blamed]):
            if self.spent:
                return None
            trial = chosen | {
                ident: options[ident][at] for ident, at in zip(blamed, choice, strict=True)
            }
            values = {ident: self.feed(slot) for ident, slot in trial.items()}
            if self._run(values, 0, failed + 1) is None:
                return trial, values
        return None

    def _choices(self, counts: list[int]) -> Iterator[tuple[int, ...]]:
        return islice(iter(inputs.choices(counts)), 1, _MAX_CHOICES) if counts else iter(())


def _reshapes(step: Instruction) -> bool:
    """Say whether the op puts axes where the code wants them."""
    if not step.op or step.op not in TABLE:
        return False
    return TABLE[step.op].kind is not Kind.ELEMENTWISE


def _crosses(step: Instruction, values: Mapping[int, Any]) -> bool:
    """Say whether operands of an elementwise op are spread against each other, as by accident."""
    if not step.op or TABLE[step.op].kind is not Kind.ELEMENTWISE:
        return False
    shapes = [getattr(values.get(ref), "shape", None) for _, arg in step.args for ref in refs(arg)]
    known = [tuple(shape) for shape in shapes if shape is not None]
    result = getattr(values.get(step.id), "shape", None)
    return len(known) > 1 and result is not None and tuple(result) not in known
