"""A graph file that has something of everything, and one that can't be used."""

from __future__ import annotations

from pathlib import Path

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
    Position,
    Presence,
    Relation,
    Source,
    SourceFile,
    read_graph_file,
)
from tests.support.folders import GOLDEN_FOLDER

GOLDEN = GOLDEN_FOLDER / "graph_v4.json"
OLD = GOLDEN.with_name("graph_v2.json")
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
    key_is_default=True,
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
    position=Position(("marts:raw",), ("marts:bare",), (FULL.id,)),
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
    settings={"key_prefix": "ef" * 32},
    sources_digest={
        "models/delays.sql": SourceFile(12, 1_700_000_000_123_456_789, "ab" * 32),
        "config.yaml": SourceFile(0, 0, "cd" * 32),
    },
)


def unusable(path: Path, cause: str) -> None:
    with pytest.raises(GraphFileError, match=cause) as caught:
        read_graph_file(path, "marts")
    assert str(path) in str(caught.value)
    assert "dagster-transform prepare --project marts" in (caught.value.remedy or "")
    with pytest.raises(GraphFileError, match=r"`dagster-transform prepare`"):
        read_graph_file(path)
