"""Names of free inputs: unique identifiers that say what they stand for."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_LONGEST: Final = 64  # characters of an expression that its name is made of

# How many items something holds, also as a number of another type.
_COUNT: Final = re.compile(r"(\w*\.?(float|int)\d*\()*(len\([^()]*\)|[\w.\[\]]+\.size)\)*")


@dataclass(slots=True)
class Names:
    """The names that are given so far."""

    _used: set[str] = field(default_factory=set)
    _numbers: Counter[str] = field(default_factory=Counter)  # the last one of each base name

    def unique(self, name: str) -> str:
        """Return an identifier that is made of `name`, and taken by it from now on."""
        base = (
            name
            if name.isidentifier()
            else re.sub(r"\W+", "_", name[:_LONGEST]).strip("_") or "value"
        )
        if base[0].isdigit() or keyword.iskeyword(base) or base in {"tf", "np"}:
            base = f"v_{base}"
        unique = base
        while unique in self._used:
            self._numbers[base] += 1
            unique = f"{base}_{self._numbers[base] + 1}"
        self._used.add(unique)
        return unique


def callee_name(text: str) -> str:
    """Return what the result of a call or the value of an attribute is called, by its text."""
    head = text.partition("(")[0].strip()
    attribute = re.search(r"\.(\w+)$", text)
    if attribute and attribute[1].isidentifier():
        return attribute[1]
    base = head.rpartition(".")[2] if re.fullmatch(r"[\w.]+", head) else "value"
    return f"{base}_output" if "(" in text and base.isidentifier() else base or "value"


def is_count(text: str) -> bool:
    """Tell whether an expression says how many items something holds."""
    return _COUNT.fullmatch(text) is not None
