"""Dagster's own scheduler and sensor daemon over a transform, at times that a test says; what they
launch stays in the queue."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.events import JobFailureData
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.test_utils import (
    InProcessTestWorkspaceLoadTarget,
    create_test_daemon_workspace_context,
    freeze_time,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_shared.record import copy

from tests.support.stories import Story
from tests.support.transforms import Transform

QUEUE = (
    "telemetry: {enabled: false}\n"
    "run_coordinator:\n"
    "  module: dagster._core.run_coordinator\n"
    "  class: QueuedRunCoordinator\n"
)

OF_A_JANITOR = "_janitor_schedule"
WATCHING = ("_environment_sensor", "_artifacts_sensor")


def own_schedules(repository: Any) -> list[dg.ScheduleDefinition]:
    """The schedules of a code location but those of janitors, which every SQLMesh project has."""
    return [s for s in repository.schedule_defs if not s.name.endswith(OF_A_JANITOR)]


class Scheduler:
    """The scheduler of a daemon that looks when it is told to.

    Args:
        transform: Whose schedules.
        process: The workspace.
    """

    def __init__(self, transform: Transform, process: Any) -> None:
        self._transform = transform
        self._process = process
        self._iterations: dict[str, Any] = {}

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._transform.instance

    @property
    def process(self) -> Any:
        """The daemon's workspace."""
        return self._process

    def _repository(self) -> Any:
        context = self._process.create_request_context()
        (name,) = context.code_location_names
        (repository,) = context.get_code_location(name).get_repositories().values()
        return repository

    def schedules(self) -> dict[str, Any]:
        """By name; not those of janitors, which no test of job groups starts."""
        found = {schedule.name: schedule for schedule in self._repository().get_schedules()}
        return {name: each for name, each in found.items() if not name.endswith(OF_A_JANITOR)}

    def sensors(self) -> dict[str, Any]:
        return {sensor.name: sensor for sensor in self._repository().get_sensors()}

    def stop_sensors(self, *endings: str) -> None:
        """Switch sensors off: all, or those whose names end so."""
        for sensor in self.sensors().values():
            if endings and not sensor.name.endswith(endings):
                continue
            self.instance.stop_sensor(sensor.get_remote_origin_id(), sensor.selector_id, sensor)

    def sense(self, now: datetime) -> None:
        """Evaluate the sensors whose interval is over by now, and launch what they ask for."""
        with freeze_time(now):
            logger = logging.getLogger("sensors")
            for _ in execute_sensor_iteration(self._process, logger, None, None):
                pass

    def look_at_sensor(self, name: str) -> str | None:
        """Evaluate a sensor as the UI's button does; why it asks for nothing."""
        context = self._process.create_request_context()
        (location,) = [context.get_code_location(each) for each in context.code_location_names]
        data = location.get_sensor_execution_data(
            self.instance, self._repository().handle, name, None, None, None, None, None
        )
        return data.skip_message

    def sensor_ticks(self, name: str = "transform_sensor") -> list[InstigatorTick]:
        """The evaluations of a sensor, oldest first."""
        sensor = self.sensors()[name]
        found = self.instance.get_ticks(sensor.get_remote_origin_id(), sensor.selector_id)
        return list(reversed(list(found)))

    def start(self, now: datetime, *names: str) -> None:
        """Switch schedules on; all, if none is named."""
        with freeze_time(now):
            for name, schedule in self.schedules().items():
                if not names or name in names:
                    self.instance.start_schedule(schedule)

    def look(self, now: datetime) -> None:
        """Evaluate and launch what has become due by now."""
        with freeze_time(now):
            for _ in launch_scheduled_runs(
                self._process, logging.getLogger("scheduler"), now, self._iterations
            ):
                pass

    def look_by_two(self, now: datetime) -> None:
        """Evaluate and launch, by two daemons at once that know nothing of each other."""

        def look() -> None:
            for _ in launch_scheduled_runs(self._process, logging.getLogger("two"), now, {}):
                pass

        with freeze_time(now):
            both = [threading.Thread(target=look) for _ in range(2)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()

    def look_each(self, start: datetime, end: datetime, every: timedelta) -> None:
        """Look again and again, from a moment up to another."""
        now = start
        while now <= end:
            self.look(now)
            now += every

    def forget(self) -> None:
        """What the daemon has in memory, as a restart does."""
        self._iterations.clear()

    def runs(self) -> list[dg.DagsterRun]:
        """What was launched, oldest first."""
        return list(reversed(list(self.instance.get_runs())))

    def begin(self, run: dg.DagsterRun) -> None:
        """Let Dagster believe that a run has started; nothing executes it."""
        self._report(run, dg.DagsterEventType.RUN_STARTING)
        self._report(run, dg.DagsterEventType.RUN_START)

    def lose(self, run: dg.DagsterRun) -> None:
        """Let Dagster find out that the process of a run has died."""
        self._report(run, dg.DagsterEventType.RUN_FAILURE)

    def _report(self, run: dg.DagsterRun, event_type: dg.DagsterEventType) -> None:
        data = JobFailureData(error=None) if event_type is dg.DagsterEventType.RUN_FAILURE else None
        event = dg.DagsterEvent(
            event_type_value=event_type.value, job_name=run.job_name, event_specific_data=data
        )
        self.instance.report_dagster_event(event, run_id=run.run_id)

    def execute(self, run: dg.DagsterRun, **options: Any) -> Story:
        """Take a run out of the queue and execute it, in this process; with further run options."""
        self._report(run, dg.DagsterEventType.RUN_STARTING)
        starting = self.instance.get_run_by_id(run.run_id)
        assert starting is not None
        if options:
            config = {"resources": {"transform": {"config": options}}}
            starting = copy(starting, run_config=config)
        return self._transform.execute(starting)

    def ticks(self, name: str) -> list[InstigatorTick]:
        """The ticks of a schedule, oldest first."""
        schedule = self.schedules()[name]
        found = self.instance.get_ticks(schedule.get_remote_origin_id(), schedule.selector_id)
        return list(reversed(list(found)))


@contextmanager
def scheduler_of(
    transform: Transform, *, sensors: bool = False, watching: bool = False
) -> Iterator[Scheduler]:
    """A daemon's scheduler, with the code location as its files are now; its sensors are switched
    off unless a test asks for them, and those that watch what is done outside of Dagster unless it
    asks for these: builds have real times, whatever time a test says it is."""
    (transform.home / "dagster.yaml").write_text(QUEUE, encoding="utf-8")
    sys.modules.pop(transform.module.stem, None)
    origin = LoadableTargetOrigin(
        executable_path=sys.executable,
        python_file=str(transform.module),
        attribute="defs",
        working_directory=str(transform.folder),
    )
    target = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin))
    with create_test_daemon_workspace_context(target, transform.instance) as process:
        scheduler = Scheduler(transform, process)
        if not sensors:
            scheduler.stop_sensors()
        elif not watching:
            scheduler.stop_sensors(*WATCHING)
        yield scheduler


def launched(run: dg.DagsterRun) -> set[str]:
    """The assets that a run selects."""
    return {key.to_user_string() for key in run.asset_selection or ()}
