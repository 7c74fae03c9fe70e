"""Other assets that nodes read: they go along with a run, or they are waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dagster_transform.planning.follow_up import follow_up
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.owed_by_runs import LostRun, lost_work
from dagster_transform.planning.situation import ReadAsset, Situation
from dagster_transform.planning.tick_plan import TickPlan, plan_tick
from dagster_transform.planning.upstreams import along_with
from tests.support.ticking import HOUR, MIDNIGHT, ids, names, owed, scheduled

A, B, C, D, E, F = ids("abcdef")
DAILY, HOURLY = JobGroupName("daily"), JobGroupName("hourly")
OLD, NEW = MIDNIGHT - HOUR, MIDNIGHT + timedelta(seconds=5)


def asset(
    name: str, built_at: datetime | None = OLD, *reads: ReadAsset, **more: object
) -> ReadAsset:
    return ReadAsset(("py", name), built_at, goes_along=True, assets=reads, **more)  # type: ignore[arg-type]


def daily(*read_by_d: ReadAsset, followed_up: bool = True, **known: object) -> TickPlan:
    situation = Situation(read_assets={D: read_by_d}, **known)  # type: ignore[arg-type]
    return plan_tick(DAILY, (C, D, E, F), MIDNIGHT, situation, scheduled(), followed_up=followed_up)


def along(*read_by_d: ReadAsset) -> list[str]:
    return [key[-1] for key in along_with({D: MIDNIGHT}, {D: read_by_d})]


def test_what_goes_along_is_not_waited_for() -> None:
    assert daily(asset("x"), asset("y", None)).postponed == {}
    assert along(asset("x"), asset("y", None)) == ["x", "y"]


def test_what_is_there_for_the_tick_stays_and_so_does_what_is_above_it() -> None:
    assert along(asset("x", NEW, asset("raw"))) == []
    assert along(asset("x", MIDNIGHT)) == []
    assert along(asset("x", OLD, asset("raw"), asset("other", NEW))) == ["x", "raw"]


def test_the_last_tick_of_a_node_counts() -> None:
    ticks = {D: MIDNIGHT, E: OLD}
    read = {D: (asset("x"),), E: (asset("y"), asset("z", OLD - HOUR))}
    assert [key[-1] for key in along_with(ticks, read)] == ["x", "z"]


def test_what_somebody_is_about_to_materialise_is_waited_for() -> None:
    found = daily(asset("x", OLD, asset("raw", made_by="which run 7 is to materialise")))
    assert found.postponed[D] == "waits for py/raw, which run 7 is to materialise"
    assert names(found.launched) == "c"
    ready = asset("x", NEW, asset("raw", made_by="which run 7 is to materialise"))
    assert daily(ready).postponed == {}


def test_what_can_not_go_along_is_waited_for() -> None:
    found = daily(asset("x", OLD, replace(asset("raw"), goes_along=False)))
    assert found.postponed[D] == "waits for py/raw, not materialised since 2026-11-03 00:00 UTC"


def test_nodes_above_what_goes_along_are_waited_for() -> None:
    behind = {"launched_until": {HOURLY: MIDNIGHT - HOUR}}
    found = daily(asset("x", nodes=(B,)), **behind)
    assert found.postponed[D] == "waits for b of job group hourly, due at 2026-11-03 00:00 UTC"
    assert D not in daily(asset("x", NEW, nodes=(B,)), **behind).postponed
    assert D not in daily(asset("x", nodes=(C,))).postponed, "the run has an order of its own"


def test_where_nobody_follows_up_nothing_is_waited_for_and_the_rest_goes_along() -> None:
    read = (asset("x"), asset("y", made_by="which run 7 is to materialise"))
    assert daily(*read, followed_up=False).postponed == {}
    assert along(*read) == ["x"]


def test_one_look_takes_an_asset_along_once() -> None:
    shared = asset("x")
    situation = Situation(read_assets={A: (shared,), D: (shared,)})
    rows = [owed("a", job_group="hourly"), owed("d", since=MIDNIGHT + HOUR)]
    found = follow_up(rows, {}, situation, scheduled(), now=NEW + HOUR, max_wait=timedelta(days=1))
    assert [launch.job_group for launch in found.launches] == ["hourly"]
    assert list(found.waiting.values()) == [
        "waits for py/x, which goes along with job group hourly"
    ]
    assert found.launches[0].last_ticks == {A: MIDNIGHT}


def test_of_a_run_in_which_an_asset_failed_the_rest_is_owed() -> None:
    run = LostRun("r", "daily", MIDNIGHT, 0, (C, D, E), (), ("py/x",), (D, E))
    (row,), refused = lost_work(run, NEW)
    assert (row.node, row.reason, refused) == (C, "left out by run r, in which py/x failed", None)
