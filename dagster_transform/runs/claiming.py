"""The claims of one op of a run.

Three kinds, each a claim of its own in the store. The *ground*, environments and DuckDB files, is
taken before the projects are looked at, and held to the end. The *tables* of all nodes are taken
in one call before the first node starts, and each is let go when its node and its checks are done;
what a plan does to tables apart from its nodes is claimed with them, until it has promoted.
*Slots* are taken when a node starts and given back when it ends (`claim_gate`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from time import sleep
from uuid import uuid4

from dagster_transform.claims import (
    WHOLE,
    Answer,
    Holder,
    Keeper,
    Lost,
    Owner,
    OwnerKind,
    Store,
    StoreError,
    Want,
)
from dagster_transform.errors import TransformError
from dagster_transform.planning import LeftOut, Outcome, RunPlan, Slot, UnitKind
from dagster_transform.runs.backends import ClaimSessions
from dagster_transform.runs.words import Refusals, in_words, left_in_words
from dagster_transform.walk import Inbox, SharedResources, Revoked

_HISTORY = timedelta(days=7)
"""For how long the store remembers what was claimed."""


class ClaimTimeoutError(TransformError):
    """Another run kept for too long what this one needs before it can look at its projects."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run claims.

    Attributes:
        owner: As whom.
        skip: Whether tables that others hold are left out; else they are waited for.
        wait: Seconds to wait, at most.
        ended: Whether Dagster says that a run, by its id, has ended.
        slots_of: What building a node, by its id, takes of what is counted.
        log: Where to say what is waited for.
    """

    owner: Owner
    skip: bool
    wait: float
    ended: Callable[[str], bool]
    slots_of: Callable[[str], tuple[Slot, ...]]
    log: Callable[[str], None]


@dataclass
class RunClaims:
    """What one op of a run holds.

    Attributes:
        store: Where claims are kept.
        manner: How the run goes about them.
        inbox: The walk's; it is told there of units whose table was lost.
        keys: The table that a unit writes, or that it reads without the run building it.
        promotions: The tables of each promotion besides those, and whether it changes them.
        missing: Tables that are wanted and that others hold.
        holders: The run that holds what a unit did not get, by the unit's id.
        end_backends: Ends such sessions; says which are not there any more.
        pause: Waits so many seconds.
    """

    store: Store
    manner: Manner
    inbox: Inbox = field(default_factory=Inbox)
    keys: dict[str, str] = field(default_factory=dict)
    promotions: dict[str, Mapping[str, bool]] = field(default_factory=dict)
    missing: dict[str, Want] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    end_backends: Callable[[Collection[str]], Collection[str]] = lambda _: ()
    pause: Callable[[float], object] = sleep

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.store, self._lost)
        self._ground, self._tables = uuid4().hex, uuid4().hex
        self._needs: dict[str, SharedResources] = {}
        self._fences: dict[str, int] = {}
        self._refused: Refusals = {}
        self._lost_because: dict[str, str] = {}
        self._ground_lost = ""
        self._projects: dict[str, str] = {}  # of the plan's units
        sessions = partial(ClaimSessions, self.store, end=self._end, say=self.say)
        self._on_ground, self._at_tables = sessions(self._ground), sessions(self._tables)
        self._said: set[str] = set()

    # -- the ground -----------------------------------------------------------------------------

    def take_ground(self, needs: Mapping[str, SharedResources]) -> None:
        """Take environments and DuckDB files, waiting for those who have them.

        Args:
            needs: Of each session, by project.

        Raises:
            ClaimTimeoutError: Somebody kept some of it for longer than the run waits.
            StoreError: The claims store can't be used.
        """
        self._needs = dict(needs)
        wants = _ground(needs.values())
        until = self.inbox.now() + self.manner.wait
        while wants:
            answer = self.acquire(wants, self._ground, all_or_nothing=True)
            if answer.granted is not None:
                self._on_ground.take_over(answer.granted.to_end)
            if not answer.refused and not self._on_ground.left:
                return
            if self.free_the_dead(answer.refused):
                continue
            words = in_words(answer.refused) or left_in_words(self._on_ground.left)
            self.say(f"Waiting for {words}")
            if self.inbox.now() >= until:
                self._leave_ground()
                raise ClaimTimeoutError(
                    f"This run has waited {self.manner.wait:g} s for {words}.",
                    remedy="Run it again when that has ended, or let it wait longer (claim_wait); "
                    "`dagster-transform claims list` shows who has what.",
                )
            self.pause(self.store.timing.poll)

    def settle(self, project: str, *, alone: bool) -> None:
        """Share a project's environment again, where it does not plan after all or has promoted.

        Raises:
            StoreError: The claims store can't be used.
            ClaimLostError: The environment is not held any more.
        """
        before = self._needs.get(project)
        if before is None or before.environment is None or alone or not before.alone:
            return
        self._needs[project] = SharedResources(before.files, before.environment)
        others = [n for n in self._needs.values() if n.environment == before.environment]
        if not any(needs.alone for needs in others):
            self.store.downgrade(self._ground, before.environment, 1)

    # -- tables ---------------------------------------------------------------------------------

    def claim(
        self,
        plan: RunPlan,
        keys: Mapping[str, str],
        promotions: Mapping[str, Mapping[str, bool]] | None = None,
    ) -> dict[str, LeftOut]:
        """Claim what the units of a plan write, and a reader's share of what its checks judge.

        Args:
            plan: The plan.
            keys: The table of each of its units that has one.
            promotions: By promotion, further tables, and whether it changes them or only reads.

        Returns:
            Units to be left out, because another run has their table and this one does not wait
            for it.

        Raises:
            StoreError: The claims store can't be used.
        """
        self.keys, self.promotions = dict(keys), dict(promotions or {})
        self._projects = {unit.id: unit.project for unit in plan.units.values()}
        built = {
            keys[u.id] for u in plan.units.values() if u.kind is UnitKind.BUILD and u.id in keys
        }
        further = [item for found in self.promotions.values() for item in found.items()]
        built |= {key for key, changed in further if changed}
        self.missing = {
            key: Want(key, WHOLE if key in built else 1, WHOLE)
            for key in {*keys.values(), *(key for key, _ in further)}
        }
        self.ask()
        if self.missing and self.free_the_dead(self._refused):
            self.ask()
        if not self.manner.skip:
            return {}
        return {
            unit: LeftOut(Outcome.CLAIMED, self.why_not(unit, key))
            for unit, key in keys.items()
            if not self.has(key)
        }

    def ask(self) -> None:
        """Claim what is missing, as far as it is free.

        Raises:
            StoreError: The claims store can't be used.
        """
        if not self.missing:
            return
        answer = self.acquire(self.missing.values(), self._tables, all_or_nothing=False)
        if answer.granted is not None:
            self._fences.update(answer.granted.fences)
            self._at_tables.take_over(answer.granted.to_end)
        self._refused = answer.refused
        self.missing = {k: want for k, want in self.missing.items() if k in answer.refused}

    def keys_of(self, unit: str) -> list[str]:
        """The tables that a unit needs."""
        return [*([self.keys[unit]] if unit in self.keys else []), *self.promotions.get(unit, ())]

    def has(self, key: str) -> bool:
        """Whether a table that is wanted is this run's, and nobody else's statement is at it."""
        return key not in self.missing and key not in self._at_tables.left

    def holders_of(self, key: str) -> tuple[Holder, ...]:
        """Who holds a missing table, as of the last time it was asked for."""
        return self._refused.get(key, ())

    def why_not(self, unit: str, key: str) -> str:
        """Who holds what a unit needs; notes the holder."""
        if sessions := self._at_tables.left.get(key):
            return left_in_words({key: sessions})
        found = self.holders_of(key)
        if found and found[0].owner_kind is not OwnerKind.PERSON:
            self.holders[unit] = found[0].run_id
        return in_words({key: found})

    def holds(self, unit: str) -> bool:
        """Whether the run still has what a unit writes: asked before something is recorded."""
        return not self._ground_lost and all(map(self._still_has, self.keys_of(unit)))

    def _still_has(self, key: str) -> bool:
        if key not in self._fences or self.keeper.trust(self._tables, key) <= 0:
            return False
        try:
            return self.store.holds(self._tables, key, self._fences[key])
        except StoreError:
            return self.keeper.trust(self._tables, key) > 0

    def lost(self, unit: str) -> str:
        """Why what a unit needs, which was held, is not any more; empty if it is."""
        lost = [self._lost_because[k] for k in self.keys_of(unit) if k in self._lost_because]
        return self._ground_lost or (lost[0] if lost else "")

    def let_go(self, keys: Collection[str]) -> None:
        """Release tables; where the store does not answer, later.

        Not those in which others may still build: their claims end with their lease, so that
        whoever comes next is told of those sessions too.
        """
        held = [k for k in keys if self._fences.pop(k, None) or self.missing.pop(k, None)]
        kept = [key for key in held if key in self._at_tables.left]
        if kept:
            self.keeper.let_go(self._tables, kept)
        if free := [key for key in held if key not in self._at_tables.left]:
            self.keeper.release(self._tables, free)

    def close(self) -> None:
        """Release all that is held."""
        self.let_go([*self._fences, *self.missing])
        self._leave_ground()
        self.keeper.close()
        with suppress(StoreError):  # the next run does it
            self.store.prune(datetime.now(timezone.utc) - _HISTORY)

    # -- sessions on database servers -----------------------------------------------------------

    def builds_in(self, unit: str, sessions: frozenset[str]) -> None:
        """Write down in which sessions a unit is built, where the store does not know it yet.

        Called before it is built, from any thread; for the stages of a plan with the key of its
        environment in the unit's place.
        """
        if any(needs.environment == unit for needs in self._needs.values()):
            self._on_ground.tell(unit, sessions, lambda: [unit])
            return
        key = next(iter(self.keys_of(unit)), None)
        if key in self._fences:
            self._at_tables.tell(key, sessions, lambda: list(self._fences))

    def end_left(self) -> None:
        """End the sessions in which those still build whose tables this run has taken over."""
        self._at_tables.end_left()

    def _leave_ground(self) -> None:
        """Release it; not that in which others may still be at work, as `let_go` does it."""
        if left := self._on_ground.left:
            self.keeper.let_go(self._ground, left)
        keys = [want.resource_key for want in _ground(self._needs.values())]
        self.keeper.release(self._ground, [k for k in keys if k not in left] if left else None)

    def _end(self, sessions: Collection[str]) -> set[str]:
        try:
            return set(self.end_backends(sessions))
        except TransformError as error:
            self.say(str(error))
            return set()

    def _release_dead(self, run: str) -> bool:
        """Release what a run holds that has ended, but not where its statements may go on."""
        found = [*self.store.holders(run_id=run)]
        found += [holder for holder in self.store.expired() if holder.run_id == run]
        left = {session for holder in found for session in holder.sessions}
        gone = self._end(left) if left else left
        if gone >= left:
            return bool(self.store.release_run(run))
        released = False
        for holder in found:
            if gone.issuperset(holder.sessions):
                released |= bool(self.store.release(holder.claim_id, [holder.resource_key]))
        return released

    # -- what both do ---------------------------------------------------------------------------

    def acquire(self, wants: Iterable[Want], claim: str, *, all_or_nothing: bool) -> Answer:
        """Ask the store, and keep a place in its queue for what is not free.

        Raises:
            StoreError: The claims store can't be used.
        """
        return self.keeper.acquire(
            self.manner.owner,
            wants,
            claim_id=claim,
            all_or_nothing=all_or_nothing,
            wait=not self.manner.skip or claim != self._tables,
        )

    def free_the_dead(self, refused: Refusals) -> bool:
        """Release what runs hold that Dagster knows to have ended; whether there was something."""
        runs = {h.run_id for found in refused.values() for h in found}
        runs -= {self.manner.owner.run_id}
        persons = {
            h.run_id for f in refused.values() for h in f if h.owner_kind is OwnerKind.PERSON
        }
        freed = False
        for run in sorted(runs - persons):
            if self.manner.ended(run) and self._release_dead(run):
                self.manner.log(f"Run {run} has ended without releasing its claims: done now.")
                freed = True
        return freed

    def say(self, text: str) -> None:
        """Say something once."""
        if text not in self._said:
            self._said.add(text)
            self.manner.log(text)

    def _lost(self, lost: Lost) -> None:
        """On a thread of the keeper's: what is built there is to be ended."""
        reason = f"its claim was lost: {lost.reason}"
        if lost.claim_id == self._ground:
            self._ground_lost = reason
            for unit in list(self._projects):
                self.inbox.put(Revoked(unit, reason))
        elif lost.claim_id == self._tables:
            gone = set(lost.keys)
            self._lost_because.update(dict.fromkeys(lost.keys, reason))
            for unit in [u for u in {*self.keys, *self.promotions} if gone & {*self.keys_of(u)}]:
                self.inbox.put(Revoked(unit, reason))


def _ground(needs: Collection[SharedResources]) -> list[Want]:
    files = {file for need in needs for file in need.files}
    whole: dict[str, bool] = {}
    for need in needs:
        if need.environment is not None:
            whole[need.environment] = need.alone or whole.get(need.environment, False)
    return [
        *(Want(file) for file in sorted(files)),
        *(Want(place, WHOLE if alone else 1, WHOLE) for place, alone in sorted(whole.items())),
    ]
