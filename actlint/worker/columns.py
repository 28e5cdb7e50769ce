"""Labels with further columns: what a subscript leaves off, and what is spread for want of it.

``y_true[:, :, :-1]`` next to a whole ``y_pred`` says that labels have one column more than
predictions. Of labels as wide as predictions a single column can remain, which then is spread over
all of the prediction without anybody's wish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from actlint.graph import Arg, Dots, Items, Ref, Slice, refs
from actlint.ops.model import Kind
from actlint.ops.table import TABLE
from actlint.worker.protocol import Instruction

_SUBSCRIPT: Final = "getitem"
# Number of axes of a value of which a subscript names the last one whatever their number.
ANY: Final = 0


def further(instructions: Sequence[Instruction]) -> dict[int, tuple[int, int]]:
    """Return of each input how many columns a subscript leaves off, and its number of axes.

    Only of inputs of which all that is read is taken by subscripts; `ANY` axes if the subscript
    counts from the last one.
    """
    found: dict[int, tuple[int, int]] = {}
    whole: set[int] = set()
    for step in instructions:
        for name, arg in step.args:
            if step.op == _SUBSCRIPT and name != "index" and isinstance(arg, Ref):
                left = _left_off(dict(step.args).get("index"))
                if left is not None:
                    found.setdefault(arg.node, left)
            else:
                whole.update(refs(arg))
    return {ident: left for ident, left in found.items() if ident not in whole}


def trims(instructions: Sequence[Instruction]) -> bool:
    """Say whether a subscript leaves off columns, whatever their number."""
    return any(
        step.op == _SUBSCRIPT and _left_off(dict(step.args).get("index")) is not None
        for step in instructions
    )


def spread(instructions: Sequence[Instruction], values: Mapping[int, Any]) -> bool:
    """Say whether a column that remains by accident is spread over a wider value.

    Args:
        instructions: operands first.
        values: by instruction id.
    """
    single: set[int] = set()
    for step in instructions:
        row = TABLE.get(step.op) if step.input is None else None
        if row is None or _columns(values, step.id) is None:
            continue
        operands = [ref for _, arg in step.args for ref in refs(arg)]
        remains = _columns(values, step.id) == 1
        if step.op == _SUBSCRIPT and remains and _left_off(dict(step.args).get("index")):
            single.add(step.id)
        elif row.kind in (Kind.ELEMENTWISE, Kind.STRUCTURAL) and single.intersection(operands):
            if remains:
                single.add(step.id)
            elif row.kind is Kind.ELEMENTWISE:
                return True
    return False


def _columns(values: Mapping[int, Any], ident: int) -> int | None:
    shape = getattr(values.get(ident), "shape", None)
    return None if shape is None or not len(shape) else int(shape[-1])


def _left_off(index: Arg) -> tuple[int, int] | None:
    """Return how many columns a subscript leaves off, whatever their number, and of how many axes.

    None if it takes all of them, or a number of them that it gives.
    """
    items = index.items if isinstance(index, Items) else (index,)
    last = items[-1] if items else None
    if not isinstance(last, Slice) or None in items:
        return None
    start, stop = last.start or 0, last.stop or 0
    if not isinstance(start, int) or not isinstance(stop, int) or start < 0 or stop > 0:
        return None
    axes = ANY if Dots() in items else len(items)
    return (start - stop, axes) if start != stop else None
