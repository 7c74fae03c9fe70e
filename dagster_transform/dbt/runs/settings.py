"""What one run asks of one dbt project, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dagster_transform.config import DbtProject
from dagster_transform.dbt import KEPT_RUNS
from dagster_transform.dbt.runs.hooks import InvocationOfRun
from dagster_transform.dbt.runs.spawn import SpareProcess
from dagster_transform.walk import ClaimGuard, Unclaimed


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of `dbt build`, by dbt's own names.

    Attributes:
        threads: Nodes at the same moment; None is what the profile says.
        full_refresh: Build incremental models and seeds from nothing.
        vars: dbt variables, over those that transform.yaml has for the project.
        defer: Let references to nodes that are not selected lead to what `state` has.
        state: Folder of another run's artifacts, for `defer` and `state:` in macros.
        favor_state: Let them do so even where this target has the relation.
        empty: Build the relations without rows.
        sample: A time window that models read only, as `--sample` takes it.
    """

    threads: int | None = None
    full_refresh: bool = False
    vars: Mapping[str, Any] = field(default_factory=dict)
    defer: bool = False
    state: Path | None = None
    favor_state: bool = False
    empty: bool = False
    sample: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a dbt process may take of time and memory.

    Attributes:
        node_timeout: Seconds that one node may take; None: for ever.
        run_timeout: Seconds that all nodes of the project may take together; None: for ever.
        memory: Share of the machine's memory that may be in use for a dbt process to be started.
        memory_wait: Seconds to wait until less is in use.
        grace: Seconds that dbt has to end by itself when it is interrupted.
    """

    node_timeout: float | None = None
    run_timeout: float | None = None
    memory: float = 0.95
    memory_wait: float = 60.0
    grace: float = 25.0


@dataclass(frozen=True, slots=True)
class Measures:
    """What is found out of the relations that are built, while the run goes on.

    Attributes:
        row_counts: Whether their rows are counted; those of views are not.
        columns: Whether their columns are read from the database.
        column_lineage: Whether it is found out what those columns are computed from.
    """

    row_counts: bool = False
    columns: bool = False
    column_lineage: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are wanted, as `protocol.Begin` names them."""
        return tuple(measure.name for measure in fields(self) if getattr(self, measure.name))


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the artifacts of a run go.

    Attributes:
        runs: The folder that holds one folder for each run of this project.
        run: The run's name, unique in `runs`; letters, digits, `-` and `_`.
        kept_runs: Of how many runs the artifacts are kept.
    """

    runs: Path
    run: str
    kept_runs: int = KEPT_RUNS

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.runs / self.run


@dataclass(frozen=True, slots=True)
class DbtSettings:
    """How a run goes about one project.

    Attributes:
        project: Its configuration, resolved.
        folder: Where its artifacts go.
        parsed: partial_parse.msgpack of an earlier parse, from which the project loads sooner.
        options: What `dbt build` is given.
        limits: What its process may take of time and memory.
        measures: What is found out of what is built.
        sample_rows: How many of the rows that a test finds wrong are read.
        in_run: References of all nodes and checks that the run selects, where that is more than
            one op of it does; empty: the op does all.
        last: Whether no later op of the run does something of this project.
        invocation: What the ops of the run share.
        guard: The claims of the run.
        spare: A process that was started before anybody knew what it is to do; the first project
            that starts takes it.
    """

    project: DbtProject
    folder: RunFolder
    parsed: Path | None = None
    options: BuildOptions = BuildOptions()
    limits: ProcessLimits = ProcessLimits()
    measures: Measures = Measures()
    sample_rows: int = 0
    in_run: frozenset[str] = frozenset()
    last: bool = True
    invocation: InvocationOfRun = field(default_factory=InvocationOfRun)
    guard: ClaimGuard = field(default_factory=Unclaimed)
    spare: SpareProcess | None = None
