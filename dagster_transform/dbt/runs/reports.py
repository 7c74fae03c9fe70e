"""From what dbt says of a node to what is reported to the walk: pure.

A relation that was made is reported as built, and one that was not is not, whatever dbt calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.protocol import Measured, Result
from dagster_transform.dbt.runs.started_nodes import Answer
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.errors import redact
from dagster_transform.graph import (
    CheckId,
    Graph,
    InputId,
    Node,
    Relation,
    node_id,
    source_id,
)
from dagster_transform.planning import Outcome, Unit, UnitKind
from dagster_transform.walk import CheckResult, Facts, Report

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NOT_FOUND_OUT = "runtime error"
"""Of a source's freshness: a verdict of `dbt source freshness` too, and not a good one."""
_JUDGED = ("pass", "warn", "fail", _NOT_FOUND_OUT)
_DONE = ("success", "no-op", "reused")
_NOT_MADE = re.compile(r"(?:NO-OP|CLONE)\b|skip ")
"""How the message of a `success` begins that has built nothing: dbt State's, and that of a
materialised view which was to be left as it was."""


def report_of(unit: Unit, answer: Answer, invocation: str, *, warns: bool = False) -> Report:
    """The report of a build or a check.

    Args:
        unit: What was started.
        answer: What became of it.
        invocation: dbt's invocation id.
        warns: Of a check: whether its severity is configured as `warn`, which says how bad a
            failure would have been where there is none.
    """
    result = answer.result
    if result is None:
        return _lost(unit, answer)
    details = _details(result, invocation)
    cut_off = bool(answer.timed_out) or answer.cancelled
    found_out = result.status != _NOT_FOUND_OUT
    if unit.kind is UnitKind.CHECK and result.status in _JUDGED and (found_out or not cut_off):
        return Report(
            unit.id,
            Outcome.CHECKED,
            "" if found_out else plain(result.message),
            transient=result.transient and not found_out,
            checks=(_check(unit, result, details, warns=warns),),
            seconds=result.seconds,
        )
    outcome, reason = Outcome.BUILT, ""
    if unit.kind is UnitKind.CHECK or result.status not in _DONE:
        outcome, reason = _judged(answer, result)
    elif result.status != "success" or _NOT_MADE.match(plain(result.message)):
        outcome, reason = Outcome.UP_TO_DATE, _as_is(result)
    return Report(
        unit.id,
        outcome,
        reason,
        transient=result.transient and outcome is Outcome.FAILED and not answer.timed_out,
        seconds=result.seconds,
        rows=result.rows if outcome is Outcome.BUILT else None,
        facts_follow=result.measured_follows,
        details=details,
    )


def entry_of(report: Report, answer: Answer, node: UniqueId) -> dict[str, Any]:
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


def facts_of(
    node: Node, graph: Graph, measured: Measured, locate: Callable[[Resource], Relation]
) -> Facts:
    """What was found out of a node's relation after it was built, as the walk takes it.

    Args:
        node: The node.
        graph: The graph; other projects may build what dbt calls a source.
        measured: What the dbt process says.
        locate: The relation of what an entry of `measured.reads` says.
    """
    ids = {
        unique_id: _input_of(node, graph, unique_id, place, locate)
        for unique_id, place in measured.reads.items()
    }
    lineage: dict[str, tuple[tuple[InputId, str], ...]] = {}
    strange: dict[str, None] = {}
    for column, sources in measured.lineage.items():
        ends = [(ids[unique_id], name) for unique_id, name in sources]
        known = tuple((id, name) for id, name in ends if id is not None)
        if len(known) < len(ends):
            strange.update(dict.fromkeys(u for u, _ in sources if ids[u] is None))
        elif known:
            lineage[column] = known
    problems = [plain(measured.problem)] * bool(measured.problem)
    if strange:
        problems.append(
            f"column lineage: the graph file does not know that it reads {', '.join(strange)}"
        )
    return Facts(node.id, measured.rows, dict(measured.columns), lineage, "; ".join(problems))


def _input_of(
    node: Node,
    graph: Graph,
    unique_id: str,
    place: Resource,
    locate: Callable[[Resource], Relation],
) -> InputId | None:
    """What a node reads under a unique id of dbt's; None: the graph does not know that it does."""
    own: tuple[InputId, ...] = (
        node_id(node.project, unique_id),
        source_id(node.project, unique_id),
    )
    for id in own:
        if id in node.deps:
            return id
    found = graph.by_relation.get(locate(place))
    return found if found in node.deps else None


def _lost(unit: Unit, answer: Answer) -> Report:
    if answer.made:
        return Report(
            unit.id, Outcome.BUILT, f"its relation was made; then {answer.lost} (hooks may not run)"
        )
    if answer.cancelled and not answer.timed_out:
        return Report(unit.id, Outcome.CANCELLED, f"cancelled: {answer.lost}")
    reasons = [reason for reason in (answer.timed_out, answer.lost) if reason]
    return Report(unit.id, Outcome.FAILED, ": ".join(reasons))


def _as_is(result: Result) -> str:
    """Why dbt has left a node as it was, in its words."""
    said = plain(result.message)
    return f"dbt says: {result.status}" + f": {said}" * bool(said)


def _judged(answer: Answer, result: Result) -> tuple[Outcome, str]:
    """What became of a node that dbt does not call good."""
    said = plain(result.message) or result.status
    if result.batches is not None:
        why = plain(result.message)
        said = f"{result.batches[0]} of {result.batches[1]} batches were built" + f": {why}" * bool(
            why
        )
    if answer.timed_out:
        return Outcome.FAILED, answer.timed_out
    if answer.cancelled:
        if answer.made:
            return Outcome.BUILT, f"its relation was made; what comes after it was cut off: {said}"
        return Outcome.CANCELLED, "cancelled" if result.batches is None else f"cancelled: {said}"
    if answer.made:
        return Outcome.FAILED, f"its relation was made, and then: {said}"
    return Outcome.FAILED, said


def _check(unit: Unit, result: Result, details: Mapping[str, Any], *, warns: bool) -> CheckResult:
    shown = {**details, "seconds": round(result.seconds, 3)}
    if result.query:
        shown["query"] = result.query
    warning = result.status == "warn" or (result.status == "pass" and warns)
    return CheckResult(
        CheckId(unit.id),
        passed=result.status == "pass",
        failed_rows=result.failures,
        # Whether it is a failure or a warning, dbt finds out only now: of the severity, thresholds
        # and `warn_error`.
        blocking=unit.blocking and not warning,
        error=result.status not in ("pass", "warn"),
        details=shown,
        sample=tuple(result.sample),
    )


def _details(result: Result, invocation: str) -> dict[str, Any]:
    found = {
        "table": result.relation,
        "status": result.artifact.get("status", result.status),
        "message": plain(result.message),
        "query_id": result.query_id,
        "batches": None if result.batches is None else "{} of {}".format(*result.batches),
        "invocation_id": invocation,
    }
    return {key: value for key, value in found.items() if value}


def plain(text: str) -> str:
    """What dbt says without colours and passwords."""
    return redact(_COLOUR.sub("", text)).strip()
