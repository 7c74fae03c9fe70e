"""When units of a walk began, and what they waited for, by the walk's clock."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_transform.planning import Outcome, Unit
from dagster_transform.planning.timeline import OWN_LIMITS, Spell
from dagster_transform.walk import Later, OpenGate, Refused
from tests.support.fake_project_run import FAILS, Rehearsal, Script, VirtualInbox, build


@dataclass
class Held(OpenGate):
    """Somebody has `a:held`: one, from 10 on another, from 20 on the first, until `free_at`."""

    inbox: VirtualInbox
    free_at: float = 25.0
    refused_at: float | None = None

    def enter(self, unit: Unit) -> Later | Refused | None:
        now = self.inbox.now()
        if unit.id != "a:held" or now >= self.free_at:
            return None
        if self.refused_at is not None and now >= self.refused_at:
            return Refused(Outcome.CLAIMED, "run 2 has it")
        return Later(5.0, "run 2" if 10 <= now < 20 else "run 1")


def spells(rehearsal: Rehearsal) -> dict[str, Spell]:
    walk = rehearsal.run().walk
    return {spell.unit: spell for spell in walk.times.spells(rehearsal.plan, walk.finished)}


def test_who_was_in_the_way_and_for_how_long() -> None:
    inbox = VirtualInbox()
    units = [build("a:first"), build("a:held", "a:first"), build("a:below", "a:held")]
    found = spells(Rehearsal(*units, gate=Held(inbox), inbox=inbox))
    assert found["a:held"].ready == 1
    assert found["a:held"].attempts == ((26, 27),)
    assert found["a:held"].waited == {"run 1": 15, "run 2": 10}
    assert (found["a:below"].ready, found["a:below"].waited) == (27, {})
    assert found["a:below"].after == {"a:held"}


def test_what_never_began_has_waited_too_and_what_was_never_ready_has_not() -> None:
    inbox = VirtualInbox()
    units = [build("a:held"), build("a:below", "a:held")]
    found = spells(Rehearsal(*units, gate=Held(inbox, refused_at=15), inbox=inbox))
    assert (found["a:held"].attempts, found["a:held"].waited) == ((), {"run 1": 10, "run 2": 5})
    assert (found["a:held"].outcome, found["a:held"].good) == (Outcome.CLAIMED, False)
    assert found.keys() == {"a:held"}


def test_waiting_for_the_runs_own_limits() -> None:
    units = [build(f"a:{at}") for at in range(3)]
    found = spells(Rehearsal(*units, max_concurrent_models=1))
    assert [found[f"a:{at}"].waited for at in range(3)] == [{}, {OWN_LIMITS: 1}, {OWN_LIMITS: 2}]


def test_each_attempt_is_noted_and_the_time_before_a_retry_is_no_wait() -> None:
    scripts = {"a:flaky": Script(transient_failures=1), "a:bad": FAILS}
    found = spells(Rehearsal(build("a:flaky"), build("a:bad"), scripts=scripts, retry_delay=4))
    assert found["a:flaky"].attempts == ((0, 1), (5, 6))
    assert (found["a:flaky"].waited, found["a:flaky"].good) == ({}, True)
    assert not found["a:bad"].good
