"""Run workers that are killed at random, on DuckDB and on PostgreSQL: `make killed COUNT=50`.

dbt and SQLMesh models that read each other, with audits and tests; every second run is a plan. A
run is killed (SIGKILL) at some time, some milliseconds after some event was stored, or after the
database has committed some build. Then the next run of the same comes. After it, every build that
the database has counted is told in Dagster and judged by all of its checks, nothing is told that it
has not counted, no result is told of a check that did not run, rows and intervals are those that
they should be, and nothing is claimed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.killed_projects import PARTS, make_transform
from tests.support.killed_runs import LONGEST, Kill, Killed
from tests.support.overlapping_runs import held
from tests.support.sqlmesh_projects import Database
from tests.support.told_builds import (
    BACKFILLED,
    CHECKED,
    MATERIALIZED,
    Asked,
    Built,
    Told,
    lies,
    not_judged,
    untold,
)

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

COUNT = int(os.environ.get("KILLED_COUNT", "50"))
SEED = int(os.environ.get("KILLED_SEED", "0")) or random.SystemRandom().randrange(10**6)
ENGINES = os.environ.get("KILLED_ENGINES", "duckdb postgres").split()
DAY_ONE = date(2024, 3, 1)
LEASE = {"claims_lease": 8.0, "claims_heartbeat": 2.0}


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "duckdb":
        yield Database.in_file(tmp_path / "w.duckdb")
        return
    server: PostgresDatabase = request.getfixturevalue("postgres")
    server.execute("CREATE DATABASE killed")
    yield Database.in_postgres(replace(server, database="killed"), 4)
    server.execute("DROP DATABASE killed WITH (FORCE)")


@pytest.mark.postgres
@pytest.mark.timeout(COUNT * 2 * LONGEST + 300)
def test_what_killed_runs_have_built_is_told(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(f"{SEED} {database.dialect}")
    with capsys.disabled():
        print(f"\n{database.dialect}, seed {SEED}")
    transform = make_transform(tmp_path, database, **LEASE)
    transform.prepare()
    killed, kills = Killed(transform, database, chance), list[Kill]()
    try:
        killed.finish()
        checks = killed.checks()
        count = -(-COUNT // len(ENGINES))
        while sum(kill.in_time for kill in kills) < count:
            change = chance.random() < 0.5
            killed.go_on(change=change)
            # As a schedule's tick, or as a person's run, which builds whole tables anew.
            options = {"ignore_cron": chance.random() < 0.3}
            kill = killed.kill(change, **options)
            kill.untold = untold(killed.builds(), killed.told)
            kills.append(kill)
            killed.finish(**options)
            unjudged = not_judged(killed.builds(), killed.told, checks)
            wrong = [
                *(f"not judged: {check}" for check in sorted(unjudged)),
                *lies(killed.builds(), killed.told, killed.asked),
                *_wrong_rows(killed),
                *(f"claimed: {each}" for each in held(transform)),
            ]
            with capsys.disabled():
                print(f"  {kill}" if kill.in_time else f"  too late: {kill}", flush=True)
            assert not wrong, f"seed {SEED}, {kill}:\n" + "\n".join(wrong)
    finally:
        transform.close()
    hit = sum(bool(kill.untold) for kill in kills)
    with capsys.disabled():
        print(
            f"{count} kills; {hit} of them between a build and its event; after each the next run "
            "told and judged all that the killed one had built"
        )
    assert hit >= count / 10


def _wrong_rows(killed: Killed) -> list[str]:
    """Models by time that do not have each event up to yesterday once, or are recorded wrongly."""
    wrong = []
    wanted = list(range(4 * (killed.now.date() - DAY_ONE).days))
    for name in (*PARTS, "keyed"):
        found = [id for (id,) in killed.database.rows(f"SELECT id FROM sm.{name} ORDER BY 1")]
        if found != wanted:
            wrong.append(f"rows: {name} has {len(found)} for {len(wanted)}, {len(set(found))} ids")
    for (name, version, is_dev), spans in killed.database.intervals().items():
        if len(spans) != 1:
            wrong.append(f"intervals: {name} {version} {is_dev}: {spans}")
    return wrong


BUILT = Built({"a": [10.0, 20.0]}, {"a": [30.0]})
TRUE = [
    Told(11, MATERIALIZED, "a", "one"), Told(12, CHECKED, "a:c", "one"),
    Told(21, BACKFILLED, "a", "two"), Told(22, MATERIALIZED, "a", "two"),
    Told(23, CHECKED, "a:c", "two"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "asked", "found"),
    [
        (TRUE, {"a:c": 1}, []),
        (TRUE[:3], {}, ["untold: a"]),
        ([*TRUE, Told(31, MATERIALIZED, "a", "two")], {}, []),
        ([*TRUE, Told(24, MATERIALIZED, "a", "two")], {}, ["false: 24.000 materialized a"]),
        ([*TRUE, Told(24, BACKFILLED, "a", "two")], {}, ["false: 24.000 backfilled a"]),
        ([*TRUE, Told(5, MATERIALIZED, "b", "two")], {}, ["false: 5.000 materialized b"]),
        (TRUE, {"a:c": 0}, ["false: 1 results of a:c"]),
        ([], {}, ["untold: a"]),
    ],
)
def test_a_lie_is_found(told: list[Told], asked: dict[str, int], found: list[str]) -> None:
    said = lies(BUILT, told, [Asked("two", asked)])
    assert [text[: len(start)] for text, start in zip(said, found, strict=True)] == found


def test_a_check_that_was_lost_is_found() -> None:
    checks = {"a": ["a:c", "a:d"]}
    assert not_judged(BUILT, TRUE, checks) == {"a:d"}
    assert not_judged(BUILT, TRUE[:4], checks) == {"a:c", "a:d"}
    assert untold(BUILT, TRUE) == set()
    assert untold(BUILT, TRUE[:2]) == {"a"}
