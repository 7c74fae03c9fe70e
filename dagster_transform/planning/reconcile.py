"""Which claims of runs that have ended are released by the transform's sensor, and which runs have
ended without Dagster knowing it. Pure.

That Dagster says that a run has ended does not prove its process dead: a pod that nobody reaches
may still write, and renews its claims meanwhile. So a claim is released only once its lease has
ended, and nothing of it that has backends on a database server: those have to be ended first,
which whoever takes the claim over does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagster_transform.planning.resource_keys import ResourceKey

UNRENEWED_FOR = timedelta(seconds=60)
"""For so long nobody has to renew the claims of a run, after that was seen first, before it is
called dead: a machine that has slept wakes up with leases that have ended."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """What a run holds of one resource.

    Attributes:
        claim_id: The claim.
        resource_key: The resource.
        run_id: The run.
        expired: Whether its lease has ended, by the store's clock.
        builds: Whether there are backends in which it is built, or was.
        until: When its lease ends or has ended, aware; None: it has no end.
        foreign: Whether some of these backends are of claims that it has replaced.
    """

    claim_id: str
    resource_key: ResourceKey
    run_id: str
    expired: bool
    builds: bool
    until: datetime | None = None
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What becomes of leases of runs that have ended; of others there is nothing to decide.

    Attributes:
        released: To be released now.
        kept: Still to be kept, although Dagster says that their runs have ended.
    """

    released: tuple[HeldLease, ...]
    kept: tuple[HeldLease, ...]


def reconcile(leases: Iterable[HeldLease], ended: Collection[str]) -> Reconciliation:
    """Which leases are released.

    Args:
        leases: All that runs hold, expired ones included; no pauses.
        ended: Ids of runs that Dagster knows and says have ended.
    """
    released: list[HeldLease] = []
    kept: list[HeldLease] = []
    for lease in leases:
        if lease.run_id in ended:
            (released if lease.expired and not lease.builds else kept).append(lease)
    return Reconciliation(tuple(released), tuple(kept))


@dataclass(frozen=True, slots=True)
class Unrenewed:
    """Runs that Dagster says go on, and whose claims nobody renews.

    Attributes:
        seen: Seen for the first time, to be noted.
        dead: Seen long ago, and not renewed since: their processes are dead.
    """

    seen: tuple[str, ...]
    dead: tuple[str, ...]


def unrenewed(
    leases: Iterable[HeldLease], started: Mapping[str, datetime | None], now: datetime
) -> Unrenewed:
    """Which runs have no process any more.

    A run renews all that it holds as long as it lives, but where statements of others may go on:
    such a lease ends by itself, and proves nothing.

    Args:
        leases: All that runs hold, expired ones included; no pauses.
        started: The runs that Dagster says go on; and when it was noted of them, aware, that nobody
            renews their claims.
        now: Aware.
    """
    live: set[str] = set()
    ended: dict[str, datetime] = {}
    for lease in leases:
        if not lease.expired:
            live.add(lease.run_id)
        elif lease.until is not None and not lease.foreign:
            ended[lease.run_id] = max(lease.until, ended.get(lease.run_id, lease.until))
    seen: list[str] = []
    dead: list[str] = []
    for run_id, until in ended.items():
        if run_id not in started or run_id in live:
            continue
        noted = started[run_id]
        if noted is None or noted <= until:  # renewed since
            seen.append(run_id)
        elif now - noted >= UNRENEWED_FOR:
            dead.append(run_id)
    return Unrenewed(tuple(seen), tuple(dead))
