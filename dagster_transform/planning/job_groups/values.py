"""What a plan of job groups is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

from dagster_transform.graph import NodeId
from dagster_transform.planning.cron import Cron

JobGroupName = NewType("JobGroupName", str)
"""Letters, digits and underscores, not beginning with a digit: schedules are named after it."""


class MergeCadences(str, Enum):
    """When nodes of a coarser cadence go into a group of a finer one, whose ticks cover theirs."""

    NEVER = "never"
    NEEDED = "needed"
    """Where there would be more than `max_job_groups` otherwise, least harm first."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class JobGroupSettings:
    """What people want of job groups.

    Attributes:
        max_job_groups: How many groups there are at most.
        smallest: Nodes that a group should have at least, where it may be made of parts that do not
            depend on each other.
        largest: Nodes that it has at most; None: as many as there are.
        merge_cadences: When cadences share a group.
        keep_apart: Nodes that differ in one of these share no group: `project`, `schema`, `owner`,
            or `tag:<pattern>` (which have the tag, and which have not; `*` stands for any text).
        pinned: The group of nodes that people have placed by hand.
        reserved: Names that no group can have.
    """

    max_job_groups: int = 20
    smallest: int = 10
    largest: int | None = None
    merge_cadences: MergeCadences = MergeCadences.NEEDED
    keep_apart: tuple[str, ...] = ()
    pinned: Mapping[NodeId, JobGroupName] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()

    def is_reserved(self, name: str) -> bool:
        """Whether Dagster has a job or an op of this name already, or keeps it for itself."""
        return name in self.reserved or name.startswith("__")


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Nodes that one schedule launches together, each when it is due itself.

    Attributes:
        name: Unique in its plan; survives regeneration, whatever its nodes.
        cron: When it ticks: the ticks of each of its nodes are among its own.
        nodes: In the order of the graph: each after what it reads.
        depends_on: Names of the groups that its nodes read directly, sorted.
        seconds: Expected duration of a run of all its nodes: its longest chain.
        reason: Why these nodes are together and apart from others, in words.
        description: For people; "" is none.
        tags: Of its runs in Dagster.
        owners: Who is told of its failures.
        max_concurrent_models: How many nodes a run of it builds at a time; None: as everywhere.
        checks: When its checks run: a word as in transform.yaml's `checks`; None: as there.
    """

    name: JobGroupName
    cron: Cron
    nodes: tuple[NodeId, ...]
    depends_on: tuple[JobGroupName, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    owners: tuple[str, ...] = ()
    max_concurrent_models: int | None = None
    checks: str | None = None


@dataclass(frozen=True, slots=True)
class JobGroupPlan:
    """How a graph is split.

    Attributes:
        groups: Each after those that it depends on.
        crons: The cron of each scheduled node, clamped to the minimum cadence.
        unscheduled: Nodes in no group, and why, in words.
        warnings: What people should know before they use it, in words.
    """

    groups: tuple[JobGroup, ...]
    crons: Mapping[NodeId, Cron]
    unscheduled: Mapping[NodeId, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def group_of(self) -> dict[NodeId, JobGroup]:
        """The group of each node that is in one."""
        return {node_id: group for group in self.groups for node_id in group.nodes}
