"""One run, from its selection to its summary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field, replace

from dagster_transform.graph import Graph, InputId, NodeId, UnitId, names_of
from dagster_transform.planning import LeftOut, Limits, Readiness, RunPlan, UnitKind, plan_run
from dagster_transform.runs.build_checks import not_run_in_builds
from dagster_transform.runs.check_failures import Fails, fails
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.gate import ClaimGate
from dagster_transform.runs.earlier_failures import blocked_by_failures, checks_above
from dagster_transform.runs.events import ChecksBegin, RunEvent
from dagster_transform.runs.interrupts import store_the_rest
from dagster_transform.runs.log_lines import LogLines
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.ports import EventSink, RunLog, RunRecords
from dagster_transform.runs.rounds import Selection, below
from dagster_transform.runs.settling import Settling
from dagster_transform.runs.summary import RunSummary, summarise
from dagster_transform.runs.syncing import synced, unjudged
from dagster_transform.runs.times import RunTimes
from dagster_transform.walk import Walk


@dataclass(frozen=True, slots=True)
class RunPorts:
    """What a run needs of whoever carries it out.

    Attributes:
        log, records, events: See `runs.ports`.
        times: Where to note what its time went into.
    """

    log: RunLog
    records: RunRecords
    events: EventSink
    times: RunTimes = field(default_factory=RunTimes)


def carry_out(
    graph: Graph,
    selection: Selection,
    *,
    participants: Participants,
    claims: RunClaims,
    limits: Limits,
    ports: RunPorts,
    fails: Fails = fails,
    require_passing: Collection[str] = (),
    advise: Callable[[RunPlan], None] = lambda _: None,
    must_find: bool = False,
) -> Generator[RunEvent, None, RunSummary]:
    """Plan, claim, open, walk, settle and summarise.

    Args:
        graph: The graph of the participants' projects.
        selection: What to do; of a run in rounds, in one of them.
        participants: The project runs; they are closed here.
        claims: Those of the run; whoever has made them closes them.
        limits: How the walk goes about it.
        ports: Log, records, and where events go once nobody takes them any more.
        fails: Whether a check's result makes the run fail.
        require_passing: Projects whose nodes are built only over what passed its blocking checks.
        advise: Called with the plan, when what it leaves out is stored and before anything starts.
        must_find: See `summarise`.

    Yields:
        What is to be stored, while the run goes on.

    Returns:
        What the run has come to.

    Raises:
        TransformError: The run can't be carried out. What was done until then is stored.
    """
    called = names_of(graph)
    progress: tuple[Walk, Settling, LogLines] | None = None
    completed = False
    try:
        readiness = _look(selection, participants, claims)
        readiness.update(unjudged(graph, selection.checks, readiness, ports.records))
        above = checks_above(graph, readiness, selection.checks, require_passing)
        if above:
            asked = {check.id for checks in above.values() for check in checks}
            results = ports.records.last_results(sorted(asked))
            readiness.update(blocked_by_failures(graph, above, results, called))
        make_plan = _Planner(graph, selection, participants, readiness, limits)
        claimed = _claim(make_plan(), participants, claims)
        participants.leave_out(claimed, readiness)
        for check in sorted(claimed.keys() - readiness.keys()):
            ports.log.info(f"{called(check)} not run: {claimed[check].reason}")
        run_plan = participants.open(make_plan, readiness, selection.nodes)
        claims.release_unneeded(run_plan)
        gate = ClaimGate(claims, run_plan, participants.refresh, called)
        settling = Settling(graph, run_plan, selection.nodes, called, claims.holders)
        lines = LogLines(ports.log, graph, run_plan, called, claims.held.inbox.now)
        lines.begin()
        yield from settling.begin()
        yield from synced(graph, run_plan, ports.records)
        lines.checks_left_out()
        advise(run_plan)
        if {unit.kind for unit in run_plan.units.values()} == {UnitKind.CHECK}:
            yield ChecksBegin(_out_of_reach_of_others(graph, run_plan, claims))
        walk = Walk(run_plan, participants.project_runs, claims.held.inbox, called, gate)
        progress = (walk, settling, lines)
        for walk_event in walk.events():
            lines.event(walk_event)
            yield from settling.after(walk_event)
        yield from settling.end()
        ports.times.walked(walk.times.spells(run_plan, walk.finished), claims.waited)
        completed = True
    except BaseException:
        if progress is not None:
            store_the_rest(*progress, ports.events)
        raise
    finally:
        problems = participants.close(completed=completed)
    left_out = {**run_plan.left_out, **participants.not_run}
    not_run = {**left_out, **not_run_in_builds(graph, called, walk.finished)}
    summary = summarise(
        called,
        walk.finished,
        not_run,
        problems,
        fails,
        checks=graph.checks,
        waited=not claims.policy.skip,
        must_find=must_find,
    )
    return replace(summary, below=below(graph, called, walk.finished, left_out))


@dataclass(frozen=True, slots=True)
class _Planner:
    """Makes the plan of what the project runs say by now."""

    graph: Graph
    selection: Selection
    participants: Participants
    readiness: Mapping[NodeId, Readiness]
    limits: Limits

    def __call__(self) -> RunPlan:
        readiness, nodes = self.readiness, set(self.selection.nodes)
        # A project run may add nodes that the run builds too.
        extra = {n for n in readiness.keys() - nodes if not readiness[n].outcome}
        judge = {check.id for n in extra for check in self.graph.checks_of(n)}
        checks = self.participants.runnable({*self.selection.checks, *judge})
        return plan_run(self.graph, {*nodes, *readiness}, checks, readiness, self.limits)


def _look(
    selection: Selection, participants: Participants, claims: RunClaims
) -> dict[NodeId, Readiness]:
    """What there is to do; nobody plans the environments meanwhile, or has the files open."""
    claims.take_shared(participants.shared_resources())
    readiness = participants.assess(selection.nodes, selection.checks)
    claims.update_shared(participants.shared_resources())
    participants.hold_back_over_moved(selection.nodes, readiness)
    return readiness


def _out_of_reach_of_others(
    graph: Graph, run_plan: RunPlan, claims: RunClaims
) -> frozenset[InputId]:
    """What the checks of a plan judge, without what another run may still be building."""
    needed = claims.held.needed
    waiting = {id for id in run_plan.units if not all(map(claims.has, needed.of(id)))}
    checks = [check for id in run_plan.units if (check := graph.check(id)) is not None]
    held_up = {check.target for check in checks if check.id in waiting}
    return frozenset(check.target for check in checks) - held_up


def _claim(
    run_plan: RunPlan, participants: Participants, claims: RunClaims
) -> Mapping[UnitId, LeftOut]:
    """Claim the tables of a plan; what others have and this run does not wait for."""
    keys = participants.claim_keys(run_plan)
    return claims.claim_tables(run_plan, keys, participants.promotion_keys(run_plan))
