"""What Dagster's run queue is told, against what transform.yaml says of concurrency tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dagster_transform.graph.counts import counted
from dagster_transform.planning.findings.values import Code, Finding, Severity

_WHERE = "dagster.yaml"
_OURS = "dagster_transform/concurrency."


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The limits of a run queue.

    Attributes:
        runs: How many runs there may be at once; below 0: any number.
        tags: How many of them may have a tag, by the tag's key; those for one value of a tag only
            are not in it.
    """

    runs: int
    tags: Mapping[str, int]


def queue_findings(limits: QueueLimits, tags: Iterable[tuple[str, int, str]]) -> list[Finding]:
    """A finding for each limit that disagrees with a concurrency tag.

    Args:
        limits: Of the queue.
        tags: The concurrency tags: name, slots, and the key of the tag that runs have for it.
    """
    known = {key: (name, slots) for name, slots, key in tags}
    found = [_nothing_starts()] if limits.runs == 0 else []
    for key, limit in sorted(limits.tags.items()):
        if key in known:
            name, slots = known[key]
            if limit < slots:
                found.append(_disagrees(key, limit, name, slots))
        elif key.startswith(_OURS):
            found.append(_unknown(key, limit))
    return found


def _nothing_starts() -> Finding:
    return Finding(
        Code.QUEUE_LIMIT_DISAGREES,
        Severity.ERROR,
        what="The run queue starts no run: max_concurrent_runs is 0.",
        cause="Every run stays queued.",
        remedy="Set it to 1 or more, or to -1 for any number.",
        where=_WHERE,
    )


def _disagrees(key: str, limit: int, name: str, slots: int) -> Finding:
    return Finding(
        Code.QUEUE_LIMIT_DISAGREES,
        Severity.WARNING,
        what=f"The run queue lets {counted(limit, 'run')} have the tag {key}; the concurrency tag "
        f"{name} has {counted(slots, 'slot')}.",
        cause="The queue counts runs and the tag counts nodes: fewer runs than slots are started, "
        "and slots stay empty.",
        remedy=f"Set the limit to {slots} or more, or leave it out: the slots hold without it.",
        where=_WHERE,
    )


def _unknown(key: str, limit: int) -> Finding:
    return Finding(
        Code.QUEUE_LIMIT_DISAGREES,
        Severity.WARNING,
        what=f"The run queue has a limit of {limit} for the tag {key}, and transform.yaml has no "
        "such concurrency tag.",
        cause="No run has that tag, so nothing is limited: the concurrency tag was renamed or "
        "removed.",
        remedy="Name it as transform.yaml does under `tags`, or leave the limit out.",
        where=_WHERE,
    )
