"""What a walk tries again, and when."""

from __future__ import annotations

from dagster_transform.walk import Started
from tests.support.fake_project_run import (
    FAILS,
    Rehearsal,
    Script,
    build,
)

# -- retries --------------------------------------------------------------------------------------


def test_a_transient_failure_is_tried_again_with_delays_that_double() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        scripts={"a:x": Script(transient_failures=3)},
        retries=3,
        retry_delay=2,
    ).run()
    assert walk.retries == [("a:x", 2), ("a:x", 4), ("a:x", 8)]
    assert [r.start for r in walk.ran] == [0, 3, 8, 17, 18]
    assert [e.attempt for _, e in walk.told if isinstance(e, Started)] == [1, 2, 3, 4, 1]
    assert walk.outcomes == {"a:x": "built", "a:y": "built"}
    assert walk.reasons == {}


def test_retries_come_to_an_end() -> None:
    units = [build("a:x"), build("a:y", "a:x")]
    walk = Rehearsal(*units, scripts={"a:x": Script(transient_failures=9)}, retries=2).run()
    assert walk.order == ["a:x", "a:x", "a:x"]
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked"}
    assert walk.reasons["a:x"] == "connection lost (attempt 3)"


def test_no_retries_on_request_and_none_for_other_failures() -> None:
    shaky = {"a:x": Script(transient_failures=1)}
    assert Rehearsal(build("a:x"), scripts=shaky, retries=0).run().outcomes == {"a:x": "failed"}
    assert Rehearsal(build("a:x"), scripts={"a:x": FAILS}).run().order == ["a:x"]


def test_a_unit_that_waits_for_its_retry_takes_no_place() -> None:
    walk = Rehearsal(
        build("a:shaky"),
        build("a:x"),
        scripts={"a:shaky": Script(transient_failures=1)},
        capacity=1,
        retry_delay=10,
    ).run()
    assert walk.times == {"a:x": (1, 2), "a:shaky": (11, 12)}


def test_a_retry_that_is_due_waits_until_there_is_room() -> None:
    walk = Rehearsal(
        build("a:shaky"),
        build("a:long"),
        scripts={"a:shaky": Script(transient_failures=1), "a:long": Script(50)},
        capacity=1,
        retry_delay=10,
    ).run()
    assert walk.times == {"a:long": (1, 51), "a:shaky": (51, 52)}


def test_retries_do_not_wait_for_each_other() -> None:
    scripts = {
        "a:x": Script(1, transient_failures=2),
        "a:y": Script(2, transient_failures=1),
        "a:long": Script(100),
    }
    walk = Rehearsal(
        build("a:x"), build("a:y"), build("a:long"), scripts=scripts, retry_delay=4
    ).run()
    assert [(r.unit.id, r.start) for r in walk.ran[3:]] == [("a:x", 5), ("a:y", 6), ("a:x", 14)]
