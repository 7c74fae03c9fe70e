"""What was done outside of Dagster, as events of no run: each once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.claims import Holder, OwnerKind, Store
from dagster_transform.dagster._compat_schedules import location_of, runs_under_way
from dagster_transform.dagster._compat_synced import last_told
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.translation.metadata import OUTCOME, REASON
from dagster_transform.graph import NodeId
from dagster_transform.planning import ResourceKey
from dagster_transform.planning.outside_work import ToTell, to_tell
from dagster_transform.planning.resource_keys import table_of

BUILT_AT = "dagster_transform/built_at"


@dataclass(frozen=True, slots=True)
class ProjectNodes:
    """The nodes of one project, as the code location has loaded them.

    Attributes:
        transform: The graph, and its keys.
        by_reference: The nodes, by their framework's own unique names.
    """

    transform: Transform
    by_reference: Mapping[str, NodeId]

    @classmethod
    def of(cls, transform: Transform, project: str) -> ProjectNodes:
        """Those of a project; none where it can't be loaded."""
        nodes = transform.graph.nodes.values()
        return cls(transform, {n.reference: n.id for n in nodes if n.project == project})

    def busy(
        self,
        instance: dg.DagsterInstance,
        store: Store,
        location: str,
        environment: ResourceKey | None,
    ) -> set[NodeId]:
        """The nodes that runs under way may have built, and will tell of themselves; two queries.

        Args:
            instance: Dagster's.
            store: The claims store.
            location: The code location.
            environment: The project's environment, as runs claim it; None: it has none.
        """
        holders = store.holders()
        mine, keys = set(self.by_reference.values()), self.transform.keys.nodes
        found = mine & set(self._claimed(holders))
        working = {h.run_id for h in holders if h.resource_key == environment and not h.waiting}
        for record in runs_under_way(instance):
            run = record.dagster_run
            if location_of(run) not in (None, location):
                continue
            if run.asset_selection is not None:
                found |= {keys[key] for key in run.asset_selection if key in keys} & mine
            elif run.run_id in working:  # a plan, or a job that says nothing of what it selects
                found |= mine
        return found

    def _claimed(self, holders: Iterable[Holder]) -> list[NodeId]:
        # What is paused nobody of ours builds.
        held = {h.resource_key for h in holders if h.owner_kind is not OwnerKind.PERSON}
        nodes = self.transform.graph.nodes
        return [n for n in self.by_reference.values() if table_of(nodes[n]) in held]


def tell_builds(
    instance: dg.DagsterInstance,
    nodes: ProjectNodes,
    built_at: Mapping[NodeId, float],
    busy: Collection[NodeId],
    *,
    metadata: Callable[[NodeId], Mapping[str, Any]],
    by: str,
) -> ToTell[NodeId]:
    """Store a materialisation of each node that was built later than Dagster knows.

    Args:
        instance: Dagster's.
        nodes: What is loaded.
        built_at: When nodes were built, in seconds since 1970; read before `busy`.
        busy: Nodes that are left alone.
        metadata: What else is to be said of a node.
        by: What has built them, in words.

    Returns:
        What became of them.
    """
    keys = nodes.transform.keys.assets
    wanted = {keys[node]: node for node in built_at}
    known = last_told(instance, list(wanted), BUILT_AT)
    found = to_tell(built_at, {wanted[key]: at for key, at in known.items()}, busy)
    for node in found.now:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                keys[node],
                metadata={
                    OUTCOME: "synced",
                    REASON: f"built by {by}, and told by no run of this Dagster",
                    BUILT_AT: moment(built_at[node]),
                    **metadata(node),
                },
            )
        )
    return found


def moment(seconds: float) -> dg.MetadataValue[Any]:
    """A moment, from seconds since 1970."""
    return dg.MetadataValue.timestamp(datetime.fromtimestamp(seconds, timezone.utc))


def in_words(found: ToTell[Any], one: str, many: str) -> list[str]:
    """What became of it, for a log.

    Args:
        found: It.
        one: What is told, of one.
        many: Of several.
    """
    said = []
    if found.now:
        which = one if len(found.now) == 1 else many
        said.append(f"Told Dagster {len(found.now)} {which} from outside of it.")
    if found.busy:
        said.append(f"Left to the runs that have their nodes now: {len(found.busy)}.")
    if found.more:
        said.append(f"To be told at the next look: {found.more}.")
    return said
