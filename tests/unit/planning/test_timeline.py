"""What a run's time went into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dagster_transform.planning import Outcome, UnitKind
from dagster_transform.planning.timeline import OWN_LIMITS, Spell, Timeline, Wait, timeline_of


def spell(name: str, *times: float, after: str = "", **more: Any) -> Spell:
    """One that was ready when it began."""
    attempts = tuple(zip(times[::2], times[1::2], strict=True))
    ready = more.pop("ready", times[0] if times else 0.0)
    kind = more.pop("kind", UnitKind.BUILD)
    return Spell(
        name, kind, Outcome.BUILT, True, ready, attempts, after=frozenset(after.split()), **more
    )


def timeline(*spells: Spell, waited: Mapping[str, float] | None = None) -> Timeline:
    return timeline_of([spells], began=0, ended=20, waited=waited)


def test_the_longest_chain_counts_what_ran_and_not_what_waited() -> None:
    found = timeline(
        spell("a", 1, 3), spell("b", 1, 2), spell("c", 9, 10, after="a b", ready=3),
        spell("d", 3, 6, after="b"), spell("x", 0, 3.5),
    )  # fmt: skip
    assert found.critical == ("b", "d")
    assert found.critical_seconds == 4
    assert [s.unit for s in found.spells] == ["x", "a", "b", "d", "c"]


def test_of_walks_that_come_one_after_the_other_the_chains_are_one() -> None:
    found = timeline_of(
        [[spell("a", 0, 2), spell("b", 0, 1)], [spell("c", 3, 4)]], began=0, ended=5
    )
    assert found.critical == ("a", "c")
    assert found.critical_seconds == 3


def test_a_retried_unit_counts_each_attempt_and_not_the_time_between() -> None:
    found = timeline(spell("a", 0, 1, 5, 7), spell("b", 0, 2.5))
    assert (found.critical, found.critical_seconds) == (("a",), 3)


@pytest.mark.parametrize(
    ("spells", "peak"),
    [
        ((spell("a", 0, 2), spell("b", 1, 3), spell("c", 1.5, 1.8)), 3),
        ((spell("a", 0, 2), spell("b", 2, 3)), 1),
        ((spell("a", 0, 2), spell("b", 1, 3, kind=UnitKind.CHECK)), 1),
        ((spell("a"),), 0),
    ],
)
def test_the_most_builds_at_once(spells: tuple[Spell, ...], peak: int) -> None:
    assert timeline(*spells).peak == peak


def test_waits_are_added_up_by_what_was_in_the_way() -> None:
    found = timeline(
        spell("a", 5, 6, waited={"run 1": 2, OWN_LIMITS: 1}),
        spell("b", 5, 6, waited={"run 1": 4}),
        spell("c", waited={"run 2": 3}),
        waited={"run 9": 5},
    )
    assert found.waits == (
        Wait("run 1", 6, 2), Wait("run 9", 5, 0), Wait("run 2", 3, 1), Wait(OWN_LIMITS, 1, 1),
    )  # fmt: skip


def test_the_average_is_over_the_time_in_which_units_could_run() -> None:
    assert timeline(spell("a", 10, 20), spell("b", 10, 15)).average() == 1.5
    assert timeline_of([], began=0, ended=1).average() == 0
