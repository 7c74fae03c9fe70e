"""The gate of a run's walk: a unit starts when its table and its slots are the run's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from uuid import uuid4

from dagster_transform.claims import ClaimLostError, StoreError, Want
from dagster_transform.planning import Outcome, RunPlan, Slot, Unit, UnitKind
from dagster_transform.runs.claiming import RunClaims
from dagster_transform.runs.words import in_words
from dagster_transform.walk import Later, Refused


class ClaimGate:
    """See `walk.Gate` for the contract.

    Args:
        claims: What the run holds; what the plan does not need is let go.
        plan: What is walked.
        refresh: Called with a build that another run's claim has held up, when it may go.
    """

    def __init__(self, claims: RunClaims, plan: RunPlan, refresh: Callable[[Unit], None]) -> None:
        self._claims = claims
        self._refresh = refresh
        self._poll = claims.store.timing.poll
        self._users: dict[str, set[str]] = {}  # table -> units that have not finished
        needed = {unit: claims.keys_of(unit) for unit in {*claims.keys, *claims.promotions}}
        for unit, keys in needed.items():
            for key in keys if unit in plan.units else ():
                self._users.setdefault(key, set()).add(unit)
        claims.let_go({key for keys in needed.values() for key in keys} - self._users.keys())
        self._promotions = Counter(
            unit.project for unit in plan.units.values() if unit.kind is UnitKind.PROMOTE
        )
        self._now = claims.inbox.now
        self._until = self._now() + claims.manner.wait
        self._asked = self._now()
        self._late: set[str] = set()
        self._used: Counter[str] = Counter()  # of slots, by this walk
        self._slots: dict[str, str] = {}  # unit -> its claim on slots, or on places in the queue
        self._taken: set[str] = set()  # units that have their slots

    def enter(self, unit: Unit, /) -> Later | Refused | None:
        """Its tables must be held by now; slots are taken here."""
        if reason := self._claims.lost(unit.id):
            return Refused(Outcome.CANCELLED, reason)
        for key in self._claims.keys_of(unit.id):
            if (answer := self._held_up(unit, key)) is not None:
                return answer
        slots = self._claims.manner.slots_of(unit.id)
        if slots and not self._take(unit, slots):
            return Later(self._poll)
        if unit.kind is UnitKind.BUILD and unit.id in self._late:
            self._late.discard(unit.id)
            self._refresh(unit)
        return None

    def leave(self, unit: Unit, /) -> None:
        """Give its slots back."""
        if unit.id in self._taken:
            self._taken.discard(unit.id)
            self._used.subtract({s.key: s.weight for s in self._claims.manner.slots_of(unit.id)})
        if (claim := self._slots.pop(unit.id, None)) is not None:
            self._claims.keeper.release(claim)

    def finish(self, unit: Unit, /) -> None:
        """Let its tables go, if no other unit of the walk needs them; after a project's last
        promotion its environment is shared again."""
        self.leave(unit)  # a place in the queue for slots, of a unit that never started
        done = [k for k in self._claims.keys_of(unit.id) if unit.id in self._users.get(k, ())]
        for key in done:
            self._users[key].discard(unit.id)
        if free := [key for key in done if not self._users[key]]:
            self._claims.let_go(free)
        if unit.kind is UnitKind.PROMOTE:
            self._promotions[unit.project] -= 1
            if not self._promotions[unit.project]:
                try:
                    self._claims.settle(unit.project, alone=False)
                except (StoreError, ClaimLostError) as error:
                    self._claims.say(str(error))  # it is shared again when the run ends

    def _held_up(self, unit: Unit, key: str) -> Later | Refused | None:
        claims = self._claims
        if claims.has(key):
            return None
        self._late.add(unit.id)
        if self._now() - self._asked >= self._poll:
            self._asked = self._now()
            claims.end_left()
            try:
                claims.ask()
                if key in claims.missing and claims.free_the_dead({key: claims.holders_of(key)}):
                    claims.ask()
            except StoreError as error:
                claims.say(str(error))
        if claims.has(key):
            return None
        reason = claims.why_not(unit.id, key)
        # A run that does not wait has left out builds and checks; its promotion asks once more.
        if self._now() >= self._until or claims.manner.skip:
            return Refused(Outcome.CLAIMED, reason)
        claims.say(f"Waiting for {reason}")
        return Later(self._poll)

    def _take(self, unit: Unit, slots: tuple[Slot, ...]) -> bool:
        """Whether the slots are the unit's; if not, it has a place in their queues."""
        if any(self._used[slot.key] + slot.weight > slot.capacity for slot in slots):
            return False  # this walk has them itself
        claim = self._slots.setdefault(unit.id, uuid4().hex)
        wants = [Want(slot.key, slot.weight, slot.capacity) for slot in slots]
        try:
            answer = self._claims.acquire(wants, claim, all_or_nothing=True)
            if answer.refused and self._claims.free_the_dead(answer.refused):
                answer = self._claims.acquire(wants, claim, all_or_nothing=True)
        except ClaimLostError:
            del self._slots[unit.id]  # its place in the queue was lost: a new one
            return False
        except StoreError as error:
            self._claims.say(str(error))
            return False
        if answer.refused:
            self._claims.say(f"Waiting for {in_words(answer.refused)}")
            return False
        self._taken.add(unit.id)
        self._used.update({slot.key: slot.weight for slot in slots})
        return True
