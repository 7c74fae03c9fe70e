"""The jobs `transform_pause` and `transform_resume`, and what waits meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.claims import Store
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from tests.support.grouped import grouped
from tests.support.scheduler import launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset

MIDNIGHT = utc("2026-11-03 00:00")
NEXT = "2026-11-03T01:10:00+00:00"
EVENTS, DAYS, AGAIN = "w/mart/events", "w/mart/days", "w/mart/again"
TICK = {"dagster/schedule_name": "s"}


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    transform = grouped(tmp_path, tags={"heavy": 2})
    transform.define(python_asset("picture", ["w", "mart", "again"]))
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture
def store(transform: Transform) -> Store:
    return open_claims(transform.instance, load_config(transform.folder))


def said(story: Story) -> dict[str, dict[str, Any]]:
    """Metadata of the observations, by key."""
    return {
        each.asset_key.to_user_string(): {
            name.rpartition("/")[2]: value.value for name, value in each.metadata.items()
        }
        for each in story.observations
    }


def test_a_paused_node_and_what_reads_it_wait_and_are_followed_up_once_it_is_resumed(
    transform: Transform, store: Store
) -> None:
    asked = {"nodes": [EVENTS], "reason": "bad input", "until": "2h", "by": "ann"}
    paused = transform.job("transform_pause", asked)
    assert paused.success
    (mine,) = said(paused).items()
    until = mine[1].pop("until")
    assert mine == (EVENTS, {"paused": True, "reason": "bad input", "by": "ann"})
    assert abs(until - datetime.now(timezone.utc).timestamp() - 7200) < 60
    # A run leaves it out, and what reads it; both say why.
    run = transform.run(tags=TICK, execution_time=NEXT)
    assert run.observed == {"events": ["claimed"], "days": ["waiting"], "again": ["waiting"]}
    for name in ("events", "days"):
        assert "ann has paused it since" in run.reason(name)
        assert "(bad input)" in run.reason(name)
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30))
        scheduler.look(MIDNIGHT)
        scheduler.sense(MIDNIGHT + timedelta(seconds=30))
        assert [run.job_name for run in scheduler.runs() if run.tags.get("dagster/run_key")] == []
        skipped = {
            group: str(scheduler.ticks(f"{group}_schedule")[0].skip_reason)
            for group in ("hourly", "daily", "hourly_2")
        }
        assert f"{EVENTS}: paused by ann since" in skipped["hourly"]
        assert f"waits for {EVENTS} of job group hourly" in skipped["daily"]
        assert f"waits for {DAYS} of job group daily" in skipped["hourly_2"]
        resumed = transform.job("transform_resume", {"nodes": ["mart.events"], "by": "bob"})
        assert said(resumed) == {EVENTS: {"paused": False, "reason": "bad input", "by": "bob"}}
        assert store.holders() == []
        built = []
        for seconds in (60, 90, 120):
            scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
            run = scheduler.runs()[-1]
            assert scheduler.execute(run).success
            built.append(launched(run))
        assert built == [{EVENTS}, {DAYS}, {AGAIN}]


def test_who_it_was_is_the_runs_user_and_never_made_up(transform: Transform, store: Store) -> None:
    job = transform.repository().get_job("transform_pause")

    def pause(**tags: str) -> str:
        config = {"nodes": [DAYS], "reason": "r", "by": "bob"} if tags else {
            "nodes": [DAYS], "reason": "r"
        }  # fmt: skip
        done = job.execute_in_process(
            {"ops": {"pause_transform": {"config": config}}}, transform.instance, tags=tags
        )
        assert done.success
        (holder,) = store.holders()
        return holder.run_id

    assert pause(user="ann") == "ann"
    assert pause(other="x") == "bob"
    assert pause() == ""


def test_a_selection_is_paused_and_resumed(transform: Transform, store: Store) -> None:
    asked = {"selection": f'key:"{DAYS}"+', "reason": "r"}
    paused = transform.job("transform_pause", asked)
    assert set(said(paused)) == {DAYS, AGAIN}
    assert "No nodes of the transform, passed over: picture" in paused.log
    assert len(store.holders()) == 2
    assert transform.job("transform_resume", {"selection": f'key:"{AGAIN}"'}).success
    assert [holder.resource_key.rpartition(".")[2][:10] for holder in store.holders()] == [
        "mart__days"
    ]


def test_an_environment_is_paused_with_its_nodes(transform: Transform, store: Store) -> None:
    """Ticks see nodes; plans see the environment. What was paused before stays paused after."""
    transform.job("transform_pause", {"nodes": [DAYS], "reason": "before", "by": "ann"})
    paused = transform.job("transform_pause", {"environments": ["p"], "reason": "move"})
    assert set(said(paused)) == {EVENTS, AGAIN}
    kinds = sorted(holder.resource_key.kind.value for holder in store.holders())
    assert kinds == ["environment", "table", "table", "table"]
    resumed = transform.job("transform_resume", {"environments": ["p"]})
    assert set(said(resumed)) == {EVENTS, AGAIN}
    assert [holder.reason for holder in store.holders()] == ["before"]


def test_a_paused_concurrency_tag_is_seen_on_its_nodes(tmp_path: Path) -> None:
    models = {"mart.big": "kind FULL, tags (heavy)\n---\nSELECT 1 AS n"}
    transform = grouped(tmp_path, models=models, file="job_groups: {}", tags={"heavy": 1})
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    paused = transform.job("transform_pause", {"nodes": ["tag:heavy"], "reason": "r"})
    assert set(said(paused)) == {"w/mart/big"}
    transform.close()


def test_what_can_not_be_is_refused_as_a_whole(transform: Transform, store: Store) -> None:
    some: dict[str, Any] = {"nodes": [EVENTS], "reason": "r"}
    for job, asked, message in (
        ("pause", {**some, "reason": " "}, "reason is empty"),
        ("pause", {"reason": "r"}, "Paused now: nothing"),
        ("pause", {**some, "nodes": [EVENTS, "mart.day"]}, "Did you mean"),
        ("pause", {**some, "until": "2001-01-01"}, "is over"),
        ("pause", {"selection": "key:nowhere", "reason": "r"}, "Neither nodes"),
        ("pause", {"selection": "((", "reason": "r"}, "selection: Invalid selection"),
        ("pause", {"environments": ["q"], "reason": "r"}, "There is no project 'q'"),
        ("resume", {"nodes": [EVENTS]}, "Nothing of it is paused"),
    ):
        done = transform.job(f"transform_{job}", asked)
        assert not done.success
        assert message in done.failure
        assert store.holders() == []
        assert done.observations == []


def test_with_sensors_off_ticks_and_people_claim_and_release(
    transform: Transform, store: Store
) -> None:
    with scheduler_of(transform) as scheduler:  # its sensors are switched off
        scheduler.start(MIDNIGHT - timedelta(minutes=30))
        scheduler.look(MIDNIGHT)
        runs = scheduler.runs()
        assert len(runs) == 3
        for run in sorted(runs, key=lambda run: [EVENTS, DAYS, AGAIN].index(*launched(run))):
            assert scheduler.execute(run).success
    by_hand = transform.run(["mart.events"], execution_time=NEXT)
    assert by_hand.materialized == ["events"]
    assert store.holders() == []
    assert store.expired() == []
    events = [e for e in store.events() if str(e.resource_key).startswith("table:")]
    tables = {event.resource_key for event in events}
    granted = [e.resource_key for e in events if e.kind == "granted"]
    released = [e.resource_key for e in events if e.kind == "released"]
    assert len(tables) == 3
    assert sorted(granted) == sorted(released)
    assert len(granted) == 4  # one a tick's run, and one more by hand


def test_the_form_is_shown_in_the_launchpad(transform: Transform) -> None:
    (op,) = transform.repository().get_job("transform_pause").nodes
    fields = op.definition.config_schema.config_type.fields
    assert [name for name, field in fields.items() if field.is_required] == ["reason"]
    assert all(field.description for field in fields.values())
