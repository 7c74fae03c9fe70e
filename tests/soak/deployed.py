"""A deployment under ticks every five minutes whose processes are killed at random.

`make deployed SECONDS=1800`. Run worker, code server (alone, or with the runs in it) and daemon are
killed; what is killed is started again, as a supervisor does it. After that every interval that was
due is built exactly once, and nothing is left: no claim, nothing pending, no run that has not
ended.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.deployments import OVER, Deployed
from tests.support.postgres import PostgresDatabase

pytestmark = pytest.mark.postgres

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(10**6)
QUIET = 900
"""Seconds that all may take to come to rest after the last kill."""
FIVE = timedelta(minutes=5)
TWICE = 12
"""Schedules that tick at the same moment, in front of two daemons."""
TICK, GROUP, ATTEMPT = (f"dagster_transform/{tag}" for tag in ("tick", "job_group", "attempt"))


def _model(cron: str, source: str, seconds: float) -> str:
    return f"""
        kind INCREMENTAL_BY_TIME_RANGE (time_column moment),
        cron '{cron}',
        audits (not_null(columns := (id)))
        ---
        SELECT e.id::INT AS id, e.moment::TIMESTAMP AS moment
        FROM {source} AS e
        WHERE e.moment BETWEEN @start_ts AND @end_ts
          AND (SELECT pg_sleep({seconds}))::TEXT IS NOT NULL
    """


MODELS = {
    "ev.raw": _model("*/5 * * * *", "src.events", 2),
    "ev.clean": _model("*/5 * * * *", "ev.raw", 3),
    "ev.other": _model("*/5 * * * *", "src.events", 4),
    "mart.wide": _model("*/5 * * * *", "ev.clean", 3),
    "mart.both": _model("*/5 * * * *", "mart.wide", 1),
    "ten.sums": _model("*/10 * * * *", "mart.wide", 2),
}
"""Each copies the events of its source, so that each has them all in the end."""
GROUPS = """
    job_groups:
      ev: {cron: "*/5 * * * *", nodes: [warehouse/ev/raw, warehouse/ev/clean, warehouse/ev/other]}
      mart: {cron: "*/5 * * * *", nodes: [warehouse/mart/wide, warehouse/mart/both]}
      ten: {cron: "*/10 * * * *", nodes: [warehouse/ten/sums]}
"""


@pytest.fixture
def deployed(tmp_path: Path, postgres: PostgresDatabase) -> Iterator[Deployed]:
    found = Deployed(
        tmp_path, postgres, MODELS, GROUPS,
        settings={"job_groups": {"schedules": "running", "sensor_interval": 10}},
        # Sooner than in dagster.yaml, which is for a quiet machine and long runs.
        dagster={"run_monitoring": {"max_runtime_seconds": 600, "poll_interval_seconds": 10}},
    )  # fmt: skip
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    found.warehouse.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.events AS SELECT row_number() OVER (ORDER BY moment)::INT AS id, moment "
        f"FROM generate_series(TIMESTAMP '{now - timedelta(days=2):%Y-%m-%d}', "
        f"TIMESTAMP '{now + timedelta(days=2):%Y-%m-%d}', INTERVAL '20 seconds') AS moment",
    )
    with found.running():
        yield found


@pytest.mark.timeout(SECONDS + QUIET + 900)
def test_every_interval_is_built_once_whatever_is_killed(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, kills, said = random.Random(SEED), Counter[str](), list[str]()
    began = time.monotonic()
    until = began + SECONDS
    while time.monotonic() < until:
        _tend(deployed, chance.uniform(5, 45), until, said)
        kills[_kill_something(deployed, chance)] += 1
    # One more tick, undisturbed, and its run is over: then nothing else comes.
    last = _floor(datetime.now(timezone.utc)) + FIVE
    _tend(deployed, (last - datetime.now(timezone.utc)).total_seconds() + 30, None, said)
    deployed.stop_schedules()
    rest = time.monotonic()
    left: list[str] = []
    while (left := _not_at_rest(deployed)) and time.monotonic() - rest < QUIET:
        _tend(deployed, 5, None, said)
    runs = deployed.runs()
    wrong = [*left, *_wrong_data(deployed, last), *_launched_twice(runs)]
    with capsys.disabled():
        print(_figures(runs, kills, said, time.monotonic() - began, time.monotonic() - rest))
    assert not wrong, f"seed {SEED}:\n" + "\n".join(wrong)
    assert sum(n for what, n in kills.items() if what != "nothing") >= SECONDS / 60
    assert len(runs) >= 2 * SECONDS / 300


@pytest.mark.timeout(1200)
def test_two_daemons_launch_a_tick_once(tmp_path: Path, postgres: PostgresDatabase) -> None:
    """Without what holds the second one back, two of eight ticks had two runs."""
    groups = [f"g{number}" for number in range(TWICE)]
    deployed = Deployed(
        tmp_path,
        postgres,
        {f"m.{name}": "kind FULL, cron '*/5 * * * *'\n---\nSELECT 1 AS n" for name in groups},
        "job_groups:\n"
        + "".join(
            f"  {name}: {{cron: '*/5 * * * *', nodes: [warehouse/m/{name}]}}\n" for name in groups
        ),
        settings={"job_groups": {"schedules": "running"}},
    )
    with deployed.running():
        deployed.deployment.start("daemon_2")
        tick = _floor(datetime.now(timezone.utc)) + FIVE
        if tick - datetime.now(timezone.utc) < timedelta(seconds=20):  # the second one starts yet
            tick += FIVE
        _tend(deployed, (tick - datetime.now(timezone.utc)).total_seconds() + 60, None, [])
        launched = Counter(
            run["tags"][GROUP] for run in deployed.runs() if run["tags"][TICK] == tick.isoformat()
        )
        assert launched == Counter(groups)


def _tend(deployed: Deployed, seconds: float, until: float | None, said: list[str]) -> None:
    """Be a supervisor for some time."""
    end = time.monotonic() + max(0.0, seconds)
    if until is not None:
        end = min(end, until)
    while time.monotonic() < end:
        said += deployed.deployment.tend()
        time.sleep(0.5)


def _kill_something(deployed: Deployed, chance: random.Random) -> str:
    """Kill something at random; what."""
    what = chance.choice(
        ["run worker"] * 3
        + ["code server", "code server with its runs", "daemon", "daemon at a tick"]
    )
    if what == "run worker":
        if not (workers := deployed.run_workers()):
            return "nothing"
        try:
            chance.choice(workers).kill()
        except psutil.NoSuchProcess:
            return "nothing"
    elif what == "code server":
        deployed.kill("code_server")
    elif what == "code server with its runs":
        deployed.kill_whole("code_server")
    else:
        if what == "daemon at a tick":
            now = datetime.now(timezone.utc)
            to_come = (_floor(now) + FIVE - now).total_seconds()
            if to_come > 60:
                return "nothing"
            time.sleep(to_come + chance.uniform(0, 4))
        deployed.kill("daemon")
    return what


def _floor(moment: datetime, minutes: int = 5) -> datetime:
    return moment.replace(minute=moment.minute // minutes * minutes, second=0, microsecond=0)


def _not_at_rest(deployed: Deployed) -> list[str]:
    """What has not ended, in words."""
    return [
        *(f"run {r['runId']} is {r['status']}" for r in deployed.runs() if r["status"] not in OVER),
        *(f"{key} is held by run {run}" for key, run in deployed.held()),
        *(f"pending: {row}" for row in deployed.pending()),
    ]


def _wrong_data(deployed: Deployed, last: datetime) -> list[str]:
    """Models whose rows or recorded intervals are not those up to the last tick, each once.

    On a busy machine the run of the last tick comes after the next one, and builds that too.
    """
    wrong, database = [], deployed.warehouse
    merged = {
        name: spans for (name, _, is_dev), spans in database.intervals().items() if not is_dev
    }
    for name in MODELS:
        every = 10 if name.startswith("ten.") else 5
        (full,) = (key for key in merged if key.replace('"', "").endswith(f".{name}"))
        built = datetime.fromtimestamp(merged[full][-1][1] / 1000, timezone.utc)
        newest = _floor(datetime.now(timezone.utc), every)
        start, end = deployed.start, min(newest, max(_floor(last, every), built))
        asked = f"moment >= '{start:%Y-%m-%d}' AND moment < '{end:%Y-%m-%d %H:%M}'"
        wanted = database.rows(f"SELECT id FROM src.events WHERE {asked} ORDER BY id")
        found = database.rows(f"SELECT id FROM {name} ORDER BY id")
        if found != wanted:
            twice = len(found) - len(set(found))
            wrong.append(f"{name}: {len(found)} rows for {len(wanted)}, {twice} of them twice")
        due = [(int(start.timestamp() * 1000), int(end.timestamp() * 1000))]
        if merged[full] != due:
            wrong.append(f"{name}: recorded {merged[full]} for {due}")
        again = database.rows(
            "SELECT a.start_ts, a.end_ts FROM sqlmesh._intervals a JOIN sqlmesh._intervals b "
            "ON a.name = b.name AND a.version = b.version AND a.id < b.id AND NOT a.is_dev "
            f"AND NOT b.is_dev AND a.start_ts < b.end_ts AND b.start_ts < a.end_ts "
            f"WHERE a.name = '{full}'"
        )
        wrong += [f"{name}: {span} is recorded twice" for span in again]
    return wrong


def _launched_twice(runs: list[dict[str, Any]]) -> list[str]:
    """Ticks of a schedule that have launched more than one run."""
    launches = Counter(
        (run["tags"][GROUP], run["tags"][TICK])
        for run in runs
        if "dagster/schedule_name" in run["tags"]
    )
    return [f"{found} runs for tick {tick}" for tick, found in launches.items() if found > 1]


def _figures(
    runs: list[dict[str, Any]], kills: Counter[str], said: list[str], seconds: float, rest: float
) -> str:
    killed = ", ".join(f"{n} {what}" for what, n in sorted(kills.items()) if what != "nothing")
    ended = ", ".join(f"{n} {status}" for status, n in Counter(r["status"] for r in runs).items())
    by_sensor = sum("dagster/sensor_name" in run["tags"] for run in runs)
    attempts = Counter(run["tags"].get(ATTEMPT, "0") for run in runs)
    return (
        f"\nseed {SEED}, {seconds:.0f} s, {rest:.0f} of them to come to rest; killed: {killed}; "
        f"{len(said)} restarts\n{len(runs)} runs: {ended}; {by_sensor} launched by the sensor; "
        f"by attempt: {dict(sorted(attempts.items()))}"
    )
