"""What becomes of a run that is interrupted: a person cancels it in Dagster, say."""

from __future__ import annotations

from dagster_transform.runs.log_lines import LogLines
from dagster_transform.runs.ports import EventSink
from dagster_transform.runs.settling import Settling
from dagster_transform.walk import Walk


def store_the_rest(walk: Walk, settling: Settling, lines: LogLines, sink: EventSink) -> None:
    """Cancel what runs, and store what became of everything.

    Nobody takes results any more, but events are still stored.
    """
    for walk_event in walk.cancel():
        lines.event(walk_event)
        for event in settling.after(walk_event):
            sink.store(event)
    for event in settling.end():
        sink.store(event)
