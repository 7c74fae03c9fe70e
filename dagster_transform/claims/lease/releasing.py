"""Releases, on a thread of their own: whoever has built something goes on at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from dagster_transform.claims.errors import StoreError
from dagster_transform.claims.store.port import Store

_log = logging.getLogger(__name__)


class Releases:
    """What is owed to the store: released as soon as it can be, and in few transactions.

    What comes while a release is under way goes together in the next one, by claim. Where the store
    does not answer, it is tried again.

    Args:
        store: Where the claims are.
        pause: Seconds before it is tried again.
    """

    def __init__(self, store: Store, pause: float) -> None:
        self._store = store
        self._pause = pause
        self._owed: dict[str, set[str] | None] = {}
        self._changed = threading.Condition()
        self._paying = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, claim_id: str, keys: Collection[str] | None) -> None:
        """Release resources of a claim (None: all), soon."""
        with self._changed:
            self._owe(claim_id, keys)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="claims-releases", daemon=True
                )
                self._thread.start()

    def pay(self) -> None:
        """Release all that is owed, now; what is under way is waited for.

        Raises:
            StoreError: The store does not answer. What is left is still owed.
        """
        with self._paying:
            while owed := self._next():
                try:
                    self._store.release(*owed)
                except StoreError:
                    with self._changed:
                        self._owe(*owed)
                    raise

    def close(self, patience: float) -> None:
        """Stop the thread, and try once to release what is left.

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
                self.pay()
        except StoreError as error:
            _log.warning("Ends with its lease instead of being released: %s", error.cause)

    def _owe(self, claim_id: str, keys: Collection[str] | None) -> None:
        known = self._owed.get(claim_id, set())
        self._owed[claim_id] = None if keys is None or known is None else known | set(keys)
        self._changed.notify_all()  # it may be somebody else's `pay` that has failed

    def _next(self) -> tuple[str, tuple[str, ...] | None] | None:
        with self._changed:
            for claim_id in self._owed:
                keys = self._owed.pop(claim_id)
                return claim_id, None if keys is None else tuple(sorted(keys))
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._owed or self._closed)
                if self._closed:
                    return
            try:
                self.pay()
            except StoreError as error:
                _log.warning("Will be released later: %s", error.cause)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, self._pause)
            except Exception:  # noqa: BLE001
                # The thread must go on: else nothing is released before the run ends.
                _log.exception("A claim could not be released: it ends with its lease.")
