"""A node is told when its facts are there, and what depends on it after it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import dagster as dg

from dagster_transform.dagster.translation.keys import Names
from dagster_transform.dagster.execution.tell import Teller
from dagster_transform.graph import Column, Graph, Node, Relation
from dagster_transform.planning import Limits, Outcome, RunPlan, Unit, UnitKind
from dagster_transform.walk import Facts, Finished, Learned, Report


def node(name: str, *deps: str) -> Node:
    relation = Relation("duckdb:/w", None, "d", name)
    columns = (Column("id", "int", "Which one"),)
    above = tuple(f"d:{dep}" for dep in deps)
    return Node(f"d:{name}", "d", "dbt", name, name, "table", relation, deps=above, columns=columns)


# `off` is no part of the run, and `below` reads `top` through it.
GRAPH = Graph.of([node("top"), node("off", "top"), node("below", "off"), node("apart")])
RUN = ("d:top", "d:below", "d:apart")


class Told:
    """A teller in a run, and what it has told."""

    def __init__(self) -> None:
        keys = {n: dg.AssetKey([node.name]) for n, node in GRAPH.nodes.items()}
        self.logged: list[Any] = []
        context = SimpleNamespace(
            log=logging.getLogger("test"),
            selected_asset_keys={keys[n] for n in RUN},
            log_event=self.logged.append,
            assets_def=SimpleNamespace(_check_specs_by_output_name={}),
        )
        units = {n: Unit(n, UnitKind.BUILD, "d") for n in RUN}
        names = Names(keys, {key: n for n, key in keys.items()}, {}, {})
        self.plan = RunPlan(units, limits=Limits())
        self.teller = Teller(context, GRAPH, names, self.plan, {})

    def built(self, name: str, *, facts_follow: bool = False) -> list[str]:
        report = Report(f"d:{name}", Outcome.BUILT, facts_follow=facts_follow)
        return self.tell(Finished(self.plan.units[report.unit], Outcome.BUILT, "", report))

    def learned(self, name: str, **facts: Any) -> list[str]:
        unit = self.plan.units[f"d:{name}"]
        return self.tell(Learned(unit, Facts(unit.id, **facts)))

    def tell(self, event: Any) -> list[str]:
        self.results = list(self.teller.tell(event))
        return [r.asset_key.path[-1] for r in self.results if isinstance(r, dg.MaterializeResult)]


def test_what_depends_on_a_node_is_told_after_it() -> None:
    run = Told()
    assert run.built("top", facts_follow=True) == []
    assert run.built("below") == [], "Dagster would refuse top after it"
    assert run.built("apart") == ["apart"]
    assert run.learned("top", table_rows=3) == ["top", "below"]


def test_facts_of_what_depends_on_a_node_may_come_first() -> None:
    run = Told()
    run.built("top", facts_follow=True)
    run.built("below", facts_follow=True)
    assert run.learned("below", table_rows=1) == []
    assert run.learned("top", table_rows=3) == ["top", "below"]
    rows = [r.metadata["dagster/row_count"] for r in run.results]
    assert rows == [3, 1]


def test_facts_are_metadata_under_dagsters_own_names() -> None:
    run = Told()
    run.built("top", facts_follow=True)
    run.learned("top", table_rows=3, columns={"ID": "INTEGER", "other": "TEXT"})
    [result] = run.results
    assert result.metadata["dagster/row_count"] == 3
    columns = result.metadata["dagster/column_schema"].columns
    assert [(c.name, c.type, c.description) for c in columns] == [
        ("ID", "INTEGER", "Which one"),
        ("other", "TEXT", None),
    ]


def test_column_lineage_is_told_by_asset_key() -> None:
    run = Told()
    run.built("below", facts_follow=True)
    run.learned(
        "below", column_lineage={"id": (("d:top", "ID"), ("d:top", "ID"), ("d:apart", "x"))}
    )
    [result] = run.results
    found = result.metadata["dagster/column_lineage"].deps_by_column
    assert found == {
        "id": [
            dg.TableColumnDep(asset_key=dg.AssetKey("apart"), column_name="x"),
            dg.TableColumnDep(asset_key=dg.AssetKey("top"), column_name="ID"),
        ]
    }


def test_a_run_that_is_cut_off_tells_what_was_built_without_its_facts() -> None:
    run = Told()
    run.built("top", facts_follow=True)
    run.built("below")
    run.teller.live = False
    assert list(run.teller.end()) == []
    assert sorted(event.asset_key.path[-1] for event in run.logged) == ["below", "top"]
