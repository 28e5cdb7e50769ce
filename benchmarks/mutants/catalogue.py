"""All originals, all mutators, and the mutants they make."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutants import cuts, flow, meaning, numerics
from mutants.model import Mutant, Mutator, Where
from mutants.syntax import Original, apply, lines_of

FOLDER = Path(__file__).resolve().parents[1] / "originals"
MUTATORS: tuple[Mutator, ...] = (*numerics.MUTATORS, *cuts.MUTATORS, *meaning.MUTATORS)


def originals() -> tuple[Original, ...]:
    """Return all originals, by name."""
    return tuple(
        Original(path.stem, path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.py"))
    )


def mutants(known: Sequence[Original], chosen: Sequence[Mutator] = MUTATORS) -> Iterator[Mutant]:
    """Yield every mutant that the mutators make, each text once."""
    for number, mutator in enumerate(chosen):
        for original in known:
            seen = {original.text}
            for edit in mutator.find(original):
                text = apply(original, edit)
                if text in seen:
                    continue
                seen.add(text)
                ast.parse(text)
                shift = len(text) - len(original.text) - len(edit.text) + edit.end - edit.start
                start = edit.start + shift
                lines: frozenset[int] = frozenset(lines_of(text, start, start + len(edit.text)))
                if mutator.where is not Where.HERE:
                    lines = flow.forward(text, lines) | (
                        flow.backward(text, lines) if mutator.where is Where.BOTH else lines
                    )
                # The number tells mutators apart, the file's name says nothing about a role.
                name = f"{original.name}_m{number:02}_{len(seen) - 1}"
                yield Mutant(name, original.name, mutator, text, lines)


def thinned(made: Sequence[Mutant], most: int = 16) -> Iterator[Mutant]:
    """Yield a fixed share of the mutants, from as many originals as go.

    Args:
        made: all mutants.
        most: how many of each mutator are wanted.
    """
    for mutator in dict.fromkeys(mutant.mutator for mutant in made):
        own = [mutant for mutant in made if mutant.mutator is mutator]
        first = {mutant.original: mutant for mutant in reversed(own)}
        ranked = sorted(own, key=lambda m: (first[m.original] is not m, own.index(m)))
        singles = ranked[: len(first)]
        step = max(1.0, len(singles) / most)
        kept = [singles[int(i * step)] for i in range(min(most, len(singles)))]
        kept += ranked[len(first) :][: most - len(kept)]
        yield from sorted(kept, key=own.index)
