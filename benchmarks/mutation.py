"""Breaks correct losses and activations in every known way, and counts what actlint finds.

See README.md for what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import oracle
from mutants.catalogue import MUTATORS, mutants, originals, thinned
from mutants.model import Harm, Mutant
from mutants.oracle import Verdict
from mutants.syntax import Original

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the study needs of a finding."""

    code: str
    lines: range
    verdict: str


@dataclass(frozen=True, slots=True)
class Case:
    """A mutant, what the oracle says of it, and what actlint says."""

    mutant: Mutant
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def right_rule(self) -> tuple[Finding, ...]:
        """The findings of a rule that would be right."""
        return tuple(f for f in self.findings if f.code in self.mutant.mutator.codes)

    @property
    def right_line(self) -> bool:
        """Whether one of these is where the mutation was made, or led to."""
        return any(self.mutant.lines & set(f.lines) for f in self.right_rule)


def lint(texts: Mapping[str, str], folder: Path) -> dict[str, tuple[Finding, ...]]:
    """Write programs to a folder, lint them in one run, and return the findings of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "actlint", ".", "--output-format", "json"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    for error in report["errors"]:
        print(f"error: {error['path']}:{error['line']}: {error['message']}", file=sys.stderr)
    found: dict[str, tuple[Finding, ...]] = dict.fromkeys(texts, ())
    for item in report["findings"]:
        finding = Finding(item["code"], range(item["line"], item["end_line"] + 1), item["verdict"])
        found[Path(item["path"]).stem] += (finding,)
    return found


def judged(chosen: Iterable[Mutant], known: Sequence[Original]) -> dict[str, Verdict]:
    """Return what the oracle says of each mutant.

    Raises:
        SystemExit: an original does not run, or is not finite everywhere.
    """
    right: dict[str, list[oracle.Result]] = {}
    for original in known:
        found = oracle.results(original.probe, original.text)
        if found is None or not all(result.finite for result in found):
            raise SystemExit(f"{original.name}: the original does not run or is not finite")
        right[original.name] = found
    probes = {original.name: original.probe for original in known}
    chosen = tuple(chosen)
    asked = {m.original for m in chosen if m.mutator.harm is Harm.INACCURATE}
    exact = {o.name: oracle.results(o.probe, o.text, double=True) for o in known if o.name in asked}
    return {
        mutant.name: oracle.judge(
            probes[mutant.original],
            mutant.mutator.harm,
            right[mutant.original],
            oracle.results(probes[mutant.original], mutant.text),
            exact.get(mutant.original),
        )
        for mutant in chosen
    }


def table(cases: Sequence[Case]) -> list[str]:
    """Return the lines of the table, one for each mutator and one for all."""
    head = f"{'mutator':44}{'mutants':>8}{'equiv.':>7}{'dead':>6}{'broken':>7}{'caught':>8}"
    lines = [f"{head}{'rule':>7}{'line':>7}"]
    for mutator in MUTATORS:
        own = [case for case in cases if case.mutant.mutator is mutator]
        if own:
            lines.append(_row(mutator.name, own))
    return [*lines, _row("all", cases)]


def _row(name: str, cases: Sequence[Case]) -> str:
    broken = [case for case in cases if case.verdict is Verdict.BROKEN]
    equal = sum(case.verdict is Verdict.EQUIVALENT for case in cases)
    dead = sum(case.verdict is Verdict.STILLBORN for case in cases)
    caught = sum(bool(case.findings) for case in broken)
    rule = sum(bool(case.right_rule) for case in broken)
    line = sum(case.right_line for case in broken)

    def share(count: int) -> str:
        return f"{100 * count / len(broken):.0f}%" if broken else "-"

    return (
        f"{name:44}{len(cases):8}{equal:7}{dead:6}{len(broken):7}"
        f"{share(caught):>8}{share(rule):>7}{share(line):>7}"
    )


def misses(cases: Sequence[Case]) -> list[str]:
    """Return a line for each broken mutant that was not found as it should be."""
    lines = []
    for case in cases:
        if case.verdict is not Verdict.BROKEN or case.right_line:
            continue
        found = ", ".join(f"{f.code} in line {f.lines.start}" for f in case.findings) or "nothing"
        what = "missed" if not case.findings else "line" if case.right_rule else "rule"
        lines.append(f"{what:7}{case.mutant.name:32}{case.mutant.mutator.name:38}{found}")
    return lines


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="mutators with NAME in their name")
    parser.add_argument("--original", metavar="NAME", help="one original alone")
    parser.add_argument("--all", action="store_true", help="every mutant, not a fixed share")
    parser.add_argument("--most", metavar="N", type=int, default=16, help="mutants of one mutator")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave the programs there")
    options = parser.parse_args()
    known = [o for o in originals() if options.original in (None, o.name)]
    chosen = [m for m in MUTATORS if options.only is None or options.only in m.name]
    made = list(mutants(known, chosen))
    if not options.all:
        made = list(thinned(made, options.most))
    verdicts = judged(made, known)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        clean = lint({o.name: o.text for o in known}, folder / "originals")
        found = lint({m.name: m.text for m in made}, folder / "mutants")
    cases = [Case(m, verdicts[m.name], found[m.name]) for m in made]
    print("\n".join(table(cases)))
    print("\nBroken mutants that were not found by the right rule in the right line:")
    print("\n".join(misses(cases)) or "none")
    loud = {name: findings for name, findings in clean.items() if findings}
    print(f"\nOriginals that stay silent: {len(known) - len(loud)} of {len(known)}")
    for name, findings in loud.items():
        for finding in findings:
            print(f"{name}.py:{finding.lines.start}: {finding.code} {finding.verdict}")


if __name__ == "__main__":
    main()
