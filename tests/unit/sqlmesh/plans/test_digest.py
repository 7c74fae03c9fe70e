"""The digest that identifies what a plan would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.sqlmesh.plans.digest import moment_of
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from tests.support.explanations import MOMENT, SHOWN, days, with_change


def test_a_digest_has_the_moment_of_its_plan() -> None:
    assert SHOWN.digest.startswith("20240305T103000Z-")
    assert moment_of(SHOWN.digest) == MOMENT
    assert moment_of(f" {SHOWN.digest}\n") == MOMENT


@pytest.mark.parametrize(
    "text", ["", "0123456789ab", "20240305T103000Z", "20240305T103000Z-0123", "x" + SHOWN.digest]
)
def test_what_is_no_digest_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no digest of a plan"):
        moment_of(text)


@pytest.mark.parametrize(
    "other",
    [
        replace(SHOWN, project="q"),
        replace(SHOWN, environment="dev"),
        replace(SHOWN, execution_time=SHOWN.execution_time + 1000),
        replace(SHOWN, previous_plan="fedcba9876543210"),
        replace(SHOWN, finalized=False),
        replace(SHOWN, origin="prod"),
        replace(SHOWN, origin_plan="fedcba9876543210"),
        replace(SHOWN, target="target 2"),
        replace(SHOWN, needed=False),
        replace(SHOWN, others=()),
        replace(SHOWN, restated=()),
        replace(SHOWN, request=PlanRequest()),
        replace(SHOWN, request=PlanRequest(run=True)),
        replace(SHOWN, backfill=SHOWN.backfill[1:]),
        replace(SHOWN, backfill=(days("added", 1, 3), *SHOWN.backfill[1:])),
        replace(SHOWN, changes=SHOWN.changes[1:]),
        with_change(1, identifier="both 2"),
        with_change(1, category="breaking"),
        with_change(1, forward_only=False),
    ],
)
def test_whatever_is_part_of_the_plan_is_part_of_its_digest(other: PlanExplanation) -> None:
    assert other.digest != SHOWN.digest


def test_how_a_change_is_shown_is_not_part_of_the_digest() -> None:
    changes = tuple(replace(c, diff="other lines") for c in SHOWN.changes)
    assert replace(SHOWN, changes=changes).digest == SHOWN.digest


def test_a_digest_is_the_same_in_every_process() -> None:
    """It is written down in one run and compared in another."""
    assert replace(SHOWN, changes=(), target="").digest == "20240305T103000Z-4ee312531a9d"
