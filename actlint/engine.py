"""From files to findings: index, lower, ask the rules, prove, and sort out what is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from actlint import catalogue, excerpt, index, policy, screening
from actlint.cache import Cache
from actlint.cases import MAX_UNITS, Case, Context, Key
from actlint.contexts import Contexts, inlined
from actlint.defaults import SAMPLES, SEED, TIMEOUT
from actlint.disk import Disk
from actlint.dotted import bare
from actlint.examiner import Examiner
from actlint.findings import (
    FileError,
    Finding,
    Fix,
    Hazard,
    Outcome,
    Reach,
    Result,
    Run,
    Severity,
    Summary,
    Suspect,
    Verdict,
)
from actlint.grading import graded, out_of_reach
from actlint.graph import Graph, Span
from actlint.idle import is_idle
from actlint.index import FileIndex
from actlint.lower import lower
from actlint.lower.module import Library, Module
from actlint.merging import clause, followers
from actlint.places import located, located_in, shown, shown_edit
from actlint.pool import usual_workers
from actlint.producers import Producers
from actlint.project import Project
from actlint.proof import prove
from actlint.query import Rule
from actlint.reading import with_models
from actlint.repro import repro as program
from actlint.retry import retry
from actlint.scene import Unit, incoming, units
from actlint.source import SourceFile
from actlint.states import States
from actlint.suppress import suppressed
from actlint.worker.protocol import Job

# The same expression met on several paths or call sites is tried this often, no more.
_MAX_CANDIDATES = 3
# Suspects of one function in a row of which no part could be run, after which the rest is left.
_MAX_VAIN = 3

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do; the defaults are those of the command line."""

    confirm: bool = True
    select: frozenset[str] | None = None  # codes; None means all
    require_confirmed: bool = False
    min_severity: Severity = Severity.INFO  # what is less bad is not shown
    show_refuted: bool = False
    seed: int = SEED
    samples: int = SAMPLES
    timeout: float = TIMEOUT
    dtype: str | None = None  # of activations, layers and own losses; None: as the source sets it
    cache: Cache | None = None  # answers of earlier runs; None to run every job
    workers: int = field(default_factory=usual_workers)  # TensorFlow processes at most
    # The codes that configuration does not look for in a file that is imported, but not linted.
    ignored: Callable[[str], frozenset[str]] = lambda _: frozenset()


@dataclass(slots=True)
class _Candidate:
    graph: Graph
    suspect: Suspect
    unit: Unit
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Static:
    """What the static pass over all files found."""

    candidates: dict[Key, list[_Candidate]] = field(default_factory=dict)
    groups: dict[int, list[_Candidate]] = field(default_factory=dict)  # those of one graph
    units: dict[Key, dict[Unit, None]] = field(default_factory=dict)  # that hold the expression
    errors: list[FileError] = field(default_factory=list)
    policies: Mapping[str, policy.Policy] = field(default_factory=dict)  # of files, by path
    contexts: Contexts | None = None
    producers: Producers | None = None
    # Codes that are not looked for, by the path of the culprit's file.
    ignored: Mapping[str, frozenset[str]] = field(default_factory=dict)
    elsewhere: Callable[[str], frozenset[str]] = lambda _: frozenset()
    functions: int = 0
    skipped: int = 0

    def unwanted(self, path: str) -> frozenset[str]:
        """Return the codes that are not looked for in a file."""
        found = self.ignored.get(path)
        return self.elsewhere(path) if found is None else found

    def verdict(self, key: Key) -> Verdict | None:
        """Return what was found of a suspect, or None if it was not tried."""
        known = self.candidates.get(key)
        return None if known is None else _best(known)[1].verdict


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A suspect that is reported."""

    key: Key
    rule: Rule
    candidate: _Candidate
    outcome: Outcome
    also: str = ""  # what else the same cause spoils, as a clause


def lint(
    files: Sequence[SourceFile], options: Options, on_progress: Progress | None = None
) -> Result:
    """Lint files and return everything that a report shows.

    Args:
        files: what to lint; a file with an error becomes an entry of `errors`.
        options: which rules, how to sample, whether to confirm.
        on_progress: called with the stage, the number done and the number in all.

    Raises:
        WorkerError: the TensorFlow worker cannot be started.
    """
    rules = [
        rule() for rule in catalogue.load()
        if options.select is None or rule.code in options.select
    ]  # fmt: skip
    tensorflow: str | None = None
    sandbox = "not started"
    sources = {file.path: file for file in files}
    static = _Static(ignored={f.path: f.ignored for f in files}, elsewhere=options.ignored)
    indexes = _indexes(files, static)
    project = Project(indexes.values(), Disk())
    contexts = static.contexts = Contexts(project)
    producers = static.producers = Producers(project)
    library = Library(project)
    roles = incoming(indexes.values(), project)
    matters, states = library.injection.matters, States(project)
    static.policies = policy.known(indexes.values(), project, options.dtype)
    jobs: list[Job | None] = []
    with Examiner(options.timeout, options.workers, options.cache) as examiner:
        for done, file in enumerate(files):
            if on_progress is not None:
                on_progress("reading", done, len(files))
            built = indexes.get(file.path)
            given = roles.get(file.path, {})
            if built is None or not (given or built.compiles or matters(built)):
                continue
            found = with_models(built, units(built, project, given), project)
            for unit in states.again(built, found):
                _guarded(file, library.module(built), unit, rules, static)
            if not options.confirm:
                continue
            for group in islice(static.groups.values(), len(jobs), None):
                job = _job(group, len(jobs), options)
                jobs.append(job)
                if job is not None:
                    # The workers are busy while the rest of the files is read.
                    examiner.start(job)
        static.candidates = contexts.within(static.candidates, rules)
        if options.confirm:
            _confirm(examiner, jobs, static, options, on_progress)
            static.candidates = contexts.judged(static.candidates)
            producers.judge(
                static.candidates, rules, examiner, seed=options.seed, samples=options.samples
            )
        chosen, summary = _chosen(project, static, options, rules)
        fixes: dict[Key, tuple[Fix, ...]] = {}
        if options.confirm:
            context = Context(
                project, indexes, roles, static.policies,
                [rule() for rule in catalogue.load()], static.verdict,
                options.seed, options.samples,
            )  # fmt: skip
            if on_progress is not None:
                on_progress("mending", 0, 1)
            fixes, failed = prove(_cases(chosen, static), context, examiner)
            static.errors += [located_in(sources, error) for error in failed]
        if examiner.ready is not None:
            tensorflow, sandbox = examiner.ready.tensorflow, examiner.ready.sandbox
    findings = (_finding(each, fixes, sources, project) for each in chosen)
    enough = _SEVERITIES[: _SEVERITIES.index(options.min_severity) + 1]
    return Result(
        run=Run(options.seed, options.samples, options.confirm, tensorflow, sandbox),
        findings=tuple(sorted((f for f in findings if f.severity in enough), key=_position)),
        errors=tuple(sorted(static.errors, key=lambda e: (e.path, e.cell or 0, e.line, e.message))),
        summary=replace(
            summary, files=len(files), functions=static.functions, skipped=static.skipped
        ),
    )


def _indexes(files: Sequence[SourceFile], static: _Static) -> dict[str, FileIndex]:
    """Index the files; what is no Python becomes an error."""
    found: dict[str, FileIndex] = {}
    for file in files:
        if file.error is not None:
            static.errors.append(file.error)
            continue
        static.errors += file.broken
        built = index.build(file.path, file.text)
        if isinstance(built, FileIndex):
            found[file.path] = built
        else:
            static.errors.append(located(file, built))
    return found


def _guarded(
    file: SourceFile, module: Module, unit: Unit, rules: Sequence[Rule], static: _Static
) -> None:
    """Find the suspects of one unit; what goes wrong becomes an error."""
    try:
        reason = _unit(file, module, unit, rules, static)
    # A defect of actlint's own costs one function, not the run; the user can report it.
    except Exception as error:
        reason = f"internal error, please report it: {type(error).__name__}: {error}"
    if reason:
        failed = located(file, FileError(file.path, unit.line, f"{bare(unit.qualname)}: {reason}"))
        static.errors += [failed] if failed not in static.errors else []


def _unit(
    file: SourceFile, module: Module, unit: Unit, rules: Sequence[Rule], static: _Static
) -> str:
    """Find the suspects of one unit; return why there is nothing to look at, or ""."""
    lowered = lower(module, unit)
    static.functions += bool(lowered.graphs) and not (unit.reads or unit.tracing)
    static.skipped += lowered.too_large and not lowered.graphs
    for graph in lowered.graphs:
        known = policy.applied(graph, static.policies.get(file.path))
        if static.producers is not None:
            static.producers.note(unit, known)
        _suspects(unit, known, rules, static)
    return "" if lowered.graphs else lowered.reason


def _suspects(unit: Unit, graph: Graph, rules: Sequence[Rule], static: _Static) -> None:
    unwanted = {path: static.unwanted(path) for path in {node.site.path for node in graph.nodes}}
    nowhere = frozenset[str].intersection(*unwanted.values()) if unwanted else frozenset[str]()
    chosen = [rule for rule in rules if rule.code not in nowhere]
    raised: list[Suspect] = []
    for suspect in screening.suspects(graph, chosen, raised):
        site = graph.nodes[suspect.node].site
        if suspect.code in unwanted[site.path]:
            continue
        key = Key(site.path, site.span, suspect.code)
        holders = static.units.setdefault(key, {})
        if len(holders) < MAX_UNITS:
            holders[unit] = None
        known = static.candidates.setdefault(key, [])
        candidate = _Candidate(graph, suspect, unit)
        if sum(inlined(each) is inlined(candidate) for each in known) < _MAX_CANDIDATES:
            known.append(candidate)
            static.groups.setdefault(id(graph), []).append(candidate)
    if static.contexts is not None:
        static.contexts.note(graph, raised)


def _job(group: Sequence[_Candidate], number: int, options: Options) -> Job | None:
    """Return the job that all suspects of a graph share, or None if nothing of it can be run."""
    return excerpt.job(
        group[0].graph,
        [candidate.suspect for candidate in group],
        id=number,
        seed=options.seed,
        samples=options.samples,
    )


def _confirm(
    examiner: Examiner,
    jobs: Sequence[Job | None],
    static: _Static,
    options: Options,
    on_progress: Progress | None,
) -> None:
    """Have every candidate tried."""
    answers = examiner.examine([job for job in jobs if job is not None])
    reason = "no runnable excerpt leads from a free input to the expression"
    for done, (job, group) in enumerate(zip(jobs, static.groups.values(), strict=True)):
        if on_progress is not None:
            on_progress("confirming", done, len(jobs))
        if job is None:
            outcomes = (Outcome(Verdict.UNCONFIRMED, reason),) * len(group)
        else:
            outcomes = next(answers).outcomes
        for candidate, outcome in zip(group, outcomes, strict=True):
            candidate.outcome = _within_reach(candidate, outcome)
    _confirm_parts(examiner, static, options)


def _within_reach(candidate: _Candidate, outcome: Outcome) -> Outcome:
    """Refute what takes a weight that training does not reach."""
    evidence = outcome.evidence
    value = None if evidence is None else out_of_reach(candidate.graph, evidence)
    if outcome.verdict is not Verdict.CONFIRMED or value is None:
        return outcome
    return Outcome(
        Verdict.REFUTED, f"it takes a weight of {value:g}, which training does not reach"
    )


def _confirm_parts(examiner: Examiner, static: _Static, options: Options) -> None:
    """Have the worker try parts of those graphs that it could not run as a whole."""
    vain: Counter[Unit] = Counter()
    for candidates in static.candidates.values():
        best, outcome = _best(candidates)
        if outcome.verdict is not Verdict.UNCONFIRMED or best.suspect.provisional:
            continue
        if vain[best.unit] >= _MAX_VAIN:
            continue
        cases = [(candidate.graph, candidate.suspect) for candidate in candidates]
        found = retry(examiner, cases, seed=options.seed, samples=options.samples)
        vain[best.unit] = 0 if found is not None else vain[best.unit] + 1
        if found is not None:
            at, part, judged = found
            candidates[at].graph, candidates[at].outcome = part, judged


_SEVERITIES = tuple(Severity)  # the worst first
_ORDER = {Verdict.CONFIRMED: 0, Verdict.UNCONFIRMED: 1, Verdict.REFUTED: 2}
_NOT_RUN = Outcome(Verdict.UNCONFIRMED, "confirmation is switched off")


def _best(candidates: Sequence[_Candidate]) -> tuple[_Candidate, Outcome]:
    """Return the candidate that says most: proof first, then doubt, then refutation."""
    best = min(candidates, key=lambda c: _ORDER[(c.outcome or _NOT_RUN).verdict])
    return best, best.outcome or _NOT_RUN


def _chosen(
    project: Project, static: _Static, options: Options, rules: Sequence[Rule]
) -> tuple[list[_Chosen], Summary]:
    """Return what is reported, and the counts."""
    by_code = {rule.code: rule for rule in rules}
    found: list[_Chosen] = []
    for key, candidates in static.candidates.items():
        candidate, outcome = _best(candidates)
        if candidate.suspect.provisional and outcome.verdict is Verdict.UNCONFIRMED:
            continue
        found.append(_Chosen(key, by_code[key.code], candidate, outcome))
    shown: list[_Chosen] = []
    counts = dict.fromkeys(Verdict, 0)
    for each in _without_superseded(found, by_code):
        home = project.file(each.key.path)  # a file that is only imported has comments, too
        text = "" if home is None else home.text
        span, verdict = each.key.span, each.outcome.verdict
        if suppressed(text, each.rule.code, each.rule.name, span.line, span.end_line):
            continue
        counts[verdict] += 1
        if (
            verdict is Verdict.CONFIRMED
            or (verdict is Verdict.UNCONFIRMED and not options.require_confirmed)
            or (verdict is Verdict.REFUTED and options.show_refuted)
        ):
            shown.append(each)
    summary = Summary(
        suspects=sum(counts.values()),
        confirmed=counts[Verdict.CONFIRMED],
        refuted=counts[Verdict.REFUTED],
        unconfirmed=counts[Verdict.UNCONFIRMED],
    )
    return shown, summary


def _cases(chosen: Iterable[_Chosen], static: _Static) -> Iterator[Case]:
    """Yield the findings that may be mended: those that were seen to happen."""
    for each in chosen:
        evidence, candidate = each.outcome.evidence, each.candidate
        if each.outcome.verdict is Verdict.CONFIRMED and evidence is not None:
            yield Case(
                key=each.key,
                rule=each.rule,
                graph=candidate.graph,
                suspect=candidate.suspect,
                evidence=evidence,
                unit=candidate.unit,
                units=tuple(static.units[each.key]),
            )


def _position(finding: Finding) -> tuple[str, int, int, int, str]:
    site = finding.site
    return site.path, site.cell or 0, site.span.line, site.span.column, finding.code


def _without_superseded(chosen: Sequence[_Chosen], rules: dict[str, Rule]) -> Iterator[_Chosen]:
    """Leave out what a more specific rule says of the same span with no weaker a verdict.

    Left out is also what follows from another finding in the same function.
    """
    confirmed = [each for each in chosen if each.outcome.verdict is Verdict.CONFIRMED]
    by_span: dict[tuple[str, Span], list[tuple[str, tuple[int, bool]]]] = {}
    for each in chosen:
        key = each.key
        by_span.setdefault((key.path, key.span), []).append((key.code, _strength(each.outcome)))
    judged = [(each.candidate.graph, each.candidate.suspect, each.outcome) for each in chosen]
    told = followers(judged)
    for position, each in enumerate(chosen):
        key = each.key
        beaten = position in told or any(
            key.code in rules[code].supersedes and strength <= _strength(each.outcome)
            for code, strength in by_span[key.path, key.span]
            if code != key.code
        )
        if not beaten and not _explained(each, confirmed):
            yield replace(each, also=clause(judged, told, position))


def _strength(outcome: Outcome) -> tuple[int, bool]:
    """Return a key that is smaller for what is surer, and for nan that ordinary values bring."""
    evidence = outcome.evidence
    far = (
        evidence is not None
        and evidence.hazard in {Hazard.NAN, Hazard.INF}
        and evidence.reach is Reach.EXTENDED
    )
    return _ORDER[outcome.verdict], far


def _explained(each: _Chosen, confirmed: Iterable[_Chosen]) -> bool:
    """Tell whether another confirmed finding in the same function is the cause of this one."""
    causes, unit = each.rule.explained_by, each.candidate.graph.site
    return bool(causes) and any(
        other.key.code.startswith(causes) and other.candidate.graph.site == unit
        for other in confirmed
        if other is not each
    )


def _finding(
    chosen: _Chosen,
    fixes: Mapping[Key, tuple[Fix, ...]],
    files: Mapping[str, SourceFile],
    project: Project,
) -> Finding:
    rule, outcome = chosen.rule, chosen.outcome
    graph, suspect = chosen.candidate.graph, chosen.candidate.suspect
    node = graph.nodes[suspect.node]
    unit = chosen.candidate.unit
    home = files.get(unit.path)
    # What is no Python, such as a cell of another version, may use it.
    idle = home is not None and not home.broken and is_idle(unit, project)
    untried = outcome.verdict is Verdict.UNCONFIRMED and outcome is not _NOT_RUN
    grade = graded(graph, suspect, outcome.evidence, idle=idle, untried=untried)
    repro = None
    if outcome.verdict is Verdict.CONFIRMED:
        try:
            repro = program(graph, suspect, outcome, graph.name)
        # The finding stands without its program; a defect of actlint's must not end the run.
        except Exception as error:
            repro = f"# internal error, please report it: {type(error).__name__}: {error}\n"
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=grade.severity,
        site=shown(node.site, files),
        trail=tuple(shown(site, files) for site in (*graph.used, *node.path)),
        function=graph.name,
        role=graph.role,
        message=suspect.message + chosen.also + grade.condition,
        hint=suspect.hint or rule.hint,
        verdict=outcome.verdict,
        reason=outcome.reason,
        evidence=outcome.evidence,
        repro=repro,
        fixes=tuple(
            replace(fix, edits=tuple(shown_edit(edit, files) for edit in fix.edits))
            for fix in fixes.get(chosen.key, ())
        ),
    )
