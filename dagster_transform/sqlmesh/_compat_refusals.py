"""Private parts of SQLMesh that say whose fault a refusal is, each with a contract test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_apart(scheduler: Any) -> Iterator[dict[str, BaseException]]:
    """Let no signal that raises an error take the others' models with it.

    SQLMesh asks the signals of one model after the other, and its first error ends everything.
    Meanwhile, a model whose signal raises has no interval that is ready.

    Args:
        scheduler: A SQLMesh Scheduler that is asked for batches in the body.

    Yields:
        What signals have raised until now, by the model's fully qualified name.
    """
    raised: dict[str, BaseException] = {}
    ask = scheduler._check_ready_intervals

    def ask_apart(snapshot: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return ask(snapshot, *args, **kwargs)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - signals raise what they like
            scheduler.console.stop_signal_progress()
            raised[snapshot.name] = error
            return []

    scheduler._check_ready_intervals = ask_apart
    try:
        yield raised
    finally:
        del scheduler._check_ready_intervals


@contextmanager
def forbidden_changes(builder: Any) -> Iterator[list[tuple[str, str]]]:
    """Hear which models make SQLMesh refuse a plan, which its error does not say.

    Args:
        builder: A SQLMesh PlanBuilder whose plan is built in the body.

    Yields:
        What it tells its console until then: the model's fully qualified name, and `destructive` or
        `additive`.
    """
    found: list[tuple[str, str]] = []
    console = builder._console
    builder._console = _HearingConsole(console, found)
    try:
        yield found
    finally:
        builder._console = console


class _HearingConsole:
    """A console that also notes the forbidden changes that it is told."""

    def __init__(self, console: Any, found: list[tuple[str, str]]) -> None:
        self._console = console
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)

    def log_destructive_change(self, snapshot_name: str, *args: Any, **kwargs: Any) -> None:
        self._note(snapshot_name, "destructive", **kwargs)
        self._console.log_destructive_change(snapshot_name, *args, **kwargs)

    def log_additive_change(self, snapshot_name: str, *args: Any, **kwargs: Any) -> None:
        self._note(snapshot_name, "additive", **kwargs)
        self._console.log_additive_change(snapshot_name, *args, **kwargs)

    def _note(self, snapshot_name: str, kind: str, *, error: bool = True) -> None:
        if error:
            self._found.append((snapshot_name, kind))
