"""What a project of transform.yaml says of its nodes: which are assets, and under which keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.config import (
    ConfigError,
    DbtProject,
    SettingError,
    SqlmeshProject,
    load_config,
    url_from,
)
from tests.support.config_files import errors, write


def dbt(text: str) -> DbtProject:
    write(f"projects: {{staging: {{framework: dbt, path: staging, {text}}}}}")
    found = load_config().project("staging")
    assert isinstance(found, DbtProject)
    return found


def sqlmesh(text: str) -> SqlmeshProject:
    write(f"projects: {{marts: {{framework: sqlmesh, path: marts, {text}}}}}")
    found = load_config().project("marts")
    assert isinstance(found, SqlmeshProject)
    return found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("tag:daily", ("tag:daily",)),
        ("[+a, b]", ("+a", "b")),
        ('""', ()),
        ("null", ()),
        ('"${NOT_SET:-}"', ()),
    ],
)
@pytest.mark.parametrize("key", ["select", "exclude"])
def test_a_selection_is_a_text_or_a_list(key: str, written: str, read: tuple[str, ...]) -> None:
    assert getattr(dbt(f"{key}: {written}"), key) == read
    assert getattr(sqlmesh(f"{key}: {written}"), key) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("dev", ("dev",)),
        ("warehouse/dev", ("warehouse", "dev")),
        ('["a/b", c]', ("a/b", "c")),
        ('"${NOT_SET:-}"', ()),
    ],
)
def test_a_prefix_is_written_as_dagster_writes_keys(written: str, read: tuple[str, ...]) -> None:
    assert sqlmesh(f"key_prefix: {written}").key_prefix == read


def test_keys_of_sources() -> None:
    found = dbt("source_keys: {raw.flights: landing/flights, raw.x: [one part]}").source_keys
    assert found == {"raw.flights": ("landing", "flights"), "raw.x": ("one part",)}


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("key_prefix: 3", "key_prefix: "),
        ("key_prefix: a//b", "key_prefix"),
        ("select: [3]", "select[0]: must be a string; put it in quotes"),
        ("select: {a: b}", "select: "),
        ("source_keys: {raw.x: ''}", "source_keys"),
        ("source_keys: [a]", "source_keys: must be a mapping"),
        ("key_prefx: a", "did you mean 'key_prefix'?"),
    ],
)
def test_wrong_settings_are_said_at_their_place(setting: str, wrong: str) -> None:
    (error,) = errors(f"projects: {{marts: {{framework: sqlmesh, path: marts, {setting}}}}}")
    assert error.startswith("transform.yaml:1:")
    assert wrong in error


def test_variables_of_dbt_keep_their_types() -> None:
    given = dbt("vars: {since: 2024-03-01, n: 3, on: true, shop: {deep: [1, a]}}").vars
    assert (given["n"], given["shop"]) == (3, {"deep": [1, "a"]})
    assert dbt("vars: null").vars == {}


def test_relative_paths_begin_in_the_folder_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(
        """
        claims_url: sqlite:///data/claims.db
        projects:
          staging: {framework: dbt, path: staging, profiles_dir: profiles, state: artifacts/prod}
        """
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    config = load_config(folder)
    staging = config.project("staging")
    assert isinstance(staging, DbtProject)
    assert staging.path == folder / "staging"
    assert staging.profiles_dir == folder / "profiles"
    assert staging.state == folder / "artifacts" / "prod"  # it need not be there yet
    assert config.claims_url == f"sqlite:///{folder}/data/claims.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/claims.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:claims.db?uri=true",
        "postgresql://me@db.example/dagster",
    ],
)
def test_other_urls_stay_as_they_are(url: str) -> None:
    assert url_from(Path("/root"), url) == url


def test_what_the_graph_is_made_with() -> None:
    plain = dbt("state: x").graph_settings()
    assert plain == {}
    assert dbt("vars: {}").graph_settings() == {}
    one = dbt("vars: {a: 1, b: 2}").graph_settings()
    assert one == dbt("vars: {b: 2, a: 1}").graph_settings()
    assert one != dbt("vars: {a: 1, b: 3}").graph_settings()
    made = dbt("vars: {password: hunter2}, select: a, target: prod, cron: '@daily'")
    assert set(made.graph_settings()) == {"vars", "select", "cron"}
    assert "hunter2" not in str(made.graph_settings())
    made_by_sqlmesh = sqlmesh("catalog_in_key: false, gateway: g, key_prefix: a")
    assert set(made_by_sqlmesh.graph_settings()) == {"catalog_in_key", "key_prefix"}


def test_an_error_that_the_files_show_has_its_place() -> None:
    write(
        """
        projects:
          marts:
            framework: sqlmesh
            path: marts
            source_keys:
              raw.flihts: landing
        """
    )
    wrong = SettingError(("source_keys", "raw.flihts"), "no such source", remedy="Look again.")
    found = load_config().located("marts", wrong)
    assert isinstance(found, ConfigError)
    assert str(found) == (
        "transform.yaml:6:7: projects.marts.source_keys.'raw.flihts': no such source\nLook again."
    ) or str(found).startswith("transform.yaml:6:7: projects.marts.source_keys.raw.flihts: no such")
    elsewhere = load_config().located("marts", SettingError(("select", 3), "nothing"))
    assert str(elsewhere) == "transform.yaml:2:3: projects.marts: nothing"
