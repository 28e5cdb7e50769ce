"""Names of free inputs."""

from __future__ import annotations

import keyword
import re

_MAX_NAME = 64  # characters of an expression that its name is made of


def identifier(name: str) -> str:
    """Return an identifier that looks like a name or expression, and is none of the program's."""
    plain = name if name.isidentifier() else re.sub(r"\W+", "_", name[:_MAX_NAME]).strip("_")
    base = plain or "value"
    if base[0].isdigit() or keyword.iskeyword(base) or base in {"tf", "np"}:
        return f"v_{base}"
    return base


def of_callee(text: str) -> str:
    """Return a name for what a call gives, or for another expression."""
    head = text.partition("(")[0].strip()
    attribute = re.search(r"\.(\w+)$", text)
    if attribute and attribute[1].isidentifier():
        return attribute[1]
    base = head.rpartition(".")[2] if re.fullmatch(r"[\w.]+", head) else "value"
    return f"{base}_output" if "(" in text and base.isidentifier() else base or "value"
