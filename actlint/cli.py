"""The command line. Heavy parts are imported when a command needs them, not before."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from actlint import terminal
from actlint.defaults import (
    MAX_SAMPLES,
    MAX_SEED,
    MAX_TIMEOUT,
    MAX_WORKERS,
    SAMPLES,
    SEED,
    TIMEOUT,
    WORKERS,
)
from actlint.errors import RunError
from actlint.findings import Severity
from actlint.report import OutputFormat
from actlint.version import VERSION

# Exit status of a run that failed, and of one that was interrupted (128 + SIGINT).
FAILED = 2
INTERRUPTED = 130


class RuleFormat(StrEnum):
    """The formats of ``actlint rule``."""

    FULL = "full"
    JSON = "json"
    MARKDOWN = "markdown"


class FloatType(StrEnum):
    """The dtypes that training computes in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class _DefaultCheck(TyperGroup):
    """A group whose first word, if it is no subcommand, belongs to `check`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `check` before the words of the command line that lack a subcommand."""
        if args and args[0] not in self.commands and args[0] not in {"--help", "-h", "--version"}:
            args = ["check", *args]
        return super().parse_args(ctx, args)


class _Command(TyperCommand):
    """A command whose help names arguments as its usage does, without their Python types."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of arguments and of options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and param.param_type_name == "argument":
                sections["Arguments"].append((" ".join(param.get_usage_pieces(ctx)), record[1]))
            elif record is not None:
                sections["Options"].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


app = typer.Typer(
    cls=_DefaultCheck,
    add_completion=False,
    subcommand_metavar="<COMMAND>",
    rich_markup_mode=None,  # plain help: rich's takes longer to import than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line; never ends in a traceback."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What nohup ignores stays ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        app(prog_name="actlint")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # a defect of ours is one line for the user
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        terminal.say(f"internal error at {place}: {type(error).__name__}: {error}")
        sys.exit(FAILED)


def _end(number: int, _frame: FrameType | None) -> None:
    """End as if by the signal, but let the worker and its folder be cleared away."""
    sys.exit(128 + number)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.write(f"actlint {VERSION}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Find, and prove with TensorFlow, what keeps an activation or loss from learning.

    `actlint PATH...` is the same as `actlint check PATH...`.
    """
    if context.invoked_subcommand is None and not version:
        terminal.write(context.get_help() + "\n")
        raise typer.Exit(FAILED)


@app.command(cls=_Command)
def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files and folders to lint, or `-` for standard input.  [default: .]",
        ),
    ] = None,
    *,
    no_confirm: Annotated[
        bool, typer.Option("--no-confirm", help="Static analysis only, without TensorFlow.")
    ] = False,
    fix: Annotated[
        bool | None,
        typer.Option("--fix/--no-fix", help="Write safe fixes, each proved, into the files."),
    ] = None,
    unsafe_fixes: Annotated[
        bool | None,
        typer.Option(
            "--unsafe-fixes/--no-unsafe-fixes",
            help="Fixes that change values or gradients, too.",
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what --fix would change, and write nothing.")
    ] = False,
    output_format: Annotated[
        OutputFormat, typer.Option(help="How findings are shown.")
    ] = OutputFormat.FULL,
    output_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the report to this file.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="RULES", help="Codes, prefixes or names; only these rules."),
    ] = None,
    extend_select: Annotated[
        list[str] | None, typer.Option(metavar="RULES", help="These rules too.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="RULES", help="Not these rules.")
    ] = None,
    require_confirmed: Annotated[
        bool | None,
        typer.Option(
            "--require-confirmed/--no-require-confirmed",
            help="Show and count confirmed findings only.",
        ),
    ] = None,
    min_severity: Annotated[
        Severity | None,
        typer.Option(help="Show and count findings that are at least as bad; info if not given."),
    ] = None,
    show_refuted: Annotated[
        bool, typer.Option("--show-refuted", help="Show refuted suspects too; they never count.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=MAX_SEED, help=f"Seed of the samples, {SEED} unless given."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MAX_SAMPLES,
            help=f"Samples for each excerpt, {SAMPLES} unless given.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help=f"Limit for each excerpt, {TIMEOUT:g} unless given."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MAX_WORKERS,
            help=f"TensorFlow processes at most; one for each processor, up to {WORKERS}, unless "
            "given.",
        ),
    ] = None,
    dtype: Annotated[
        FloatType | None,
        typer.Option(
            help="What activations, layers and losses of one's own compute in, unless given "
            "what the source sets."
        ),
    ] = None,
    cache_dir: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            envvar="ACTLINT_CACHE_DIR",
            show_envvar=False,
            help="Where the answers of earlier runs are kept; $ACTLINT_CACHE_DIR says so, too.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", "-n", help="Run every excerpt anew; keep no answers.")
    ] = False,
    stdin_filename: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the standard input.")
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Status 0 even with findings.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Counts by rule instead of findings.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Findings only: no progress, no counts.")
    ] = False,
) -> None:
    """Lint files and folders, and confirm every suspect with TensorFlow."""
    if timeout is not None and not 0 < timeout <= MAX_TIMEOUT:
        message = f"{timeout} is not a positive number of at most {MAX_TIMEOUT:g}."
        raise typer.BadParameter(message, param_hint="--timeout")
    if no_confirm and (fix or diff):
        raise typer.BadParameter(
            "fixes are proved with TensorFlow before they are offered; leave out --no-confirm.",
            param_hint="--fix" if fix else "--diff",
        )
    with _failures():
        from actlint import checking  # noqa: PLC0415 - help and version need none of it

        request = checking.Request(
            paths=tuple(paths or ()),
            confirm=not no_confirm,
            output_format=output_format,
            output_file=output_file,
            select=None if select is None else _words(select),
            extend_select=_words(extend_select),
            ignore=_words(ignore),
            require_confirmed=require_confirmed,
            min_severity=min_severity,
            show_refuted=show_refuted,
            seed=seed,
            samples=samples,
            timeout=timeout,
            workers=workers,
            dtype=None if dtype is None else dtype.value,
            cache_dir=cache_dir,
            no_cache=no_cache,
            stdin_filename=stdin_filename,
            exit_zero=exit_zero,
            statistics=statistics,
            quiet=quiet,
            fix=fix,
            unsafe_fixes=unsafe_fixes,
            diff=diff,
        )
        raise typer.Exit(checking.run(request))


@app.command(cls=_Command)
def rule(
    word: Annotated[
        str | None, typer.Argument(metavar="RULE", help="Code or name of the rule to explain.")
    ] = None,
    output_format: Annotated[
        RuleFormat, typer.Option(help="How rules are shown.")
    ] = RuleFormat.FULL,
) -> None:
    """List the rules, or explain one of them."""
    with _failures():
        from actlint import catalogue  # noqa: PLC0415 - rules are loaded for this command
        from actlint.report import handbook, rulepage  # noqa: PLC0415 - rich draws them

        rules = catalogue.load()
        chosen = rules if word is None else (catalogue.find(rules, word),)
        style = terminal.style_of(sys.stdout, os.environ)
        if output_format is RuleFormat.JSON:
            terminal.write(rulepage.as_json(chosen))
        elif output_format is RuleFormat.MARKDOWN:
            terminal.write(handbook.render(chosen))
        elif word is None:
            terminal.write(rulepage.listing(chosen, style))
        else:
            terminal.write(rulepage.page(chosen[0], style))


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what ends a run into its exit status."""
    try:
        yield
    except RunError as error:
        terminal.say(f"error: {error}")
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


def _words(values: Sequence[str] | None) -> tuple[str, ...]:
    """Split repeated, comma-separated options."""
    words = (word.strip() for value in values or () for word in value.split(","))
    return tuple(word for word in words if word)
