"""What transform.yaml says, with its defaults, and where it is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dagster_transform.config import (
    ConfigError,
    DbtProject,
    SqlmeshProject,
    TransformConfig,
    UnknownProjectError,
    load_config,
)
from tests.support.config_files import SMALL, errors, write
from tests.support.folders import REPOSITORY

FULL = """
    max_concurrent_models: 8
    projects:
      marts:
        framework: sqlmesh
        path: [marts, more]
        environment: dev
        gateway: local
        plan: auto
        column_lineage: false
      staging:
        framework: dbt
        path: staging
        target: ci
        profiles_dir: profiles
    """


def test_everything(folder: Path) -> None:
    write(FULL)
    config = load_config()
    assert config.max_concurrent_models == 8
    marts, staging = config.projects["marts"], config.projects["staging"]
    assert isinstance(marts, SqlmeshProject)
    assert marts.path == marts.paths == (folder / "marts", folder / "more")
    assert (marts.environment, marts.gateway, marts.plan) == ("dev", "local", "auto")
    assert marts.column_lineage is False
    assert isinstance(staging, DbtProject)
    assert staging.paths == (staging.path,) == (folder / "staging",)
    assert (staging.target, staging.profiles_dir) == ("ci", folder / "profiles")


def test_defaults(folder: Path) -> None:
    write(SMALL)
    config = load_config()
    assert config.max_concurrent_models is None, "nobody has said how many"
    marts, staging = config.projects["marts"], config.projects["staging"]
    assert isinstance(marts, SqlmeshProject)
    assert isinstance(staging, DbtProject)
    assert marts.path == (folder / "marts",)
    assert (marts.environment, marts.gateway, marts.plan) == ("prod", None, "never")
    assert marts.column_lineage is True
    assert (staging.target, staging.profiles_dir) == (None, None)


def test_file_root_and_graph_path(folder: Path) -> None:
    write(SMALL)
    config = load_config()
    assert (config.file, config.root) == (folder / "transform.yaml", folder)
    assert config.graph_path("marts") == folder / ".dagster_transform" / "marts.graph.json"
    assert config.artifacts_path("staging") == folder / ".dagster_transform" / "staging"
    for path_of in (config.graph_path, config.artifacts_path):
        with pytest.raises(UnknownProjectError):
            path_of("nope")


def test_when_dbt_nodes_are_due() -> None:
    def text(cron: str, zone: str) -> str:
        settings = f"cron: {cron!r}, time_zone: {zone!r}"
        return f"projects:\n  d: {{framework: dbt, path: staging, {settings}}}"

    for cron, zone in (("0 5 * * 1-5", "Europe/Zurich"), ("@daily", "UTC"), ("", "")):
        write(text(cron, zone))
        project = load_config().projects["d"]
        assert isinstance(project, DbtProject)
        assert (project.cron, project.time_zone) == (cron or None, zone or None)
    for cron in ("daily", "* * * * * *", "61 * * * *"):
        told = "projects.d.cron: must be a cron of five fields, or @daily and such"
        assert errors(text(cron, "UTC")) == [f"transform.yaml:2:38: {told}"]
    for zone in ("Mars/Olympus", "../etc/passwd", "/UTC"):
        (error,) = errors(text("@daily", zone))
        assert error.endswith("projects.d.time_zone: must be a name such as Europe/Zurich")


def test_project() -> None:
    write(SMALL)
    config = load_config()
    assert config.project("marts") is config.projects["marts"]
    with pytest.raises(UnknownProjectError, match="known projects: marts, staging") as caught:
        config.project("stagin")
    assert caught.value.remedy == "Did you mean 'staging'?"


def test_where_the_file_is_found(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(SMALL)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "marts").mkdir()
    other = elsewhere / "other.yaml"
    other.write_text("projects: {other: {framework: dbt, path: marts}}")
    assert load_config().file == folder / "transform.yaml"
    monkeypatch.setenv("DAGSTER_TRANSFORM_CONFIG", str(other))
    assert load_config().file == other
    assert load_config(folder).file == folder / "transform.yaml"
    assert load_config("transform.yaml").file == folder / "transform.yaml"
    # Relative project paths are meant from the file's folder, not from the working directory.
    assert load_config(other).project("other").paths == (elsewhere / "marts",)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^transform.yaml:1:1: there is no such file"):
        load_config()
    with pytest.raises(ConfigError, match=r"^gone[/\\]t\.yaml:1:1: there is no such file"):
        load_config("gone/t.yaml")


def test_a_password_in_a_path_is_redacted() -> None:
    (line,) = errors("projects:\n  a: {framework: dbt, path: 's3://me:hunter2@host/x'}")
    assert "hunter2" not in line
    assert "does not exist" in line


def test_a_config_without_a_file_takes_paths_as_they_are() -> None:
    project = SqlmeshProject(framework="sqlmesh", path="gone")  # type: ignore[arg-type]
    assert project.path == (Path("gone"),)
    assert TransformConfig(projects={"a": project}).project("a") is project


def test_importing_it_imports_no_framework() -> None:
    code = (
        "import sys, dagster_transform.config\n"
        "loaded = {'dagster', 'sqlmesh', 'dbt', 'dagster_transform.graph'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
