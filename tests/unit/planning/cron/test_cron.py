"""Crons: what they mean, how they are spelt, when they tick."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dagster_transform.planning.cron import Cron, CronError

ZURICH = "Europe/Zurich"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=timezone.utc)


def texts(moments: object) -> list[str]:
    return [f"{moment:%m-%d %H:%M}" for moment in moments]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("0,15,30,45 * * * *", "*/15 * * * *"),
        ("5-59/10 * * * *", "5-55/10 * * * *"),
        ("59/5 * * * *", "59 * * * *"),
        ("*/90 * * * *", "0 * * * *"),
        ("0 0-23 * jan-dec *", "0 * * * *"),
        ("30 6 * * mon-fri", "30 6 * * 1-5"),
        ("0 0 * * sun-sun", "0 0 * * *"),
        ("22-9/5 * * * *", "3,8,22,27,32,37,42,47,52,57 * * * *"),
        ("0 0 * * fri-mon", "0 0 * * 0,1,5,6"),
        ("0 0 * * 6-7", "0 0 * * 0,6"),
        ("0 0 ? * SUN", "0 0 * * 0"),
        ("0 0 L 4 *", "0 0 30 4 *"),
        ("0 0 31,l * *", "0 0 L * *"),
        ("0 0 29-31 2 *", "0 0 29 2 *"),
        ("0 0 31 1-6 *", "0 0 31 1,3,5 *"),
        ("0 0 1-31 * 1", "0 0 * * *"),  # a day of the month or a weekday
        ("0 0 1 * 1", "0 0 1 * 1"),
        ("0 0 */2 * */1", "0 0 */2 * *"),  # all weekdays beside an asterisk are one
        ("0 0 1,2 * */1", "0 0 * * *"),
        ("0 0 * * mon#1,wed#2", "0 0 * * 1#1,3#2"),
        ("0 0 * * 1#1,1#2,1#3,1#4,1#5", "0 0 * * 1"),
        ("0 0 * * L5", "0 0 * * L5"),
    ],
)
def test_spellings(written: str, text: str) -> None:
    cron = Cron.parse(written)
    assert cron.text == text
    assert cron == Cron.parse(text)
    assert len({cron, Cron.parse(text)}) == 1


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("", "it has 0 fields and not five"),
        ("0 0 * * * *", "it has 6 fields and not five"),
        ("@reboot", "it is none of @annually, @daily"),
        ("60 * * * *", "'60' is no minute (0 to 59)"),
        ("0 24 * * *", "'24' is no hour (0 to 23)"),
        ("0 0 0 * *", "'0' is no day of the month (1 to 31)"),
        ("0 0 15W * *", "'15w' is no day of the month"),
        ("0 0 * juli *", "'juli' is no month"),
        ("0 0 * * 8", "'8' is no weekday"),
        ("*/0 * * * *", "'*/0' of its minute has the step 0"),
        ("? * * * *", "'?' is no minute"),
        ("H * * * *", "'h' is no minute"),
        (f"{'9' * 5000} * * * *", "is no minute"),
        (f"*/{'9' * 5000} * * * *", "is no minute"),
        ("-5 * * * *", "'-5' is no minute"),
        ("0 0 31 2,4 *", "no month has such a day"),
        ("0 0 1 * 1#2", "days of the month and nth weekdays of the month don't go together"),
        ("0 0 * * 3,1#2", "weekdays of each week and nth weekdays"),
        ("0 0 * * 1-5#2", "'1-5#2' is no nth weekday"),
    ],
)
def test_errors_say_what_is_wrong_in_which_field(written: str, what: str) -> None:
    with pytest.raises(CronError) as raised:
        Cron.parse(written)
    assert what in raised.value.cause
    assert written in raised.value.cause
    assert "five fields" in (raised.value.remedy or "")


def test_a_zone_that_is_none() -> None:
    with pytest.raises(CronError, match="there is no time zone 'Europe/Zuerich'") as raised:
        Cron.parse("@daily", "Europe/Zuerich")
    assert "IANA" in (raised.value.remedy or "")


def test_zones_never_mix() -> None:
    assert Cron.parse("@daily", ZURICH) != Cron.parse("@daily")
    assert not Cron.parse("@hourly", ZURICH).covers(Cron.parse("@daily"))
    assert (
        Cron.parse("@daily", "Etc/UTC") == Cron.parse("@daily", None) == Cron.parse("@daily", "UTC")
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("@daily", "daily 00:00"),
        ("30 6 * * *", "daily 06:30"),
        ("@hourly", "hourly"),
        ("5 * * * *", "hourly at :05"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("*/7 * * * *", "*/7 * * * *"),  # the last step of an hour is shorter
        ("0 */2 * * *", "every 2 hours"),
        ("10 */6 * * *", "every 6 hours at :10"),
        ("0 */5 * * *", "0 */5 * * *"),
        ("0 7 * * 1", "Mondays 07:00"),
        ("@monthly", "monthly on day 1 00:00"),
        ("0 6 * * 1-5", "0 6 * * 1-5"),
    ],
)
def test_words(written: str, words: str) -> None:
    assert Cron.parse(written).describe() == words
    assert Cron.parse(written, ZURICH).describe() == f"{words} {ZURICH}"


def test_next_and_previous_are_strictly_after_and_before() -> None:
    cron = Cron.parse("@daily")
    assert cron.next(at("03-05T00:00")) == at("03-06T00:00")
    assert cron.previous(at("03-05T00:00")) == at("03-04T00:00")
    assert cron.next(at("03-05T00:00:01")) == at("03-06T00:00")
    assert cron.previous(at("03-05T00:00:01")) == at("03-05T00:00")
    assert cron.next(at("03-04T23:59:59.5")) == at("03-05T00:00")


def test_windows_of_ticks_and_of_what_is_due() -> None:
    cron = Cron.parse("@hourly")
    start, end = at("03-05T10:00"), at("03-05T12:00")
    assert texts(cron.ticks(start, end)) == ["03-05 10:00", "03-05 11:00"]
    assert texts(cron.due(start, end)) == ["03-05 11:00", "03-05 12:00"]


def test_years_without_a_tick_are_gone_over() -> None:
    assert Cron.parse("0 0 29 2 *").next(at("01-01")).year == 2028
    assert Cron.parse("0 0 29 2 *").previous(at("01-01")).year == 2024


@pytest.mark.parametrize(
    ("written", "ticks", "due"),
    [
        ("30 2 * * *", ["01:30"], ["00:30", "01:30"]),
        ("0 */2 * * *", ["22:00", "01:00", "03:00"], ["22:00", "00:00", "01:00", "03:00"]),
        ("30 * * * *", ["22:30", "23:30", "00:30", "01:30", "02:30", "03:30"], None),
        ("0 3 * * *", ["02:00"], None),
    ],
)
def test_the_night_in_autumn(written: str, ticks: list[str], due: list[str] | None) -> None:
    cron = Cron.parse(written, ZURICH)
    night = at("10-24T21:59"), at("10-25T03:59")
    assert [f"{tick:%H:%M}" for tick in cron.ticks(*night)] == ticks
    assert [f"{moment:%H:%M}" for moment in cron.due(*night)] == (due or ticks)


@pytest.mark.parametrize(
    ("written", "ticks"),
    [
        ("30 2 * * *", ["01:00"]),
        ("0,30 2,3 * * *", ["01:00", "01:30"]),
        ("30 * * * *", ["23:30", "00:30", "01:30", "02:30"]),
        ("30 1 * * *", ["00:30"]),
    ],
)
def test_the_night_in_spring(written: str, ticks: list[str]) -> None:
    cron = Cron.parse(written, ZURICH)
    night = at("03-28T22:59"), at("03-29T02:59")
    assert [f"{tick:%H:%M}" for tick in cron.ticks(*night)] == ticks
    assert [f"{moment:%H:%M}" for moment in cron.due(*night)] == ticks


def test_a_tick_that_is_moved_over_midnight() -> None:
    cron = Cron.parse("30 23 * * *", "America/Nuuk")  # on 28 March it goes from 23:00 to 24:00
    assert cron.next(at("03-29T01:10")) == at("03-29T01:30")
    assert cron.previous(at("03-29T02:00")) == at("03-29T01:30")


def test_a_schedule_where_the_clock_is_changed_by_half_an_hour() -> None:
    hourly = Cron.parse("30 * * * *", "Australia/Lord_Howe")
    assert hourly.text == "30 * * * *"
    assert hourly.cron_schedule == "30 * 1-31 * 0-6"
    assert Cron.parse(hourly.cron_schedule, "Australia/Lord_Howe") == hourly
    assert Cron.parse("30 * * * 1", "Australia/Lord_Howe").cron_schedule == "30 * * * 1"
    assert Cron.parse("30 * * * *", "Asia/Kolkata").cron_schedule == "30 * * * *"


def test_how_often() -> None:
    assert Cron.parse("*/15 * * * *").per_day == 96
    assert Cron.parse("0 6 * * mon-fri").per_day == pytest.approx(5 / 7)
    assert Cron.parse("@monthly").per_day == pytest.approx(12 / 365.2425)
    assert Cron.parse("0 0 29 2 *").per_day == pytest.approx(97 / 146_097)
