"""One run: plan, walk, tell. The thin shell between Dagster's op and the walk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.execution.claims_store import claims_of
from dagster_transform.dagster.execution.failure import failure
from dagster_transform.dagster.execution.resource import TransformResource
from dagster_transform.dagster.execution.scope import scope_of
from dagster_transform.dagster.execution.sessions import Sessions, moment_of_run
from dagster_transform.dagster.execution.tell import Teller, Told
from dagster_transform.dagster.translation.keys import Names
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.planning import (
    LeftOut,
    Limits,
    Outcome,
    Readiness,
    RunPlan,
    Unit,
    UnitKind,
    finer_than_upstream,
    plan_run,
    restatable,
)
from dagster_transform.runs.claiming import RunClaims
from dagster_transform.runs.gate import ClaimGate
from dagster_transform.walk import SharedResources, ProjectRun, Walk

_RESTATE = """\
To build a time of {names} again, although it is complete, give this run config in the launchpad:
resources:
  transform:
    config:
      restate: {{start: "{day}", end: "{day}"}}"""

Context = dg.AssetExecutionContext | dg.OpExecutionContext


def run_transform(
    context: dg.AssetExecutionContext,
    graph: Graph,
    config: TransformConfig,
    names: Names,
    options: TransformResource,
) -> Iterator[Told]:
    """Do what was selected, and yield what came of it while it goes on.

    Args:
        context: Dagster's context of the op: its selection, its log.
        graph: The combined graph.
        config: Where the projects are.
        names: Keys of the graph.
        options: What this run asks for.

    Raises:
        dg.Failure: Something failed; all that did not is stored by then.
    """
    nodes = {names.nodes[key] for key in context.selected_asset_keys if key in names.nodes}
    checks = {names.checks[key] for key in context.selected_asset_check_keys}
    try:
        limits = options.limits(config)
        scope = scope_of(context, graph, names)
        claims = claims_of(context, graph, config, options)
        made = Sessions(context, graph, config, options, scope, claims.holds, claims.builds_in)
        sessions = made.of({*nodes, *checks})
    except TransformError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None

    def advise(plan: RunPlan) -> None:
        for warning in finer_than_upstream(graph, nodes):
            context.log.warning(warning)
        if options.ignores_cron(context.run.tags) and (found := restatable(graph, plan)):
            context.log.info(_RESTATE.format(names=", ".join(found), day=_last_day(options)))

    with closing(claims):
        yield from carry_out(
            context,
            graph,
            names,
            sessions,
            claims,
            nodes=nodes,
            checks=checks,
            limits=limits,
            advise=advise,
        )


def carry_out(
    context: Context,
    graph: Graph,
    names: Names,
    sessions: Mapping[str, Session],
    claims: RunClaims,
    *,
    nodes: Collection[str],
    checks: Collection[str],
    limits: Limits,
    live: bool = True,
    advise: Callable[[RunPlan], None] = lambda _: None,
) -> Iterator[Told]:
    """Plan, claim, walk and tell; the sessions are closed by it.

    Args:
        context: Dagster's context of the op.
        graph: The graph of the sessions' projects.
        names: Keys of the graph.
        sessions: By project.
        claims: Those of the op; whoever has made them releases them.
        nodes: Ids of the nodes to build.
        checks: Ids of the checks to run.
        limits: How the walk goes about it.
        live: Whether the op yields assets. If not, everything is logged as an event, and nothing
            is yielded.
        advise: Called with the plan, when its outcomes have been told and before anything starts.

    Raises:
        dg.Failure: Something failed; all that did not is stored by then.
    """
    called = _short_names(graph)
    crew = _Crew(context, graph, sessions, called)
    teller: Teller | None = None
    walk: Walk | None = None
    completed = False
    try:
        claims.end_backends = crew.end_backends
        claims.take_ground(crew.shared_resources())
        readiness = crew.assess(nodes, checks)
        for project, need in crew.shared_resources().items():
            claims.settle(project, alone=need.alone)

        def make_plan() -> RunPlan:
            build = {*nodes, *readiness}  # a session may add nodes that the run builds too
            extra = {n for n in readiness.keys() - set(nodes) if not readiness[n].outcome}
            judge = {c.id for n in extra for c in graph.checks_of(n)}
            return plan_run(graph, build, crew.runnable({*checks, *judge}), readiness, limits)

        first = make_plan()
        claimed = claims.claim(first, crew.claim_keys(first), crew.promotion_keys(first))
        crew.leave_out(claimed, readiness)
        plan = crew.open(make_plan, readiness, nodes)
        gate = ClaimGate(claims, plan, crew.refresh)
        teller = Teller(context, graph, names, plan, called, live, claims.holders)
        teller.begin()
        advise(plan)
        walk = Walk(plan, sessions, claims.inbox, lambda unit: called.get(unit, unit), gate)
        for event in walk.events():
            yield from teller.tell(event)
        yield from teller.end()
        completed = True
    except BaseException as error:
        if walk is not None and teller is not None:
            _tell_the_rest(walk, teller)
        if isinstance(error, TransformError):
            raise dg.Failure(description=str(error), allow_retries=False) from None
        raise
    finally:
        problems = crew.close(completed=completed)
    left_out = {**plan.left_out, **crew.not_run, **problems}
    waited = not claims.manner.skip
    if bad := failure(called, walk.finished, left_out, waited=waited):
        raise bad


def _tell_the_rest(walk: Walk, teller: Teller) -> None:
    """After an interrupt: end what runs, and store what became of everything.

    Dagster takes no results any more, but it still takes events.
    """
    teller.live = False
    for event in walk.cancel():
        for _ in teller.tell(event):
            pass
    for _ in teller.end():
        pass


class _Crew:
    """The sessions of a run. One that fails takes its own project down, not the run."""

    def __init__(
        self,
        context: Context,
        graph: Graph,
        sessions: Mapping[str, Session],
        called: Mapping[str, str],
    ) -> None:
        self.not_run: dict[str, LeftOut] = {}
        self._context = context
        self._graph = graph
        self._sessions = sessions
        self._called = called
        self._broken: dict[str, str] = {}

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> dict[str, Readiness]:
        """What there is to do, from every project."""
        readiness: dict[str, Readiness] = {}
        for project, session in self._sessions.items():
            mine = [n for n in nodes if self._graph.nodes[n].project == project]
            judged = [c for c in checks if self._graph.checks[c].project == project]
            self._context.log.info(f"Project {project}: reading its state")
            try:
                readiness.update(session.assess(mine, judged))
            except TransformError as error:
                self._breaks(project, error, mine, judged, readiness)
            self._make_way(session)
        return readiness

    def open(
        self,
        make_plan: Callable[[], RunPlan],
        readiness: dict[str, Readiness],
        nodes: Collection[str],
    ) -> RunPlan:
        """Make the plan and open the sessions that it names; without those that can't be."""
        opened: set[str] = set()
        while True:
            plan = make_plan()
            projects = dict.fromkeys(unit.project for unit in plan.units.values())
            todo = [p for p in projects if p not in opened]
            if not todo:
                return plan
            units = [unit for unit in plan.units.values() if unit.project == todo[0]]
            opened.add(todo[0])
            try:
                self._sessions[todo[0]].open(units)
            except TransformError as error:
                every = sorted({*nodes, *readiness})
                mine = [n for n in every if self._graph.nodes[n].project == todo[0]]
                judged = [u.id for u in units if u.id in self._graph.checks]
                self._breaks(todo[0], error, mine, judged, readiness)
            self._make_way(self._sessions[todo[0]])

    def shared_resources(self) -> dict[str, SharedResources]:
        """What each project's session shares with other runs."""
        found: dict[str, SharedResources] = {}
        for project, session in self._sessions.items():
            with suppress(TransformError):  # `assess` will meet it too, and tell it
                found[project] = session.shared_resources()
        return found

    def claim_keys(self, plan: RunPlan) -> dict[str, str]:
        """The table of each unit that has one."""
        found = {u.id: self._sessions[u.project].claim_key(u) for u in plan.units.values()
                 if u.kind is not UnitKind.PROMOTE}  # fmt: skip
        return {unit: key for unit, key in found.items() if key is not None}

    def promotion_keys(self, plan: RunPlan) -> dict[str, Mapping[str, bool]]:
        """The tables of each promotion besides those of its builds, and whether it changes them."""
        return {
            unit.id: self._sessions[unit.project].promotion_keys(unit)
            for unit in plan.units.values()
            if unit.kind is UnitKind.PROMOTE
        }

    def leave_out(self, claimed: Mapping[str, LeftOut], readiness: dict[str, Readiness]) -> None:
        """Take out of the plan what other runs are building."""
        for unit, why in claimed.items():
            if unit in self._graph.nodes:
                readiness[unit] = Readiness(why.outcome, why.reason)
            else:
                self._context.log.info(f"{self._called[unit]} not run: {why.reason}")
                self.not_run[unit] = why

    def end_backends(self, sessions: Collection[str]) -> set[str]:
        """End what other runs have left on database servers; those that are not there any more."""
        gone: set[str] = set()
        for session in self._sessions.values():
            try:
                gone |= set(session.end_backends(set(sessions) - gone))
            except TransformError as error:
                self._context.log.warning(str(error))
        return gone

    def refresh(self, unit: Unit) -> None:
        """A build was held up by another run's claim: its session is to look at it again."""
        self._sessions[unit.project].refresh([unit])

    def runnable(self, checks: Collection[str]) -> list[str]:
        """Those of the checks that can be run: their project is not broken, nobody has claimed
        what they judge."""
        return [
            c
            for c in checks
            if c not in self.not_run and self._graph.checks[c].project not in self._broken
        ]

    def close(self, *, completed: bool) -> dict[str, LeftOut]:
        """Close all sessions; what goes wrong in that is told, by project."""
        problems: dict[str, LeftOut] = {}
        for project, session in self._sessions.items():
            # What runs at its end, hooks say, may need a file that another session still holds.
            for other in self._sessions.values():
                if completed and other is not session:
                    self._make_way(other)
            try:
                session.close(completed=completed and project not in self._broken)
            except TransformError as error:
                self._context.log.error(str(error))
                problems[f"{project}: end of the run"] = LeftOut(Outcome.FAILED, str(error))
        return problems

    def _breaks(
        self,
        project: str,
        error: TransformError,
        nodes: Sequence[str],
        checks: Sequence[str],
        readiness: dict[str, Readiness],
    ) -> None:
        self._context.log.error(str(error))
        self._broken[project] = str(error)
        readiness.update({n: Readiness(Outcome.FAILED, str(error)) for n in nodes})
        self.not_run.update({c: LeftOut(Outcome.FAILED, str(error)) for c in checks})

    def _make_way(self, session: Session) -> None:
        """Sessions that may need one file leave it to each other while they get ready."""
        if len(self._sessions) > 1:
            with suppress(TransformError):
                session.let_go()


def _last_day(options: TransformResource) -> str:
    return f"{moment_of_run(options.execution_time) - timedelta(days=1):%Y-%m-%d}"


def _short_names(graph: Graph) -> dict[str, str]:
    names = {node.id: node.name for node in graph.nodes.values()}
    names |= {source.id: source.name for source in graph.sources.values()}
    return names | {c.id: f"{names[c.target]}:{c.name}" for c in graph.checks.values()}
