"""A walk that is cancelled."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dagster_transform.planning import Outcome
from dagster_transform.walk import Started
from tests.support.fake_project_run import (
    CANCEL_SECONDS,
    NEVER,
    Rehearsal,
    Script,
    build,
)

# -- cancelling -----------------------------------------------------------------------------------


def test_cancel_ends_what_runs_and_starts_nothing() -> None:
    walk = Rehearsal(
        build("a:done"),
        build("a:runs", "a:done"),
        build("a:child", "a:runs"),
        build("a:queued"),
        scripts={"a:runs": Script(NEVER)},
        capacity=1,
    )
    walk.run_until(1.5).cancel("stopped by a person")
    assert walk.order == ["a:done", "a:runs"]
    assert walk.outcomes == {
        "a:done": "built",
        "a:runs": "cancelled",
        "a:child": "cancelled",
        "a:queued": "cancelled",
    }
    assert walk.times["a:runs"] == (1, 1.5 + CANCEL_SECONDS)
    assert walk.reasons["a:queued"] == "stopped by a person"
    assert list(walk.walk.events()) == []
    assert walk.walk.cancel() == []


def test_cancel_is_called_again_until_the_report() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(3, heeds_cancel=False)})
    walk.run_until(2).cancel()
    cancels = [time for time, _ in walk.project_runs["a"].cancels]
    assert cancels[0] == 2
    assert len(cancels) == 10  # in one second
    assert max(b - a for a, b in pairwise(cancels)) < 0.11


def test_a_unit_that_was_built_although_it_was_cancelled_is_told_as_built() -> None:
    walk = Rehearsal(
        build("a:x"), build("a:y", "a:x"), scripts={"a:x": Script(3, heeds_cancel=False)}
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:x": "built", "a:y": "cancelled"}
    assert walk.reasons == {"a:y": "the run was cancelled"}


def test_a_unit_that_does_not_come_back_is_told_as_cancelled_after_the_grace() -> None:
    walk = Rehearsal(
        build("a:stuck"),
        build("a:child", "a:stuck"),
        build("a:good"),
        scripts={
            "a:stuck": Script(60, heeds_cancel=False),
            "a:good": Script(NEVER),
        },
        cancel_grace=10,
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:stuck": "cancelled", "a:child": "cancelled", "a:good": "cancelled"}
    assert walk.reasons["a:stuck"] == "the run was cancelled; it did not come back"
    assert walk.reasons["a:good"] == "cancelled"
    assert walk.inbox.now() == pytest.approx(12, abs=0.11)

    walk.inbox.let_time_pass(100)  # it does come back: too late
    assert list(walk.walk.events()) == []
    assert walk.walk.cancel() == []
    assert walk.walk.finished["a:stuck"].outcome is Outcome.CANCELLED


def test_cancel_comes_back_as_soon_as_nothing_runs() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(NEVER)}, cancel_grace=1000)
    walk.run_until(2).cancel()
    assert walk.inbox.now() == 2 + CANCEL_SECONDS


def test_a_unit_that_waits_for_its_retry_is_told_as_failed_when_the_run_is_cancelled() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:long"),
        scripts={"a:x": Script(transient_failures=1), "a:long": Script(NEVER)},
        retry_delay=60,
    )
    walk.run_until(5).cancel()
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked", "a:long": "cancelled"}
    assert walk.reasons["a:x"] == "connection lost (attempt 1)"
    assert walk.order == ["a:x", "a:long"]


def test_a_retry_in_flight_is_cancelled_like_any_unit() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(5, transient_failures=1)}, retry_delay=1)
    walk.run_until(7).cancel()
    assert walk.outcomes == {"a:x": "cancelled"}


def test_a_failure_while_cancelling_blocks_nothing_that_it_does_not_hold_back() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:z"),
        scripts={"a:x": Script(3, Outcome.FAILED, heeds_cancel=False)},
        capacity=1,
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked", "a:z": "cancelled"}


def test_cancel_tells_what_was_not_told_yet_and_nothing_twice() -> None:
    units = [build(f"a:{i}") for i in range(3)]
    for events in range(6):
        walk = Rehearsal(*units, capacity=2).run_for(events).cancel()
        starts = [e.unit.id for _, e in walk.told if isinstance(e, Started)]
        assert len(starts) == len(set(starts)) == len(walk.ran)


def test_cancel_before_the_walk_has_begun() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x")).cancel()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "cancelled"}
    assert walk.ran == []
