"""What one run asks of a SQLMesh session, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

PlanMode = Literal["never", "auto"]


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
    """

    environment: str
    paths: Sequence[str]
    now: datetime
    plan: PlanMode = "never"
    ignore_cron: bool = True
    marker: Path | None = None

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
        recorded: Batches that are in the state already (a retry goes on after them).
    """

    snapshot: Any
    batches: list[tuple[int, int]]
    create: bool = False
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What all nodes of one session share while they are built.

    Attributes:
        scheduler: SQLMesh's Scheduler over the snapshots of this run and their ancestors.
        deployability: SQLMesh's DeployabilityIndex.
        naming: SQLMesh's EnvironmentNamingInfo.
        execution_time: Epoch milliseconds.
        plan: Keyword arguments that only a plan hands to an evaluation.
    """

    scheduler: Any
    deployability: Any
    naming: Any
    execution_time: int
    plan: dict[str, Any] = field(default_factory=dict)
