"""Which errors of database drivers are transient: trying again may help.

Drivers are known by their modules and their errors by their names, so that none is imported. The
names are those of Python's database interface (PEP 249), of psycopg's error classes (the condition
names of PostgreSQL's appendix A) and of the engines' own exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator

FILE_IS_LOCKED = "Could not set lock on file"
"""What DuckDB says where another process has its file open."""

_DRIVERS = frozenset(
    {
        "_duckdb", "databricks", "duckdb", "google", "psycopg", "psycopg2", "pymysql",
        "redshift_connector", "snowflake",
    }
)  # fmt: skip
_CONNECTION_LOST = frozenset(
    {
        # psycopg2 says OperationalError where the server could not say why.
        "AdminShutdown", "ConnectionException", "ConnectionFailure", "CrashShutdown",
        "InterfaceError", "OperationalError",
    }
)  # fmt: skip
_TRANSIENT = _CONNECTION_LOST | {
    "DeadlockDetected", "LockNotAvailable", "SerializationFailure", "ServiceUnavailable",
    "TooManyConnections",
}  # fmt: skip
_PERMANENT = frozenset({"QueryCanceled", "DiskFull", "InsufficientPrivilege"})
_DBT_COULD_NOT_CONNECT = "FailedToConnectError"


def is_transient(error: BaseException | None) -> bool:
    """Whether trying again may help: the connection, a lock or a deadlock, not the query.

    Looks at the error and at all that it was raised from or during.
    """
    return any(map(_is_transient, chain(error)))


def is_connection_lost(error: BaseException | None) -> bool:
    """Whether the connection to the database was lost: somebody may have ended its backend."""
    return any(
        from_driver(link) and type(link).__name__ in _CONNECTION_LOST for link in chain(error)
    )


def is_file_locked(error: BaseException) -> bool:
    """Whether DuckDB says that another process has its file open."""
    return _is_duckdb(error) and FILE_IS_LOCKED in str(error)


def from_driver(error: BaseException) -> bool:
    """Whether a database driver raised it."""
    return _module(error) in _DRIVERS


def database_error(error: BaseException) -> BaseException | None:
    """The first error of a database driver among an error and all that it was raised from."""
    return next((link for link in chain(error) if from_driver(link)), None)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from or during, and so on; each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_transient(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    if _DBT_COULD_NOT_CONNECT in names:  # dbt's own error, after its own attempts
        return True
    if names & _PERMANENT or not from_driver(error):
        return False
    if _is_duckdb(error):  # its OperationalError may as well be "out of memory"
        return "TransactionException" in names or is_file_locked(error)
    return bool(names & _TRANSIENT)


def _is_duckdb(error: BaseException) -> bool:
    return "duckdb" in _module(error)


def _module(error: BaseException) -> str:
    return type(error).__module__.split(".")[0]
