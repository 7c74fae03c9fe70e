from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dagster_transform.dbt.runs import run_artifacts

# -- artifacts ----------------------------------------------------------------------------------

BEGAN = datetime(2024, 3, 5, 6, tzinfo=timezone.utc)
DBT = {"dbt_version": "1.11.16", "run_results": "R", "sources": "S", "args": {"which": "build"}}


def finished(folder: Path, at: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "run_results.json").write_text("{}")
    os.utime(folder / "run_results.json", (at, at))
    return folder


def test_nodes_and_sources_are_told_apart(tmp_path: Path) -> None:
    node, source = {"unique_id": "model.p.a"}, {"unique_id": "source.p.s.t"}
    ended = BEGAN + timedelta(seconds=90)
    run_artifacts.write_artifacts(tmp_path, [node, source], DBT, "inv", began=BEGAN, ended=ended)
    results = json.loads((tmp_path / "run_results.json").read_text())
    assert results["results"] == [node]
    assert (results["elapsed_time"], results["args"]) == (90, {"which": "build"})
    assert results["metadata"] == {
        "dbt_schema_version": "R",
        "dbt_version": "1.11.16",
        "generated_at": "2024-03-05T06:01:30Z",
        "invocation_id": "inv",
        "invocation_started_at": "2024-03-05T06:00:00Z",
        "env": {},
    }
    sources = json.loads((tmp_path / "sources.json").read_text())
    assert (sources["results"], sources["metadata"]["dbt_schema_version"]) == ([source], "S")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run_results.json", "sources.json"]


def test_without_a_source_there_is_no_sources_json(tmp_path: Path) -> None:
    run_artifacts.write_artifacts(tmp_path, [], DBT, "inv", began=BEGAN, ended=BEGAN)
    assert not (tmp_path / "sources.json").exists()


def test_a_run_that_is_over_keeps_its_sql(tmp_path: Path) -> None:
    finished(tmp_path / "r", 1)
    for path in ("target/compiled/p/a.sql", "target/run/p/a.sql", "target/graph.json", "dbt.err"):
        file = tmp_path / "r" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    named = f"error\n  compiled code at {tmp_path}/r/target/run/p/a.sql"
    kept = run_artifacts.kept_path(tmp_path / "r", named)
    run_artifacts.tidy(tmp_path / "r")
    left = {str(p.relative_to(tmp_path / "r")) for p in (tmp_path / "r").rglob("*") if p.is_file()}
    assert left == {"run_results.json", "compiled/p/a.sql"}
    assert Path(kept.rpartition(" ")[2]).read_text() == "target/compiled/p/a.sql"
    run_artifacts.tidy(tmp_path / "r")
    assert (tmp_path / "r/compiled/p/a.sql").exists()


def test_the_last_runs_are_kept_and_runs_that_go_on(tmp_path: Path) -> None:
    for number in range(5):
        finished(tmp_path / f"r{number}", at=1000 + number)
    (tmp_path / "going_on" / "target").mkdir(parents=True)
    now = datetime.now(timezone.utc)
    run_artifacts.prune(tmp_path, 2, now)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["going_on", "r3", "r4"]
    run_artifacts.prune(tmp_path, 0, now + timedelta(days=6))
    assert [p.name for p in tmp_path.iterdir()] == ["going_on"]
    run_artifacts.prune(tmp_path, 0, now + timedelta(days=8))
    assert list(tmp_path.iterdir()) == [], "it was killed"


def test_what_is_not_there_is_removed_without_an_error(tmp_path: Path) -> None:
    run_artifacts.prune(tmp_path / "nothing", 1, BEGAN)
    run_artifacts.tidy(tmp_path / "nothing")
    run_artifacts.remove(tmp_path / "nothing")
