"""What a tick answers for."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.tick_window import TickMemory, TickWindow, tick_window

HOURLY = Cron.parse("@hourly")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 3, hour, minute, tzinfo=timezone.utc)


MIDNIGHT = at(0)


def window(tick: datetime, memory: TickMemory | None, loaded: datetime = MIDNIGHT) -> TickWindow:
    return tick_window(HOURLY, tick, memory, loaded)


def test_the_first_tick_answers_for_one_period() -> None:
    found = window(at(7), None)
    assert (found.since, found.over) == (at(6), None)
    assert found.memory == TickMemory("0 * * * *", at(7), at(6))


def test_each_tick_begins_where_the_last_one_ended() -> None:
    found = window(at(8), window(at(7), None).memory)
    assert (found.since, found.memory.until) == (at(7), at(8))


def test_ticks_that_were_missed_are_answered_for_by_the_next_one() -> None:
    assert window(at(12), window(at(7), None).memory).since == at(7)


def test_ticks_that_were_missed_are_skipped_where_people_want_that() -> None:
    memory = window(at(7), None).memory
    found = tick_window(HOURLY, at(12), memory, MIDNIGHT, make_up=False)
    assert (found.since, found.memory.until) == (at(11), at(12))
    again = tick_window(HOURLY, at(12), found.memory, MIDNIGHT, make_up=False)
    assert again.since == at(11)
    assert tick_window(HOURLY, at(8), memory, MIDNIGHT, make_up=False).since == at(7)


def test_a_tick_that_is_tried_again_answers_for_the_same() -> None:
    first = window(at(12), window(at(7), None).memory)
    again = window(at(12), first.memory)
    assert (again.since, again.memory) == (at(7), first.memory)


def test_a_tick_that_comes_after_a_later_one_answers_for_its_own_period() -> None:
    later = window(at(12), None).memory
    found = window(at(9), later)
    assert (found.since, found.memory) == (at(8), later)


def test_a_changed_cron_does_not_fire_for_a_time_before_the_change() -> None:
    daily = TickMemory("0 3 * * *", at(3), at(2))
    found = window(at(10), daily, loaded=at(10, 40))
    assert found.over is not None
    assert "0 3 * * * until now and is 0 * * * *" in found.over
    # What became due since the last real tick is not lost: the next one has it.
    assert window(at(11), found.memory, loaded=at(10, 40)).since == at(3)


def test_a_changed_cron_fires_for_a_time_after_the_change() -> None:
    daily = TickMemory("0 3 * * *", at(3), at(2))
    assert window(at(11), daily, loaded=at(10, 40)).over is None


def test_a_tick_before_the_process_was_there_is_made_up_for_where_the_cron_is_the_same() -> None:
    found = window(at(10), TickMemory("0 * * * *", at(7), at(6)), loaded=at(10, 40))
    assert (found.over, found.since) == (None, at(7))


def test_what_is_kept_comes_back_from_its_text() -> None:
    memory = window(at(7), None).memory
    assert TickMemory.from_text(memory.to_text()) == memory


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '["0 * * * *", "x", "y"]', "nothing"])
def test_what_is_not_ours_is_nothing(text: str | None) -> None:
    assert TickMemory.from_text(text) is None
