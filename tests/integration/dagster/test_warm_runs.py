"""`warm: true`: a code server's runs begin with everything imported, and read the files anew."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext

from tests.support.dbt_projects import DbtProject
from tests.support.launching import code_server, create_run
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import LOCATION, Transform
from tests.support.waiting import until

WORDS = """
import json, os, sys

KNOWN = [name for name in ("sqlmesh", "dbt", "pandas") if name in sys.modules]
if os.path.exists(os.environ.get("DAGSTER_TRANSFORM_WARM_DBT", "")):
    KNOWN.append("a warm dbt process")

@dg.asset(deps=[["b"], ["on_b"]])
def last(context):
    context.log.info("known before: " + json.dumps(KNOWN))

assets.append(last)
"""
MODELS = {
    "mart.a": "kind FULL\n---\nSELECT 1 AS n",
    "mart.b": "kind FULL, audits (not_null(columns := (n)))\n---\nSELECT n FROM mart.a",
}
DBT = {
    "models/sources.yml": "sources: [{name: mart, schema: mart, tables: [{name: b}]}]",
    "models/on_b.sql": "select n + 1 as n from {{ source('mart', 'b') }}",
}


def launch(transform: Transform, process: WorkspaceProcessContext) -> Story:
    """A run of everything, as a schedule or the UI begins it."""
    context = process.create_request_context()
    run = create_run(transform.instance, context)
    transform.instance.launch_run(run.run_id, context)
    ends = ("SUCCESS", "FAILURE")
    until(lambda: transform.story(run.run_id).status.name in ends, "its end", 120)
    return transform.story(run.run_id)


def told(story: Story) -> Mapping[str, Any]:
    """What Dagster has of a run, whatever process it had."""
    return {"built": sorted(story.materialized), "checks": story.checks, "success": story.success}


@pytest.mark.slow
def test_a_warm_run_is_as_a_cold_one_and_reads_the_files_as_they_are(tmp_path: Path) -> None:
    found = []
    for warm in (False, True):
        folder = tmp_path / f"warm_{warm}"
        database = Database.in_file(folder / "w.duckdb")
        project = Project(folder / "p", database, MODELS)
        DbtProject(folder / "d", database, DBT)
        further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
        transform = Transform(
            folder, [project], code=WORDS, settings={"warm": warm}, further=further, plan="auto"
        )
        transform.prepare()
        with code_server(transform.instance, transform.module, folder, LOCATION) as process:
            first = launch(transform, process)
            project.model("mart.a", MODELS["mart.a"].replace("1", "41"))
            transform.prepare()
            second = launch(transform, process)
        (known,) = [json.loads(line.partition("known before: ")[2]) for line in lines(second)]
        assert known == (["sqlmesh", "pandas", "a warm dbt process"] if warm else [])
        assert database.rows("SELECT n FROM main.on_b") == [(42,)]
        assert first.pid != second.pid != os.getpid()
        found.append((told(first), told(second)))
        transform.close()
    cold, warmed = found
    assert warmed == cold
    assert cold[1]["built"] == ["a", "b", "last", "on_b"]


def lines(story: Story) -> list[str]:
    entries = (record.event_log_entry for record in story.records)
    return [e.user_message for e in entries if "known before: " in e.user_message]


def test_nothing_is_kept_warm_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster_transform.config import TransformConfig
    from dagster_transform.dagster import _compat_warm, warm

    asked: list[Any] = []
    monkeypatch.setattr(_compat_warm, "is_code_server", lambda: True)
    monkeypatch.setattr(_compat_warm, "start_runs_with_forkserver", lambda m: asked.append(m) or 1)
    config = TransformConfig(projects={"p": {"framework": "sqlmesh", "path": "p"}}, warm=True)
    monkeypatch.setattr(warm, "memory_in_use", lambda: 0.81)
    assert not warm.start_runs_warm(config)
    monkeypatch.setattr(warm, "memory_in_use", lambda: 0.5)
    assert warm.start_runs_warm(config)
    assert [len(modules) for modules in asked] == [2]
