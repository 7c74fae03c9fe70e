"""Taking and releasing the claims of one op of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from time import sleep

from dagster_transform.claims import (
    WHOLE,
    Answer,
    ClaimId,
    Holder,
    OwnerKind,
    RunId,
    StoreError,
    Want,
)
from dagster_transform.databases.backends import BackendId
from dagster_transform.errors import TransformError
from dagster_transform.graph import UnitId
from dagster_transform.planning import LeftOut, Outcome, ResourceKey, RunPlan, UnitKind
from dagster_transform.runs.claiming.backends import EndBackends
from dagster_transform.runs.claiming.held import HeldClaims, UnitTables
from dagster_transform.runs.claiming.policy import ClaimPolicy
from dagster_transform.runs.claiming.words import (
    Refusals,
    backends_in_words,
    holder_of_it,
    holders_in_words,
)
from dagster_transform.runs.ports import RunRecords
from dagster_transform.walk import SharedResources

_HISTORY = timedelta(days=7)
"""For how long the store remembers what was claimed."""


class ClaimTimeoutError(TransformError):
    """Another run kept for too long what this one needs before it can look at its projects."""


class RunClaims:
    """Takes and releases what one op of a run needs.

    Nothing is taken when it is made; `close` releases everything.

    Args:
        held: What is held so far: nothing.
        policy: How the run claims.
        records: What is known of other runs.
        end_backends: Ends backends that other runs have on database servers.
        pause: Waits so many seconds.

    Attributes:
        held, policy: As given.
        missing: Tables that are wanted and that others hold.
        holders: The run that holds what a unit was refused, by the unit's id.
        waited: Seconds that the run as a whole has waited, by what was in the way, in words.
    """

    def __init__(
        self,
        held: HeldClaims,
        policy: ClaimPolicy,
        records: RunRecords,
        end_backends: EndBackends,
        *,
        pause: Callable[[float], object] = sleep,
    ) -> None:
        self.held = held
        self.policy = policy
        self.missing: dict[ResourceKey, Want] = {}
        self.holders: dict[UnitId, RunId] = {}
        self.waited: dict[str, float] = {}
        self._records = records
        self._end_backends = end_backends
        self._pause = pause
        self._shared: dict[str, SharedResources] = {}  # by project
        self._refused: Refusals = {}

    # -- shared resources: environments and DuckDB files ----------------------------------------

    def take_shared(self, resources: Mapping[str, SharedResources]) -> None:
        """Take environments and DuckDB files, waiting for those who have them.

        Args:
            resources: Of each project run, by project.

        Raises:
            ClaimTimeoutError: Somebody kept some of it for longer than the run waits.
            StoreError: The claims store can't be used.
        """
        self._shared = dict(resources)
        wants, claim = _shared_wants(resources.values()), self.held.shared
        until = self.held.inbox.now() + self.policy.wait
        while wants:
            answer = self.acquire(wants, claim.id, all_or_nothing=True)
            if answer.granted is not None:
                claim.fences.update(answer.granted.fences)
                claim.backends.take_over(answer.granted.to_end, self._end)
            if not answer.refused and not claim.backends.foreign:
                return
            if self.release_ended_runs(answer.refused):
                continue
            words = holders_in_words(answer.refused) or backends_in_words(claim.backends.foreign)
            self.held.say(f"Waiting for {words}")
            if self.held.inbox.now() >= until:
                self._release_shared()
                raise ClaimTimeoutError(
                    f"This run has waited {self.policy.wait:g} s for {words}.",
                    remedy="Run it again when that has ended, or let it wait longer (claim_wait); "
                    "`dagster-transform claims list` shows who has what.",
                )
            since = self.held.inbox.now()
            self._pause(self.held.store.timing.poll)
            length = self.held.inbox.now() - since
            self.waited[words] = self.waited.get(words, 0.0) + length

    def update_shared(self, resources: Mapping[str, SharedResources]) -> None:
        """Take the files that nobody knew of before, and share the environments again that no
        project run needs to itself after all.

        Args:
            resources: What each project run shares, now that it has looked at its project.

        Raises:
            ClaimTimeoutError: Somebody kept a file for longer than the run waits.
            StoreError: The claims store can't be used.
            ClaimLostError: An environment is not held any more.
        """
        more = {
            p: s.files - self._shared[p].files for p, s in resources.items() if p in self._shared
        }
        if any(more.values()):
            known = {
                p: replace(s, files=s.files | more.get(p, frozenset()))
                for p, s in self._shared.items()
            }
            self.take_shared(known)
        for project, shared in resources.items():
            if not shared.alone:
                self.share_environment(project)

    def share_environment(self, project: str) -> None:
        """Share a project's environment again: the run does not plan it, or has promoted.

        Raises:
            StoreError: The claims store can't be used.
            ClaimLostError: The environment is not held any more.
        """
        before = self._shared.get(project)
        if before is None or before.environment is None or not before.alone:
            return
        self._shared[project] = SharedResources(before.files, before.environment)
        others = [s for s in self._shared.values() if s.environment == before.environment]
        if not any(shared.alone for shared in others):
            self.held.store.downgrade(self.held.shared.id, before.environment, 1)

    # -- tables ---------------------------------------------------------------------------------

    def claim_tables(
        self,
        run_plan: RunPlan,
        keys: Mapping[UnitId, ResourceKey],
        promotions: Mapping[UnitId, Mapping[ResourceKey, bool]] | None = None,
    ) -> dict[UnitId, LeftOut]:
        """Claim what the units of a plan write, and a reader's share of what its checks judge.

        Args:
            run_plan: The plan.
            keys: The table of each of its units that has one.
            promotions: By promotion, further tables, and whether it changes them or only reads.

        Returns:
            Units to be left out, because another run has their table and this one does not wait
            for it.

        Raises:
            StoreError: The claims store can't be used.
        """
        units = run_plan.units.values()
        needed = UnitTables(frozenset(run_plan.units), dict(keys), dict(promotions or {}))
        self.held.needed = needed
        written = {keys[u.id] for u in units if u.kind is UnitKind.BUILD and u.id in keys}
        further = [item for found in needed.promotions.values() for item in found.items()]
        written |= {key for key, changed in further if changed}
        self.missing = {
            key: Want(key, WHOLE if key in written else 1, WHOLE)
            for key in {*keys.values(), *(key for key, _ in further)}
        }
        self.ask()
        if self.missing and self.release_ended_runs(self._refused):
            self.ask()
        if not self.policy.skip:
            return {}
        return {
            unit: LeftOut(Outcome.CLAIMED, self.note_refusal(unit, key))
            for unit, key in keys.items()
            if not self.has(key)
        }

    def ask(self) -> None:
        """Claim the missing tables, as far as they are free.

        Raises:
            StoreError: The claims store can't be used.
        """
        if not self.missing:
            return
        tables = self.held.tables
        answer = self.acquire(self.missing.values(), tables.id, all_or_nothing=False)
        if answer.granted is not None:
            tables.fences.update(answer.granted.fences)
            tables.backends.take_over(answer.granted.to_end, self._end)
        self._refused = answer.refused
        self.missing = {k: want for k, want in self.missing.items() if k in answer.refused}

    def ask_for(self, key: ResourceKey) -> None:
        """Claim the missing tables again, because somebody waits for one of them.

        What other runs still do to taken tables is ended, and so are claims on that one by runs
        that have ended. Where the store does not answer, that is said.
        """
        self.held.tables.backends.end_foreign(self._end)
        try:
            self.ask()
            if key in self.missing and self.release_ended_runs({key: self.holders_of(key)}):
                self.ask()
        except StoreError as error:
            self.held.say(str(error))

    def has(self, key: ResourceKey) -> bool:
        """Whether a table that is wanted is this run's, and nobody else's statement is at it."""
        return key not in self.missing and key not in self.held.tables.backends.foreign

    def holders_of(self, key: ResourceKey) -> tuple[Holder, ...]:
        """Who holds a missing table, as of the last time it was asked for."""
        return self._refused.get(key, ())

    def in_the_way(self, key: ResourceKey) -> str:
        """Who holds a missing table, or what is still done to a taken one, in words."""
        if backends := self.held.tables.backends.foreign.get(key):
            return backends_in_words({key: backends})
        return holders_in_words({key: self.holders_of(key)})

    def note_refusal(self, unit: UnitId, key: ResourceKey) -> str:
        """Note which run holds what a unit does not get, and say what is in the way."""
        found = self.holders_of(key)
        is_held = key not in self.held.tables.backends.foreign
        if is_held and found and found[0].owner_kind is not OwnerKind.PERSON:
            self.holders[unit] = found[0].run_id
        return holder_of_it(key, found) if is_held else self.in_the_way(key)

    def release_unneeded(self, run_plan: RunPlan) -> None:
        """Release the tables that no unit of a plan needs."""
        needed = self.held.needed
        keys = {key for unit in needed.with_tables() for key in needed.of(unit)}
        used = {key for unit in run_plan.units for key in needed.of(unit)}
        self.release(keys - used)

    def release(self, keys: Collection[ResourceKey]) -> None:
        """Release tables; where the store does not answer, later.

        Not those in which others may still build: their claims end with their lease, so that
        whoever comes next is given those backends too.
        """
        fences, foreign = self.held.tables.fences, self.held.tables.backends.foreign
        wanted = [k for k in keys if fences.pop(k, None) or self.missing.pop(k, None)]
        if kept := [key for key in wanted if key in foreign]:
            self.held.keeper.stop_renewing(self.held.tables.id, kept)
        if free := [key for key in wanted if key not in foreign]:
            self.held.keeper.release(self.held.tables.id, free)

    def close(self) -> None:
        """Release all that is held."""
        self.release([*self.held.tables.fences, *self.missing])
        self._release_shared()
        self.held.keeper.close()
        with suppress(StoreError):  # the next run does it
            self.held.store.prune(datetime.now(timezone.utc) - _HISTORY)

    # -- what all of them do --------------------------------------------------------------------

    def acquire(self, wants: Iterable[Want], claim_id: ClaimId, *, all_or_nothing: bool) -> Answer:
        """Ask the store, and keep a place in its queue for what is not free.

        Raises:
            StoreError: The claims store can't be used.
        """
        return self.held.keeper.acquire(
            self.policy.owner,
            wants,
            claim_id=claim_id,
            all_or_nothing=all_or_nothing,
            wait=not self.policy.skip or claim_id != self.held.tables.id,
        )

    def release_ended_runs(self, refused: Refusals) -> bool:
        """Release what runs hold that are known to have ended; whether there was something."""
        holders = [holder for found in refused.values() for holder in found]
        runs = {h.run_id for h in holders} - {self.policy.owner.run_id}
        runs -= {h.run_id for h in holders if h.owner_kind is OwnerKind.PERSON}
        released = False
        for run in sorted(runs):
            if self._records.has_ended(run) and self._release_run(run):
                self.held.log.info(f"Run {run} has ended without releasing its claims: done now.")
                released = True
        return released

    def _release_run(self, run_id: RunId) -> bool:
        """Release what a run holds that has ended, but not where its statements may go on."""
        store = self.held.store
        found = [*store.holders(run_id=run_id)]
        found += [holder for holder in store.expired() if holder.run_id == run_id]
        backends = {backend for holder in found for backend in holder.backends}
        ended = self._end(backends) if backends else backends
        if ended >= backends:
            return bool(store.release_run(run_id))
        released = False
        for holder in found:
            if ended.issuperset(holder.backends):
                released |= bool(store.release(holder.claim_id, [holder.resource_key]))
        return released

    def _release_shared(self) -> None:
        """Release shared resources; as `release`, not those in which others may be at work."""
        shared, keeper = self.held.shared, self.held.keeper
        foreign = shared.backends.foreign
        if foreign:
            keeper.stop_renewing(shared.id, foreign)
        keys = [want.resource_key for want in _shared_wants(self._shared.values())]
        keeper.release(shared.id, [k for k in keys if k not in foreign] if foreign else None)
        shared.fences.clear()

    def _end(self, backends: Collection[BackendId]) -> set[BackendId]:
        try:
            return set(self._end_backends(backends))
        except TransformError as error:
            self.held.say(str(error))
            return set()


def _shared_wants(resources: Collection[SharedResources]) -> list[Want]:
    files = {file for shared in resources for file in shared.files}
    alone: dict[ResourceKey, bool] = {}
    for shared in resources:
        if (environment := shared.environment) is not None:
            alone[environment] = shared.alone or alone.get(environment, False)
    return [
        *(Want(file) for file in sorted(files)),
        *(Want(key, WHOLE if whole else 1, WHOLE) for key, whole in sorted(alone.items())),
    ]
