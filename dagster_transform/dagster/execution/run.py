"""Our op: from Dagster's selection to a run, and from its events to what Dagster stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import dagster as dg

from dagster_transform.claims import RunId
from dagster_transform.config import TransformConfig
from dagster_transform.dagster.execution.claims import (
    claim_policy,
    held_claims,
    new_claims,
    warn_of_memory,
)
from dagster_transform.dagster.execution.event_writer import EventWriter, Output
from dagster_transform.dagster.execution.failure import failure_of
from dagster_transform.dagster.execution.ports import InstanceRecords
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.execution.scope import scope_of
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.dbt import SpareProcess
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.planning import RunPlan, finer_than_upstream, restatable
from dagster_transform.runs.carry_out import RunPorts, Selection, carry_out
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.policy import slots_by_unit
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.projects import ProjectRuns

_RESTATE = """\
To build a time of {names} again, although it is complete, give this run config in the launchpad:
resources:
  transform:
    config:
      restate: {{start: "{day}", end: "{day}"}}"""


@dataclass(frozen=True, slots=True)
class Transform:
    """What our op works with.

    Attributes:
        graph: The combined graph.
        config: Where the projects are.
        keys: Keys of the graph.
        spare: A dbt process that was started early for the run that this process was started for.
        unreadable: Why a project can't be read, by its name; what is known of it is in the graph.
    """

    graph: Graph
    config: TransformConfig
    keys: Keys
    spare: SpareProcess | None = None
    unreadable: Mapping[str, TransformError] = field(default_factory=dict)


def run_transform(
    context: dg.AssetExecutionContext, transform: Transform, resource: TransformResource
) -> Iterator[Output]:
    """Do what was selected, and yield what came of it while it goes on.

    Args:
        context: Dagster's context of the op: its selection, its log.
        transform: What there is.
        resource: What this run asks for.

    Raises:
        dg.Failure: Something failed; all that did not is stored by then.
    """
    keys = transform.keys
    graph = keys.named(transform.graph)
    selection = Selection(
        {keys.nodes[key] for key in context.selected_asset_keys if key in keys.nodes},
        {keys.check_ids[key] for key in context.selected_asset_check_keys},
    )
    try:
        options = resource.run_options(transform.config, context.run.tags)
        records = InstanceRecords(context.instance, keys.assets)
        held = held_claims(context, transform.config)
        warn_of_memory(context, held.store, resource.lifetime)
        policy = claim_policy(context, resource, slots_by_unit(graph, transform.config))
        project_runs = ProjectRuns(
            run_id=RunId(context.run.run_id),
            graph=graph,
            config=transform.config,
            options=options,
            scope=scope_of(context, graph, keys),
            guard=held,
            lifetime=resource.lifetime,
            log=context.log,
            new_claims=lambda: new_claims(context, transform.config, resource),
            spare=transform.spare,
            unreadable=transform.unreadable,
        ).of(selection.nodes, selection.checks)
    except TransformError as error:
        raise _refused(error) from None

    def advise(run_plan: RunPlan) -> None:
        for warning in finer_than_upstream(graph, selection.nodes):
            context.log.warning(warning)
        if options.ignore_cron and (found := restatable(graph, run_plan)):
            day = f"{options.moment - timedelta(days=1):%Y-%m-%d}"
            context.log.info(_RESTATE.format(names=", ".join(found), day=day))

    participants = Participants(graph, project_runs, context.log, transform.unreadable)
    writer = EventWriter(context, graph, keys)
    with closing(RunClaims(held, policy, records, participants.end_backends)) as claims:
        run = carry_out(
            graph,
            selection,
            participants=participants,
            claims=claims,
            limits=options.limits,
            ports=RunPorts(context.log, records, writer),
            advise=advise,
        )
        try:
            summary = yield from writer.outputs(run)
        except TransformError as error:
            raise _refused(error) from None
    if failure := failure_of(summary):
        raise failure


def _refused(error: TransformError) -> dg.Failure:
    return dg.Failure(description=str(error), allow_retries=False)
