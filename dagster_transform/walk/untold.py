"""What has happened in a walk and is not stored yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from dagster_transform.walk.events import Event

_BEHIND = 1.0
"""Seconds that what has just happened may have to wait until it is stored."""
_LATEST = 8
"""Events from which is taken how long storing one takes."""


class Untold:
    """Events in the order in which they happened, and how far their storing is behind.

    Args:
        now: The time, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._events: deque[Event] = deque()
        self._took: deque[float] = deque(maxlen=_LATEST)  # seconds

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, event: Event) -> None:
        """Note what has happened."""
        self._events.append(event)

    def next(self) -> Iterator[Event]:
        """The oldest event, once; whoever takes it stores it before going on."""
        began = self._now()
        yield self._events.popleft()
        self._took.append(self._now() - began)

    def all(self) -> Iterator[Event]:
        """The events that are left, oldest first."""
        while self._events:
            yield self._events.popleft()

    @property
    def is_behind(self) -> bool:
        """Whether an event of this moment would be stored long after it.

        Nothing should start then: builds would run ahead of what is known of them, a UI show what
        was so long ago, and a kill leave much to be found out. It costs no time, for by then it is
        storing that the run waits for.
        """
        return sum(self._took) * len(self._events) > _BEHIND * len(self._took)
