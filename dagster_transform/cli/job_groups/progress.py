"""A bar for work that takes more than a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_AFTER = 1.0
"""Seconds that something may take without a word."""


@contextmanager
def steps(console: Console, number: int) -> Iterator[Callable[[str], None]]:
    """Shows how far work has come that takes longer than a second, where there is a terminal.

    Args:
        console: Where it is shown.
        number: How many steps there are.

    Yields:
        What is called with a step's name when it begins.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = progress.add_task("", total=number, completed=-1)
    ended, lock = False, Lock()

    def show() -> None:
        with lock:
            if not ended:
                progress.start()

    timer = Timer(_AFTER, show)
    timer.daemon = True
    if console.is_terminal:
        timer.start()
    try:
        yield lambda name: progress.update(task, description=name, advance=1)
    finally:
        timer.cancel()
        with lock:
            ended = True
        if progress.live.is_started:  # else it would print an empty line
            progress.stop()
