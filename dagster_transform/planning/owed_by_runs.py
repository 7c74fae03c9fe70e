"""What is still owed once a run of a job group is over: what was lost with it, and what it has left
out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagster_transform.graph import NodeId
from dagster_transform.graph.counts import counted
from dagster_transform.planning.follow_up import Owed
from dagster_transform.planning.values import Outcome

MOST_ATTEMPTS = 3
"""So often what was lost with its run, or left out by it, is launched again."""
_STEPS = 100
"""So far up is looked for what has no data yet."""
_MOST = 200
"""So many of it are remembered, the nearest: some of it is built with the others."""


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run of a job group that Dagster calls failed and that has not said what it came to: its
    process has died, or another asset has failed that went along, and Dagster has left out the op.

    Attributes:
        run_id: The run.
        job_group: Its group.
        tick: The tick that it answers for, aware.
        attempt: How often what it builds was lost before.
        nodes: What it was to build.
        built: What of that is built since it was created, by this run or another.
        failed: Other assets that have failed, as people call them; none: its process has died.
        below: Nodes that read these: they are built once that is mended, as what failed is.
    """

    run_id: str
    job_group: str
    tick: datetime
    attempt: int
    nodes: Sequence[NodeId]
    built: Collection[NodeId]
    failed: Sequence[str] = ()
    below: Collection[NodeId] = ()


def lost_work(run: LostRun, now: datetime) -> tuple[tuple[Owed, ...], str | None]:
    """What is owed because a run was lost.

    Args:
        run: The run.
        now: Aware.

    Returns:
        What is owed; and why it is not launched again, where it was lost too often: nothing is owed
        then.
    """
    left = [node for node in run.nodes if node not in run.built and node not in run.below]
    if not left:
        return (), None
    if run.attempt >= MOST_ATTEMPTS:
        return (), (
            f"{counted(len(left), 'node was', 'nodes were')} lost with run {run.run_id} of job "
            f"group {run.job_group}, for the {run.attempt + 1}th time, and not launched again "
            "before the next tick"
        )
    reason = (
        f"left out by run {run.run_id}, in which {', '.join(run.failed)} failed"
        if run.failed
        else f"lost with run {run.run_id}, whose process has died"
    )
    return tuple(
        Owed(run.job_group, node, run.tick, run.attempt + 1, now, reason) for node in left
    ), None


@dataclass(frozen=True, slots=True)
class GroupRun:
    """A run of a job group that has come to its end.

    Attributes:
        job_group: Its group.
        tick: The tick that it answers for, aware.
        attempt: How often what it builds was launched before for that tick.
        began: When it began, aware.
    """

    job_group: str
    tick: datetime
    attempt: int
    began: datetime


def left_out_work(
    run: GroupRun,
    left: Mapping[NodeId, tuple[Outcome, str]],
    reads: Callable[[NodeId], Iterable[NodeId]],
    well: Collection[NodeId],
    now: datetime,
) -> tuple[Owed, ...]:
    """What is owed because a run has left it out.

    What another run or a person held is launched as soon as nobody does. What was blocked is
    launched once something that it reads and that was not well in this run has been built since;
    what waited for intervals, once anything above it has. Where there is nothing of the kind (a
    signal said no) nobody could know when, and its group's next tick tries it. What failed is not
    repeated.

    Args:
        run: The run.
        left: What it has not built, what that is instead, and why.
        reads: The nodes that a node reads and that have a cron.
        well: Nodes that the run has built, or that were up to date.
        now: Aware.

    Returns:
        What is owed; nothing where it was left out too often.
    """
    if run.attempt >= MOST_ATTEMPTS:
        return ()
    found = []
    for node, (outcome, reason) in left.items():
        awaits: tuple[NodeId, ...] = ()
        if outcome in (Outcome.BLOCKED, Outcome.WAITING):
            most = 1 if outcome is Outcome.BLOCKED else _STEPS
            awaits = tuple(above for above in _above(node, reads, most) if above not in well)
            if not awaits:
                continue
        elif outcome is not Outcome.CLAIMED:
            continue
        found.append(
            Owed(
                run.job_group,
                node,
                run.tick,
                run.attempt + 1,
                now,
                reason,
                awaits=awaits,
                began=run.began,
            )
        )
    return tuple(found)


def _above(
    node: NodeId, reads: Callable[[NodeId], Iterable[NodeId]], steps: int
) -> Iterable[NodeId]:
    """What lies so many steps above a node at most, the nearest first."""
    found: dict[NodeId, None] = {}
    edge = [node]
    for _ in range(steps):
        edge = [*dict.fromkeys(above for each in edge for above in reads(each))]
        edge = [above for above in edge if above not in found]
        if not edge or len(found) >= _MOST:
            break
        found.update(dict.fromkeys(edge))
    return [*found][:_MOST]
