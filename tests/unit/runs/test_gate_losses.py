"""Claims that a run loses while it is at work."""

from __future__ import annotations

from dagster_transform.planning import Outcome
from dagster_transform.runs.claiming.gate import ClaimGate
from dagster_transform.walk import Refused, SharedResources
from tests.support.claiming_runs import CHECK, PLACE, Runs, X, Y, plan_of
from tests.support.fake_project_run import (
    NEVER,
    Script,
    promotion,
)

# -- claims that are lost -----------------------------------------------------------------------


def test_a_lost_table_ends_its_node_and_refuses_what_has_not_started(runs: Runs) -> None:
    rehearsal = runs.begin(X, CHECK, Y, x=Script(NEVER), y=Script(20))
    assert runs.claims.held.holds("a:x")

    def lose() -> None:
        tables = next(h.claim_id for h in runs.real.holders(["table:a:x"]))
        runs.real.release(tables, ["table:a:x"])
        runs.claims.held.keeper.renew()

    runs.inbox.later(3, lose)
    walk = rehearsal.run()
    assert walk.outcomes == {"a:x": "cancelled", "a:c": "cancelled", "a:y": "built"}
    assert walk.times["a:x"] == (0, 3.25)
    reason = "its claim was lost: its lease expired or somebody released it"
    assert walk.reasons["a:x"] == reason
    assert not runs.claims.held.holds("a:x")
    gate = ClaimGate(runs.claims, plan_of(X), lambda _: None)
    assert gate.enter(X) == Refused(Outcome.CANCELLED, reason)
    assert gate.enter(CHECK) == Refused(Outcome.CANCELLED, reason)


def test_a_lost_environment_ends_all_and_nothing_is_promoted(runs: Runs) -> None:
    runs.claims.take_shared({"a": SharedResources(environment=PLACE, alone=True)})
    last = promotion("a:last", "a:y")
    rehearsal = runs.begin(X, Y, last, x=Script(NEVER), y=Script(3, heeds_cancel=False))

    def lose() -> None:
        (place,) = runs.real.holders([PLACE])
        runs.real.release(place.claim_id)
        runs.claims.held.keeper.renew()

    runs.inbox.later(1, lose)
    held = runs.at(2, lambda: runs.claims.held.holds("a:y"))
    walk = rehearsal.run()
    assert held == [False]
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "built", "a:last": "cancelled"}
    assert "its claim was lost" in walk.reasons["a:last"]


def test_a_run_trusts_its_claim_while_the_store_does_not_answer(runs: Runs) -> None:
    runs.begin(X)
    runs.store.down = True
    assert runs.claims.held.holds("a:x")
    assert runs.claims.held.holds("a:unclaimed")
    runs.claims.release(["table:a:x"])
    assert not runs.claims.held.holds("a:x")
    runs.store.down = False
    runs.claims.held.keeper.close()  # pays what is owed
    assert runs.held() == []


def test_a_promotion_goes_on_where_the_environment_cannot_be_shared_again(runs: Runs) -> None:
    runs.claims.take_shared({"a": SharedResources(environment=PLACE, alone=True)})
    rehearsal = runs.begin(X, promotion("a:last", "a:x"))
    runs.inbox.later(1.5, lambda: setattr(runs.store, "down", True))
    assert rehearsal.run().outcomes == {"a:x": "built", "a:last": "promoted"}
    assert any("the line is cut" in line for line in runs.log)
