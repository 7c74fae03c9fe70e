"""Our op: from Dagster's selection to a run, and from its events to what Dagster stores."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import dagster as dg

from dagster_transform.claims import RunId
from dagster_transform.dagster._compat import tag_run
from dagster_transform.dagster.execution.claims import (
    claim_policy,
    held_claims,
    new_claims,
    warn_of_memory,
)
from dagster_transform.dagster.execution.event_writer import EventWriter, Output
from dagster_transform.dagster.execution.failed_above import failed_above
from dagster_transform.dagster.execution.failure import failure_of
from dagster_transform.dagster.execution.ports import InstanceRecords
from dagster_transform.dagster.execution.run_options import TransformResource, is_tick
from dagster_transform.dagster.execution.scope import scope_of
from dagster_transform.dagster.execution.timeline import tell_timeline
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.errors import TransformError
from dagster_transform.graph import CheckId, Graph, NodeId, UnitId, When, names_of
from dagster_transform.planning import (
    Readiness,
    RunPlan,
    finer_than_upstream,
    in_one_pool,
    last_ticks,
    over,
    overdue,
    restatable,
    timed,
    times_of,
)
from dagster_transform.runs.carry_out import RunPorts, carry_out
from dagster_transform.runs.check_failures import fails_of
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.policy import slots_by_unit
from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.look_ahead import look_ahead
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.projects import ProjectRuns
from dagster_transform.runs.rounds import Round, Selection, carry_out_rounds
from dagster_transform.runs.summary import RunSummary
from dagster_transform.runs.tags import JOB_GROUP, TICK, TOLD
from dagster_transform.runs.times import RunTimes
from dagster_transform.walk import Unclaimed

if TYPE_CHECKING:
    from dagster_transform.dagster.alerts.alerting import Alerting
    from dagster_transform.dagster.execution.left_out import LeftOutWork

_NAMED = 10
"""Checks that a warning names."""
_RESTATE = """\
To build a time of {names} again, although it is complete, give this run config in the launchpad:
resources:
  transform:
    config:
      restate: {{start: "{day}", end: "{day}"}}"""


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
    selection = Selection(
        {keys.nodes[key] for key in context.selected_asset_keys if key in keys.nodes},
        {keys.check_ids[key] for key in context.selected_asset_check_keys},
    )
    alerting = _alerting(context, transform, resource, selection)
    left_out = _left_out(context, transform)
    try:
        run = _Run(context, transform, resource)
        later = bool(run.project_runs.scope.later)
        graph = run.graph
        selection = replace(selection, checks={*selection.checks, *run.asked_for(selection.nodes)})
        writer = EventWriter(context, graph, keys, transform.translator, run.ticks)
        failed = failed_above(context, keys, selection.nodes)
        rounds = look_ahead(run.project_runs, selection)
        events = carry_out_rounds(
            graph,
            rounds,
            lambda one, held_back: run.carry_out(one, {**held_back, **failed}, writer),
            writer,
            fail_fast=run.options.limits.fail_fast,
        )
        if left_out:
            events = left_out.watch(events)
        summary = yield from writer.outputs(alerting.watch(events) if alerting else events)
        tell_timeline(context, run.times, names_of(graph))
    except TransformError as error:
        _tell_end(context, later=False)
        if alerting:
            alerting.tell(None, error)
        raise _refused(error) from None
    except Exception as error:
        _tell_end(context, later=False)
        if alerting:
            alerting.tell(None, error)
        raise
    if left_out:  # before the run has said what it came to: a sensor that looks now waits for it
        left_out.remember()
    _tell_end(context, later=later)
    if alerting:
        alerting.tell(summary)
    if failure := failure_of(summary):
        raise failure


def _tell_end(context: dg.AssetExecutionContext, *, later: bool) -> None:
    """Note on a run of a job group that it has said what it came to. One that fails without was
    lost, and is followed up.

    Args:
        context: Dagster's context of the op.
        later: Whether the run has an op after this one.
    """
    if JOB_GROUP in context.run.tags and not later:
        tag_run(context.instance, context.run.run_id, {TOLD: "true"})


def _alerting(
    context: dg.AssetExecutionContext,
    transform: Transform,
    resource: TransformResource,
    selection: Selection,
) -> Alerting | None:
    """Tells people what becomes of the op; None where nobody is to be told."""
    if not transform.config.alerts.channels:
        return None
    # Here, because who has no channels need not import what sends messages.
    from dagster_transform.dagster.alerts.alerting import Alerting

    waited = not resource.skips_claimed(context.run.tags)
    return Alerting(context, transform, selection, waited=waited)


def _left_out(context: dg.AssetExecutionContext, transform: Transform) -> LeftOutWork | None:
    """Remembers what a run of a job group leaves out; None in another run."""
    if TICK not in context.run.tags:
        return None
    from dagster_transform.dagster.execution.left_out import LeftOutWork

    return LeftOutWork(context, transform)


class _Run:
    """What the rounds of one op share.

    Args:
        context: Dagster's context of the op.
        transform: What there is.
        resource: What this run asks for.

    Attributes:
        options: What this run asks for, as a value.
        graph: The combined graph as the run sees it: nodes called as people call them, checks at
            their times.
        ticks: From when on checks that run apart must have results, by project.
        project_runs: Makes the project runs of the op.
        times: What the op's time goes into.

    Raises:
        TransformError: An option can't be used, or the claims store.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, transform: Transform, resource: TransformResource
    ) -> None:
        self.times = RunTimes()
        self._context = context
        self._transform = transform
        config = transform.config
        self.options = resource.run_options(config, context.run.tags)
        scope = scope_of(context, transform.graph, transform.keys)
        self._builds = bool(scope.nodes)
        self.ticks = last_ticks(config, datetime.now(timezone.utc))
        self.graph = graph = transform.keys.named(self._timed())
        scope = replace(scope, checks=scope.checks | self.asked_for(scope.nodes))
        self._records = InstanceRecords(context.instance, transform.keys)
        self._policy = claim_policy(context, resource, slots_by_unit(graph, config))
        self.project_runs = ProjectRuns(
            run_id=RunId(context.run.run_id),
            graph=graph,
            config=config,
            options=self.options,
            scope=scope,
            guard=Unclaimed(),  # each round has its own
            lifetime=resource.lifetime,
            log=context.log,
            new_claims=lambda: new_claims(context, config, resource),
            spare=transform.spare,
            unreadable=transform.unreadable,
        )

    def carry_out(
        self, one: Round, held_back: Mapping[UnitId, Readiness], writer: EventWriter
    ) -> Generator[RunEvent, None, RunSummary]:
        """Carry out a round; see `runs.rounds.CarryOut`."""
        context, transform = self._context, self._transform
        held = held_claims(context, transform.config)
        warn_of_memory(context, held.store, self.project_runs.lifetime)
        scope = self.project_runs.scope
        scope = replace(scope, before=one.before, later=scope.later | one.later)
        made = replace(self.project_runs, guard=held, scope=scope)
        participants = Participants(
            self.graph,
            made.of(one.selection.nodes, one.selection.checks),
            context.log,
            transform.unreadable,
            held_back,
        )
        claims = RunClaims(held, self._policy, self._records, participants.end_backends)
        with closing(claims):
            return (
                yield from carry_out(
                    self.graph,
                    one.selection,
                    participants=participants,
                    claims=claims,
                    limits=self.options.limits,
                    ports=RunPorts(context.log, self._records, writer, self.times),
                    require_passing=self._requiring(),
                    fails=fails_of(
                        transform.config,
                        self.graph,
                        self.options.checks.fail_on,
                        builds=self._builds,
                    ),
                    advise=lambda run_plan: self._advise(one.selection, run_plan),
                    must_find=self._must_find(one.selection),
                )
            )

    def asked_for(self, nodes: Iterable[NodeId]) -> set[CheckId]:
        """The checks of nodes that run beside builds although Dagster may not have planned them.

        The UI plans none that run apart, as transform.yaml has it, where the run option
        `checks: {when: ...}` puts them beside builds; the schedules of job groups plan none at all.
        """
        if self.options.checks.when is None and JOB_GROUP not in self._context.run.tags:
            return set()
        beside = (When.AFTER_EACH, When.AFTER_ALL)
        checks = [check for node in nodes for check in self.graph.checks_of(node)]
        return {check.id for check in checks if check.when in beside}

    def _must_find(self, selection: Selection) -> bool:
        """Whether a person has asked for these nodes and for no others of ours: a green run in
        which none of them is in its environment would say that they are built. A schedule or a
        sensor asks for what it finds, and comes again."""
        asked = self.project_runs.scope.nodes
        return not is_tick(self._context.run.tags) and asked <= set(selection.nodes)

    def _requiring(self) -> set[str]:
        """Projects whose nodes are built only over what passed its blocking checks."""
        asked = self.options.require_passing_checks
        projects = self._transform.config.projects
        return {
            name
            for name, project in projects.items()
            if (project.require_passing_checks if asked is None else asked)
        }

    def _timed(self) -> Graph:
        """The graph with its checks at the times that hold in this run."""
        if not self._builds:
            return in_one_pool(self._transform.graph)
        asked = self.options.checks
        times = {
            project: over(own, asked.when, asked.blocking)
            for project, own in times_of(self._transform.config).items()
        }
        return timed(self._transform.graph, times)

    def _advise(self, selection: Selection, run_plan: RunPlan) -> None:
        graph, log = self.graph, self._context.log
        for warning in finer_than_upstream(graph, selection.nodes):
            log.warning(warning)
        if self.options.ignore_cron and (found := restatable(graph, run_plan)):
            day = f"{self.options.moment - timedelta(days=1):%Y-%m-%d}"
            log.info(_RESTATE.format(names=", ".join(found), day=day))
        self._warn_of_overdue([n for n in graph.nodes if n in run_plan.units])

    def _warn_of_overdue(self, nodes: Collection[NodeId]) -> None:
        """Name the checks of what is built that run apart, and have not for too long."""
        graph = self.graph
        apart = [c.id for n in nodes for c in graph.checks_of(n) if c.when is When.APART]
        if not apart or not self.ticks:
            return
        results = {c: last.at for c, last in self._records.last_results(apart).items()}
        if found := overdue(graph, nodes, self.ticks, results):
            called = names_of(graph)
            names = ", ".join(called(check) for check in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" * (len(found) > _NAMED)
            self._context.log.warning(
                f"Overdue by the cron of their job, checks of what is built: {names}{more}"
            )


def _refused(error: TransformError) -> dg.Failure:
    return dg.Failure(description=str(error), allow_retries=False)
