"""Hours of ticks and looks of the sensor, with an injected time, over nodes that are slow, held,
fail, and whose runs are lost; what must be true when all of it is over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import TickStatus

from dagster_transform.claims import WHOLE, Owner, OwnerKind, RunId, Store, Want, new_claim_id
from dagster_transform.cli.graphs import prepared
from dagster_transform.config import load_config
from dagster_transform.config.job_group_file import read_job_group_file
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.planning.job_groups.file import load_job_groups
from dagster_transform.planning.job_groups.settings import job_group_settings
from dagster_transform.planning.job_groups.simulation import simulate
from dagster_transform.planning.resource_keys import table_of
from dagster_transform.runs.tags import JOB_GROUP, TICK
from tests.support.grouped import grouped
from tests.support.scheduler import Scheduler, launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

HOUR = timedelta(hours=1)
LOOKS = timedelta(minutes=2)
START = utc("2026-11-02 20:00")
_INCREMENTAL = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column at), cron '{cron}', start '2026-11-01'
    ---
    SELECT at::TIMESTAMP AS at, {n}::INT AS n FROM {source}
    WHERE at BETWEEN @start_ts AND @end_ts{fails};
    INSERT INTO w.main.built VALUES ('{name}', @start_ts::TIMESTAMP, @end_ts::TIMESTAMP)
"""
_FAILS = (
    " AND (SELECT CASE WHEN count(*) > 0 THEN error('broken for now') ELSE true END"
    " FROM w.main.broken WHERE name = '{name}')"
)


def _incremental(name: str, cron: str, source: str, n: str = "n") -> str:
    fails = _FAILS.format(name=name)
    return _INCREMENTAL.format(name=name, cron=cron, source=source, n=n, fails=fails)


MODELS = {
    "web.events": _incremental("events", "@hourly", "w.main.hours", "1"),
    "web.visits": _incremental("visits", "@hourly", "w.web.events"),
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day), cron '@daily', start '2026-11-01'
        ---
        SELECT date_trunc('day', at)::TIMESTAMP AS day, count(*)::INT AS n FROM w.web.visits
        WHERE at BETWEEN @start_ts AND @end_ts GROUP BY 1;
        INSERT INTO w.main.built VALUES ('days', @start_ts::TIMESTAMP, @end_ts::TIMESTAMP)
    """,
    "mart.apart": _incremental("apart", "@hourly", "w.main.hours", "2"),
    "mart.again": "kind FULL, cron '@hourly'\n---\nSELECT max(n) AS n FROM w.mart.days",
}
FILE = """
    job_groups:
      hourly: {cron: "@hourly", nodes: [w/web/events, w/web/visits]}
      daily: {cron: "@daily", nodes: [w/mart/days]}
      hourly_2: {cron: "@hourly", nodes: [w/mart/again]}
      apart: {cron: "@hourly", nodes: [w/mart/apart]}
"""
BREAKABLE = ("events", "visits", "apart")
TABLES = ("web.events", "web.visits", "mart.apart", "mart.days")


class Driver:
    """A clock that goes on by two minutes, and what happens meanwhile.

    Args:
        transform: Whose groups.
        scheduler: Dagster's scheduler and sensor daemon.
        seed: Of what goes wrong; None: nothing does, and runs are done before the next minute.
    """

    def __init__(self, transform: Transform, scheduler: Scheduler, seed: int | None) -> None:
        self._transform = transform
        self._scheduler = scheduler
        self._chosen = random.Random(seed) if seed is not None else None
        self._until: dict[str, datetime] = {}  # when runs that are slow are executed
        self._mended: dict[str, datetime] = {}
        self._held: dict[str, tuple[str, datetime]] = {}  # which table, and until when
        self.happened: Counter[str] = Counter()

    @property
    def store(self) -> Store:
        return open_claims(self._transform.instance, load_config(self._transform.folder))

    def drive(self, start: datetime, end: datetime, *, calm_after: datetime) -> None:
        """Tick and look; after a moment nothing goes wrong any more."""
        now = start
        while now <= end:
            if now >= calm_after:
                self._chosen = None
            if now.minute == 0:
                self._scheduler.look(now)
                if self._chosen is not None:
                    self._disturb(now, self._chosen)
            self._calm_down(now)
            self._scheduler.sense(now + timedelta(seconds=20))
            self._execute(now)
            now += LOOKS

    def _disturb(self, now: datetime, chosen: random.Random) -> None:
        if chosen.random() < 0.25:
            name = chosen.choice(BREAKABLE)
            self._sql(f"INSERT INTO main.broken VALUES ('{name}')")
            self._mended[name] = now + timedelta(minutes=chosen.randint(10, 150))
            self.happened["failures"] += 1
        if chosen.random() < 0.25:
            self._hold(now, chosen.choice(TABLES), timedelta(minutes=chosen.randint(5, 90)))
        if chosen.random() < 0.1:
            self._scheduler.forget()  # the daemon restarts
            self.happened["restarts"] += 1

    def _hold(self, now: datetime, name: str, time: timedelta) -> None:
        owner = f"somebody-{now:%d%H}"
        graph = prepared(load_config(self._transform.folder)).graph
        (node,) = [
            node for node in graph.nodes.values() if node.name == f"w/{name.replace('.', '/')}"
        ]
        key = table_of(node)
        assert key is not None
        answer = self.store.acquire(
            Owner(OwnerKind.RUN, RunId(owner), RunId(owner), 0), [Want(key, WHOLE, WHOLE)],
            claim_id=new_claim_id(), all_or_nothing=True, lease=3600.0,
        )  # fmt: skip
        if answer.granted is not None:
            self._held[owner] = name, now + time
            self.happened["holds"] += 1

    def _calm_down(self, now: datetime) -> None:
        for owner in [owner for owner, (_, until) in self._held.items() if until <= now]:
            del self._held[owner]
            self.store.release_run(RunId(owner))
        for name in [name for name, until in self._mended.items() if until <= now]:
            del self._mended[name]
            self._sql(f"DELETE FROM main.broken WHERE name = '{name}'")
            # As a person would: what is mended is built by hand.
            model = f"mart.{name}" if name == "apart" else f"web.{name}"
            if model not in {table for table, _ in self._held.values()}:
                self._transform.run([model], execution_time=now.isoformat())

    def _execute(self, now: datetime) -> None:
        for run in self._scheduler.runs():
            if run.status is not dg.DagsterRunStatus.QUEUED:
                continue
            if run.run_id not in self._until:
                slow = self._chosen.choice((0, 0, 3, 20, 70)) if self._chosen else 0
                self._until[run.run_id] = now + timedelta(minutes=slow)
                self.happened["slow runs"] += slow > 0
            if self._until[run.run_id] > now:
                continue
            if self._chosen is not None and self._chosen.random() < 0.06:
                self._scheduler.begin(run)
                self._scheduler.lose(run)
                self.happened["lost runs"] += 1
                continue
            self._scheduler.execute(run, execution_time=now.isoformat())
            self.happened["runs"] += 1

    def _sql(self, statement: str) -> None:
        self._transform.projects[0].database.execute(statement)


Launches = list[tuple[str, str, frozenset[str]]]


@contextmanager
def driven(
    folder: Path, hours: int, seed: int | None
) -> Iterator[tuple[Driver, Scheduler, Transform]]:
    """All groups, from 20:00 on for some hours, and for three more in which nothing goes wrong."""
    transform = grouped(folder, file=FILE, models=MODELS)
    database = transform.projects[0].database
    database.execute(
        "CREATE TABLE main.hours AS SELECT unnest(generate_series("
        "TIMESTAMP '2026-11-01', TIMESTAMP '2026-11-09', INTERVAL 1 HOUR)) AS at",
        "CREATE TABLE main.broken (name TEXT)",
        "CREATE TABLE main.built (name TEXT, start TIMESTAMP, until TIMESTAMP)",
    )
    transform.projects[0].plan_natively(START - timedelta(minutes=50))
    transform.prepare()
    database.execute("DELETE FROM main.built")
    try:
        with scheduler_of(transform, sensors=True) as scheduler:
            scheduler.start(START - timedelta(minutes=30))
            driver = Driver(transform, scheduler, seed)
            end = START + hours * HOUR
            # The last tick is then at the end of these hours, and done some minutes later.
            driver.drive(START, end + 3 * HOUR + 10 * LOOKS, calm_after=end)
            yield driver, scheduler, transform
    finally:
        transform.close()


def assert_all_is_done(
    driver: Driver, scheduler: Scheduler, transform: Transform, hours: int
) -> None:
    """Each due interval is built exactly once; nobody holds anything, nothing waits for ever, and
    each wait has its reason."""
    database = transform.projects[0].database
    until = START + (hours + 3) * HOUR
    for name, table in (
        ("events", "web.events"),
        ("visits", "web.visits"),
        ("apart", "mart.apart"),
    ):
        since = START - HOUR
        expected = int((until - since) / HOUR)
        built = database.rows(f"SELECT start, until FROM main.built WHERE name = '{name}'")
        times = [since for since, _ in built]
        found = database.rows(f'SELECT "at" FROM {table}')
        assert len(found) == len(set(found)), name
        assert len(found) == (until - utc("2026-11-01 00:00")) / HOUR, name
        assert len(times) == len(set(times)), name
        assert sum((end - start + timedelta(seconds=1)) // HOUR for start, end in built) == expected
    days = database.rows("SELECT day, n FROM mart.days ORDER BY 1")
    whole = (until - utc("2026-11-01 00:00")) // timedelta(days=1)
    assert [n for _, n in days] == [24] * whole, days
    built = database.rows("SELECT start FROM main.built WHERE name = 'days'")
    assert len(built) == len(set(built))
    store = driver.store
    assert store.remembered() == [], store.remembered()
    assert store.holders() == []
    assert store.expired() == []
    for name in (*scheduler.schedules(), "transform_sensor"):
        ticks = scheduler.sensor_ticks() if name == "transform_sensor" else scheduler.ticks(name)
        for tick in ticks:
            assert tick.status in (TickStatus.SUCCESS, TickStatus.SKIPPED), (name, tick.error)
            assert tick.status is TickStatus.SUCCESS or tick.skip_reason
    assert all(run.is_finished for run in scheduler.runs())


def launches(scheduler: Scheduler) -> Launches:
    """What was launched for each tick of each group, by its schedule or by the sensor."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for run in scheduler.runs():
        if TICK in run.tags:
            key = str(datetime.fromisoformat(run.tags[TICK])), run.tags[JOB_GROUP]
            found[key] = found.get(key, frozenset()) | frozenset(launched(run))
    return sorted((*key, nodes) for key, nodes in found.items())


def simulated(
    transform: Transform, start: datetime, end: datetime
) -> list[tuple[str, str, frozenset[str]]]:
    """What part 8's simulation launches for each tick of each group."""
    config = load_config(transform.folder)
    graph = prepared(config).graph
    file = read_job_group_file(config.job_group_file)
    plan = load_job_groups(file, graph, job_group_settings(config, graph), now=start).plan
    return sorted(
        (str(each.tick), each.group, frozenset(graph.nodes[id].name for id in each.nodes))
        for each in simulate(plan, graph, {}, start, end).launches
        if each.nodes
    )
