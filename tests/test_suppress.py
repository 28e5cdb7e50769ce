"""Comments that suppress findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from actlint.suppress import suppressed

from .conftest import BAD, Run


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = f()  # noqa: ACT101", True),
        ("x = f()  # noqa: E501, ACT101 - long", True),
        ("x = f()  # NOQA:act101", True),
        ("x = f()  # noqa", True),
        ("x = f()  # noqa: E501", False),
        ("x = f()  # noqa: ACT102", False),
        ("x = f()  # actlint: ignore[ACT101] the divisor is a count", True),
        ("x = f()  # actlint: ignore[ACT1]", True),
        ("x = f()  # actlint: ignore[ACT102, division-by-zero]", True),
        ("x = f()  # actlint: ignore", True),
        ("x = f()  # actlint: ignore[]", False),
        ("x = f()  # actlint: ignored", False),
        ("x = f()  # pylint: disable=E1  # actlint: ignore[ACT101]", True),
        ("x = '# noqa: ACT101'", False),
        ("x = f(  # noqa: ACT101", True),
        ("    x = f()  # noqa: ACT101", True),
        ("x = f()", False),
    ],
)
def test_comments_that_suppress(line: str, expected: bool) -> None:
    assert suppressed(line, "ACT101", "division-by-zero") is expected


def test_a_comment_counts_on_the_first_and_last_line_of_the_expression() -> None:
    text = (
        's = """\n# noqa: ACT101\n"""\nx = f(  # noqa: ACT101\n    1,\n)  # noqa: ACT102\ny = 1\n'
    )
    assert not suppressed(text, "ACT101", line=2)
    assert suppressed(text, "ACT101", line=4, end_line=6)
    assert suppressed(text, "ACT102", line=4, end_line=6)
    assert not suppressed(text, "ACT101", line=5, end_line=5)
    assert not suppressed(text, "ACT101", line=7)


def test_a_suppressed_finding_is_not_reported(run: Run, here: Path) -> None:
    lines = BAD.splitlines(keepends=True)
    lines[4] = lines[4].rstrip() + "  # actlint: ignore[ACT1] never equal\n"
    (here / "bad.py").write_text("".join(lines))
    assert run("--no-confirm", "bad.py").status == 0
