"""What one run asks of a SQLMesh session, as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

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
            `leave`: leave them, and report that they are stale.
    """

    start: str
    end: str
    downstream: Downstream = "refuse"


@dataclass(slots=True)
class HooksOfRun:
    """Which session of a run carries out before_all and after_all: each once per run and project.

    A run has several sessions of one project, one after the other, where a Python asset between
    two models splits its op.

    Attributes:
        last: Whether no later session of this run follows.
        begun: Whether before_all was carried out.
        ended: Whether after_all was.
    """

    last: bool = True
    begun: bool = False
    ended: bool = False

    @property
    def due(self) -> bool:
        """Whether something must still come: before_all was carried out, and after_all was not."""
        return self.begun and not self.ended


@dataclass(frozen=True, slots=True)
class SqlmeshSettings:
    """How a run goes about one project.

    Attributes:
        environment: The environment that is built.
        paths: The project's folders, resolved.
        plan: `never`: build what the environment has. `auto`: where the files differ from it, make
            the plan, backfill through the walk and promote.
        ignore_cron: True for a person's run: build what is missing, and build selected FULL, VIEW
            and SEED models again. False for a tick: build what is due.
        now: The run's execution time, aware.
        marker: File that remembers which files the environment was last planned from.
        restate: Build anew over this time; the environment is taken as it is, nothing is planned.
        upstreams: `hold`: what an upstream that is not selected still owes is left out. `include`:
            such upstreams are built too.
        in_run: References of all nodes that the run selects, where that is more than one session
            sees; empty: the session sees all.
        turn: Whose turn the statements are that surround a run.
        batches_apart: Whether batches of one model are built one after the other, where they could
            go side by side: each would take a connection.
        plan_timeout: Seconds to wait for a plan that somebody else applies in mid-run.
        holds: Whether the run still has its claim on a node, by id: asked before an interval is
            recorded.
        builds_in: Told, before a node is built (its id) or a plan's stages begin (the environment's
            key), in which sessions on database servers (`backends.backend_id`); from any thread.
    """

    environment: str
    paths: Sequence[str]
    now: datetime
    plan: PlanMode = "never"
    ignore_cron: bool = True
    marker: Path | None = None
    restate: Restatement | None = None
    upstreams: Upstreams = "hold"
    in_run: frozenset[str] = frozenset()
    turn: HooksOfRun = field(default_factory=HooksOfRun)
    batches_apart: bool = False
    plan_timeout: float = 600.0
    holds: Callable[[str], bool] = lambda _: True
    builds_in: Callable[[str, frozenset[str]], None] = lambda _, __: None

    @property
    def execution_time(self) -> int:
        """`now` in epoch milliseconds."""
        return int(self.now.timestamp() * 1000)


@dataclass(slots=True)
class Work:
    """What there is to do for one node.

    Attributes:
        snapshot: The SQLMesh snapshot.
        batches: `[start, end)` in epoch milliseconds, oldest first; empty: only make the table.
        create: Whether the physical table has to be made first.
        recorded: Numbers of the batches that are in the state already: a retry leaves them out.
    """

    snapshot: Any
    batches: list[tuple[int, int]]
    create: bool = False
    recorded: set[int] = field(default_factory=set)

    @property
    def done(self) -> list[tuple[int, int]]:
        """The batches that are in the state."""
        return [self.batches[index] for index in sorted(self.recorded)]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all nodes of one session share while they are built.

    Attributes:
        scheduler: SQLMesh's Scheduler over the snapshots of this run and their ancestors.
        deployability: SQLMesh's DeployabilityIndex.
        naming: SQLMesh's EnvironmentNamingInfo.
        execution_time: Epoch milliseconds.
        plan: Keyword arguments that only a plan hands to an evaluation.
        shared: Names of the snapshots of a development environment whose tables are production's.
    """

    scheduler: Any
    deployability: Any
    naming: Any
    execution_time: int
    plan: dict[str, Any] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()

    def intervals_of(self, snapshot: Any) -> list[tuple[int, int]]:
        """What is recorded as built, of the table that this environment has of a model."""
        representative = self.deployability.is_representative(snapshot)
        return list(snapshot.intervals if representative else snapshot.dev_intervals)
