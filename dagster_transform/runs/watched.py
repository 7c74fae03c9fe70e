"""A run whose events somebody looks at while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.summary import RunSummary


def watched(
    run: Generator[RunEvent, None, RunSummary], see: Callable[[RunEvent], None]
) -> Generator[RunEvent, None, RunSummary]:
    """The run, its events unchanged.

    Args:
        run: The run; closed with this one.
        see: Is shown each event before it is passed on.
    """
    with closing(run):
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                summary: RunSummary = end.value
                return summary
            see(event)
            yield event
