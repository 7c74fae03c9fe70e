"""Who is served before whom: a queue for each resource, by priority and then by ticket, so that
whoever comes first is served first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from dagster_transform.claims.records import Request, Waiter


class Precedence(Protocol):
    """Who is served before whom."""

    def __call__(
        self, request: Request, own: Waiter | None, waiters: Sequence[Waiter]
    ) -> Collection[Waiter]:
        """Those of `waiters` (live ones, of one resource, of other claims) that come first.

        Args:
            request: Who asks now.
            own: Its place in the queue, at any resource; None if it has none yet.
            waiters: Who else waits for the resource.
        """
        ...


def tickets(request: Request, own: Waiter | None, waiters: Sequence[Waiter]) -> list[Waiter]:
    """The default: by priority, then first come, first served."""
    if own is None:
        return [w for w in waiters if w.owner.priority >= request.owner.priority]
    return [w for w in waiters if w.rank < own.rank]


def barging(_request: Request, _own: Waiter | None, _waiters: Sequence[Waiter]) -> list[Waiter]:
    """No queue: whoever asks when it is free. More throughput, and no bound on the wait."""
    return []
