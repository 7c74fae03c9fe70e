"""The oracle: replays a claims store's history, and finds what must never be in it.

It knows nothing of admission, and trusts no decision: it adds up what was granted and not yet given
back or expired, and looks at the time only to see that nothing was taken from who still had it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dagster_transform.claims import ClaimEvent


@dataclass
class Replay:
    """What the history says so far."""

    held: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    until: dict[str, float | None] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def take(self, event: ClaimEvent) -> None:
        """Go on by one event."""
        match event.kind:
            case "granted" | "paused":
                self._grant(event)
            case "released" | "expired":
                self._end(event)
            case "renewed":
                before = self.until.get(event.claim_id)
                if before is not None and event.at >= before:
                    self._say(event, f"renewed after its end at {before}")
                self.until[event.claim_id] = event.until
            case "downgraded":
                self._downgrade(event)
            case "lost":
                self._lose(event)
            case "refused":
                pass
            case _:
                self._say(event, "of an unknown kind")

    def _grant(self, event: ClaimEvent) -> None:
        key, claim = str(event.resource_key), event.claim_id
        assert event.fence is not None
        assert event.weight is not None
        assert event.capacity is not None
        if event.fence <= self.fences.get(key, 0):
            self._say(event, f"its fence is not above {self.fences[key]}")
        self.fences[key] = event.fence
        if (key, claim) in self.held:
            self._say(event, "granted twice")
        others = {c: weight for (k, c), (weight, _) in self.held.items() if k == key}
        if event.kind == "granted" and sum(others.values()) + event.weight > event.capacity:
            self._say(event, f"more than {event.capacity}, with {others}")
        self.held[key, claim] = (event.weight, event.fence)
        self.until[claim] = event.until

    def _end(self, event: ClaimEvent) -> None:
        found = self.held.pop((str(event.resource_key), event.claim_id), None)
        if found is None or found[1] != event.fence:
            self._say(event, f"it held {found}")
        until = self.until.get(event.claim_id)
        if event.kind == "expired" and (until is None or event.at < until):
            self._say(event, f"taken before its end at {until}")

    def _downgrade(self, event: ClaimEvent) -> None:
        key = (str(event.resource_key), event.claim_id)
        assert event.weight is not None
        if key not in self.held or event.weight > self.held[key][0]:
            self._say(event, f"it held {self.held.get(key)}")
        self.held[key] = (event.weight, event.fence or 0)

    def _lose(self, event: ClaimEvent) -> None:
        found = self.held.get((str(event.resource_key), event.claim_id))
        until = self.until.get(event.claim_id)
        if found and found[1] == event.fence and (until is None or event.at < until):
            self._say(event, "told to be lost, but held")

    def _say(self, event: ClaimEvent, what: str) -> None:
        self.wrong.append(f"{event}: {what}")


def replay(events: Iterable[ClaimEvent]) -> Replay:
    """Replay a history from its beginning."""
    found = Replay()
    for event in events:
        found.take(event)
    return found


def assert_sound(events: Iterable[ClaimEvent]) -> Replay:
    """No overlapping grants beyond a capacity, fences strictly rising, nothing taken too early."""
    found = replay(events)
    assert not found.wrong, "\n".join(found.wrong[:10])
    return found
