"""Every part of a transform by hand, in Definitions of somebody's own, on real projects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from dagster_transform import (
    TransformResource,
    TransformTranslator,
    build_check_jobs,
    build_dbt_assets,
    build_job_groups,
    build_pause_jobs,
    build_sqlmesh_assets,
    build_sqlmesh_jobs,
    build_transform_definitions,
    build_watching_sensors,
    claimed_file,
    load_config,
    select_nodes,
    transform_executor,
)
from dagster_transform.cli.prepare import prepare_project
from dagster_transform.dagster.definitions.errors import WrongFrameworkError
from dagster_transform.graph import GraphFileError, Node, SelectionError, Source
from tests.support.two_frameworks import KEYS, write_two_frameworks

pytestmark = pytest.mark.slow
STAGED = dg.AssetKey(["stg_flights"])
DELAYS = dg.AssetKey(["marts", "delays"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("by_hand")
    write_two_frameworks(folder)
    config = load_config(folder)
    for project in config.projects:
        prepare_project(config, project)
    return folder


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


def keys_of(selection: dg.AssetSelection, folder: Path) -> set[str]:
    graph = build_transform_definitions(folder).resolve_asset_graph()
    return {key.to_user_string() for key in selection.resolve(graph)}


def built_in(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def test_projects_by_hand_are_one_lineage_and_are_built_in_one_run(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    @dg.asset(deps=[STAGED])
    def between(context) -> None:
        """Below dbt, and the file is ours while it looks."""
        config = load_config(folder)
        with (
            claimed_file(context, folder / "warehouse.duckdb", config=config) as path,
            duckdb.connect(str(path), read_only=True) as connection,
        ):
            assert connection.sql("SELECT COUNT(*) FROM staging.stg_flights").fetchall() == [(2,)]

    dbt, sqlmesh = build_dbt_assets("staging", folder), build_sqlmesh_assets("marts", folder)
    assert {dbt.op.name, sqlmesh.op.name} == {"staging", "marts"}
    assert {key.to_user_string() for key in dbt.keys | sqlmesh.keys} == KEYS
    assert {check.name for check in dbt.check_specs} == {"not_null_stg_flights_carrier"}
    assert {check.name for check in sqlmesh.check_specs} == {"not_null"}
    assert sqlmesh.asset_deps[DELAYS] == {STAGED}, "the dbt asset, not a table that nobody makes"
    job = dg.define_asset_job("all", "*")
    defs = dg.Definitions(
        assets=[dbt, sqlmesh, between],
        jobs=[job],
        resources={"transform": TransformResource()},
        executor=transform_executor(),
    )
    dg.Definitions.validate_loadable(defs)
    result = defs.resolve_job_def("all").execute_in_process(instance=instance)
    assert result.success
    assert built_in(result) == {*KEYS, "between"}
    passed = {e.asset_check_key.name: e.passed for e in result.get_asset_check_evaluations()}
    assert passed == {"not_null_stg_flights_carrier": True, "not_null": True}
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT delay FROM marts.worst").fetchall() == [(7.0,)]


def test_a_part_alone_is_built_alone(folder: Path, instance: dg.DagsterInstance) -> None:
    assets = build_dbt_assets("staging", folder)
    for name in ("raw_flights", "stg_flights"):
        result = dg.materialize(
            [assets],
            instance=instance,
            resources={"transform": TransformResource()},
            selection=[dg.AssetKey([name])],
        )
        assert built_in(result) == {name}


def test_the_wrong_framework_is_named(folder: Path) -> None:
    with pytest.raises(WrongFrameworkError, match=r"staging is a dbt project") as caught:
        build_sqlmesh_assets("staging", folder)
    assert "build_dbt_assets('staging')" in str(caught.value)
    with pytest.raises(WrongFrameworkError, match=r"build_sqlmesh_assets\('marts'\)"):
        build_dbt_assets("marts", folder)


@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        ("tag:marts+", {"marts/delays", "marts/worst"}),
        ("+marts.worst", KEYS),
        ("stg_flights", {"stg_flights"}),
        ("marts/*", {"marts/delays", "marts/worst"}),
        ("project:staging kind:view", {"raw_flights", "stg_flights", "marts/worst"}),
        ("*", KEYS),
    ],
)
def test_nodes_are_selected_by_our_syntax(folder: Path, expression: str, keys: set[str]) -> None:
    assert keys_of(select_nodes(expression, folder), folder) == keys


def test_a_selection_is_one_of_dagsters(folder: Path) -> None:
    both = select_nodes("marts.delays", folder) | dg.AssetSelection.assets("raw_flights")
    assert keys_of(both, folder) == {"marts/delays", "raw_flights"}
    assert keys_of(select_nodes("*", folder) - both, folder) == {"stg_flights", "marts/worst"}


def test_a_selection_of_nothing_says_what_is_like_it(folder: Path) -> None:
    with pytest.raises(SelectionError, match=r"delays"):
        select_nodes("marts.dealys", folder)


def test_a_selection_of_what_can_not_be_loaded_says_why(folder: Path) -> None:
    config = load_config(folder)
    graph_file = config.graph_path("marts")
    kept = graph_file.read_bytes()
    graph_file.unlink()
    try:
        with pytest.raises(GraphFileError, match="prepare --project marts"):
            select_nodes("marts.delays", folder)
        selection = select_nodes("stg_flights", folder)
        assert selection == dg.AssetSelection.assets(STAGED), "the other project's are there"
    finally:
        graph_file.write_bytes(kept)


def test_a_translator_is_asked_everywhere(folder: Path) -> None:
    class Mine(TransformTranslator):
        def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
            return super().get_asset_key(node).with_prefix("mine")

    assets = build_dbt_assets("staging", folder, translator=Mine())
    assert dg.AssetKey(["mine", "stg_flights"]) in assets.keys
    selection = select_nodes("stg_flights", folder, translator=Mine())
    assert selection == dg.AssetSelection.assets(dg.AssetKey(["mine", "stg_flights"]))


def test_jobs_schedules_and_sensors_one_by_one(folder: Path, tmp_path: Path) -> None:
    written = yaml.safe_load((folder / "transform.yaml").read_text(encoding="utf-8"))
    written["check_jobs"] = {"nightly": {"cron": "@daily"}}
    written["projects"]["staging"]["watch"] = "artifacts/watched"
    groups = tmp_path / "job_groups.yaml"
    groups.write_text(
        "job_groups:\n  daily:\n    cron: '@daily'\n    nodes:\n"
        "      - stg_flights\n      - raw_flights\n      - marts/delays\n      - marts/worst\n",
        encoding="utf-8",
    )
    written["job_groups"] = {"file": str(groups)}
    file = folder / "by_hand.yaml"
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    config = load_config(file)
    grouped, checks = build_job_groups(config), build_check_jobs(config)
    assert [job.name for job in grouped.jobs or ()] == ["daily"]
    assert [schedule.name for schedule in grouped.schedules or ()] == ["daily_schedule"]
    assert [sensor.name for sensor in grouped.sensors or ()] == ["transform_sensor"]
    assert [job.name for job in checks.jobs or ()] == ["nightly"]
    assert [schedule.name for schedule in checks.schedules or ()] == ["nightly_schedule"]
    defs = dg.Definitions(
        assets=[build_dbt_assets("staging", config), build_sqlmesh_assets("marts", config)],
        jobs=[
            *(grouped.jobs or ()),
            *(checks.jobs or ()),
            *build_sqlmesh_jobs("marts", config),
            *build_pause_jobs(config),
        ],
        schedules=[*(grouped.schedules or ()), *(checks.schedules or ())],
        sensors=[*(grouped.sensors or ()), *build_watching_sensors(config)],
        resources={"transform": TransformResource()},
        executor=dg.in_process_executor,
    )
    dg.Definitions.validate_loadable(defs)
    names = {sensor.name for sensor in defs.sensors or ()}
    assert names == {"transform_sensor", "marts_environment_sensor", "staging_artifacts_sensor"}
    # All of it is what the whole has.
    whole = build_transform_definitions(config)
    assert {job.name for job in whole.jobs or ()} == {job.name for job in defs.jobs or ()}
    assert {s.name for s in whole.sensors or ()} == names


def test_a_job_of_a_group_by_hand_builds_its_nodes(
    folder: Path, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.yaml"
    groups.write_text(
        "job_groups:\n"
        "  staged: {cron: '@daily', nodes: [stg_flights]}\n"
        "  marts: {cron: '@daily', nodes: [marts/delays, marts/worst]}\n",
        encoding="utf-8",
    )
    written = yaml.safe_load((folder / "transform.yaml").read_text(encoding="utf-8"))
    written["job_groups"] = {"file": str(groups)}
    file = folder / "groups_by_hand.yaml"
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    config = load_config(file)
    assets = build_dbt_assets("staging", config)
    resources = {"transform": TransformResource()}
    seed = dg.AssetSelection.assets("raw_flights")
    assert dg.materialize([assets], instance=instance, resources=resources, selection=seed).success
    defs = dg.Definitions.merge(
        build_job_groups(config),
        dg.Definitions(assets=[assets, build_sqlmesh_assets("marts", config)], resources=resources),
    )
    result = defs.resolve_job_def("staged").execute_in_process(instance=instance)
    assert built_in(result) == {"stg_flights"}


def test_two_transforms_in_one_code_location(folder: Path) -> None:
    first = build_transform_definitions(folder)
    second = folder / "second.yaml"
    written = yaml.safe_load((folder / "transform.yaml").read_text(encoding="utf-8"))
    project = {**written["projects"]["staging"], "key_prefix": "other"}
    second.write_text(yaml.safe_dump({"projects": {"other": project}}), encoding="utf-8")
    prepare_project(load_config(second), "other")
    both = dg.Definitions.merge(first, build_transform_definitions(second, name="other"))
    dg.Definitions.validate_loadable(both)
    keys = {spec.key.to_user_string() for spec in both.resolve_all_asset_specs()}
    assert keys == {*KEYS, "other/raw_flights", "other/stg_flights"}
