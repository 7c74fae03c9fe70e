"""dbt's side of one run of one project.

One dbt invocation in a process of its own; its nodes are the walk's to start. Here is known which
unit is which node, and what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache, partial
from pathlib import Path

from dagster_transform.databases.backends import BackendId, backend_id, in_database
from dagster_transform.databases.identity import ConnectionIdentity, duckdb_file
from dagster_transform.dbt.backends import end_backends
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.dbt.faults import artifacts_error
from dagster_transform.dbt.files.checks import FRESHNESS, UNIT_TEST
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.files.relations import all_identities, connection_identity, relation_of
from dagster_transform.dbt.protocol import BatchDone, Measured
from dagster_transform.dbt.runs import own_answers, run_artifacts
from dagster_transform.dbt.runs.elsewhere import Places
from dagster_transform.dbt.runs.hooks import hook_error
from dagster_transform.dbt.runs.invocation import DbtInvocation
from dagster_transform.dbt.runs.reports import entry_of, facts_of, report_of
from dagster_transform.dbt.runs.settings import DbtSettings
from dagster_transform.dbt.runs.started_nodes import Answer
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import CheckId, Graph, Node, NodeId, Relation, Source, UnitId
from dagster_transform.planning import Outcome, Readiness, ResourceKey, Unit, UnitKind
from dagster_transform.walk import Message, Moved, Progress, Report, SharedResources

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
        self._was_kept = self._invocation is not None  # it remembers the database of an earlier op
        self._contended: set[UnitId] = set()
        self._not_done: dict[UniqueId, Callable[[UnitId, UniqueId], Report]] = {}
        self._tokens: dict[UnitId, int] = {}
        self._known_places: Places | None = None

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
        """The DuckDB files of the project's relations; dbt has no environments.

        Once the process is launched, as dbt itself has them: that is waited for.
        """
        return SharedResources(_files(self._databases(sources=True)))

    def claim_key(self, unit: Unit) -> ResourceKey | None:
        """The relation of the node, or of the node that the check judges."""
        check = self._graph.check(unit.id)
        node = self._graph.node(unit.id if check is None else check.target)
        if node is None or node.project != self._name:
            return None
        if check is not None and not check.needs_target:
            return None
        return ResourceKey.table(self._relation_of(node))

    def elsewhere(self) -> Moved:
        """What dbt has elsewhere in this run than the graph says."""
        places = self._places()
        return {} if places is None else places.elsewhere()

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
            DbtRunError: The project can't be loaded, or dbt can't begin; or there is nothing but
                tests to do, and no database to test.
        """
        self.launch()
        self._require_files(units)
        mine = {self._reference(unit) for unit in units}
        mine |= {UniqueId(reference) for reference in self._settings.in_run}
        ready = self._begun().open(mine)
        places = self._places()
        if places is not None and places.moved and not self._was_kept:
            self._log("warn", places.warning())
        missing = partial(own_answers.not_there, self._name)
        self._not_done = dict.fromkeys(ready.missing, missing) | dict.fromkeys(
            ready.excluded, own_answers.left_out
        )

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        """Hand a node to dbt."""
        node = self._reference(unit)
        if node in self._not_done:
            done(self._not_done[node](unit.id, node))
            return
        invocation = self._begun()
        if self._is_model_freshness(unit):
            done(own_answers.model_freshness(unit, invocation.entries.get(node)))
            return
        answered = partial(self._answered, invocation, unit, node, done)
        measured = partial(self._measured, unit, done)
        progressed = partial(_tell_progress, unit, done)
        refresh = self._was_kept or unit.id in self._contended
        if unit.kind is UnitKind.BUILD and invocation.loaded().server:
            backend = backend_id(self._identity(None), invocation.backend_name)
            self._settings.guard.builds_in(unit.id, frozenset({backend}))
        held = partial(self._settings.guard.holds, unit.id)
        token = invocation.start(node, answered, measured, progressed, held, refresh=refresh)
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
            self._keep_artifacts(invocation)
        if failed:
            raise hook_error(self._name, failed)

    def _keep_artifacts(self, invocation: DbtInvocation) -> None:
        """What a run has built is built, whatever becomes of what is written about it."""
        try:
            _keep_artifacts(invocation, self._settings)
        except OSError as error:
            self._log("error", str(artifacts_error(self._name, error)))

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
            if answer.result.unwritable:
                message = str(artifacts_error(self._name, OSError(message)))
            answer = replace(answer, result=replace(answer.result, message=message))
        try:
            check = self._graph.check(unit.id)
            warns = check is not None and check.properties.get("severity") == "warn"
            report = report_of(unit, answer, _id_of(invocation), warns=warns)
            if report.outcome is Outcome.FAILED and not self._settings.guard.holds(unit.id):
                lost = "its claim was lost"  # whoever has it now has ended it
                report = replace(report, outcome=Outcome.CANCELLED, reason=lost, transient=False)
            if where := self._elsewhere_words(unit):
                report = replace(report, details={**report.details, "elsewhere": where})
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

    def _databases(self, *, sources: bool = False) -> set[ConnectionIdentity]:
        """The databases that the project's nodes (and sources) are in: as the graph has them, and
        as dbt does if it is launched."""
        found = [*self._graph.nodes.values(), *(self._graph.sources.values() if sources else ())]
        mine = [each for each in found if each.project == self._name]
        relations = {each.relation for each in mine} | {self._relation_of(each) for each in mine}
        return {relation.connection for relation in relations}

    def _relation_of(self, found: Node | Source) -> Relation:
        """Where a node or source of the project is: dbt's word counts, once there is one."""
        places = self._places()
        return found.relation if places is None else places.of(found)

    def _places(self) -> Places | None:
        """Where dbt has everything; None: it was not launched, or can't load the project, which
        `open` tells."""
        if self._invocation is None:
            return None
        if self._known_places is None:
            with suppress(DbtRunError):
                loaded, identity = self._invocation.loaded(), cache(self._identity)
                kind = str(loaded.connection["type"])

                def locate(place: Resource) -> Relation:
                    return relation_of(place, kind, identity(place.get("database")))

                self._known_places = Places(self._graph, self._name, loaded.places, locate)
        return self._known_places

    def _reference(self, unit: Unit) -> UniqueId:
        """The unique id of a node, or of the test or source that a check is."""
        if unit.kind is UnitKind.CHECK:
            return UniqueId(self._graph.checks[CheckId(unit.id)].reference)
        return UniqueId(self._graph.nodes[NodeId(unit.id)].reference)

    def _elsewhere_words(self, unit: Unit) -> str:
        """What to say of a build of a relation that is elsewhere than the graph has it; or ""."""
        node, places = self._graph.node(unit.id), self._places()
        if node is None or places is None or node.id not in places.moved:
            return ""
        return places.words(node.id)

    def _require_files(self, units: Sequence[Unit]) -> None:
        """Raises DbtRunError where a DuckDB file is missing that is only to be tested: connecting
        would make an empty one. Unit tests may do without what models have built."""
        checks = [self._graph.check(unit.id) for unit in units]
        only_tests = checks and all(c is not None and c.kind != UNIT_TEST for c in checks)
        asked = {self._graph.checks[c].reference for c in self._graph.checks}
        if not only_tests or not asked >= self._settings.in_run:
            return
        missing = [key.name for key in self.exclusive if not Path(key.name).exists()]
        if missing:
            raise DbtRunError(
                f"Project {self._name}: there is no DuckDB file {' and no '.join(sorted(missing))}"
                " to test.",
                remedy="Build its models first, or correct the path in profiles.yml: a relative one"
                f" begins in {self._settings.project.path}.",
            )

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
