"""Crons that do not fit, first missed ticks, and circles, with their lines."""

from __future__ import annotations

from datetime import datetime, timezone

from dagster_transform.graph import Graph
from dagster_transform.planning.cron import Cron, clamped
from dagster_transform.planning.job_groups.members import members_of
from dagster_transform.planning.job_groups.validity import (
    circular,
    crons_of,
    first_missed,
    unfit_members,
)
from tests.support.job_group_graphs import NOW, graph, node, parsed

GRAPH = graph(
    node("day"),
    node("hour", "@hourly", "day"),
    node("swiss", "@daily", "hour", time_zone="Europe/Zurich"),
    node("report", "0 6 * * 1", "hour"),
)


def wrong(text: str, of: Graph = GRAPH) -> list[str]:
    file = parsed(text)
    node_crons = {id: clamped(Cron.parse(n.cron or "", n.time_zone)) for id, n in of.nodes.items()}
    members = members_of(file, of, node_crons)
    crons, found = crons_of(file)
    found += unfit_members(file, members, of, crons, node_crons, now=NOW)
    found += circular(file, members, of)
    return [str(each) for each in found]


def test_what_fits() -> None:
    assert (
        wrong(
            """
            job_groups:
              first: {cron: "@daily", nodes: [day]}
              fine: {cron: "*/30 * * * *", nodes: [hour, report]}
              zurich: {cron: "@daily", time_zone: Europe/Zurich, nodes: [swiss]}
            """
        )
        == []
    )


def test_crons_that_can_not_be() -> None:
    assert wrong(
        """
        job_groups:
          often: {cron: "* * * * *"}
          never: {cron: "61 * * * *"}
        """
    ) == [
        (
            "job_groups.yaml:2:11: job_groups.often.cron: '* * * * *' ticks more often than every "
            "5 minutes, which is the least there is between two runs of a group: "
            "write '*/5 * * * *'"
        ),
        "job_groups.yaml:3:11: job_groups.never.cron: The cron '61 * * * *' can't be used: "
        + wrong("job_groups: {never: {cron: '61 * * * *'}}")[0].split("used: ")[1],
    ]


def test_a_tick_that_is_missed_is_said() -> None:
    assert wrong('job_groups:\n  late: {cron: "@daily", nodes: [hour, report, day, swiss]}') == [
        (
            "job_groups.yaml:2:34: job_groups.late.nodes[0]: db/s/hour is due by '0 * * * *', "
            "which the group's cron '0 0 * * *' does not have: the first tick that it would miss "
            "is 2026-03-01 12:00 UTC; give the group the cron '0 * * * *', or move the node"
        ),
        (
            "job_groups.yaml:2:40: job_groups.late.nodes[1]: db/s/report is due by '0 6 * * 1', "
            "which the group's cron '0 0 * * *' does not have: the first tick that it would miss "
            "is 2026-03-02 06:00 UTC; give the group the cron '0 * * * *', or move the node"
        ),
        (
            "job_groups.yaml:2:53: job_groups.late.nodes[3]: db/s/swiss is due by the time of "
            "Europe/Zurich, and the group ticks by that of UTC: groups have one time zone, so move "
            "the node to another"
        ),
    ]


def test_many_nodes_with_one_problem_are_counted() -> None:
    many = graph(*(node(f"n{at:02}", "@hourly") for at in range(15)))
    found = wrong("job_groups:\n  late:\n    cron: '@daily'\n    select: '*'", many)
    assert len(found) == 11
    assert found[-1].endswith("and 5 more nodes that its cron does not fit")


def test_the_first_missed_tick_may_be_a_night_in_which_the_clock_is_changed() -> None:
    zurich = "Europe/Zurich"
    half, night = Cron.parse("30 * * * *", zurich), Cron.parse("30 2 * * *", zurich)
    assert first_missed(half, night, NOW) == datetime(2026, 3, 29, 1, tzinfo=timezone.utc)
    leap = Cron.parse("0 0 29 2 *")
    assert first_missed(Cron.parse("0 0 1 * *"), leap, NOW) == datetime(
        2028, 2, 29, tzinfo=timezone.utc
    )
    assert first_missed(half, half, NOW) is None


def test_a_circle_is_printed_with_the_nodes_that_make_it() -> None:
    chain = graph(node("a"), node("b", "@daily", "a"), node("by_hand", None, "b"))
    chain = graph(*chain.nodes.values(), node("c", "@daily", "by_hand"))
    file = parsed(
        """
        job_groups:
          outer: {cron: "@daily", nodes: [a, c]}
          inner: {cron: "@daily", nodes: [b]}
        """
    )
    members = members_of(file, chain, {"p:a", "p:b", "p:c"})
    assert [str(each) for each in circular(file, members, chain)] == [
        (
            "job_groups.yaml:2:3: job_groups.outer: these groups wait for each other: outer -> "
            "inner -> outer, because db/s/b (inner) reads db/s/a (outer), and db/s/c (outer) is "
            "below db/s/b (inner); move one of these nodes, or make one group of them"
        )
    ]
