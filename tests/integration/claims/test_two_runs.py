"""Two runs at the same time: nothing is built twice, nothing is lost, nobody trips over the other.

Models wait for a gate, an advisory lock that the test holds, so that both runs are at work at the
same moment without a clock. Beside our runs, SQLMesh's own do the same.

All kinds are here whose builds write rows in a run. Not so SEED, whose rows come when a plan makes
its table; EMBEDDED and EXTERNAL, which have no table of ours; MANAGED, which PostgreSQL has not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from tests.support.overlapping_runs import (
    BELOW,
    BOTH,
    FILES,
    FIRST,
    KINDS,
    MODELS,
    NEXT,
    OWN,
    at_the_gate,
    closed,
    contents,
    ended,
    expected,
    held,
    prepare,
    says,
    store_of,
)
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform
from tests.support.waiting import until


@pytest.mark.postgres
def test_two_runs_that_overlap_make_the_rows_of_one(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    want = expected(tmp_path / "native", databases())
    database = databases()
    prepare(database)
    project = Project(tmp_path / "p", database, MODELS, files=FILES)
    project.plan_natively(FIRST)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    options = {"execution_time": NEXT.isoformat(), "ignore_cron": False, "on_claimed": "wait"}
    sides = {
        side: [*BOTH, *(name for name in (OWN | BELOW) if name.startswith(side))]
        for side in ("one", "two")
    }
    try:
        with closed(database) as let_in, transform.launched(sides["one"], **options) as one:
            until(lambda: at_the_gate(database) >= 5, "the first run to be at work", 60)
            with transform.launched(sides["two"], **options) as two:
                until(lambda: says(transform, two, "Waiting for table:"), "the second to wait", 60)
                # What the other run does not have is built meanwhile.
                own = "/two/own0: built"
                until(lambda: says(transform, two, own), "the second run's own models", 60)
                let_in()
                first, second = ended(transform, one), ended(transform, two)
        assert first.success, first.failures or first.text[-3000:]
        assert second.success, second.failures or second.text[-3000:]
        assert contents(database) == want
        # Each model was built by one of the two; what waited went on by itself.
        assert "below" in second.materialized
        built = [*first.materialized, *second.materialized]
        both = [name.partition(".")[2] for name in BOTH]
        assert sorted(n for n in built if n in both) == sorted(both)
        (waits,) = {
            line for line in second.log if "Waiting for table:" in line and "by_time" in line
        }
        assert f"run {one} has claimed since" in waits
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_two_plain_runs_of_sqlmesh_make_rows_twice(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    """What the claims are for: without them, the same two runs duplicate rows."""
    want = expected(tmp_path / "native", databases())
    database = databases()
    prepare(database)
    projects = [Project(tmp_path / name, database, MODELS, files=FILES) for name in ("p", "q")]
    projects[0].plan_natively(FIRST)
    errors: list[Exception] = []

    def run(project: Project) -> None:
        try:
            project.run_natively(NEXT)
        except Exception as error:  # noqa: BLE001 - a unique key that is violated, say
            errors.append(error)

    threads = [threading.Thread(target=run, args=(project,)) for project in projects]
    with closed(database) as let_in:
        for thread in threads:
            thread.start()
        until(lambda: at_the_gate(database) >= len(KINDS), "both runs to be at work", 60)
        let_in()
    for thread in threads:
        thread.join(60)
    have = contents(database)
    twice = {name for name in BOTH if len(have[name]) > len(want[name])}
    # Others too, if both runs were at them when the gate opened.
    assert "shared.unmanaged" in twice, (twice, errors)


@pytest.mark.postgres
def test_a_tick_leaves_out_what_another_run_builds(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    prepare(database)
    project = Project(tmp_path / "p", database, {**BOTH, **BELOW}, files=FILES)
    project.plan_natively(FIRST)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    at = {"execution_time": NEXT.isoformat(), "ignore_cron": False}
    try:
        with closed(database) as let_in, transform.launched(["shared.by_time"], **at) as one:
            until(lambda: at_the_gate(database), "the first run to be at work", 60)
            tick = transform.run(
                ["shared.by_time", "two.below"], tags={"dagster/schedule_name": "s"}, **at
            )
            assert tick.success
            assert tick.observed == {"by_time": ["claimed"], "below": ["waiting"]}
            assert f"run {one} has claimed it since" in tick.reason("by_time")
            (observation,) = [o for o in tick.observations if o.asset_key.path[-1] == "by_time"]
            link = observation.metadata["dagster_transform/claimed_by"]
            assert link == dg.MetadataValue.dagster_run(one)
            let_in()
            assert ended(transform, one).success
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_claim_that_is_lost_ends_its_node_and_nothing_is_recorded(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    prepare(database)
    models = {name: BOTH[name] for name in ("shared.by_time", "shared.view")} | BELOW
    project = Project(tmp_path / "p", database, models)
    project.plan_natively(FIRST)
    before = database.intervals()
    quick = {"claims_lease": 2.0, "claims_heartbeat": 0.5}
    transform = Transform(tmp_path, [project], settings=quick)
    transform.prepare()
    options = {"execution_time": NEXT.isoformat(), "ignore_cron": False}
    names = ["shared.by_time", "two.below"]
    try:
        with closed(database) as let_in:
            with transform.launched(names, **options) as one:
                until(lambda: at_the_gate(database), "the run to be at work", 60)
                store_of(transform).release_run(one)  # as `claims release --force` does it
                lost = ended(transform, one)
            assert lost.observed == {"by_time": ["cancelled"], "below": ["cancelled"]}
            assert "its claim was lost" in lost.reason("by_time")
            assert at_the_gate(database) == 0
            assert database.intervals() == before
            let_in()
        again = transform.run(names, **options)
        assert again.success
        assert again.materialized == ["by_time", "below"]
    finally:
        transform.close()


@pytest.mark.postgres
def test_no_more_nodes_are_built_than_their_tags_and_connection_allow(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    wait = "SELECT 1 AS n FROM pg_sleep(0.15)"
    models = {f"mart.heavy{i}": f"kind FULL, tags (heavy)\n---\n{wait}" for i in range(3)}
    models |= {"mart.two": f"kind FULL, tags ('heavy:2')\n---\n{wait}"}
    models |= {f"mart.light{i}": f"kind FULL\n---\n{wait}" for i in range(4)}
    project = Project(tmp_path / "p", database, models)
    project.plan_natively(FIRST)
    transform = Transform(
        tmp_path, [project], settings={"tags": {"heavy": 2}, "connections": {"p": 3}}
    )
    transform.prepare()
    try:
        run = transform.run(max_concurrent_models=8)
        assert run.success
        assert len(run.materialized) == len(models)
        assert run.most_at_once(*models) == 3
        assert run.most_at_once(*(name for name in models if "heavy" in name)) == 2
        # The one that takes two has the tag for itself.
        heavy = ("mart.heavy0", "mart.heavy1", "mart.heavy2", "mart.two")
        assert run.most_at_once(*heavy) == 2
        for name in heavy[:3]:
            assert run.most_at_once(name, "mart.two") == 1
        assert not held(transform)
    finally:
        transform.close()
