"""Dagster's side of the ports of a run: what its instance knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.claims import RunId
from dagster_transform.dagster._compat import (
    last_evaluations,
    last_materialized,
    last_materializing_runs,
    runs_left_open,
)
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.dagster.translation.metadata import CODE_VERSION
from dagster_transform.graph import CheckId, NodeId
from dagster_transform.runs.earlier_failures import LastResult


class InstanceRecords:
    """See `runs.ports.RunRecords` for the contract.

    Args:
        instance: Dagster's instance.
        keys: Keys of the nodes and checks; None: nobody asks for any.
    """

    def __init__(self, instance: dg.DagsterInstance, keys: Keys | None = None) -> None:
        self._instance = instance
        self._keys = {} if keys is None else keys.assets
        self._checks = {} if keys is None else keys.checks

    def has_ended(self, run_id: RunId, /) -> bool:
        """Whether Dagster says so; it may not know the run."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        """When assets were last materialised; one query."""
        known = last_materialized(self._instance, [self._keys[node] for node in nodes])
        return {node: known[self._keys[node]] for node in nodes if self._keys[node] in known}

    def left_unjudged(self, nodes: Collection[NodeId], /) -> Collection[NodeId]:
        """Those that were last materialised without a run, or by one that was killed, or is not
        done yet; a query for 500 nodes, one for the runs, and one for each that did not succeed."""
        runs = last_materializing_runs(self._instance, [self._keys[node] for node in nodes])
        left = {None, *runs_left_open(self._instance, {run for run in runs.values() if run})}
        return [n for n in nodes if self._keys[n] in runs and runs[self._keys[n]] in left]

    def last_results(self, checks: Collection[CheckId], /) -> Mapping[CheckId, LastResult]:
        """The latest evaluations: a query for many, two more for each that is planned again."""
        asked = {self._checks[check]: check for check in checks if check in self._checks}
        return {
            asked[key]: LastResult(
                failed=not found.passed and found.severity is dg.AssetCheckSeverity.ERROR,
                at=datetime.fromtimestamp(at, timezone.utc),
                run_id=RunId(run_id),
                code_version=_text(found.metadata.get(CODE_VERSION)),
            )
            for key, (found, at, run_id) in last_evaluations(self._instance, list(asked)).items()
        }


def _text(value: dg.MetadataValue[Any] | None) -> str | None:
    return None if value is None else str(value.value)
