"""Whether a run has to go in rounds, found out before it begins."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from dagster_transform.graph import promotion_id
from dagster_transform.planning import Readiness, divide_into_rounds
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.projects import ProjectRuns
from dagster_transform.runs.rounds import Round, Selection, rounds_of


def look_ahead(project_runs: ProjectRuns, selection: Selection) -> list[Round]:
    """The rounds of a run.

    Only where there could be several is it found out which plans there are to make: nearly all runs
    go in one round, and find that out by themselves.

    Args:
        project_runs: Makes the project runs of the op.
        selection: What the op does.

    Raises:
        TransformError: What the plans are of can't be found out.
    """
    graph, nodes = project_runs.graph, selection.nodes
    planning = project_runs.that_plan(nodes)
    mine = [n for n in nodes if graph.nodes[n].project in planning]
    at_most = {n: Readiness(promotion=promotion_id(graph.nodes[n].project, "plan")) for n in mine}
    if len(divide_into_rounds(graph, nodes, at_most)) == 1:
        return [Round(selection)]
    # For now no project's part of the run ends.
    look = replace(
        project_runs, spare=None, scope=replace(project_runs.scope, later=frozenset(planning))
    )
    unreadable = project_runs.unreadable
    participants = Participants(graph, look.of(mine, ()), project_runs.log, unreadable)
    with closing(project_runs.new_claims()) as claims:
        try:
            claims.take_shared(participants.shared_resources())
            readiness = participants.assess(mine, ())
        finally:
            participants.close(completed=True)
    return rounds_of(graph, selection, divide_into_rounds(graph, nodes, readiness))
