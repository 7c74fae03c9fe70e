"""Small SQLMesh projects on real databases, and what tests do with them.

A `Project` is written into a folder of the test. `run` sends a selection through our side of it and
our walk; `native` gives SQLMesh's own Context of the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
import yaml

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import Graph, GraphFile
from dagster_transform.planning import Limits, Outcome, RunPlan, plan_run
from dagster_transform.sqlmesh import SqlmeshSettings, make_project_run, read_project
from dagster_transform.walk import CheckResult, Event, Finished, ProjectRun, Report, Started, Walk

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

NAME = "p"
Log = Callable[[str, str], None]


def utc(text: str) -> datetime:
    """`2024-03-05 10:30` as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


class Database:
    """Where a project's tables and its state lie: a DuckDB file, or a database in PostgreSQL."""

    def __init__(self, connection: Mapping[str, Any], catalog: str) -> None:
        self.connection = dict(connection)
        self.catalog = catalog

    @classmethod
    def in_file(cls, path: Path) -> Database:
        return cls({"type": "duckdb", "database": str(path)}, path.stem)

    @classmethod
    def in_postgres(cls, database: PostgresDatabase, concurrent_tasks: int = 8) -> Database:
        connection = {
            "type": "postgres",
            "host": database.host,
            "port": database.port,
            "user": database.user,
            "password": database.password,
            "database": database.database,
            "concurrent_tasks": concurrent_tasks,
        }
        return cls(connection, database.database)

    @property
    def dialect(self) -> str:
        return str(self.connection["type"])

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """On a connection of its own: no process holds a DuckDB file longer than it needs it."""
        if self.dialect == "duckdb":
            with closing(duckdb.connect(self.connection["database"])) as connection:
                yield connection
            return
        settings = {k: self.connection[k] for k in ("host", "port", "user", "password")}
        with closing(psycopg2.connect(**settings, dbname=self.catalog)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def execute(self, *statements: str) -> None:
        with self.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def tables(self, schema_like: str = "%") -> set[str]:
        """Names of tables and views as `schema.name`."""
        found = self.rows(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            f"WHERE table_schema LIKE '{schema_like}' "
            "AND table_schema NOT IN ('information_schema', 'pg_catalog')"
        )
        return {name for (name,) in found}

    def content(self, relation: str) -> list[tuple[Any, ...]]:
        """All rows of a view or table, sorted."""
        return self.contents([relation])[relation]

    def contents(self, relations: Iterable[str]) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of views or tables, sorted, over one connection."""
        found = {}
        with self.cursor() as cursor:
            for relation in relations:
                cursor.execute(f"SELECT * FROM {relation}")
                found[relation] = sorted((tuple(row) for row in cursor.fetchall()), key=repr)
        return found

    def intervals(self) -> dict[tuple[str, str, bool], list[tuple[int, int]]]:
        """What the state has recorded, by name, version and is_dev, merged; removals are taken off.

        Native runs compact the state's rows and ours don't, so only the merged form is comparable.
        """
        found: dict[tuple[str, str, bool], list[tuple[int, int]]] = {}
        rows = self.rows(
            "SELECT name, version, is_dev, start_ts, end_ts, is_removed FROM sqlmesh._intervals "
            "WHERE NOT is_pending_restatement ORDER BY created_ts, start_ts"
        )
        for name, version, is_dev, start, end, removed in rows:
            key = (name, version, is_dev)
            if removed:
                kept = _without(found.get(key, []), start, end)
            else:
                kept = [*found.get(key, []), (start, end)]
            found[key] = _merged(kept)
        return {key: value for key, value in found.items() if value}

    def restatements(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """What auto-restatements have marked and nobody has built anew since, by name, version."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        rows = self.rows(
            "SELECT name, version, start_ts, end_ts, is_pending_restatement FROM sqlmesh._intervals"
            " WHERE NOT is_dev AND NOT is_removed ORDER BY created_ts, is_pending_restatement"
        )
        for name, version, start, end, marked in rows:
            known = found.get((name, version), [])
            found[name, version] = (
                _merged([*known, (start, end)]) if marked else _without(known, start, end)
            )
        return {key: value for key, value in found.items() if value}


def _without(intervals: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    return [
        part
        for s, e in intervals
        for part in ((s, min(e, start)), (max(s, end), e))
        if part[0] < part[1]
    ]


def _merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


@dataclass
class RunResult:
    """What became of one run."""

    plan: RunPlan
    events: list[Event] = field(default_factory=list)
    finished: dict[str, Finished] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def outcome(self, name: str) -> Outcome | None:
        """Of a model or check, by its short name; None if it was neither done nor left out."""
        id = self.names.get(name, name)
        if id in self.finished:
            return self.finished[id].outcome
        left_out = self.plan.left_out.get(id)
        return left_out.outcome if left_out is not None else None

    def reason(self, name: str) -> str:
        id = self.names.get(name, name)
        return self.finished[id].reason if id in self.finished else self.plan.left_out[id].reason

    def report(self, name: str) -> Report:
        report = self.finished[self.names.get(name, name)].report
        assert report is not None, name
        return report

    @property
    def outcomes(self) -> dict[str, str]:
        """All outcomes by short name."""
        short = {id: name for name, id in self.names.items()}
        ids = [*self.plan.left_out, *self.finished]
        return {short.get(id, id): self.outcome(id).value for id in ids}  # type: ignore[union-attr]

    @property
    def checks(self) -> dict[str, CheckResult]:
        """Results of all checks that ran, by `model:check`."""
        short = {id: name for name, id in self.names.items()}
        return {
            short.get(result.check, result.check): result
            for end in self.finished.values()
            if end.report is not None
            for result in end.report.checks
        }

    @property
    def most_at_once(self) -> int:
        """The largest number of units that were in flight at one moment."""
        now = most = 0
        for event in self.events:
            if isinstance(event, Started):
                now += 1
            elif isinstance(event, Finished) and event.report is not None:
                now -= 1
            most = max(most, now)
        return most


class Project:
    """A SQLMesh project in a folder."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        models: Mapping[str, str] | None = None,
        *,
        files: Mapping[str, str] | None = None,
        start: str = "2024-03-01",
        cron: str = "@daily",
        name: str = NAME,
        environment: str = "prod",
        config: Mapping[str, Any] | None = None,
        beside: Sequence[Path] = (),
    ) -> None:
        """`beside`: further folders, each with a config of its own, that make one project with
        this one."""
        self.folder = folder
        self.paths = [str(path) for path in (folder, *beside)]
        self.database = database
        self.name = name
        self.config = SqlmeshProject(
            framework="sqlmesh",
            path=folder,
            environment=environment,
            plan="auto",  # type: ignore[arg-type]
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.write(
            {
                "config.yaml": yaml.safe_dump(
                    {
                        "gateways": {"main": {"connection": database.connection}},
                        "default_gateway": "main",
                        "disable_anonymized_analytics": True,
                        "model_defaults": {
                            "dialect": database.dialect,
                            "start": start,
                            "cron": cron,
                        },
                        **(config or {}),
                    }
                )
            }
        )
        self.write(files or {})
        for model, text in (models or {}).items():
            self.model(model, text)
        self._graph: Graph | None = None

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        self._graph = None

    def model(self, name: str, text: str) -> None:
        """Write a model. `text` is what stands in MODEL (...) after the name, then its query,
        parted by a line of dashes."""
        header, _, query = dedent(text).strip("\n").partition("\n---\n")
        header = header.strip().rstrip(",")
        model = f"MODEL (\n  name {name},\n{header}\n);\n\n{query.strip()}\n"
        self.write({f"models/{name}.sql": model})

    def remove(self, name: str) -> None:
        """Remove a model's file."""
        (self.folder / f"models/{name}.sql").unlink()
        self._graph = None

    def read(self) -> GraphFile:
        return read_project(self.name, self.config, self.paths, root=self.folder, sources={})

    @property
    def graph(self) -> Graph:
        """The graph of the files as they were last written."""
        if self._graph is None:
            self._graph = self.read().graph
        return self._graph

    def forget_graph(self) -> None:
        self._graph = None

    def id(self, name: str) -> str:
        """The id of a model (`mart.a`) or check (`mart.a:not_null`) by its short name."""
        return self._names()[name]

    def _names(self) -> dict[str, str]:
        names = {n.name: n.id for n in self.graph.nodes.values()}
        judged = {**self.graph.nodes, **self.graph.sources}
        for check in self.graph.checks.values():
            names[f"{judged[check.target].name}:{check.name}"] = check.id
        return names

    def settings(self, now: datetime, **settings: Any) -> SqlmeshSettings:
        given = {"environment": self.config.environment, "plan_mode": "never", **settings}
        return SqlmeshSettings(paths=self.paths, now=now, **given)

    def project_run(self, now: datetime, log: Log = lambda *_: None, **given: Any) -> ProjectRun:
        settings = self.settings(now, **given)
        return make_project_run(self.name, self.config, self.graph, settings, log)

    def run(
        self,
        now: datetime,
        nodes: Collection[str] | None = None,
        checks: Collection[str] | None = None,
        *,
        limits: Limits | None = None,
        told: Callable[[Event], None] | None = None,
        assessed: Callable[[], None] = lambda: None,
        opened: Callable[[ProjectRun, RunPlan], None] = lambda *_: None,
        **settings: Any,
    ) -> RunResult:
        """One run, as a Dagster run does it. None selects everything; short names select. `told`
        hears each event when it happens; `assessed` and `opened` are called in between."""
        names = self._names()
        node_ids = list(self.graph.nodes) if nodes is None else [names[n] for n in nodes]
        if checks is not None:
            check_ids = [names[c] for c in checks]
        elif nodes is None:  # those on sources too
            check_ids = list(self.graph.checks)
        else:
            check_ids = [c.id for c in self.graph.checks.values() if c.target in node_ids]
        project_run = self.project_run(now, **settings)
        completed = False
        try:
            readiness = project_run.assess(node_ids, check_ids)
            plan = plan_run(
                self.graph, {*node_ids, *readiness}, check_ids, readiness,
                limits or Limits(max_concurrent_models=8, retry_delay=0.05),
            )  # fmt: skip
            result = RunResult(plan, names=names)
            assessed()
            project_run.open(list(plan.units.values()))
            opened(project_run, plan)
            walk = Walk(plan, {self.name: project_run})
            for event in walk.events():
                result.events.append(event)
                if told is not None:
                    told(event)
            result.finished = dict(walk.finished)
            completed = True
        finally:
            project_run.close(completed=completed)
        return result

    @contextmanager
    def native(self) -> Iterator[Any]:
        """SQLMesh's own Context, as a user of SQLMesh has it."""
        from sqlmesh import Context

        from dagster_transform.sqlmesh._compat import close_connections

        context = Context(paths=self.paths)
        try:
            yield context
        finally:
            close_connections(context)

    def plan_natively(self, now: datetime, environment: str = "prod", **settings: Any) -> None:
        with self.native() as context:
            context.plan(
                environment, auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True,
                execution_time=now, **settings,
            )  # fmt: skip

    def run_natively(self, now: datetime, environment: str = "prod", **settings: Any) -> None:
        with self.native() as context:
            context.run(environment, execution_time=now, end=now, **settings)

    def environment(self, name: str = "prod") -> Any | None:
        """The environment's record in the state, or None."""
        with self.native() as context:
            return context.state_reader.get_environment(name)
