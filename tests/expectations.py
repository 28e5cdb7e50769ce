"""Expected findings, read from the comments of a fixture.

Grammar, one comment each::

    # expect: CODE VERDICT HAZARD[|HAZARD…] [in MODE] [at "TEXT"][, …]
    # expect-next: …       the same, for the next line that holds code
    # known-miss: CODE REASON      a defect of this line that is not found, and why
    # known-miss-next: …

HAZARD may be "-" where the verdict leaves no evidence.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from actlint.findings import Finding, Hazard, Verdict

_COMMENT = re.compile(r"#\s*(?P<word>expect|known-miss)(?P<next>-next)?:\s*(?P<body>.*\S)\s*$")
# A comment that tries to be one of ours; a slip of the pen must not switch a check off.
_NEARLY = re.compile(r"#+\s*(expect\w*|known[ -_]?miss\w*)\b.*ACT\d", re.IGNORECASE)
_ITEM = re.compile(
    r"(?P<code>ACT\d{3}) (?P<verdict>[a-z]+) (?P<hazards>-|[a-z-]+(?:\|[a-z-]+)*)"
    r"(?: in (?P<mode>eager|graph|xla))?"
    r'(?: at "(?P<text>[^"]*)")?'
    r"(?:,\s*|$)"
)
_MISS = re.compile(r"(?P<code>ACT\d{3})\W+(?P<reason>\w.{11,})")
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One finding that a fixture asks for.

    Attributes:
        line: line on which the culprit expression starts.
        hazards: those that are true there; empty if no evidence is expected.
        mode: execution mode that must have shown it, or "".
        text: the culprit's text, whitespace folded, or "" if the line says enough.
    """

    path: str
    line: int
    code: str
    verdict: Verdict
    hazards: tuple[Hazard, ...]
    mode: str = ""
    text: str = ""

    def matches(self, finding: Finding) -> bool:
        """Tell whether `finding` is the one that is asked for."""
        evidence = finding.evidence
        return (
            (finding.site.path, finding.site.span.line) == (self.path, self.line)
            and (finding.code, finding.verdict) == (self.code, self.verdict)
            and (evidence.hazard in self.hazards if evidence else not self.hazards)
            and (not self.mode or (evidence is not None and evidence.mode == self.mode))
            and (not self.text or " ".join(finding.site.text.split()) == self.text)
        )

    def __str__(self) -> str:
        """Render it as the fixture's comment has it."""
        hazards = "|".join(self.hazards) or "-"
        mode = f" in {self.mode}" if self.mode else ""
        text = f' at "{self.text}"' if self.text else ""
        return f"{self.path}:{self.line}: {self.code} {self.verdict} {hazards}{mode}{text}"


@dataclass(frozen=True, slots=True)
class KnownMiss:
    """A defect that is there and is not found, with the reason."""

    path: str
    line: int
    code: str
    reason: str


def parse(text: str, path: str) -> tuple[tuple[Expectation, ...], tuple[KnownMiss, ...]]:
    """Return the expectations and known misses of a fixture, in the order of their lines.

    Raises:
        ValueError: a comment that looks like an expectation does not follow the grammar, or
            ``-next`` has no code after it.
    """
    expected: list[Expectation] = []
    missed: list[KnownMiss] = []
    for line, word, body in _comments(text, path):
        if word == "expect":
            expected.extend(_items(body, path, line))
        elif match := _MISS.fullmatch(body):
            missed.append(KnownMiss(path, line, match["code"], match["reason"]))
        else:
            raise ValueError(f"{path}:{line}: a known miss needs a code and a reason: {body}")
    return tuple(expected), tuple(missed)


def _comments(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line that is meant, "expect" or "known-miss", body) for each of our comments."""
    waiting: list[tuple[str, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type not in _NO_CODE:
            yield from ((line, word, body) for word, body in waiting)
            waiting.clear()
        if token.type != tokenize.COMMENT:
            continue
        match = _COMMENT.fullmatch(token.string)
        if match and match["next"]:
            waiting.append((match["word"], match["body"]))
        elif match:
            yield line, match["word"], match["body"]
        elif _NEARLY.match(token.string):
            raise ValueError(f"{path}:{line}: not an expectation: {token.string}")
    if waiting:
        raise ValueError(f"{path}: no code follows: {waiting[0][1]}")


def _items(body: str, path: str, line: int) -> Iterator[Expectation]:
    """Yield the expectations of one comment."""
    start = 0
    while start < len(body):
        match = _ITEM.match(body, start)
        if match is None:
            raise ValueError(f"{path}:{line}: not an expectation: {body[start:]}")
        hazards = () if match["hazards"] == "-" else match["hazards"].split("|")
        try:
            verdict, dangers = Verdict(match["verdict"]), tuple(map(Hazard, hazards))
        except ValueError as error:
            raise ValueError(f"{path}:{line}: {error}") from None
        text = " ".join((match["text"] or "").split())
        yield Expectation(path, line, match["code"], verdict, dangers, match["mode"] or "", text)
        start = match.end()
