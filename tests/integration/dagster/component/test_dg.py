"""A whole deployment without Python: a project of `dg`, its commands, and what it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.dg_projects import DgProject
from tests.support.two_frameworks import KEYS

pytestmark = pytest.mark.slow

ATTRIBUTES = """
projects:
  staging:
    framework: dbt
    path: "{{ context.project_root }}/dbt_project"
    profiles_dir: ../../../../dbt_project
    checks: apart
  marts:
    framework: sqlmesh
    path: ../../../../sqlmesh_project
    plan: auto
    catalog_in_key: false
translation:
  group_name: "{{ node.framework }}_{{ node.schema }}"
job_groups: {schedules: running}
check_jobs: {nightly: {cron: "@daily"}}
max_concurrent_models: ${MODELS_AT_ONCE:-4}
alerts:
  channels:
    data-team: {type: slack, url: "${SLACK_WEBHOOK_URL:-}"}
"""
# Loads what the code server of a deployment loads: no `dagster dev`, no `dg`.
LOADED = """
import json, logging, sys
logging.disable()
from dagster._core.definitions.definitions_load_context import *
DefinitionsLoadContext.set(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION))
from shop.definitions import defs
d = defs()
print(json.dumps(sorted(s.key.to_user_string() for s in d.resolve_all_asset_specs())))
print(json.dumps(sorted(m for m in sys.modules if m in ("sqlmesh", "dbt"))))
print(json.dumps(" ".join(s.description or "" for s in d.resolve_all_asset_specs())))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DgProject:
    folders = (tmp_path_factory.mktemp(name) for name in ("project", "home"))
    return DgProject.of_two_frameworks(*folders, ATTRIBUTES)


@pytest.fixture(autouse=True)
def attributes(project: DgProject) -> None:
    project.component(ATTRIBUTES)


def listed(project: DgProject) -> dict[str, list[dict[str, Any]]]:
    said: dict[str, list[dict[str, Any]]] = json.loads(
        project.command("dg", "list", "defs", "--json").stdout
    )
    return said


def loaded(project: DgProject, **environment: str) -> list[Any]:
    done = project.command("python", "-c", LOADED, environment=environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_dg_knows_the_component(project: DgProject) -> None:
    assert "dagster_transform.TransformComponent" in project.dg("list", "components")


def test_it_scaffolds_a_component_that_loads(project: DgProject) -> None:
    said = project.dg(
        "scaffold", "defs", "dagster_transform.TransformComponent", "scaffolded",
        "--dbt-path", "dbt_project", "--sqlmesh-path", "sqlmesh_project",
    )  # fmt: skip
    assert "Error" not in said
    folder = project.defs / "scaffolded"
    text = (folder / "defs.yaml").read_text(encoding="utf-8")
    assert "framework: dbt" in text
    assert "{{ context.project_root }}/sqlmesh_project" in text
    ignored = (project.folder / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".dagster_transform/", "/dbt_project/target/", "/sqlmesh_project/.cache/"} <= {*ignored}
    try:
        project.dg("check", "yaml", str(folder))
    finally:
        (folder / "defs.yaml").unlink()
        folder.rmdir()


def test_yaml_is_checked_against_the_schema(project: DgProject) -> None:
    project.dg("check", "yaml")
    project.component(ATTRIBUTES.replace("catalog_in_key", "catalog_in_keys"))
    done = project.command("dg", "check", "yaml")
    assert done.returncode == 1
    assert "catalog_in_keys" in done.stdout + done.stderr


def test_what_the_schema_can_not_know_is_said_with_its_line(project: DgProject) -> None:
    project.component(ATTRIBUTES.replace("../sqlmesh_project", "../nowhere"))
    done = project.command("dg", "check", "defs")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "defs.yaml:11:7: projects.marts.path: '../../../../nowhere' does not exist" in said
    assert "dagster_transform/config" not in said, "no stack of ours"


def test_one_file_has_it_all(project: DgProject) -> None:
    groups = project.yaml.with_name("job_groups.yaml")
    done = project.command("dagster-transform", "prepare", "--config", str(project.yaml.parent))
    assert done.returncode in (0, 3), done.stdout + done.stderr
    done = project.command(
        "dagster-transform", "job-groups", "generate", "--from", "files",
        "--config", str(project.yaml.parent),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert groups.exists(), "beside the component"
    try:
        project.dg("check", "defs")
        found = listed(project)
    finally:
        groups.unlink()
    assert {asset["asset_key"] for asset in found["assets"]} == KEYS
    assert {asset["group_name"] for asset in found["assets"]} == {
        "dbt_staging", "sqlmesh_marts",
    }  # fmt: skip
    checks = {check["key"] for check in found["asset_checks"]}
    assert any("not_null" in check for check in checks)
    jobs = {job["name"] for job in found["jobs"]}
    assert {"marts_plan", "marts_janitor", "transform_pause", "staging_checks", "nightly"} <= jobs
    schedules = {schedule["name"] for schedule in found["schedules"]}
    assert {"marts_janitor_schedule", "nightly_schedule"} < schedules
    sensors = {sensor["name"] for sensor in found["sensors"]}
    assert {"transform_sensor", "marts_environment_sensor"} <= sensors


def test_a_run_builds_what_the_yaml_describes(project: DgProject) -> None:
    said = project.dg("launch", "--assets", "*")
    assert "RUN_SUCCESS" in said
    with duckdb.connect(str(project.folder / "warehouse.duckdb")) as connection:
        assert connection.sql("SELECT delay FROM marts.worst").fetchall() == [(7.0,)]


def test_its_state_is_what_prepare_makes(project: DgProject) -> None:
    """Made for an image, read in a deployment, and of use where only the state is."""
    prepared = project.yaml.parent / ".dagster_transform"
    local = project.defs / ".local_defs_state"
    project.dg("utils", "refresh-defs-state")
    assert {file.name for file in prepared.glob("*.graph.json")} == {
        "staging.graph.json", "marts.graph.json",
    }  # fmt: skip
    (state,) = local.rglob("state")
    keys, frameworks, _ = loaded(project)
    assert set(keys) == KEYS
    assert frameworks == []
    for file in prepared.glob("*.graph.json"):
        file.unlink()
    keys, *_ = loaded(project)
    assert set(keys) == KEYS, "from the state"
    for file in prepared.glob("*.graph.json"):
        file.unlink()
    state.unlink()
    keys, _, said = loaded(project)
    assert set(keys) == {"staging/not_loaded", "marts/not_loaded"}
    assert (
        "Run `dagster-transform prepare --project marts --config"
        " src/shop/defs/transform/defs.yaml` to write it." in said
    )


def test_refreshing_fails_where_a_project_can_not_be_read(project: DgProject) -> None:
    model = project.folder / "sqlmesh_project" / "models" / "worst.sql"
    text = model.read_text(encoding="utf-8")
    model.write_text("MODEL (name marts.worst, kind VIEW);\nSELEC", encoding="utf-8")
    try:
        done = project.command("dg", "utils", "refresh-defs-state")
        assert done.returncode == 1
        assert "worst.sql" in done.stdout + done.stderr
    finally:
        model.write_text(text, encoding="utf-8")


def test_where_people_edit_files_graph_files_are_made_anew(project: DgProject) -> None:
    model = project.folder / "sqlmesh_project" / "models" / "newest.sql"
    model.write_text("MODEL (name marts.newest, kind VIEW);\nSELECT 1 AS one", encoding="utf-8")
    try:
        keys, *_ = loaded(project, DAGSTER_IS_DEV_CLI="1")
        assert set(keys) == KEYS | {"marts/newest"}
        model.unlink()
        project.component(
            ATTRIBUTES + "defs_state: {management_type: LOCAL_FILESYSTEM, refresh_if_dev: false}\n"
        )
        keys, *_ = loaded(project, DAGSTER_IS_DEV_CLI="1")
        assert "marts/newest" in keys
        assert "marts/not_loaded" in keys, "the file is older than the project, and stays so"
    finally:
        model.unlink(missing_ok=True)


def test_with_snapshots_each_start_of_a_code_server_prepares(project: DgProject) -> None:
    """What can't be read is shown as what it is, and the rest is there."""
    project.component(ATTRIBUTES + "defs_state: {management_type: LEGACY_CODE_SERVER_SNAPSHOTS}\n")
    model = project.folder / "sqlmesh_project" / "models" / "worst.sql"
    text = model.read_text(encoding="utf-8")
    for file in (project.yaml.parent / ".dagster_transform").glob("*.graph.json"):
        file.unlink()
    model.write_text("MODEL (name marts.worst, kind VIEW);\nSELEC", encoding="utf-8")
    try:
        keys, *_ = loaded(project)
    finally:
        model.write_text(text, encoding="utf-8")
    assert set(keys) == {"raw_flights", "stg_flights", "marts/not_loaded"}


def test_from_another_folder(project: DgProject, tmp_path: Path) -> None:
    done = project.command(
        "dagster-transform", "prepare", "--config", str(project.yaml), cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(loaded(project)[0]) == KEYS
