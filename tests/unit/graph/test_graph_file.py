"""Writing a graph file whole, and which files are refused: damaged, of another version."""

from __future__ import annotations

import gc
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dagster_transform.graph import (
    FORMAT_VERSION,
    GraphFileError,
    nodes_left,
    read_graph_file,
    write_graph_file,
)
from tests.support.graph_files import GOLDEN, GRAPH_FILE, OLD, unusable


def test_folders_are_made_and_only_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / ".dagster_transform" / "marts.graph.json"
    write_graph_file(path, GRAPH_FILE)
    write_graph_file(path, GRAPH_FILE)
    assert os.listdir(path.parent) == [path.name]


def test_the_file_has_the_permissions_of_any_new_file(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    (path.parent / "any").touch()
    assert path.stat().st_mode == (path.parent / "any").stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(GraphFileError, match="can't be written: No space left"):
        write_graph_file(path, GRAPH_FILE)
    assert path.read_text() == "before"
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupted_write_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_graph_file(path, GRAPH_FILE)
    assert os.listdir(path.parent) == []


def test_content_is_on_disk_before_it_is_visible(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def step(*arguments: object) -> None:
            steps.append(name)
            real(*arguments)

        monkeypatch.setattr(os, name, step)

    spy("fsync")
    spy("replace")
    write_graph_file(path, GRAPH_FILE)
    assert steps == ["fsync", "replace"]


def test_missing(path: Path) -> None:
    unusable(path, "does not exist")


def test_unreadable(path: Path) -> None:
    path.mkdir()
    unusable(path, "can't be read")


@pytest.mark.parametrize(
    "content", [b"", GOLDEN.read_bytes()[:-100], b"\xff\xfe{", b"[" * 100_000, b"{nope}"]
)
def test_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    unusable(path, "is damaged")


@pytest.mark.parametrize("content", ["[]", "{}", "null", '"graph"'])
def test_not_a_graph_file(path: Path, content: str) -> None:
    path.write_text(content)
    unusable(path, "is not a graph file")


def test_a_file_of_an_older_version(path: Path) -> None:
    path.write_bytes(OLD.read_bytes())
    unusable(path, "has format version 2; this dagster-transform reads 4")


@pytest.mark.parametrize("version", [0, 2, 3, 5, "4", True, None])
def test_another_version(path: Path, version: object) -> None:
    raw = json.loads(GOLDEN.read_text())
    # Nothing else may be asked of a file of another version.
    path.write_text(json.dumps({"format": version, "things": raw["nodes"]}))
    unusable(path, f"has format version {re.escape(repr(version))}; .* reads 4")


def test_another_project(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    with pytest.raises(GraphFileError, match="is of project 'marts', not of 'staging'"):
        read_graph_file(path, "staging")
    assert read_graph_file(path).project == "marts"


@pytest.mark.parametrize("enabled", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(path: Path, enabled: bool) -> None:
    path.write_text("{")
    try:
        gc.enable() if enabled else gc.disable()
        with pytest.raises(GraphFileError):
            read_graph_file(path)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_another_format_can_not_be_written(path: Path) -> None:
    with pytest.raises(ValueError, match="format 4"):
        write_graph_file(path, replace(GRAPH_FILE, format_version=1))


def test_what_another_version_still_names(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    raw = json.loads(path.read_bytes())
    raw["format"] = FORMAT_VERSION + 1
    raw["nodes"][0]["of_later"] = {"x": 1}
    del raw["nodes"][1]["reference"]
    path.write_text(json.dumps(raw))
    left = nodes_left(path, GRAPH_FILE.project)
    known = list(GRAPH_FILE.graph.nodes.values())
    assert [node.id for node in left] == [node.id for node in (known[0], *known[2:])]
    assert (left[0].key, left[0].reference) == (known[0].key, known[0].reference)
    assert nodes_left(path, "another") == []
    for content in ("", "[]", "{", json.dumps({"project": GRAPH_FILE.project})):
        path.write_text(content)
        assert nodes_left(path, GRAPH_FILE.project) == []
    path.unlink()
    assert nodes_left(path, GRAPH_FILE.project) == []
