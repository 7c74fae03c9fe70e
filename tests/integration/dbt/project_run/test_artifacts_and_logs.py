"""What remains of a run of a dbt project: artifacts, logs, answers."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.dbt_project_runs import TABLE, TWO, VIEW, project_of, results_of
from tests.support.dbt_runs import DbtRun
from tests.support.sqlmesh_projects import Database

# -- artifacts ----------------------------------------------------------------------------------


def test_artifacts_of_the_last_runs_are_kept_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    project = project_of(database, tmp_path, TWO)
    runs = [DbtRun(project, ["a"], kept_runs=2) for _ in range(3)]
    for run in runs:
        run.go()
    kept = {
        path.name: sorted(p.name for p in path.iterdir()) for path in (tmp_path / "runs").iterdir()
    }
    assert kept == {run.folder.name: ["compiled", "run_results.json"] for run in runs[1:]}
    assert (runs[-1].folder / "compiled/shop/models/a.sql").read_text().strip() == "SELECT 1 AS n"
    assert not (project.folder / "target").exists()


def test_dbt_reads_our_run_results(database: Database, tmp_path: Path) -> None:
    """`result:` selectors of a later dbt command work on what we have written."""
    files = {**TWO, "models/c.sql": TABLE + "SELECT 1 AS n FROM main.missing"}
    project = project_of(database, tmp_path, files)
    run = DbtRun(project)
    run.go()
    content = results_of(run)
    assert {e["unique_id"]: e["status"] for e in content["results"]} == {
        "model.shop.a": "success",
        "model.shop.b": "success",
        "model.shop.c": "error",
    }
    project.parse()
    shutil.copy(project.folder / "target/manifest.json", run.folder)
    listed = project.dbt(
        "--quiet", "ls", "--select", "result:error", "--state", str(run.folder), "--output", "name"
    )
    assert listed.stdout.split() == ["c"]


def test_what_dbt_says_beyond_results_is_logged(database: Database, tmp_path: Path) -> None:
    files = {
        "models/a.sql": TABLE + "{{ log('hello from a', info=true) }}"
        "{% if execute %}{{ exceptions.warn('watch out') }}{% endif %} SELECT 1 AS n",
        "models/b.sql": TABLE + "SELECT nonsense",
        "dbt.py": "raise ImportError('the folder of a project is not where Python looks')",
    }
    run = DbtRun(project_of(database, tmp_path, files))
    run.go()
    assert ("info", "hello from a") in run.logs
    assert any(level == "warn" and "watch out" in text for level, text in run.logs)
    assert not any("nonsense" in text for _, text in run.logs), "that is b's own reason"


def test_starts_from_many_threads_are_answered_once_each(
    database: Database, tmp_path: Path
) -> None:
    files = {f"models/m{i}.sql": VIEW + f"SELECT {i} AS n" for i in range(40)}
    run = DbtRun(project_of(database, tmp_path, files, threads=4))
    result = run.go()
    assert set(result.outcomes.values()) == {"built"}
    assert result.most_at_once == 4
    assert len(run.project_run.reports) == 40
    assert len(results_of(run)["results"]) == 40
