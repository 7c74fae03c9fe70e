"""What is wrong with a dbt project is told as what it is, by `prepare` and by runs alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_transform.dbt.errors import (
    AdapterMissingError,
    ArtifactsError,
    DbtError,
    DbtParseError,
    EnvironmentVariableError,
    PackagesError,
    ProfileError,
)
from dagster_transform.dbt.runs.invocation import DbtInvocation
from tests.support.dbt_loading import project
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.dbt_settings import dbt_settings
from tests.support.sqlmesh_projects import Database

Break = Callable[[DbtProject], None]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_file(tmp_path / "w.duckdb")


def profiles(**changes: Any) -> Break:
    def change(made: DbtProject) -> None:
        content = yaml.safe_load((made.folder / "profiles.yml").read_text())
        content["shop"] |= changes
        content["shop"]["outputs"]["test"] |= changes.get("output", {})
        content["shop"].pop("output", None)
        made.write({"profiles.yml": yaml.safe_dump(content)})

    return change


def files(**texts: str) -> Break:
    names = {name.replace("__", "/").replace("_yml", ".yml").replace("_sql", ".sql"): text
             for name, text in texts.items()}  # fmt: skip
    return lambda made: made.write(names)


def in_project_file(line: str) -> Break:
    def change(made: DbtProject) -> None:
        path = made.folder / "dbt_project.yml"
        path.write_text(f"{path.read_text()}{line}\n")

    return change


def no_profiles(made: DbtProject) -> None:
    (made.folder / "profiles.yml").unlink()


MISSING = "{{ env_var('NOT_SET_HERE') }}"
FAULTS: dict[str, tuple[Break, type[DbtError], str, str]] = {
    "a variable of the profile": (
        profiles(output={"path": MISSING}),
        EnvironmentVariableError,
        "environment variable NOT_SET_HERE is not set, which {folder}/profiles.yml asks for",
        "Set NOT_SET_HERE where Dagster's code location and its runs get their environment",
    ),
    "a secret variable of the profile": (
        profiles(output={"path": "{{ env_var('DBT_ENV_SECRET_PATH') }}"}),
        EnvironmentVariableError,
        "environment variable DBT_ENV_SECRET_PATH is not set, which {folder}/profiles.yml",
        "Set DBT_ENV_SECRET_PATH",
    ),
    "a variable of dbt_project.yml": (
        in_project_file(f'models: {{+schema: "{MISSING}"}}'),
        EnvironmentVariableError,
        "environment variable NOT_SET_HERE is not set, which dbt_project.yml asks for",
        "Set NOT_SET_HERE",
    ),
    "a variable of a model": (
        files(models__b_sql=f"select '{MISSING}' as n"),
        EnvironmentVariableError,
        "environment variable NOT_SET_HERE is not set, which models/b.sql asks for",
        "env_var('NOT_SET_HERE', '...')",
    ),
    "no profiles.yml": (no_profiles, ProfileError, "", "dbt looks for profiles.yml in {folder}"),
    "no such profile": (
        files(profiles_yml="other: {target: t, outputs: {t: {type: duckdb}}}"),
        ProfileError,
        "Could not find profile named 'shop'",
        "Add it to {folder}/profiles.yml",
    ),
    "no such target": (
        profiles(target="nowhere"),
        ProfileError,
        "does not have a target named 'nowhere'",
        "Add it to {folder}/profiles.yml, or set the project's target in transform.yaml",
    ),
    "no YAML in profiles.yml": (
        files(profiles_yml="shop: [x"), ProfileError, "", "Correct {folder}/profiles.yml",
    ),
    "a wrong profile": (
        profiles(output={"threads": "many"}), ProfileError, "", "Correct {folder}/profiles.yml",
    ),
    "no such adapter": (
        profiles(output={"type": "oracle"}),
        AdapterMissingError,
        "oracle",
        "pip install dbt-oracle",
    ),
    "no YAML in dbt_project.yml": (
        files(dbt_project_yml="name: [x"), DbtParseError, "dbt_project.yml", "`dbt parse`",
    ),
    "packages that are not installed": (
        files(packages_yml="packages: [{local: nowhere}]"), PackagesError, "", "`dbt deps`",
    ),
    "a model that is no SQL template": (
        files(models__b_sql="select {{ 1 +"), DbtParseError, "models/b.sql", "`dbt parse`",
    ),
}  # fmt: skip


def preparing(made: DbtProject, _: Any) -> None:
    made.read()


def running(made: DbtProject, graph: Any) -> None:
    run = DbtRun(made, graph=graph)
    try:
        run.open()
    finally:
        run.project_run.close(completed=False)


@pytest.mark.parametrize("act", [preparing, running])
@pytest.mark.parametrize(("breaks", "kind", "cause", "remedy"), FAULTS.values(), ids=FAULTS)
def test_one_cause_is_told_as_itself(  # noqa: PLR0917
    breaks: Break,
    kind: type[DbtError],
    cause: str,
    remedy: str,
    act: Callable[[DbtProject, Any], None],
    tmp_path: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = project(tmp_path, database)
    graph = graph_of(made) if act is running else None
    breaks(made)
    with pytest.raises(DbtError) as raised:
        act(made, graph)
    error = raised.value
    assert type(error) is kind, error
    assert "Project d" in error.cause
    assert cause.format(folder=made.folder) in error.cause
    assert remedy.format(folder=made.folder) in str(error.remedy)
    if kind is EnvironmentVariableError:
        assert "looks for profiles.yml" not in str(error)


def test_a_variable_of_a_profile_elsewhere_names_that_place(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, database)
    profiles(output={"path": MISSING})(made)
    (tmp_path / "elsewhere").mkdir()
    (made.folder / "profiles.yml").rename(tmp_path / "elsewhere" / "profiles.yml")
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(EnvironmentVariableError) as raised:
        made.read()
    assert raised.value.place == str(tmp_path / "elsewhere" / "profiles.yml")
    assert raised.value.variable == "NOT_SET_HERE"


def test_artifacts_that_can_not_be_written(tmp_path: Path, database: Database) -> None:
    """A file lies where their folder is to be: so root can't write there either."""
    made = project(tmp_path, database)
    place = made.artifacts
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    settings = dbt_settings(made.config, place, run="r", memory=1.0)
    for act in (made.read, lambda: DbtInvocation("d", settings, lambda *_: None)):
        with pytest.raises(ArtifactsError) as raised:
            act()
        assert str(place) in raised.value.cause
        assert "DAGSTER_TRANSFORM_ARTIFACTS" in str(raised.value.remedy)
