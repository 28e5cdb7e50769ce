"""How a rule says in which way its culprit is mended, without a word of LibCST.

A remedy is a suggestion: `proof.py` has TensorFlow judge the mended source before it is offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from actlint.findings import Safety
from actlint.graph import Arg


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Write another expression in the place of one that has a certain value.

    Attributes:
        value: whose expression is replaced: ``Ref(node.id)``, or a number of the source.
        template: the new expression, such as ``tf.math.divide_no_nan({x}, {y})``. Names that
            start with ``tf.`` are spelled as the file imports them.
        parts: what the placeholders stand for: ``Ref(node.id)``, quoted as the user wrote it
            (inside the replaced expression if it is there, else by a variable that holds it), or
            a number. Both as `Node.arg` gives them.
        within: replace the expression where this node's own expression reads the value, not where
            the value is computed; a variable can be replaced in no other way.
    """

    value: Arg
    template: str
    parts: tuple[tuple[str, Arg], ...] = ()
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """Set a keyword of a call; it is added, or its present value replaced.

    Attributes:
        value: ``Ref(node.id)`` of the call's result.
        name: the keyword.
        template: the keyword's value, as in `Rewrite`.
        parts: as in `Rewrite`.
        within: as in `Rewrite`.
    """

    value: Arg
    name: str
    template: str
    parts: tuple[tuple[str, Arg], ...] = ()
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Let two parameters of a function change their places.

    Attributes:
        first: id of the node of one parameter.
        second: of the other one.
    """

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Undecorate:
    """Take its own gradient from a function under ``tf.custom_gradient``.

    Attributes:
        value: id of the node of op ``custom_gradient``.
    """

    value: int


Change = Rewrite | Keyword | Exchange | Undecorate


class Settled(StrEnum):
    """Why the value is right that a safe remedy gives where the original has none (nan, infinity).

    Nothing there can be compared with the original, so it takes more than agreement elsewhere.
    """

    # The original tends to it, from wherever its finite values come near. The worker measures
    # this; where there are no such values near, or they tend elsewhere, the remedy is not safe.
    LIMIT = "limit"
    # It is the same function, and the original alone overflows. As LIMIT, but in the midst of
    # values that are not even finite in float64 there is nothing to measure.
    SAME = "same"
    # The source says it: a mask is 0 there, or a sum has no terms and adds nothing.
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to mend a suspect.

    Attributes:
        title: what to do, in the imperative, without full stop.
        reason: why nothing else changes (safe) or what does (unsafe), without full stop.
        safety: SAFE promises that values and gradients stay wherever they were finite, and that
            values elsewhere are `settled`; the proof drops a remedy that breaks this promise.
        changes: made together.
        settled: why values are right where the original has none.
    """

    title: str
    reason: str
    safety: Safety
    changes: tuple[Change, ...]
    settled: Settled = Settled.LIMIT


def together(remedies: Sequence[Remedy]) -> tuple[Safety, Settled]:
    """Return how safe remedies are that are made in one go, and why values are right then.

    Where one value is given and another one a limit, none can be told from the other: unsafe.
    """
    reasons = {each.settled for each in remedies}
    mixed = Settled.GIVEN in reasons and len(reasons) > 1
    if mixed or any(each.safety is Safety.UNSAFE for each in remedies):
        return Safety.UNSAFE, Settled.LIMIT
    return Safety.SAFE, reasons.pop() if len(reasons) == 1 else Settled.LIMIT
