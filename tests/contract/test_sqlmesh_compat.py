"""Private parts of SQLMesh that dagster_transform.sqlmesh touches: a new version must have them.

Each test names its part when it fails. Whether the parts do what we use them for is shown by the
integration tests; here is what would break silently, or with an error that says nothing.
"""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from dagster_transform.sqlmesh import _compat

CONFIG = """
gateways: {main: {connection: {type: duckdb, database: '%s'}}}
default_gateway: main
disable_anonymized_analytics: true
model_defaults: {dialect: duckdb, start: 2024-03-01}
"""
MODEL = """
MODEL (name s.a, kind FULL, audits (not_null(columns := (n), blocking := false), mine));
SELECT 1 AS n
"""
AUDIT = "AUDIT (name mine);\nSELECT * FROM @this_model WHERE n > 1"
NOW = "2024-03-05 10:30:00"


def part(owner: Any, name: str, named: str) -> Any:
    """The private part, or a failure that names it."""
    missing = object()
    found = getattr(owner, name, missing)
    if found is missing:
        pytest.fail(f"SQLMesh has moved {named}, which dagster_transform.sqlmesh uses")
    return found


def takes(function: Any, *names: str, named: str) -> None:
    """Fail, naming the part, where it does not take these arguments by name."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    if lost := [name for name in names if name not in parameters]:
        pytest.fail(f"SQLMesh's {named} no longer takes {', '.join(lost)}: {list(parameters)}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    for path, text in {
        "config.yaml": CONFIG % (folder / "w.duckdb"),
        "models/a.sql": MODEL,
        "audits/mine.sql": AUDIT,
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def context(folder: Path) -> Iterator[Any]:
    context = _compat.import_sqlmesh().Context(paths=[str(folder)])
    yield context
    _compat.close_connections(context)


@pytest.fixture
def planned(context: Any) -> Any:
    """The context of a project whose environment prod is there."""
    context.plan(
        auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True, execution_time=NOW
    )
    return context


# -- importing ------------------------------------------------------------------------------------

PROBE = """
import os
from dagster_transform.sqlmesh._compat import import_sqlmesh
import_sqlmesh()
import threading
from sqlmesh.core import constants, analytics
print(constants.MAX_FORK_WORKERS, type(analytics.collector._dispatcher).__name__,
      [t.name for t in threading.enumerate() if t is not threading.main_thread()])
"""


def test_import_neither_forks_nor_reports_home() -> None:
    """constants.MAX_FORK_WORKERS and the analytics' switch are read while SQLMesh is imported."""
    names = ("MAX_FORK_WORKERS", "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS")
    environment = {k: v for k, v in os.environ.items() if k not in names}
    ran = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"SQLMesh has moved MAX_FORK_WORKERS or analytics: {ran.stderr}"
    assert ran.stdout.split() == ["1", "NoopEventDispatcher", "[]"], (
        "SQLMesh no longer reads MAX_FORK_WORKERS or SQLMESH__DISABLE_ANONYMIZED_ANALYTICS "
        f"at import: {ran.stdout}"
    )


def test_import_is_kept_from_the_collector() -> None:
    probe = (
        "import gc; from dagster_transform.sqlmesh._compat import import_sqlmesh; "
        "import_sqlmesh(); print(gc.get_freeze_count() > 100_000, gc.isenabled())"
    )
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]


# -- Context --------------------------------------------------------------------------------------


def test_context_load_materializations(folder: Path) -> None:
    context = _compat.import_sqlmesh().Context(paths=[str(folder)], load=False)
    takes(part(context, "_load_materializations", "Context._load_materializations"), named="it")
    _compat.load_materializations(context)
    assert not context.models, "Context(load=False) loads models now"


def test_context_nodes_to_snapshots(context: Any) -> None:
    part(context, "_nodes_to_snapshots", "Context._nodes_to_snapshots")
    snapshots = _compat.unversioned_snapshots(context, dict(context.models))
    (snapshot,) = snapshots.values()
    assert list(snapshots) == list(context.models), "Context._nodes_to_snapshots has other keys"
    assert snapshot.fingerprint.data_hash, "Context._nodes_to_snapshots gives no fingerprints"


def test_context_new_state_sync(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG % (tmp_path / "empty.duckdb"))
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)], load=False)
    part(context, "_new_state_sync", "Context._new_state_sync")
    if "_state_sync" not in vars(context):
        pytest.fail("SQLMesh has moved Context._state_sync")
    try:
        assert _compat.existing_state(context) is None, (
            "get_versions(validate=False).schema_version is no longer 0 where there is no state"
        )
        assert _compat.state_adapters(context), "StateSync.engine_adapter has moved"
    finally:
        _compat.close_connections(context)


def test_state_sync_adapters(planned: Any) -> None:
    assert planned.state_sync.get_environment("prod") is not None
    part(planned, "_state_sync", "Context._state_sync")
    (adapter,) = _compat.state_adapters(planned) or [None]
    if adapter is None:
        pytest.fail("SQLMesh has moved CachingStateSync.state_sync or its engine_adapter")
    assert adapter.fetchone("SELECT COUNT(*) FROM sqlmesh._environments") == (1,)
    state = _compat.existing_state(planned)
    assert state is not None
    assert state.get_environment("prod") is not None


def test_context_adapters_are_all_closed(planned: Any, folder: Path) -> None:
    """Context._engine_adapter and the cached Context.engine_adapters."""
    if "_engine_adapter" not in vars(planned):
        pytest.fail("SQLMesh has moved Context._engine_adapter")
    assert planned.engine_adapter.fetchone("SELECT 1") == (1,)
    if "engine_adapters" not in vars(planned):
        pytest.fail("SQLMesh no longer caches Context.engine_adapters in the instance")
    _compat.close_connections(planned)
    # Nothing but a second process can tell whether DuckDB's file is free.
    probe = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT * FROM s.a')"
    ran = subprocess.run(
        [sys.executable, "-c", probe, str(folder / "w.duckdb")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"a closed context still holds its file: {ran.stderr}"


def test_context_concurrent_tasks(context: Any) -> None:
    assert part(context, "concurrent_tasks", "Context.concurrent_tasks") == 1


# -- connections ----------------------------------------------------------------------------------


def test_connection_pools() -> None:
    """What cancel_statements looks for: connections and cursors by thread."""
    _compat.import_sqlmesh()
    from sqlmesh.utils import connection_pool as pools

    class Connection:
        cancelled = 0

        def cursor(self) -> Connection:
            return self

        def cancel(self) -> None:
            Connection.cancelled += 1

        def close(self) -> None: ...

    class Adapter:
        def __init__(self, pool: Any) -> None:
            self._connection_pool = pool

    from threading import get_ident

    for pool, attributes in {
        pools.ThreadLocalConnectionPool(Connection): ["_thread_connections"],
        pools.ThreadLocalSharedConnectionPool(Connection): ["_thread_cursors"],
        pools.SingletonConnectionPool(Connection): ["_cursor", "_connection"],
    }.items():
        name = type(pool).__name__
        for attribute in attributes:
            part(pool, attribute, f"{name}.{attribute}")
        pool.get_cursor()
        before = Connection.cancelled
        _compat.cancel_statements([Adapter(pool)], get_ident())
        assert Connection.cancelled > before, f"{name}: its connection was not found"
        before = Connection.cancelled
        _compat.drop_connection([Adapter(pool)])
        if not isinstance(pool, pools.ThreadLocalSharedConnectionPool):
            _compat.cancel_statements([Adapter(pool)], get_ident())
            assert Connection.cancelled == before, f"{name}: close() no longer forgets"


def test_sessions_are_named_where_pools_connect() -> None:
    """`name_sessions`: what an adapter connects by is a partial, which each pool asks anew."""
    _compat.import_sqlmesh()
    from sqlmesh.core.config.connection import PostgresConnectionConfig

    for tasks in (1, 4):
        config = PostgresConnectionConfig(
            host="/nowhere", user="u", password="p", port=1, database="d",
            application_name="mine", concurrent_tasks=tasks,
        )  # fmt: skip
        adapter = config.create_engine_adapter()
        derived = adapter.with_settings()
        _compat.name_sessions(adapter, lambda theirs: f"{theirs} ours")
        for one in (adapter, derived):
            connect = part(one._connection_pool, "_connection_factory", "ConnectionPool's factory")
            assert connect.keywords["application_name"] == "mine ours"


def test_engine_adapter_connection_pool(context: Any) -> None:
    adapter = context.engine_adapter
    pool = part(adapter, "_connection_pool", "EngineAdapter._connection_pool")
    for name in ("get", "get_cursor", "close", "close_all"):
        part(pool, name, f"ConnectionPool.{name}")


def test_an_adapter_remembers_what_was_not_there(planned: Any) -> None:
    """`forget_tables`: else a table that another process has made meanwhile is not seen."""
    from sqlmesh.core.snapshot import DeployabilityIndex

    evaluator = planned.snapshot_evaluator
    adapter = evaluator.adapter
    snapshot = next(s for s in planned.snapshots.values() if s.is_model and not s.is_symbolic)
    table = snapshot.table_name()
    adapter.execute(f"DROP {'VIEW' if snapshot.is_view else 'TABLE'} {table} CASCADE")
    evaluator.get_snapshots_to_create([snapshot], DeployabilityIndex.all_deployable())
    adapter.execute(f"CREATE TABLE {table} (n INT)")
    assert not adapter.table_exists(table), "EngineAdapter remembers no absence any more"
    _compat.forget_tables(adapter, table)
    assert adapter.table_exists(table)
    adapter.execute(f"DROP TABLE {table}")
    evaluator.get_snapshots_to_create([snapshot], DeployabilityIndex.all_deployable())
    adapter.execute(f"CREATE TABLE {table} (n INT)")
    _compat.forget_tables(adapter)
    assert adapter.table_exists(table)


def test_drivers_can_cancel() -> None:
    import duckdb
    import psycopg2.extensions

    part(duckdb.DuckDBPyConnection, "interrupt", "duckdb's interrupt")
    part(psycopg2.extensions.connection, "cancel", "psycopg2's cancel")


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


# -- plans that are explained, and the janitor ----------------------------------------------------


def test_a_state_that_is_open_is_not_replaced(planned: Any) -> None:
    state = planned.state_sync
    assert _compat.existing_state(planned) is state
    assert planned.state_sync is state


def test_context_environment_statements(context: Any) -> None:
    part(context, "_environment_statements", "Context._environment_statements")
    assert _compat.environment_statements(context) == []


def test_loading_files_makes_no_state_and_finds_other_projects(folder: Path) -> None:
    """Context._load_state decides whether the state is asked for what other projects have."""
    context = _compat.import_sqlmesh().Context(paths=[str(folder)], load=False)
    part(context, "_load_state", "Context._load_state")
    try:
        state = _compat.load_files(context)
        assert context.models
        assert context._load_state is (state is not None)
    finally:
        _compat.close_connections(context)


def test_plan_builder_start(context: Any) -> None:
    """What `proposal` asks of the builder: a start that SQLMesh took from the clock is replaced."""
    builder = context.plan_builder("dev", run=True, skip_tests=True, include_unmodified=True)
    for name in ("start", "set_start", "build"):
        part(builder, name, f"PlanBuilder.{name}")
    assert builder.start is None, "PlanBuilder.start is set where nothing is previewed"


def test_plan_models_to_backfill(context: Any) -> None:
    """A copy of the plan with other `models_to_backfill` builds these, and promotes everything."""
    plan = context.plan_builder("dev", run=True, skip_tests=True, include_unmodified=True).build()
    part(plan, "models_to_backfill", "Plan.models_to_backfill")
    assert len(plan.missing_intervals) == 1
    less = plan.model_copy(update={"models_to_backfill": set()})
    assert less.missing_intervals == [], "Plan.models_to_backfill no longer bounds the backfill"
    assert len(less.environment.promoted_snapshots) == 1


def test_context_diff(planned: Any) -> None:
    """What `explain` reads of a plan."""
    diff = (
        planned.plan_builder("dev", skip_tests=True, include_unmodified=True).build().context_diff
    )
    for name in (
        "environment", "is_new_environment", "create_from", "snapshots", "text_diff",
        "environment_statements", "requirements", "has_requirement_changes",
        "has_environment_statements_changes", "previous_gateway_managed_virtual_layer",
        "gateway_managed_virtual_layer",
    ):  # fmt: skip
        part(diff, name, f"ContextDiff.{name}")
    (snapshot,) = diff.snapshots.values()
    for name in ("data_hash", "parent_data_hash", "metadata_hash"):
        part(snapshot.fingerprint, name, f"SnapshotFingerprint.{name}")
    from sqlmesh.core.snapshot import SnapshotChangeCategory

    from dagster_transform.sqlmesh.plans.explain import _CATEGORIES

    assert {c.name for c in SnapshotChangeCategory} == _CATEGORIES.keys()


def test_interval_rows(planned: Any) -> None:
    state = _compat.existing_state(planned)
    store = part(getattr(state, "state_sync", state), "interval_state", "StateSync.interval_state")
    part(store, "intervals_table", "IntervalState.intervals_table")
    ((count,),) = planned.engine_adapter.fetchall("SELECT COUNT(*) FROM sqlmesh._intervals")
    assert _compat.interval_rows(state) == count


def test_cleanup_adapters(planned: Any) -> None:
    name = "_cleanup_adapters_for_environment"
    part(planned, name, f"Context.{name}")
    environment = planned.state_sync.get_environment("prod")
    default, by_gateway, failure = _compat.cleanup_adapters(planned, environment)
    assert failure is None
    assert default.fetchone("SELECT 1") == (1,)
    assert list(by_gateway) == ["main"]


def test_janitor(context: Any) -> None:
    from sqlmesh.core import janitor
    from sqlmesh.core.state_sync import common

    takes(
        part(janitor, "cleanup_expired_views", "janitor.cleanup_expired_views"),
        "default_adapter", "engine_adapters", "environments", named="cleanup_expired_views",
    )  # fmt: skip
    takes(
        part(common, "iter_expired_snapshot_batches", "iter_expired_snapshot_batches"),
        "current_ts", "ignore_ttl", "batch_size", named="iter_expired_snapshot_batches",
    )  # fmt: skip
    state = context.state_sync
    takes(state.delete_expired_environments, "current_ts", "name", named="it")
    takes(state.get_expired_environments, "current_ts", named="it")
    takes(state.delete_expired_snapshots, "batch_range", "ignore_ttl", "current_ts", named="it")
    part(context.config.janitor, "warn_on_delete_failure", "JanitorConfig.warn_on_delete_failure")
    part(context.config.janitor, "expired_snapshots_batch_size", "JanitorConfig's batch size")


def test_development_intervals_can_be_removed(planned: Any) -> None:
    """SQLMesh's own remove_intervals leaves those of development tables as they are."""
    state = planned.state_sync
    (info,) = state.get_environment("prod").snapshots
    snapshot = next(iter(state.get_snapshots([info]).values()))
    days = (1_709_251_200_000, 1_709_510_400_000)
    state.add_interval(snapshot, *days, is_dev=True)
    day = (1_709_337_600_000, 1_709_424_000_000)
    state.remove_intervals([(snapshot, day)], remove_shared_versions=True)
    state.refresh_snapshot_intervals([snapshot])
    assert snapshot.dev_intervals == [days]
    _compat.remove_development_intervals(state, [(snapshot, day)])
    state.refresh_snapshot_intervals([snapshot])
    assert snapshot.dev_intervals == [(days[0], day[0]), (day[1], days[1])]


def test_snapshots_are_other_objects_once_they_are_forgotten(planned: Any) -> None:
    state = planned.state_sync
    (info,) = state.get_environment("prod").snapshots

    def one() -> Any:
        return next(iter(state.get_snapshots([info]).values()))

    assert one() is one(), "SQLMesh's state caches no snapshots any more: forget_snapshots can go"
    before = one()
    _compat.forget_snapshots(state)
    assert one() is not before


CHAIN = {
    "a": "MODEL (name s.a, kind FULL); SELECT 1 AS n",
    "b": "MODEL (name s.b, kind FULL); SELECT n + 1 AS n FROM s.a",
    "c": "MODEL (name s.c, kind EMBEDDED); SELECT n + 1 AS n FROM s.b",
    "d": "MODEL (name s.d, kind FULL); SELECT n + 1 AS n FROM s.c",
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned project of four models in a row, one of them embedded."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "models").mkdir()
    (folder / "config.yaml").write_text(CONFIG % (folder / "w.duckdb"))
    for name, text in CHAIN.items():
        (folder / f"models/{name}.sql").write_text(text)
    context = _compat.import_sqlmesh().Context(paths=[str(folder)])
    context.plan(auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True)
    _compat.close_connections(context)
    return folder


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_snapshots_are_fetched_with_the_queries_of_some(chain: Path, cache: str) -> None:
    """SnapshotState._snapshot_cache, SnapshotCache._optimized_query_cache, and what it is asked."""
    if cache == "cold":
        shutil.rmtree(chain / ".cache")
    context = _compat.import_sqlmesh().Context(paths=[str(chain)], load=False)
    try:
        state = context.state_sync
        records = state.get_environment("prod").snapshots
        store = part(state.state_sync, "snapshot_state", "EngineAdapterStateSync.snapshot_state")
        snapshots = part(store, "_snapshot_cache", "SnapshotState._snapshot_cache")
        whole = part(snapshots, "_optimized_query_cache", "SnapshotCache._optimized_query_cache")

        def fetched(names: list[str]) -> dict[str, Any]:
            _compat.forget_snapshots(state)
            found = _compat.fetch_snapshots(state, records, names).values()
            assert snapshots._optimized_query_cache is whole
            return {s.model.name: s for s in found}

        def has_query(snapshot: Any) -> bool:
            renderer = part(snapshot.model, "_query_renderer", "SqlModel._query_renderer")
            return part(renderer, "_optimized_cache", "QueryRenderer._optimized_cache") is not None

        (b,) = (r.name for r in records if '"b"' in r.name)
        some = fetched([b])
        assert {name: has_query(s) for name, s in some.items()} == {
            "s.a": False, "s.b": True, "s.c": True, "s.d": False,
        }, "SQLMesh reads the optimised queries of snapshots by another way"  # fmt: skip
        everything = fetched([r.name for r in records])
        assert all(has_query(s) for s in everything.values())
        for name, snapshot in some.items():
            assert snapshot == everything[name]
            one, other = (s.model.render_query().sql() for s in (snapshot, everything[name]))
            assert one == other
    finally:
        _compat.close_connections(context)


def test_a_failed_fetch_leaves_the_state_as_it_was(planned: Any) -> None:
    state = planned.state_sync
    cache = state.state_sync.snapshot_state._snapshot_cache
    whole = cache._optimized_query_cache
    with pytest.raises(AttributeError):
        _compat.fetch_snapshots(state, [object()], ())
    assert cache._optimized_query_cache is whole


def test_restatement_plans() -> None:
    from sqlmesh import Context
    from sqlmesh.core.context_diff import ContextDiff
    from sqlmesh.core.plan.common import identify_restatement_intervals_across_snapshot_versions

    takes(ContextDiff.create_no_diff, "environment", "state_reader", named="ContextDiff")
    builder = part(Context, "PLAN_BUILDER_TYPE", "Context.PLAN_BUILDER_TYPE")
    takes(
        builder, "start", "end", "execution_time", "restate_models", "is_dev",
        "environment_suffix_target", "environment_catalog_mapping", "console",
        named="PlanBuilder",
    )  # fmt: skip
    takes(
        identify_restatement_intervals_across_snapshot_versions,
        "state_reader", "prod_restatements", "disable_restatement_models", "loaded_snapshots",
        "current_ts", named="identify_restatement_intervals_across_snapshot_versions",
    )  # fmt: skip


def test_auto_restatements() -> None:
    from sqlmesh.core.snapshot import Snapshot, apply_auto_restatements

    takes(apply_auto_restatements, "snapshots", "execution_time", named="apply_auto_restatements")
    for name in (
        "get_next_auto_restatement_interval",
        "update_next_auto_restatement_ts",
        "apply_pending_restatement_intervals",
    ):
        part(Snapshot, name, f"Snapshot.{name}")


def test_summaries_of_environments(planned: Any) -> None:
    (summary,) = planned.state_sync.get_environments_summary()
    assert summary.name == "prod"
    assert summary.plan_id == planned.state_sync.get_environment("prod").plan_id
    assert summary.finalized_ts
