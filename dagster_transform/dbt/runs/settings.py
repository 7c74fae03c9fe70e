"""What one run asks of a dbt session, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT_RUNS = 20
"""Of how many runs of a project the artifacts are kept."""


@dataclass(slots=True)
class InvocationOfRun:
    """The dbt invocation that the sessions of one run and project share.

    A run has several sessions of one project, one after the other, where a Python asset between
    two models splits its op. The hooks are carried out once all the same: a session that is not
    the last one leaves its invocation here.

    Attributes:
        last: Whether no later session of this run follows.
        left: The invocation that an earlier session has left.
    """

    last: bool = True
    left: Any = None

    @property
    def due(self) -> bool:
        """Whether something must still come: an invocation waits for its end."""
        return self.left is not None


@dataclass(frozen=True, slots=True)
class DbtSettings:
    """How a run goes about one project.

    Attributes:
        folder: The folder of dbt_project.yml, resolved.
        runs: The folder that holds one folder for each run of this project.
        run: The run's name, unique in `runs`; letters, digits, `-` and `_`.
        target: A target of the profile; None is its default one.
        profiles_dir: The folder of profiles.yml; None leaves the search to dbt.
        parsed: partial_parse.msgpack of an earlier parse, from which the project loads sooner.
        threads: Nodes at the same moment; None is what the profile says.
        full_refresh: Build incremental models and seeds from nothing.
        vars: dbt variables.
        state: Folder of another run's artifacts, for `defer` and `state:` in macros.
        defer: Let references to nodes that are not selected lead to what `state` has.
        favor_state: Let them do so even where this target has the relation.
        empty: Build the relations without rows.
        sample: A time window that models read only, as `--sample` takes it.
        node_timeout: Seconds that one node may take; None: for ever.
        run_timeout: Seconds that all nodes of this project may take together; None: for ever.
        memory: Share of the machine's memory that may be in use for a dbt process to be started.
        memory_wait: Seconds to wait until less is in use.
        grace: Seconds that dbt has to end by itself when it is interrupted.
        kept_runs: Of how many runs the artifacts are kept.
        row_counts: Whether the rows of what is built are counted; those of views are not.
        columns: Whether the columns of what is built are read from the database.
        column_lineage: Whether it is found out what those columns are computed from.
        in_run: References of all nodes and checks that the run selects, where that is more than
            one session sees; empty: the session sees all.
        turn: What the sessions of one run share.
        holds: Whether the run still has its claim on a node or check, by id.
        builds_in: Told, before a node is built (its id), in which sessions on a database server
            (`backends.backend_id`).
    """

    folder: Path
    runs: Path
    run: str
    target: str | None = None
    profiles_dir: Path | None = None
    parsed: Path | None = None
    threads: int | None = None
    full_refresh: bool = False
    vars: Mapping[str, Any] = field(default_factory=dict)
    state: Path | None = None
    defer: bool = False
    favor_state: bool = False
    empty: bool = False
    sample: str | None = None
    node_timeout: float | None = None
    run_timeout: float | None = None
    memory: float = 0.95
    memory_wait: float = 60.0
    grace: float = 25.0
    kept_runs: int = KEPT_RUNS
    row_counts: bool = False
    columns: bool = False
    column_lineage: bool = False
    in_run: frozenset[str] = frozenset()
    turn: InvocationOfRun = field(default_factory=InvocationOfRun)
    holds: Callable[[str], bool] = lambda _: True
    builds_in: Callable[[str, frozenset[str]], None] = lambda _, __: None

    @property
    def run_folder(self) -> Path:
        """Where this run's artifacts go."""
        return self.runs / self.run

    @property
    def facts(self) -> tuple[str, ...]:
        """What is found out of each node that is built, as `protocol.Begin` names it."""
        wanted = {
            "row_counts": self.row_counts,
            "columns": self.columns,
            "column_lineage": self.column_lineage,
        }
        return tuple(name for name, yes in wanted.items() if yes)


def arguments(settings: DbtSettings) -> tuple[str, ...]:
    """The arguments of the `dbt build` that a run's nodes are handed to.

    Nothing is selected here and nothing written: the run does both. dbt must not stop at the first
    failure, whatever the project says, because the run decides that.
    """
    found = [
        "--no-fail-fast",
        "--cache-selected-only",
        "--no-write-json",
        "--no-use-colors",
        "--log-level", "none",
        "--log-level-file", "none",
        "--log-path", str(settings.run_folder),
    ]  # fmt: skip
    if settings.parsed is not None:
        found += ["--partial-parse-file-path", str(settings.parsed)]
    found += ["build", "--project-dir", str(settings.folder)]
    found += ["--target-path", str(settings.run_folder / "target")]
    named: dict[str, Any] = {
        "--target": settings.target,
        "--profiles-dir": settings.profiles_dir,
        "--threads": settings.threads,
        "--state": settings.state,
        "--sample": settings.sample,
        "--vars": json.dumps(dict(settings.vars), default=str) if settings.vars else None,
    }
    for name, value in named.items():
        found += [name, str(value)] if value is not None else []
    switches = {
        "--full-refresh": settings.full_refresh,
        "--defer": settings.defer,
        "--favor-state": settings.favor_state,
        "--empty": settings.empty,
    }
    return (*found, *[name for name, wanted in switches.items() if wanted])
