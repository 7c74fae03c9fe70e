"""A model of claims, against the three stores: whatever is done in whatever order, each store
answers as the model does, and its history is sound. Time is the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from dagster_transform.claims import ClaimLostError, Grant, Owner, Want
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_oracle import assert_sound
from tests.support.claims_stores import TABLES, TIMING, Clock, run, store_at

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

CAPACITIES = {"environment:e": 3, "table:a": 2, "table:b": 2, "tag:t": 3}
LEASE = TIMING.lease
PLACE = TIMING.waiter_life


@dataclass
class Claim:
    """What the model knows of a claim."""

    owner: Owner
    until: float
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    places: dict[str, tuple[int, float]] = field(default_factory=dict)  # weight, seen until
    ticket: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        return (-self.owner.priority, self.ticket)


class Model:
    """Claims in a few dictionaries, from the words of the protocol."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.claims: dict[str, Claim] = {}
        self.fences = dict.fromkeys(CAPACITIES, 0)
        self.tickets = 0

    def live(self, key: str) -> dict[str, int]:
        return {
            name: claim.held[key][0]
            for name, claim in self.claims.items()
            if key in claim.held and claim.until > self.clock.now
        }

    def acquire(
        self, name: str, owner: Owner, wants: dict[str, int], *, whole: bool, wait: bool
    ) -> tuple[dict[str, int], set[str]] | None:
        """The fences and what is refused; None: lost."""
        claim = self.claims.get(name)
        if claim and claim.held and claim.until <= self.clock.now:
            return None
        claim = claim or Claim(owner, 0.0)
        places = claim.places.items()
        claim.places = {key: place for key, place in places if place[1] > self.clock.now}
        held = {key for key in wants if key in claim.held}
        free = {key for key in wants if key not in held and self._is_free(name, claim, key, wants)}
        refused = set(wants) - held - free
        if refused and whole:
            free = set()
        for key in free:
            for other, found in list(self.claims.items()):
                if key in found.held and found.until <= self.clock.now:
                    self._drop(other, key)
            self.fences[key] += 1
            claim.held[key] = (wants[key], self.fences[key])
            claim.places.pop(key, None)
        if free | held:
            claim.until = self.clock.now + LEASE
        if wait and refused:
            seen_until = self.clock.now + PLACE
            claim.places = {key: (weight, seen_until) for key, (weight, _) in claim.places.items()}
            for key in sorted(refused):
                if not claim.places:
                    self.tickets += 1
                    claim.ticket = self.tickets
                claim.places.setdefault(key, (wants[key], seen_until))
        self.claims[name] = claim
        return {key: claim.held[key][1] for key in free | held}, refused

    def _is_free(self, name: str, claim: Claim, key: str, wants: dict[str, int]) -> bool:
        live = self.live(key)
        taken = sum(live.values()) + wants[key]
        for other in live:
            owner = self.claims[other].owner
            later = owner.attempt > claim.owner.attempt
            if owner.root_run_id == claim.owner.root_run_id and later:
                return False
        stale = any(
            key in other.held and other.until <= self.clock.now for other in self.claims.values()
        )
        if not stale:
            rank = claim.rank if claim.places else (-claim.owner.priority, self.tickets + 1)
            taken += sum(
                other.places[key][0]
                for found, other in self.claims.items()
                if found != name and key in other.places
                and other.places[key][1] > self.clock.now and other.rank < rank
            )  # fmt: skip
        return taken <= CAPACITIES[key]

    def _drop(self, name: str, key: str) -> None:
        del self.claims[name].held[key]

    def is_lost(self, name: str, key: str, fence: int) -> bool:
        claim = self.claims[name]
        return claim.until <= self.clock.now or claim.held.get(key, (0, 0))[1] != fence

    def release(self, name: str, keys: set[str] | None) -> list[str]:
        claim = self.claims[name]
        gone = [key for key in sorted(claim.held) if keys is None or key in keys]
        for key in gone:
            self._drop(name, key)
        for key in list(claim.places):
            if keys is None or key in keys:
                del claim.places[key]
        return gone


class Machine(RuleBasedStateMachine):
    """Does the same to the model and to a store."""

    open: Callable[[Clock], SqlStore]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = type(self).open(self.clock)
        self.model = Model(self.clock)
        self.grants: dict[str, Grant] = {}
        self.runs: dict[str, Owner] = {}
        self.paused: set[str] = set()
        self.count = 0

    def _acquire(self, name: str, wants: dict[str, int], *, whole: bool, wait: bool) -> None:
        owner = self.runs[name]
        before = self.model.claims.get(name)
        held = before.held if before else {}
        # More of what is held is an error, and has its own test.
        wants = {key: min(weight, held.get(key, (weight, 0))[0]) for key, weight in wants.items()}
        paused = {key for key in wants if key in self.paused and key not in held}
        expected = self._model_acquire(name, owner, wants, paused, whole=whole, wait=wait)
        asked = [Want(key, weight, CAPACITIES[key]) for key, weight in wants.items()]
        try:
            answer = self.store.acquire(
                owner, asked, claim_id=name, all_or_nothing=whole, wait=wait
            )
        except ClaimLostError:
            assert expected is None
            return
        assert expected is not None
        fences, refused = expected
        assert (dict(answer.granted.fences) if answer.granted else {}) == fences
        assert set(answer.refused) == refused
        assert all(answer.refused.values())
        if answer.granted:
            kept = dict(self.grants[name].fences) if name in self.grants else {}
            self.grants[name] = Grant(name, kept | fences, 0, LEASE)

    def _model_acquire(
        self, name: str, owner: Owner, wants: dict[str, int], paused: set[str], **how: bool
    ) -> Any:
        """A pause is weight that nobody can pass."""
        capacities = {key: CAPACITIES[key] for key in paused}
        try:
            CAPACITIES.update(dict.fromkeys(paused, -1))
            return self.model.acquire(name, owner, wants, **how)
        finally:
            CAPACITIES.update(capacities)

    @rule(
        wants=st.dictionaries(
            st.sampled_from(sorted(CAPACITIES)), st.integers(1, 2), min_size=1, max_size=3
        ),
        priority=st.integers(0, 1),
        whole=st.booleans(),
        wait=st.booleans(),
    )
    def claim(self, wants: dict[str, int], priority: int, whole: bool, wait: bool) -> None:
        self.count += 1
        name = f"c{self.count}"
        self.runs[name] = run(f"r{self.count}", 0, priority=priority)
        self._acquire(name, wants, whole=whole, wait=wait)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), whole=st.booleans(), wait=st.booleans())
    def ask_again(self, data: st.DataObject, whole: bool, wait: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.runs)))
        wants = data.draw(
            st.dictionaries(st.sampled_from(sorted(CAPACITIES)), st.integers(1, 2), min_size=1)
        )
        self._acquire(name, wants, whole=whole, wait=wait)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """A new run for what the old one wanted; the old one may be alive."""
        old = data.draw(st.sampled_from(sorted(self.runs)))
        self.count += 1
        name = f"c{self.count}"
        before = self.runs[old]
        self.runs[name] = run(f"r{self.count}", before.attempt + 1, root=before.root_run_id)
        claim = self.model.claims.get(old)
        wants = {key: weight for key, (weight, _) in claim.held.items()} if claim else {}
        if wants:
            self._acquire(name, wants, whole=True, wait=True)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        names = data.draw(st.sets(st.sampled_from(sorted(self.grants)), min_size=1))
        expected = {
            name: keys
            for name in names
            if (
                keys := tuple(
                    sorted(
                        key
                        for key, fence in self.grants[name].fences.items()
                        if self.model.is_lost(name, key, fence)
                    )
                )
            )
        }
        for name in names:
            if self.model.claims[name].until > self.clock.now and self.model.claims[name].held:
                self.model.claims[name].until = self.clock.now + LEASE
        try:
            self.store.renew([self.grants[name] for name in names])
            lost = {}
        except ClaimLostError as error:
            lost = error.lost
        assert lost == expected

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), keys=st.none() | st.sets(st.sampled_from(sorted(CAPACITIES))))
    def release(self, data: st.DataObject, keys: set[str] | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.claims)))
        assert list(self.store.release(name, keys)) == self.model.release(name, keys)

    @rule(seconds=st.sampled_from([0.5, PLACE, LEASE / 4, LEASE - 1, LEASE]))
    def tick(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def crash_and_reconcile(self, data: st.DataObject) -> None:
        """Dagster says that a run has ended, before or after its leases have."""
        name = data.draw(st.sampled_from(sorted(self.runs)))
        released = self.store.release_run(self.runs.pop(name).run_id)
        claim = self.model.claims.get(name)
        expected = self.model.release(name, None) if claim else []
        assert [holder.resource_key for holder in released] == expected

    @precondition(lambda self: any(claim.held for claim in self.model.claims.values()))
    @rule(data=st.data())
    def downgrade(self, data: st.DataObject) -> None:
        names = sorted(name for name, claim in self.model.claims.items() if claim.held)
        name = data.draw(st.sampled_from(names))
        claim = self.model.claims[name]
        key = data.draw(st.sampled_from(sorted(claim.held)))
        if claim.until <= self.clock.now:
            with pytest.raises(ClaimLostError):
                self.store.downgrade(name, key, 1)
            return
        self.store.downgrade(name, key, 1)
        claim.held[key] = (1, claim.held[key][1])

    @rule(key=st.sampled_from(sorted(CAPACITIES)))
    def pause(self, key: str) -> None:
        self.store.pause(key, capacity=CAPACITIES[key], reason="by hand")
        self.model.fences[key] += 1
        self.paused.add(key)

    @rule(key=st.sampled_from(sorted(CAPACITIES)))
    def resume(self, key: str) -> None:
        assert self.store.resume(key) == (key in self.paused)
        self.paused.discard(key)

    @invariant()
    def holders_are_the_models(self) -> None:
        expected = {
            (key, name, weight, fence)
            for name, claim in self.model.claims.items()
            for key, (weight, fence) in claim.held.items()
        }
        found = [h for h in self.store.holders() if h.owner_kind.value == "run"]
        found += self.store.expired()
        assert {(h.resource_key, h.claim_id, h.weight, h.fence) for h in found} == expected
        expired = {name for name, x in self.model.claims.items() if x.until <= self.clock.now}
        assert {h.claim_id for h in self.store.expired()} == {
            name for name in expired if self.model.claims[name].held
        }

    def teardown(self) -> None:
        try:
            assert_sound(self.store.events())
            self.clock.tick(LEASE + PLACE)
            for key in CAPACITIES:
                self.store.resume(key)
            wants = [Want(key, capacity, capacity) for key, capacity in CAPACITIES.items()]
            answer = self.store.acquire(run("last"), wants, claim_id="last", all_or_nothing=True)
            assert answer.granted, "something is never claimable again"
            assert_sound(self.store.events())
        finally:
            if not self.store.shared:
                self.store.close()


def machine(opener: Callable[[Clock], SqlStore], examples: int) -> None:
    kind = type("Machine", (Machine,), {"open": staticmethod(opener)})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        kind,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def emptied(tmp_path: Path) -> Iterator[Callable[[str], Callable[[Clock], SqlStore]]]:
    """One database for all examples, emptied before each."""
    stores: list[SqlStore] = []

    def at(url: str) -> Callable[[Clock], SqlStore]:
        clocks: list[Clock] = []

        def now(connection: object) -> float:
            return clocks[-1](connection)

        store = store_at(url, clock=now)
        stores.append(store)

        def opener(clock: Clock) -> SqlStore:
            clocks[:] = [clock]
            with store._database.engine.begin() as connection:
                for name in TABLES:
                    connection.execute(text(f"DELETE FROM dagster_transform_{name}"))
            return store

        return opener

    yield at
    for store in stores:
        store.close()


@pytest.mark.slow
def test_in_memory() -> None:
    machine(lambda clock: store_at(None, clock=clock), 60)


@pytest.mark.slow
def test_in_sqlite(emptied: Callable[[str], Any], tmp_path: Path) -> None:
    machine(emptied(f"sqlite:///{tmp_path / 'claims.db'}"), 40)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.long
def test_in_postgres(emptied: Callable[[str], Any], postgres_database: PostgresDatabase) -> None:
    machine(emptied(postgres_database.url), 30)
