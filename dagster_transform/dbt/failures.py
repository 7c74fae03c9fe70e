"""Which failures of a dbt node may pass if it is tried again."""

from __future__ import annotations

from collections.abc import Iterator

_DRIVERS = (
    "psycopg2", "psycopg", "duckdb", "_duckdb", "snowflake", "google", "pymysql",
    "redshift_connector", "databricks",
)  # fmt: skip
_TRANSIENT = frozenset(
    {
        "AdminShutdown", "ConnectionException", "ConnectionFailure", "CrashShutdown",
        "DeadlockDetected", "InterfaceError", "LockNotAvailable", "OperationalError",
        "SerializationFailure", "ServiceUnavailable", "TooManyConnections",
    }
)  # fmt: skip
# psycopg2 calls it by the bare name where the server could not say why.
_CUT_OFF = frozenset(
    {
        "AdminShutdown", "ConnectionException", "ConnectionFailure", "CrashShutdown",
        "InterfaceError", "OperationalError",
    }
)  # fmt: skip
_PERMANENT = frozenset({"QueryCanceled", "DiskFull", "InsufficientPrivilege"})
_FILE_IS_LOCKED = "Could not set lock on file"


def is_transient(error: BaseException | None) -> bool:
    """Whether trying again may help: the connection, a lock or a deadlock, not the query."""
    return any(map(_passes, _chain(error)))


def is_cut_off(error: BaseException | None) -> bool:
    """Whether the connection to the database was lost: somebody may have ended its session."""
    return any(
        type(link).__module__.split(".")[0] in _DRIVERS and type(link).__name__ in _CUT_OFF
        for link in _chain(error)
    )


def _passes(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    if "FailedToConnectError" in names:  # dbt's own, after its own attempts
        return True
    module = type(error).__module__.split(".")[0]
    if names & _PERMANENT or module not in _DRIVERS:
        return False
    if "duckdb" in module:  # its OperationalError may as well be "out of memory"
        return "TransactionException" in names or _FILE_IS_LOCKED in str(error)
    return bool(names & _TRANSIENT)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
