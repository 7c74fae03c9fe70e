"""Releases, on a thread of their own: whoever has built something goes on at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from dagster_transform.claims.errors import StoreError
from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.ports import Grants
from dagster_transform.planning.resource_keys import ResourceKey

_log = logging.getLogger(__name__)


class Releases:
    """Releases that are queued: each is done as soon as it can be, and in few transactions.

    What comes while a release is under way goes together in the next one, by claim. Where the store
    does not answer, it is tried again.

    Args:
        store: Where the claims are.
        pause: Seconds before it is tried again.
    """

    def __init__(self, store: Grants, pause: float) -> None:
        self._store = store
        self._pause = pause
        self._queued: dict[ClaimId, set[ResourceKey] | None] = {}
        self._changed = threading.Condition()
        self._releasing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, claim_id: ClaimId, keys: Collection[ResourceKey] | None) -> None:
        """Release resources of a claim (None: all), soon."""
        with self._changed:
            self._enqueue(claim_id, keys)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="claims-releases", daemon=True
                )
                self._thread.start()

    def flush(self) -> None:
        """Release all that is queued, now; what is under way is waited for.

        Raises:
            StoreError: The store does not answer. What is not released yet stays queued.
        """
        with self._releasing:
            while found := self._next():
                try:
                    self._store.release(*found)
                except StoreError:
                    with self._changed:
                        self._enqueue(*found)
                    raise

    def close(self, patience: float) -> None:
        """Stop the thread, and try once to release what is still queued.

        Args:
            patience: Seconds to wait for the thread, at most.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(patience)
        try:
            if self._thread is None or not self._thread.is_alive():
                self.flush()
        except StoreError as error:
            _log.warning("Ends with its lease instead of being released: %s", error.cause)

    def _enqueue(self, claim_id: ClaimId, keys: Collection[ResourceKey] | None) -> None:
        known = self._queued.get(claim_id, set())
        self._queued[claim_id] = None if keys is None or known is None else known | set(keys)
        self._changed.notify_all()  # it may be somebody else's `flush` that has failed

    def _next(self) -> tuple[ClaimId, tuple[ResourceKey, ...] | None] | None:
        with self._changed:
            for claim_id in self._queued:
                keys = self._queued.pop(claim_id)
                return claim_id, None if keys is None else tuple(sorted(keys))
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queued or self._closed)
                if self._closed:
                    return
            try:
                self.flush()
            except StoreError as error:
                _log.warning("Will be released later: %s", error.cause)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, self._pause)
            except Exception:  # noqa: BLE001
                # The thread must go on: else nothing is released before the run ends.
                _log.exception("A claim could not be released: it ends with its lease.")
