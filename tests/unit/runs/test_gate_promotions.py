"""What a run claims for its promotions, and the environment that it stands on."""

from __future__ import annotations

import pytest

from dagster_transform.claims import (
    WHOLE,
)
from dagster_transform.planning import Unit
from dagster_transform.runs.claiming.claims import ClaimTimeoutError
from dagster_transform.runs.claiming.gate import ClaimGate
from dagster_transform.walk import SharedResources
from tests.support.claiming_runs import FILE, PLACE, Runs, X, keys_of, plan_of
from tests.support.fake_project_run import (
    Rehearsal,
    Script,
    build,
    promotion,
)

# -- what a promotion needs besides ------------------------------------------------------------

LAST = promotion("a:last", "a:x")
FURTHER = {"a:last": {"table:a:x": True, "table:old": True, "table:read": False}}


def begin_with_further(runs: Runs, *units: Unit, **scripts: Script) -> Rehearsal:
    plan = plan_of(*units)
    runs.left_out = runs.claims.claim_tables(plan, keys_of(*units), FURTHER)
    gate = ClaimGate(runs.claims, plan, lambda unit: runs.refreshed.append(unit.id))
    named = {f"a:{name}": script for name, script in scripts.items()}
    return Rehearsal(*units, scripts=named, gate=gate, inbox=runs.inbox)


def test_what_a_promotion_needs_is_claimed_in_the_same_call_and_held_until_it_has_ended(
    runs: Runs,
) -> None:
    before = runs.store.asked["acquire"]
    rehearsal = begin_with_further(runs, X, LAST, last=Script(3))
    assert runs.store.asked["acquire"] - before == 1
    every = [("mine", "table:a:x", WHOLE), ("mine", "table:old", WHOLE), ("mine", "table:read", 1)]
    assert sorted(runs.held()) == every
    between, after = runs.at(2, runs.held), runs.at(5, runs.held)
    assert rehearsal.run().outcomes == {"a:x": "built", "a:last": "promoted"}
    assert sorted(between[0]) == every  # also what a build has written: it is changed again
    runs.inbox.let_time_pass(6)
    assert after == [[]]


def test_a_promotion_waits_until_others_have_released_what_it_changes(runs: Runs) -> None:
    old = build("a:old")
    other = runs.run("other")
    other.claim_tables(plan_of(old), {"a:old": "table:old"})
    rehearsal = begin_with_further(runs, X, LAST)
    runs.inbox.later(20, other.close)
    walk = rehearsal.run()
    assert walk.times == {"a:x": (0, 1), "a:last": (21, 22)}
    assert sum("Waiting for table:old, which run other has claimed" in x for x in runs.log) == 1
    assert runs.refreshed == []


def test_a_run_that_does_not_wait_builds_and_leaves_the_promotion(runs: Runs) -> None:
    old = build("a:old")
    other = runs.run("other")
    other.claim_tables(plan_of(old), {"a:old": "table:old"})
    runs.claims = runs.run("mine", skip=True)
    walk = begin_with_further(runs, X, LAST).run()
    assert runs.left_out == {}
    assert walk.outcomes == {"a:x": "built", "a:last": "claimed"}
    assert runs.inbox.now() == 1
    assert "run other has claimed it since" in walk.reasons["a:last"]
    assert runs.held() == [("other", "table:old", WHOLE)]


def test_a_promotion_that_has_lost_a_table_does_not_start(runs: Runs) -> None:
    rehearsal = begin_with_further(runs, X, LAST, x=Script(5))

    def lose() -> None:
        tables = next(h.claim_id for h in runs.real.holders(["table:old"]))
        runs.real.release(tables, ["table:old"])
        runs.claims.held.keeper.renew()

    runs.inbox.later(1, lose)
    held = runs.at(2, lambda: (runs.claims.held.holds("a:x"), runs.claims.held.holds("a:last")))
    walk = rehearsal.run()
    assert held == [(True, False)]
    assert walk.outcomes == {"a:x": "built", "a:last": "cancelled"}
    assert "its claim was lost" in walk.reasons["a:last"]


def test_the_backends_of_a_promotion_are_written_down_too(runs: Runs) -> None:
    begin_with_further(runs, X, LAST)
    runs.claims.held.builds_in("a:last", frozenset({"s1"}))
    assert {h.backends for h in runs.real.holders()} == {("s1",)}


# -- shared resources ---------------------------------------------------------------------------


def test_an_environment_is_shared_again_after_the_last_promotion(runs: Runs) -> None:
    runs.claims.take_shared({"a": SharedResources(environment=PLACE, alone=True)})
    first, last = promotion("a:first", "a:x"), promotion("a:last", "a:first")
    scripts = {"x": Script(1), "first": Script(1), "last": Script(1), "y": Script(1)}
    after = build("a:y", "a:last")
    rehearsal = runs.begin(X, first, last, after, **scripts)
    weight = lambda: runs.held(PLACE)[0][2]  # noqa: E731
    between, then = runs.at(2.5, weight), runs.at(3.5, weight)
    rehearsal.run()
    assert (between, then) == ([WHOLE], [1])


def test_an_environment_of_two_projects_is_shared_when_both_have_promoted(runs: Runs) -> None:
    runs.claims.take_shared(dict.fromkeys("ab", SharedResources(environment=PLACE, alone=True)))
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.share_environment("a")
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.update_shared({"b": SharedResources(environment=PLACE, alone=True)})
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.update_shared({"b": SharedResources(environment=PLACE)})
    assert runs.held() == [("mine", PLACE, 1)]


def test_runs_share_an_environment_and_a_plan_has_it_alone(runs: Runs) -> None:
    for claims in (runs.claims, runs.run("second")):
        claims.take_shared({"a": SharedResources(environment=PLACE)})
    plan = runs.run("plan", wait=4)
    with pytest.raises(ClaimTimeoutError):
        plan.take_shared({"a": SharedResources(environment=PLACE, alone=True)})


def test_shared_resources_are_waited_for_and_not_for_ever(runs: Runs) -> None:
    other = runs.run("other")
    other.take_shared({"a": SharedResources(frozenset({FILE}))})
    patient, hasty = runs.run("patient"), runs.run("hasty", wait=10)
    with pytest.raises(ClaimTimeoutError) as raised:
        hasty.take_shared({"a": SharedResources(frozenset({FILE}), PLACE)})
    assert f"has waited 10 s for {FILE}, which run other has claimed" in str(raised.value)
    assert "claims list" in str(raised.value.remedy)
    assert runs.inbox.now() == 10
    runs.inbox.later(1, other.close)
    patient.take_shared(
        {"a": SharedResources(frozenset({FILE}))}
    )  # the hasty one stands in no queue
    assert runs.inbox.now() == 12
    ((reason, seconds),) = patient.waited.items()
    assert reason.startswith(f"{FILE}, which run other has claimed")
    assert seconds == 2
    assert runs.held() == [("patient", FILE, 1)]
