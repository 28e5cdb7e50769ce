"""Comments that silence a finding: `actlint: ignore[ACT101] reason` or `noqa: ACT101`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from functools import lru_cache

# Stands for every code, as a bare `noqa` means.
EVERYTHING = "*"

_COMMENT = re.compile(
    r"#\s*(?:actlint:\s*ignore(?P<bracket>\[(?P<ignored>[^\]]*)\])?(?!\w)"
    r"|noqa(?P<colon>:(?P<noqa>[\sA-Z0-9,]*[A-Z0-9]))?(?![\w:]))",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[,\s]+")


def suppressed(
    text: str, code: str, name: str = "", line: int = 1, end_line: int | None = None
) -> bool:
    """Tell whether a comment silences rule `code`, also called `name`, in `text`.

    The comment stands on the first or the last line of the culprit expression. `text` is a
    whole file, or a single line with `line` left at 1. A comment names codes, prefixes such as
    ``ACT1`` or rule names; without any it silences everything.
    """
    comments = suppressions(text)
    return any(
        _matches(selector, code, name)
        for at in {line, line if end_line is None else end_line}
        for selector in comments.get(at, frozenset())
    )


@lru_cache(maxsize=64)
def suppressions(text: str) -> Mapping[int, frozenset[str]]:
    """Return what the comments of each line (from 1) silence, upper or kebab case as written."""
    lowered = text.lower()
    if "noqa" not in lowered and "actlint:" not in lowered:
        return {}
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            if token.type == tokenize.COMMENT and (selectors := _selectors(token.string)):
                found[token.start[0]] = selectors
    except (tokenize.TokenError, SyntaxError):
        pass  # comments before the error stand; a lone line often ends in an open bracket
    return found


def _selectors(comment: str) -> frozenset[str]:
    found: set[str] = set()
    for match in _COMMENT.finditer(comment):
        if match["bracket"] is None and match["colon"] is None:
            found.add(EVERYTHING)
        else:
            listed = match["ignored"] if match["bracket"] is not None else match["noqa"]
            found.update(part for part in _SEPARATOR.split(listed) if part)
    return frozenset(found)


def _matches(selector: str, code: str, name: str) -> bool:
    if selector in {EVERYTHING, name}:
        return True
    return re.fullmatch(r"ACT\d*", selector.upper()) is not None and code.startswith(
        selector.upper()
    )
