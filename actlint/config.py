"""``[tool.actlint]`` of pyproject.toml, checked by pydantic."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from actlint.defaults import MAX_SAMPLES, MAX_SEED, MAX_TIMEOUT, MAX_WORKERS
from actlint.errors import RunError

TABLE = "tool.actlint"


def _kebab(name: str) -> str:
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of ``[tool.actlint]``; a key that is absent leaves the default in force."""

    # How pydantic reads a table into this record.
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "alias_generator": _kebab,
        "allow_inf_nan": False,
        "extra": "forbid",
        "strict": True,
    }

    # Codes, prefixes or names of the rules to run; all of them if absent.
    select: tuple[str, ...] | None = None
    # Added to `select`.
    extend_select: tuple[str, ...] = ()
    # Taken away.
    ignore: tuple[str, ...] = ()
    # Patterns as in .gitignore, relative to the file that holds them.
    exclude: tuple[str, ...] = ()
    # From such patterns to rules that are not looked for in the files that match.
    per_file_ignores: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Seed of the samples.
    seed: Annotated[int, Ge(0), Le(MAX_SEED)] | None = None
    # Samples for each excerpt.
    samples: Annotated[int, Ge(1), Le(MAX_SAMPLES)] | None = None
    # Seconds for each excerpt.
    timeout: Annotated[float, Gt(0), Le(MAX_TIMEOUT)] | None = None
    # TensorFlow processes at most.
    workers: Annotated[int, Ge(1), Le(MAX_WORKERS)] | None = None
    # Dtype that training computes in; what the source sets if absent.
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    # Folder for the answers of earlier runs, relative to the file that names it.
    cache_dir: str | None = None
    # Report confirmed findings only.
    require_confirmed: bool = False
    # Report findings that are at least as bad.
    min_severity: Literal["error", "warning", "info"] | None = None
    # Write proved fixes into the files.
    fix: bool = False
    # Unsafe ones, too.
    unsafe_fixes: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """Settings, and where they come from."""

    settings: Settings
    base: str  # absolute folder to which patterns are relative
    origin: str  # path of the file, for messages; "" if there is none


def keys() -> tuple[str, ...]:
    """Return the keys that ``[tool.actlint]`` may have."""
    return tuple(_kebab(each.name) for each in fields(Settings))


def load(folder: str) -> Config:
    """Read the nearest pyproject.toml with a ``[tool.actlint]``, from `folder` upwards.

    Raises:
        RunError: such a file cannot be read, or its table is not valid.
    """
    for at in (Path(folder), *Path(folder).parents):
        path = at / "pyproject.toml"
        table = _table(path)
        if table is not None:
            return Config(_validated(table, path), str(at), str(path))
    return Config(Settings(), folder, "")


def common_folder(paths: list[str], cwd: str) -> str:
    """Return the deepest folder that holds all `paths`; `cwd` if there is no such folder."""
    folders = [_folder(os.path.normpath(os.path.join(cwd, path))) for path in paths]
    try:
        return os.path.commonpath(folders)
    except ValueError:  # no paths, or several drives of Windows
        return cwd


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path)


def _table(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: is not valid TOML: {error}") from error
    tool = document.get("tool")
    if not isinstance(tool, dict) or "actlint" not in tool:
        return None
    table = tool["actlint"]
    if not isinstance(table, dict):
        raise RunError(f"{path}: [{TABLE}] must be a table")
    return table


def _validated(table: dict[str, Any], path: Path) -> Settings:
    # Takes longer to import than everything else here, and most folders have no such table.
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    try:
        # As JSON, where strict means what it says and a table still becomes a record.
        return TypeAdapter(Settings).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "unexpected_keyword_argument":
            near = difflib.get_close_matches(key, keys(), n=1)
            guess = f"did you mean `{near[0]}`? " if near else ""
            allowed = ", ".join(keys())
            message = f"unknown key `{key}` in [{TABLE}]; {guess}allowed: {allowed}"
        else:
            reason = problem["msg"][:1].lower() + problem["msg"][1:]
            message = f"`{key}` in [{TABLE}]: {reason}"
        raise RunError(f"{path}: {message}") from error
