"""Looks at the state of a SQLMesh project from a process that does not import SQLMesh.

The first look asks another process where the state is. From then on a look at a PostgreSQL server
is a query, and one at a DuckDB file is what the file system says of it; what either has in it is
only read, in another process again, when that has changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.watching.sensors import stamp_of
from dagster_transform.errors import TransformError, redact
from dagster_transform.planning import ResourceKey

_LIMIT = 20.0
"""Seconds that another process may take to read the state."""
_FAILED, _IN_USE = 1, 4  # as sqlmesh/look.py has it, which is not to be imported here
_QUERY = """
SELECT e.plan_id, e.finalized_ts, i.n, i.created, i.altered
FROM (SELECT COUNT(*) AS n, MAX(created_ts) AS created, MAX(last_altered_ts) AS altered
      FROM {intervals}) AS i
LEFT JOIN {environments} AS e ON e.name = %s
"""


class StateNotReadError(TransformError):
    """The state of a SQLMesh project can't be read."""


class StateInUseError(StateNotReadError):
    """Another process has the DuckDB file of a SQLMesh project."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a state has of an environment.

    Attributes:
        plan_id: Its plan; None: it was never planned.
        finalized: Whether that plan has come to its end.
        built_at: When each model that readers see was last built, in seconds since 1970, by
            reference.
        intervals: From when to when each of these is there, likewise.
    """

    plan_id: str | None
    finalized: bool
    built_at: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state is.

    Attributes:
        environment: The environment, as runs claim it.
        files: The DuckDB files that the project opens, likewise.
        state_files: Those of them in which the state is.
        schema: The schema of the state's tables.
        postgres: With what psycopg2 connects to it; None: it is elsewhere.
    """

    environment: ResourceKey
    files: tuple[ResourceKey, ...]
    state_files: tuple[str, ...]
    schema: str | None
    postgres: Mapping[str, Any] | None


class StateLooks:
    """Looks at one project's state, over the life of a code server's process.

    Args:
        config: Where the projects are.
        project: The project's name.
        environment: The name of its environment.
    """

    def __init__(self, config: TransformConfig, project: str, environment: str) -> None:
        self._config = config
        self._project = project
        self._environment = environment
        self._place: Place | None = None

    def place(self) -> Place:
        """Where the state is, asked for once. Raises StateNotReadError."""
        if self._place is None:
            found = self._ask("place")
            self._place = Place(
                ResourceKey.parse(found["environment"]),
                tuple(ResourceKey.parse(text) for text in found["files"]),
                tuple(ResourceKey.parse(text).name for text in found["state_files"]),
                found["schema"],
                found["postgres"],
            )
        return self._place

    def at_a_glance(self) -> str | None:
        """A text that is another one when the environment, or an interval of anything, has changed;
        None: only reading says so. Raises StateNotReadError."""
        place = self.place()
        if place.postgres is not None:
            try:
                return _query(place, self._environment)
            except Exception:  # noqa: BLE001 - whatever it is, reading with SQLMesh says it better
                # Another password, another version of SQLMesh: found out anew.
                self._place = None
                return None
        if place.state_files:
            return repr([_stamps(Path(file)) for file in place.state_files])
        return None

    def read(self) -> Recorded:
        """What the state has of the environment.

        Raises:
            StateInUseError: Another process has its DuckDB file.
            StateNotReadError: It can't be read for any other reason.
        """
        found = self._ask("recorded")
        return Recorded(
            found["plan_id"],
            found["finalized"],
            {name: at / 1000 for name, at in found["built_at"].items()},
            {name: (a / 1000, b / 1000) for name, (a, b) in found["intervals"].items()},
        )

    def _ask(self, what: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "dagster_transform.sqlmesh.look"]
        command += [str(self._config.file), self._project, what]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise StateNotReadError(
                f"Reading the state of project {self._project} took more than {_LIMIT:g} s."
            ) from None
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout)
            return found
        said = redact(done.stderr.strip()) or f"its process ended with {done.returncode}"
        if done.returncode == _IN_USE:
            raise StateInUseError(
                f"Another process has the DuckDB file of project {self._project} open."
            )
        lines = said.splitlines() if done.returncode == _FAILED else said.splitlines()[-1:]
        raise StateNotReadError(
            f"The state of project {self._project} can't be read: {' '.join(lines)}"
        )


def _query(place: Place, environment: str) -> str:
    import psycopg2  # SQLMesh needs it where its state is in PostgreSQL
    from psycopg2 import sql

    def table(name: str) -> Any:
        return sql.Identifier(*(part for part in (place.schema, name) if part))

    query = sql.SQL(_QUERY).format(
        intervals=table("_intervals"), environments=table("_environments")
    )
    with closing(psycopg2.connect(**(place.postgres or {}))) as connection:
        connection.set_session(readonly=True, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute(query, [environment])
            return repr(cursor.fetchall())


def _stamps(file: Path) -> list[str]:
    """Of a DuckDB file and of what is not in it yet."""
    return [stamp_of(file), stamp_of(file.with_name(f"{file.name}.wal"))]
