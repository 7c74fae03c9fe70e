"""What is asked of one run, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from dagster_transform.dbt import KEPT_RUNS, BuildOptions, Measures, ProcessLimits
from dagster_transform.errors import TransformError
from dagster_transform.graph import CheckId, NodeId, When
from dagster_transform.planning import Limits
from dagster_transform.runs.check_failures import FailOn
from dagster_transform.sqlmesh import Restatement
from dagster_transform.sqlmesh.settings import PlanMode, Upstreams


class RunOptionError(TransformError):
    """A run option has a value that can't be used."""


@dataclass(frozen=True, slots=True)
class DbtRunOptions:
    """What is asked of a run's dbt projects.

    Attributes:
        build: Options of `dbt build`.
        limits: What its process may take of time and memory.
        measures: What is found out of each relation once it is built.
        kept_runs: Of how many runs the artifacts are kept.
    """

    build: BuildOptions = field(default_factory=BuildOptions)
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    measures: Measures = field(default_factory=Measures)
    kept_runs: int = KEPT_RUNS


@dataclass(frozen=True, slots=True)
class CheckRunOptions:
    """What is asked of a run's checks.

    Attributes:
        when: When they run; None: as each project says.
        blocking: The same of blocking ones, where it is another time.
        fail_on: Which results make the run fail; None: as each project says.
        between: Start and end, as people write them, over which SQLMesh's audits are run in a run
            that builds nothing; None: over all that was built.
        sample_rows: So many failing rows are stored of each failed check.
    """

    when: When | None = None
    blocking: When | None = None
    fail_on: FailOn | None = None
    between: tuple[str, str] | None = None
    sample_rows: int = 0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is asked of one run, for all projects of a transform.

    Attributes:
        moment: The run's execution time, aware.
        limits: How the walk may go about it.
        ignore_cron: Whether what is not due is built too.
        plan_mode: Whether SQLMesh plans may be applied; None: as each project says.
        skip_tests: Whether SQLMesh plans are made without running unit tests first.
        upstreams: What becomes of upstreams that are not selected and lack data.
        restate: What is built anew although it is there; None: nothing.
        checks: What is asked of checks.
        require_passing_checks: Whether nodes are built only over what passed the blocking checks
            that judged it last; None: as each project says.
        dbt: What is asked of dbt projects.
    """

    moment: datetime
    limits: Limits = field(default_factory=Limits)
    ignore_cron: bool = True
    plan_mode: PlanMode | None = None
    skip_tests: bool = False
    upstreams: Upstreams = "hold"
    restate: Restatement | None = None
    checks: CheckRunOptions = field(default_factory=CheckRunOptions)
    require_passing_checks: bool | None = None
    dbt: DbtRunOptions = field(default_factory=DbtRunOptions)


@dataclass(frozen=True, slots=True)
class RunScope:
    """What a run selects in all its ops, seen from one of them.

    Attributes:
        nodes: Ids of the nodes.
        checks: Ids of the checks.
        later: Projects of which a later op or round of this run does something.
        before: Ids of the nodes of earlier rounds of this op.
    """

    nodes: frozenset[NodeId]
    checks: frozenset[CheckId]
    later: frozenset[str] = frozenset()
    before: frozenset[NodeId] = frozenset()


def moment_of_run(text: str | None) -> datetime:
    """The run's moment, aware: what was asked for, else now.

    Args:
        text: ISO 8601, with an offset.

    Raises:
        RunOptionError: It is no time with an offset.
    """
    if text is None:
        return datetime.now(timezone.utc)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RunOptionError(
            f"execution_time '{text}' is not an ISO 8601 time with an offset.",
            remedy="Write it like 2026-01-31T06:00:00+00:00.",
        )
    return moment
