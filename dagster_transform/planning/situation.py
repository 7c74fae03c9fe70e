"""What is known at a moment of the nodes that job groups launch, and what is in a node's way. Pure.

Schedules and the transform's sensor read it once, as a whole, and decide from it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from dagster_transform.graph import Graph, NodeId, UnitId
from dagster_transform.planning.concurrency_tags import tags_of
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.values import JobGroupName, JobGroupPlan

NO_LIMITS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a node's table.

    Attributes:
        run_id: The run; of a pause, who has paused.
        since: Aware.
        reason: In words; "" is none.
        paused: Whether a person has paused it.
    """

    run_id: str
    since: datetime
    reason: str = ""
    paused: bool = False

    def in_words(self) -> str:
        """`held by run ... since ...`."""
        why = f" ({self.reason})" if self.reason else ""
        who = self.run_id or "somebody"
        since = f"since {minute(self.since)}"
        return f"paused by {who} {since}{why}" if self.paused else f"held by run {who} {since}{why}"


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that has not ended, of a node that it has not built yet.

    Attributes:
        run_id: The run.
        since: When it was created, aware.
        tick: The tick that it answers for, the first one where there are several, aware; None: a
            person has launched it.
    """

    run_id: str
    since: datetime
    tick: datetime | None = None

    def in_words(self) -> str:
        """`held by run ... since ...`."""
        return f"held by run {self.run_id} since {minute(self.since)}"


AssetPath: TypeAlias = tuple[str, ...]
"""The parts of an asset key."""


@dataclass(frozen=True, slots=True)
class ReadAsset:
    """Another asset of the code location that a node reads: nobody knows when it is due.

    Attributes:
        key: Its key's parts.
        built_at: When it was last materialised, aware; None: never.
        goes_along: Whether a run that builds the node materialises it before, where that has not
            happened since the node's tick; else somebody else does, and is waited for.
        made_by: Who is about to materialise it ("which run ... is to materialise"); "": nobody is
            known to be.
        assets: Of one that goes along, such assets that it reads itself.
        nodes: Of one that goes along, the nodes of job groups that it reads, directly or through
            nodes that nobody schedules.
    """

    key: AssetPath
    built_at: datetime | None
    goes_along: bool = False
    made_by: str = ""
    assets: tuple[ReadAsset, ...] = ()
    nodes: tuple[NodeId, ...] = ()

    @property
    def name(self) -> str:
        """Its key, as people read it."""
        return "/".join(self.key)


ReadAssets: TypeAlias = Mapping[NodeId, tuple[ReadAsset, ...]]
"""By node, other assets of the code location that it reads."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The nodes of job groups, as ticks see them.

    Attributes:
        groups: By node, its group.
        crons: By node, its cron.
        reads: By node, the nodes of job groups that it reads, directly or through nodes that nobody
            schedules.
        order: All of them, each after what it reads.
        called: What people call a node.
        tags: By node, the concurrency tags that it has; not in it are nodes without.
        limits: How many slots each of those has.
    """

    groups: Mapping[NodeId, JobGroupName]
    crons: Mapping[NodeId, Cron]
    reads: Mapping[NodeId, tuple[NodeId, ...]]
    order: tuple[NodeId, ...]
    called: Callable[[UnitId], str] = field(compare=False)
    tags: Mapping[NodeId, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: JobGroupPlan,
        graph: Graph,
        called: Callable[[UnitId], str],
        limits: Mapping[str, int] = NO_LIMITS,
    ) -> Scheduled:
        """The nodes of a plan.

        Args:
            plan: The job groups.
            graph: Of their nodes.
            called: What people call a node.
            limits: How many slots each concurrency tag has.
        """
        groups = {node: group.name for node, group in plan.group_of().items()}
        above = graph.nearest_upstream(groups.__contains__)
        order = tuple(node for node in graph.order if node in groups)
        return cls(
            groups=groups,
            crons={node: plan.crons[node] for node in order},
            reads={node: tuple(filter(graph.is_node, above[node])) for node in order},
            order=order,
            called=called,
            tags={n: tags for n in order if (tags := tags_of(graph.nodes[n], limits))},
            limits=limits,
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known at a moment.

    Attributes:
        holds: By node, who holds its table.
        under_way: By node, the runs under way that are still to build it.
        pending: By node, the ticks (aware) that are still owed a run: it could not go, or its run
            was asked for and has not appeared yet.
        launched_until: Of each job group whose schedule is on, up to when its ticks have been
            evaluated, aware.
        read_assets: By node, other assets of the code location that it reads, and that it waits for
            or that go along with it.
    """

    holds: Mapping[NodeId, Hold] = field(default_factory=dict)
    under_way: Mapping[NodeId, tuple[UnderWay, ...]] = field(default_factory=dict)
    pending: Mapping[NodeId, tuple[datetime, ...]] = field(default_factory=dict)
    launched_until: Mapping[JobGroupName, datetime] = field(default_factory=dict)
    read_assets: ReadAssets = field(default_factory=dict)

    def held(self, node: NodeId, *, by_runs_to_come: bool = True) -> str | None:
        """Who holds a node's table or has paused it, in words; None: nobody.

        Args:
            node: The node.
            by_runs_to_come: Whether a run holds it, too, that is under way and will only get to it.
        """
        if (hold := self.holds.get(node)) is not None:
            return hold.in_words()
        runs = self.under_way.get(node) if by_runs_to_come else None
        return runs[0].in_words() if runs else None


def minute(moment: datetime) -> str:
    """A moment in UTC, as reasons say it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
