"""Private parts that a new SQLMesh must have: explaining plans, janitor, state."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from dagster_transform.sqlmesh import _compat, _compat_state
from tests.support.private_parts import CONFIG, part, takes

# -- plans that are explained, and the janitor ----------------------------------------------------


def test_a_state_that_is_open_is_not_replaced(planned: Any) -> None:
    state = planned.state_sync
    assert _compat.existing_state(planned) is state
    assert planned.state_sync is state


def test_context_environment_statements(context: Any) -> None:
    part(context, "_environment_statements", "Context._environment_statements")
    assert _compat.environment_statements(context) == []


def test_loading_files_makes_no_state_and_finds_other_projects(tmp_path: Path) -> None:
    """Context._projects decides whether the state is asked for what other projects have."""
    database = tmp_path / "w.duckdb"
    (tmp_path / "config.yaml").write_text("project: named\n" + CONFIG.lstrip() % database)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("MODEL (name s.a, kind FULL);\nSELECT 1 AS n")
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)], load=False)
    assert part(context, "_projects", "Context._projects") == {"named"}
    try:
        assert _compat.load_files(context) is None
        assert list(context.models) == ['"w"."s"."a"']
        assert not database.exists(), "loading asks the state, whatever Context._projects has"
        assert context._projects == {"named"}
        context.state_sync.migrate()
        assert _compat.load_files(context) is context.state_sync
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
    if Version(version("sqlmesh")) >= Version("0.236.2"):
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


# -- a state that is not there yet ----------------------------------------------------------------


def test_planning_without_a_state_makes_none(tmp_path: Path) -> None:
    """Context._provided_state_sync, and what `Context.state_sync` does beside making one."""
    database = tmp_path / "w.duckdb"
    (tmp_path / "config.yaml").write_text(CONFIG % database)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("MODEL (name s.a, kind FULL); SELECT 1 AS n")
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)], load=False)
    part(context, "_provided_state_sync", "Context._provided_state_sync")
    try:
        state = _compat.open_state(context)
        context.load()
        assert state.get_environment("prod") is None
        assert context.plan_builder("prod", skip_tests=True).build().has_changes
        assert not database.exists(), "SQLMesh connects to its database when it plans"
        _compat.make_state(context)
        assert context.state_sync.get_environment("prod") is None
        assert database.exists(), "Context._provided_state_sync counts although it is None"
    finally:
        _compat.close_connections(context)


def test_a_state_that_is_there_is_opened_as_sqlmesh_does(planned: Any, folder: Path) -> None:
    context = _compat.import_sqlmesh().Context(paths=[str(folder)], load=False)
    try:
        state = _compat.open_state(context)
        assert type(state) is type(planned.state_sync)
        assert state.get_environment("prod") is not None
        _compat.make_state(context)
        assert context.state_sync is state
    finally:
        _compat.close_connections(context)


def test_model_selector(context: Any) -> None:
    part(context, "_selector_cls", "Context._selector_cls")
    select = _compat.model_selector(context)
    assert set(select(["*"])) == set(context.models)
    assert not select(["no_such_model"])


# -- what a sensor looks for ----------------------------------------------------------------------


def test_intervals_of_names_and_versions(planned: Any) -> None:
    state = planned.state_sync
    record = state.get_environment("prod")
    part(_inner(state).interval_state, "get_snapshot_intervals", "IntervalState")
    found = _compat_state.intervals_of(state, record.snapshots)
    (info,) = record.snapshots
    (one,) = [each for each in found if each.intervals]
    assert (one.name, one.version) == (info.name, info.version)
    assert one.last_altered_ts


def test_the_tables_that_are_asked_without_sqlmesh(planned: Any) -> None:
    """`dagster/watching/state_looks.py` has their columns in its query."""
    state = _inner(planned.state_sync)
    adapter = state.engine_adapter
    environments = adapter.columns(state.environment_state.environments_table)
    assert {"name", "plan_id", "finalized_ts"} <= set(environments)
    assert state.environment_state.environments_table.name == "_environments"
    intervals = adapter.columns(state.interval_state.intervals_table)
    assert {"created_ts", "last_altered_ts"} <= set(intervals)
    assert state.interval_state.intervals_table.name == "_intervals"


def _inner(state: Any) -> Any:
    return getattr(state, "state_sync", state)
