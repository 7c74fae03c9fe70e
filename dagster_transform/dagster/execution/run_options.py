"""Run options: what a person or a schedule can ask of one run, on the `transform` resource.

They live on a resource and not in op config, because Dagster splits the op where a Python asset
stands between two models, and config given to the first half would not reach the second.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from dagster_transform.config import DbtProject, TransformConfig, path_from
from dagster_transform.dagster.execution.check_options import CheckOptions
from dagster_transform.dbt import KEPT_RUNS
from dagster_transform.planning import DEFAULT_MODELS, Limits
from dagster_transform.runs.lifetime import RunLifetime

if TYPE_CHECKING:  # what only a run needs is not imported where definitions load
    from dagster_transform.runs.options import DbtRunOptions, RunOptions
    from dagster_transform.sqlmesh import Restatement

_TICK_TAGS = ("dagster/schedule_name", "dagster/sensor_name", "dagster/from_automation_condition")
_CONCURRENCY_VARIABLE = "MAX_CONCURRENT_MODELS"


class PlanOption(Enum):
    """Whether a run may apply a plan; the members are named as one writes them in run config."""

    never = "never"
    auto = "auto"


class UpstreamsOption(Enum):
    """What becomes of upstreams that are not selected and lack data."""

    hold = "hold"
    include = "include"


class ClaimedOption(Enum):
    """What becomes of nodes that another run is building."""

    skip = "skip"
    wait = "wait"


class DownstreamOption(Enum):
    """What becomes of nodes downstream of a restatement that are not selected."""

    refuse = "refuse"
    include = "include"
    leave = "leave"


class RestateOption(dg.Config):
    """A time over which the selected nodes are built anew, although they have it already."""

    start: str = Field(
        description="First day or moment: 2024-03-05, 2024-03-05 06:00:00, '3 days ago'; UTC."
    )
    end: str = Field(
        description="Last day (the whole of it) or moment at which it ends, written like start."
    )
    downstream: DownstreamOption = Field(
        default=DownstreamOption.refuse,
        description=(
            "Nodes that SQLMesh would restate too, downstream of the selected ones. refuse: build "
            "nothing and name them. include: build them anew too. leave: leave them as they are, "
            "and mark them as stale."
        ),
    )


class DbtOptions(dg.Config):
    """Options of a run's dbt projects; the names are those of `dbt build`."""

    # More than twelve attributes: each is a run option that people write, flat as in dbt.

    threads: int | None = Field(
        default=None, ge=1, description="Nodes at the same moment. Default: what the profile says."
    )
    full_refresh: bool = Field(
        default=False, description="Build incremental models and seeds from nothing."
    )
    vars: dict[str, Any] = Field(
        default={},
        description="Variables, over those that transform.yaml has for the project, and these over "
        "those of dbt_project.yml.",
    )
    defer: bool = Field(
        default=False,
        description="Let references to nodes that are not selected lead to what `state` has.",
    )
    state: str | None = Field(
        default=None,
        description="Folder of the manifest.json of another environment's run; a relative path "
        "begins in the folder of transform.yaml. Default: with defer, the project's `state` there.",
    )
    favor_state: bool = Field(
        default=False, description="With defer: also where this target has the relation."
    )
    empty: bool = Field(default=False, description="Build the relations without rows.")
    sample: str | None = Field(
        default=None, description="A time window that models read only: '3 days'."
    )
    node_timeout: float | None = Field(
        default=None, gt=0, description="Seconds that one node may take."
    )
    run_timeout: float | None = Field(
        default=None, gt=0, description="Seconds that all dbt nodes of a run may take together."
    )
    memory: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="A dbt process is started when less than this share of the memory is in use; "
        "else the run waits for it, and fails with a clear error.",
    )
    memory_wait: float = Field(
        default=60.0, ge=0, description="Seconds that a run waits until less memory is in use."
    )
    grace: float = Field(
        default=25.0,
        ge=0,
        description="Seconds that dbt has to end by itself when a run is cancelled.",
    )
    fetch_row_counts: bool = Field(
        default=False,
        description="Count the rows of what is built, except of views; nothing waits for it.",
    )
    fetch_columns: bool = Field(
        default=False,
        description="Read the columns of what is built from the database; nothing waits for it.",
    )
    fetch_column_lineage: bool = Field(
        default=False,
        description="Find out from the compiled SQL which columns the columns of what is built are "
        "computed from; nothing waits for it.",
    )
    kept_runs: int = Field(
        default=KEPT_RUNS, ge=1, description="Of how many runs dbt's artifacts are kept."
    )

    def options(self, root: Path) -> DbtRunOptions:
        """The options as values of dbt's side, which have the same names.

        Args:
            root: The folder of transform.yaml, which relative paths begin in.
        """
        from dagster_transform.dbt import BuildOptions, Measures, ProcessLimits
        from dagster_transform.runs.options import DbtRunOptions

        state = path_from(root, self.state) if self.state else None
        build = {f.name: getattr(self, f.name) for f in fields(BuildOptions)} | {"state": state}
        limits = {f.name: getattr(self, f.name) for f in fields(ProcessLimits)}
        measures = {f.name: getattr(self, f"fetch_{f.name}") for f in fields(Measures)}
        return DbtRunOptions(
            BuildOptions(**build),
            ProcessLimits(**limits),
            Measures(**measures),
            self.kept_runs,
        )


class TransformResource(dg.ConfigurableResource[None]):
    """Options of one run, for all projects of a transform.

    In the launchpad:

        resources: {transform: {config: {max_concurrent_models: 8, fail_fast: true}}}
    """

    # More than twelve attributes: each is a run option that people write.

    max_concurrent_models: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Models built at the same moment. Default: the environment variable "
            "MAX_CONCURRENT_MODELS, else transform.yaml, else 5 for SQLMesh's models while dbt "
            "follows the threads of its profile. A connection may allow fewer: DuckDB through "
            "SQLMesh builds one at a time."
        ),
    )
    fail_fast: bool = Field(
        default=False,
        description="After the first failure start nothing more, and cancel what runs.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        description="Retries of a model that failed transiently (a lock, say).",
    )
    retry_delay: float = Field(
        default=1.0, ge=0, description="Seconds before the first retry; doubled for each further."
    )
    ignore_cron: bool | None = Field(
        default=None,
        description=(
            "True: build all that is missing, and build selected FULL, VIEW and SEED models again. "
            "False: build what is due. Default: true for a person's run, false for a run that a "
            "schedule or sensor launched."
        ),
    )
    plan: PlanOption | None = Field(
        default=None,
        description=(
            "auto: where a project's files differ from its environment, plan, backfill and promote "
            "what is selected. never: build what the environment has. Default: transform.yaml."
        ),
    )
    skip_tests: bool = Field(
        default=False,
        description="Plan (plan: auto) without running the SQLMesh project's unit tests first.",
    )
    upstreams: UpstreamsOption = Field(
        default=UpstreamsOption.hold,
        description=(
            "hold: intervals that an upstream which is not selected still lacks are left out, so "
            "that nothing is built over data that is not there. include: such upstreams are built "
            "too."
        ),
    )
    restate: RestateOption | None = Field(
        default=None,
        description=(
            "Build the selected SQLMesh models anew over a time: {start: '2024-03-05', end: "
            "'2024-03-07', downstream: refuse}. Models that can only be built anew as a whole are. "
            "Files are not planned in such a run."
        ),
    )
    checks: CheckOptions = Field(
        default_factory=CheckOptions, description="When checks run, and what their failures mean."
    )
    check_concurrency: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Checks at the same moment. Default: transform.yaml, else what the connections allow: "
            "SQLMesh's concurrent_tasks, dbt's threads."
        ),
    )
    require_passing_checks: bool | None = Field(
        default=None,
        description=(
            "True: a node is not built while the latest result of a blocking check of what it "
            "reads is a failure, also one of another run. Default: transform.yaml."
        ),
    )
    dbt: DbtOptions = Field(
        default_factory=DbtOptions, description="Options of the dbt projects of the run."
    )
    on_claimed: ClaimedOption | None = Field(
        default=None,
        description=(
            "What becomes of nodes that another run is building. wait: build them when it is done, "
            "if there is something left to do. skip: leave them out, and what depends on them. "
            "Default: wait for a person's run, skip for a run that a schedule or sensor launched."
        ),
    )
    claim_wait: float = Field(
        default=900.0,
        ge=0,
        description=(
            "Seconds to wait, at most, for what another run holds: its nodes, a DuckDB file, an "
            "environment that is being planned. Then the run fails; what it could build is built."
        ),
    )
    execution_time: str | None = Field(
        default=None,
        description="The run's moment, as ISO 8601 with an offset, instead of now.",
    )

    # What the ops of one run share: with an executor that runs them in one process, this resource
    # lives as long as the run does.
    _lifetime: RunLifetime = PrivateAttr(default_factory=RunLifetime)

    @property
    def lifetime(self) -> RunLifetime:
        """The projects of the run, from its first op to its end."""
        return self._lifetime

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End what an op that never came should have ended: after_all, on-run-end, dbt's process.

        Dagster skips an op whose Python asset upstream has failed.
        """
        for problem in self._lifetime.end():
            if context.log is not None:
                context.log.error(str(problem))

    def run_options(self, config: TransformConfig, run_tags: Mapping[str, str]) -> RunOptions:
        """What is asked of a run, as a value.

        Args:
            config: Where the projects are.
            run_tags: Of the run: whether a person or a schedule has launched it.

        Raises:
            RunOptionError: An option can't be used.
        """
        from dagster_transform.runs.options import RunOptions, moment_of_run

        return RunOptions(
            moment=moment_of_run(self.execution_time),
            limits=self.limits(config),
            ignore_cron=self.ignores_cron(run_tags),
            plan_mode=self.plan.value if self.plan else None,
            skip_tests=self.skip_tests,
            upstreams=self.upstreams.value,
            restate=self._restatement(),
            checks=self.checks.options(),
            require_passing_checks=self.require_passing_checks,
            dbt=self.dbt.options(config.root),
        )

    def _restatement(self) -> Restatement | None:
        if self.restate is None:
            return None
        from dagster_transform.sqlmesh import Restatement

        return Restatement(self.restate.start, self.restate.end, self.restate.downstream.value)

    def limits(self, config: TransformConfig) -> Limits:
        """How the walk may go about it.

        Raises:
            RunOptionError: MAX_CONCURRENT_MODELS is not a number above 0.
        """
        models = self.max_concurrent_models or _from_environment() or config.max_concurrent_models
        # dbt's users have said in the profile how many threads there are.
        dbt = {n for n, project in config.projects.items() if isinstance(project, DbtProject)}
        return Limits(
            max_concurrent_models=models or DEFAULT_MODELS,
            unbounded=frozenset() if models else frozenset(dbt),
            max_concurrent_checks=self.check_concurrency or config.check_concurrency,
            fail_fast=self.fail_fast,
            retries=self.retries,
            retry_delay=self.retry_delay,
        )

    def ignores_cron(self, run_tags: Mapping[str, str]) -> bool:
        """Whether a run with these tags builds also what is not due."""
        return not is_tick(run_tags) if self.ignore_cron is None else self.ignore_cron

    def skips_claimed(self, run_tags: Mapping[str, str]) -> bool:
        """Whether a run with these tags leaves out what another run is building."""
        if self.on_claimed is not None:
            return self.on_claimed is ClaimedOption.skip
        return is_tick(run_tags)


def is_tick(run_tags: Mapping[str, str]) -> bool:
    """Whether a schedule or sensor launched the run that has these tags."""
    return any(tag in run_tags for tag in _TICK_TAGS)


def _from_environment() -> int | None:
    text = os.environ.get(_CONCURRENCY_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        from dagster_transform.runs.options import RunOptionError

        raise RunOptionError(
            f"{_CONCURRENCY_VARIABLE} is '{text}', which is not a number above 0.",
            remedy=f"Set {_CONCURRENCY_VARIABLE} to how many models may be built at once.",
        )
    return int(text)
