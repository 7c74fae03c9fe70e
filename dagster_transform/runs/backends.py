"""Sessions on database servers, as the claims store knows them: of one claim of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from dagster_transform.claims import Store, StoreError


class ClaimSessions:
    """In which sessions a run builds what a claim holds; and in which others still do.

    Where the store does not answer, the work goes on all the same: a statement of ours would then
    outlive a takeover, and whoever comes next looks in vain for what we have ended.

    Args:
        store: Where the claim is.
        claim_id: The claim.
        end: Ends sessions; says which are not there any more.
        say: Told what went wrong.

    Attributes:
        left: Sessions in which others still build what the claim has taken over, by resource.
    """

    def __init__(
        self,
        store: Store,
        claim_id: str,
        end: Callable[[Collection[str]], Collection[str]],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._claim = claim_id
        self._end = end
        self._say = say
        self._lock = threading.RLock()
        self._ours = frozenset[str]()
        self._told: dict[str, frozenset[str]] = {}  # resource -> what the store knows
        self.left: dict[str, tuple[str, ...]] = {}

    def tell(self, key: str, sessions: frozenset[str], held: Callable[[], Collection[str]]) -> None:
        """Write down in which sessions the run builds, where that is not known yet of a resource.

        For all resources at once, so it is one write for each new text and not for each resource.

        Args:
            key: What is going to be built.
            sessions: Where.
            held: All that the claim holds; asked where there is something to write.
        """
        with self._lock:
            if self._told.get(key, frozenset()) >= sessions:
                return
            self._ours |= sessions
            keys = [k for k in held() if k not in self.left]
            if self._write(" ".join(sorted(self._ours)), keys):
                self._told.update(dict.fromkeys(keys, self._ours))

    def take_over(self, left: Mapping[str, tuple[str, ...]]) -> None:
        """End the sessions of others in resources that the claim has just got (`Grant.to_end`)."""
        with self._lock:
            self.left.update(left)
            self.end_left()

    def end_left(self) -> None:
        """Try again to end what has not ended."""
        with self._lock:
            if not self.left:
                return
            gone = set(self._end({session for found in self.left.values() for session in found}))
            done = [key for key, found in self.left.items() if gone.issuperset(found)]
            for key in done:
                del self.left[key]
                self._told.pop(key, None)
            if done:
                self._write(None, done)

    def _write(self, text: str | None, keys: Collection[str]) -> bool:
        try:
            self._store.set_session(self._claim, text, keys)
        except StoreError as error:
            self._say(str(error))
            return False
        return True
