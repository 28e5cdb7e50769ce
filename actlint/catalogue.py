"""All rules, and the words by which people pick them: codes, prefixes, names."""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from actlint.errors import RunError
from actlint.query import Rule, rules

ALL = "ALL"

_PACKAGE = "actlint.rules"
_PREFIX = re.compile(r"ACT\d{0,3}")


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of selectors: the configuration file or the command line.

    Attributes:
        origin: where the selectors stand, for messages; "" for the command line.
        select: replaces everything selected by earlier layers, unless None.
        extend: is added.
        ignore: is taken away.
    """

    origin: str = ""
    select: tuple[str, ...] | None = None
    extend: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def load() -> tuple[type[Rule], ...]:
    """Import every rule file and return the rules, sorted by code."""
    package = _package()
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        if not module.name.startswith("_"):
            importlib.import_module(f"{_PACKAGE}.{module.name}")
    return rules()


def select(catalogue: Sequence[type[Rule]], layers: Sequence[Layer]) -> frozenset[str]:
    """Return the codes that `layers` leave selected; without any selector, all of them.

    Within a layer the most specific selector decides (name or full code, then the longer
    prefix, then ALL), and `ignore` wins over an equal one.

    Raises:
        RunError: a selector matches no rule.
    """
    chosen = frozenset(rule.code for rule in catalogue)
    for layer in layers:
        weights: dict[str, tuple[int, bool]] = {}
        listed = (
            ("select", layer.select or (), True),
            ("extend-select", layer.extend, True),
            ("ignore", layer.ignore, False),
        )
        for option, selectors, wanted in listed:
            for selector in selectors:
                origin = f"{layer.origin}: {option}" if layer.origin else f"--{option}"
                for code in codes(catalogue, selector, origin):
                    weight = (_specificity(selector), not wanted)
                    weights[code] = max(weights.get(code, weight), weight)
        start = chosen if layer.select is None else frozenset[str]()
        added = {code for code, (_, ignored) in weights.items() if not ignored}
        dropped = {code for code, (_, ignored) in weights.items() if ignored}
        chosen = (start | added) - dropped
    return chosen


def codes(catalogue: Sequence[type[Rule]], selector: str, origin: str) -> frozenset[str]:
    """Return the codes that one selector means; `origin` says where it stands.

    Raises:
        RunError: it matches no rule.
    """
    upper = selector.upper()
    if upper == ALL:
        return frozenset(rule.code for rule in catalogue)
    if _PREFIX.fullmatch(upper):
        found = frozenset(rule.code for rule in catalogue if rule.code.startswith(upper))
    else:
        found = frozenset(rule.code for rule in catalogue if rule.name == selector.lower())
    if not found:
        raise RunError(f"{origin}: {_unknown(catalogue, selector)}")
    return found


def find(catalogue: Sequence[type[Rule]], word: str) -> type[Rule]:
    """Return the rule with the code or name `word`.

    Raises:
        RunError: there is none.
    """
    for rule in catalogue:
        if word.upper() == rule.code or word.lower() == rule.name:
            return rule
    raise RunError(_unknown(catalogue, word))


def documentation(rule: type[Rule]) -> str:
    """Return the rule's page in Markdown."""
    return inspect.cleandoc(rule.__doc__ or "")


def summary(rule: type[Rule]) -> str:
    """Return the first paragraph of the rule's page on one line."""
    return " ".join(documentation(rule).partition("\n\n")[0].split())


def _package() -> ModuleType:
    """Import ``actlint.rules``; in a checkout that is not installed, from its folder ``rules``."""
    if importlib.util.find_spec(_PACKAGE) is None:
        folder = Path(__file__).resolve().parent.parent / "rules"
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(_PACKAGE)


def _specificity(selector: str) -> int:
    upper = selector.upper()
    if upper == ALL:
        return 0
    return len(upper) if _PREFIX.fullmatch(upper) else len("ACT000")


def _unknown(catalogue: Sequence[type[Rule]], word: str) -> str:
    known = [*(rule.code for rule in catalogue), *(rule.name for rule in catalogue)]
    near = difflib.get_close_matches(word.upper(), known, n=3, cutoff=0.6)
    near += difflib.get_close_matches(word.lower(), known, n=3, cutoff=0.6)
    # Part of a name is a near match too: `argmax` for `argmax-in-loss`.
    near += [name for name in known if len(word) > 2 and word.lower() in name]
    unique = list(dict.fromkeys(near))[:3]
    advice = f"did you mean {' or '.join(unique)}?" if unique else "`actlint rule` lists them"
    return f"no rule has the code, prefix or name `{word}`; {advice}"
