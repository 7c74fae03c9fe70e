from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from croniter import croniter

from dagster_transform.config.crons import is_cron
from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.crons import cron_of


def node(
    cron: Any = None, tags: tuple[str, ...] = (), after: Any = None, **more: Any
) -> dict[str, Any]:
    ours = {**({"cron": cron} if cron is not None else {}), **more}
    return {
        "unique_id": "model.p.m", "original_file_path": "models/m.sql", "tags": list(tags),
        "meta": {"dagster_transform": ours} if ours else {},
        "config": {"freshness": {"build_after": after} if after else None},
    }  # fmt: skip


def every(count: int, period: str) -> dict[str, Any]:
    return {"count": count, "period": period, "updates_on": "any"}


@pytest.mark.parametrize(
    ("found", "default", "cron"),
    [
        (node("15 6 * * 1-5", ("daily",), every(2, "hour")), "@weekly", "15 6 * * 1-5"),
        (node(None, ("x", "daily"), every(2, "hour")), "@weekly", "@daily"),
        (node(None, ("monthly", "hourly", "daily")), None, "@hourly"),
        (node(None, ("weekly",)), None, "@weekly"),
        (node(None, ("monthly",)), None, "@monthly"),
        (node(None, ("x",), every(2, "hour")), "@weekly", "0 */2 * * *"),
        (node(), "@weekly", "@weekly"),
        (node(), None, None),
        (node(after={"count": None, "period": None}), None, None),
    ],
)
def test_the_first_rule_that_applies_gives_the_cron(
    found: dict[str, Any], default: str | None, cron: str | None
) -> None:
    assert cron_of(found, default, None)[0] == cron


@pytest.mark.parametrize(
    ("count", "period", "cron"),
    [
        (1, "minute", "*/1 * * * *"),
        (7, "minute", "*/10 * * * *"),
        (30, "minute", "*/30 * * * *"),
        (45, "minute", "@hourly"),
        (61, "minute", "0 */2 * * *"),
        (1, "hour", "@hourly"),
        (5, "hour", "0 */6 * * *"),
        (12, "hour", "0 */12 * * *"),
        (13, "hour", "@daily"),
        (25, "hour", "0 0 */2 * *"),
        (1, "day", "@daily"),
        (3, "day", "0 0 */3 * *"),
        (7, "day", "@weekly"),
        (30, "day", "@monthly"),
    ],
)
def test_build_after_becomes_the_nearest_cron(count: int, period: str, cron: str) -> None:
    assert cron_of(node(after=every(count, period)), None, None)[0] == cron
    assert is_cron(cron)


@pytest.mark.parametrize(("period", "seconds"), [("minute", 60), ("hour", 3600)])
def test_within_a_month_no_cron_is_more_frequent_than_it_was_asked(
    period: str, seconds: int
) -> None:
    for count in range(1, 61):
        cron, _ = cron_of(node(after=every(count, period)), None, None)
        assert cron is not None
        ticks = croniter(cron, datetime(2024, 1, 1, tzinfo=timezone.utc))
        first, second = ticks.get_next(float), ticks.get_next(float)
        assert second - first >= count * seconds, (count, cron)


def test_the_zone_is_the_nodes_or_the_projects_and_goes_with_a_cron() -> None:
    assert cron_of(node("@daily"), None, "Asia/Tokyo") == ("@daily", "Asia/Tokyo")
    zurich = node("@daily", time_zone="Europe/Zurich")
    assert cron_of(zurich, None, "Asia/Tokyo") == ("@daily", "Europe/Zurich")
    assert cron_of(node(time_zone="Europe/Zurich"), "@daily", None) == ("@daily", "Europe/Zurich")
    assert cron_of(node(time_zone="Europe/Zurich"), None, None) == (None, None)


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"cron": "daily"}, "meta.dagster_transform.cron is 'daily'"),
        ({"cron": "* * * * * *"}, "a cron of five fields"),
        ({"cron": 5}, "meta.dagster_transform.cron is 5"),
        ({"time_zone": "Mars/Olympus"}, "meta.dagster_transform.time_zone is 'Mars/Olympus'"),
        ({"crom": "@daily"}, "meta.dagster_transform.crom"),
    ],
)
def test_what_is_not_understood_names_the_node(meta: dict[str, Any], told: str) -> None:
    with pytest.raises(NodeConfigError) as raised:
        cron_of(node(**meta), None, None)
    assert told in str(raised.value)
    assert "model.p.m (models/m.sql)" in str(raised.value)
