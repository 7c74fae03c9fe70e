"""The graph taken apart, a whole cadence at a time."""

from __future__ import annotations

from dagster_transform.planning.job_groups.grouping.peeling import peel
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, units_in_order


def test_a_peel_takes_all_of_a_label_that_reads_nothing_left() -> None:
    #  0 - 1 - 2    labels 0 0 1
    #  3 ------/           0
    units = units_in_order([[], [0], [1, 3], []], [0, 0, 1, 0])
    first, second, third, fourth = peel(units, 2)
    assert first == second == fourth != third


def test_units_without_a_label_are_in_no_group_and_hold_nothing_up() -> None:
    units = units_in_order([[], [0], [1]], [0, NO_LABEL, 0])
    assert peel(units, 1) == [0, NO_LABEL, 0]


def test_the_end_that_makes_fewer_groups_is_where_it_begins() -> None:
    up = [[], [], [0, 1], [0, 2], [], [0], [4, 5], [1, 5]]
    units = units_in_order(up, [1, 0, 2, 1, 2, 0, 2, 0])
    groups = peel(units, 3)
    assert len(set(groups)) == len(set(peel(units.reversed(), 3))) == 4
    for unit, above in enumerate(up):
        for each in above:
            assert (groups[each] == groups[unit]) <= (units.labels[each] == units.labels[unit])
