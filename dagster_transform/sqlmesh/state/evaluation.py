"""What evaluating a version of a model takes, besides the version itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all nodes of one run share while they are built and audited.

    Attributes:
        scheduler: SQLMesh's Scheduler over the snapshots of this run and their ancestors.
        deployability: SQLMesh's DeployabilityIndex.
        naming: SQLMesh's EnvironmentNamingInfo.
        execution_time: Epoch milliseconds.
        evaluate_kwargs: Further keyword arguments of SQLMesh's `SnapshotEvaluator.evaluate`.
        shared: Names of the snapshots of a development environment whose tables are production's.
    """

    scheduler: Any
    deployability: Any
    naming: Any
    execution_time: int
    evaluate_kwargs: Mapping[str, Any] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()

    @property
    def by_name(self) -> Mapping[str, Any]:
        """The scheduler's snapshots by fully qualified name."""
        found: Mapping[str, Any] = self.scheduler.snapshots_by_name
        return found

    @property
    def evaluator(self) -> Any:
        """SQLMesh's SnapshotEvaluator."""
        return self.scheduler.snapshot_evaluator

    def adapter_of(self, snapshot: Any) -> Any:
        """The engine adapter of the gateway through which a model is built."""
        return self.evaluator.get_adapter(snapshot.model_gateway)

    def is_deployable(self, snapshot: Any) -> bool:
        """Whether what this environment builds of a model may become production's."""
        return bool(self.deployability.is_deployable(snapshot))

    def is_productions(self, snapshot: Any) -> bool:
        """Whether readers of a development environment see production's table of a model, while
        building it here would write another one, which nobody reads.

        So it is with indirect non-breaking changes, and with versions of forward-only models that
        production has. SQLMesh builds that other table again and again (its issue 5793), since
        what is recorded of it does not count.
        """
        index = self.deployability
        return bool(index.is_representative(snapshot) and not index.is_deployable(snapshot))

    def physical_table(self, snapshot: Any) -> str:
        """The table that building a model writes."""
        return str(snapshot.table_name(is_deployable=self.is_deployable(snapshot)))

    def intervals_of(self, snapshot: Any) -> list[Interval]:
        """What is recorded as built, of the table that this environment has of a model."""
        representative = self.deployability.is_representative(snapshot)
        return list(snapshot.intervals if representative else snapshot.dev_intervals)
