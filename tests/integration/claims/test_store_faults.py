"""Runs whose store of claims is elsewhere, can't be reached, or goes away for a while."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support.overlapping_runs import (
    BELOW,
    BOTH,
    at_the_gate,
    closed,
    ended,
    held,
    says,
)
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database
from tests.support.stopped_runs import (
    GONE,
    NAMES,
    OPTIONS,
    Place,
    lines,
    meanwhile,
    run_of,
    transform_of,
)
from tests.support.waiting import until


@pytest.mark.postgres
def test_runs_on_dagsters_postgres_keep_their_claims_there(
    tmp_path: Path, database: Database, postgres: PostgresDatabase, place: Place
) -> None:
    storage = Database.in_postgres(replace(postgres, database=place.name))
    transform = transform_of(tmp_path, database)
    config = yaml.safe_load((transform.home / "dagster.yaml").read_text(encoding="utf-8"))
    config["storage"] = {"postgres": {"postgres_url": place.url}}
    (transform.home / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    try:
        with closed(database) as let_in, transform.launched(NAMES, **OPTIONS) as one:
            until(lambda: at_the_gate(database), "the first run to be at work", 60)
            rows = storage.rows(
                "SELECT run_id, resource_key FROM dagster_transform_lease "
                "JOIN dagster_transform_batch USING (claim_id) WHERE resource_key LIKE 'table:%'"
            )
            assert len(rows) == 2
            assert {run for run, _ in rows} == {one}
            second = transform.run(NAMES, **{**OPTIONS, "on_claimed": "skip"})
            assert second.observed["by_time"] == ["claimed"]
            assert f"run {one} has claimed it since" in second.reason("by_time")
            let_in()
            assert ended(transform, one).success
        assert storage.rows("SELECT * FROM dagster_transform_lease") == []
        assert not list(transform.home.rglob("*.db"))
        assert "geheim" not in second.text
    finally:
        transform.close()


def test_a_store_that_cannot_be_reached_fails_the_run_before_anything_is_built(
    tmp_path: Path,
) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    transform = transform_of(
        tmp_path, database, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}, claims_url=GONE
    )
    before = database.tables()
    try:
        run = transform.run()
        assert not run.success
        url = "postgresql+psycopg2://someone:***@/nowhere?host=%2Fnonexistent"
        assert f"The claims store {url} cannot be used" in run.failure
        assert "DAGSTER_TRANSFORM_CLAIMS_URL" in run.failure
        assert "geheim" not in run.text
        assert run.started == []
        assert database.tables() == before
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_run_goes_on_when_its_store_comes_back_within_the_lease(
    tmp_path: Path, database: Database, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    models = {
        "shared.by_time": BOTH["shared.by_time"],
        "two.below": BELOW["two.below"].replace("kind", "tags (heavy), kind"),
    }
    transform = transform_of(
        tmp_path, database, models, claims_url=place.url, claims_lease=30.0, claims_heartbeat=0.3,
        tags={"heavy": 1},
    )  # fmt: skip
    with closed(database) as let_in:

        def breaks() -> None:
            until(lambda: at_the_gate(database), "the run to be at work", 60)
            place.goes()
            until(lambda: lines(caplog, "not renewed, and will be tried again"), "a renewal", 20)
            let_in()
            # Built under the trust that is left; its claim is released, the next's slot taken,
            # once there is a store again.
            until(lambda: lines(caplog, "Will be released later"), "a release", 20)
            said = lambda: says(transform, run_of(transform), "cannot be used")  # noqa: E731
            until(said, "a slot to be asked for", 20)
            place.comes_back()

        with meanwhile(breaks):
            run = transform.run(NAMES, **OPTIONS)
    try:
        assert run.success, run.text[-3000:]
        assert run.materialized == ["by_time", "below"]
        assert "geheim" not in run.text + caplog.text
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_what_a_run_builds_is_cancelled_when_its_store_stays_away(
    tmp_path: Path, database: Database, place: Place
) -> None:
    transform = transform_of(
        tmp_path, database, claims_url=place.url, claims_lease=2.0, claims_heartbeat=0.5
    )
    before = database.intervals()
    try:
        with closed(database) as let_in:

            def breaks() -> None:
                until(lambda: at_the_gate(database), "the run to be at work", 60)
                place.goes()

            with meanwhile(breaks):
                lost = transform.run(NAMES, **OPTIONS)
            assert lost.observed == {"by_time": ["cancelled"], "below": ["cancelled"]}
            assert "could not be renewed before its lease ends" in lost.reason("by_time")
            assert at_the_gate(database) == 0
            assert database.intervals() == before
            let_in()
        place.comes_back()
        again = transform.run(NAMES, **OPTIONS)
        assert again.success
        assert again.materialized == ["by_time", "below"]
    finally:
        transform.close()
