"""Freshness in Dagster is what `dbt source freshness` says; and `dbt build` asks for none."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType as Kind

from tests.support.dbt_beside import OURS, Beside
from tests.support.dbt_project_runs import BOTH, TABLE
from tests.support.sqlmesh_projects import Database
from tests.support.stories import Story
from tests.support.transforms import python_asset

FILES = {
    "models/reads.sql": TABLE + "SELECT * FROM {{ source('raw', 'stale') }}",
    "models/reads_strange.sql": TABLE + "SELECT * FROM {{ source('raw', 'strange') }}",
    "models/sources.yml": """
        sources:
          - name: raw
            schema: raw
            config:
              freshness:
                warn_after: {count: 1, period: hour}
                error_after: {count: 1, period: day}
              loaded_at_field: loaded_at
            tables:
              - name: fresh
              - name: late
              - name: stale
              - name: missing
              - name: empty
              - name: strange
              - name: only_nulls
          - name: silent
            schema: raw
            config: {freshness: {error_after: {count: 1, period: day}}}
            tables: [{name: without_field, identifier: fresh}]
        """,
}
_AGO = "SELECT CAST(now() AT TIME ZONE 'UTC' - INTERVAL '{}' AS TIMESTAMP) AS loaded_at"
TABLES = {
    "fresh": _AGO.format("0 hour"),
    "late": _AGO.format("3 hour"),
    "stale": _AGO.format("3 year"),
    "empty": _AGO.format("0 hour") + " WHERE 1 = 0",
    "strange": "SELECT 'x' AS other",
    "only_nulls": "SELECT CAST(NULL AS TIMESTAMP) AS loaded_at",
}
PYTHON = python_asset("after_reads", ["reads"])


def severities(story: Story) -> dict[str, tuple[bool, dg.AssetCheckSeverity]]:
    found = [e.event_specific_data for e in story.of(Kind.ASSET_CHECK_EVALUATION)]
    return {e.asset_key.path[-1]: (e.passed, e.severity) for e in found}


def message(story: Story, source: str) -> str:
    [found] = [
        e.event_specific_data
        for e in story.of(Kind.ASSET_CHECK_EVALUATION)
        if e.event_specific_data.asset_key.path[-1] == source
    ]
    return str(found.metadata["dagster_transform/message"].value)


def statuses(path: Path) -> dict[str, str]:
    return {r["unique_id"]: r["status"] for r in json.loads(path.read_bytes())["results"]}


@BOTH
def test_freshness_is_what_dbt_source_freshness_says(database: Database, tmp_path: Path) -> None:
    tables = [f"CREATE TABLE raw.{name} AS {query}" for name, query in TABLES.items()]
    database.execute("CREATE SCHEMA raw", *tables)
    project = Beside(tmp_path, database, FILES, code=PYTHON).prepare()
    assert project.native.dbt("source", "freshness", check=False).returncode == 1
    native = statuses(project.native.folder / "target" / "sources.json")
    assert set(native.values()) == {"pass", "warn", "error"}
    # What dbt calls a runtime error it leaves out of the file; its exit code and log have it.
    native |= {f"source.shop.raw.{name}": "runtime error" for name in ("missing", "strange")}
    native["source.shop.silent.without_field"] = "runtime error"

    story = project.transform.run()
    [ours] = project.transform.dbt.artifacts.glob("runs/*/sources.json")
    assert statuses(ours) == native
    error, warning = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    expected = {"pass": True, "warn": (False, warning)}
    for unique_id, status in native.items():
        passed, severity = severities(story)[unique_id.split(".")[-1]]
        assert (passed or (passed, severity)) == expected.get(status, (False, error)), unique_id
    assert message(story, "stale").startswith("its newest row is of 20")
    for source in ("empty", "only_nulls"):
        assert message(story, source) == "it has no rows, or none that says when it was loaded"
    assert "loaded_at_field" in message(story, "without_field")
    # `dbt build` asks for no freshness: it decides neither on nodes nor on the run.
    assert story.success
    assert set(story.materialized) == {"reads", "reads_strange", "after_reads"}
    assert project.build() == ({"reads": "success", "reads_strange": "success"}, True)
    assert project.tables(OURS).keys() == {"reads", "reads_strange"}

    alone = project.transform.run([], ["raw/stale:freshness", "raw/missing:freshness"])
    assert severities(alone) == {"stale": (False, error), "missing": (False, error)}
    assert not alone.success  # as `dbt source freshness`, which asks for nothing else
