"""Private parts that a new SQLMesh must have: audits, evaluation and plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from dagster_transform.sqlmesh import _compat
from tests.support.private_parts import CONFIG, NOW, part, takes

# -- audits and evaluation ------------------------------------------------------------------------


def test_evaluator_audit() -> None:
    _compat.import_sqlmesh()
    from sqlmesh.core.snapshot import SnapshotEvaluator

    function = part(SnapshotEvaluator, "_audit", "SnapshotEvaluator._audit")
    common = ("snapshot", "snapshots", "start", "end", "execution_time", "deployability_index")
    takes(function, "audit", "audit_args", *common, named="SnapshotEvaluator._audit")


def test_results_of_audits(planned: Any) -> None:
    """SnapshotEvaluator._audit: its result; it takes `blocking` out of what it is given."""
    evaluator = planned.snapshot_evaluator
    from sqlmesh.core.snapshot import DeployabilityIndex

    (snapshot,) = planned.snapshots.values()
    for audit, arguments in snapshot.model.audits_with_args:
        given = dict(arguments)
        result = _compat.run_audit(
            evaluator, audit, given, snapshot=snapshot, snapshots={}, start="2024-03-01",
            end=NOW, execution_time=NOW, deployability_index=DeployabilityIndex.all_deployable(),
        )  # fmt: skip
        assert given == arguments, "run_audit has changed what it was given"
        for attribute in ("audit", "audit_args", "count", "query", "skipped", "blocking"):
            part(result, attribute, f"AuditResult.{attribute}")
        assert result.count == 0
    assert {a.name: "blocking" in args for a, args in snapshot.model.audits_with_args} == {
        "not_null": True, "mine": False
    }, "a model's audits_with_args no longer have `blocking` among the arguments"  # fmt: skip


def test_audits_ask_for_columns_once(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """EngineAdapter.with_settings and .columns; SnapshotEvaluator._audit: `engine_adapter`."""
    evaluator = planned.snapshot_evaluator
    from sqlmesh.core.snapshot import DeployabilityIndex

    (snapshot,) = planned.snapshots.values()
    kind, asked = type(evaluator.adapter), []
    columns = kind.columns

    def note(adapter: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return columns(adapter, *args, **kwargs)

    monkeypatch.setattr(kind, "columns", note)
    counts = []
    for adapter in (evaluator.adapter, _compat.asking_for_columns_once(evaluator.adapter)):
        asked.clear()
        results = [
            _compat.run_audit(
                evaluator, audit, arguments, snapshot=snapshot, snapshots={}, start="2024-03-01",
                end=NOW, execution_time=NOW, engine_adapter=adapter,
                deployability_index=DeployabilityIndex.all_deployable(),
            )
            for audit, arguments in snapshot.model.audits_with_args * 2
        ]  # fmt: skip
        counts.append((len(asked), [result.query.sql() for result in results]))
    (natively, queries), (once, same_queries) = counts
    assert natively == 4, "SQLMesh asks less often: asking_for_columns_once may not be needed"
    assert once == 1, "audits no longer ask the `engine_adapter` that they are given"
    assert same_queries == queries
    table = snapshot.table_name()
    asking = _compat.asking_for_columns_once(evaluator.adapter)
    assert asking.columns(table) == asking.columns(table) == evaluator.adapter.columns(table)
    assert asking._connection_pool is evaluator.adapter._connection_pool


def test_expand_range_as_interval() -> None:
    _compat.import_sqlmesh()
    from sqlmesh.core import scheduler
    from sqlmesh.core.node import IntervalUnit

    expand = part(scheduler, "_expand_range_as_interval", "scheduler._expand_range_as_interval")
    day = 86_400_000
    assert expand(0, 2 * day, IntervalUnit.DAY) == [(0, day), (day, 2 * day)], (
        "scheduler._expand_range_as_interval gives something else than [start, end) pairs"
    )


def test_scheduler_and_evaluator() -> None:
    """Public by name, not documented: what our own walk of a node is made of."""
    _compat.import_sqlmesh()
    from sqlmesh.core import scheduler
    from sqlmesh.core.snapshot import SnapshotEvaluator, definition, evaluator

    for name in ("merged_missing_intervals", "batch_intervals"):
        part(scheduler.Scheduler, name, f"Scheduler.{name}")
    takes(
        scheduler.Scheduler.merged_missing_intervals, "end", "execution_time",
        "deployability_index", "ignore_cron", "selected_snapshots",
        named="Scheduler.merged_missing_intervals",
    )  # fmt: skip
    takes(
        scheduler.Scheduler.batch_intervals, "merged_intervals", "deployability_index",
        "environment_naming_info", "dag", named="Scheduler.batch_intervals",
    )  # fmt: skip
    takes(
        SnapshotEvaluator.create_snapshot, "snapshot", "snapshots", "deployability_index",
        "allow_destructive_snapshots", "allow_additive_snapshots",
        named="SnapshotEvaluator.create_snapshot",
    )  # fmt: skip
    part(SnapshotEvaluator, "get_snapshots_to_create", "SnapshotEvaluator.get_snapshots_to_create")
    part(definition, "parent_snapshots_by_name", "snapshot.definition.parent_snapshots_by_name")
    tracker = part(evaluator, "QueryExecutionTracker", "QueryExecutionTracker")
    part(tracker, "get_execution_stats", "QueryExecutionTracker.get_execution_stats")


def test_paths_of_models_and_audits(context: Any, folder: Path) -> None:
    (model,) = context.models.values()
    assert part(model, "_path", "Model._path") == folder / "models/a.sql"
    audits = {a.name: a for a, _ in model.audits_with_args}
    assert part(audits["mine"], "_path", "Audit._path") == folder / "audits/mine.sql"


# -- plans ----------------------------------------------------------------------------------------


def test_plan_evaluator_visits_every_stage(context: Any) -> None:
    evaluator = _compat.plan_evaluator(context)
    from sqlmesh.core.plan import stages
    from sqlmesh.utils import to_snake_case

    kinds = get_args(part(stages, "PlanStage", "plan.stages.PlanStage"))
    assert len(kinds) > 10, "plan.stages.PlanStage is no longer the union of all stages"
    for kind in kinds:
        name = f"visit_{to_snake_case(kind.__name__)}"
        method = part(evaluator, name, f"BuiltInPlanEvaluator.{name}")
        takes(method, "stage", "plan", named=f"BuiltInPlanEvaluator.{name}")
    for name in (
        "snapshot_to_intervals", "selected_snapshot_ids", "all_snapshots", "deployability_index"
    ):  # fmt: skip
        if name not in stages.BackfillStage.__dataclass_fields__:
            pytest.fail(f"SQLMesh has moved BackfillStage.{name}")
    for name in ("PhysicalLayerUpdateStage", "AuditOnlyRunStage", "MigrateSchemasStage"):
        if "snapshots" not in part(stages, name, f"plan.stages.{name}").__dataclass_fields__:
            pytest.fail(f"SQLMesh has moved {name}.snapshots")
    takes(
        part(stages, "build_plan_stages", "plan.stages.build_plan_stages"),
        "plan", "state_reader", "default_catalog", named="plan.stages.build_plan_stages",
    )  # fmt: skip


def test_the_stages_of_a_first_plan(tmp_path: Path) -> None:
    """Readers see nothing before the backfill: views and the environment's record come after."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/a.sql").write_text("MODEL (name s.a, kind FULL);\nSELECT 1 AS n")
    (tmp_path / "config.yaml").write_text(CONFIG % (tmp_path / "w.duckdb"))
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)])
    from sqlmesh.core.plan import stages

    try:
        plan = context.plan_builder("prod", skip_tests=True, run=True, execution_time=NOW).build()
        found = stages.build_plan_stages(
            plan.to_evaluatable(), context.state_sync, context.default_catalog
        )
        names = [type(stage).__name__ for stage in found]
    finally:
        _compat.close_connections(context)
    assert names.count("BackfillStage") == 1
    cut = names.index("BackfillStage")
    assert not {"EnvironmentRecordUpdateStage", "VirtualLayerUpdateStage"} & set(names[:cut])
    assert names[cut + 1 :] == [
        "EnvironmentRecordUpdateStage", "UnpauseStage", "VirtualLayerUpdateStage",
        "FinalizeEnvironmentStage",
    ], "the stages of a plan come in another order"  # fmt: skip


def test_environment_statements() -> None:
    _compat.import_sqlmesh()
    from sqlmesh.core import environment

    takes(
        part(environment, "execute_environment_statements", "execute_environment_statements"),
        "adapter", "environment_statements", "runtime_stage", "environment_naming_info",
        "default_catalog", "snapshots", "execution_time", "selected_models",
        named="environment.execute_environment_statements",
    )  # fmt: skip


def test_dehydrated_seeds() -> None:
    """A seed from the state has no rows; `to_hydrated` gives them back."""
    _compat.import_sqlmesh()
    from sqlmesh.core.model import SeedModel

    assert "is_hydrated" in SeedModel.model_fields, "SQLMesh has moved SeedModel.is_hydrated"
    part(SeedModel, "to_hydrated", "SeedModel.to_hydrated")


def test_signals_are_asked_model_by_model() -> None:
    """`signals_apart` replaces the method on one scheduler, and takes it off again."""
    _compat.import_sqlmesh()
    from sqlmesh.core import console, scheduler

    takes(
        part(scheduler.Scheduler, "_check_ready_intervals", "Scheduler._check_ready_intervals"),
        "snapshot", "intervals", "context", named="Scheduler._check_ready_intervals",
    )  # fmt: skip
    part(console.Console, "stop_signal_progress", "Console.stop_signal_progress")
    part(scheduler.Scheduler(
        snapshots=[], snapshot_evaluator=None, state_sync=None, default_catalog=None  # type: ignore[arg-type]
    ), "console", "Scheduler.console")  # fmt: skip


def test_a_plan_builder_tells_its_console_of_forbidden_changes() -> None:
    """`forbidden_changes` listens there: the error that follows names no model."""
    _compat.import_sqlmesh()
    import inspect

    from sqlmesh.core import console
    from sqlmesh.core.plan import builder

    for name in ("log_destructive_change", "log_additive_change"):
        takes(
            part(console.Console, name, f"Console.{name}"), "snapshot_name", "error",
            named=f"Console.{name}",
        )  # fmt: skip
        assert f"self._console.{name}(" in inspect.getsource(builder.PlanBuilder)
