"""The small parts of running dbt: arguments, memory, artifacts of runs, what may pass."""

from __future__ import annotations

import duckdb
import psycopg2
import pytest
from dbt.adapters.exceptions import FailedToConnectError
from psycopg2 import errors

from dagster_transform.dbt.failures import is_transient

# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (None, False),
        (ValueError("OperationalError"), False),
        (psycopg2.OperationalError("server closed the connection"), True),
        (psycopg2.InterfaceError("connection already closed"), True),
        (errors.DeadlockDetected(), True),
        (errors.AdminShutdown(), True),
        (errors.QueryCanceled(), False),
        (errors.DiskFull(), False),
        (errors.DivisionByZero(), False),
        (duckdb.OperationalError("out of memory"), False),
        (duckdb.TransactionException("conflict on tuple"), True),
        (duckdb.IOException("Could not set lock on file"), True),
        (duckdb.IOException("No space left on device"), False),
        (FailedToConnectError("no route to host"), True),
    ],
    ids=repr,
)
def test_what_may_pass_is_known_by_its_driver(error: BaseException | None, transient: bool) -> None:
    assert is_transient(error) is transient


def test_the_driver_is_found_behind_what_dbt_raises() -> None:
    shown = RuntimeError("Database Error")
    shown.__cause__ = psycopg2.OperationalError("server closed the connection")
    assert is_transient(shown)
    circle = RuntimeError("a")
    circle.__cause__ = circle
    assert not is_transient(circle)
