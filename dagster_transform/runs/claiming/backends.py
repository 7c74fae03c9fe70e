"""Backends of database servers, as the claims store knows them: of one claim of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from dagster_transform.claims import ClaimId, Grants, StoreError
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning import ResourceKey

EndBackends = Callable[[Collection[BackendId]], Collection[BackendId]]
"""Ends backends; returns those that are not there any more."""


class ClaimBackends:
    """In which backends a run builds what a claim holds; and in which other runs still do.

    Where the store does not answer, the work goes on all the same: a statement of ours would then
    outlive a takeover, and whoever comes next looks in vain for what we have ended.

    Args:
        store: Where the claim is.
        claim_id: The claim.
        say: Called with what went wrong.

    Attributes:
        foreign: Backends in which other runs still build what the claim has taken over, by
            resource.
    """

    def __init__(self, store: Grants, claim_id: ClaimId, say: Callable[[str], None]) -> None:
        self.foreign: dict[ResourceKey, tuple[BackendId, ...]] = {}
        self._store = store
        self._claim = claim_id
        self._say = say
        self._lock = threading.RLock()
        self._ours = frozenset[BackendId]()
        self._stored: dict[ResourceKey, frozenset[BackendId]] = {}  # what the store knows

    def record(
        self,
        key: ResourceKey,
        backends: frozenset[BackendId],
        held: Callable[[], Collection[ResourceKey]],
    ) -> None:
        """Write down in which backends the run builds, where that is not known yet of a resource.

        For all resources at once, so it is one write for each new set and not for each resource.

        Args:
            key: What is going to be built.
            backends: Where.
            held: All that the claim holds; asked where there is something to write.
        """
        with self._lock:
            if self._stored.get(key, frozenset()) >= backends:
                return
            self._ours |= backends
            keys = [k for k in held() if k not in self.foreign]
            if self._write(self._ours, keys):
                self._stored.update(dict.fromkeys(keys, self._ours))

    def take_over(
        self, to_end: Mapping[ResourceKey, tuple[BackendId, ...]], end: EndBackends
    ) -> None:
        """End the backends of others in resources that the claim has just got (`Grant.to_end`)."""
        with self._lock:
            self.foreign.update(to_end)
            self.end_foreign(end)

    def end_foreign(self, end: EndBackends) -> None:
        """Try again to end what has not ended."""
        with self._lock:
            if not self.foreign:
                return
            ended = set(end({backend for found in self.foreign.values() for backend in found}))
            done = [key for key, found in self.foreign.items() if ended.issuperset(found)]
            for key in done:
                del self.foreign[key]
                self._stored.pop(key, None)
            if done:
                self._write((), done)

    def _write(self, backends: Collection[BackendId], keys: Collection[ResourceKey]) -> bool:
        try:
            self._store.set_backends(self._claim, backends, keys)
        except StoreError as error:
            self._say(str(error))
            return False
        return True
