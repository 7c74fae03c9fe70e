"""Runs that claim from one store in memory, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from dagster_transform.claims import (
    Owner,
    OwnerKind,
    StoreError,
    StoreUnreachableError,
    Timing,
)
from dagster_transform.claims.lease.releasing import Releases
from dagster_transform.planning import Limits, RunPlan, Slot, Unit
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.gate import ClaimGate
from dagster_transform.runs.claiming.held import HeldClaims
from dagster_transform.runs.claiming.policy import ClaimPolicy
from tests.support.claims_stores import store_at
from tests.support.fake_project_run import (
    Rehearsal,
    Script,
    VirtualInbox,
    build,
    check,
)

LEASE, POLL = 1000.0, 2.0
FILE, PLACE = "file:/data/x.duckdb", "environment:s/prod"


class Counting:
    """A store that says how often it was asked for what, and that can be cut off."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.asked: Counter[str] = Counter()
        self.down = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.asked[name] += 1
            if self.down:
                raise StoreUnreachableError("memory", "the line is cut")
            return found(*args, **options)

        return call


class AtOnce(Releases):
    """Time is the test's here, so nothing can be left to a thread."""

    def add(self, claim_id: str, keys: Collection[str] | None) -> None:
        super().add(claim_id, keys)
        with suppress(StoreError):
            self.flush()


class Lines(list[str]):
    """A log, line by line."""

    def info(self, text: str, /) -> None:
        self.append(text)

    warning = error = info


class Runs:
    """Runs whose claims are in one store; time is virtual, the store's too."""

    def __init__(self) -> None:
        self.inbox = VirtualInbox()
        timing = Timing(lease=LEASE, heartbeat=LEASE / 4, poll=POLL)
        self.real = store_at(None, clock=lambda _: 1e9 + self.inbox.now(), timing=timing)
        self.store = Counting(self.real)
        self.ended: set[str] = set()
        self.asked_about: set[str] = set()  # runs, of Dagster
        self.log = Lines()
        self.refreshed: list[str] = []
        self.slots: dict[str, tuple[Slot, ...]] = {}
        self.made: list[RunClaims] = []
        self.servers: dict[str, Callable[[Collection[str]], Collection[str]]] = {}  # by run
        self.left_out: Any = None
        self.claims = self.run("mine")

    def run(self, name: str, *, skip: bool = False, wait: float = 900) -> RunClaims:
        policy = ClaimPolicy(Owner(OwnerKind.RUN, name, name, 0), skip, wait, self.slots)
        store: Any = self.store
        held = HeldClaims(store, self.log, self.inbox)
        held.keeper._releases = AtOnce(store, 1)

        def end(backends: Collection[str]) -> Collection[str]:
            return self.servers[name](backends) if name in self.servers else ()

        claims = RunClaims(held, policy, self, end, pause=self.inbox.let_time_pass)
        self.made.append(claims)
        return claims

    def has_ended(self, run_id: str, /) -> bool:
        self.asked_about.add(run_id)
        return run_id in self.ended

    def last_built(self, nodes: Collection[str], /) -> dict[str, float]:
        return {}

    def left_unjudged(self, nodes: Collection[str], /) -> Collection[str]:
        return ()

    def other(self, *units: Unit, name: str = "other") -> RunClaims:
        """Another run, which has the tables of these units."""
        claims = self.run(name)
        claims.claim_tables(plan_of(*units), keys_of(*units))
        return claims

    def begin(
        self, *units: Unit, keys: dict[str, str] | None = None, **scripts: Script
    ) -> Rehearsal:
        """Claim what a walk needs; the walk is not walked yet."""
        plan = plan_of(*units)
        self.claims.claim_tables(plan, keys_of(*units) if keys is None else keys)
        self.claims.release_unneeded(plan)
        gate = ClaimGate(self.claims, plan, lambda unit: self.refreshed.append(unit.id))
        named = {f"a:{name}": script for name, script in scripts.items()}
        return Rehearsal(*units, scripts=named, gate=gate, inbox=self.inbox, retry_delay=1)

    def walk(self, *units: Unit, **scripts: Script) -> Rehearsal:
        return self.begin(*units, **scripts).run()

    def held(self, *keys: str) -> list[tuple[str, str, int]]:
        """Who has what, and how much of it."""
        found = self.real.holders(keys or None)
        return [(h.run_id, h.resource_key, h.weight) for h in found]

    def at(self, seconds: float, look: Callable[[], Any]) -> list[Any]:
        """What something is at a moment; filled in when that has come."""
        seen: list[Any] = []
        self.inbox.later(seconds, lambda: seen.append(look()))
        return seen


def plan_of(*units: Unit) -> RunPlan:
    return RunPlan({unit.id: unit for unit in units}, limits=Limits(max_concurrent_models=100))


def keys_of(*units: Unit) -> dict[str, str]:
    """A table for each build; a check is of the table that it comes after."""
    builds = {unit.id: f"table:{unit.id}" for unit in units if unit.kind.value == "build"}
    checks = {
        unit.id: builds.get(min(unit.after), f"table:{min(unit.after)}")
        for unit in units
        if unit.kind.value == "check"
    }
    return builds | checks


X, Y, BELOW, CHECK = build("a:x"), build("a:y"), build("a:below", "a:x"), check("a:c", "a:x")
