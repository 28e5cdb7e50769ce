"""How a rule says in which way its culprit is mended, without a word of LibCST.

A remedy is a suggestion: `proof.py` has TensorFlow judge the mended source before it is offered.
"""

from __future__ import annotations

from dataclasses import dataclass

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


Change = Rewrite | Keyword


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to mend a suspect.

    Attributes:
        title: what to do, in the imperative, without full stop.
        reason: why nothing else changes (safe) or what does (unsafe), without full stop.
        safety: SAFE promises that values and gradients stay wherever they were finite; the proof
            drops a remedy that breaks this promise.
        changes: made together.
    """

    title: str
    reason: str
    safety: Safety
    changes: tuple[Change, ...]
