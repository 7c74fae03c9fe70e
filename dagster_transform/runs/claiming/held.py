"""What a run holds, and what of it is lost: asked by those who build."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dagster_transform.claims import Keeper, Lost, Store, StoreError, new_claim_id
from dagster_transform.databases.backends import BackendId
from dagster_transform.graph import UnitId
from dagster_transform.planning import ResourceKey
from dagster_transform.runs.claiming.backends import ClaimBackends
from dagster_transform.runs.ports import RunLog
from dagster_transform.walk import Inbox, Revoked


@dataclass(frozen=True, slots=True)
class UnitTables:
    """Which tables the units of a plan need.

    Attributes:
        units: Ids of all units.
        keys: The table that a unit writes, or that it reads without the run building it.
        promotions: The tables of each promotion besides those, and whether it changes them.
    """

    units: frozenset[UnitId] = frozenset()
    keys: Mapping[UnitId, ResourceKey] = field(default_factory=dict)
    promotions: Mapping[UnitId, Mapping[ResourceKey, bool]] = field(default_factory=dict)

    def of(self, unit: UnitId) -> list[ResourceKey]:
        """The tables that a unit needs, its own first."""
        own = [self.keys[unit]] if unit in self.keys else []
        return [*own, *self.promotions.get(unit, ())]

    def with_tables(self) -> set[UnitId]:
        """The units that need some."""
        return {*self.keys, *self.promotions}


class HeldClaim:
    """One claim in the store.

    Attributes:
        id: Of the claim.
        fences: What it holds, by resource.
        lost: Why what it held is held no longer, by resource.
        backends: In which backends the run builds under it.
    """

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self.id = new_claim_id()
        self.fences: dict[ResourceKey, int] = {}
        self.lost: dict[ResourceKey, str] = {}
        self.backends = ClaimBackends(store, self.id, say)


class HeldClaims:
    """What one op of a run holds; the guard of its project runs (`walk.ClaimGuard`).

    Its threads, which renew what is held, start with the first grant.

    Args:
        store: Where claims are kept.
        log: Where to say what went wrong with it.
        inbox: The walk's; units whose table was lost are revoked there.

    Attributes:
        store, log, inbox: As given.
        keeper: Renews what is held.
        shared: Environments and DuckDB files.
        tables: Tables.
        needed: Which tables the units of the plan need; set when the plan is known.
    """

    def __init__(self, store: Store, log: RunLog, inbox: Inbox | None = None) -> None:
        self.store = store
        self.inbox = inbox or Inbox()
        self.keeper = Keeper(store, self._lose)
        self.log = log
        self._said: set[str] = set()
        self.shared = HeldClaim(store, self.say)
        self.tables = HeldClaim(store, self.say)
        self.needed = UnitTables()

    def holds(self, unit: UnitId) -> bool:
        """Whether the run still has what a unit writes: asked before something is recorded."""
        tables = self.needed.of(unit)
        if self.shared.lost or not all(self._still_has(self.tables, key) for key in tables):
            return False
        # The environment is a promotion's own, as a table is a build's.
        shared = list(self.shared.fences) if unit in self.needed.promotions else []
        return all(self._still_has(self.shared, key) for key in shared)

    def builds_in(self, unit: UnitId, backends: frozenset[BackendId]) -> None:
        """Write down in which backends a unit is carried out, where the store does not know it."""
        key = next(iter(self.needed.of(unit)), None)
        if key is not None and key in self.tables.fences:
            self.tables.backends.record(key, backends, lambda: list(self.tables.fences))

    def plans_in(self, environment: ResourceKey, backends: frozenset[BackendId]) -> None:
        """Write down in which backends the stages of a plan are carried out."""
        if environment in self.shared.fences:
            self.shared.backends.record(environment, backends, lambda: [environment])

    def why_lost(self, unit: UnitId) -> str:
        """Why what a unit needs, which was held, is not any more; empty if it is."""
        lost = [self.tables.lost[k] for k in self.needed.of(unit) if k in self.tables.lost]
        return next(iter([*self.shared.lost.values(), *lost]), "")

    def say(self, text: str) -> None:
        """Say something once."""
        if text not in self._said:
            self._said.add(text)
            self.log.info(text)

    def _still_has(self, claim: HeldClaim, key: ResourceKey) -> bool:
        if key not in claim.fences or self.keeper.trust(claim.id, key) <= 0:
            return False
        try:
            return self.store.holds(claim.id, key, claim.fences[key])
        except StoreError:
            return self.keeper.trust(claim.id, key) > 0

    def _lose(self, lost: Lost) -> None:
        """On a thread of the keeper's: what is built there is to be ended."""
        reason = f"its claim was lost: {lost.reason}"
        if lost.claim_id == self.shared.id:
            self.shared.lost.update(dict.fromkeys(lost.keys, reason))
            self._revoke(self.needed.units, reason)
        elif lost.claim_id == self.tables.id:
            self.tables.lost.update(dict.fromkeys(lost.keys, reason))
            keys = set(lost.keys)
            units = [u for u in self.needed.with_tables() if keys & {*self.needed.of(u)}]
            self._revoke(units, reason)

    def _revoke(self, units: Collection[UnitId], reason: str) -> None:
        for unit in units:
            self.inbox.put(Revoked(unit, reason))
