"""Runs of a deployment: launched through the webserver's GraphQL, queued, executed by the code
server, and held to the limits of transform.yaml at the database."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from example_project.deployment.services import of_sessions, user_of
from tests.support.deployments import OVER, Deployed, wait_until
from tests.support.postgres import PostgresDatabase

pytestmark = [pytest.mark.postgres, pytest.mark.long]

RUNS = ("one", "two", "three", "four")
HEAVY, CONNECTIONS = 2, 3
NAP = 3.0
_STATEMENT = re.compile(r"nap of a (heavy|light) one")


def _model(run: str, kind: str) -> str:
    tags = "tags (heavy)," if kind == "heavy" else ""
    return f"""
        kind FULL, cron '@daily', {tags}
        ---
        SELECT 'nap of a {kind} one' AS said, '{run}' AS run, s.nap::TEXT AS nap
        FROM (SELECT pg_sleep({NAP}) AS nap) AS s
    """


NAMES = {"heavy_1": "heavy", "heavy_2": "heavy", "light_1": "light", "light_2": "light"}
MODELS = {f"{run}.{name}": _model(run, kind) for run in RUNS for name, kind in NAMES.items()}
GROUPS = "job_groups:\n" + "".join(
    f"  {run}: {{cron: '@daily', nodes: {[f'warehouse/{run}/{name}' for name in NAMES]}}}\n"
    for run in RUNS
)


class Samples:
    """Statements of models that run at the same moment, from pg_stat_activity.

    Attributes:
        seen: By sample, the kinds of what ran, and in how many runs.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[list[str], int]] = []

    def most(self, kind: str = "") -> int:
        """The largest number of statements of a kind, or of all, in one sample."""
        return max((sum(kind in each for each in kinds) for kinds, _ in self.seen), default=0)

    @property
    def most_runs(self) -> int:
        """The largest number of runs that had statements in one sample."""
        return max((runs for _, runs in self.seen), default=0)

    @contextmanager
    def taken(self, database: PostgresDatabase) -> Iterator[None]:
        """Sample every 50 ms meanwhile."""
        over = threading.Event()
        thread = threading.Thread(target=self._take, args=(database, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _take(self, database: PostgresDatabase, over: threading.Event) -> None:
        with closing(
            psycopg2.connect(
                host=database.host, port=database.port, user=database.user, dbname="warehouse"
            )
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not over.wait(0.05):
                    cursor.execute(
                        "SELECT query FROM pg_stat_activity WHERE state = 'active' "
                        "AND datname = 'warehouse' AND pid <> pg_backend_pid()"
                    )
                    queries = [query for (query,) in cursor.fetchall()]
                    naps = [q for q in queries if _STATEMENT.search(q) and "pg_sleep" in q.lower()]
                    kinds = [_STATEMENT.search(q)[1] for q in naps]  # type: ignore[index]
                    runs = {run for run in RUNS for q in naps if f"'{run}'" in q}
                    self.seen.append((kinds, len(runs)))


@pytest.mark.timeout(600)
def test_runs_hold_the_limits_at_the_database(tmp_path: Path, postgres: PostgresDatabase) -> None:
    deployed = Deployed(
        tmp_path, postgres, MODELS, GROUPS,
        settings={"tags": {"heavy": HEAVY}, "connections": {"p": CONNECTIONS}},
        dagster={"run_coordinator": {"config": {"dequeue_interval_seconds": 1}}},
    )  # fmt: skip
    samples = Samples()
    with deployed.running():
        sessions = [each for s in deployed.deployment.services.values() for each in s.sessions]
        with samples.taken(postgres):
            launched = {deployed.launch(job) for job in RUNS}
            wait_until(
                lambda: all(run["status"] in OVER for run in deployed.runs()), 300, "all are over"
            )
        assert {run["runId"]: run["status"] for run in deployed.runs()} == dict.fromkeys(
            launched, "SUCCESS"
        )
        assert not deployed.held()
        assert not deployed.pending()
        under_way = deployed.launch("one")
        wait_until(lambda: deployed.runs()[-1]["status"] == "STARTED", 60, "it has started")
    assert samples.most("heavy") == HEAVY
    assert samples.most() == CONNECTIONS
    assert samples.most_runs > 1
    # All that it has started has ended with it, as the UI would end it.
    (status,) = deployed.storage.rows(f"SELECT status FROM runs WHERE run_id = '{under_way}'")
    assert status == ("CANCELED",)
    assert not of_sessions(sessions)
    for port in (deployed.deployment.port, deployed.deployment.code_port):
        assert user_of(port) is None
