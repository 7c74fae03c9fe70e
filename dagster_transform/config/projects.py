"""The projects of transform.yaml, by framework."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from dagster_transform.config.checks import ProjectChecks, Timing, as_when
from dagster_transform.config.fields import (
    Cron,
    Folder,
    Folders,
    KeyPrefix,
    KeysByName,
    Model,
    OptionalFolder,
    OptionalPath,
    OptionalText,
    Shorthand,
    Text,
    Texts,
    TimeZone,
    Variables,
)


def _given(value: object) -> object:
    if value in ("", None):
        raise PydanticCustomError("cron", "must be a cron; schedule: stopped is for never")
    return value


class _Project(Model):
    """What projects of both frameworks have.

    Attributes:
        select: Which nodes are assets, in the framework's own selection syntax; empty: all.
        exclude: Which of these are not, likewise. What is left out and read is a source.
        key_prefix: Comes before the asset keys of all nodes, so that two projects may have the same
            files; keys of sources stay as they are.
        source_keys: Asset keys of sources by their name or relation: whose Python asset makes them.
        checks: When its checks run; a word alone is `when`.
        require_passing_checks: Whether a node is built only if the latest results of the blocking
            checks of what it reads are no failures, also those of other runs.
    """

    select: Texts = ()
    exclude: Texts = ()
    key_prefix: KeyPrefix = ()
    source_keys: KeysByName = Field(default_factory=dict)
    checks: Annotated[
        ProjectChecks,
        BeforeValidator(as_when),
        Shorthand({"enum": list(get_args(Timing))}, {"type": "null"}),
    ] = Field(default_factory=ProjectChecks)
    require_passing_checks: bool = False

    _MAKES_THE_GRAPH: ClassVar[tuple[str, ...]] = ("select", "exclude", "key_prefix", "source_keys")

    def graph_settings(self) -> Mapping[str, str]:
        """What the graph is made with and is not as by default: a digest of each value, by its key.
        With other values the graph is another one; they may be secret. Not `gateway` and `target`:
        what is prepared for one is run with another, and the run says where its tables are."""
        found = {name: getattr(self, name) for name in self._MAKES_THE_GRAPH}
        fields = type(self).model_fields
        return {
            name: _digest(value)
            for name, value in found.items()
            if value != fields[name].get_default(call_default_factory=True)
        }


class JanitorSchedule(Model):
    """When the janitor of a SQLMesh project runs.

    Attributes:
        cron: Its ticks; by default at a minute at which hardly anything else starts, since the
            janitor has the environment alone.
        time_zone: IANA name of the zone in which `cron` is meant; None is UTC.
        schedule: Whether the schedule runs from the start.
    """

    cron: Annotated[Cron, BeforeValidator(_given, json_schema_input_type=str)] = "17 3 * * *"
    time_zone: TimeZone = None
    schedule: Literal["stopped", "running"] = "stopped"


class Watch(Model):
    """The sensor of a project that watches what is done outside of Dagster.

    Attributes:
        sensor: Whether the sensor runs from the start.
        interval: How often it looks, in seconds; 5 at least.
    """

    sensor: Literal["stopped", "running"] = "running"
    interval: Annotated[int, Field(ge=5)] = 60


class WatchedEnvironment(Watch):
    """The same of a SQLMesh project.

    Attributes:
        prepare: Whether it writes the graph file anew after a plan, in the code server's container,
            which needs the memory that loading the project takes; else it says that it is to be.
    """

    prepare: bool = True


class WatchedFolder(Watch):
    """The same of a dbt project, which has no state: artifacts say what was done.

    Attributes:
        folder: Where run_results.json and manifest.json of invocations outside of Dagster are put,
            or folders with them; it need not exist. None: nothing is watched.
    """

    folder: OptionalPath = None


def _as_watched(value: object) -> object:
    """A folder alone stands for all that is as by default."""
    return {"folder": value} if isinstance(value, str | Path) else value


class SqlmeshProject(_Project):
    """A SQLMesh project.

    Attributes:
        path: Its folder or folders (SQLMesh runs several as one); absolute in a loaded config.
        environment: The environment that runs target.
        gateway: A gateway of the project's config; None is its default one.
        plan: Whether a run may apply a plan by itself.
        column_lineage: Whether `prepare` finds out what each column is computed from.
        catalog_in_key: Whether asset keys are `[catalog, schema, model]`; else `[schema, model]`.
        janitor: When its janitor runs.
        watch: The sensor that watches its environment.
    """

    framework: Literal["sqlmesh"]
    path: Folders
    environment: Text = "prod"
    gateway: OptionalText = None
    plan: Literal["never", "auto"] = "never"
    column_lineage: bool = True
    catalog_in_key: bool = True
    janitor: JanitorSchedule = Field(default_factory=JanitorSchedule)
    watch: WatchedEnvironment = Field(default_factory=WatchedEnvironment)

    _MAKES_THE_GRAPH = (*_Project._MAKES_THE_GRAPH, "catalog_in_key")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders of the project."""
        return self.path


class DbtProject(_Project):
    """A dbt project.

    Attributes:
        path: The folder of dbt_project.yml; absolute in a loaded config.
        target: A target of its profile; None is the profile's default one.
        profiles_dir: The folder of profiles.yml; None leaves the search to dbt, which begins in the
            project's folder.
        vars: dbt variables, over those of dbt_project.yml: of `prepare` and of every run.
        state: The folder of another environment's manifest.json, for runs with `defer` and for
            `state:` in `select` and `exclude`.
        cron: When a node is due that says nothing of its own about it; None: no schedule.
        time_zone: IANA name of the zone in which the crons of the project are meant; None is UTC.
        watch: The folder of artifacts that is watched; a text alone is `folder`.
    """

    framework: Literal["dbt"]
    path: Folder
    target: OptionalText = None
    profiles_dir: OptionalFolder = None
    vars: Variables = Field(default_factory=dict)
    state: OptionalPath = None
    cron: Cron = None
    time_zone: TimeZone = None
    watch: Annotated[WatchedFolder, BeforeValidator(_as_watched), Shorthand({"type": "string"})] = (
        Field(default_factory=WatchedFolder)
    )

    _MAKES_THE_GRAPH = (*_Project._MAKES_THE_GRAPH, "vars", "cron", "time_zone")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders of the project."""
        return (self.path,)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
