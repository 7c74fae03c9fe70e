"""Backends: their names, which of them are in a database, and that they are ended."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dagster_transform.databases import backends
from dagster_transform.databases.backends import (
    BackendId,
    BackendsRemainError,
    application_name,
    backend_id,
    end_backends,
    in_database,
    in_words,
    new_name,
    statement_to_end,
)
from dagster_transform.databases.identity import server_identity

SHOP = server_identity("postgres", "db", 5432, "shop")
OTHER = server_identity("postgres", "db", 5432, "other")
NAMES = [f"dagster-transform:{digit * 12}" for digit in "abc"]
STRANGE = [
    BackendId("s1"),  # what was written down before there were ids
    BackendId(""),
    backend_id(SHOP, "psql"),
    backend_id(SHOP, "dagster-transform:' OR true --"),
    backend_id(SHOP, f"{NAMES[0]}0"),
]


class Server:
    """A server whose backends end one after the other, as they are asked to."""

    def __init__(self, *pids: int) -> None:
        self.pids = list(pids)
        self.statements: list[str] = []

    def execute(self, statement: str) -> list[tuple[int, bool]]:
        self.statements.append(statement)
        found = [(pid, True) for pid in self.pids]
        self.pids = self.pids[1:]
        return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_PATIENCE", 0.05)


def test_each_name_is_new_and_ours() -> None:
    names = {new_name() for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"dagster-transform:[0-9a-f]{12}", name) for name in names)


@pytest.mark.parametrize(
    ("configured", "shown"),
    [
        (None, ""),
        ("", ""),
        ("mine", "mine "),
        ("ü", "? "),
        ("x" * 80, "x" * 32 + " "),
    ],
)
def test_a_name_of_ours_comes_whole_after_the_users(configured: str | None, shown: str) -> None:
    """PostgreSQL keeps 63 bytes, from the left."""
    name = application_name(NAMES[0], configured)
    assert name == f"{shown}{NAMES[0]}"
    assert len(name.encode()) <= 63


def test_an_id_has_no_spaces_and_is_shown_as_name_and_database() -> None:
    place = server_identity("postgres", "my host", 5432, "my|shop")
    backend = backend_id(place, NAMES[0])
    assert " " not in backend
    assert in_words(backend) == f"{NAMES[0]} on {place}"
    assert in_database(place, [backend]) == {backend}
    assert in_words(BackendId("s1")) == "s1"


def test_only_backends_with_a_name_of_ours_are_in_a_database() -> None:
    mine, theirs = backend_id(SHOP, NAMES[0]), backend_id(OTHER, NAMES[0])
    assert in_database(SHOP, [mine, theirs, *STRANGE]) == {mine}
    assert in_database(OTHER, [mine, theirs, *STRANGE]) == {theirs}
    assert in_database(SHOP, STRANGE) == frozenset()


def test_the_statement_has_names_of_ours_only_and_not_the_one_who_asks() -> None:
    found = [backend_id(SHOP, NAMES[1]), backend_id(OTHER, NAMES[0]), *STRANGE]
    statement = statement_to_end(found)
    assert f"IN ('{NAMES[0]}', '{NAMES[1]}')" in statement
    assert "right(application_name, 30)" in statement
    assert len(NAMES[0]) == 30
    assert "pid <> pg_backend_pid()" in statement
    assert "--" not in statement


def test_it_is_asked_until_none_is_there() -> None:
    server, mine = Server(1, 2), backend_id(SHOP, NAMES[0])
    others = [backend_id(OTHER, NAMES[1]), *STRANGE]
    assert end_backends(SHOP, [mine, *others], server.execute) == {mine}
    assert server.statements == [statement_to_end([mine])] * 3


def test_a_server_is_not_asked_where_nothing_is_to_be_ended() -> None:
    def fail(statement: str) -> Iterator[tuple[int, bool]]:
        raise AssertionError(statement)

    assert end_backends(SHOP, [backend_id(OTHER, NAMES[0]), *STRANGE], fail) == frozenset()
    assert end_backends(SHOP, [], fail) == frozenset()


@pytest.mark.usefixtures("impatient")
def test_one_that_does_not_end_is_an_error_that_says_what_to_do() -> None:
    mine = backend_id(SHOP, NAMES[0])
    with pytest.raises(BackendsRemainError, match="process 4711") as raised:
        end_backends(SHOP, [mine], lambda _: [(4711, True)])
    assert in_words(mine) in str(raised.value)
    assert "SELECT pg_terminate_backend(pid), with pid 4711" in str(raised.value)


def test_what_the_server_raises_is_raised() -> None:
    def refuse(_: str) -> list[tuple[int, bool]]:
        raise PermissionError("must be a member of the role")

    with pytest.raises(PermissionError):
        end_backends(SHOP, [backend_id(SHOP, NAMES[0])], refuse)
