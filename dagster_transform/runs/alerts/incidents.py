"""What of a run people may be told of: from its events and its summary, as values."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from dagster_transform.claims import RunId
from dagster_transform.errors import TransformError, redact, with_class
from dagster_transform.graph import CheckId, Graph, NodeId, UnitId, names_of
from dagster_transform.graph.counts import counted
from dagster_transform.planning import Outcome
from dagster_transform.runs.events import (
    CheckEvaluated,
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesUpToDate,
    RunEvent,
)
from dagster_transform.runs.summary import Row, RunSummary
from dagster_transform.runs.watched import watched
from dagster_transform.walk import CheckResult

_LONGEST = 300
"""Characters of a reason in a message; the run has all of it."""
_WAITS = frozenset({Outcome.WAITING, Outcome.CLAIMED})


class Wrong(str, Enum):
    """What is not well."""

    FAILED = "failed"
    CHECK_ERROR = "error"
    """A check has failed, and that is an error."""
    CHECK_WARN = "warn"
    """A check has failed, and that is a warning."""
    WAITING = "waiting"
    """A node waits, or another run or a person holds it."""
    GIVEN_UP = "given up"
    """A node has waited for too long: its next tick builds it."""
    DRIFT = "drift"
    """The files differ from the environment, or the job group file from the graph."""


@dataclass(frozen=True, slots=True)
class AlertingRun:
    """The run that something is told of, or a look of the transform's sensor.

    Attributes:
        id: Its id.
        job: What people call what was launched.
        job_group: The job group whose schedule launched it; or "".
        key: What it does: runs of one job group, or of one selection, have the same.
        url: Its page in Dagster's UI; None: nobody has said where that is.
        sensor: The name of the sensor, where it is no run; else "".
    """

    id: RunId
    job: str
    job_group: str
    key: str
    url: str | None = None
    sensor: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is not well.

    Attributes:
        id: Of the node or check; of what belongs to neither, `run:<the run's key>:<its name>`.
        name: What people call it.
        wrong: What is the matter.
        reason: In words, one line, without secrets.
        projects: Whose it is; of what belongs to no node, all of the run's.
        owners: Of the node, or of what a check judges.
        tags: Likewise.
        job_group: The job group that it is due in; "": the run's, if it has one.
    """

    id: str
    name: str
    wrong: Wrong
    reason: str
    projects: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    job_group: str = ""

    @property
    def subject(self) -> str:
        """By which it is remembered that somebody was told."""
        return f"{self.id}#{self.wrong.value}"


@dataclass(frozen=True, slots=True)
class RunNews:
    """What people may be told of a run.

    Attributes:
        run: The run.
        incidents: What is not well, causes first.
        well: Ids of nodes and checks that are well.
        completed: Whether the run came to its end: what it had to say of itself, it has said.
        blocked: How many nodes something else that is not well has held back.
        claimed: What others hold: names and why.
        called: What people call a node or check, by its id.
    """

    run: AlertingRun
    incidents: tuple[Incident, ...]
    well: frozenset[str]
    completed: bool
    blocked: int
    claimed: tuple[Row, ...]
    called: Callable[[UnitId], str]

    def is_over(self, subject: str) -> bool:
        """Whether what was told of once is well now."""
        id, _, _ = subject.rpartition("#")
        if id.startswith(f"run:{self.run.key}:"):
            return self.completed and all(incident.id != id for incident in self.incidents)
        return id in self.well

    def name_of(self, subject: str) -> str:
        """What people call what a subject is about."""
        id, _, _ = subject.rpartition("#")
        own = f"run:{self.run.key}:"
        return id.removeprefix(own) if id.startswith(own) else self.called(UnitId(id))


def news_of_job(run: AlertingRun, project: str, reason: str) -> RunNews:
    """What people may be told of a job that builds no nodes.

    Args:
        run: Its run.
        project: The project that it is about.
        reason: Why it has failed; "": it has not.
    """
    id, text = f"run:{run.key}:{run.job}", _first_line(reason)
    failed = Incident(id, run.job, Wrong.FAILED, text, (project,))
    return RunNews(run, (failed,) if text else (), frozenset(), True, 0, (), str)


def news_of_sensor(
    look: AlertingRun,
    graph: Graph,
    waiting: Iterable[tuple[NodeId, str, str, bool]],
    called: Callable[[UnitId], str],
) -> RunNews:
    """What people may be told of a look of the transform's sensor.

    Args:
        look: The look.
        graph: The graph.
        waiting: Nodes that wait for a run, each with its job group, why, and whether that is given
            up.
        called: What people call a node or check.
    """
    found = []
    for id, job_group, why, given_up in waiting:
        if (node := graph.node(id)) is not None:
            wrong = Wrong.GIVEN_UP if given_up else Wrong.WAITING
            name, text = called(id), _first_line(why)
            of = (node.project,), node.owners, node.tags
            found.append(Incident(id, name, wrong, text, *of, job_group))
    return RunNews(look, tuple(found), frozenset(), True, 0, (), called)


def news_of_drift(look: AlertingRun, project: str, lines: Sequence[str]) -> RunNews:
    """What people may be told of a new graph file.

    Args:
        look: The look of the sensor that has had it written.
        project: Whose it is.
        lines: What of it does not fit; none: all does, which is told to whom was told otherwise.
    """
    id = f"run:{look.key}:{project}"
    text = _first_line("; ".join(lines))
    found = Incident(id, project, Wrong.DRIFT, text, (project,))
    return RunNews(look, (found,) if lines else (), frozenset(), True, 0, (), str)


def news_of_stuck_sensor(look: AlertingRun, projects: Iterable[str], reason: str) -> RunNews:
    """What people may be told where the transform's sensor does not look any more.

    Args:
        look: The look that it should have had: its next one is the recovery.
        projects: All there are: it launches nodes of each.
        reason: In words.
    """
    id = f"run:{look.key}:{look.sensor}"
    stuck = Incident(id, look.sensor, Wrong.FAILED, _first_line(reason), tuple(projects))
    return RunNews(look, (stuck,), frozenset(), True, 0, (), str)


class RunNotes:
    """Notes what becomes of nodes and checks while a run goes on.

    Args:
        graph: The graph as the run sees it, its nodes called as people call them.
        selected: The nodes that the run was to build or to judge: whose run it is.
        waited: Whether the run waits for what others hold: what it did not get after all, it has
            failed to build.
    """

    def __init__(self, graph: Graph, selected: Iterable[NodeId], *, waited: bool) -> None:
        self._graph = graph
        self._selected = tuple(sorted(selected))
        self._waited = waited
        self._called = names_of(graph)
        self._observed: dict[NodeId, NodeObserved] = {}
        self._checks: dict[CheckId, CheckResult] = {}
        self._well: set[str] = set()

    def watch(
        self, run: Generator[RunEvent, None, RunSummary]
    ) -> Generator[RunEvent, None, RunSummary]:
        """The run, its events unchanged."""
        return watched(run, self._see)

    def news(
        self, run: AlertingRun, summary: RunSummary | None, error: Exception | None = None
    ) -> RunNews:
        """What people may be told.

        Args:
            run: The run.
            summary: What it has come to; None: it has come to nothing.
            error: Why, then.
        """
        rows = summary.rows if summary is not None else ()
        found = [*self._nodes(), *self._of_rows(run, rows), *self._failed_checks()]
        if error is not None:
            found.insert(0, self._of_the_run(run, "the run", _words(error)))
        found.sort(key=lambda incident: _RANK[incident.wrong])
        return RunNews(
            run,
            tuple(found),
            frozenset(self._well - {incident.id for incident in found}),
            summary is not None,
            sum(len(row.names) for row in rows if row.outcome == Outcome.BLOCKED),
            tuple(row for row in rows if row.outcome == Outcome.CLAIMED),
            self._called,
        )

    def _see(self, event: RunEvent) -> None:
        match event:
            case NodeObserved(node=node):
                self._observed[node] = event
                (self._well.add if event.outcome is Outcome.UP_TO_DATE else self._well.discard)(
                    node
                )
            case NodeBuilt(node=node):
                self._observed.pop(node, None)
                (self._well.discard if event.held_back else self._well.add)(node)
            case NodePassed(node=node):
                self._well.add(node)
            case NodesUpToDate(nodes=nodes):
                self._well.update(nodes)
            case CheckEvaluated(result=result):
                before = self._checks.get(result.check)
                if before is None or before.passed:  # one for each batch: a failure is one
                    self._checks[result.check] = result
                    (self._well.add if result.passed else self._well.discard)(result.check)
            case _:
                pass

    def _nodes(self) -> Iterator[Incident]:
        causes = {n for n, event in self._observed.items() if self._has_failed(event)}
        if not causes:  # its claim was lost, say; after a failure they were only not started
            cancelled = Outcome.CANCELLED
            causes = {n for n, event in self._observed.items() if event.outcome is cancelled}
        for node, event in self._observed.items():
            if node in causes:
                yield self._of_node(node, Wrong.FAILED, event.reason or event.outcome.value)
            elif event.outcome in _WAITS:
                yield self._of_node(node, Wrong.WAITING, event.reason or event.outcome.value)

    def _has_failed(self, event: NodeObserved) -> bool:
        return event.outcome is Outcome.FAILED or (
            self._waited and event.outcome is Outcome.CLAIMED
        )

    def _failed_checks(self) -> Iterator[Incident]:
        for id, result in self._checks.items():
            if not result.passed:
                is_error = result.blocking or result.error
                wrong = Wrong.CHECK_ERROR if is_error else Wrong.CHECK_WARN
                yield self._of_check(id, wrong, _found(result))

    def _of_rows(self, run: AlertingRun, rows: Iterable[Row]) -> Iterator[Incident]:
        """What failed and has no event: checks that could not run, hooks, promotions."""
        checks = {self._called(id): id for id in self._graph.checks}
        nodes = {self._called(id) for id in self._graph.nodes}
        for row in rows:
            for name in row.names if row.outcome == Outcome.FAILED else ():
                if name in checks:
                    yield self._of_check(checks[name], Wrong.FAILED, row.reason)
                elif name not in nodes:
                    yield self._of_the_run(run, name, row.reason)

    def _of_node(self, node: NodeId, wrong: Wrong, reason: str) -> Incident:
        found = self._graph.nodes[node]
        name, text = self._called(node), _first_line(reason)
        return Incident(node, name, wrong, text, (found.project,), found.owners, found.tags)

    def _of_check(self, id: CheckId, wrong: Wrong, reason: str) -> Incident:
        check = self._graph.check(id)
        text = _first_line(reason)
        if check is None:  # the environment's version has it, the files have not
            return Incident(id, id, wrong, text)
        node = self._graph.node(check.target)
        owners, tags = (node.owners, node.tags) if node is not None else ((), ())
        return Incident(id, self._called(id), wrong, text, (check.project,), owners, tags)

    def _of_the_run(self, run: AlertingRun, name: str, reason: str) -> Incident:
        """What belongs to no node: it is everybody's whose nodes the run was to build."""
        nodes = [self._graph.nodes[n] for n in self._selected if n in self._graph.nodes]
        return Incident(
            f"run:{run.key}:{name}",
            name,
            Wrong.FAILED,
            _first_line(reason),
            tuple(dict.fromkeys(node.project for node in nodes)),
            tuple(dict.fromkeys(owner for node in nodes for owner in node.owners)),
            tuple(dict.fromkeys(tag for node in nodes for tag in node.tags)),
        )


_RANK = {wrong: rank for rank, wrong in enumerate(Wrong)}


def _found(result: CheckResult) -> str:
    if result.failed_rows is not None:
        return counted(result.failed_rows, "row")
    return str(result.details.get("message") or "") or "failed"


def _words(error: Exception) -> str:
    return error.cause if isinstance(error, TransformError) else with_class(error)


def _first_line(text: str) -> str:
    lines = redact(text).strip().splitlines() or [""]
    line = " ".join(lines[0].split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
