"""The bare side of a benchmark stores what a run has stored, and runs are counted as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from bench.bare_run import EQUAL, RECORDED, recorded, replaying
from bench.load_worker import load_definitions
from bench.stored import LINES, Stored, count

SPECS = """\
import dagster as dg


@dg.multi_asset(
    name="transform",
    specs=[dg.AssetSpec(key, skippable=True) for key in ("a", "b")],
    check_specs=[dg.AssetCheckSpec("few", asset=key) for key in ("a", "b")],
    can_subset=True,
)
def transform(context):
    raise NotImplementedError
"""


@dg.multi_asset(
    name="transform",
    specs=[dg.AssetSpec(key, skippable=True) for key in ("a", "b")],
    check_specs=[dg.AssetCheckSpec("few", asset=key) for key in ("a", "b")],
    can_subset=True,
)
def transform(context) -> Iterator[Any]:  # type: ignore[no-untyped-def]  # Dagster reads it
    """As our op stores them: of `a` results; of `b`, whose check failed, events without a result.
    Dagster adds a line about what was not yielded."""
    context.log.info("a: build started")
    context.log_event(dg.AssetObservation("a", metadata={"outcome": "backfilled"}))
    yield dg.MaterializeResult(asset_key="a", metadata={"rows": 7})
    yield dg.AssetCheckResult(asset_key="a", check_name="few", passed=True, metadata={"most": 9})
    context.log.warning("b: 30 rows")
    context.log_event(dg.AssetMaterialization("b", metadata={"rows": 30}))
    context.log_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("b"), check_name="few", passed=False, metadata={"rows": 30}
        )
    )


def entries(assets: Any) -> list[Any]:
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([assets], instance=instance)
        return list(instance.all_logs(run.run_id))


def told(found: list[Any]) -> list[tuple[Any, ...]]:
    """What `recorded` says, without what is another one in each run."""
    return [
        (sort, how, value if sort == "line" else _told(dg.deserialize_value(value)))
        for sort, how, value in recorded(found)
    ]


def _told(event: Any) -> tuple[Any, ...]:
    passed = getattr(event, "passed", None)
    return type(event).__name__, event.asset_key, dict(event.metadata), passed


def test_runs_are_counted_by_sort() -> None:
    stored = count(entries(transform))
    assert (stored.materialised, stored.passed, stored.failed) == (2, 1, 1)
    assert {sort: stored.events[sort] for sort in EQUAL} == {
        "ASSET_MATERIALIZATION": 2, "ASSET_OBSERVATION": 1, "ASSET_CHECK_EVALUATION": 2, LINES: 3,
    }  # fmt: skip
    assert stored.events["STEP_OUTPUT"] == 2
    assert stored.facts()["events"] == sum(stored.events.values())
    assert Stored(**json.loads(json.dumps(vars(stored)))) == stored  # as the child says it


def test_an_asset_that_is_materialised_twice_is_one() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("a", skippable=True)])
    def twice(context) -> Iterator[Any]:  # type: ignore[no-untyped-def]  # Dagster reads it
        context.log_event(dg.AssetMaterialization("a"))
        yield dg.MaterializeResult(asset_key="a")

    stored = count(entries(twice))
    assert (stored.materialised, stored.events["ASSET_MATERIALIZATION"]) == (1, 2)


def test_bare_dagster_stores_the_same_in_the_same_order(tmp_path: Path) -> None:
    ours = entries(transform)
    (tmp_path / RECORDED).write_text(json.dumps(list(recorded(ours))), encoding="utf-8")
    file = tmp_path / "bare.py"
    file.write_text(replaying(SPECS), encoding="utf-8")
    (bare_assets,) = load_definitions(file).assets
    bare = entries(bare_assets)
    assert told(bare) == told(ours)
    assert count(bare).events == count(ours).events
