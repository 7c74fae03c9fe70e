"""Crons beside those who act on them: Dagster, whose scheduler ticks, and SQLMesh, which says what
is due."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from dagster._check import CheckError
from dagster._utils.schedules import (
    cron_string_iterator,
    is_valid_cron_string,
    reverse_cron_string_iterator,
)
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st
from sqlmesh.utils.cron import CroniterCache

from dagster_transform.planning.cron import (
    MINIMUM_CADENCE,
    Cron,
    CronError,
    clamped,
    coarsest_covering,
)
from tests.support.crons import CHANGES, YEAR, ZONES, crons, moments, often

ANY_ZONE = st.sampled_from(ZONES)
NEW_YEAR = datetime(YEAR, 1, 1, tzinfo=timezone.utc)
AROUND = timedelta(days=2)


def parsed(text: str, zone: str | None = None) -> Cron:
    try:
        return Cron.parse(text, zone)
    except CronError:
        assume(False)
        raise


@st.composite
def situations(draw: st.DrawFn) -> tuple[Cron, datetime]:
    zone = draw(ANY_ZONE)
    return parsed(draw(crons()), zone), draw(moments(zone))


def utc(found: list[datetime]) -> list[datetime]:
    return [moment.astimezone(timezone.utc) for moment in found]


def of_dagster(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """Nothing is compared where Dagster's own iterator fails: its check that no tick is before the
    start is wrong on the day of a change of clocks in zones that are not whole hours from UTC."""
    found = cron_string_iterator(start.timestamp(), cron.cron_schedule, cron.time_zone)
    try:
        return utc([*takewhile(lambda tick: tick.timestamp() < end.timestamp(), found)])
    except CheckError:
        reject()


@given(crons(), ANY_ZONE)
def test_a_cron_is_its_canonical_text_which_dagster_takes(text: str, zone: str) -> None:
    cron = parsed(text, zone)
    assert Cron.parse(cron.text, zone) == cron
    assert Cron.parse(cron.text, zone).times == cron.times
    assert Cron.parse(cron.cron_schedule, zone) == cron
    assert is_valid_cron_string(cron.cron_schedule)
    assert hash(Cron.parse(cron.text, zone)) == hash(cron)


@settings(max_examples=300)
@given(situations())
def test_it_ticks_when_dagster_ticks(situation: tuple[Cron, datetime]) -> None:
    cron, start = situation
    end = start + 2 * AROUND
    assert [*cron.ticks(start, end)] == of_dagster(cron, start, end)
    assert cron.next(start) == next(tick for tick in utc([*_first(cron, start)]) if tick > start)


def _first(cron: Cron, start: datetime) -> list[datetime]:
    found = cron_string_iterator(start.timestamp(), cron.cron_schedule, cron.time_zone)
    return [next(found), next(found)]


@settings(max_examples=300)
@given(situations())
def test_it_ticked_when_dagster_says_that_it_did(situation: tuple[Cron, datetime]) -> None:
    cron, end = situation
    found = reverse_cron_string_iterator(end.timestamp(), cron.cron_schedule, cron.time_zone)
    expected = [tick for tick in utc([next(found) for _ in range(6)]) if tick < end]
    before = end
    for tick in expected:
        before = cron.previous(before)
        assert before == tick


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str, datetime]:
    zone = draw(ANY_ZONE)
    return draw(crons()), zone, draw(moments(zone))


@settings(max_examples=300)
@given(written())
@example(("0 0 */2 * */1", "UTC", NEW_YEAR))
@example(("0 0 2-31,L * *", "UTC", NEW_YEAR))
def test_a_node_is_due_when_sqlmesh_says_so(situation: tuple[str, str, datetime]) -> None:
    text, zone, start = situation
    cron = parsed(text, zone)
    found = CroniterCache(text, start, tz=ZoneInfo(zone))
    expected = utc([found.get_next() for _ in range(30)])
    due = [*cron.due(start, expected[-1])]
    # There SQLMesh leaves out some of the times that come twice.
    assert due == expected or (cron.time_zone == "Pacific/Chatham" and {*due} > {*expected})


@settings(max_examples=200)
@given(situations())
def test_nothing_that_is_due_is_lost(situation: tuple[Cron, datetime]) -> None:
    cron, start = situation
    ticks = [*cron.ticks(start, start + 2 * AROUND)]
    assert all(before < after for before, after in pairwise(ticks)), "a tick comes twice"
    for moment in cron.due(start, start + AROUND):
        tick = moment if moment in ticks else cron.next(moment)
        period = cron.next(tick) - cron.previous(tick)
        assert tick - moment <= max(period, timedelta(hours=2, minutes=1))
    built = [
        moment for before, tick in pairwise([start, *ticks]) for moment in cron.due(before, tick)
    ]
    assert built == ([*cron.due(start, ticks[-1])] if ticks else [])


@settings(max_examples=150)
@given(often(), often(), ANY_ZONE)
@example("30 * * * *", "30 2 * * *", "Europe/Zurich")  # it ticks at 03:00 once a year
@example("30 * * * *", "30 2 * * 1", "Europe/Zurich")  # clocks are changed on Sundays
@example("0,30 * * * *", "30 2 * * *", "Europe/Zurich")
@example("30 0 * * *", "30 23 * * *", "America/Nuuk")
def test_covers_means_every_tick(text: str, other_text: str, zone: str) -> None:
    cron, other = parsed(text, zone), parsed(other_text, zone)
    ticks: set[datetime] = set()
    others: set[datetime] = set()
    for middle in (*CHANGES[zone], NEW_YEAR):  # all weekdays, and all nights of changes
        ticks.update(cron.ticks(middle - 3 * AROUND, middle + 3 * AROUND))
        others.update(other.ticks(middle - 2 * AROUND, middle + 2 * AROUND))
    assert cron.covers(other) == (others <= ticks)


@settings(max_examples=150)
@given(st.lists(crons(), min_size=1, max_size=3), ANY_ZONE)
@example(["30 * * * *", "30 2 * * *"], "Europe/Zurich")
def test_a_covering_cron_covers(texts: list[str], zone: str) -> None:
    found = [parsed(text, zone) for text in texts]
    covering = coarsest_covering(found)
    if covering is None:
        return
    assert covering == coarsest_covering(reversed(found))
    for change in CHANGES[zone]:
        window = change - AROUND, change + AROUND
        ticks = {*covering.ticks(*window)}
        for cron in found:
            assert covering.covers(cron)
            assert {*cron.ticks(*window)} <= ticks


@settings(max_examples=150)
@given(crons(), ANY_ZONE)
def test_clamped_is_slow_enough_and_has_only_ticks_of_the_faster(text: str, zone: str) -> None:
    cron = parsed(text, zone)
    slow = clamped(cron)
    assert cron.covers(slow)
    assert clamped(slow) == slow
    start = CHANGES[zone][0] + timedelta(days=3)  # no clock is changed near it
    ticks = [slow.next(start)]
    for _ in range(40):
        ticks.append(slow.next(ticks[-1]))
    quiet = [
        after - before
        for before, after in pairwise(ticks)
        if after - before < timedelta(minutes=5)
        and not any(abs(after - change) < AROUND for change in CHANGES[zone])
        and after.year == YEAR
    ]
    assert not quiet, MINIMUM_CADENCE


@settings(max_examples=300)
@given(
    st.integers(0, 4),
    st.lists(st.sampled_from([*"0123456789*/,-", "sun", "mon", "dec", "jan"]), max_size=7),
)
@example(0, [*"22-9/5"])
@example(4, [*"5-5"])
@example(3, [*"5/20"])
def test_a_field_means_what_it_means_to_croniter(place: int, field: list[str]) -> None:
    fields = ["0", "0", "1", "*", "*"] if place != 4 else ["0", "0", "*", "*", "*"]
    fields[place] = "".join(field)
    text = " ".join(fields)
    if not croniter.is_valid(text):
        with pytest.raises(CronError):
            Cron.parse(text)
        return
    cron = parsed(text)
    days = [*cron.due(NEW_YEAR, NEW_YEAR + timedelta(days=365))]
    found = croniter(text, NEW_YEAR, ret_type=datetime)
    for _ in range(min(len(days), 70)):
        assert days.pop(0) == found.get_next()


@given(st.text("0123456789*/,-#?lLhHwWrR monfrisu@daily", max_size=24))
def test_any_other_text_is_an_error_of_ours(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except CronError:
        pass
    else:
        assert croniter.is_valid(text)
        assert Cron.parse(cron.text) == cron


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_common_crons(zone: str) -> None:
    for text in (
        "0 * * * *",
        "*/15 * * * *",
        "30 2 * * *",
        "0 */2 * * *",
        "30 0 * * 0",
        "0 3 1 * *",
        "30 0 1 * *",
        "30 0 25 * *",
        "30 23 * * *",
    ):
        cron = Cron.parse(text, zone)
        for change in CHANGES[zone]:
            window = change - AROUND, change + AROUND
            assert [*cron.ticks(*window)] == of_dagster(cron, *window)
