"""Other assets of the code location that nodes of job groups read: Python assets, mostly."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

import dagster as dg

from dagster_transform.dagster._compat import last_materialized
from dagster_transform.dagster._compat_jobs import LocationAssets, checks_of, whole
from dagster_transform.dagster._compat_schedules import location_of
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.graph import Graph, InputId, NodeId
from dagster_transform.planning.situation import AssetPath, ReadAsset, ReadAssets


@dataclass(frozen=True, slots=True)
class OtherAssets:
    """What nodes read that is no node's, and what a run has to know that takes it along.

    Attributes:
        read_by: By node of job groups, the other assets that it reads, directly or through nodes
            that nobody schedules; not in it are nodes that read none.
        above: Of those that go along, the other assets that they read; the rest is waited for.
        nodes: Of those that go along, the nodes of job groups that they read.
        repository: Of the code location.
    """

    read_by: Mapping[NodeId, Collection[dg.AssetKey]] = field(default_factory=dict)
    above: Mapping[dg.AssetKey, Collection[dg.AssetKey]] = field(default_factory=dict)
    nodes: Mapping[dg.AssetKey, tuple[NodeId, ...]] = field(default_factory=dict)
    repository: dg.RepositoryDefinition | None = None

    @classmethod
    def of(
        cls,
        assets: LocationAssets,
        graph: Graph,
        keys: Keys,
        scheduled: Collection[NodeId],
        *,
        go_along: bool,
        repository: dg.RepositoryDefinition | None = None,
    ) -> OtherAssets:
        """What nodes read.

        Args:
            assets: Those of the code location.
            graph: Of the nodes.
            keys: Of the graph.
            scheduled: The nodes of job groups.
            go_along: Whether they go along with nodes, as far as they can: what has partitions can
                not, for a run of a job group is of none.
            repository: Of the code location.
        """
        known = assets.materializable_asset_keys - keys.nodes.keys()

        def stops(id: InputId) -> bool:
            return id in scheduled or (not graph.is_node(id) and keys.assets[id] in known)

        nearest = graph.nearest_upstream(stops)
        read_by = {
            node: found
            for node in scheduled
            if (found := {keys.assets[id] for id in nearest[node] if not graph.is_node(id)})
        }
        above: dict[dg.AssetKey, set[dg.AssetKey]] = {}
        nodes: dict[dg.AssetKey, tuple[NodeId, ...]] = {}
        left = sorted({key for found in read_by.values() for key in found}) if go_along else []
        while left:
            key = left.pop()
            if key in above:
                continue
            together = assets.get(key).execution_set_asset_keys
            if any(assets.get(each).is_partitioned for each in together):
                continue
            reads = {parent for each in together for parent in assets.get(each).parent_keys}
            above[key] = (reads & known) - together
            left += sorted(above[key])
            found_nodes: dict[NodeId, None] = {}
            for id in (keys.nodes[parent] for parent in sorted(reads) if parent in keys.nodes):
                of_node = [id] if id in scheduled else nearest[id]
                found_nodes.update(dict.fromkeys(filter(graph.is_node, of_node)))
            nodes[key] = tuple(found_nodes)
        return cls(read_by, above, nodes, repository)

    def along(self, nodes: Iterable[NodeId]) -> list[dg.AssetKey]:
        """All that may go along with nodes, with what is materialised only together with it;
        sorted."""
        found: set[dg.AssetKey] = set()
        left = [key for node in nodes for key in self.read_by.get(node, ())]
        while left:
            key = left.pop()
            if key in self.above and key not in found:
                found.add(key)
                left += self.above[key]
        return sorted(found)

    def below(self, keys: Collection[dg.AssetKey]) -> list[NodeId]:
        """The nodes that read one of these, directly or through others that go along."""
        wanted = set(keys)
        return [node for node in self.read_by if wanted.intersection(self.along([node]))]

    def failed_in(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.AssetKey]:
        """Those of a run that went along and have failed; none where its process has died. A
        query where any went along."""
        went = sorted(self.above.keys() & (run.asset_selection or ()))
        if not went:
            return []
        kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_MATERIALIZATION}
        found = instance.get_records_for_run(run.run_id, of_type=kinds).records
        events = [each.event_log_entry.dagster_event for each in found]
        if not any(event is not None and event.is_step_failure for event in events):
            return []
        done = {event.asset_key for event in events if event is not None and event.asset_key}
        return [key for key in went if key not in done]

    def selected(
        self, along: Iterable[AssetPath]
    ) -> tuple[list[dg.AssetKey], list[dg.AssetCheckKey]]:
        """What a run selects that takes some along: with what is materialised only together with
        them, and their checks.

        Args:
            along: Their keys' parts.
        """
        keys = [dg.AssetKey(path) for path in along]
        if not keys or self.repository is None:
            return [], []
        assets = self.repository.asset_graph
        every = sorted(whole(assets, keys))
        return every, checks_of(assets, every)

    def read(
        self,
        instance: dg.DagsterInstance,
        *,
        location: str = "",
        under_way: Iterable[dg.RunRecord] = (),
        asked: Mapping[NodeId, str] | None = None,
    ) -> ReadAssets:
        """What is known of them; a query for 500 of them, none where there are none.

        Args:
            instance: Dagster's.
            location: The code location.
            under_way: The runs that have not ended, read before.
            asked: Nodes of which a run was asked for that has not appeared yet, and by whom, in
                words.
        """
        if not self.read_by:
            return {}
        every = {key for keys in self.read_by.values() for key in keys}
        every = every.union(*self.above.values())
        built = last_materialized(instance, sorted(every))
        made_by = self._made_by(location, under_way, built, asked or {})
        found: dict[dg.AssetKey, ReadAsset] = {}
        left = sorted(every)
        while left:
            key = left[-1]
            missing = [each for each in self.above.get(key, ()) if each not in found]
            if missing and key not in found:
                left += missing
                continue
            left.pop()
            at = built.get(key)
            found[key] = ReadAsset(
                tuple(key.path),
                datetime.fromtimestamp(at, timezone.utc) if at is not None else None,
                goes_along=key in self.above,
                made_by=made_by.get(key, ""),
                assets=tuple(found[each] for each in sorted(self.above.get(key, ()))),
                nodes=self.nodes.get(key, ()),
            )
        return {
            node: tuple(found[key] for key in sorted(keys)) for node, keys in self.read_by.items()
        }

    def _made_by(
        self,
        location: str,
        under_way: Iterable[dg.RunRecord],
        built: Mapping[dg.AssetKey, float],
        asked: Mapping[NodeId, str],
    ) -> dict[dg.AssetKey, str]:
        """Who is about to materialise what goes along, in words."""
        made_by: dict[dg.AssetKey, str] = {}
        if not self.above:
            return made_by
        for record in under_way:
            run, began = record.dagster_run, record.start_time
            if location_of(run) not in (None, location):
                continue
            for key in self._selected(run) & self.above.keys():
                if began is None or built.get(key, 0.0) < began:
                    made_by[key] = f"which run {run.run_id} is to materialise"
        for node, words in asked.items():
            for key in self.along([node]):
                made_by.setdefault(key, words)
        return made_by

    def _selected(self, run: dg.DagsterRun) -> set[dg.AssetKey]:
        """What a run is to materialise."""
        if run.asset_selection is not None:
            return set(run.asset_selection)
        if self.repository is None or not self.repository.has_job(run.job_name):
            return set()
        return set(self.repository.get_job(run.job_name).asset_layer.executable_asset_keys)
