"""Which cron covers which, and the minimum cadence."""

from __future__ import annotations

import pytest

from dagster_transform.planning.cron import Cron, clamped, coarsest_covering

ZURICH = "Europe/Zurich"


@pytest.mark.parametrize(
    ("written", "other", "covers"),
    [
        ("@hourly", "@daily", True),
        ("@daily", "@hourly", False),
        ("*/15 * * * *", "@hourly", True),
        ("*/15 * * * *", "10 * * * *", False),
        ("0 6 * * *", "0 6 * * mon", True),
        ("0 6 * * mon", "0 6 1 * *", False),
        ("0 6 1 * mon", "0 6 1 * *", True),
        ("0 6 28-31 2 *", "0 6 L 2 *", True),
        ("0 6 28 2 *", "0 6 L 2 *", False),
        ("0 6 1-7 * *", "0 6 * * mon#1", True),
        ("0 6 22-31 * *", "0 6 * * L1", True),
        ("0 6 25-31 * *", "0 6 * * L1", False),  # of February
    ],
)
def test_covers(written: str, other: str, covers: bool) -> None:
    assert Cron.parse(written).covers(Cron.parse(other)) is covers
    assert Cron.parse(written, ZURICH).covers(Cron.parse(other, ZURICH)) is covers


@pytest.mark.parametrize(
    ("written", "other", "covers"),
    [
        ("30 * * * *", "30 2 * * *", False),  # it ticks at 03:00 when there is no 02:30
        ("0,30 * * * *", "30 2 * * *", True),
        ("30 * * * *", "30 2 * * mon", True),  # clocks are changed on Sundays
        ("30 * * * *", "30 2 * * sun", False),
        ("30 * * * *", "30 3 * * *", True),
        ("@hourly", "0 2 * * *", True),
        ("0 2,3 * * *", "0 2 * * *", True),
    ],
)
def test_nights_in_which_the_clock_is_changed_count(written: str, other: str, covers: bool) -> None:
    assert Cron.parse(written, ZURICH).covers(Cron.parse(other, ZURICH)) is covers
    assert Cron.parse(written).covers(Cron.parse(other))


@pytest.mark.parametrize(
    ("written", "covering"),
    [
        (["@daily"], "0 0 * * *"),
        (["@hourly", "*/15 * * * *", "@daily"], "*/15 * * * *"),
        (["0 6 * * *", "0 18 * * *"], "0 6,18 * * *"),
        (["0 0 1 * *", "0 0 * * 1"], "0 0 1 * 1"),
        (["0 0 * * 1#1", "0 0 * * 2#1"], "0 0 * * 1#1,2#1"),
        (["0 0 * * 1#1", "0 0 1 * *"], "0 0 1 * 1"),
        (["0 0 1 1 *", "0 0 2 3 *"], "0 0 1,2 1,3 *"),
        (["*/20 * * * *", "*/30 * * * *"], "0,20,30,40 * * * *"),
        (["@hourly", "3 * * * *"], None),
        (["* * * * *"], None),
        ([], None),
    ],
)
def test_the_coarsest_that_covers_all(written: list[str], covering: str | None) -> None:
    found = coarsest_covering(Cron.parse(text) for text in written)
    assert (found and found.text) == covering
    assert found is None or all(found.covers(Cron.parse(text)) for text in written)


def test_a_tick_may_be_covered_by_one_of_the_next_day() -> None:
    hourly, nightly = (Cron.parse(text, "America/Nuuk") for text in ("30 * * * *", "30 23 * * *"))
    assert hourly.covers(nightly)  # in the night in which there is no 23:30
    weekly = Cron.parse("30 * * * sat", "America/Nuuk")
    assert not weekly.covers(Cron.parse("30 23 * * sat", "America/Nuuk"))


def test_none_covers_crons_of_two_zones() -> None:
    assert coarsest_covering([Cron.parse("@daily"), Cron.parse("@daily", ZURICH)]) is None


def test_a_covering_cron_has_what_changes_of_the_clock_move() -> None:
    found = coarsest_covering([Cron.parse("30 * * * *", ZURICH), Cron.parse("30 2 * * *", ZURICH)])
    assert found == Cron.parse("0,30 * * * *", ZURICH)


@pytest.mark.parametrize(
    ("written", "slow"),
    [
        ("@hourly", "0 * * * *"),
        ("*/5 * * * *", "*/5 * * * *"),
        ("* * * * *", "*/5 * * * *"),
        ("*/2 * * * *", "*/6 * * * *"),
        ("3,4 * * * *", "4 * * * *"),  # what is due at :03 is built at :04
        ("0,58 * * * *", "0 * * * *"),
        ("0,58 3 * * *", "0,58 3 * * *"),  # one hour, so they are far apart
        ("* 3 * * *", "4-59/5 3 * * *"),
        ("0,58 0,23 * * 1", "0,58 0,23 * * 1"),  # of two days
        ("0,58 0,23 * * 1,2", "58 0,23 * * 1,2"),
        ("0,58 0,23 1 1 *", "0,58 0,23 1 1 *"),
        ("0,58 0,23 31,1 1,12 *", "58 0,23 1,31 1,12 *"),  # over the end of the year
    ],
)
def test_clamped_to_the_minimum_cadence(written: str, slow: str) -> None:
    assert clamped(Cron.parse(written)).text == slow
