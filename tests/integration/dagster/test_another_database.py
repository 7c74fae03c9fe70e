"""A variable of transform.yaml that has another value in a run than when `prepare` ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

MODELS = {"mart.a": "kind FULL\n---\nSELECT 1::INT AS n"}
NOW = utc("2024-03-05 10:30")
OPTIONS = {"execution_time": "2024-03-06T10:30:00+00:00"}


def transform_in(folder: Path, second: str) -> Transform:
    """Two gateways, both planned; the graph is prepared with the first."""
    files = [folder / "one" / "w.duckdb", folder / "two" / f"{second}.duckdb"]
    for file in files:
        file.parent.mkdir()
    databases = [Database.in_file(file) for file in files]
    gateways = {
        name: {"connection": database.connection}
        for name, database in zip(("one", "two"), databases, strict=True)
    }
    config = {"gateways": gateways, "default_gateway": "one"}
    project = Project(folder / "p", databases[0], MODELS, config=config)
    for name in gateways:
        project.config = project.config.model_copy(update={"gateway": name})
        project.forget_graph()
        project.run(NOW, plan_mode="auto")
    transform = Transform(folder, [project], plan="never", gateway="${DT_GATEWAY:-one}")
    transform.prepare()
    return transform


def test_the_same_names_elsewhere_are_built_there_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = transform_in(tmp_path, "w")
    first = (tmp_path / "one" / "w.duckdb").read_bytes()
    monkeypatch.setenv("DT_GATEWAY", "two")
    story = transform.run(**OPTIONS)
    assert story.success
    assert story.materialized == ["a"]
    (said,) = [line for line in story.log if "in this run" in line]
    assert f"duckdb:{tmp_path / 'two' / 'w.duckdb'}" in said
    assert f"duckdb:{tmp_path / 'one' / 'w.duckdb'}" in said
    assert (tmp_path / "one" / "w.duckdb").read_bytes() == first
    transform.close()


def test_another_catalog_would_be_other_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = transform_in(tmp_path, "other")
    monkeypatch.setenv("DT_GATEWAY", "two")
    story = transform.run(**OPTIONS)
    assert not story.success
    assert story.materialized == []
    assert "The catalog is other, where the assets' is w" in story.reason("a")
    assert "dagster-transform prepare" in story.reason("a")
    transform.close()
