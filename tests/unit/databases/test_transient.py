"""Which errors of drivers are transient, which say that the connection was lost, and which that
another process has the file. Both frameworks ask one table: there were two, which had drifted."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import psycopg2
import pytest
from dbt.adapters.exceptions import FailedToConnectError
from psycopg2 import errors

from dagster_transform.databases.transient import (
    FILE_IS_LOCKED,
    chain,
    database_error,
    from_driver,
    is_connection_lost,
    is_file_locked,
    is_transient,
)


def of_driver(module: str, name: str, *bases: type[Exception]) -> Exception:
    """An error as a driver that is not installed here has it."""
    kind = type(name, bases or (Exception,), {"__module__": module})
    error = kind("said by the server")
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (None, False),
        (ValueError("OperationalError"), False),
        (psycopg2.OperationalError("server closed the connection"), True),
        (psycopg2.InterfaceError("connection already closed"), True),
        (psycopg2.ProgrammingError("syntax error"), False),
        (errors.DeadlockDetected(), True),
        (errors.LockNotAvailable(), True),
        (errors.SerializationFailure(), True),
        (errors.TooManyConnections(), True),
        (errors.AdminShutdown(), True),
        (errors.CrashShutdown(), True),
        (errors.ConnectionException(), True),
        (errors.ConnectionFailure(), True),
        (errors.QueryCanceled(), False),  # all three are OperationalErrors
        (errors.DiskFull(), False),
        (errors.InsufficientPrivilege(), False),
        (errors.DivisionByZero(), False),
        (duckdb.OperationalError("out of memory"), False),
        (duckdb.TransactionException("conflict on tuple"), True),
        (duckdb.IOException(f"{FILE_IS_LOCKED} '/w.duckdb'"), True),
        (duckdb.IOException("No space left on device"), False),
        (duckdb.CatalogException(FILE_IS_LOCKED), True),
        (FailedToConnectError("no route to host"), True),
    ],
    ids=repr,
)
def test_what_is_transient_is_known_by_its_driver(
    error: BaseException | None, transient: bool
) -> None:
    assert is_transient(error) is transient


@pytest.mark.parametrize(
    ("module", "name", "transient"),
    [
        # What dbt's list knew and SQLMesh's did not.
        ("redshift_connector.error", "InterfaceError", True),
        ("redshift_connector.error", "OperationalError", True),
        ("databricks.sql.exc", "OperationalError", True),
        ("google.api_core.exceptions", "ServiceUnavailable", True),
        # What both knew.
        ("psycopg.errors", "AdminShutdown", True),
        ("psycopg", "OperationalError", True),
        ("pymysql.err", "OperationalError", True),
        ("snowflake.connector.errors", "OperationalError", True),
        ("_duckdb", "TransactionException", True),
        # Neither by an engine's query, nor by somebody else's error of that name.
        ("redshift_connector.error", "ProgrammingError", False),
        ("google.api_core.exceptions", "BadRequest", False),
        ("sqlalchemy.exc", "OperationalError", False),
        ("requests.exceptions", "ServiceUnavailable", False),
        ("psycopg2_wrapper", "OperationalError", False),
    ],
)
def test_drivers_of_other_engines_are_known_without_being_imported(
    module: str, name: str, transient: bool
) -> None:
    assert is_transient(of_driver(module, name)) is transient


def test_a_class_of_a_driver_is_known_by_what_it_is_made_from() -> None:
    lost = type("OperationalError", (Exception,), {"__module__": "pymysql.err"})
    assert is_transient(of_driver("pymysql.err", "ServerGone", lost))
    assert not is_transient(of_driver("pymysql.err", "QueryCanceled", lost))


def test_dbts_own_error_is_known_whatever_the_driver() -> None:
    assert is_transient(of_driver("dbt.adapters.exceptions.connection", "FailedToConnectError"))
    assert not is_connection_lost(FailedToConnectError("no route to host"))


def test_the_driver_is_found_behind_what_dbt_raises() -> None:
    shown = RuntimeError("Database Error")
    shown.__cause__ = psycopg2.OperationalError("server closed the connection")
    assert is_transient(shown)
    assert is_connection_lost(shown)
    assert database_error(shown) is shown.__cause__
    circle = RuntimeError("a")
    circle.__cause__ = circle
    assert not is_transient(circle)
    assert list(chain(circle)) == [circle]


def test_what_was_raised_while_another_was_handled_is_found_too() -> None:
    lost = psycopg2.OperationalError("server closed the connection")
    with pytest.raises(ValueError, match="in the rollback") as raised:  # noqa: PT012
        try:
            raise lost
        except psycopg2.Error:
            raise ValueError("in the rollback")  # noqa: B904 - without a cause, as drivers do
    assert list(chain(raised.value)) == [raised.value, lost]
    assert is_transient(raised.value)
    assert database_error(raised.value) is lost
    assert database_error(ValueError("no driver's")) is None


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (None, False),
        (psycopg2.OperationalError("server closed the connection"), True),
        (psycopg2.InterfaceError("connection already closed"), True),
        (errors.AdminShutdown(), True),
        (errors.CrashShutdown(), True),
        (errors.ConnectionFailure(), True),
        (errors.DeadlockDetected(), False),
        (errors.LockNotAvailable(), False),
        (errors.TooManyConnections(), False),
        (errors.QueryCanceled(), False),
        (ConnectionError("of Python"), False),
    ],
    ids=repr,
)
def test_a_lost_connection_is_not_any_transient_error(
    error: BaseException | None, lost: bool
) -> None:
    assert is_connection_lost(error) is lost


def test_a_file_that_another_process_has_is_known_by_duckdbs_words() -> None:
    assert is_file_locked(duckdb.IOException(f"IO Error: {FILE_IS_LOCKED} '/w.duckdb'"))
    assert not is_file_locked(duckdb.IOException("IO Error: No space left on device"))
    assert not is_file_locked(RuntimeError(FILE_IS_LOCKED))


def test_duckdb_says_those_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A process that has the file open keeps another one from it."""
    path = tmp_path_factory.mktemp("locked") / "w.duckdb"
    code = f"import duckdb; duckdb.connect({str(path)!r})"
    with duckdb.connect(str(path)):
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert FILE_IS_LOCKED in done.stderr


def test_drivers_are_known_by_their_packages() -> None:
    assert from_driver(psycopg2.ProgrammingError("syntax error"))
    assert from_driver(duckdb.Error("any"))
    assert not from_driver(OSError("any"))
