"""dbt's side of one run of one project.

One dbt invocation in a process of its own; its nodes are the walk's to start. Here is known which
unit is which node, and what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from dagster_transform.databases.backends import BackendId, backend_id, in_database
from dagster_transform.databases.identity import ConnectionIdentity, duckdb_file
from dagster_transform.dbt.backends import end_backends
from dagster_transform.dbt.files.checks import FRESHNESS
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.files.relations import all_identities, connection_identity, relation_of
from dagster_transform.dbt.protocol import BatchDone, Measured
from dagster_transform.dbt.runs import run_artifacts
from dagster_transform.dbt.runs.hooks import hook_error
from dagster_transform.dbt.runs.invocation import DbtInvocation
from dagster_transform.dbt.runs.reports import entry_of, facts_of, report_of
from dagster_transform.dbt.runs.settings import DbtSettings
from dagster_transform.dbt.runs.started_nodes import Answer
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import CheckId, Graph, NodeId, Relation, UnitId
from dagster_transform.planning import Outcome, Readiness, ResourceKey, Unit, UnitKind
from dagster_transform.walk import CheckResult, Message, Progress, Report, SharedResources

Logger = Callable[[str, str], None]


class DbtProjectRun:
    """One run of one dbt project; see `walk.ports.ProjectRun` for the contract.

    Args:
        name: The project's name in transform.yaml.
        graph: The graph, for the references of the ids that it is given.
        settings: What the run asks for.
        log: Called with level (`info`, `warn`, `error`) and text of what dbt says beyond results,
            from any thread.
    """

    def __init__(
        self, name: str, graph: Graph, settings: DbtSettings, log: Logger = lambda _, __: None
    ) -> None:
        self._name = name
        self._graph = graph
        self._settings = settings
        self._log = log
        self._invocation: DbtInvocation | None = settings.invocation.kept
        # What a kept invocation remembers of the database is as old as the run's earlier op.
        self._was_kept = self._invocation is not None
        self._contended: set[UnitId] = set()
        self._missing: set[UniqueId] = set()
        self._tokens: dict[UnitId, int] = {}

    @property
    def capacity(self) -> int:
        """The number of dbt's threads: the run's, or the profile's."""
        return self._begun().loaded().threads

    @property
    def exclusive(self) -> frozenset[ResourceKey]:
        """The DuckDB files that the target opens."""
        connection = self._begun().loaded().connection
        folder = self._settings.project.path
        return _files(all_identities(connection, folder=folder, project=self._name))

    def launch(self) -> None:
        """Start the dbt process; returns at once. Later calls do nothing.

        The earlier the better: loading a project takes dbt seconds, which other projects' planning
        can take place in. `assess` does it where nobody has.

        Raises:
            OutOfMemoryError: There was too little memory, for longer than the settings wait.
        """
        if self._invocation is None:
            self._invocation = DbtInvocation(self._name, self._settings, self._log)

    def shared_resources(self) -> SharedResources:
        """The DuckDB files of the project's relations; dbt has no environments."""
        graph, name = self._graph, self._name
        places = {s.relation.connection for s in graph.sources.values() if s.project == name}
        return SharedResources(_files(places | self._databases()))

    def claim_key(self, unit: Unit) -> ResourceKey | None:
        """The relation of the node, or of the node that the check judges."""
        check = self._graph.check(unit.id)
        node = self._graph.node(unit.id if check is None else check.target)
        if node is None or node.project != self._name:
            return None
        return ResourceKey.table(node.relation)

    def promotion_keys(self, unit: Unit) -> Mapping[ResourceKey, bool]:  # noqa: ARG002
        """None: dbt promotes nothing."""
        return {}

    def refresh(self, units: Sequence[Unit]) -> None:
        """Have dbt look whether their relations are there, before it builds them."""
        self._contended |= {unit.id for unit in units}

    def end_backends(self, backends: Collection[BackendId]) -> Collection[BackendId]:
        """End them with what the profile says of the server, once dbt has loaded the project.

        Raises:
            DbtRunError: dbt can't load the project, the server can't be reached, or it refuses.
            BackendsRemainError: Some do not end.
            OutOfMemoryError: There was too little memory to load the project.
        """
        if not any(in_database(place, backends) for place in self._databases()):
            return ()
        self.launch()
        loaded = self._begun().loaded()
        return end_backends(loaded.server, self._identity(None), backends)

    def assess(
        self, nodes: Collection[NodeId], checks: Collection[CheckId]
    ) -> Mapping[NodeId, Readiness]:
        """Every node is to be built: dbt keeps no state. The process loads the project meanwhile.

        Raises:
            OutOfMemoryError: There was too little memory, for longer than the settings wait.
        """
        if nodes or checks:
            self.launch()
        return {node: Readiness() for node in nodes}

    def open(self, units: Sequence[Unit]) -> None:
        """Connect, and carry out the on-run-start hooks; the database's files are held from then.

        Raises:
            DbtRunError: The project can't be loaded, or dbt can't begin.
        """
        self.launch()
        mine = {self._reference(unit) for unit in units}
        mine |= {UniqueId(reference) for reference in self._settings.in_run}
        self._missing = self._begun().open(mine)

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        """Hand a node to dbt."""
        node = self._reference(unit)
        if node in self._missing:
            reason = (
                "the project's files do not have it any more (or it is disabled):"
                f" run `dagster-transform prepare --project {self._name}`"
            )
            done(Report(unit.id, Outcome.NOT_PROMOTED, reason))
            return
        invocation = self._begun()
        if self._is_model_freshness(unit):
            done(_model_freshness(unit, invocation.entries.get(node)))
            return
        answered = partial(self._answered, invocation, unit, node, done)
        measured = partial(self._measured, unit, done)
        progressed = partial(_tell_progress, unit, done)
        refresh = self._was_kept or unit.id in self._contended
        if unit.kind is UnitKind.BUILD and invocation.loaded().server:
            backend = backend_id(self._identity(None), invocation.backend_name)
            self._settings.guard.builds_in(unit.id, frozenset({backend}))
        token = invocation.start(node, answered, measured, progressed, refresh=refresh)
        if token is not None:
            self._tokens[unit.id] = token

    def cancel(self, unit: UnitId) -> None:
        """Ask dbt's adapter to end the unit's statements, until it has ended."""
        if (token := self._tokens.get(unit)) is not None:
            self._begun().cancel(token)

    def close_files(self) -> None:
        """Have dbt close its DuckDB files; the next node opens them again.

        Raises:
            DbtRunError: It did not.
        """
        if self._invocation is not None and self._invocation.opened and self.exclusive:
            self._invocation.close_files()

    def close(self, *, completed: bool) -> None:
        """End the invocation, with its on-run-end hooks if the walk came to its end.

        Raises:
            DbtHookError: A hook failed, when the run began or now.
            DbtRunError: dbt ended otherwise.
        """
        invocation, of_run = self._invocation, self._settings.invocation
        if invocation is None:
            return
        if completed and not self._settings.last:
            self.close_files()
            of_run.kept = invocation
            return
        self._invocation = of_run.kept = None
        try:
            failed = _end(invocation, completed=completed)
        finally:
            _keep_artifacts(invocation, self._settings)
        if failed:
            raise hook_error(self._name, failed)

    # -- small things ---------------------------------------------------------------------------

    def _answered(
        self,
        invocation: DbtInvocation,
        unit: Unit,
        node: UniqueId,
        done: Callable[[Message], None],
        answer: Answer,
    ) -> None:
        """On the invocation's thread: note what became of a node, and report it."""
        if answer.result is not None:
            message = run_artifacts.kept_path(self._settings.folder.path, answer.result.message)
            answer = replace(answer, result=replace(answer.result, message=message))
        try:
            report = report_of(unit, answer, _id_of(invocation))
            if report.outcome is Outcome.FAILED and not self._settings.guard.holds(unit.id):
                lost = "its claim was lost"  # whoever has it now has ended it
                report = replace(report, outcome=Outcome.CANCELLED, reason=lost, transient=False)
            invocation.entries[node] = entry_of(report, answer, node)
        except Exception as error:  # noqa: BLE001 - the walk would wait for ever
            report = Report(unit.id, Outcome.FAILED, f"dbt's answer was not understood: {error!r}")
        done(report)

    def _measured(self, unit: Unit, done: Callable[[Message], None], measured: Measured) -> None:
        """On the invocation's thread: report what was found out of a relation that was built."""
        node = self._graph.nodes[NodeId(unit.id)]
        facts = facts_of(node, self._graph, measured, self._relation)
        if facts.problem:
            self._log("warn", f"{node.name}: not all is known of it: {facts.problem}")
        done(facts)

    def _relation(self, place: Resource) -> Relation:
        """The relation of what the dbt process has said of where something is."""
        kind = str(self._begun().loaded().connection["type"])
        return relation_of(place, kind, self._identity(place.get("database")))

    def _identity(self, database: str | None) -> ConnectionIdentity:
        """The connection identity of a database of the target; None: its main one."""
        return connection_identity(
            self._begun().loaded().connection,
            folder=self._settings.project.path,
            project=self._name,
            database=database,
        )

    def _databases(self) -> set[ConnectionIdentity]:
        """The databases that the project's nodes are built in, as the graph has them."""
        nodes = self._graph.nodes.values()
        return {node.relation.connection for node in nodes if node.project == self._name}

    def _reference(self, unit: Unit) -> UniqueId:
        """The unique id of a node, or of the test or source that a check is."""
        if unit.kind is UnitKind.CHECK:
            return UniqueId(self._graph.checks[CheckId(unit.id)].reference)
        return UniqueId(self._graph.nodes[NodeId(unit.id)].reference)

    def _is_model_freshness(self, unit: Unit) -> bool:
        if unit.kind is not UnitKind.CHECK:
            return False
        check = self._graph.checks[CheckId(unit.id)]
        return check.kind == FRESHNESS and self._graph.is_node(check.target)

    def _begun(self) -> DbtInvocation:
        if self._invocation is None:
            raise RuntimeError("assess comes first")
        return self._invocation


def _tell_progress(unit: Unit, done: Callable[[Message], None], batch: BatchDone) -> None:
    if batch.total > 1:
        done(Progress(unit.id, batch.done, batch.total, batch.batch))


def _model_freshness(unit: Unit, entry: Mapping[str, Any] | None) -> Report:
    """Whether a model was built within the time that its `build_after` says.

    dbt keeps no record of when a model was built, and starting the model's id would build it: a run
    that builds it knows, any other does not.
    """
    if entry is None or entry["status"] != "success":
        reason = "dbt does not know when the model was last built; a run that builds it does"
        return Report(unit.id, Outcome.WAITING, reason)
    built = {"built": "in this run"}
    result = CheckResult(CheckId(unit.id), passed=True, blocking=False, details=built)
    return Report(unit.id, Outcome.CHECKED, checks=(result,))


def _id_of(invocation: DbtInvocation) -> str:
    """The id that dbt gives an invocation; "" before the project is loaded."""
    loaded = invocation.last_loaded
    return loaded.invocation if loaded is not None else ""


def _end(invocation: DbtInvocation, *, completed: bool) -> tuple[str, ...]:
    """End an invocation; the hooks that failed. Whatever interrupts it, nothing of it remains."""
    try:
        return invocation.end() if completed and invocation.opened else ()
    finally:
        invocation.stop()


def _keep_artifacts(invocation: DbtInvocation, settings: DbtSettings) -> None:
    """Write what is kept of a run, and remove the rest of it and of older ones."""
    loaded, folder = invocation.last_loaded, settings.folder
    if loaded is None or not invocation.opened:
        run_artifacts.remove(folder.path)
        return
    now = datetime.now(timezone.utc)
    run_artifacts.write_artifacts(
        folder.path,
        list(invocation.entries.values()),
        loaded.metadata,
        loaded.invocation,
        began=invocation.began,
        ended=now,
    )
    run_artifacts.tidy(folder.path)
    run_artifacts.prune(folder.runs, folder.kept_runs, now)


def _files(identities: Collection[ConnectionIdentity]) -> frozenset[ResourceKey]:
    """The DuckDB files among databases: a connection holds them while it is open."""
    paths = map(duckdb_file, identities)
    return frozenset(ResourceKey.file(path) for path in paths if path is not None)
