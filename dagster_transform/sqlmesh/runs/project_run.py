"""SQLMesh's side of one run of one project.

The order is the walk's; here the node is built that the walk names, when it names it. What differs
between the three ways of a run is in the modules that `way_of_run` names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter

from dagster_transform.databases.backends import BackendId
from dagster_transform.databases.transient import is_transient
from dagster_transform.graph import Check, CheckId, Graph, Node, NodeId, UnitId, check_id, node_id
from dagster_transform.planning import Outcome, Readiness, ResourceKey, Unit, UnitKind
from dagster_transform.sqlmesh import _compat, _compat_connections
from dagster_transform.sqlmesh._compat_imports import import_beside
from dagster_transform.sqlmesh.configs import shell_command_of
from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.project import OpenProject
from dagster_transform.sqlmesh.runs import failures, remarks
from dagster_transform.sqlmesh.runs.assessed import Assessed, Open
from dagster_transform.sqlmesh.runs.auto_plan import make_plan
from dagster_transform.sqlmesh.runs.backends import ProjectBackends, end_backends
from dagster_transform.sqlmesh.runs.build_callbacks import BuildCallbacks
from dagster_transform.sqlmesh.runs.build_node import build_node
from dagster_transform.sqlmesh.runs.checks import Checks, snapshot_judged
from dagster_transform.sqlmesh.runs.physical_tables import (
    forget_tables,
    look_for_tables,
    table_exists,
)
from dagster_transform.sqlmesh.runs.planning_run import PlanningRun
from dagster_transform.sqlmesh.runs.promoted_run import PromotedRun
from dagster_transform.sqlmesh.runs.resource_keys import (
    connections_of,
    file_keys,
    require_files,
    shared_resources_of,
    table_key,
)
from dagster_transform.sqlmesh.runs.restatement import plan_restatement
from dagster_transform.sqlmesh.runs.restating_run import RestatingRun
from dagster_transform.sqlmesh.runs.staged_plan import StagedPlan
from dagster_transform.sqlmesh.runs.threads import UnitThreads
from dagster_transform.sqlmesh.runs.way_of_run import WayOfRun, take_out_what_others_built
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import assess_environment
from dagster_transform.walk import Message, Moved, Progress, Report, SharedResources

Logger = Callable[[str, str], None]

_STOP_TIMEOUT = 1.0
"""Seconds that an idle thread gets to end when the run closes."""
_IN_LINE = 2
"""Checks that wait for a thread, where there is nothing but checks: one that has ended is followed
at once, whatever is being stored then."""


class SqlmeshProjectRun:
    """One run of one SQLMesh project; see `walk.ports.ProjectRun` for the contract.

    Args:
        project: The project.
        graph: The graph, for the references of the ids that it is given.
        settings: What the run asks for.
        staged: A plan, made with the project as it is open; it is carried out, and no other one is
            made.
        log: Called with level (`info`, `warn`) and text of what the outcomes don't say.
    """

    def __init__(
        self,
        project: OpenProject,
        graph: Graph,
        settings: SqlmeshSettings,
        staged: StagedPlan | None = None,
        log: Logger = lambda _, __: None,
    ) -> None:
        self._project = project
        self._graph = graph
        self._settings = settings
        self._staged = staged
        self._log = log
        self._assessed: Assessed | None = None
        self._open: Open | None = None
        self._contended: set[UnitId] = set()  # others may have built them while this run waited

    @property
    def capacity(self) -> int:
        """As many as there are threads, and those in line."""
        return self._threads() + (self._open.in_line if self._open is not None else 0)

    @property
    def exclusive(self) -> frozenset[ResourceKey]:
        """The DuckDB files of the project's gateways and state that a run of it opens."""
        return self._assessed.exclusive if self._assessed is not None else frozenset()

    def shared_resources(self) -> SharedResources:
        """The environment, to itself where it makes a plan, and the DuckDB files.

        Raises:
            SqlmeshError: The project's configuration can't be used.
        """
        assessed = self._assessed
        alone = self._settings.may_plan if assessed is None else assessed.way.plans
        with self._project.clear_errors():
            return shared_resources_of(self._project.open(), self._settings, alone=alone)

    def claim_key(self, unit: Unit) -> ResourceKey | None:
        """The physical table of the node, or of the node that the check judges."""
        check, node = self._graph.check(unit.id), self._graph.node(unit.id)
        if check is not None:
            return self._table_key(snapshot_judged(check, self._graph))
        return self._table_key(node.reference) if node is not None else None

    def promotion_keys(self, unit: Unit) -> Mapping[ResourceKey, bool]:
        """The tables that a plan makes, migrates or audits apart from its builds."""
        found = self._known().way.promotion_tables(unit.id)
        keys = {reference: self._table_key(reference) for reference in found}
        return {key: found[reference] for reference, key in keys.items() if key is not None}

    def elsewhere(self) -> Moved:
        """What is in another database than the graph says."""
        return self._assessed.elsewhere if self._assessed is not None else {}

    def refresh(self, units: Sequence[Unit]) -> None:
        """Read the intervals of these nodes again before each is built."""
        self._contended |= {unit.id for unit in units}

    def assess(
        self, nodes: Collection[NodeId], checks: Collection[CheckId]
    ) -> Mapping[NodeId, Readiness]:
        """Open the project, make a plan where one is due, and say what there is to do.

        Raises:
            SqlmeshError: The project, its database or its environment can't be used.
        """
        graph, project, settings = self._graph, self._project, self._settings
        if nodes:
            import_beside("pandas")  # the state is read meanwhile; only builds need it
        selected = {graph.nodes[n].reference: n for n in nodes}
        judged = {snapshot_judged(graph.checks[c], graph) for c in checks}
        with project.clear_errors("can't be compared with its state"):
            name, context = project.name, project.open()
            targets = (graph.node(graph.checks[c].target) for c in checks)
            chosen = [graph.nodes[n] for n in nodes] + [t for t in targets if t is not None]
            mine = list({node.id: node for node in chosen if node.project == name}.values())
            self._say(remarks.of_another_database(name, context, mine))
            way = self._choose_way(selected.keys(), judged)
            context, environment = project.open(), way.assessment.environment.value
            self._say(remarks.of_expiry(name, self._plan_command(), settings, environment))
            connections = connections_of(context, way.assessment.evaluation)
            if not way.plans:
                require_files(project.name, connections, settings.environment)
            self._assessed = Assessed(
                way=way,
                checks=Checks(way.assessment, settings),
                connections=connections,
                exclusive=file_keys(context, connections),
                elsewhere=remarks.in_other_databases(context, mine, graph),
            )
        readiness = way.assessment.readiness
        ids = {node_id(project.name, reference): reference for reference in readiness}
        return {id: readiness[reference] for id, reference in ids.items() if graph.is_node(id)}

    def _plan_command(self) -> str:
        """What people type to plan the environment."""
        return shell_command_of(self._project.open(), f"plan {self._settings.environment}")

    def _choose_way(self, selected: Collection[str], judged: Collection[str]) -> WayOfRun:
        """Which way the run goes: a plan that there is or that has to be made comes first."""
        project, settings, staged = self._project, self._settings, self._staged
        nodes = self._graph.nodes.values()
        mine = {node.reference for node in nodes if node.project == project.name}
        if staged is None and selected and settings.may_plan:
            planned = {*selected, *settings.planned}
            whole = planned == mine and not project.leaves_out
            staged = make_plan(project, settings, planned, whole=whole)
        elif staged is None:
            _compat.load_materializations(project.open())
        context = project.open()
        if staged is not None:
            _compat.make_state(context)  # it was planned without one, where there was none
            return PlanningRun(context, settings, staged, selected)
        if settings.restate is not None and selected:
            restatement = plan_restatement(project.name, context, settings, selected, mine)
            return RestatingRun(context, settings, restatement)
        assessment = assess_environment(
            project.name, context, settings, selected, judged, may_build=mine
        )
        return PromotedRun(context, settings, assessment)

    def open(self, units: Sequence[Unit]) -> None:
        """Carry out what comes before the first node: a plan's early stages, or `before_all`.

        Raises:
            SqlmeshError: It failed; nothing has been built.
        """
        way = self._known().way
        builds = [unit for unit in units if unit.kind is UnitKind.BUILD]
        building = [self._node(unit).reference for unit in builds]
        with self._project.clear_errors("can't begin its run"):
            backends = ProjectBackends(self._project.open(), self._settings.guard)
            way.begin(building, backends)
            works = [way.assessment.work[reference] for reference in building]
            look_for_tables(works, way.assessment.evaluation)
            known = way.assessment.evaluation.by_name
            if not way.plans:
                name, command = self._project.name, self._plan_command()
                nodes = [self._node(unit) for unit in builds]
                self._say(remarks.of_other_versions(name, command, self._settings, nodes, known))
            if skipped := remarks.of_skipped_audits(self._judged(units), known):
                self._log("info", skipped)
        name = f"sqlmesh-{self._project.name}"
        threads = UnitThreads(self._threads(), name, self._end_statements)
        only_checks = all(unit.kind is UnitKind.CHECK for unit in units)
        self._open = Open(threads, backends, in_line=_IN_LINE if only_checks else 0)

    def _judged(self, units: Sequence[Unit]) -> list[Node]:
        """The nodes of units of any kind, each once."""
        graph = self._graph
        checks = {unit.id: graph.check(unit.id) for unit in units}
        nodes = (graph.node(id if check is None else check.target) for id, check in checks.items())
        return list({node.id: node for node in nodes if node is not None}.values())

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        """Begin a build, a check or the promotion on a thread of the run's own."""
        opened = self._opened()
        opened.threads.submit(lambda: done(self._do(unit, opened, done)))

    def cancel(self, unit: UnitId) -> None:
        """Ask the engine to end the unit's statement, and keep its next one from starting."""
        if self._open is not None:
            self._open.threads.cancel(unit)

    def end_backends(self, backends: Collection[BackendId]) -> Collection[BackendId]:
        """End them through the gateways that lead to their servers.

        Raises:
            SqlmeshError: A server can't be reached, or a backend does not end.
        """
        with self._project.clear_errors("can't end the backends of another run"):
            return end_backends(self._project.open(), backends)

    def close_files(self) -> None:
        """Close all connections; the next statement opens new ones."""
        self._project.close_connections()

    def close(self, *, completed: bool) -> None:
        """Run `after_all`, end the threads and close the connections.

        `after_all` runs whenever `before_all` has, as in SQLMesh, also after a failure; a
        cancelled run skips it, because a person waits for it to be over.
        """
        assessed, self._assessed = self._assessed, None
        self._settings.hooks.ended |= not completed
        try:
            if completed and assessed is not None:
                with self._project.clear_errors("can't end its run"):
                    assessed.way.end()
        finally:
            if self._open is not None:
                self._open.threads.stop(_STOP_TIMEOUT)
                self._open = None
            self._project.close_connections()

    # -- on a thread of the run -----------------------------------------------------------------

    def _do(self, unit: Unit, opened: Open, tell: Callable[[Message], None]) -> Report:
        began = perf_counter()
        with opened.threads.doing(unit.id), opened.backends.doing(unit.id):
            try:
                if opened.threads.is_cancelled(unit.id):
                    raise failures.Cancelled
                if unit.kind is UnitKind.BUILD:
                    return self._build(self._node(unit), opened, tell)
                if unit.kind is UnitKind.CHECK:
                    return self._check(self._graph.checks[CheckId(unit.id)])
                return self._promote(unit, opened)
            except BaseException as error:  # noqa: BLE001 - a Python model may call sys.exit
                seconds = perf_counter() - began
                if opened.threads.is_cancelled(unit.id):
                    return Report(unit.id, Outcome.CANCELLED, "cancelled", seconds=seconds)
                if not self._settings.guard.holds(unit.id):
                    return Report(unit.id, Outcome.CANCELLED, "its claim was lost", seconds=seconds)
                self._recover(error)
                reason, transient = failures.in_words(error), is_transient(error)
                return Report(unit.id, Outcome.FAILED, reason, transient=transient, seconds=seconds)

    def _build(self, node: Node, opened: Open, tell: Callable[[Message], None]) -> Report:
        way, reference = self._known().way, node.reference
        is_cancelled = partial(opened.threads.is_cancelled, node.id)
        if reason := way.why_not(reference, is_cancelled):
            return Report(node.id, Outcome.WAITING, reason)
        work, evaluation = way.assessment.work[reference], way.assessment.evaluation
        if work.error is not None:
            raise work.error
        if node.id in self._contended:
            self._contended.discard(node.id)
            take_out_what_others_built(way, [reference])
            work.create = work.create and not table_exists(evaluation, work.snapshot)
            if work.error is not None:
                raise work.error
        if work.is_done:
            return Report(node.id, Outcome.UP_TO_DATE, "somebody has built it meanwhile")
        opened.backends.builds(node.id, work.snapshot)
        total = len(work.batches)

        def progressed(done: int, batch: Interval) -> None:
            if total > 1:
                tell(Progress(node.id, done, total, in_words([batch])))

        callbacks = BuildCallbacks(
            is_cancelled=is_cancelled,
            held=partial(self._settings.guard.holds, node.id),
            help_with=partial(self._have_help, opened, node.id),
            failed=self._recover,
            progressed=progressed,
            audits=partial(self._audits_in_build, node.id),
            sample_rows=self._settings.sample_rows,
        )
        return build_node(node.id, work, evaluation, callbacks)

    def _audits_in_build(self, node: NodeId, audit: str) -> bool:
        """Whether a build runs one of its blocking audits; one that only the state has it does."""
        check = self._graph.check(check_id(node, audit))
        return check is None or not check.in_build or check.runs_in_build

    def _have_help(self, opened: Open, unit: UnitId, job: Callable[[], None]) -> None:
        def help_out() -> None:
            with opened.backends.doing(unit):
                job()

        if not self._settings.one_batch_at_a_time:
            opened.threads.help_with(unit, help_out, self._recover)

    def _check(self, check: Check) -> Report:
        began, known = perf_counter(), self._known()
        reference = snapshot_judged(check, self._graph)
        if reference not in known.evaluation.by_name:
            name = self._settings.called(reference)
            reason = f"{name} is not in environment {self._settings.environment}: apply a plan"
            return Report(check.id, Outcome.NOT_PROMOTED, reason)
        report = known.checks.run(check, reference)
        return replace(report, seconds=perf_counter() - began)

    def _promote(self, unit: Unit, opened: Open) -> Report:
        way = self._known().way
        if not self._settings.guard.holds(unit.id):
            return Report(unit.id, Outcome.CANCELLED, "its claim was lost")
        began, evaluation = perf_counter(), way.assessment.evaluation
        for reference in way.promotion_tables(unit.id):
            opened.backends.builds(unit.id, evaluation.by_name[reference])
        forget_tables(evaluation)
        way.promote(unit.id)
        return Report(unit.id, Outcome.PROMOTED, seconds=perf_counter() - began)

    # -- small things ---------------------------------------------------------------------------

    def _threads(self) -> int:
        """What SQLMesh calls `concurrent_tasks` of the connection: 1 for DuckDB. Of several
        gateways that have something to do, the least."""
        connections = self._assessed.connections if self._assessed is not None else ()
        return min((int(c.concurrent_tasks) for c in connections), default=1)

    def _say(self, text: str) -> None:
        if text:
            self._log("warn", text)

    def _recover(self, error: BaseException) -> None:
        """A connection that was lost must not be used again by its thread."""
        if is_transient(error):
            _compat_connections.drop_connection(self._project.adapters())

    def _end_statements(self, thread: int) -> None:
        _compat_connections.cancel_statements(self._project.adapters(), thread)

    def _table_key(self, reference: str) -> ResourceKey | None:
        evaluation = self._known().evaluation
        snapshot = evaluation.by_name.get(reference)
        if snapshot is None:
            return None
        return table_key(self._project.open(), evaluation, snapshot)

    def _node(self, unit: Unit) -> Node:
        return self._graph.nodes[NodeId(unit.id)]

    def _known(self) -> Assessed:
        if self._assessed is None:
            raise RuntimeError("assess comes first")
        return self._assessed

    def _opened(self) -> Open:
        if self._open is None:
            raise RuntimeError("open comes before start")
        return self._open
