"""The example project, as `make demo ARGS=--break` runs it: Python, dbt, SQLMesh, dbt, Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster import DagsterEventType as Kind

from example_project.demo import TRUE_OF_THE_DATA as KNOWN_TO_THE_DEMO
from tests.support.folders import REPOSITORY
from tests.support.stories import Story

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLE = REPOSITORY / "example_project"
LEFT_BEHIND = ("data", "target", "logs", ".cache", ".dagster_transform", "__pycache__")
PYTHON = {"airlines", "airports", "flights", "planes", "weather", "airport_distances"}
STAGING = {"stg_airports", "stg_carriers", "stg_flights", "stg_planes", "stg_weather"}
DBT = STAGING | {"extra_airports", "airline_names", "delay_cells"}
SQLMESH = {
    "carrier_groups", "carrier_days", "days", "delay_by_hour", "destinations", "fleet_age",
    "routes", "weather_conditions", "weather_impact",
}  # fmt: skip
BELOW_CARRIERS = {"airline_names", "delay_by_hour", "fleet_age", "delay_cells"}
"""Nodes downstream of stg_carriers; the Python asset delay_picture is too."""
TRUE_OF_THE_DATA = {
    "flights:flights_are_of_registered_planes": 50_094,
    "stg_airports:airports_are_where_they_could_be": 3,
    "stg_flights:departures_at_most_12_hours_late": 29,
    "stg_weather:wind_is_possible": 1,
    "carrier_days:share_at_most": 17,
    "fleet_age:share_at_most": 2,
    "routes:distances_agree_tolerance_0_005": 2,
}
"""Checks that fail on the real data, and on how many rows. None of them blocks."""


@dataclass
class Demo:
    """What `make demo ARGS=--break` left: two runs, the file, and what it printed."""

    first: Story
    broken: Story
    database: Path
    printed: str
    code: int
    checks: set[str]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """On a copy of the example, so that nothing of an earlier run is there."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(
        EXAMPLE, folder / "example_project", ignore=shutil.ignore_patterns(*LEFT_BEHIND)
    )
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "FLIGHTS"))}
    environment = {**kept, "DAGSTER_HOME": str(home), "COLUMNS": "120"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    done = run("-m", "example_project.demo", "--break")
    log = (home / "demo.log").read_text(encoding="utf-8") if (home / "demo.log").exists() else ""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = list(reversed(list(instance.get_runs())))
        assert len(runs) == 2, done.stdout + done.stderr + log[-4000:]
        first, broken = (_story(instance, each) for each in runs)
    listed = run(
        "-c",
        "from example_project.definitions import defs\n"
        "for key in sorted(defs.get_repository_def().asset_graph.asset_check_keys):\n"
        "    print(f'{key.asset_key.path[-1]}:{key.name}')",
    )
    assert listed.returncode == 0, listed.stderr
    return Demo(
        first,
        broken,
        database=folder / "example_project" / "data" / "flights.duckdb",
        printed=done.stdout,
        code=done.returncode,
        checks=set(listed.stdout.split()),
    )


def _story(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Story:
    records: list[Any] = []
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run.run_id, cursor=cursor)
        records.extend(page.records)
        cursor = page.cursor
        if not page.has_more:
            return Story(run.run_id, run.status, records)


def test_the_first_run_builds_both_frameworks_and_runs_every_check(demo: Demo) -> None:
    run = demo.first
    assert run.success, run.failures
    everything = PYTHON | DBT | SQLMESH | {"delay_picture"}
    assert sorted(run.materialized) == sorted(everything)  # each once

    assert set(run.checks) == demo.checks
    assert {name for name, passed in run.checks.items() if not passed} == set(TRUE_OF_THE_DATA)
    for event in run.of(Kind.ASSET_CHECK_EVALUATION):
        check = event.event_specific_data
        if not check.passed:
            name = f"{check.asset_key.path[-1]}:{check.check_name}"
            failed_rows = check.metadata["dagster_transform/failed_rows"].value
            assert (failed_rows, check.blocking) == (TRUE_OF_THE_DATA[name], False)
    of_every_sort = {
        "flights:freshness",
        "planes:source_unique_raw_planes_tailnum",
        "stg_flights:flights_go_to_known_airports",  # relationships: two parents
        "stg_flights:flights_have_weather",  # singular
        "stg_flights:cancelled_and_diverted_flights",  # unit test
        "airline_names:not_null_airline_names_carrier",  # of a snapshot
        "routes:distances_agree_tolerance_0_05",  # an audit
    }
    assert of_every_sort <= demo.checks

    # The same flights at each end of the chain.
    rows = run.materialization("stg_flights").metadata["dagster/row_count"].value
    assert rows == 336_776
    assert demo.rows("SELECT sum(flights) FROM marts.carrier_days") == [(336_776,)]
    departed = demo.rows("SELECT count(*) FROM raw.flights WHERE dep_time IS NOT NULL")
    assert demo.rows("SELECT sum(departed) FROM reports.delay_cells") == departed
    assert "24 built; checks: 54 passed, 7 failed\n" in demo.printed
    assert (
        "  check failed on staging.stg_weather: wind_is_possible (not blocking, 1 row)\n"
        in demo.printed
    )
    purpose = "These checks fail on purpose: they say what is true of the real data"
    assert 0 < demo.printed.index(purpose) < demo.printed.index("  check failed on "), "why, first"
    assert {name.split(":")[1] for name in TRUE_OF_THE_DATA} == KNOWN_TO_THE_DEMO


def test_a_failing_dbt_model_blocks_exactly_its_descendants(demo: Demo) -> None:
    run = demo.broken
    assert not run.success
    assert run.observed["stg_carriers"] == ["failed"]
    assert {n for n, seen in run.observed.items() if seen == ["blocked"]} == BELOW_CARRIERS
    for name in BELOW_CARRIERS:
        assert "stg_carriers" in run.reason(name)

    # All the rest was built in the same run, of both frameworks; what is complete stays as it is.
    up_to_date = {"carrier_days", "weather_conditions", "weather_impact"}
    assert set(run.up_to_date) == up_to_date
    rest = (PYTHON | DBT | SQLMESH) - BELOW_CARRIERS - up_to_date - {"stg_carriers"}
    assert sorted(run.materialized) == sorted(rest)
    assert {"days", "routes", "destinations", "carrier_groups"} <= rest  # SQLMesh's

    assert demo.rows("SELECT count(*) FROM staging.stg_carriers") == [(16,)]  # as it was before
    assert demo.code == 0
    # As many as the table of the demo has; of checks too, also those that are run inside a build.
    assert run.failure.startswith("1 failed, 4 blocked, 13 checks not run; ")
    assert "35 passed, 5 failed, 13 not run (something that they read was not built), 8 not" in (
        demo.printed
    )
    assert "Step transform, one of the 5 that ran, has failed, and counts its own:" in (
        demo.printed
    )
    assert "1 not run, 1 failed" in demo.printed or "1 failed, 1 not run" in demo.printed
    assert ", 4 blocked, " in demo.printed
    assert "Exactly its descendants were held back." in demo.printed
