"""What a database driver's error says of the database: what it lacks, what it forbids.

Drivers are known as in `transient`.
"""

from __future__ import annotations

from dagster_transform.databases.transient import from_driver, is_connection_lost, is_file_locked

_MISSING = frozenset({"UndefinedTable", "CatalogException", "InvalidSchemaName"})
_NO_SPACE = "No space left on device"


def is_disk_full(error: BaseException) -> bool:
    """Whether the database's disk is full."""
    return _is_one_of(error, {"DiskFull"}) or (from_driver(error) and _NO_SPACE in str(error))


def is_forbidden(error: BaseException) -> bool:
    """Whether the user of the connection may not do it."""
    return _is_one_of(error, {"InsufficientPrivilege", "PermissionException"})


def is_missing_relation(error: BaseException) -> bool:
    """Whether a table, a view or their schema is not there."""
    return _is_one_of(error, _MISSING)


def is_unreachable(error: BaseException) -> bool:
    """Whether there is no connection: no server, no file, the wrong user or password."""
    return (
        is_file_locked(error)
        or is_connection_lost(error)
        or _is_one_of(error, {"IOException", "ConnectionException"})
    )


def _is_one_of(error: BaseException, names: frozenset[str] | set[str]) -> bool:
    return from_driver(error) and bool(names & {cls.__name__ for cls in type(error).__mro__})
