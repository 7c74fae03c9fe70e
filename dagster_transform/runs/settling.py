"""When a node is settled: the pure rule between what happens in a walk and what is stored.

A node is settled when it is built, its blocking checks have passed, and it is promoted where a plan
has built it. Only then a `NodeBuilt` comes. Until then, and for everything else, there are
observations with an outcome and a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from dagster_transform.claims import RunId
from dagster_transform.graph import Graph, InputId, Node, NodeId, PromotionId, UnitId
from dagster_transform.planning import LeftOut, Outcome, RunPlan, UnitKind
from dagster_transform.runs.events import (
    CheckEvaluated,
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesUpToDate,
    RunEvent,
)
from dagster_transform.walk import CheckResult, Event, Facts, Finished, Learned, Report


@dataclass(frozen=True, slots=True)
class _FactsOf:
    """The facts that follow the build of a node."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class _EventOf:
    """The event of a node that is settled."""

    node: NodeId


_Awaited: TypeAlias = UnitId | _FactsOf | _EventOf


@dataclass(slots=True)
class _Unsettled:
    """A built node that waits for something; `held_back`: why nothing may go on from it."""

    report: Report
    checks: list[CheckResult]
    held_back: str = ""


class Settling:
    """What is to be stored of one run, event by event.

    Args:
        graph: The graph.
        run_plan: What the run does.
        selected: The nodes that whoever stores the events has selected: only of these it wants to
            know that they have passed.
        called: What people call a unit.
        holders: The run that holds what a unit did not get, by its id; it grows while the walk
            goes on.
    """

    def __init__(
        self,
        graph: Graph,
        run_plan: RunPlan,
        selected: Collection[NodeId],
        called: Callable[[UnitId], str],
        holders: Mapping[UnitId, RunId],
    ) -> None:
        self._graph = graph
        self._run_plan = run_plan
        self._selected = selected
        self._called = called
        self._holders = holders
        # What is stored together is sorted: nobody takes a node after one that depends on it.
        self._rank = {node_id: rank for rank, node_id in enumerate(graph.order)}
        self._awaits = _Awaits()
        self._unsettled: dict[NodeId, _Unsettled] = {}
        # Built, and settled later than what is below them may be built: facts follow, or a check
        # that also reads something else has yet to judge; or one above them is such a node.
        self._overtaken: set[NodeId] = set()
        self._backfilled: set[NodeId] = set()
        self._unpromoted: dict[PromotionId, str] = {}  # why it will not be
        self._passing: dict[NodeId, None] = {}
        for unit in run_plan.units.values():
            node, check = graph.node(unit.id), graph.check(unit.id)
            if node is not None and unit.promotion is not None:
                self._awaits.add(node.id, unit.promotion)
            elif check is not None:
                judged = graph.node(check.target)
                if judged is not None and judged.id in run_plan.units and check.holds_readers:
                    self._awaits.add(judged.id, check.id)

    # -- before the walk ------------------------------------------------------------------------

    def begin(self) -> Iterator[RunEvent]:
        """What there is to store of the selected nodes that are not in the plan."""
        left_out = {
            node.id: why
            for id, why in self._run_plan.left_out.items()
            if (node := self._graph.node(id)) is not None
        }
        current = [n for n, why in left_out.items() if why.outcome is Outcome.UP_TO_DATE]
        if current:  # one event for all of them: a tick with nothing to do must cost nothing
            yield NodesUpToDate(tuple(current))
        for node_id, why in left_out.items():
            if why.promotion is not None:
                self._expect(node_id, why, why.promotion)
            elif why.outcome is Outcome.UP_TO_DATE:
                self._pass(node_id)
            else:
                yield self._observed(node_id, why.outcome, why.reason)

    def _expect(self, node_id: NodeId, why: LeftOut, promotion: PromotionId) -> None:
        """A node that was built before, and that a promotion of this run will show to readers.

        The promotion need not wait for what the run builds above such a node, but nobody takes that
        after it.
        """
        report = Report(node_id, Outcome.BUILT, details={"built": why.reason})
        self._backfilled.add(node_id)
        self._unsettled[node_id] = _Unsettled(report, [])
        self._awaits.add(node_id, promotion)
        for id in self._graph.ancestors([node_id]):
            if id in self._run_plan.units and (above := self._graph.node(id)) is not None:
                self._awaits.add(node_id, _EventOf(above.id))

    # -- during the walk ------------------------------------------------------------------------

    def after(self, event: Event) -> Iterator[RunEvent]:
        """What is to be stored after an event of the walk."""
        if isinstance(event, Learned):
            yield from self._learned(event.facts, self._graph.node(event.unit.id))
        elif isinstance(event, Finished):
            if (node := self._graph.node(event.unit.id)) is not None:
                yield from self._build_ended(node.id, event)
            elif self._graph.check(event.unit.id) is not None:
                yield from self._check_ended(event)
            yield from self._go_on(event)

    def _build_ended(self, node_id: NodeId, end: Finished) -> Iterator[RunEvent]:
        report = end.report
        if end.outcome is Outcome.UP_TO_DATE:
            if end.reason:
                yield self._observed(node_id, end.outcome, end.reason, report)
            self._pass(node_id)
            yield from self._release(_EventOf(node_id))
        elif report is None or end.outcome not in (Outcome.BUILT, Outcome.BACKFILLED):
            yield self._observed(node_id, end.outcome, end.reason, report)
            yield from self._release(_EventOf(node_id))  # nothing more comes of it
        else:
            if end.outcome is Outcome.BACKFILLED:
                self._backfilled.add(node_id)
                reason = f"waits for the promotion of the plan: {end.unit.promotion}"
                yield NodeObserved(node_id, end.outcome, reason, report)
            self._await_facts(node_id, report)
            awaited = self._awaits.of(node_id)
            checks = (self._graph.check(a) for a in awaited if isinstance(a, str))
            if any(check is not None and check.also for check in checks):
                self._overtaken.add(node_id)
            failed = ", ".join(self._called(c.check) for c in report.failed_checks)
            held_back = f"blocking check failed: {failed}" if failed else ""
            if end.unit.promotion is not None:
                # A node may end after another one has failed, and with it the promotion of both.
                held_back = held_back or self._unpromoted.get(end.unit.promotion, "")
            self._unsettled[node_id] = _Unsettled(report, list(report.checks), held_back)
            if not awaited:
                yield from self._settle(node_id)

    def _observed(
        self, node_id: NodeId, outcome: Outcome, reason: str, report: Report | None = None
    ) -> NodeObserved:
        holder = self._holders.get(node_id) if outcome is Outcome.CLAIMED else None
        return NodeObserved(node_id, outcome, reason, report, holder)

    def _check_ended(self, end: Finished) -> Iterator[RunEvent]:
        if end.report is None or not end.report.checks:
            return  # it did not run: the log has said why
        result = end.report.checks[0]
        check = self._graph.check(end.unit.id)
        target = None if check is None else self._graph.node(check.target)
        unsettled = None if target is None else self._unsettled.get(target.id)
        if unsettled is not None:
            unsettled.checks.append(result)
        else:
            yield CheckEvaluated(result)

    def _go_on(self, end: Finished) -> Iterator[RunEvent]:
        """Go on with the nodes that wait for a unit that has ended."""
        unit = end.unit
        if unit.kind is UnitKind.PROMOTE and not end.good:
            self._unpromoted[PromotionId(unit.id)] = end.reason or end.outcome.value
        held_back = ""
        check = unit.kind is UnitKind.CHECK
        # A check that something else above it blocked has judged nothing: what is below all that it
        # reads is held back by that, and the rest goes on, as in the walk.
        if not end.good and not (check and end.outcome is Outcome.BLOCKED):
            held_back = f"blocking check failed: {self._called(unit.id)}" if check else end.reason
        yield from self._release(unit.id, held_back)

    def _release(self, awaited: _Awaited, held_back: str = "") -> Iterator[RunEvent]:
        """Go on with the nodes that waited for something that has come."""
        for node_id in sorted(self._awaits.come(awaited), key=self._rank.__getitem__):
            unsettled = self._unsettled.get(node_id)
            if unsettled is None:
                continue
            unsettled.held_back = unsettled.held_back or held_back
            if not self._awaits.of(node_id):
                yield from self._settle(node_id)

    def _await_facts(self, node_id: NodeId, report: Report) -> None:
        """Let a node wait for its own facts, and for those above it that wait for theirs."""
        above: set[NodeId] = set()
        if self._overtaken:
            above = self._overtaken.intersection(self._graph.ancestors([node_id]))
        awaited: list[_Awaited] = [_EventOf(n) for n in above]
        awaited += [_FactsOf(node_id)] * report.facts_follow
        for one in awaited:
            self._awaits.add(node_id, one)
        if awaited:
            self._overtaken.add(node_id)

    def _learned(self, facts: Facts, node: Node | None) -> Iterator[RunEvent]:
        if node is None:
            return
        unsettled = self._unsettled.get(node.id)
        if unsettled is not None:
            unsettled.report = replace(
                unsettled.report,
                table_rows=facts.table_rows,
                columns=facts.columns,
                column_lineage=facts.column_lineage,
            )
        yield from self._release(_FactsOf(node.id))

    def _settle(self, node_id: NodeId) -> Iterator[RunEvent]:
        unsettled = self._unsettled.pop(node_id)
        promoted = node_id not in self._backfilled or not unsettled.held_back
        if promoted:
            if not unsettled.held_back and node_id in self._selected:
                yield from self._let_pass(self._graph.nodes[node_id].deps)
            yield NodeBuilt(node_id, unsettled.report, unsettled.held_back)
        for result in unsettled.checks:
            yield CheckEvaluated(result, seen=promoted)
        self._overtaken.discard(node_id)
        yield from self._release(_EventOf(node_id))

    # -- after the walk -------------------------------------------------------------------------

    def end(self) -> Iterator[RunEvent]:
        """Settle what still waits for something that will not come: its checks did run."""
        for node_id, unsettled in list(self._unsettled.items()):
            if node_id in self._unsettled:
                unsettled.held_back = unsettled.held_back or "the run ended before it was settled"
                yield from self._settle(node_id)
        yield from self._let_pass(list(self._passing))

    # -- nodes that were up to date -------------------------------------------------------------

    def _pass(self, node_id: NodeId) -> None:
        if node_id in self._selected:
            self._passing[node_id] = None

    def _let_pass(self, inputs: Iterable[InputId]) -> Iterator[RunEvent]:
        """Let those of the nodes pass that were up to date, and before them those above them.

        Nobody takes a node after one that depends on it; that is also why they can't all pass when
        the run begins.
        """
        found: set[NodeId] = set()
        stack = [n for n in inputs if self._graph.is_node(n) and n in self._passing]
        while stack:
            node_id = stack.pop()
            if node_id not in found:
                found.add(node_id)
                deps = self._graph.nodes[node_id].deps
                stack.extend(d for d in deps if self._graph.is_node(d) and d in self._passing)
        for node_id in sorted(found, key=self._rank.__getitem__):
            del self._passing[node_id]
            yield NodePassed(node_id)


class _Awaits:
    """Which nodes wait for what, both ways round."""

    def __init__(self) -> None:
        self._nodes: dict[_Awaited, set[NodeId]] = {}
        self._awaited: dict[NodeId, set[_Awaited]] = {}

    def add(self, node: NodeId, awaited: _Awaited) -> None:
        """A node waits for something."""
        self._nodes.setdefault(awaited, set()).add(node)
        self._awaited.setdefault(node, set()).add(awaited)

    def of(self, node: NodeId) -> frozenset[_Awaited]:
        """What a node still waits for."""
        return frozenset(self._awaited.get(node, ()))

    def come(self, awaited: _Awaited) -> set[NodeId]:
        """Something has come; the nodes that had waited for it."""
        nodes = self._nodes.pop(awaited, set())
        for node in nodes:
            self._awaited[node].discard(awaited)
        return nodes
