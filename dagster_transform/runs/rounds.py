"""A run in rounds, one after the other: see `planning.rounds` for why.

A round is to a run what an op is where a Python asset splits it: project runs, claims and a walk of
its own; hooks and dbt's process last over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass

from dagster_transform.graph import Check, CheckId, Graph, NodeId, UnitId, When
from dagster_transform.planning import INCOMPLETE, LeftOut, Outcome, Readiness
from dagster_transform.planning.run_plan import below_left_out
from dagster_transform.runs.events import NodeObserved, RunEvent
from dagster_transform.runs.ports import EventSink
from dagster_transform.runs.summary import RunSummary, of_rounds
from dagster_transform.walk import Finished, held_back


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run does, as it was asked for.

    Attributes:
        nodes: The nodes to build.
        checks: The checks to run.
    """

    nodes: Collection[NodeId]
    checks: Collection[CheckId]


@dataclass(frozen=True, slots=True)
class Round:
    """A part of what a run does.

    Attributes:
        selection: What it does.
        before: Ids of the nodes of earlier rounds.
        later: Projects of which later rounds do something.
    """

    selection: Selection
    before: frozenset[NodeId] = frozenset()
    later: frozenset[str] = frozenset()


def rounds_of(
    graph: Graph, selection: Selection, nodes_of: Sequence[Collection[NodeId]]
) -> list[Round]:
    """The rounds of a run.

    Args:
        graph: The graph.
        selection: What the run does.
        nodes_of: The nodes of each round (`planning.divide_into_rounds`). A check is in the round
            of the last node that it reads.
    """
    number = {node: index for index, nodes in enumerate(nodes_of) for node in nodes}
    checks: list[set[CheckId]] = [set() for _ in nodes_of]
    for id in selection.checks:
        check = graph.checks[id]
        last = max((number[n] for n in _read_by(graph, check) if n in number), default=0)
        checks[last if check.when is not When.AFTER_ALL else -1].add(id)
    rounds: list[Round] = []
    for index, nodes in enumerate(nodes_of):
        later = {graph.nodes[n].project for further in nodes_of[index + 1 :] for n in further}
        later |= {graph.checks[c].project for further in checks[index + 1 :] for c in further}
        before = frozenset(n for earlier in nodes_of[:index] for n in earlier)
        rounds.append(Round(Selection(nodes, checks[index]), before, frozenset(later)))
    return rounds


CarryOut = Callable[[Round, Mapping[UnitId, Readiness]], Generator[RunEvent, None, RunSummary]]
"""Carries out a round, given which of its nodes and checks can't be done, and why."""


def carry_out_rounds(
    graph: Graph,
    rounds: Sequence[Round],
    carry_out: CarryOut,
    sink: EventSink,
    *,
    fail_fast: bool,
) -> Generator[RunEvent, None, RunSummary]:
    """Carry out the rounds of a run. What did not go well holds back what is below it in all later
    ones, as it would in one walk.

    Args:
        graph: The graph.
        rounds: First to last.
        carry_out: Carries out one of them.
        sink: Where events go once nobody takes them any more.
        fail_fast: Whether nothing starts any more once something has failed.

    Yields:
        What is to be stored.

    Returns:
        What the run has come to.

    Raises:
        TransformError: The run can't be carried out. What was done until then is stored.
    """
    summaries: list[RunSummary] = []
    for index, one in enumerate(rounds):
        so_far = of_rounds(summaries)
        held = _held_back(graph, one.selection, so_far.below)
        if fail_fast and so_far.failed:
            rows = [row for row in so_far.rows if row.outcome == Outcome.FAILED]
            failed = rows[0].names[0] if rows else ""
            why = Readiness(Outcome.CANCELLED, f"fail_fast: {failed or 'a check'} failed")
            held = dict.fromkeys([*one.selection.nodes, *one.selection.checks], why)
        try:
            summaries.append((yield from carry_out(one, held)))
        except BaseException as error:
            reason = str(error) if isinstance(error, Exception) else "the run was cancelled"
            for further in rounds[index + 1 :]:
                for node in sorted(further.selection.nodes):
                    sink.store(NodeObserved(node, Outcome.CANCELLED, reason))
            raise
    return of_rounds(summaries)


def below(
    graph: Graph,
    called: Callable[[UnitId], str],
    finished: Mapping[UnitId, Finished],
    left_out: Mapping[UnitId, LeftOut],
) -> dict[UnitId, Readiness]:
    """What becomes of the nodes below what did not go well, by its id: of nodes that are not what
    they should be for readers, and of blocking checks.

    Args:
        graph: The graph.
        called: What people call a unit.
        finished: How the units of the walk ended.
        left_out: What was not in the plan.
    """
    found: dict[UnitId, Readiness] = {}
    for id, why in left_out.items():
        if graph.is_node(id) and why.outcome is Outcome.CANCELLED:
            found[id] = Readiness(why.outcome, why.reason)
        elif graph.is_node(id) and why.outcome in INCOMPLETE:
            becomes = below_left_out(called(id), why)
            found[id] = Readiness(becomes.outcome, becomes.reason)
    for id, end in finished.items():
        cause: Finished | None = end
        if end.good and end.unit.promotion is not None:
            cause = finished.get(end.unit.promotion)
        judges = graph.check(id) is None or (end.unit.blocking and not end.unit.last)
        if cause is not None and not cause.good and judges:
            found[id] = Readiness(*held_back(cause, called))
    return found


def _held_back(
    graph: Graph, selection: Selection, causes: Mapping[UnitId, Readiness]
) -> dict[UnitId, Readiness]:
    """Nodes and checks that can't be done any more, and what they are instead.

    Args:
        graph: The graph.
        selection: What a round does.
        causes: As of `below`.
    """
    found: dict[UnitId, Readiness] = {}
    if not causes:
        return found
    nodes = {*selection.nodes}
    for node in graph.order:  # those further up first: they are the cause of the others
        if node in causes:
            for under in graph.descendants([node]) & nodes:
                found.setdefault(under, causes[node])
    for id, why in causes.items():
        if (check := graph.check(id)) is not None:  # it holds back what is below all that it reads
            reads = [check.target, *_read_by(graph, check)]
            for under in nodes.intersection(*(graph.descendants([read]) for read in reads)):
                found.setdefault(under, why)
    for check_id in selection.checks:
        cause = next((n for n in _read_by(graph, graph.checks[check_id]) if n in causes), None)
        if cause is not None:
            found[check_id] = causes[cause]
    return found


def _read_by(graph: Graph, check: Check) -> list[NodeId]:
    """The nodes that a check reads."""
    found = (graph.node(id) for id in (check.target, *check.also))
    return [node.id for node in found if node is not None]
