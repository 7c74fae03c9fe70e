"""How tests connect to a database of their own on a real PostgreSQL server."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import psycopg2


@dataclass(frozen=True)
class PostgresDatabase:
    """How to connect to a database: over a unix socket, as a superuser, without a password.

    Attributes:
        host: Folder of the server's socket; psycopg2 and SQLMesh take it as `host`.
        port: Part of the socket's file name; no TCP port is open.
    """

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def url(self) -> str:
        """For SQLAlchemy. It names the driver: SQLAlchemy 2.1 takes plain `postgresql://` for
        psycopg 3."""
        return (
            f"postgresql+psycopg2://{self.user}:{self.password}@/{self.database}"
            f"?host={self.host}&port={self.port}"
        )

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, on a connection of its own."""
        with closing(
            psycopg2.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=self.database,
            )
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
