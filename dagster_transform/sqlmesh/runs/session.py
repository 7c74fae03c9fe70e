"""SQLMesh's side of one run of one project.

The run executes what the environment has: snapshots come from the state, model files are not
loaded, except where a plan has to be made. The order is the walk's; this session only builds the
node that it is told to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome, Readiness, Unit, UnitKind
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.project import clear_errors, is_transient, open_context
from dagster_transform.sqlmesh.runs.audits import judge, snapshot_judged
from dagster_transform.sqlmesh.runs.build import Cancelled, Hands, build_node, why
from dagster_transform.sqlmesh.runs.claiming import (
    claim_key,
    connections_of,
    files_of,
    shared_resources_of,
    read_again,
)
from dagster_transform.sqlmesh.runs.hooks import Hooks
from dagster_transform.sqlmesh.runs.plan import PlanInProgress, make_plan
from dagster_transform.sqlmesh.runs.restate import RestatementInProgress, assess_restatement
from dagster_transform.sqlmesh.runs.backends import ProjectBackends, end_left
from dagster_transform.sqlmesh.runs.tables import look_again, look_for_tables, table_exists
from dagster_transform.sqlmesh.runs.watch import PlanWatch
from dagster_transform.sqlmesh.runs.workers import Workers
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import Assessment, assess_environment
from dagster_transform.walk import SharedResources, Report

_STOP_TIMEOUT = 1.0
"""Seconds that an idle thread gets to end when the session closes."""


class SqlmeshProjectRun:
    """One run of one SQLMesh project; see `walk.ports.Session` for the contract.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        graph: The graph, for the references of the ids that it is given.
        settings: What the run asks for.
        prepared: A Context and a plan made with it, which is carried out instead of making one.
    """

    def __init__(
        self,
        name: str,
        project: SqlmeshProject,
        graph: Graph,
        settings: SqlmeshSettings,
        *,
        prepared: tuple[Any, PlanInProgress] | None = None,
    ) -> None:
        self._name = name
        self._project = project
        self._graph = graph
        self._settings = settings
        self._context: Any
        self._plan: PlanInProgress | None
        self._context, self._plan = prepared or (None, None)
        self._restatement: RestatementInProgress | None = None
        self._watch: PlanWatch | None = None
        self._assessment: Assessment | None = None
        self._hooks: Hooks | None = None
        self._workers: Workers | None = None
        self._threads: dict[str, set[int]] = {}  # unit -> idents of the threads that do it
        self._cancelled: set[str] = set()
        self._exclusive: frozenset[str] = frozenset()
        self._late: set[str] = set()  # units that others may have built while this run waited
        self._connections: list[Any] = []
        self._server_sessions: ProjectBackends

    @property
    def capacity(self) -> int:
        """What SQLMesh calls `concurrent_tasks` of the connection: 1 for DuckDB. Of several
        gateways that have something to do, the least."""
        return min((int(c.concurrent_tasks) for c in self._connections), default=1)

    @property
    def exclusive(self) -> frozenset[str]:
        """The DuckDB files of the project's gateways and state that a run of it opens."""
        return self._exclusive

    def shared_resources(self) -> SharedResources:
        """The environment, to itself where it makes a plan, and the DuckDB files.

        Raises:
            SqlmeshError: The project's configuration can't be used.
        """
        alone = self._plan is not None
        if self._assessment is None:
            alone |= self._settings.plan == "auto" and self._settings.restate is None
        with clear_errors(self._name, self._settings.paths):
            return shared_resources_of(self._opened(), self._settings, alone=alone)

    def claim_key(self, unit: Unit) -> str | None:
        """The physical table of the node, or of the node that the check judges."""
        reference = self._graph.nodes[unit.id].reference if unit.id in self._graph.nodes else None
        if unit.id in self._graph.checks:
            reference = snapshot_judged(self._graph.checks[unit.id], self._graph)
        setting = self._assessed().setting
        snapshot = setting.scheduler.snapshots_by_name.get(reference)
        return claim_key(self._context, setting, snapshot) if snapshot is not None else None

    def promotion_keys(self, unit: Unit) -> Mapping[str, bool]:
        """The tables that a plan makes, migrates or audits apart from its builds."""
        if self._plan is None:
            return {}
        setting, found = self._assessed().setting, self._plan.touches(unit.id)
        snapshots = setting.scheduler.snapshots_by_name
        keys = {n: claim_key(self._context, setting, snapshots[n]) for n in found}
        return {key: found[name] for name, key in keys.items() if key is not None}

    def refresh(self, units: Sequence[Unit]) -> None:
        """Read the intervals of these nodes again before each is built."""
        self._late |= {unit.id for unit in units}

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
        """Open the project, make a plan where one is due, and say what there is to do.

        Raises:
            SqlmeshError: The project, its database or its environment can't be used.
        """
        selected = {self._graph.nodes[n].reference: n for n in nodes}
        judged = {snapshot_judged(self._graph.checks[c], self._graph) for c in checks}
        settings, paths = self._settings, self._settings.paths
        plan_first = bool(nodes) and settings.plan == "auto" and settings.restate is None
        with clear_errors(self._name, paths):
            if plan_first and self._plan is None:
                whole = set(selected) == {
                    n.reference for n in self._graph.nodes.values() if n.project == self._name
                }
                self._context, self._plan = make_plan(
                    self._name,
                    self._project,
                    settings,
                    selected,
                    whole=whole,
                    opened=self._opened(),
                )
            elif self._plan is None:
                _compat.load_materializations(self._opened())
            self._assessment = self._assess(selected, judged)
            self._connections = connections_of(self._context, self._assessment)
            self._exclusive = files_of(self._context, self._connections)
        mine = self._ids()
        return {
            mine[reference]: readiness
            for reference, readiness in self._assessment.readiness.items()
            if reference in mine
        }

    def _assess(self, selected: Mapping[str, str], judged: Collection[str]) -> Assessment:
        if self._plan is not None:
            return self._plan.assess(selected)
        if self._settings.restate is not None and selected:
            self._restatement = assess_restatement(
                self._name, self._context, self._settings, selected
            )
            return self._restatement.assessment
        return assess_environment(self._name, self._context, self._settings, selected, judged)

    def open(self, units: Sequence[Unit]) -> None:
        """Carry out what comes before the first node: a plan's early stages, or `before_all`.

        Raises:
            SqlmeshError: It failed; nothing has been built.
        """
        assessment = self._assessed()
        building = [self._graph.nodes[u.id].reference for u in units if u.kind is UnitKind.BUILD]
        builds = [assessment.work[reference] for reference in building]
        with clear_errors(self._name, self._settings.paths, "can't begin its run"):
            self._server_sessions = ProjectBackends(self._context, self._settings.builds_in)
            if self._plan is not None:
                self._server_sessions.plans(str(self.shared_resources().environment))
                self._plan.read_again(building, assessment)
                self._plan.before_backfill()
            elif builds:
                if not self._settings.turn.begun:
                    self._surround().before_all()
                    self._settings.turn.begun = True
                if self._restatement is not None:
                    self._restatement.begin(building)
                self._watch = PlanWatch(self._context, self._settings, assessment)
                if self._restatement is None:
                    read_again(building, assessment, self._context, self._settings)
            look_for_tables(builds, assessment.setting)
        self._workers = Workers(self.capacity, f"sqlmesh-{self._name}")

    def start(self, unit: Unit, done: Callable[[Report], None]) -> None:
        """Begin a build, a check or the promotion on a thread of the session's own."""
        if self._workers is None:
            raise RuntimeError("open comes before start")
        self._workers.submit(lambda: done(self._do(unit)))

    def cancel(self, unit: str) -> None:
        """Ask the engine to end the unit's statement, and keep its next one from starting."""
        self._cancelled.add(unit)
        for thread in tuple(self._threads.get(unit, ())):
            _compat.cancel_statements(self._adapters(), thread)

    def end_backends(self, sessions: Collection[str]) -> Collection[str]:
        """End them through the gateways that lead to their servers.

        Raises:
            SqlmeshError: A server can't be reached, or a session does not end.
        """
        with clear_errors(self._name, self._settings.paths, "can't end what another run left"):
            return end_left(self._opened(), sessions)

    def close_files(self) -> None:
        """Close all connections; the next statement opens new ones."""
        if self._context is not None:
            _compat.close_connections(self._context)

    def close(self, *, completed: bool) -> None:
        """Run `after_all`, end the threads and close the connections.

        `after_all` runs whenever `before_all` has, as in SQLMesh, also after a failure; a
        cancelled run skips it, because a person waits for it to be over.
        """
        turn = self._settings.turn
        turn.ended |= not completed
        try:
            if completed and self._context is not None:
                with clear_errors(self._name, self._settings.paths, "can't end its run"):
                    if self._restatement is not None:
                        built = [n for n, w in self._assessed().work.items() if w.recorded]
                        self._restatement.clear_elsewhere(built)
                    done = self._plan is None or self._plan.promoted
                    if turn.due and turn.last and done:
                        self._surround().after_all()
                        turn.ended = True
        finally:
            # A statement that still runs holds its connection, and closing that would wait for it.
            for unit in list(self._threads):
                self.cancel(unit)
            if self._workers is not None:
                self._workers.stop(_STOP_TIMEOUT)
                self._workers = None
            if self._context is not None:
                _compat.close_connections(self._context)
                self._context = None

    # -- on a worker's thread -------------------------------------------------------------------

    def _do(self, unit: Unit) -> Report:
        began = perf_counter()
        self._threads.setdefault(unit.id, set()).add(threading.get_ident())
        try:
            if unit.id in self._cancelled:
                raise Cancelled
            if unit.kind is UnitKind.BUILD:
                return self._build(unit)
            if unit.kind is UnitKind.CHECK:
                return self._check(unit)
            return self._promote(unit)
        except BaseException as error:  # noqa: BLE001 - a Python model may call sys.exit
            seconds = perf_counter() - began
            if unit.id in self._cancelled:
                return Report(unit.id, Outcome.CANCELLED, "cancelled", seconds=seconds)
            if not self._settings.holds(unit.id):
                return Report(unit.id, Outcome.CANCELLED, "its claim was lost", seconds=seconds)
            transient = is_transient(error)
            self._recover(error)
            reason = str(error) if isinstance(error, TransformError) else why(error)
            return Report(unit.id, Outcome.FAILED, reason, transient=transient, seconds=seconds)
        finally:
            self._threads.pop(unit.id, None)

    def _build(self, unit: Unit) -> Report:
        assessment = self._assessed()
        reference = self._graph.nodes[unit.id].reference
        cancelled = lambda: unit.id in self._cancelled  # noqa: E731
        if self._watch is not None and (reason := self._watch.why_not(reference, cancelled)):
            return Report(unit.id, Outcome.WAITING, reason)
        work = assessment.work[reference]
        if unit.id in self._late:
            self._late.discard(unit.id)
            if self._plan is not None:
                self._plan.read_again([reference], assessment)
            else:
                read_again([reference], assessment, self._context, self._settings)
            work.create = work.create and not table_exists(assessment.setting, work.snapshot)
        if work.batches and len(work.recorded) == len(work.batches):
            return Report(unit.id, Outcome.UP_TO_DATE, "somebody has built it meanwhile")
        self._server_sessions.builds(unit.id, work.snapshot)
        held = lambda: self._settings.holds(unit.id)  # noqa: E731
        hands = Hands(cancelled, held, partial(self._spread, unit.id), self._recover)
        return build_node(unit.id, work, assessment.setting, hands)

    def _recover(self, error: BaseException) -> None:
        """A connection that was lost must not be used again by its thread."""
        if is_transient(error):
            _compat.drop_connection(self._adapters())

    def _spread(self, unit: str, job: Callable[[], None]) -> None:
        """Let another thread, once one is free, do a part of a unit."""

        def do() -> None:
            thread = threading.get_ident()
            threads = self._threads.get(unit)
            if threads is None or self._workers is None:
                return  # the unit has ended
            threads.add(thread)
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the others do its part
                self._recover(error)
            finally:
                threads.discard(thread)

        if self._workers is not None and not self._settings.batches_apart:
            self._workers.submit(do)

    def _check(self, unit: Unit) -> Report:
        check, environment = self._graph.checks[unit.id], self._settings.environment
        reference, assessment = snapshot_judged(check, self._graph), self._assessed()
        began = perf_counter()
        if reference not in assessment.setting.scheduler.snapshots_by_name:
            reason = f"{self._called(reference)} is not in environment {environment}: apply a plan"
            return Report(unit.id, Outcome.NOT_PROMOTED, reason)
        report = judge(check, reference, assessment, self._settings)
        return replace(report, seconds=perf_counter() - began)

    def _promote(self, unit: Unit) -> Report:
        if self._plan is None:
            raise RuntimeError("a promotion without a plan")
        if not self._settings.holds(unit.id):
            return Report(unit.id, Outcome.CANCELLED, "its claim was lost")
        began, assessment = perf_counter(), self._assessed()
        for name in self._plan.touches(unit.id):
            snapshot = assessment.setting.scheduler.snapshots_by_name[name]
            self._server_sessions.builds(unit.id, snapshot)
        look_again(assessment.setting)
        if unit.id == self._plan.step:
            self._plan.between_backfills()
            look_for_tables(assessment.work.values(), assessment.setting)  # it may have made some
        else:
            self._plan.after_backfill()
        return Report(unit.id, Outcome.PROMOTED, seconds=perf_counter() - began)

    # -- small things ---------------------------------------------------------------------------

    def _opened(self) -> Any:
        if self._context is None:
            paths = self._settings.paths
            self._context = open_context(self._name, self._project, paths, load=False)
        return self._context

    def _ids(self) -> dict[str, str]:
        return {n.reference: n.id for n in self._graph.nodes.values() if n.project == self._name}

    def _called(self, reference: str) -> str:
        node = self._graph.nodes.get(self._ids().get(reference, ""))
        return node.name if node is not None else reference

    def _surround(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks(self._context, self._assessed(), self._settings)
        return self._hooks

    def _assessed(self) -> Assessment:
        if self._assessment is None:
            raise RuntimeError("assess comes first")
        return self._assessment

    def _adapters(self) -> list[Any]:
        adapters = list(self._context.snapshot_evaluator.adapters.values())
        return [*adapters, *_compat.state_adapters(self._context)]
