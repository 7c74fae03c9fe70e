"""A dbt and a SQLMesh project whose database itself counts what is built and what is judged.

Each build adds a line to `log.builds`, in the transaction that builds: what is rolled back is not
there, and what is committed is. On PostgreSQL each audit and test draws a number from a sequence of
its own, which no rollback takes back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

DAYS = 60
"""Days of events, from March 1 on, four a day."""
TABLES = ("orders", "people", "places", "items", "visits")
"""dbt's models that read nothing of SQLMesh's."""
MARTS = ("report", "digest")
"""dbt's models that read SQLMesh's."""
PARTS = tuple(f"part{number}" for number in range(6))
"""SQLMesh's models by time, of a dbt model or of the source each."""
WHOLE = {"totals": "part0", "people_of": "part1", "seen": "totals", "last": "seen"}
"""SQLMesh's models that are built as a whole, and what they read."""
SQLMESH = (*PARTS, "keyed", *WHOLE)
DBT = (*TABLES, *MARTS)


def database_seconds(database: Database) -> str:
    """The database's own time, in seconds since 1970; DuckDB has the transaction's beginning."""
    if database.dialect == "duckdb":
        return "EPOCH(CURRENT_TIMESTAMP)"
    return "EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())::DOUBLE PRECISION"


def _slow(database: Database, seconds: float) -> str:
    """A condition that is true, some time later."""
    if database.dialect == "duckdb":
        return f"(SELECT COUNT(*) FROM RANGE({int(seconds * 10**8)})) >= 0"
    return f"(SELECT PG_SLEEP({seconds}))::TEXT IS NOT NULL"


def _counting(database: Database, check: str) -> str:
    """A condition that is false, and counts that a check has asked."""
    return "1 = 0" if database.dialect == "duckdb" else f"(SELECT NEXTVAL('log.{check}')) < 0"


def prepare_database(database: Database) -> None:
    """The source, and what counts."""
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.events (id INT, ds DATE)",
        *(
            f"INSERT INTO src.events VALUES ({4 * day + n}, DATE '2024-03-01' + {day})"
            for day in range(DAYS)
            for n in range(4)
        ),
        "CREATE SCHEMA log",
        "CREATE TABLE log.builds (model VARCHAR, moment DOUBLE PRECISION, stage VARCHAR)",
        *(
            f"CREATE SEQUENCE log.{check}"
            for check in (*map(audited_by, SQLMESH), *map(tested_by, DBT))
            if database.dialect != "duckdb"
        ),
    )


def audited_by(model: str) -> str:
    return f"counted_{model}"


def tested_by(model: str) -> str:
    return f"tested_{model}"


def dbt_project(folder: Path, database: Database) -> DbtProject:
    """Tables of the source, and marts of SQLMesh's; a test each."""
    sources = {
        "version": 2,
        "sources": [
            {"name": schema, "schema": schema, "tables": [{"name": name} for name in names]}
            for schema, names in {"src": ["events"], "sm": [*WHOLE]}.items()
        ],
    }
    noted = f"{database_seconds(database)}, 'evaluating'"
    hook = f"insert into log.builds select '{{{{ this.name }}}}', {noted}"
    files = {"models/sources.yml": yaml.safe_dump(sources)}
    for name in TABLES:
        wait = _slow(database, 0.1)
        query = f"select id, ds from {{{{ source('src', 'events') }}}} where {wait}"
        files[f"models/{name}.sql"] = query
    for name, read in zip(MARTS, ("totals", "last"), strict=True):
        files[f"models/{name}.sql"] = f"select n from {{{{ source('sm', '{read}') }}}}"
    for name in DBT:
        files[f"tests/{tested_by(name)}.sql"] = (
            f"select * from {{{{ ref('{name}') }}}} where {_counting(database, tested_by(name))}"
        )
    return DbtProject(
        folder, database, files, schema="staging",
        project={"models": {"shop": {"+materialized": "table", "+post-hook": hook}}},
        config={"profiles_dir": folder},
    )  # fmt: skip


def sqlmesh_models(database: Database, version: int = 0) -> dict[str, str]:
    """The models; another version has other rows in `part0` and `totals`, and all that reads
    them is built anew."""

    def model(name: str, kind: str, query: str) -> str:
        audits = f"audits (not_null(columns := (id)), {audited_by(name)})"
        if "AS n" in query:
            audits = f"audits ({audited_by(name)})"
        # What has no rows yet SQLMesh builds while it creates it, but for what is built by time.
        stages = "('evaluating')" if name in PARTS else "('creating', 'evaluating')"
        insert = (
            f"INSERT INTO log.builds SELECT '{name}', {database_seconds(database)}, @runtime_stage"
        )
        logged = f"@IF(@runtime_stage IN {stages}, {insert});"
        return f"kind {kind},\n{audits}\n---\n{query};\n{logged}"

    found = {}
    for number, name in enumerate(PARTS):
        source = "src.events" if number == 0 else f"staging.{TABLES[number - 1]}"
        changed = f"CASE WHEN ds > '2024-01-01' THEN id ELSE {version} END" if number == 0 else "id"
        batch = ", batch_size 1" if number % 2 else ""
        query = (
            f"SELECT ({changed})::INT AS id, ds::DATE AS ds FROM {source} "
            f"WHERE ds BETWEEN @start_ds AND @end_ds AND {_slow(database, 0.05)}"
        )
        found[f"sm.{name}"] = model(
            name, f"INCREMENTAL_BY_TIME_RANGE (time_column ds{batch})", query
        )
    found["sm.keyed"] = model(
        "keyed", "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)",
        "SELECT id, ds FROM sm.part2 WHERE ds BETWEEN @start_ds AND @end_ds",
    )  # fmt: skip
    for name, read in WHOLE.items():
        kind = "VIEW" if name == "seen" else "FULL"
        rows = "COUNT(*)" if read in PARTS else "MAX(n)"
        query = f"SELECT ({rows} + {version})::INT AS n FROM sm.{read}"
        found[f"sm.{name}"] = model(name, kind, query)
    return found


def audits(database: Database) -> dict[str, str]:
    """Files of the audits that count."""
    return {
        f"audits/{audited_by(name)}.sql": (
            f"AUDIT (name {audited_by(name)}, blocking false);\n"
            f"SELECT * FROM @this_model WHERE {_counting(database, audited_by(name))}\n"
        )
        for name in SQLMESH
    }


def make_transform(folder: Path, database: Database, **settings: Any) -> Transform:
    """Both projects in one transform, planned by its runs."""
    prepare_database(database)
    dbt_project(folder / "d", database)
    external = {
        "external_models.yaml": "".join(
            f"- name: {database.catalog}.{schema}.{name}\n  columns: {{id: int, ds: date}}\n"
            for schema, name in (("src", "events"), *(("staging", t) for t in TABLES))
        )
    }
    project = Project(
        folder / "p", database, sqlmesh_models(database), files={**audits(database), **external}
    )
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    return Transform(folder, [project], further=further, settings=settings, plan="auto")
