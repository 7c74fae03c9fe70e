"""Job groups of a few nodes, and what is known of them at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from dagster_transform.graph import NodeId
from dagster_transform.planning.follow_up import Owed
from dagster_transform.planning.situation import Scheduled
from tests.support.job_group_graphs import graph, group, node, plan

MIDNIGHT = datetime(2026, 11, 3, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def scheduled() -> Scheduled:
    """`a` and then `b` hourly; daily `c` reads `a`, `d` nothing, `e` reads `d` through `x`, which
    nobody schedules, and `f` reads `e`."""
    found = graph(
        node("a", "@hourly"), node("b", "@hourly", "a"), node("c", "@daily", "a"),
        node("d"), node("x", None, "d"), node("e", "@daily", "x"), node("f", "@daily", "e"),
    )  # fmt: skip
    groups = plan(
        group("hourly", "@hourly", "a", "b"), group("daily", "@daily", "c", "d", "e", "f")
    )
    return Scheduled.of(groups, found, lambda unit: unit.removeprefix("p:"))


def ids(names: Iterable[str]) -> tuple[NodeId, ...]:
    return tuple(NodeId(f"p:{name}") for name in names)  # type: ignore[arg-type]


def names(found: Iterable[NodeId]) -> str:
    return "".join(each.removeprefix("p:") for each in found)


def owed(
    name: str,
    tick: datetime = MIDNIGHT,
    *,
    job_group: str = "daily",
    since: datetime = MIDNIGHT,
    launched: str | None = None,
) -> Owed:
    (found,) = ids(name)
    return Owed(job_group, found, tick, 0, since, "because", launched)
