"""From the events of a run to what Dagster stores."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat import (
    CODE_VERSION_TAG,
    check_evaluation,
    check_outputs,
    is_only_step,
    last_evaluations,
    look_up_materializations,
    output_without_event,
    summary_event,
)
from dagster_transform.dagster._compat_circles import not_held_back
from dagster_transform.dagster.execution.apart import Evaluations, said_of_checks_apart
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.dagster.translation.metadata import (
    OUTCOME,
    REASON,
    check_metadata,
    report_metadata,
)
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph, InputId, Node, NodeId, When
from dagster_transform.graph.counts import counted
from dagster_transform.planning import overdue
from dagster_transform.runs.events import (
    CheckEvaluated,
    ChecksBegin,
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesSynced,
    NodesUpToDate,
    RunEvent,
)
from dagster_transform.runs.summary import RunSummary

Output = dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.Output[None]


class EventWriter:
    """Writes the events of a run, in an op; see `runs.ports.EventSink`.

    What an op yields lets go on what is downstream; what is only logged as an event does not. So
    what is held back is logged, and so is what the op has not selected.

    Args:
        context: Dagster's context of the op.
        graph: The graph as the run sees it: the descriptions of columns, when checks run.
        keys: Keys of the graph.
        translator: Which code version a node has in Dagster.
        ticks: From when on checks that run apart must have results, aware, by project; without
            those of which nobody has said how often.
    """

    def __init__(
        self,
        context: Any,
        graph: Graph,
        keys: Keys,
        translator: TransformTranslator,
        ticks: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        self._context = context
        self._graph = graph
        self._keys = keys
        self._translator = translator
        self._ticks = ticks
        self._evaluated: set[dg.AssetCheckKey] = set()
        self._built_here: set[InputId] = set()
        self._apart_before: Evaluations | None = None  # as the run found them
        # Nobody takes outputs there: events alone, of which Dagster stores one less a check.
        self._without_outputs = not context.selected_asset_keys and is_only_step(context)

    def outputs(
        self, run: Generator[RunEvent, None, RunSummary]
    ) -> Generator[Output, None, RunSummary]:
        """Carry out a run: its events are stored or yielded. Returns its summary."""
        with closing(run):
            summary = yield from self._each(run, live=True)
        # A step downstream of a blocking check waits for the check's output, and with
        # require_upstream_step_success off Dagster would wait for ever: one that did not run gates
        # nothing, as everywhere in Dagster.
        gating = {} if self._without_outputs else check_outputs(self._context.assets_def)
        for name, key in gating.items():
            if key in self._context.selected_asset_check_keys and key not in self._evaluated:
                yield output_without_event(name)
        return summary

    def store_all(self, run: Generator[RunEvent, None, RunSummary]) -> RunSummary:
        """Carry out a run in an op that yields no assets: all its events are stored."""
        with closing(run):
            outputs = self._each(run, live=False)
            while True:
                try:
                    next(outputs)
                except StopIteration as end:
                    summary: RunSummary = end.value
                    return summary

    def _each(
        self, run: Generator[RunEvent, None, RunSummary], *, live: bool
    ) -> Generator[Output, None, RunSummary]:
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                summary: RunSummary = end.value
                return summary
            yield from self._write(event, live=live)

    def store(self, event: RunEvent, /) -> None:
        """Store an event, when Dagster takes no results any more."""
        for _ in self._write(event, live=False):
            pass

    def _write(self, event: RunEvent, *, live: bool) -> Iterator[Output]:
        match event:
            case NodeBuilt():
                yield from self._built(event, live=live)
            case NodeObserved():
                self._observed(event)
            case ChecksBegin() if live:
                look_up_materializations(
                    self._context, {self._keys.assets[id] for id in event.judged}
                )
            case CheckEvaluated():
                yield from self._check(event, live=live)
            case NodePassed():
                if live and self._is_selected(event.node):
                    key = self._keys.assets[event.node]
                    yield output_without_event(
                        self._context.assets_def.get_output_name_for_asset_key(key)
                    )
            case NodesUpToDate():
                self._up_to_date(event)
            case NodesSynced():
                self._synced(event)

    def _built(self, event: NodeBuilt, *, live: bool) -> Iterator[Output]:
        key = self._keys.assets[event.node]
        node = self._graph.nodes[event.node]
        self._built_here.add(node.id)
        metadata = report_metadata(event.report, node, self._keys.assets) | self._apart(node)
        if live and not event.held_back and self._is_selected(event.node):
            version = self._other_code_version(node, event.report.code_version)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata=metadata,
                # Dagster would take those of the code that it has loaded.
                tags={CODE_VERSION_TAG: version} if version else None,
                data_version=dg.DataVersion(self._context.run.run_id) if version else None,
            )
        else:
            self._context.log_event(dg.AssetMaterialization(key, metadata=metadata))

    def _apart(self, node: Node) -> dict[str, dg.MetadataValue[Any]]:
        """Before this materialisation is stored: Dagster shows their results with an older one."""
        checks = [c for c in self._graph.checks_of(node.id) if c.when is When.APART]
        if not checks:
            return {}
        keys = {check.id: self._keys.checks[check.id] for check in checks}
        found = self._results_before(node.id, list(keys.values()))
        last = {
            id: datetime.fromtimestamp(found[key][1], timezone.utc)
            for id, key in keys.items()
            if key in found
        }
        missed = overdue(self._graph, [node.id], self._ticks, last)
        ticks = {keys[id]: self._ticks[self._graph.checks[id].project] for id in missed}
        return said_of_checks_apart(keys.values(), found, ticks)

    def _results_before(self, node: NodeId, keys: list[dg.AssetCheckKey]) -> Evaluations:
        """The latest results of a node's checks that run apart: those of all that is selected are
        asked for at once, those of what the run has added with the node."""
        if not self._is_selected(node):
            return last_evaluations(self._context.instance, keys)
        if self._apart_before is None:
            selected = self._context.selected_asset_keys
            apart = [c for c in self._graph.checks.values() if c.when is When.APART]
            asked = [self._keys.checks[check.id] for check in apart]
            self._apart_before = last_evaluations(
                self._context.instance, [key for key in asked if key.asset_key in selected]
            )
        return self._apart_before

    def _other_code_version(self, node: Node, built: str | None) -> str | None:
        """The version of the code that was built, where the files have another one."""
        if built is None or built == node.code_version:
            return None
        version = self._translator.get_code_version(replace(node, code_version=built))
        return None if version == self._translator.get_code_version(node) else version

    def _observed(self, event: NodeObserved) -> None:
        metadata: dict[str, Any] = {OUTCOME: event.outcome.value, REASON: event.reason}
        if event.holder is not None:
            holder = dg.MetadataValue.dagster_run(event.holder)
            metadata["dagster_transform/claimed_by"] = holder
        if event.report is not None:
            node = self._graph.nodes[event.node]
            metadata |= report_metadata(event.report, node, self._keys.assets)
            metadata[OUTCOME] = event.outcome.value
        key = self._keys.assets[event.node]
        self._context.log_event(dg.AssetObservation(key, metadata=metadata))

    def _check(self, event: CheckEvaluated, *, live: bool) -> Iterator[Output]:
        result = event.result
        key = self._keys.checks.get(result.check)
        if key is None:
            self._context.log.info(
                f"{result.check}: the environment's version has this check, the files have not; "
                f"it {'passed' if result.passed else 'failed'}"
            )
            return
        check = self._graph.checks[result.check]
        is_error = result.blocking or result.error
        severity = dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN
        metadata = check_metadata(result, check, self._graph.node(check.target))
        if (
            check.holds_back
            and key.asset_key not in self._context.selected_asset_keys
            and (others := not_held_back(key, self._context.job_def))
        ):
            metadata["dagster_transform/not_held_back"] = dg.MetadataValue.text(", ".join(others))
        selected = key in self._context.selected_asset_check_keys if live else False
        failed = not result.passed and result.blocking
        if not failed or check.holds_back:
            self._evaluated.add(key)
        found = dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=result.passed,
            severity=severity,
            metadata=metadata,
        )
        # Dagster would fail the step at once. What holds something back gets no output at all:
        # nothing downstream may go on from it; of what does not, the output comes at the end.
        if event.seen and selected and not failed and not self._without_outputs:
            yield found
        else:
            blocking = result.blocking and check.holds_back
            if self._without_outputs and selected and not failed:  # as it is told of outputs
                blocking = self._context.assets_def.get_spec_for_check_key(key).blocking
            judged = event.seen and selected and check.target not in self._built_here
            self._context.log_event(
                check_evaluation(self._context, key, found, blocking=blocking, find_target=judged)
            )

    def _up_to_date(self, event: NodesUpToDate) -> None:
        keys = sorted(self._keys.assets[node].to_user_string() for node in event.nodes)
        self._context.log_event(
            summary_event(
                "up_to_date",
                f"{counted(len(keys), 'selected node is', 'selected nodes are')} up to date",
                {"dagster_transform/up_to_date": dg.MetadataValue.json(keys)},
            )
        )

    def _synced(self, event: NodesSynced) -> None:
        built = sorted((self._keys.assets[node], at) for node, at in event.built_at.items())
        for key, moment in built:
            metadata: dict[str, Any] = {
                OUTCOME: "synced",
                REASON: "built, as the project's state says, and told by no run of this Dagster",
                "dagster_transform/built_at": dg.MetadataValue.timestamp(moment),
            }
            self._context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        names = ", ".join(sorted(key.to_user_string() for key, _ in built))
        self._context.log.info(f"synced (built, and told by no run of this Dagster): {names}")

    def _is_selected(self, node: NodeId) -> bool:
        return self._keys.assets[node] in self._context.selected_asset_keys
