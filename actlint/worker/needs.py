"""What the ops that consume an input ask of its shape: number of axes, and sizes of some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from actlint.graph import Arg, Dots, Items, Ref, refs
from actlint.ops.model import Kind
from actlint.ops.table import TABLE
from actlint.worker.protocol import Instruction

# Ranks that a kernel takes, and no other.
_RANKS: Final = {
    "conv2d": {"input": 4, "filters": 4},
    "depthwise_conv2d": {"input": 4, "filter": 4},
    "max_pool2d": {"input": 4},
    "avg_pool2d": {"input": 4},
}
_PRODUCTS: Final = frozenset({"matmul"})
_SHAPES: Final = frozenset({"shape", "static_shape"})
_INSERTS: Final = frozenset({"expand_dims", "keras_expand_dims"})
_SPLITS: Final = frozenset({"split", "keras_split"})
# Ops whose axis is one of the result.
_JOINS: Final = frozenset({"stack", "one_hot", "keras_one_hot"})
_KEEPS: Final = frozenset(
    {"identity", "convert_to_tensor", "stop_gradient", "set_shape", "softmax", "log_softmax",
     "cast", "constant", "reverse", "flip", "roll", "check_numerics", "print_identity"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked of one value.

    Attributes:
        rank: number of axes, if it is given.
        least: the least number of axes.
        sizes: axis to size; axes below 0 count from the end.
        reach: axis to the least size.
    """

    rank: int | None = None
    least: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    reach: tuple[tuple[int, int], ...] = ()

    def __or__(self, other: Need) -> Need:
        """Return both needs together; where they contradict each other, the first one holds."""
        return Need(
            other.rank if self.rank is None else self.rank,
            max(self.least, other.least),
            tuple({**dict(other.sizes), **dict(self.sizes)}.items()),
            _largest((*self.reach, *other.reach)),
        )

    @property
    def empty(self) -> bool:
        """True if nothing is asked."""
        return self == Need()


def _largest(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for axis, size in pairs:
        found[axis] = max(found.get(axis, 0), size)
    return tuple(found.items())


@dataclass(slots=True)
class _Needs:
    steps: dict[int, Instruction]
    found: dict[int, Need] = field(default_factory=dict)

    def add(self, operand: Arg, need: Need) -> None:
        for ref in refs(operand):
            if not need.empty:
                self.found[ref] = self.found.get(ref, Need()) | need


def needs(instructions: Sequence[Instruction]) -> dict[int, Need]:
    """Return what is asked of each value, by id.

    Args:
        instructions: operands first.
    """
    all_of = _Needs({step.id: step for step in instructions})
    for step in reversed(instructions):
        if step.op and step.input is None and step.op in TABLE:
            of_result = all_of.found.get(step.id, Need())
            for name, operand, need in _asked(step, of_result):
                if name:
                    all_of.add(operand, need)
    return all_of.found


def _asked(step: Instruction, of_result: Need) -> Iterator[tuple[str, Arg, Need]]:
    """Yield (parameter, operand, need) for what one op asks of its operands."""
    row, bound = TABLE[step.op], dict(step.args)
    operands = [(name, bound[name]) for name in row.operands if name in bound]
    if not operands:
        return
    name, first = operands[0]
    for operand_name, exact in _RANKS.get(step.op, {}).items():
        if operand_name in bound:
            yield operand_name, bound[operand_name], Need(rank=exact)
    for operand_name, least in row.ranks:
        if operand_name in bound:
            yield operand_name, bound[operand_name], Need(least=least)
    if step.op in _PRODUCTS:
        for operand_name, operand in operands:
            yield operand_name, operand, Need(least=2)
    elif step.op == "getitem":
        yield name, first, _of_index(bound.get("index"), of_result)
    elif step.op in _SHAPES:
        sizes = dict(of_result.sizes)
        reach = dict(of_result.reach)
        yield name, first, Need(rank=sizes.get(0), least=reach.get(0, 0))
    elif step.op == "transpose" and isinstance(bound.get("perm"), Items):
        perm = bound["perm"]
        yield name, first, Need(rank=len(perm.items) if isinstance(perm, Items) else None)
    elif step.op in _INSERTS:
        rank = None if of_result.rank is None else max(of_result.rank - 1, 0)
        axis = _axis(bound)
        yield name, first, Need(rank, max(of_result.least - 1, axis if axis > 0 else 0, 0))
    elif step.op == "squeeze":
        rank = None if of_result.rank is None else of_result.rank + 1
        axes = _integers(bound.get("axis"))
        need = Need(rank if len(axes) == 1 else None, _least(axes))
        yield name, first, need | Need(sizes=tuple((axis, 1) for axis in axes))
    elif step.op in _SPLITS:
        parts = bound.get("num_or_size_splits")
        count = sum(_integers(parts))
        axis = _axis(bound)
        sized = tuple((axis, size) for size in [count] if size > 0)
        yield name, first, Need(of_result.rank, _least([axis]), sized)
    elif step.op == "unstack":
        axis = _axis(bound)
        sized = tuple((axis, count) for count in _integers(bound.get("num")))
        yield name, first, Need(None, _least([axis]), sized)
    elif step.op == "concat":
        yield name, first, Need(of_result.rank, max(of_result.least, _least([_axis(bound)])))
    elif step.op not in _JOINS:
        axes = [*_integers(bound.get("axis")), *_integers(bound.get("axes"))]
        yield name, first, Need(least=_least(axes))
        moved = [operand for _, operand in operands if refs(operand)]
        same = row.kind is Kind.ELEMENTWISE or step.op in _KEEPS
        if same and len(moved) == 1 and isinstance(moved[0], Ref):
            yield name, moved[0], of_result


def _of_index(index: Arg, of_result: Need) -> Need:
    """Return what a subscript asks of the value that it is applied to."""
    items = index.items if isinstance(index, Items) else (index,)
    inner = [item for item in items if item is not None]
    new = len(items) - len(inner)
    plain = [_plain(item) for item in inner]
    if Dots() in items:
        at = inner.index(Dots())
        behind = [(place - len(inner), item) for place, item in enumerate(inner) if place > at]
        reach = [(axis, _asked_size(item)) for axis, item in behind if _asked_size(item)]
        before = [(axis, _asked_size(item)) for axis, item in enumerate(inner[:at])
                  if _asked_size(item)]  # fmt: skip
        return Need(None, max(len(inner) - 1, 1), reach=tuple(reach + before))
    taken = sum(plain)
    rank = of_result.rank
    if rank is not None and not any(isinstance(item, Ref) for item in inner):
        rank = rank + taken - new
        rank = rank if rank >= len(inner) else None
    else:
        rank = None
    reach = [(axis, _asked_size(item)) for axis, item in enumerate(inner) if _asked_size(item)]
    return Need(rank, max(len(inner), of_result.least + taken - new), reach=tuple(reach))


def _plain(item: Arg) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _asked_size(item: Arg) -> int:
    """Return the least size of the axis that an index is applied to; 0 if any will do."""
    if not isinstance(item, int) or isinstance(item, bool):
        return 0
    return item + 1 if item >= 0 else -item


def _axis(bound: dict[str, Arg]) -> int:
    axis = bound.get("axis")
    return axis if isinstance(axis, int) and not isinstance(axis, bool) else 0


def _integers(value: Arg) -> list[int]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [value]
    if isinstance(value, Items):
        return [number for item in value.items for number in _integers(item)]
    return []


def _least(axes: Sequence[int]) -> int:
    return max((axis + 1 if axis >= 0 else -axis for axis in axes), default=0)


def fits(shape: tuple[int | None, ...], need: Need) -> bool:
    """Say whether a shape meets a need; an axis of free size meets any."""
    if need.rank not in (None, len(shape)) or len(shape) < need.least:
        return False
    for axis, size in need.sizes:
        if -len(shape) <= axis < len(shape) and shape[axis] not in (None, size):
            return False
    for axis, least in need.reach:
        if -len(shape) <= axis < len(shape):
            found = shape[axis]
            if found is not None and found < least:
                return False
    return True


def shaped(need: Need, usual: Sequence[int | None]) -> Iterator[tuple[int | None, ...]]:
    """Yield shapes that meet a need, those of fewer axes first.

    Args:
        need: what is asked.
        usual: sizes that axes take when nothing is asked: the first, the last, those between.
    """
    first, last, *between = usual
    ranks = [need.rank] if need.rank is not None else range(need.least, need.least + 3)
    for rank in ranks:
        if rank > len(between) + 2:
            continue
        middle = between[: max(rank - 2, 0)]
        shape: list[int | None] = [first, *middle, last][:rank] if rank != 1 else [first]
        for axis, least in need.reach:
            if -rank <= axis < rank:
                here = shape[axis]
                shape[axis] = max(here or least, least) if axis % rank else here
        for axis, size in need.sizes:
            if -rank <= axis < rank:
                shape[axis] = size
        yield tuple(shape)
