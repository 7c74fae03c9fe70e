"""Dagster's side of the ports of a run: what its instance knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg

from dagster_transform.claims import RunId
from dagster_transform.dagster._compat import last_materialized
from dagster_transform.graph import InputId, NodeId


class InstanceRecords:
    """See `runs.ports.RunRecords` for the contract.

    Args:
        instance: Dagster's instance.
        keys: Asset keys of the nodes.
    """

    def __init__(self, instance: dg.DagsterInstance, keys: Mapping[InputId, dg.AssetKey]) -> None:
        self._instance = instance
        self._keys = keys

    def has_ended(self, run_id: RunId, /) -> bool:
        """Whether Dagster says so; it may not know the run."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        """When assets were last materialised; one query."""
        known = last_materialized(self._instance, [self._keys[node] for node in nodes])
        return {node: known[self._keys[node]] for node in nodes if self._keys[node] in known}
