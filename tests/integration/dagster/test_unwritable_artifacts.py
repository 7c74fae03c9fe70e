"""Where dbt's artifacts can't be written, its project fails alone; they can have another place."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.kept_folders import KeptTransform
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset

NOW = "2024-03-05T10:30:00+00:00"
DBT = {
    "models/items.sql": "{{ config(materialized='table') }} select 1 as id",
    "models/items.yml": "models: [{name: items, columns: [{name: id, data_tests: [unique]}]}]",
}
SQLMESH = {
    "marts.over": "kind FULL\n---\nSELECT id FROM w.main.items",
    "marts.own": "kind FULL\n---\nSELECT 1 AS one",
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> KeptTransform[Transform]:
    folder = tmp_path_factory.mktemp("artifacts")
    database = Database.in_file(folder / "w.duckdb")
    DbtProject(folder / "d", database, DBT)
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    project = Project(folder / "p", database, SQLMESH)
    # The first plan, of all: later runs build what the environment has.
    database.execute("CREATE TABLE main.items AS SELECT 1 AS id")
    project.plan_natively(datetime.fromisoformat(NOW))
    database.execute("DROP TABLE main.items")
    report = python_asset("report", ("w", "marts", "own"))
    made = Transform(folder, [project], code=report, further={"d": dbt}, plan="never")
    made.prepare()
    return KeptTransform(made)


@pytest.fixture
def transform(planned: KeptTransform[Transform]) -> Iterator[Transform]:
    found = planned.restore()
    yield found
    found.close()


def failed_alone(run: Story) -> str:
    """Why dbt's node failed; the rest of the run went on, and nothing stays open."""
    assert not run.success
    assert run.observed["items"] == ["failed"]
    assert run.observed["over"] == ["blocked"]
    assert {"own", "report"} <= set(run.materialized)
    assert "items" not in run.materialized
    assert not [c for c in psutil.Process().children() if "dbt" in " ".join(c.cmdline())]
    return run.reason("items")


def test_a_place_that_can_not_be_made(
    transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a file: so root can't make it either."""
    place = transform.module / "below-a-file"
    monkeypatch.setenv("DAGSTER_TRANSFORM_ARTIFACTS", str(place))
    reason = failed_alone(transform.run(execution_time=NOW, ignore_cron=True))
    assert "dbt's artifacts can't be written" in reason
    assert str(transform.module) in reason
    assert "DAGSTER_TRANSFORM_ARTIFACTS" in reason


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)],
        check=False, capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    (place / "filler").write_bytes(b"x" * 60_000)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(
    transform: Transform, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_TRANSFORM_ARTIFACTS", str(full_disk))
    run = transform.run(execution_time=NOW, ignore_cron=True)
    assert {"own", "report"} <= set(run.materialized)
    assert "No space left" in run.text
    if not run.success:
        assert "DAGSTER_TRANSFORM_ARTIFACTS" in failed_alone(run)
    assert not [c for c in psutil.Process().children() if "dbt" in " ".join(c.cmdline())]


@pytest.mark.parametrize("way", ["variable", "setting"])
def test_they_go_where_one_wants_them(
    transform: Transform, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to transform.yaml, whatever the working directory; what an image has prepared beside
    the file is read from there."""
    if way == "variable":
        monkeypatch.setenv("DAGSTER_TRANSFORM_ARTIFACTS", "kept/here")
    else:
        transform.configure({"artifacts": "kept/here"}, plan="never")
    before = {p for p in (transform.folder / ".dagster_transform").rglob("*") if "runs" in p.parts}
    run = transform.run(execution_time=NOW, ignore_cron=True)
    assert run.success, run.text[-2000:]
    (folder,) = (transform.folder / "kept" / "here" / "d" / "runs").iterdir()
    assert (folder / "run_results.json").is_file()
    after = {p for p in (transform.folder / ".dagster_transform").rglob("*") if "runs" in p.parts}
    assert after == before
    transform.prepare()
    assert (transform.folder / "kept" / "here" / "p.graph.json").is_file()


def test_others_can_not_read_what_may_hold_data(transform: Transform) -> None:
    old = os.umask(0o022)
    try:
        transform.prepare()
        assert transform.run(execution_time=NOW, ignore_cron=True).success
    finally:
        os.umask(old)
    kept = transform.folder / ".dagster_transform" / "d"
    found = [kept, *kept.rglob("*")]
    assert any(path.name == "run_results.json" for path in found)
    assert any(path.suffix == ".sql" for path in found)
    claims = [p for p in transform.home.rglob("*") if p.is_file() and "claims" in p.name]
    assert claims
    for path in [*found, *claims]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o077, f"{path} has {mode:o}"
