"""What SQLMesh or a driver raises becomes one clear error; our own errors and bugs stay."""

from __future__ import annotations

import pytest

from dagster_transform.errors import TransformError, words_of
from dagster_transform.sqlmesh.errors import DatabaseError, PlanRefusedError, ProjectLoadError
from dagster_transform.sqlmesh.intervals import minus
from dagster_transform.sqlmesh.project import clear_errors, first_error

PATHS = ["/projects/p"]


def raised_by_driver(text: str, module: str = "duckdb") -> Exception:
    """An error as a driver's module has it."""
    return type("IOException", (Exception,), {"__module__": module})(text)


def clear(error: Exception, what: str = "can't be loaded") -> TransformError:
    with pytest.raises(TransformError) as raised, clear_errors("p", PATHS, what):
        raise error
    return raised.value


def test_an_error_of_sqlmesh_says_what_can_not_be_done_with_which_project() -> None:
    found = clear(ValueError("\x1b[91mmodel\x1b[0m is wrong "))
    assert isinstance(found, ProjectLoadError)
    assert found.cause == "Project p can't be loaded: model is wrong"
    assert "cd /projects/p && sqlmesh info" in str(found)
    assert str(clear(ValueError())).startswith("Project p can't be loaded: ValueError")


def test_an_error_of_a_driver_is_one_of_the_database_and_is_not_chained() -> None:
    wrapped = ValueError("something went wrong")
    wrapped.__cause__ = raised_by_driver("no route", "psycopg2")
    found = clear(wrapped)
    assert isinstance(found, DatabaseError)
    assert found.cause == "Project p: its database can't be used: no route"
    assert "cd /projects/p && sqlmesh info" in str(found)
    assert found.__suppress_context__
    assert found.__cause__ is None


def test_a_locked_file_has_a_remedy_of_its_own() -> None:
    found = clear(raised_by_driver('Could not set lock on file "w.duckdb"'))
    assert ".\nAnother process holds the DuckDB file" in str(found)


def test_our_own_errors_and_bugs_go_through() -> None:
    refused = PlanRefusedError("no")
    assert clear(refused) is refused
    with pytest.raises(TypeError), clear_errors("p", PATHS):
        minus(3, [])  # type: ignore[arg-type]


def test_the_first_error_is_what_a_driver_said_before_its_connection_failed_again() -> None:
    first, again = raised_by_driver("deadlock"), raised_by_driver("connection already closed")
    again.__context__ = first
    first.__context__ = ValueError("where it came from")
    assert first_error(again) is first
    plain = ValueError("x")
    plain.__context__ = first
    assert first_error(plain) is plain
    assert words_of(ValueError(" \x1b[1mx\x1b[0m\n")) == "x"
