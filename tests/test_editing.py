"""Text edits by span: applied, traced back, and shown as a diff."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from actlint.editing import apply, compatible, diff, origin, overlap
from actlint.findings import Edit, Fix, Proof, Safety
from actlint.graph import Span

TEXT = "a = b / c\nd = (a,\n     b)\n"


def edit(line: int, column: int, end_line: int, end_column: int, content: str) -> Edit:
    return Edit("m.py", Span(line, column, end_line, end_column), content)


def fix(*edits: Edit) -> Fix:
    return Fix("Do it", Safety.SAFE, "why", edits, Proof(0.0, 0.0, "eager", 1, 0.0, 0.0, True))


QUOTIENT = edit(1, 5, 1, 10, "f(b, c)")
IMPORT = edit(1, 1, 1, 1, "import f\n")


def test_edits_are_made_together() -> None:
    more = edit(2, 5, 3, 8, "(a, b)")
    assert apply(TEXT, [more, QUOTIENT, IMPORT]) == "import f\na = f(b, c)\nd = (a, b)\n"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_endings_stay(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    assert apply(text, [IMPORT]) == f"import f{newline}{text}"


def test_equal_edits_are_made_once() -> None:
    assert apply(TEXT, [IMPORT, IMPORT]) == "import f\n" + TEXT


def test_of_overlapping_fixes_the_first_is_made() -> None:
    inner = fix(edit(1, 9, 1, 10, "(c + 1)"), IMPORT)
    outer = fix(QUOTIENT, IMPORT)
    apart = fix(edit(3, 6, 3, 7, "c"), IMPORT)
    assert compatible([outer, inner, apart], {}) == [outer, apart]


def test_overlap_is_by_file_and_place() -> None:
    assert overlap(QUOTIENT, edit(1, 9, 2, 3, ""))
    assert not overlap(QUOTIENT, edit(1, 10, 1, 10, ", 1"))
    assert not overlap(QUOTIENT, Edit("n.py", QUOTIENT.span, "x"))


@pytest.mark.parametrize(
    ("span", "before"),
    [
        (Span(2, 1, 2, 2), Span(1, 1, 1, 2)),  # before the new text
        (Span(2, 1, 2, 12), Span(1, 1, 1, 10)),  # the statement round it
        (Span(2, 5, 2, 12), None),  # the new text itself
        (Span(2, 7, 2, 8), None),  # within it
        (Span(3, 5, 4, 8), Span(2, 5, 3, 8)),  # after it
        (Span(1, 1, 1, 9), None),  # the import
    ],
)
def test_spans_are_traced_back(span: Span, before: Span | None) -> None:
    after = apply(TEXT, [IMPORT, QUOTIENT])
    assert origin(TEXT, after, [QUOTIENT, IMPORT], span) == before


@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("\n"), TEXT.replace("\n", "\r\n")])
def test_patch_takes_the_diff(text: str, tmp_path: Path) -> None:
    mended = apply(text, [QUOTIENT, edit(3, 6, 3, 7, "c")])
    (tmp_path / "m.py").write_bytes(text.encode())
    subprocess.run(
        ["patch", "--binary", "m.py"], cwd=tmp_path, check=True, capture_output=True,
        input=diff("m.py", text, mended).encode(),
    )  # fmt: skip
    assert (tmp_path / "m.py").read_bytes() == mended.encode()


def test_no_change_is_no_diff() -> None:
    assert diff("m.py", TEXT, TEXT) == ""


def test_a_variable_that_goes_is_not_read_anew() -> None:
    text = "e = f(x)\ny = e / g(x)\nz = h(x)\n"
    gone = fix(Edit("m.py", Span(1, 1, 2, 1), ""), edit(2, 5, 2, 13, "k(x)"))
    reads, other = fix(edit(3, 5, 3, 9, "k(e)")), fix(edit(3, 5, 3, 9, "k(exp)"))
    assert compatible([gone, reads], {"m.py": text}) == [gone]
    assert compatible([reads, gone], {"m.py": text}) == [reads]
    assert compatible([gone, other], {"m.py": text}) == [gone, other]
