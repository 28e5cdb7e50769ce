"""Fixes are offered only when TensorFlow has run the mended source.

The edits of a remedy are made in memory, the units that hold the expression are indexed and
lowered anew from the edited text, and the worker answers for each of their graphs: do the values
and gradients agree with those of the original, is the hazard gone at its witness, and do the
rules find nothing there that was not there before?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

from actlint import editing, excerpt, index, mending, screening
from actlint.cases import MAX_UNITS, Case, Context, Key
from actlint.examiner import Examiner
from actlint.findings import (
    Check,
    Edit,
    Evidence,
    FileError,
    Fix,
    Outcome,
    Proof,
    Safety,
    Suspect,
    Tensor,
    Verdict,
)
from actlint.graph import Graph, Role
from actlint.index import FileIndex
from actlint.joining import joined
from actlint.lower import lower
from actlint.lower.marks import Mark
from actlint.lower.module import Library
from actlint.policy import applied
from actlint.project import Project
from actlint.query import Remedy, Settled, View
from actlint.reading import with_models
from actlint.remedy import together
from actlint.scene import Unit, units
from actlint.worker.protocol import Answer, Job

# Remedies of one finding that are tried, in the rule's order; the first that is proved is offered.
_MAX_REMEDIES = 4
_MAX_TEXT = 40  # characters of an expression in a title


@dataclass(slots=True)
class _Trial:
    """One graph of a mended unit, next to the one that it was."""

    before: Graph
    after: Graph
    witnessed: bool  # the finding's own graph
    comparison: int = -1  # number of the job
    suspects: tuple[Suspect, ...] = ()
    examination: int = -1


@dataclass(slots=True)
class _Attempt:
    """One remedy of one finding."""

    case: Case
    remedy: Remedy
    edits: tuple[Edit, ...]
    before: str  # the file's text
    after: str
    trials: list[_Trial] = field(default_factory=list)
    failed: bool = False  # what the rules suspect of a mended graph cannot be tried
    blocked: bool = False  # it mends its own hazard, but its witness meets another one, too


def prove(
    cases: Iterable[Case], context: Context, examiner: Examiner
) -> tuple[dict[Key, tuple[Fix, ...]], list[FileError]]:
    """Return the proved fixes of each finding that has any, and what went wrong on the way.

    Raises:
        WorkerError: no worker can be started.
    """
    prover = _Prover(context, examiner)
    return prover.run(cases), prover.errors


class _Prover:
    def __init__(self, context: Context, examiner: Examiner) -> None:
        self._context = context
        self._examiner = examiner
        self.errors: list[FileError] = []
        self._jobs: list[Job] = []  # that wait for the worker
        self._count = 0  # of all jobs so far, for their numbers
        self._answers: dict[int, Answer] = {}
        self._lowered: dict[Unit, tuple[Graph, ...]] = {}
        self._marks: dict[Unit, tuple[tuple[Mark, ...], ...]] = {}
        self._library = Library(context.project)
        # Verdicts of the original that the run does not know, of rules that are not selected.
        self._unknown: dict[Key, tuple[int, int]] = {}

    def run(self, cases: Iterable[Case]) -> dict[Key, tuple[Fix, ...]]:
        attempts: list[_Attempt] = []
        found: dict[Key, tuple[Fix, ...]] = {}
        waiting = [self._attempts(case) for case in cases]
        while waiting:
            # The next remedy is tried only where the one before was not proved.
            tried = [(each, next(each, None)) for each in waiting]
            fresh = [attempt for _, attempt in tried if attempt is not None]
            found |= self._examined(fresh)
            attempts += fresh
            waiting = [
                each
                for each, attempt in tried
                if attempt is not None and attempt.case.key not in found
            ]
        # Where one witness meets several hazards, only their fixes together leave it finite.
        return found | self._examined(list(self._joint(attempts, found)))

    def _examined(self, attempts: Sequence[_Attempt]) -> dict[Key, tuple[Fix, ...]]:
        self._work()
        for attempt in attempts:
            if self._promising(attempt):
                try:
                    self._order_examinations(attempt)
                # As below, of actlint's own.
                except Exception as error:
                    self._failed(attempt.case, error)
                    attempt.failed = True
        self._work()
        found: dict[Key, tuple[Fix, ...]] = {}
        for attempt in attempts:
            if attempt.case.key not in found:
                fix = self._judged(attempt)
                if fix is not None:
                    found[attempt.case.key] = (fix,)
        return found

    def _work(self) -> None:
        jobs, self._jobs = self._jobs, []
        for answer in self._examiner.examine(jobs):
            self._answers[answer.id] = answer

    def _joint(
        self, attempts: Iterable[_Attempt], found: Mapping[Key, tuple[Fix, ...]]
    ) -> Iterator[_Attempt]:
        """Yield for each finding that only others keep from being mended all fixes as one."""
        groups: dict[tuple[Unit, int], dict[Key, _Attempt]] = {}
        for attempt in attempts:
            case = attempt.case
            proved = case.key in found and found[case.key][0].edits == attempt.edits
            if proved or (attempt.blocked and case.key not in found):
                same = groups.setdefault((case.unit, id(case.graph)), {})
                same.setdefault(case.key, attempt)
        for group in groups.values():
            edits = tuple(dict.fromkeys(edit for each in group.values() for edit in each.edits))
            clash = any(editing.overlap(one, two) for one, two in combinations(edits, 2))
            if clash or len({edit.path for edit in edits}) != 1:
                continue
            safety, settled = together([each.remedy for each in group.values()])
            for key, attempt in group.items():
                others = [_text(each.case) for name, each in group.items() if name != key]
                if key in found or not others:
                    continue
                title = f"{attempt.remedy.title}, together with the fix of {' and '.join(others)}"
                remedy = replace(attempt.remedy, title=title, safety=safety, settled=settled)
                joint = self._guarded(attempt.case, partial(self._mended, edits=edits), remedy)
                if joint is not None:
                    yield joint

    # ---- what is tried -------------------------------------------------------------------------

    def _attempts(self, case: Case) -> Iterator[_Attempt]:
        remedies = self._remedies(case)
        for remedy in remedies[:_MAX_REMEDIES]:
            attempt = self._guarded(case, self._attempt, remedy)
            if attempt is not None:
                yield attempt

    def _remedies(self, case: Case) -> list[Remedy]:
        try:
            return list(case.rule.remedies(View(case.graph), case.suspect))
        # A defect of a rule costs its fixes, not the run; the user can report it.
        except Exception as error:
            self._failed(case, error)
            return []

    def _guarded(
        self, case: Case, make: Callable[[Case, Remedy], _Attempt | None], remedy: Remedy
    ) -> _Attempt | None:
        try:
            return make(case, remedy)
        # As above, of actlint's own.
        except Exception as error:
            self._failed(case, error)
            return None

    def _failed(self, case: Case, error: Exception) -> None:
        reason = f"internal error, please report it: {type(error).__name__}: {error}"
        path, line = case.key.path, case.key.span.line
        self.errors.append(FileError(path, line, f"fix of {case.key.code}: {reason}"))

    def _attempt(self, case: Case, remedy: Remedy) -> _Attempt | None:
        """Write a remedy into the source, and see what becomes of it."""
        graphs = self._originals(case.unit)
        if case.graph not in graphs:
            return None
        marks = self._marks[case.unit][graphs.index(case.graph)]
        edits = mending.edits(remedy, case.graph, marks)
        return None if edits is None else self._mended(case, remedy, edits)

    def _mended(self, case: Case, remedy: Remedy, edits: tuple[Edit, ...]) -> _Attempt | None:
        """Make edits, lower what they touch anew, and put the jobs for the worker in order."""
        paths = {edit.path for edit in edits}
        home = self._context.indexes.get(next(iter(paths), ""))
        if len(paths) != 1 or home is None:
            return None
        after = editing.apply(home.text, edits)
        mended = index.build(home.path, after)
        if not isinstance(mended, FileIndex):
            return None
        attempt = _Attempt(case, remedy, edits, home.text, after)
        project = self._context.project.replaced(mended)
        library = Library(project)
        touched = (case.unit, *case.units[:MAX_UNITS], *self._models(case)[:MAX_UNITS])
        for unit in dict.fromkeys(touched):
            trials = self._trials(case, unit, project, library)
            if trials is None:
                return None
            attempt.trials += trials
        if not attempt.trials or not all(self._order(attempt, trial) for trial in attempt.trials):
            return None
        return attempt

    def _models(self, case: Case) -> tuple[Unit, ...]:
        """Return the units that may train the model of a case, too."""
        if not case.unit.reads:
            return ()
        path, project = case.unit.path, self._context.project
        file = self._file(project, path)
        given = self._context.roles.get(path, {})
        found = with_models(file, units(file, project, given), project)
        return tuple(unit for unit in found if unit.reads)

    def _originals(self, unit: Unit) -> tuple[Graph, ...]:
        if unit not in self._lowered:
            module = self._library.module(self._file(self._context.project, unit.path))
            lowered = lower(module, unit, marked=True)
            self._lowered[unit] = self._applied(unit, lowered.graphs)
            self._marks[unit] = lowered.marks
        return self._lowered[unit]

    def _applied(self, unit: Unit, graphs: Iterable[Graph]) -> tuple[Graph, ...]:
        """Return graphs in the dtype in which their file is judged."""
        known = self._context.policies.get(unit.path)
        return tuple(applied(graph, known) for graph in graphs)

    def _file(self, project: Project, path: str) -> FileIndex:
        found = project.file(path)
        assert found is not None
        return found

    def _trials(
        self, case: Case, unit: Unit, project: Project, library: Library
    ) -> list[_Trial] | None:
        """Pair the graphs of a unit with those of the mended one; None if they do not pair."""
        roles = self._context.roles.get(unit.path, {})
        old, new = (
            with_models(file, units(file, each, roles), each)
            for each in (self._context.project, project)
            for file in (self._file(each, unit.path),)
        )
        alike = [[each for each in found if _alike(each, unit)] for found in (old, new)]
        if unit.role is Role.CUSTOM_GRADIENT and not alike[1]:
            alike[1] = alike[0]  # it brings none any more
        if unit not in old or len(alike[0]) != len(alike[1]):
            return None
        twin = alike[1][alike[0].index(unit)]
        before = self._originals(unit)
        mended = lower(library.module(self._file(project, unit.path)), twin)
        after = self._applied(unit, mended.graphs)
        if len(before) != len(after):
            return None
        return [
            _Trial(one, two, witnessed=unit == case.unit and one == case.graph)
            for one, two in zip(before, after, strict=True)
            if _meaning(one) != _meaning(two)
        ]

    def _order(self, attempt: _Attempt, trial: _Trial) -> bool:
        """Ask for a comparison of the mended graph with the one that it was."""
        case = attempt.case
        both = joined(trial.before, trial.after)
        if both is None:
            return False
        graph, output = both
        aims = case.suspect.targets if trial.witnessed else ()
        suspect = Suspect(case.key.code, output, case.suspect.message, Check.AGREES, aims)
        witness = case.evidence.witness if trial.witnessed else {}
        number = self._ask(graph, (suspect,), witness)
        if number is None:
            return False
        trial.comparison = number
        return True

    def _order_examinations(self, attempt: _Attempt) -> None:
        """Ask for what the rules suspect of the mended graphs."""
        for trial in attempt.trials:
            trial.suspects = tuple(
                suspect
                for suspect in screening.suspects(trial.after, self._context.rules)
                if not self._is_another_finding(attempt, trial.after, suspect)
            )
            if trial.suspects:
                examined = self._ask(trial.after, trial.suspects, {})
                attempt.failed = attempt.failed or examined is None
                trial.examination = -1 if examined is None else examined
            self._ask_baseline(trial.before)

    def _ask(
        self, graph: Graph, suspects: Sequence[Suspect], witness: dict[str, Tensor]
    ) -> int | None:
        number = self._count
        job = excerpt.job(
            graph, suspects, id=number, seed=self._context.seed, samples=self._context.samples
        )
        if job is None:
            return None
        self._jobs.append(replace(job, witness=witness))
        self._count += 1
        return number

    def _ask_baseline(self, graph: Graph) -> None:
        """Ask about suspects of the original that the run has not tried."""
        missing: dict[Key, Suspect] = {}
        for suspect in screening.suspects(graph, self._context.rules):
            key = _key(graph, suspect)
            if self._context.verdict(key) is None and key not in self._unknown:
                missing[key] = suspect
        number = self._ask(graph, tuple(missing.values()), {}) if missing else None
        if number is not None:
            self._unknown |= {key: (number, at) for at, key in enumerate(missing)}

    # ---- what the worker answered --------------------------------------------------------------

    def _promising(self, attempt: _Attempt) -> bool:
        """Tell whether the comparisons leave a fix possible."""
        outcomes = [self._answers[trial.comparison].outcomes[0] for trial in attempt.trials]
        safe = attempt.remedy.safety is Safety.SAFE
        return all(
            outcome.evidence is not None
            and not outcome.evidence.detail["spoilt"]
            and not (
                safe
                and (
                    outcome.verdict is not Verdict.CONFIRMED
                    or _unsettled(attempt.remedy, outcome.evidence)
                )
            )
            for outcome in outcomes
        )

    def _judged(self, attempt: _Attempt) -> Fix | None:
        if attempt.failed or not self._promising(attempt):
            return None
        remedy = attempt.remedy
        evidence: list[Evidence] = []
        agrees = True
        witnessed: Evidence | None = None
        for trial in attempt.trials:
            outcome = self._answers[trial.comparison].outcomes[0]
            found = outcome.evidence
            assert found is not None
            agrees = agrees and outcome.verdict is Verdict.CONFIRMED
            if self._hazards(attempt, trial):
                return None
            evidence.append(found)
            witnessed = found if trial.witnessed else witnessed
        if witnessed is None:
            return None
        if not all(each.detail["finite"] for each in evidence):
            attempt.blocked = True
            return None
        proof = Proof(
            value=witnessed.value,
            gradient=witnessed.gradient,
            modes=str(witnessed.detail["modes"]),
            compared=sum(each.samples for each in evidence),
            value_difference=_most(evidence, "value_difference"),
            gradient_difference=_most(evidence, "gradient_difference"),
            agrees=agrees,
        )
        return Fix(remedy.title, remedy.safety, remedy.reason, attempt.edits, proof)

    def _hazards(self, attempt: _Attempt, trial: _Trial) -> bool:
        """Tell whether the old hazard is still there, or a new one."""
        if trial.examination < 0:
            return False
        outcomes = self._answers[trial.examination].outcomes
        return any(
            self._is_hazard(attempt, trial.after, suspect, outcome)
            for suspect, outcome in zip(trial.suspects, outcomes, strict=True)
        )

    def _is_hazard(
        self, attempt: _Attempt, graph: Graph, suspect: Suspect, outcome: Outcome
    ) -> bool:
        if outcome.verdict is Verdict.REFUTED:
            return False
        confirmed = outcome.verdict is Verdict.CONFIRMED
        if not confirmed and suspect.provisional:
            return False
        key = _origin(attempt, graph, suspect)
        if key is None or key == attempt.case.key:
            return True
        return confirmed and self._before(key) is not Verdict.CONFIRMED

    def _is_another_finding(self, attempt: _Attempt, graph: Graph, suspect: Suspect) -> bool:
        """Tell whether the original has this hazard as well, which the fix need not take away."""
        key = _origin(attempt, graph, suspect)
        if key is None or key == attempt.case.key:
            return False
        return self._context.verdict(key) is Verdict.CONFIRMED

    def _before(self, key: Key) -> Verdict | None:
        known = self._context.verdict(key)
        if known is None and key in self._unknown:
            number, at = self._unknown[key]
            return self._answers[number].outcomes[at].verdict
        return known


def _origin(attempt: _Attempt, graph: Graph, suspect: Suspect) -> Key | None:
    """Return where a suspect of a mended graph stood in the original, or None if nowhere."""
    key = _key(graph, suspect)
    if key.path != attempt.edits[0].path:
        return key
    span = editing.origin(attempt.before, attempt.after, attempt.edits, key.span)
    return None if span is None else replace(key, span=span)


def _unsettled(remedy: Remedy, found: Evidence) -> bool:
    """Tell whether values that the original has not may be other than they should be."""
    if remedy.settled is Settled.GIVEN:
        return False
    beyond = found.detail["open"] if remedy.settled is Settled.LIMIT else 0.0
    return bool(found.detail["chosen"] or beyond)


def _alike(unit: Unit, other: Unit) -> bool:
    """Tell whether units are of one kind, and of one name if that is not made of their place."""
    one, two = (
        (each.qualname.partition(":")[0], each.role, each.reads, each.compiles)
        for each in (unit, other)
    )
    return one == two


def _text(case: Case) -> str:
    """Return the culprit of a finding on one line, in backquotes."""
    text = " ".join(case.graph.nodes[case.suspect.node].site.text.split())
    return f"`{text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + '…'}`"


def _key(graph: Graph, suspect: Suspect) -> Key:
    site = graph.nodes[suspect.node].site
    return Key(site.path, site.span, suspect.code)


def _most(found: Iterable[Evidence], name: str) -> float:
    return max(float(value) for each in found if isinstance(value := each.detail[name], float))


def _meaning(graph: Graph) -> object:
    """Return what a graph computes, whatever the source looks like."""
    nodes = graph.nodes[: graph.output + 1]
    return [(node.op, node.args, node.input, node.value) for node in nodes], graph.output
