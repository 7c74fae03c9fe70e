"""The heartbeat: renews the leases of what this process holds, and reports what is lost.

A claim may be trusted until its lease less a margin has passed since the moment before the request
that granted or renewed it, on a clock that nobody sets. That is never longer than the store keeps
it, whatever the store's clock says and however long an answer took.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from dagster_transform.claims.clock import elapsed
from dagster_transform.claims.errors import ClaimLostError, StoreError
from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.lease.releasing import Releases
from dagster_transform.claims.ports import Grants
from dagster_transform.claims.values import Answer, Grant, Owner, Want
from dagster_transform.planning.resource_keys import ResourceKey

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """Resources that a claim no longer holds, and why."""

    claim_id: ClaimId
    keys: tuple[ResourceKey, ...]
    reason: str


@dataclass(slots=True)
class _Kept:
    """What is renewed of a claim."""

    fences: dict[ResourceKey, int]
    trusted_until: float
    lease: float


class Keeper:
    """Keeps the claims of one process alive, from threads of its own.

    One renews; one watches the time, as the first may be stuck in a request that no answer comes
    to; one releases. All are daemons: they end with the process, and its claims a lease after that.

    Args:
        store: Where the claims are.
        on_lost: Called once for each resource that is lost while it is renewed, from a thread of
            the keeper's: what is built there is to be cancelled. It must not block.
        releases: What releases on another thread; by default one that is made here.
        clock: Seconds that only rise; for tests.
    """

    def __init__(
        self,
        store: Grants,
        on_lost: Callable[[Lost], None],
        *,
        releases: Releases | None = None,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        self._store = store
        self._on_lost = on_lost
        self._clock = clock
        self._margin = store.timing.margin
        self._kept: dict[ClaimId, _Kept] = {}
        self._releases = releases or Releases(store, store.timing.heartbeat / 5)
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Keeper:  # noqa: PYI034 - Self is in typing from Python 3.11 on
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acquire(
        self,
        owner: Owner,
        wants: Iterable[Want],
        *,
        claim_id: ClaimId,
        all_or_nothing: bool,
        wait: bool = False,
    ) -> Answer:
        """Claim, as `Grants.acquire` does, and keep what is granted.

        What is being released is released first: it may be what is wanted here.
        """
        with suppress(StoreError):  # then this does not get far either
            self._releases.flush()
        answer = self._store.acquire(
            owner, wants, claim_id=claim_id, all_or_nothing=all_or_nothing, wait=wait
        )
        if answer.granted is not None:
            self.keep(answer.granted)
        return answer

    def keep(self, grant: Grant) -> None:
        """Renew a grant until it is released or lost."""
        until = grant.asked_at + grant.lease - self._margin
        with self._changed:
            kept = self._kept.setdefault(grant.claim_id, _Kept({}, until, grant.lease))
            kept.fences.update(grant.fences)
            kept.trusted_until = max(kept.trusted_until, until)
            self._start()
            self._changed.notify_all()

    def stop_renewing(self, claim_id: ClaimId, keys: Collection[ResourceKey] | None = None) -> None:
        """Stop renewing resources of a claim (None: all); nothing is released."""
        with self._changed:
            self._forget(claim_id, keys)

    def release(self, claim_id: ClaimId, keys: Collection[ResourceKey] | None = None) -> None:
        """Stop renewing, and release soon, without waiting for it."""
        self.stop_renewing(claim_id, keys)
        self._releases.add(claim_id, keys)

    def trust(self, claim_id: ClaimId, resource_key: ResourceKey | None = None) -> float:
        """For how many seconds a claim can still be relied upon; 0 if it cannot."""
        with self._changed:
            kept = self._kept.get(claim_id)
            if kept is None or (resource_key is not None and resource_key not in kept.fences):
                return 0.0
            return max(0.0, kept.trusted_until - self._clock())

    def close(self) -> None:
        """Stop; what is still held expires. What was to be released is, if the store answers."""
        with self._changed:
            self._closed = True
            self._kept.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=self._store.timing.patience)
        self._releases.close(self._store.timing.patience)

    def renew(self) -> None:
        """Renew all that is kept, now; what is lost is reported.

        Raises:
            StoreError: The store does not answer. What is kept is kept while it is trusted.
        """
        with self._changed:
            grants = [
                Grant(claim_id, dict(kept.fences), 0.0, kept.lease)
                for claim_id, kept in self._kept.items()
            ]
        by_lease: dict[float, list[Grant]] = {}
        for grant in grants:
            by_lease.setdefault(grant.lease, []).append(grant)
        for lease, found in by_lease.items():
            self._renew(found, lease)

    def _renew(self, grants: list[Grant], lease: float) -> None:
        asked_at = self._clock()
        lost: dict[ClaimId, tuple[ResourceKey, ...]] = {}
        try:
            self._store.renew(grants, lease=lease)
        except ClaimLostError as error:
            lost = error.lost
        reports = []
        with self._changed:
            for grant in grants:
                kept = self._kept.get(grant.claim_id)
                if kept is None:  # released, or lost, while the request was under way
                    continue
                keys = lost.get(grant.claim_id, ())
                # Not what was released, or granted anew, in the meantime.
                keys = tuple(k for k in keys if kept.fences.get(k) == grant.fences[k])
                if keys:
                    self._forget(grant.claim_id, keys)
                    reports.append(
                        Lost(grant.claim_id, keys, "its lease expired or somebody released it")
                    )
                kept.trusted_until = max(kept.trusted_until, asked_at + lease - self._margin)
            self._changed.notify_all()
        self._report(reports)

    def _report(self, reports: Iterable[Lost]) -> None:
        for report in reports:
            try:
                self._on_lost(report)
            except Exception:  # noqa: BLE001 - the others are reported, and the thread goes on
                _log.exception("What should be done about a lost claim failed.")

    def _forget(self, claim_id: ClaimId, keys: Collection[ResourceKey] | None) -> None:
        kept = self._kept.get(claim_id)
        if kept is None:
            return
        for key in list(kept.fences) if keys is None else keys:
            kept.fences.pop(key, None)
        if not kept.fences:
            del self._kept[claim_id]

    def _start(self) -> None:
        if not self._threads and not self._closed:
            for work in (self._beat, self._watch):
                thread = threading.Thread(
                    target=work, name=f"claims-keeper{work.__name__}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _beat(self) -> None:
        timing = self._store.timing
        pause = timing.heartbeat
        while not self._sleep(pause):
            try:
                self.renew()
                pause = timing.heartbeat
            except StoreError as error:
                _log.warning("Claims are not renewed, and will be tried again: %s", error.cause)
                pause = timing.heartbeat / 5
            except Exception:  # noqa: BLE001
                # The thread must go on: without it every claim is lost.
                _log.exception("Claims are not renewed, and will be tried again.")
                pause = timing.heartbeat / 5

    def _sleep(self, seconds: float) -> bool:
        """Sleep; whether the keeper has been closed."""
        until = self._clock() + seconds
        with self._changed:
            while not self._closed and (remaining := until - self._clock()) > 0:
                self._changed.wait(remaining)
            return self._closed

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = self._clock()
                ended = [c for c, kept in self._kept.items() if kept.trusted_until <= now]
                reports = []
                for claim_id in ended:
                    keys = tuple(self._kept.pop(claim_id).fences)
                    reports.append(
                        Lost(claim_id, keys, "it could not be renewed before its lease ends")
                    )
                if not reports:
                    first = min((k.trusted_until for k in self._kept.values()), default=None)
                    self._changed.wait(None if first is None else max(first - now, 0.01))
            self._report(reports)
