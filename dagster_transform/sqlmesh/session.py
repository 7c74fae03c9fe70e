"""SQLMesh's side of one run of one project.

The run executes what the environment has: snapshots come from the state, model files are not
loaded, except where a plan has to be made. The order is the walk's; this session only builds the
node that it is told to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome, Readiness, Unit, UnitKind
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.build import Cancelled, audits_of, build_node, run_check, why
from dagster_transform.sqlmesh.environment import Assessment, assess_environment
from dagster_transform.sqlmesh.hooks import Hooks
from dagster_transform.sqlmesh.plan import PlanInProgress, make_plan
from dagster_transform.sqlmesh.project import clear_errors, is_transient, open_context
from dagster_transform.sqlmesh.settings import SqlmeshSettings, Work
from dagster_transform.sqlmesh.workers import Workers
from dagster_transform.walk import Report

_STOP_TIMEOUT = 1.0
"""Seconds that an idle thread gets to end when the session closes."""


class SqlmeshSession:
    """One run of one SQLMesh project; see `walk.ports.Session` for the contract.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        graph: The graph, for the references of the ids that it is given.
        settings: What the run asks for.
    """

    def __init__(
        self, name: str, project: SqlmeshProject, graph: Graph, settings: SqlmeshSettings
    ) -> None:
        self._name = name
        self._project = project
        self._graph = graph
        self._settings = settings
        self._context: Any = None
        self._plan: PlanInProgress | None = None
        self._assessment: Assessment | None = None
        self._hooks: Hooks | None = None
        self._workers: Workers | None = None
        self._threads: dict[str, int] = {}  # unit -> ident of the thread that does it
        self._cancelled: set[str] = set()
        self._exclusive: frozenset[str] = frozenset()

    @property
    def capacity(self) -> int:
        """What SQLMesh calls `concurrent_tasks` of the connection: 1 for DuckDB."""
        return int(self._context.concurrent_tasks) if self._context is not None else 1

    @property
    def exclusive(self) -> frozenset[str]:
        """The DuckDB files of the project's warehouse and state."""
        return self._exclusive

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
        """Open the project, make a plan where one is due, and say what there is to do.

        Raises:
            SqlmeshError: The project, its database or its environment can't be used.
        """
        selected = {self._graph.nodes[n].reference: n for n in nodes}
        judged = {self._graph.nodes[self._graph.checks[c].target].reference for c in checks}
        plan_first = bool(nodes) and self._settings.plan == "auto"
        paths = self._settings.paths
        with clear_errors(self._name, paths):
            if plan_first:
                whole = set(selected) == {
                    n.reference for n in self._graph.nodes.values() if n.project == self._name
                }
                self._context, self._plan = make_plan(
                    self._name, self._project, self._settings, selected, whole=whole
                )
            if self._context is None:
                self._context = open_context(self._name, self._project, paths, load=False)
                _compat.load_materializations(self._context)
            self._exclusive = _files(self._context)
            if self._plan is not None:
                self._assessment = self._plan.assess(selected)
            else:
                self._assessment = assess_environment(
                    self._name, self._context, self._settings, set(selected), judged
                )
        return {
            selected[reference]: readiness
            for reference, readiness in self._assessment.readiness.items()
        }

    def open(self, units: Sequence[Unit]) -> None:
        """Carry out what comes before the first node: a plan's early stages, or `before_all`.

        Raises:
            SqlmeshError: It failed; nothing has been built.
        """
        assessment = self._assessed()
        builds = [
            assessment.work[self._graph.nodes[u.id].reference]
            for u in units
            if u.kind is UnitKind.BUILD
        ]
        with clear_errors(self._name, self._settings.paths, "can't begin its run"):
            if self._plan is not None:
                self._plan.before_backfill()
            elif builds:
                self._hooks = Hooks(self._context, assessment, self._settings)
                self._hooks.before_all()
            self._look_for_tables(builds)
        self._workers = Workers(self.capacity, f"sqlmesh-{self._name}")

    def start(self, unit: Unit, done: Callable[[Report], None]) -> None:
        """Begin a build, a check or the promotion on a thread of the session's own."""
        if self._workers is None:
            raise RuntimeError("open comes before start")
        self._workers.submit(lambda: done(self._do(unit)))

    def cancel(self, unit: str) -> None:
        """Ask the engine to end the unit's statement, and keep its next one from starting."""
        self._cancelled.add(unit)
        thread = self._threads.get(unit)
        if thread is not None:
            _compat.cancel_statements(self._adapters(), thread)

    def let_go(self) -> None:
        """Close all connections; the next statement opens new ones."""
        if self._context is not None:
            _compat.close_connections(self._context)

    def close(self, *, completed: bool) -> None:
        """Run `after_all`, end the threads and close the connections.

        `after_all` runs whenever `before_all` has, as in SQLMesh, also after a failure; a
        cancelled run skips it, because a person waits for it to be over.
        """
        try:
            if self._hooks is not None and completed:
                with clear_errors(self._name, self._settings.paths, "can't end its run"):
                    self._hooks.after_all()
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
        self._threads[unit.id] = threading.get_ident()
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
            transient = is_transient(error)
            if transient:
                _compat.drop_connection(self._adapters())
            reason = str(error) if isinstance(error, TransformError) else why(error)
            return Report(unit.id, Outcome.FAILED, reason, transient=transient, seconds=seconds)
        finally:
            self._threads.pop(unit.id, None)

    def _build(self, unit: Unit) -> Report:
        assessment = self._assessed()
        work = assessment.work[self._graph.nodes[unit.id].reference]
        return build_node(unit.id, work, assessment.setting, lambda: unit.id in self._cancelled)

    def _check(self, unit: Unit) -> Report:
        assessment = self._assessed()
        check = self._graph.checks[unit.id]
        node = self._graph.nodes[check.target]
        setting = assessment.setting
        began = perf_counter()
        if node.reference not in setting.scheduler.snapshots_by_name:
            reason = f"{node.name} is not in environment {self._settings.environment}: apply a plan"
            return Report(unit.id, Outcome.NOT_PROMOTED, reason)
        snapshot, batches = assessment.judged(node.reference)
        audits = {audit.name: audit for audit in audits_of(snapshot, setting)}
        if check.reference not in audits:
            reason = (
                f"environment {self._settings.environment} has a version of {node.name} "
                "without this audit: apply a plan"
            )
            return Report(unit.id, Outcome.NOT_PROMOTED, reason)
        if not batches:
            reason = "its node has no data yet: no interval was ever built"
            return Report(unit.id, Outcome.WAITING, reason)
        result = run_check(unit.id, audits[check.reference], snapshot, setting, batches)
        seconds = perf_counter() - began
        return Report(unit.id, Outcome.CHECKED, checks=(result,), seconds=seconds)

    def _promote(self, unit: Unit) -> Report:
        if self._plan is None:
            raise RuntimeError("a promotion without a plan")
        began = perf_counter()
        if unit.id == self._plan.step:
            self._plan.between_backfills()
            self._look_for_tables(self._assessed().work.values())  # it may have made some
        else:
            self._plan.after_backfill()
        return Report(unit.id, Outcome.PROMOTED, seconds=perf_counter() - began)

    def _look_for_tables(self, works: Iterable[Work]) -> None:
        """Find out which tables have to be made.

        It ends by closing every other thread's connections, so nothing else may run meanwhile.
        """
        setting = self._assessed().setting
        waiting = [work for work in works if not work.recorded]
        to_create = {
            s.snapshot_id
            for s in setting.scheduler.snapshot_evaluator.get_snapshots_to_create(
                [work.snapshot for work in waiting], setting.deployability
            )
        }
        for work in waiting:
            work.create = work.snapshot.snapshot_id in to_create

    # -- small things ---------------------------------------------------------------------------

    def _assessed(self) -> Assessment:
        if self._assessment is None:
            raise RuntimeError("assess comes first")
        return self._assessment

    def _adapters(self) -> list[Any]:
        adapters = list(self._context.snapshot_evaluator.adapters.values())
        return [*adapters, *_compat.state_adapters(self._context)]


def _files(context: Any) -> frozenset[str]:
    """The DuckDB files that only one process can hold: the warehouse's and the state's."""
    config, gateway = context.config, context.gateway
    connections = (context.connection_config, config.get_state_connection(gateway))
    files = (names.duckdb_file(c) for c in connections if c is not None)
    return frozenset(f"file:{path}" for path in files if path)
