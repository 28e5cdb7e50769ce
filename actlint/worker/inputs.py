"""Input shapes, dtypes and encodings for a job, found by trying until the program runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice, product
from math import prod

from actlint.graph import Arg, Dots, Input, InputRole, Items, Slice
from actlint.worker import columns
from actlint.worker.protocol import Job

# Sizes of the free axes. All differ, so that nothing broadcasts by accident.
BATCH = 6
CLASSES = 4
STEPS = 5
HEIGHT = 7
WIDTH = 3

# Sensible hyperparameters, the neutral one first, tried in this order within the limits.
PARAMETERS = (1.0, 0.5, 2.0)
# A count is first taken to be that of the classes; of one class no share would ever be 0.
COUNTS = (2.0, 3.0, float(BATCH), 1.0)

# Size that a part of a split is given where the source does not tell.
_PART = 2

_MAX_TRIES = 160
# Instructions that all tries together may run, and the tries that even a long program gets.
_MAX_RUN = 12_000
_LEAST_TRIES = 24
# Failures after which no further template is sought: those of another rank come soon or never.
_MAX_FAILURES = 24
_MAX_TEMPLATES = 3
# Combinations of input forms that are all written down; there are 4**n of n free tensors.
_MAX_CHOICES = 4096
_MAX_HINT = 1024
# Sizes above this are first tried smaller.
_LARGE = 8

# An axis of size None is the batch: its size is free.
Shape = tuple[int | None, ...]


class Encoding(StrEnum):
    """What the elements of an input mean, which decides how they are sampled."""

    REAL = "real"  # any number in [lo, hi]
    UNIT = "unit"  # probabilities: independent ones, and rows that sum to 1 where that can be
    ONE_HOT = "one-hot"  # rows with a single 1, and independent 0/1 on every other sample
    BINARY = "binary"  # 0 or 1
    SIGN = "sign"  # -1 or 1
    CLASS = "class"  # integer class ids
    PARAMETER = "parameter"  # one plain number


@dataclass(frozen=True, slots=True)
class Slot:
    """How one free input is fed."""

    id: int
    spec: Input
    shape: Shape
    dtype: str
    encoding: Encoding
    classes: int = CLASSES  # number of ids of a CLASS input
    number: float = 0.0  # of a PARAMETER

    def size(self, batch: int) -> tuple[int, ...]:
        """Return the concrete shape for `batch` rows."""
        return tuple(batch if dim is None else dim for dim in self.shape)

    @property
    def degenerate(self) -> bool:
        """True if an axis has one element, so that reductions over it mean nothing."""
        return self.spec.shape is None and 1 in self.shape


@dataclass(frozen=True, slots=True)
class Template:
    """One joint choice for all inputs of a job."""

    slots: tuple[Slot, ...]

    @property
    def differentiated(self) -> tuple[Slot, ...]:
        """The inputs whose gradient training uses."""
        return tuple(slot for slot in self.slots if slot.spec.differentiated)

    @property
    def labels(self) -> tuple[Slot, ...]:
        """Labels, masks and weights."""
        return tuple(slot for slot in self.slots if slot.spec.role is InputRole.LABEL)

    @property
    def elements(self) -> tuple[Slot, ...]:
        """All inputs but hyperparameters."""
        return tuple(slot for slot in self.slots if slot.encoding is not Encoding.PARAMETER)

    @property
    def degenerate(self) -> bool:
        """True if a differentiated input has an axis of one element that nothing asks for."""
        return any(slot.degenerate for slot in self.differentiated)


@dataclass(frozen=True, slots=True)
class _Form:
    """A label next to a prediction: shape, and whether it holds class ids."""

    shape: Shape
    ids: bool = False


def templates(
    job: Job, runs: Callable[[Template], str | None]
) -> tuple[tuple[Template, ...], str | None]:
    """Return up to three templates with which the program runs, and why there is none.

    Args:
        job: the excerpt.
        runs: tries a template; returns None if the output is a floating tensor, else the reason.
    """
    found: list[Template] = []
    poor: list[Template] = []
    seen: set[tuple[int, ...]] = set()
    first: str | None = None
    failures = 0
    tries = min(_MAX_TRIES, max(_MAX_RUN // max(len(job.instructions), 1), _LEAST_TRIES))
    for template in islice(_candidates(job), tries):
        ranks = tuple(len(slot.shape) for slot in template.elements)
        keep = poor if template.degenerate else found
        if ranks in seen or (template.degenerate and poor):
            continue
        reason = runs(template)
        failures += 1
        if reason is None:
            failures = 0
            keep.append(template)
            if not template.degenerate:
                seen.add(ranks)
            if len(found) == _MAX_TEMPLATES:
                break
        elif first is None:
            first = reason
        if found and failures == _MAX_FAILURES:
            break
    if not found and not poor:
        return (), first or "it has no inputs that could be tried"
    return tuple(found or poor[:1]), None


def _candidates(job: Job) -> Iterator[Template]:
    """Yield templates, the usual ones first."""
    inputs = [(step.id, step.input) for step in job.instructions if step.input is not None]
    if not inputs:
        yield Template(())
        return
    small = _small_sizes(inputs)
    if small:
        yield from _joint(job, inputs, small)
    yield from _joint(job, inputs, {})


def _joint(
    job: Job, inputs: list[tuple[int, Input]], small: Mapping[int, int]
) -> Iterator[Template]:
    sizes = tuple(dict.fromkeys(small.get(size, size) for size in class_sizes(job)))
    wider = columns.further(job.instructions)
    later: list[Template] = []
    for rank, (classes, shape) in enumerate(prediction_shapes(sizes, inputs)):
        options = [
            _widened(slots(ident, spec, shape, classes, inputs=inputs, small=small), wider)
            for ident, spec in inputs
        ]
        # Fewest departures from the usual choice first.
        order = choices([len(option) for option in options])
        made = [
            Template(tuple(option[index] for option, index in zip(options, choice, strict=True)))
            for choice in islice(order, 40)
        ]
        near = 12 if rank < 2 else 5
        yield from made[:near]
        later.extend(made[near:])
    yield from later


def _widened(usual: list[Slot], wider: Mapping[int, tuple[int, int]]) -> list[Slot]:
    """Return the ways to feed an input, those first with the columns that a subscript leaves off.

    Args:
        usual: the ways to feed it next to a prediction, the usual one first.
        wider: columns left off of each input, and the number of its axes.
    """
    first = usual[0]
    left = wider.get(first.id)
    if left is None or first.spec.role is not InputRole.LABEL or first.spec.shape is not None:
        return usual
    extra, axes = left
    return [
        shaped_slot(slot, (*slot.shape[:-1], slot.shape[-1] + extra))
        for slot in usual[:1]
        if slot.shape and slot.shape[-1] is not None and axes in (columns.ANY, len(slot.shape))
    ] + usual


def choices(counts: list[int]) -> list[tuple[int, ...]]:
    """Return which form each input takes, fewest departures from the usual one first.

    Of very many combinations only those remain in which all inputs, or a single one, depart.
    """
    if prod(counts) <= _MAX_CHOICES:
        return sorted(product(*(range(count) for count in counts)), key=_departures)
    most = max(counts)
    together = [tuple(min(k, count - 1) for count in counts) for k in range(most)]
    single = [
        tuple(k if at == here else 0 for here in range(len(counts)))
        for at, count in enumerate(counts)
        for k in range(1, count)
    ]
    return sorted({*together, *single}, key=_departures)


def _departures(choice: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    return (len(set(choice) - {0}), sum(choice), choice)


def prediction_shapes(
    sizes: tuple[int, ...], inputs: list[tuple[int, Input]]
) -> Iterator[tuple[int, Shape]]:
    """Yield (number of classes, shape of a differentiated input)."""
    if all(spec.shape is not None or spec.role is InputRole.PARAMETER for _, spec in inputs):
        yield sizes[0], (None, sizes[0])
        return
    first = sizes[0]
    yield first, (None, first)
    yield first, (None,)
    yield first, (None, HEIGHT, WIDTH, first)
    for size in sizes[1:3]:
        yield size, (None, size)
    yield first, (None, STEPS, first)
    yield first, (None, 1)
    yield first, (None, HEIGHT, WIDTH, 1)
    yield first, ()
    yield 3, (None, 3, first)
    yield first, (None, HEIGHT, WIDTH)
    yield first, (first, first)
    yield first, (first,)
    for size in sizes[3:]:
        yield size, (None, size)


def slots(
    ident: int,
    spec: Input,
    shape: Shape,
    classes: int,
    *,
    inputs: list[tuple[int, Input]],
    small: Mapping[int, int],
) -> list[Slot]:
    """Return the ways to feed one input next to a prediction of `shape`, the usual one first.

    Args:
        ident: the input's id.
        spec: the input.
        shape: shape of the predictions.
        classes: size of the last axis.
        inputs: all inputs of the job.
        small: sizes to use instead of large ones of the source, so that a witness can be read.
    """
    if spec.role is InputRole.PARAMETER:
        return [
            Slot(ident, spec, (), "int32" if spec.integer else "float32", Encoding.PARAMETER,
                 number=number)
            for number in _parameters(spec, classes)
        ]  # fmt: skip
    if spec.per_class:
        return [Slot(ident, spec, (classes,), "float32", Encoding.REAL, classes)]
    if spec.shape is not None:
        # Of a known number of axes of any size, the sizes are those that labels take, too.
        free = len(spec.shape) == len(shape) and not any(spec.shape)
        forms = [_Form(shape if free else _complete(spec.shape, small))]
    elif spec.role is InputRole.LABEL:
        forms = _label_forms(shape, spec.integer)
    elif spec.differentiated and spec.role is InputRole.CUT:
        forms = [_Form(shape), _Form((None,)), _Form(()), _Form((None, 1))]
    elif spec.differentiated and spec.role is not InputRole.VARIABLE:
        forms = [_Form(shape)]
    else:
        forms = [_Form(shape), _Form((classes,)), _Form(()), _Form((classes, classes)),
                 _Form((None,)), _Form((None, 1))]  # fmt: skip
    unit = any(other.lo >= 0.0 and other.hi <= 1.0 for _, other in inputs if other.differentiated)
    slots: list[Slot] = []
    for form in forms:
        if spec.integer or form.ids:
            slots.append(_class_slot(ident, spec, form.shape, classes))
            continue
        slots.append(
            Slot(ident, spec, form.shape, "float32", _encoding(spec, form.shape, unit), classes)
        )
        if spec.role is InputRole.LABEL and spec.shape is not None:
            slots.append(_class_slot(ident, spec, form.shape, classes))
    if not spec.differentiated and not spec.integer:
        slots.append(Slot(ident, spec, forms[0].shape, "bool", Encoding.BINARY, classes))
    return list(dict.fromkeys(slots))


def shaped_slot(slot: Slot, shape: Shape) -> Slot:
    """Return a slot of another shape, with elements that mean what they mean there."""
    if slot.encoding in (Encoding.ONE_HOT, Encoding.BINARY) and slot.dtype != "bool":
        wide = len(shape) >= 2 and shape[-1] not in (1, None)
        return replace(slot, shape=shape, encoding=Encoding.ONE_HOT if wide else Encoding.BINARY)
    return replace(slot, shape=shape)


def _class_slot(ident: int, spec: Input, shape: Shape, classes: int) -> Slot:
    limit = int(min(classes, spec.hi + 1.0)) if spec.hi >= 1.0 and spec.integer else classes
    return Slot(ident, spec, shape, "int32", Encoding.CLASS, max(limit, 1))


def _label_forms(shape: Shape, integer: bool) -> list[_Form]:
    """Return label shapes that go with predictions of `shape`, the usual one first."""
    forms = [_Form(shape)]
    if integer and len(shape) >= 2:
        forms = [_Form(shape[:-1], ids=True), _Form((*shape[:-1], 1), ids=True)]
    if len(shape) >= 2:
        forms += [_Form(shape[:-1], ids=True), _Form((*shape[:-1], 1), ids=True),
                  _Form(shape[:-1]), _Form((*shape[:-1], 1))]  # fmt: skip
    forms.append(_Form(shape, ids=True))
    if len(shape) >= 3:
        forms += [_Form((None,)), _Form((None, 1))]
    return list(dict.fromkeys(forms))


def _encoding(spec: Input, shape: Shape, unit: bool) -> Encoding:
    """Return what the elements of a floating input mean.

    Args:
        spec: the input.
        shape: its shape in this template.
        unit: whether predictions are probabilities.
    """
    bounded = spec.lo >= 0.0 and spec.hi <= 1.0
    if spec.role is InputRole.LABEL:
        if bounded or unit:
            wide = len(shape) >= 2 and shape[-1] not in (1, None)
            return Encoding.ONE_HOT if wide else Encoding.BINARY
        return Encoding.SIGN if (spec.lo, spec.hi) == (-1.0, 1.0) else Encoding.REAL
    return Encoding.UNIT if (spec.lo, spec.hi) == (0.0, 1.0) else Encoding.REAL


def _small_sizes(inputs: list[tuple[int, Input]]) -> dict[int, int]:
    """Return a small size for each large one that the source gives, distinct ones distinct."""
    given = [dim for _, spec in inputs for dim in spec.shape or () if dim is not None]
    large = [dim for dim in dict.fromkeys(given) if dim > _LARGE]
    free = [size for size in (4, 3, 5, 7, 2, 8) if size not in given]
    return dict(zip(large, free, strict=False)) if len(large) <= len(free) else {}


def _complete(shape: Shape, small: Mapping[int, int]) -> Shape:
    """Return a shape from the source with every free axis but the first given a size."""
    spare = (STEPS, WIDTH, CLASSES, HEIGHT)
    sized = (None if axis == 0 else spare[axis % 4] for axis in range(len(shape)))
    return tuple(
        free if dim is None else small.get(dim, dim) for dim, free in zip(shape, sized, strict=True)
    )


def _parameters(spec: Input, classes: int) -> list[float]:
    """Return sensible values of a hyperparameter, the source's own first."""
    if spec.default is not None:
        return [spec.default]
    usual = dict.fromkeys((float(classes), *COUNTS)) if spec.integer else PARAMETERS
    inside = [value for value in usual if spec.lo <= value <= spec.hi]
    return inside or [min(max(1.0, spec.lo), spec.hi)]


def class_sizes(job: Job) -> tuple[int, ...]:
    """Return likely sizes of the last axis: what the program says of it, then common ones."""
    hints: list[int] = []
    for step in job.instructions:
        if step.input is not None and step.input.shape:
            hints += [dim for dim in step.input.shape[-1:] if dim is not None]
        if isinstance(step.value, Items):
            hints.append(len(step.value.items))
        for name, arg in step.args:
            if (name in ("depth", "num", "num_or_size_splits") and isinstance(arg, int)) or (
                step.op == "range" and isinstance(arg, int)
            ):
                hints.append(arg)
            elif name == "num_or_size_splits" and isinstance(arg, Items):
                hints.append(sum(each if isinstance(each, int) else _PART for each in arg.items))
            elif step.op in ("getitem", "reshape"):
                hints += _indices(arg, step.op == "getitem")
    usable = sorted({hint for hint in hints if 1 < hint <= _MAX_HINT}, reverse=True)
    # An index says "at least"; the largest hint therefore comes first.
    return tuple(dict.fromkeys([*usable, CLASSES, 2, 3, 10, 1]))


def _indices(arg: Arg, index: bool) -> list[int]:
    """Return the axis sizes that a subscript or a static shape asks for."""
    if isinstance(arg, bool) or arg is None or isinstance(arg, Dots):
        return []
    if isinstance(arg, int):
        return [arg + 1 if index and arg >= 0 else abs(arg)]
    if isinstance(arg, Items):
        return [size for item in arg.items for size in _indices(item, index)]
    if isinstance(arg, Slice):
        ends = (arg.start, arg.stop)
        return [abs(end) + 1 for end in ends if isinstance(end, int) and not isinstance(end, bool)]
    return []
