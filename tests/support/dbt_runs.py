"""Runs of small dbt projects through our walk, and how tests reach into them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from dagster_transform.dbt.runs.project_run import DbtProjectRun
from dagster_transform.graph import Graph
from dagster_transform.planning import Limits, Unit, plan_run
from dagster_transform.walk import Event, Finished, Inbox, Message, Report, Retrying, Started, Walk
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_settings import dbt_settings
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import RunResult
from tests.support.waiting import SECONDS


class CountingProjectRun(DbtProjectRun):
    """A project run that counts what it is asked and what it answers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.starts: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        self.starts[unit.id] += 1

        def counted(message: Message) -> None:
            assert message.unit == unit.id
            self.reports[unit.id] += isinstance(message, Report)
            done(message)

        super().start(unit, counted)


class Reached(Exception):
    """The moment that a test waits for."""


class WatchedInbox(Inbox):
    """An inbox that looks, while the walk waits, whether a moment has come.

    Attributes:
        moment: The walk is interrupted when it is true.
    """

    moment: Callable[[], Any] | None = None

    def get(self, timeout: float | None) -> Message | None:
        end = self.now() + (SECONDS * 4 if timeout is None else timeout)
        while (report := super().get(0 if timeout == 0 else 0.02)) is None:
            if self.moment is not None and timeout != 0 and self.moment():
                self.moment = None
                raise Reached
            if self.now() >= end:
                assert timeout is not None, "the walk waits, and nothing happens"
                return None
        return report


class DbtRun:
    """One run of one project, step by step or in one go.

    Args:
        project: The project.
        nodes: Names of the nodes to build; None: all.
        checks: Names of the checks (`orders:not_null_orders_id`); None: all of the nodes', or all.
        graph: Its graph, where the files have changed since; else that of its files.
        limits: Fields of `Limits`.
        settings: As of `dbt_settings`.

    Attributes:
        result: What became of it.
        logs: What dbt said beyond results.
        invocation: dbt's invocation; None if there was nothing to do.
        pid: The dbt process; 0 if there was nothing to do.
    """

    def __init__(
        self,
        project: DbtProject,
        nodes: Collection[str] | None = None,
        checks: Collection[str] | None = None,
        *,
        graph: Graph | None = None,
        limits: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.graph = graph or graph_of(project)
        names = {n.name: n.id for n in self.graph.nodes.values()}
        judged = {**self.graph.nodes, **self.graph.sources}
        for check in self.graph.checks.values():
            names[f"{judged[check.target].name}:{check.name}"] = check.id
        self.called = {v: k for k, v in names.items()}
        self._node_ids = list(self.graph.nodes) if nodes is None else [names[n] for n in nodes]
        if checks is not None:
            self._check_ids = [names[c] for c in checks]
        else:
            self._check_ids = [
                c.id
                for c in self.graph.checks.values()
                if nodes is None or c.target in self._node_ids
            ]
        self.logs: list[tuple[str, str]] = []
        runs = project.folder.parent / "runs"
        parsed = project.artifacts / "partial_parse.msgpack"
        given = {
            "run": f"run-{len(list(runs.iterdir())) if runs.exists() else 0}-{os.urandom(3).hex()}",
            "parsed": parsed if parsed.exists() else None,
            "memory": 1.0,
        }
        self.settings = dbt_settings(project.config, runs, **{**given, **settings})
        self.project_run = CountingProjectRun(
            project.name, self.graph, self.settings, lambda *said: self.logs.append(said)
        )
        wanted = {"max_concurrent_models": 16, "retry_delay": 0.05, **(limits or {})}
        readiness = self.project_run.assess(self._node_ids, self._check_ids)
        self.plan = plan_run(
            self.graph, self._node_ids, self._check_ids, readiness, Limits(**wanted)
        )
        self._inbox = WatchedInbox()
        self.walk = Walk(self.plan, {project.name: self.project_run}, self._inbox)
        self.invocation = self.project_run._invocation
        self.pid = self.invocation.pid if self.invocation else 0
        self.result = RunResult(self.plan, names=names)

    @property
    def folder(self) -> Path:
        return self.settings.folder.path

    def open(self) -> DbtRun:
        self.project_run.open(list(self.plan.units.values()))
        return self

    def events(self) -> Iterator[Event]:
        for event in self.walk.events():
            self.result.events.append(event)
            yield event

    def close(self, *, completed: bool = True) -> RunResult:
        """Close the project run; by then every start was answered exactly once."""
        self.result.finished = dict(self.walk.finished)
        self.project_run.close(completed=completed)
        assert self.project_run.reports == self.project_run.starts
        return self.result

    def go(self) -> RunResult:
        """Open, walk and close."""
        completed = False
        try:
            self.open()
            for _ in self.events():
                pass
            completed = True
        finally:
            result = self.close(completed=completed)
        return result

    def walk_until(self, moment: Callable[[], Any]) -> None:
        """Walk until a moment, and leave the walk as an interrupt of the run finds it."""
        self._inbox.moment = moment
        try:
            for _ in self.events():
                pass
        except Reached:
            return
        raise AssertionError("the walk came to its end before")

    def start(self, name: str) -> list[Report]:
        """Start one unit without a walk; its report is put into the list."""
        reports: list[Report] = []
        self.project_run.start(self.plan.units[self.result.names[name]], reports.append)
        return reports

    def cancel(self) -> list[Event]:
        told = self.walk.cancel()
        self.result.events.extend(told)
        return told

    def told(self) -> dict[str, str]:
        """The outcomes that were told as events, each once."""
        ends = [e for e in self.result.events if isinstance(e, Finished)]
        assert len(ends) == len({e.unit.id for e in ends}), "a unit was told twice"
        return {self.called[e.unit.id]: e.outcome.value for e in ends}

    def attempts(self, name: str) -> list[str]:
        """What was told of a unit, in order."""
        words = {Started: "started", Retrying: "retrying", Finished: "finished"}
        id = self.result.names[name]
        return [words[type(e)] for e in self.result.events if e.unit.id == id]


_graphs: dict[str, Graph] = {}


def graph_of(project: DbtProject) -> Graph:
    """The graph of a project. Of two with the same files, only the first is read: a parse takes
    dbt seconds, and where the database lies makes no difference to a run."""
    digest = sha256(project.name.encode())
    for path in sorted(project.folder.rglob("*")):
        inside = path.relative_to(project.folder)
        if path.is_file() and inside.parts[0] not in ("profiles.yml", "target", "logs"):
            digest.update(f"{inside}\n".encode() + path.read_bytes())
    key = digest.hexdigest()
    if key not in _graphs:
        _graphs[key] = project.graph
    return _graphs[key]


def queries(database: PostgresDatabase, like: str = "%pg_sleep%") -> list[str]:
    """What the server executes in a database right now."""
    import psycopg2

    connection = psycopg2.connect(
        host=database.host, port=database.port, user=database.user, dbname=database.database
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT query FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
                " AND pid <> pg_backend_pid() AND query LIKE %s",
                (database.database, like),
            )
            return [query for (query,) in cursor.fetchall()]
    finally:
        connection.close()


def sessions(database: PostgresDatabase) -> list[str]:
    """Names of the sessions that dbt has on the server in a database."""
    import psycopg2

    connection = psycopg2.connect(
        host=database.host, port=database.port, user=database.user, dbname=database.database
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = %s"
                " AND application_name LIKE '%%dagster-transform:%%'",
                (database.database,),
            )
            return [name for (name,) in cursor.fetchall()]
    finally:
        connection.close()
