"""Bars on standard error for what takes long, for as long as a person looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from provisioning.cli.printing import err


@contextmanager
def bar(what: str, *, total: int | None = None, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar that is told how many more are done; ``total`` None: nobody knows yet of how many."""
    if not (shown and err.is_terminal):
        yield lambda _more: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)
