"""The private parts of dbt that `dagster_transform.dbt.child._compat` touches."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_transform.dbt.child import _compat
from dagster_transform.dbt.files import relations
from dagster_transform.sqlmesh import connections
from tests.support.dbt_folders import write


def invoke(
    folder: Path, *arguments: str, command: str = "parse", manifest: Any = None
) -> tuple[_compat.Invocation, list[Any]]:
    events: list[Any] = []
    common = ["--quiet", "--log-level-file", "none", "--log-path", str(folder / "logs")]
    place = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    found = _compat.invoke(
        [*common, command, *place, "--target-path", str(folder / "target"), *arguments],
        events.append,
        manifest,
    )
    return found, events


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_invocation_keeps_what_the_command_made(tmp_path: Path) -> None:
    write(tmp_path)
    found, events = invoke(tmp_path)
    assert found.exception is None
    assert {"flags", "profile", "project", "runtime_config", "manifest"} <= found.parts.keys()
    assert not [event for event in events if _compat.is_error(event)]
    config = found.parts["runtime_config"]
    assert config.threads == 1
    assert _compat.connection_of(config) == {
        "type": "duckdb",
        "path": "w.duckdb",
        "database": "w",
    }
    assert _compat.package_folders(config)["p"] == str(tmp_path)
    assert _compat.adapter_version("duckdb") == version("dbt-duckdb")
    assert _compat.adapter_version("postgres") == version("dbt-postgres")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_selected_is_listed_without_parsing_again(tmp_path: Path) -> None:
    """The result of `dbt list`, and the event NoNodesForSelectionCriteria."""
    write(tmp_path)
    parsed, _ = invoke(tmp_path)
    (tmp_path / "models" / "a.sql").write_text("select {{")
    as_json = ("--output", "json", "--output-keys", "unique_id")
    manifest = parsed.parts["manifest"]
    listed, events = invoke(
        tmp_path, "--select", "a", "tag:none", *as_json, command="list", manifest=manifest
    )
    assert listed.exception is None
    assert [json.loads(line) for line in listed.result] == [{"unique_id": "model.p.a"}]
    assert [found for e in events if (found := _compat.selects_nothing(e))] == ["tag:none"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"models/a.sql": "select {{"}, "files"),
        ({"packages.yml": "packages: [{local: helper}]"}, "packages"),
        ({"dbt_project.yml": "[x"}, "project_file"),
        ({"dbt_project.yml": "{name: p, profile: p, version: '1.0', x: 1}"}, "files"),
        ({"dbt_project.yml": "{name: p, profile: q, version: '1.0'}"}, "no_profile"),
        ({"profiles.yml": "[x"}, "profile"),
        ({"profiles.yml": "p: {target: t, outputs: {t: {type: duckdb, path: 5}}}"}, "profile"),
        ({"profiles.yml": "p: {target: t, outputs: {t: {type: oracle}}}"}, "adapter"),
    ],
)
def test_what_is_wrong_is_told_by_where_dbt_stopped(
    tmp_path: Path, change: dict[str, str], fault: str
) -> None:
    write(tmp_path)
    for name, text in change.items():
        (tmp_path / name).write_text(text)
    found, events = invoke(tmp_path)
    assert found.exception is not None
    assert _compat.fault(found)[0] == fault
    told = [event.info.msg for event in events if _compat.is_error(event)]
    assert fault == "packages" or told


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_folder_of_profiles_that_is_not_there_is_a_fault_of_the_profile(tmp_path: Path) -> None:
    write(tmp_path)
    found, _ = invoke(tmp_path, "--profiles-dir", str(tmp_path / "nowhere"))
    assert _compat.fault(found)[0] == "no_profiles"


def identities(
    tmp_path: Path, credentials: Any, config: Any, catalog: str | None = None
) -> tuple[str, str]:
    """The identity of one database, by dbt's credentials and by SQLMesh's configuration."""
    connection = _compat.connection_of(SimpleNamespace(credentials=credentials))
    ours = relations.connection_identity(connection, folder=tmp_path, project="d", database=catalog)
    return ours, connections.connection_identity(config, catalog)


def test_dbt_and_sqlmesh_call_one_duckdb_file_by_one_name(tmp_path: Path) -> None:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from sqlmesh.core.config import DuckDBConnectionConfig

    main, lake = str(tmp_path / "w.duckdb"), str(tmp_path / "lake.duckdb")
    given = {"path": main, "attach": [{"path": lake, "alias": "l"}]}
    credentials = DuckDBCredentials.from_dict(DuckDBCredentials.translate_aliases(given))
    config = DuckDBConnectionConfig(catalogs={"w": main, "l": lake})
    for catalog, file in (("w", main), ("l", lake)):
        ours, theirs = identities(tmp_path, credentials, config, catalog)
        assert ours == theirs == f"duckdb:{file}"
    ours, theirs = identities(tmp_path, credentials, DuckDBConnectionConfig(database=main))
    assert ours == theirs


def test_dbt_and_sqlmesh_call_one_postgresql_database_by_one_name(tmp_path: Path) -> None:
    from dbt.adapters.postgres.connections import PostgresCredentials
    from sqlmesh.core.config import PostgresConnectionConfig

    place = {"host": "db.example", "port": 5433, "user": "u", "password": "hunter2"}
    aliased = PostgresCredentials.translate_aliases({**place, "dbname": "w", "schema": "s"})
    config = PostgresConnectionConfig(**place, database="w")
    ours, theirs = identities(tmp_path, PostgresCredentials.from_dict(aliased), config)
    assert ours == theirs == "postgres:db.example:5433/w"


def test_no_token_is_in_what_is_said_of_a_connection() -> None:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials

    given = {
        "path": "md:cloud?motherduck_token=hunter2",
        "attach": [{"path": "host=h password=hunter2", "type": "postgres", "alias": "crm"}],
    }
    credentials = DuckDBCredentials.from_dict(DuckDBCredentials.translate_aliases(given))
    connection = _compat.connection_of(SimpleNamespace(credentials=credentials))
    assert "hunter2" not in str(connection)
    assert connection["path"] == "md:cloud"
    assert connection["attach"] == [{"path": None, "alias": "crm", "type": "postgres"}]
