"""From what happens in a walk to what Dagster stores and people read.

A node is told when it is settled: built, its blocking checks passed, and promoted where a plan
built it. Only then there is a MaterializeResult. Until then, and for everything else, there are
observations with an outcome and a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat import (
    check_outputs,
    last_materialized,
    output_without_event,
    summary_event,
)
from dagster_transform.dagster.translation.keys import Names
from dagster_transform.dagster.translation.metadata import OUTCOME, check_metadata, report_metadata
from dagster_transform.graph import Graph
from dagster_transform.planning import LeftOut, Outcome, RunPlan, UnitKind
from dagster_transform.walk import (
    CheckResult,
    Event,
    Facts,
    Finished,
    Learned,
    Report,
    Retrying,
    Started,
)

REASON = "dagster_transform/reason"
# What a node's telling may wait for besides units.
_FACTS = "facts of {}"
_TOLD = "telling of {}"
Told = dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.Output[None]


@dataclass(slots=True)
class _Pending:
    """A built node whose telling waits for something."""

    report: Report
    waits_for: set[str]
    checks: list[CheckResult]
    held_back: str = ""


@dataclass(slots=True)
class Teller:
    """Tells one run.

    Attributes:
        context: Dagster's context of the op.
        graph: For names.
        names: For keys.
        plan: What the run does.
        called: What people call the nodes and checks, by id.
        holders: The run that holds what a node did not get, by its id.
        live: Whether results can still be yielded; else they are logged, because Dagster has
            stopped listening (a cancelled run).
    """

    context: Any
    graph: Graph
    names: Names
    plan: RunPlan
    called: Mapping[str, str]
    live: bool = True
    holders: Mapping[str, str] = field(default_factory=dict)
    _total: int = 0
    _begun: int = 0
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _waiters: dict[str, set[str]] = field(default_factory=dict)
    # Built, and told later than what is below them may be built: facts follow, or a check that also
    # reads something else has yet to judge; or one above them is such a node.
    _untold: set[str] = field(default_factory=set)
    _backfilled: set[str] = field(default_factory=set)
    _unpromoted: dict[str, str] = field(default_factory=dict)  # promotion -> why it will not be
    _passing: dict[str, None] = field(default_factory=dict)
    _evaluated: set[dg.AssetCheckKey] = field(default_factory=set)
    _rank: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        units = self.plan.units.values()
        self._total = sum(unit.kind is UnitKind.BUILD for unit in units)
        # Dagster takes no asset after one that depends on it, so what is told together is sorted.
        self._rank = {node_id: rank for rank, node_id in enumerate(self.graph.order)}
        for unit in units:
            if unit.kind is UnitKind.BUILD and unit.promotion is not None:
                self._waiters.setdefault(unit.promotion, set()).add(unit.id)
            elif unit.kind is UnitKind.CHECK and unit.blocking:
                target = self.graph.checks[unit.id].target
                if target in self.plan.units:
                    self._waiters.setdefault(unit.id, set()).add(target)

    # -- before the walk ------------------------------------------------------------------------

    def begin(self) -> None:
        """Say what the run will do, and why it leaves the rest out."""
        checks = sum(unit.kind is UnitKind.CHECK for unit in self.plan.units.values())
        left_out = {n: why for n, why in self.plan.left_out.items() if n in self.graph.nodes}
        current = {n for n, why in left_out.items() if why.outcome is Outcome.UP_TO_DATE}
        parts = [f"{self._total} nodes to build"]
        parts += [f"{checks} checks apart from their build"] * bool(checks)
        parts += [f"{len(current)} up to date"] * bool(current)
        self.context.log.info(f"Run plan: {', '.join(parts)}.")
        if current:
            by_reason: dict[str, list[str]] = {}
            for node_id in sorted(current):
                by_reason.setdefault(left_out[node_id].reason, []).append(self._name(node_id))
            for reason, names in by_reason.items():
                self.context.log.info(f"up_to_date ({reason}): {', '.join(names)}")
            # One event for all of them: a tick with nothing to do must cost nothing.
            keys = sorted(self.names.keys[node_id].to_user_string() for node_id in current)
            self.context.log_event(
                summary_event(
                    "up_to_date",
                    f"{len(keys)} selected nodes are up to date",
                    {"dagster_transform/up_to_date": dg.MetadataValue.json(keys)},
                )
            )
        for node_id, why in left_out.items():
            if why.promotion is not None:
                self._expect(node_id, why)
            elif node_id in current:
                self._pass(node_id)
            else:
                self._observe(node_id, why.outcome, why.reason)
        self._sync({n: left_out[n] for n in current if left_out[n].promotion is None})
        for check_id, why in self.plan.left_out.items():
            if check_id in self.graph.checks and why.outcome is not Outcome.UP_TO_DATE:
                self.context.log.info(f"{self._name(check_id)} not run: {why.reason}")

    def _sync(self, current: Mapping[str, LeftOut]) -> None:
        """Tell of what was built outside Dagster, or before it knew the node."""
        built = {
            self.names.keys[n]: why.built_at
            for n, why in current.items()
            if why.built_at is not None
        }
        if not built:
            return
        known = last_materialized(self.context.instance, list(built))
        late = {k: at for k, at in built.items() if k not in known or known[k] < at.timestamp()}
        for key, moment in sorted(late.items()):
            metadata: dict[str, Any] = {
                OUTCOME: "synced",
                REASON: "built outside this Dagster, as the project's state says",
                "dagster_transform/built_at": dg.MetadataValue.timestamp(moment),
            }
            self.context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        if late:
            names = ", ".join(sorted(key.to_user_string() for key in late))
            self.context.log.info(f"synced (built outside this Dagster): {names}")

    def _pass(self, node_id: str) -> None:
        if self.live and self.names.keys[node_id] in self.context.selected_asset_keys:
            self._passing[node_id] = None

    def _expect(self, node_id: str, why: LeftOut) -> None:
        """A node that was built before, and that a promotion of this run will show to readers."""
        report = Report(node_id, Outcome.BUILT, details={"built": why.reason})
        promotion = why.promotion or ""
        self._backfilled.add(node_id)
        self._pending[node_id] = _Pending(report, {promotion}, [])
        self._waiters.setdefault(promotion, set()).add(node_id)

    # -- during the walk ------------------------------------------------------------------------

    def tell(self, event: Event) -> Iterator[Told]:
        """What Dagster is to store for an event."""
        unit = event.unit
        name = self._name(unit.id)
        if isinstance(event, Started):
            if unit.kind is UnitKind.BUILD and event.attempt == 1:
                self._begun += 1
            count = f" ({self._begun} of {self._total})" * (unit.kind is UnitKind.BUILD)
            again = f", attempt {event.attempt}" * (event.attempt > 1)
            self.context.log.info(f"{name}: {unit.kind.value} started{count}{again}")
        elif isinstance(event, Learned):
            yield from self._learned(unit.id, event.facts)
        elif isinstance(event, Retrying):
            self.context.log.warning(
                f"{name}: failed, will be tried again in {event.delay:g} s: {event.report.reason}"
            )
        else:
            self._log_end(name, event)
            if unit.kind is UnitKind.BUILD:
                yield from self._build_ended(event)
            elif unit.kind is UnitKind.CHECK:
                yield from self._check_ended(event)
            yield from self._settle(event)

    def _build_ended(self, end: Finished) -> Iterator[Told]:
        node_id, report = end.unit.id, end.report
        if end.outcome is Outcome.UP_TO_DATE:
            self._pass(node_id)
        elif report is None or end.outcome not in (Outcome.BUILT, Outcome.BACKFILLED):
            self._observe(node_id, end.outcome, end.reason, report)
        else:
            if end.outcome is Outcome.BACKFILLED:
                self._backfilled.add(node_id)
                reason = f"waits for the promotion of the plan: {end.unit.promotion}"
                self._observe(node_id, end.outcome, reason, report)
            self._wait_for_facts(node_id, report)
            waits = {u for u, nodes in self._waiters.items() if node_id in nodes}
            if any(w in self.graph.checks and self.graph.checks[w].also for w in waits):
                self._untold.add(node_id)
            failed = ", ".join(self._name(c.check) for c in report.failed_checks)
            held_back = f"blocking check failed: {failed}" if failed else ""
            # A node may end after another one has failed, and with it the promotion of both.
            held_back = held_back or self._unpromoted.get(end.unit.promotion or "", "")
            self._pending[node_id] = _Pending(report, waits, list(report.checks), held_back)
            if not waits:
                yield from self._told(node_id)

    def _check_ended(self, end: Finished) -> Iterator[Told]:
        if end.report is None or not end.report.checks:
            return  # it did not run: the log has said why
        result = end.report.checks[0]
        pending = self._pending.get(self.graph.checks[end.unit.id].target)
        if pending is not None:
            pending.checks.append(result)
        else:
            yield from self._tell_check(result)

    def _settle(self, end: Finished) -> Iterator[Told]:
        """Go on with the nodes that waited for this unit."""
        if end.unit.kind is UnitKind.PROMOTE and not end.good:
            self._unpromoted[end.unit.id] = end.reason or end.outcome.value
        held_back = ""
        check = end.unit.kind is UnitKind.CHECK
        # A check that something else above it blocked has judged nothing: what is below all that it
        # reads is held back by that, and the rest goes on, as in the walk.
        if not end.good and not (check and end.outcome is Outcome.BLOCKED):
            held_back = f"blocking check failed: {self._name(end.unit.id)}" if check else end.reason
        yield from self._release(end.unit.id, held_back)

    def _release(self, awaited: str, held_back: str = "") -> Iterator[Told]:
        """Go on with the nodes that waited for something that has come."""
        for node_id in sorted(self._waiters.pop(awaited, ()), key=self._rank.__getitem__):
            pending = self._pending.get(node_id)
            if pending is None:
                continue
            pending.waits_for.discard(awaited)
            pending.held_back = pending.held_back or held_back
            if not pending.waits_for:
                yield from self._told(node_id)

    def _wait_for_facts(self, node_id: str, report: Report) -> None:
        """Let a node wait for its own facts, and for those above it that wait for theirs: Dagster
        takes no asset after one that depends on it."""
        above = self._untold & self.graph.ancestors([node_id]) if self._untold else set()
        awaited = [_TOLD.format(n) for n in above]
        awaited += [_FACTS.format(node_id)] * report.facts_follow
        for one in awaited:
            self._waiters.setdefault(one, set()).add(node_id)
        if awaited:
            self._untold.add(node_id)

    def _learned(self, node_id: str, facts: Facts) -> Iterator[Told]:
        pending = self._pending.get(node_id)
        if pending is not None:
            pending.report = replace(
                pending.report,
                table_rows=facts.table_rows,
                columns=facts.columns,
                column_lineage=facts.column_lineage,
            )
        yield from self._release(_FACTS.format(node_id))

    def _told(self, node_id: str) -> Iterator[Told]:
        pending = self._pending.pop(node_id)
        promoted = node_id not in self._backfilled or not pending.held_back
        key = self.names.keys[node_id]
        if promoted:
            metadata = report_metadata(pending.report, self.graph.nodes[node_id], self.names.keys)
            if pending.held_back or not self.live or key not in self.context.selected_asset_keys:
                # Stored without an output: exactly its Dagster descendants are held back, or it
                # is a node that the run builds without having selected it.
                self.context.log_event(dg.AssetMaterialization(key, metadata=metadata))
            else:
                yield from self._let_pass(self.graph.nodes[node_id].deps)
                yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        for result in pending.checks:
            yield from self._tell_check(result, output=promoted)
        self._untold.discard(node_id)
        yield from self._release(_TOLD.format(node_id))

    def _tell_check(self, result: CheckResult, *, output: bool = True) -> Iterator[Told]:
        key = self.names.check_keys.get(result.check)
        if key is not None:
            self._evaluated.add(key)
        else:
            self.context.log.info(
                f"{result.check}: the environment's version has this check, the files have not; "
                f"it {'passed' if result.passed else 'failed'}"
            )
            return
        severity = dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN
        metadata = check_metadata(result)
        chosen = self.live and key in self.context.selected_asset_check_keys
        # A blocking check that failed gets no output: nothing downstream may go on from it.
        holds_back = not result.passed and result.blocking
        if output and chosen and not holds_back:
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.passed,
                severity=severity,
                metadata=metadata,
            )
        else:
            self.context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=result.passed,
                    severity=severity,
                    metadata=metadata,
                    blocking=result.blocking,
                )
            )

    # -- after the walk -------------------------------------------------------------------------

    def end(self) -> Iterator[Told]:
        """Tell what still waits for something that will not come: its checks did run."""
        for node_id, pending in list(self._pending.items()):
            if node_id in self._pending:
                pending.held_back = pending.held_back or "the run ended before it was settled"
                yield from self._told(node_id)
        yield from self._let_pass(list(self._passing))
        if self.live:
            # A step downstream of a blocking check waits for the check's output, and with
            # require_upstream_step_success off Dagster would wait for ever: one that did not run
            # gates nothing, as everywhere in Dagster.
            for name, key in check_outputs(self.context.assets_def).items():
                if key in self.context.selected_asset_check_keys and key not in self._evaluated:
                    yield output_without_event(name)

    # -- small things ---------------------------------------------------------------------------

    def _let_pass(self, nodes: Iterable[str]) -> Iterator[Told]:
        """Yield outputs without an event for those of the nodes that were up to date.

        Those that they depend on come first, because Dagster takes no asset after one that depends
        on it; that is also why they can't all be yielded when the run begins.
        """
        found: set[str] = set()
        stack = [n for n in nodes if n in self._passing]
        while stack:
            node_id = stack.pop()
            if node_id not in found:
                found.add(node_id)
                deps = self.graph.nodes[node_id].deps
                stack.extend(d for d in deps if d in self._passing)
        for node_id in sorted(found, key=self._rank.__getitem__):
            del self._passing[node_id]
            if self.live:
                key = self.names.keys[node_id]
                yield output_without_event(
                    self.context.assets_def.get_output_name_for_asset_key(key)
                )

    def _observe(
        self, node_id: str, outcome: Outcome, reason: str, report: Report | None = None
    ) -> None:
        metadata: dict[str, Any] = {OUTCOME: outcome.value, REASON: reason}
        if outcome is Outcome.CLAIMED and node_id in self.holders:
            holder = dg.MetadataValue.dagster_run(self.holders[node_id])
            metadata["dagster_transform/claimed_by"] = holder
        if report is not None:
            metadata |= report_metadata(report, self.graph.nodes[node_id], self.names.keys)
            metadata[OUTCOME] = outcome.value
        self.context.log_event(dg.AssetObservation(self.names.keys[node_id], metadata=metadata))

    def _log_end(self, name: str, end: Finished) -> None:
        report = end.report
        words = [f"{name}: {end.outcome.value}"]
        if report is not None and report.outcome is not Outcome.FAILED:
            words[0] += f" in {report.seconds:.2f} s"
            rows = report.rows if report.rows is not None else report.table_rows
            if rows is not None:
                words.append(f"{rows:,} rows")
            for result in report.checks:
                passed = "passed" if result.passed else f"FAILED ({result.failed_rows} rows)"
                words.append(f"{self._short(result.check)} {passed}")
        text = ", ".join(words) + (f": {end.reason}" if end.reason else "")
        log = self.context.log.info if end.good else self.context.log.warning
        (self.context.log.error if end.outcome is Outcome.FAILED else log)(text)

    def _name(self, unit_id: str) -> str:
        return self.called.get(unit_id, unit_id)

    def _short(self, check_id: str) -> str:
        check = self.graph.checks.get(check_id)
        return check.name if check is not None else check_id
