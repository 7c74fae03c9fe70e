"""Runs that are killed at random, and the runs after them: what the killing and the looking takes.

A run is `dagster asset materialize` in a process of its own: that process is the run worker, and
dbt's process is its child.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml
from dagster import DagsterEventType as Kind
from dagster import DagsterInstance

from tests.support.killed_projects import DBT, SQLMESH, audited_by, sqlmesh_models, tested_by
from tests.support.sqlmesh_projects import Database, utc
from tests.support.stories import OUTCOME, Story
from tests.support.told_builds import BACKFILLED, CHECKED, MATERIALIZED, Asked, Built, Told
from tests.support.transforms import Transform
from tests.support.waiting import until

FIRST = utc("2024-03-04 10:30")
LONGEST = 240
"""Seconds that a run may take on a busy machine."""
_TELLING = "'ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_CHECK_EVALUATION'"


@dataclass
class Kill:
    """How and when a run was killed, for people."""

    how: str
    run: str = ""
    plans: bool = False
    in_time: bool = False
    builds: int = 0
    told: int = 0
    untold: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        kind = "a plan" if self.plans else "a run"
        return (
            f"{kind} {self.run[:8]} killed {self.how}: {self.builds} builds, {self.told} events, "
            f"{len(self.untold)} built and not told then"
        )


class Killed:
    """A transform whose runs are killed, one after the other.

    Attributes:
        now: The execution time; it goes on by a day with each kill.
        version: Of SQLMesh's models.
        told: What Dagster was told in all runs.
        asked: How often checks have run, by run; PostgreSQL only.
    """

    def __init__(self, transform: Transform, database: Database, chance: random.Random) -> None:
        self.transform = transform
        self.database = database
        self.chance = chance
        self.now: datetime = FIRST
        self.version = 0
        self.told: list[Told] = []
        self.asked: list[Asked] = []
        self.took = 10.0
        self._seen: set[str] = set()

    # -- one run ----------------------------------------------------------------------------------

    def go_on(self, *, change: bool) -> None:
        """A day passes, and models may have been changed."""
        self.now += timedelta(days=1)
        if change:
            self.version += 1
            project = self.transform.projects[0]
            for name, text in sqlmesh_models(self.database, self.version).items():
                project.model(name, text)
            self.transform.prepare()

    def start(self, **options: Any) -> subprocess.Popen[bytes]:
        """A run of all that there is, as the command line launches it."""
        config = {"execution_time": self.now.isoformat(), "on_claimed": "wait", **options}
        text = yaml.safe_dump({"resources": {"transform": {"config": config}}})
        folder = self.transform.folder
        (folder / "run.yaml").write_text(text, encoding="utf-8")
        with (folder / "run.log").open("wb") as log:
            return subprocess.Popen(
                [
                    sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*",
                    "-f", str(self.transform.module), "-a", "defs", "-d", str(folder),
                    "-c", "run.yaml",
                ],
                cwd=folder, env=self.transform.environment(), stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, change: bool, **options: Any) -> Kill:
        """Start a run and kill it at a moment that chance chooses; nothing of it is left then."""
        counted, began = self._counted(), time.time()
        kill = Kill(f"{began:.0f}", plans=change)
        process = self.start(**options)
        children: list[psutil.Process] = []
        try:
            kill.how = self._wait_for_the_moment(process)
            kill.in_time = process.poll() is None
            children = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            pass
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, f"{kill}: processes are left: {alive}"
        story = self._story()
        if story is not None:
            kill.run = story.run_id
            if kill.in_time and self.chance.random() < 0.5:  # as the run monitor does, or too early
                run = self.instance.get_run_by_id(story.run_id)
                assert run is not None
                if not run.is_finished:
                    self.instance.report_run_failed(run)
            told = list(told_by(story))
            kill.told = len(told)
            self._note(story, told, counted)
        kill.builds = sum(at >= began for built in self.builds().sure.values() for at in built)
        return kill

    def finish(self, **options: Any) -> Story:
        """The next run of the same, to its end."""
        counted, began = self._counted(), time.monotonic()
        process = self.start(**options)
        try:
            process.wait(LONGEST)
        finally:
            process.kill()
            process.wait()
        self.took = time.monotonic() - began
        story = self._story()
        said = (self.transform.folder / "run.log").read_text(encoding="utf-8")
        assert story is not None, said[-5000:]
        assert story.success, f"run {story.run_id} after a kill has failed:\n{said[-5000:]}"
        self._note(story, list(told_by(story)), counted)
        return story

    # -- when -------------------------------------------------------------------------------------

    def _wait_for_the_moment(self, process: subprocess.Popen[bytes]) -> str:
        """Wait until it is time to kill; why it is, in words."""
        how = self.chance.choice(["clock", "event", "event", "build"])
        if how == "build" and self.database.dialect == "duckdb":
            how = "event"  # nobody else can look into the file
        pause = self.chance.uniform(0, 0.06)
        if how == "clock":
            seconds = self.chance.uniform(1.5, self.took)
            with_time = time.monotonic() + seconds
            until(lambda: process.poll() is not None or time.monotonic() > with_time, how, LONGEST)
            return f"after {seconds:.2f} s"
        most = len(SQLMESH) + len(DBT)
        number = self.chance.randint(1, most if how == "build" else 2 * most)
        before = self._number_of_builds() if how == "build" else 0

        def reached() -> bool:
            found = self._number_of_builds() if how == "build" else self._events_of_this_run()
            return process.poll() is not None or found - before >= number

        until(reached, f"{how} {number}", LONGEST)
        time.sleep(pause)
        return f"{pause * 1000:.0f} ms after {how} {number}"

    def _number_of_builds(self) -> int:
        ((count,),) = self.database.rows("SELECT COUNT(*) FROM log.builds")
        return int(count)

    def _events_of_this_run(self) -> int:
        """Events that say something of an asset, in the run that was created last."""
        new = [p for p in self._files() if p.stem not in self._seen]
        if not new:
            return 0
        try:
            with closing(sqlite3.connect(f"file:{new[0]}?mode=ro", uri=True)) as connection:
                ((count,),) = connection.execute(
                    f"SELECT COUNT(*) FROM event_logs WHERE dagster_event_type IN ({_TELLING})"
                )
                return int(count)
        except sqlite3.OperationalError:  # it is being made
            return 0

    def _files(self) -> list[Path]:
        folder = self.transform.home / "history" / "runs"
        return [p for p in folder.glob("*.db") if len(p.stem) == 36]

    # -- what came of it --------------------------------------------------------------------------

    @property
    def instance(self) -> DagsterInstance:
        return self.transform.instance

    def _story(self) -> Story | None:
        """The run that was begun last; None: the process was killed before it created one."""
        new = [run.run_id for run in self.instance.get_runs() if run.run_id not in self._seen]
        if not new:
            return None
        (run_id,) = new
        self._seen.add(run_id)
        return self.transform.story(run_id)

    def _note(self, story: Story, told: list[Told], counted: Mapping[str, int]) -> None:
        self.told += told
        if counted:
            found = {check: n - counted[check] for check, n in self._counted().items()}
            self.asked.append(Asked(story.run_id, found))

    def _counted(self) -> dict[str, int]:
        """How often each check has asked the database; empty where it does not count."""
        if self.database.dialect == "duckdb":
            return {}
        by_sequence = {
            **{audited_by(model): model for model in SQLMESH},
            **{tested_by(model): model for model in DBT},
        }
        found = self.database.rows(
            "SELECT sequencename, COALESCE(last_value, 0) FROM pg_sequences "
            "WHERE schemaname = 'log'"
        )
        return {f"{by_sequence[name]}:{name}": int(value) for name, value in found}

    def builds(self) -> Built:
        """When each model was built, as the database has noted it."""
        sure: dict[str, list[float]] = {}
        maybe: dict[str, list[float]] = {}
        for model, moment, stage in self.database.rows("SELECT * FROM log.builds"):
            (maybe if stage == "creating" else sure).setdefault(model, []).append(float(moment))
        return Built(sure, maybe)

    def checks(self) -> dict[str, set[str]]:
        """The checks of each model, by the names that Dagster has for them."""
        graph = self.transform.repository().asset_graph
        found: dict[str, set[str]] = {}
        for key in graph.asset_check_keys:
            model = key.asset_key.path[-1]
            found.setdefault(model, set()).add(f"{model}:{key.name}")
        return found


def told_by(story: Story) -> Iterator[Told]:
    """What a run told of builds and checks."""
    for record in story.records:
        entry = record.event_log_entry
        event = entry.dagster_event
        if event is None:
            continue
        run, at, data = story.run_id, entry.timestamp, event.event_specific_data
        if event.event_type is Kind.ASSET_MATERIALIZATION:
            outcome = data.materialization.metadata.get(OUTCOME)
            note = "" if outcome is None else str(outcome.value)
            yield Told(at, MATERIALIZED, event.asset_key.path[-1], run, note)
        elif event.event_type is Kind.ASSET_OBSERVATION:
            outcome = str(data.asset_observation.metadata[OUTCOME].value)
            if outcome == BACKFILLED:
                yield Told(at, BACKFILLED, event.asset_key.path[-1], run)
        elif event.event_type is Kind.ASSET_CHECK_EVALUATION:
            about = f"{data.asset_key.path[-1]}:{data.check_name}"
            yield Told(at, CHECKED, about, run, "passed" if data.passed else "failed")
