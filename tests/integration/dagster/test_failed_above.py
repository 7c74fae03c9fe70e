"""Blocking checks of other assets hold back what reads these, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform, python_asset

MODELS = {
    "mart.reads": "kind FULL\n---\nSELECT n FROM landing.seen",
    "mart.below": "kind FULL\n---\nSELECT n FROM mart.reads",
    "mart.apart": "kind FULL\n---\nSELECT 1 AS n",
}
CHECK = """
@dg.asset_check(asset={asset}, blocking={blocking})
def is_well():
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.{severity})

assets.append(is_well)
"""
SEEN = "['w', 'landing', 'seen']"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    database = Database.in_file(tmp_path / "w.duckdb")
    transform = Transform(tmp_path, [Project(tmp_path / "p", database, MODELS)])
    database.execute("CREATE SCHEMA landing", "CREATE TABLE landing.seen AS SELECT 1 AS n")
    transform.projects[0].write(
        {"external_models.yaml": "- name: w.landing.seen\n  columns: {n: int}\n"}
    )
    transform.projects[0].plan_natively(utc("2026-11-02 22:10"))
    transform.prepare()
    yield transform
    transform.close()


def define(transform: Transform, check: str) -> None:
    assets = python_asset("raw") + python_asset("seen", ["raw"], key=SEEN)
    transform.define(assets + check)


@pytest.mark.parametrize("asset", [SEEN, "'raw'"])
def test_what_reads_a_failed_asset_is_blocked_also_behind_another_one(
    transform: Transform, asset: str
) -> None:
    define(transform, CHECK.format(asset=asset, blocking=True, severity="ERROR"))
    story = transform.run()
    assert not story.success
    assert {"apart"} == set(story.materialized) - {"raw", "seen"}
    assert story.observed == {"reads": ["blocked"], "below": ["blocked"]}
    name = "raw" if asset == "'raw'" else "w/landing/seen"
    assert story.reason("reads") == f"{name}:is_well failed in this run"
    assert "reads" in story.reason("below")


@pytest.mark.parametrize(("blocking", "severity"), [(False, "ERROR"), (True, "WARN")])
def test_what_does_not_block_holds_back_nothing(
    transform: Transform, blocking: bool, severity: str
) -> None:
    define(transform, CHECK.format(asset=SEEN, blocking=blocking, severity=severity))
    assert {"reads", "below", "apart"} <= set(transform.run().materialized)


def test_a_failure_of_another_run_holds_back_nothing(transform: Transform) -> None:
    define(transform, CHECK.format(asset=SEEN, blocking=True, severity="ERROR"))
    transform.run()
    story = transform.run(["w/mart/reads"])
    assert story.success
    assert story.materialized == ["reads"]
