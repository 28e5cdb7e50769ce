"""The catalogue as one Markdown page: a table of all rules, then what each of them documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from actlint.catalogue import documentation, summary
from actlint.query import Rule

# What the first digit of a code stands for.
FAMILIES = {
    "1": "Numerics: NaN and infinity",
    "2": "Gradient cut off",
    "3": "Size of the gradient",
    "4": "Shape of an activation",
    "5": "Meaning of a loss",
}

COMMAND = "actlint rule --output-format markdown > rules/README.md"

_PREFACE = f"""\
# Rules

One file of this folder is one rule, with its documentation and its examples; this page is made
from them (`{COMMAND}`).

TensorFlow judges every example in the tests: those that a rule reports are confirmed on a concrete
input, and on those that it does not report the whole catalogue stays silent. `actlint rule CODE`
shows them all.
"""


def render(catalogue: Sequence[type[Rule]]) -> str:
    """Return the page; a rule's table row links to its section."""
    parts = [_PREFACE]
    for digit, members in groupby(catalogue, lambda rule: rule.code[3]):
        rules = list(members)
        parts += [f"## {FAMILIES[digit]}\n", "\n".join(_table(rules)) + "\n"]
    parts += [_section(rule) for rule in catalogue]
    return "\n".join(parts)


def _table(rules: Sequence[type[Rule]]) -> Iterator[str]:
    yield "| rule | finds | confirmed how | fix | examples |"
    yield "| --- | --- | --- | --- | --- |"
    for rule in rules:
        link = f"[{rule.code}](#{rule.code.lower()}-{rule.name}) {rule.name}"
        found = " ".join(_first(_text(rule, "How it is confirmed")).split())
        examples = f"{len(rule.INVALID)} reported, {len(rule.VALID)} not"
        cells = (link, summary(rule), found, f"{rule.hint}.", examples)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(rule: type[Rule], heading: str) -> str:
    """Return what the rule's page says under `heading`."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)",
        documentation(rule),
        re.MULTILINE | re.DOTALL,
    )
    return found[1].strip() if found else ""


def _first(text: str) -> str:
    """Return the first sentence."""
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]


def _section(rule: type[Rule]) -> str:
    page = re.sub(r"^## ", "#### ", documentation(rule), flags=re.MULTILINE)
    return f"### {rule.code} {rule.name}\n\n{page}\n"
