"""What one run asks of a SQLMesh project, as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from dagster_transform.graph import name_of_reference
from dagster_transform.walk import ClaimGuard, Unclaimed

PROD = "prod"
"""SQLMesh's name of production: the one environment whose tables are not development tables."""

PlanMode = Literal["never", "auto"]
Downstream = Literal["refuse", "include", "leave"]
Upstreams = Literal["hold", "include"]


@dataclass(frozen=True, slots=True)
class Restatement:
    """Which time the selected nodes are built anew over, although it is recorded as built.

    Attributes:
        start: First moment, as SQLMesh's `--start` takes it: `2024-03-05`, a time, `3 days ago`.
        end: Last moment, as SQLMesh's `--end`: a date means the whole day.
        downstream: What becomes of nodes that SQLMesh would restate with them and that the run
            does not select. `refuse`: build nothing and name them; `include`: build them too;
            `leave`: leave them out, and report that they are stale.
    """

    start: str
    end: str
    downstream: Downstream = "refuse"


@dataclass(slots=True)
class HooksOfRun:
    """How far before_all and after_all have come: each is carried out once per run and project.

    A run has several project runs of one project, one after the other, where a Python asset
    between two models splits its op; all of them have the same object of this class.

    Attributes:
        begun: Whether before_all was carried out.
        ended: Whether after_all was, or is not going to be, because the run was cancelled.
    """

    begun: bool = False
    ended: bool = False

    @property
    def due(self) -> bool:
        """Whether something must still come: before_all was carried out, and after_all was not."""
        return self.begun and not self.ended


@dataclass(frozen=True, slots=True)
class SqlmeshSettings:
    """How a run goes about one project.

    More attributes than a class should have: each is an option of a run or of transform.yaml, and
    none of them is of use together with another one only.

    Attributes:
        environment: The environment that is built.
        paths: The project's folders, resolved.
        now: The run's execution time, aware.
        plan_mode: `never`: build what the environment has. `auto`: where the files differ from it,
            make the plan, backfill through the walk and promote.
        skip_tests: Whether it is planned without running the project's unit tests.
        ignore_cron: True for a person's run: build what is missing, and build selected FULL, VIEW
            and SEED models again. False for a tick: build what is due.
        marker: File that remembers which files the environment was last planned from.
        restate: Build anew over this time; the environment is taken as it is, nothing is planned.
        upstreams: `hold`: what an upstream that is not selected still owes is left out. `include`:
            such upstreams are built too.
        in_run: References of all nodes that the run selects, where that is more than one project
            run sees; empty: it sees all.
        planned: References of nodes that belong to the run's plan and were built by plans of
            earlier rounds of the run.
        hooks: How far the statements have come that surround a run.
        last: Whether no later op or round of the run does something of this project.
        one_batch_at_a_time: Whether batches of one model are built one after the other, where they
            could go side by side: each would take a connection.
        plan_timeout: Seconds to wait for a plan that somebody else applies in mid-run.
        guard: The claims of the run.
        called: What people call the node of a fully qualified name.
        audit_between: Start and end, as SQLMesh's `audit` takes them, over which checks judge;
            None: over what the run builds, or all that was built.
        sample_rows: How many of the rows that an audit finds wrong are read.
    """

    # More than twelve attributes: what a run asks of a project, and what its ops share of it.
    environment: str
    paths: Sequence[str]
    now: datetime
    plan_mode: PlanMode = "never"
    skip_tests: bool = False
    ignore_cron: bool = True
    marker: Path | None = None
    restate: Restatement | None = None
    upstreams: Upstreams = "hold"
    in_run: frozenset[str] = frozenset()
    planned: frozenset[str] = frozenset()
    hooks: HooksOfRun = field(default_factory=HooksOfRun)
    last: bool = True
    one_batch_at_a_time: bool = False
    plan_timeout: float = 600.0
    guard: ClaimGuard = field(default_factory=Unclaimed)
    called: Callable[[str], str] = name_of_reference
    audit_between: tuple[str, str] | None = None
    sample_rows: int = 0

    @property
    def execution_time(self) -> int:
        """`now` in epoch milliseconds."""
        return int(self.now.timestamp() * 1000)

    @property
    def is_development(self) -> bool:
        """Whether the environment is another one than production."""
        return self.environment != PROD

    @property
    def may_plan(self) -> bool:
        """Whether the run makes a plan where the files differ from the environment."""
        return self.plan_mode == "auto" and self.restate is None
