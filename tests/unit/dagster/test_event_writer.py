"""What Dagster stores of the events of a run: with an output where what is below may go on."""

from __future__ import annotations

import logging
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import dagster as dg

from dagster_transform.dagster.execution.event_writer import EventWriter
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Check, Column, Graph, Node, Relation
from dagster_transform.planning import Outcome
from dagster_transform.runs.events import CheckEvaluated, NodeBuilt, NodeObserved, RunEvent
from dagster_transform.runs.summary import RunSummary
from dagster_transform.walk import CheckResult, Report

SUMMARY = RunSummary(failed=False, rows=(), good=1)


def node(name: str) -> Node:
    relation = Relation("duckdb:/w", None, "d", name)
    columns = (Column("id", "int", "Which one"),)
    return Node(f"d:{name}", "d", "dbt", name, name, "table", relation, columns=columns)


GRAPH = Graph.of([node("top"), node("apart")], checks=[Check("d:top:c", "d", "c", "d:top")])


class Op:
    """An op that has selected one node and its check."""

    def __init__(self, *, only_checks: bool = False) -> None:
        assets = {n: dg.AssetKey([node.name]) for n, node in GRAPH.nodes.items()}
        checks = {"d:top:c": dg.AssetCheckKey(assets["d:top"], "c")}
        keys = Keys(
            assets,
            {key: n for n, key in assets.items()},
            checks,
            {key: c for c, key in checks.items()},
        )
        self.logged: list[Any] = []
        context = SimpleNamespace(
            log=logging.getLogger("test"),
            selected_asset_keys=set() if only_checks else {assets["d:top"]},
            selected_asset_check_keys={checks["d:top:c"]},
            log_event=self.logged.append,
            assets_def=SimpleNamespace(
                _check_specs_by_output_name={},
                get_spec_for_check_key=lambda _: SimpleNamespace(blocking=True),
            ),
            job_def=SimpleNamespace(nodes_in_topological_order=[SimpleNamespace(name="transform")]),
        )
        self.writer = EventWriter(context, GRAPH, keys, TransformTranslator())
        self.closed = False

    def run(self, *events: RunEvent) -> Generator[RunEvent, None, RunSummary]:
        try:
            yield from events
        finally:
            self.closed = True
        return SUMMARY

    def outputs(self, *events: RunEvent) -> list[Any]:
        summaries: list[RunSummary] = []

        def carried_out() -> Generator[Any, None, None]:
            summaries.append((yield from self.writer.outputs(self.run(*events))))

        found = list(carried_out())
        assert summaries == [SUMMARY]
        return found


def built(name: str = "top", held_back: str = "", **report: Any) -> NodeBuilt:
    return NodeBuilt(f"d:{name}", Report(f"d:{name}", Outcome.BUILT, **report), held_back)


def test_facts_are_metadata_under_dagsters_own_names() -> None:
    [result] = Op().outputs(built(table_rows=3, columns={"ID": "INTEGER", "other": "TEXT"}))
    assert result.metadata["dagster/row_count"] == 3
    columns = result.metadata["dagster/column_schema"].columns
    assert [(c.name, c.type, c.description) for c in columns] == [
        ("ID", "INTEGER", "Which one"),
        ("other", "TEXT", None),
    ]


def test_column_lineage_is_told_by_asset_key() -> None:
    lineage = {"id": (("d:top", "ID"), ("d:top", "ID"), ("d:apart", "x"))}
    [result] = Op().outputs(built(column_lineage=lineage))
    found = result.metadata["dagster/column_lineage"].deps_by_column
    assert {column: set(deps) for column, deps in found.items()} == {
        "id": {
            dg.TableColumnDep(asset_key=dg.AssetKey("apart"), column_name="x"),
            dg.TableColumnDep(asset_key=dg.AssetKey("top"), column_name="ID"),
        }
    }
    assert len(found["id"]) == 2


def test_what_is_held_back_or_not_selected_is_stored_without_an_output() -> None:
    op = Op()
    assert op.outputs(built(held_back="blocking check failed"), built("apart")) == []
    assert [type(event) for event in op.logged] == [dg.AssetMaterialization] * 2


def test_a_blocking_check_that_failed_has_no_output() -> None:
    op = Op()
    [materialized] = op.outputs(built(), CheckEvaluated(CheckResult("d:top:c", passed=False)))
    assert isinstance(materialized, dg.MaterializeResult)
    [event] = op.logged
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert (event.passed, event.blocking) == (False, True)
    [passed] = op.outputs(CheckEvaluated(CheckResult("d:top:c", passed=True)))
    assert isinstance(passed, dg.AssetCheckResult)


def test_a_check_of_what_readers_do_not_see_has_no_output() -> None:
    op = Op()
    assert op.outputs(CheckEvaluated(CheckResult("d:top:c", passed=True), seen=False)) == []
    assert len(op.logged) == 1


def test_a_check_that_only_the_environment_has_is_not_stored() -> None:
    op = Op()
    assert op.outputs(CheckEvaluated(CheckResult("d:top:gone", passed=True))) == []
    assert op.logged == []


def test_an_observation_names_the_run_that_holds_the_node() -> None:
    op = Op()
    assert op.outputs(NodeObserved("d:top", Outcome.CLAIMED, "held", holder="r1")) == []
    [event] = op.logged
    assert event.metadata["dagster_transform/claimed_by"] == dg.MetadataValue.dagster_run("r1")


def test_everything_is_stored_where_nobody_takes_results() -> None:
    op = Op()
    run = op.run(built(), CheckEvaluated(CheckResult("d:top:c", passed=True)))
    assert op.writer.store_all(run) is SUMMARY
    assert [type(event) for event in op.logged] == [
        dg.AssetMaterialization, dg.AssetCheckEvaluation,
    ]  # fmt: skip


def test_a_run_is_closed_when_whoever_takes_its_results_stops() -> None:
    op = Op()
    outputs = op.writer.outputs(op.run(built(), built()))
    next(outputs)
    assert not op.closed
    outputs.close()
    assert op.closed


def test_a_run_of_checks_alone_has_no_outputs_since_nobody_takes_them() -> None:
    op = Op(only_checks=True)
    # What it judged was stored here: nobody looks for another materialisation.
    assert op.outputs(built(), CheckEvaluated(CheckResult("d:top:c", passed=True))) == []
    [_, event] = op.logged
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert (event.passed, event.blocking) == (True, True)
