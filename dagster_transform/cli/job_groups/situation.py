"""What the commands of job groups work with: configuration, graph, and the file as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from dagster_transform.cli.graphs import Prepared
from dagster_transform.config import TransformConfig
from dagster_transform.config.job_group_file import JobGroupFile, read_job_group_file
from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.file import (
    LoadedJobGroups,
    WrittenJobGroups,
    as_written,
    load_job_groups,
    plan_without,
    with_empty_groups,
)
from dagster_transform.planning.job_groups.members import selections_of
from dagster_transform.planning.job_groups.settings import job_group_settings, not_in_environment
from dagster_transform.planning.job_groups.text import job_groups_text
from dagster_transform.planning.job_groups.values import JobGroupPlan, JobGroupSettings

ENVIRONMENT, FILES = "environment", "files"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a command works with.

    Attributes:
        config: What transform.yaml says.
        known: The projects, as their graph files have them.
        settings: What people want of job groups.
        file: The job group file; None: there is none yet.
        now: When the command was given, in UTC.
        durations: How long builds of nodes took, in seconds.
    """

    config: TransformConfig
    known: Prepared
    settings: JobGroupSettings
    file: JobGroupFile | None
    now: datetime
    durations: Mapping[NodeId, float] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The nodes of all projects."""
        return self.known.graph

    @classmethod
    def of(
        cls,
        config: TransformConfig,
        known: Prepared,
        *,
        ignore_file: bool = False,
        durations: Mapping[NodeId, float] | None = None,
    ) -> Situation:
        """The situation of a transform. Raises ConfigError: The file can't be read, or what
        transform.yaml pins is not there."""
        settings = job_group_settings(config, known.graph)
        now = datetime.now(timezone.utc)
        path = config.job_group_file
        there = path.exists() and not ignore_file
        file = read_job_group_file(path) if there else None
        return cls(config, known, settings, file, now, durations or {})

    def written(self) -> WrittenJobGroups | None:
        """What the file says, whether it can be or not; None: there is no file."""
        if self.file is None:
            return None
        return as_written(self.file, self.graph, self.settings, now=self.now)

    def loaded(self, file: JobGroupFile | None = None) -> LoadedJobGroups:
        """The job groups of the file, or of another one, as Dagster gets them; where there is no
        file, those that would be generated. Raises ConfigError."""
        file = file or self.file
        if file is None:
            return LoadedJobGroups(self.generated(ENVIRONMENT))
        return load_job_groups(
            file,
            self.graph,
            self.settings,
            now=self.now,
            durations=self.durations,
            left_out=not_in_environment(self.config, self.graph),
        )

    def generated(self, source: str) -> JobGroupPlan:
        """The job groups that `generate` makes: of the file's, what can stay.

        Args:
            source: Whether nodes that only the files have are in groups: `environment` or `files`.

        Raises:
            JobGroupError: What is pinned can't be.
        """
        left_out = not_in_environment(self.config, self.graph) if source == ENVIRONMENT else {}
        written = self.written()
        before = written.plan if written else None
        plan = plan_without(self.graph, self.durations, self.settings, before, left_out)
        if before is None:
            return plan
        # A group without nodes has what people have written of it, and its schedule's state.
        empty = tuple(group for group in before.groups if not group.nodes)
        return with_empty_groups(plan, replace(before, groups=empty))

    def text_of(self, plan: JobGroupPlan) -> str:
        """The file's text of job groups: those that it has come in its order, so that little
        changes."""
        if self.file is None:
            return job_groups_text(plan, self.graph)
        return job_groups_text(plan, self.graph, selections_of(self.file), list(self.file.entries))
