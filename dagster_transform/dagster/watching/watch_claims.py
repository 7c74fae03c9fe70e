"""What a watching sensor claims while it looks: nobody plans meanwhile, nobody has the DuckDB file,
and no second sensor of a second daemon tells the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dagster_transform.claims import (
    WHOLE,
    ClaimLostError,
    Grant,
    Owner,
    OwnerKind,
    RunId,
    Store,
    Want,
    new_claim_id,
)
from dagster_transform.planning import ResourceKey
from dagster_transform.runs.claiming.words import holders_in_words

_LEASE = 120.0
"""Seconds; an evaluation takes half of it at most."""


@dataclass(frozen=True, slots=True)
class WatchClaim:
    """What is held.

    Attributes:
        store: Where.
        grant: What.
    """

    store: Store
    grant: Grant

    @classmethod
    def take(
        cls,
        store: Store,
        sensor: str,
        location: str,
        *,
        environment: ResourceKey | None = None,
        files: Collection[ResourceKey] = (),
    ) -> WatchClaim | str:
        """Claim what a sensor needs, without waiting.

        Args:
            store: The claims store.
            sensor: Its name.
            location: Its code location.
            environment: The environment that it shares with runs.
            files: DuckDB files that it opens.

        Returns:
            The claim, or who is in the way, in words.
        """
        wants = [Want(ResourceKey.tag(f"{location}/{sensor}")), *(Want(file) for file in files)]
        if environment is not None:
            wants.append(Want(environment, 1, WHOLE))
        keys = {want.resource_key for want in wants}
        # Whoever takes over what a dead run has left has to end its backends; a run does that.
        expired = [each for each in store.expired() if each.resource_key in keys]
        if left := [each for each in expired if each.backends]:
            return f"{left[0].resource_key}, which run {left[0].run_id} has left behind"
        owner = Owner(OwnerKind.RUN, RunId(sensor), RunId(sensor), 0, "a sensor, which looks")
        claim_id = new_claim_id()
        answer = store.acquire(owner, wants, claim_id=claim_id, all_or_nothing=True, lease=_LEASE)
        if answer.granted is None:
            return holders_in_words(answer.refused)
        return cls(store, answer.granted)

    def prolong(self, seconds: float) -> bool:
        """Keep it for so long from now on; whether it is still held."""
        try:
            self.store.renew([self.grant], lease=seconds)
        except ClaimLostError:
            return False
        return True

    def release(self) -> None:
        """Give it back."""
        self.store.release(self.grant.claim_id)
