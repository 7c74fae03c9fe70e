from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.graph import (
    Check,
    Column,
    Drift,
    Graph,
    GraphFile,
    GraphFileError,
    Location,
    Node,
    Presence,
    Relation,
    Source,
    SourceFile,
    read_graph_file,
    write_graph_file,
)
from tests.support.folders import GOLDEN_FOLDER

GOLDEN = GOLDEN_FOLDER / "graph_v2.json"
OLD = GOLDEN.with_name("graph_v1.json")
DUCKDB = "duckdb:/data/flights.duckdb"

FULL = Node(
    id='marts:"flights"."marts"."delays"',
    project="marts",
    framework="sqlmesh",
    reference='"flights"."marts"."delays"',
    name="marts.delays",
    kind="INCREMENTAL_BY_TIME_RANGE",
    relation=Relation(DUCKDB, "flights", "marts", "delays"),
    key=("marts", "delays"),
    physical=Relation(DUCKDB, "flights", "sqlmesh__marts", "marts__delays__123"),
    deps=("marts:bare", "marts:raw"),
    cron="@daily",
    time_zone="Europe/Berlin",
    interval_unit="day",
    group="delays",
    tags=("core", "night"),
    owners=("a@example.com",),
    description="Verspätungen je Tag",
    columns=(
        Column("day", "DATE", "The day", sources=((1, "day"),)),
        Column("mean", sources=((0, "n"), (1, "delay"))),
        Column("n", "", ""),
    ),
    code_version="42",
    location=Location("models/delays.sql", 3),
    presence=Presence.CHANGED,
    properties={"dialect": "duckdb"},
)
BARE = Node(
    id="marts:bare",
    project="marts",
    framework="dbt",
    reference="bare",
    name="bare",
    kind="table",
    relation=Relation(DUCKDB, None, None, "bare"),
)
RAW = Source(
    id="marts:raw",
    project="marts",
    reference="raw",
    name="raw",
    relation=Relation(DUCKDB, None, "raw", "flights"),
    description="",
    columns=(Column("day", "DATE", "The day"), Column("delay")),
    key=("raw", "flights"),
)
AUDIT = Check(
    id=f"{FULL.id}:not_null",
    project="marts",
    name="not_null",
    target=FULL.id,
    also=("marts:raw",),
    kind="test",
    reference="test.not_null",
    blocking=False,
    in_build=True,
    description="No nulls",
    location=Location("/audits/not_null.sql"),
    properties={"severity": "warn"},
)
PLAIN = Check(id="marts:raw:fresh", project="marts", name="fresh", target="marts:raw")
GRAPH_FILE = GraphFile(
    graph=Graph.of([FULL, BARE], [RAW], [AUDIT, PLAIN]),
    project="marts",
    environment="prod",
    plan_id="7f3a",
    drift=Drift(
        new=("marts.bare",),
        changed=("marts.delays",),
        affected=("marts.below",),
        removed=("marts.gone", "old_audit"),
        other=("before_all has changed",),
    ),
    written_by={"dagster-transform": "0.1.0", "sqlmesh": "0.236.4"},
    sources_digest={
        "models/delays.sql": SourceFile(12, 1_700_000_000_123_456_789, "ab" * 32),
        "config.yaml": SourceFile(0, 0, "cd" * 32),
    },
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marts.graph.json"


def test_golden_file_is_what_is_written(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(path.read_bytes())
    assert path.read_bytes() == GOLDEN.read_bytes()


def test_golden_file_is_read() -> None:
    assert read_graph_file(GOLDEN, "marts") == GRAPH_FILE


def test_default_values_are_left_out(path: Path) -> None:
    small = GraphFile(
        Graph.of([BARE], [replace(RAW, description=None, columns=(), key=())]), "marts"
    )
    write_graph_file(path, small)
    raw = json.loads(path.read_text())
    required = {"id", "project", "framework", "reference", "name", "kind", "relation"}
    assert set(raw["nodes"][0]) == required
    assert set(raw["sources"][0]) == {"id", "project", "reference", "name", "relation"}
    assert not raw.keys() & {"environment", "plan_id", "drift"}
    assert raw["columns"] == []
    assert read_graph_file(path) == small


def test_equal_values_make_equal_bytes(path: Path, tmp_path: Path) -> None:
    other = replace(
        GRAPH_FILE,
        graph=Graph.of([BARE, FULL], [RAW], [PLAIN, AUDIT]),
        written_by=dict(reversed(list(GRAPH_FILE.written_by.items()))),
        sources_digest=dict(reversed(list(GRAPH_FILE.sources_digest.items()))),
    )
    write_graph_file(path, GRAPH_FILE)
    write_graph_file(tmp_path / "other.json", other)
    assert path.read_bytes() == (tmp_path / "other.json").read_bytes()


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


def unusable(path: Path, cause: str) -> None:
    with pytest.raises(GraphFileError, match=cause) as caught:
        read_graph_file(path, "marts")
    assert str(path) in str(caught.value)
    assert "dagster-transform prepare --project marts" in (caught.value.remedy or "")
    with pytest.raises(GraphFileError, match=r"`dagster-transform prepare`"):
        read_graph_file(path)


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
    unusable(path, "has format version 1; this dagster-transform reads 2")


@pytest.mark.parametrize("version", [0, 1, 3, "2", True, None])
def test_another_version(path: Path, version: object) -> None:
    raw = json.loads(GOLDEN.read_text())
    # Nothing else may be asked of a file of another version.
    path.write_text(json.dumps({"format": version, "things": raw["nodes"]}))
    unusable(path, f"has format version {re.escape(repr(version))}; .* reads 2")


def test_another_project(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    with pytest.raises(GraphFileError, match="is of project 'marts', not of 'staging'"):
        read_graph_file(path, "staging")
    assert read_graph_file(path).project == "marts"


def _set(*keys: Any, to: object) -> Callable[[Any], None]:
    def change(raw: Any) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = to

    return change


def _remove(*keys: Any) -> Callable[[Any], None]:
    def change(raw: Any) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        del raw[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (_set("more", to=1), "unknown key 'more'"),
        (_remove("nodes"), "nodes: a list"),
        (_set("checks", to={}), "checks: a list"),
        (_remove("columns"), "columns: a list"),
        (_remove("project"), "project: a string"),
        (_set("environment", to=1), "environment: a string"),
        (_set("written_by", to={"a": 1}), "written_by: an object of strings"),
        (_remove("sources_digest"), "sources_digest: an object"),
        (_set("sources_digest", "a", to=[1, "2", "x"]), "sources_digest: "),
        (_set("columns", 0, to="abc"), "columns: "),
        (_set("columns", 0, to=["a", None]), "columns: "),
        (_set("columns", 0, to=["a", "", None]), "columns: "),
        (_set("columns", 0, to=["a", "", None, []]), "columns: "),
        (_set("columns", 0, to=["a", "", None, [0, "x", 1]]), "columns: sources: "),
        (_set("columns", 0, to=["a", "", None, ["x", 0]]), "columns: sources: "),
        (_set("columns", 0, to=["a", "", None, [True, "x"]]), "columns: sources: "),
        (_set("columns", 0, to=["a", "", None, [-1, "x"]]), "columns: sources: "),
        (_set("nodes", 0, "deps", to=["marts:raw"]), r"nodes\[0\]: columns: one is computed"),
        (_remove("nodes", 0, "deps"), r"nodes\[0\]: columns: one is computed"),
        (_set("drift", to=[]), "drift: an object"),
        (_set("drift", "more", to=[]), "unknown key 'more'"),
        (_set("drift", "new", to="x"), "new: a list of strings"),
        (_set("nodes", 1, to="x"), r"nodes\[1\]: an object"),
        (_set("nodes", 1, "more", to=1), r"nodes\[1\]: unknown key 'more'"),
        (_remove("nodes", 1, "name"), r"nodes\[1\]: name: a string"),
        (_set("nodes", 1, "kind", to=None), r"nodes\[1\]: kind: a string"),
        (_set("nodes", 1, "cron", to=5), r"nodes\[1\]: cron: a string"),
        (_set("nodes", 1, "tags", to="abc"), r"nodes\[1\]: tags: a list of strings"),
        (_set("nodes", 1, "deps", to=[1]), r"nodes\[1\]: deps: a list of strings"),
        (_set("nodes", 1, "relation", to=["x"]), r"nodes\[1\]: relation"),
        (_set("nodes", 1, "physical", to=["a", "b", "c", None]), r"nodes\[1\]: relation, physical"),
        (_set("nodes", 1, "columns", to=[99]), r"nodes\[1\]: columns"),
        (_set("nodes", 1, "columns", to=[-1]), r"nodes\[1\]: columns"),
        (_set("nodes", 1, "columns", to=5), r"nodes\[1\]: columns"),
        (_set("nodes", 1, "location", to=["x", True]), r"nodes\[1\]: location"),
        (_set("nodes", 1, "presence", to="maybe"), r"nodes\[1\]: presence"),
        (_set("nodes", 1, "properties", to=[]), r"nodes\[1\]: properties"),
        (_set("sources", 0, "more", to=1), r"sources\[0\]: unknown key"),
        (_set("checks", 0, "more", to=1), r"checks\[0\]: unknown key"),
        (_set("checks", 0, "blocking", to=1), r"checks\[0\]: blocking: true or false"),
        (_set("checks", 0, "target", to="marts:gone"), "not consistent: .*'marts:gone'"),
        (_set("nodes", 1, "deps", to=["marts:bare"]), "not consistent: .*circle"),
    ],
)
def test_wrong_shape(path: Path, change: Callable[[Any], None], cause: str) -> None:
    raw = json.loads(GOLDEN.read_text())
    assert raw["nodes"][1]["id"] == "marts:bare"
    change(raw)
    path.write_text(json.dumps(raw))
    unusable(path, cause)


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
    with pytest.raises(ValueError, match="format 2"):
        write_graph_file(path, replace(GRAPH_FILE, format_version=1))
