"""From when on a node is overdue, by its cron."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.freshness import Deadline, Within, freshness_of


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.mark.parametrize(
    ("cron", "grace", "window"),
    [
        ("@hourly", 1, 2),
        ("@daily", 6, 30),
        ("0 */6 * * *", 1, 7),
        ("*/15 * * * *", 1 / 120, 16 / 60),  # half a minute is one
        ("* * * * *", 1 / 12, 10 / 60),  # its schedule ticks every five minutes
    ],
)
def test_of_ticks_as_far_apart_as_each_other_the_last_build_may_be_so_old(
    cron: str, grace: float, window: float
) -> None:
    assert freshness_of(Cron.parse(cron), hours(grace)) == Within(hours(window))


@pytest.mark.parametrize(
    ("cron", "grace", "deadlines", "granted"),
    [
        ("0 6 * * 1-5", 2, "0 8 * * 1-5", 2),
        ("15 6 * * 1-5", 0.5, "45 6 * * 1-5", 0.5),
        ("0 22 * * 1-5", 6, "0 4 * * 2-6", 6),  # the night after
        ("0 22 * * 0,6", 6, "0 4 * * 0,1", 6),
        ("0 6 1 * *", 2, "0 8 1 * *", 2),
        ("0 6,18 * * *", 0.5, None, 0),  # gaps are equal
        ("0 6,10 * * *", 0.5, "30 6,10 * * *", 0.5),
        ("30 6,10 * * *", 0.75, "15 7,11 * * *", 0.75),
        ("0,30 6,10 * * *", 0.25, "15,45 6,10 * * *", 0.25),
    ],
)
def test_of_others_the_deadlines_are_later_than_the_ticks(
    cron: str, grace: float, deadlines: str | None, granted: float
) -> None:
    found = freshness_of(Cron.parse(cron, "Europe/Zurich"), hours(grace))
    if deadlines is None:
        assert found == Within(hours(12 + grace))
    else:
        later = Cron.parse(deadlines, "Europe/Zurich")
        assert found == Deadline(later, hours(granted))
        assert later.time_zone == "Europe/Zurich"


@pytest.mark.parametrize(
    ("cron", "grace", "window"),
    [
        ("*/5 9-17 * * 1-5", 1, 24 * 2 + 15 + 5 / 60 + 1),  # from Friday evening on
        ("0 22 1 * *", 6, 31 * 24 + 6),  # no five fields say the day after
        ("0,50 6,10 * * 1-5", 1 / 3, 24 * 2 + 19 + 1 / 6 + 1 / 3),
        ("0 6,18 * * 1-5", 20, 60 + 20),  # longer than from one tick to the next
    ],
)
def test_where_no_deadlines_can_be_found_the_longest_gap_counts(
    cron: str, grace: float, window: float
) -> None:
    assert freshness_of(Cron.parse(cron), hours(grace)) == Within(hours(window))
