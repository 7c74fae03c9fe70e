"""Promotions in a walk."""

from __future__ import annotations

from dagster_transform.planning import Outcome
from tests.support.fake_project_run import (
    FAILS,
    Rehearsal,
    Script,
    build,
    check,
    promotion,
)

# -- promotions -----------------------------------------------------------------------------------


def planned(**scripts: Script) -> Rehearsal:
    return Rehearsal(
        build("a:x", promotion="a:P"),
        build("a:y", "a:x", promotion="a:P"),
        promotion("a:P", "a:x", "a:y"),
        build("b:reader", "a:y", "a:P"),
        scripts={id.replace("_", ":"): script for id, script in scripts.items()},
    )


def test_what_a_plan_builds_is_backfilled_until_it_is_promoted() -> None:
    walk = planned().run()
    assert walk.outcomes == {
        "a:x": "backfilled",
        "a:y": "backfilled",
        "a:P": "promoted",
        "b:reader": "built",
    }
    assert walk.times["a:P"] == (2, 3)
    assert walk.times["b:reader"] == (3, 4)


def test_a_backfill_that_was_not_necessary_any_more_is_not_told_as_backfilled() -> None:
    walk = planned(a_x=Script(outcome=Outcome.UP_TO_DATE)).run()
    assert walk.outcomes["a:x"] == "up_to_date"
    assert walk.outcomes["a:P"] == "promoted"


def test_a_failed_backfill_promotes_nothing() -> None:
    walk = planned(a_y=FAILS).run()
    assert walk.outcomes == {
        "a:x": "backfilled",
        "a:y": "failed",
        "a:P": "blocked",
        "b:reader": "blocked",
    }
    assert walk.reasons["a:P"] == "upstream failed: a:y"
    assert "a:P" not in walk.order


def test_a_failed_blocking_check_of_a_backfill_promotes_nothing() -> None:
    walk = planned(a_y=Script(failed_checks=("a:y:unique",))).run()
    assert walk.outcomes["a:P"] == "blocked"
    assert walk.reasons["a:P"] == "blocking check failed: a:y:unique"


def test_a_failed_promotion_blocks_its_readers() -> None:
    walk = planned(a_P=FAILS).run()
    assert walk.outcomes["b:reader"] == "blocked"
    assert walk.reasons["b:reader"] == "upstream failed: a:P"
    assert walk.outcomes["a:x"] == "backfilled"


def test_a_promotion_is_alone_in_its_project_run_only() -> None:
    walk = Rehearsal(
        build("a:x", promotion="a:P"),
        check("a:long"),
        promotion("a:P", "a:x"),
        check("a:later", "a:x"),
        check("a:after", "a:later"),
        build("b:1"),
        scripts={"a:long": Script(5), "a:P": Script(3), "b:1": Script(20)},
    ).run()
    # It waits until its project run is idle, and meanwhile that works on.
    assert walk.times["a:later"] == (1, 2)
    assert walk.times["a:after"] == (2, 3)
    assert walk.times["a:P"] == (5, 8)
    assert walk.times["b:1"] == (0, 20)


def test_nothing_starts_in_a_project_run_that_promotes() -> None:
    walk = Rehearsal(
        promotion("a:P"),
        check("a:c1"),
        check("a:c2", "b:1"),
        build("b:1"),
        scripts={"a:P": Script(3)},
    ).run()
    assert walk.times == {"a:P": (0, 3), "b:1": (0, 1), "a:c1": (3, 4), "a:c2": (3, 4)}


def test_a_promotion_does_not_count_as_a_model() -> None:
    walk = Rehearsal(promotion("a:P"), build("b:1"), max_concurrent_models=1).run()
    assert walk.times == {"a:P": (0, 1), "b:1": (0, 1)}
