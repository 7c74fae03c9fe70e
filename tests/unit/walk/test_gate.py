"""What a unit needs besides its upstreams: slots, claims of other runs, claims that are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster_transform.planning import Outcome, Unit
from dagster_transform.walk import Later, Refused, Retrying, Revoked
from tests.support.fake_project_run import NEVER, Rehearsal, Script, VirtualInbox, build, check


@dataclass
class Slots:
    """A gate that counts: so many units at once, and others not before a time or never."""

    capacity: int = 100
    free_at: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, Refused] = field(default_factory=dict)
    poll: float = 10.0
    inbox: VirtualInbox | None = None
    inside: set[str] = field(default_factory=set)
    most: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    finished: list[str] = field(default_factory=list)

    def enter(self, unit: Unit) -> Later | Refused | None:
        assert unit.id not in self.inside
        self.asked[unit.id] += 1
        if unit.id in self.refused:
            return self.refused[unit.id]
        assert self.inbox is not None
        if self.inbox.now() < self.free_at.get(unit.id, 0) or len(self.inside) >= self.capacity:
            return Later(self.poll)
        self.inside.add(unit.id)
        self.most = max(self.most, len(self.inside))
        return None

    def leave(self, unit: Unit) -> None:
        self.inside.remove(unit.id)

    def finish(self, unit: Unit) -> None:
        assert unit.id not in self.inside
        self.finished.append(unit.id)


def rehearse(gate: Slots, *units: Unit, **scripts: Script) -> Rehearsal:
    rehearsal = Rehearsal(
        *units, scripts={f"a:{k}": v for k, v in scripts.items()}, gate=gate, retry_delay=1
    )
    gate.inbox = rehearsal.inbox
    return rehearsal


def test_what_finds_no_slot_starts_the_moment_one_of_this_walk_is_free() -> None:
    gate = Slots(capacity=2)
    walk = rehearse(gate, *(build(f"a:{i}") for i in range(5))).run()
    assert gate.most == 2
    assert [walk.times[f"a:{i}"][0] for i in range(5)] == [0, 0, 1, 1, 2]
    assert sorted(gate.finished) == [f"a:{i}" for i in range(5)]


def test_what_another_run_holds_is_asked_for_again_and_the_rest_goes_on() -> None:
    gate = Slots(free_at={"a:held": 25})
    units = [build("a:held"), build("a:below", "a:held"), build("a:apart")]
    walk = rehearse(gate, *units).run()
    assert walk.times["a:apart"] == (0, 1)
    # Asked at 0, when the other one ended, and each ten seconds after that.
    assert walk.times["a:held"] == (31, 32)
    assert walk.times["a:below"] == (32, 33)
    assert gate.asked["a:held"] == 5


def test_what_is_refused_is_told_so_and_what_depends_on_it_waits() -> None:
    gate = Slots(refused={"a:x": Refused(Outcome.CLAIMED, "run 1 has it")})
    walk = rehearse(gate, build("a:x"), build("a:below", "a:x"), check("a:c", "a:x")).run()
    assert walk.outcomes == {"a:x": "claimed", "a:below": "waiting", "a:c": "waiting"}
    assert walk.reasons["a:below"] == "its upstream a:x is claimed: run 1 has it"
    assert walk.order == []
    assert sorted(gate.finished) == ["a:below", "a:c", "a:x"]


def test_a_unit_that_is_tried_again_leaves_and_enters_again() -> None:
    gate = Slots(capacity=1)
    walk = rehearse(gate, build("a:x"), build("a:y"), x=Script(transient_failures=1)).run()
    assert walk.order == ["a:x", "a:y", "a:x"]
    assert sum(isinstance(event, Retrying) for _, event in walk.told) == 1


def test_a_unit_whose_claim_is_lost_is_cancelled_and_nothing_else_is() -> None:
    gate = Slots()
    units = [build("a:x"), build("a:below", "a:x"), build("a:y")]
    walk = rehearse(gate, *units, x=Script(NEVER), y=Script(9))
    walk.inbox.later(3, lambda: walk.inbox.put(Revoked("a:x", "its claim was lost")))
    walk.inbox.later(3, lambda: walk.inbox.put(Revoked("a:below", "its claim was lost")))
    walk.run()
    assert walk.outcomes == {"a:x": "cancelled", "a:below": "cancelled", "a:y": "built"}
    assert walk.reasons["a:x"] == "its claim was lost"
    assert walk.times["a:x"] == (0, 3.25)


def test_a_unit_that_was_built_all_the_same_is_told_as_built() -> None:
    walk = rehearse(Slots(), build("a:x"), x=Script(3, heeds_cancel=False))
    walk.inbox.later(1, lambda: walk.inbox.put(Revoked("a:x", "its claim was lost")))
    assert walk.run().outcomes == {"a:x": "built"}


def test_a_lost_unit_that_does_not_come_back_is_given_up() -> None:
    walk = rehearse(Slots(), build("a:x"), build("a:y"), x=Script(NEVER, heeds_cancel=False))
    walk.inbox.later(1, lambda: walk.inbox.put(Revoked("a:x", "its claim was lost")))
    walk.run()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "built"}
    assert walk.reasons["a:x"] == "its claim was lost; it did not come back"
    assert round(walk.inbox.now(), 6) == 26


def test_a_cancelled_run_does_not_wait_for_what_is_held_up() -> None:
    gate = Slots(free_at={"a:held": 1000})
    walk = rehearse(gate, build("a:held"), build("a:y")).run_until(5).cancel()
    assert walk.outcomes == {"a:held": "cancelled", "a:y": "built"}
    assert sorted(gate.finished) == ["a:held", "a:y"]
