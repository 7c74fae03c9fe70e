"""The gate of a run's walk: a unit starts when its tables and its slots are the run's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from dagster_transform.claims import ClaimId, ClaimLostError, StoreError, Want, new_claim_id
from dagster_transform.graph import UnitId
from dagster_transform.planning import Outcome, ResourceKey, RunPlan, Slot, Unit, UnitKind
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.words import holders_in_words
from dagster_transform.walk import Later, Refused


class ClaimGate:
    """See `walk.Gate` for the contract.

    Args:
        claims: What the run has claimed.
        run_plan: What is walked.
        refresh: Called with a build that had to wait for another run's claim, when it may start.
        called: What people call a unit.
    """

    def __init__(
        self,
        claims: RunClaims,
        run_plan: RunPlan,
        refresh: Callable[[Unit], None],
        called: Callable[[UnitId], str] = str,
    ) -> None:
        self._claims = claims
        self._held = claims.held
        self._refresh = refresh
        self._poll = claims.held.store.timing.poll
        self._users: dict[ResourceKey, set[UnitId]] = {}  # of a table: units that have not finished
        for unit in run_plan.units:
            for key in claims.held.needed.of(unit):
                self._users.setdefault(key, set()).add(unit)
        # Whose table it is: the id of a node is the beginning of its checks' ids.
        self._names = {key: called(min(users)) for key, users in self._users.items()}
        self._promotions = Counter(
            unit.project for unit in run_plan.units.values() if unit.kind is UnitKind.PROMOTE
        )
        self._until = self._now() + claims.policy.wait
        self._asked = self._now()
        self._contended: set[UnitId] = set()  # had to wait for another run's claim
        self._slots = _Slots(claims)

    def enter(self, unit: Unit, /) -> Later | Refused | None:
        """Its tables must be held by now; slots are taken here."""
        if reason := self._held.why_lost(unit.id):
            return Refused(Outcome.CANCELLED, reason)
        for key in self._held.needed.of(unit.id):
            if (answer := self._held_up(unit, key)) is not None:
                return answer
        if reason := self._slots.take(unit.id):
            return Later(self._poll, reason)
        if unit.kind is UnitKind.BUILD and unit.id in self._contended:
            self._contended.discard(unit.id)
            self._refresh(unit)
        return None

    def leave(self, unit: Unit, /) -> None:
        """Give its slots back."""
        self._slots.give_back(unit.id)

    def finish(self, unit: Unit, /) -> None:
        """Release its tables, if no other unit of the walk needs them; after a project's last
        promotion its environment is shared again."""
        self.leave(unit)  # a place in the queue for slots, of a unit that never started
        done = [k for k in self._held.needed.of(unit.id) if unit.id in self._users.get(k, ())]
        for key in done:
            self._users[key].discard(unit.id)
        if free := [key for key in done if not self._users[key]]:
            self._claims.release(free)
        if unit.kind is UnitKind.PROMOTE:
            self._promotions[unit.project] -= 1
            if not self._promotions[unit.project]:
                try:
                    self._claims.share_environment(unit.project)
                except (StoreError, ClaimLostError) as error:
                    self._held.say(str(error))  # it is shared again when the run ends

    def _held_up(self, unit: Unit, key: ResourceKey) -> Later | Refused | None:
        claims = self._claims
        if claims.has(key):
            return None
        self._contended.add(unit.id)
        if self._now() - self._asked >= self._poll:
            self._asked = self._now()
            claims.ask_for(key)
        if claims.has(key):
            return None
        # A run that does not wait has left out builds and checks; its promotion asks once more.
        if self._now() >= self._until or claims.policy.skip:
            return Refused(Outcome.CLAIMED, claims.note_refusal(unit.id, key))
        reason = claims.in_the_way(key)
        self._held.say(f"Waiting for {reason}: {self._names[key]} needs it")
        return Later(self._poll, reason)

    def _now(self) -> float:
        return self._held.inbox.now()


class _Slots:
    """The slots that units of one walk have, or wait for."""

    def __init__(self, claims: RunClaims) -> None:
        self._claims = claims
        self._used: Counter[ResourceKey] = Counter()  # by this walk
        self._claim_ids: dict[UnitId, ClaimId] = {}  # its claim on slots, or on places in the queue
        self._taken: set[UnitId] = set()  # units that have their slots

    def take(self, unit: UnitId) -> str:
        """Take its slots. What is in the way, in words, where it has a place in their queues
        instead; "": they are the unit's."""
        slots = self._claims.policy.slots.get(unit, ())
        for slot in slots:
            if self._used[slot.key] + slot.weight > slot.capacity:
                return f"{slot.key}, which this run has itself"
        return self._acquire(unit, slots) if slots else ""

    def give_back(self, unit: UnitId) -> None:
        """Release a unit's slots, or its places in their queues."""
        if unit in self._taken:
            self._taken.discard(unit)
            slots = self._claims.policy.slots.get(unit, ())
            self._used.subtract({slot.key: slot.weight for slot in slots})
        if (claim_id := self._claim_ids.pop(unit, None)) is not None:
            self._claims.held.keeper.release(claim_id)

    def _acquire(self, unit: UnitId, slots: tuple[Slot, ...]) -> str:
        claim_id = self._claim_ids.setdefault(unit, new_claim_id())
        wants = [Want(slot.key, slot.weight, slot.capacity) for slot in slots]
        say = self._claims.held.say
        try:
            answer = self._claims.acquire(wants, claim_id, all_or_nothing=True)
            if answer.refused and self._claims.release_ended_runs(answer.refused):
                answer = self._claims.acquire(wants, claim_id, all_or_nothing=True)
        except ClaimLostError:
            del self._claim_ids[unit]  # its place in the queue was lost: a new one
            return "a place in the queue for slots"
        except StoreError as error:
            say(str(error))
            return "the claims store, which does not answer"
        if answer.refused:
            words = holders_in_words(answer.refused)
            say(f"Waiting for {words}")
            return words
        self._taken.add(unit)
        self._used.update({slot.key: slot.weight for slot in slots})
        return ""
