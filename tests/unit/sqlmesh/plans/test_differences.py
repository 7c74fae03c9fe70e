"""What a plan would do that another explanation of it does not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.sqlmesh.plans.differences import differences
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from tests.support.explanations import DAY, FIRST, SHOWN, change, days, with_change


def test_a_plan_does_not_differ_from_itself() -> None:
    assert differences(SHOWN, SHOWN) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            with_change(1, identifier="both 2"),
            "mart.both: has changed since (non-breaking, forward-only)",
        ),
        (
            with_change(1, identifier="both 2", category="breaking", forward_only=False),
            "mart.both: has changed since, and is breaking now (was non-breaking, forward-only)",
        ),
        (
            with_change(1, category="breaking", forward_only=False),
            "mart.both: is breaking now (was non-breaking, forward-only)",
        ),
        (
            with_change(2, identifier="reads 2"),
            "mart.reads: reads what has changed since (indirect breaking)",
        ),
        (
            replace(SHOWN, changes=(*SHOWN.changes, change("new"))),
            "mart.new: is breaking now (was not in the plan)",
        ),
        (
            replace(SHOWN, changes=(*SHOWN.changes, change("new", "removed", ""))),
            "mart.new: is removed now (was not in the plan)",
        ),
        (
            replace(SHOWN, changes=SHOWN.changes[1:]),
            "mart.added: is not in the plan any more (was added)",
        ),
        (
            replace(SHOWN, previous_plan="fedcba9876543210"),
            "environment prod has plan fedcba98 now, had plan 01234567",
        ),
        (
            replace(SHOWN, finalized=False),
            "environment prod has plan 01234567 (not finished) now, had plan 01234567",
        ),
        (replace(SHOWN, origin="prod", origin_plan="x"), "environment prod has another plan now"),
        (
            replace(SHOWN, backfill=(*SHOWN.backfill, days("more", 2, 3))),
            "mart.more: builds 2024-03-02 to 2024-03-03, too",
        ),
        (
            replace(SHOWN, backfill=(days("added", 1, 6),)),
            "mart.added: builds 2024-03-05 to 2024-03-06, too",
        ),
        (
            replace(
                SHOWN, restated=(replace(SHOWN.restated[0], interval=(FIRST, FIRST + 4 * DAY)),)
            ),
            "mart.both: builds 2024-03-01 to 2024-03-03 again, too",
        ),
        (
            replace(SHOWN, request=PlanRequest(run=True)),
            "other options: was allow_destructive_models=['mart.both'], now run=True",
        ),
        (
            replace(SHOWN, target="target 2"),
            "before_all or after_all statements, or Python requirements, have changed",
        ),
    ],
)
def test_a_difference_is_said_in_words(now: PlanExplanation, said: str) -> None:
    assert differences(SHOWN, now) == [said]


def test_less_to_build_is_no_difference() -> None:
    """A part was built since: by the plan itself, before it failed, or by a tick."""
    rest = replace(SHOWN, backfill=(days("added", 3, 4),), restated=())
    assert rest.digest != SHOWN.digest
    assert differences(SHOWN, rest) == []


def test_a_model_that_has_changed_is_named_once() -> None:
    now = with_change(0, identifier="added 2")
    now = replace(now, backfill=(days("added", 1, 5), *SHOWN.backfill[1:]))
    assert differences(SHOWN, now) == ["mart.added: has changed since (added)"]
