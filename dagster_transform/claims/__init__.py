"""Claims: who builds what. Grants never overlap, and none outlives its process for long.

A **claim** holds resources: relations that a run builds, slots of what is counted. `admission`
decides, purely; a `Store` keeps what was decided, in SQLite or PostgreSQL; a `Keeper` renews it
while this process lives. Knows neither a framework nor Dagster.
"""

from __future__ import annotations

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
from dagster_transform.claims.lease.clock import elapsed
from dagster_transform.claims.lease.keeper import Keeper, Lost
from dagster_transform.claims.store.opening import open_store
from dagster_transform.claims.store.port import Store
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
    Want,
)

__all__ = [
    "WHOLE",
    "Answer",
    "ClaimEvent",
    "ClaimLostError",
    "ClaimsError",
    "DuplicateWantError",
    "Grant",
    "Holder",
    "Keeper",
    "Lost",
    "Owner",
    "OwnerKind",
    "PendingNode",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreUnreachableError",
    "StoreVersionError",
    "Timing",
    "TimingError",
    "UnknownStoreError",
    "UpgradeError",
    "Want",
    "WeightTooLargeError",
    "elapsed",
    "open_store",
]
