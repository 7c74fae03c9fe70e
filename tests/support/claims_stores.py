"""Claims stores for tests: of each kind, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dagster_transform.claims import (
    WHOLE,
    Owner,
    OwnerKind,
    Timing,
    Want,
    new_claim_id,
)
from dagster_transform.claims.store.opening import database_at
from dagster_transform.claims.store.sql_store import SqlStore
from dagster_transform.claims.tickets import Precedence, tickets
from dagster_transform.planning import ResourceKey

TIMING = Timing(lease=60, heartbeat=15, poll=2)
TABLES = ("resource", "batch", "lease", "waiter", "event", "pending", "told")


@dataclass
class Clock:
    """A clock that stands still unless a test sets it."""

    now: float = 1_700_000_000.0

    def __call__(self, _connection: object) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, timezone.utc)

    def after(self, seconds: float) -> datetime:
        return self.moment + timedelta(seconds=seconds)


def nothing(_point: str) -> None:
    pass


def store_at(
    url: str | None,
    *,
    clock: Callable[[object], float] | None = None,
    at: Callable[[str], None] = nothing,
    timing: Timing = TIMING,
    precedence: Precedence = tickets,
) -> SqlStore:
    """A store with connections of its own, its tables made."""
    store = SqlStore(database_at(url, timing), timing, clock=clock, at=at, precedence=precedence)
    store.prepare()
    return store


def url_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str | None:
    """Where a fresh store of a kind can be: memory, sqlite or postgres."""
    if kind == "memory":
        return None
    if kind == "sqlite":
        return f"sqlite:///{folder / 'claims.db'}"
    return str(request.getfixturevalue("postgres_database").url)


def run(name: str = "run", attempt: int = 0, *, root: str = "", priority: int = 0) -> Owner:
    return Owner(OwnerKind.RUN, name, root or name, attempt, f"{name} builds", priority)


def plan(name: str = "plan") -> Owner:
    return replace(run(name), kind=OwnerKind.PLAN)


def table(name: str) -> Want:
    """What a builder takes of a claim key."""
    return Want(ResourceKey(f"table:{name}"), WHOLE, WHOLE)


def share(name: str) -> Want:
    """What an out-of-band check takes of it."""
    return Want(ResourceKey(f"table:{name}"), 1, WHOLE)


def slot(name: str = "heavy", weight: int = 1, capacity: int = 3) -> Want:
    return Want(ResourceKey.tag(name), weight, capacity)


def keys(wants: Collection[Want]) -> list[str]:
    return sorted(want.resource_key for want in wants)


def holders(store: SqlStore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for holder in store.holders():
        found.setdefault(holder.resource_key, []).append(holder.run_id)
    return found


def take(store: SqlStore, name: str, *wants: Want, **options: object) -> str | None:
    """Claim all of `wants` for a run of that name; the claim's id if that went well."""
    claim = new_claim_id()
    answer = store.acquire(run(name), wants, claim_id=claim, all_or_nothing=True, **options)
    return claim if answer.granted else None
