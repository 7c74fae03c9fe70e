"""The JSON shape of a graph file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.graph import Graph, GraphFile, read_graph_file, write_graph_file
from tests.support.graph_files import AUDIT, BARE, FULL, GOLDEN, GRAPH_FILE, PLAIN, RAW, unusable


def test_golden_file_is_what_is_written(path: Path) -> None:
    write_graph_file(path, GRAPH_FILE)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(path.read_bytes())
    assert path.read_bytes() == GOLDEN.read_bytes()


def test_golden_file_is_read() -> None:
    assert read_graph_file(GOLDEN, "marts") == GRAPH_FILE


def test_default_values_are_left_out(path: Path) -> None:
    small = GraphFile(
        Graph.of(
            [BARE], [replace(RAW, description=None, columns=(), key=(), key_is_default=False)]
        ),
        "marts",
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
        (
            _set("checks", 0, "position", to=[[], []]),
            r"checks\[0\]: position: \[after, behind, before\]",
        ),
        (
            _set("checks", 0, "position", to=[[], [], [1]]),
            r"checks\[0\]: position: a list of strings",
        ),
        (_set("checks", 0, "position", to=[["x"], [], []]), "not consistent: .*'x'"),
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
