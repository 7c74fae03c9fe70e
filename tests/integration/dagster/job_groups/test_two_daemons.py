"""Two daemons that evaluate the ticks of one moment side by side."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform.dagster.schedules import one_at_a_time, ticks
from tests.support.grouped import grouped
from tests.support.scheduler import launch_scheduled_runs, scheduler_of
from tests.support.sqlmesh_projects import utc

HOURS = 2


def slowed(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The same, on a slow machine."""

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return function(*args, **kwargs)

    return slow


def test_a_tick_of_two_daemons_launches_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that both decide before either has noted it, and both look for a run before either has
    # made one, unless something holds the second one back.
    monkeypatch.setattr(ticks, "read_known", slowed(ticks.read_known, 0.5))
    create = launch_scheduled_runs.__globals__["_create_scheduler_run"]
    monkeypatch.setitem(
        launch_scheduled_runs.__globals__, "_create_scheduler_run", slowed(create, 1.5)
    )
    transform = grouped(tmp_path)
    transform.prepare()
    with scheduler_of(transform, sensors=False) as scheduler:
        scheduler.start(utc("2026-11-02 19:30"), "hourly_schedule", "hourly_2_schedule")
        for hour in range(HOURS):
            now = utc("2026-11-02 20:00") + timedelta(hours=hour)
            scheduler.look_by_two(now)
        launched = Counter(
            (run.tags["dagster_transform/job_group"], run.tags["dagster_transform/tick"])
            for run in scheduler.runs()
        )
        assert len(launched) == 2 * HOURS
        assert set(launched.values()) == {1}
    transform.close()


@pytest.mark.parametrize("made", [True, False])
def test_who_asks_second_waits_for_the_run_of_the_first(
    monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    monkeypatch.setattr(one_at_a_time, "PATIENCE", 2.0)
    tick = utc("2026-11-02 20:00")
    tags = {"dagster_transform/job_group": "g", "dagster_transform/tick": tick.isoformat()}
    with dg.DagsterInstance.ephemeral() as instance:

        def make() -> Any:
            return instance.create_run_for_job(dg.job(name="j")(lambda: None), tags=tags)

        one_at_a_time.wait_for_run(instance, "g", tick)  # nobody has decided it here
        began = time.monotonic()
        one_at_a_time.note_decided("g", tick)
        one_at_a_time.wait_for_run(instance, "g", tick + timedelta(hours=1))
        assert time.monotonic() - began < 0.4
        if made:
            threading.Timer(0.3, make).start()
        one_at_a_time.wait_for_run(instance, "g", tick)
        waited = time.monotonic() - began
        assert (0.3 <= waited < 1.9) if made else waited >= 2.0
