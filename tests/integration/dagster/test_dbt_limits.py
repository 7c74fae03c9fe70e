"""How many dbt models are built at the same moment, and who says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.dbt_transforms import OfDbt
from tests.support.sqlmesh_projects import Database
from tests.support.stories import Story

THREADS = 7
MODELS = {f"models/m{i}.sql": "select 1 as n" for i in range(THREADS + 2)}


def started_before_one_has_ended(story: Story) -> int:
    """All that may start at once is started, and told, before the walk hears of an end."""
    assert story.success
    words = [
        w for line in story.text.splitlines() for w in ("build started", "built in") if w in line
    ]
    return words.index("built in")


def test_dbt_follows_its_threads_until_somebody_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAX_CONCURRENT_MODELS", raising=False)
    database = Database.in_file(tmp_path / "w.duckdb")
    project = DbtProject(tmp_path / "d", database, MODELS, threads=THREADS)
    transform = OfDbt(tmp_path, project)
    transform.prepare()
    assert started_before_one_has_ended(transform.run()) == THREADS
    assert started_before_one_has_ended(transform.run(max_concurrent_models=2)) == 2
    transform.close()
