"""What is known of a function where the project calls it, beside what its name alone promises.

A helper that is looked at by itself, because it is named like a loss, takes any values. Where the
project calls it these are those of the callers: what is a softmax there is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol, TypeVar

from actlint.cases import Key
from actlint.dotted import bare
from actlint.findings import OF_VALUES, Outcome, Suspect, Verdict
from actlint.graph import Graph, Role, Site, Span, needed
from actlint.index import FileIndex
from actlint.names import last
from actlint.project import Project
from actlint.query import Rule
from actlint.scene import Unit

# Reasons for a role that no use gives.
_BY_NAME = re.compile(r"named like |takes a target|public function of")
_TESTS = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|[^/]*_test\.py$|conftest\.py$)")
_IMPORT = re.compile(r"\s*(from\s|import\s)")
# A name that is neither defined, nor called, nor assigned to.
_MENTION = re.compile(r"(?<!def )\b(?!\d)(\w+)\b(?!\s*(?:\(|=(?!=)))")


class Candidate(Protocol):
    """A suspect of a graph, and what came of trying it."""

    graph: Graph
    suspect: Suspect
    unit: Unit
    outcome: Outcome | None


C = TypeVar("C", bound=Candidate)


def inlined(candidate: Candidate) -> bool:
    """Tell whether the expression was reached by a call, not as a part of the unit's own code."""
    return bool(candidate.graph.nodes[candidate.suspect.node].path)


def _site(candidate: Candidate) -> Site:
    return candidate.graph.nodes[candidate.suspect.node].site


@dataclass(frozen=True, slots=True)
class _Seen:
    """An expression as a part of what another unit computes."""

    path: tuple[Site, ...]  # the calls through which it was reached
    role: Role
    codes: frozenset[str]  # of the rules that suspect something of it there


@dataclass
class Contexts:
    """Where expressions of helpers were met; filled as graphs are looked at."""

    project: Project
    _seen: dict[tuple[str, Span], dict[_Seen, None]] = field(default_factory=dict)
    _texts: dict[str, list[str]] = field(default_factory=dict)  # lines of files
    _counted: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def note(self, graph: Graph, raised: Iterable[Suspect]) -> None:
        """Remember what a graph computes inside of calls.

        Args:
            graph: what was looked at.
            raised: what all rules suspect of it, whether it is worth a try or not.
        """
        if graph.read or graph.tracing:
            return  # few rules look at these
        codes: dict[tuple[str, Span], set[str]] = {}
        for suspect in raised:
            site = graph.nodes[suspect.node].site
            codes.setdefault((site.path, site.span), set()).add(suspect.code)
        for at in needed(graph):
            node = graph.nodes[at]
            if node.path and node.op:
                key = (node.site.path, node.site.span)
                seen = _Seen(node.path, graph.role, frozenset(codes.get(key, ())))
                self._seen.setdefault(key, {})[seen] = None

    def within(
        self, candidates: Mapping[Key, list[C]], rules: Iterable[Rule]
    ) -> dict[Key, list[C]]:
        """Return the candidates without those that nothing is suspected of where they are called.

        Args:
            candidates: what is suspected, by the expression and the rule's code.
            rules: those that were asked.
        """
        by_code = {rule.code: rule for rule in rules}
        left = {
            key: [
                each for each in known
                if inlined(each)
                or each.suspect.check not in OF_VALUES
                or not self._answers(each, by_code[key.code])
            ]
            for key, known in candidates.items()
        }  # fmt: skip
        return {key: known for key, known in left.items() if known}

    def judged(self, candidates: Mapping[Key, list[C]]) -> dict[Key, list[C]]:
        """Return the candidates without those that were judged where they are called, all of them.

        Args:
            candidates: what is suspected and was tried.
        """
        return {key: self._judged(key.code, known) for key, known in candidates.items()}

    def _judged(self, code: str, known: list[C]) -> list[C]:
        others = [each for each in known if inlined(each) and each.suspect.check in OF_VALUES]
        if not others or any(
            each.outcome is None or each.outcome.verdict is Verdict.UNCONFIRMED for each in others
        ):
            return known
        tried = {each.graph.nodes[each.suspect.node].path for each in others}

        def is_answered(each: C) -> bool:
            found = self._within(each.unit, _site(each))
            return found is not None and tried >= {s.path for s in found if code in s.codes}

        return [each for each in known if inlined(each) or not is_answered(each)]

    def _answers(self, each: C, rule: Rule) -> bool:
        """Tell whether a rule suspects nothing of an expression in all that calls its unit."""
        found = self._within(each.unit, _site(each))
        return found is not None and all(
            seen.role in rule.roles and rule.code not in seen.codes for seen in found
        )

    def _within(self, unit: Unit, site: Site) -> list[_Seen] | None:
        """Return the expression as the unit's callers compute it; None if some do not."""
        name = last(bare(unit.qualname))
        if unit.compiled or unit.used or not _BY_NAME.match(unit.evidence):
            return None
        if self._hands_on(name, unit.path):
            return None
        callers = [
            (path, qualname)
            for path, qualname in sorted(self.project.callers(name))
            if (path, qualname) != (unit.path, unit.qualname)
            and not _TESTS.search(path)
            and not self._has_own(path, qualname, name, unit)
        ]
        known = self._seen.get((site.path, site.span), {})
        found: list[_Seen] = []
        for path, qualname in callers:
            here = [(seen, sites) for seen in known
                    if (sites := self._called(seen, name, path, qualname))]  # fmt: skip
            places = {site.span for _, sites in here for site in sites}
            if len(places) < self._calls(name, path, qualname):
                return None
            found += [seen for seen, _ in here]
        return found or None

    def _has_own(self, path: str, qualname: str, name: str, unit: Unit) -> bool:
        """Tell whether a method calls another method than the unit: one of its own object."""
        index, home = self.project.file(path), self.project.file(unit.path)
        caller = None if index is None else index.definitions.get(qualname)
        if index is None or home is None or caller is None:
            return False
        owner, held = qualname.rpartition(".")[0], unit.qualname.rpartition(".")[0]
        if f"{owner}.{name}" in index.definitions:
            return (path, owner) != (unit.path, held)
        text = "\n".join(self._lines(index)[caller.line - 1 : caller.end_line])
        calls = re.findall(rf"([\w.\])]*)\b{re.escape(name)}\s*\(", text)
        return (
            owner in index.definitions
            and held in home.definitions
            and all(before == "self." for before in calls)
            and not self._related(owner, index, held, home)
        )

    def _related(self, one: str, index: FileIndex, other: str, home: FileIndex) -> bool:
        """Tell whether one of two classes is derived from the other."""
        above = {(p.index.path, p.qualname) for p in self.project.lineage(one, index)}
        below = {(p.index.path, p.qualname) for p in self.project.lineage(other, home)}
        return (home.path, other) in above or (index.path, one) in below

    def _hands_on(self, name: str, path: str) -> bool:
        """Tell whether a name is exported or handed on: whoever has it may call what it names."""
        return name in self._handed or PurePosixPath(path).stem in self._exported

    @cached_property
    def _handed(self) -> frozenset[str]:
        """Names that stand somewhere without being called or assigned to, outside of tests."""
        return frozenset(
            found
            for index in self.project.given
            if not _TESTS.search(index.path)
            for line in self._lines(index)
            if index.path.endswith("__init__.py") or not _IMPORT.match(line)
            for found in _MENTION.findall(line.partition("#")[0])
        )

    @cached_property
    def _exported(self) -> frozenset[str]:
        """Modules that a package imports everything of, by the last part of their names."""
        return frozenset(
            last(star)
            for index in self.project.given
            if index.path.endswith("__init__.py")
            for star in index.stars
        )

    def _lines(self, index: FileIndex) -> list[str]:
        if index.path not in self._texts:
            self._texts[index.path] = index.text.splitlines()
        return self._texts[index.path]

    def _calls(self, name: str, path: str, qualname: str) -> int:
        """Return how often a function calls a name, as its text has it; at least once."""
        key = (name, path, qualname)
        if key not in self._counted:
            index = self.project.file(path)
            definition = None if index is None else index.definitions.get(qualname)
            lines = [] if index is None else self._lines(index)
            if definition is not None:
                lines = lines[definition.line - 1 : definition.end_line]
            call = re.compile(rf"(?<!def )\b{re.escape(name)}\s*\(")
            self._counted[key] = max(1, sum(len(call.findall(line)) for line in lines))
        return self._counted[key]

    def _called(self, seen: _Seen, name: str, path: str, qualname: str) -> list[Site]:
        """Return the calls of a name inside of a function through which an expression is met."""
        index = self.project.file(path)
        definition = None if index is None else index.definitions.get(qualname)
        return [
            site
            for site in seen.path
            if site.path == path
            and site.text.partition("(")[0].rpartition(".")[2].strip() == name
            and (definition is None or definition.line <= site.span.line <= definition.end_line)
        ]
