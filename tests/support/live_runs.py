"""How far what Dagster can be asked is behind the database: runs that are watched from outside."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.dbt_projects import DbtProject
from tests.support.killed_projects import database_seconds
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

LAYERS = 10
_EVERY = 0.02
"""Seconds between two looks; what is found was stored at most so much earlier."""
_STORAGE = "telemetry: {{enabled: false}}\nstorage: {{postgres: {{postgres_url: '{url}'}}}}\n"


@dataclass
class Watched:
    """What was seen of a run.

    Attributes:
        committed: When the database had each model, in seconds since 1970: as its own clock says at
            the end of the transaction that builds (DuckDB: at its beginning).
        readable: When another process found the model's materialisation.
    """

    committed: dict[str, float] = field(default_factory=dict)
    readable: dict[str, float] = field(default_factory=dict)

    @property
    def lags(self) -> list[float]:
        """Seconds, of each model that was built; infinite where nothing told it."""
        return [self.readable.get(m, float("inf")) - at for m, at in self.committed.items()]


def names(count: int) -> list[str]:
    return [f"m{number:03}" for number in range(count)]


def make_project(
    framework: str, folder: Path, database: Database, count: int, storage: PostgresDatabase | None
) -> Transform:
    """So many models in layers, each with a blocking audit or test; prepared, and planned.

    Args:
        framework: `sqlmesh` or `dbt`.
        folder: Where it is written.
        database: Where its models are.
        count: How many models.
        storage: Where Dagster's storage is; None: in SQLite files.
    """
    database.execute(
        "CREATE SCHEMA log", "CREATE TABLE log.builds (model VARCHAR, moment DOUBLE PRECISION)"
    )
    log = f"INSERT INTO log.builds SELECT '{{}}', {database_seconds(database)}"
    width = -(-count // LAYERS)
    models = {m: names(count)[n - width] if n >= width else "" for n, m in enumerate(names(count))}
    if framework == "sqlmesh":
        texts = {
            f"live.{m}": "kind FULL,\naudits (not_null(columns := (n)))\n---\n"
            f"SELECT {'n + 1' if above else '1'}::INT AS n{f' FROM live.{above}' if above else ''};"
            f"\n@IF(@runtime_stage = 'evaluating', {log.format(m)});"
            for m, above in models.items()
        }
        project = Project(folder / "p", database, texts)
        transform = Transform(folder, [project])
    else:
        files = {
            f"models/{m}.sql": f"select n + 1 as n from {{{{ ref('{above}') }}}}"
            if above
            else "select 1 as n"
            for m, above in models.items()
        }
        files["models/tests.yml"] = "version: 2\nmodels:\n" + "".join(
            f"  - {{name: {m}, columns: [{{name: n, data_tests: [not_null]}}]}}\n" for m in models
        )
        hook = log.format("{{ this.name }}")
        DbtProject(
            folder / "d", database, files,
            project={"models": {"shop": {"+materialized": "table", "+post-hook": hook}}},
        )  # fmt: skip
        further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
        transform = Transform(folder, [], further=further)
    if storage is not None:
        text = _STORAGE.format(url=storage.url)
        (transform.home / "dagster.yaml").write_text(text, encoding="utf-8")
    transform.prepare()
    if framework == "sqlmesh":
        transform.projects[0].plan_natively(datetime.now(timezone.utc))
    return transform


def watch(transform: Transform, database: Database, storage: PostgresDatabase | None) -> Watched:
    """A run of everything, in a process of its own, watched from this one.

    Raises:
        AssertionError: It has failed.
    """
    found, over = Watched(), threading.Event()
    database.execute("DELETE FROM log.builds")
    began = time.time()
    watching = threading.Thread(target=_look, args=(transform, storage, found, over, began))
    watching.start()
    try:
        done = subprocess.run(
            [
                sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*",
                "-f", str(transform.module), "-a", "defs", "-d", str(transform.folder),
            ],
            cwd=transform.folder, env=transform.environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        time.sleep(3 * _EVERY)
    finally:
        over.set()
        watching.join()
    assert done.returncode == 0, done.stderr[-6000:]
    rows = database.rows("SELECT model, moment FROM log.builds")
    found.committed = {model: float(moment) for model, moment in rows}
    return found


def _look(
    transform: Transform,
    storage: PostgresDatabase | None,
    found: Watched,
    over: threading.Event,
    began: float,
) -> None:
    opened = _in_files(transform.home, began) if storage is None else _on_server(storage)
    with opened as ask:
        last = 0
        while not over.wait(_EVERY):
            for number, key in ask(last):
                last = max(last, number)
                found.readable.setdefault(key.strip('[]"').split('"')[-1], time.time())


_ASK = (
    "SELECT id, asset_key FROM event_logs "
    "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND id > {} ORDER BY id"
)
_Ask = Callable[[int], list[tuple[int, str]]]


@contextmanager
def _in_files(home: Path, began: float) -> Iterator[_Ask]:
    """The file of the run that began last, once it is there."""

    def ask(last: int) -> list[tuple[int, str]]:
        files = [
            path
            for path in (home / "history" / "runs").glob("*.db")
            if len(path.stem) == 36 and path.stat().st_mtime >= began
        ]
        try:
            return [row for path in files for row in _read(path, last)]
        except sqlite3.OperationalError:  # it is being made
            return []

    yield ask


def _read(path: Path, last: int) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(_ASK.format(last)).fetchall()


@contextmanager
def _on_server(storage: PostgresDatabase) -> Iterator[_Ask]:
    """The table that Dagster makes; what earlier runs have stored is not looked at."""
    given = {"host": storage.host, "port": storage.port, "user": storage.user}
    with closing(psycopg2.connect(**given, dbname=storage.database)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('event_logs')")
            first = 0
            if cursor.fetchall() != [(None,)]:
                cursor.execute("SELECT COALESCE(MAX(id), 0) FROM event_logs")
                ((first,),) = cursor.fetchall()

            def ask(last: int) -> list[tuple[int, str]]:
                try:
                    cursor.execute(_ASK.format(max(first, last)))
                except psycopg2.errors.UndefinedTable:
                    return []
                return list(cursor.fetchall())

            yield ask
