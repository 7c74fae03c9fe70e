"""A run of a whole transform that is carried out here, and not by Dagster.

As a program it carries out all that a folder's transform.yaml has, and says in JSON what came of
it: python -m tests.support.run_without_dagster FOLDER EXECUTION_TIME
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dagster_transform.claims import Owner, OwnerKind, Store, open_store
from dagster_transform.config import load_config
from dagster_transform.graph import Graph, NodeId, read_graph_file
from dagster_transform.runs.carry_out import RunPorts, carry_out
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.held import HeldClaims
from dagster_transform.runs.claiming.policy import ClaimPolicy, timing_of
from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.lifetime import RunLifetime
from dagster_transform.runs.options import RunOptions, RunScope
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.projects import ProjectRuns
from dagster_transform.runs.rounds import Selection
from dagster_transform.runs.summary import RunSummary


class Lines(list[str]):
    """A log, line by line."""

    def info(self, text: str, /) -> None:
        self.append(text)

    warning = error = info


class NoRecords:
    """Nothing is known of other runs, and of what was built before."""

    def has_ended(self, run_id: str, /) -> bool:
        return False

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        return {}

    def left_unjudged(self, nodes: Collection[NodeId], /) -> Collection[NodeId]:
        return ()


@dataclass
class Done:
    """What came of a run.

    Attributes:
        store: Where it had its claims.
        events: What it has told, in order.
        stored: What it has told after it was interrupted.
        log: What it has logged.
        summary: What it came to; None if it was interrupted.
    """

    store: Store
    events: list[RunEvent] = field(default_factory=list)
    stored: list[RunEvent] = field(default_factory=list)
    log: Lines = field(default_factory=Lines)
    summary: RunSummary | None = None


@dataclass
class _Sink:
    done: Done

    def store(self, event: RunEvent, /) -> None:
        self.done.stored.append(event)


def run_all(folder: Path, moment: datetime, *, stop_after: int | None = None) -> Done:
    """Build and check everything; stop taking events after so many."""
    config = load_config(folder)
    graph = Graph.combine(
        read_graph_file(config.graph_path(name), name).graph for name in config.projects
    )
    selection = Selection(frozenset(graph.nodes), frozenset(graph.checks))
    done = Done(open_store(None, timing_of(config)))
    owner = Owner(OwnerKind.RUN, "run1", "run1", 0)
    held = HeldClaims(done.store, done.log)
    policy = ClaimPolicy(owner, skip=False, wait=10)
    lifetime = RunLifetime()
    project_runs = ProjectRuns(
        run_id="run1",
        graph=graph,
        config=config,
        options=RunOptions(moment),
        scope=RunScope(selection.nodes, selection.checks),
        guard=held,
        lifetime=lifetime,
        log=done.log,
        new_claims=lambda: RunClaims(
            HeldClaims(done.store, done.log), policy, NoRecords(), lambda _: ()
        ),
    ).of(selection.nodes, selection.checks)
    participants = Participants(graph, project_runs, done.log)
    options = RunOptions(moment)
    with closing(RunClaims(held, policy, NoRecords(), participants.end_backends)) as claims:
        run = carry_out(
            graph,
            selection,
            participants=participants,
            claims=claims,
            limits=options.limits,
            ports=RunPorts(done.log, NoRecords(), _Sink(done)),
        )
        with closing(run):
            while stop_after is None or len(done.events) < stop_after:
                try:
                    done.events.append(next(run))
                except StopIteration as end:
                    done.summary = end.value
                    break
    assert lifetime.end() == []
    return done


def main() -> None:
    done = run_all(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
    assert done.summary is not None
    print(
        json.dumps(
            {
                "events": [type(event).__name__ for event in done.events],
                "failed": done.summary.failed,
                "rows": [[n, row.outcome] for row in done.summary.rows for n in row.names],
                "dagster": "dagster" in sys.modules,
                "held": len(done.store.holders()),
            }
        )
    )


if __name__ == "__main__":
    main()
