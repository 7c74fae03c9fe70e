"""The component's state: graph files as one text, and back to where they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.dagster.component.state import restore, write_state
from dagster_transform.graph import Graph, GraphFile, GraphFileError, write_graph_file

EARLY, LATE = 1_000_000_000, 2_000_000_000


@pytest.fixture
def config(tmp_path: Path) -> TransformConfig:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    projects = "projects: {a: {framework: dbt, path: a}, b: {framework: dbt, path: b}}"
    (tmp_path / "transform.yaml").write_text(projects, encoding="utf-8")
    return load_config(tmp_path)


def prepared(config: TransformConfig, project: str, environment: str) -> Path:
    path = config.graph_target(project)
    write_graph_file(path, GraphFile(Graph.of(), project, environment))
    return path


def test_there_and_back(config: TransformConfig, tmp_path: Path) -> None:
    paths = [prepared(config, name, "one") for name in ("a", "b")]
    before = [path.read_bytes() for path in paths]
    state = tmp_path / "state"
    write_state(config, state)
    assert [line.partition("\t")[0] for line in state.read_text().splitlines()] == ["a", "b"]
    for path in paths:
        path.unlink()
    restore(config, state)
    assert [path.read_bytes().strip() for path in paths] == [each.strip() for each in before]


def test_what_was_prepared_later_stays(config: TransformConfig, tmp_path: Path) -> None:
    path = prepared(config, "a", "one")
    state = tmp_path / "state"
    write_state(config, state)
    prepared(config, "a", "two")
    os.utime(state, (EARLY, EARLY))
    restore(config, state)
    assert b'"two"' in path.read_bytes()
    os.utime(state, (LATE, LATE))
    restore(config, state)
    assert b'"one"' in path.read_bytes()


def test_what_is_equal_is_not_written(config: TransformConfig, tmp_path: Path) -> None:
    path = prepared(config, "a", "one")
    state = tmp_path / "state"
    write_state(config, state)
    os.utime(state, (LATE, LATE))
    os.utime(path, (EARLY, EARLY))
    restore(config, state)
    assert path.stat().st_mtime == EARLY


def test_projects_that_are_gone_or_were_never_prepared(
    config: TransformConfig, tmp_path: Path
) -> None:
    prepared(config, "a", "one")
    state = tmp_path / "state"
    write_state(config, state)
    text = state.read_text(encoding="ascii")
    state.write_text(f"elsewhere\t{{}}\n{text}", encoding="ascii")
    restore(config, state)
    assert [file.name for file in config.artifacts_root.iterdir()] == ["a.graph.json"]


def test_where_nothing_can_be_written(config: TransformConfig, tmp_path: Path) -> None:
    path = prepared(config, "a", "one")
    state = tmp_path / "state"
    write_state(config, state)
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file", encoding="utf-8")
    with pytest.raises(GraphFileError, match="can't be written"):
        restore(config, state)
