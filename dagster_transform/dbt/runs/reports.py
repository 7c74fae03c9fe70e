"""From what dbt says of a node to what the walk is told: pure.

A relation that was made is told as built, and one that was not is not, whatever dbt calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.protocol import Facts, Result
from dagster_transform.dbt.runs.flight import Answer
from dagster_transform.errors import redact
from dagster_transform.graph import Graph, Node, Relation
from dagster_transform.planning import Outcome, Unit, UnitKind
from dagster_transform.walk import CheckResult, Report
from dagster_transform.walk import Facts as Learned

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_JUDGED = ("pass", "warn", "fail")
_DONE = ("success", "no-op")


def report_of(unit: Unit, answer: Answer, invocation: str) -> Report:
    """The report of a build or a check.

    Args:
        unit: What was started.
        answer: What became of it.
        invocation: dbt's invocation id.
    """
    result = answer.result
    if result is None:
        return _lost(unit, answer)
    details = _details(result, invocation)
    if unit.kind is UnitKind.CHECK and result.status in _JUDGED:
        return Report(
            unit.id,
            Outcome.CHECKED,
            checks=(_check(unit, result, details),),
            seconds=result.seconds,
        )
    outcome, reason = Outcome.BUILT, ""
    if unit.kind is UnitKind.CHECK or result.status not in _DONE:
        outcome, reason = _judged(answer, result)
    return Report(
        unit.id,
        outcome,
        reason,
        transient=result.transient and outcome is Outcome.FAILED and not answer.late,
        seconds=result.seconds,
        rows=result.rows if outcome is Outcome.BUILT else None,
        facts_follow=result.more,
        details=details,
    )


def entry_of(report: Report, answer: Answer, node: str) -> dict[str, Any]:
    """A node's entry in run_results.json or sources.json, with the report's truth in it."""
    result = answer.result
    if result is not None and result.artifact:
        entry = dict(result.artifact)
    else:
        entry = {
            "unique_id": node,
            "timing": [],
            "thread_id": "",
            "execution_time": report.seconds,
            "adapter_response": {},
            "failures": None,
            "batch_results": None,
            "compiled": None,
            "compiled_code": None,
            "relation_name": None,
            "message": "",
            "status": "error",
        }
    if report.outcome is Outcome.BUILT:
        entry["status"] = "success"
    if report.reason:
        entry["message"] = report.reason
    return entry


def learned(
    node: Node, graph: Graph, found: Facts, locate: Callable[[Resource], Relation]
) -> Learned:
    """What the walk is told of a node that was built, and of which more was found out.

    Args:
        node: The node.
        graph: The graph; other projects may build what dbt calls a source.
        found: What the dbt process says.
        locate: The relation of what an entry of `found.reads` says.
    """
    ids: dict[str, str | None] = {}
    for unique_id, place in found.reads.items():
        id = f"{node.project}:{unique_id}"
        if id not in node.deps:
            id = graph.by_relation.get(locate(place), "")
        ids[unique_id] = id if id in node.deps else None
    lineage: dict[str, tuple[tuple[str, str], ...]] = {}
    strange: dict[str, None] = {}
    for column, sources in found.lineage.items():
        ends = [(ids[unique_id], name) for unique_id, name in sources]
        if known := tuple((id, name) for id, name in ends if id is not None):
            lineage[column] = known
        if len(known) < len(ends):
            lineage.pop(column, None)
            strange.update(dict.fromkeys(u for u, _ in sources if ids[u] is None))
    problems = [plain(found.problem)] * bool(found.problem)
    if strange:
        problems.append(
            f"column lineage: the graph file does not know that it reads {', '.join(strange)}"
        )
    return Learned(node.id, found.rows, dict(found.columns), lineage, "; ".join(problems))


def _lost(unit: Unit, answer: Answer) -> Report:
    if answer.made:
        return Report(
            unit.id, Outcome.BUILT, f"its relation was made; then {answer.lost} (hooks may not run)"
        )
    if answer.cancelled and not answer.late:
        return Report(unit.id, Outcome.CANCELLED, f"cancelled: {answer.lost}")
    reasons = [reason for reason in (answer.late, answer.lost) if reason]
    return Report(unit.id, Outcome.FAILED, ": ".join(reasons))


def _judged(answer: Answer, result: Result) -> tuple[Outcome, str]:
    """What became of a node that dbt does not call good."""
    said = plain(result.message) or result.status
    if result.batches is not None:
        why = plain(result.message)
        said = f"{result.batches[0]} of {result.batches[1]} batches were built" + f": {why}" * bool(
            why
        )
    if answer.late:
        return Outcome.FAILED, answer.late
    if answer.cancelled:
        if answer.made:
            return Outcome.BUILT, f"its relation was made; what comes after it was cut off: {said}"
        return Outcome.CANCELLED, "cancelled" if result.batches is None else f"cancelled: {said}"
    if answer.made:
        return Outcome.FAILED, f"its relation was made, and then: {said}"
    return Outcome.FAILED, said


def _check(unit: Unit, result: Result, details: Mapping[str, Any]) -> CheckResult:
    shown = {**details, "query": result.query} if result.query else details
    return CheckResult(
        unit.id,
        passed=result.status == "pass",
        failed_rows=result.failures,
        # Of a test with thresholds, dbt finds out only now which severity its rows have.
        blocking=unit.blocking and result.status != "warn",
        details=shown,
    )


def _details(result: Result, invocation: str) -> dict[str, Any]:
    found = {
        "table": result.relation,
        "status": result.status,
        "message": plain(result.message),
        "query_id": result.query_id,
        "batches": None if result.batches is None else "{} of {}".format(*result.batches),
        "invocation_id": invocation,
    }
    return {key: value for key, value in found.items() if value}


def plain(text: str) -> str:
    """What dbt says without colours and passwords."""
    return redact(_COLOUR.sub("", text)).strip()
