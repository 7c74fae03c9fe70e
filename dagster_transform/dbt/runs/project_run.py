"""dbt's side of one run of one project.

One dbt invocation in a process of its own; its nodes are the walk's to start. This session knows
which unit is which node, and says what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from dagster_transform.databases import backends
from dagster_transform.dbt import protocol
from dagster_transform.dbt.errors import DbtHookError
from dagster_transform.dbt.files import names
from dagster_transform.dbt.files.checks import FRESHNESS
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.runs import folders as runs
from dagster_transform.dbt.runs.flight import Answer
from dagster_transform.dbt.runs.invocation import DbtInvocation
from dagster_transform.dbt.runs.reports import entry_of, learned, report_of
from dagster_transform.dbt.runs.settings import DbtSettings
from dagster_transform.dbt.sweep import end_left
from dagster_transform.graph import Graph, Relation
from dagster_transform.planning import Outcome, Readiness, Unit, UnitKind
from dagster_transform.walk import CheckResult, Message, SharedResources, Report

Logger = Callable[[str, str], None]


class DbtProjectRun:
    """One run of one dbt project; see `walk.ports.Session` for the contract.

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
        self._invocation: DbtInvocation | None = settings.turn.left
        self._missing: set[str] = set()
        # What this invocation remembers of the database is as old as the run's earlier session.
        self._left = self._invocation is not None
        self._late: set[str] = set()  # units that others may have built while this run waited
        self._tokens: dict[str, int] = {}

    @property
    def capacity(self) -> int:
        """The number of dbt's threads: the run's, or the profile's."""
        return self._begun().loaded().threads

    @property
    def exclusive(self) -> frozenset[str]:
        """The DuckDB files that the target opens."""
        connection = self._begun().loaded().connection
        files = _files(connection, self._settings.folder, self._name)
        return frozenset(f"file:{path}" for path in files)

    def launch(self) -> None:
        """Start the dbt process; returns at once.

        The earlier the better: loading a project takes dbt seconds, which other projects' planning
        can take place in. `assess` does it where nobody has.

        Raises:
            OutOfMemoryError: There was too little memory, for longer than the settings wait.
        """
        if self._invocation is None:
            self._invocation = DbtInvocation(self._name, self._settings, self._log)
        self._invocation.launch()

    def shared_resources(self) -> SharedResources:
        """The DuckDB files of the project's relations; dbt has no environments."""
        graph, name = self._graph, self._name
        places = {n.relation.connection for n in graph.nodes.values() if n.project == name}
        places |= {s.relation.connection for s in graph.sources.values() if s.project == name}
        paths = {place.removeprefix("duckdb:") for place in places if place.startswith("duckdb:")}
        return SharedResources(frozenset(f"file:{path}" for path in paths if Path(path).is_absolute()))

    def claim_key(self, unit: Unit) -> str | None:
        """The relation of the node, or of the node that the check judges."""
        target = self._graph.checks[unit.id].target if unit.id in self._graph.checks else unit.id
        node = self._graph.nodes.get(target)
        if node is None or node.project != self._name:
            return None
        return f"table:{node.relation.connection}/{node.relation}"

    def promotion_keys(self, unit: Unit) -> Mapping[str, bool]:  # noqa: ARG002
        """None: dbt promotes nothing."""
        return {}

    def refresh(self, units: Sequence[Unit]) -> None:
        """Have dbt look whether their relations are there, before it builds them."""
        self._late |= {unit.id for unit in units}

    def end_backends(self, sessions: Collection[str]) -> Collection[str]:
        """End them with what the profile says of the server, once dbt has loaded the project.

        Raises:
            DbtRunError: dbt can't load the project, the server can't be reached, or it refuses.
            BackendsRemainError: Some do not end.
            OutOfMemoryError: There was too little memory to load the project.
        """
        mine = (n.relation for n in self._graph.nodes.values() if n.project == self._name)
        places = {relation.connection for relation in mine}
        if not any(backends.in_database(place, sessions) for place in places):
            return ()
        self.launch()
        loaded = self._begun().loaded()
        return end_left(loaded.server, self._identity(None), sessions)

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
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
        self._missing = self._begun().open(mine | self._settings.in_run)

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        """Hand a node to dbt."""
        node = self._reference(unit)
        if node in self._missing:
            reason = (
                f"the project's files do not have {node} any more (or it is disabled):"
                f" run `dagster-transform prepare --project {self._name}`"
            )
            done(Report(unit.id, Outcome.NOT_PROMOTED, reason))
            return
        invocation = self._begun()
        if self._is_model_freshness(unit):
            done(_model_freshness(unit, invocation.entries.get(node)))
            return
        answered = partial(self._answered, invocation, unit, node, done)
        learn = partial(self._learned, unit, done)
        again = self._left or unit.id in self._late
        if unit.kind is UnitKind.BUILD and invocation.loaded().server:
            session = backends.backend_id(self._identity(None), invocation.session)
            self._settings.builds_in(unit.id, frozenset({session}))
        self._tokens[unit.id] = invocation.start(node, answered, learn, again=again)

    def cancel(self, unit: str) -> None:
        """Ask dbt's adapter to end the unit's statements, until it is gone."""
        if (token := self._tokens.get(unit)) is not None:
            self._begun().cancel(token)

    def close_files(self) -> None:
        """Have dbt close its DuckDB files; the next node opens them again.

        Raises:
            DbtRunError: It did not.
        """
        if self._invocation is not None and self._invocation.opened and self.exclusive:
            self._invocation.let_go()

    def close(self, *, completed: bool) -> None:
        """End the invocation, with its on-run-end hooks if the walk came to its end.

        Raises:
            DbtHookError: A hook failed, when the run began or now.
            DbtRunError: dbt ended otherwise.
        """
        invocation, turn = self._invocation, self._settings.turn
        if invocation is None:
            return
        if completed and not turn.last:
            self.let_go()
            turn.left = invocation
            return
        self._invocation = turn.left = None
        try:
            hooks = _end(invocation, completed=completed)
        finally:
            _keep_artifacts(invocation, self._settings)
        if hooks:
            raise DbtHookError(
                f"Project {self._name}: {'; '.join(hooks)}",
                remedy="The nodes were built all the same, as dbt does it; correct the hook.",
            )

    # -- small things ---------------------------------------------------------------------------

    def _answered(
        self,
        invocation: DbtInvocation,
        unit: Unit,
        node: str,
        done: Callable[[Message], None],
        answer: Answer,
    ) -> None:
        """On the invocation's thread: note what became of a node, and tell."""
        if answer.result is not None:
            message = runs.kept_path(invocation.folder, answer.result.message)
            answer = replace(answer, result=replace(answer.result, message=message))
        try:
            report = report_of(unit, answer, invocation.id)
            if report.outcome is Outcome.FAILED and not self._settings.holds(unit.id):
                lost = "its claim was lost"  # whoever has it now has ended it
                report = replace(report, outcome=Outcome.CANCELLED, reason=lost, transient=False)
            invocation.entries[node] = entry_of(report, answer, node)
        except Exception as error:  # noqa: BLE001 - the walk would wait for ever
            report = Report(unit.id, Outcome.FAILED, f"dbt's answer was not understood: {error!r}")
        done(report)

    def _learned(self, unit: Unit, done: Callable[[Message], None], found: protocol.Facts) -> None:
        """On the invocation's thread: tell what was found out of a node that was built."""
        node = self._graph.nodes[unit.id]
        facts = learned(node, self._graph, found, self._relation)
        if facts.problem:
            self._log("warn", f"{node.reference}: not all is known of it: {facts.problem}")
        done(facts)

    def _relation(self, place: Resource) -> Relation:
        """Where something lies that the dbt process has told of."""
        kind = str(self._begun().loaded().connection["type"])
        return names.relation_of(place, kind, self._identity(place.get("database")))

    def _identity(self, database: str | None) -> str:
        """The connection identity of a database of the target; None: its main one."""
        return names.connection_identity(
            self._begun().loaded().connection,
            folder=self._settings.folder,
            project=self._name,
            database=database,
        )

    def _reference(self, unit: Unit) -> str:
        """The unique id of a node, or of the test or source that a check is."""
        if unit.kind is UnitKind.CHECK:
            return self._graph.checks[unit.id].reference
        return self._graph.nodes[unit.id].reference

    def _is_model_freshness(self, unit: Unit) -> bool:
        if unit.kind is not UnitKind.CHECK:
            return False
        check = self._graph.checks[unit.id]
        return check.kind == FRESHNESS and check.target in self._graph.nodes

    def _begun(self) -> DbtInvocation:
        if self._invocation is None:
            raise RuntimeError("assess comes first")
        return self._invocation


def _model_freshness(unit: Unit, entry: Mapping[str, Any] | None) -> Report:
    """Whether a model was built within the time that its `build_after` says.

    dbt keeps no record of when a model was built, and starting the model's id would build it: a run
    that builds it can tell, any other can't.
    """
    if entry is None or entry["status"] != "success":
        reason = "dbt does not know when the model was last built; a run that builds it does"
        return Report(unit.id, Outcome.WAITING, reason)
    result = CheckResult(unit.id, passed=True, blocking=False, details={"built": "in this run"})
    return Report(unit.id, Outcome.CHECKED, checks=(result,))


def _end(invocation: DbtInvocation, *, completed: bool) -> tuple[str, ...]:
    """End an invocation; the hooks that failed. Whatever interrupts it, nothing is left."""
    try:
        return invocation.end() if completed and invocation.opened else ()
    finally:
        invocation.stop()


def _keep_artifacts(invocation: DbtInvocation, settings: DbtSettings) -> None:
    """Write what is kept of a run, and remove the rest of it and of older ones."""
    loaded = invocation.last_loaded
    if loaded is None or not invocation.opened:
        runs.remove(settings.run_folder)
        return
    now = datetime.now(timezone.utc)
    runs.write_artifacts(
        settings.run_folder,
        list(invocation.entries.values()),
        loaded.facts,
        loaded.invocation,
        began=invocation.began,
        ended=now,
    )
    runs.tidy(settings.run_folder)
    runs.prune(settings.runs, settings.kept_runs, now)


def _files(connection: Mapping[str, Any], folder: Path, project: str) -> set[str]:
    """The paths of the DuckDB files that a connection holds while it is open."""
    databases = [None, *(attached.get("alias") for attached in connection.get("attach", ()))]
    found = (
        names.connection_identity(connection, folder=folder, project=project, database=database)
        for database in databases
    )
    kind = "duckdb:"
    paths = (identity.removeprefix(kind) for identity in found if identity.startswith(kind))
    return {path for path in paths if Path(path).is_absolute()}
