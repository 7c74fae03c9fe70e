"""Dagster's rule that no asset comes after one that depends on it, on random graphs."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform import TransformResource, build_transform_assets, load_config, sqlmesh
from dagster_transform.graph import Check, Graph, Node, Relation, promotion_id
from dagster_transform.planning import Outcome, Readiness, Unit, UnitKind
from dagster_transform.walk import CheckResult, Moved, Report, SharedResources

PROMOTION = promotion_id("plans", "promotion of prod")

# -- Dagster's rule: no asset after one that depends on it -----------------------------------------


class _ProjectRun:
    """Says of each node what it is told to say, and does everything at once."""

    capacity = 3
    exclusive: frozenset[str] = frozenset()

    def __init__(self, graph: Graph, outcomes: Mapping[str, str]) -> None:
        self._graph = graph
        self._outcomes = outcomes

    def shared_resources(self) -> SharedResources:
        return SharedResources()

    def claim_key(self, unit: Unit) -> None: ...

    def promotion_keys(self, unit: Unit) -> Mapping[str, bool]:
        return {}

    def elsewhere(self) -> Moved:
        return {}

    def refresh(self, units: Sequence[Unit]) -> None: ...

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
        return {n: self._readiness(n) for n in nodes}

    def _readiness(self, node: str) -> Readiness:
        say = {"up_to_date": Outcome.UP_TO_DATE, "waiting": Outcome.WAITING}
        outcome, plans = self._outcomes[node], node.startswith("plans:")
        shown = outcome == "shown"
        promotion = PROMOTION if plans and (shown or outcome not in say) else None
        said = Outcome.UP_TO_DATE if shown else say.get(outcome)
        return Readiness(said, "because", promotion=promotion, shown=shown)

    def open(self, units: Sequence[Unit]) -> None: ...

    def start(self, unit: Unit, done: Callable[[Report], None]) -> None:
        outcome = self._outcomes.get(unit.id, "built")
        if unit.kind is UnitKind.CHECK:
            result = CheckResult(unit.id, passed=outcome != "failed", blocking=unit.blocking)
            done(Report(unit.id, Outcome.CHECKED, checks=(result,)))
        elif unit.kind is UnitKind.PROMOTE:
            done(Report(unit.id, Outcome.PROMOTED))
        elif outcome == "failed":
            done(Report(unit.id, Outcome.FAILED, "broken"))
        elif outcome == "overtaken":
            done(Report(unit.id, Outcome.UP_TO_DATE, "another run had built it"))
        else:
            in_build = [
                CheckResult(c.id, passed=self._outcomes[c.id] != "failed", blocking=c.blocking)
                for c in self._graph.checks_of(unit.id)
                if c.in_build
            ]
            done(Report(unit.id, Outcome.BUILT, checks=tuple(in_build)))

    def cancel(self, unit: str) -> None: ...

    def end_backends(self, sessions: Any) -> Any: ...

    def let_go(self) -> None: ...

    def close_files(self) -> None: ...

    def close(self, *, completed: bool) -> None: ...


def _random_graph(seed: int, projects: Sequence[str]) -> tuple[Graph, dict[str, str]]:
    choice = random.Random(seed)
    ids = [f'{choice.choice(projects)}:"w"."m"."n{i}"' for i in range(9)]
    nodes, checks, outcomes = [], [], {}
    for place, id in enumerate(ids):
        name = f"n{place}"
        deps = choice.sample(ids[:place], k=min(place, choice.randint(0, 3)))
        relation = Relation("duckdb:/w", "w", "m", name)
        project, _, reference = id.partition(":")
        nodes.append(
            Node(id, project, "sqlmesh", reference, f"m.{name}", "FULL", relation, deps=tuple(deps))
        )
        others = ["overtaken", "failed", "waiting"] if project == "p" else ["shown"] * 4
        outcomes[id] = choice.choice(["built"] * 4 + ["up_to_date"] * 4 + others)
        if choice.random() < 0.6:
            check = Check(
                f"{id}:ok", project, "ok", id,
                blocking=choice.random() < 0.7, in_build=choice.random() < 0.5,
            )  # fmt: skip
            checks.append(check)
            outcomes[check.id] = choice.choice(["passed"] * 4 + ["failed"])
    return Graph.of(nodes, [], checks), outcomes


# Of a project whose plan promotes what it builds, and what was built before; and of another one.
@pytest.mark.parametrize("projects", [["p"], ["p", "plans"]], ids=["runs", "plans"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_up_to_date_dagster_gets_its_results_in_its_order(
    seed: int, projects: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, outcomes = _random_graph(seed, projects)
    for project in projects:
        (tmp_path / project).mkdir()
    ways = {"p": "plan: never", "plans": "plan: auto"}
    text = ", ".join(f"{p}: {{framework: sqlmesh, path: {p}, {ways[p]}}}" for p in projects)
    text = f"projects: {{{text}}}"
    (tmp_path / "transform.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sqlmesh, "make_project_run", lambda *_: _ProjectRun(graph, outcomes))
    transform = build_transform_assets(graph, load_config(tmp_path))
    readers = [
        dg.AssetsDefinition.from_op(
            dg.OpDefinition(
                compute_fn=lambda context, inputs: iter([dg.Output(None)]),
                name=f"reads_{key.path[-1]}",
                ins={"up": dg.In(dg.Nothing)},
                outs={"result": dg.Out()},
            ),
            keys_by_input_name={"up": key},
            keys_by_output_name={"result": dg.AssetKey(f"reads_{key.path[-1]}")},
        )
        for key in transform.keys
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [transform, *readers],
            resources={"transform": TransformResource()},
            raise_on_error=False,
            instance=instance,
        )
    failures = [e.event_specific_data for e in result.all_events if e.is_step_failure]
    for failed in failures:  # ours, with its table, and no complaint of Dagster's
        assert failed.user_failure_data is not None, failed.error.message
    materialized = [e.asset_key.path[-1] for e in result.all_events if e.is_step_materialization]
    ours = [name for name in materialized if not name.startswith("reads_")]
    assert len(ours) == len(set(ours))
    told = {n.name[2:] for n in graph.nodes.values() if outcomes[n.id] in ("built", "shown")}
    assert set(ours) <= told
