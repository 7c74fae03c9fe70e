"""Which claims of runs that have ended are released, and which runs are dead."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dagster_transform.planning import ResourceKey
from dagster_transform.planning.reconcile import (
    UNRENEWED_FOR,
    HeldLease,
    reconcile,
    unrenewed,
)


@pytest.mark.parametrize(
    ("expired", "builds", "ended", "released", "kept"),
    [
        (True, False, True, 1, 0),
        (False, False, True, 0, 1),  # its process may be alive
        (True, True, True, 0, 1),  # and so may its statement
        (False, True, True, 0, 1),
        (True, False, False, 0, 0),  # Dagster does not say that the run has ended
    ],
)
def test_what_is_released(
    *, expired: bool, builds: bool, ended: bool, released: int, kept: int
) -> None:
    lease = HeldLease("claim", ResourceKey("table:x/y"), "run1", expired, builds)
    found = reconcile([lease], {"run1"} if ended else {"run2"})
    assert (len(found.released), len(found.kept)) == (released, kept)


NOW = datetime(2026, 11, 3, tzinfo=timezone.utc)
LONG_AGO = NOW - UNRENEWED_FOR
SECOND = timedelta(seconds=1)


def lease(until: datetime, *, foreign: bool = False, key: str = "table:x/y") -> HeldLease:
    return HeldLease("claim", ResourceKey(key), "run1", until < NOW, True, until, foreign)


@pytest.mark.parametrize(
    ("leases", "noted", "seen", "dead"),
    [
        ([lease(LONG_AGO - SECOND)], None, 1, 0),
        ([lease(LONG_AGO - SECOND)], LONG_AGO, 0, 1),
        ([lease(LONG_AGO - SECOND)], LONG_AGO + SECOND, 0, 0),  # seen too lately
        ([lease(LONG_AGO + SECOND)], LONG_AGO, 1, 0),  # renewed since it was noted
        ([lease(NOW + SECOND)], LONG_AGO, 0, 0),
        # One is renewed: it lives, and has left the other one to end.
        ([lease(LONG_AGO - SECOND), lease(NOW + SECOND, key="table:x/z")], LONG_AGO, 0, 0),
        # What waits for others' backends to end is not renewed by a run that lives either.
        ([lease(LONG_AGO - SECOND, foreign=True)], LONG_AGO, 0, 0),
    ],
)
def test_which_runs_are_dead(
    leases: list[HeldLease], noted: datetime | None, seen: int, dead: int
) -> None:
    found = unrenewed(leases, {"run1": noted}, NOW)
    assert (len(found.seen), len(found.dead)) == (seen, dead)


def test_only_runs_that_go_on_are_called_dead() -> None:
    found = unrenewed([lease(LONG_AGO - SECOND)], {"run2": LONG_AGO}, NOW)
    assert not found.seen
    assert not found.dead
