"""Whether the groups of a job group file can be as they are: crons, ticks, circles. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice

from dagster_transform.config import ConfigProblem
from dagster_transform.config.job_group_file import JobGroupFile
from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.cron import (
    MINIMUM_CADENCE,
    Cron,
    CronError,
    clamped,
    coarsest_covering,
)
from dagster_transform.planning.job_groups.circles import Circle, circles_of, waits_of
from dagster_transform.planning.job_groups.members import Members
from dagster_transform.planning.job_groups.values import JobGroupName

_SHOWN = 10
"""How many nodes of a group are named that have one problem."""
_LOOKED_AHEAD = timedelta(days=366 * 9)
"""Between two 29ths of February there can be eight years."""
_MOST_TICKS = 120_000
"""More than a year of the least cadence: both changes of the clock are in it."""
_A_MOMENT = timedelta(seconds=1)


def crons_of(file: JobGroupFile) -> tuple[dict[JobGroupName, Cron], list[ConfigProblem]]:
    """The crons of a file's groups, and what is wrong with them. A group whose cron can't be read
    is not in there."""
    crons: dict[JobGroupName, Cron] = {}
    problems: list[ConfigProblem] = []
    for name, entry in file.entries.items():
        try:
            cron = Cron.parse(entry.cron, entry.time_zone)
        except CronError as error:
            problems.append(file.problem(name, error.cause, "cron"))
            continue
        crons[JobGroupName(name)] = cron
        if (slower := clamped(cron)) != cron:
            minutes = int(MINIMUM_CADENCE.total_seconds() // 60)
            said = (
                f"{entry.cron!r} ticks more often than every {minutes} minutes, which is the least "
                f"there is between two runs of a group: write {slower.text!r}"
            )
            problems.append(file.problem(name, said, "cron"))
    return crons, problems


def unfit_members(
    file: JobGroupFile,
    members: Members,
    graph: Graph,
    group_crons: Mapping[JobGroupName, Cron],
    node_crons: Mapping[NodeId, Cron],
    *,
    now: datetime,
) -> Iterator[ConfigProblem]:
    """Nodes that their groups would not build whenever they are due.

    Args:
        file: The file.
        members: Its groups' nodes.
        graph: The graph.
        group_crons: The crons of the groups.
        node_crons: The crons of the nodes, not faster than the least cadence.
        now: Aware; the first tick that is missed is looked for from then on.
    """
    for name, ids in members.nodes.items():
        if (cron := group_crons.get(name)) is None:
            continue
        unfit = [id for id in ids if not cron.covers(node_crons[id])]
        of_zone = [node_crons[id] for id in ids if node_crons[id].time_zone == cron.time_zone]
        right = coarsest_covering(of_zone) if unfit else None
        for id in unfit[:_SHOWN]:
            group, where = members.places[id]
            said = _unfit(graph.nodes[id].name, cron, node_crons[id], right, now)
            yield file.problem(group, said, *where)
        if len(unfit) > _SHOWN:
            more = f"and {len(unfit) - _SHOWN} more nodes that its cron does not fit"
            yield file.problem(name, more, "nodes")


def _unfit(name: str, group: Cron, node: Cron, right: Cron | None, now: datetime) -> str:
    if node.time_zone != group.time_zone:
        return (
            f"{name} is due by the time of {node.time_zone}, and the group ticks by that of "
            f"{group.time_zone}: groups have one time zone, so move the node to another"
        )
    remedy = f"give the group the cron {right.text!r}, or move the node" if right else "move it"
    missed = first_missed(group, node, now)
    when = f": the first tick that it would miss is {missed:%Y-%m-%d %H:%M} UTC" if missed else ""
    return (
        f"{name} is due by {node.text!r}, which the group's cron {group.text!r} does not have"
        f"{when}; {remedy}"
    )


def first_missed(group: Cron, node: Cron, now: datetime) -> datetime | None:
    """The first tick of a node's cron from `now` on that its group does not have; None: there is
    none in the next years."""
    for tick in islice(node.ticks(now, now + _LOOKED_AHEAD), _MOST_TICKS):
        if group.next(tick - _A_MOMENT) != tick:
            return tick
    return None


def circular(file: JobGroupFile, members: Members, graph: Graph) -> Iterator[ConfigProblem]:
    """Groups that wait for each other in a circle: no run of them could begin."""
    groups = {id: name for name, ids in members.nodes.items() for id in ids}
    for circle in circles_of(waits_of(graph, groups), tuple(members.nodes)):
        yield file.problem(circle.groups[0], _in_words(circle, graph))


def _in_words(circle: Circle, graph: Graph) -> str:
    nexts = (*circle.groups[1:], circle.groups[0])
    reads = [
        f"{graph.nodes[why.below].name} ({name}) "
        f"{'reads' if why.direct else 'is below'} {graph.nodes[why.above].name} ({above})"
        for above, name, why in zip(circle.groups, nexts, circle.why, strict=True)
    ]
    return (
        f"these groups wait for each other: {' -> '.join((*circle.groups, circle.groups[0]))}, "
        f"because {', and '.join(reads)}; move one of these nodes, or make one group of them"
    )
