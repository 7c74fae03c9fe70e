"""The private parts of Dagster that dagster_transform/dagster/_compat.py reaches into.

A test that fails here names the part that a new version of Dagster has moved.
"""

from __future__ import annotations

import inspect
import multiprocessing
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import dagster as dg
import pytest
import yaml
from dagster import DagsterEventType as Kind
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.remote_representation.external_data import RepositorySnap

from dagster_transform.claims import open_store
from dagster_transform.dagster import _compat, _compat_check_jobs, _compat_circles

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase


def run(*assets: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(list(assets), instance=instance, raise_on_error=False)


def keys(result: dg.ExecuteInProcessResult, kind: Kind) -> list[str]:
    found = [e for e in result.all_events if e.event_type is kind]
    return [e.asset_key.to_user_string() for e in found if e.asset_key is not None]


def two_assets(body: Callable[[], Any]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        specs=[dg.AssetSpec(n, skippable=True) for n in ("quiet", "silent")],
        check_specs=[
            dg.AssetCheckSpec("gate", asset="quiet", blocking=True),
            dg.AssetCheckSpec("note", asset="quiet"),
        ],
        can_subset=True,
    )
    def both():  # type: ignore[no-untyped-def]
        yield from body()

    return both


@dg.asset(deps=["quiet"])
def reads_quiet() -> None: ...


@dg.asset(deps=["silent"])
def reads_silent() -> None: ...


def test_an_output_without_an_event_lets_downstream_run_and_stores_nothing() -> None:
    both = two_assets(lambda: [_compat.output_without_event("quiet")])
    gate = next(iter(_compat.check_outputs(both)))
    both = two_assets(
        lambda: [_compat.output_without_event("quiet"), _compat.output_without_event(gate)]
    )
    result = run(both, reads_quiet, reads_silent)
    assert result.success
    assert keys(result, Kind.ASSET_MATERIALIZATION) == ["reads_quiet"]
    assert keys(result, Kind.ASSET_OBSERVATION) == []
    assert keys(result, Kind.ASSET_CHECK_EVALUATION) == []


def test_an_ordinary_output_would_store_an_event() -> None:
    """What the metadata key is for."""
    result = run(two_assets(lambda: [dg.Output(None, "quiet")]), reads_silent)
    assert keys(result, Kind.ASSET_MATERIALIZATION) == ["quiet"]


def test_a_materialization_has_the_code_version_that_it_is_given() -> None:
    @dg.asset(code_version="of the files")
    def built():  # type: ignore[no-untyped-def]
        tags = {_compat.CODE_VERSION_TAG: "of-the-environment"}
        return dg.MaterializeResult(tags=tags, data_version=dg.DataVersion("this run"))

    @dg.asset(code_version="of the files")
    def as_loaded() -> None: ...

    events = [
        event.event_specific_data.materialization
        for event in run(built, as_loaded).all_events
        if event.event_type is Kind.ASSET_MATERIALIZATION
    ]
    tags = {event.asset_key.path[0]: event.tags for event in events}
    assert tags["built"][_compat.CODE_VERSION_TAG] == "of-the-environment"
    assert tags["built"]["dagster/data_version"] == "this run"
    assert tags["as_loaded"][_compat.CODE_VERSION_TAG] == "of the files"


def test_the_outputs_of_blocking_checks_are_known_by_name() -> None:
    both = two_assets(list)
    outputs = _compat.check_outputs(both)
    assert list(outputs.values()) == [dg.AssetCheckKey(dg.AssetKey("quiet"), "gate")]
    assert set(outputs) <= set(both.node_def.output_dict)


def test_an_asset_has_one_output_of_a_name_that_dagster_tells() -> None:
    both = two_assets(list)
    name = both.get_output_name_for_asset_key(dg.AssetKey("quiet"))
    assert name in both.node_def.output_dict


def test_a_summary_is_stored_without_a_warning() -> None:
    @dg.asset
    def tells(context) -> None:  # type: ignore[no-untyped-def]  # Dagster reads annotations
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            keys_ = dg.MetadataValue.json(["a"])
            context.log_event(_compat.summary_event("up_to_date", "1 is", {"keys": keys_}))

    result = run(tells)
    (event,) = [e for e in result.all_events if e.event_type is Kind.STEP_EXPECTATION_RESULT]
    told: Any = event.event_specific_data
    assert told.expectation_result.label == "up_to_date"
    assert told.expectation_result.metadata["keys"].value == ["a"]
    assert result.success


def test_a_link_to_code_is_made_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = _compat.code_references("/a/b.sql", 3)
    (reference,) = value.code_references
    assert isinstance(reference, dg.LocalFileCodeReference)
    assert (reference.file_path, reference.line_number) == ("/a/b.sql", 3)
    with pytest.warns(dg.BetaWarning):  # else _compat need not silence it any more
        dg.LocalFileCodeReference(file_path="/a/b.sql", line_number=3)


JOB = """
import dagster as dg
from dagster_transform import transform_executor

@dg.multi_asset(specs=[dg.AssetSpec(n, skippable=True) for n in "ab"], can_subset=True)
def both():
    yield dg.MaterializeResult(asset_key="a")
    raise dg.Failure("b")

@dg.asset(deps=["a"])
def reads_a(): ...

@dg.asset(deps=["b"])
def reads_b(): ...

defs = dg.Definitions(assets=[both, reads_a, reads_b], executor=transform_executor())
"""


def test_the_executor_goes_on_after_a_failed_step(tmp_path: Path) -> None:
    """`require_upstream_step_success` is a setting that Dagster does not document."""
    (tmp_path / "contract_job.py").write_text(JOB, encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}", encoding="utf-8")
    repository = ReconstructableRepository.for_file(str(tmp_path / "contract_job.py"), "defs")
    job = repository.get_reconstructable_job("__ASSET_JOB")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        result = dg.execute_job(job, instance)
    assert not result.success
    found = [e.asset_key.path[-1] for e in result.all_events if e.is_step_materialization]
    assert found == ["a", "reads_a"]


def test_a_run_is_found_by_a_tag_that_it_gave_itself_and_its_outputs_are_read() -> None:
    @dg.op(out={"shown": dg.Out(dg.Nothing)})
    def shows(context):  # type: ignore[no-untyped-def]  # Dagster reads annotations
        _compat.tag_run(context.instance, context.run_id, {"digest": "abc"})
        yield dg.Output(None, "shown", metadata={"n": 3})
        raise dg.Failure("after it")

    @dg.job
    def job() -> None:
        shows()

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        (record,) = instance.get_run_records(dg.RunsFilter(tags={"digest": "abc"}))
        assert record.dagster_run.run_id == result.run_id
        (metadata,) = _compat.output_metadata(instance, result.run_id)
        assert metadata["n"].value == 3


def test_the_ops_of_a_run_are_known_with_what_is_selected_of_them() -> None:
    """Where a Python asset splits a multi-asset, each op can tell what the others will do."""
    seen: dict[str, Any] = {}

    @dg.multi_asset(
        name="walk",
        specs=[
            dg.AssetSpec("first", skippable=True),
            dg.AssetSpec("second", deps=["between"], skippable=True),
            dg.AssetSpec("unselected", deps=["between"], skippable=True),
        ],
        check_specs=[dg.AssetCheckSpec("gate", asset="second")],
        can_subset=True,
    )
    def walk(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        seen[context.op_execution_context.op_handle.name] = _compat.ops_of_run(context)
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key)
        for check in sorted(context.selected_asset_check_keys):
            yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=True)

    @dg.asset(deps=["first"])
    def between() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([walk, between], instance=instance, selection=["first", "between", "second"])
    first, second = dg.AssetKey("first"), dg.AssetKey("second")
    ops = [
        ("walk", frozenset({first})),
        ("walk_2", frozenset({second, dg.AssetCheckKey(second, "gate")})),
    ]
    assert seen == {"walk": ops, "walk_2": ops}


def test_the_commands_that_execute_runs_are_there() -> None:
    from dagster._cli import create_dagster_cli

    groups = create_dagster_cli().commands
    for group, command in _compat._RUN_COMMANDS:
        found = groups[group]
        assert isinstance(found, click.Group), f"dagster {group}"
        assert command in found.commands, f"dagster {group} {command}"
        assert (found.name, found.commands[command].name) == (group, command)


def test_a_process_that_is_no_run_is_known() -> None:
    assert not _compat.executes_a_run()
    asset = click.Context(click.Group("asset"))
    with click.Context(click.Command("list"), parent=asset):
        assert not _compat.executes_a_run()
    with click.Context(click.Command("materialize"), parent=asset):
        assert _compat.executes_a_run()


def test_a_code_server_executes_runs_in_processes_of_multiprocessing() -> None:
    import inspect

    from dagster._grpc import server

    assert "start_run_in_subprocess" in inspect.getsource(server.DagsterApiServer.StartRun)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_compat.executes_a_run).result()


def instance(home: Path, **config: Any) -> dg.DagsterInstance:
    home.mkdir(exist_ok=True)
    text = yaml.safe_dump({"telemetry": {"enabled": False}, **config})
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    return dg.DagsterInstance.from_config(str(home))


def test_the_folder_of_dagsters_sqlite_files_is_known(tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    with instance(tmp_path / "home") as default:
        assert _compat.sqlite_folder(default) == str(tmp_path / "home" / "history")
        assert _compat.storage_url(default) is None
    with instance(tmp_path / "b", storage={"sqlite": {"base_dir": elsewhere}}) as given:
        assert _compat.sqlite_folder(given) == f"{elsewhere}/history"
        assert Path(elsewhere, "history", "runs.db").is_file()
        assert _compat.storage_url(given) is None


def test_an_instance_in_memory_keeps_its_runs_nowhere() -> None:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        assert _compat.sqlite_folder(ephemeral) is None
        assert _compat.storage_url(ephemeral) is None


@pytest.mark.postgres
@pytest.mark.parametrize("form", ["postgres_url", "postgres_db"])
def test_the_url_of_dagsters_postgres_is_one_that_claims_can_be_kept_at(
    tmp_path: Path, postgres_database: PostgresDatabase, form: str
) -> None:
    at = replace(postgres_database, password="ge%40heim")
    config = {
        "postgres_url": at.url,
        "postgres_db": {
            # Without a driver SQLAlchemy 2.1 takes psycopg 3, which dagster-postgres does not use.
            "scheme": "postgresql+psycopg2",
            "username": at.user,
            "password": "ge@heim",
            "hostname": "",
            "port": at.port,
            "db_name": at.database,
            "params": {"host": at.host},
        },
    }
    with instance(tmp_path, storage={"postgres": {form: config[form]}}) as found:
        assert found.get_runs_count() == 0
        assert _compat.sqlite_folder(found) is None
        url = _compat.storage_url(found)
        assert url is not None
        store = open_store(url)
    try:
        assert store.holders() == []
        assert "***" in store.url
        assert at.database in store.url
        assert "heim" not in store.url
    finally:
        store.close()


def test_inner_names_are_what_ops_inputs_and_outputs_may_be_called() -> None:
    for name, an_op, an_input in [
        ("a_b", True, True), ("type", False, False), ("config", False, True), ("a b", False, False),
    ]:  # fmt: skip
        assert _compat.is_inner_name(name) is an_op
        assert _compat.is_inner_name(name, an_input=True) is an_input
        if an_op:
            dg.op(name=name, ins={name: dg.In(dg.Nothing)}, out={name: dg.Out()})(lambda: None)
        else:
            with pytest.raises(dg.DagsterInvalidDefinitionError):
                dg.op(name=name)(lambda: None)
    assert dg.AssetSpec("a").with_io_manager_key("io").metadata == {_compat.IO_MANAGER_KEY: "io"}


def test_a_blocking_check_of_ours_closes_no_circle(caplog: pytest.LogCaptureFixture) -> None:
    _compat_circles.let_checks_close_no_circle()
    far = dg.AssetCheckSpec("far", asset="first", additional_deps=["last"], blocking=True)

    @dg.multi_asset(
        specs=[dg.AssetSpec("first"), dg.AssetSpec("last", deps=["between"])],
        check_specs=[far], can_subset=True, required_resource_keys={"transform"},
    )  # fmt: skip
    def ours(context):  # type: ignore[no-untyped-def]
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key)
        for check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=check.asset_key, check_name=check.name, passed=False
            )

    between, beside = (
        dg.asset(name=name, deps=["first"])(lambda: None) for name in ("between", "beside")
    )
    result = dg.materialize(
        [ours, between, beside], resources={"transform": 1}, raise_on_error=False
    )
    made = keys(result, Kind.ASSET_MATERIALIZATION)
    if "additional_deps" not in inspect.getsource(_compat_circles._resolve_cycles):
        assert made == ["first"], (
            "Dagster 1.11 carries it out beside its asset, and closes no circle"
        )
        return
    assert made == ["first", "between", "last"], "what lies beside waits for the check, which fails"
    assert "Check far on first does not hold back between" in caplog.text
    both = dg.Definitions(assets=[ours, between], resources={"transform": 1})
    job = both.get_repository_def().get_job("__ASSET_JOB")
    assert _compat_circles.not_held_back(far.key, job) == ["between"]


def test_the_ui_is_told_of_the_job_of_checks_that_run_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_compat_check_jobs, "_own", {})
    checks = [dg.AssetCheckSpec(name, asset="one") for name in ("far", "near")]

    @dg.multi_asset(specs=[dg.AssetSpec("one")], check_specs=checks, can_subset=True)
    def ours():  # type: ignore[no-untyped-def]
        yield from ()

    job = dg.define_asset_job("far_checks", dg.AssetSelection.checks(checks[0].key))
    _compat_check_jobs.plan_apart("far_checks", [checks[0].key])
    repository = dg.Definitions(assets=[ours], jobs=[job]).get_repository_def()
    snaps = RepositorySnap.from_def(repository).asset_check_nodes
    assert snaps is not None
    assert {snap.name: list(snap.job_names) for snap in snaps} == {
        "far": ["far_checks"], "near": ["__ASSET_JOB"],
    }  # fmt: skip
    # Whoever selects it in the base job gets it.
    base = repository.get_job("__ASSET_JOB").asset_layer
    assert checks[0].key in base.asset_graph.asset_check_keys
