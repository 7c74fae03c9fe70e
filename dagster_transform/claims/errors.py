"""What can go wrong with claims."""

from __future__ import annotations

from collections.abc import Collection

from dagster_transform.claims.ids import ClaimId
from dagster_transform.errors import TransformError
from dagster_transform.planning.resource_keys import ResourceKey


class ClaimsError(TransformError):
    """Something is wrong with claims."""


class TimingError(ClaimsError):
    """A lease must be at least four heartbeats long, and every time above zero."""

    def __init__(self, lease: float, heartbeat: float, poll: float) -> None:
        super().__init__(
            f"Claims cannot live with a lease of {lease:g} s, a heartbeat of {heartbeat:g} s and "
            f"a poll of {poll:g} s.",
            remedy="Make the lease at least four heartbeats long, and every time above zero.",
        )


class WeightTooLargeError(ClaimsError):
    """More of a resource is wanted than there is: it could never be granted."""

    def __init__(self, resource_key: ResourceKey, weight: int, capacity: int) -> None:
        self.resource_key = resource_key
        self.weight = weight
        self.capacity = capacity
        super().__init__(
            f"{resource_key} has a capacity of {capacity}; {weight} can never be granted.",
            remedy="Lower the weight, or raise the capacity.",
        )


class ClaimLostError(ClaimsError):
    """A claim is no longer held: its lease expired, or somebody released it.

    Attributes:
        lost: Resource keys by claim id.
    """

    def __init__(self, lost: dict[ClaimId, tuple[ResourceKey, ...]]) -> None:
        self.lost = lost
        keys = sorted({key for found in lost.values() for key in found})
        shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
        super().__init__(
            f"No longer claimed: {shown}."
            if keys
            else f"The claim {', '.join(sorted(lost))} is over.",
            remedy="The lease expired or was released by somebody else; claim again.",
        )


class StoreError(ClaimsError):
    """The claims store does not work.

    Attributes:
        url: Where it is, without the password.
    """

    def __init__(self, url: str, cause: str, *, remedy: str) -> None:
        self.url = url
        super().__init__(cause, remedy=remedy)


class StoreUnreachableError(StoreError):
    """The claims store cannot be used.

    Raised where its database cannot be reached, goes away, or does not let us do our work. What
    was asked may have been done: ask again, under the same claim id.
    """

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            url,
            f"The claims store {url} cannot be used: {why}",
            remedy="Start its database, or set claims_url or DAGSTER_TRANSFORM_CLAIMS_URL.",
        )


class StoreBusyError(StoreError):
    """The claims store's locks were taken for too long. Nothing was done: ask again."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            url,
            f"The claims store {url} is busy: {why}",
            remedy="Try again; if it stays so, look for a stopped process that holds a lock.",
        )


class StoreVersionError(StoreError):
    """The claims store was made by a newer version."""

    def __init__(self, url: str, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            url,
            f"The claims store {url} has version {found}; this dagster-transform knows {known}.",
            remedy="Upgrade dagster-transform here too.",
        )


class UnknownStoreError(StoreError):
    """Claims can be stored in SQLite and in PostgreSQL."""

    def __init__(self, url: str, why: str = "only sqlite:// and postgresql:// are known.") -> None:
        super().__init__(
            url,
            f"{url} is no URL of a claims store: {why}",
            remedy="Write sqlite:///path/to/file.db or postgresql://user:password@host/database.",
        )


class DuplicateWantError(ClaimsError):
    """One request wants one resource with different weights."""

    def __init__(self, resource_keys: Collection[ResourceKey]) -> None:
        self.resource_keys = tuple(sorted(resource_keys))
        super().__init__(
            f"One request wants {', '.join(self.resource_keys)} with different weights."
        )


class UpgradeError(ClaimsError):
    """A claim wants more of a resource than it holds.

    Never granted: two that share a resource and both want it whole would wait for each other.
    """

    def __init__(self, resource_key: ResourceKey, held: int, wanted: int) -> None:
        self.resource_key = resource_key
        super().__init__(
            f"{resource_key} is held with weight {held}; it cannot be raised to {wanted}.",
            remedy="Take the whole at first, and downgrade.",
        )
