"""A claims store whose line can be cut, and how a keeper of its claims is tried out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from dagster_transform.claims import Keeper, Store, StoreUnreachableError, Timing
from tests.support.claims_stores import run, store_at, table
from tests.support.waiting import until

FAST = Timing(lease=0.8, heartbeat=0.1, poll=0.1)
SLOW = Timing(lease=100, heartbeat=25)


class Flaky:
    """A store in memory whose line can be cut, or left hanging."""

    def __init__(self, timing: Timing) -> None:
        self.real = store_at(None, timing=timing)
        self.down = False
        self.hang = threading.Event()
        self.hang.set()
        self.releases = threading.Event()  # cleared: they hang, and nothing else
        self.releases.set()
        self.calls: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in {"acquire", "renew", "release"}:
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            self.hang.wait(20)
            if name == "release":
                self.releases.wait(20)
            if self.down:
                self.failed[name] += 1
                raise StoreUnreachableError(self.real.url, "the line is cut")
            return found(*args, **options)

        return call


def eventually(condition: Callable[[], Any]) -> Any:
    """What a condition returns once it is true."""
    return until(condition, "it never came to be", 20)


def as_store(flaky: Flaky) -> Store:
    return flaky  # type: ignore[return-value]


def claim(keeper: Keeper, claim_id: str, *names: str) -> None:
    answer = keeper.acquire(run(), map(table, names), claim_id=claim_id, all_or_nothing=True)
    assert answer.granted
