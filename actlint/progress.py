"""The progress bar."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

# Called with the name of the stage, the steps done and the steps in all.
OnProgress = Callable[[str, int, int], None]


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[OnProgress | None]:
    """Show a bar on standard error while a person is looking, else yield None."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - most runs are watched by nobody
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def step(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield step
