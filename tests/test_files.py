"""Which files the paths on the command line mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actlint.errors import RunError
from actlint.files import discover, patterns, shown


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def found(root: Path, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    given = patterns(str(root), exclude) if exclude else None
    return [file.path for file in discover(paths, given, str(root)).files]


def test_folders_are_searched_for_python_files_in_sorted_order(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a.py", "pkg/c.py", "pkg/stub.pyi", "notes.txt", "pkg/data.py.txt")
    assert found(tmp_path, ".") == ["a.py", "b.py", "pkg/c.py"]


def test_a_named_file_may_have_any_extension(tmp_path: Path) -> None:
    make(tmp_path, "script", "stub.pyi")
    assert found(tmp_path, "script", "stub.pyi") == ["script", "stub.pyi"]


def test_overlapping_paths_give_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "pkg/a.py", "pkg/sub/b.py")
    paths = ("pkg/a.py", ".", "pkg", "./pkg/sub", str(tmp_path / "pkg"), "pkg/../pkg/a.py")
    assert found(tmp_path, *paths) == ["pkg/a.py", "pkg/sub/b.py"]


@pytest.mark.parametrize(
    "folder", [".git", ".venv", "venv", "node_modules", "__pycache__", "build", "dist", ".tox"]
)
def test_folders_of_other_peoples_code_are_left_out(tmp_path: Path, folder: str) -> None:
    make(tmp_path, "a.py", f"{folder}/b.py", f"pkg/{folder}/c.py")
    assert found(tmp_path, ".") == ["a.py"]
    assert found(tmp_path, folder) == [f"{folder}/b.py"]


def test_a_virtual_environment_is_known_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "my-env/pyvenv.cfg", "my-env/lib/b.py")
    assert found(tmp_path, ".") == ["a.py"]


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "x.py/inner.py")
    assert found(tmp_path, ".") == ["x.py/inner.py"]
    assert found(tmp_path, "x.py") == ["x.py/inner.py"]


def test_nested_gitignore_files_and_their_exceptions(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "gen/b.py", "pkg/c.gen.py", "pkg/keep.gen.py", "pkg/top.py", "top.py")
    (tmp_path / ".gitignore").write_text("gen/\n*.gen.py\n/top.py\n")
    (tmp_path / "pkg" / ".gitignore").write_text("!keep.gen.py\n")
    assert found(tmp_path, ".") == ["a.py", "pkg/keep.gen.py", "pkg/top.py"]


def test_gitignore_files_above_the_given_folder_count(tmp_path: Path) -> None:
    make(tmp_path, "repo/.git/HEAD", "repo/src/a.py", "repo/src/b_pb2.py", "repo/src/local.py")
    make(tmp_path, "repo/.git/info/exclude")
    (tmp_path / "repo/.git/info/exclude").write_text("local.py\n")
    (tmp_path / "repo/.gitignore").write_text("*_pb2.py\n")
    (tmp_path / ".gitignore").write_text("a.py\n")  # beyond the repository: not ours
    assert found(tmp_path, "repo/src") == ["repo/src/a.py"]


def test_what_the_user_names_is_taken_although_ignored(tmp_path: Path) -> None:
    make(tmp_path, "gen/a.py", "gen/skip.py", "b.py")
    (tmp_path / ".gitignore").write_text("gen/\nskip.py\n")
    assert found(tmp_path, ".") == ["b.py"]
    assert found(tmp_path, "gen") == ["gen/a.py"]
    assert found(tmp_path, "gen/skip.py") == ["gen/skip.py"]


def test_lines_that_are_no_patterns_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "b.py")
    (tmp_path / ".gitignore").write_bytes(b"!\n\xff\xfe\n[\nb.py\r\n")
    assert found(tmp_path, ".") == ["a.py"]


def test_excludes_are_relative_to_their_base(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "fixtures/b.py", "pkg/fixtures/c.py", "pkg/d_test.py")
    assert found(tmp_path, ".", exclude=("/fixtures/", "*_test.py")) == [
        "a.py",
        "pkg/fixtures/c.py",
    ]
    assert found(tmp_path, "fixtures", exclude=("/fixtures/",)) == ["fixtures/b.py"]


def test_links_that_form_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "pkg/a.py")
    (tmp_path / "pkg/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "pkg/self.py").symlink_to("self.py")
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    assert found(tmp_path, ".") == ["pkg/a.py"]
    assert found(tmp_path, "pkg/up/pkg", "pkg") == ["pkg/up/pkg/a.py"]
    with pytest.raises(RunError, match=r"^pkg/self\.py: cannot be opened: "):
        found(tmp_path, "pkg/self.py")


def test_a_link_to_a_file_that_is_listed_is_no_second_file(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / "b.py").symlink_to("a.py")
    assert found(tmp_path, ".") == ["a.py"]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^no/such\.py: no such file or folder$"):
        found(tmp_path, "no/such.py")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_file_name_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(RunError):
        found(tmp_path, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may list every folder")
def test_a_folder_that_cannot_be_listed_is_an_error_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "locked/b.py")
    (tmp_path / "locked").chmod(0)
    listing = discover(["."], None, str(tmp_path))
    (tmp_path / "locked").chmod(0o700)
    assert [file.path for file in listing.files] == ["a.py"]
    assert [error.path for error in listing.errors] == ["locked"]


def test_paths_are_relative_to_the_working_folder() -> None:
    assert shown("/home/me/project/src/a.py", "/home/me/project") == "src/a.py"
    assert shown("/home/me/other/a.py", "/home/me/project") == "../other/a.py"


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert shown(os.fsdecode(b"/p/caf\xe9.py"), "/p") == "caf\\xe9.py"
