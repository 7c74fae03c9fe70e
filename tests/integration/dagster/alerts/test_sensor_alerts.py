"""The transform's sensor tells of waits, and a tick that nobody looks after what it postpones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster._core.scheduler.instigation import TickStatus
from sqlalchemy import text

from dagster_transform.claims import WHOLE
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.sensors.alerts import tell_of_drift
from dagster_transform.graph import read_graph_file
from dagster_transform.planning.resource_keys import table_of
from tests.support.alert_servers import Inbox, http_server
from tests.support.grouped import MODELS, grouped
from tests.support.scheduler import Scheduler, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

MIDNIGHT = utc("2026-11-03 00:00")
OWNED = {
    **MODELS,
    "mart.events": MODELS["mart.events"].replace("kind FULL,", "kind FULL, owner 'ada@x.org',", 1),
}


@pytest.fixture
def pager() -> Iterator[Inbox]:
    with http_server() as inbox:
        yield inbox


@pytest.fixture
def bob() -> Iterator[Inbox]:
    """Gets what another owner has."""
    with http_server() as inbox:
        yield inbox


@pytest.fixture
def transform(
    tmp_path: Path, pager: Inbox, bob: Inbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Transform]:
    monkeypatch.setenv("PAGER_URL", f"{pager.url}/hook")
    monkeypatch.setenv("BOB_URL", f"{bob.url}/hook")
    monkeypatch.setenv("DAGSTER_WEBSERVER_URL", "https://dagster.example.com")
    channels: dict[str, Any] = {
        "pager": {"type": "webhook", "url": "${PAGER_URL}", "waiting_after": 0.001},
        "bob": {"type": "webhook", "url": "${BOB_URL}", "owners": ["bob"], "waiting_after": 0.001},
    }
    transform = grouped(
        tmp_path, models=OWNED, alerts={"channels": channels}, job_groups={"max_wait": 3600}
    )
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    yield transform
    transform.close()


def pause(transform: Transform) -> Any:
    store = open_claims(transform.instance, load_config(transform.folder))
    graph = read_graph_file(transform.graph_path(), "p").graph
    (node,) = [node for node in graph.nodes.values() if node.name == "mart.events"]
    key = table_of(node)
    assert key is not None
    store.pause(key, capacity=WHOLE, reason="bad input", by="ann")
    return lambda: store.resume(key)


def sense(scheduler: Scheduler, *seconds: int) -> None:
    for each in seconds:
        scheduler.sense(MIDNIGHT + timedelta(seconds=each))


def test_a_stuck_wait_is_told_once_to_its_owner_and_its_recovery_too(
    transform: Transform, pager: Inbox, bob: Inbox
) -> None:
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule")
        resume = pause(transform)
        scheduler.look(MIDNIGHT)
        sense(scheduler, 30, 60, 90, 120)
        (sent,) = pager.take()
        assert sent["title"] == "transform_sensor: 1 waits for long"
        (waiting,) = sent["waiting"]
        assert (waiting["name"], waiting["owners"]) == ("w/mart/events", ["ada@x.org"])
        assert "paused by ann" in waiting["reason"]
        assert (sent["sensor"], sent["run_id"]) == ("transform_sensor", None)
        assert sent["run_url"].startswith("https://dagster.example.com/locations/")
        assert sent["run_url"].endswith("/sensors/transform_sensor")
        resume()
        sense(scheduler, 150)
        assert scheduler.execute(scheduler.runs()[0]).success
        (sent,) = pager.take()
        assert sent["recovered"] == ["w/mart/events"]
        assert bob.sent == []


def test_what_is_given_up_is_told_once(transform: Transform, pager: Inbox) -> None:
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule")
        pause(transform)
        scheduler.look(MIDNIGHT)
        store: Any = open_claims(transform.instance, load_config(transform.folder))
        with store._database.engine.begin() as connection:  # two hours ago
            connection.execute(text("UPDATE dagster_transform_pending SET since = since - 7200"))
        sense(scheduler, 30, 60)
        (sent,) = pager.take()
        assert sent["title"] == "transform_sensor: 1 given up"
        assert "it has waited since" in sent["given_up"][0]["reason"]


def test_a_sensor_that_does_not_look_is_told_once_and_so_is_that_it_looks_again(
    transform: Transform, pager: Inbox
) -> None:
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule")
        sense(scheduler, -60)
        pause(transform)
        scheduler.look(MIDNIGHT)
        assert pager.take() == []
        for hours in (1, 2):
            scheduler.look(MIDNIGHT + timedelta(hours=hours))
        (sent,) = pager.take()
        assert sent["title"] == "transform_sensor: 1 failed"
        assert "it has not looked since 2026-11-02 23:59 UTC" in sent["failed"][0]["reason"]
        assert scheduler.ticks("hourly_schedule")[-1].status is TickStatus.SKIPPED
        sense(scheduler, 7300)
        assert pager.take()[0]["recovered"] == ["transform_sensor"]


def test_drift_is_told_once_until_all_fits_again(transform: Transform, pager: Inbox) -> None:
    config = load_config(transform.folder)
    store = open_claims(transform.instance, config)
    log = logging.getLogger("sensor")
    for lines in (["1 new (w/mart/later)"], ["1 new (w/mart/later)"], [], []):
        tell_of_drift(
            config, store, "p_environment_sensor", "here", project="p", lines=lines, log=log
        )
    first, second = pager.take()
    assert first["title"] == "p_environment_sensor: 1 has drifted"
    assert [each["reason"] for each in first["drift"]] == ["1 new (w/mart/later)"]
    assert second["recovered"] == ["p"]
