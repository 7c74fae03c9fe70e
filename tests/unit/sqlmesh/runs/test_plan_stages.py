"""A plan's stages, sorted into what a run carries out before, between and after its builds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import DeployabilityIndex

from dagster_transform.sqlmesh.runs.plan_stages import PlanStages

PLAN: Any = SimpleNamespace(is_dev=False)
INDEX = DeployabilityIndex.all_deployable()


def snapshot(name: str) -> Any:
    return SimpleNamespace(name=name)


def backfill(*names: str) -> stages.BackfillStage:
    found: dict[Any, Any] = {name: [(0, 1)] for name in names}
    return stages.BackfillStage(
        snapshot_to_intervals=found,
        selected_snapshot_ids=set(),
        all_snapshots={name: snapshot(name) for name in ("a", "b", "c")},
        deployability_index=INDEX,
        before_promote=True,
    )


def bare(kind: type[Any], **fields: Any) -> Any:
    """A stage of which only some fields are looked at."""
    stage = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(stage, name, value)
    return stage


RECORD = bare(stages.EnvironmentRecordUpdateStage)
CREATE = bare(stages.CreateSnapshotRecordsStage)
TABLES = bare(stages.PhysicalLayerUpdateStage, snapshots=[snapshot("a"), snapshot("b")])
AUDITS = bare(stages.AuditOnlyRunStage, snapshots=[snapshot("b"), snapshot("c")])
CHANGES = bare(stages.MigrateSchemasStage, snapshots=[snapshot("c")])
VIEWS = bare(stages.VirtualLayerUpdateStage)


def test_tables_are_made_judged_and_changed_once_they_are_claimed() -> None:
    first = backfill("a")
    found = PlanStages.of([CREATE, TABLES, AUDITS, first, RECORD, CHANGES, VIEWS], PLAN, [])
    assert found.before == [CREATE]
    assert found.between == [TABLES, AUDITS, RECORD, CHANGES, VIEWS]
    assert found.after == []
    assert found.intervals == {"a": [(0, 1)]}
    assert found.snapshots.keys() == {"a", "b", "c"}
    assert found.second_backfill == frozenset()
    assert [s.name for s in found.made_apart()] == ["a", "b"]
    assert found.touched() == {"b": False, "c": True}  # what is judged and changed is changed


def test_forward_only_changes_are_built_after_the_environments_record() -> None:
    first, second = backfill("a"), backfill("b")
    second.selected_snapshot_ids = [snapshot("b")]  # type: ignore[assignment]
    found = PlanStages.of([CREATE, first, RECORD, CHANGES, second, VIEWS], PLAN, [])
    assert found.before == [CREATE]
    assert found.between == [RECORD, CHANGES]
    assert found.after == [VIEWS]
    assert found.second_backfill == {"b"}
    assert found.intervals == {"a": [(0, 1)], "b": [(0, 1)]}


def test_a_plan_may_have_nothing_to_build() -> None:
    found = PlanStages.of([CREATE, RECORD, VIEWS], PLAN, [snapshot("a")])
    assert found.before == [CREATE]
    assert found.between == [RECORD, VIEWS]
    assert found.after == []
    assert found.intervals == {}
    assert found.snapshots.keys() == {"a"}
    assert found.touched() == {}
