"""Evaluations of the sensors that watch what is done outside of Dagster, and what they tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dagster as dg

from dagster_transform.config import DbtProject, SqlmeshProject, load_config
from dagster_transform.dagster.definitions.loading import load_graphs
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform as Loaded
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dagster.watching.artifacts import Artifacts
from dagster_transform.dagster.watching.environment import EnvironmentWatch
from dagster_transform.dagster.watching.sensors import stamp_of
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import LOCATION, Transform

TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
MODELS = {
    "mart.days": "kind INCREMENTAL_BY_TIME_RANGE(time_column ds), start '{start}', cron '@daily'\n"
    "---\nSELECT @start_ds::date AS ds",
    "mart.last": "kind FULL, cron '@daily'\n---\nSELECT MAX(ds) AS ds FROM mart.days",
}
ADDED = "kind FULL, cron '@daily'\n---\nSELECT COUNT(*) AS n FROM mart.days"
_SQLMESH = "from sqlmesh.cli.main import cli; cli()"


def days_ago(days: int) -> datetime:
    """Noon of a day, UTC."""
    return TODAY - timedelta(days=days) + timedelta(hours=12)


def watched(folder: Path, database: Database, **settings: Any) -> Transform:
    """A transform of two models whose environment was planned three days ago, and prepared."""
    start = f"{days_ago(9):%Y-%m-%d}"
    models = {name: text.replace("{start}", start) for name, text in MODELS.items()}
    project = Project(folder / "p", database, models, start=start)
    transform = Transform(folder, [project], settings=settings or None)
    project.plan_natively(days_ago(3))
    transform.prepare()
    return transform


def shell(project: Project, *arguments: str) -> tuple[float, float]:
    """A command of sqlmesh as people type it; when it began and ended, in seconds since 1970."""
    began = datetime.now(timezone.utc).timestamp()
    done = subprocess.run(
        [sys.executable, "-c", _SQLMESH, *arguments],
        cwd=project.folder, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return began, datetime.now(timezone.utc).timestamp()


def loaded(folder: Path) -> Loaded:
    """What a code server has loaded of a transform."""
    config = load_config(folder)
    graph = load_graphs(config).graph
    translator = TransformTranslator(config.root)
    return Loaded(graph, config, keys_of(graph, translator), translator)


class Watch:
    """An environment sensor from the start of a code server to its end.

    Args:
        transform: Which transform.
        cursor: What the sensor has kept before.
    """

    def __init__(self, transform: Transform, cursor: str | None = None) -> None:
        made, self._transform = loaded(transform.folder), transform
        project = made.config.projects["p"]
        assert isinstance(project, SqlmeshProject)
        stamp = stamp_of(made.config.graph_path("p"))
        self.sensor = EnvironmentWatch("p", project, made, stamp)
        self.cursor = cursor

    def look(self) -> list[str]:
        """One evaluation; what it has said."""
        self.cursor, said = self.sensor.look(self._transform.instance, LOCATION, self.cursor)
        return said

    def look_until_written(self) -> list[str]:
        """As many evaluations as a new graph file takes; what all have said, the last first."""
        said = self.look()
        end = monotonic() + 120.0
        while any("is being written anew" in line for line in said):
            assert monotonic() < end, said
            sleep(0.2)
            said = [*self.look(), *(line for line in said if "being written" not in line)]
        return said


def look_at_artifacts(
    transform: Transform, name: str, cursor: str | None = None
) -> tuple[str | None, list[str]]:
    """One evaluation of an artifacts sensor: its cursor, and what it has said."""
    made = loaded(transform.folder)
    project = made.config.projects[name]
    assert isinstance(project, DbtProject)
    assert project.watch.folder is not None
    artifacts = Artifacts(name, project, project.watch.folder, made)
    store = open_claims(transform.instance, made.config)
    return artifacts.look(transform.instance, store, LOCATION, cursor)


def told(transform: Transform, key: Sequence[str]) -> list[dg.EventLogEntry]:
    """The materialisations of an asset, oldest first."""
    found = transform.instance.fetch_materializations(dg.AssetKey(list(key)), limit=100)
    return [record.event_log_entry for record in reversed(found.records)]


def metadata(entry: dg.EventLogEntry) -> dict[str, Any]:
    """Of a materialisation, without the package's prefix."""
    event = entry.asset_materialization
    assert event is not None
    return {k.removeprefix("dagster_transform/"): v.value for k, v in event.metadata.items()}
