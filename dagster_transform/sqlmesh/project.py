"""Opening a SQLMesh project, with one clear error for whatever can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh._compat import import_sqlmesh
from dagster_transform.sqlmesh.errors import DatabaseError, ProjectLoadError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FILE_IS_LOCKED = "Could not set lock on file"
_DATABASE_MODULES = ("psycopg2", "psycopg", "duckdb", "_duckdb", "snowflake", "google", "pymysql")
_TRANSIENT_NAMES = frozenset(
    {
        "AdminShutdown", "ConnectionException", "ConnectionFailure", "CrashShutdown",
        "DeadlockDetected", "InterfaceError", "LockNotAvailable", "OperationalError",
        "SerializationFailure", "TooManyConnections",
    }
)  # fmt: skip
_PERMANENT_NAMES = frozenset({"QueryCanceled", "DiskFull", "InsufficientPrivilege"})


def open_context(name: str, project: SqlmeshProject, paths: Sequence[str], *, load: bool) -> Any:
    """A sqlmesh Context for a project.

    Args:
        name: The project's name in transform.yaml, for messages.
        project: Its configuration.
        paths: Its folders, resolved.
        load: Whether to load the model files; a run needs only the state.

    Raises:
        SqlmeshMissingError: SQLMesh can't be imported.
        ProjectLoadError: The configuration or a model is wrong.
        DatabaseError: The database can't be reached.
    """
    sqlmesh = import_sqlmesh()
    with clear_errors(name, paths):
        return sqlmesh.Context(paths=list(paths), gateway=project.gateway, load=load)


@contextmanager
def clear_errors(name: str, paths: Sequence[str], what: str = "can't be loaded") -> Iterator[None]:
    """HooksOfRun what SQLMesh or a driver raises while a project is opened or read into one clear error.

    No error of a driver is chained to it: drivers put connection strings into theirs.
    """
    try:
        yield
    except TransformError:
        raise
    except Exception as error:
        if _is_ours(error):
            raise  # a bug of this package: its traceback is what helps
        if database := _database_error(error):
            text = words_of(database)
            remedy = "Check the connection in the project's config.yaml; `sqlmesh info` tests it."
            if _FILE_IS_LOCKED in text and "duckdb" in type(database).__module__:
                remedy = "Another process holds the DuckDB file: close it, then run again."
            raise DatabaseError(
                f"Project {name}: its database can't be used: {text}", remedy=remedy
            ) from None
        raise ProjectLoadError(
            f"Project {name} {what}: {words_of(error) or type(error).__name__}",
            remedy=f"Correct it, then check with: sqlmesh -p {paths[0]} info",
        ) from None


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the connection, a lock or a deadlock, not the query."""
    for link in _chain(error):
        names = {cls.__name__ for cls in type(link).__mro__}
        if names & _PERMANENT_NAMES or not _from_driver(link):
            continue
        if "duckdb" in type(link).__module__:  # OperationalError there is also "out of memory"
            return "TransactionException" in names or _FILE_IS_LOCKED in str(link)
        if names & _TRANSIENT_NAMES:
            return True
    return False


def words_of(error: BaseException) -> str:
    """An error's message, without the colours that sqlglot marks a place with."""
    return _COLOUR.sub("", str(error)).strip()


def first_error(error: BaseException) -> BaseException:
    """What a driver said first, where its connection failed again while the failure was handled
    ("connection already closed", in a rollback); else `error`."""
    while _from_driver(error) and error.__context__ is not None and _from_driver(error.__context__):
        error = error.__context__
    return error


def _is_ours(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(name).startswith("dagster_transform.")


def _database_error(error: BaseException) -> BaseException | None:
    return next((link for link in _chain(error) if _from_driver(link)), None)


def _from_driver(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in _DATABASE_MODULES


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
