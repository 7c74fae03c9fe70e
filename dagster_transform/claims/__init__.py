"""Claims: who builds what. Grants never overlap, and none outlives its process for long.

A **claim** holds resources: relations that a run builds, slots of what is counted. `admission`
decides, purely; a `Store` keeps what was decided, in SQLite or PostgreSQL; a `Keeper` renews it
by a heartbeat while this process lives. Knows neither a framework nor Dagster.
"""

from __future__ import annotations

from dagster_transform.claims.clock import elapsed
from dagster_transform.claims.errors import (
    ClaimLostError,
    ClaimsError,
    DuplicateWantError,
    StoreBusyError,
    StoreError,
    StoreUnreachableError,
    StoreVersionError,
    TimingError,
    UnknownStoreError,
    UpgradeError,
    WeightTooLargeError,
)
from dagster_transform.claims.ids import ClaimId, RunId, new_claim_id
from dagster_transform.claims.lease.heartbeat import Keeper, Lost
from dagster_transform.claims.ports import (
    Grants,
    History,
    Pauses,
    PendingWork,
    Recovery,
    Store,
    ToldAlerts,
)
from dagster_transform.claims.store.opening import open_store
from dagster_transform.claims.values import (
    WHOLE,
    Answer,
    ClaimEvent,
    Grant,
    Holder,
    Owner,
    OwnerKind,
    PendingNode,
    Timing,
    Told,
    Want,
)

__all__ = [
    "WHOLE",
    "Answer",
    "ClaimEvent",
    "ClaimId",
    "ClaimLostError",
    "ClaimsError",
    "DuplicateWantError",
    "Grant",
    "Grants",
    "History",
    "Holder",
    "Keeper",
    "Lost",
    "Owner",
    "OwnerKind",
    "Pauses",
    "PendingNode",
    "PendingWork",
    "Recovery",
    "RunId",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreUnreachableError",
    "StoreVersionError",
    "Timing",
    "TimingError",
    "Told",
    "ToldAlerts",
    "UnknownStoreError",
    "UpgradeError",
    "Want",
    "WeightTooLargeError",
    "elapsed",
    "new_claim_id",
    "open_store",
]
