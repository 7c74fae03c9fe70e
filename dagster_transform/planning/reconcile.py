"""Which claims of runs that have ended are released by the transform's sensor. Pure.

That Dagster says that a run has ended does not prove its process dead: a pod that nobody reaches
may still write, and renews its claims meanwhile. So a claim is released only once its lease has
ended, and nothing of it that has backends on a database server: those have to be ended first,
which whoever takes the claim over does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dagster_transform.planning.resource_keys import ResourceKey


@dataclass(frozen=True, slots=True)
class HeldLease:
    """What a run holds of one resource.

    Attributes:
        claim_id: The claim.
        resource_key: The resource.
        run_id: The run.
        expired: Whether its lease has ended, by the store's clock.
        builds: Whether there are backends in which it is built, or was.
    """

    claim_id: str
    resource_key: ResourceKey
    run_id: str
    expired: bool
    builds: bool


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
