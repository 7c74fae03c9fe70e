"""A run whose process has died, which nobody but its claims can tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dagster_transform.claims import WHOLE, Owner, OwnerKind, RunId, Want, new_claim_id
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.planning import ResourceKey, reconcile
from tests.support.grouped import grouped
from tests.support.scheduler import Scheduler, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform
from tests.support.waiting import until

TICK = utc("2026-11-02 21:00")
NOW = datetime.now(timezone.utc)
LOOK = timedelta(seconds=30)


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    transform = grouped(tmp_path)
    transform.prepare()
    yield transform
    transform.close()


def test_a_run_whose_claims_nobody_renews_is_failed_and_followed_up(
    transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "UNRENEWED_FOR", timedelta(seconds=1))
    with scheduler_of(transform, sensors=True) as scheduler:
        store = open_claims(transform.instance, load_config(transform.folder))
        scheduler.start(TICK - timedelta(minutes=30), "hourly_schedule")
        scheduler.look(TICK)
        (run,) = scheduler.runs()
        scheduler.begin(run)
        owner = Owner(OwnerKind.RUN, RunId(run.run_id), RunId(run.run_id), 0)
        for name, lease in (("short", 12.0), ("long", 600.0)):
            wants = [Want(ResourceKey(f"table:x/{name}"), WHOLE, WHOLE)]
            store.acquire(owner, wants, claim_id=new_claim_id(), all_or_nothing=True, lease=lease)
        until(lambda: len(store.expired()) == 1, "the lease ends")
        # Something of it is renewed: it lives.
        assert statuses(scheduler, 1) == ["STARTED"]
        assert statuses(scheduler, 2) == ["STARTED"]
        (held,) = store.holders(run_id=RunId(run.run_id))
        store.release(held.claim_id, [held.resource_key])
        assert statuses(scheduler, 3) == ["STARTED"]  # seen for the first time
        until(lambda: statuses(scheduler) == ["FAILURE"], "it is called dead")
        until(lambda: statuses(scheduler) == ["FAILURE", "QUEUED"], "it is followed up")
        assert not store.expired()
        said = [each.message for each in transform.instance.all_logs(run.run_id)]
        assert any("Nobody has renewed what this run has claimed since" in each for each in said)


_looks = iter(range(4, 10**6))


def statuses(scheduler: Scheduler, look: int | None = None) -> list[str]:
    """Of all runs, after the sensor has looked once more."""
    # What Dagster stores of a run that is tagged has the time that it is told: near the real one.
    scheduler.sense(NOW + LOOK * (next(_looks) if look is None else look))
    return [run.status.value for run in scheduler.runs()]
